#include "weights/config.h"

const char *svr_model_kind_name(svr_model_kind kind)
{
    switch (kind) {
    case SVR_MODEL_VAE:
        return "VAE";
    case SVR_MODEL_DIT_3B:
        return "3B-type DiT";
    case SVR_MODEL_DIT_7B:
        return "7B-type DiT";
    case SVR_MODEL_TEXT:
        return "file of prompt embeddings";
    case SVR_MODEL_UNKNOWN:
        break;
    }
    return "file of unknown content";
}

static bool has(const svr_safetensors *file, const char *name)
{
    return svr_safetensors_find(file, name) != NULL;
}

/* One telling tensor is enough, so that a file with others missing is called by its right name. */
svr_model_kind svr_model_recognise(const svr_safetensors *file)
{
    if (has(file, "encoder.conv_in.weight") || has(file, "decoder.conv_in.weight"))
        return SVR_MODEL_VAE;
    if (has(file, "vid_in.proj.weight") || has(file, "vid_out.proj.weight"))
        return has(file, "blocks.0.mlp.vid.proj_in_gate.weight") ||
                       has(file, "blocks.0.mlp.all.proj_in_gate.weight")
                   ? SVR_MODEL_DIT_3B
                   : SVR_MODEL_DIT_7B;
    if (has(file, "pos") || has(file, "positive_conditioning"))
        return SVR_MODEL_TEXT;
    return SVR_MODEL_UNKNOWN;
}

int svr_vae_spatial_factor(const svr_vae_config *config)
{
    return 1 << (config->stages - 1);
}

int svr_vae_temporal_factor(const svr_vae_config *config)
{
    return 1 << config->temporal_stages;
}

bool svr_dit_is_split(const svr_dit_config *config, int layer)
{
    return layer < config->split_layers;
}

bool svr_dit_is_text_tail(const svr_dit_config *config, int layer)
{
    return config->last_layer_video_only && layer == config->layers - 1;
}

svr_dit_config svr_dit_config_published(svr_model_kind kind)
{
    bool small = kind == SVR_MODEL_DIT_3B;

    return (svr_dit_config){
        .kind = kind,
        .dim = small ? 2560 : 3072,
        .heads = small ? 20 : 24,
        .head_dim = 128,
        .layers = small ? 32 : 36,
        .split_layers = small ? 10 : 36,
        .mlp_hidden = small ? 6912 : 12288,
        .rope_pairs = small ? 21 : 10,
        .rope_axis_dim = small ? 42 : 21,
        .txt_in = 5120,
        .in_channels = 33,
        .out_channels = 16,
        .patch = 2,
        .time_freqs = 256,
        .windows = {4, 3, 3},
        .eps = 1e-5f,
        .last_layer_video_only = small,
    };
}

svr_vae_config svr_vae_config_published(void)
{
    return (svr_vae_config){
        .stages = 4,
        .channels = {128, 256, 512, 512},
        .layers_per_block = 2,
        .latent_channels = 16,
        .norm_groups = 32,
        .temporal_stages = 2,
        .eps = 1e-6f,
        .scaling_factor = 0.9152f,
        .shifting_factor = 0.0f,
    };
}
