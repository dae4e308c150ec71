#include "dit/sampler.h"

#include "backend/ops.h"

#include <math.h>

/* Time of pure noise. */
static const double max_timestep = 1000.0;

void svr_sampler_timesteps(int steps, float *out)
{
    for (int i = 0; i < steps; i++)
        out[i] = (float) (max_timestep * (1.0 - (double) i / steps));
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

/* Evaluates the negative text and moves v away from it. */
static svr_status guide(svr_exec *exec, const svr_sampler_config *config,
                        const svr_predictor *predictor, const svr_prediction *positive,
                        double scale, svr_error *err)
{
    const svr_tensor *v = positive->v;
    svr_prediction p = *positive;
    svr_tensor negative;

    SVR_TRY(svr_exec_alloc(exec, v->dtype, v->rank, v->dims, &negative, err));
    p.v = &negative;
    p.negative = true;
    SVR_TRY(predictor->predict(predictor->user, exec, &p, err));
    svr_guidance_args args = {.pos = as_rows(v),
                              .neg = as_rows(&negative),
                              .scale = (float) scale,
                              .rescale = (float) config->cfg_rescale};
    SVR_TRY(svr_op_guidance(exec, &args, err));
    svr_exec_free(exec, &negative);
    return SVR_OK;
}

/* x += (next - timestep) / T * v; with next = 0 that is the final x_0. */
static svr_status euler_step(svr_exec *exec, float timestep, float next, const svr_tensor *v,
                             const svr_tensor *x, svr_error *err)
{
    svr_lincomb_args args = {.a = *x,
                             .b = *v,
                             .y = *x,
                             .alpha = 1.0f,
                             .beta = (float) (((double) next - timestep) / max_timestep)};

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

        SVR_TRY(svr_exec_poll(exec, err));
        SVR_TRY(predictor->predict(predictor->user, exec, &p, err));
        if (scale != 1.0)
            SVR_TRY(guide(exec, config, predictor, &p, scale, err));
        SVR_TRY(svr_exec_tap(exec, "v_comb", &v, err));
        SVR_TRY(euler_step(exec, timesteps[i], timesteps[i + 1], &v, x, err));
    }
    svr_exec_free(exec, &v);
    return SVR_OK;
}
