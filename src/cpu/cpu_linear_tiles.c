/* Products by tiles: weights are packed once, then each task takes some rows against all blocks of
 * outputs. */
#include "cpu/cpu_linear.h"

#include "base/checked.h"
#include "cpu/cpu_internal.h"
#include "cpu/cpu_pack.h"
#include "cpu/cpu_rows.h"

#include <string.h>

enum { ROWS_PER_TASK = 84 };

static size_t packed_floats(const svr_cpu_product *p)
{
    return svr_cpu_floats((int64_t) svr_cpu_packed_floats(p->w[0].dims[0], p->w[0].dims[1]));
}

/* A thread's scratch: rows of x and three tiles. */
size_t svr_cpu_product_plan_tiles(svr_cpu_product *p)
{
    p->scratch = svr_cpu_floats((ROWS_PER_TASK + SVR_CPU_TILE_ROWS) * p->K) +
                 3 * (size_t) SVR_CPU_TILE_FLOATS;
    return packed_floats(p) * (size_t) p->matrices;
}

static void pack_task(void *context, int64_t index, int thread)
{
    const svr_cpu_product *p = context;
    int64_t block = index / p->matrices;
    int which = (int) (index % p->matrices);
    int64_t first = block * SVR_CPU_LANES, count = svr_min_i64(SVR_CPU_LANES, p->N - first);
    float *packed = p->packed[which] + svr_cpu_block_start(block, p->K);
    /* the task's room for rows of x holds a block of w too */
    const float *rows =
        svr_cpu_product_rows(p, &p->w[which], &p->w_scale[which], (int64_t[]){first, count},
                             p->scratches + (size_t) thread * p->scratch);

    svr_cpu_pack_block(rows, p->K, count, 0, p->K, packed);
}

/* A group of rows against one block of outputs. */
typedef struct piece {
    const svr_cpu_product *p;
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

/* Lets the tile do everything and write to y itself, where that is possible. */
static bool place_tile(const piece *q, int64_t row, svr_cpu_tile *tile)
{
    const svr_cpu_product *p = q->p;
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
    const svr_cpu_product *p = q->p;
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
    const svr_cpu_product *p = q->p;
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
            svr_cpu_product_store(p,
                                  (const int64_t[]){q->m0 + i, q->block * SVR_CPU_LANES, outputs},
                                  q->tiles + (i - row) * q->lanes, buffer);
    }
}

static void rows_task(void *context, int64_t index, int thread)
{
    const svr_cpu_product *p = context;
    float *scratch = p->scratches + (size_t) thread * p->scratch;
    piece q = {.p = p, .m0 = index * ROWS_PER_TASK};
    int most, padded;

    q.count = svr_min_i64(ROWS_PER_TASK, p->M - q.m0);
    q.tiles = scratch + p->scratch - 3 * (size_t) SVR_CPU_TILE_FLOATS;
    most = p->simd->tile_rows(q.count, SVR_CPU_LANES);
    padded = p->simd->tile_rows(q.count, 16);
    most = most > padded ? most : padded;
    q.x = svr_cpu_product_rows(p, &p->x, &p->x_scale, (int64_t[]){q.m0, q.count}, scratch);
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

svr_status svr_cpu_product_by_tiles(svr_exec *exec, svr_cpu_product *p, void *workspace,
                                    svr_error *err)
{
    p->packed[0] = workspace;
    p->packed[1] = p->packed[0] + packed_floats(p);
    p->scratches = p->packed[0] + packed_floats(p) * (size_t) p->matrices;
    SVR_TRY(svr_cpu_for(exec, svr_cpu_blocks(p->N) * p->matrices, pack_task, p, err));
    return svr_cpu_for(exec, svr_ceil_div(p->M, ROWS_PER_TASK), rows_task, p, err);
}
