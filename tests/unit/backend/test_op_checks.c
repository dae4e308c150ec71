/* backend/ops_check: each op accepts its correct arguments and its permitted variants, and refuses
 * spoiled ones with a text that names the op, the tensor and the shapes. */
#include "backend/ops_check.h"

#include "fake_backend.h"
#include "op_cases.h"

#include "check.h"

/* A copy of the correct arguments, changed by `change`, must pass. */
#define ACCEPTED(op, change)                                                                       \
    do {                                                                                           \
        svr_##op##_args a = good_##op();                                                           \
        svr_error err = {0};                                                                       \
                                                                                                   \
        change;                                                                                    \
        CHECK_OK(svr_check_##op(&a, &err), err);                                                   \
    } while (0)

/* The same, but it must be refused with `status` and a text that has the op's name and `part`. */
#define REFUSED(op, change, status, part)                                                          \
    do {                                                                                           \
        svr_##op##_args a = good_##op();                                                           \
        svr_error err = {0};                                                                       \
                                                                                                   \
        change;                                                                                    \
        CHECK(svr_check_##op(&a, &err) == (status));                                               \
        CHECK_TEXT(err.text, #op ": ");                                                            \
        CHECK_TEXT(err.text, part);                                                                \
    } while (0)

#define SHAPE SVR_ERR_SHAPE
#define TYPE SVR_ERR_UNSUPPORTED
#define INVALID SVR_ERR_INVALID

static const svr_tensor absent;

static void test_good_arguments(void)
{
    svr_error err = {0};

#define ACCEPT(name)                                                                               \
    {                                                                                              \
        svr_##name##_args args = good_##name();                                                    \
                                                                                                   \
        CHECK_OK(svr_check_##name(&args, &err), err);                                              \
    }
    SVR_OP_LIST(ACCEPT)
#undef ACCEPT
}

/* The whole texts of the three kinds of refusal. */
static void test_texts(void)
{
    REFUSED(linear, a.w.dims[1]++, SHAPE,
            "linear: w is f32 [5, 9]; axis 1 must be 8 to fit x, which is f16 [7, 8]");
    REFUSED(linear, a.b.dtype = SVR_F16, TYPE, "linear: b is f16 [5]; its type must be f32");
    REFUSED(linear, a.w.rank = 1, SHAPE, "linear: w is f32 [5]; it must have 2 axes");
    REFUSED(linear, a.y.data = NULL, SHAPE, "linear: y is missing");
    REFUSED(conv3d, a.y.dims[1]++, SHAPE,
            "y is f16 [3, 5, 5, 6]; it must be f16 [3, 4, 5, 6] for an input of f16 [3, 8, 10, 4]");
}

static void test_extents(void)
{
    REFUSED(linear, a.x.dims[0] = 0, SHAPE, "x is f16 [0, 8]; axis 0 is out of range");
    REFUSED(linear, a.x.dims[0] = -3, SHAPE, "axis 0 is out of range");
    REFUSED(linear, a.x.dims[0] = INT64_MAX, SHAPE, "axis 0 is out of range");
    REFUSED(linear, a.x.dims[0] = INT64_MIN, SHAPE, "axis 0 is out of range");
    REFUSED(conv3d, a.x.dims[0] = a.x.dims[1] = a.x.dims[2] = (int64_t) 1 << 30, SHAPE, "x is");
    REFUSED(conv3d, a.w.dims[1] = INT64_MIN, SHAPE, "w is");
    REFUSED(copy, a.src.rank = 6, SHAPE, "rank 6");
    REFUSED(copy, a.src.rank = -1, SHAPE, "rank -1");
    REFUSED(copy, a.src.dtype = (svr_dtype) 77, TYPE, "a known type");
    REFUSED(window_attention, a.vid.dims[2] = a.vid.dims[3] = (int64_t) 1 << 40, SHAPE, "vid is");
    REFUSED(unpatchify, a.y.dims[3] = INT64_MAX, SHAPE, "y is");
}

static void test_conv3d(void)
{
    ACCEPTED(conv3d, a.head = a.b = a.residual = absent);
    ACCEPTED(conv3d, a.residual = a.y);
    ACCEPTED(conv3d, (a.head.dims[0] = 0, a.y.dims[0] = a.residual.dims[0] = 1));
    ACCEPTED(conv3d, (a.y.dtype = a.residual.dtype = SVR_F32));
    ACCEPTED(conv3d, (a.stride_t = 2, a.y.dims[0] = a.residual.dims[0] = 2));
    REFUSED(conv3d, a.y.dtype = SVR_BF16, SHAPE, "y must have the type of x, or f32");
    REFUSED(conv3d, a.x.dtype = SVR_U8, TYPE, "x is u8");
    ACCEPTED(conv3d, a.moments = svr_tensor_3d((void *) 64, SVR_F32, 3, 2, 3));
    REFUSED(conv3d, a.moments = svr_tensor_3d((void *) 64, SVR_F32, 2, 2, 3), SHAPE,
            "moments must");
    REFUSED(conv3d, a.moments = svr_tensor_3d((void *) 64, SVR_F32, 3, 4, 3), SHAPE,
            "moments must");
    REFUSED(conv3d, a.moments = svr_tensor_3d((void *) 64, SVR_F32, 3, 2, 2), SHAPE, "moments is");
    REFUSED(conv3d, a.head.dims[0] = 3, SHAPE, "head and recent may hold");
    ACCEPTED(conv3d, (a.recent = svr_tensor_slice(&a.head, 1, 1), a.head.dims[0] = 1));
    REFUSED(conv3d, a.recent = svr_tensor_slice(&a.head, 1, 1), SHAPE, "head and recent may hold");
    REFUSED(conv3d, (a.recent = svr_tensor_slice(&a.head, 1, 1), a.head = absent), INVALID,
            "recent goes with head");
    REFUSED(conv3d, (a.recent = a.head, a.head.dims[0] = 1), SHAPE, "recent is f16 [2");
    ACCEPTED(conv3d, (a.head.dims[0] = 1, a.head_starts = true));
    REFUSED(conv3d, a.head_starts = true, INVALID, "head_starts goes with one frame");
    REFUSED(conv3d, (a.head.dims[0] = 1, a.head_starts = true, a.stride_t = 2), INVALID,
            "head_starts goes with one frame");
    REFUSED(conv3d, (a.head = absent, a.head_starts = true), INVALID, "head_starts goes with head");
    REFUSED(conv3d, a.head.dims[1] = 9, SHAPE, "head is f16 [2, 9, 10, 4]");
    REFUSED(conv3d, a.head.dtype = SVR_F32, TYPE, "head is f32");
    REFUSED(conv3d, a.w.dims[4] = 5, SHAPE, "w is f32 [6, 3, 3, 3, 5]");
    REFUSED(conv3d, a.w.dtype = SVR_I32, TYPE, "w is i32");
    REFUSED(conv3d, a.b.dims[0] = 4, SHAPE, "b is f32 [4]");
    REFUSED(conv3d, a.residual.dims[2] = 4, SHAPE, "residual must be like y");
    REFUSED(conv3d, a.residual.dtype = SVR_F32, SHAPE, "residual must be like y");
    REFUSED(conv3d, a.w.dims[2] = 20, SHAPE, "y is"); /* kernel larger than the padded input */
    REFUSED(conv3d, a.stride_s = 0, INVALID, "strides");
    REFUSED(conv3d, a.stride_t = -1, INVALID, "strides");
    REFUSED(conv3d, a.pad_left = -1, INVALID, "paddings");
}

static svr_tensor scales(int64_t n)
{
    return fake_tensor(SVR_F32, SVR_DIMS(n));
}

/* Quantised factors: both or none, each with its scales. */
static void test_quantized(void)
{
    const svr_tensor x = scales(7), linear_w = scales(5), swiglu_w = scales(12);
    const svr_dtype f8 = SVR_F8_E4M3;

    ACCEPTED(linear, (a.x.dtype = a.w.dtype = f8, a.x_scale = x, a.w_scale = linear_w));
    REFUSED(linear, (a.x.dtype = f8, a.x_scale = x), SHAPE, "x and w must both be f8_e4m3");
    REFUSED(linear, (a.w.dtype = f8, a.w_scale = linear_w), SHAPE, "x and w must both be f8_e4m3");
    REFUSED(linear, (a.x.dtype = a.w.dtype = f8, a.w_scale = linear_w), SHAPE,
            "x_scale belongs to f8_e4m3 and i8");
    REFUSED(linear, (a.x.dtype = a.w.dtype = f8, a.x_scale = x), SHAPE,
            "w_scale belongs to f8_e4m3 and i8");
    REFUSED(linear, a.x_scale = x, SHAPE, "x is f16 [7, 8]; x_scale belongs to f8_e4m3 and i8");
    REFUSED(linear, (a.x.dtype = a.w.dtype = f8, a.x_scale = a.w_scale = linear_w), SHAPE,
            "x_scale is f32 [5]");
    REFUSED(linear, a.y.dtype = f8, TYPE, "y is f8_e4m3");
    ACCEPTED(linear, (a.w.dtype = SVR_I8, a.w_scale = linear_w));
    REFUSED(linear, a.w.dtype = SVR_I8, SHAPE, "w_scale belongs to f8_e4m3 and i8");
    REFUSED(linear, (a.w.dtype = SVR_I8, a.w_scale = x), SHAPE, "w_scale is f32 [7]");
    REFUSED(linear, (a.x.dtype = a.w.dtype = SVR_I8, a.w_scale = linear_w), SHAPE,
            "x_scale belongs to f8_e4m3 and i8");
    ACCEPTED(linear, (a.x.dtype = a.w.dtype = SVR_I8, a.x_scale = x, a.w_scale = linear_w));
    REFUSED(linear, (a.x.dtype = SVR_I8, a.x_scale = x), SHAPE, "x of i8 goes with w of i8");
    REFUSED(linear, (a.x.dtype = SVR_I8, a.x_scale = x, a.w.dtype = f8, a.w_scale = linear_w),
            SHAPE, "must both be f8_e4m3");
    REFUSED(linear,
            (a.x.dtype = a.w.dtype = SVR_I8, a.x_scale = x, a.w_scale = linear_w,
             a.x.dims[1] = a.w.dims[1] = SVR_I8_DEPTH + 1),
            SHAPE, "do not fit into 32 bits");
    REFUSED(linear, (a.x.dtype = f8, a.x_scale = x, a.w.dtype = SVR_I8, a.w_scale = linear_w),
            SHAPE, "x and w must both be f8_e4m3");
    REFUSED(linear, a.w.dtype = SVR_U8, TYPE, "w is u8");
    ACCEPTED(swiglu,
             (a.w_gate.dtype = a.w_up.dtype = SVR_I8, a.gate_scale = a.up_scale = swiglu_w));
    REFUSED(swiglu, (a.w_gate.dtype = SVR_I8, a.gate_scale = swiglu_w), SHAPE,
            "w_gate and w_up must have the same type");
    ACCEPTED(swiglu, (a.x.dtype = a.w_gate.dtype = a.w_up.dtype = f8, a.x_scale = x,
                      a.gate_scale = a.up_scale = swiglu_w));
    REFUSED(
        swiglu,
        (a.x.dtype = a.w_gate.dtype = a.w_up.dtype = f8, a.x_scale = x, a.gate_scale = swiglu_w),
        SHAPE, "up_scale belongs to f8_e4m3 and i8");
    REFUSED(swiglu, (a.x.dtype = f8, a.x_scale = x), SHAPE, "x and w_gate must both be f8_e4m3");
    ACCEPTED(swiglu, (a.x.dtype = a.w_gate.dtype = a.w_up.dtype = SVR_I8, a.x_scale = x,
                      a.gate_scale = a.up_scale = swiglu_w));
    REFUSED(swiglu, (a.x.dtype = SVR_I8, a.x_scale = x), SHAPE, "x of i8 goes with w_gate of i8");
    ACCEPTED(rms_norm, (a.y.dtype = f8, a.y_scale = x));
    ACCEPTED(rms_norm, (a.y.dtype = SVR_I8, a.y_scale = x));
    REFUSED(rms_norm, a.y.dtype = f8, SHAPE, "y_scale belongs to f8_e4m3 and i8");
    REFUSED(rms_norm, a.y_scale = x, SHAPE, "y_scale belongs to f8_e4m3 and i8");
    REFUSED(rms_norm, (a.y.dtype = f8, a.y_scale = x, a.y_scale.data = a.weight.data), SHAPE,
            "overlaps");
}

/* Outputs stay away from inputs, also partly, unless the op works in place. */
static void test_overlap(void)
{
    REFUSED(conv3d, a.y.data = a.x.data, SHAPE, "output y, which is f16 [3, 4, 5, 6], overlaps x");
    REFUSED(conv3d, a.y.data = (char *) a.w.data + 8, SHAPE, "overlaps w");
    REFUSED(conv3d, a.residual.data = (char *) a.y.data + 2, SHAPE, "overlaps residual");
    REFUSED(conv3d, a.w.data = (char *) a.y.data + 2 * 360 - 2, SHAPE, "overlaps w");
    ACCEPTED(conv3d, a.w.data = (char *) a.y.data + 2 * 360); /* side by side */
    ACCEPTED(group_norm, a.y = a.x);
    REFUSED(group_norm, (a.y = a.x, a.y.dtype = SVR_BF16), SHAPE, "overlaps x");
    REFUSED(group_norm, a.y.data = (char *) a.x.data + 2, SHAPE, "overlaps x");
    ACCEPTED(lincomb, (a.y = a.b));
    ACCEPTED(lincomb, (a.b = a.a, a.y = a.a));
    ACCEPTED(linear, a.residual = a.y);
    REFUSED(linear, a.y.data = a.x.data, SHAPE, "overlaps x");
    REFUSED(copy, a.dst.data = a.src.data, SHAPE, "overlaps src");
    REFUSED(guidance, a.neg = a.pos, SHAPE, "overlaps neg");
    REFUSED(window_attention, a.out_txt.data = a.out_vid.data, SHAPE, "overlaps");
    ACCEPTED(frame_attention, a.k = a.v = a.q);
    REFUSED(frame_attention, a.y = a.v, SHAPE, "overlaps v");
    ACCEPTED(adain, a.y = a.content);
    REFUSED(adain, a.y = a.style, SHAPE, "overlaps style");
    ACCEPTED(saturation_mix, a.y = a.style);
    ACCEPTED(saturation_mix, a.y = a.wavelet = a.hsv);
    ACCEPTED(match_histogram, a.y = a.x);
    ACCEPTED(match_ranks, a.y = a.x);
    REFUSED(match_ranks, a.y = a.ref, SHAPE, "overlaps ref");
    ACCEPTED(hsv, a.y = a.content);
    REFUSED(hsv, a.y = a.style, SHAPE, "overlaps style");
    ACCEPTED(rgb_to_lab, a.y = a.x);
    ACCEPTED(lab_to_rgb, a.y = a.x);
    REFUSED(alpha_guide, a.y = a.alpha, SHAPE, "overlaps alpha");
    REFUSED(alpha_guide, a.edges = a.y, SHAPE, "overlaps edges");
    REFUSED(blur, a.y = a.x, SHAPE, "overlaps x");
    REFUSED(crop, a.y.data = a.x.data, SHAPE, "overlaps x");
}

static void test_vae_ops(void)
{
    REFUSED(group_moments, a.moments.dims[1] = 5, SHAPE, "divide");
    REFUSED(group_moments, a.moments.dims[0] = 3, SHAPE, "moments is f32 [3, 8, 3]");
    REFUSED(copy_window, a.size[0] = 0, INVALID, "must have a size");
    REFUSED(copy_window, a.from[1] = -1, INVALID, "begin inside");
    REFUSED(copy_window, a.from[0] = 3, SHAPE, "inside the frames");
    REFUSED(copy_window, a.to[1] = 6, SHAPE, "inside the frames");
    REFUSED(copy_window, a.y.dims[3] = 4, SHAPE, "y is f16 [2, 4, 9, 4]");
    REFUSED(copy_window, a.y.data = a.x.data, SHAPE, "overlaps x");
    REFUSED(group_norm, a.groups = 5, INVALID, "groups");
    REFUSED(group_norm, a.groups = 0, INVALID, "groups");
    REFUSED(group_norm, a.eps = 0, INVALID, "eps");
    REFUSED(group_norm, a.activation = (svr_activation) 9, INVALID, "activation");
    REFUSED(group_norm, a.gamma.dims[0] = 31, SHAPE, "gamma is f32 [31]");
    REFUSED(group_norm, a.y.dims[3] = 31, SHAPE, "y is f16 [2, 3, 4, 31]");
    ACCEPTED(tap_sum, a.b = a.head = absent);
    REFUSED(tap_sum, a.head.dims[0] = 1, SHAPE, "head must hold");
    REFUSED(tap_sum, (a.y.dims[3] = a.b.dims[0] = 2), SHAPE, "whole number of taps");
    REFUSED(tap_sum, a.s.dtype = SVR_F16, TYPE, "s is f16");
    ACCEPTED(upsample_conv3d, a.b = absent);
    ACCEPTED(upsample_conv3d, (a.head = absent, a.y.dims[0] = 5));
    ACCEPTED(upsample_conv3d, a.y.dtype = SVR_F32);
    ACCEPTED(upsample_conv3d, a.head_starts = true);
    REFUSED(upsample_conv3d, (a.head = absent, a.y.dims[0] = 5, a.head_starts = true), INVALID,
            "head_starts");
    REFUSED(upsample_conv3d, a.head = absent, SHAPE, "y is");
    REFUSED(upsample_conv3d, a.head.dims[0] = 2, SHAPE, "head must hold");
    REFUSED(upsample_conv3d, a.head.dims[3] = 7, SHAPE, "head is f16 [1, 4, 5, 7]");
    REFUSED(upsample_conv3d, a.tz = 0, INVALID, "tz");
    REFUSED(upsample_conv3d, a.tz = 1, SHAPE, "up must have");
    REFUSED(upsample_conv3d, a.w.dims[2] = 1, SHAPE, "w is");
    REFUSED(upsample_conv3d, a.y.dims[1] = 9, SHAPE, "y is");
    REFUSED(upsample_conv3d, a.y.dtype = SVR_BF16, SHAPE, "the type of x");
    REFUSED(upsample_conv3d, a.y.data = a.x.data, SHAPE, "overlaps x");
    ACCEPTED(depth_to_space, (a.drop_second = false, a.y.dims[0] = 6));
    ACCEPTED(depth_to_space, (a.drop_second = false, a.tz = 1, a.y.dims[0] = 3, a.y.dims[3] = 4));
    REFUSED(depth_to_space, a.drop_second = false, SHAPE, "y is");
    REFUSED(depth_to_space, a.tz = 3, INVALID, "tz");
    REFUSED(depth_to_space, a.tz = 1, INVALID, "drop_second");
    REFUSED(depth_to_space, a.x.dims[3] = 12, INVALID, "channels of x");
    REFUSED(depth_to_space, a.y.dtype = SVR_F32, TYPE, "y is f32");
    REFUSED(frame_attention, a.k.dims[1] = 8, SHAPE, "k is f16 [2, 8, 8]");
    REFUSED(frame_attention, a.v.dtype = SVR_F32, TYPE, "v is f32");
}

static void test_general_ops(void)
{
    ACCEPTED(copy, a.src.dtype = a.dst.dtype = SVR_I32);
    REFUSED(copy, a.src.dtype = SVR_I32, SHAPE, "only f32, f16 and bf16");
    REFUSED(copy, a.dst.dims[0] = 2, SHAPE, "same number of elements");
    ACCEPTED(lincomb, (a.b = absent, a.clamp = false, a.lo = 2));
    REFUSED(lincomb, a.a.dims[0] = 3, SHAPE, "a and y");
    REFUSED(lincomb, a.b.dims[0] = 3, SHAPE, "b and y");
    REFUSED(lincomb, a.lo = 2, INVALID, "lo <= hi");
    REFUSED(lincomb, a.y.dtype = SVR_I32, TYPE, "y is i32");
    REFUSED(find_overflow, a.found.dims[0] = 2, SHAPE, "found is i32 [2]");
    REFUSED(find_overflow, a.x.dtype = SVR_I32, TYPE, "x is i32");
    ACCEPTED(linear, a.b = a.gate = a.residual = absent);
    REFUSED(linear, a.gate.dims[0] = 7, SHAPE, "gate is f32 [7]");
    REFUSED(linear, a.residual.dims[0] = 6, SHAPE, "residual is f16 [6, 5]");
    REFUSED(linear, a.activation = (svr_activation) -1, INVALID, "activation");
    REFUSED(swiglu, a.w_up.dims[0] = 11, SHAPE, "w_up is f32 [11, 8]");
    REFUSED(swiglu, a.w_up.dtype = SVR_BF16, SHAPE, "w_gate and w_up");
    REFUSED(quantize, a.y.dtype = SVR_F16, TYPE, "y is f16 [7, 8]; its type must be f8_e4m3 or i8");
    REFUSED(quantize, a.x.dtype = SVR_F8_E4M3, TYPE, "x is f8_e4m3");
    REFUSED(quantize, a.scale.dims[0] = 8, SHAPE, "scale is f32 [8]");
    REFUSED(quantize, a.scale.data = a.y.data, SHAPE, "overlaps");
    ACCEPTED(quantize_runs, a.y.dtype = SVR_I8);
    ACCEPTED(quantize_runs, (a.x.dims[1] = a.y.dims[1] = 32, a.scales.dims[1] = 1));
    REFUSED(quantize_runs, a.y.dtype = SVR_U8, TYPE, "its type must be f8_e4m3 or i8");
    REFUSED(quantize_runs, a.scales.dtype = SVR_F32, TYPE, "scales is f32 [5, 2, 2, 8]");
    REFUSED(quantize_runs, a.scales.dims[1] = 1, SHAPE, "scales is f16 [5, 1, 2, 8]; it must be");
    REFUSED(quantize_runs, a.scales.dims[2] = 1, SHAPE, "scales is f16 [5, 2, 1, 8]");
    REFUSED(quantize_runs, a.scales.data = a.y.data, SHAPE, "overlaps");
    ACCEPTED(dequantize_runs, a.x.dtype = SVR_I8);
    ACCEPTED(dequantize_runs, a.scales.dtype = a.y.dtype = SVR_F32);
    REFUSED(dequantize_runs, a.y.dtype = SVR_F32, TYPE, "scales is f16 [5, 2, 2, 8]");
    REFUSED(dequantize_runs, a.x.dims[1] = 32, SHAPE, "x is f8_e4m3 [5, 32, 8]");
    REFUSED(dequantize_runs, a.scales.dims[1] = 1, SHAPE, "it must be f16 [5, 2, 2, 8]");
    REFUSED(dequantize_runs, a.y.data = a.x.data, SHAPE, "overlaps");
    ACCEPTED(quantize, a.y.dtype = SVR_I8);
    ACCEPTED(dequantize, (a.x.dtype = SVR_I8, a.y.dtype = SVR_F32));
    REFUSED(dequantize, a.x.dtype = SVR_U8, TYPE, "x is u8 [7, 8]; its type must be f8_e4m3 or i8");
    REFUSED(dequantize, a.y.dtype = SVR_I8, TYPE, "y is i8");
    REFUSED(dequantize, a.scale.dims[0] = 8, SHAPE, "scale is f32 [8]");
    REFUSED(dequantize, a.y.dims[1] = 7, SHAPE, "y is f16 [7, 7]");
    REFUSED(dequantize, a.y.data = a.x.data, SHAPE, "overlaps");
    ACCEPTED(copy_rows, (a.from = absent, a.x.dims[0] = 4));
    ACCEPTED(copy_rows, (a.to = absent, a.y.dims[0] = 4));
    ACCEPTED(copy_rows, a.x.dtype = a.y.dtype = SVR_I32);
    REFUSED(copy_rows, a.to = absent, SHAPE, "as many rows must be taken as are written");
    REFUSED(copy_rows, a.from = absent, SHAPE, "as many rows must be taken as are written");
    REFUSED(copy_rows, a.from = a.to = absent, INVALID, "from or to must be given");
    REFUSED(copy_rows, a.to.dims[0] = 5, SHAPE, "to is i32 [5]");
    REFUSED(copy_rows, a.y.dtype = SVR_F32, TYPE, "y is f32 [7, 6]; its type must be f16");
    REFUSED(copy_rows, a.y.dims[1] = 5, SHAPE, "y is f16 [7, 5]");
    REFUSED(copy_rows, a.y.data = a.x.data, SHAPE, "overlaps x");
    ACCEPTED(rms_norm, (a.rows = svr_tensor_1d((void *) 64, SVR_I32, 7), a.x.dims[0] = 20));
    REFUSED(rms_norm, a.rows = svr_tensor_1d((void *) 64, SVR_I32, 6), SHAPE, "y is f16 [7, 8]");
    REFUSED(rms_norm, a.x.dims[0] = 20, SHAPE, "without rows, x and y must have the same number");
    ACCEPTED(rms_norm, a.weight = a.scale = a.shift = absent);
    REFUSED(rms_norm, a.shift = absent, INVALID, "scale and shift");
    REFUSED(rms_norm, a.weight.dims[0] = 9, SHAPE, "weight is f32 [9]");
    REFUSED(rms_norm, a.eps = -1, INVALID, "eps");
    ACCEPTED(guidance, a.x = absent);
    ACCEPTED(guidance, (a.rescale = 0, a.pos.dims[1] = a.neg.dims[1] = a.x.dims[1] = 1));
    REFUSED(guidance, a.pos.dims[1] = a.neg.dims[1] = a.x.dims[1] = 1, INVALID, "rescale");
    REFUSED(guidance, a.x.dims[0] = 8, SHAPE, "x is f32 [8, 16]");
    REFUSED(guidance, (a.x = a.neg), SHAPE, "overlaps");
    REFUSED(guidance, a.neg.dims[0] = 8, SHAPE, "neg is f16 [8, 16]");
    REFUSED(noise, a.y.dims[3] = 14, INVALID, "multiple of 4");
    REFUSED(noise, a.y.dims[3] = 1028, INVALID, "multiple of 4");
}

static void test_token_ops(void)
{
    static const int32_t falling[] = {0, 5, 4, 9}, late[] = {1, 4, 4, 9}, brief[] = {0, 4, 4, 8},
                         third[] = {300, 304, 304, 309};

    ACCEPTED(patchify, (a.b = absent, a.y.dims[1] = 64));
    REFUSED(patchify, a.b = absent, SHAPE, "y is f16 [18, 132]; it must be f16 [18, 64]");
    REFUSED(patchify, a.a.dims[1] = a.b.dims[1] = 5, SHAPE, "multiples of the patch");
    REFUSED(patchify, a.b.dims[2] = 4, SHAPE, "b is");
    REFUSED(patchify, a.patch = 0, INVALID, "patch");
    REFUSED(patchify, a.patch = 1 << 30, INVALID, "patch");
    REFUSED(unpatchify, a.x.dims[0] = 17, SHAPE, "x is f16 [17, 64]");
    REFUSED(unpatchify, a.y.dims[2] = 5, SHAPE, "multiples of the patch");
    REFUSED(unpatchify, a.patch = -2, INVALID, "patch");
    ACCEPTED(qk_norm_rope, a.rows = a.cosines = a.sines = absent);
    REFUSED(qk_norm_rope, a.sines = absent, INVALID, "tables");
    REFUSED(qk_norm_rope, a.cosines.dims[1] = a.sines.dims[1] = 6, SHAPE, "do not fit into a head");
    REFUSED(qk_norm_rope, a.qkv.dims[1] = 2, SHAPE, "axis 1 must be 3");
    REFUSED(qk_norm_rope, a.rows.dtype = SVR_F32, TYPE, "rows is f32");
    REFUSED(qk_norm_rope, a.norm_k.dims[0] = 16, SHAPE, "norm_k is f32 [16]");
    ACCEPTED(window_attention, a.out_txt = absent);
    ACCEPTED(window_attention, a.order = absent);
    ACCEPTED(window_attention, a.host_offsets = third);
    ACCEPTED(window_attention, (a.text_sum = a.out_txt, a.text_sum.dtype = SVR_F32,
                                a.out_txt = absent, a.windows_before = 2));
    REFUSED(window_attention, a.windows_before = 2, INVALID, "must be in text_sum");
    REFUSED(window_attention, a.windows_before = -1, INVALID, "must be in text_sum");
    REFUSED(window_attention, (a.text_sum = a.out_txt, a.out_txt = absent), TYPE,
            "text_sum is f16");
    REFUSED(window_attention,
            (a.text_sum = a.out_txt, a.text_sum.dtype = SVR_F32, a.text_sum.dims[1] = 31,
             a.out_txt = absent),
            SHAPE, "text_sum is f32 [5, 31]");
    REFUSED(window_attention, a.out_vid.dims[1] = 31, SHAPE, "out_vid is f16 [9, 31]");
    REFUSED(window_attention, a.out_txt.dims[0] = 9, SHAPE, "out_txt is f16 [9, 32]");
    REFUSED(window_attention, a.txt.dims[2] = 3, SHAPE, "txt is");
    REFUSED(window_attention, a.order.dims[0] = 8, SHAPE, "order is i32 [8]");
    REFUSED(window_attention, a.window_count = 2, SHAPE, "offsets is i32 [4]");
    REFUSED(window_attention, a.window_count = 0, INVALID, "one window");
    REFUSED(window_attention, a.host_offsets = NULL, INVALID, "host_offsets");
    REFUSED(window_attention, a.host_offsets = falling, INVALID, "host_offsets must rise");
    REFUSED(window_attention, a.host_offsets = late, INVALID, "host_offsets must rise");
    REFUSED(window_attention, a.host_offsets = brief, INVALID, "host_offsets must rise");
}

static void test_pixel_ops(void)
{
    ACCEPTED(unpack, a.alpha = absent);
    ACCEPTED(pack, (a.frame.stride[0] = -5, a.frame.stride[1] = -8));
    REFUSED(unpack, a.info.height = 4, SHAPE, "rgb is f32 [3, 5, 3]");
    REFUSED(unpack, a.info.width = 0, INVALID, "one pixel");
    REFUSED(unpack, a.info.format = SVR_PIXEL_FORMAT_COUNT, INVALID, "pixel format");
    REFUSED(unpack, a.info.color.kr = 0.95, INVALID, "luma weights");
    REFUSED(unpack, a.frame.plane[1] = NULL, INVALID, "plane");
    REFUSED(unpack, a.frame.stride[0] = 4, INVALID, "stride");
    REFUSED(unpack, (a.info.format = SVR_PIXEL_GRAY16, a.frame.stride[0] = 11), INVALID, "words");
    REFUSED(pack, (a.info.format = SVR_PIXEL_GRAY16, a.frame.stride[0] = 12, a.frame.plane[0]++),
            INVALID, "words");
    REFUSED(pack, (a.info.format = SVR_PIXEL_GRAY8, a.info.color.kb = 0), INVALID, "luma weights");
    REFUSED(pack, a.frame.stride[1] = -5, INVALID, "stride");
    REFUSED(pack, a.alpha.dims[0] = 2, SHAPE, "alpha is f32 [2, 5]");
    REFUSED(pack, a.rgb.dims[2] = 4, SHAPE, "rgb is f32 [3, 5, 4]");
    REFUSED(resize, a.horizontal.first.dims[0] = 11, SHAPE, "horizontal.first is i32 [11]");
    REFUSED(resize, a.vertical.weight.dims[0] = 8, SHAPE, "vertical.weight is f32 [8, 4]");
    REFUSED(resize, a.vertical.weight.dims[1] = 7, SHAPE, "more taps");
    REFUSED(resize, a.horizontal.weight.dims[1] = 9, SHAPE, "more taps");
    REFUSED(resize, a.x.dtype = SVR_F16, TYPE, "x is f16");
    REFUSED(to_model, a.y.dims[1] = 5, SHAPE, "at least as high");
    REFUSED(to_model, a.y.dims[3] = 4, SHAPE, "axis 3 must be 3");
    REFUSED(to_model, a.padding = SVR_PADDING_COUNT, INVALID, "padding must be");
    REFUSED(crop, a.y.dims[2] = 17, SHAPE, "not be higher or wider");
    REFUSED(crop, a.y.dims[3] = 1, SHAPE, "y is f32 [2, 6, 7, 1]");
    REFUSED(blur, a.radius = 0, INVALID, "radius");
    REFUSED(blur, a.y.dims[1] = 5, SHAPE, "y is f32 [2, 5, 7, 3]");
}

static void test_colour_ops(void)
{
    REFUSED(adain, a.style.dims[1] = 5, SHAPE, "style is f32 [2, 5, 7, 3]");
    REFUSED(rgb_to_lab, a.y.dims[0] = 1, SHAPE, "y is f32 [1, 6, 7, 3]");
    REFUSED(lab_to_rgb, a.x.dims[3] = 1, SHAPE, "axis 3 must be 3");
    REFUSED(histogram, a.counts.dtype = SVR_F32, TYPE, "counts is f32");
    REFUSED(histogram, a.counts.dims[0] = 4, SHAPE, "counts is i32 [4, 256]");
    REFUSED(histogram, a.hi[2] = -1, INVALID, "lo must be below hi");
    REFUSED(match_histogram, a.ref_counts.dims[1] = 32, SHAPE, "ref_counts is i32 [3, 32]");
    REFUSED(match_histogram, a.lo[0] = 1, INVALID, "lo must be below hi");
    REFUSED(match_ranks, a.ref.dims[0] = 3, SHAPE, "ref is f32 [3, 6, 7, 3]");
    REFUSED(hsv, a.style.dims[2] = 6, SHAPE, "style is f32 [2, 6, 6, 3]");
    REFUSED(saturation_mix, a.hsv.dims[2] = 6, SHAPE, "hsv is f32 [2, 6, 6, 3]");
    ACCEPTED(alpha_guide, (a.edges = absent, a.mask_like = false));
    REFUSED(alpha_guide, a.mask_like = false, INVALID, "edge map");
    REFUSED(alpha_guide, a.rgb.dims[2] = 6, SHAPE, "rgb is f32 [2, 6, 6, 3]");
}

int main(void)
{
    RUN(test_good_arguments);
    RUN(test_texts);
    RUN(test_extents);
    RUN(test_conv3d);
    RUN(test_quantized);
    RUN(test_overlap);
    RUN(test_vae_ops);
    RUN(test_general_ops);
    RUN(test_token_ops);
    RUN(test_pixel_ops);
    RUN(test_colour_ops);
    return check_done();
}
