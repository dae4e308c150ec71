/* linear and swiglu: matrix products (cuda_gemm.c) and the kernels that finish them, bound by
 * memory. One thread takes V neighbouring elements. */
#include "cuda_gemm.h"

#include "common.cuh"

#include <string.h>

namespace svr
{

template <typename D> __global__ void convert_vector_kernel(const float *src, D *dst, int64_t n)
{
    int64_t i = (int64_t) blockIdx.x * blockDim.x + threadIdx.x;

    if (i < n)
        dst[i] = from_float<D>(src[i]);
}

template <typename P, typename R, typename Y> struct finish_args {
    const P *product;
    const R *residual;
    const float *x_scale, *w_scale; /* together or NULL */
    const float *bias, *gate;
    Y *y;
    int64_t elems;
    int columns, activation;
};

template <int V, typename P, typename R, typename Y>
__global__ void finish_kernel(finish_args<P, R, Y> a)
{
    int64_t i = ((int64_t) blockIdx.x * blockDim.x + threadIdx.x) * V;
    int column = (int) (i % a.columns);
    float v[8], r[8] = {};

    if (i >= a.elems)
        return;
    if constexpr (V == 8) {
        load8(a.product + i, v); /* integers are rounded to F32 */
        if (a.residual)
            load8(a.residual + i, r);
    } else {
        v[0] = to_float(a.product[i]);
        if (a.residual)
            r[0] = to_float(a.residual[i]);
    }
    for (int k = 0; k < V; k++) {
        if (a.x_scale)
            v[k] *= a.x_scale[i / a.columns] * a.w_scale[column + k];
        if (a.bias)
            v[k] += a.bias[column + k];
        v[k] = activate(v[k], a.activation);
        if (a.gate)
            v[k] *= a.gate[column + k];
        v[k] += r[k];
    }
    if constexpr (V == 8)
        store8(a.y + i, v);
    else
        a.y[i] = from_float<Y>(v[0]);
}

/* y = silu(gate) * y. */
template <int V, typename G, typename Y>
__global__ void swiglu_kernel(const G *gate, Y *y, int64_t n)
{
    int64_t i = ((int64_t) blockIdx.x * blockDim.x + threadIdx.x) * V;
    float g[8], u[8];

    if (i >= n)
        return;
    if constexpr (V == 8) {
        load8(gate + i, g);
        load8(y + i, u);
        for (int k = 0; k < 8; k++)
            u[k] *= silu(g[k]);
        store8(y + i, u);
    } else {
        y[i] = from_float<Y>(silu(to_float(gate[i])) * to_float(y[i]));
    }
}

} // namespace svr

using namespace svr;

enum { THREADS = 256 };

svr_status svr_cuda_convert_vector(cudaStream_t stream, const float *src, void *dst,
                                   svr_dtype dtype, int64_t n, svr_error *err)
{
    SVR_STORAGE_SWITCH(dtype, D,
                       convert_vector_kernel<D>
                       <<<blocks_of(n, THREADS), THREADS, 0, stream>>>(src, (D *) dst, n));
    return svr_cuda_launched("convert", err);
}

template <typename P, typename R, typename Y>
static void launch_finish(const svr_gemm *g, const svr_tensor *product, cudaStream_t stream)
{
    finish_args<P, R, Y> a = {(const P *) product->data,
                              (const R *) g->residual.data,
                              (const float *) g->x_scale.data,
                              (const float *) g->w_scale.data,
                              (const float *) g->b.data,
                              (const float *) g->gate.data,
                              (Y *) g->y.data,
                              svr_tensor_elems(&g->y),
                              (int) g->y.dims[1],
                              (int) g->activation};

    if (a.columns % 8 == 0 && aligned16(a.product, a.residual, a.y))
        finish_kernel<8, P, R, Y><<<blocks_of(a.elems / 8, THREADS), THREADS, 0, stream>>>(a);
    else
        finish_kernel<1, P, R, Y><<<blocks_of(a.elems, THREADS), THREADS, 0, stream>>>(a);
}

template <typename P, typename Y>
static void choose_residual(const svr_gemm *g, const svr_tensor *product, cudaStream_t stream)
{
    if (svr_tensor_present(&g->residual) && g->residual.dtype == SVR_F32)
        launch_finish<P, float, Y>(g, product, stream);
    else if (svr_tensor_present(&g->residual) && g->residual.dtype == SVR_BF16)
        launch_finish<P, __nv_bfloat16, Y>(g, product, stream);
    else
        launch_finish<P, __half, Y>(g, product, stream);
}

svr_status svr_cuda_finish_gemm(cudaStream_t stream, const svr_gemm *g, const svr_tensor *product,
                                svr_error *err)
{
    if (product->dtype == SVR_I32)
        SVR_STORAGE_SWITCH(g->y.dtype, Y, (choose_residual<int, Y>(g, product, stream)))
    else
        SVR_STORAGE_SWITCH(
            product->dtype, P,
            SVR_STORAGE_SWITCH(g->y.dtype, Y, (choose_residual<P, Y>(g, product, stream))));
    return svr_cuda_launched("linear", err);
}

static size_t padded(size_t bytes)
{
    return (bytes + 255) / 256 * 256;
}

/* A weight as a product takes it.  Integers that meet another type are first brought to the type of
 * x, in the workspace. */
static bool wants_copy(const svr_tensor *w, const svr_tensor *x)
{
    return w->dtype == SVR_I8 && x->dtype != SVR_I8;
}

