#include "backend/ops_check.h"

#include <stdio.h>

/* Padded length minus kernel, over stride, plus one; 0 when the kernel does not fit. */
static int64_t conv_length(int64_t padded, int64_t kernel, int stride)
{
    return padded < kernel ? 0 : (padded - kernel) / stride + 1;
}

static svr_status check_conv3d_options(const svr_conv3d_args *args, svr_error *err)
{
    SVR_TRY(svr_check_option("conv3d", args->stride_t >= 1 && args->stride_s >= 1,
                             "strides must be at least 1", err));
    return svr_check_option("conv3d",
                            args->pad_top >= 0 && args->pad_bottom >= 0 && args->pad_left >= 0 &&
                                args->pad_right >= 0,
                            "paddings must not be negative", err);
}

/* Statistics of the frames of y in groups of its channels. */
static svr_status check_moments(const char *op, const svr_tensor *moments, const svr_tensor *y,
                                svr_error *err)
{
    char text[96];

    if (!svr_tensor_present(moments) ||
        (moments->dims[0] == y->dims[0] && y->dims[3] % moments->dims[1] == 0))
        return SVR_OK;
    snprintf(text, sizeof text, "%s: moments must have the frames of y and divide its channels",
             op);
    return svr_check_fit(false, text, moments, y, err);
}

/* *before = frames in front of x. */
static svr_status check_head(const svr_conv3d_args *args, int64_t *before, svr_error *err)
{
    int64_t most = args->w.dims[1] - 1, recent = svr_tensor_present(&args->recent) ? 1 : 0;

    SVR_TRY(svr_check_option("conv3d", !recent || svr_tensor_present(&args->head),
                             "recent goes with head only", err));
    *before = most;
    if (!svr_tensor_present(&args->head))
        return svr_check_option("conv3d", !args->head_starts, "head_starts goes with head", err);
    *before = args->head.dims[0] + recent;
    if (args->head_starts)
        SVR_TRY(svr_check_option("conv3d", *before == 1 && most == 2 && args->stride_t == 1,
                                 "head_starts goes with one frame, three taps and stride 1", err));
    if (args->head_starts)
        *before = most;
    return svr_check_fit(*before <= most,
                         "conv3d: head and recent may hold as many frames as the kernel w has, "
                         "less one",
                         &args->head, &args->w, err);
}

svr_status svr_check_conv3d(const svr_conv3d_args *args, svr_error *err)
{
    static const svr_operand operands[] = {
        SVR_OPERAND(conv3d, x, "THWC", STORAGE, 0),
        SVR_OPERAND(conv3d, w, "KthwC", STORAGE, 0),
        SVR_OPERAND(conv3d, head, ".HWC", FIRST, SVR_OPERAND_OPTIONAL | SVR_OPERAND_EMPTY),
        SVR_OPERAND(conv3d, recent, "1HWC", FIRST, SVR_OPERAND_OPTIONAL),
        SVR_OPERAND(conv3d, b, "K", F32, SVR_OPERAND_OPTIONAL),
        SVR_OPERAND(conv3d, y, "...K", STORAGE, SVR_OPERAND_WRITTEN),
        SVR_OPERAND(conv3d, residual, "...K", STORAGE, SVR_OPERAND_OPTIONAL | SVR_OPERAND_IN_PLACE),
        SVR_OPERAND(conv3d, moments, "..3", F32, SVR_OPERAND_OPTIONAL | SVR_OPERAND_WRITTEN),
    };
    const svr_tensor *x = &args->x, *w = &args->w, *y = &args->y, *residual = &args->residual;
    int64_t before; /* frames in front of x */

    SVR_TRY(SVR_CHECK_OPERANDS("conv3d", args, operands, err));
    SVR_TRY(check_conv3d_options(args, err));
    SVR_TRY(svr_check_fit(y->dtype == x->dtype || y->dtype == SVR_F32,
                          "conv3d: y must have the type of x, or f32", y, x, err));
    SVR_TRY(check_head(args, &before, err));
    SVR_TRY(svr_check_dims(
        "conv3d", "y", y,
        (int64_t[]){
            conv_length(before + x->dims[0], w->dims[1], args->stride_t),
            conv_length(x->dims[1] + args->pad_top + args->pad_bottom, w->dims[2], args->stride_s),
            conv_length(x->dims[2] + args->pad_left + args->pad_right, w->dims[3], args->stride_s),
            w->dims[0]},
        x, err));
    SVR_TRY(check_moments("conv3d", &args->moments, y, err));
    if (!svr_tensor_present(residual))
        return SVR_OK;
    return svr_check_fit(residual->dtype == y->dtype && svr_tensor_same_shape(residual, y),
                         "conv3d: residual must be like y", residual, y, err);
}

