#include "dit/sampler.h"

#include "backend/ops.h"

#include <math.h>

/* Time of pure noise. */
static const double max_timestep = 1000.0;

/* The reference counts down in F32 vectors of eight, each from its rounded first value, but for
 * what is left of sixteen.  Rounding once instead moves late steps by some units in the last
 * place. */
void svr_sampler_timesteps(int steps, float *out)
{
    enum { LANES = 8, PAIR = 2 * LANES };
    double step = -1.0 / steps;

    for (int i = 0; i < steps; i++) {
        int lane = i < steps / PAIR * PAIR ? i % LANES : 0;
        double first = 1.0 + (i - lane) * step;
        float u = lane > 0 ? (float) ((double) (float) first + lane * step) : (float) first;

        out[i] = u * (float) max_timestep;
    }
}

/* Value at x of the line through (x1, 1) and (x2, y2). */
static double line_from_one(double x, double x1, double x2, double y2)
{
    double slope = (y2 - 1.0) / (x2 - x1);

    return slope * x + (1.0 - slope * x1);
}

double svr_timestep_transform(double t, const int latent[3])
{
    /* pixels and frames that the latent stands for */
    double frames = 4.0 * (latent[0] - 1) + 1.0;
    double pixels = 64.0 * latent[1] * latent[2];
    double shift = frames > 1.0 ? line_from_one(pixels * frames, 256.0 * 256.0 * 37.0,
                                                1280.0 * 720.0 * 145.0, 5.0)
                                : line_from_one(pixels, 256.0 * 256.0, 1024.0 * 1024.0, 3.2);
    double u = t / max_timestep;

    return max_timestep * (shift * u / (1.0 + (shift - 1.0) * u));
}

static svr_status check_config(const svr_sampler_config *config, svr_error *err)
{
    if (config->steps < 1 || config->steps > SVR_MAX_STEPS)
        return SVR_FAIL(err, SVR_ERR_INVALID, "%d sampling steps; choose 1 to %d", config->steps,
                        SVR_MAX_STEPS);
    if (!isfinite(config->cfg_scale) || !isfinite(config->cfg_rescale) ||
        !isfinite(config->cfg_partial))
        return SVR_FAIL(err, SVR_ERR_INVALID,
                        "guidance scale, rescale and partial must be finite numbers");
    return SVR_OK;
}

/* Guidance scale of a step. */
static double step_scale(const svr_sampler_config *config, int step)
{
    return (step + 1.0) / config->steps <= config->cfg_partial ? config->cfg_scale : 1.0;
}

static svr_tensor as_rows(const svr_tensor *t)
{
    int64_t channels = t->dims[t->rank - 1];

    return svr_tensor_as_2d(t, svr_tensor_elems(t) / channels, channels);
}

/* How far x moves along a velocity; with `next` = 0 the step ends at x_0. */
static float step_length(float timestep, float next)
{
    return (float) (((double) next - timestep) / max_timestep);
}

/* ---------------------------------------------------------------------------- guidance */

/* A step with guidance at work. */
typedef struct guided_step {
    svr_exec *exec;
    const svr_predictor *predictor;
    svr_prediction p; /* of the positive text; its v is the caller's */
    svr_guidance_args combine;
} guided_step;

static svr_status predict_negative(const guided_step *g, const svr_tensor *v, svr_error *err)
{
    svr_prediction p = g->p;

    p.v = v;
    p.negative = true;
    SVR_TRY(g->predictor->predict(g->predictor->user, g->exec, &p, err));
    svr_exec_note(g->exec, SVR_POINT_NEGATIVE_DONE);
    return SVR_OK;
}

/* x moves along pos, which becomes pos led away from neg. */
static svr_status combine(const guided_step *g, const svr_tensor *pos, const svr_tensor *neg,
                          svr_error *err)
{
    svr_guidance_args args = g->combine;

    args.pos = as_rows(pos);
    args.neg = as_rows(neg);
    SVR_TRY(svr_op_guidance(g->exec, &args, err));
    return svr_exec_tap(g->exec, "v_comb", pos, err);
}

/* The positive velocity stays on the device. */
static svr_status guide(const guided_step *g, svr_error *err)
{
    const svr_tensor *v = g->p.v;
    svr_tensor negative;

    SVR_TRY(svr_exec_alloc(g->exec, v->dtype, v->rank, v->dims, &negative, err));
    SVR_TRY(predict_negative(g, &negative, err));
    SVR_TRY(combine(g, v, &negative, err));
    svr_exec_free(g->exec, &negative);
    return SVR_OK;
}

