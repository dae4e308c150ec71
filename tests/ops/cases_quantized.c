/* Cases of norms that quantise and of quantised products.  Limits: as in cases_conv.c, and for
 * products what tensor cores lose while they sum (ops_inner_rounding()): up to one such unit of the
 * sum a step of 32, and some four for the products, which are cut off at the same place. */
#include "harness.h"
#include "linear_case.h"
#include "reference.h"

#include <math.h>

enum { SUM_UNITS = 16, STEP = 32, PRODUCT_UNITS = 4 };

/* ---------------------------------------------------------------------------- norms */

static const svr_dtype byte_types[2] = {SVR_F8_E4M3, SVR_I8};

static double largest_of(svr_dtype type)
{
    return type == SVR_I8 ? 127 : 448;
}

static void rms_norm_case(ops_bench *bench, const int shape[2], const svr_dtype from_to[2],
                          bool modulated)
{
    int64_t M = shape[0], D = shape[1];
    ops_array *x = ops_input(bench, from_to[0], SVR_DIMS(M, D));
    ops_array *scale = modulated ? ops_input(bench, SVR_F32, SVR_DIMS(D)) : NULL;
    ops_array *shift = modulated ? ops_input(bench, SVR_F32, SVR_DIMS(D)) : NULL;
    ops_array *y = ops_output(bench, from_to[1], SVR_DIMS(M, D));
    ops_array *y_scale = ops_output(bench, SVR_F32, SVR_DIMS(M));
    svr_rms_norm_args args[OPS_SIDES];
    svr_quantize_args rows;

    for (int side = 0; side < OPS_SIDES; side++)
        args[side] = (svr_rms_norm_args){.x = ops_view(x, side),
                                         .scale = ops_view(scale, side),
                                         .shift = ops_view(shift, side),
                                         .y = ops_view(y, side),
                                         .y_scale = ops_view(y_scale, side),
                                         .eps = 1e-5f};
    OPS_RUN(bench, rms_norm, &args[OPS_DEVICE]);
    reference_rms_norm(&args[OPS_REFERENCE]);
    rows = (svr_quantize_args){args[OPS_REFERENCE].y, args[OPS_REFERENCE].y,
                               args[OPS_REFERENCE].y_scale};
    reference_quantize(&rows, largest_of(from_to[1]));
    /* a sum with a shift may cancel: units of the row's largest value, which is that */
    ops_compare(bench, y, NULL, 16 * OPS_F32_EPS);
    ops_compare(bench, y_scale, NULL, 16 * OPS_F32_EPS);
}

/* An infinity or NaN in row m of every second row: its scale says so. */
static void spoiled_norm_case(ops_bench *bench, const int shape[2], svr_dtype type, double bad)
{
    int64_t M = shape[0], D = shape[1];
    ops_array *x = ops_input(bench, SVR_F16, SVR_DIMS(M, D));
    ops_array *y = ops_output(bench, type, SVR_DIMS(M, D));
    ops_array *y_scale = ops_output(bench, SVR_F32, SVR_DIMS(M));
    double *values = ops_doubles(bench, M * D);
    svr_rms_norm_args args = {.x = ops_view(x, OPS_DEVICE),
                              .y = ops_view(y, OPS_DEVICE),
                              .y_scale = ops_view(y_scale, OPS_DEVICE),
                              .eps = 1e-5f};

    for (int64_t i = 0; i < M * D; i++)
        values[i] = i / D % 2 == 0 && i % D == i / D % D
                        ? bad
                        : (double) test_random_normal(ops_random(bench));
    ops_set_values(x, values);
    OPS_RUN(bench, rms_norm, &args);
    for (int64_t m = 0; m < M && !ops_is_refused(bench); m++)
        if ((m % 2 == 0) == isfinite(((const float *) ops_result(y_scale))[m]))
            ops_fail(bench, "the scale of row %lld is %g", (long long) m,
                     (double) ((const float *) ops_result(y_scale))[m]);
}

