#include "weights/specs.h"

#include <stdio.h>

enum { MAX_NAME = 128 };

static const int64_t point[3] = {1, 1, 1}, flat[3] = {1, 3, 3}, cube[3] = {3, 3, 3};

static void join(char out[MAX_NAME], const char *base, const char *tail)
{
    snprintf(out, MAX_NAME, "%s.%s", base, tail);
}

static void add_resnet(svr_spec_list *list, const char *base, int64_t in, int64_t out)
{
    char name[MAX_NAME];

    join(name, base, "norm1");
    svr_spec_add_norm(list, name, in);
    join(name, base, "conv1");
    svr_spec_add_conv(list, name, out, in, cube);
    join(name, base, "norm2");
    svr_spec_add_norm(list, name, out);
    join(name, base, "conv2");
    svr_spec_add_conv(list, name, out, out, cube);
    if (in == out)
        return;
    join(name, base, "conv_shortcut");
    svr_spec_add_conv(list, name, out, in, point);
}

static void add_mid(svr_spec_list *list, const char *base, int64_t channels)
{
    static const char *const projections[] = {"attentions.0.to_q", "attentions.0.to_k",
                                              "attentions.0.to_v", "attentions.0.to_out.0"};
    char name[MAX_NAME];

    join(name, base, "attentions.0.group_norm");
    svr_spec_add_norm(list, name, channels);
    for (int i = 0; i < 4; i++) {
        join(name, base, projections[i]);
        svr_spec_add_linear(list, name, channels, channels);
    }
    join(name, base, "resnets.0");
    add_resnet(list, name, channels, channels);
    join(name, base, "resnets.1");
    add_resnet(list, name, channels, channels);
}

static void add_resnets(svr_spec_list *list, const char *block, int count, int64_t in, int64_t out)
{
    char name[MAX_NAME];

    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, "%s.resnets.%d", block, i);
        add_resnet(list, name, i == 0 ? in : out, out);
    }
}

/* Time is halved in the last `temporal_stages` of the blocks that halve space. */
static void add_encoder(const svr_vae_config *c, svr_spec_list *list)
{
    int64_t in = c->channels[0];
    int top = c->stages - 1;
    char block[64], name[MAX_NAME];

    svr_spec_add_conv(list, "encoder.conv_in", in, 3, cube);
    for (int i = 0; i < c->stages; i++) {
        int64_t out = c->channels[i];

        snprintf(block, sizeof block, "encoder.down_blocks.%d", i);
        add_resnets(list, block, c->layers_per_block, in, out);
        join(name, block, "downsamplers.0.conv");
        if (i < top)
            svr_spec_add_conv(list, name, out, out, i >= top - c->temporal_stages ? cube : flat);
        in = out;
    }
    add_mid(list, "encoder.mid_block", in);
    svr_spec_add_norm(list, "encoder.conv_norm_out", in);
    svr_spec_add_conv(list, "encoder.conv_out", INT64_C(2) * c->latent_channels, in, cube);
}

/* Mirror image: time is doubled in the first `temporal_stages` blocks. */
static void add_decoder(const svr_vae_config *c, svr_spec_list *list)
{
    int64_t in = c->channels[c->stages - 1];
    char block[64], name[MAX_NAME];

    svr_spec_add_conv(list, "decoder.conv_in", in, c->latent_channels, cube);
    add_mid(list, "decoder.mid_block", in);
    for (int i = 0; i < c->stages; i++) {
        int64_t out = c->channels[c->stages - 1 - i];

        snprintf(block, sizeof block, "decoder.up_blocks.%d", i);
        add_resnets(list, block, c->layers_per_block + 1, in, out);
        in = out;
        if (i == c->stages - 1)
            break;
        join(name, block, "upsamplers.0.upscale_conv");
        svr_spec_add_conv(list, name, out * (i < c->temporal_stages ? 8 : 4), out, point);
        join(name, block, "upsamplers.0.conv");
        svr_spec_add_conv(list, name, out, out, cube);
    }
    svr_spec_add_norm(list, "decoder.conv_norm_out", in);
    svr_spec_add_conv(list, "decoder.conv_out", 3, in, cube);
}

void svr_specs_of_vae(const svr_vae_config *config, svr_spec_list *list)
{
    add_encoder(config, list);
    add_decoder(config, list);
}
