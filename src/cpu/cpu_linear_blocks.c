/* Products by blocks of rows and outputs, which the library makes, or integer products. */
#include "cpu/cpu_linear.h"

#include "base/checked.h"
#include "cpu/cpu_integers.h"
#include "cpu/cpu_internal.h"
#include "cpu/cpu_library.h"
#include "cpu/cpu_rows.h"

#include <string.h>

enum {
    LIBRARY_ROWS = 512,
    LIBRARY_OUTPUTS = 384,
    /* with fewer rows oneDNN sums in another order, and a row's result would depend on how many
     * there are */
    LIBRARY_LEAST_ROWS = 16,
    /* oneDNN's products were 1.6 times as fast as tiles (cpu_linear_tiles.c) at 2560, level at 512,
     * and slower below, where what follows a product weighs more */
    LIBRARY_DEPTH = 768
};

bool svr_cpu_product_goes_by_blocks(const svr_cpu_product *p)
{
    return svr_cpu_product_of_integers(p) ||
           (svr_cpu_library_has_product() && p->K >= LIBRARY_DEPTH);
}

/* A thread's scratch for blocks: two of them, a row of results; then what a product of integers
 * wants, or for the library rows of x that are not F32 or too few, and from w_rows_start() on rows
 * of a quantised w. */
static size_t x_rows_start(void)
{
    return 2 * (size_t) LIBRARY_ROWS * LIBRARY_OUTPUTS + LIBRARY_OUTPUTS;
}

static size_t w_rows_start(const svr_cpu_product *p)
{
    int64_t rows = p->x.dtype == SVR_F32 ? 0 : svr_min_i64(LIBRARY_ROWS, p->M);

    return x_rows_start() + svr_cpu_floats(svr_max_i64(rows, LIBRARY_LEAST_ROWS) * p->K);
}

void svr_cpu_product_plan_blocks(svr_cpu_product *p)
{
    size_t room = svr_cpu_integer_room(svr_min_i64(LIBRARY_ROWS, p->M), p->K);

    if (svr_cpu_product_of_integers(p))
        p->scratch = x_rows_start() + svr_cpu_floats((int64_t) (room + 1) / 2);
    else
        p->scratch =
            w_rows_start(p) + svr_cpu_floats(svr_cpu_product_quantized(p)
                                                 ? svr_min_i64(LIBRARY_OUTPUTS, p->N) * p->K
                                                 : 0);
}

/* Sums of a row, to which the bias and the activation are still to come, go out. */
static void finish_row(const svr_cpu_product *p, const int64_t m_n_count[3], float *values,
                       float *buffer)
{
    const float *bias = p->linear ? p->linear->b.data : NULL;
    int64_t n0 = m_n_count[1], count = m_n_count[2];

    for (int64_t n = 0; bias && n < count; n++)
        values[n] += bias[n0 + n];
    if (p->linear)
        p->simd->activate(values, (size_t) count, p->linear->activation);
    svr_cpu_product_store(p, m_n_count, values, buffer);
}

/* Rows [m0, m0 + rows) of x for the library, with zeros up to its least number of rows. */
static const float *library_rows(const svr_cpu_product *p, int64_t m0, int64_t rows, float *buffer)
{
    const float *x = svr_cpu_product_rows(p, &p->x, &p->x_scale, (int64_t[]){m0, rows}, buffer);

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

static void library_block(const svr_cpu_product *p, const block *b)
{
    const int64_t size[3] = {svr_max_i64(b->rows, LIBRARY_LEAST_ROWS), b->outputs, p->K};
    const int64_t part[2] = {b->n0, b->outputs};
    const float *x = library_rows(p, b->m0, b->rows, b->scratch + x_rows_start());
    float *w_rows = b->scratch + w_rows_start(p);

    for (int i = 0; i < p->matrices; i++)
        svr_cpu_library_product(x, svr_cpu_product_rows(p, &p->w[i], &p->w_scale[i], part, w_rows),
                                b->made[i], size);
}

static void integer_block(const svr_cpu_product *p, const block *b)
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
    const svr_cpu_product *p = context;
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
    if (svr_cpu_product_of_integers(p))
        integer_block(p, &b);
    else
        library_block(p, &b);
    if (p->matrices == 2)
        p->simd->silu_mul(b.made[0], b.made[1], (size_t) (b.rows * b.outputs));
    for (int64_t i = 0; i < b.rows; i++)
        finish_row(p, (const int64_t[]){b.m0 + i, b.n0, b.outputs}, b.made[0] + i * b.outputs,
                   b.buffer);
}

svr_status svr_cpu_product_by_blocks(svr_exec *exec, svr_cpu_product *p, void *workspace,
                                     svr_error *err)
{
    p->scratches = workspace;
    return svr_cpu_for(exec, svr_ceil_div(p->M, LIBRARY_ROWS) * svr_ceil_div(p->N, LIBRARY_OUTPUTS),
                       block_task, p, err);
}
