#include "weights/config.h"
#include "weights/config_text.h"

#include <stdio.h>

enum { MAX_NAME = 80, ROPE_AXES = 3, MAX_WINDOWS = 1024 };

/* Name of a tensor of block `layer`; %s stands for the set of video weights there. */
static void block_tensor(char name[MAX_NAME], const svr_dit_config *c, int layer, const char *part,
                         const char *tail)
{
    snprintf(name, MAX_NAME, "blocks.%d.%s.%s.%s", layer, part,
             svr_dit_is_split(c, layer) ? "vid" : "all", tail);
}

/* Blocks with own text weights come first, those with one set for both behind them. */
static svr_status count_layers(const svr_safetensors *file, svr_dit_config *c, svr_error *err)
{
    char name[MAX_NAME];

    c->split_layers =
        svr_config_count(file, "blocks.", ".attn.proj_qkv.vid.weight", SVR_MAX_LAYERS);
    for (c->layers = c->split_layers; c->layers <= SVR_MAX_LAYERS; c->layers++) {
        snprintf(name, sizeof name, "blocks.%d.attn.proj_qkv.all.weight", c->layers);
        if (!svr_safetensors_find(file, name))
            break;
    }
    if (c->layers < 1 || c->layers > SVR_MAX_LAYERS)
        return SVR_FAIL(err, SVR_ERR_FORMAT,
                        "%s: has %d blocks with attn.proj_qkv; a DiT has 1 to %d, the file is not "
                        "complete or no model that can be used",
                        svr_safetensors_path(file), c->layers, SVR_MAX_LAYERS);
    return SVR_OK;
}

static svr_status read_attention(const svr_safetensors *file, svr_dit_config *c, svr_error *err)
{
    char norm[MAX_NAME], qkv[MAX_NAME];
    int rows = 0;

    block_tensor(norm, c, 0, "attn.norm_q", "weight");
    block_tensor(qkv, c, 0, "attn.proj_qkv", "weight");
    SVR_TRY(svr_config_size(file, norm, 1, 0, &c->head_dim, err));
    SVR_TRY(svr_config_size(file, qkv, 2, 0, &rows, err));
    if (rows % (3 * c->head_dim) != 0)
        return SVR_FAIL(err, SVR_ERR_FORMAT,
                        "%s: tensor '%s' has %d rows, no multiple of 3 heads of the %d channels of "
                        "'%s'; the file is damaged or no model that can be used",
                        svr_safetensors_path(file), qkv, rows, c->head_dim, norm);
    c->heads = rows / (3 * c->head_dim);
    return SVR_OK;
}

/* Channels of a projection between tokens and patches. */
static svr_status read_patch_channels(const svr_safetensors *file, const char *name, int axis,
                                      int pixels, int *channels, svr_error *err)
{
    int width = 0;

    SVR_TRY(svr_config_size(file, name, 2, axis, &width, err));
    if (width % pixels != 0)
        return SVR_FAIL(err, SVR_ERR_FORMAT,
                        "%s: tensor '%s' has a width of %d, no multiple of the %d pixels of a "
                        "patch; this is no model that can be used",
                        svr_safetensors_path(file), name, width, pixels);
    *channels = width / pixels;
    return SVR_OK;
}

static svr_status read_ends(const svr_safetensors *file, svr_dit_config *c, svr_error *err)
{
    int pixels = c->patch * c->patch;

    SVR_TRY(svr_config_size(file, "vid_in.proj.weight", 2, 0, &c->dim, err));
    SVR_TRY(svr_config_size(file, "txt_in.weight", 2, 1, &c->txt_in, err));
    SVR_TRY(svr_config_size(file, "emb_in.proj_in.weight", 2, 1, &c->time_freqs, err));
    SVR_TRY(read_patch_channels(file, "vid_in.proj.weight", 1, pixels, &c->in_channels, err));
    SVR_TRY(read_patch_channels(file, "vid_out.proj.weight", 0, pixels, &c->out_channels, err));
    if (c->in_channels != 2 * c->out_channels + 1)
        return SVR_FAIL(
            err, SVR_ERR_FORMAT,
            "%s: 'vid_in.proj.weight' takes %d channels and 'vid_out.proj.weight' gives "
            "%d; an upscaler takes noise, condition and mask, so it must be %d",
            svr_safetensors_path(file), c->in_channels, c->out_channels, 2 * c->out_channels + 1);
    if (c->time_freqs % 2 != 0)
        return SVR_FAIL(err, SVR_ERR_FORMAT,
                        "%s: 'emb_in.proj_in.weight' takes %d values, which is odd; they must be "
                        "pairs of sine and cosine",
                        svr_safetensors_path(file), c->time_freqs);
    return SVR_OK;
}

/* Rotated channels per axis from the config, else by the rule of the published models, else what
 * the buffer of frequencies in the file asks for. */
