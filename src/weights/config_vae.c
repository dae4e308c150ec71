#include "weights/config.h"
#include "weights/config_text.h"

#include <stdio.h>

/* What shapes cannot say has the values of the published VAE until the config says otherwise. */
static svr_vae_config defaults(void)
{
    svr_vae_config c = svr_vae_config_published();

    return (svr_vae_config){.norm_groups = c.norm_groups,
                            .eps = c.eps,
                            .scaling_factor = c.scaling_factor,
                            .shifting_factor = c.shifting_factor};
}

static svr_status count_stages(const svr_safetensors *file, svr_vae_config *c, svr_error *err)
{
    c->stages = svr_config_count(file, "encoder.down_blocks.", ".resnets.0.conv1.weight",
                                 SVR_VAE_MAX_STAGES);
    c->layers_per_block =
        svr_config_count(file, "encoder.down_blocks.0.resnets.", ".conv1.weight", SVR_MAX_LAYERS);
    if (c->stages < 1 || c->stages > SVR_VAE_MAX_STAGES || c->layers_per_block > SVR_MAX_LAYERS)
        return SVR_FAIL(err, SVR_ERR_FORMAT,
                        "%s: has %d encoder.down_blocks with %d resnets; a VAE has 1 to %d blocks "
                        "with at most %d",
                        svr_safetensors_path(file), c->stages, c->layers_per_block,
                        SVR_VAE_MAX_STAGES, SVR_MAX_LAYERS);
    return SVR_OK;
}

/* Time is halved by the downsamplers with a kernel of 3 frames; which those are, the weights check.
 */
static svr_status read_shapes(const svr_safetensors *file, svr_vae_config *c, svr_error *err)
{
    char name[80];

    SVR_TRY(count_stages(file, c, err));
    for (int i = 0; i < c->stages; i++) {
        int kt = 1;

        snprintf(name, sizeof name, "encoder.down_blocks.%d.resnets.0.conv1.weight", i);
        SVR_TRY(svr_config_size(file, name, 5, 0, &c->channels[i], err));
        if (i == c->stages - 1)
            break;
        snprintf(name, sizeof name, "encoder.down_blocks.%d.downsamplers.0.conv.weight", i);
        SVR_TRY(svr_config_size(file, name, 5, 2, &kt, err));
        c->temporal_stages += kt == 3;
    }
    return svr_config_size(file, "decoder.conv_in.weight", 5, 1, &c->latent_channels, err);
}

static svr_status check_groups(const svr_safetensors *file, const svr_vae_config *c, svr_error *err)
{
    for (int i = 0; i < c->stages; i++)
        if (c->channels[i] % c->norm_groups != 0)
            return SVR_FAIL(
                err, SVR_ERR_FORMAT,
                "%s: %d channels of encoder.down_blocks.%d cannot be split into %d norm "
                "groups; put the right norm_groups into the config of its metadata",
                svr_safetensors_path(file), c->channels[i], i, c->norm_groups);
    return SVR_OK;
}

static svr_status read_text(const svr_config_text *text, svr_vae_config *c, svr_error *err)
{
    SVR_TRY(svr_config_agree_ints(text, "block_out_channels", c->stages, c->channels,
                                  "encoder.down_blocks.*.resnets.0.conv1.weight", err));
    SVR_TRY(svr_config_agree(text, "layers_per_block", c->layers_per_block,
                             "encoder.down_blocks.0.resnets.*.conv1.weight", err));
    SVR_TRY(svr_config_agree(text, "latent_channels", c->latent_channels, "decoder.conv_in.weight",
                             err));
    SVR_TRY(svr_config_agree(text, "temporal_stages|temporal_scale_num", c->temporal_stages,
                             "encoder.down_blocks.*.downsamplers.0.conv.weight", err));
    SVR_TRY(svr_config_agree(text, "spatial_factor|spatial_downsample_factor",
                             svr_vae_spatial_factor(c),
                             "encoder.down_blocks.*.resnets.0.conv1.weight", err));
    SVR_TRY(svr_config_agree(text, "temporal_factor|temporal_downsample_factor",
                             svr_vae_temporal_factor(c),
                             "encoder.down_blocks.*.downsamplers.0.conv.weight", err));
    SVR_TRY(svr_config_agree(text, "in_channels", 3, "encoder.conv_in.weight", err));
    SVR_TRY(svr_config_agree(text, "out_channels", 3, "decoder.conv_out.weight", err));
    SVR_TRY(svr_config_int(text, "norm_groups|norm_num_groups", 1, SVR_CONFIG_MAX_WIDTH,
                           &c->norm_groups, err));
    SVR_TRY(svr_config_float(text, "eps", 1e-12, 1, &c->eps, err));
    SVR_TRY(svr_config_float(text, "scaling_factor", 1e-6, 1e6, &c->scaling_factor, err));
    return svr_config_float(text, "shifting_factor|shift_factor", -1e6, 1e6, &c->shifting_factor,
                            err);
}

svr_status svr_vae_config_read(const svr_safetensors *file, svr_vae_config *out, svr_error *err)
{
    svr_model_kind kind = svr_model_recognise(file);
    svr_config_text text;
    svr_status status;

    if (kind != SVR_MODEL_VAE)
        return SVR_FAIL(err, SVR_ERR_FORMAT, "%s is a %s, not a VAE; give the VAE's file here",
                        svr_safetensors_path(file), svr_model_kind_name(kind));
    *out = defaults();
    SVR_TRY(read_shapes(file, out, err));
    status = svr_config_text_open(file, &text, err);
    if (status == SVR_OK)
        status = read_text(&text, out, err);
    svr_config_text_close(&text);
    return status == SVR_OK ? check_groups(file, out, err) : status;
}
