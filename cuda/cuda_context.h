/* The CUDA context that a backend works in, and the devices to choose from.
 *
 * The driver API is reached through the runtime, so that nothing links to libcuda.  Nothing here
 * changes which context is current on a thread beyond svr_cuda_context_leave().  Level 2. */
#ifndef SVR_CUDA_CUDA_CONTEXT_H
#define SVR_CUDA_CUDA_CONTEXT_H

#include "backend/cuda_options.h"

#include <stdbool.h>
#include <cuda.h>
#include <cudaTypedefs.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct svr_cuda_context {
    CUcontext handle;
    int device;   /* index */
    bool primary; /* retained here */
    PFN_cuCtxPushCurrent_v4000 push;
    PFN_cuCtxPopCurrent_v4000 pop;
} svr_cuda_context;

/* The given context, or the primary one of the chosen device, which is retained.  Zeroed on
 * failure.  Errors: NO_DEVICE, INVALID (the context is of another device), NO_VRAM, DEVICE. */
SVR_CHECKED svr_status svr_cuda_context_open(svr_cuda_context *c, const svr_cuda_options *options,
                                             svr_error *err);
/* Gives a retained context back.  Accepts a zeroed one. */
void svr_cuda_context_close(svr_cuda_context *c);

/* Makes the context current on the calling thread until svr_cuda_context_leave(); pairs nest.
 * Fails without a change: DEVICE. */
SVR_CHECKED svr_status svr_cuda_context_enter(const svr_cuda_context *c, svr_error *err);
void svr_cuda_context_leave(const svr_cuda_context *c);

/* Stores the address of a driver function, in the form that CUDA `version` (1000 * major + 10 *
 * minor) gave it, at `function`, which points to a function pointer.  Errors: NO_DEVICE (the driver
 * has none of that name), DEVICE. */
SVR_CHECKED svr_status svr_cuda_driver_function(const char *name, unsigned version, void *function,
                                                svr_error *err);

/* Compute capability of a device as 10 * major + minor.  Errors: DEVICE. */
SVR_CHECKED svr_status svr_cuda_capability(int device, int *out, svr_error *err);

#ifdef __cplusplus
}
#endif
#endif
