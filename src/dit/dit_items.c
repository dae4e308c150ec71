#include "dit/dit_internal.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

const char *svr_dit_branch_name(const svr_dit_config *config, int layer, dit_stream stream)
{
    if (!svr_dit_is_split(config, layer))
        return "all";
    return stream == DIT_VIDEO ? "vid" : "txt";
}

/* Features of one token without and with the mask channel. */
static size_t token_features(const svr_dit_config *config, int channels)
{
    return (size_t) config->patch * (size_t) config->patch * (size_t) channels;
}

/* Reads vid_in.proj.weight [D, P*P*channels] into new memory; the caller frees *out. */
static svr_status read_input_weight(const svr_dit_config *config, const svr_weights *weights,
                                    float **out, svr_error *err)
{
    size_t count = (size_t) config->dim * token_features(config, config->in_channels);
    float *values = malloc(count * sizeof(float));

    if (!values)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for vid_in.proj.weight");
    svr_status status = svr_weights_read(weights, "vid_in.proj.weight", values, count, err);
    if (status != SVR_OK)
        free(values);
    else
        *out = values;
    return status;
}

/* vid_in's matrix without the columns of the mask, which is the last channel. */
static svr_status make_input_weight(void *user, const svr_weights *weights, float *dst,
                                    svr_error *err)
{
    const svr_dit *dit = user;
    size_t channels = (size_t) dit->config.in_channels;
    size_t pixels = (size_t) dit->config.dim * token_features(&dit->config, 1);
    float *full = NULL;

    SVR_TRY(read_input_weight(&dit->config, weights, &full, err));
    for (size_t pixel = 0; pixel < pixels; pixel++) {
        for (size_t c = 0; c + 1 < channels; c++)
            *dst++ = full[pixel * channels + c];
    }
    free(full);
    return SVR_OK;
}

/* vid_in's bias plus what a mask of 1 in every pixel adds. */
static svr_status make_input_bias(void *user, const svr_weights *weights, float *dst,
                                  svr_error *err)
{
    const svr_dit *dit = user;
    size_t channels = (size_t) dit->config.in_channels;
    size_t dim = (size_t) dit->config.dim;
    size_t pixels = token_features(&dit->config, 1);
    float *full = NULL;

    SVR_TRY(svr_weights_read(weights, "vid_in.proj.bias", dst, dim, err));
    SVR_TRY(read_input_weight(&dit->config, weights, &full, err));
    for (size_t row = 0; row < dim; row++) {
        double sum = dst[row];
        for (size_t pixel = 0; pixel < pixels; pixel++)
            sum += full[(row * pixels + pixel) * channels + channels - 1];
        dst[row] = (float) sum;
    }
    free(full);
    return SVR_OK;
}

/* What an item of a branch is for. */
typedef enum item_role {
    ROLE_KEYS,  /* keys and values, which every window reads */
    ROLE_RESULT /* queries and what follows them, needed where the stream goes on */
} item_role;

enum { IN_3B = 1, IN_7B = 2 };

/* An item of a branch: tensor blocks.<layer>.<module>.<branch>.<leaf>. */
typedef struct branch_item {
    const char *module, *leaf;
    svr_store_form form;
    item_role role;
    int models;
    size_t id; /* offset in dit_branch */
} branch_item;

static const branch_item branch_items[] = {
    {"attn.proj_qkv", "weight", SVR_FORM_FACTOR, ROLE_KEYS, IN_3B | IN_7B,
     offsetof(dit_branch, qkv)},
    {"attn.norm_k", "weight", SVR_FORM_VECTOR, ROLE_KEYS, IN_3B | IN_7B,
     offsetof(dit_branch, norm_k)},
    {"attn.norm_q", "weight", SVR_FORM_VECTOR, ROLE_RESULT, IN_3B | IN_7B,
     offsetof(dit_branch, norm_q)},
    {"attn.proj_out", "weight", SVR_FORM_FACTOR, ROLE_RESULT, IN_3B | IN_7B,
     offsetof(dit_branch, out_weight)},
    {"attn.proj_out", "bias", SVR_FORM_VECTOR, ROLE_RESULT, IN_3B | IN_7B,
     offsetof(dit_branch, out_bias)},
    {"mlp", "proj_in_gate.weight", SVR_FORM_FACTOR, ROLE_RESULT, IN_3B,
     offsetof(dit_branch, gate_weight)},
    {"mlp", "proj_in.weight", SVR_FORM_FACTOR, ROLE_RESULT, IN_3B | IN_7B,
     offsetof(dit_branch, in_weight)},
    {"mlp", "proj_in.bias", SVR_FORM_VECTOR, ROLE_RESULT, IN_7B, offsetof(dit_branch, in_bias)},
    {"mlp", "proj_out.weight", SVR_FORM_FACTOR, ROLE_RESULT, IN_3B | IN_7B,
     offsetof(dit_branch, mlp_weight)},
    {"mlp", "proj_out.bias", SVR_FORM_VECTOR, ROLE_RESULT, IN_7B, offsetof(dit_branch, mlp_bias)},
};

