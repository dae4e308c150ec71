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

/* What goes from step to step: an activation, and between the two steps of a resnet its residual.
 */
typedef struct vae_frames {
    svr_tensor x, residual;
} vae_frames;

/* Consecutive steps that work on the same pieces of a clip. */
typedef struct vae_segment {
    int first, end;  /* steps */
    int64_t in, out; /* frames of the whole clip in front of it and behind */
    int64_t most;    /* frames that it takes at a time; two where time is halved and this is 1 */
    int64_t extra;   /* and so many more of the clip's first ones */
    bool halves;     /* time, in its last step */
    bool doubles;    /* time, in its first step */
    bool cut;        /* sees the clip in several pieces, so it carries frames over */
    bool starts_sweep;
    bool banded; /* a sweep of its own that reads bands of rows of parked frames */

    /* while a clip runs: frames taken so far; encoder: frames made, and still owed to who asked
     * last; decoder: what the segment before made and how many frames of it are used up */
    int64_t taken, made, owed;
    svr_tensor held;
    int64_t used;
    svr_tensor moments; /* encoder: statistics of an input that is put together from pieces */
} vae_segment;

/* How a clip goes through a half, or through steps [first, end) of one. */
typedef struct vae_plan {
    int first, end;
    int64_t (*dims)[4];    /* [steps + 1]: of the whole clip's activation in front of each step */
    vae_segment *segments; /* [steps] */
    int count;             /* of segments */
    int64_t slice;         /* latent frames of a slice; the clip's first has one more; 0: all */
    bool *breaks;          /* [steps]: a sweep begins here */
    int64_t *cost;         /* [steps + 1]: values parked in front of each step */
    int64_t *widest;       /* [steps + 1]: most that a sweep before it holds */
    int *from;             /* [steps + 1]: where the sweep that ends there begins */
    /* [host_slots] places for views of parked frames, half of them for a sweep's source and half
     * for its target, in turn */
    svr_tensor *host_frames;
    size_t host_slots;
    bool upper;
} vae_plan;

/* The last input frames of a convolution, scratch memory.  A 3x3x3 convolution has one in each, so
 * that a piece of one frame costs one copy; others have all in head.  Where the clip's frame 0 is
 * all that has been there (`starts`), it is the last of them. */
typedef struct vae_carried {
    svr_tensor head, recent;
    bool starts;
} vae_carried;

/* Memory of the temporal convolutions while a clip runs in pieces. */
typedef struct vae_state {
    vae_carried *carried; /* [count] */
    int count;
    /* memory like that of the widest carried frames that come one by one, for the frame that a
     * convolution is fed and that changes places with the oldest carried one; empty while it is
     * lent */
    svr_tensor spare;
    void *lent;
    /* [frames in hand, groups, 3] F32, scratch memory: for statistics of an activation; `known` are
     * those of the one at known_of, until something changes it */
    svr_tensor moments, known;
    const void *known_of;
    svr_tensor parked[2]; /* whose memory activations may lie in, but is not theirs to give back */
    bool sliced;          /* false: one piece, nothing is remembered */
    bool first, last;     /* piece of the clip, as the segment at work sees it */
} vae_state;

/* Frames [first, first + count) of a parked clip; of the `next` ones behind them, which are fetched
 * meanwhile, `late` ones without their residuals yet. */
typedef struct vae_range {
    int64_t first, count, next;
    bool late;
} vae_range;
/* How a frame [1,H,W,C] lies in 8 bits: its numbers [H,W,C], then the scales of their runs. */
typedef struct vae_packing {
    svr_dtype type; /* F32: it stays as it is, and nothing else here counts */
    svr_dtype storage;
    int64_t width, channels, runs; /* runs of a row */
    size_t scales, bytes;          /* where scales begin; of the whole */
} vae_packing;

/* A clip's activation between two sweeps. */
typedef struct vae_parked {
    bool on_host;
    int64_t frames;
    int64_t dims[2][4];     /* of x and residual; the latter's are 0 where there is none */
    vae_packing packing[2]; /* likewise */
    svr_tensor x, residual; /* on the device: the whole clip, scratch memory */
    /* on the host: frame by frame, as far as they have been put and not yet taken */
    svr_tensor *host_x, *host_residual;
    svr_tensor moments; /* [T,groups,3] F32, scratch memory: the statistics of x */
    bool has_moments;
    /* on the host only: frames that are on their way out, and those that are on their way in */
    vae_frames leaving, coming;
    svr_mark left[2], came; /* of x and residual */
    vae_range late;         /* what is coming without its residuals */
} vae_parked;

