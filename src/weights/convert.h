/* Model files in other types: matrices in 8 bits with scales, or everything in 16 bits.
 * Level 2.  Thread: any, one at a time per output. */
#ifndef SVR_WEIGHTS_CONVERT_H
#define SVR_WEIGHTS_CONVERT_H

#include "base/cancel.h"
#include "weights/safetensors.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Writes the model of `file` to `path`, tensor by tensor, a few MiB at a time.  `to` is
 *   I8, F8_E4M3  transformers: the factors (weights/weights.h), and whatever has scales already, in
 *                rows of this type with a tensor <name>_scale [N] F32 (base/quantize.h); rows that
 *                have this type are copied, as is everything else
 *   F16, BF16    transformers and VAEs: all values in this type
 * Prompt embeddings inside and metadata are kept.  A failure leaves nothing at `path` that was not
 * there before.  `cancel` may be NULL.
 * Errors: INVALID (`path` or `path`.part is the input, `path` is a folder, device or pipe), FORMAT
 * (no such model, values that are not finite), UNSUPPORTED (a VAE in 8 bits; values that F16 cannot
 * hold), IO, NO_MEM, CANCELLED. */
SVR_CHECKED svr_status svr_convert(const svr_safetensors *file, svr_dtype to, const char *path,
                                   const svr_cancel *cancel, svr_error *err);

#ifdef __cplusplus
}
#endif
#endif
