/* Group and RMS normalisation, and quantisation of rows. */
#include "base/checked.h"
#include "base/quantize.h"
#include "cpu/cpu_internal.h"
#include "cpu/cpu_ops.h"
#include "cpu/cpu_rows.h"

#include <math.h>
#include <string.h>

/* ---------------------------------------------------------------------------- group norm
 * Sums per channel and band in F64 (values may sit on a constant much larger than their spread, so
 * F32 sums of squares would cancel), bands joined in order; then one pass that applies. */

enum { BAND_VALUES = 1 << 15, AFFINE_ROWS = 4 };

typedef struct group_norm {
    const svr_group_norm_args *args;
    const svr_cpu_simd *simd;
    int64_t T, pixels, C; /* pixels of a frame */
    int64_t band;         /* pixels of a band */
    int64_t bands;        /* per frame */
    double *sums;         /* [T, bands, 2, C] */
    float *tables;        /* [T, AFFINE_ROWS, C] */
    float *buffers;       /* [threads, band * C] */
} group_norm;

static group_norm group_norm_make(svr_backend *backend, const svr_group_norm_args *args)
{
    group_norm g = {.args = args, .simd = svr_cpu_of(backend)->simd};

    g.T = args->x.dims[0];
    g.pixels = args->x.dims[1] * args->x.dims[2];
    g.C = args->x.dims[3];
    g.band = svr_max_i64(BAND_VALUES / g.C, 1);
    g.band = svr_min_i64(g.band, g.pixels);
    g.bands = svr_ceil_div(g.pixels, g.band);
    return g;
}

static size_t sum_floats(const group_norm *g)
{
    return svr_cpu_floats(2 * g->T * g->bands * 2 * g->C);
}

static size_t table_floats(const group_norm *g)
{
    return svr_cpu_floats(g->T * AFFINE_ROWS * g->C);
}

static size_t buffer_floats(const group_norm *g)
{
    return svr_cpu_floats(g->band * g->C);
}

size_t svr_cpu_group_norm_workspace(svr_backend *backend, const svr_group_norm_args *args)
{
    group_norm g = group_norm_make(backend, args);
    size_t threads = (size_t) svr_cpu_of(backend)->threads;

    return (sum_floats(&g) + table_floats(&g) + threads * buffer_floats(&g)) * sizeof(float);
}

/* First element of band `index`, counted over all frames; its pixels go to *count. */
static int64_t band_at(const group_norm *g, int64_t index, int64_t *count)
{
    int64_t t = index / g->bands, first = index % g->bands * g->band;

    *count = svr_min_i64(g->band, g->pixels - first);
    return (t * g->pixels + first) * g->C;
}

static void sums_task(void *context, int64_t index, int thread)
{
    const group_norm *g = context;
    float *buffer = g->buffers + (size_t) thread * buffer_floats(g);
    double *sums = g->sums + index * 2 * g->C;
    int64_t count, at = band_at(g, index, &count);
    const float *x = svr_cpu_load(g->simd, &g->args->x, at, count * g->C, buffer);

    memset(sums, 0, (size_t) (2 * g->C) * sizeof *sums);
    g->simd->channel_sums(x, (size_t) count, (size_t) g->C, sums, sums + g->C);
}

/* Statistics of one group of one frame into the rows of the frame's table. */
static void fill_table(const group_norm *g, int64_t t, int64_t group)
{
    const float *gamma = g->args->gamma.data, *beta = g->args->beta.data;
    int64_t size = g->C / g->args->groups, c0 = group * size;
    double n = (double) (size * g->pixels), sum = 0, squares = 0, mean, variance, scale;
    float *table = g->tables + t * AFFINE_ROWS * g->C;

    for (int64_t b = 0; b < g->bands; b++) {
        const double *sums = g->sums + (t * g->bands + b) * 2 * g->C;

        for (int64_t c = c0; c < c0 + size; c++) {
            sum += sums[c];
            squares += sums[g->C + c];
        }
    }
    mean = sum / n;
    variance = squares / n - mean * mean;
    scale = 1.0 / sqrt((variance > 0 ? variance : 0) + (double) g->args->eps);
    for (int64_t c = c0; c < c0 + size; c++) {
        table[c] = (float) mean;
        table[g->C + c] = (float) (mean - (double) (float) mean);
        table[2 * g->C + c] = (float) (scale * (double) gamma[c]);
        table[3 * g->C + c] = beta[c];
    }
}

static void table_task(void *context, int64_t t, int thread)
{
    const group_norm *g = context;

    (void) thread;
    for (int64_t group = 0; group < g->args->groups; group++)
        fill_table(g, t, group);
}

static void apply_task(void *context, int64_t index, int thread)
{
    const group_norm *g = context;
    const svr_group_norm_args *a = g->args;
    float *buffer = g->buffers + (size_t) thread * buffer_floats(g);
    const float *table = g->tables + index / g->bands * AFFINE_ROWS * g->C;
    int64_t count, at = band_at(g, index, &count), n = count * g->C;
    const float *x = svr_cpu_load(g->simd, &a->x, at, n, buffer);
    float *y = a->y.dtype == SVR_F32 ? (float *) a->y.data + at : buffer;

    g->simd->channel_affine(x, y, (size_t) count, (size_t) g->C, table);
    g->simd->activate(y, (size_t) n, a->activation);
    if (y == buffer)
        svr_cpu_store(g->simd, &a->y, at, n, buffer);
}

