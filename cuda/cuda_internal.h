/* What the files of the CUDA backend share: its state, error translation and op declarations.
 * Level 2. */
#ifndef SVR_CUDA_CUDA_INTERNAL_H
#define SVR_CUDA_CUDA_INTERNAL_H

#include "backend/ops.h"
#include "cuda_context.h"

#include <cublasLt.h>
#include <cuda_runtime_api.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { SVR_CUDA_STAGING_BUFFERS = 2, SVR_CUDA_PACE_EVENTS = 2, SVR_CUDA_MARKS = 64 };

typedef struct svr_cuda_backend {
    svr_backend base;
    svr_cuda_context context; /* current wherever an op runs */
    int capability;           /* 10 * major + minor, e.g. 90 */
    int sm_count;
    cudaStream_t stream;  /* all ops, in order */
    cudaStream_t copies;  /* to and from the host; ordered with `stream` by events */
    cudaEvent_t computed; /* what a copy waits for */
    cudaStream_t in, out; /* the queues IN and OUT */
    cudaStream_t frames;  /* copies of others' frames, from any thread */
    /* mark m is marks[m % SVR_CUDA_MARKS] as long as it is that young; waiting for an older one
     * waits for work that was issued later, which is longer than need be but never wrong */
    cudaEvent_t marks[SVR_CUDA_MARKS];
    svr_mark last_mark;
    cublasLtHandle_t blas;
    /* pinned host buffers between pageable memory and the device */
    void *staging[SVR_CUDA_STAGING_BUFFERS];
    cudaEvent_t staging_free[SVR_CUDA_STAGING_BUFFERS];
    int staging_next;
    /* keeps the host no more than a few tens of milliseconds ahead, so that cancelling is quick */
    cudaEvent_t pace[SVR_CUDA_PACE_EVENTS];
    double pace_work; /* floating-point operations issued since the last event */
    int pace_next;
    void *encode_tensor_map; /* driver entry point cuTensorMapEncodeTiled, NULL below 9.0 */
    /* which convolutions go to cuDNN (cuda_conv_choice.h); NULL: none */
    struct svr_cuda_conv_choices *conv_choices;
    svr_log log;
} svr_cuda_backend;

/* The backend behind an exec. */
static inline svr_cuda_backend *svr_cuda_of(svr_exec *exec)
{
    return (svr_cuda_backend *) exec->backend;
}

/* Whether the context is lost with this result: every later call fails the same way, in any context
 * of the process. */
bool svr_cuda_is_fatal(cudaError_t result);

/* A CUDA result as a status: NO_VRAM for memory, DEVICE else, with the call's name. */
SVR_CHECKED svr_status svr_cuda_check(cudaError_t result, const char *what, svr_error *err);

/* Work that a library refused for the reason `why`: DEVICE, in the words of svr_cuda_check() where
 * the context of `stream` is lost, which is the true reason then. */
SVR_CHECKED svr_status svr_cuda_library_failed(cudaStream_t stream, const char *library,
                                               const char *why, svr_error *err);

/* After a launch: the launch's own error as a status. */
SVR_CHECKED svr_status svr_cuda_launched(const char *kernel, svr_error *err);

/* Tells that `flops` were issued; waits for earlier work when the host is too far ahead.
 * Errors: CANCELLED, DEVICE. */
SVR_CHECKED svr_status svr_cuda_pace(svr_exec *exec, double flops, svr_error *err);

/* UNSUPPORTED, for a device without e4m3 products (compute capability below 8.9). */
SVR_CHECKED svr_status svr_cuda_no_f8(const svr_cuda_backend *b, svr_error *err);

/* Of svr_backend_vtable. */
svr_dtype svr_cuda_weight_dtype(const svr_backend *backend, svr_dtype storage);
svr_status svr_cuda_check_quantization(const svr_backend *backend, svr_dtype dtype, svr_error *err);

/* The table of ops. */
const svr_ops *svr_cuda_ops(void);

/* svr_cuda_conv3d(), svr_cuda_conv3d_workspace(), …; the latter only where ops use workspace */
#define SVR_CUDA_OP(name)                                                                          \
    svr_status svr_cuda_##name(svr_exec *exec, const svr_##name##_args *args, void *workspace,     \
                               svr_error *err);                                                    \
    size_t svr_cuda_##name##_workspace(svr_backend *backend, const svr_##name##_args *args);
SVR_OP_LIST(SVR_CUDA_OP)
#undef SVR_CUDA_OP

#ifdef __cplusplus
}
#endif
#endif
