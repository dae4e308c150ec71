/* The three networks as the pipeline sees them: the real ones (pipeline/model.h), or stand-ins in
 * tests and verification.  Tensors are in backend memory, outputs are given.
 * Level 5.  Thread: the one that computes. */
#ifndef SVR_PIPELINE_NETWORKS_H
#define SVR_PIPELINE_NETWORKS_H

#include "backend/exec.h"
#include "dit/sampler.h"
#include "pipeline/placement.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct svr_networks {
    void *user;
    svr_dtype storage;   /* of activations at the seams */
    int spatial_factor;  /* pixels per latent pixel and axis: 8 */
    int temporal_factor; /* frames per latent frame: 4 */
    int grid_multiple;   /* frame sizes are padded to a multiple of this: 16 */
    int latent_channels; /* 16 */
    bool has_negative;   /* a negative text is there: guidance is possible */

    /* optional, all or none: what can be placed; takes up a placement, without loading anything,
     * and tells what that needs; brings over what it wants where it wants it */
    void (*weights)(void *user, svr_network_weights *out);
    svr_status (*place)(void *user, const svr_placement *placement, svr_weight_need *need,
                        svr_error *err);
    svr_status (*load)(void *user, const svr_cancel *cancel, svr_error *err);
    /* optional: called before every batch, in dry runs too, with its latent grid t,H,W; makes the
     * tables that the grid needs and keeps them for the next time */
    svr_status (*prepare)(void *user, const int latent[3], svr_error *err);
    /* goes with it: gives all these tables back */
    void (*forget)(void *user);
    /* x [T,H,W,3] storage -> latent [t,h,w,C] F32, scaled for the transformer; x is scratch memory
     * and used up: given back as soon as nothing reads it any more */
    svr_status (*encode)(void *user, svr_exec *exec, svr_tensor *x, const svr_tensor *latent,
                         svr_error *err);
    /* p->x_t, cond [t,h,w,C] F32 -> p->v [t,h,w,C] F32 */
    svr_status (*predict)(void *user, svr_exec *exec, const svr_tensor *cond,
                          const svr_prediction *p, svr_error *err);
    /* latent [t,h,w,C] F32, scaled -> the first `frames` frames of y [..T,1..H,1..W,3] F32, the top
     * left of each; model values, not clamped.  y comes with its sizes; its scratch memory is taken
     * as late as possible and is the caller's */
    svr_status (*decode)(void *user, svr_exec *exec, const svr_tensor *latent, int64_t frames,
                         svr_tensor *y, svr_error *err);
} svr_networks;

#ifdef __cplusplus
}
#endif
#endif
