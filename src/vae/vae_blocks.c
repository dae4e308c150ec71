#include "vae/vae_internal.h"

/* x = shortcut(x), a 1x1x1 convolution. */
static svr_status apply_shortcut(vae_run *run, const vae_resnet *r, svr_tensor *x, svr_error *err)
{
    vae_padded input = {.whole = *x, .x = *x};

    return svr_vae_conv_padded(run, &r->shortcut, &input, x, err);
}

/* The shortcut runs where the residual is smallest: early when it narrows, late when it widens. */
svr_status svr_vae_resnet(vae_run *run, const vae_resnet *r, svr_tensor *x, svr_error *err)
{
    bool narrows = r->has_shortcut && r->shortcut.out < r->shortcut.in;
    bool widens = r->has_shortcut && !narrows;
    vae_padded input;
    svr_tensor h;

    SVR_TRY(svr_exec_poll(run->exec, err));
    SVR_TRY(svr_vae_norm(run, &r->norm1, &r->conv1, x, &input, err));
    if (narrows)
        SVR_TRY(apply_shortcut(run, r, x, err));
    SVR_TRY(svr_vae_conv_padded(run, &r->conv1, &input, &h, err));
    SVR_TRY(svr_vae_norm_consume(run, &r->norm2, &r->conv2, &h, &input, err));
    if (widens)
        SVR_TRY(apply_shortcut(run, r, x, err));
    SVR_TRY(svr_vae_conv(run, &r->conv2, &input, x, x, err));
    SVR_TRY(svr_vae_state_keep(run, &r->conv2, &input, err));
    svr_exec_free(run->exec, &input.whole);
    return SVR_OK;
}

/* y = x w^T + b (+ residual); y is given. */
static svr_status linear(vae_run *run, const vae_linear *l, const svr_tensor *x,
                         const svr_tensor *residual, const svr_tensor *y, svr_error *err)
{
    int64_t channels = x->dims[x->rank - 1], rows = svr_tensor_elems(x) / channels;
    svr_linear_args args = {
        .x = svr_tensor_as_2d(x, rows, channels),
        .w = svr_store_tensor(run->vae->store, l->weight),
        .b = svr_store_tensor(run->vae->store, l->bias),
        .y = svr_tensor_as_2d(y, rows, channels),
    };

    if (residual)
        args.residual = svr_tensor_as_2d(residual, rows, channels);
    return svr_op_linear(run->exec, &args, err);
}

/* Queries, keys and values of the normalised frames x [T,H,W,C], each [T,H*W,C]. */
static svr_status project(vae_run *run, const vae_attention *a, const svr_tensor *x,
                          svr_frame_attention_args *args, svr_error *err)
{
    const vae_linear *layers[3] = {&a->q, &a->k, &a->v};
    svr_tensor *results[3] = {&args->q, &args->k, &args->v};
    svr_group_norm_args norm = {
        .x = *x,
        .gamma = svr_store_tensor(run->vae->store, a->norm.gamma),
        .beta = svr_store_tensor(run->vae->store, a->norm.beta),
        .groups = run->vae->config.norm_groups,
        .eps = run->vae->config.eps,
    };

    SVR_TRY(svr_exec_alloc(run->exec, run->storage, 4, x->dims, &norm.y, err));
    SVR_TRY(svr_op_group_norm(run->exec, &norm, err));
    for (int i = 0; i < 3; i++) {
        SVR_TRY(svr_exec_alloc(run->exec, run->storage,
                               SVR_DIMS(x->dims[0], x->dims[1] * x->dims[2], x->dims[3]),
                               results[i], err));
        SVR_TRY(linear(run, layers[i], &norm.y, NULL, results[i], err));
    }
    svr_exec_free(run->exec, &norm.y);
    return SVR_OK;
}

static svr_status attention(vae_run *run, const vae_attention *a, const svr_tensor *x,
                            svr_error *err)
{
    svr_frame_attention_args args = {0};

    if (!a->active)
        return SVR_OK;
    SVR_TRY(svr_exec_poll(run->exec, err));
    SVR_TRY(project(run, a, x, &args, err));
    SVR_TRY(svr_exec_alloc(run->exec, run->storage, args.q.rank, args.q.dims, &args.y, err));
    SVR_TRY(svr_op_frame_attention(run->exec, &args, err));
    svr_exec_free(run->exec, &args.q);
    svr_exec_free(run->exec, &args.k);
    svr_exec_free(run->exec, &args.v);
    SVR_TRY(linear(run, &a->out, &args.y, x, x, err));
    svr_exec_free(run->exec, &args.y);
    return SVR_OK;
}

