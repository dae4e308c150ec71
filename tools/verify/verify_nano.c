/* nano_e*: the whole pipeline with real (small) networks, and the latents, noise and model output
 * of the first batches.
 *
 * Limits: the manifest's for `out`, in F32 pipe_e2e's where colours are matched by rank.  For
 * `bK.*`: latents as the VAE's and the model output as the transformer's results, noise as
 * pipe_noise.  */
#include "base/arena.h"
#include "base/json.h"
#include "pipeline/model.h"
#include "verify/pipeline_run.h"
#include "verify/verify.h"

#include <string.h>

static const verify_limit out_limits[] = {
    [SVR_F32] = {.max_abs = 2e-5},
    [SVR_F16] = {.max_abs = 6e-3, .psnr_db = 64.0},
    [SVR_BF16] = {.psnr_db = 47.0},
};
/* Rank matching amplifies rounding, so single values may be far off. */
static const verify_limit rank_out_limits[] = {
    [SVR_F32] = {.p999 = 5e-3},
    [SVR_F16] = {.psnr_db = 64.0},
    [SVR_BF16] = {.psnr_db = 47.0},
};
/* In half precision the VAE's in units of the standard deviation: some channels of nano's latents
 * reach 21, where bfloat16 itself is 0.1 apart. */
static const verify_limit latent_limits[] = {
    [SVR_F32] = {.max_abs = 5e-5},
    [SVR_F16] = {.rel_l2 = 5e-3, .max_std = 2e-2},
    [SVR_BF16] = {.rel_l2 = 4e-2, .max_std = 0.15},
};
static const verify_limit v_limits[] = {
    /* The golden was made with the file's rotary frequencies, which are rounded to fp16; here they
     * are computed anew in fp32.  That moves v by 7.5e-5 (measured), and `out` by less than its
     * limit. */
    [SVR_F32] = {.max_abs = 2e-4},
    [SVR_F16] = {.rel_l2 = 4e-3, .max_std = 0.03},
    [SVR_BF16] = {.rel_l2 = 2.5e-2, .max_std = 0.2},
};
/* With fp8 whatever the storage type; measured on the CPU: v 1.1e-2, 51 dB (bf16), and 0.9e-2,
 * 56 dB (f32, f16). */
static const verify_limit fp8_out_limit = {.psnr_db = 50.0}, fp8_v_limit = {.rel_l2 = 1.5e-2};
/* With int8-w8a8 in f32 and f16, measured on the CPU: v 3.8e-3, 63.8 dB; with bf16 that type's own
 * limits do. */
static const verify_limit w8a8_out_limit = {.psnr_db = 62.0}, w8a8_v_limit = {.rel_l2 = 5e-3};
static const verify_limit noise_limit = {.max_abs = 2e-5};

/* What the metadata `params` say; all but short, batch and seed may be left out of the numbers. */
typedef struct nano_params {
    int short_side, max_edge, batch, overlap, prepend, steps;
    uint64_t seed;
    double cfg_scale;
    bool uniform;
    svr_colour_method colour;
    char *vae, *dit; /* file names */
} nano_params;

static svr_status bad_params(const golden *g, const char *key, svr_error *err)
{
    return SVR_FAIL(err, SVR_ERR_FORMAT, "%s: metadata \"params\" has no usable \"%s\"",
                    svr_safetensors_path(g->file), key);
}

static svr_status read_numbers(const golden *g, const svr_json *json, nano_params *p,
                               svr_error *err)
{
    const struct {
        const char *key;
        int least, most, *out;
    } numbers[] = {
        {"short", 1, 16384, &p->short_side}, {"max_edge", 0, 16384, &p->max_edge},
        {"batch", 1, 16384, &p->batch},      {"overlap", 0, 16384, &p->overlap},
        {"prepend", 0, 16384, &p->prepend},  {"steps", 1, 1000, &p->steps},
    };
    const svr_json *seed = svr_json_get(json, "seed"), *scale = svr_json_get(json, "cfg_scale");
    const svr_json *uniform = svr_json_get(json, "uniform");

    for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++) {
        const svr_json *value = svr_json_get(json, numbers[i].key);

        if (!value && *numbers[i].out >= numbers[i].least)
            continue;
        if (!value || !value->is_integer || value->integer < numbers[i].least ||
            value->integer > numbers[i].most)
            return bad_params(g, numbers[i].key, err);
        *numbers[i].out = (int) value->integer;
    }
    if (!seed || !seed->is_integer)
        return bad_params(g, "seed", err);
    if (scale && scale->type != SVR_JSON_NUMBER)
        return bad_params(g, "cfg_scale", err);
    if (uniform && uniform->type != SVR_JSON_BOOL)
        return bad_params(g, "uniform", err);
    p->seed = (uint64_t) seed->integer;
    p->cfg_scale = scale ? scale->number : 1.0;
    p->uniform = uniform && uniform->boolean;
    return SVR_OK;
}

