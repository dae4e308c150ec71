/* A backend in front of another whose device memory runs out when a test wants it to. */
#ifndef SVR_TESTS_FAULTY_BACKEND_H
#define SVR_TESTS_FAULTY_BACKEND_H

#include "backend/backend.h"

/* What the test sets and sees; lives longer than the backend.  Set it only while nothing computes.
 */
typedef struct fault_plan {
    uint64_t every;     /* every n-th allocation fails; 0: none */
    uint64_t attempts;  /* allocations that were asked for since `every` was set */
    uint64_t failed;    /* of which failed */
    uint64_t left;      /* bytes still live in the ledger when the backend was destroyed */
    uint64_t destroyed; /* backends that were */
} fault_plan;

/* Works on `inner`, which is borrowed and outlives it, with a ledger of its own.  What fails, fails
 * as `inner` does: a device that knows the size of its memory is asked for more than any has, so
 * that the error is its own (NO_VRAM); else NO_MEM.  NULL when there is no memory. */
svr_backend *faulty_backend_create(svr_backend *inner, fault_plan *plan);

#endif
