#include "vae/vae_steps.h"

#include "backend/ops.h"
#include "vae/vae_shared.h"
#include "vae/vae_state.h"

static svr_tensor weight(const vae_run *run, int id)
{
    return svr_store_tensor(run->vae->store, id);
}

svr_status svr_vae_tap(vae_run *run, const char *name, const svr_tensor *x, svr_error *err)
{
    return run->vae->state.sliced || !name ? SVR_OK : svr_exec_tap(run->exec, name, x, err);
}

/* Space is padded by one zero all round; strided convolutions by one below and right only. */
svr_status svr_vae_conv(vae_run *run, const vae_conv *conv, const vae_input *input,
                        const svr_tensor *residual, const svr_tensor *y, svr_error *err)
{
    svr_tensor w = weight(run, conv->weight), b = weight(run, conv->bias);
    int behind = conv->ks == VAE_KERNEL, before = behind && conv->stride_s == 1;
    svr_conv3d_args args = {
        .x = input->x,
        .head = input->before.head,
        .recent = input->before.recent,
        .head_starts = input->before.starts,
        .w = svr_tensor_slice(&w, 0, y->dims[3]),
        .b = svr_tensor_slice(&b, 0, y->dims[3]),
        .y = *y,
        .stride_t = conv->stride_t,
        .stride_s = conv->stride_s,
        .pad_top = before,
        .pad_left = before,
        .pad_bottom = behind,
        .pad_right = behind,
    };

    if (residual)
        args.residual = *residual;
    if (conv->normed)
        args.moments = svr_vae_moments_for(run, y);
    return svr_op_conv3d(run->exec, &args, err);
}

svr_group_norm_args svr_vae_norm_args(const vae_run *run, const vae_norm *norm, const svr_tensor *x,
                                      const svr_tensor *y)
{
    return (svr_group_norm_args){
        .x = *x,
        .gamma = weight(run, norm->gamma),
        .beta = weight(run, norm->beta),
        .y = *y,
        .groups = run->vae->config.norm_groups,
        .eps = run->vae->config.eps,
    };
}

static svr_status norm_silu(vae_run *run, const vae_norm *norm, const svr_tensor *x,
                            const svr_tensor *y, svr_error *err)
{
    svr_group_norm_args args = svr_vae_norm_args(run, norm, x, y);

    args.moments = svr_vae_moments_of(run, x);
    args.activation = SVR_ACT_SILU;
    svr_vae_share(run, norm, x, &args.moments);
    return svr_op_group_norm(run->exec, &args, err);
}

svr_status svr_vae_norm(vae_run *run, const vae_norm *norm, const vae_conv *conv,
                        const svr_tensor *x, vae_input *input, svr_error *err)
{
    input->before = svr_vae_carried(run, conv);
    SVR_TRY(svr_exec_alloc(run->exec, run->storage, 4, x->dims, &input->x, err));
    return norm_silu(run, norm, x, &input->x, err);
}

svr_status svr_vae_norm_consume(vae_run *run, const vae_norm *norm, const vae_conv *conv,
                                svr_tensor *x, vae_input *input, svr_error *err)
{
    *input = (vae_input){.before = svr_vae_carried(run, conv), .x = *x};
    *x = (svr_tensor){0};
    return norm_silu(run, norm, &input->x, &input->x, err);
}

svr_status svr_vae_cut_window(vae_run *run, const svr_tensor *in, const int64_t corner[2],
                              const svr_tensor *out, svr_error *err)
{
    svr_copy_window_args copy = {
        .x = *in, .y = *out, .from = {corner[0], corner[1]}, .size = {out->dims[1], out->dims[2]}};

    return svr_op_copy_window(run->exec, &copy, err);
}
