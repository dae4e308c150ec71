/* Matrix products with their epilogues: linear and swiglu.
 *
 * Quantised factors are multiplied by their scales while they are loaded, so that the same loops
 * serve them; for e4m3 that differs from scaling the sums by roundings of F32 only.  Where both are
 * integers the sums are exact, and scaled afterwards, as devices do. */
#include "base/checked.h"
#include "cpu/cpu_integers.h"
#include "cpu/cpu_internal.h"
#include "cpu/cpu_library.h"
#include "cpu/cpu_ops.h"
#include "cpu/cpu_pack.h"
#include "cpu/cpu_rows.h"

#include <string.h>

enum {
    ROWS_PER_TASK = 84,
    LIBRARY_ROWS = 512,
    LIBRARY_OUTPUTS = 384,
    /* with fewer rows oneDNN sums in another order, and a row's result would depend on how many
     * there are */
    LIBRARY_LEAST_ROWS = 16,
    /* oneDNN's products were 1.6 times as fast as the tiles here at 2560, level at 512, and slower
     * below, where what follows a product weighs more */
    LIBRARY_DEPTH = 768,
    ROUNDED_PIECE = 1024
};

/* One product x w^T, or two of the same shape (swiglu), and where its tiles go. */
typedef struct product {
    const svr_cpu_simd *simd;
    svr_tensor x, w[2], y;
    svr_tensor x_scale, w_scale[2]; /* of quantised factors */
    const svr_linear_args *linear;  /* NULL: swiglu */
    int matrices;
    int64_t M, N, K;
    float *packed[2];
    size_t scratch; /* floats per thread: rows of x and two tiles */
    float *scratches;
} product;

static product product_of_linear(svr_backend *backend, const svr_linear_args *args)
{
    product p = {.simd = svr_cpu_of(backend)->simd, .linear = args, .matrices = 1};

    p.x = args->x, p.w[0] = args->w, p.y = args->y;
    p.x_scale = args->x_scale, p.w_scale[0] = args->w_scale;
    return p;
}

static product product_of_swiglu(svr_backend *backend, const svr_swiglu_args *args)
{
    product p = {.simd = svr_cpu_of(backend)->simd, .matrices = 2};

    p.x = args->x, p.w[0] = args->w_gate, p.w[1] = args->w_up, p.y = args->y;
    p.x_scale = args->x_scale, p.w_scale[0] = args->gate_scale, p.w_scale[1] = args->up_scale;
    return p;
}

static size_t packed_floats(const product *p)
{
    return svr_cpu_floats((int64_t) svr_cpu_packed_floats(p->w[0].dims[0], p->w[0].dims[1]));
}

/* Both factors are I8. */
static bool is_of_integers(const product *p)
{
    return p->x.dtype == SVR_I8;
}

/* In blocks of rows and outputs, which the library or integer_block() makes, instead of packed
 * tiles. */
static bool goes_by_blocks(const product *p)
{
    return is_of_integers(p) || (svr_cpu_library_has_product() && p->K >= LIBRARY_DEPTH);
}

/* Weights in 8 bits, which are loaded by rows; others are F32 here. */
static bool is_quantized(const product *p)
{
    return p->w[0].dtype == SVR_F8_E4M3 || p->w[0].dtype == SVR_I8;
}

/* What a 16-bit type makes of n values. */
static void round_to(const product *p, svr_dtype dtype, float *values, int64_t n)
{
    uint16_t rounded[ROUNDED_PIECE];

    for (int64_t first = 0; first < n; first += ROUNDED_PIECE) {
        size_t count = (size_t) svr_min_i64(ROUNDED_PIECE, n - first);

        p->simd->from_f32(values + first, dtype, rounded, count);
        p->simd->to_f32(rounded, dtype, values + first, count);
    }
}

/* Rows [first, first + count) of [.,K] as floats, with their scales: the tensor's own memory where
 * it is F32, else `buffer`.  Scaled integers are rounded to the type of x, as devices that multiply
 * in that type do. */
