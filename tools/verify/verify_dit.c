/* Whole tiny transformers: in.* -> out, with every intermediate tensor that the file stores.
 *
 * Limits: "Tolerances" of the golden set's manifest.  In half precision the output's gates serve
 * the intermediate tensors too. */
#include "verify/verify_dit.h"

#include "dit/window.h"
#include "verify/loaded.h"

#include <string.h>

static const verify_limit limits[] = {
    [SVR_F32] = {.max_abs = 5e-5, .rel_l2 = 5e-6},
    [SVR_F16] = {.rel_l2 = 4e-3, .max_std = 0.03},
    [SVR_BF16] = {.rel_l2 = 2.5e-2, .max_std = 0.2},
};

/* Whatever the storage type; measured on the CPU: up to 8.1e-2 and 0.8 std. */
static const verify_limit fp8_limit = {.rel_l2 = 0.1, .max_std = 1};
/* The same of integers; measured on the CPU: up to 1.6e-2 and 0.17 std. */
static const verify_limit int8_limit = {.rel_l2 = 0.02, .max_std = 0.2};
/* And with activations as integers too; measured on the CPU: up to 2.4e-2 and 0.23 std. */
static const verify_limit w8a8_limit = {.rel_l2 = 0.03, .max_std = 0.3};

const verify_limit *verify_dit_limit(const verify_run *run)
{
    if (run->quantization == SVR_QUANTIZATION_INT8_W8A8)
        return &w8a8_limit;
    return run->factors == SVR_F8_E4M3 ? &fp8_limit
           : run->factors == SVR_I8    ? &int8_limit
                                       : &limits[run->dtype];
}

/* One case on its way through the network. */
typedef struct dit_case {
    loaded_dit net;
    svr_dit_condition *condition;
    svr_dit_geometry *geometry;
    svr_dtype storage;
    int latent[3], windows[3];
    int text_len;
    int64_t pixels;    /* latent pixels */
    float *x_t, *cond; /* [pixels, channels each] */
    int channels;      /* of x_t and of cond */
    float *v;          /* [pixels, out_channels] */
} dit_case;

/* in.latent33 = noise | condition | mask, and the mask must be 1: the engine folds it. */
static svr_status read_latent(const golden *g, dit_case *c, svr_error *err)
{
    const svr_safetensors_entry *entry;
    g_autofree float *latent = NULL;
    int64_t width;

    SVR_TRY(golden_entry(g, "in.latent33", 2, &entry, err));
    SVR_TRY(golden_floats(g, "in.latent33", &latent, err));
    width = entry->dims[1];
    c->pixels = (int64_t) c->latent[0] * c->latent[1] * c->latent[2];
    c->channels = c->net.config.out_channels;
    if (entry->dims[0] != c->pixels || width != 2 * c->channels + 1)
        return SVR_FAIL(err, SVR_ERR_FORMAT, "%s: in.latent33 does not fit in.size_tHW",
                        svr_safetensors_path(g->file));
    c->x_t = g_new(float, (size_t) (c->pixels * c->channels));
    c->cond = g_new(float, (size_t) (c->pixels * c->channels));
    for (int64_t i = 0; i < c->pixels; i++) {
        const float *row = latent + i * width;

        if (row[width - 1] != 1.0f)
            return SVR_FAIL(err, SVR_ERR_UNSUPPORTED,
                            "%s: the mask channel is not 1 everywhere; upscaling always has 1",
                            svr_safetensors_path(g->file));
        memcpy(c->x_t + i * c->channels, row, (size_t) c->channels * sizeof(float));
        memcpy(c->cond + i * c->channels, row + c->channels, (size_t) c->channels * sizeof(float));
    }
    return SVR_OK;
}

static svr_status read_condition(verify_run *run, const golden *g, dit_case *c, svr_error *err)
{
    const svr_safetensors_entry *entry;
    g_autofree float *text = NULL, *timestep = NULL, *want = NULL, *emb = NULL;
    size_t n = 6 * (size_t) c->net.config.dim;

    SVR_TRY(golden_entry(g, "in.text", 2, &entry, err));
    SVR_TRY(golden_floats(g, "in.text", &text, err));
    SVR_TRY(golden_floats(g, "in.timestep", &timestep, err));
    if (entry->dims[1] != c->net.config.txt_in)
        return SVR_FAIL(err, SVR_ERR_FORMAT, "%s: in.text has another width than the weights",
                        svr_safetensors_path(g->file));
    c->text_len = (int) entry->dims[0];
    SVR_TRY(golden_entry(g, "emb", 1, &entry, err));
    SVR_TRY(golden_floats(g, "emb", &want, err));
    if ((size_t) entry->dims[0] != n) {
        verify_fail(&run->report, "emb", "the network's embedding has another width");
    } else {
        emb = g_new(float, n);
        SVR_TRY(svr_dit_time_embedding(c->net.dit, timestep[0], emb, err));
        /* computed on the host in F32 whatever the storage type */
        verify_compare(&run->report, "emb", emb, want, n, &limits[SVR_F32]);
    }
    return svr_dit_condition_create(run->backend, c->net.dit, timestep[0],
                                    &(svr_dit_text){text, c->text_len}, &c->condition, err);
}

