/* What network a file holds, read off its tensors.
 *
 * Kinds and sizes come from names and shapes; only what shapes cannot say (norm groups, eps,
 * scaling, windows, rotary width of odd sizes) is taken from the JSON text under `config` of the
 * file's metadata, else from the published models.  Nothing depends on the file's name.  Every
 * number is bounded before it is used.  Level 2.  Thread: any. */
#ifndef SVR_WEIGHTS_CONFIG_H
#define SVR_WEIGHTS_CONFIG_H

#include "weights/safetensors.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { SVR_VAE_MAX_STAGES = 8, SVR_MAX_LAYERS = 256 };

typedef enum svr_model_kind {
    SVR_MODEL_UNKNOWN = 0,
    SVR_MODEL_VAE,
    SVR_MODEL_DIT_3B, /* SwiGLU, text rotated, head with norm and modulation, text-free last layer
                       */
    SVR_MODEL_DIT_7B, /* GELU, "pixel" rotary positions, plain head */
    SVR_MODEL_TEXT    /* prompt embeddings */
} svr_model_kind;

/* Causal video VAE (spec vae.md).  Encoder order; the decoder runs it reversed. */
typedef struct svr_vae_config {
    int stages;                       /* blocks; every one but the last halves width and height */
    int channels[SVR_VAE_MAX_STAGES]; /* block_out_channels, e.g. 128 256 512 512 */
    int layers_per_block;             /* resnets of an encoder block; the decoder has one more */
    int latent_channels;              /* 16 */
    int norm_groups;                  /* 32 unless the config says otherwise */
    int temporal_stages;              /* stages that also halve time: 2 */
    float eps;                        /* 1e-6 */
    float scaling_factor;             /* model latent = (z - shifting_factor) * scaling_factor */
    float shifting_factor;
} svr_vae_config;

/* Diffusion transformer (spec dit.md); letters as there. */
typedef struct svr_dit_config {
    svr_model_kind kind;        /* DIT_3B or DIT_7B */
    int dim;                    /* D */
    int heads, head_dim;        /* E = heads * head_dim */
    int layers;                 /* blocks */
    int split_layers;           /* blocks 0..split-1 have own text weights, the rest share "all" */
    int mlp_hidden;             /* F */
    int rope_pairs;             /* p: rotated pairs per axis */
    int rope_axis_dim;          /* 3B: frequencies are 10000^(-2i/rope_axis_dim) */
    int txt_in;                 /* width of the prompt embedding */
    int in_channels;            /* 33 = noise 16, condition 16, mask 1 */
    int out_channels;           /* 16 */
    int patch;                  /* 2 */
    int time_freqs;             /* 256 */
    int windows[3];             /* 4, 3, 3 */
    float eps;                  /* 1e-5 */
    bool last_layer_video_only; /* 3B: no text modulation, no text MLP in the last block */
} svr_dit_config;

/* Names a kind for people: "VAE", "3B-type DiT", … */
const char *svr_model_kind_name(svr_model_kind kind);

/* Looks at the names; UNKNOWN when nothing fits. */
svr_model_kind svr_model_recognise(const svr_safetensors *file);

/* Errors: FORMAT, naming file and tensor; for a file of another kind it says what the file is. */
SVR_CHECKED svr_status svr_vae_config_read(const svr_safetensors *file, svr_vae_config *out,
                                           svr_error *err);
SVR_CHECKED svr_status svr_dit_config_read(const svr_safetensors *file, svr_dit_config *out,
                                           svr_error *err);

/* The published 3B or 7B transformer, and the VAE of both. */
svr_dit_config svr_dit_config_published(svr_model_kind kind);
svr_vae_config svr_vae_config_published(void);

/* 2^(stages-1) and 2^temporal_stages. */
int svr_vae_spatial_factor(const svr_vae_config *config);
int svr_vae_temporal_factor(const svr_vae_config *config);

/* True when block `layer` has separate text weights. */
bool svr_dit_is_split(const svr_dit_config *config, int layer);

/* True when text ends in this block: no modulation, no gate, no MLP. */
bool svr_dit_is_text_tail(const svr_dit_config *config, int layer);

#ifdef __cplusplus
}
#endif
#endif
