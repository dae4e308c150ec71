/* Cases of rows to 8 bits and back.  Beside the reference, which knows what is meant, stand the
 * functions of base/quantize.h, which say what all backends must make to the bit. */
#include "harness.h"
#include "reference.h"

#include "base/quantize.h"

#include <math.h>
#include <stdlib.h>

static const svr_dtype byte_types[] = {SVR_F8_E4M3, SVR_I8};

/* A shape and its place in the small selection. */
typedef struct row_shape {
    int64_t M, K;
    bool small;
} row_shape;

/* Parts of a warp a row, also the last of a grid; a block a row; what no vector fits. */
static const row_shape shapes[] = {
    {50, 32, true},   {4099, 32, false}, {37, 8, true},     {21, 16, true},   {129, 64, false},
    {9, 128, true},   {70, 256, false},  {50, 192, true},   {5, 2560, false}, {3, 4104, true},
    {9, 6912, false}, {2, 12288, true},  {2, 17000, false}, {33, 65, true},   {1, 1, true},
    {300, 4, false},  {61, 24, true},
};

static double largest_of(svr_dtype type)
{
    return type == SVR_I8 ? 127 : 448;
}

/* Rows of very different size; the first is nothing, the last a single value at its end. */
static void set_rows(ops_bench *bench, ops_array *x, int64_t M, int64_t K)
{
    double *values = ops_doubles(bench, M * K);

    for (int64_t i = 0; i < M * K; i++)
        values[i] =
            (double) test_random_normal(ops_random(bench)) * pow(4, (double) (i / K % 7 - 3));
    for (int64_t i = 0; i < K; i++) {
        values[i] = 0;
        values[(M - 1) * K + i] = i == K - 1 ? -3 : 0;
    }
    ops_set_values(x, values);
}

static bool same(float a, float b)
{
    return a == b || (isnan(a) && isnan(b));
}

/* The device's numbers and scales are those of svr_quantize_row(). */
static void check_bits(ops_bench *bench, const ops_array *x, const ops_array *y,
                       const ops_array *scale)
{
    const svr_tensor values = ops_view(x, OPS_REFERENCE), bytes = ops_view(y, OPS_DEVICE);
    int64_t M = bytes.dims[0], K = bytes.dims[1];
    const uint8_t *got = ops_result(y);
    const float *got_scale = ops_result(scale);
    float *row = malloc((size_t) K * sizeof *row), a, b;
    uint8_t *want = malloc((size_t) K);

    for (int64_t m = 0; m < M && !ops_is_refused(bench); m++) {
        float made;

        for (int64_t k = 0; k < K; k++)
            row[k] = (float) ((const double *) values.data)[m * K + k];
        made = svr_quantize_row(row, (size_t) K, bytes.dtype, want);
        if (!same(got_scale[m], made))
            ops_fail(bench, "scale %lld is %.9g, wanted %.9g", (long long) m, (double) got_scale[m],
                     (double) made);
        for (int64_t k = 0; k < K; k++) {
            svr_to_f32(got + m * K + k, bytes.dtype, &a, 1);
            svr_to_f32(want + k, bytes.dtype, &b, 1);
            if (!same(a, b))
                ops_fail(bench, "element %lld of row %lld is %g, wanted %g", (long long) k,
                         (long long) m, (double) a, (double) b);
        }
    }
    free(row);
    free(want);
}

static void quantize_case(ops_bench *bench, const row_shape *s, svr_dtype dtype, svr_dtype type)
{
    ops_array *x = ops_input(bench, dtype, SVR_DIMS(s->M, s->K));
    ops_array *y = ops_output(bench, type, SVR_DIMS(s->M, s->K));
    ops_array *scale = ops_output(bench, SVR_F32, SVR_DIMS(s->M));
    double *magnitude = ops_doubles(bench, s->M * s->K);
    svr_quantize_args args[OPS_SIDES];

    set_rows(bench, x, s->M, s->K);
    for (int side = 0; side < OPS_SIDES; side++)
        args[side] =
            (svr_quantize_args){ops_view(x, side), ops_view(y, side), ops_view(scale, side)};
    OPS_RUN(bench, quantize, &args[OPS_DEVICE]);
    reference_quantize(&args[OPS_REFERENCE], largest_of(type));
    for (int64_t i = 0; i < s->M * s->K; i++)
        magnitude[i] = fabs(((double *) args[OPS_REFERENCE].y.data)[i]);
    ops_compare(bench, y, magnitude, 4 * OPS_F32_EPS);
    ops_compare(bench, scale, args[OPS_REFERENCE].scale.data, OPS_F32_EPS);
    check_bits(bench, x, y, scale);
}

/* Numbers of the whole range of a type, NaN excepted. */
static void dequantize_case(ops_bench *bench, const row_shape *s, svr_dtype dtype, svr_dtype type)
{
    ops_array *x = ops_input(bench, type, SVR_DIMS(s->M, s->K));
    ops_array *scale = ops_input(bench, SVR_F32, SVR_DIMS(s->M));
    ops_array *y = ops_output(bench, dtype, SVR_DIMS(s->M, s->K));
    double *scales = ops_doubles(bench, s->M);
    svr_dequantize_args args[OPS_SIDES];

    ops_scale_values(x, largest_of(type) / 3, 0);
    for (int64_t m = 0; m < s->M; m++)
        scales[m] = m % 5 == 4 ? 0 : pow(3, (double) (m % 11 - 8));
    ops_set_values(scale, scales);
    for (int side = 0; side < OPS_SIDES; side++)
        args[side] =
            (svr_dequantize_args){ops_view(x, side), ops_view(scale, side), ops_view(y, side)};
    OPS_RUN(bench, dequantize, &args[OPS_DEVICE]);
    reference_dequantize(&args[OPS_REFERENCE]);
    ops_compare_exact(bench, y);
}