/* v to the host.  The next pass writes to v, so it waits for the copy. */
static svr_status park(svr_exec *exec, const svr_tensor *v, const svr_tensor *host, svr_error *err)
{
    svr_backend *b = exec->backend;

    SVR_TRY(svr_backend_order(b, SVR_QUEUE_COMPUTE, SVR_QUEUE_OUT, err));
    SVR_TRY(svr_backend_copy_out(b, host->data, v->data, svr_tensor_bytes(v), err));
    return svr_backend_order(b, SVR_QUEUE_OUT, SVR_QUEUE_COMPUTE, err);
}

/* And back.  Ops may have used the memory of v, and have waited for the way out. */
static svr_status fetch(svr_exec *exec, const svr_tensor *v, const svr_tensor *host, svr_error *err)
{
    svr_backend *b = exec->backend;

    SVR_TRY(svr_backend_order(b, SVR_QUEUE_COMPUTE, SVR_QUEUE_IN, err));
    SVR_TRY(svr_backend_copy_in(b, v->data, host->data, svr_tensor_bytes(v), err));
    return svr_backend_order(b, SVR_QUEUE_IN, SVR_QUEUE_COMPUTE, err);
}

/* The positive velocity gives its place to the negative one and comes back when the memory of the
 * pass is free again. */
static svr_status guide_parked(const guided_step *g, svr_error *err)
{
    const svr_tensor *v = g->p.v;
    svr_tensor host, positive;

    SVR_TRY(svr_exec_host_alloc(g->exec, v->dtype, v->rank, v->dims, &host, err));
    SVR_TRY(park(g->exec, v, &host, err));
    SVR_TRY(predict_negative(g, v, err));
    SVR_TRY(svr_exec_alloc(g->exec, v->dtype, v->rank, v->dims, &positive, err));
    SVR_TRY(fetch(g->exec, &positive, &host, err));
    SVR_TRY(combine(g, &positive, v, err));
    svr_exec_free(g->exec, &positive);
    svr_exec_host_free(g->exec, &host);
    return SVR_OK;
}

/* ---------------------------------------------------------------------------- steps */

/* x += step * v */
static svr_status euler_step(svr_exec *exec, float step, const svr_tensor *v, const svr_tensor *x,
                             svr_error *err)
{
    svr_lincomb_args args = {.a = *x, .b = *v, .y = *x, .alpha = 1.0f, .beta = step};

    SVR_TRY(svr_exec_tap(exec, "v_comb", v, err));
    return svr_op_lincomb(exec, &args, err);
}

svr_status svr_sampler_run(svr_exec *exec, const svr_sampler_config *config,
                           const svr_predictor *predictor, const svr_tensor *x, svr_error *err)
{
    float timesteps[SVR_MAX_STEPS + 1];
    svr_tensor v;

    SVR_TRY(check_config(config, err));
    svr_sampler_timesteps(config->steps, timesteps);
    timesteps[config->steps] = 0.0f;
    SVR_TRY(svr_exec_alloc(exec, SVR_F32, x->rank, x->dims, &v, err));
    for (int i = 0; i < config->steps; i++) {
        svr_prediction p = {.x_t = x, .v = &v, .timestep = timesteps[i]};
        double scale = step_scale(config, i);
        float step = step_length(timesteps[i], timesteps[i + 1]);
        guided_step guided = {exec,
                              predictor,
                              p,
                              {.x = as_rows(x),
                               .scale = (float) scale,
                               .rescale = (float) config->cfg_rescale,
                               .step = step}};

        SVR_TRY(svr_exec_poll(exec, err));
        svr_exec_note(exec, SVR_POINT_STEP_BEGIN);
        SVR_TRY(predictor->predict(predictor->user, exec, &p, err));
        svr_exec_note(exec, SVR_POINT_POSITIVE_DONE);
        if (scale == 1.0)
            SVR_TRY(euler_step(exec, step, &v, x, err));
        else
            SVR_TRY(config->park_on_host ? guide_parked(&guided, err) : guide(&guided, err));
        svr_exec_note(exec, SVR_POINT_STEP_END);
    }
    svr_exec_free(exec, &v);
    return SVR_OK;
}
