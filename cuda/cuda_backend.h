/* The CUDA backend: every op of backend/ops.h on one NVIDIA GPU.
 *
 * Built as a module that the engine opens at run time; the two functions below are its
 * only symbols. Level 2; includes src/base and src/backend only. */
#ifndef SVR_CUDA_CUDA_BACKEND_H
#define SVR_CUDA_CUDA_BACKEND_H

#include "backend/backend.h"

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
 * current or none is.  `log` may be NULL and is copied.  The caller owns *out. Errors: NO_DEVICE
 * (no driver, driver too old, no device, compute capability below 8.0), NO_VRAM, DEVICE. */
SVR_CUDA_EXPORT SVR_CHECKED svr_status svr_cuda_backend_create(const svr_log *log,
                                                               svr_backend **out, svr_error *err);

/* The same, but the backend takes no path that needs a higher compute capability than
 * `highest_capability` (10 * major + minor, at least 80), whatever the device has: for tests and
 * comparisons of the paths that other devices take. */
SVR_CUDA_EXPORT SVR_CHECKED svr_status svr_cuda_backend_create_limited(const svr_log *log,
                                                                       int highest_capability,
                                                                       svr_backend **out,
                                                                       svr_error *err);

#ifdef __cplusplus
}
#endif
#endif
