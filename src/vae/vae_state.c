#include "base/checked.h"
#include "vae/vae_internal.h"

#include <string.h>

/* Frames that a convolution carries over: what its kernel reads beyond its stride. */
static int64_t carried_frames(const vae_conv *conv)
{
    return conv->kt - conv->stride_t;
}

static svr_status take(vae_run *run, const vae_conv *conv, int64_t h, int64_t w, svr_error *err)
{
    if (conv->state < 0)
        return SVR_OK;
    return svr_exec_alloc(run->exec, run->storage, SVR_DIMS(carried_frames(conv), h, w, conv->in),
                          &run->vae->state.carried[conv->state], err);
}

/* An upsampler carries what its two high-resolution frames are made of. */
static svr_status take_upsampler(vae_run *run, const vae_block *block, int64_t h, int64_t w,
                                 svr_error *err)
{
    return svr_exec_alloc(run->exec, run->storage,
                          SVR_DIMS(block->temporal ? 1 : 2, h, w, block->upscale.in),
                          &run->vae->state.carried[block->rescale.state], err);
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

/* Everything at once and before any activation: memory that stays then lies packed at one end. */
static svr_status take_all(vae_run *run, const vae_half *half, int64_t h, int64_t w, svr_error *err)
{
    bool encoder = half->group == SVR_VAE_GROUP_ENCODER;

    if (!encoder)
        SVR_TRY(take_mid(run, &half->mid, h, w, err));
    for (int i = 0; i < run->vae->config.stages; i++) {
        const vae_block *block = &half->blocks[i];

        for (int j = 0; j < block->resnet_count; j++)
            SVR_TRY(take_resnet(run, &block->resnets[j], h, w, err));
        if (!block->rescales)
            continue;
        SVR_TRY(encoder ? take(run, &block->rescale, h, w, err)
                        : take_upsampler(run, block, h, w, err));
        h = encoder ? h / 2 : h * 2;
        w = encoder ? w / 2 : w * 2;
    }
    if (encoder)
        SVR_TRY(take_mid(run, &half->mid, h, w, err));
    return take(run, &half->conv_out, h, w, err);
}

svr_status svr_vae_state_begin(vae_run *run, const vae_half *half, bool sliced, int64_t h,
                               int64_t w, svr_error *err)
{
    vae_state *state = &run->vae->state;

    /* a run that failed left views of memory that is no longer ours */
    memset(state->carried, 0, (size_t) state->count * sizeof state->carried[0]);
    state->sliced = sliced;
    state->first = true;
    state->last = !sliced;
    return sliced ? take_all(run, half, h, w, err) : SVR_OK;
}

void svr_vae_state_end(vae_run *run)
{
    vae_state *state = &run->vae->state;

    for (int i = 0; i < state->count; i++)
        svr_exec_free(run->exec, &state->carried[i]);
}

svr_tensor svr_vae_carried(const vae_run *run, const vae_conv *conv)
{
    const vae_state *state = &run->vae->state;
    svr_tensor none = {0};

    return conv->state < 0 || state->first ? none : state->carried[conv->state];
}

/* The last frames of what was carried and x.  A clip that starts with fewer than are carried
 * repeats its first, as its padding did. */
static svr_status keep_frames(vae_run *run, const svr_tensor *x, const svr_tensor *carried,
                              svr_error *err)
{
    int64_t want = carried->dims[0], have = svr_min_i64(x->dims[0], want);
    svr_copy_args copy = {.src = svr_tensor_slice(x, x->dims[0] - have, have),
                          .dst = svr_tensor_slice(carried, want - have, have)};

    for (int64_t i = 0; i < want - have; i++) {
        svr_copy_args older = {.src = run->vae->state.first
                                          ? svr_tensor_slice(x, 0, 1)
                                          : svr_tensor_slice(carried, i + have, 1),
                               .dst = svr_tensor_slice(carried, i, 1)};

        SVR_TRY(svr_op_copy(run->exec, &older, err));
    }
    return svr_op_copy(run->exec, &copy, err);
}

svr_status svr_vae_state_keep(vae_run *run, const vae_conv *conv, const svr_tensor *x,
                              svr_error *err)
{
    const vae_state *state = &run->vae->state;

    if (conv->state < 0 || state->last)
        return SVR_OK;
    SVR_TRY(keep_frames(run, x, &state->carried[conv->state], err));
    if (!state->first)
        return SVR_OK;
    return svr_exec_tap(run->exec, conv->tap, &state->carried[conv->state], err);
}

svr_status svr_vae_upsample_keep(vae_run *run, const vae_block *block, const svr_tensor *x,
                                 svr_error *err)
{
    const vae_state *state = &run->vae->state;

    return state->last ? SVR_OK : keep_frames(run, x, &state->carried[block->rescale.state], err);
}
