/* The steps that a half is made of: single layers, blocks, first and last layers.  Level 4.
 * Thread: the one that computes. */
#ifndef SVR_VAE_VAE_STEPS_H
#define SVR_VAE_VAE_STEPS_H

#include "backend/ops_vae.h"
#include "vae/vae_run.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A convolution's input: `x`, scratch memory, and the frames before it (empty: none), borrowed. */
typedef struct vae_input {
    vae_carried before;
    svr_tensor x;
} vae_input;

/* ---- vae_steps.c: single layers */

/* Shows x to the tap when the clip runs whole; `name` may be NULL. */
svr_status svr_vae_tap(vae_run *run, const char *name, const svr_tensor *x, svr_error *err);

/* y = conv(input) (+ residual); y is given.  Weights may have more rows than y has channels. */
svr_status svr_vae_conv(vae_run *run, const vae_conv *conv, const vae_input *input,
                        const svr_tensor *residual, const svr_tensor *y, svr_error *err);

/* A norm of x into y, as yet without statistics and activation. */
svr_group_norm_args svr_vae_norm_args(const vae_run *run, const vae_norm *norm, const svr_tensor *x,
                                      const svr_tensor *y);

/* input = silu(norm(x)) for `conv`; x stays. */
svr_status svr_vae_norm(vae_run *run, const vae_norm *norm, const vae_conv *conv,
                        const svr_tensor *x, vae_input *input, svr_error *err);

/* The same in place: x is used up. */
svr_status svr_vae_norm_consume(vae_run *run, const vae_norm *norm, const vae_conv *conv,
                                svr_tensor *x, vae_input *input, svr_error *err);

/* Copies the window of in's frames that starts at corner[0], corner[1]. */
svr_status svr_vae_cut_window(vae_run *run, const svr_tensor *in, const int64_t corner[2],
                              const svr_tensor *out, svr_error *err);

/* ---- vae_blocks.c: steps; x becomes the result, at run->place */

/* The first half of a resnet's first step: x keeps the residual, `input` is what conv1 sees. */
svr_status svr_vae_split(vae_run *run, const vae_resnet *r, vae_frames *x, vae_input *input,
                         svr_error *err);

/* And the second: x gets conv1(input) beside the residual. */
svr_status svr_vae_open(vae_run *run, const vae_resnet *r, vae_input *input, vae_frames *x,
                        svr_error *err);
svr_status svr_vae_close(vae_run *run, const vae_resnet *r, vae_frames *x, svr_error *err);

/* In place, always. */
svr_status svr_vae_attend(vae_run *run, const vae_attention *a, const svr_tensor *x,
                          svr_error *err);
svr_status svr_vae_downsample(vae_run *run, const vae_block *block, vae_frames *x, svr_error *err);

/* Twice the size; with time doubled, the clip's first frame counts once.  The memory of the old x
 * stays the caller's. */
svr_status svr_vae_upsample(vae_run *run, const vae_block *block, vae_frames *x, svr_error *err);

/* ---- vae_ends.c: first and last layers */

/* h = conv_in of frames [range[0], range[1]) of a clip; the frames in front of them are what it
 * carries. */
svr_status svr_vae_enter(vae_run *run, const vae_half *half, const svr_tensor *clip,
                         const int64_t range[2], vae_frames *h, svr_error *err);

/* y = conv_out(silu(norm(h))); h is used up. */
svr_status svr_vae_leave(vae_run *run, const vae_half *half, svr_tensor *h, const svr_tensor *y,
                         svr_error *err);

/* The decoder's: y is as many of the first frames as are wanted, perhaps none. */
svr_status svr_vae_picture(vae_run *run, const vae_half *half, svr_tensor *h, const svr_tensor *y,
                           svr_error *err);

#ifdef __cplusplus
}
#endif
#endif
