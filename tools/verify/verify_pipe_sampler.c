/* pipe_sampler: Euler steps with given model outputs, guidance, condition, condition noise. */
#include "dit/sampler.h"
#include "verify/verify.h"

#include <stdlib.h>
#include <string.h>

enum { LATENT_CHANNELS = 16, PATCH = 2 };

static const verify_limit sampler_limit = {.max_abs = 2e-6};
static const verify_limit exact = {.exact = true};

/* A sampler case: rows of 16 channels, one model output a step. */
typedef struct sampler_case {
    svr_sampler_config config;
    svr_dtype dtype; /* of x */
    int64_t rows;
    float *x_T, *v_pos, *v_neg; /* v: [steps, rows, 16] */
    float *seen;                /* x_t that the predictor was given, [steps, rows, 16] */
    float *x_0;
    float *combined; /* guided v of every step */
    int step;
} sampler_case;

static size_t elems(const sampler_case *c)
{
    return (size_t) (c->rows * LATENT_CHANNELS);
}

/* Answers with the stored model output of the step that is running. */
static svr_status predict(void *user, svr_exec *exec, const svr_prediction *p, svr_error *err)
{
    sampler_case *c = (sampler_case *) user;
    const svr_tensor *v = p->v;
    g_autofree void *raw = g_malloc(svr_tensor_bytes(v));

    if (!p->negative) {
        c->step++;
        g_assert(c->step < c->config.steps);
        SVR_TRY(device_get(exec->backend, p->x_t, c->seen + (size_t) c->step * elems(c), err));
    }
    svr_from_f32((p->negative ? c->v_neg : c->v_pos) + (size_t) c->step * elems(c), v->dtype, raw,
                 elems(c));
    return svr_backend_upload(exec->backend, v->data, raw, svr_tensor_bytes(v), err);
}

static svr_status run_sampler(void *user, svr_exec *exec, svr_error *err)
{
    sampler_case *c = (sampler_case *) user;
    svr_predictor predictor = {.user = c, .predict = predict};
    svr_tensor x;

    c->step = -1;
    SVR_TRY(
        device_put(exec, c->x_T, svr_tensor_2d(NULL, c->dtype, c->rows, LATENT_CHANNELS), &x, err));
    SVR_TRY(svr_sampler_run(exec, &c->config, &predictor, &x, err));
    return device_get(exec->backend, &x, c->x_0, err);
}

/* The guidance of every step by itself. */
static svr_status run_guidance(void *user, svr_exec *exec, svr_error *err)
{
    sampler_case *c = (sampler_case *) user;
    svr_tensor shape = svr_tensor_2d(NULL, SVR_F32, c->rows, LATENT_CHANNELS);

    for (int i = 0; i < c->config.steps; i++) {
        size_t at = (size_t) i * elems(c);
        bool guided = (i + 1.0) / c->config.steps <= c->config.cfg_partial;
        svr_guidance_args args = {.scale = guided ? (float) c->config.cfg_scale : 1.0f,
                                  .rescale = (float) c->config.cfg_rescale};

        memcpy(c->combined + at, c->v_pos + at, elems(c) * sizeof(float));
        if (args.scale == 1.0f)
            continue;
        SVR_TRY(device_put(exec, c->v_pos + at, shape, &args.pos, err));
        SVR_TRY(device_put(exec, c->v_neg + at, shape, &args.neg, err));
        SVR_TRY(svr_op_guidance(exec, &args, err));
        SVR_TRY(device_get(exec->backend, &args.pos, c->combined + at, err));
        svr_exec_free(exec, &args.neg);
        svr_exec_free(exec, &args.pos);
    }
    return SVR_OK;
}

