/* Rotary angles: frequencies and positions, always from the formulas in F32 (files store the
 * frequencies rounded, which moves the 7B by 1 %).  Source: spec dit §8.
 * Level 4.  Thread: any (pure functions). */
#ifndef SVR_DIT_ROPE_H
#define SVR_DIT_ROPE_H

#include "dit/window.h"
#include "weights/config.h"

#ifdef __cplusplus
extern "C" {
#endif

/* p frequencies of the model. */
void svr_rope_frequencies(const svr_dit_config *config, float *out);

/* Position of local index `index` on an axis of local size `size`; axis 0 is time.  text_len shifts
 * the 3B's time axis. */
float svr_rope_position(const svr_dit_config *config, int axis, int index, int size, int text_len);

/* Distinct positions of a partition and, per token in raster order, the row of each axis: the
 * tables that svr_qk_norm_rope takes. */
typedef struct svr_rope_table {
    int rows;            /* R */
    float *angles;       /* [R, p] = position * frequency */
    int32_t *video_rows; /* [t*h*w, 3] */
    int32_t *text_rows;  /* [L, 3]; NULL when text is not rotated */
} svr_rope_table;

/* Memory from `arena`.  Errors: NO_MEM. */
SVR_CHECKED svr_status svr_rope_table_make(svr_arena *arena, const svr_dit_config *config,
                                           const svr_windows *windows, int text_len,
                                           svr_rope_table *out, svr_error *err);

#ifdef __cplusplus
}
#endif
#endif