struct svr_vae {
    svr_vae_config config;
    svr_store *store;
    svr_arena *arena; /* names and resnets */
    vae_half encoder, decoder;
    vae_state state;
    vae_plan plan; /* of the clip at work */
};

/* One evaluation. */
typedef struct vae_run {
    svr_exec *exec;
    svr_vae *vae;
    svr_dtype storage;
    /* of the step at work: where its result goes (NULL: memory of its own), and whether the step
     * behind it follows at once */
    const vae_frames *place;
    bool goes_on;
    /* each may be NULL: the encoder's clip, to be given back when it is read; the decoder's
     * picture, which has no memory yet */
    svr_tensor *consumed, *made;
    int64_t at; /* number of the first frame in hand */
    /* of a tile, shared with the others (vae_shared.h); NULL: norms use those of their frames */
    struct vae_statistics *statistics;
} vae_run;

/* A clip on its way through a half. */
typedef struct vae_pass {
    vae_run *run;
    const vae_half *half;
    const svr_tensor *in;
    svr_tensor out; /* no memory: that of run->made */
    vae_plan *plan;
    bool decodes;
    bool keeps;    /* ends before the half does: the result stays parked on the device as it is */
    bool measures; /* the same, but the result is measured (vae_shared.h) and given up */
    const svr_vae_memory *memory;
    int end; /* segment behind the sweep at work */
    vae_parked source, target;
    int64_t done; /* frames of the sweep's result */
} vae_pass;

/* A convolution's input: `x`, scratch memory, and the frames before it (empty: none), borrowed. */
typedef struct vae_input {
    vae_carried before;
    svr_tensor x;
} vae_input;

/* ---- vae_layers.c: declares all items of the store */
svr_status svr_vae_declare(svr_vae *vae, svr_error *err);

/* ---- vae_list.c */

/* Lists the steps of both halves and takes memory for plans. */
svr_status svr_vae_list_steps(svr_vae *vae, svr_error *err);

/* ---- vae_plan.c */

/* Fills vae->plan for steps [range[0], range[1]) of a half, with `in` in front of them. */
void svr_vae_plan_clip(svr_vae *vae, const vae_half *half, const svr_vae_cut *cut,
                       const svr_tensor *in, const int range[2]);

/* Channels of a resnet's residual between its two steps. */
int64_t svr_vae_residual_channels(const vae_resnet *r);

/* ---- vae_state.c */

/* Starts a sweep that carries nothing yet, of which up to `frames` frames are in hand at a time. */
svr_status svr_vae_state_begin(vae_run *run, int64_t frames, svr_error *err);

/* Where the statistics of y go, made by the op that makes y; and those of x, absent where nobody
 * made them. */
svr_tensor svr_vae_moments_for(vae_run *run, const svr_tensor *y);
svr_tensor svr_vae_moments_of(vae_run *run, const svr_tensor *x);

/* Takes memory for the frames that a step carries from piece to piece, before any activation: what
 * stays then lies packed at one end.  The step's input frames are h x w. */
svr_status svr_vae_state_take(vae_run *run, const vae_half *half, const vae_step *step, int64_t h,
                              int64_t w, svr_error *err);

/* Gives all that memory back. */
void svr_vae_state_end(vae_run *run);

/* The frames carried for `conv`; empty at the clip's start and where nothing is carried. */
vae_carried svr_vae_carried(const vae_run *run, const vae_conv *conv);

/* Remembers the last frames of an input x for the next piece. */
svr_status svr_vae_state_keep(vae_run *run, const vae_conv *conv, const svr_tensor *x,
                              svr_error *err);

/* The same for an input that svr_vae_take() gave: in the spare memory, a single frame goes to the
 * state as it is, and x gets the memory of the oldest. */
svr_status svr_vae_state_exchange(vae_run *run, const vae_conv *conv, svr_tensor *x,
                                  svr_error *err);

/* Memory of frames: the spare one where it has this size, else new scratch. */
svr_status svr_vae_take(vae_run *run, const int64_t dims[4], svr_tensor *out, svr_error *err);

/* Gives an activation's memory back to whom it belongs and clears the view. */
void svr_vae_give(vae_run *run, svr_tensor *t);