static svr_status read_part(const golden *g, const char *prefix, const char *part, size_t n,
                            float **out, svr_error *err)
{
    g_autofree char *name = g_strconcat(prefix, part, NULL);
    const svr_safetensors_entry *entry;

    SVR_TRY(golden_entry(g, name, -1, &entry, err));
    if (svr_safetensors_elems(entry) != n)
        return SVR_FAIL(err, SVR_ERR_FORMAT, "%s: %s has another size than x_T and params demand",
                        svr_safetensors_path(g->file), name);
    return golden_floats(g, name, out, err);
}

static svr_status read_case(const golden *g, const char *prefix, sampler_case *c, svr_error *err)
{
    g_autofree char *name = g_strconcat(prefix, "x_T", NULL);
    g_autofree float *params = NULL;
    const svr_safetensors_entry *entry;
    size_t all;

    SVR_TRY(read_part(g, prefix, "params", 4, &params, err));
    SVR_TRY(golden_entry(g, name, 2, &entry, err));
    if (entry->dims[1] != LATENT_CHANNELS || !(params[0] >= 1 && params[0] <= SVR_MAX_STEPS))
        return SVR_FAIL(err, SVR_ERR_FORMAT, "%s: %s or its params are out of range",
                        svr_safetensors_path(g->file), name);
    c->rows = entry->dims[0];
    c->config = (svr_sampler_config){.steps = (int) params[0],
                                     .cfg_scale = params[1],
                                     .cfg_rescale = params[2],
                                     .cfg_partial = params[3] < 0 ? 1.0 : params[3]};
    all = (size_t) c->config.steps * elems(c);
    SVR_TRY(golden_floats(g, name, &c->x_T, err));
    SVR_TRY(read_part(g, prefix, "v_pos", all, &c->v_pos, err));
    SVR_TRY(read_part(g, prefix, "v_neg", all, &c->v_neg, err));
    c->seen = g_new0(float, all);
    c->combined = g_new0(float, all);
    c->x_0 = g_new0(float, elems(c));
    return SVR_OK;
}

static void free_case(sampler_case *c)
{
    g_free(c->x_T);
    g_free(c->v_pos);
    g_free(c->v_neg);
    g_free(c->seen);
    g_free(c->combined);
    g_free(c->x_0);
}

static svr_status check_case(verify_run *run, const golden *g, const char *prefix, sampler_case *c,
                             svr_error *err)
{
    static const verify_limit one_ulp = {.ulp = 1.0};
    g_autofree char *x_t = g_strconcat(prefix, "x_t", NULL);
    g_autofree char *x_0 = g_strconcat(prefix, "x_0", NULL);
    g_autofree char *v_comb = g_strconcat(prefix, "v_comb", NULL);
    g_autofree char *times = g_strconcat(prefix, "timesteps", NULL);
    g_autofree float *timesteps = NULL;
    size_t all;

    SVR_TRY(read_case(g, prefix, c, err));
    all = (size_t) c->config.steps * elems(c);
    timesteps = g_new(float, (size_t) c->config.steps);
    svr_sampler_timesteps(c->config.steps, timesteps);
    SVR_TRY(verify_tensor(run, g, times, timesteps, (size_t) c->config.steps, &one_ulp, err));
    SVR_TRY(device_run(&run->device, run_guidance, c, NULL, err));
    SVR_TRY(verify_tensor(run, g, v_comb, c->combined, all, &sampler_limit, err));
    SVR_TRY(device_run(&run->device, run_sampler, c, NULL, err));
    SVR_TRY(verify_tensor(run, g, x_t, c->seen, all, &sampler_limit, err));
    return verify_tensor(run, g, x_0, c->x_0, elems(c), &sampler_limit, err);
}

