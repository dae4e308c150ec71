/* Rows to 8 bits and back. */
#include "base/checked.h"
#include "base/quantize.h"
#include "cpu/cpu_internal.h"
#include "cpu/cpu_ops.h"
#include "cpu/cpu_rows.h"

enum { TASK_VALUES = 1 << 13 };

/* Either op: rows of 8-bit numbers, their scales, and the same in storage. */
typedef struct rows {
    const svr_tensor *bytes, *scale, *values;
    const svr_cpu_simd *simd;
    int64_t M, K, task; /* rows of a task */
    float *buffers;     /* [threads, task * K] */
} rows;

static rows rows_make(svr_backend *backend, const svr_tensor *bytes, const svr_tensor *scale,
                      const svr_tensor *values)
{
    rows r = {.bytes = bytes,
              .scale = scale,
              .values = values,
              .simd = svr_cpu_of(backend)->simd,
              .M = bytes->dims[0],
              .K = bytes->dims[1]};

    r.task = svr_min_i64(svr_max_i64(1, TASK_VALUES / r.K), r.M);
    return r;
}

static size_t rows_workspace(svr_backend *backend, const rows *r)
{
    return (size_t) svr_cpu_of(backend)->threads * svr_cpu_floats(r->task * r->K) * sizeof(float);
}

/* Rows [*first, *end) of a task, and the thread's buffer. */
static float *rows_of_task(const rows *r, int64_t index, int thread, int64_t *first, int64_t *end)
{
    *first = index * r->task;
    *end = svr_min_i64(*first + r->task, r->M);
    return r->buffers + (size_t) thread * svr_cpu_floats(r->task * r->K);
}

static svr_status run_rows(svr_exec *exec, rows *r, svr_cpu_task task, void *workspace,
                           svr_error *err)
{
    r->buffers = workspace;
    return svr_cpu_for(exec, svr_ceil_div(r->M, r->task), task, r, err);
}

/* ---------------------------------------------------------------------------- quantize */

size_t svr_cpu_quantize_workspace(svr_backend *backend, const svr_quantize_args *args)
{
    rows r = rows_make(backend, &args->y, &args->scale, &args->x);

    return args->x.dtype == SVR_F32 ? 0 : rows_workspace(backend, &r);
}

static void quantize_task(void *context, int64_t index, int thread)
{
    const rows *r = context;
    int64_t first, end, K = r->K;
    float *buffer = rows_of_task(r, index, thread, &first, &end);
    const float *x = svr_cpu_load(r->simd, r->values, first * K, (end - first) * K, buffer);

    for (int64_t m = first; m < end; m++)
        ((float *) r->scale->data)[m] = svr_quantize_row(
            x + (m - first) * K, (size_t) K, r->bytes->dtype, (uint8_t *) r->bytes->data + m * K);
}

svr_status svr_cpu_quantize(svr_exec *exec, const svr_quantize_args *args, void *workspace,
                            svr_error *err)
{
    rows r = rows_make(exec->backend, &args->y, &args->scale, &args->x);

    return run_rows(exec, &r, quantize_task, workspace, err);
}

/* ---------------------------------------------------------------------------- dequantize */

size_t svr_cpu_dequantize_workspace(svr_backend *backend, const svr_dequantize_args *args)
{
    rows r = rows_make(backend, &args->x, &args->scale, &args->y);

    return rows_workspace(backend, &r);
}

static void dequantize_task(void *context, int64_t index, int thread)
{
    const rows *r = context;
    int64_t first, end, K = r->K;
    float *buffer = rows_of_task(r, index, thread, &first, &end);

    for (int64_t m = first; m < end; m++)
        svr_dequantize_row((const uint8_t *) r->bytes->data + m * K, (size_t) K, r->bytes->dtype,
                           ((const float *) r->scale->data)[m], buffer + (m - first) * K);
    svr_cpu_store(r->simd, r->values, first * K, (end - first) * K, buffer);
}

svr_status svr_cpu_dequantize(svr_exec *exec, const svr_dequantize_args *args, void *workspace,
                              svr_error *err)
{
    rows r = rows_make(exec->backend, &args->x, &args->scale, &args->y);

    return run_rows(exec, &r, dequantize_task, workspace, err);
}
