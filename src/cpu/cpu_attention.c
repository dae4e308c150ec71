#include "cpu/cpu_attention.h"

#include "base/checked.h"
#include "cpu/cpu_internal.h"
#include "cpu/cpu_ops.h"
#include "cpu/cpu_pack.h"
#include "cpu/cpu_rows.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* ---------------------------------------------------------------------------- one head */

enum { VALUES_AT_A_TIME = 256 };

size_t svr_cpu_attend_floats(int64_t keys, int64_t width)
{
    return (size_t) (SVR_CPU_QUERY_ROWS * (svr_cpu_padded(keys) + svr_cpu_padded(width)));
}

/* One block of outputs for all query rows, tile by tile. */
static void multiply(const svr_cpu_simd *simd, svr_cpu_tile *tile, const float *x, int queries)
{
    float *out = tile->out;
    bool add = tile->add != NULL;

    tile->x = &x;
    tile->runs = 1;
    tile->rows = simd->tile_rows(queries, tile->lanes);
    for (int row = 0; row < queries; row += tile->rows) {
        tile->out = out + row * tile->out_step;
        tile->add = add ? tile->out : NULL;
        simd->tile(tile);
        x += tile->rows * tile->x_step;
    }
    tile->x = NULL;
}

/* scores[i][j] = q[i] k[j] */
static void score(const svr_cpu_simd *simd, const svr_cpu_keys *keys, const float *q,
                  int64_t q_step, int queries, float *scores)
{
    const float *w;

    for (int64_t block = 0; block < svr_cpu_blocks(keys->count); block++) {
        svr_cpu_tile tile = {.w = &w, .length = (int) keys->width, .x_step = q_step};

        w = keys->k + svr_cpu_block_start(block, keys->width);
        tile.lanes = svr_cpu_block_lanes(keys->count, block);
        tile.w_step = tile.lanes;
        tile.out = scores + block * SVR_CPU_LANES;
        tile.out_step = svr_cpu_padded(keys->count);
        multiply(simd, &tile, q, queries);
    }
}

/* out[i] = sum of scores[i][j] v[j], a group of values at a time for all queries, which then are
 * still in the cache. */
static void mix(const svr_cpu_simd *simd, const svr_cpu_keys *keys, const float *scores,
                int queries, float *out)
{
    const float *w;

    for (int64_t first = 0; first < keys->count; first += VALUES_AT_A_TIME) {
        int64_t count = svr_min_i64(VALUES_AT_A_TIME, keys->count - first);

        for (int64_t block = 0; block < svr_cpu_blocks(keys->width); block++) {
            svr_cpu_tile tile = {.w = &w, .length = (int) count};

            w = keys->v + first * keys->v_step + block * SVR_CPU_LANES;
            tile.x_step = svr_cpu_padded(keys->count);
            tile.lanes = svr_cpu_block_lanes(keys->width, block);
            tile.w_step = keys->v_step;
            tile.out = out + block * SVR_CPU_LANES;
            tile.add = first > 0 ? tile.out : NULL;
            tile.out_step = svr_cpu_padded(keys->width);
            multiply(simd, &tile, scores + first, queries);
        }
    }
}

const float *svr_cpu_attend(const svr_cpu_simd *simd, const svr_cpu_keys *keys, const float *q,
                            int64_t q_step, int queries, float *scratch)
{
    int64_t row = svr_cpu_padded(keys->count), width = svr_cpu_padded(keys->width);
    float *scores = scratch, *out = scratch + SVR_CPU_QUERY_ROWS * row;
    float sums[SVR_CPU_QUERIES];

    score(simd, keys, q, q_step, queries, scores);
    for (int i = 0; i < queries; i++) {
        /* scores without a key come out as e^-87: whole vectors, and nothing in the sum */
        for (int64_t j = keys->count; j < row; j++)
            scores[i * row + j] = -FLT_MAX;
        sums[i] = simd->softmax(scores + i * row, (size_t) row, keys->scale);
    }
    mix(simd, keys, scores, queries, out);
    for (int i = 0; i < queries; i++) {
        float factor = 1.0f / sums[i];

        for (int64_t c = 0; c < keys->width; c++)
            out[i * width + c] *= factor;
    }
    return out;
}

/* ---------------------------------------------------------------------------- frames */