/* Shows the last frames of the clip's first piece. */
svr_status svr_vae_state_tap(vae_run *run, const vae_conv *conv, const svr_tensor *x,
                             svr_error *err);

/* Remembers the last frames of the decoder's last products. */
svr_status svr_vae_sums_keep(vae_run *run, const vae_conv *conv, const svr_tensor *sums,
                             svr_error *err);

/* The same for an up block's upsampler, whose carried frames are of low resolution. */
svr_status svr_vae_upsample_keep(vae_run *run, const vae_block *block, const svr_tensor *x,
                                 svr_error *err);

/* ---- vae_steps.c: single layers */

/* Shows x to the tap when the clip runs whole; `name` may be NULL. */
svr_status svr_vae_tap(vae_run *run, const char *name, const svr_tensor *x, svr_error *err);

/* y = conv(input) (+ residual); y is given.  Weights may have more rows than y has channels. */
svr_status svr_vae_conv(vae_run *run, const vae_conv *conv, const vae_input *input,
                        const svr_tensor *residual, const svr_tensor *y, svr_error *err);

/* input = silu(norm(x)) for `conv`; x stays. */
svr_status svr_vae_norm(vae_run *run, const vae_norm *norm, const vae_conv *conv,
                        const svr_tensor *x, vae_input *input, svr_error *err);

/* The same in place: x is used up. */
svr_status svr_vae_norm_consume(vae_run *run, const vae_norm *norm, const vae_conv *conv,
                                svr_tensor *x, vae_input *input, svr_error *err);

/* ---- vae_blocks.c: steps; x becomes the result, at run->place */

/* The first half of a resnet's first step: x keeps the residual, `input` is what conv1 sees. */
svr_status svr_vae_split(vae_run *run, const vae_resnet *r, vae_frames *x, vae_input *input,
                         svr_error *err);

/* And the second: x gets conv1(input) beside the residual. */
svr_status svr_vae_open(vae_run *run, const vae_resnet *r, vae_input *input, vae_frames *x,
                        svr_error *err);
svr_status svr_vae_close(vae_run *run, const vae_resnet *r, vae_frames *x, svr_error *err);

/* In place, always. */
svr_status svr_vae_attend(vae_run *run, const vae_attention *a, const svr_tensor *x,
                          svr_error *err);
svr_status svr_vae_downsample(vae_run *run, const vae_block *block, vae_frames *x, svr_error *err);

/* Twice the size; with time doubled, the clip's first frame counts once.  The memory of the old x
 * stays the caller's. */
svr_status svr_vae_upsample(vae_run *run, const vae_block *block, vae_frames *x, svr_error *err);

/* ---- vae_ends.c: first and last layers */

/* h = conv_in of frames [range[0], range[1]) of a clip; the frames in front of them are what it
 * carries. */
svr_status svr_vae_enter(vae_run *run, const vae_half *half, const svr_tensor *clip,
                         const int64_t range[2], vae_frames *h, svr_error *err);

/* y = conv_out(silu(norm(h))); h is used up. */
svr_status svr_vae_leave(vae_run *run, const vae_half *half, svr_tensor *h, const svr_tensor *y,
                         svr_error *err);

/* The decoder's: y is as many of the first frames as are wanted, perhaps none. */
svr_status svr_vae_picture(vae_run *run, const vae_half *half, svr_tensor *h, const svr_tensor *y,
                           svr_error *err);

/* ---- vae_pack.c: frames in 8 bits */

/* The type of what is parked: F8_E4M3, I8, or F32 where it stays as it is. */
svr_dtype svr_vae_park_type(const svr_vae_memory *memory, svr_vae_parked what);

/* Of a frame [.,H,W,C]. */
vae_packing svr_vae_packing(svr_dtype type, svr_dtype storage, const int64_t dims[4]);

/* Views of `rows` rows of pixels from `first` on of a packed frame U8 [1,bytes]. */
typedef struct vae_packed {
    svr_tensor values, scales; /* as svr_quantize_runs_args has them */
} vae_packed;
vae_packed svr_vae_packed(const vae_packing *p, const svr_tensor *frame, int64_t first,
                          int64_t rows);

/* packed = x and back, frame by frame: x [T,H,W,C] storage, packed U8 [T,bytes]. */
svr_status svr_vae_pack(vae_run *run, const vae_packing *p, const svr_tensor *x,
                        const svr_tensor *packed, svr_error *err);
