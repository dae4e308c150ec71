/* VAE cases: `x` -> `mean`, `logvar` or `z` -> `y`, with taps and carried frames where stored.
 *
 * Limits: "Fair tolerances" of the golden set's manifest.  There "rms" is relative to the golden
 * tensor's rms, which is the relative L2 error here. */
#include "verify/loaded.h"
#include "verify/verify.h"

#include <string.h>

static const verify_limit result_limits[] = {
    [SVR_F32] = {.max_abs = 5e-5},
    [SVR_F16] = {.rel_l2 = 5e-3, .max_abs = 2e-2},
    [SVR_BF16] = {.rel_l2 = 4e-2, .max_abs = 0.15},
};
static const verify_limit tap_limits[] = {
    [SVR_F32] = {.max_abs = 1e-4},
    [SVR_F16] = {.rel_l2 = 5e-3, .max_abs = 5e-2},
    [SVR_BF16] = {.rel_l2 = 4e-2, .max_abs = 0.5},
};

/* One case on its way through the network. */
typedef struct vae_case {
    svr_vae *vae;
    svr_vae_cut cut;
    svr_dtype storage;
    bool decode;
    const float *input; /* channels last */
    int64_t in_dims[4], out_dims[4];
    float *output; /* moments or pixels, channels last */
} vae_case;

static svr_status run_case(void *user, svr_exec *exec, svr_error *err)
{
    vae_case *c = (vae_case *) user;
    svr_tensor in, out;

    SVR_TRY(device_put(
        exec, c->input,
        svr_tensor_4d(NULL, c->storage, c->in_dims[0], c->in_dims[1], c->in_dims[2], c->in_dims[3]),
        &in, err));
    SVR_TRY(svr_exec_alloc(exec, SVR_F32, 4, c->out_dims, &out, err));
    if (c->decode)
        SVR_TRY(svr_vae_decode(exec, c->vae, &c->cut, &in, &out, err));
    else
        SVR_TRY(svr_vae_encode(exec, c->vae, &c->cut, &in, &out, err));
    return device_get(exec->backend, &out, c->output, err);
}

static svr_status read_cut(const golden *g, svr_vae_cut *cut, svr_error *err)
{
    const char *split = svr_safetensors_metadata(g->file, "split");
    int tile[2], overlap[2];

    *cut = (svr_vae_cut){0};
    if (split && strcmp(split, "None") != 0)
        SVR_TRY(golden_meta_int(g, "split", &cut->slice_frames, err));
    if (!svr_safetensors_metadata(g->file, "tile"))
        return SVR_OK;
    SVR_TRY(golden_meta_tuple(g, "tile", 2, tile, err));
    SVR_TRY(golden_meta_tuple(g, "overlap", 2, overlap, err));
    cut->tile_h = tile[0];
    cut->tile_w = tile[1];
    cut->overlap_h = overlap[0];
    cut->overlap_w = overlap[1];
    return SVR_OK;
}

static void output_dims(vae_case *c, const svr_vae_config *config)
{
    int64_t space = svr_vae_spatial_factor(config), time = svr_vae_temporal_factor(config);
    const int64_t *in = c->in_dims;
    int64_t encoded[4] = {(in[0] - 1) / time + 1, in[1] / space, in[2] / space,
                          INT64_C(2) * config->latent_channels};
    int64_t decoded[4] = {(in[0] - 1) * time + 1, in[1] * space, in[2] * space, 3};

    memcpy(c->out_dims, c->decode ? decoded : encoded, sizeof(c->out_dims));
}

/* Channels [first, first + count) of the output against a golden tensor. */
static svr_status compare_channels(verify_run *run, const golden *g, const vae_case *c,
                                   const char *name, int64_t first, svr_error *err)
{
    g_autofree float *want = NULL, *got = NULL;
    int64_t dims[4], pixels = c->out_dims[0] * c->out_dims[1] * c->out_dims[2];

    SVR_TRY(golden_channels_last(g, name, &want, dims, err));
    if (memcmp(dims, c->out_dims, 3 * sizeof(dims[0])) != 0 || first + dims[3] > c->out_dims[3]) {
        verify_fail(&run->report, name, "the network's output has another shape");
        return SVR_OK;
    }
    got = g_new(float, (size_t) (pixels * dims[3]));
    for (int64_t i = 0; i < pixels; i++)
        for (int64_t k = 0; k < dims[3]; k++) {
            float v = c->output[i * c->out_dims[3] + first + k];

            /* the golden log-variance is clamped, the network's is not */
            if (strcmp(name, "logvar") == 0)
                v = CLAMP(v, -30.0f, 20.0f);
            got[i * dims[3] + k] = v;
        }
    verify_compare(&run->report, name, got, want, (size_t) (pixels * dims[3]),
                   &result_limits[run->dtype]);
    return SVR_OK;
}

