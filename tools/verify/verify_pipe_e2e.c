/* pipe_e2e: all phases around the fake networks, against the reference's own run with them. */
#include "verify/fake_networks.h"
#include "verify/pipeline_run.h"
#include "verify/verify.h"

/* Layout of eI.short_max_batch_uniform_overlap_prepend_cc. */
enum { SHORT_SIDE, MAX_EDGE, BATCH, UNIFORM, OVERLAP, PREPEND, COLOUR, PARAMS };

static const verify_limit close_limit = {.max_abs = 2e-5}, rank_limit = {.p999 = 5e-3};

/* By the file's number of the method. */
static const struct {
    svr_colour_method method;
    const verify_limit *limit;
} colours[] = {
    {SVR_COLOUR_NONE, &close_limit},    {SVR_COLOUR_LAB, &rank_limit},
    {SVR_COLOUR_WAVELET, &close_limit}, {SVR_COLOUR_WAVELET_ADAPTIVE, &rank_limit},
    {SVR_COLOUR_HSV, &rank_limit},      {SVR_COLOUR_ADAIN, &close_limit},
};

static svr_status read_params(const golden *g, const char *name, int params[PARAMS], svr_error *err)
{
    SVR_TRY(golden_few_ints(g, name, PARAMS, params, err));
    if (params[SHORT_SIDE] < 1 || params[MAX_EDGE] < 0 || params[BATCH] < 1 ||
        params[OVERLAP] < 0 || params[PREPEND] < 0 || params[COLOUR] < 0 ||
        params[COLOUR] >= (int) G_N_ELEMENTS(colours))
        return SVR_FAIL(err, SVR_ERR_FORMAT, "%s: %s is out of range",
                        svr_safetensors_path(g->file), name);
    return SVR_OK;
}

static svr_status run_clip(verify_run *run, const golden *g, const char *name,
                           const int params[PARAMS], pipeline_run *p, svr_error *err)
{
    svr_phases_config *c = &p->config;
    size_t n;

    SVR_TRY(pipeline_run_clip(p, g, params[SHORT_SIDE], params[MAX_EDGE], err));
    c->sampler = (svr_sampler_config){.steps = 1, .cfg_scale = 1.0, .cfg_partial = 1.0};
    c->colour = colours[params[COLOUR]].method;
    c->exact_colour = true;
    c->reference_blend = true;
    p->batch = params[BATCH];
    p->overlap = params[OVERLAP];
    p->prepend = params[PREPEND];
    p->uniform = params[UNIFORM] != 0;
    SVR_TRY(pipeline_run_all(&run->device, p, err));
    n = (size_t) p->count * (size_t) c->out.width * (size_t) c->out.height * 3;
    return verify_tensor(run, g, name, p->out, n, colours[params[COLOUR]].limit, err);
}

svr_status verify_pipe_e2e(verify_run *run, const golden *g, svr_error *err)
{
    static const char suffix[] = "short_max_batch_uniform_overlap_prepend_cc";
    g_auto(GStrv) prefixes = golden_prefixes(g, suffix);
    svr_networks networks = fake_networks(NULL);
    svr_status status = SVR_OK;

    for (char **prefix = prefixes; *prefix && status == SVR_OK; prefix++) {
        g_autofree char *out = g_strconcat(*prefix, "out", NULL);
        g_autofree char *params_name = g_strconcat(*prefix, suffix, NULL);
        pipeline_run p;
        int params[PARAMS];

        SVR_TRY(read_params(g, params_name, params, err));
        pipeline_run_init(&p);
        p.networks = &networks;
        status = run_clip(run, g, out, params, &p, err);
        pipeline_run_finish(&p);
    }
    return status;
}
