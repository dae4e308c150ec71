/* Arguments of the ops that turn frames into pictures and back.  Pictures are F32 [T,H,W,C] with
 * C = 3 (R,G,B) or 1; "unit" values lie in [0,1], "model" values in [-1,1].  What holds for all
 * ops: backend/ops.h.  Level 1. */
#ifndef SVR_BACKEND_OPS_PIXELS_H
#define SVR_BACKEND_OPS_PIXELS_H

#include "base/frame.h"
#include "base/padding.h"
#include "base/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Integers of one frame (planes in memory of the backend) to unit R'G'B' and alpha.
 *   rgb [H,W,3] F32   alpha [H,W] F32 optional: 1 for formats without.  Formats, matrix and ranges:
 * base/frame.h; coarse chroma is interpolated at its siting (base/frame_math.h); grey is luma in
 * all three colours.  Planes and strides are multiples of the format's words.
 * Values outside [0,1] (video range foot- and headroom, colours that no R'G'B' has) are kept. */
typedef struct svr_unpack_args {
    svr_video_info info;
    svr_frame frame;
    svr_tensor rgb, alpha;
} svr_unpack_args;

/* Model R'G'B' (and unit alpha) to the integers of one frame: clamp, (x+1)/2, matrix, chroma
 * filtered at its siting so that it undoes unpack, round half to even.  Alpha absent: opaque.
 *   rgb [H,W,3] F32   alpha [H,W] F32 optional
 * truncate: drop the fraction instead of rounding (the reference's habit, for verification). */
typedef struct svr_pack_args {
    svr_video_info info;
    svr_frame frame;
    svr_tensor rgb, alpha;
    bool truncate;
} svr_pack_args;

/* Taps of one axis: output o = sum_j weight[o][j] * input[first[o] + j]. */
typedef struct svr_resize_axis {
    svr_tensor first;  /* [n_out] I32 */
    svr_tensor weight; /* [n_out, taps] F32; unused taps are 0, and first + taps <= n_in */
} svr_resize_axis;

/* Separable resampling, columns (width) first.   x [T,H,W,C], y [T,H',W',C] F32. */
typedef struct svr_resize_args {
    svr_tensor x, y;
    svr_resize_axis horizontal, vertical;
} svr_resize_args;

/* Unit picture to model values: clamp to [0,1], 2v-1, missing columns and rows (right, bottom) as
 * `padding` says, black being -1.   x [T,H,W,3] F32, y [T,Hp,Wp,3] storage, Hp >= H, Wp >= W. */
typedef struct svr_to_model_args {
    svr_tensor x, y;
    svr_padding padding;
} svr_to_model_args;

/* Top left [H,W] part of each frame.   x [T,Hp,Wp,C], y [T,H,W,C] storage types. */
typedef struct svr_crop_args {
    svr_tensor x, y;
} svr_crop_args;

/* Binomial [1 2 1]/4 blur in both directions with dilation `radius`, replicated border.
 *   x, y [T,H,W,C] F32.   Source: spec pipeline §11 "low band". */
typedef struct svr_blur_args {
    svr_tensor x, y;
    int radius;
} svr_blur_args;

#ifdef __cplusplus
}
#endif
#endif