enum { BRANCH_ITEMS = sizeof(branch_items) / sizeof(branch_items[0]) };

static svr_status add_item(svr_dit *dit, const char *name, svr_store_form form, int group, int *id,
                           svr_error *err)
{
    svr_store_item item = {.name = name, .form = form, .group = group};

    return svr_store_add(dit->store, &item, id, err);
}

/* Declares the items of a branch.  The text that leaves the last block is read by nobody, so files
 * may lack what makes it; *complete says whether everything was there. */
static svr_status add_branch(svr_dit *dit, int layer, dit_stream stream, dit_branch *branch,
                             bool *complete, svr_error *err)
{
    const char *branch_name = svr_dit_branch_name(&dit->config, layer, stream);
    const svr_weights *weights = svr_store_weights(dit->store);
    bool ends = stream == DIT_TEXT && layer == dit->config.layers - 1;
    int model = dit->config.kind == SVR_MODEL_DIT_7B ? IN_7B : IN_3B;

    *complete = true;
    for (int i = 0; i < BRANCH_ITEMS; i++) {
        const branch_item *item = &branch_items[i];
        int *id = (int *) ((char *) branch + item->id);
        char name[DIT_NAME_SIZE];

        *id = DIT_NO_ITEM;
        if (!(item->models & model))
            continue;
        snprintf(name, sizeof(name), "blocks.%d.%s.%s.%s", layer, item->module, branch_name,
                 item->leaf);
        if (ends && item->role == ROLE_RESULT &&
            (svr_dit_is_text_tail(&dit->config, layer) || !svr_weights_find(weights, name)))
            *complete = false;
        else
            SVR_TRY(add_item(dit, name, item->form, layer, id, err));
    }
    return SVR_OK;
}

/* Files may lack the vectors of the unused text of the last block. */
static bool has_modulation(const svr_dit *dit, int layer, dit_stream stream)
{
    char name[DIT_NAME_SIZE];

    for (int i = 0; i < DIT_PARTS * DIT_KINDS; i++) {
        svr_dit_modulation_name(&dit->config, layer, stream, i, name);
        if (!svr_weights_find(svr_store_weights(dit->store), name))
            return false;
    }
    return true;
}

static svr_status add_block(svr_dit *dit, int layer, svr_error *err)
{
    dit_block *block = &dit->blocks[layer];
    bool complete = true;

    SVR_TRY(add_branch(dit, layer, DIT_VIDEO, &block->branch[DIT_VIDEO], &complete, err));
    block->branch[DIT_TEXT] = block->branch[DIT_VIDEO];
    if (svr_dit_is_split(&dit->config, layer))
        SVR_TRY(add_branch(dit, layer, DIT_TEXT, &block->branch[DIT_TEXT], &complete, err));
    block->has_text_result = complete && !svr_dit_is_text_tail(&dit->config, layer) &&
                             has_modulation(dit, layer, DIT_TEXT);
    return SVR_OK;
}

/* vid_in with the mask folded in, so that patches hold noise and condition only. */
static svr_status add_input(svr_dit *dit, svr_error *err)
{
    const svr_dit_config *config = &dit->config;
    svr_store_item weight = {
        .name = "vid_in.proj.weight",
        .form = SVR_FORM_MATRIX,
        .group = config->layers,
        .make = make_input_weight,
        .make_user = dit,
        .rank = 2,
        .dims = {config->dim, (int64_t) token_features(config, config->in_channels - 1)}};
    svr_store_item bias = {.name = "vid_in.proj.bias",
                           .form = SVR_FORM_VECTOR,
                           .group = config->layers,
                           .make = make_input_bias,
                           .make_user = dit,
                           .rank = 1,
                           .dims = {config->dim}};

    SVR_TRY(svr_store_add(dit->store, &weight, &dit->in_weight, err));
    return svr_store_add(dit->store, &bias, &dit->in_bias, err);
}

svr_status svr_dit_declare_items(svr_dit *dit, svr_error *err)
{
    int group = dit->config.layers;

    for (int layer = 0; layer < dit->config.layers; layer++)
        SVR_TRY(add_block(dit, layer, err));
    SVR_TRY(add_input(dit, err));
    dit->head_norm = DIT_NO_ITEM;
    if (dit->config.kind == SVR_MODEL_DIT_3B)
        SVR_TRY(add_item(dit, "vid_out_norm.weight", SVR_FORM_VECTOR, group, &dit->head_norm, err));
    SVR_TRY(add_item(dit, "vid_out.proj.weight", SVR_FORM_MATRIX, group, &dit->out_weight, err));
    return add_item(dit, "vid_out.proj.bias", SVR_FORM_VECTOR, group, &dit->out_bias, err);
}

svr_tensor svr_dit_item(const svr_dit *dit, int id)
{
    svr_tensor absent = {0};

    return id == DIT_NO_ITEM ? absent : svr_store_tensor(dit->store, id);
}

svr_tensor svr_dit_scale(const svr_dit *dit, int id)
{
    svr_tensor absent = {0};

    return id == DIT_NO_ITEM ? absent : svr_store_scale(dit->store, id);
}
