/* Cases of frames to 8 bits by runs of pixels, and back.  The reference says in F32, value by
 * value, what all backends must make to the bit; beside it stands what that is good for: how far
 * values are from where they came back. */
#include "harness.h"

#include <float.h>
#include <math.h>

static const svr_dtype byte_types[] = {SVR_F8_E4M3, SVR_I8};

typedef struct run_shape {
    int64_t R, W, C;
    bool small;
} run_shape;

/* Whole runs, short last ones, rows shorter than four pixels; vectors of channels that fill warps,
 * end within one, and none at all. */
static const run_shape shapes[] = {
    {3, 64, 128, false}, {2, 45, 64, true}, {5, 33, 16, true},  {1, 32, 8, true},
    {2, 7, 256, false},  {3, 3, 24, true},  {1, 1, 8, true},    {2, 100, 520, false},
    {3, 38, 5, true},    {1, 1, 1, true},   {70, 65, 3, false},
};

static int64_t runs_of(const run_shape *s)
{
    return (s->W + SVR_RUN_PIXELS - 1) / SVR_RUN_PIXELS;
}

static float largest_of(svr_dtype type)
{
    return type == SVR_I8 ? 127 : 448;
}

static float rounded(svr_dtype dtype, float v)
{
    uint16_t bits;

    if (dtype == SVR_F32)
        return v;
    svr_from_f32(&v, dtype, &bits, 1);
    svr_to_f32(&bits, dtype, &v, 1);
    return v;
}

/* The next number of the type above a positive one. */
static float next_above(svr_dtype dtype, float v)
{
    uint16_t bits;

    svr_from_f32(&v, dtype, &bits, 1);
    bits++;
    svr_to_f32(&bits, dtype, &v, 1);
    return v;
}

static bool same(float a, float b)
{
    return a == b || (isnan(a) && isnan(b));
}

/* ---------------------------------------------------------------------------- there */

/* A channel of a run: its pixels lie `stride` apart. */
typedef struct channel {
    float values[SVR_RUN_PIXELS];
    int64_t n;
    float middle, step, bytes[SVR_RUN_PIXELS];
} channel;

/* Fills in what becomes of the values. */
static void quantize_channel(channel *c, svr_dtype dtype, svr_dtype type)
{
    float least = INFINITY, largest = -INFINITY, wanted;
    bool bad = false;

    for (int64_t i = 0; i < c->n; i++) {
        bad = bad || !isfinite(c->values[i]);
        least = fminf(least, c->values[i]);
        largest = fmaxf(largest, c->values[i]);
    }
    bad = bad || largest - least > FLT_MAX;
    c->middle = bad ? NAN : rounded(dtype, 0.5f * least + 0.5f * largest);
    wanted = fmaxf(largest - c->middle, c->middle - least) / largest_of(type);
    c->step = bad ? NAN : rounded(dtype, wanted);
    if (c->step < wanted)
        c->step = next_above(dtype, wanted);
    if (c->step < 0x1p-100f)
        c->step = 0;
    for (int64_t i = 0; i < c->n; i++) {
        float scaled = bad || c->step == 0 ? 0 : (c->values[i] - c->middle) * (1.0f / c->step);
        uint8_t byte;

        svr_from_f32(&scaled, type, &byte, 1);
        svr_to_f32(&byte, type, &c->bytes[i], 1);
    }
}

typedef struct frames {
    const run_shape *shape;
    svr_dtype dtype, type;
    ops_array *x, *y, *scales;
} frames;

static frames frames_make(ops_bench *bench, const run_shape *s, svr_dtype dtype, svr_dtype type)
{
    return (frames){s,
                    dtype,
                    type,
                    ops_input(bench, dtype, SVR_DIMS(s->R, s->W, s->C)),
                    ops_output(bench, type, SVR_DIMS(s->R, s->W, s->C)),
                    ops_output(bench, dtype, SVR_DIMS(s->R, runs_of(s), 2, s->C))};
}

