/* One full-width block of the published networks with hashed weights (dit_*_procedural). */
#include "verify/loaded.h"
#include "verify/procedural.h"
#include "verify/verify_dit.h"

#include <string.h>

typedef struct block_case {
    loaded_dit net;
    svr_dit_io io;
    svr_dit_condition *condition;
    svr_dit_geometry *geometry;
    int layer, grid[3], text_len;
    uint32_t seed;
    int64_t tokens, width;
    float *vid, *txt; /* inputs */
    float *vid_out, *txt_out;
} block_case;

/* `probe.*` (names[0]) are the first values of an input or matrix (names[1]): a wrong generator
 * shows here. */
static svr_status compare_probe(verify_run *run, const golden *g, const block_case *c,
                                const char *const names[2], svr_error *err)
{
    const svr_safetensors_entry *entry;
    g_autofree float *want = NULL, *got = NULL;
    size_t n;

    SVR_TRY(golden_entry(g, names[0], 1, &entry, err));
    SVR_TRY(golden_floats(g, names[0], &want, err));
    n = svr_safetensors_elems(entry);
    got = g_new(float, n);
    procedural_fill(names[1], c->seed, c->width, 0, n, got);
    verify_compare(&run->report, names[0], got, want, n, &(verify_limit){.exact = true});
    return SVR_OK;
}

static svr_status compare_probes(verify_run *run, const golden *g, const block_case *c,
                                 svr_error *err)
{
    const char *qkv = svr_dit_is_split(&c->net.config, c->layer) ? "attn.proj_qkv.vid.weight"
                                                                 : "attn.proj_qkv.all.weight";
    const char *const probes[][2] = {{"probe.vid_in_head", "vid"},
                                     {"probe.txt_in_head", "txt"},
                                     {"probe.emb_head", "emb"},
                                     {"probe.qkv_weight_head", qkv}};

    for (size_t i = 0; i < G_N_ELEMENTS(probes); i++)
        SVR_TRY(compare_probe(run, g, c, probes[i], err));
    return SVR_OK;
}

/* Which block of which network, from the metadata. */
static svr_status read_case(const golden *g, block_case *c, svr_dit_config *config, svr_error *err)
{
    const char *variant = svr_safetensors_metadata(g->file, "variant");
    int seed;

    if (!variant || (strncmp(variant, "3b", 2) != 0 && strncmp(variant, "7b", 2) != 0))
        return SVR_FAIL(err, SVR_ERR_FORMAT, "%s: metadata \"variant\" should be 3b or 7b",
                        svr_safetensors_path(g->file));
    *config = svr_dit_config_published(variant[0] == '3' ? SVR_MODEL_DIT_3B : SVR_MODEL_DIT_7B);
    SVR_TRY(golden_meta_int(g, "layer", &c->layer, err));
    SVR_TRY(golden_meta_int(g, "L", &c->text_len, err));
    SVR_TRY(golden_meta_int(g, "seed", &seed, err));
    SVR_TRY(golden_meta_tuple(g, "grid", 3, c->grid, err));
    if (c->layer < 0 || c->layer >= config->layers || c->text_len < 1 || c->grid[0] < 1 ||
        c->grid[1] < 1 || c->grid[2] < 1)
        return SVR_FAIL(err, SVR_ERR_FORMAT, "%s: layer, L or grid is out of range",
                        svr_safetensors_path(g->file));
    c->seed = (uint32_t) seed;
    c->width = config->dim;
    c->tokens = (int64_t) c->grid[0] * c->grid[1] * c->grid[2];
    return SVR_OK;
}

static float *generate(const block_case *c, const char *name, int64_t n)
{
    float *values = g_new(float, (size_t) n);

    procedural_fill(name, c->seed, c->width, 0, (size_t) n, values);
    return values;
}

static svr_status prepare(verify_run *run, block_case *c, svr_error *err)
{
    int patch = c->net.config.patch;
    int latent[3] = {c->grid[0], c->grid[1] * patch, c->grid[2] * patch};
    g_autofree float *emb = generate(c, "emb", 6 * c->width);

    c->vid = generate(c, "vid", c->tokens * c->width);
    c->txt = generate(c, "txt", c->text_len * c->width);
    c->vid_out = g_new0(float, (size_t) (c->tokens * c->width));
    c->txt_out = g_new0(float, (size_t) (c->text_len * c->width));
    SVR_TRY(svr_dit_condition_from(run->backend, c->net.dit, emb,
                                   &(svr_dit_text){c->txt, c->text_len}, &c->condition, err));
    SVR_TRY(
        svr_dit_geometry_create(run->backend, c->net.dit, latent, c->text_len, &c->geometry, err));
    c->io = (svr_dit_io){.condition = c->condition, .geometry = c->geometry};
    return SVR_OK;
}