static void cases_rms_norm(ops_bench *bench, svr_dtype type)
{
    static const int shapes[][2] = {{50, 192}, {1, 1}, {33, 65}, {3, 2560}, {2, 5000}};
    const double bad[] = {INFINITY, -INFINITY, NAN};

    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        for (int modulated = 0; modulated < 2; modulated++)
            for (int d = 0; d < 3 && ops_wants(bench, i == 2); d++) {
                ops_case(bench, "rms_norm[%zu] %s to %s modulated %d", i,
                         svr_dtype_name(ops_storage[d]), svr_dtype_name(type), modulated);
                rms_norm_case(bench, shapes[i], (svr_dtype[]){ops_storage[d], type}, modulated);
            }
        for (int v = 0; v < 3 && ops_wants(bench, i == 2); v++) {
            ops_case(bench, "rms_norm[%zu] to %s with %g", i, svr_dtype_name(type), bad[v]);
            spoiled_norm_case(bench, shapes[i], type, bad[v]);
        }
    }
}

/* ---------------------------------------------------------------------------- products */

/* A quantised factor [rows, K] and its scales, so that rows have numbers of about `size`. */
typedef struct factor {
    ops_array *values, *scale;
} factor;

static factor make_factor(ops_bench *bench, svr_dtype type, int64_t rows, int64_t K, double size)
{
    factor f = {ops_input(bench, type, SVR_DIMS(rows, K)),
                ops_input(bench, SVR_F32, SVR_DIMS(rows))};
    double *scales = ops_doubles(bench, rows), spread = type == SVR_I8 ? 50 : 100;

    ops_scale_values(f.values, spread, 0);
    for (int64_t i = 0; i < rows; i++)
        scales[i] = size / spread * (0.5 + (double) (i % 7) / 6);
    ops_set_values(f.scale, scales);
    return f;
}

/* Element by element, and by the norm of all errors, which a lost or misplaced part shows in: a sum
 * of K terms in F32 strays by the root of K roundings, and the scales add a few.  `inner`: what is
 * lost besides. */
static void compare_product(ops_bench *bench, const ops_array *y, const double *magnitude,
                            int64_t K, double inner)
{
    ops_compare(bench, y, magnitude, SUM_UNITS * OPS_F32_EPS + inner);
    ops_compare_norm(bench, y, (sqrt((double) K) + 4) * OPS_F32_EPS + inner);
}

/* What tensor cores lose of a sum of K products: nothing of integers. */
static double lost_of(const ops_bench *bench, svr_dtype type, int64_t K)
{
    double steps = (double) ((K + STEP - 1) / STEP + PRODUCT_UNITS);

    return type == SVR_I8 ? 0 : steps * ops_inner_rounding(bench, SVR_F8_E4M3);
}

static const linear_case linear_cases[] = {
    {.M = 58, .K = 192, .N = 576, .out = SVR_F16},
    {.M = 300, .K = 2560, .N = 776, .out = SVR_F16},
    {.M = 129, .K = 208, .N = 64, .out = SVR_BF16, .bias = true, .small = true},
    {.M = 257,
     .K = 1040,
     .N = 264,
     .bias = true,
     .gate = true,
     .residual = ADD_IN_PLACE,
     .out = SVR_F32},
    {.M = 58, .K = 6912, .N = 256, .gate = true, .residual = ADD_IN_PLACE, .out = SVR_F32},
    {.M = 140,
     .K = 320,
     .N = 96,
     .bias = true,
     .gate = true,
     .residual = ADD_F32,
     .out = SVR_F32,
     .small = true},
    {.M = 140, .K = 320, .N = 96, .gate = true, .residual = ADD_IN_PLACE, .out = SVR_BF16},
    {.M = 70, .K = 320, .N = 96, .residual = ADD_F32, .out = SVR_F16},
    {.M = 170, .K = 256, .N = 512, .bias = true, .activation = SVR_ACT_GELU_TANH, .out = SVR_F16},
    {.M = 5000, .K = 64, .N = 32, .bias = true, .activation = SVR_ACT_SILU, .out = SVR_F32},
    {.M = 29, .K = 31, .N = 17, .bias = true, .out = SVR_F32},
    {.M = 1, .K = 1, .N = 1, .out = SVR_F16},
};

