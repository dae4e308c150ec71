#include "vae/vae_state.h"

#include "backend/ops.h"
#include "base/checked.h"

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

/* The decoder's last layer carries what its earlier taps made, see vae_ends.c. */
static svr_status take_sums(vae_run *run, const vae_conv *conv, int64_t h, int64_t w,
                            svr_error *err)
{
    return svr_exec_alloc(run->exec, SVR_F32, SVR_DIMS(conv->kt - 1, h, w, conv->out * conv->kt),
                          &run->vae->state.carried[conv->state].head, err);
}

svr_status svr_vae_state_take(vae_run *run, const vae_half *half, const vae_step *step, int64_t h,
                              int64_t w, svr_error *err)
{
    switch (step->kind) {
    case VAE_STEP_OPEN:
        return take(run, &step->resnet->conv1, h, w, err);
    case VAE_STEP_CLOSE:
        return take(run, &step->resnet->conv2, h, w, err);
    case VAE_STEP_DOWN:
        return take(run, &step->block->rescale, h, w, err);
    case VAE_STEP_UP:
        return take_upsampler(run, step->block, h, w, err);
    case VAE_STEP_LEAVE:
        return take(run, &half->conv_out, h, w, err);
    case VAE_STEP_PICTURE:
        return take_sums(run, &half->conv_out, h, w, err);
    case VAE_STEP_ENTER:
    case VAE_STEP_ATTEND:
        break;
    }
    return SVR_OK;
}

svr_status svr_vae_state_begin(vae_run *run, int64_t frames, svr_error *err)
{
    vae_state *state = &run->vae->state;

    /* a run that failed left views of memory that is no longer ours */
    memset(state->carried, 0, (size_t) state->count * sizeof state->carried[0]);
    state->spare = state->moments = (svr_tensor){0};
    state->lent = NULL;
    state->known_of = NULL;
    return svr_exec_alloc(run->exec, SVR_F32, SVR_DIMS(frames, run->vae->config.norm_groups, 3),
                          &state->moments, err);
}

svr_tensor svr_vae_moments_for(vae_run *run, const svr_tensor *y)
{
    vae_state *state = &run->vae->state;

    state->known_of = y->data;
    state->known = svr_tensor_slice(&state->moments, 0, y->dims[0]);
    return state->known;
}

svr_tensor svr_vae_moments_of(vae_run *run, const svr_tensor *x)
{
    vae_state *state = &run->vae->state;
    bool known = state->known_of == x->data;

    state->known_of = NULL;
    return known ? state->known : (svr_tensor){0};
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
    vae_carried carried;

    if (conv->state < 0 || state->first)
        return (vae_carried){0};
    carried = state->carried[conv->state];
    if (!carried.starts)
        return carried;
    if (svr_tensor_present(&carried.recent))
        return (vae_carried){.head = carried.recent, .starts = true};
    carried.head = svr_tensor_slice(&carried.head, carried.head.dims[0] - 1, 1);
    return carried;
}

static svr_status copy_frames(vae_run *run, const svr_tensor *x, int64_t first,
                              const svr_tensor *dst, svr_error *err)
{
    svr_copy_args copy = {.src = svr_tensor_slice(x, first, dst->dims[0]), .dst = *dst};

    return svr_op_copy(run->exec, &copy, err);
}

/* Frame x becomes the newest, in the memory of the oldest. */
static svr_status add_frame(vae_run *run, const svr_tensor *x, vae_carried *carried, svr_error *err)
{
    svr_tensor oldest = carried->head;

    if (!svr_tensor_present(&carried->recent))
        return copy_frames(run, x, 0, &carried->head, err);
    carried->starts = run->vae->state.first;
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
    carried->starts = false;
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
    carried->starts = state->first;
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

static bool lies_in(const svr_tensor *t, const svr_tensor *whole)
{
    const char *start = whole->data, *at = t->data;

    return svr_tensor_present(whole) && at >= start && at < start + svr_tensor_bytes(whole);
}

void svr_vae_give(vae_run *run, svr_tensor *t)
{
    vae_state *state = &run->vae->state;

    if (!svr_tensor_present(t))
        return;
    if (t->data == state->lent) {
        state->spare = *t;
        state->lent = NULL;
    } else if (!lies_in(t, &state->parked[0]) && !lies_in(t, &state->parked[1])) {
        svr_exec_free(run->exec, t);
    }
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