static svr_status run_case(void *user, svr_exec *exec, svr_error *err)
{
    dit_case *c = (dit_case *) user;
    svr_dit_io io = {.condition = c->condition, .geometry = c->geometry};
    svr_tensor shape =
        svr_tensor_4d(NULL, c->storage, c->latent[0], c->latent[1], c->latent[2], c->channels);

    SVR_TRY(device_put(exec, c->x_t, shape, &io.x_t, err));
    SVR_TRY(device_put(exec, c->cond, shape, &io.cond, err));
    shape.dtype = SVR_F32;
    SVR_TRY(svr_exec_alloc(exec, SVR_F32, shape.rank, shape.dims, &io.v, err));
    SVR_TRY(svr_dit_forward(exec, c->net.dit, &io, err));
    return device_get(exec->backend, &io.v, c->v, err);
}

/* Neither an input nor a result: the network has to show it. */
static bool is_inner(const char *name)
{
    return !g_str_has_prefix(name, "in.") && strcmp(name, "out") != 0 && strcmp(name, "emb") != 0;
}

static bool is_window_tensor(const char *name)
{
    return strstr(name, ".win0.") != NULL || strstr(name, ".cu_seqlens") != NULL;
}

/* Taps of a large network fill the host's memory: they are taken for files that need them. */
static bool needs_taps(const golden *g)
{
    for (size_t i = 0; i < svr_safetensors_count(g->file); i++)
        if (is_inner(svr_safetensors_at(g->file, i)->name))
            return true;
    return false;
}

/* Everything that the taps show under the golden's own names. */
static svr_status compare_taps(verify_run *run, const golden *g, const device_taps *taps,
                               svr_error *err)
{
    for (size_t i = 0; i < svr_safetensors_count(g->file); i++) {
        const char *name = svr_safetensors_at(g->file, i)->name;
        const device_tap *tap = device_taps_find(taps, name);

        if (!is_inner(name) || is_window_tensor(name))
            continue;
        SVR_TRY(verify_tensor(run, g, name, tap ? tap->values : NULL,
                              tap ? (size_t) svr_tensor_elems(&tap->shape) : 0,
                              verify_dit_limit(run), err));
    }
    return SVR_OK;
}

static svr_status compare_windows(verify_run *run, const golden *g, const dit_case *c,
                                  const device_taps *taps, svr_error *err)
{
    for (int layer = 0; layer < c->net.config.layers && !run->report.ladder; layer++) {
        verify_dit_attention a = {.taps = taps,
                                  .storage = c->storage,
                                  .layer = layer,
                                  .grid = {c->latent[0], c->latent[1] / c->net.config.patch,
                                           c->latent[2] / c->net.config.patch},
                                  .windows = c->windows,
                                  .text_len = c->text_len,
                                  .text_ends = svr_dit_is_text_tail(&c->net.config, layer)};

        SVR_TRY(verify_dit_window(run, g, &a, err));
    }
    return SVR_OK;
}

static svr_status compute(verify_run *run, const golden *g, dit_case *c, device_taps *taps,
                          svr_error *err)
{
    SVR_TRY(golden_few_ints(g, "in.size_tHW", 3, c->latent, err));
    SVR_TRY(read_latent(g, c, err));
    SVR_TRY(read_condition(run, g, c, err));
    SVR_TRY(svr_dit_geometry_create(run->backend, c->net.dit, c->latent, c->text_len, &c->geometry,
                                    err));
    c->storage = run->dtype;
    c->v = g_new0(float, (size_t) (c->pixels * c->channels));
    SVR_TRY(device_run(&run->device, run_case, c, needs_taps(g) ? taps : NULL, err));
    SVR_TRY(verify_tensor(run, g, "out", c->v, (size_t) (c->pixels * c->channels),
                          verify_dit_limit(run), err));
    SVR_TRY(compare_taps(run, g, taps, err));
    return compare_windows(run, g, c, taps, err);
}

svr_status verify_dit_case(verify_run *run, const golden *g, svr_error *err)
{
    g_autofree char *path = NULL;
    device_taps taps;
    dit_case c = {0};
    svr_status status;

    SVR_TRY(golden_weights_path(g, &path, err));
    SVR_TRY(golden_few_ints(g, "in.windows", 3, c.windows, err));
    if (c.windows[0] < 1 || c.windows[1] < 1 || c.windows[2] < 1)
        return SVR_FAIL(err, SVR_ERR_FORMAT, "%s: in.windows is out of range",
                        svr_safetensors_path(g->file));
    device_taps_init(&taps);
    status = loaded_dit_open(&(loaded_form){run->backend, run->dtype, run->quantization}, path,
                             c.windows, &c.net, err);
    if (status == SVR_OK) {
        run->factors = svr_store_factor_type(c.net.store);
        status = compute(run, g, &c, &taps, err);
    }
    svr_dit_geometry_destroy(c.geometry);
    svr_dit_condition_destroy(c.condition);
    loaded_dit_close(&c.net);
    device_taps_finish(&taps);
    g_free(c.x_t);
    g_free(c.cond);
    g_free(c.v);
    return status;
}