static void linear_op_case(ops_bench *bench, const linear_case *c, svr_dtype type)
{
    factor x = make_factor(bench, type, c->M, c->K, 1),
           w = make_factor(bench, type, c->N, c->K, 1 / sqrt(c->K));
    linear_operands operands = linear_operands_make(bench, c, c->out);
    svr_linear_args args[OPS_SIDES];

    for (int side = 0; side < OPS_SIDES; side++) {
        args[side] = linear_args(&operands, side);
        args[side].x = ops_view(x.values, side);
        args[side].w = ops_view(w.values, side);
        args[side].x_scale = ops_view(x.scale, side);
        args[side].w_scale = ops_view(w.scale, side);
    }
    OPS_RUN(bench, linear, &args[OPS_DEVICE]);
    reference_linear(&args[OPS_REFERENCE], operands.magnitude);
    compare_product(bench, operands.y, operands.magnitude, c->K, lost_of(bench, type, c->K));
}

static void cases_linear(ops_bench *bench, svr_dtype type)
{
    for (size_t i = 0; i < sizeof linear_cases / sizeof linear_cases[0]; i++)
        if (ops_wants(bench, linear_cases[i].small)) {
            ops_case(bench, "linear of %s[%zu]", svr_dtype_name(type), i);
            linear_op_case(bench, &linear_cases[i], type);
        }
}

static void swiglu_case(ops_bench *bench, const int shape[3], svr_dtype type, svr_dtype out)
{
    int64_t M = shape[0], K = shape[1], F = shape[2];
    factor x = make_factor(bench, type, M, K, 1),
           gate = make_factor(bench, type, F, K, 2 / sqrt((double) K)),
           up = make_factor(bench, type, F, K, 1 / sqrt((double) K));
    ops_array *y = ops_output(bench, out, SVR_DIMS(M, F));
    double *magnitude = ops_doubles(bench, M * F);
    svr_swiglu_args args[OPS_SIDES];

    for (int side = 0; side < OPS_SIDES; side++)
        args[side] = (svr_swiglu_args){.x = ops_view(x.values, side),
                                       .w_gate = ops_view(gate.values, side),
                                       .w_up = ops_view(up.values, side),
                                       .y = ops_view(y, side),
                                       .x_scale = ops_view(x.scale, side),
                                       .gate_scale = ops_view(gate.scale, side),
                                       .up_scale = ops_view(up.scale, side)};
    OPS_RUN(bench, swiglu, &args[OPS_DEVICE]);
    reference_swiglu(&args[OPS_REFERENCE], magnitude);
    /* both sums lose, and may be rounded before they are multiplied */
    compare_product(bench, y, magnitude, 2 * K,
                    lost_of(bench, type, 2 * K) + 2 * ops_inner_rounding(bench, out));
}

static void cases_swiglu(ops_bench *bench, svr_dtype type)
{
    static const int shapes[][3] = {
        {61, 192, 512}, {300, 2560, 136}, {2100, 80, 48}, {1, 16, 16}, {29, 33, 47}};

    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (int d = 0; d < 3 && ops_wants(bench, i == 0); d++) {
            ops_case(bench, "swiglu of %s[%zu] to %s", svr_dtype_name(type), i,
                     svr_dtype_name(ops_storage[d]));
            swiglu_case(bench, shapes[i], type, ops_storage[d]);
        }
}

void ops_cases_quantized(ops_bench *bench)
{
    for (int t = 0; t < 2; t++) {
        cases_rms_norm(bench, byte_types[t]);
        cases_linear(bench, byte_types[t]);
        cases_swiglu(bench, byte_types[t]);
    }
}
