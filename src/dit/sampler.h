/* Timesteps, Euler steps and guidance around a velocity predictor.  Source: spec pipeline §6-7.
 * Level 4.  Thread: the one that computes. */
#ifndef SVR_DIT_SAMPLER_H
#define SVR_DIT_SAMPLER_H

#include "backend/exec.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { SVR_MAX_STEPS = 1000 };

typedef struct svr_sampler_config {
    int steps;          /* 1 for the released models */
    double cfg_scale;   /* 1: no negative pass */
    double cfg_rescale; /* 0: off */
    double cfg_partial; /* guidance only while (i+1)/steps <= partial; 1: always */
    /* the positive velocity waits for the negative one in page-locked host memory, of which the
     * exec then has that much, instead of in scratch memory: never changes results */
    bool park_on_host;
} svr_sampler_config;

/* One evaluation of a velocity: v = predictor(x_t, timestep, text). */
typedef struct svr_prediction {
    const svr_tensor *x_t; /* the sampler's x */
    const svr_tensor *v;   /* F32, same shape, uninitialised: the predictor fills it */
    float timestep;        /* 0 .. 1000 */
    bool negative;         /* whether the negative text is meant */
} svr_prediction;

typedef struct svr_predictor {
    void *user;
    svr_status (*predict)(void *user, svr_exec *exec, const svr_prediction *p, svr_error *err);
} svr_predictor;

/* Trailing timesteps 1000 * (1 - i/steps), i = 0 .. steps-1. */
void svr_sampler_timesteps(int steps, float *out);

/* Resolution-dependent shift of a timestep, used for condition noise only; latent = t, h, w. */
double svr_timestep_transform(double t, const int latent[3]);

/* Runs all steps in place: x [.., 16] storage holds noise, then x_0.  Velocities are F32, so x is
 * rounded once a step.  With guidance the passes run one after the other in the same scratch
 * memory, beside which there is one velocity more unless that is parked on the host.  Tap:
 * "v_comb", the velocity after guidance, once a step.
 * Errors: INVALID (steps or guidance out of range), the predictor's. */
SVR_CHECKED svr_status svr_sampler_run(svr_exec *exec, const svr_sampler_config *config,
                                       const svr_predictor *predictor, const svr_tensor *x,
                                       svr_error *err);

#ifdef __cplusplus
}
#endif
#endif
