/* Output, resize and padded sizes.  Source: spec pipeline §3.1.  Level 2.  Thread: any (pure). */
#ifndef SVR_VIDEO_SIZES_H
#define SVR_VIDEO_SIZES_H

#include "base/padding.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct svr_size {
    int width, height; /* pixels */
} svr_size;

/* The sizes that a picture goes through. */
typedef struct svr_size_plan {
    int resizes;         /* 1; 2 when the reference's second resampling is asked for */
    svr_size resize[2];  /* successive targets; the last is what the network sees, unpadded */
    svr_size output;     /* cut from the top left of resize[resizes-1] */
    svr_size padded;     /* right and bottom filled up to multiples of the network's grid */
    svr_padding padding; /* how; what the functions here leave black, as the reference has it */
} svr_size_plan;

/* The short-side rule: long side truncated, `max_edge` > 0 caps the long side; output made even.
 * two_stage: resample twice where max_edge bites, as the reference does; else once to the last
 * size. `multiple` is the network's grid (16). */
svr_size_plan svr_size_plan_short_side(svr_size in, int short_side, int max_edge, int two_stage,
                                       int multiple);

/* Exactly `out`, resized in one go. */
svr_size_plan svr_size_plan_exact(svr_size out, int multiple);

/* The equal-area rule of the original: resized size (not cropped). */
svr_size svr_size_area(svr_size in, int res_width, int res_height);

#ifdef __cplusplus
}
#endif
#endif