/* The single step in bfloat16, and with a F32 result from bfloat16 values. */
static svr_status check_bf16(verify_run *run, const golden *g, svr_error *err)
{
    static const struct {
        const char *result;
        svr_dtype dtype;
    } forms[] = {{"bf16.x_0_numz", SVR_BF16}, {"bf16.x_0_bytedance", SVR_F32}};
    const svr_safetensors_entry *entry;

    SVR_TRY(golden_entry(g, "bf16.x_T", 2, &entry, err));
    for (size_t i = 0; i < G_N_ELEMENTS(forms); i++) {
        sampler_case c = {.config = {.steps = 1, .cfg_scale = 1.0, .cfg_partial = 1.0},
                          .dtype = forms[i].dtype,
                          .rows = entry->dims[0]};
        svr_status status = golden_floats(g, "bf16.x_T", &c.x_T, err);

        c.seen = g_new0(float, elems(&c));
        c.x_0 = g_new0(float, elems(&c));
        if (status == SVR_OK)
            status = read_part(g, "bf16.", "v", elems(&c), &c.v_pos, err);
        if (status == SVR_OK)
            status = device_run(&run->device, run_sampler, &c, NULL, err);
        if (status == SVR_OK)
            status = verify_tensor(run, g, forms[i].result, c.x_0, elems(&c), &exact, err);
        free_case(&c);
        SVR_TRY(status);
    }
    return SVR_OK;
}

/* A latent [t,h,w,16] and what is made of it. */
typedef struct condition_case {
    int64_t dims[4];
    float *latent, *aug;
    float *out;
    float strength; /* of the condition noise, t/1000 */
} condition_case;

/* The latent with a row or column of zeros behind an odd size. */
static float *pad_to_patches(const condition_case *c, int64_t height, int64_t width)
{
    int64_t channels = c->dims[3], row = c->dims[2] * channels;
    float *padded = g_new0(float, (size_t) (c->dims[0] * height * width * channels));

    for (int64_t f = 0; f < c->dims[0]; f++)
        for (int64_t y = 0; y < c->dims[1]; y++)
            memcpy(padded + (f * height + y) * width * channels,
                   c->latent + (f * c->dims[1] + y) * row, (size_t) row * sizeof(float));
    return padded;
}

/* The transformer sees condition and mask through svr_patchify: 2x2 neighbours, latent before mask.
 */
static svr_status run_condition(void *user, svr_exec *exec, svr_error *err)
{
    condition_case *c = (condition_case *) user;
    int64_t t = c->dims[0], width = c->dims[3] + 1;
    int64_t h = (c->dims[1] + PATCH - 1) / PATCH * PATCH;
    int64_t w = (c->dims[2] + PATCH - 1) / PATCH * PATCH;
    g_autofree float *latent = pad_to_patches(c, h, w);
    g_autofree float *ones = g_new(float, (size_t) (t * h * w));
    g_autofree float *tokens = NULL;
    svr_patchify_args args = {.patch = PATCH};

    for (int64_t i = 0; i < t * h * w; i++)
        ones[i] = 1.0f;
    SVR_TRY(
        device_put(exec, latent, svr_tensor_4d(NULL, SVR_F32, t, h, w, c->dims[3]), &args.a, err));
    SVR_TRY(device_put(exec, ones, svr_tensor_4d(NULL, SVR_F32, t, h, w, 1), &args.b, err));
    SVR_TRY(svr_exec_alloc(exec, SVR_F32, SVR_DIMS(t * h * w / 4, 4 * width), &args.y, err));
    SVR_TRY(svr_op_patchify(exec, &args, err));
    SVR_TRY(device_get_new(exec->backend, &args.y, &tokens, err));
    for (int64_t i = 0; i < t * c->dims[1] * c->dims[2]; i++) {
        int64_t x = i % c->dims[2], y = i / c->dims[2] % c->dims[1];
        int64_t f = i / (c->dims[1] * c->dims[2]);
        int64_t token = (f * (h / PATCH) + y / PATCH) * (w / PATCH) + x / PATCH;
        int64_t part = y % PATCH * PATCH + x % PATCH;

        memcpy(c->out + i * width, tokens + (token * 4 + part) * width,
               (size_t) width * sizeof(float));
    }
    return SVR_OK;
}