static const float *load_rows(const product *p, const svr_tensor *t, const svr_tensor *scale,
                              const int64_t first_count[2], float *buffer)
{
    const float *scales = scale->data;
    int64_t first = first_count[0], count = first_count[1], K = p->K;
    const float *rows = svr_cpu_load(p->simd, t, first * K, count * K, buffer);

    for (int64_t m = 0; scales && m < count; m++)
        for (int64_t k = 0; k < K; k++)
            buffer[m * K + k] *= scales[first + m];
    if (t->dtype == SVR_I8 && p->x.dtype != SVR_F32)
        round_to(p, p->x.dtype, buffer, count * K);
    return rows;
}

/* A thread's scratch for blocks: two of them, a row of results; then what a product of integers
 * wants, or for the library rows of x that are not F32 or too few, and from w_rows_start() on rows
 * of a quantised w. */
static size_t x_rows_start(void)
{
    return 2 * (size_t) LIBRARY_ROWS * LIBRARY_OUTPUTS + LIBRARY_OUTPUTS;
}

static size_t w_rows_start(const product *p)
{
    int64_t rows = p->x.dtype == SVR_F32 ? 0 : svr_min_i64(LIBRARY_ROWS, p->M);

    return x_rows_start() + svr_cpu_floats(svr_max_i64(rows, LIBRARY_LEAST_ROWS) * p->K);
}

static size_t blocks_scratch(const product *p)
{
    size_t room = svr_cpu_integer_room(svr_min_i64(LIBRARY_ROWS, p->M), p->K);

    if (is_of_integers(p))
        return x_rows_start() + svr_cpu_floats((int64_t) (room + 1) / 2);
    return w_rows_start(p) +
           svr_cpu_floats(is_quantized(p) ? svr_min_i64(LIBRARY_OUTPUTS, p->N) * p->K : 0);
}

/* Fills in sizes; returns the bytes of workspace. */
static size_t product_plan(svr_backend *backend, product *p)
{
    p->M = p->x.dims[0], p->K = p->x.dims[1], p->N = p->w[0].dims[0];
    if (goes_by_blocks(p)) {
        p->scratch = blocks_scratch(p);
        return p->scratch * (size_t) svr_cpu_of(backend)->threads * sizeof(float);
    }
    p->scratch = svr_cpu_floats((ROWS_PER_TASK + SVR_CPU_TILE_ROWS) * p->K) +
                 3 * (size_t) SVR_CPU_TILE_FLOATS;
    return (packed_floats(p) * (size_t) p->matrices +
            p->scratch * (size_t) svr_cpu_of(backend)->threads) *
           sizeof(float);
}

static void pack_task(void *context, int64_t index, int thread)
{
    const product *p = context;
    int64_t block = index / p->matrices;
    int which = (int) (index % p->matrices);
    int64_t first = block * SVR_CPU_LANES, count = svr_min_i64(SVR_CPU_LANES, p->N - first);
    float *packed = p->packed[which] + svr_cpu_block_start(block, p->K);
    /* the task's room for rows of x holds a block of w too */
    const float *rows = load_rows(p, &p->w[which], &p->w_scale[which], (int64_t[]){first, count},
                                  p->scratches + (size_t) thread * p->scratch);

    svr_cpu_pack_block(rows, p->K, count, 0, p->K, packed);
}

/* A group of rows against one block of outputs. */
typedef struct piece {
    const product *p;
    const float *x; /* rows of this task as floats, padded to whole tiles */
    int64_t m0;     /* first row of the tensor */
    int64_t count;  /* rows of this task */
    int64_t block;
    int rows, lanes; /* of a tile */
    float *tiles;    /* two tiles and a row buffer of this thread */
} piece;

