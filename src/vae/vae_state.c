#include "base/checked.h"
#include "vae/vae_internal.h"

#include <string.h>

/* Frames that a convolution carries over: what its kernel reads beyond its stride. */
static int64_t carried_frames(const vae_conv *conv)
{
    return conv->kt - conv->stride_t;
}

/* Frames [frames,h,w,channels]. */
static svr_status take_frames(vae_run *run, const int64_t dims[4], svr_tensor *out, svr_error *err)
{
    return svr_exec_alloc(run->exec, run->storage, 4, dims, out, err);
}

static svr_status take(vae_run *run, const vae_conv *conv, int64_t h, int64_t w, svr_error *err)
{
    const int64_t dims[4] = {1, h, w, conv->in};
    vae_carried *carried;

    if (conv->state < 0)
        return SVR_OK;
    carried = &run->vae->state.carried[conv->state];
    SVR_TRY(take_frames(run, dims, &carried->head, err));
    return carried_frames(conv) == 2 ? take_frames(run, dims, &carried->recent, err) : SVR_OK;
}

/* An upsampler carries what its two high-resolution frames are made of. */
static svr_status take_upsampler(vae_run *run, const vae_block *block, int64_t h, int64_t w,
                                 svr_error *err)
{
    const int64_t dims[4] = {block->temporal ? 1 : 2, h, w, block->upscale.in};

    return take_frames(run, dims, &run->vae->state.carried[block->rescale.state].head, err);
}

/* The decoder's last layer carries what its earlier taps made, see vae_decode.c; and its stage has
 * the spare memory. */
static svr_status take_last(vae_run *run, int64_t h, int64_t w, svr_error *err)
{
    const vae_conv *conv = &run->vae->decoder.conv_out;
    vae_state *state = &run->vae->state;
    const int64_t dims[4] = {1, h, w, conv->in};

    SVR_TRY(take_frames(run, dims, &state->spare, err));
    return svr_exec_alloc(run->exec, SVR_F32, SVR_DIMS(conv->kt - 1, h, w, conv->out * conv->kt),
                          &state->carried[conv->state].head, err);
}

static svr_status take_resnet(vae_run *run, const vae_resnet *r, int64_t h, int64_t w,
                              svr_error *err)
{
    SVR_TRY(take(run, &r->conv1, h, w, err));
    return take(run, &r->conv2, h, w, err);
}

static svr_status take_mid(vae_run *run, const vae_mid *mid, int64_t h, int64_t w, svr_error *err)
{
    SVR_TRY(take_resnet(run, &mid->first, h, w, err));
    return take_resnet(run, &mid->second, h, w, err);
}

static svr_status take_resnets(vae_run *run, const vae_block *block, int64_t h, int64_t w,
                               svr_error *err)
{
    for (int i = 0; i < block->resnet_count; i++)
        SVR_TRY(take_resnet(run, &block->resnets[i], h, w, err));
    return SVR_OK;
}

svr_status svr_vae_state_begin(vae_run *run, bool sliced, int64_t frames, svr_error *err)
{
    vae_state *state = &run->vae->state;

    /* a run that failed left views of memory that is no longer ours */
    memset(state->carried, 0, (size_t) state->count * sizeof state->carried[0]);
    state->spare = state->moments = (svr_tensor){0};
    state->lent = NULL;
    state->moments_of = NULL;
    state->sliced = sliced;
    state->first = true;
    state->last = !sliced;
    return svr_exec_alloc(run->exec, SVR_F32, SVR_DIMS(frames, run->vae->config.norm_groups, 3),
                          &state->moments, err);
}

svr_tensor svr_vae_moments_for(vae_run *run, const svr_tensor *y)
{
    run->vae->state.moments_of = y->data;
    return svr_tensor_slice(&run->vae->state.moments, 0, y->dims[0]);
}

svr_tensor svr_vae_moments_of(vae_run *run, const svr_tensor *x)
{
    vae_state *state = &run->vae->state;
    bool known = state->moments_of == x->data;

    state->moments_of = NULL;
    return known ? svr_tensor_slice(&state->moments, 0, x->dims[0]) : (svr_tensor){0};
}

svr_status svr_vae_state_take_encoder(vae_run *run, int64_t h, int64_t w, svr_error *err)
{
    const vae_half *half = &run->vae->encoder;

    for (int i = 0; i < run->vae->config.stages; i++) {
        const vae_block *block = &half->blocks[i];

        SVR_TRY(take_resnets(run, block, h, w, err));
        if (!block->rescales)
            continue;
        SVR_TRY(take(run, &block->rescale, h, w, err));
        h /= 2;
        w /= 2;
    }
    SVR_TRY(take_mid(run, &half->mid, h, w, err));
    return take(run, &half->conv_out, h, w, err);
}

svr_status svr_vae_state_take_stage(vae_run *run, int stage, int64_t h, int64_t w, svr_error *err)
{
    const vae_half *half = &run->vae->decoder;

    if (stage == 0) {
        SVR_TRY(take_mid(run, &half->mid, h, w, err));
    } else {
        SVR_TRY(take_upsampler(run, &half->blocks[stage - 1], h, w, err));
        h *= 2;
        w *= 2;
    }
    SVR_TRY(take_resnets(run, &half->blocks[stage], h, w, err));
    return stage == run->vae->config.stages - 1 ? take_last(run, h, w, err) : SVR_OK;
}

void svr_vae_state_end(vae_run *run)
{
    vae_state *state = &run->vae->state;

    svr_exec_free(run->exec, &state->spare);
    svr_exec_free(run->exec, &state->moments);
    for (int i = 0; i < state->count; i++) {
        svr_exec_free(run->exec, &state->carried[i].head);
        svr_exec_free(run->exec, &state->carried[i].recent);
    }
}