static svr_status read_rope(const svr_config_text *text, svr_dit_config *c, svr_error *err)
{
    static const char buffer[] = "blocks.0.attn.rope.rope.freqs";
    int rope_dim = 0, pairs = 0;

    SVR_TRY(svr_config_int(text, "rope_dim", 2 * ROPE_AXES, SVR_CONFIG_MAX_WIDTH, &rope_dim, err));
    if (svr_safetensors_find(text->file, buffer))
        SVR_TRY(svr_config_size(text->file, buffer, 1, 0, &pairs, err));
    c->rope_axis_dim = (rope_dim                      ? rope_dim
                        : c->kind == SVR_MODEL_DIT_3B ? c->head_dim
                                                      : c->head_dim / 2) /
                       ROPE_AXES;
    if (pairs && pairs != c->rope_axis_dim / 2) {
        if (rope_dim)
            return SVR_FAIL(err, SVR_ERR_FORMAT,
                            "%s: config 'rope_dim' %d makes %d pairs per axis but tensor '%s' has "
                            "%d; mend the config in the file's metadata",
                            svr_safetensors_path(text->file), rope_dim, c->rope_axis_dim / 2,
                            buffer, pairs);
        c->rope_axis_dim = 2 * pairs;
    }
    c->rope_pairs = c->rope_axis_dim / 2;
    if (c->rope_pairs < 1 || 2 * ROPE_AXES * c->rope_pairs > c->head_dim)
        return SVR_FAIL(err, SVR_ERR_FORMAT,
                        "%s: %d rotated pairs for each of 3 axes do not fit a head of %d channels; "
                        "mend rope_dim in the config of the file's metadata",
                        svr_safetensors_path(text->file), c->rope_pairs, c->head_dim);
    return SVR_OK;
}

static svr_status agree_sizes(const svr_config_text *text, const svr_dit_config *c, svr_error *err)
{
    const struct {
        const char *keys;
        int actual;
        const char *tensor;
    } sizes[] = {
        {"dim|vid_dim", c->dim, "vid_in.proj.weight"},
        {"heads", c->heads, "blocks.0.attn.proj_qkv.*.weight"},
        {"head_dim", c->head_dim, "blocks.0.attn.norm_q.*.weight"},
        {"layers|num_layers", c->layers, "blocks.*.attn.proj_qkv.*.weight"},
        {"mm_layers|split_layers", c->split_layers, "blocks.*.attn.proj_qkv.vid.weight"},
        {"mlp_hidden", c->mlp_hidden, "blocks.0.mlp.*.proj_in.weight"},
        {"txt_in_dim|txt_in", c->txt_in, "txt_in.weight"},
        {"in_channels|in_ch|vid_in_channels", c->in_channels, "vid_in.proj.weight"},
        {"out_channels|out_ch|vid_out_channels", c->out_channels, "vid_out.proj.weight"},
        {"time_freqs", c->time_freqs, "emb_in.proj_in.weight"},
    };

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        SVR_TRY(svr_config_agree(text, sizes[i].keys, sizes[i].actual, sizes[i].tensor, err));
    return SVR_OK;
}

static svr_status agree_kind(const svr_config_text *text, const svr_dit_config *c, svr_error *err)
{
    static const char gate[] = "blocks.0.mlp.*.proj_in_gate.weight (there or not)";
    bool small = c->kind == SVR_MODEL_DIT_3B;

    SVR_TRY(svr_config_agree_word(text, "variant", small ? "3b" : "7b", gate, err));
    SVR_TRY(svr_config_agree_word(text, "mlp", small ? "swiglu" : "gelu", gate, err));
    return svr_config_agree_word(text, "rope", small ? "lang" : "pixel", gate, err);
}

static svr_status read_patch(const svr_config_text *text, svr_error *err)
{
    int patch[3] = {1, 2, 2};

    SVR_TRY(svr_config_ints(text, "patch", 3, 64, patch, err));
    if (patch[0] != 1 || patch[1] != 2 || patch[2] != 2)
        return SVR_FAIL(err, SVR_ERR_UNSUPPORTED,
                        "%s: config 'patch' is %d,%d,%d; only 1,2,2 is supported",
                        svr_safetensors_path(text->file), patch[0], patch[1], patch[2]);
    return SVR_OK;
}

static svr_status read_text(const svr_config_text *text, svr_dit_config *c, svr_error *err)
{
    SVR_TRY(agree_sizes(text, c, err));
    SVR_TRY(agree_kind(text, c, err));
    SVR_TRY(read_patch(text, err));
    SVR_TRY(read_rope(text, c, err));
    SVR_TRY(svr_config_ints(text, "windows", 3, MAX_WINDOWS, c->windows, err));
    SVR_TRY(svr_config_float(text, "eps", 1e-12, 1, &c->eps, err));
    return svr_config_bool(text, "last_layer_video_only", &c->last_layer_video_only, err);
}

static svr_status read_shapes(const svr_safetensors *file, svr_dit_config *c, svr_error *err)
{
    char name[MAX_NAME];

    SVR_TRY(count_layers(file, c, err));
    SVR_TRY(read_attention(file, c, err));
    block_tensor(name, c, 0, "mlp", "proj_in.weight");
    SVR_TRY(svr_config_size(file, name, 2, 0, &c->mlp_hidden, err));
    return read_ends(file, c, err);
}

svr_status svr_dit_config_read(const svr_safetensors *file, svr_dit_config *out, svr_error *err)
{
    svr_model_kind kind = svr_model_recognise(file);
    svr_config_text text;
    svr_status status;

    if (kind != SVR_MODEL_DIT_3B && kind != SVR_MODEL_DIT_7B)
        return SVR_FAIL(err, SVR_ERR_FORMAT,
                        "%s is a %s, not a transformer (DiT); give the transformer's file here",
                        svr_safetensors_path(file), svr_model_kind_name(kind));
    *out = svr_dit_config_published(kind);
    SVR_TRY(read_shapes(file, out, err));
    status = svr_config_text_open(file, &text, err);
    if (status == SVR_OK)
        status = read_text(&text, out, err);
    svr_config_text_close(&text);
    return status;
}