svr_status svr_check_tap_sum(const svr_tap_sum_args *args, svr_error *err)
{
    static const svr_operand operands[] = {
        SVR_OPERAND(tap_sum, s, "THWS", F32, 0),
        SVR_OPERAND(tap_sum, y, "THWK", STORAGE, SVR_OPERAND_WRITTEN),
        SVR_OPERAND(tap_sum, head, ".HWS", F32, SVR_OPERAND_OPTIONAL),
        SVR_OPERAND(tap_sum, b, "K", F32, SVR_OPERAND_OPTIONAL),
    };
    int64_t taps;

    SVR_TRY(SVR_CHECK_OPERANDS("tap_sum", args, operands, err));
    taps = args->s.dims[3] / args->y.dims[3];
    SVR_TRY(svr_check_fit(taps >= 1 && args->s.dims[3] % args->y.dims[3] == 0,
                          "tap_sum: s must have a whole number of taps per channel of y", &args->s,
                          &args->y, err));
    return svr_check_fit(!svr_tensor_present(&args->head) || args->head.dims[0] == taps - 1,
                         "tap_sum: head must hold one frame less than there are taps", &args->head,
                         &args->s, err);
}

svr_status svr_check_group_norm(const svr_group_norm_args *args, svr_error *err)
{
    static const svr_operand operands[] = {
        SVR_OPERAND(group_norm, x, "THWC", STORAGE, SVR_OPERAND_IN_PLACE),
        SVR_OPERAND(group_norm, gamma, "C", F32, 0),
        SVR_OPERAND(group_norm, beta, "C", F32, 0),
        SVR_OPERAND(group_norm, moments, "T.3", F32, SVR_OPERAND_OPTIONAL),
        SVR_OPERAND(group_norm, y, "THWC", STORAGE, SVR_OPERAND_WRITTEN),
    };

    SVR_TRY(SVR_CHECK_OPERANDS("group_norm", args, operands, err));
    SVR_TRY(svr_check_option("group_norm", args->groups >= 1 && args->x.dims[3] % args->groups == 0,
                             "the groups must divide the channels of x evenly", err));
    SVR_TRY(svr_check_fit(
        !svr_tensor_present(&args->moments) || args->moments.dims[1] == args->groups,
        "group_norm: moments must be those of its groups", &args->moments, &args->x, err));
    SVR_TRY(svr_check_option("group_norm", args->eps > 0, "eps must be positive", err));
    return svr_check_activation("group_norm", args->activation, err);
}

svr_status svr_check_group_moments(const svr_group_moments_args *args, svr_error *err)
{
    static const svr_operand operands[] = {
        SVR_OPERAND(group_moments, x, "T..C", STORAGE, 0),
        SVR_OPERAND(group_moments, moments, "T.3", F32, SVR_OPERAND_WRITTEN),
    };

    SVR_TRY(SVR_CHECK_OPERANDS("group_moments", args, operands, err));
    return svr_check_fit(args->x.dims[3] % args->moments.dims[1] == 0,
                         "group_moments: the groups must divide the channels of x evenly",
                         &args->moments, &args->x, err);
}

