/* What the ops of the CPU backend share: the backend's insides and the parallel loop.  Level 2. */
#ifndef SVR_CPU_CPU_INTERNAL_H
#define SVR_CPU_CPU_INTERNAL_H

#include "backend/exec.h"
#include "cpu/cpu_backend.h"
#include "cpu/cpu_pool.h"
#include "cpu/cpu_simd.h"

typedef struct svr_cpu_backend {
    svr_backend base;
    svr_cpu_options options;
    uint64_t attempts; /* calls of alloc so far */
    svr_cpu_pool *pool;
    int threads;              /* of the pool */
    const svr_cpu_simd *simd; /* loops for this machine's instruction set */
} svr_cpu_backend;

/* The CPU backend behind an exec or a backend that ops were called with. */
static inline const svr_cpu_backend *svr_cpu_of(const svr_backend *backend)
{
    return (const svr_cpu_backend *) backend;
}

/* Calls task for every index on all threads, in no particular order.  Pieces should take less than
 * some milliseconds: the cancel flag is looked at before each.  Errors: CANCELLED (then some pieces
 * were left out). */
SVR_CHECKED svr_status svr_cpu_for(svr_exec *exec, int64_t count, svr_cpu_task task, void *context,
                                   svr_error *err);

/* moments [T,G,3] of the frames of x [T,H,W,C], as conv3d gives them (cpu_norm.c). */
size_t svr_cpu_moments_workspace(svr_backend *backend, const svr_tensor *x);
SVR_CHECKED svr_status svr_cpu_moments(svr_exec *exec, const svr_tensor *x,
                                       const svr_tensor *moments, void *workspace, svr_error *err);

/* Weights are kept as F32 here (weight_dtype of the backend).  Errors: UNSUPPORTED. */
SVR_CHECKED svr_status svr_cpu_check_weights(const svr_tensor *w, svr_error *err);

#endif