/* The tile of `rows` rows from `row` on, with nothing added, into `out`. */
static svr_cpu_tile tile_of(const piece *q, const float *const *x, const float *const *w,
                            float *out)
{
    return (svr_cpu_tile){.x = x,
                          .w = w,
                          .runs = 1,
                          .length = (int) q->p->K,
                          .x_step = q->p->K,
                          .w_step = q->lanes,
                          .out_step = q->lanes,
                          .rows = q->rows,
                          .lanes = q->lanes,
                          .out = out};
}

static const float *weights_of(const piece *q, int which)
{
    return q->p->packed[which] + svr_cpu_block_start(q->block, q->p->K);
}

/* The part of a vector of N values that this block needs, or NULL. */
static const float *lanes_of(const piece *q, const svr_tensor *vector)
{
    const float *values = vector->data;

    return values ? values + q->block * SVR_CPU_LANES : NULL;
}

/* Results of row m, outputs [n0, n0 + count): gate, residual, and out. */
static void store_row(const product *p, const int64_t m_n_count[3], float *values, float *buffer)
{
    const svr_linear_args *a = p->linear;
    int64_t n0 = m_n_count[1], count = m_n_count[2], at = m_n_count[0] * p->N + n0;
    const float *gate = a ? a->gate.data : NULL;

    for (int64_t n = 0; gate && n < count; n++)
        values[n] *= gate[n0 + n];
    if (a && svr_tensor_present(&a->residual)) {
        const float *add = svr_cpu_load(p->simd, &a->residual, at, count, buffer);

        for (int64_t n = 0; n < count; n++)
            values[n] += add[n];
    }
    svr_cpu_store(p->simd, &p->y, at, count, values);
}

/* Lets the tile do everything and write to y itself, where that is possible. */
static bool place_tile(const piece *q, int64_t row, svr_cpu_tile *tile)
{
    const product *p = q->p;
    const svr_linear_args *a = p->linear;
    int64_t at = (q->m0 + row) * p->N + q->block * SVR_CPU_LANES;
    bool whole = row + q->rows <= q->count && q->block * SVR_CPU_LANES + q->lanes <= p->N;

    if (!a || !whole || a->activation != SVR_ACT_NONE || p->y.dtype != SVR_F32)
        return false;
    if (svr_tensor_present(&a->residual) && a->residual.dtype != SVR_F32)
        return false;
    tile->out = (float *) p->y.data + at;
    tile->out_step = p->N;
    tile->gate = lanes_of(q, &a->gate);
    tile->add = svr_tensor_present(&a->residual) ? (const float *) a->residual.data + at : NULL;
    return true;
}

/* act(x w^T + b), or silu(x w_gate^T) * (x w_up^T), for one tile into its buffer. */
static void fill_tile(const piece *q, const float *x, svr_cpu_tile *tile)
{
    const product *p = q->p;
    float *second = q->tiles + SVR_CPU_TILE_FLOATS;
    size_t floats = (size_t) q->rows * (size_t) q->lanes;
    const float *w = weights_of(q, 1);
    svr_cpu_tile up = tile_of(q, &x, &w, second);

    p->simd->tile(tile);
    if (p->linear) {
        p->simd->activate(tile->out, floats, p->linear->activation);
        return;
    }
    p->simd->tile(&up);
    p->simd->silu_mul(tile->out, second, floats);
}

static void compute_block(const piece *q)
{
    const product *p = q->p;
    const float *w = weights_of(q, 0), *bias = p->linear ? lanes_of(q, &p->linear->b) : NULL;
    float *buffer = q->tiles + 2 * (size_t) SVR_CPU_TILE_FLOATS;
    float padded[SVR_CPU_LANES] = {0};
    int64_t outputs = svr_min_i64(q->lanes, p->N - q->block * SVR_CPU_LANES);

    if (bias) {
        memcpy(padded, bias, (size_t) outputs * sizeof(float));
        bias = padded;
    }
    for (int64_t row = 0; row < q->count; row += q->rows) {
        const float *x = q->x + row * p->K;
        svr_cpu_tile tile = tile_of(q, &x, &w, q->tiles);

        tile.bias = bias;
        if (place_tile(q, row, &tile)) {
            p->simd->tile(&tile);
            continue;
        }
        fill_tile(q, x, &tile);
        for (int64_t i = row; i < svr_min_i64(row + q->rows, q->count); i++)
            store_row(p, (const int64_t[]){q->m0 + i, q->block * SVR_CPU_LANES, outputs},
                      q->tiles + (i - row) * q->lanes, buffer);
    }
}

