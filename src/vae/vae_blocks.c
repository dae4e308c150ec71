#include "vae/vae_steps.h"

#include "backend/ops.h"
#include "vae/vae_state.h"

/* Where the step at work is to put its result and a resnet its residual; absent: anywhere. */
static svr_tensor place_of_x(const vae_run *run)
{
    return run->place ? run->place->x : (svr_tensor){0};
}

static svr_tensor place_of_residual(const vae_run *run)
{
    return run->place ? run->place->residual : (svr_tensor){0};
}

/* Memory for the result of the step at work. */
static svr_status result(vae_run *run, int64_t frames, const int64_t hwc[3], svr_tensor *y,
                         svr_error *err)
{
    *y = place_of_x(run);
    if (svr_tensor_present(y))
        return SVR_OK;
    return svr_exec_alloc(run->exec, run->storage, SVR_DIMS(frames, hwc[0], hwc[1], hwc[2]), y,
                          err);
}

/* y = shortcut(x), a 1x1x1 convolution; y is made where there is none yet. */
static svr_status apply_shortcut(vae_run *run, const vae_resnet *r, const svr_tensor *x,
                                 svr_tensor *y, svr_error *err)
{
    const int64_t *d = x->dims;

    if (!svr_tensor_present(y))
        SVR_TRY(svr_exec_alloc(run->exec, run->storage, SVR_DIMS(d[0], d[1], d[2], r->shortcut.out),
                               y, err));
    return svr_vae_conv(run, &r->shortcut, &(vae_input){.x = *x}, NULL, y, err);
}

static bool narrows(const vae_resnet *r)
{
    return r->has_shortcut && r->shortcut.out < r->shortcut.in;
}

/* The residual becomes `to`. */
static svr_status move_residual(vae_run *run, const svr_tensor *to, vae_frames *x, svr_error *err)
{
    svr_copy_args copy = {.src = x->residual, .dst = *to};

    SVR_TRY(svr_op_copy(run->exec, &copy, err));
    svr_vae_give(run, &x->residual);
    x->residual = *to;
    return SVR_OK;
}

/* The shortcut runs where the residual is smallest: here when it narrows, and then before the norm,
 * which uses up its input; late when it widens. */
svr_status svr_vae_split(vae_run *run, const vae_resnet *r, vae_frames *x, vae_input *input,
                         svr_error *err)
{
    svr_tensor to = place_of_residual(run);

    if (narrows(r)) {
        x->residual = to;
        SVR_TRY(apply_shortcut(run, r, &x->x, &x->residual, err));
        return svr_vae_norm_consume(run, &r->norm1, &r->conv1, &x->x, input, err);
    }
    SVR_TRY(svr_vae_norm(run, &r->norm1, &r->conv1, &x->x, input, err));
    *x = (vae_frames){.residual = x->x};
    return svr_tensor_present(&to) ? move_residual(run, &to, x, err) : SVR_OK;
}

svr_status svr_vae_open(vae_run *run, const vae_resnet *r, vae_input *input, vae_frames *x,
                        svr_error *err)
{
    const int64_t *d = input->x.dims;
    const int64_t dims[4] = {d[0], d[1], d[2], r->conv1.out};

    if (run->goes_on) /* the spare memory is for what conv2 sees and keeps */
        SVR_TRY(svr_vae_take(run, dims, &x->x, err));
    else
        SVR_TRY(result(run, dims[0], dims + 1, &x->x, err));
    SVR_TRY(svr_vae_conv(run, &r->conv1, input, NULL, &x->x, err));
    SVR_TRY(svr_vae_state_keep(run, &r->conv1, &input->x, err));
    svr_vae_give(run, &input->x);
    return SVR_OK;
}

