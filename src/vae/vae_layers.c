#include "vae/vae_layers.h"

#include "vae/vae_run.h"

#include <stdio.h>
#include <string.h>

/* Lengths of names: of a block, of a part of it such as a resnet, of a layer, of a tensor. */
enum { MAX_BLOCK = 48, MAX_PART = 80, MAX_LAYER = 112, MAX_NAME = 144 };

/* Where items are declared; the first failure ends it. */
typedef struct declarer {
    svr_vae *vae;
    vae_half *half;
    int group;
    svr_error *err;
} declarer;

/* Copy with the lifetime of the network. */
static svr_status keep_name(declarer *d, const char *name, const char **out)
{
    *out = svr_arena_strndup(d->vae->arena, name, strlen(name));
    return *out ? SVR_OK : SVR_FAIL(d->err, SVR_ERR_NO_MEM, "no memory for the VAE's layers");
}

static svr_status declare(declarer *d, const char *base, const char *tail, svr_store_form form,
                          int *id)
{
    char name[MAX_NAME];
    svr_store_item item = {.name = name, .form = form, .group = d->group};

    snprintf(name, sizeof name, "%s.%s", base, tail);
    return svr_store_add(d->vae->store, &item, id, d->err);
}

static svr_status declare_norm(declarer *d, const char *base, const char *part, vae_norm *norm)
{
    char name[MAX_LAYER];

    snprintf(name, sizeof name, "%s.%s", base, part);
    norm->index = d->half->norm_count++;
    SVR_TRY(declare(d, name, "weight", SVR_FORM_VECTOR, &norm->gamma));
    return declare(d, name, "bias", SVR_FORM_VECTOR, &norm->beta);
}

/* Reads kernel and widths off the tensor; `conv` starts with its strides set (0: 1).  The first
 * layer of a half finds its carried frames in the clip itself, so it gets no state. */
static svr_status declare_conv(declarer *d, const char *base, const char *part, vae_conv *conv)
{
    char name[MAX_LAYER], text[MAX_NAME];
    const svr_weight_spec *spec;

    snprintf(name, sizeof name, "%s.%s", base, part);
    SVR_TRY(declare(d, name, "weight", SVR_FORM_CONV, &conv->weight));
    SVR_TRY(declare(d, name, "bias", SVR_FORM_VECTOR, &conv->bias));
    snprintf(text, sizeof text, "%s.weight", name);
    spec = svr_weights_find(svr_store_weights(d->vae->store), text);
    conv->out = spec->dims[0];
    conv->in = spec->dims[1];
    conv->kt = (int) spec->dims[2];
    conv->ks = (int) spec->dims[3];
    conv->stride_t = conv->stride_t ? conv->stride_t : 1;
    conv->stride_s = conv->stride_s ? conv->stride_s : 1;
    conv->state = -1;
    if (conv->kt == 1)
        return SVR_OK;
    if (strcmp(part, "conv_in") != 0)
        conv->state = d->vae->state.count++;
    snprintf(text, sizeof text, "mem.%s", name);
    return keep_name(d, text, &conv->tap);
}

static svr_status declare_resnet(declarer *d, const char *base, vae_resnet *r)
{
    SVR_TRY(declare_norm(d, base, "norm1", &r->norm1));
    SVR_TRY(declare_conv(d, base, "conv1", &r->conv1));
    SVR_TRY(declare_norm(d, base, "norm2", &r->norm2));
    SVR_TRY(declare_conv(d, base, "conv2", &r->conv2));
    r->conv1.normed = r->conv2.normed = true;
    r->has_shortcut = r->conv1.in != r->conv1.out;
    return r->has_shortcut ? declare_conv(d, base, "conv_shortcut", &r->shortcut) : SVR_OK;
}

static svr_status declare_linear(declarer *d, const char *base, const char *part, vae_linear *l)
{
    char name[MAX_LAYER];

    snprintf(name, sizeof name, "%s.%s", base, part);
    SVR_TRY(declare(d, name, "weight", SVR_FORM_MATRIX, &l->weight));
    return declare(d, name, "bias", SVR_FORM_VECTOR, &l->bias);
}

/* An output projection of exact zeros makes the attention add nothing: its weights are not loaded.
 */
static svr_status declare_attention(declarer *d, const char *base, vae_attention *a)
{
    const svr_weights *weights = svr_store_weights(d->vae->store);
    char weight[MAX_NAME], bias[MAX_NAME];

    snprintf(weight, sizeof weight, "%s.to_out.0.weight", base);
    snprintf(bias, sizeof bias, "%s.to_out.0.bias", base);
    a->active = !svr_weights_is_zero(weights, weight) || !svr_weights_is_zero(weights, bias);
    if (!a->active)
        return SVR_OK;
    SVR_TRY(declare_norm(d, base, "group_norm", &a->norm));
    SVR_TRY(declare_linear(d, base, "to_q", &a->q));
    SVR_TRY(declare_linear(d, base, "to_k", &a->k));
    SVR_TRY(declare_linear(d, base, "to_v", &a->v));
    return declare_linear(d, base, "to_out.0", &a->out);
}

