/* The causal video VAE: frames to latents and back.
 *
 * Written once against backend/ops.h.  Time is causal: a clip cut into slices [1+f*i, f*j, f*k, …]
 * (f = temporal factor), with the last input frames of every temporal convolution carried from
 * slice to slice, gives the same numbers as the whole clip.  Norms and attention look at one frame
 * only. Source: spec vae.md.  Level 4.  Thread: the one that computes. */
#ifndef SVR_VAE_VAE_H
#define SVR_VAE_VAE_H

#include "backend/exec.h"
#include "memory/store.h"
#include "weights/config.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct svr_vae svr_vae;

enum { SVR_VAE_GROUP_ENCODER = 0, SVR_VAE_GROUP_DECODER, SVR_VAE_GROUPS };

/* How a clip is cut.  Zeroed: whole. */
typedef struct svr_vae_cut {
    /* video frames per slice, a multiple of the temporal factor; 0: the clip in one piece.  The
     * first slice has one frame more.  Never changes the result beyond rounding. */
    int slice_frames;
    /* the decoder's memory: from stage to stage frames go on in pieces of so many that the widest
     * activation of a piece has about this many values, at least one frame; 0: all that come.  A
     * stage that sees the clip in one piece carries nothing over; clips of up to two latent frames
     * go whole.  Never changes the result beyond rounding; taps need 0. */
    int64_t piece_values;
    /* spatial tiles in pixels (another function: norms see only the tile), 0: none.  spec vae.md §7
     */
    int tile_h, tile_w, overlap_h, overlap_w;
} svr_vae_cut;

/* Declares the network's items in `store` (created with SVR_VAE_GROUPS groups; borrowed, must
 * outlive *out), which the caller then loads.  A mid attention whose output projection is exactly 0
 * is left out. */
SVR_CHECKED svr_status svr_vae_create(const svr_vae_config *config, svr_store *store, svr_vae **out,
                                      svr_error *err);
void svr_vae_destroy(svr_vae *vae);

const svr_vae_config *svr_vae_get_config(const svr_vae *vae);

/* moments = encoder(x): mean in channels 0..L-1 and, where moments has 2L channels, logvar behind
 * it (not clamped); L = latent_channels.
 *   x [T,H,W,3] storage, model values, T = f*n+1   moments [n+1, H/s, W/s, L or 2L] storage or F32
 * s = spatial factor; sizes are rounded down.  Taps: "tap.enc.*", "mem.*" after the first slice.
 * Errors: SHAPE, CANCELLED, NO_VRAM, DEVICE. */
SVR_CHECKED svr_status svr_vae_encode(svr_exec *exec, svr_vae *vae, const svr_vae_cut *cut,
                                      const svr_tensor *x, const svr_tensor *moments,
                                      svr_error *err);

/* y = decoder(z), not clamped; a y of fewer frames gets the first ones (not with tiles).
 *   z [t,h,w,L] storage, unscaled   y [1 .. f*(t-1)+1, s*h, s*w, 3] storage or F32.
 * Taps: "tap.dec.*", "mem.*".  Errors as above. */
SVR_CHECKED svr_status svr_vae_decode(svr_exec *exec, svr_vae *vae, const svr_vae_cut *cut,
                                      const svr_tensor *z, const svr_tensor *y, svr_error *err);

#ifdef __cplusplus
}
#endif
#endif