svr_status svr_cpu_group_norm(svr_exec *exec, const svr_group_norm_args *args, void *workspace,
                              svr_error *err)
{
    group_norm g = group_norm_make(exec->backend, args);

    g.sums = workspace;
    g.tables = (float *) workspace + sum_floats(&g);
    g.buffers = g.tables + table_floats(&g);
    SVR_TRY(svr_cpu_for(exec, g.T * g.bands, sums_task, &g, err));
    SVR_TRY(svr_cpu_for(exec, g.T, table_task, &g, err));
    return svr_cpu_for(exec, g.T * g.bands, apply_task, &g, err);
}

/* ---------------------------------------------------------------------------- rows */

enum { RMS_ROWS = 32 };

/* Row m of y [M,D] F8_E4M3 and its scale. */
static void quantize_row(const svr_tensor *y, const svr_tensor *scale, int64_t m,
                         const float *values)
{
    int64_t D = y->dims[1];

    ((float *) scale->data)[m] = svr_quantize_row(values, (size_t) D, (uint8_t *) y->data + m * D);
}

typedef struct quantize {
    const svr_quantize_args *args;
    const svr_cpu_simd *simd;
    float *buffers; /* [threads, K] */
} quantize;

size_t svr_cpu_quantize_workspace(svr_backend *backend, const svr_quantize_args *args)
{
    size_t threads = (size_t) svr_cpu_of(backend)->threads;

    return args->x.dtype == SVR_F32 ? 0 : threads * svr_cpu_floats(args->x.dims[1]) * sizeof(float);
}

static void quantize_task(void *context, int64_t index, int thread)
{
    const quantize *q = context;
    const svr_quantize_args *a = q->args;
    int64_t K = a->x.dims[1], end = svr_min_i64((index + 1) * RMS_ROWS, a->x.dims[0]);
    float *buffer = q->buffers ? q->buffers + (size_t) thread * svr_cpu_floats(K) : NULL;

    for (int64_t m = index * RMS_ROWS; m < end; m++)
        quantize_row(&a->y, &a->scale, m, svr_cpu_load(q->simd, &a->x, m * K, K, buffer));
}

svr_status svr_cpu_quantize(svr_exec *exec, const svr_quantize_args *args, void *workspace,
                            svr_error *err)
{
    quantize q = {.args = args, .simd = svr_cpu_of(exec->backend)->simd, .buffers = workspace};

    return svr_cpu_for(exec, svr_ceil_div(args->x.dims[0], RMS_ROWS), quantize_task, &q, err);
}

/* ---------------------------------------------------------------------------- rms norm */

typedef struct rms {
    const svr_rms_norm_args *args;
    const svr_cpu_simd *simd;
    float *buffers; /* [threads, 2, D] */
} rms;

size_t svr_cpu_rms_norm_workspace(svr_backend *backend, const svr_rms_norm_args *args)
{
    size_t threads = (size_t) svr_cpu_of(backend)->threads;

    return threads * 2 * svr_cpu_floats(args->x.dims[1]) * sizeof(float);
}

static void rms_row(const rms *r, int64_t m, float *buffer, float *out)
{
    const svr_rms_norm_args *a = r->args;
    const float *weight = a->weight.data, *scale = a->scale.data, *shift = a->shift.data;
    int64_t D = a->x.dims[1];
    const float *x = svr_cpu_load(r->simd, &a->x, m * D, D, buffer);
    float mean = r->simd->square_sum(x, (size_t) D) / (float) D;
    float factor = 1.0f / sqrtf(mean + a->eps);

    for (int64_t i = 0; i < D; i++)
        out[i] = x[i] * factor;
    for (int64_t i = 0; weight && i < D; i++)
        out[i] *= weight[i];
    for (int64_t i = 0; scale && i < D; i++)
        out[i] = out[i] * scale[i] + shift[i];
    if (a->y.dtype == SVR_F8_E4M3)
        quantize_row(&a->y, &a->y_scale, m, out);
    else
        svr_cpu_store(r->simd, &a->y, m * D, D, out);
}

static void rms_task(void *context, int64_t index, int thread)
{
    const rms *r = context;
    size_t row = svr_cpu_floats(r->args->x.dims[1]);
    float *buffer = r->buffers + (size_t) thread * 2 * row;
    int64_t end = svr_min_i64((index + 1) * RMS_ROWS, r->args->x.dims[0]);

    for (int64_t m = index * RMS_ROWS; m < end; m++)
        rms_row(r, m, buffer, buffer + row);
}

svr_status svr_cpu_rms_norm(svr_exec *exec, const svr_rms_norm_args *args, void *workspace,
                            svr_error *err)
{
    rms r = {.args = args, .simd = svr_cpu_of(exec->backend)->simd, .buffers = workspace};

    return svr_cpu_for(exec, svr_ceil_div(args->x.dims[0], RMS_ROWS), rms_task, &r, err);
}
