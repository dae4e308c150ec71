#include "vae/vae_internal.h"

/* x = shortcut(x), a 1x1x1 convolution. */
static svr_status apply_shortcut(vae_run *run, const vae_resnet *r, svr_tensor *x, svr_error *err)
{
    vae_input input = {.x = *x};

    return svr_vae_conv_consume(run, &r->shortcut, &input, x, err);
}

/* Residual and normalised input of a resnet: x becomes the one, `input` the other.  A shortcut that
 * narrows runs first, so that the norm can use up its input. */
static svr_status split(vae_run *run, const vae_resnet *r, bool narrows, svr_tensor *x,
                        vae_input *input, svr_error *err)
{
    svr_tensor narrow;

    if (!narrows)
        return svr_vae_norm(run, &r->norm1, &r->conv1, x, input, err);
    SVR_TRY(svr_exec_alloc(run->exec, run->storage,
                           SVR_DIMS(x->dims[0], x->dims[1], x->dims[2], r->shortcut.out), &narrow,
                           err));
    SVR_TRY(svr_vae_conv(run, &r->shortcut, &(vae_input){.x = *x}, NULL, &narrow, err));
    SVR_TRY(svr_vae_norm_consume(run, &r->norm1, &r->conv1, x, input, err));
    *x = narrow;
    return SVR_OK;
}

/* The shortcut runs where the residual is smallest: early when it narrows, late when it widens. */
svr_status svr_vae_resnet(vae_run *run, const vae_resnet *r, svr_tensor *x, svr_error *err)
{
    bool narrows = r->has_shortcut && r->shortcut.out < r->shortcut.in;
    bool widens = r->has_shortcut && !narrows;
    vae_input input;
    svr_tensor h;

    SVR_TRY(svr_exec_poll(run->exec, err));
    SVR_TRY(split(run, r, narrows, x, &input, err));
    SVR_TRY(svr_vae_conv_consume(run, &r->conv1, &input, &h, err));
    SVR_TRY(svr_vae_norm_consume(run, &r->norm2, &r->conv2, &h, &input, err));
    if (widens)
        SVR_TRY(apply_shortcut(run, r, x, err));
    SVR_TRY(svr_vae_conv(run, &r->conv2, &input, x, x, err));
    SVR_TRY(svr_vae_state_exchange(run, &r->conv2, &input.x, err));
    svr_vae_give(run, &input.x);
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
        .moments = svr_vae_moments_of(run, x),
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

svr_status svr_vae_down_block(vae_run *run, const vae_block *block, svr_tensor *x, svr_error *err)
{
    for (int i = 0; i < block->resnet_count; i++)
        SVR_TRY(svr_vae_resnet(run, &block->resnets[i], x, err));
    if (block->rescales) {
        vae_input input = {.before = svr_vae_carried(run, &block->rescale), .x = *x};

        SVR_TRY(svr_vae_conv_consume(run, &block->rescale, &input, x, err));
    }
    return svr_vae_tap(run, block->tap, x, err);
}

/* Frame `index` of x, not the clip's first, widened and shuffled into its frames of `y`. */
static svr_status upscale_frame(vae_run *run, const vae_block *block, const svr_tensor *x,
                                int64_t index, const svr_tensor *y, svr_error *err)
{
    vae_input input = {.x = svr_tensor_slice(x, index, 1)};
    svr_depth_to_space_args shuffle = {.y = *y, .tz = block->temporal ? 2 : 1};

    SVR_TRY(svr_exec_alloc(run->exec, run->storage,
                           SVR_DIMS(1, x->dims[1], x->dims[2], block->upscale.out), &shuffle.x,
                           err));
    SVR_TRY(svr_vae_conv(run, &block->upscale, &input, NULL, &shuffle.x, err));
    SVR_TRY(svr_op_depth_to_space(run->exec, &shuffle, err));
    svr_exec_free(run->exec, &shuffle.x);
    return SVR_OK;
}

/* Shows what the reference remembers: two frames after the shuffle, which nothing here makes. */
static svr_status tap_memory(vae_run *run, const vae_block *block, const svr_tensor *x,
                             svr_error *err)
{
    int64_t tz = block->temporal ? 2 : 1, count = VAE_KERNEL - tz, first = x->dims[0] - count;
    svr_tensor memory;

    if (!run->exec->tap || !run->vae->state.first || run->vae->state.last || first < 0)
        return SVR_OK;
    SVR_TRY(svr_exec_alloc(run->exec, run->storage,
                           SVR_DIMS(count * tz, 2 * x->dims[1], 2 * x->dims[2], block->rescale.in),
                           &memory, err));
    for (int64_t i = 0; i < count; i++) {
        svr_tensor frames = svr_tensor_slice(&memory, i * tz, tz);

        SVR_TRY(upscale_frame(run, block, x, first + i, &frames, err));
    }
    SVR_TRY(svr_exec_tap(run->exec, block->rescale.tap, &memory, err));
    svr_exec_free(run->exec, &memory);
    return SVR_OK;
}

svr_status svr_vae_upsample(vae_run *run, const vae_block *block, const svr_tensor *x,
                            svr_tensor *y, svr_error *err)
{
    const svr_store *store = run->vae->store;
    vae_carried before = svr_vae_carried(run, &block->rescale);
    int tz = block->temporal ? 2 : 1;
    svr_upsample_conv3d_args args = {
        .x = *x,
        .head = before.head,
        .up = svr_store_tensor(store, block->upscale.weight),
        .up_b = svr_store_tensor(store, block->upscale.bias),
        .w = svr_store_tensor(store, block->rescale.weight),
        .b = svr_store_tensor(store, block->rescale.bias),
        .tz = tz,
        .head_starts = tz == 2 && before.starts,
    };

    SVR_TRY(svr_exec_poll(run->exec, err));
    SVR_TRY(svr_exec_alloc(run->exec, run->storage,
                           SVR_DIMS(tz * x->dims[0] - (tz == 2 && run->vae->state.first),
                                    2 * x->dims[1], 2 * x->dims[2], block->rescale.out),
                           &args.y, err));
    args.moments = svr_vae_moments_for(run, &args.y);
    SVR_TRY(svr_op_upsample_conv3d(run->exec, &args, err));
    SVR_TRY(svr_vae_upsample_keep(run, block, x, err));
    SVR_TRY(tap_memory(run, block, x, err));
    *y = args.y;
    return svr_vae_tap(run, block->tap, y, err);
}
