/* Arguments of the ops that correct colours and guide alpha; pictures as in backend/ops_pixels.h.
 * What holds for all ops: backend/ops.h.  Level 1. */
#ifndef SVR_BACKEND_OPS_COLOUR_H
#define SVR_BACKEND_OPS_COLOUR_H

#include "base/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Per frame and channel: y = (c - mean_c)/std_c * std_s + mean_s, std = sqrt(unbiased var + 1e-5).
 *   content, style, y [T,H,W,3] F32; y may be content.   Source: spec pipeline §11 adain. */
typedef struct svr_adain_args {
    svr_tensor content, style, y;
} svr_adain_args;

/* Model R'G'B' to CIE Lab (clamped to unit first), and back (clamped).   x, y [T,H,W,3] F32, y may
 * be x.   Source: spec pipeline §11 lab. */
typedef struct svr_lab_args {
    svr_tensor x, y;
} svr_lab_args;

/* Counts in counts[c][bin] the elements of channel c of x, bin = trunc((x - lo) / (hi - lo) * bins)
 * with x outside [lo, hi] left out and hi in the last bin.
 *   x [T,H,W,3] F32   counts [3, bins] I32, read as unsigned: up to 2^32 - 1 a bin;
 *   accumulate: adds to what is there, else starts at 0. */
typedef struct svr_histogram_args {
    svr_tensor x, counts;
    float lo[3], hi[3];
    bool accumulate;
} svr_histogram_args;

/* y = keep[c] * x + (1 - keep[c]) * matched(x): channel c of x goes through its own cumulative
 * histogram into the inverse of the reference's, linear inside the bins.
 * A share that falls on a gap of the reference belongs to the values above the gap.
 *   x, y [T,H,W,3] F32, y may be x   counts, ref_counts [3, bins] I32 (each non-empty).
 * Source: oracle match_hist. */
typedef struct svr_match_histogram_args {
    svr_tensor x, counts, ref_counts, y;
    float keep[3], lo[3], hi[3];
} svr_match_histogram_args;

/* The same with exact ranks: k-th smallest takes k-th smallest over all frames together, stable
 * ties.  For verification.
 *   x, ref, y [T,H,W,3] F32; y may be x.   Source: spec pipeline §11 rank match. */
typedef struct svr_match_ranks_args {
    svr_tensor x, ref, y;
    float keep[3];
} svr_match_ranks_args;

/* Saturation of content matched to style per hue bin (12 bins, > 100 pixels on both sides, exact
 * ranks).   content, style, y [T,H,W,3] F32 model values; y may be content.
 * Source: spec pipeline §11 hsv. */
typedef struct svr_hsv_args {
    svr_tensor content, style, y;
} svr_hsv_args;

/* y = wavelet * (1-m) + hsv * m with the saturation mask m.   All [T,H,W,3] F32 model values; y may
 * be any of the inputs.   Source: spec pipeline §11 wavelet_adaptive. */
typedef struct svr_saturation_mix_args {
    svr_tensor content, style, wavelet, hsv, y;
} svr_saturation_mix_args;

/* Edge guidance of an upscaled alpha plane by the decoded picture; mask_like selects the sharp form
 * for alpha that is nearly all 0 or 1; negative_rgb says that the batch's rgb has values below 0,
 * so it is rescaled to unit first.   alpha [T,H,W], y [T,H,W] F32 unit; rgb [T,H,W,3] F32.
 *   edges [T,H,W] F32 optional output: the edge map (mask_like only).
 * The filter's means are over boxes: inside_only divides by the pixels inside the frame, so that
 * borders keep their alpha; else by the whole box, as the reference does (verification). Source:
 * spec pipeline §12. */
typedef struct svr_alpha_guide_args {
    svr_tensor alpha, rgb, y, edges;
    bool mask_like, negative_rgb, inside_only;
} svr_alpha_guide_args;

#ifdef __cplusplus
}
#endif
#endif