static svr_status run_condition_noise(void *user, svr_exec *exec, svr_error *err)
{
    condition_case *c = (condition_case *) user;
    svr_tensor shape = svr_tensor_4d(NULL, SVR_F32, c->dims[0], c->dims[1], c->dims[2], c->dims[3]);
    svr_lincomb_args args = {.alpha = 1.0f - c->strength, .beta = c->strength};

    SVR_TRY(device_put(exec, c->latent, shape, &args.a, err));
    SVR_TRY(device_put(exec, c->aug, shape, &args.b, err));
    args.y = args.a;
    SVR_TRY(svr_op_lincomb(exec, &args, err));
    return device_get(exec->backend, &args.y, c->out, err);
}

/* latnoise.t_<scale> and latnoise.out_<scale>, with the shape (h, w, channels) that the reference
 * hands to its timestep transform by mistake. */
static svr_status check_noise_scale(verify_run *run, const golden *g, const char *scale,
                                    condition_case *c, svr_error *err)
{
    static const verify_limit time_limit = {.max_abs = 2e-4}, out_limit = {.max_abs = 1e-6};
    g_autofree char *t_name = g_strconcat("latnoise.t_", scale, NULL);
    g_autofree char *out_name = g_strconcat("latnoise.out_", scale, NULL);
    int shape[3] = {(int) c->dims[1], (int) c->dims[2], (int) c->dims[3]};
    double t = svr_timestep_transform(1000.0 * strtod(scale, NULL), shape);
    float t_float = (float) t;

    SVR_TRY(verify_tensor(run, g, t_name, &t_float, 1, &time_limit, err));
    c->strength = (float) (t / 1000.0);
    SVR_TRY(device_run(&run->device, run_condition_noise, c, NULL, err));
    return verify_tensor(run, g, out_name, c->out,
                         (size_t) (c->dims[0] * c->dims[1] * c->dims[2] * c->dims[3]), &out_limit,
                         err);
}

static svr_status check_condition(verify_run *run, const golden *g, condition_case *c,
                                  svr_error *err)
{
    static const char prefix[] = "latnoise.t_";
    const svr_safetensors_entry *entry;
    size_t pixels;

    SVR_TRY(golden_entry(g, "cond.latent", 4, &entry, err));
    memcpy(c->dims, entry->dims, sizeof(c->dims));
    pixels = (size_t) (c->dims[0] * c->dims[1] * c->dims[2]);
    SVR_TRY(golden_floats(g, "cond.latent", &c->latent, err));
    SVR_TRY(read_part(g, "latnoise.", "aug", pixels * (size_t) c->dims[3], &c->aug, err));
    c->out = g_new0(float, pixels *(size_t) (c->dims[3] + 1));
    SVR_TRY(device_run(&run->device, run_condition, c, NULL, err));
    SVR_TRY(
        verify_tensor(run, g, "cond.out", c->out, pixels * (size_t) (c->dims[3] + 1), &exact, err));
    for (size_t i = 0; i < svr_safetensors_count(g->file); i++) {
        const char *name = svr_safetensors_at(g->file, i)->name;

        if (g_str_has_prefix(name, prefix))
            SVR_TRY(check_noise_scale(run, g, name + strlen(prefix), c, err));
    }
    return SVR_OK;
}

svr_status verify_pipe_sampler(verify_run *run, const golden *g, svr_error *err)
{
    g_auto(GStrv) prefixes = golden_prefixes(g, "params");
    condition_case condition = {0};
    svr_status status = SVR_OK;

    for (char **prefix = prefixes; *prefix && status == SVR_OK; prefix++) {
        sampler_case c = {.dtype = SVR_F32};

        status = check_case(run, g, *prefix, &c, err);
        free_case(&c);
    }
    if (status == SVR_OK && golden_has(g, "bf16.x_T"))
        status = check_bf16(run, g, err);
    if (status == SVR_OK && golden_has(g, "cond.latent"))
        status = check_condition(run, g, &condition, err);
    g_free(condition.latent);
    g_free(condition.aug);
    g_free(condition.out);
    return status;
}
