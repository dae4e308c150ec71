/* The CUDA backend: every op of backend/ops.h on one NVIDIA GPU.
 *
 * Built as a module that the engine opens at run time; the function below is its
 * only symbol. Level 2; includes src/base and src/backend only. */
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

/* Works in the CUDA context that is current on the calling thread, else in the primary context of
 * the first usable device; all calls on the backend must come from threads where that context is
 * current or none is.  `options` may be NULL for the defaults; `log` may be NULL and is copied.
 * The caller owns *out. Errors: NO_DEVICE (no driver, driver too old, no device, compute capability
 * below 8.0, no cuDNN where the options demand it), NO_VRAM, DEVICE. */
SVR_CUDA_EXPORT SVR_CHECKED svr_cuda_create_fn svr_cuda_backend_create;

#ifdef __cplusplus
}
#endif
#endif