/* As many bytes of it go to that. */
static size_t copy_bytes(const svr_tensor *w, const svr_tensor *x)
{
    return wants_copy(w, x) ? padded((size_t) svr_tensor_elems(w) * svr_dtype_size(x->dtype)) : 0;
}

/* Lets g have the copy of its weight at `room`. */
static void take_copy(svr_gemm *g, void *room)
{
    if (!wants_copy(&g->w, &g->x))
        return;
    g->w.dtype = g->x.dtype;
    g->w.data = room;
    memset(&g->w_scale, 0, sizeof g->w_scale);
}

static svr_status make_copy(svr_exec *exec, const svr_tensor *w, const svr_tensor *scale,
                            const svr_gemm *g, svr_error *err)
{
    if (!wants_copy(w, &g->x))
        return SVR_OK;
    return svr_cuda_dequantize_rows(svr_cuda_of(exec)->stream, w, scale, &g->w, err);
}

/* `workspace` may be NULL where only sizes are asked for. */
static svr_gemm gemm_of(const svr_linear_args *args, void *workspace)
{
    svr_gemm g = {args->x, args->w,       args->b,       args->gate,      args->residual,
                  args->y, args->x_scale, args->w_scale, args->activation};

    take_copy(&g, workspace);
    return g;
}

size_t svr_cuda_linear_workspace(svr_backend *backend, const svr_linear_args *args)
{
    svr_gemm g = gemm_of(args, NULL);

    return copy_bytes(&args->w, &args->x) +
           svr_cuda_gemm_workspace((svr_cuda_backend *) backend, &g);
}

svr_status svr_cuda_linear(svr_exec *exec, const svr_linear_args *args, void *workspace,
                           svr_error *err)
{
    svr_gemm g = gemm_of(args, workspace);

    SVR_TRY(make_copy(exec, &args->w, &args->w_scale, &g, err));
    return svr_cuda_gemm_run(exec, &g, (char *) workspace + copy_bytes(&args->w, &args->x), err);
}

/* x w_gate^T or x w_up^T; copies of both weights lie at `room`, NULL where only sizes are asked
 * for. */
static svr_gemm half_of_swiglu(const svr_swiglu_args *args, bool gate, void *room)
{
    size_t behind = gate || !room ? 0 : copy_bytes(&args->w_gate, &args->x);
    svr_gemm g = {};

    g.x = args->x;
    g.w = gate ? args->w_gate : args->w_up;
    g.x_scale = args->x_scale;
    g.w_scale = gate ? args->gate_scale : args->up_scale;
    g.y = args->y;
    take_copy(&g, (char *) room + behind);
    return g;
}

static bool fused_swiglu(const svr_cuda_backend *b, const svr_swiglu_args *args)
{
    svr_gemm gate = half_of_swiglu(args, true, NULL), up = half_of_swiglu(args, false, NULL);

    return args->y.dtype != SVR_F32 && svr_cuda_gemm_fused_serves(b, &gate) &&
           svr_cuda_gemm_fused_serves(b, &up);
}

static size_t both_copies(const svr_swiglu_args *args)
{
    return copy_bytes(&args->w_gate, &args->x) + copy_bytes(&args->w_up, &args->x);
}

size_t svr_cuda_swiglu_workspace(svr_backend *backend, const svr_swiglu_args *args)
{
    svr_gemm g = half_of_swiglu(args, false, NULL);

    if (fused_swiglu((svr_cuda_backend *) backend, args))
        return both_copies(args);
    return both_copies(args) + padded(svr_tensor_bytes(&args->y)) +
           svr_cuda_gemm_workspace((svr_cuda_backend *) backend, &g);
}

svr_status svr_cuda_swiglu(svr_exec *exec, const svr_swiglu_args *args, void *workspace,
                           svr_error *err)
{
    cudaStream_t stream = svr_cuda_of(exec)->stream;
    svr_gemm up = half_of_swiglu(args, false, workspace);
    svr_gemm gate = half_of_swiglu(args, true, workspace);
    char *gated = (char *) workspace + both_copies(args);
    char *rest = gated + padded(svr_tensor_bytes(&args->y));
    int64_t n = svr_tensor_elems(&args->y);

    SVR_TRY(make_copy(exec, &args->w_gate, &args->gate_scale, &gate, err));
    SVR_TRY(make_copy(exec, &args->w_up, &args->up_scale, &up, err));
    if (fused_swiglu(svr_cuda_of(exec), args)) {
        SVR_TRY(svr_cuda_gemm_swiglu_run(exec, &gate, &up, err));
        return svr_cuda_pace(exec, 4.0 * (double) n * (double) args->x.dims[1], err);
    }
    gate.y.data = gated;
    SVR_TRY(svr_cuda_gemm_run(exec, &gate, rest, err));
    SVR_TRY(svr_cuda_gemm_run(exec, &up, rest, err));
    SVR_STORAGE_SWITCH(args->y.dtype, T,
                       if (n % 8 == 0 && aligned16(gated, args->y.data)) swiglu_kernel<8, T, T>
                       <<<blocks_of(n / 8, THREADS), THREADS, 0, stream>>>((const T *) gated,
                                                                           (T *) args->y.data, n);
                       else swiglu_kernel<1, T, T><<<blocks_of(n, THREADS), THREADS, 0, stream>>>(
                           (const T *) gated, (T *) args->y.data, n));
    return svr_cuda_launched("swiglu", err);
}
