/* A backend for tests: real host memory, ops that only note that they were called. */
#ifndef SVR_TESTS_FAKE_BACKEND_H
#define SVR_TESTS_FAKE_BACKEND_H

#include "backend/ops.h"

#include <stdbool.h>

typedef struct fake_backend {
    svr_backend base;
    svr_ops ops;             /* entries may be set to NULL */
    const char *called;      /* name of the last op that ran */
    void *workspace;         /* and the workspace that it got */
    size_t workspace_bytes;  /* what all workspace functions answer */
    svr_status result;       /* what all ops return */
    svr_status alloc_result; /* what the next allocations return */
    int alive;               /* allocations that were not freed */
    int synchronized, uploads, downloads;
} fake_backend;

/* Fills in `fake`; ends with svr_backend_destroy(&fake->base), which frees nothing but marks it. */
void fake_backend_init(fake_backend *fake);

/* A tensor at an address of its own that nothing may touch. */
svr_tensor fake_tensor(svr_dtype dtype, int rank, const int64_t *dims);

#endif
