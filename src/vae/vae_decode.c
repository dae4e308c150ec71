/* The decoder, stage by stage: latent -> [mid, block 0] -> [upsampler 0, block 1] -> … -> picture.
 *
 * A stage works on pieces of the frames that it gets and hands each result on at once, so the wide
 * stages near the picture hold a frame or two while the narrow ones near the latent fill the device
 * with many.  What a stage carries from piece to piece is its own affair: `first` and `last` of the
 * state speak of the stage at work. */
#include "vae/vae_internal.h"

#include "base/checked.h"

/* A clip on its way. */
typedef struct decoding {
    vae_run *run;
    const svr_vae_cut *cut;
    const svr_tensor *z, *y;
    int64_t done; /* frames of y */
} decoding;

/* Values of the widest activation that one input frame of [.,h,w,.] leads to in a stage. */
static int64_t frame_values(const vae_run *run, int stage, int64_t h, int64_t w)
{
    const vae_half *half = &run->vae->decoder;
    const vae_conv *widest = &half->blocks[stage].resnets[0].conv1;
    int64_t scale = 1;

    if (stage > 0)
        scale = half->blocks[stage - 1].temporal ? 8 : 4;
    return scale * h * w * (widest->in > widest->out ? widest->in : widest->out);
}

/* Input frames of a stage at a time; the clip's first piece may have `*extra` more. */
static int64_t stage_step(const decoding *d, int stage, const svr_tensor *in, int64_t *extra)
{
    int64_t step = d->cut->slice_frames / svr_vae_temporal_factor(&d->run->vae->config);
    int64_t values = frame_values(d->run, stage, in->dims[1], in->dims[2]);

    *extra = 0;
    /* what is carried would be more than two latent frames are whole */
    if (d->cut->piece_values > 0 && d->z->dims[0] > 2)
        return svr_max_i64(1, d->cut->piece_values / values);
    if (stage > 0 || step == 0)
        return in->dims[0];
    *extra = 1;
    return step;
}

/* Frames [a, b) of the stage's input, computed: the result, made here. */
static svr_status compute_piece(decoding *d, int stage, const svr_tensor *in, int64_t a, int64_t b,
                                svr_tensor *h, svr_error *err)
{
    vae_run *run = d->run;
    const vae_half *half = &run->vae->decoder;

    if (stage == 0) {
        vae_input input = svr_vae_clip_frames(in, &half->conv_in, a, b);

        SVR_TRY(svr_vae_enter(run, half, &input, h, err));
        SVR_TRY(svr_vae_mid(run, &half->mid, h, err));
    } else {
        svr_tensor x = svr_tensor_slice(in, a, b - a);

        SVR_TRY(svr_vae_upsample(run, &half->blocks[stage - 1], &x, h, err));
    }
    for (int i = 0; i < half->blocks[stage].resnet_count; i++)
        SVR_TRY(svr_vae_resnet(run, &half->blocks[stage].resnets[i], h, err));
    return SVR_OK;
}

/* Weights [K,kt,..] as those of K*kt outputs that see one frame. */
static svr_tensor taps_apart(const svr_tensor *w)
{
    svr_tensor apart = *w;

    apart.dims[0] *= w->dims[1];
    apart.dims[1] = 1;
    return apart;
}

/* sums [T,H,W,K*kt] F32, made here: what each temporal tap of conv_out makes of each frame of x. */
static svr_status spatial_products(vae_run *run, const svr_tensor *x, svr_tensor *sums,
                                   svr_error *err)
{
    const vae_conv *conv = &run->vae->decoder.conv_out;
    const int64_t *d = x->dims;
    svr_tensor w = svr_store_tensor(run->vae->store, conv->weight);
    svr_conv3d_args args = {.x = *x,
                            .w = taps_apart(&w),
                            .stride_t = 1,
                            .stride_s = 1,
                            .pad_top = 1,
                            .pad_bottom = 1,
                            .pad_left = 1,
                            .pad_right = 1};

    SVR_TRY(
        svr_exec_alloc(run->exec, SVR_F32, SVR_DIMS(d[0], d[1], d[2], args.w.dims[0]), sums, err));
    args.y = *sums;
    return svr_op_conv3d(run->exec, &args, err);
}

/* Frames of y for what was decoded, as far as they are wanted. */
static svr_status write_frames(decoding *d, const svr_tensor *sums, const svr_tensor *head,
                               svr_error *err)
{
    const vae_conv *conv = &d->run->vae->decoder.conv_out;
    int64_t wanted = svr_min_i64(sums->dims[0], d->y->dims[0] - d->done);
    svr_tap_sum_args add = {.head = *head, .b = svr_store_tensor(d->run->vae->store, conv->bias)};

    if (wanted <= 0)
        return SVR_OK;
    add.s = svr_tensor_slice(sums, 0, wanted);
    add.y = svr_tensor_slice(d->y, d->done, wanted);
    d->done += wanted;
    return svr_op_tap_sum(d->run->exec, &add, err);
}

