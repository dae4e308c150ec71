/* Cases of products of 8-bit integers without anything behind them, to the last bit: the sum is
 * exact, rounded once to F32, and multiplied by the product of both scales. */
#include "harness.h"

#include <math.h>
#include <string.h>

/* Rows of x and w that are not random integers, where there are so many. */
enum {
    ROW_HIGHEST, /* 127 everywhere */
    ROW_ZEROS,   /* as quantize makes them of zeros: scale 1 */
    ROW_LOWEST,  /* -127 */
    /* of x: what quantize makes of rows with an infinity or NaN */
    ROW_INFINITE, /* zeros, scale infinite */
    ROW_NAN,      /* scale NaN */
    SPECIAL_ROWS
};

typedef struct integers {
    ops_array *values, *scale;
} integers;

static double integer_of(ops_bench *bench, int64_t row)
{
    static const double special[SPECIAL_ROWS] = {
        [ROW_HIGHEST] = 127, [ROW_LOWEST] = -127, [ROW_NAN] = 3};
    double random = round(60 * (double) test_random_normal(ops_random(bench)));

    return row < SPECIAL_ROWS ? special[row] : fmin(127, fmax(-127, random));
}

static integers make_integers(ops_bench *bench, int64_t rows, int64_t K, bool spoiled)
{
    integers f = {ops_input(bench, SVR_I8, SVR_DIMS(rows, K)),
                  ops_input(bench, SVR_F32, SVR_DIMS(rows))};
    double *values = ops_doubles(bench, rows * K), *scales = ops_doubles(bench, rows);

    for (int64_t i = 0; i < rows * K; i++)
        values[i] = integer_of(bench, i / K);
    for (int64_t i = 0; i < rows; i++)
        scales[i] = i == ROW_ZEROS                 ? 1
                    : spoiled && i == ROW_INFINITE ? INFINITY
                    : spoiled && i == ROW_NAN      ? NAN
                                                   : 0.001 * (double) (1 + i % 17);
    ops_set_values(f.values, values);
    ops_set_values(f.scale, scales);
    return f;
}

static float exact(const svr_linear_args *a, int64_t m, int64_t n)
{
    int64_t K = a->x.dims[1], sum = 0;
    const double *x = (const double *) a->x.data + m * K, *w = (const double *) a->w.data + n * K;
    float x_scale = (float) ((const double *) a->x_scale.data)[m];
    float w_scale = (float) ((const double *) a->w_scale.data)[n];

    for (int64_t k = 0; k < K; k++)
        sum += (int64_t) x[k] * (int64_t) w[k];
    return (float) sum * (x_scale * w_scale);
}

static void exact_case(ops_bench *bench, const int shape[3])
{
    int64_t M = shape[0], K = shape[1], N = shape[2];
    integers x = make_integers(bench, M, K, true), w = make_integers(bench, N, K, false);
    ops_array *y = ops_output(bench, SVR_F32, SVR_DIMS(M, N));
    svr_linear_args args[OPS_SIDES];

    for (int side = 0; side < OPS_SIDES; side++)
        args[side] = (svr_linear_args){.x = ops_view(x.values, side),
                                       .w = ops_view(w.values, side),
                                       .x_scale = ops_view(x.scale, side),
                                       .w_scale = ops_view(w.scale, side),
                                       .y = ops_view(y, side)};
    OPS_RUN(bench, linear, &args[OPS_DEVICE]);
    for (int64_t i = 0; i < M * N && !ops_is_refused(bench); i++) {
        float want = exact(&args[OPS_REFERENCE], i / N, i % N);
        float got = ((const float *) ops_result(y))[i];

        if (isnan(want) ? !isnan(got) : got != want)
            ops_fail(bench, "element [%lld, %lld] is %.9g, wanted %.9g", (long long) (i / N),
                     (long long) (i % N), (double) got, (double) want);
    }
}

void ops_cases_exact(ops_bench *bench)
{
    /* the fourth: sums of more than 24 bits; the last: more rows and outputs than a piece of work
     * has anywhere */
    static const int shapes[][3] = {{58, 192, 576}, {300, 2560, 264}, {129, 208, 64},
                                    {7, 20480, 48}, {29, 31, 17},     {1, 1, 1},
                                    {6, 5, 21},     {2100, 48, 400}};

    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        if (ops_wants(bench, i == 2)) {
            ops_case(bench, "exact linear[%zu]", i);
            exact_case(bench, shapes[i]);
        }
}
