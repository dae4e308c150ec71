#include "backend/ops_check.h"

#include "base/checked.h"

#include <stdio.h>

static svr_status check_same_count(const char *what, const svr_tensor *a, const svr_tensor *b,
                                   svr_error *err)
{
    return svr_check_fit(svr_tensor_elems(a) == svr_tensor_elems(b), what, a, b, err);
}

svr_status svr_check_copy(const svr_copy_args *args, svr_error *err)
{
    static const svr_operand operands[] = {
        SVR_OPERAND(copy, src, NULL, ANY, 0),
        SVR_OPERAND(copy, dst, NULL, ANY, SVR_OPERAND_WRITTEN),
    };

    SVR_TRY(SVR_CHECK_OPERANDS("copy", args, operands, err));
    SVR_TRY(svr_check_fit(args->src.dtype == args->dst.dtype ||
                              (svr_is_storage(args->src.dtype) && svr_is_storage(args->dst.dtype)),
                          "copy: only f32, f16 and bf16 are converted into each other", &args->src,
                          &args->dst, err));
    return check_same_count("copy: src and dst must have the same number of elements", &args->src,
                            &args->dst, err);
}

svr_status svr_check_copy_rows(const svr_copy_rows_args *args, svr_error *err)
{
    static const svr_operand operands[] = {
        SVR_OPERAND(copy_rows, x, ".D", ANY, 0),
        SVR_OPERAND(copy_rows, y, ".D", FIRST, SVR_OPERAND_WRITTEN),
        SVR_OPERAND(copy_rows, from, "M", I32, SVR_OPERAND_OPTIONAL),
        SVR_OPERAND(copy_rows, to, "M", I32, SVR_OPERAND_OPTIONAL),
    };
    const svr_tensor *from = svr_tensor_present(&args->from) ? &args->from : &args->x;
    const svr_tensor *to = svr_tensor_present(&args->to) ? &args->to : &args->y;

    SVR_TRY(SVR_CHECK_OPERANDS("copy_rows", args, operands, err));
    SVR_TRY(svr_check_option("copy_rows", from != &args->x || to != &args->y,
                             "from or to must be given; use copy for rows in order", err));
    return svr_check_fit(from->dims[0] == to->dims[0],
                         "copy_rows: as many rows must be taken as are written", from, to, err);
}

svr_status svr_check_copy_window(const svr_copy_window_args *args, svr_error *err)
{
    static const svr_operand operands[] = {
        SVR_OPERAND(copy_window, x, "T..C", ANY, 0),
        SVR_OPERAND(copy_window, y, "T..C", FIRST, SVR_OPERAND_WRITTEN),
    };

    SVR_TRY(SVR_CHECK_OPERANDS("copy_window", args, operands, err));
    for (int i = 0; i < 2; i++) {
        SVR_TRY(svr_check_option("copy_window",
                                 args->from[i] >= 0 && args->to[i] >= 0 && args->size[i] >= 1,
                                 "the window must have a size and begin inside the frames", err));
        SVR_TRY(svr_check_fit(args->size[i] <= args->x.dims[i + 1] - args->from[i] &&
                                  args->size[i] <= args->y.dims[i + 1] - args->to[i],
                              "copy_window: the window must lie inside the frames of x and of y",
                              &args->x, &args->y, err));
    }
    return SVR_OK;
}

svr_status svr_check_lincomb(const svr_lincomb_args *args, svr_error *err)
{
    static const svr_operand operands[] = {
        SVR_OPERAND(lincomb, a, NULL, STORAGE, SVR_OPERAND_IN_PLACE),
        SVR_OPERAND(lincomb, b, NULL, STORAGE, SVR_OPERAND_OPTIONAL | SVR_OPERAND_IN_PLACE),
        SVR_OPERAND(lincomb, y, NULL, STORAGE, SVR_OPERAND_WRITTEN),
    };

    SVR_TRY(SVR_CHECK_OPERANDS("lincomb", args, operands, err));
    SVR_TRY(check_same_count("lincomb: a and y must have the same number of elements", &args->a,
                             &args->y, err));
    if (svr_tensor_present(&args->b))
        SVR_TRY(check_same_count("lincomb: b and y must have the same number of elements", &args->b,
                                 &args->y, err));
    return svr_check_option("lincomb", !args->clamp || args->lo <= args->hi, "clamp needs lo <= hi",
                            err);
}

