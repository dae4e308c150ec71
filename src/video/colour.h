/* Colour correction: gives decoded frames the tone of their source.  Source: spec pipeline §11.
 * Level 2.  Thread: the one that computes. */
#ifndef SVR_VIDEO_COLOUR_H
#define SVR_VIDEO_COLOUR_H

#include "backend/exec.h"
#include "backend/ops.h"
#include "video/colour_method.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Supplies reference frame `frame` of the slice: style [1,H,W,3] F32 model values. */
typedef struct svr_colour_style {
    void *user;
    svr_status (*frame)(void *user, svr_exec *exec, int frame, const svr_tensor *style,
                        svr_error *err);
} svr_colour_style;

/* Most frames of `pixels` pixels that a slice may have: lab's histograms count pixels in 32 bits.
 */
int64_t svr_colour_most_frames(svr_colour_method method, int64_t pixels);

/* Corrects a slice in place: content [T,H,W,3] F32 model values.  `exact` (verification) matches
 * the ranks of lab by sorting; else lab goes through histograms of 1024 bins, frame by frame, so
 * the references are never held together (hsv and wavelet-adaptive hold them).  Statistics of these
 * three span the slice.  Each reference is asked for once, in order.  Errors: INVALID (too many
 * frames), CANCELLED (looked at before each frame), what the ops and `style` bring up. */
SVR_CHECKED svr_status svr_colour_correct(svr_exec *exec, svr_colour_method method, bool exact,
                                          const svr_colour_style *style, const svr_tensor *content,
                                          svr_error *err);

/* The low band of the wavelet method: five dilated binomial passes.   x, y [T,H,W,3] F32. */
SVR_CHECKED svr_status svr_colour_low_band(svr_exec *exec, const svr_tensor *x, const svr_tensor *y,
                                           svr_error *err);

#ifdef __cplusplus
}
#endif
#endif
