/* Group and RMS normalisation. */
#include "base/checked.h"
#include "base/quantize.h"
#include "cpu/cpu_internal.h"
#include "cpu/cpu_ops.h"
#include "cpu/cpu_rows.h"

#include <math.h>
#include <string.h>

/* ---------------------------------------------------------------------------- moments
 * Sums per channel and band in F64 (values may sit on a constant much larger than their spread, so
 * F32 sums of squares would cancel), bands joined in order. */

enum { BAND_VALUES = 1 << 15, AFFINE_ROWS = 4, MOMENTS = 3 };

typedef struct bands {
    const svr_tensor *x;
    const svr_cpu_simd *simd;
    int64_t T, pixels, C; /* pixels of a frame */
    int64_t band;         /* pixels of a band */
    int64_t count;        /* per frame */
    double *sums;         /* [T, count, 2, C] */
    float *buffers;       /* [threads, band * C] */
    const svr_tensor *moments;
} bands;

static bands bands_make(svr_backend *backend, const svr_tensor *x)
{
    bands b = {.x = x, .simd = svr_cpu_of(backend)->simd};

    b.T = x->dims[0];
    b.pixels = x->dims[1] * x->dims[2];
    b.C = x->dims[3];
    b.band = svr_max_i64(BAND_VALUES / b.C, 1);
    b.band = svr_min_i64(b.band, b.pixels);
    b.count = svr_ceil_div(b.pixels, b.band);
    return b;
}

static size_t sum_floats(const bands *b)
{
    return svr_cpu_floats(2 * b->T * b->count * 2 * b->C);
}

static size_t buffer_floats(const bands *b)
{
    return svr_cpu_floats(b->band * b->C);
}

size_t svr_cpu_moments_workspace(svr_backend *backend, const svr_tensor *x)
{
    bands b = bands_make(backend, x);
    size_t threads = (size_t) svr_cpu_of(backend)->threads;

    return (sum_floats(&b) + threads * buffer_floats(&b)) * sizeof(float);
}

/* First element of band `index`, counted over all frames; its pixels go to *count. */
static int64_t band_at(const bands *b, int64_t index, int64_t *count)
{
    int64_t t = index / b->count, first = index % b->count * b->band;

    *count = svr_min_i64(b->band, b->pixels - first);
    return (t * b->pixels + first) * b->C;
}

static void sums_task(void *context, int64_t index, int thread)
{
    const bands *b = context;
    float *buffer = b->buffers + (size_t) thread * buffer_floats(b);
    double *sums = b->sums + index * 2 * b->C;
    int64_t count, at = band_at(b, index, &count);
    const float *x = svr_cpu_load(b->simd, b->x, at, count * b->C, buffer);

    memset(sums, 0, (size_t) (2 * b->C) * sizeof *sums);
    b->simd->channel_sums(x, (size_t) count, (size_t) b->C, sums, sums + b->C);
}

/* One group of one frame. */
static void join_task(void *context, int64_t index, int thread)
{
    const bands *b = context;
    int64_t groups = b->moments->dims[1], size = b->C / groups;
    int64_t t = index / groups, c0 = index % groups * size;
    double n = (double) (size * b->pixels), sum = 0, squares = 0, mean, variance;
    float *out = (float *) b->moments->data + index * MOMENTS;

    (void) thread;
    for (int64_t i = 0; i < b->count; i++) {
        const double *sums = b->sums + (t * b->count + i) * 2 * b->C;

        for (int64_t c = c0; c < c0 + size; c++) {
            sum += sums[c];
            squares += sums[b->C + c];
        }
    }
    mean = sum / n;
    variance = squares / n - mean * mean;
    out[0] = (float) mean;
    out[1] = (float) (mean - (double) (float) mean);
    out[2] = (float) (variance > 0 ? variance : 0);
}

svr_status svr_cpu_moments(svr_exec *exec, const svr_tensor *x, const svr_tensor *moments,
                           void *workspace, svr_error *err)
{
    bands b = bands_make(exec->backend, x);

    b.sums = workspace;
    b.buffers = (float *) workspace + sum_floats(&b);
    b.moments = moments;
    SVR_TRY(svr_cpu_for(exec, b.T * b.count, sums_task, &b, err));
    return svr_cpu_for(exec, b.T * moments->dims[1], join_task, &b, err);
}

size_t svr_cpu_group_moments_workspace(svr_backend *backend, const svr_group_moments_args *args)
{
    return svr_cpu_moments_workspace(backend, &args->x);
}

svr_status svr_cpu_group_moments(svr_exec *exec, const svr_group_moments_args *args,
                                 void *workspace, svr_error *err)
{
    return svr_cpu_moments(exec, &args->x, &args->moments, workspace, err);
}

/* ---------------------------------------------------------------------------- group norm */

typedef struct group_norm {
    const svr_group_norm_args *args;
    bands bands;
    svr_tensor moments;
    float *tables; /* [T, AFFINE_ROWS, C] */
} group_norm;

static size_t table_floats(const group_norm *g)
{
    return svr_cpu_floats(g->bands.T * AFFINE_ROWS * g->bands.C);
}