static svr_status read_names(const golden *g, const svr_json *json, nano_params *p, svr_error *err)
{
    const svr_json *colour = svr_json_get(json, "correction");
    const svr_json *vae = svr_json_get(json, "vae"), *dit = svr_json_get(json, "dit");
    const svr_json *noise = svr_json_get(json, "noise");
    g_autofree char *method = NULL;

    if (!noise || noise->type != SVR_JSON_STRING || strcmp(noise->string, "position") != 0)
        return bad_params(g, "noise", err);
    if (!vae || vae->type != SVR_JSON_STRING || strchr(vae->string, '/'))
        return bad_params(g, "vae", err);
    if (!dit || dit->type != SVR_JSON_STRING || strchr(dit->string, '/'))
        return bad_params(g, "dit", err);
    if (!colour || colour->type != SVR_JSON_STRING)
        return bad_params(g, "correction", err);
    method = g_strdelimit(g_strdup(colour->string), "_", '-');
    for (int i = 0; i < SVR_COLOUR_COUNT; i++)
        if (strcmp(method, svr_colour_method_name((svr_colour_method) i)) == 0) {
            p->colour = (svr_colour_method) i;
            p->vae = g_strdup(vae->string);
            p->dit = g_strdup(dit->string);
            return SVR_OK;
        }
    return bad_params(g, "correction", err);
}

static svr_status read_params(const golden *g, nano_params *p, svr_error *err)
{
    const char *text = svr_safetensors_metadata(g->file, "params");
    svr_arena *arena = svr_arena_create();
    const svr_json *json;
    svr_status status;

    g_assert(arena);
    if (!text) {
        svr_arena_destroy(arena);
        return SVR_FAIL(err, SVR_ERR_FORMAT, "%s: the metadata lack \"params\"",
                        svr_safetensors_path(g->file));
    }
    status = svr_json_parse(arena, text, strlen(text), &json, err);
    if (status != SVR_OK)
        svr_error_prefix(err, "%s: metadata \"params\": ", svr_safetensors_path(g->file));
    else
        status = read_numbers(g, json, p, err);
    if (status == SVR_OK)
        status = read_names(g, json, p, err);
    svr_arena_destroy(arena);
    return status;
}

/* Beside the golden, else in the model folder. */
static char *find_model(const verify_run *run, const golden *g, const char *name)
{
    char *path = g_build_filename(g->folder, name, NULL);

    if (g_file_test(path, G_FILE_TEST_EXISTS))
        return path;
    g_free(path);
    return g_build_filename(run->model_dir, name, NULL);
}

/* One of these by how the transformer is kept: what integers add as weights alone is small beside
 * what fp16 may. */
static const verify_limit *choose_limit(const verify_run *run, const verify_limit *by_dtype,
                                        const verify_limit *fp8, const verify_limit *w8a8)
{
    if (run->factors == SVR_F8_E4M3)
        return fp8;
    if (run->quantization == SVR_QUANTIZATION_INT8_W8A8 && run->dtype != SVR_BF16)
        return w8a8;
    return &by_dtype[run->factors == SVR_I8 && run->dtype == SVR_F32 ? SVR_F16 : run->dtype];
}

static bool by_rank(svr_colour_method method)
{
    return method == SVR_COLOUR_LAB || method == SVR_COLOUR_HSV ||
           method == SVR_COLOUR_WAVELET_ADAPTIVE;
}

