/* Causal convolution as a sum of register tiles: a tile is a piece of an output row times a block
 * of outputs, and one run of it is a kernel row, kw * C values that lie side by side in memory.
 *
 * Frames in front of the clip are never stored.  An output frame that would read frame 0 m times
 * reads it once with the sum of its m first temporal taps. */
#include "base/checked.h"
#include "cpu/cpu_internal.h"
#include "cpu/cpu_library.h"
#include "cpu/cpu_ops.h"
#include "cpu/cpu_pack.h"
#include "cpu/cpu_rows.h"

#include <string.h>

enum {
    MOST_RUNS = 64,
    ROWS_PER_TASK = 4,
    PIECE = 4 * SVR_CPU_TILE_ROWS, /* output columns */
    SMALL_WEIGHTS = 1 << 17        /* floats */
};

typedef struct conv {
    const svr_conv3d_args *args;
    const svr_cpu_simd *simd;
    int64_t T, H, W, C, K, H_out, W_out;
    int64_t kt, kh, kw;
    int64_t heads;      /* frames of head */
    int64_t recent;     /* frames between head and x: 0 or 1 */
    int64_t replicated; /* frames of P in front that repeat the first of head or x */
    int64_t tap;        /* floats of packed weights per temporal tap and lane: kh*kw*C */
    int64_t taps;       /* temporal taps per block: kt, then sums of the first 2, 3, .. */
    int64_t row_tasks;
    float *packed;
    size_t patch; /* floats per thread: the patch and two tiles */
    float *patches;
} conv;

/* A frame that an output frame reads, and the temporal tap that it meets. */
typedef struct source {
    const svr_tensor *tensor;
    int64_t frame, tap;
} source;

static size_t patch_floats(const conv *c)
{
    int64_t width = (int64_t) (SVR_CPU_TILE_ROWS - 1) * c->args->stride_s + c->kw;

    return svr_cpu_floats(c->kt * c->kh * width * c->C) + 2 * (size_t) SVR_CPU_TILE_FLOATS;
}

static conv conv_make(svr_backend *backend, const svr_conv3d_args *args)
{
    conv c = {.args = args, .simd = svr_cpu_of(backend)->simd};
    bool head = svr_tensor_present(&args->head);

    c.T = args->x.dims[0], c.H = args->x.dims[1], c.W = args->x.dims[2], c.C = args->x.dims[3];
    c.K = args->w.dims[0], c.kt = args->w.dims[1], c.kh = args->w.dims[2], c.kw = args->w.dims[3];
    c.H_out = args->y.dims[1], c.W_out = args->y.dims[2];
    c.heads = head ? args->head.dims[0] : 0;
    c.recent = svr_tensor_present(&args->recent) ? 1 : 0;
    c.replicated = args->head_starts ? 1 : head ? 0 : c.kt - 1;
    c.tap = c.kh * c.kw * c.C;
    c.taps = c.replicated > 0 ? 2 * c.kt - 1 : c.kt;
    c.row_tasks = svr_ceil_div(c.H_out, ROWS_PER_TASK);
    c.patch = patch_floats(&c);
    return c;
}

static size_t packed_floats(const conv *c)
{
    return svr_cpu_floats((int64_t) svr_cpu_packed_floats(c->K, c->taps * c->tap));
}

static size_t product_bytes(svr_backend *backend, const svr_conv3d_args *args)
{
    conv c = conv_make(backend, args);
    size_t threads = (size_t) svr_cpu_of(backend)->threads;

    if (svr_cpu_library_serves_conv3d(args))
        return svr_cpu_library_conv3d_workspace(backend, args);
    return (packed_floats(&c) + threads * c.patch) * sizeof(float);
}

/* Both parts use the same memory, one behind the other. */
size_t svr_cpu_conv3d_workspace(svr_backend *backend, const svr_conv3d_args *args)
{
    size_t product = product_bytes(backend, args), moments = 0;

    if (svr_tensor_present(&args->moments))
        moments = svr_cpu_moments_workspace(backend, &args->y);
    return product > moments ? product : moments;
}

/* ---------------------------------------------------------------------------- weights */

static void pack_task(void *context, int64_t block, int thread)
{
    const conv *c = context;
    int lanes = svr_cpu_block_lanes(c->K, block);
    int64_t inner = c->kt * c->tap, tap = c->tap * lanes;
    float *packed = c->packed + svr_cpu_block_start(block, c->taps * c->tap);

    (void) thread;
    svr_cpu_pack_block(c->args->w.data, inner, c->K, block, inner, packed);
    for (int64_t sum = c->kt; sum < c->taps; sum++) {
        const float *before = sum == c->kt ? packed : packed + (sum - 1) * tap;
        const float *added = packed + (sum - c->kt + 1) * tap;

        for (int64_t i = 0; i < tap; i++)
            packed[sum * tap + i] = before[i] + added[i];
    }
}