vae_carried svr_vae_carried(const vae_run *run, const vae_conv *conv)
{
    const vae_state *state = &run->vae->state;

    return conv->state < 0 || state->first ? (vae_carried){0} : state->carried[conv->state];
}

static svr_status copy_frames(vae_run *run, const svr_tensor *x, int64_t first,
                              const svr_tensor *dst, svr_error *err)
{
    svr_copy_args copy = {.src = svr_tensor_slice(x, first, dst->dims[0]), .dst = *dst};

    return svr_op_copy(run->exec, &copy, err);
}

/* Frame x becomes the newest, in the memory of the oldest; at the clip's start it counts for the
 * one before as well. */
static svr_status add_frame(vae_run *run, const svr_tensor *x, vae_carried *carried, svr_error *err)
{
    svr_tensor oldest = carried->head;

    if (!svr_tensor_present(&carried->recent))
        return copy_frames(run, x, 0, &carried->head, err);
    if (run->vae->state.first)
        SVR_TRY(copy_frames(run, x, 0, &carried->recent, err));
    carried->head = carried->recent;
    carried->recent = oldest;
    return copy_frames(run, x, 0, &carried->recent, err);
}

svr_status svr_vae_state_tap(vae_run *run, const vae_conv *conv, const svr_tensor *x,
                             svr_error *err)
{
    int64_t want = carried_frames(conv), have = x->dims[0];
    svr_tensor last;

    if (!run->exec->tap || !run->vae->state.first || run->vae->state.last || have < want)
        return SVR_OK;
    last = svr_tensor_slice(x, have - want, want);
    return svr_exec_tap(run->exec, conv->tap, &last, err);
}

svr_status svr_vae_state_keep(vae_run *run, const vae_conv *conv, const svr_tensor *x,
                              svr_error *err)
{
    const vae_state *state = &run->vae->state;
    vae_carried *carried;
    int64_t last = x->dims[0] - 1;

    if (conv->state < 0 || state->last)
        return SVR_OK;
    SVR_TRY(svr_vae_state_tap(run, conv, x, err));
    carried = &state->carried[conv->state];
    if (last == 0)
        return add_frame(run, x, carried, err);
    if (!svr_tensor_present(&carried->recent))
        return copy_frames(run, x, last, &carried->head, err);
    SVR_TRY(copy_frames(run, x, last - 1, &carried->head, err));
    return copy_frames(run, x, last, &carried->recent, err);
}

svr_status svr_vae_state_exchange(vae_run *run, const vae_conv *conv, svr_tensor *x, svr_error *err)
{
    vae_state *state = &run->vae->state;
    vae_carried *carried;
    svr_tensor oldest;

    if (conv->state < 0 || state->last || x->dims[0] != 1 || x->data != state->lent)
        return svr_vae_state_keep(run, conv, x, err);
    carried = &state->carried[conv->state];
    if (!svr_tensor_same_shape(x, &carried->recent))
        return svr_vae_state_keep(run, conv, x, err);
    if (state->first) /* the first frame counts for the one before as well */
        SVR_TRY(copy_frames(run, x, 0, &carried->recent, err));
    oldest = carried->head;
    carried->head = carried->recent;
    carried->recent = *x;
    *x = oldest;
    state->lent = oldest.data;
    return SVR_OK;
}

svr_status svr_vae_take(vae_run *run, const int64_t dims[4], svr_tensor *out, svr_error *err)
{
    vae_state *state = &run->vae->state;
    svr_tensor wanted = {.data = state->spare.data, .dtype = run->storage, .rank = 4};

    memcpy(wanted.dims, dims, 4 * sizeof dims[0]);
    if (!svr_tensor_present(&state->spare) ||
        svr_tensor_bytes(&wanted) != svr_tensor_bytes(&state->spare))
        return take_frames(run, dims, out, err);
    *out = wanted;
    state->lent = wanted.data;
    state->spare = (svr_tensor){0};
    return SVR_OK;
}

void svr_vae_give(vae_run *run, svr_tensor *t)
{
    vae_state *state = &run->vae->state;

    if (!svr_tensor_present(t) || t->data != state->lent) {
        svr_exec_free(run->exec, t);
        return;
    }
    state->spare = *t;
    state->lent = NULL;
    *t = (svr_tensor){0};
}

/* The last frames of head and x go to head.  At the clip's start what would be before x are repeats
 * of its first frame, as in its padding. */
static svr_status keep_behind(vae_run *run, const svr_tensor *x, const svr_tensor *head,
                              svr_error *err)
{
    int64_t want = head->dims[0], have = svr_min_i64(x->dims[0], want);

    for (int64_t i = 0; i < want - have; i++) {
        svr_tensor older = svr_tensor_slice(head, i, 1);

        SVR_TRY(run->vae->state.first ? copy_frames(run, x, 0, &older, err)
                                      : copy_frames(run, head, i + have, &older, err));
    }
    svr_tensor newer = svr_tensor_slice(head, want - have, have);
    return copy_frames(run, x, x->dims[0] - have, &newer, err);
}

svr_status svr_vae_upsample_keep(vae_run *run, const vae_block *block, const svr_tensor *x,
                                 svr_error *err)
{
    const vae_state *state = &run->vae->state;
    vae_carried *carried = &state->carried[block->rescale.state];

    if (state->last)
        return SVR_OK;
    carried->starts = state->first && x->dims[0] == 1;
    return keep_behind(run, x, &carried->head, err);
}

svr_status svr_vae_sums_keep(vae_run *run, const vae_conv *conv, const svr_tensor *sums,
                             svr_error *err)
{
    const vae_state *state = &run->vae->state;

    return state->last ? SVR_OK : keep_behind(run, sums, &state->carried[conv->state].head, err);
}
