/* Matrix products with their epilogues: linear and swiglu.
 *
 * Quantised factors are multiplied by their scales while they are loaded, so that the same loops
 * serve them; for e4m3 that differs from scaling the sums by roundings of F32 only.  Where both are
 * integers the sums are exact, and scaled afterwards, as devices do. */
#include "cpu/cpu_linear.h"

#include "base/checked.h"
#include "cpu/cpu_internal.h"
#include "cpu/cpu_ops.h"
#include "cpu/cpu_rows.h"

enum { ROUNDED_PIECE = 1024 };

static svr_cpu_product product_of_linear(svr_backend *backend, const svr_linear_args *args)
{
    svr_cpu_product p = {.simd = svr_cpu_of(backend)->simd, .linear = args, .matrices = 1};

    p.x = args->x, p.w[0] = args->w, p.y = args->y;
    p.x_scale = args->x_scale, p.w_scale[0] = args->w_scale;
    return p;
}

static svr_cpu_product product_of_swiglu(svr_backend *backend, const svr_swiglu_args *args)
{
    svr_cpu_product p = {.simd = svr_cpu_of(backend)->simd, .matrices = 2};

    p.x = args->x, p.w[0] = args->w_gate, p.w[1] = args->w_up, p.y = args->y;
    p.x_scale = args->x_scale, p.w_scale[0] = args->gate_scale, p.w_scale[1] = args->up_scale;
    return p;
}

bool svr_cpu_product_of_integers(const svr_cpu_product *p)
{
    return p->x.dtype == SVR_I8;
}

bool svr_cpu_product_quantized(const svr_cpu_product *p)
{
    return p->w[0].dtype == SVR_F8_E4M3 || p->w[0].dtype == SVR_I8;
}

/* What a 16-bit type makes of n values. */
static void round_to(const svr_cpu_product *p, svr_dtype dtype, float *values, int64_t n)
{
    uint16_t rounded[ROUNDED_PIECE];

    for (int64_t first = 0; first < n; first += ROUNDED_PIECE) {
        size_t count = (size_t) svr_min_i64(ROUNDED_PIECE, n - first);

        p->simd->from_f32(values + first, dtype, rounded, count);
        p->simd->to_f32(rounded, dtype, values + first, count);
    }
}

const float *svr_cpu_product_rows(const svr_cpu_product *p, const svr_tensor *t,
                                  const svr_tensor *scale, const int64_t first_count[2],
                                  float *buffer)
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

void svr_cpu_product_store(const svr_cpu_product *p, const int64_t m_n_count[3], float *values,
                           float *buffer)
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

/* Fills in sizes; returns the bytes of workspace. */
static size_t product_plan(svr_backend *backend, svr_cpu_product *p)
{
    size_t packed = 0;

    p->M = p->x.dims[0], p->K = p->x.dims[1], p->N = p->w[0].dims[0];
    if (svr_cpu_product_goes_by_blocks(p))
        svr_cpu_product_plan_blocks(p);
    else
        packed = svr_cpu_product_plan_tiles(p);
    return (packed + p->scratch * (size_t) svr_cpu_of(backend)->threads) * sizeof(float);
}

static svr_status product_run(svr_exec *exec, svr_cpu_product *p, void *workspace, svr_error *err)
{
    if (!svr_cpu_product_quantized(p))
        SVR_TRY(svr_cpu_check_weights(&p->w[0], err));
    product_plan(exec->backend, p);
    return svr_cpu_product_goes_by_blocks(p) ? svr_cpu_product_by_blocks(exec, p, workspace, err)
                                             : svr_cpu_product_by_tiles(exec, p, workspace, err);
}

size_t svr_cpu_linear_workspace(svr_backend *backend, const svr_linear_args *args)
{
    svr_cpu_product p = product_of_linear(backend, args);

    return product_plan(backend, &p);
}

svr_status svr_cpu_linear(svr_exec *exec, const svr_linear_args *args, void *workspace,
                          svr_error *err)
{
    svr_cpu_product p = product_of_linear(exec->backend, args);

    return product_run(exec, &p, workspace, err);
}

size_t svr_cpu_swiglu_workspace(svr_backend *backend, const svr_swiglu_args *args)
{
    svr_cpu_product p = product_of_swiglu(backend, args);

    return product_plan(backend, &p);
}

svr_status svr_cpu_swiglu(svr_exec *exec, const svr_swiglu_args *args, void *workspace,
                          svr_error *err)
{
    svr_cpu_product p = product_of_swiglu(exec->backend, args);

    return product_run(exec, &p, workspace, err);
}