svr_status svr_check_find_overflow(const svr_find_overflow_args *args, svr_error *err)
{
    static const svr_operand operands[] = {
        SVR_OPERAND(find_overflow, x, NULL, STORAGE, 0),
        SVR_OPERAND(find_overflow, found, "1", I32, SVR_OPERAND_WRITTEN),
    };

    return SVR_CHECK_OPERANDS("find_overflow", args, operands, err);
}

svr_status svr_check_quantize(const svr_quantize_args *args, svr_error *err)
{
    static const svr_operand operands[] = {
        SVR_OPERAND(quantize, x, "MK", STORAGE, 0),
        SVR_OPERAND(quantize, y, "MK", BYTES, SVR_OPERAND_WRITTEN),
        SVR_OPERAND(quantize, scale, "M", F32, SVR_OPERAND_WRITTEN),
    };

    return SVR_CHECK_OPERANDS("quantize", args, operands, err);
}

/* The scales of runs belong to frames of this type. */
static svr_status check_runs(const char *op, const svr_tensor *frames, const svr_tensor *scales,
                             svr_error *err)
{
    const int64_t *d = frames->dims;
    const int64_t dims[4] = {d[0], svr_ceil_div(d[1], SVR_RUN_PIXELS), 2, d[2]};

    return svr_check_dims(op, "scales", scales, dims, frames, err);
}

svr_status svr_check_quantize_runs(const svr_quantize_runs_args *args, svr_error *err)
{
    static const svr_operand operands[] = {
        SVR_OPERAND(quantize_runs, x, "RWC", STORAGE, 0),
        SVR_OPERAND(quantize_runs, y, "RWC", BYTES, SVR_OPERAND_WRITTEN),
        SVR_OPERAND(quantize_runs, scales, "RN2C", FIRST, SVR_OPERAND_WRITTEN),
    };

    SVR_TRY(SVR_CHECK_OPERANDS("quantize_runs", args, operands, err));
    return check_runs("quantize_runs", &args->x, &args->scales, err);
}

svr_status svr_check_dequantize_runs(const svr_dequantize_runs_args *args, svr_error *err)
{
    static const svr_operand operands[] = {
        SVR_OPERAND(dequantize_runs, y, "RWC", STORAGE, SVR_OPERAND_WRITTEN),
        SVR_OPERAND(dequantize_runs, x, "RWC", BYTES, 0),
        SVR_OPERAND(dequantize_runs, scales, "RN2C", FIRST, 0),
    };

    SVR_TRY(SVR_CHECK_OPERANDS("dequantize_runs", args, operands, err));
    return check_runs("dequantize_runs", &args->y, &args->scales, err);
}

svr_status svr_check_dequantize(const svr_dequantize_args *args, svr_error *err)
{
    static const svr_operand operands[] = {
        SVR_OPERAND(dequantize, x, "MK", BYTES, 0),
        SVR_OPERAND(dequantize, scale, "M", F32, 0),
        SVR_OPERAND(dequantize, y, "MK", STORAGE, SVR_OPERAND_WRITTEN),
    };

    return SVR_CHECK_OPERANDS("dequantize", args, operands, err);
}

/* Both factors of a product are e4m3 or none is; weights of 8-bit integers go with those and with
 * storage. */
