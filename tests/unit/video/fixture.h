/* What the tests of this folder share: a CPU backend with scratch memory, and golden files as
 * pictures and tables. */
#ifndef SVR_TESTS_VIDEO_FIXTURE_H
#define SVR_TESTS_VIDEO_FIXTURE_H

#include "backend/exec.h"
#include "weights/safetensors.h"

typedef struct fixture {
    svr_backend *backend;
    svr_backend *counting; /* counts for `backend` */
    void *memory;
    svr_exec exec;
} fixture;

/* A CPU backend with two threads and plenty of scratch memory; the caller ends with
 * fixture_close(), which fails when scratch memory is still taken. */
fixture fixture_open(void);
void fixture_close(fixture *f);

/* New F32 tensor, zeroed; the caller frees its data. */
svr_tensor fixture_floats(int rank, const int64_t *dims);

/* A float tensor [T,C,H,W] of the file as a picture [T,H,W,C], or [T,H,W] for C = 1; the caller
 * frees its data.  A missing tensor ends the program. */
svr_tensor fixture_picture(const svr_safetensors *file, const char *prefix, const char *name);

/* A copy of a tensor of the file as it lies there; the caller frees its data. */
svr_tensor fixture_values(const svr_safetensors *file, const char *prefix, const char *name);

#endif
