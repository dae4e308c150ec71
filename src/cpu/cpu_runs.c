/* Frames to 8 bits by runs of pixels, and back. */
#include "base/checked.h"
#include "cpu/cpu_internal.h"
#include "cpu/cpu_ops.h"
#include "cpu/cpu_rows.h"

#include <float.h>
#include <math.h>
#include <string.h>

struct runs;
struct run_place;

/* Does one run; `buffer` has floats_per_thread(). */
typedef void (*run_function)(const struct runs *r, const struct run_place *at, float *buffer);

/* Either op: frames in 8 bits, the scales of their runs, and the same in storage. */
typedef struct runs {
    const svr_tensor *bytes, *scales, *values;
    const svr_cpu_simd *simd;
    int64_t W, C, count; /* runs of a row */
    run_function work;
    float *buffers; /* [threads, floats_per_thread()] */
} runs;

/* A run's values and, of each channel, four numbers. */
enum { NUMBERS = 4 };

static runs runs_make(svr_backend *backend, const svr_tensor *bytes, const svr_tensor *scales,
                      const svr_tensor *values)
{
    return (runs){.bytes = bytes,
                  .scales = scales,
                  .values = values,
                  .simd = svr_cpu_of(backend)->simd,
                  .W = bytes->dims[1],
                  .C = bytes->dims[2],
                  .count = scales->dims[1]};
}

static size_t floats_per_thread(const runs *r)
{
    return svr_cpu_floats(SVR_RUN_PIXELS * r->C) + svr_cpu_floats(NUMBERS * r->C);
}

static size_t runs_workspace(svr_backend *backend, const runs *r)
{
    return (size_t) svr_cpu_of(backend)->threads * floats_per_thread(r) * sizeof(float);
}

/* A task is a row; this is one run of it. */
typedef struct run_place {
    int64_t first;  /* value */
    int64_t pixels; /* of the run */
    int64_t scales; /* first of its scales */
} run_place;

static run_place place_of(const runs *r, int64_t row, int64_t index)
{
    int64_t at = index * SVR_RUN_PIXELS;

    return (run_place){.first = (row * r->W + at) * r->C,
                       .pixels = svr_min_i64(SVR_RUN_PIXELS, r->W - at),
                       .scales = (row * r->count + index) * 2 * r->C};
}

static void row_task(void *context, int64_t row, int thread)
{
    const runs *r = context;

    for (int64_t i = 0; i < r->count; i++) {
        run_place at = place_of(r, row, i);

        r->work(r, &at, r->buffers + (size_t) thread * floats_per_thread(r));
    }
}

static svr_status do_all(svr_exec *exec, runs *r, run_function work, void *workspace,
                         svr_error *err)
{
    r->work = work;
    r->buffers = workspace;
    return svr_cpu_for(exec, r->bytes->dims[0], row_task, r, err);
}

/* ---------------------------------------------------------------------------- quantize */

/* Least and largest value of each channel of n pixels, and in `spoiled` NaN where one is not
 * finite. */
static void find_range(const float *x, int64_t n, int64_t C, float *least, float *largest,
                       float *spoiled)
{
    memcpy(least, x, (size_t) C * sizeof *x);
    memcpy(largest, x, (size_t) C * sizeof *x);
    memset(spoiled, 0, (size_t) C * sizeof *x);
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < C; c++) {
            float v = x[i * C + c];

            least[c] = v < least[c] ? v : least[c];
            largest[c] = v > largest[c] ? v : largest[c];
            spoiled[c] += v - v;
        }
}

/* A positive number in the storage type that is not less. */
static float round_up(svr_dtype dtype, float v)
{
    uint16_t bits;
    float rounded;

    if (dtype == SVR_F32)
        return v;
    svr_from_f32(&v, dtype, &bits, 1);
    svr_to_f32(&bits, dtype, &rounded, 1);
    if (rounded >= v)
        return rounded;
    bits++;
    svr_to_f32(&bits, dtype, &rounded, 1);
    return rounded;
}

