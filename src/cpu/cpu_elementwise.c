/* Ops on elements and short rows: lincomb, find_overflow, guidance, noise. */
#include "base/checked.h"
#include "base/rng.h"
#include "cpu/cpu_internal.h"
#include "cpu/cpu_ops.h"
#include "cpu/cpu_rows.h"

#include <math.h>
#include <stdatomic.h>

enum { PIECE = 1024, PIECES_PER_TASK = 32 };

/* ---------------------------------------------------------------------------- lincomb */

typedef struct lincomb {
    const svr_lincomb_args *args;
    const svr_cpu_simd *simd;
    int64_t n;
} lincomb;

static void lincomb_piece(const lincomb *l, int64_t at, int64_t n)
{
    const svr_lincomb_args *a = l->args;
    float buffer[2][PIECE], out[PIECE];
    const float *left = svr_cpu_load(l->simd, &a->a, at, n, buffer[0]);

    for (int64_t i = 0; i < n; i++)
        out[i] = a->alpha * left[i];
    if (svr_tensor_present(&a->b)) {
        const float *right = svr_cpu_load(l->simd, &a->b, at, n, buffer[1]);

        for (int64_t i = 0; i < n; i++)
            out[i] += a->beta * right[i];
    }
    for (int64_t i = 0; a->clamp && i < n; i++) {
        out[i] = out[i] < a->lo ? a->lo : out[i];
        out[i] = out[i] > a->hi ? a->hi : out[i];
    }
    svr_cpu_store(l->simd, &a->y, at, n, out);
}

static void lincomb_task(void *context, int64_t index, int thread)
{
    const lincomb *l = context;
    int64_t end = svr_min_i64((index + 1) * PIECES_PER_TASK * PIECE, l->n);

    (void) thread;
    for (int64_t at = index * PIECES_PER_TASK * PIECE; at < end; at += PIECE)
        lincomb_piece(l, at, svr_min_i64(PIECE, end - at));
}

svr_status svr_cpu_lincomb(svr_exec *exec, const svr_lincomb_args *args, void *workspace,
                           svr_error *err)
{
    lincomb l = {args, svr_cpu_of(exec->backend)->simd, svr_tensor_elems(&args->y)};

    (void) workspace;
    return svr_cpu_for(exec, svr_ceil_div(l.n, (int64_t) PIECES_PER_TASK * PIECE), lincomb_task, &l,
                       err);
}

/* ---------------------------------------------------------------------------- find_overflow */

typedef struct overflow_search {
    const svr_find_overflow_args *args;
    const svr_cpu_simd *simd;
    int64_t n;
    atomic_bool found;
} overflow_search;

/* x - x is 0 for finite x, else NaN, which a sum keeps. */
static bool piece_overflows(const overflow_search *s, int64_t at, int64_t n)
{
    float buffer[PIECE], sum = 0.0f;
    const float *x = svr_cpu_load(s->simd, &s->args->x, at, n, buffer);

    for (int64_t i = 0; i < n; i++)
        sum += x[i] - x[i];
    return sum != 0.0f;
}

static void overflow_task(void *context, int64_t index, int thread)
{
    overflow_search *s = context;
    int64_t end = svr_min_i64((index + 1) * PIECES_PER_TASK * PIECE, s->n);

    (void) thread;
    for (int64_t at = index * PIECES_PER_TASK * PIECE; at < end; at += PIECE)
        if (piece_overflows(s, at, svr_min_i64(PIECE, end - at)))
            atomic_store(&s->found, true);
}

svr_status svr_cpu_find_overflow(svr_exec *exec, const svr_find_overflow_args *args,
                                 void *workspace, svr_error *err)
{
    overflow_search s = {args, svr_cpu_of(exec->backend)->simd, svr_tensor_elems(&args->x), false};

    (void) workspace;
    SVR_TRY(svr_cpu_for(exec, svr_ceil_div(s.n, (int64_t) PIECES_PER_TASK * PIECE), overflow_task,
                        &s, err));
    if (atomic_load(&s.found))
        *(int32_t *) args->found.data = 1;
    return SVR_OK;
}

/* ---------------------------------------------------------------------------- guidance */

enum { GUIDANCE_ROWS = 256 };

typedef struct guidance {
    const svr_guidance_args *args;
    const svr_cpu_simd *simd;
    float *buffers; /* [threads, 3, C] */
} guidance;

