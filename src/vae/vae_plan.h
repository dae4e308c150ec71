/* How a clip goes through a half: segments, pieces, sweeps.  Level 4.  Thread: the one that
 * computes. */
#ifndef SVR_VAE_VAE_PLAN_H
#define SVR_VAE_VAE_PLAN_H

#include "vae/vae_layers.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Consecutive steps that work on the same pieces of a clip. */
typedef struct vae_segment {
    int first, end;  /* steps */
    int64_t in, out; /* frames of the whole clip in front of it and behind */
    int64_t most;    /* frames that it takes at a time; two where time is halved and this is 1 */
    int64_t extra;   /* and so many more of the clip's first ones */
    bool halves;     /* time, in its last step */
    bool doubles;    /* time, in its first step */
    bool cut;        /* sees the clip in several pieces, so it carries frames over */
    bool starts_sweep;
    bool banded; /* a sweep of its own that reads bands of rows of parked frames */

    /* while a clip runs: frames taken so far; encoder: frames made, and still owed to who asked
     * last; decoder: what the segment before made and how many frames of it are used up */
    int64_t taken, made, owed;
    svr_tensor held;
    int64_t used;
    svr_tensor moments; /* encoder: statistics of an input that is put together from pieces */
} vae_segment;

/* How a clip goes through a half, or through steps [first, end) of one. */
typedef struct vae_plan {
    int first, end;
    int64_t (*dims)[4];    /* [steps + 1]: of the whole clip's activation in front of each step */
    vae_segment *segments; /* [steps] */
    int count;             /* of segments */
    int64_t slice;         /* latent frames of a slice; the clip's first has one more; 0: all */
    bool *breaks;          /* [steps]: a sweep begins here */
    int64_t *cost;         /* [steps + 1]: values parked in front of each step */
    int64_t *widest;       /* [steps + 1]: most that a sweep before it holds */
    int *from;             /* [steps + 1]: where the sweep that ends there begins */
    /* [host_slots] places for views of parked frames, half of them for a sweep's source and half
     * for its target, in turn */
    svr_tensor *host_frames;
    size_t host_slots;
    bool upper;
} vae_plan;

/* Fills vae->plan for steps [range[0], range[1]) of a half, with `in` in front of them. */
void svr_vae_plan_clip(svr_vae *vae, const vae_half *half, const svr_vae_cut *cut,
                       const svr_tensor *in, const int range[2]);

/* Channels of a resnet's residual between its two steps. */
int64_t svr_vae_residual_channels(const vae_resnet *r);

#ifdef __cplusplus
}
#endif
#endif
