/* Cases of the general ops.  Limits: as in cases_conv.c. */
#include "harness.h"
#include "linear_case.h"
#include "reference.h"

#include <math.h>
#include <string.h>

enum { SUM_UNITS = 16 };

/* ---------------------------------------------------------------------------- copy, lincomb */

static void copy_case(ops_bench *bench, int64_t n, svr_dtype from, svr_dtype to)
{
    ops_array *src = ops_input(bench, from, SVR_DIMS(n)),
              *dst = ops_output(bench, to, SVR_DIMS(1, n));
    svr_copy_args args[OPS_SIDES];

    for (int side = 0; side < OPS_SIDES; side++)
        args[side] = (svr_copy_args){ops_view(src, side), ops_view(dst, side)};
    OPS_RUN(bench, copy, &args[OPS_DEVICE]);
    reference_copy(&args[OPS_REFERENCE]);
    ops_compare_exact(bench, dst);
}

/* All finite values of a 16-bit type, and numbers that round to them from both sides. */
static void copy_rounding(ops_bench *bench, svr_dtype dtype)
{
    enum { N = 3 * 4096 };
    ops_array *src = ops_input(bench, SVR_F32, SVR_DIMS(N)),
              *dst = ops_output(bench, dtype, SVR_DIMS(N));
    double *values = ops_doubles(bench, N);
    svr_copy_args args[OPS_SIDES];

    for (int i = 0; i < N; i++) {
        double step = ldexp(1, i % 40 - 30), tie = 1 + (i / 40 % 64 + 0.5) / 128;

        values[i] = (i % 2 ? -1 : 1) * step * (i % 3 == 0 ? tie : tie + (i % 3 - 1.5) * 0x1p-23);
    }
    ops_set_values(src, values);
    for (int side = 0; side < OPS_SIDES; side++)
        args[side] = (svr_copy_args){ops_view(src, side), ops_view(dst, side)};
    OPS_RUN(bench, copy, &args[OPS_DEVICE]);
    reference_copy(&args[OPS_REFERENCE]);
    ops_compare_exact(bench, dst);
}

void ops_cases_copy(ops_bench *bench)
{
    static const int64_t sizes[] = {1, 7, 1025, 40000};

    for (int i = 0; i < 4; i++)
        for (int from = 0; from < 3 && ops_wants(bench, i == 2); from++)
            for (int to = 0; to < 3; to++) {
                ops_case(bench, "copy n=%d %s to %s", (int) sizes[i],
                         svr_dtype_name(ops_storage[from]), svr_dtype_name(ops_storage[to]));
                copy_case(bench, sizes[i], ops_storage[from], ops_storage[to]);
            }
    for (int to = 1; to < 3 && ops_wants(bench, false); to++) {
        ops_case(bench, "copy rounding to %s", svr_dtype_name(ops_storage[to]));
        copy_rounding(bench, ops_storage[to]);
    }
}

/* kind 0: rows are picked out, 1: put to places among others, 2: both */
static void copy_rows_case(ops_bench *bench, const int shape[3], int kind, svr_dtype dtype)
{
    enum { MOST = 300 };
    int M = shape[0], D = shape[1], all = shape[2];
    ops_array *x = ops_input(bench, dtype, SVR_DIMS(kind == 1 ? M : all, D));
    ops_array *y = ops_in_place(bench, dtype, SVR_DIMS(kind == 0 ? M : all, D));
    ops_array *from = kind == 1 ? NULL : ops_input(bench, SVR_I32, SVR_DIMS(M));
    ops_array *to = kind == 0 ? NULL : ops_input(bench, SVR_I32, SVR_DIMS(M));
    int32_t numbers[MOST], *values;
    svr_copy_rows_args args[OPS_SIDES];

    for (int m = 0; m < M; m++)
        numbers[m] = test_random_below(ops_random(bench), all);
    if (from)
        ops_set_ints(from, numbers);
    if (dtype == SVR_I32) {
        values = (int32_t *) ops_doubles(bench, (int64_t) all * D);
        for (int i = 0; i < all * D; i++)
            values[i] = i;
        ops_set_ints(x, values);
        ops_set_ints(y, values);
    }
    /* M different places: the last first */
    for (int m = 0; m < M; m++)
        numbers[m] = all - 1 - m * (all / M);
    if (to)
        ops_set_ints(to, numbers);
    for (int side = 0; side < OPS_SIDES; side++)
        args[side] = (svr_copy_rows_args){ops_view(x, side), ops_view(y, side),
                                          ops_view(from, side), ops_view(to, side)};
    OPS_RUN(bench, copy_rows, &args[OPS_DEVICE]);
    reference_copy_rows(&args[OPS_REFERENCE]);
    if (dtype != SVR_I32)
        ops_compare_exact(bench, y);
    else if (!ops_is_refused(bench) && memcmp(ops_result(y), args[OPS_REFERENCE].y.data,
                                              svr_tensor_bytes(&args[OPS_REFERENCE].y)) != 0)
        ops_fail(bench, "integers differ");
}

