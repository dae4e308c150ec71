/* quantize: rows to 8 bits, bound by memory.
 *
 * Rows of 8, 16, … 256 elements: that many eighths of lanes of a warp a row, a vector of eight
 * each.  Longer ones of up to 16384: one block a row, which it reads once, as vectors that stay in
 * registers.  Other widths and addresses: one block a row, read twice. */
#include "quantize.cuh"

namespace svr
{

enum { QUANTIZE_VECTORS = 4, SHORT_THREADS = 256 };

/* Rows of 8 << shift elements, of which there are `vectors` vectors. */
template <typename X, typename Q>
__global__ void __launch_bounds__(SHORT_THREADS)
    quantize_short_kernel(const X *x, Q *y, float *scale, int64_t vectors, int shift)
{
    int64_t i = (int64_t) blockIdx.x * SHORT_THREADS + threadIdx.x;
    float v[8] = {}, own, factor, most;

    if (i < vectors)
        load8(x + i * 8, v);
    most = largest8(v, 0.0f);
    for (int offset = (1 << shift) / 2; offset > 0; offset /= 2)
        most = larger(most, __shfl_xor_sync(0xffffffffu, most, offset));
    factor = factor_of<Q>(most, &own);
    if (i >= vectors)
        return;
    if ((threadIdx.x & ((1 << shift) - 1)) == 0)
        scale[i >> shift] = own;
    store8_scaled(y + i * 8, v, factor);
}

template <int THREADS, int VECTORS, typename X, typename Q>
__global__ void __launch_bounds__(THREADS) quantize_kernel(const X *x, Q *y, float *scale, int k)
{
    __shared__ float shared[32];
    int64_t row = (int64_t) blockIdx.x * k;
    float v[VECTORS][8] = {}, most = 0.0f, factor;

#pragma unroll
    for (int i = 0; i < VECTORS; i++) {
        int c = (i * THREADS + threadIdx.x) * 8;

        if (c < k)
            load8(x + row + c, v[i]);
    }
#pragma unroll
    for (int i = 0; i < VECTORS; i++)
        most = largest8(v[i], most);
    factor = row_factor<Q>(most, scale + blockIdx.x, shared);
#pragma unroll
    for (int i = 0; i < VECTORS; i++) {
        int c = (i * THREADS + threadIdx.x) * 8;

        if (c < k)
            store8_scaled(y + row + c, v[i], factor);
    }
}

template <int THREADS, typename X, typename Q>
__global__ void __launch_bounds__(THREADS)
    quantize_any_kernel(const X *x, Q *y, float *scale, int k)
{
    __shared__ float shared[32];
    int64_t row = (int64_t) blockIdx.x * k;
    float most = 0.0f, factor;

    for (int c = threadIdx.x; c < k; c += THREADS)
        most = larger(most, to_float(x[row + c]));
    factor = row_factor<Q>(most, scale + blockIdx.x, shared);
    for (int c = threadIdx.x; c < k; c += THREADS)
        store1_scaled(y + row + c, to_float(x[row + c]), factor);
}

} // namespace svr

using namespace svr;

/* log2(k / 8) for rows that fit a warp, else -1. */
static int short_shift(int k)
{
    for (int shift = 0; shift <= 5; shift++)
        if (k == 8 << shift)
            return shift;
    return -1;
}

template <typename X, typename Q>
static void launch(const svr_quantize_args *args, cudaStream_t stream)
{
    int k = (int) args->x.dims[1], shift = short_shift(k);
    unsigned rows = (unsigned) args->x.dims[0];
    const X *x = (const X *) args->x.data;
    Q *y = (Q *) args->y.data;
    float *scale = (float *) args->scale.data;
    int64_t vectors = (int64_t) rows << (shift < 0 ? 0 : shift);
    unsigned blocks = blocks_of(vectors, SHORT_THREADS);

    if (k % 8 != 0 || k > 512 * QUANTIZE_VECTORS * 8 || !aligned16(x, y))
        quantize_any_kernel<256, X, Q><<<rows, 256, 0, stream>>>(x, y, scale, k);
    else if (shift >= 0)
        quantize_short_kernel<X, Q>
            <<<blocks, SHORT_THREADS, 0, stream>>>(x, y, scale, vectors, shift);
    else if (k <= 128 * QUANTIZE_VECTORS * 8)
        quantize_kernel<128, QUANTIZE_VECTORS, X, Q><<<rows, 128, 0, stream>>>(x, y, scale, k);
    else if (k <= 256 * QUANTIZE_VECTORS * 8)
        quantize_kernel<256, QUANTIZE_VECTORS, X, Q><<<rows, 256, 0, stream>>>(x, y, scale, k);
    else
        quantize_kernel<512, QUANTIZE_VECTORS, X, Q><<<rows, 512, 0, stream>>>(x, y, scale, k);
}

svr_status svr_cuda_quantize(svr_exec *exec, const svr_quantize_args *args, void *workspace,
                             svr_error *err)
{
    cudaStream_t stream = svr_cuda_of(exec)->stream;

    (void) workspace;
    if (args->y.dtype == SVR_I8)
        SVR_STORAGE_SWITCH(args->x.dtype, X, (launch<X, int8_t>(args, stream)))
    else
        SVR_STORAGE_SWITCH(args->x.dtype, X, (launch<X, __nv_fp8_e4m3>(args, stream)));
    return svr_cuda_launched("quantize", err);
}