static svr_status declare_mid(declarer *d, const char *half, vae_mid *mid)
{
    char name[MAX_PART];

    snprintf(name, sizeof name, "%s.mid_block.resnets.0", half);
    SVR_TRY(declare_resnet(d, name, &mid->first));
    snprintf(name, sizeof name, "%s.mid_block.attentions.0", half);
    SVR_TRY(declare_attention(d, name, &mid->attention));
    snprintf(name, sizeof name, "%s.mid_block.resnets.1", half);
    SVR_TRY(declare_resnet(d, name, &mid->second));
    snprintf(name, sizeof name, "tap.%.3s.mid_block", half);
    return keep_name(d, name, &mid->tap);
}

static svr_status declare_resnets(declarer *d, const char *base, int count, vae_block *block)
{
    char name[MAX_PART];

    block->resnet_count = count;
    block->resnets = svr_arena_alloc(d->vae->arena, (size_t) count, sizeof block->resnets[0]);
    if (!block->resnets)
        return SVR_FAIL(d->err, SVR_ERR_NO_MEM, "no memory for the VAE's layers");
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, "%s.resnets.%d", base, i);
        SVR_TRY(declare_resnet(d, name, &block->resnets[i]));
    }
    return SVR_OK;
}

/* Time is halved in the last of the blocks that halve space.  Source: spec vae §4. */
static svr_status declare_down_block(declarer *d, int index, vae_block *block)
{
    const svr_vae_config *c = &d->vae->config;
    int top = c->stages - 1;
    char base[MAX_BLOCK], tap[MAX_BLOCK];

    snprintf(base, sizeof base, "encoder.down_blocks.%d", index);
    snprintf(tap, sizeof tap, "tap.enc.down_blocks.%d", index);
    SVR_TRY(keep_name(d, tap, &block->tap));
    SVR_TRY(declare_resnets(d, base, c->layers_per_block, block));
    block->rescales = index < top;
    block->temporal = block->rescales && index >= top - c->temporal_stages;
    block->rescale = (vae_conv){.stride_t = block->temporal ? 2 : 1, .stride_s = 2, .normed = true};
    block->resnets[block->resnet_count - 1].conv2.normed = !block->rescales;
    return block->rescales ? declare_conv(d, base, "downsamplers.0.conv", &block->rescale) : SVR_OK;
}

/* The mirror image: time is doubled in the first blocks.  Source: spec vae §5. */
static svr_status declare_up_block(declarer *d, int index, vae_block *block)
{
    const svr_vae_config *c = &d->vae->config;
    char base[MAX_BLOCK], tap[MAX_BLOCK];

    snprintf(base, sizeof base, "decoder.up_blocks.%d", index);
    snprintf(tap, sizeof tap, "tap.dec.up_blocks.%d", index);
    SVR_TRY(keep_name(d, tap, &block->tap));
    SVR_TRY(declare_resnets(d, base, c->layers_per_block + 1, block));
    block->rescales = index < c->stages - 1;
    block->temporal = block->rescales && index < c->temporal_stages;
    block->resnets[block->resnet_count - 1].conv2.normed = !block->rescales;
    if (!block->rescales)
        return SVR_OK;
    SVR_TRY(declare_conv(d, base, "upsamplers.0.upscale_conv", &block->upscale));
    return declare_conv(d, base, "upsamplers.0.conv", &block->rescale);
}

static svr_status declare_half(declarer *d, const char *name, vae_half *half)
{
    char tap[MAX_BLOCK];

    half->group = d->group;
    snprintf(tap, sizeof tap, "tap.%.3s.conv_in", name);
    SVR_TRY(keep_name(d, tap, &half->tap_conv_in));
    SVR_TRY(declare_conv(d, name, "conv_in", &half->conv_in));
    half->conv_in.normed = true;
    for (int i = 0; i < d->vae->config.stages; i++)
        SVR_TRY(d->group == SVR_VAE_GROUP_ENCODER ? declare_down_block(d, i, &half->blocks[i])
                                                  : declare_up_block(d, i, &half->blocks[i]));
    SVR_TRY(declare_mid(d, name, &half->mid));
    SVR_TRY(declare_norm(d, name, "conv_norm_out", &half->norm_out));
    return declare_conv(d, name, "conv_out", &half->conv_out);
}

svr_status svr_vae_declare(svr_vae *vae, svr_error *err)
{
    declarer encoder = {vae, &vae->encoder, SVR_VAE_GROUP_ENCODER, err};
    declarer decoder = {vae, &vae->decoder, SVR_VAE_GROUP_DECODER, err};

    SVR_TRY(declare_half(&encoder, "encoder", &vae->encoder));
    SVR_TRY(declare_half(&decoder, "decoder", &vae->decoder));
    vae->state.carried =
        svr_arena_alloc(vae->arena, (size_t) vae->state.count, sizeof vae->state.carried[0]);
    if (!vae->state.carried)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for the VAE's layers");
    return svr_vae_list_steps(vae, err);
}
