/* Tiles as the reference makes them: clips of their own, blended in the result.  Level 4.  Thread:
 * the one that computes. */
#ifndef SVR_VAE_VAE_TILED_H
#define SVR_VAE_VAE_TILED_H

#include "vae/vae_run.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Whether a clip or a latent is larger than a tile of `cut`. */
bool svr_vae_encode_needs_tiles(const svr_vae_cut *cut, const svr_tensor *x);
bool svr_vae_decode_needs_tiles(const svr_vae *vae, const svr_vae_cut *cut, const svr_tensor *z);
svr_status svr_vae_encode_tiled(vae_run *run, const svr_vae_cut *cut, const svr_tensor *x,
                                const svr_tensor *moments, svr_error *err);
svr_status svr_vae_decode_tiled(vae_run *run, const svr_vae_cut *cut, const svr_tensor *z,
                                const svr_tensor *y, svr_error *err);

#ifdef __cplusplus
}
#endif
#endif