static size_t moment_floats(const group_norm *g)
{
    return svr_cpu_floats(g->bands.T * g->args->groups * MOMENTS);
}

static group_norm group_norm_make(svr_backend *backend, const svr_group_norm_args *args)
{
    return (group_norm){
        .args = args, .bands = bands_make(backend, &args->x), .moments = args->moments};
}

size_t svr_cpu_group_norm_workspace(svr_backend *backend, const svr_group_norm_args *args)
{
    group_norm g = group_norm_make(backend, args);

    return (table_floats(&g) + moment_floats(&g)) * sizeof(float) +
           svr_cpu_moments_workspace(backend, &args->x);
}

/* Coefficients of one frame. */
static void table_task(void *context, int64_t t, int thread)
{
    const group_norm *g = context;
    const float *gamma = g->args->gamma.data, *beta = g->args->beta.data;
    int64_t C = g->bands.C, groups = g->args->groups;
    float *table = g->tables + t * AFFINE_ROWS * C;

    (void) thread;
    for (int64_t c = 0; c < C; c++) {
        const float *m =
            (const float *) g->moments.data + (t * groups + c / (C / groups)) * MOMENTS;
        double scale = 1.0 / sqrt((double) m[2] + (double) g->args->eps);

        table[c] = m[0];
        table[C + c] = m[1];
        table[2 * C + c] = (float) (scale * (double) gamma[c]);
        table[3 * C + c] = beta[c];
    }
}

static void apply_task(void *context, int64_t index, int thread)
{
    const group_norm *g = context;
    const bands *b = &g->bands;
    const svr_group_norm_args *a = g->args;
    float *buffer = b->buffers + (size_t) thread * buffer_floats(b);
    const float *table = g->tables + index / b->count * AFFINE_ROWS * b->C;
    int64_t count, at = band_at(b, index, &count), n = count * b->C;
    const float *x = svr_cpu_load(b->simd, &a->x, at, n, buffer);
    float *y = a->y.dtype == SVR_F32 ? (float *) a->y.data + at : buffer;

    b->simd->channel_affine(x, y, (size_t) count, (size_t) b->C, table);
    b->simd->activate(y, (size_t) n, a->activation);
    if (y == buffer)
        svr_cpu_store(b->simd, &a->y, at, n, buffer);
}

svr_status svr_cpu_group_norm(svr_exec *exec, const svr_group_norm_args *args, void *workspace,
                              svr_error *err)
{
    group_norm g = group_norm_make(exec->backend, args);
    float *own, *rest;

    g.tables = workspace;
    own = g.tables + table_floats(&g);
    rest = own + moment_floats(&g);
    g.bands.buffers = rest + sum_floats(&g.bands);
    if (!svr_tensor_present(&g.moments)) {
        g.moments = svr_tensor_3d(own, SVR_F32, g.bands.T, args->groups, MOMENTS);
        SVR_TRY(svr_cpu_moments(exec, &args->x, &g.moments, rest, err));
    }
    SVR_TRY(svr_cpu_for(exec, g.bands.T, table_task, &g, err));
    return svr_cpu_for(exec, g.bands.T * g.bands.count, apply_task, &g, err);
}

/* ---------------------------------------------------------------------------- rms norm */

enum { RMS_ROWS = 32 };

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
    const int32_t *rows = a->rows.data;
    const float *x = svr_cpu_load(r->simd, &a->x, (rows ? rows[m] : m) * D, D, buffer);
    float mean = r->simd->square_sum(x, (size_t) D) / (float) D;
    float factor = 1.0f / sqrtf(mean + a->eps);

    for (int64_t i = 0; i < D; i++)
        out[i] = x[i] * factor;
    for (int64_t i = 0; weight && i < D; i++)
        out[i] *= weight[i];
    for (int64_t i = 0; scale && i < D; i++)
        out[i] = out[i] * scale[i] + shift[i];
    if (svr_tensor_present(&a->y_scale))
        ((float *) a->y_scale.data)[m] =
            svr_quantize_row(out, (size_t) D, a->y.dtype, (uint8_t *) a->y.data + m * D);
    else
        svr_cpu_store(r->simd, &a->y, m * D, D, out);
}

static void rms_task(void *context, int64_t index, int thread)
{
    const rms *r = context;
    size_t row = svr_cpu_floats(r->args->x.dims[1]);
    float *buffer = r->buffers + (size_t) thread * 2 * row;
    int64_t end = svr_min_i64((index + 1) * RMS_ROWS, r->args->y.dims[0]);

    for (int64_t m = index * RMS_ROWS; m < end; m++)
        rms_row(r, m, buffer, buffer + row);
}

svr_status svr_cpu_rms_norm(svr_exec *exec, const svr_rms_norm_args *args, void *workspace,
                            svr_error *err)
{
    rms r = {.args = args, .simd = svr_cpu_of(exec->backend)->simd, .buffers = workspace};

    return svr_cpu_for(exec, svr_ceil_div(args->y.dims[0], RMS_ROWS), rms_task, &r, err);
}
