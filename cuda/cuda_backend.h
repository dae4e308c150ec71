/* The CUDA backend: every op of backend/ops.h on one NVIDIA GPU.
 *
 * Built as a module that the engine opens at run time; the functions below are its only
 * symbols. Level 2; includes src/base and src/backend only. */
#ifndef SVR_CUDA_CUDA_BACKEND_H
#define SVR_CUDA_CUDA_BACKEND_H

#include "backend/cuda_options.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SVR_CUDA_EXPORT __attribute__((visibility("default")))
#else
#define SVR_CUDA_EXPORT
#endif

/* A backend in the given context, or in the primary one of the chosen device, which it retains. Its
 * functions may be called from any thread, one at a time, and leave what is current there as it
 * was. `options` may be NULL for the defaults; `log` may be NULL and is copied.  The caller owns
 * *out. Errors: NO_DEVICE (no driver, driver too old, no device, compute capability below 8.0, no
 * cuDNN where the options demand it), INVALID (the context is of another device), NO_VRAM, DEVICE.
 */
SVR_CUDA_EXPORT SVR_CHECKED svr_cuda_create_fn svr_cuda_backend_create;

/* A backend of a GPU that need not be there: it tells workspaces and types, which is what the
 * counting backend asks, and has no memory.  Own kernels do all convolutions.  capability: 10 *
 * major + minor; sm_count: multiprocessors.  The caller owns *out.  Errors: NO_MEM, NO_DEVICE
 * (capability below 8.0). */
SVR_CUDA_EXPORT SVR_CHECKED svr_cuda_sketch_fn svr_cuda_sketch_create;

/* The device that a backend would take: `device`, or for -1 that of the calling thread's current
 * context, else the first usable one.  Makes no context.  Errors: NO_DEVICE, DEVICE. */
SVR_CUDA_EXPORT SVR_CHECKED svr_cuda_find_device_fn svr_cuda_find_device;

/* The primary context of a device that svr_cuda_find_device() gave, a CUcontext that lives at least
 * until as many calls of svr_cuda_release_primary(), and longer where the CUDA runtime or others
 * hold it.  Errors: NO_VRAM, DEVICE (after a fault, until the process ends). */
SVR_CUDA_EXPORT SVR_CHECKED svr_cuda_retain_primary_fn svr_cuda_retain_primary;
SVR_CUDA_EXPORT svr_cuda_release_primary_fn svr_cuda_release_primary;

#ifdef __cplusplus
}
#endif
#endif