static size_t guidance_floats(const svr_guidance_args *args)
{
    return 3 * svr_cpu_floats(args->pos.dims[1]);
}

size_t svr_cpu_guidance_workspace(svr_backend *backend, const svr_guidance_args *args)
{
    return (size_t) svr_cpu_of(backend)->threads * guidance_floats(args) * sizeof(float);
}

/* Unbiased deviation of a row. */
static double deviation(const float *x, int64_t n)
{
    double mean = 0, sum = 0;

    for (int64_t i = 0; i < n; i++)
        mean += (double) x[i];
    mean /= (double) n;
    for (int64_t i = 0; i < n; i++)
        sum += ((double) x[i] - mean) * ((double) x[i] - mean);
    return sqrt(sum / (double) (n - 1));
}

/* x += step * v for one row. */
static void guidance_step(const guidance *g, int64_t row, const float *v, float *buffer)
{
    const svr_guidance_args *a = g->args;
    int64_t C = a->x.dims[1];
    const float *x = svr_cpu_load(g->simd, &a->x, row * C, C, buffer);
    float *out = buffer + svr_cpu_floats(C);

    for (int64_t i = 0; i < C; i++)
        out[i] = x[i] + a->step * v[i];
    svr_cpu_store(g->simd, &a->x, row * C, C, out);
}

static void guidance_row(const guidance *g, int64_t row, float *buffer)
{
    const svr_guidance_args *a = g->args;
    int64_t C = a->pos.dims[1];
    size_t stride = svr_cpu_floats(C);
    const float *pos = svr_cpu_load(g->simd, &a->pos, row * C, C, buffer);
    const float *neg = svr_cpu_load(g->simd, &a->neg, row * C, C, buffer + stride);
    float *out = buffer + 2 * stride;

    for (int64_t i = 0; i < C; i++)
        out[i] = neg[i] + a->scale * (pos[i] - neg[i]);
    if (a->rescale != 0) {
        double ratio = deviation(pos, C) / deviation(out, C);
        float factor = (float) ((double) a->rescale * ratio + (1.0 - (double) a->rescale));

        for (int64_t i = 0; i < C; i++)
            out[i] *= factor;
    }
    svr_cpu_store(g->simd, &a->pos, row * C, C, out);
    if (svr_tensor_present(&a->x))
        guidance_step(g, row, out, buffer);
}

static void guidance_task(void *context, int64_t index, int thread)
{
    const guidance *g = context;
    float *buffer = g->buffers + (size_t) thread * guidance_floats(g->args);
    int64_t end = svr_min_i64((index + 1) * GUIDANCE_ROWS, g->args->pos.dims[0]);

    for (int64_t row = index * GUIDANCE_ROWS; row < end; row++)
        guidance_row(g, row, buffer);
}

svr_status svr_cpu_guidance(svr_exec *exec, const svr_guidance_args *args, void *workspace,
                            svr_error *err)
{
    guidance g = {args, svr_cpu_of(exec->backend)->simd, workspace};

    return svr_cpu_for(exec, svr_ceil_div(args->pos.dims[0], GUIDANCE_ROWS), guidance_task, &g,
                       err);
}

/* ---------------------------------------------------------------------------- noise */

typedef struct noise {
    const svr_noise_args *args;
    const svr_cpu_simd *simd;
} noise;

/* One row of pixels. */
static void noise_task(void *context, int64_t index, int thread)
{
    const noise *n = context;
    const svr_noise_args *a = n->args;
    int64_t H = a->y.dims[1], W = a->y.dims[2], C = a->y.dims[3];

    (void) thread;
    for (int64_t i = 0; i < W * C / 4; i++) {
        uint32_t key[4] = {a->x0 + (uint32_t) (i / (C / 4)), a->y0 + (uint32_t) (index % H),
                           a->frame0 + (uint32_t) (index / H), (uint32_t) (i % (C / 4))};
        float values[4];

        svr_position_noise(a->seed, a->stream, key, values);
        svr_cpu_store(n->simd, &a->y, index * W * C + 4 * i, 4, values);
    }
}

svr_status svr_cpu_noise(svr_exec *exec, const svr_noise_args *args, void *workspace,
                         svr_error *err)
{
    noise n = {args, svr_cpu_of(exec->backend)->simd};

    (void) workspace;
    return svr_cpu_for(exec, args->y.dims[0] * args->y.dims[1], noise_task, &n, err);
}