static svr_status run_block(void *user, svr_exec *exec, svr_error *err)
{
    block_case *c = (block_case *) user;
    svr_tensor vid, txt;

    SVR_TRY(device_put(exec, c->vid, svr_tensor_2d(NULL, SVR_F32, c->tokens, c->width), &vid, err));
    SVR_TRY(
        device_put(exec, c->txt, svr_tensor_2d(NULL, SVR_F32, c->text_len, c->width), &txt, err));
    SVR_TRY(svr_dit_block(exec, c->net.dit, c->layer, &c->io, (svr_tensor[]){vid, txt}, err));
    SVR_TRY(device_get(exec->backend, &vid, c->vid_out, err));
    return device_get(exec->backend, &txt, c->txt_out, err);
}

static svr_status compare_rows(verify_run *run, const golden *g, const block_case *c, bool text,
                               svr_error *err)
{
    const char *name = text ? "txt_out_rows" : "vid_out_rows";
    const char *index = text ? "txt_rows" : "rows";
    const float *values = text ? c->txt_out : c->vid_out;
    int64_t available = text ? c->text_len : c->tokens;
    const svr_safetensors_entry *entry, *rows_entry;
    g_autofree int64_t *rows = NULL;
    g_autofree float *want = NULL, *got = NULL;

    SVR_TRY(golden_entry(g, name, 2, &entry, err));
    SVR_TRY(golden_entry(g, index, 1, &rows_entry, err));
    SVR_TRY(golden_ints(g, index, &rows, err));
    SVR_TRY(golden_floats(g, name, &want, err));
    if (entry->dims[0] != rows_entry->dims[0] || entry->dims[1] != c->width)
        return SVR_FAIL(err, SVR_ERR_FORMAT, "%s: %s does not fit %s",
                        svr_safetensors_path(g->file), name, index);
    got = g_new(float, (size_t) (entry->dims[0] * c->width));
    for (int64_t i = 0; i < entry->dims[0]; i++) {
        if (rows[i] < 0 || rows[i] >= available)
            return SVR_FAIL(err, SVR_ERR_FORMAT, "%s: %s is out of range",
                            svr_safetensors_path(g->file), index);
        memcpy(got + i * c->width, values + rows[i] * c->width, (size_t) c->width * sizeof(float));
    }
    verify_compare(&run->report, name, got, want, svr_safetensors_elems(entry),
                   verify_dit_limit(run));
    return SVR_OK;
}

/* Mean of each channel and the sum of all squares: no token escapes. */
static svr_status compare_sums(verify_run *run, const golden *g, const block_case *c,
                               svr_error *err)
{
    const svr_safetensors_entry *mean_entry, *squares_entry;
    g_autofree float *want_mean = NULL, *want_squares = NULL;
    g_autofree float *mean = g_new(float, (size_t) c->width);
    verify_limit squares_limit = {.rel_l2 = verify_dit_limit(run)->rel_l2};
    double squares = 0;
    float total;

    SVR_TRY(golden_entry(g, "vid_out_mean_per_channel", 1, &mean_entry, err));
    SVR_TRY(golden_entry(g, "vid_out_sq_sum", 1, &squares_entry, err));
    SVR_TRY(golden_floats(g, "vid_out_mean_per_channel", &want_mean, err));
    SVR_TRY(golden_floats(g, "vid_out_sq_sum", &want_squares, err));
    for (int64_t k = 0; k < c->width; k++) {
        double sum = 0;

        for (int64_t i = 0; i < c->tokens; i++) {
            double v = c->vid_out[i * c->width + k];

            sum += v;
            squares += v * v;
        }
        mean[k] = (float) (sum / (double) c->tokens);
    }
    total = (float) squares;
    if (mean_entry->dims[0] != c->width)
        verify_fail(&run->report, "vid_out_mean_per_channel", "the block has another width");
    else
        verify_compare(&run->report, "vid_out_mean_per_channel", mean, want_mean, (size_t) c->width,
                       verify_dit_limit(run));
    verify_compare(&run->report, "vid_out_sq_sum", &total, want_squares, 1, &squares_limit);
    return SVR_OK;
}

static svr_status compute(verify_run *run, const golden *g, block_case *c, svr_error *err)
{
    SVR_TRY(compare_probes(run, g, c, err));
    SVR_TRY(prepare(run, c, err));
    SVR_TRY(device_run(&run->device, run_block, c, NULL, err));
    SVR_TRY(compare_rows(run, g, c, false, err));
    if (golden_has(g, "txt_out_rows"))
        SVR_TRY(compare_rows(run, g, c, true, err));
    return compare_sums(run, g, c, err);
}

svr_status verify_dit_block(verify_run *run, const golden *g, svr_error *err)
{
    svr_dit_config config;
    block_case c = {0};
    svr_status status;

    SVR_TRY(read_case(g, &c, &config, err));
    status = loaded_dit_generate(&(loaded_form){run->backend, run->dtype, run->quantization},
                                 &config, c.layer, &c.seed, &c.net, err);
    if (status == SVR_OK) {
        run->factors = svr_store_factor_type(c.net.store);
        status = compute(run, g, &c, err);
    }
    svr_dit_geometry_destroy(c.geometry);
    svr_dit_condition_destroy(c.condition);
    loaded_dit_close(&c.net);
    g_free(c.vid);
    g_free(c.txt);
    g_free(c.vid_out);
    g_free(c.txt_out);
    return status;
}
