/* Integer frames to what the network sees: unpack, resize, clamp, pad, [-1,1].
 * Source: spec pipeline §3.  Level 2.  Thread: the one that computes. */
#ifndef SVR_VIDEO_PRE_H
#define SVR_VIDEO_PRE_H

#include "video/resample.h"
#include "video/sizes.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct svr_pre svr_pre;

/* Frames of `in` through the sizes of `plan`.  `backend` is borrowed and must outlive it.  The
 * frames at `data` below are only uploaded: on a counting backend they are never looked at. Errors:
 * INVALID (sizes that do not fit into each other), NO_MEM, NO_VRAM. */
SVR_CHECKED svr_status svr_pre_create(svr_backend *backend, const svr_video_info *in,
                                      const svr_size_plan *plan, svr_pre **out, svr_error *err);
void svr_pre_destroy(svr_pre *pre);

/* Where the frames at `data` below are from now on: in host memory (at first), or complete in the
 * device's, where nothing is uploaded. */
void svr_pre_set_on_device(svr_pre *pre, bool on_device);

/* One frame, tightly packed at `data`, to the unit picture at the last resize.
 *   rgb [H,W,3] F32, clamped to [0,1]
 *   alpha [H,W] F32 at the input's own size, optional (formats with alpha). */
SVR_CHECKED svr_status svr_pre_unit(svr_exec *exec, const svr_pre *pre, const uint8_t *data,
                                    const svr_tensor *rgb, const svr_tensor *alpha, svr_error *err);

/* The network's input.   y [1,Hp,Wp,3] storage, model values, padding as the plan says. */
SVR_CHECKED svr_status svr_pre_model(svr_exec *exec, const svr_pre *pre, const uint8_t *data,
                                     const svr_tensor *y, svr_error *err);

/* The colour reference: model values cut to the output size.   style [1,oh,ow,3] F32. */
SVR_CHECKED svr_status svr_pre_style(svr_exec *exec, const svr_pre *pre, const uint8_t *data,
                                     const svr_tensor *style, svr_error *err);

/* Alpha planes of the frames data[count], upscaled under the guidance of decoded pictures.
 *   rgb [count,oh,ow,3] F32 model values   alpha [count,oh,ow] F32 unit.   Source: pipeline §12. */
SVR_CHECKED svr_status svr_pre_alpha(svr_exec *exec, const svr_pre *pre, const uint8_t *const *data,
                                     const svr_tensor *rgb, const svr_tensor *alpha,
                                     svr_error *err);

#ifdef __cplusplus
}
#endif
#endif
