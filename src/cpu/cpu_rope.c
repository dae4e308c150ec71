/* Norm of query and key heads, and rotary positions. */
#include "base/checked.h"
#include "cpu/cpu_internal.h"
#include "cpu/cpu_ops.h"
#include "cpu/cpu_rows.h"

#include <math.h>

enum { TOKENS_PER_TASK = 32 };

typedef struct rope {
    const svr_qk_norm_rope_args *args;
    const svr_cpu_simd *simd;
    float *buffers; /* [threads, 2, hd] */
} rope;

/* Adjacent channels of x turned by the angles of this token. */
static void rotate(const svr_qk_norm_rope_args *a, const int32_t *rows, float *x)
{
    int64_t p = a->cosines.dims[1];

    for (int axis = 0; axis < 3; axis++) {
        const float *cosines = (const float *) a->cosines.data + rows[axis] * p;
        const float *sines = (const float *) a->sines.data + rows[axis] * p;

        for (int64_t i = 0; i < p; i++) {
            float *pair = x + 2 * (axis * p + i);
            float even = pair[0], odd = pair[1];

            pair[0] = even * cosines[i] - odd * sines[i];
            pair[1] = odd * cosines[i] + even * sines[i];
        }
    }
}

static void norm_rope_token(const rope *r, int64_t token, float *buffer, float *out)
{
    const svr_qk_norm_rope_args *a = r->args;
    int64_t heads = a->qkv.dims[2], hd = a->qkv.dims[3];
    const int32_t *rows = a->rows.data;

    for (int64_t head = 0; head < 2 * heads; head++) { /* q, then k */
        const float *weight = head < heads ? a->norm_q.data : a->norm_k.data;
        int64_t at = (token * 3 * heads + head) * hd;
        const float *x = svr_cpu_load(r->simd, &a->qkv, at, hd, buffer);
        float mean = r->simd->square_sum(x, (size_t) hd) / (float) hd;
        float factor = 1.0f / sqrtf(mean + a->eps);

        for (int64_t i = 0; i < hd; i++)
            out[i] = x[i] * factor * weight[i];
        if (rows)
            rotate(a, rows + 3 * token, out);
        svr_cpu_store(r->simd, &a->qkv, at, hd, out);
    }
}

static void rope_task(void *context, int64_t index, int thread)
{
    const rope *r = context;
    size_t row = svr_cpu_floats(r->args->qkv.dims[3]);
    float *buffer = r->buffers + (size_t) thread * 2 * row;
    int64_t end = svr_min_i64((index + 1) * TOKENS_PER_TASK, r->args->qkv.dims[0]);

    for (int64_t token = index * TOKENS_PER_TASK; token < end; token++)
        norm_rope_token(r, token, buffer, buffer + row);
}

size_t svr_cpu_qk_norm_rope_workspace(svr_backend *backend, const svr_qk_norm_rope_args *args)
{
    size_t threads = (size_t) svr_cpu_of(backend)->threads;

    return threads * 2 * svr_cpu_floats(args->qkv.dims[3]) * sizeof(float);
}

svr_status svr_cpu_qk_norm_rope(svr_exec *exec, const svr_qk_norm_rope_args *args, void *workspace,
                                svr_error *err)
{
    rope r = {.args = args, .simd = svr_cpu_of(exec->backend)->simd, .buffers = workspace};

    return svr_cpu_for(exec, svr_ceil_div(args->qkv.dims[0], TOKENS_PER_TASK), rope_task, &r, err);
}