svr_status svr_vae_mid(vae_run *run, const vae_mid *mid, svr_tensor *x, svr_error *err)
{
    SVR_TRY(svr_vae_resnet(run, &mid->first, x, err));
    SVR_TRY(attention(run, &mid->attention, x, err));
    SVR_TRY(svr_vae_resnet(run, &mid->second, x, err));
    return svr_vae_tap(run, mid->tap, x, err);
}

/* x moves behind the frames carried for `conv`; where there are none it stays where it is. */
static svr_status pad_consume(vae_run *run, const vae_conv *conv, svr_tensor *x, vae_padded *input,
                              svr_error *err)
{
    svr_copy_args copy;

    if (conv->state < 0 || run->vae->state.first) {
        *input = (vae_padded){.whole = *x, .x = *x};
        return SVR_OK;
    }
    SVR_TRY(svr_vae_padded_alloc(run, conv, x->dims, input, err));
    copy = (svr_copy_args){.src = *x, .dst = input->x};
    SVR_TRY(svr_op_copy(run->exec, &copy, err));
    svr_exec_free(run->exec, x);
    return SVR_OK;
}

svr_status svr_vae_down_block(vae_run *run, const vae_block *block, svr_tensor *x, svr_error *err)
{
    vae_padded input;

    for (int i = 0; i < block->resnet_count; i++)
        SVR_TRY(svr_vae_resnet(run, &block->resnets[i], x, err));
    if (block->rescales) {
        SVR_TRY(pad_consume(run, &block->rescale, x, &input, err));
        SVR_TRY(svr_vae_conv_padded(run, &block->rescale, &input, x, err));
    }
    return svr_vae_tap(run, block->tap, x, err);
}

/* Frame `index` of x, widened and shuffled into its frames of `y`. */
static svr_status upscale_frame(vae_run *run, const vae_block *block, const svr_tensor *x,
                                int64_t index, const svr_tensor *y, svr_error *err)
{
    bool starts = block->temporal && run->vae->state.first; /* one frame less at the clip's start */
    int tz = block->temporal ? 2 : 1;
    int64_t to = index * tz - (starts && index > 0);
    bool drop = starts && index == 0;
    vae_padded input = {.x = svr_tensor_slice(x, index, 1)};
    svr_depth_to_space_args shuffle = {
        .y = svr_tensor_slice(y, to, tz - drop), .tz = tz, .drop_second = drop};

    SVR_TRY(svr_exec_poll(run->exec, err));
    SVR_TRY(svr_exec_alloc(run->exec, run->storage,
                           SVR_DIMS(1, x->dims[1], x->dims[2], block->upscale.out), &shuffle.x,
                           err));
    SVR_TRY(svr_vae_conv(run, &block->upscale, &input, NULL, &shuffle.x, err));
    SVR_TRY(svr_op_depth_to_space(run->exec, &shuffle, err));
    svr_exec_free(run->exec, &shuffle.x);
    return SVR_OK;
}

/* Frame by frame, so that the widened frames are never all there. */
static svr_status upsample(vae_run *run, const vae_block *block, svr_tensor *x, svr_error *err)
{
    int64_t frames =
        x->dims[0] * (block->temporal ? 2 : 1) - (block->temporal && run->vae->state.first ? 1 : 0);
    const int64_t thw[3] = {frames, 2 * x->dims[1], 2 * x->dims[2]};
    vae_padded input;

    SVR_TRY(svr_vae_padded_alloc(run, &block->rescale, thw, &input, err));
    for (int64_t i = 0; i < x->dims[0]; i++)
        SVR_TRY(upscale_frame(run, block, x, i, &input.x, err));
    svr_exec_free(run->exec, x);
    return svr_vae_conv_padded(run, &block->rescale, &input, x, err);
}

svr_status svr_vae_up_block(vae_run *run, const vae_block *block, svr_tensor *x, svr_error *err)
{
    for (int i = 0; i < block->resnet_count; i++)
        SVR_TRY(svr_vae_resnet(run, &block->resnets[i], x, err));
    if (block->rescales)
        SVR_TRY(upsample(run, block, x, err));
    return svr_vae_tap(run, block->tap, x, err);
}
