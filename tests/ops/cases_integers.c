/* Cases of products whose weights are kept as 8-bit integers.  What the reference multiplies is
 * scaled and rounded as backend/ops.h says, so the limits are those of products of that type and
 * have no room for another rounding of the weights. */
#include "harness.h"
#include "linear_case.h"
#include "reference.h"

#include <math.h>

enum { SUM_UNITS = 16 };

/* Weights [rows, K] as integers of the whole range, their scales, which make numbers of about
 * `size`, and the factors that they stand for. */
typedef struct weight {
    ops_array *values, *scale;
    double *factors;
} weight;

static double round_to(svr_dtype dtype, float value)
{
    float rounded = value;
    uint16_t bits;

    if (dtype != SVR_F32) {
        svr_from_f32(&value, dtype, &bits, 1);
        svr_to_f32(&bits, dtype, &rounded, 1);
    }
    return (double) rounded;
}

static weight make_weight(ops_bench *bench, int64_t rows, int64_t K, double size, svr_dtype dtype)
{
    weight w = {ops_input(bench, SVR_I8, SVR_DIMS(rows, K)),
                ops_input(bench, SVR_F32, SVR_DIMS(rows)), ops_doubles(bench, rows * K)};
    double *scales = ops_doubles(bench, rows);
    const double *values, *kept;

    ops_scale_values(w.values, 50, 0);
    for (int64_t i = 0; i < rows; i++)
        scales[i] = size / 50 * (0.5 + (double) (i % 7) / 6);
    ops_set_values(w.scale, scales);
    values = ops_view(w.values, OPS_REFERENCE).data;
    kept = ops_view(w.scale, OPS_REFERENCE).data;
    for (int64_t i = 0; i < rows * K; i++)
        w.factors[i] = round_to(dtype, (float) values[i] * (float) kept[i / K]);
    return w;
}

/* The factors in the place of a side's weights; the device gets integers and scales. */
static svr_tensor weight_view(const weight *w, int side)
{
    svr_tensor t = ops_view(w->values, side);

    if (side == OPS_REFERENCE)
        t.data = w->factors;
    return t;
}

static svr_tensor scale_view(const weight *w, int side)
{
    return ops_view(side == OPS_REFERENCE ? NULL : w->scale, side);
}

static const linear_case linear_cases[] = {
    {.M = 58, .K = 192, .N = 576},
    {.M = 300, .K = 2560, .N = 776},
    {.M = 129, .K = 208, .N = 64, .bias = true, .small = true},
    {.M = 257,
     .K = 1040,
     .N = 264,
     .bias = true,
     .gate = true,
     .residual = ADD_IN_PLACE,
     .f32_out = true},
    {.M = 140, .K = 320, .N = 90, .bias = true, .gate = true, .residual = ADD_F32, .small = true},
    {.M = 170, .K = 72, .N = 72, .bias = true, .activation = SVR_ACT_GELU_TANH, .small = true},
    {.M = 500, .K = 64, .N = 32, .bias = true, .activation = SVR_ACT_SILU},
    /* runs of 16 integers that would cross rows, and none that is whole */
    {.M = 29, .K = 31, .N = 17, .bias = true, .small = true},
    {.M = 40, .K = 24, .N = 2, .residual = ADD_IN_PLACE},
    {.M = 33, .K = 5, .N = 1, .gate = true},
    {.M = 1, .K = 1, .N = 1},
    {.M = 3, .K = 16, .N = 1, .bias = true},
};

static void linear_op_case(ops_bench *bench, const linear_case *c, svr_dtype dtype)
{
    ops_array *x = ops_input(bench, dtype, SVR_DIMS(c->M, c->K));
    weight w = make_weight(bench, c->N, c->K, 1 / sqrt(c->K), dtype);
    linear_operands operands = linear_operands_make(bench, c, c->f32_out ? SVR_F32 : dtype);
    svr_linear_args args[OPS_SIDES];

    for (int side = 0; side < OPS_SIDES; side++) {
        args[side] = linear_args(&operands, side);
        args[side].x = ops_view(x, side);
        args[side].w = weight_view(&w, side);
        args[side].w_scale = scale_view(&w, side);
    }
    OPS_RUN(bench, linear, &args[OPS_DEVICE]);
    reference_linear(&args[OPS_REFERENCE], operands.magnitude);
    ops_compare(bench, operands.y, operands.magnitude,
                SUM_UNITS * OPS_F32_EPS + ops_inner_rounding(bench, dtype));
    ops_compare_norm(bench, operands.y,
                     (sqrt((double) c->K) + 4) * OPS_F32_EPS + ops_inner_rounding(bench, dtype));
}

static void cases_linear(ops_bench *bench)
{
    for (size_t i = 0; i < sizeof linear_cases / sizeof linear_cases[0]; i++)
        for (int d = 0; d < 3 && ops_wants(bench, linear_cases[i].small); d++) {
            ops_case(bench, "linear of integers[%zu] %s", i, svr_dtype_name(ops_storage[d]));
            linear_op_case(bench, &linear_cases[i], ops_storage[d]);
        }
}

static void swiglu_case(ops_bench *bench, const int shape[3], svr_dtype dtype, svr_dtype out)
{
    int64_t M = shape[0], K = shape[1], F = shape[2];
    ops_array *x = ops_input(bench, dtype, SVR_DIMS(M, K));
    weight gate = make_weight(bench, F, K, 2 / sqrt((double) K), dtype),
           up = make_weight(bench, F, K, 1 / sqrt((double) K), dtype);
    ops_array *y = ops_output(bench, out, SVR_DIMS(M, F));
    double *magnitude = ops_doubles(bench, M * F);
    svr_swiglu_args args[OPS_SIDES];

    for (int side = 0; side < OPS_SIDES; side++)
        args[side] = (svr_swiglu_args){.x = ops_view(x, side),
                                       .w_gate = weight_view(&gate, side),
                                       .w_up = weight_view(&up, side),
                                       .y = ops_view(y, side),
                                       .gate_scale = scale_view(&gate, side),
                                       .up_scale = scale_view(&up, side)};
    OPS_RUN(bench, swiglu, &args[OPS_DEVICE]);
    reference_swiglu(&args[OPS_REFERENCE], magnitude);
    ops_compare(bench, y, magnitude,
                SUM_UNITS * OPS_F32_EPS + 2 * ops_inner_rounding(bench, dtype));
    ops_compare_norm(bench, y,
                     (sqrt(2.0 * (double) K) + 4) * OPS_F32_EPS +
                         2 * ops_inner_rounding(bench, dtype));
}

static void cases_swiglu(ops_bench *bench)
{
    static const int shapes[][3] = {{61, 192, 512}, {300, 2560, 136}, {130, 72, 136},
                                    {1, 16, 16},    {29, 33, 47},     {7, 1, 3}};

    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (int d = 0; d < 3 && ops_wants(bench, i == 2 || i == 4); d++) {
            ops_case(bench, "swiglu of integers[%zu] %s", i, svr_dtype_name(ops_storage[d]));
            swiglu_case(bench, shapes[i], ops_storage[d], i == 4 ? SVR_F32 : ops_storage[d]);
        }
}

void ops_cases_integers(ops_bench *bench)
{
    cases_linear(bench);
    cases_swiglu(bench);
}
