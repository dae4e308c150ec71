/* A clip on its way through a half, sweep by sweep, and through a sweep piece by piece.  Level 4.
 * Thread: the one that computes. */
#ifndef SVR_VAE_VAE_PASS_H
#define SVR_VAE_VAE_PASS_H

#include "vae/vae_park.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A clip on its way through a half. */
typedef struct vae_pass {
    vae_run *run;
    const vae_half *half;
    const svr_tensor *in;
    svr_tensor out; /* no memory: that of run->made */
    vae_plan *plan;
    bool decodes;
    bool keeps;    /* ends before the half does: the result stays parked on the device as it is */
    bool measures; /* the same, but the result is measured (vae_shared.h) and given up */
    const svr_vae_memory *memory;
    int end; /* segment behind the sweep at work */
    vae_parked source, target;
    int64_t done; /* frames of the sweep's result */
} vae_pass;

/* ---- vae_pass.c: pieces and segments of a sweep */

/* Whether the sweep at work is not the last. */
static inline bool svr_vae_goes_on(const vae_pass *p)
{
    return p->end < p->plan->count;
}

/* Whether its result is parked. */
static inline bool svr_vae_parks(const vae_pass *p)
{
    return svr_vae_goes_on(p) || (p->keeps && !p->measures);
}

/* Frames that the end of the sweep asks for (encoder). */
int64_t svr_vae_demand(const vae_pass *p);

/* x = the segment's next piece, of up to `want` frames (encoder), at `place` if that is given. */
svr_status svr_vae_run_segment(vae_pass *p, int index, int64_t want, const vae_frames *place,
                               vae_frames *x, svr_error *err);

/* ---- vae_bands.c */

/* y, made here = frame t of the first step of a resnet that narrows, from what is parked. */
svr_status svr_vae_open_in_bands(vae_pass *p, const vae_resnet *r, int64_t t, vae_frames *y,
                                 svr_error *err);

/* ---- vae_sweeps.c: a whole clip or tile through a half */

/* Steps [range[0], range[1]) of p->half, of p->in or of what lies parked on the device in
 * p->source, to p->out or, where they end before the half does, to p->source. */
svr_status svr_vae_run_range(vae_pass *p, const svr_vae_cut *cut, const int range[2],
                             svr_error *err);

/* After a failure: ops that come may use all memory, so they wait for copies on their way. */
void svr_vae_let_copies_end(vae_run *run);

svr_status svr_vae_encode_clip(vae_run *run, const svr_vae_cut *cut, const svr_tensor *x,
                               const svr_tensor *moments, svr_error *err);
svr_status svr_vae_decode_clip(vae_run *run, const svr_vae_cut *cut, const svr_tensor *z,
                               const svr_tensor *y, svr_error *err);

#ifdef __cplusplus
}
#endif
#endif