svr_status svr_check_depth_to_space(const svr_depth_to_space_args *args, svr_error *err)
{
    static const svr_operand operands[] = {
        SVR_OPERAND(depth_to_space, x, "THW.", STORAGE, 0),
        SVR_OPERAND(depth_to_space, y, "....", FIRST, SVR_OPERAND_WRITTEN),
    };
    const int64_t *x = args->x.dims;
    int64_t tz = args->tz, drop = args->drop_second ? 1 : 0;

    SVR_TRY(SVR_CHECK_OPERANDS("depth_to_space", args, operands, err));
    SVR_TRY(svr_check_option("depth_to_space", tz == 1 || tz == 2, "tz must be 1 or 2", err));
    SVR_TRY(svr_check_option("depth_to_space", tz == 2 || drop == 0,
                             "drop_second needs tz = 2, or there is no second frame", err));
    SVR_TRY(svr_check_option("depth_to_space", x[3] % (4 * tz) == 0,
                             "the channels of x must be a multiple of 4 * tz", err));
    return svr_check_dims("depth_to_space", "y", &args->y,
                          (int64_t[]){x[0] * tz - drop, 2 * x[1], 2 * x[2], x[3] / (4 * tz)},
                          &args->x, err);
}

svr_status svr_check_upsample_conv3d(const svr_upsample_conv3d_args *args, svr_error *err)
{
    static const svr_operand operands[] = {
        SVR_OPERAND(upsample_conv3d, x, "THWC", STORAGE, 0),
        SVR_OPERAND(upsample_conv3d, head, ".HWC", FIRST, SVR_OPERAND_OPTIONAL),
        SVR_OPERAND(upsample_conv3d, up, "E111C", STORAGE, 0),
        SVR_OPERAND(upsample_conv3d, up_b, "E", F32, 0),
        SVR_OPERAND(upsample_conv3d, w, "K333M", STORAGE, 0),
        SVR_OPERAND(upsample_conv3d, b, "K", F32, SVR_OPERAND_OPTIONAL),
        SVR_OPERAND(upsample_conv3d, y, "...K", STORAGE, SVR_OPERAND_WRITTEN),
        SVR_OPERAND(upsample_conv3d, moments, "..3", F32,
                    SVR_OPERAND_OPTIONAL | SVR_OPERAND_WRITTEN),
    };
    const svr_tensor *x = &args->x, *head = &args->head, *y = &args->y;
    int64_t tz = args->tz;
    bool starts = !svr_tensor_present(head);

    SVR_TRY(SVR_CHECK_OPERANDS("upsample_conv3d", args, operands, err));
    SVR_TRY(svr_check_option("upsample_conv3d", tz == 1 || tz == 2, "tz must be 1 or 2", err));
    SVR_TRY(svr_check_option("upsample_conv3d", !args->head_starts || !starts,
                             "head_starts goes with head", err));
    SVR_TRY(svr_check_fit(args->up.dims[0] == 4 * tz * args->w.dims[4],
                          "upsample_conv3d: up must have 4 * tz outputs per channel of w",
                          &args->up, &args->w, err));
    SVR_TRY(svr_check_fit(y->dtype == x->dtype || y->dtype == SVR_F32,
                          "upsample_conv3d: y must have the type of x, or f32", y, x, err));
    SVR_TRY(svr_check_fit(starts || head->dims[0] == (args->head_starts ? 1 : 3 - tz),
                          "upsample_conv3d: head must hold 3 - tz frames, or one that starts", head,
                          x, err));
    SVR_TRY(check_moments("upsample_conv3d", &args->moments, y, err));
    return svr_check_dims("upsample_conv3d", "y", y,
                          (int64_t[]){tz * x->dims[0] - (tz == 2 && starts), 2 * x->dims[1],
                                      2 * x->dims[2], args->w.dims[0]},
                          x, err);
}

svr_status svr_check_frame_attention(const svr_frame_attention_args *args, svr_error *err)
{
    static const svr_operand operands[] = {
        SVR_OPERAND(frame_attention, q, "TLC", STORAGE, 0),
        SVR_OPERAND(frame_attention, k, "TLC", FIRST, 0),
        SVR_OPERAND(frame_attention, v, "TLC", FIRST, 0),
        SVR_OPERAND(frame_attention, y, "TLC", STORAGE, SVR_OPERAND_WRITTEN),
    };

    return SVR_CHECK_OPERANDS("frame_attention", args, operands, err);
}