static svr_status compare_taps(verify_run *run, const golden *g, const pipeline_run *p,
                               svr_error *err)
{
    const struct {
        const char *suffix;
        const verify_limit *limit;
    } kinds[] = {{".latent", &latent_limits[run->dtype]},
                 {".noise", &noise_limit},
                 {".v", choose_limit(run, v_limits, &fp8_v_limit, &w8a8_v_limit)}};

    for (size_t i = 0; i < svr_safetensors_count(g->file); i++) {
        const char *name = svr_safetensors_at(g->file, i)->name;
        const device_tap *tap = device_taps_find(&p->taps, name);

        for (size_t k = 0; k < G_N_ELEMENTS(kinds); k++)
            if (name[0] == 'b' && g_str_has_suffix(name, kinds[k].suffix))
                SVR_TRY(verify_tensor(run, g, name, tap ? tap->values : NULL,
                                      tap ? (size_t) svr_tensor_elems(&tap->shape) : 0,
                                      kinds[k].limit, err));
    }
    return SVR_OK;
}

static svr_status run_clip(verify_run *run, const golden *g, const nano_params *params,
                           pipeline_run *p, svr_error *err)
{
    svr_phases_config *c = &p->config;

    SVR_TRY(pipeline_run_clip(p, g, params->short_side, params->max_edge, err));
    c->seed = params->seed;
    c->sampler = (svr_sampler_config){
        .steps = params->steps, .cfg_scale = params->cfg_scale, .cfg_partial = 1.0};
    c->colour = params->colour;
    c->exact_colour = true;
    c->reference_blend = true;
    p->batch = params->batch;
    p->overlap = params->overlap;
    p->prepend = params->prepend;
    p->uniform = params->uniform;
    SVR_TRY(pipeline_run_all(&run->device, p, err));
    SVR_TRY(compare_taps(run, g, p, err));
    return verify_tensor(run, g, "out", p->out,
                         (size_t) p->count * (size_t) c->out.width * (size_t) c->out.height * 3,
                         choose_limit(run, by_rank(params->colour) ? rank_out_limits : out_limits,
                                      &fp8_out_limit, &w8a8_out_limit),
                         err);
}

/* Everything stays but for the VAE's clips, which go as `run` says; frames are those of the output,
 * about. */
static svr_status park(const verify_run *run, const nano_params *params,
                       const svr_networks *networks, svr_error *err)
{
    int64_t side = params->short_side;
    svr_placement placement = svr_placement_default();
    svr_network_weights weights;
    svr_weight_need need;

    SVR_TRY(networks->place(networks->user, &placement, &need, err));
    networks->weights(networks->user, &weights);
    placement.cut = (svr_vae_cut){0};
    placement.cut.encoder = placement.cut.decoder =
        verify_parking_memory(&run->parking, side * side * weights.full_channels);
    return networks->place(networks->user, &placement, &need, err);
}

static svr_status load_and_run(verify_run *run, const golden *g, const nano_params *params,
                               svr_error *err)
{
    g_autofree char *vae = find_model(run, g, params->vae);
    g_autofree char *dit = find_model(run, g, params->dit);
    svr_model_options options = {.dit_path = dit,
                                 .vae_path = vae,
                                 .storage = run->dtype,
                                 .quantization = run->quantization,
                                 .steps = params->steps,
                                 .negative = params->cfg_scale != 1.0};
    svr_model *model;
    pipeline_run p;
    svr_status status;

    SVR_TRY(svr_model_open(run->backend, &options, &model, err));
    pipeline_run_init(&p);
    p.networks = svr_model_networks(model);
    status = run->parking.active ? park(run, params, p.networks, err) : SVR_OK;
    if (status == SVR_OK)
        status = svr_model_load(model, NULL, err);
    run->factors = svr_model_factor_type(model);
    if (status == SVR_OK)
        status = run_clip(run, g, params, &p, err);
    pipeline_run_finish(&p);
    svr_model_close(model);
    return status;
}

svr_status verify_nano(verify_run *run, const golden *g, svr_error *err)
{
    nano_params params = {.steps = 1};
    svr_status status = read_params(g, &params, err);

    if (status == SVR_OK)
        status = load_and_run(run, g, &params, err);
    g_free(params.vae);
    g_free(params.dit);
    return status;
}
