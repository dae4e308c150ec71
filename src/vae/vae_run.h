/* What an evaluation works with: the VAE, what convolutions carry, and the activations in hand.
 * Level 4.  Thread: the one that computes.
 *
 * Ownership of activations: a function that takes `svr_tensor *x` from scratch memory either
 * replaces it by its result (and frees the old one) or says otherwise. */
#ifndef SVR_VAE_VAE_RUN_H
#define SVR_VAE_VAE_RUN_H

#include "backend/exec.h"
#include "base/arena.h"
#include "vae/vae_plan.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What goes from step to step: an activation, and between the two steps of a resnet its residual.
 */
typedef struct vae_frames {
    svr_tensor x, residual;
} vae_frames;

/* The last input frames of a convolution, scratch memory.  A 3x3x3 convolution has one in each, so
 * that a piece of one frame costs one copy; others have all in head.  Where the clip's frame 0 is
 * all that has been there (`starts`), it is the last of them. */
typedef struct vae_carried {
    svr_tensor head, recent;
    bool starts;
} vae_carried;

/* Memory of the temporal convolutions while a clip runs in pieces. */
typedef struct vae_state {
    vae_carried *carried; /* [count] */
    int count;
    /* memory like that of the widest carried frames that come one by one, for the frame that a
     * convolution is fed and that changes places with the oldest carried one; empty while it is
     * lent */
    svr_tensor spare;
    void *lent;
    /* [frames in hand, groups, 3] F32, scratch memory: for statistics of an activation; `known` are
     * those of the one at known_of, until something changes it */
    svr_tensor moments, known;
    const void *known_of;
    svr_tensor parked[2]; /* whose memory activations may lie in, but is not theirs to give back */
    bool sliced;          /* false: one piece, nothing is remembered */
    bool first, last;     /* piece of the clip, as the segment at work sees it */
} vae_state;

struct svr_vae {
    svr_vae_config config;
    svr_store *store;
    svr_arena *arena; /* names and resnets */
    vae_half encoder, decoder;
    vae_state state;
    vae_plan plan; /* of the clip at work */
};

/* One evaluation. */
typedef struct vae_run {
    svr_exec *exec;
    svr_vae *vae;
    svr_dtype storage;
    /* of the step at work: where its result goes (NULL: memory of its own), and whether the step
     * behind it follows at once */
    const vae_frames *place;
    bool goes_on;
    /* each may be NULL: the encoder's clip, to be given back when it is read; the decoder's
     * picture, which has no memory yet */
    svr_tensor *consumed, *made;
    int64_t at; /* number of the first frame in hand */
    /* of a tile, shared with the others (vae_shared.h); NULL: norms use those of their frames */
    struct vae_statistics *statistics;
} vae_run;

#ifdef __cplusplus
}
#endif
#endif