void ops_cases_copy_rows(ops_bench *bench)
{
    static const int shapes[][3] = {{7, 3, 20}, {1, 1, 1}, {70, 192, 300}, {33, 65, 33}};
    static const svr_dtype types[] = {SVR_F32, SVR_F16, SVR_BF16, SVR_I32};

    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (int kind = 0; kind < 3 && ops_wants(bench, i != 1); kind++)
            for (size_t d = 0; d < sizeof types / sizeof types[0]; d++) {
                ops_case(bench, "copy_rows[%zu] kind %d %s", i, kind, svr_dtype_name(types[d]));
                copy_rows_case(bench, shapes[i], kind, types[d]);
            }
}

static void lincomb_case(ops_bench *bench, int64_t n, int kind, svr_dtype dtype)
{
    svr_dtype out = kind == 3 ? SVR_F32 : dtype;
    ops_array *a =
        kind == 1 ? ops_in_place(bench, out, SVR_DIMS(n)) : ops_input(bench, dtype, SVR_DIMS(n));
    ops_array *b = kind == 0   ? NULL
                   : kind == 2 ? ops_in_place(bench, out, SVR_DIMS(n))
                               : ops_input(bench, dtype, SVR_DIMS(n));
    ops_array *y = kind == 1 ? a : kind == 2 ? b : ops_output(bench, out, SVR_DIMS(n));
    double *magnitude = ops_doubles(bench, n);
    svr_lincomb_args args[OPS_SIDES];

    for (int side = 0; side < OPS_SIDES; side++)
        args[side] = (svr_lincomb_args){.a = ops_view(a, side),
                                        .b = ops_view(b, side),
                                        .y = ops_view(y, side),
                                        .alpha = 1.25f,
                                        .beta = -0.7f,
                                        .clamp = kind % 2 == 0,
                                        .lo = -1,
                                        .hi = 0.75f};
    OPS_RUN(bench, lincomb, &args[OPS_DEVICE]);
    reference_lincomb(&args[OPS_REFERENCE], magnitude);
    ops_compare(bench, y, magnitude, 2 * OPS_F32_EPS);
}

void ops_cases_lincomb(ops_bench *bench)
{
    static const int64_t sizes[] = {1, 33, 1024, 70001};

    for (int i = 0; i < 4; i++)
        for (int kind = 0; kind < 4 && ops_wants(bench, i < 3 && i > 0);
             kind++) /* one input; y is a; y is b; apart, F32 out */
            for (int d = 0; d < 3; d++) {
                ops_case(bench, "lincomb n=%d kind %d %s", (int) sizes[i], kind,
                         svr_dtype_name(ops_storage[d]));
                lincomb_case(bench, sizes[i], kind, ops_storage[d]);
            }
}

/* ---------------------------------------------------------------------------- find_overflow */