/* ---------------------------------------------------------------------------- one tile */

/* What is fixed while an output row is computed. */
typedef struct row {
    const conv *c;
    source sources[MOST_RUNS];
    int source_count;
    int64_t j, oy;
    float *patch, *out, *wide; /* of this thread */
} row;

static int find_sources(const conv *c, int64_t j, source *sources)
{
    int64_t first = j * c->args->stride_t - c->replicated;
    int64_t copies = svr_min_i64(svr_max_i64(1 - first, 1), c->kt);
    int count = 0;

    if (c->replicated > 0 && copies > 1) {
        sources[count++] =
            (source){c->heads > 0 ? &c->args->head : &c->args->x, 0, c->kt + copies - 2};
    } else {
        copies = 0;
    }
    for (int64_t k = copies; k < c->kt; k++) {
        int64_t at = first + k, frame = at - c->heads - c->recent;

        sources[count++] = at < c->heads ? (source){&c->args->head, at, k}
                           : frame < 0   ? (source){&c->args->recent, 0, k}
                                         : (source){&c->args->x, frame, k};
    }
    return count;
}

/* Output columns [from, to) of a row for one block of outputs. */
typedef struct columns {
    const row *r;
    int64_t from, to, block;
    int lanes;
    const float *weights; /* packed, of the block */
} columns;

/* `width` pixels of an input row from x0 on as floats, zeros outside the picture. */
static void fill_patch(const conv *c, const svr_tensor *x, int64_t row_start, int64_t x0,
                       int64_t width, float *patch)
{
    int64_t left = svr_min_i64(svr_max_i64(-x0, 0), width);
    int64_t inside = svr_max_i64(svr_min_i64(c->W - x0, width) - left, 0);
    int64_t right = width - left - inside;

    memset(patch, 0, (size_t) (left * c->C) * sizeof(float));
    patch += left * c->C;
    if (inside > 0)
        c->simd->to_f32(svr_cpu_at(x, (row_start + x0 + left) * c->C), x->dtype, patch,
                        (size_t) (inside * c->C));
    memset(patch + inside * c->C, 0, (size_t) (right * c->C) * sizeof(float));
}

/* The runs of a tile that starts at output column ox: kernel rows that lie inside the picture, in
 * place where x is F32 and the tile stays off its borders.  Returns how many. */
static int find_runs(const columns *q, int64_t ox, int rows, const float **x, const float **w)
{
    const row *r = q->r;
    const conv *c = r->c;
    const svr_conv3d_args *a = c->args;
    int64_t width = (int64_t) (rows - 1) * a->stride_s + c->kw;
    int64_t x0 = ox * a->stride_s - a->pad_left;
    bool direct = x0 >= 0 && x0 + width <= c->W && a->x.dtype == SVR_F32;
    int runs = 0;

    for (int s = 0; s < r->source_count; s++) {
        const source *from = &r->sources[s];

        for (int64_t ky = 0; ky < c->kh; ky++) {
            int64_t y = r->oy * a->stride_s - a->pad_top + ky;
            int64_t row_start = (from->frame * c->H + y) * c->W;
            float *patch = r->patch + runs * width * c->C;

            if (y < 0 || y >= c->H)
                continue;
            if (!direct)
                fill_patch(c, from->tensor, row_start, x0, width, patch);
            x[runs] = direct ? (const float *) from->tensor->data + (row_start + x0) * c->C : patch;
            w[runs] = q->weights + (from->tap * c->kh + ky) * c->kw * c->C * q->lanes;
            runs++;
        }
    }
    return runs;
}

/* First element of y that a tile at column ox computes. */
static int64_t first_element(const columns *q, int64_t ox)
{
    const conv *c = q->r->c;

    return ((q->r->j * c->H_out + q->r->oy) * c->W_out + ox) * c->K + q->block * SVR_CPU_LANES;
}

/* A tile in the thread's buffer to the output: plus residual, in the output's type. */
static void store_tile(const columns *q, int64_t ox, int rows)
{
    const row *r = q->r;
    const conv *c = r->c;
    const svr_tensor *y = &c->args->y, *residual = &c->args->residual;
    int64_t count = svr_min_i64(q->lanes, c->K - q->block * SVR_CPU_LANES);

    for (int p = 0; p < rows && ox + p < q->to; p++) {
        int64_t at = first_element(q, ox + p);
        float *out = r->out + (ptrdiff_t) p * q->lanes;

        if (svr_tensor_present(residual)) {
            const float *add = svr_cpu_load(c->simd, residual, at, count, r->wide);

            for (int64_t n = 0; n < count; n++)
                out[n] += add[n];
        }
        svr_cpu_store(c->simd, y, at, count, out);
    }
}

/* Lets the tile write to y itself where it fits, else to the buffer of the thread.  Returns whether
 * it fits. */
