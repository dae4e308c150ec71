/* Opens a backend by kind.  Level 5.  Thread: any. */
#ifndef SVR_PIPELINE_BACKENDS_H
#define SVR_PIPELINE_BACKENDS_H

#include "backend/cuda_options.h"
#include "pipeline/upscaler.h"

#ifdef __cplusplus
extern "C" {
#endif

/* `threads` is for the CPU, 0 = all; `cuda` for CUDA (NULL: its defaults).  The caller owns *out.
 * AUTO falls back to the CPU with a line in the log, but not for DEVICE. Errors: NO_DEVICE (no
 * module, no driver, no device; the text says which), INVALID (the CUDA context is of another
 * device), NO_MEM, NO_VRAM, DEVICE. */
SVR_CHECKED svr_status svr_backend_open(svr_backend_kind kind, int threads,
                                        const svr_cuda_options *cuda, const svr_log *log,
                                        svr_backend **out, svr_error *err);

#ifdef __cplusplus
}
#endif
#endif
