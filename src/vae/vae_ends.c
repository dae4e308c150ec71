/* First and last layers of both halves. */
#include "vae/vae_steps.h"

#include "backend/ops.h"
#include "vae/vae_state.h"

svr_status svr_vae_enter(vae_run *run, const vae_half *half, const svr_tensor *clip,
                         const int64_t range[2], vae_frames *h, svr_error *err)
{
    const vae_state *state = &run->vae->state;
    const vae_conv *conv = &half->conv_in;
    int64_t first = range[0], frames = range[1] - first, before = conv->kt - 1;
    vae_input input = {.x = svr_tensor_slice(clip, first, frames)};
    const int64_t *d = clip->dims;
    svr_tensor tail;

    if (first == 1) {
        input.before = (vae_carried){.head = svr_tensor_slice(clip, 0, 1), .starts = true};
    } else if (first > 1) {
        input.before.head = svr_tensor_slice(clip, first - before, before - 1);
        input.before.recent = svr_tensor_slice(clip, first - 1, 1);
    }
    *h = (vae_frames){0};
    if (run->place)
        h->x = run->place->x;
    else
        SVR_TRY(svr_exec_alloc(run->exec, run->storage, SVR_DIMS(frames, d[1], d[2], conv->out),
                               &h->x, err));
    SVR_TRY(svr_vae_conv(run, conv, &input, NULL, &h->x, err));
    if (!state->sliced || !state->first || frames < before)
        return SVR_OK;
    tail = svr_tensor_slice(&input.x, frames - before, before);
    return svr_exec_tap(run->exec, conv->tap, &tail, err);
}

svr_status svr_vae_leave(vae_run *run, const vae_half *half, svr_tensor *h, const svr_tensor *y,
                         svr_error *err)
{
    vae_input input;

    SVR_TRY(svr_vae_norm_consume(run, &half->norm_out, &half->conv_out, h, &input, err));
    SVR_TRY(svr_vae_conv(run, &half->conv_out, &input, NULL, y, err));
    SVR_TRY(svr_vae_state_keep(run, &half->conv_out, &input.x, err));
    svr_vae_give(run, &input.x);
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

/* y = the sums over time, cut to y's height and width. */
static svr_status sum_taps(vae_run *run, svr_tap_sum_args *add, const svr_tensor *y, svr_error *err)
{
    const int64_t *d = add->s.dims;
    svr_crop_args crop = {.y = *y};

    if (y->dims[0] == 0)
        return SVR_OK;
    add->y = *y;
    if (y->dims[1] == d[1] && y->dims[2] == d[2])
        return svr_op_tap_sum(run->exec, add, err);
    SVR_TRY(svr_exec_alloc(run->exec, y->dtype, SVR_DIMS(y->dims[0], d[1], d[2], y->dims[3]),
                           &crop.x, err));
    add->y = crop.x;
    SVR_TRY(svr_op_tap_sum(run->exec, add, err));
    SVR_TRY(svr_op_crop(run->exec, &crop, err));
    svr_exec_free(run->exec, &crop.x);
    return SVR_OK;
}

/* The last convolution is split: three outputs a temporal tap fill the hardware better than three,
 * and what it has to carry over is a few channels instead of all inputs. */
svr_status svr_vae_picture(vae_run *run, const vae_half *half, svr_tensor *h, const svr_tensor *y,
                           svr_error *err)
{
    svr_tap_sum_args add = {.b = svr_store_tensor(run->vae->store, half->conv_out.bias)};
    svr_tensor sums;
    vae_input input;

    SVR_TRY(svr_vae_norm_consume(run, &half->norm_out, &half->conv_out, h, &input, err));
    SVR_TRY(svr_vae_state_tap(run, &half->conv_out, &input.x, err));
    SVR_TRY(spatial_products(run, &input.x, &sums, err));
    svr_vae_give(run, &input.x);
    add.s = svr_tensor_slice(&sums, 0, y->dims[0]);
    add.head = input.before.head;
    SVR_TRY(sum_taps(run, &add, y, err));
    SVR_TRY(svr_vae_sums_keep(run, &half->conv_out, &sums, err));
    svr_exec_free(run->exec, &sums);
    return SVR_OK;
}
