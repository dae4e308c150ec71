/* The state of a clip that is cut into pieces: carried frames, statistics, and the memory of
 * activations.  Level 4.  Thread: the one that computes. */
#ifndef SVR_VAE_VAE_STATE_H
#define SVR_VAE_VAE_STATE_H

#include "vae/vae_run.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Starts a sweep that carries nothing yet, of which up to `frames` frames are in hand at a time. */
svr_status svr_vae_state_begin(vae_run *run, int64_t frames, svr_error *err);

/* Where the statistics of y go, made by the op that makes y; and those of x, absent where nobody
 * made them. */
svr_tensor svr_vae_moments_for(vae_run *run, const svr_tensor *y);
svr_tensor svr_vae_moments_of(vae_run *run, const svr_tensor *x);

/* Takes memory for the frames that a step carries from piece to piece, before any activation: what
 * stays then lies packed at one end.  The step's input frames are h x w. */
svr_status svr_vae_state_take(vae_run *run, const vae_half *half, const vae_step *step, int64_t h,
                              int64_t w, svr_error *err);

/* Gives all that memory back. */
void svr_vae_state_end(vae_run *run);

/* The frames carried for `conv`; empty at the clip's start and where nothing is carried. */
vae_carried svr_vae_carried(const vae_run *run, const vae_conv *conv);

/* Remembers the last frames of an input x for the next piece. */
svr_status svr_vae_state_keep(vae_run *run, const vae_conv *conv, const svr_tensor *x,
                              svr_error *err);

/* The same for an input that svr_vae_take() gave: in the spare memory, a single frame goes to the
 * state as it is, and x gets the memory of the oldest. */
svr_status svr_vae_state_exchange(vae_run *run, const vae_conv *conv, svr_tensor *x,
                                  svr_error *err);

/* Memory of frames: the spare one where it has this size, else new scratch. */
svr_status svr_vae_take(vae_run *run, const int64_t dims[4], svr_tensor *out, svr_error *err);

/* Gives an activation's memory back to whom it belongs and clears the view. */
void svr_vae_give(vae_run *run, svr_tensor *t);

/* Shows the last frames of the clip's first piece. */
svr_status svr_vae_state_tap(vae_run *run, const vae_conv *conv, const svr_tensor *x,
                             svr_error *err);

/* Remembers the last frames of the decoder's last products. */
svr_status svr_vae_sums_keep(vae_run *run, const vae_conv *conv, const svr_tensor *sums,
                             svr_error *err);

/* The same for an up block's upsampler, whose carried frames are of low resolution. */
svr_status svr_vae_upsample_keep(vae_run *run, const vae_block *block, const svr_tensor *x,
                                 svr_error *err);

#ifdef __cplusplus
}
#endif
#endif