svr_status svr_vae_close(vae_run *run, const vae_resnet *r, vae_frames *x, svr_error *err)
{
    svr_tensor residual = x->residual, y = {0}, to = place_of_x(run);
    vae_input input;

    SVR_TRY(svr_vae_norm_consume(run, &r->norm2, &r->conv2, &x->x, &input, err));
    if (r->has_shortcut && !narrows(r)) {
        SVR_TRY(apply_shortcut(run, r, &x->residual, &y, err));
        svr_vae_give(run, &x->residual);
        residual = y;
    }
    y = svr_tensor_present(&to) ? to : residual;
    SVR_TRY(svr_vae_conv(run, &r->conv2, &input, &residual, &y, err));
    SVR_TRY(svr_vae_state_exchange(run, &r->conv2, &input.x, err));
    svr_vae_give(run, &input.x);
    if (svr_tensor_present(&to))
        svr_vae_give(run, &residual);
    *x = (vae_frames){.x = y};
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
    svr_group_norm_args norm;
    svr_tensor y;

    SVR_TRY(svr_exec_alloc(run->exec, run->storage, 4, x->dims, &y, err));
    norm = svr_vae_norm_args(run, &a->norm, x, &y);
    norm.moments = svr_vae_moments_of(run, x);
    SVR_TRY(svr_op_group_norm(run->exec, &norm, err));
    for (int i = 0; i < 3; i++) {
        SVR_TRY(svr_exec_alloc(run->exec, run->storage,
                               SVR_DIMS(x->dims[0], x->dims[1] * x->dims[2], x->dims[3]),
                               results[i], err));
        SVR_TRY(linear(run, layers[i], &y, NULL, results[i], err));
    }
    svr_exec_free(run->exec, &y);
    return SVR_OK;
}

svr_status svr_vae_attend(vae_run *run, const vae_attention *a, const svr_tensor *x, svr_error *err)
{
    svr_frame_attention_args args = {0};

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

svr_status svr_vae_downsample(vae_run *run, const vae_block *block, vae_frames *x, svr_error *err)
{
    const vae_conv *conv = &block->rescale;
    vae_input input = {.before = svr_vae_carried(run, conv), .x = x->x};
    const int64_t *d = x->x.dims;
    int64_t before =
        svr_tensor_present(&input.before.head) ? conv->kt - conv->stride_t : conv->kt - 1;
    const int64_t hwc[3] = {d[1] / conv->stride_s, d[2] / conv->stride_s, conv->out};
    svr_tensor y;

    SVR_TRY(result(run, (before + d[0] - conv->kt) / conv->stride_t + 1, hwc, &y, err));
    SVR_TRY(svr_vae_conv(run, conv, &input, NULL, &y, err));
    SVR_TRY(svr_vae_state_keep(run, conv, &x->x, err));
    svr_vae_give(run, &x->x);
    x->x = y;
    return SVR_OK;
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

svr_status svr_vae_upsample(vae_run *run, const vae_block *block, vae_frames *x, svr_error *err)
{
    const svr_store *store = run->vae->store;
    vae_carried before = svr_vae_carried(run, &block->rescale);
    const int64_t *d = x->x.dims, hwc[3] = {2 * d[1], 2 * d[2], block->rescale.out};
    int tz = block->temporal ? 2 : 1;
    svr_upsample_conv3d_args args = {
        .x = x->x,
        .head = before.head,
        .up = svr_store_tensor(store, block->upscale.weight),
        .up_b = svr_store_tensor(store, block->upscale.bias),
        .w = svr_store_tensor(store, block->rescale.weight),
        .b = svr_store_tensor(store, block->rescale.bias),
        .tz = tz,
        .head_starts = before.starts,
    };

    SVR_TRY(result(run, tz * d[0] - (tz == 2 && run->vae->state.first), hwc, &args.y, err));
    args.moments = svr_vae_moments_for(run, &args.y);
    SVR_TRY(svr_op_upsample_conv3d(run->exec, &args, err));
    SVR_TRY(svr_vae_upsample_keep(run, block, &x->x, err));
    SVR_TRY(tap_memory(run, block, &x->x, err));
    x->x = args.y;
    return SVR_OK;
}