static void rows_task(void *context, int64_t index, int thread)
{
    const product *p = context;
    float *scratch = p->scratches + (size_t) thread * p->scratch;
    piece q = {.p = p, .m0 = index * ROWS_PER_TASK};
    int most, padded;

    q.count = svr_min_i64(ROWS_PER_TASK, p->M - q.m0);
    q.tiles = scratch + p->scratch - 3 * (size_t) SVR_CPU_TILE_FLOATS;
    most = p->simd->tile_rows(q.count, SVR_CPU_LANES);
    padded = p->simd->tile_rows(q.count, 16);
    most = most > padded ? most : padded;
    q.x = load_rows(p, &p->x, &p->x_scale, (int64_t[]){q.m0, q.count}, scratch);
    /* tiles that reach beyond the last row of x read zeros instead */
    if (q.m0 + q.count + most > p->M || q.x == scratch) {
        if (q.x != scratch)
            memcpy(scratch, q.x, (size_t) (q.count * p->K) * sizeof(float));
        memset(scratch + q.count * p->K, 0, (size_t) (most * p->K) * sizeof(float));
        q.x = scratch;
    }
    for (q.block = 0; q.block < svr_cpu_blocks(p->N); q.block++) {
        q.lanes = svr_cpu_block_lanes(p->N, q.block);
        q.rows = p->simd->tile_rows(q.count, q.lanes);
        compute_block(&q);
    }
}

/* ---------------------------------------------------------------------------- by blocks */

/* The same for sums, to which the bias and the activation are still to come. */
static void finish_row(const product *p, const int64_t m_n_count[3], float *values, float *buffer)
{
    const float *bias = p->linear ? p->linear->b.data : NULL;
    int64_t n0 = m_n_count[1], count = m_n_count[2];

    for (int64_t n = 0; bias && n < count; n++)
        values[n] += bias[n0 + n];
    if (p->linear)
        p->simd->activate(values, (size_t) count, p->linear->activation);
    store_row(p, m_n_count, values, buffer);
}

/* Rows [m0, m0 + rows) of x for the library, with zeros up to its least number of rows. */
static const float *library_rows(const product *p, int64_t m0, int64_t rows, float *buffer)
{
    const float *x = load_rows(p, &p->x, &p->x_scale, (int64_t[]){m0, rows}, buffer);

    if (rows >= LIBRARY_LEAST_ROWS)
        return x;
    if (x != buffer)
        memcpy(buffer, x, (size_t) (rows * p->K) * sizeof(float));
    memset(buffer + rows * p->K, 0, (size_t) ((LIBRARY_LEAST_ROWS - rows) * p->K) * sizeof(float));
    return buffer;
}

/* Rows [m0, m0 + rows) by outputs [n0, n0 + outputs), and room for what is made of them. */
typedef struct block {
    int64_t m0, n0, rows, outputs;
    float *made[2]; /* [rows, outputs] by matrix */
    float *buffer;  /* [outputs] */
    float *scratch; /* of the thread: all of this and the library's rows */
} block;

static void library_block(const product *p, const block *b)
{
    const int64_t size[3] = {svr_max_i64(b->rows, LIBRARY_LEAST_ROWS), b->outputs, p->K};
    const int64_t part[2] = {b->n0, b->outputs};
    const float *x = library_rows(p, b->m0, b->rows, b->scratch + x_rows_start());
    float *w_rows = b->scratch + w_rows_start(p);

    for (int i = 0; i < p->matrices; i++)
        svr_cpu_library_product(x, load_rows(p, &p->w[i], &p->w_scale[i], part, w_rows), b->made[i],
                                size);
}