static void quantize(ops_bench *bench, const frames *f)
{
    svr_quantize_runs_args args = {ops_view(f->x, OPS_DEVICE), ops_view(f->y, OPS_DEVICE),
                                   ops_view(f->scales, OPS_DEVICE)};

    OPS_RUN(bench, quantize_runs, &args);
}

/* Number `i` of an array that an op wrote. */
static float result_at(const ops_array *array, svr_dtype dtype, int64_t i)
{
    float v;

    svr_to_f32((const char *) ops_result(array) + (size_t) i * svr_dtype_size(dtype), dtype, &v, 1);
    return v;
}

/* Half a step, or half a unit of e4m3 in steps, and what rounding numbers of F32 adds. */
static float worst_error(const channel *c, int64_t i, svr_dtype type)
{
    float unit = type == SVR_I8 ? 1.0f : fmaxf(fabsf(c->bytes[i]) * 0x1p-3f, 0x1p-9f);

    return c->step * unit * (0.5f + 0x1p-9f) + 0x1p-22f * fabsf(c->values[i]) + 0x1p-91f;
}

static void check_channel(ops_bench *bench, const frames *f, const int64_t at[3])
{
    const run_shape *s = f->shape;
    const double *x = ops_view(f->x, OPS_REFERENCE).data;
    int64_t first = (at[0] * s->W + at[1] * SVR_RUN_PIXELS) * s->C + at[2];
    int64_t scales = (at[0] * runs_of(s) + at[1]) * 2 * s->C + at[2];
    int64_t left = s->W - at[1] * SVR_RUN_PIXELS;
    channel c = {.n = left < SVR_RUN_PIXELS ? left : SVR_RUN_PIXELS};

    for (int64_t i = 0; i < c.n; i++)
        c.values[i] = (float) x[first + i * s->C];
    quantize_channel(&c, f->dtype, f->type);
    if (!same(result_at(f->scales, f->dtype, scales), c.middle) ||
        !same(result_at(f->scales, f->dtype, scales + s->C), c.step))
        ops_fail(bench, "row %d run %d channel %d: not middle %.9g and step %.9g", (int) at[0],
                 (int) at[1], (int) at[2], (double) c.middle, (double) c.step);
    for (int64_t i = 0; i < c.n; i++) {
        float got = result_at(f->y, f->type, first + i * s->C);
        float error = fabsf(c.middle + c.step * got - c.values[i]);

        if (!same(got, c.bytes[i]))
            ops_fail(bench, "row %d run %d channel %d pixel %d is %g, wanted %g", (int) at[0],
                     (int) at[1], (int) at[2], (int) i, (double) got, (double) c.bytes[i]);
        if (!isnan(c.step) && !(error <= worst_error(&c, i, f->type)))
            ops_fail(bench, "%.9g comes back with an error of %.3g", (double) c.values[i],
                     (double) error);
    }
}

static void check_channels(ops_bench *bench, const frames *f)
{
    const run_shape *s = f->shape;

    if (ops_is_refused(bench))
        return;
    for (int64_t r = 0; r < s->R; r++)
        for (int64_t k = 0; k < runs_of(s); k++)
            for (int64_t c = 0; c < s->C; c++)
                check_channel(bench, f, (int64_t[3]){r, k, c});
}

/* Channels of very different size and offset; some runs are constant, one value stands out. */
static void set_frames(ops_bench *bench, const frames *f)
{
    const run_shape *s = f->shape;
    double *values = ops_doubles(bench, s->R * s->W * s->C);

    for (int64_t i = 0; i < s->R * s->W * s->C; i++) {
        int64_t c = i % s->C, run = i / s->C % s->W / SVR_RUN_PIXELS;
        double noise = (double) test_random_normal(ops_random(bench));

        values[i] = (c % 3 == 2 ? 48 : 0) + noise * pow(4, (double) (c % 7 - 3));
        if ((c + run) % 11 == 4)
            values[i] = -1.75;
        if (c % 13 == 7) /* closer than the least step */
            values[i] = noise * 0x1p-112;
        if (i % 97 == 13)
            values[i] *= 20;
    }
    ops_set_values(f->x, values);
}