/* One value of n is `value`, at the end that is easily forgotten or in the middle. */
static void overflow_case(ops_bench *bench, int64_t n, double value, int32_t before,
                          svr_dtype dtype)
{
    ops_array *x = ops_input(bench, dtype, SVR_DIMS(n));
    ops_array *found = ops_in_place(bench, SVR_I32, SVR_DIMS(1));
    double *values = ops_doubles(bench, n);
    svr_find_overflow_args args = {ops_view(x, OPS_DEVICE), ops_view(found, OPS_DEVICE)};
    int32_t want = before || !isfinite(value);

    for (int64_t i = 0; i < n; i++)
        values[i] = (i % 2 ? -1 : 1) * 60000.0;
    values[n % 2 ? n - 1 : n / 2] = value;
    ops_set_values(x, values);
    ops_set_ints(found, &before);
    OPS_RUN(bench, find_overflow, &args);
    if (*(const int32_t *) ops_result(found) != want)
        ops_fail(bench, "found is %d", (int) *(const int32_t *) ops_result(found));
}

void ops_cases_find_overflow(ops_bench *bench)
{
    static const int64_t sizes[] = {1, 34, 70001};
    static const double values[] = {1.0, INFINITY, -INFINITY, NAN};

    for (int i = 0; i < 3; i++)
        for (int v = 0; v < 4; v++)
            for (int d = 0; d < 3; d++) {
                if (!ops_wants(bench, i == 1))
                    continue;
                ops_case(bench, "find_overflow n=%d value %g %s", (int) sizes[i], values[v],
                         svr_dtype_name(ops_storage[d]));
                overflow_case(bench, sizes[i], values[v], 0, ops_storage[d]);
            }
    ops_case(bench, "find_overflow keeps what was found");
    overflow_case(bench, 100, 1.0, 1, SVR_F32);
}

/* ---------------------------------------------------------------------------- linear */

static const linear_case linear_cases[] = {
    {.M = 61, .K = 192, .N = 576},
    {.M = 100,
     .K = 192,
     .N = 192,
     .bias = true,
     .gate = true,
     .residual = ADD_IN_PLACE,
     .f32_out = true},
    {.M = 4, .K = 192, .N = 33, .bias = true, .residual = ADD_F32, .small = true},
    {.M = 170, .K = 64, .N = 64, .bias = true, .small = true},
    {.M = 29, .K = 31, .N = 17, .bias = true, .activation = SVR_ACT_GELU_TANH, .small = true},
    {.M = 85, .K = 40, .N = 48, .activation = SVR_ACT_SILU, .gate = true, .f32_in = true},
    {.M = 1, .K = 1, .N = 1, .bias = true},
    {.M = 1, .K = 2560, .N = 20},
    {.M = 84, .K = 5, .N = 100, .residual = ADD_IN_PLACE},
    /* whole tiles of tensor cores: several in both directions, F32 and storage out, and more of
     * them than a device has processors */
    {.M = 130,
     .K = 72,
     .N = 264,
     .bias = true,
     .gate = true,
     .residual = ADD_IN_PLACE,
     .f32_out = true,
     .small = true},
    {.M = 257, .K = 136, .N = 72, .bias = true, .residual = ADD_IN_PLACE, .small = true},
    {.M = 20000, .K = 8, .N = 8, .gate = true, .small = true},
    {.M = 514,
     .K = 770,
     .N = 386,
     .bias = true,
     .gate = true,
     .residual = ADD_F32,
     .activation = SVR_ACT_GELU_TANH},
};

static void linear_op_case(ops_bench *bench, const linear_case *c, svr_dtype dtype)
{
    ops_array *x = ops_input(bench, c->f32_in ? SVR_F32 : dtype, SVR_DIMS(c->M, c->K));
    ops_array *w = ops_input(bench, ops_weight_dtype(bench, dtype), SVR_DIMS(c->N, c->K));
    linear_operands operands = linear_operands_make(bench, c, c->f32_out ? SVR_F32 : dtype);
    svr_linear_args args[OPS_SIDES];

    ops_scale_values(w, 1 / sqrt(c->K), 0);
    for (int side = 0; side < OPS_SIDES; side++) {
        args[side] = linear_args(&operands, side);
        args[side].x = ops_view(x, side);
        args[side].w = ops_view(w, side);
    }
    OPS_RUN(bench, linear, &args[OPS_DEVICE]);
    reference_linear(&args[OPS_REFERENCE], operands.magnitude);
    ops_compare(bench, operands.y, operands.magnitude,
                SUM_UNITS * OPS_F32_EPS + ops_inner_rounding(bench, dtype));
}