static float round_nearest(svr_dtype dtype, float v)
{
    uint16_t bits;

    if (dtype == SVR_F32)
        return v;
    svr_from_f32(&v, dtype, &bits, 1);
    svr_to_f32(&bits, dtype, &v, 1);
    return v;
}

/* Middle and step of a channel from its range, in their places; returns the factor. */
static float scale_of(const runs *r, float *least, float *largest, float spoiled)
{
    const float end = r->bytes->dtype == SVR_I8 ? 127.0f : 448.0f;
    float middle = round_nearest(r->values->dtype, 0.5f * *least + 0.5f * *largest);
    float above = *largest - middle, below = middle - *least;
    float step = round_up(r->values->dtype, (above > below ? above : below) / end);
    bool bad = spoiled != 0.0f || !(*largest - *least <= FLT_MAX);

    if (step < SVR_RUN_LEAST_STEP)
        step = 0.0f;
    *least = bad ? NAN : middle;
    *largest = bad ? NAN : step;
    return bad || step == 0.0f ? 0.0f : 1.0f / step;
}

static void quantize_run(const runs *r, const run_place *at, float *buffer)
{
    int64_t C = r->C;
    float *middle = buffer + svr_cpu_floats(SVR_RUN_PIXELS * C), *step = middle + C;
    float *factor = step + C, *spoiled = factor + C;
    const float *x = svr_cpu_load(r->simd, r->values, at->first, at->pixels * C, buffer);

    find_range(x, at->pixels, C, middle, step, spoiled);
    for (int64_t c = 0; c < C; c++)
        factor[c] = scale_of(r, &middle[c], &step[c], spoiled[c]);
    svr_cpu_store(r->simd, r->scales, at->scales, 2 * C, middle);
    for (int64_t i = 0; i < at->pixels; i++)
        for (int64_t c = 0; c < C; c++)
            buffer[i * C + c] = factor[c] == 0.0f ? 0.0f : (x[i * C + c] - middle[c]) * factor[c];
    svr_from_f32(buffer, r->bytes->dtype, (uint8_t *) r->bytes->data + at->first,
                 (size_t) (at->pixels * C));
}

size_t svr_cpu_quantize_runs_workspace(svr_backend *backend, const svr_quantize_runs_args *args)
{
    runs r = runs_make(backend, &args->y, &args->scales, &args->x);

    return runs_workspace(backend, &r);
}

svr_status svr_cpu_quantize_runs(svr_exec *exec, const svr_quantize_runs_args *args,
                                 void *workspace, svr_error *err)
{
    runs r = runs_make(exec->backend, &args->y, &args->scales, &args->x);

    return do_all(exec, &r, quantize_run, workspace, err);
}

/* ---------------------------------------------------------------------------- dequantize */

static void dequantize_run(const runs *r, const run_place *at, float *buffer)
{
    int64_t C = r->C;
    float *own = buffer + svr_cpu_floats(SVR_RUN_PIXELS * C);
    const float *middle = svr_cpu_load(r->simd, r->scales, at->scales, 2 * C, own);
    const float *step = middle + C;

    svr_to_f32((const uint8_t *) r->bytes->data + at->first, r->bytes->dtype, buffer,
               (size_t) (at->pixels * C));
    for (int64_t i = 0; i < at->pixels; i++)
        for (int64_t c = 0; c < C; c++)
            buffer[i * C + c] = middle[c] + step[c] * buffer[i * C + c];
    svr_cpu_store(r->simd, r->values, at->first, at->pixels * C, buffer);
}

size_t svr_cpu_dequantize_runs_workspace(svr_backend *backend, const svr_dequantize_runs_args *args)
{
    runs r = runs_make(backend, &args->x, &args->scales, &args->y);

    return runs_workspace(backend, &r);
}

svr_status svr_cpu_dequantize_runs(svr_exec *exec, const svr_dequantize_runs_args *args,
                                   void *workspace, svr_error *err)
{
    runs r = runs_make(exec->backend, &args->x, &args->scales, &args->y);

    return do_all(exec, &r, dequantize_run, workspace, err);
}