static bool place_tile(const columns *q, int64_t ox, svr_cpu_tile *tile)
{
    const conv *c = q->r->c;
    const svr_conv3d_args *a = c->args;
    int64_t at = first_element(q, ox);
    bool fits = a->y.dtype == SVR_F32 && ox + tile->rows <= q->to &&
                q->block * SVR_CPU_LANES + q->lanes <= c->K;

    tile->out = fits ? (float *) a->y.data + at : q->r->out;
    tile->out_step = fits ? c->K : q->lanes;
    tile->add =
        fits && svr_tensor_present(&a->residual) ? (const float *) a->residual.data + at : NULL;
    return fits;
}

static void compute_columns(const columns *q)
{
    const conv *c = q->r->c;
    const svr_conv3d_args *a = c->args;
    int64_t k0 = q->block * SVR_CPU_LANES, outputs = svr_min_i64(q->lanes, c->K - k0);
    const float *x[MOST_RUNS], *w[MOST_RUNS];
    float bias[SVR_CPU_LANES] = {0};
    svr_cpu_tile tile = {.x = x,
                         .w = w,
                         .bias = bias,
                         .length = (int) (c->kw * c->C),
                         .x_step = a->stride_s * c->C,
                         .w_step = q->lanes,
                         .rows = c->simd->tile_rows(q->to - q->from, q->lanes),
                         .lanes = q->lanes};

    if (svr_tensor_present(&a->b))
        memcpy(bias, (const float *) a->b.data + k0, (size_t) outputs * sizeof(float));
    for (int64_t ox = q->from; ox < q->to; ox += tile.rows) {
        bool placed = place_tile(q, ox, &tile);

        tile.runs = find_runs(q, ox, tile.rows, x, w);
        c->simd->tile(&tile);
        if (!placed)
            store_tile(q, ox, tile.rows);
    }
}

/* One output row for blocks [block, end), piece by piece. */
static void compute_row(const row *r, int64_t block, int64_t end)
{
    int64_t W = r->c->W_out;

    for (int64_t from = 0; from < W; from += PIECE)
        for (int64_t b = block; b < end; b++) {
            columns q = {.r = r, .from = from, .to = svr_min_i64(from + PIECE, W), .block = b};

            q.lanes = svr_cpu_block_lanes(r->c->K, b);
            q.weights = r->c->packed + svr_cpu_block_start(b, r->c->taps * r->c->tap);
            compute_columns(&q);
        }
}

static void conv_task(void *context, int64_t index, int thread)
{
    const conv *c = context;
    float *scratch = c->patches + (size_t) thread * c->patch;
    size_t tiles = c->patch - 2 * (size_t) SVR_CPU_TILE_FLOATS;
    int64_t first = index % c->row_tasks * ROWS_PER_TASK, blocks = svr_cpu_blocks(c->K);
    /* small weights stay in the cache, so a piece of x meets them all at once; of large ones a
     * block at a time */
    int64_t group = packed_floats(c) <= SMALL_WEIGHTS ? blocks : 1;
    row r = {.c = c,
             .j = index / c->row_tasks,
             .patch = scratch,
             .out = scratch + tiles,
             .wide = scratch + tiles + SVR_CPU_TILE_FLOATS};

    r.source_count = find_sources(c, r.j, r.sources);
    for (int64_t block = 0; block < blocks; block += group)
        for (r.oy = first; r.oy < svr_min_i64(first + ROWS_PER_TASK, c->H_out); r.oy++)
            compute_row(&r, block, block + group);
}

static svr_status convolve(svr_exec *exec, const svr_conv3d_args *args, void *workspace,
                           svr_error *err)
{
    conv c = conv_make(exec->backend, args);

    if (svr_cpu_library_serves_conv3d(args))
        return svr_cpu_library_conv3d(exec, args, workspace, err);
    if (c.kt * c.kh > MOST_RUNS)
        return SVR_FAIL(err, SVR_ERR_UNSUPPORTED,
                        "conv3d: the CPU takes kernels of at most %d rows (frames x height)",
                        MOST_RUNS);
    SVR_TRY(svr_cpu_check_weights(&args->w, err));
    c.packed = workspace;
    c.patches = c.packed + packed_floats(&c);
    SVR_TRY(svr_cpu_for(exec, svr_cpu_blocks(c.K), pack_task, &c, err));
    return svr_cpu_for(exec, args->y.dims[0] * c.row_tasks, conv_task, &c, err);
}

svr_status svr_cpu_conv3d(svr_exec *exec, const svr_conv3d_args *args, void *workspace,
                          svr_error *err)
{
    SVR_TRY(convolve(exec, args, workspace, err));
    if (!svr_tensor_present(&args->moments))
        return SVR_OK;
    return svr_cpu_moments(exec, &args->y, &args->moments, workspace, err);
}