/* ---------------------------------------------------------------------------- what overflowed */

/* Rows in which element m of row m is `value`, in every second row. */
static void spoil_rows(ops_bench *bench, ops_array *x, int64_t M, int64_t K, double value)
{
    double *values = ops_doubles(bench, M * K);

    for (int64_t i = 0; i < M * K; i++)
        values[i] = (double) test_random_normal(ops_random(bench));
    for (int64_t m = 0; m < M; m += 2)
        values[m * K + m % K] = value;
    ops_set_values(x, values);
}

static void spoiled_case(ops_bench *bench, const row_shape *s, svr_dtype type, double value)
{
    ops_array *x = ops_input(bench, SVR_F16, SVR_DIMS(s->M, s->K));
    ops_array *y = ops_output(bench, type, SVR_DIMS(s->M, s->K));
    ops_array *scale = ops_output(bench, SVR_F32, SVR_DIMS(s->M));
    svr_quantize_args args = {ops_view(x, OPS_DEVICE), ops_view(y, OPS_DEVICE),
                              ops_view(scale, OPS_DEVICE)};
    float *back = malloc((size_t) s->K * sizeof *back);

    spoil_rows(bench, x, s->M, s->K, value);
    OPS_RUN(bench, quantize, &args);
    check_bits(bench, x, y, scale);
    for (int64_t m = 0; m < s->M && !ops_is_refused(bench); m++) {
        svr_dequantize_row((const uint8_t *) ops_result(y) + m * s->K, (size_t) s->K, type,
                           ((const float *) ops_result(scale))[m], back);
        for (int64_t k = 0; k < s->K; k++)
            if ((m % 2 == 0) == isfinite(back[k]))
                ops_fail(bench, "element %lld of row %lld is %g", (long long) k, (long long) m,
                         (double) back[k]);
    }
    free(back);
}

/* What such rows come back as on the device: scales that are infinite or NaN, beside good ones. */
static void spoiled_back_case(ops_bench *bench, const row_shape *s, svr_dtype type, double value)
{
    ops_array *x = ops_input(bench, type, SVR_DIMS(s->M, s->K));
    ops_array *scale = ops_input(bench, SVR_F32, SVR_DIMS(s->M));
    ops_array *y = ops_output(bench, SVR_F16, SVR_DIMS(s->M, s->K));
    svr_dequantize_args args = {ops_view(x, OPS_DEVICE), ops_view(scale, OPS_DEVICE),
                                ops_view(y, OPS_DEVICE)};
    double *scales = ops_doubles(bench, s->M), *zeros = ops_doubles(bench, s->M * s->K);

    for (int64_t m = 0; m < s->M; m++)
        scales[m] = m % 2 == 0 ? fabs(value) : 0.5;
    ops_set_values(scale, scales);
    ops_set_values(x, zeros);
    OPS_RUN(bench, dequantize, &args);
    for (int64_t i = 0; i < s->M * s->K && !ops_is_refused(bench); i++) {
        float got;

        svr_to_f32((const uint16_t *) ops_result(y) + i, SVR_F16, &got, 1);
        if (i / s->K % 2 == 0 ? !isnan(got) : got != 0)
            ops_fail(bench, "element %lld is %g", (long long) i, (double) got);
    }
}

static void cases_spoiled(ops_bench *bench, size_t i, svr_dtype type)
{
    const double bad[] = {INFINITY, -INFINITY, NAN};

    for (int v = 0; v < 3; v++) {
        ops_case(bench, "quantize[%zu] %s with %g", i, svr_dtype_name(type), bad[v]);
        spoiled_case(bench, &shapes[i], type, bad[v]);
        ops_case(bench, "dequantize[%zu] %s with scales %g", i, svr_dtype_name(type), bad[v]);
        spoiled_back_case(bench, &shapes[i], type, bad[v]);
    }
}

/* ---------------------------------------------------------------------------- all */

void ops_cases_rows(ops_bench *bench)
{
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        if (!ops_wants(bench, shapes[i].small))
            continue;
        for (int t = 0; t < 2; t++) {
            for (int d = 0; d < 3; d++) {
                ops_case(bench, "quantize[%zu] %s to %s", i, svr_dtype_name(ops_storage[d]),
                         svr_dtype_name(byte_types[t]));
                quantize_case(bench, &shapes[i], ops_storage[d], byte_types[t]);
                ops_case(bench, "dequantize[%zu] %s to %s", i, svr_dtype_name(byte_types[t]),
                         svr_dtype_name(ops_storage[d]));
                dequantize_case(bench, &shapes[i], ops_storage[d], byte_types[t]);
            }
            cases_spoiled(bench, i, byte_types[t]);
        }
    }
}
