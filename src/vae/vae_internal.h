/* Inside of the VAE: its layers as ids of weights, the state of a clip cut into slices, and the
 * steps that the passes are made of.  Level 4.  Thread: the one that computes.
 *
 * Ownership of activations: a function that takes `svr_tensor *x` from scratch memory either
 * replaces it by its result (and frees the old one) or says otherwise. */
#ifndef SVR_VAE_VAE_INTERNAL_H
#define SVR_VAE_VAE_INTERNAL_H

#include "backend/ops.h"
#include "base/arena.h"
#include "vae/vae.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { VAE_KERNEL = 3 };

typedef struct vae_norm {
    int gamma, beta; /* store ids */
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

/* Encoder or decoder. */
typedef struct vae_half {
    int group; /* of the store */
    vae_conv conv_in, conv_out;
    const char *tap_conv_in;
    vae_norm norm_out;
    vae_mid mid;
    vae_block blocks[SVR_VAE_MAX_STAGES];
} vae_half;

/* The last input frames of a convolution, scratch memory.  A 3x3x3 convolution has one in each, so
 * that a piece of one frame costs one copy; others have all in head. */
typedef struct vae_carried {
    svr_tensor head, recent;
    bool starts; /* of an upsampler: frame 0 of the clip and nothing else has been there */
} vae_carried;

/* Memory of the temporal convolutions while a clip runs in slices. */
typedef struct vae_state {
    vae_carried *carried; /* [count] */
    int count;
    /* memory like that of the last stage's carried frames, for the frame that a convolution is fed
     * and that changes places with the oldest carried one; empty while it is lent */
    svr_tensor spare;
    void *lent;
    /* [frames in hand, groups, 3] F32, scratch memory: statistics of the activation at
     * moments_of, until something changes it */
    svr_tensor moments;
    const void *moments_of;
    bool sliced;      /* false: one piece, nothing is remembered */
    bool first, last; /* slice of the clip */
} vae_state;

struct svr_vae {
    svr_vae_config config;
    svr_store *store;
    svr_arena *arena; /* names and resnets */
    vae_half encoder, decoder;
    vae_state state;
};

/* One evaluation. */
typedef struct vae_run {
    svr_exec *exec;
    svr_vae *vae;
    svr_dtype storage;
} vae_run;

/* A convolution's input: `x`, scratch memory, and the frames before it (empty: none), borrowed. */
typedef struct vae_input {
    vae_carried before;
    svr_tensor x;
} vae_input;

/* ---- vae_layers.c: declares all items of the store */
svr_status svr_vae_declare(svr_vae *vae, svr_error *err);

/* ---- vae_state.c */

/* Starts a clip that carries nothing yet, of which up to `frames` frames are in hand at a time. */
svr_status svr_vae_state_begin(vae_run *run, bool sliced, int64_t frames, svr_error *err);

/* Where the statistics of y go, made by the op that makes y; and those of x, absent where nobody
 * made them. */
svr_tensor svr_vae_moments_for(vae_run *run, const svr_tensor *y);
svr_tensor svr_vae_moments_of(vae_run *run, const svr_tensor *x);

/* Takes memory for the frames that are carried from slice to slice, all at once and before any
 * activation: what stays then lies packed at one end.  Encoder: frames of h x w pixels; decoder: of
 * one stage, whose input frames are h x w. */
svr_status svr_vae_state_take_encoder(vae_run *run, int64_t h, int64_t w, svr_error *err);
svr_status svr_vae_state_take_stage(vae_run *run, int stage, int64_t h, int64_t w, svr_error *err);

/* Gives that memory back. */
void svr_vae_state_end(vae_run *run);

/* The frames carried for `conv`; empty at the clip's start and where nothing is carried. */
vae_carried svr_vae_carried(const vae_run *run, const vae_conv *conv);

/* Remembers the last frames of an input x for the next slice. */
svr_status svr_vae_state_keep(vae_run *run, const vae_conv *conv, const svr_tensor *x,
                              svr_error *err);

/* The same for an input that svr_vae_take() gave: in the spare memory, a single frame goes to the
 * state as it is, and x gets the memory of the oldest. */
svr_status svr_vae_state_exchange(vae_run *run, const vae_conv *conv, svr_tensor *x,
                                  svr_error *err);

/* Memory of frames: the spare one where it has this size, else new scratch; and back. */
svr_status svr_vae_take(vae_run *run, const int64_t dims[4], svr_tensor *out, svr_error *err);
void svr_vae_give(vae_run *run, svr_tensor *t);

/* Shows the last frames of the clip's first slice. */
svr_status svr_vae_state_tap(vae_run *run, const vae_conv *conv, const svr_tensor *x,
                             svr_error *err);

/* Remembers the last frames of the decoder's last products. */
svr_status svr_vae_sums_keep(vae_run *run, const vae_conv *conv, const svr_tensor *sums,
                             svr_error *err);

/* The same for an up block's upsampler, whose carried frames are of low resolution. */
svr_status svr_vae_upsample_keep(vae_run *run, const vae_block *block, const svr_tensor *x,
                                 svr_error *err);

/* ---- vae_steps.c: single layers */

/* y = conv(input) (+ residual); y is given.  Weights may have more rows than y has channels. */
svr_status svr_vae_conv(vae_run *run, const vae_conv *conv, const vae_input *input,
                        const svr_tensor *residual, const svr_tensor *y, svr_error *err);

/* The same with y made here and the input freed; remembers what the next slice needs. */
svr_status svr_vae_conv_consume(vae_run *run, const vae_conv *conv, vae_input *input, svr_tensor *y,
                                svr_error *err);

/* input = silu(norm(x)) for `conv`; x stays. */
svr_status svr_vae_norm(vae_run *run, const vae_norm *norm, const vae_conv *conv,
                        const svr_tensor *x, vae_input *input, svr_error *err);

/* The same in place: x is used up. */
svr_status svr_vae_norm_consume(vae_run *run, const vae_norm *norm, const vae_conv *conv,
                                svr_tensor *x, vae_input *input, svr_error *err);

/* ---- vae_blocks.c: x becomes the result */
svr_status svr_vae_resnet(vae_run *run, const vae_resnet *resnet, svr_tensor *x, svr_error *err);
svr_status svr_vae_mid(vae_run *run, const vae_mid *mid, svr_tensor *x, svr_error *err);
svr_status svr_vae_down_block(vae_run *run, const vae_block *block, svr_tensor *x, svr_error *err);

/* y, made here = x in twice the size; with time doubled, the clip's first frame counts once.  x
 * stays. */
svr_status svr_vae_upsample(vae_run *run, const vae_block *block, const svr_tensor *x,
                            svr_tensor *y, svr_error *err);

/* Shows x to the tap when the clip runs whole. */
svr_status svr_vae_tap(vae_run *run, const char *name, const svr_tensor *x, svr_error *err);

/* ---- vae.c: first and last layers, shared by both halves */

/* Frames [first, end) of a clip; the frames in front of them are what the first layer carries. */
vae_input svr_vae_clip_frames(const svr_tensor *clip, const vae_conv *conv_in, int64_t first,
                              int64_t end);

/* First layer: h = conv_in(input); the input stays the caller's. */
svr_status svr_vae_enter(vae_run *run, const vae_half *half, const vae_input *input, svr_tensor *h,
                         svr_error *err);

/* Last layers: y = conv_out(silu(norm(h))); h is used up. */
svr_status svr_vae_leave(vae_run *run, const vae_half *half, svr_tensor *h, const svr_tensor *y,
                         svr_error *err);

/* ---- vae.c, vae_decode.c: a whole clip or tile */
svr_status svr_vae_encode_clip(vae_run *run, const svr_vae_cut *cut, const svr_tensor *x,
                               const svr_tensor *moments, svr_error *err);
svr_status svr_vae_decode_clip(vae_run *run, const svr_vae_cut *cut, const svr_tensor *z,
                               const svr_tensor *y, svr_error *err);

/* ---- vae_tiled.c */
bool svr_vae_encode_needs_tiles(const svr_vae *vae, const svr_vae_cut *cut, const svr_tensor *x);
bool svr_vae_decode_needs_tiles(const svr_vae *vae, const svr_vae_cut *cut, const svr_tensor *z);
svr_status svr_vae_encode_tiled(vae_run *run, const svr_vae_cut *cut, const svr_tensor *x,
                                const svr_tensor *moments, svr_error *err);
svr_status svr_vae_decode_tiled(vae_run *run, const svr_vae_cut *cut, const svr_tensor *z,
                                const svr_tensor *y, svr_error *err);

#ifdef __cplusplus
}
#endif
#endif
