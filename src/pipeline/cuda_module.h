/* The CUDA module, which is looked for at run time: nothing links to it.  Besides a backend it
 * offers devices and their primary contexts, for an embedder that shares a context with others and
 * hands it to the engine (svr_upscaler_options.cuda_context).  Level 5.  Thread: any. */
#ifndef SVR_PIPELINE_CUDA_MODULE_H
#define SVR_PIPELINE_CUDA_MODULE_H

#include "backend/cuda_options.h"

#ifdef __cplusplus
extern "C" {
#endif

/* All of them, with NO_DEVICE: no module, or one of another version; the text says which. */

/* A backend with these options; NULL: the defaults.  The caller owns *out.
 * Errors: also INVALID (the context is of another device), NO_MEM, NO_VRAM, DEVICE. */
SVR_CHECKED svr_status svr_cuda_module_open(const svr_cuda_options *options, const svr_log *log,
                                            svr_backend **out, svr_error *err);

/* A backend to count on for a GPU that need not be there.  Errors: also NO_MEM. */
SVR_CHECKED svr_status svr_cuda_module_sketch(int capability, int sm_count, svr_backend **out,
                                              svr_error *err);

/* The device that a backend without a context would take for this index or -1.  Makes no context.
 * Errors: also NO_DEVICE (no driver, one that is too old, no such device, one that is too old),
 * DEVICE. */
SVR_CHECKED svr_status svr_cuda_module_find_device(int device, int *found, svr_error *err);

/* The primary context of a device that was found, a CUcontext: made unless somebody holds it, and
 * alive at least until it was released as often.  Errors: also NO_VRAM, DEVICE (after a fault of
 * the GPU, until the process ends). */
SVR_CHECKED svr_status svr_cuda_module_retain_primary(int device, void **context, svr_error *err);
void svr_cuda_module_release_primary(int device);

#ifdef __cplusplus
}
#endif
#endif
