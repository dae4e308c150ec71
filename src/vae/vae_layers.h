/* The layers of both halves as ids of weights, and the steps that a half is a list of.  Level 4.
 * Thread: the one that computes. */
#ifndef SVR_VAE_VAE_LAYERS_H
#define SVR_VAE_VAE_LAYERS_H

#include "vae/vae.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { VAE_KERNEL = 3 };

typedef struct vae_norm {
    int gamma, beta; /* store ids */
    int index;       /* among the norms of its half */
} vae_norm;

typedef struct vae_conv {
    int weight, bias; /* store ids */
    int64_t in, out;  /* channels */
    int kt, ks;       /* kernel in time and space: 1 or 3 */
    int stride_t, stride_s;
    bool normed;     /* a norm of the result follows: its statistics are made here */
    int state;       /* index into vae_state.carried, -1: nothing to remember */
    const char *tap; /* name under which the memory is shown; NULL without one */
} vae_conv;

typedef struct vae_resnet {
    vae_norm norm1, norm2;
    vae_conv conv1, conv2;
    vae_conv shortcut; /* where the number of channels changes */
    bool has_shortcut;
} vae_resnet;

typedef struct vae_linear {
    int weight, bias;
} vae_linear;

typedef struct vae_attention {
    bool active; /* false: adds exactly nothing, left out */
    vae_norm norm;
    vae_linear q, k, v, out;
} vae_attention;

typedef struct vae_mid {
    vae_resnet first, second;
    vae_attention attention;
    const char *tap;
} vae_mid;

/* A down block (resnets, then down) or an up block (resnets, then upscale, shuffle, conv). */
typedef struct vae_block {
    int resnet_count;
    vae_resnet *resnets;
    bool rescales, temporal; /* space by 2; time too */
    vae_conv upscale;        /* decoder only */
    /* the strided convolution, or the one behind the shuffle, whose state is what `upscale` reads
     */
    vae_conv rescale;
    const char *tap;
} vae_block;

/* What a half is a list of.  A resnet is two steps, so that memory can be cut between them. */
typedef enum vae_step_kind {
    VAE_STEP_ENTER,   /* conv_in of the clip */
    VAE_STEP_OPEN,    /* resnet: h = conv1(silu(norm1(x))), and x or its shortcut as residual */
    VAE_STEP_CLOSE,   /* resnet: residual + conv2(silu(norm2(h))) */
    VAE_STEP_ATTEND,  /* attention, in place */
    VAE_STEP_DOWN,    /* strided convolution */
    VAE_STEP_UP,      /* upsampler */
    VAE_STEP_LEAVE,   /* encoder: norm and conv_out, to the moments */
    VAE_STEP_PICTURE, /* decoder: the same, to the picture */
} vae_step_kind;

typedef struct vae_step {
    vae_step_kind kind;
    int stage; /* steps of one stage work at one resolution */
    const vae_resnet *resnet;
    const vae_attention *attention;
    const vae_block *block;
    const char *tap; /* name of the result; NULL without one */
} vae_step;

/* Encoder or decoder. */
typedef struct vae_half {
    int group; /* of the store */
    vae_conv conv_in, conv_out;
    const char *tap_conv_in;
    vae_norm norm_out;
    vae_mid mid;
    vae_block blocks[SVR_VAE_MAX_STAGES];
    vae_step *steps;
    int step_count, norm_count;
} vae_half;

/* Declares all items of the store and lists the steps of both halves. */
svr_status svr_vae_declare(svr_vae *vae, svr_error *err);

/* Lists the steps of both halves and takes memory for plans. */
svr_status svr_vae_list_steps(svr_vae *vae, svr_error *err);

#ifdef __cplusplus
}
#endif
#endif
