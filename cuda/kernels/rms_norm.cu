/* rms_norm: y = x / rms [* weight] [* scale + shift], quantised where y has 8 bits; bound by
 * memory.
 *
 * Rows of up to 4096 elements: one block a row, which it reads once, as vectors of eight that stay
 * in registers.  Other widths and addresses: one block a row, read twice (quantised: three times).
 */
#include "quantize.cuh"

namespace svr
{

enum { RMS_THREADS = 128, RMS_VECTORS = 4 };

/* The optional vectors [D], and the rows of x where they are not those of y. */
struct rms_vectors {
    const float *weight, *scale, *shift;
    const int *rows;
};

/* Row of x of this block. */
__device__ __forceinline__ int64_t rms_source(const rms_vectors &p)
{
    return p.rows ? p.rows[blockIdx.x] : blockIdx.x;
}

/* `count` elements from channel c on. */
template <int V>
__device__ __forceinline__ void rms_apply(const rms_vectors &p, int c, float factor, float (&v)[8])
{
    float weight[8], scale[8], shift[8];

    if constexpr (V == 8) {
        if (p.weight)
            load8(p.weight + c, weight);
        if (p.scale) {
            load8(p.scale + c, scale);
            load8(p.shift + c, shift);
        }
    } else {
        weight[0] = p.weight ? p.weight[c] : 1.0f;
        scale[0] = p.scale ? p.scale[c] : 1.0f;
        shift[0] = p.scale ? p.shift[c] : 0.0f;
    }
#pragma unroll
    for (int k = 0; k < V; k++) {
        v[k] *= factor;
        if (p.weight)
            v[k] *= weight[k];
        if (p.scale)
            v[k] = v[k] * scale[k] + shift[k];
    }
}

/* The result of x in channel c. */
template <typename X>
__device__ __forceinline__ float rms_element(const rms_vectors &p, X x, int c, float factor)
{
    float v[8] = {to_float(x)};

    rms_apply<1>(p, c, factor, v);
    return v[0];
}

/* Results of the row at y, which the block holds in registers. */
template <typename Q>
__device__ __forceinline__ void rms_quantize(const float (&v)[RMS_VECTORS][8], Q *y, float *scale,
                                             int d, float *shared)
{
    float most = 0.0f, factor;

#pragma unroll
    for (int i = 0; i < RMS_VECTORS; i++)
        most = largest8(v[i], most);
    factor = row_factor<Q>(most, scale, shared);
#pragma unroll
    for (int i = 0; i < RMS_VECTORS; i++) {
        int c = (i * RMS_THREADS + threadIdx.x) * 8;

        if (c < d)
            store8_scaled(y + c, v[i], factor);
    }
}

template <typename Y> constexpr bool is_quantized = sizeof(Y) == 1;

template <typename X, typename Y>
__global__ void __launch_bounds__(RMS_THREADS)
    rms_norm_kernel(const X *x, Y *y, float *y_scale, rms_vectors p, int d, float eps)
{
    __shared__ float shared[32];
    int64_t row = (int64_t) blockIdx.x * d, from = rms_source(p) * d;
    float v[RMS_VECTORS][8] = {}, square = 0.0f, factor;

#pragma unroll
    for (int i = 0; i < RMS_VECTORS; i++) {
        int c = (i * RMS_THREADS + threadIdx.x) * 8;

        if (c < d)
            load8(x + from + c, v[i]);
    }
#pragma unroll
    for (int i = 0; i < RMS_VECTORS; i++)
#pragma unroll
        for (int k = 0; k < 8; k++)
            square += v[i][k] * v[i][k];
    factor = rsqrtf(block_sum(square, shared) / (float) d + eps);
#pragma unroll
    for (int i = 0; i < RMS_VECTORS; i++) {
        int c = (i * RMS_THREADS + threadIdx.x) * 8;

        if (c < d) {
            rms_apply<8>(p, c, factor, v[i]);
            if constexpr (!is_quantized<Y>)
                store8(y + row + c, v[i]);
        }
    }
    if constexpr (is_quantized<Y>)
        rms_quantize(v, y + row, y_scale + blockIdx.x, d, shared);
}

template <typename X, typename Y>
__global__ void __launch_bounds__(RMS_THREADS)
    rms_norm_any_kernel(const X *x, Y *y, float *y_scale, rms_vectors p, int d, float eps)
{
    __shared__ float shared[32];
    int64_t row = (int64_t) blockIdx.x * d;
    float square = 0.0f, factor;

    x += rms_source(p) * d;

    for (int c = threadIdx.x; c < d; c += RMS_THREADS) {
        float v = to_float(x[c]);

        square += v * v;
    }
    factor = rsqrtf(block_sum(square, shared) / (float) d + eps);
    if constexpr (is_quantized<Y>) {
        float most = 0.0f;

        for (int c = threadIdx.x; c < d; c += RMS_THREADS)
            most = larger(most, rms_element(p, x[c], c, factor));
        float scaling = row_factor<Y>(most, y_scale + blockIdx.x, shared);
        for (int c = threadIdx.x; c < d; c += RMS_THREADS)
            store1_scaled(y + row + c, rms_element(p, x[c], c, factor), scaling);
    } else {
        for (int c = threadIdx.x; c < d; c += RMS_THREADS)
            y[row + c] = from_float<Y>(rms_element(p, x[c], c, factor));
    }
}

} // namespace svr

using namespace svr;

template <typename X, typename Y>
static void launch_rms_norm(const svr_rms_norm_args *args, cudaStream_t stream)
{
    int d = (int) args->x.dims[1];
    unsigned rows = (unsigned) args->y.dims[0];
    const X *x = (const X *) args->x.data;
    Y *y = (Y *) args->y.data;
    float *y_scale = (float *) args->y_scale.data;
    rms_vectors p = {(const float *) args->weight.data, (const float *) args->scale.data,
                     (const float *) args->shift.data, (const int *) args->rows.data};

    if (d % 8 == 0 && d <= RMS_THREADS * RMS_VECTORS * 8 &&
        aligned16(x, y, p.weight, p.scale, p.shift))
        rms_norm_kernel<X, Y><<<rows, RMS_THREADS, 0, stream>>>(x, y, y_scale, p, d, args->eps);
    else
        rms_norm_any_kernel<X, Y><<<rows, RMS_THREADS, 0, stream>>>(x, y, y_scale, p, d, args->eps);
}

svr_status svr_cuda_rms_norm(svr_exec *exec, const svr_rms_norm_args *args, void *workspace,
                             svr_error *err)
{
    cudaStream_t stream = svr_cuda_of(exec)->stream;

    (void) workspace;
    if (args->y.dtype == SVR_F8_E4M3)
        SVR_STORAGE_SWITCH(args->x.dtype, X, (launch_rms_norm<X, __nv_fp8_e4m3>(args, stream)))
    else if (args->y.dtype == SVR_I8)
        SVR_STORAGE_SWITCH(args->x.dtype, X, (launch_rms_norm<X, int8_t>(args, stream)))
    else
        SVR_STORAGE_SWITCH(
            args->x.dtype, X,
            SVR_STORAGE_SWITCH(args->y.dtype, Y, (launch_rms_norm<X, Y>(args, stream))));
    return svr_cuda_launched("rms_norm", err);
}
