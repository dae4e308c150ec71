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
    const svr_safetensors_entry *entry; /* F32, one for each row or one for all */
    const svr_safetensors_entry *note;  /* comfy_quant */
    const float *values;                /* of `entry`, in the arena */
} svr_scales;

/* Finds, reads and checks what belongs to `entry`, whose shape is right; `arena` holds it.
 * Errors: FORMAT, UNSUPPORTED, NO_MEM, IO. */
SVR_CHECKED svr_status svr_scales_find(const svr_safetensors *file,
                                       const svr_safetensors_entry *entry, svr_arena *arena,
                                       svr_scales *out, svr_error *err);

/* The scale of a row. */
float svr_scales_of_row(const svr_scales *scales, size_t row);

#ifdef __cplusplus
}
#endif
#endif