/* The picture of the last stage's result, which is used up.  The last convolution is split: three
 * outputs a temporal tap fill the hardware better than three, and what it has to carry over is a
 * few channels instead of all inputs. */
static svr_status write_picture(decoding *d, svr_tensor *h, svr_error *err)
{
    vae_run *run = d->run;
    const vae_half *half = &run->vae->decoder;
    svr_tensor sums;
    vae_input input;

    SVR_TRY(svr_vae_tap(run, half->blocks[run->vae->config.stages - 1].tap, h, err));
    SVR_TRY(svr_exec_poll(run->exec, err));
    SVR_TRY(svr_vae_norm_consume(run, &half->norm_out, &half->conv_out, h, &input, err));
    SVR_TRY(svr_vae_state_tap(run, &half->conv_out, &input.x, err));
    SVR_TRY(spatial_products(run, &input.x, &sums, err));
    svr_exec_free(run->exec, &input.x);
    SVR_TRY(write_frames(d, &sums, &input.before.head, err));
    SVR_TRY(svr_vae_sums_keep(run, &half->conv_out, &sums, err));
    svr_exec_free(run->exec, &sums);
    return SVR_OK;
}

/* One stage at work on all or some frames of a clip. */
typedef struct stage_input {
    const svr_tensor *frames;
    int stage;
    bool first, last; /* of the clip */
} stage_input;

/* One stage below the other, as deep as there are blocks. */
static svr_status run_stage(decoding *d, const stage_input *in,
                            svr_error *err) /* NOLINT(misc-no-recursion) */
{
    vae_state *state = &d->run->vae->state;
    int64_t frames = in->frames->dims[0], extra,
            step = stage_step(d, in->stage, in->frames, &extra);

    for (int64_t a = 0, b; a < frames; a = b) {
        svr_tensor h;
        stage_input next = {.frames = &h, .stage = in->stage + 1};

        b = svr_min_i64(frames, a + step + (a == 0 ? extra : 0));
        next.first = state->first = in->first && a == 0;
        next.last = state->last = in->last && b == frames;
        SVR_TRY(compute_piece(d, in->stage, in->frames, a, b, &h, err));
        if (next.stage == d->run->vae->config.stages) {
            SVR_TRY(write_picture(d, &h, err));
            continue;
        }
        SVR_TRY(run_stage(d, &next, err));
        svr_exec_free(d->run->exec, &h);
    }
    return SVR_OK;
}

/* Sizes of the frames that stage `stage` makes of frames like `in`. */
static void grow(const decoding *d, int stage, svr_tensor *in)
{
    if (stage == 0)
        return;
    in->dims[0] = d->run->vae->decoder.blocks[stage - 1].temporal ? 2 * in->dims[0] : in->dims[0];
    in->dims[1] *= 2;
    in->dims[2] *= 2;
}

/* Most frames that a stage has in hand. */
static int64_t most_frames(const decoding *d)
{
    svr_tensor in = *d->z;
    int64_t most = 1;

    for (int stage = 0; stage < d->run->vae->config.stages; stage++) {
        int64_t extra, step = stage_step(d, stage, &in, &extra);

        in.dims[0] = svr_min_i64(in.dims[0], step + extra);
        grow(d, stage, &in);
        most = svr_max_i64(most, in.dims[0]);
    }
    return most;
}

/* Memory for what the stages carry; a stage that gets the clip in one piece carries nothing. */
static svr_status take_state(decoding *d, svr_error *err)
{
    svr_tensor in = *d->z;
    bool cut = false;

    SVR_TRY(svr_vae_state_begin(d->run, false, most_frames(d), err));
    for (int stage = 0; stage < d->run->vae->config.stages; stage++) {
        int64_t extra, step = stage_step(d, stage, &in, &extra);

        cut = cut || in.dims[0] > step + extra;
        if (cut)
            SVR_TRY(svr_vae_state_take_stage(d->run, stage, in.dims[1], in.dims[2], err));
        grow(d, stage, &in);
    }
    d->run->vae->state.sliced = cut;
    return SVR_OK;
}

svr_status svr_vae_decode_clip(vae_run *run, const svr_vae_cut *cut, const svr_tensor *z,
                               const svr_tensor *y, svr_error *err)
{
    decoding d = {run, cut, z, y, 0};
    stage_input all = {.frames = z, .first = true, .last = true};

    SVR_TRY(take_state(&d, err));
    SVR_TRY(run_stage(&d, &all, err));
    svr_vae_state_end(run);
    return SVR_OK;
}