static void integer_block(const product *p, const block *b)
{
    svr_linear_args part = {.x = svr_tensor_slice(&p->x, b->m0, b->rows),
                            .x_scale = svr_tensor_slice(&p->x_scale, b->m0, b->rows)};
    int16_t *room = (void *) (b->scratch + x_rows_start());

    for (int i = 0; i < p->matrices; i++) {
        part.w = svr_tensor_slice(&p->w[i], b->n0, b->outputs);
        part.w_scale = svr_tensor_slice(&p->w_scale[i], b->n0, b->outputs);
        svr_cpu_integer_product(p->simd, &part, room, b->made[i]);
    }
}

static void block_task(void *context, int64_t index, int thread)
{
    const product *p = context;
    int64_t across = svr_ceil_div(p->N, LIBRARY_OUTPUTS);
    float *scratch = p->scratches + (size_t) thread * p->scratch;
    block b = {.m0 = index / across * LIBRARY_ROWS,
               .n0 = index % across * LIBRARY_OUTPUTS,
               .scratch = scratch};

    b.rows = svr_min_i64(LIBRARY_ROWS, p->M - b.m0);
    b.outputs = svr_min_i64(LIBRARY_OUTPUTS, p->N - b.n0);
    b.made[0] = scratch;
    b.made[1] = scratch + (size_t) LIBRARY_ROWS * LIBRARY_OUTPUTS;
    b.buffer = b.made[1] + (size_t) LIBRARY_ROWS * LIBRARY_OUTPUTS;
    if (is_of_integers(p))
        integer_block(p, &b);
    else
        library_block(p, &b);
    if (p->matrices == 2)
        p->simd->silu_mul(b.made[0], b.made[1], (size_t) (b.rows * b.outputs));
    for (int64_t i = 0; i < b.rows; i++)
        finish_row(p, (const int64_t[]){b.m0 + i, b.n0, b.outputs}, b.made[0] + i * b.outputs,
                   b.buffer);
}

static svr_status product_run(svr_exec *exec, product *p, void *workspace, svr_error *err)
{
    if (!is_quantized(p))
        SVR_TRY(svr_cpu_check_weights(&p->w[0], err));
    product_plan(exec->backend, p);
    if (goes_by_blocks(p)) {
        p->scratches = workspace;
        return svr_cpu_for(exec,
                           svr_ceil_div(p->M, LIBRARY_ROWS) * svr_ceil_div(p->N, LIBRARY_OUTPUTS),
                           block_task, p, err);
    }
    p->packed[0] = workspace;
    p->packed[1] = p->packed[0] + packed_floats(p);
    p->scratches = p->packed[0] + packed_floats(p) * (size_t) p->matrices;
    SVR_TRY(svr_cpu_for(exec, svr_cpu_blocks(p->N) * p->matrices, pack_task, p, err));
    return svr_cpu_for(exec, svr_ceil_div(p->M, ROWS_PER_TASK), rows_task, p, err);
}

size_t svr_cpu_linear_workspace(svr_backend *backend, const svr_linear_args *args)
{
    product p = product_of_linear(backend, args);

    return product_plan(backend, &p);
}

svr_status svr_cpu_linear(svr_exec *exec, const svr_linear_args *args, void *workspace,
                          svr_error *err)
{
    product p = product_of_linear(exec->backend, args);

    return product_run(exec, &p, workspace, err);
}

size_t svr_cpu_swiglu_workspace(svr_backend *backend, const svr_swiglu_args *args)
{
    product p = product_of_swiglu(backend, args);

    return product_plan(backend, &p);
}

svr_status svr_cpu_swiglu(svr_exec *exec, const svr_swiglu_args *args, void *workspace,
                          svr_error *err)
{
    product p = product_of_swiglu(exec->backend, args);

    return product_run(exec, &p, workspace, err);
}
