/* Tensors that files keep in 8 bits with scales.  Internal to weights.  Level 2.
 * Thread: one at a time. */
#ifndef SVR_WEIGHTS_SCALES_H
#define SVR_WEIGHTS_SCALES_H

#include "base/arena.h"
#include "weights/safetensors.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What belongs to a tensor in 8 bits; NULL where there is none. */
typedef struct svr_scales {
    const svr_safetensors_entry *values; /* F32, one for each row or one for all */
    const svr_safetensors_entry *note;   /* comfy_quant */
} svr_scales;

/* Finds and checks what belongs to `entry`, whose shape is right; `arena` holds what is read
 * meanwhile.  Errors: FORMAT, UNSUPPORTED, NO_MEM. */
SVR_CHECKED svr_status svr_scales_find(const svr_safetensors *file,
                                       const svr_safetensors_entry *entry, svr_arena *arena,
                                       svr_scales *out, svr_error *err);

/* The scale of a row. */
float svr_scales_of_row(const svr_safetensors_entry *values, size_t row);

#ifdef __cplusplus
}
#endif
#endif