/* The reference pads a downsampler's input by a row below and a column on the right before it
 * remembers it; here the convolution pads.  Adds both when `want` is that much larger. */
static float *with_downsampler_padding(const device_tap *tap, const char *name,
                                       const int64_t want[4])
{
    const int64_t *have = tap->shape.dims;
    size_t row = (size_t) (have[2] * have[3]);
    float *padded;

    if (!strstr(name, ".downsamplers.") || have[0] != want[0] || have[1] + 1 != want[1] ||
        have[2] + 1 != want[2] || have[3] != want[3])
        return NULL;
    padded = g_new0(float, (size_t) (want[0] * want[1] * want[2] * want[3]));
    for (int64_t t = 0; t < have[0]; t++)
        for (int64_t y = 0; y < have[1]; y++)
            memcpy(padded + (t * want[1] + y) * want[2] * want[3],
                   tap->values + (size_t) (t * have[1] + y) * row, row * sizeof(float));
    return padded;
}

static svr_status compare_tap(verify_run *run, const golden *g, const device_taps *taps,
                              const char *name, svr_error *err)
{
    const device_tap *tap = device_taps_find(taps, name);
    g_autofree float *want = NULL, *padded = NULL;
    int64_t dims[4];

    SVR_TRY(golden_channels_last(g, name, &want, dims, err));
    if (!tap || tap->shape.rank != 4) {
        verify_fail(&run->report, name, "the network does not show it");
        return SVR_OK;
    }
    padded = with_downsampler_padding(tap, name, dims);
    if (!padded && memcmp(tap->shape.dims, dims, sizeof(dims)) != 0)
        verify_fail(&run->report, name, "the network's tensor has another shape");
    else
        verify_compare(&run->report, name, padded ? padded : tap->values, want,
                       (size_t) (dims[0] * dims[1] * dims[2] * dims[3]), &tap_limits[run->dtype]);
    return SVR_OK;
}

static svr_status compare_taps(verify_run *run, const golden *g, const device_taps *taps,
                               svr_error *err)
{
    for (size_t i = 0; i < svr_safetensors_count(g->file); i++) {
        const char *name = svr_safetensors_at(g->file, i)->name;

        if (g_str_has_prefix(name, "tap.") || g_str_has_prefix(name, "mem."))
            SVR_TRY(compare_tap(run, g, taps, name, err));
    }
    return SVR_OK;
}

static svr_status compute(verify_run *run, const golden *g, vae_case *c, device_taps *taps,
                          svr_error *err)
{
    const svr_vae_config *config = svr_vae_get_config(c->vae);
    /* taps of a large picture fill the host's memory */
    bool shows = golden_has_any(g, "tap.") || golden_has_any(g, "mem.");
    g_autofree float *input = NULL;
    svr_status status;

    c->decode = golden_has(g, "z");
    c->storage = run->dtype;
    SVR_TRY(read_cut(g, &c->cut, err));
    SVR_TRY(golden_channels_last(g, c->decode ? "z" : "x", &input, c->in_dims, err));
    output_dims(c, config);
    if (run->parking.active) {
        const int64_t *picture = c->decode ? c->out_dims : c->in_dims;

        c->cut.encoder = c->cut.decoder =
            verify_parking_memory(&run->parking, picture[1] * picture[2] * config->channels[0]);
    }
    c->input = input;
    c->output =
        g_new0(float, (size_t) (c->out_dims[0] * c->out_dims[1] * c->out_dims[2] * c->out_dims[3]));
    status = device_run(&run->device, run_case, c, shows ? taps : NULL, err);
    if (status != SVR_OK)
        return status;
    if (c->decode) {
        SVR_TRY(compare_channels(run, g, c, "y", 0, err));
    } else {
        SVR_TRY(compare_channels(run, g, c, "mean", 0, err));
        SVR_TRY(compare_channels(run, g, c, "logvar", config->latent_channels, err));
    }
    return compare_taps(run, g, taps, err);
}

svr_status verify_vae(verify_run *run, const golden *g, svr_error *err)
{
    g_autofree char *path = NULL;
    loaded_vae net;
    device_taps taps;
    vae_case c = {0};
    svr_status status;

    SVR_TRY(golden_weights_path(g, &path, err));
    device_taps_init(&taps);
    status = loaded_vae_open(run->backend, run->dtype, path, &net, err);
    c.vae = net.vae;
    if (status == SVR_OK)
        status = compute(run, g, &c, &taps, err);
    loaded_vae_close(&net);
    device_taps_finish(&taps);
    g_free(c.output);
    return status;
}