typedef struct frames {
    const svr_frame_attention_args *args;
    const svr_cpu_simd *simd;
    int64_t L, C, padded; /* padded: C in whole lanes */
    int64_t t;            /* the frame at work */
    float *k, *v;         /* keys packed; values [L, padded] */
    float *scratches;
    size_t scratch; /* floats per thread: queries or keys as floats, scores */
} frames;

static size_t query_floats(const frames *f)
{
    return svr_cpu_floats(SVR_CPU_QUERY_ROWS * f->C);
}

static frames frames_make(svr_backend *backend, const svr_frame_attention_args *args)
{
    frames f = {.args = args, .simd = svr_cpu_of(backend)->simd};

    f.L = args->q.dims[1], f.C = args->q.dims[2];
    f.padded = svr_cpu_padded(f.C);
    f.scratch = query_floats(&f) + svr_cpu_attend_floats(f.L, f.C);
    return f;
}

size_t svr_cpu_frame_attention_workspace(svr_backend *backend, const svr_frame_attention_args *args)
{
    frames f = frames_make(backend, args);
    size_t threads = (size_t) svr_cpu_of(backend)->threads;

    return (svr_cpu_packed_floats(f.L, f.C) + (size_t) (f.L * f.padded) + threads * f.scratch) *
           sizeof(float);
}

/* Packs a block of keys and copies their values. */
static void keys_task(void *context, int64_t block, int thread)
{
    const frames *f = context;
    float *buffer = f->scratches + (size_t) thread * f->scratch;
    int64_t first = block * SVR_CPU_LANES, count = svr_min_i64(SVR_CPU_LANES, f->L - first);
    int lanes = svr_cpu_block_lanes(f->L, block);
    const float *k =
        svr_cpu_load(f->simd, &f->args->k, (f->t * f->L + first) * f->C, count * f->C, buffer);

    /* the block by itself: `lanes` follows from how many outputs it has left */
    svr_cpu_pack_block(k, f->C, svr_min_i64(count, lanes), 0, f->C,
                       f->k + svr_cpu_block_start(block, f->C));
    for (int64_t i = first; i < first + count; i++) {
        float *row = f->v + i * f->padded;

        f->simd->to_f32(svr_cpu_at(&f->args->v, (f->t * f->L + i) * f->C), f->args->v.dtype, row,
                        (size_t) f->C);
        memset(row + f->C, 0, (size_t) (f->padded - f->C) * sizeof(float));
    }
}

static void queries_task(void *context, int64_t index, int thread)
{
    const frames *f = context;
    float *buffer = f->scratches + (size_t) thread * f->scratch;
    int64_t first = index * SVR_CPU_QUERIES, count = svr_min_i64(SVR_CPU_QUERIES, f->L - first);
    int64_t at = (f->t * f->L + first) * f->C;
    svr_cpu_keys keys = {f->L, f->C, f->k, f->v, f->padded, 1.0f / sqrtf((float) f->C)};
    const float *q = svr_cpu_load(f->simd, &f->args->q, at, count * f->C, buffer), *out;

    if (first + SVR_CPU_QUERY_ROWS > f->L) { /* tiles may read beyond: give them zeros */
        if (q != buffer)
            memcpy(buffer, q, (size_t) (count * f->C) * sizeof(float));
        memset(buffer + count * f->C, 0,
               (size_t) ((SVR_CPU_QUERY_ROWS - count) * f->C) * sizeof(float));
        q = buffer;
    }
    out = svr_cpu_attend(f->simd, &keys, q, f->C, (int) count, buffer + query_floats(f));
    for (int64_t i = 0; i < count; i++)
        svr_cpu_store(f->simd, &f->args->y, at + i * f->C, f->C, out + i * f->padded);
}

svr_status svr_cpu_frame_attention(svr_exec *exec, const svr_frame_attention_args *args,
                                   void *workspace, svr_error *err)
{
    frames f = frames_make(exec->backend, args);

    f.k = workspace;
    f.v = f.k + svr_cpu_packed_floats(f.L, f.C);
    f.scratches = f.v + f.L * f.padded;
    for (f.t = 0; f.t < args->q.dims[0]; f.t++) {
        SVR_TRY(svr_cpu_for(exec, svr_cpu_blocks(f.L), keys_task, &f, err));
        SVR_TRY(svr_cpu_for(exec, svr_ceil_div(f.L, SVR_CPU_QUERIES), queries_task, &f, err));
    }
    return SVR_OK;
}