svr_status svr_vae_unpack(vae_run *run, const vae_packing *p, const svr_tensor *packed,
                          const svr_tensor *x, svr_error *err);

/* ---- vae_park.c: clips between sweeps */

/* Makes room to list clips of up to `frames` frames on the host. */
svr_status svr_vae_park_prepare(svr_vae *vae, int64_t frames, svr_error *err);

/* Takes memory for the activation in front of step `step` of the plan; on the host it is taken as
 * frames are put, and given back as they are taken. */
svr_status svr_vae_park_open(vae_run *run, const vae_half *half, int step,
                             const svr_vae_memory *memory, vae_parked *parked, svr_error *err);

/* Memory of frames [first, first + count) on the device, for the op that makes them; absent where
 * frames are packed, which then need memory of their own first. */
vae_frames svr_vae_park_place(const vae_parked *parked, int64_t first, int64_t count);

/* Puts frames at `first` and on, packed if wanted: to the host they are copied in the background,
 * on the device they are where svr_vae_park_place() said already.  Either tensor may be absent.  x
 * is cleared. */
svr_status svr_vae_park_put(vae_run *run, vae_parked *parked, int64_t first, vae_frames *x,
                            svr_error *err);

/* Frees what was put to the host so far; ops that use its memory wait for the copies. */
svr_status svr_vae_park_settle(vae_run *run, vae_parked *parked, svr_error *err);

/* x = a range of frames; from the host, those behind it are fetched meanwhile.  On the device the
 * memory stays the parked clip's. */
svr_status svr_vae_park_take(vae_run *run, vae_parked *parked, const vae_range *range,
                             vae_frames *x, svr_error *err);

/* Begins to bring in the residuals of what was fetched without them. */
svr_status svr_vae_park_fetch_late(vae_run *run, vae_parked *parked, svr_error *err);

/* Gives the host memory of frames back that no copy will read any more. */
void svr_vae_park_drop(vae_run *run, vae_parked *parked, int64_t first, int64_t count);

/* Gives the memory back, also of frames that were fetched in vain.  Accepts a zeroed one. */
svr_status svr_vae_park_close(vae_run *run, vae_parked *parked, svr_error *err);

/* ---- vae_pass.c: pieces and segments of a sweep */

/* Whether the sweep at work is not the last. */
static inline bool svr_vae_goes_on(const vae_pass *p)
{
    return p->end < p->plan->count;
}

/* Whether its result is parked. */
static inline bool svr_vae_parks(const vae_pass *p)
{
    return svr_vae_goes_on(p) || (p->keeps && !p->measures);
}

/* Frames that the end of the sweep asks for (encoder). */
int64_t svr_vae_demand(const vae_pass *p);

/* x = the segment's next piece, of up to `want` frames (encoder), at `place` if that is given. */
svr_status svr_vae_run_segment(vae_pass *p, int index, int64_t want, const vae_frames *place,
                               vae_frames *x, svr_error *err);

/* ---- vae_bands.c */

/* y, made here = frame t of the first step of a resnet that narrows, from what is parked. */
svr_status svr_vae_open_in_bands(vae_pass *p, const vae_resnet *r, int64_t t, vae_frames *y,
                                 svr_error *err);

/* ---- vae_sweeps.c: a whole clip or tile through a half */

/* Steps [range[0], range[1]) of p->half, of p->in or of what lies parked on the device in
 * p->source, to p->out or, where they end before the half does, to p->source. */
svr_status svr_vae_run_range(vae_pass *p, const svr_vae_cut *cut, const int range[2],
                             svr_error *err);

/* After a failure: ops that come may use all memory, so they wait for copies on their way. */
void svr_vae_let_copies_end(vae_run *run);

svr_status svr_vae_encode_clip(vae_run *run, const svr_vae_cut *cut, const svr_tensor *x,
                               const svr_tensor *moments, svr_error *err);
svr_status svr_vae_decode_clip(vae_run *run, const svr_vae_cut *cut, const svr_tensor *z,
                               const svr_tensor *y, svr_error *err);

/* ---- vae_tiled.c: tiles as the reference makes them */

/* Copies the window of in's frames that starts at corner[0], corner[1]. */
svr_status svr_vae_cut_window(vae_run *run, const svr_tensor *in, const int64_t corner[2],
                              const svr_tensor *out, svr_error *err);
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