static svr_status check_factors(const char *op, const char *name, const svr_tensor *x,
                                const svr_tensor *w, svr_error *err)
{
    char text[96] = "";

    if ((x->dtype == SVR_F8_E4M3) != (w->dtype == SVR_F8_E4M3))
        snprintf(text, sizeof text, "%s: x and %s must both be f8_e4m3 or both not", op, name);
    else if (x->dtype == SVR_I8 && w->dtype != SVR_I8)
        snprintf(text, sizeof text, "%s: x of i8 goes with %s of i8", op, name);
    else if (x->dtype == SVR_I8 && x->dims[1] > SVR_I8_DEPTH)
        snprintf(text, sizeof text, "%s: so many products of i8 do not fit into 32 bits", op);
    return svr_check_fit(text[0] == '\0', text, x, w, err);
}

svr_status svr_check_linear(const svr_linear_args *args, svr_error *err)
{
    static const svr_operand operands[] = {
        SVR_OPERAND(linear, x, "MK", FACTOR, 0),
        SVR_OPERAND(linear, w, "NK", FACTOR, 0),
        SVR_OPERAND(linear, b, "N", F32, SVR_OPERAND_OPTIONAL),
        SVR_OPERAND(linear, gate, "N", F32, SVR_OPERAND_OPTIONAL),
        SVR_OPERAND(linear, residual, "MN", STORAGE, SVR_OPERAND_OPTIONAL | SVR_OPERAND_IN_PLACE),
        SVR_OPERAND(linear, y, "MN", STORAGE, SVR_OPERAND_WRITTEN),
        SVR_OPERAND(linear, x_scale, "M", F32, SVR_OPERAND_OPTIONAL),
        SVR_OPERAND(linear, w_scale, "N", F32, SVR_OPERAND_OPTIONAL),
    };
    static const char *const x[2] = {"x", "x_scale"}, *const w[2] = {"w", "w_scale"};

    SVR_TRY(SVR_CHECK_OPERANDS("linear", args, operands, err));
    SVR_TRY(check_factors("linear", "w", &args->x, &args->w, err));
    SVR_TRY(svr_check_scale("linear", x, &args->x, &args->x_scale, err));
    SVR_TRY(svr_check_scale("linear", w, &args->w, &args->w_scale, err));
    return svr_check_activation("linear", args->activation, err);
}

svr_status svr_check_swiglu(const svr_swiglu_args *args, svr_error *err)
{
    static const svr_operand operands[] = {
        SVR_OPERAND(swiglu, x, "MK", FACTOR, 0),
        SVR_OPERAND(swiglu, w_gate, "FK", FACTOR, 0),
        SVR_OPERAND(swiglu, w_up, "FK", FACTOR, 0),
        SVR_OPERAND(swiglu, y, "MF", STORAGE, SVR_OPERAND_WRITTEN),
        SVR_OPERAND(swiglu, x_scale, "M", F32, SVR_OPERAND_OPTIONAL),
        SVR_OPERAND(swiglu, gate_scale, "F", F32, SVR_OPERAND_OPTIONAL),
        SVR_OPERAND(swiglu, up_scale, "F", F32, SVR_OPERAND_OPTIONAL),
    };
    static const char *const x[2] = {"x", "x_scale"}, *const gate[2] = {"w_gate", "gate_scale"},
                             *const up[2] = {"w_up", "up_scale"};

    SVR_TRY(SVR_CHECK_OPERANDS("swiglu", args, operands, err));
    SVR_TRY(check_factors("swiglu", "w_gate", &args->x, &args->w_gate, err));
    SVR_TRY(svr_check_scale("swiglu", x, &args->x, &args->x_scale, err));
    SVR_TRY(svr_check_scale("swiglu", gate, &args->w_gate, &args->gate_scale, err));
    SVR_TRY(svr_check_scale("swiglu", up, &args->w_up, &args->up_scale, err));
    return svr_check_fit(args->w_gate.dtype == args->w_up.dtype,
                         "swiglu: w_gate and w_up must have the same type", &args->w_gate,
                         &args->w_up, err);
}