void ops_cases_linear(ops_bench *bench)
{
    for (size_t i = 0; i < sizeof linear_cases / sizeof linear_cases[0]; i++)
        for (int d = 0; d < 3 && ops_wants(bench, linear_cases[i].small); d++) {
            ops_case(bench, "linear[%zu] %s", i, svr_dtype_name(ops_storage[d]));
            linear_op_case(bench, &linear_cases[i], ops_storage[d]);
        }
}

/* ---------------------------------------------------------------------------- noise, guidance */

void ops_cases_noise(ops_bench *bench)
{
    static const int shapes[][4] = {{2, 3, 5, 16}, {1, 1, 1, 4}, {3, 8, 8, 16}};

    for (int i = 0; i < 3; i++)
        for (int d = 0; d < 3 && ops_wants(bench, i == 0); d++) {
            svr_noise_args args[OPS_SIDES];
            ops_array *y;

            ops_case(bench, "noise[%d] %s", i, svr_dtype_name(ops_storage[d]));
            y = ops_output(bench, ops_storage[d],
                           SVR_DIMS(shapes[i][0], shapes[i][1], shapes[i][2], shapes[i][3]));
            for (int side = 0; side < OPS_SIDES; side++)
                args[side] = (svr_noise_args){.y = ops_view(y, side),
                                              .seed = 0x123456789abcdefu + (uint64_t) i,
                                              .stream = (uint32_t) i,
                                              .frame0 = 7,
                                              .y0 = 1000,
                                              .x0 = (uint32_t) (3 * i)};
            OPS_RUN(bench, noise, &args[OPS_DEVICE]);
            reference_noise(&args[OPS_REFERENCE]);
            /* logarithm and cosine of another maths library may differ in the last place */
            ops_compare(bench, y, NULL, OPS_F32_EPS);
        }
}

/* dtypes of pos and neg, and of x where there is one */
static void guidance_case(ops_bench *bench, int n, int channels, float rescale,
                          const svr_dtype dtypes[2], const svr_dtype *x_dtype)
{
    ops_array *pos = ops_in_place(bench, dtypes[0], SVR_DIMS(n, channels));
    ops_array *neg = ops_input(bench, dtypes[1], SVR_DIMS(n, channels));
    ops_array *x = x_dtype ? ops_in_place(bench, *x_dtype, SVR_DIMS(n, channels)) : NULL;
    svr_guidance_args args[OPS_SIDES];

    for (int side = 0; side < OPS_SIDES; side++)
        args[side] = (svr_guidance_args){.pos = ops_view(pos, side),
                                         .neg = ops_view(neg, side),
                                         .x = ops_view(x, side),
                                         .step = -0.35f,
                                         .scale = 6.5f,
                                         .rescale = rescale};
    OPS_RUN(bench, guidance, &args[OPS_DEVICE]);
    reference_guidance(&args[OPS_REFERENCE]);
    ops_compare(bench, pos, NULL, 8 * OPS_F32_EPS);
    if (x)
        ops_compare(bench, x, NULL, 8 * OPS_F32_EPS);
}

void ops_cases_guidance(ops_bench *bench)
{
    for (int d = 0; d < 3; d++)
        for (int kind = ops_wants(bench, false) ? 0 : 2; kind < 4; kind++) {
            const svr_dtype dtypes[2] = {ops_storage[d], kind == 1 ? SVR_F32 : ops_storage[d]};

            ops_case(bench, "guidance %s kind %d", svr_dtype_name(ops_storage[d]), kind);
            guidance_case(bench, kind == 2 ? 1 : 300, kind == 2 ? 3 : 16,
                          kind == 0   ? 0.0f
                          : kind == 3 ? 1.0f
                                      : 0.7f,
                          dtypes, NULL);
            ops_case(bench, "guidance and step %s kind %d", svr_dtype_name(ops_storage[d]), kind);
            guidance_case(bench, kind == 2 ? 1 : 300, kind == 2 ? 3 : 16, kind == 0 ? 0.0f : 0.7f,
                          dtypes, &ops_storage[kind % 3]);
        }
}