static void quantize_case(ops_bench *bench, const run_shape *s, svr_dtype dtype, svr_dtype type)
{
    frames f = frames_make(bench, s, dtype, type);

    set_frames(bench, &f);
    quantize(bench, &f);
    check_channels(bench, &f);
}

/* What overflowed spoils its own run of its own channel, whole, and nothing else. */
static void spoiled_case(ops_bench *bench, const run_shape *s, svr_dtype type, double value)
{
    frames f = frames_make(bench, s, SVR_F16, type);
    double *values = ops_doubles(bench, s->R * s->W * s->C);

    for (int64_t i = 0; i < s->R * s->W * s->C; i++)
        values[i] = i % 41 == 0 ? value : (double) test_random_normal(ops_random(bench));
    ops_set_values(f.x, values);
    quantize(bench, &f);
    check_channels(bench, &f);
}

/* ---------------------------------------------------------------------------- back */

static void dequantize_case(ops_bench *bench, const run_shape *s, svr_dtype dtype, svr_dtype type)
{
    ops_array *x = ops_input(bench, type, SVR_DIMS(s->R, s->W, s->C));
    ops_array *scales = ops_input(bench, dtype, SVR_DIMS(s->R, runs_of(s), 2, s->C));
    ops_array *y = ops_output(bench, dtype, SVR_DIMS(s->R, s->W, s->C));
    svr_dequantize_runs_args args = {ops_view(x, OPS_DEVICE), ops_view(scales, OPS_DEVICE),
                                     ops_view(y, OPS_DEVICE)};
    const double *bytes = ops_view(x, OPS_REFERENCE).data;
    const double *kept = ops_view(scales, OPS_REFERENCE).data;
    double *want = ops_view(y, OPS_REFERENCE).data;
    int64_t count = s->R * runs_of(s) * 2 * s->C;
    double *values = ops_doubles(bench, count);

    ops_scale_values(x, (double) largest_of(type) / 3, 0);
    for (int64_t i = 0; i < count; i++) /* middles, and steps, of which some are 0 or none */
        values[i] = i / s->C % 2 == 0 ? (double) test_random_normal(ops_random(bench))
                    : i % 13 == 5     ? 0
                    : i % 17 == 6     ? (double) NAN
                                      : pow(2, (double) (i % 9 - 11));
    ops_set_values(scales, values);
    OPS_RUN(bench, dequantize_runs, &args);
    for (int64_t i = 0; i < s->R * s->W * s->C && !ops_is_refused(bench); i++) {
        int64_t c = i % s->C, r = i / s->C / s->W, run = i / s->C % s->W / SVR_RUN_PIXELS;
        int64_t at = (r * runs_of(s) + run) * 2 * s->C + c;
        float product = (float) kept[at + s->C] * (float) bytes[i];
        float sum = (float) kept[at] + product;

        want[i] = (double) rounded(dtype, sum);
        if (!same(result_at(y, dtype, i), (float) want[i]))
            ops_fail(bench, "element %d is %.9g, wanted %.9g", (int) i,
                     (double) result_at(y, dtype, i), want[i]);
    }
}

/* ---------------------------------------------------------------------------- all */

static void cases_of(ops_bench *bench, size_t i, svr_dtype type)
{
    const double bad[] = {INFINITY, -INFINITY, NAN};
    const char *name = svr_dtype_name(type);

    for (int d = 0; d < 3; d++) {
        ops_case(bench, "quantize_runs[%zu] %s to %s", i, svr_dtype_name(ops_storage[d]), name);
        quantize_case(bench, &shapes[i], ops_storage[d], type);
        ops_case(bench, "dequantize_runs[%zu] %s to %s", i, name, svr_dtype_name(ops_storage[d]));
        dequantize_case(bench, &shapes[i], ops_storage[d], type);
    }
    for (int v = 0; v < 3; v++) {
        ops_case(bench, "quantize_runs[%zu] %s with %g", i, name, bad[v]);
        spoiled_case(bench, &shapes[i], type, bad[v]);
    }
}

void ops_cases_runs(ops_bench *bench)
{
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (int t = 0; t < 2 && ops_wants(bench, shapes[i].small); t++)
            cases_of(bench, i, byte_types[t]);
}
