/* quantize: rows to e4m3, bound by memory.
 *
 * Rows of up to 16384 elements: one block a row, which it reads once, as vectors of eight that stay
 * in registers.  Other widths and addresses: one block a row, read twice. */
#include "quantize.cuh"

namespace svr
{

enum { QUANTIZE_VECTORS = 4 };

template <int THREADS, int VECTORS, typename X>
__global__ void __launch_bounds__(THREADS)
    quantize_kernel(const X *x, __nv_fp8_e4m3 *y, float *scale, int k)
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
    factor = row_factor(most, scale + blockIdx.x, shared);
#pragma unroll
    for (int i = 0; i < VECTORS; i++) {
        int c = (i * THREADS + threadIdx.x) * 8;

        if (c < k)
            store8_e4m3(y + row + c, v[i], factor);
    }
}

template <int THREADS, typename X>
__global__ void __launch_bounds__(THREADS)
    quantize_any_kernel(const X *x, __nv_fp8_e4m3 *y, float *scale, int k)
{
    __shared__ float shared[32];
    int64_t row = (int64_t) blockIdx.x * k;
    float most = 0.0f, factor;

    for (int c = threadIdx.x; c < k; c += THREADS)
        most = fmaxf(most, fabsf(to_float(x[row + c])));
    factor = row_factor(most, scale + blockIdx.x, shared);
    for (int c = threadIdx.x; c < k; c += THREADS)
        store1_e4m3(y + row + c, to_float(x[row + c]) * factor);
}

} // namespace svr

using namespace svr;

template <typename X> static void launch(const svr_quantize_args *args, cudaStream_t stream)
{
    int k = (int) args->x.dims[1];
    unsigned rows = (unsigned) args->x.dims[0];
    const X *x = (const X *) args->x.data;
    __nv_fp8_e4m3 *y = (__nv_fp8_e4m3 *) args->y.data;
    float *scale = (float *) args->scale.data;

    if (k % 8 != 0 || k > 512 * QUANTIZE_VECTORS * 8 || !aligned16(x, y))
        quantize_any_kernel<256, X><<<rows, 256, 0, stream>>>(x, y, scale, k);
    else if (k <= 128 * QUANTIZE_VECTORS * 8)
        quantize_kernel<128, QUANTIZE_VECTORS, X><<<rows, 128, 0, stream>>>(x, y, scale, k);
    else if (k <= 256 * QUANTIZE_VECTORS * 8)
        quantize_kernel<256, QUANTIZE_VECTORS, X><<<rows, 256, 0, stream>>>(x, y, scale, k);
    else
        quantize_kernel<512, QUANTIZE_VECTORS, X><<<rows, 512, 0, stream>>>(x, y, scale, k);
}

svr_status svr_cuda_quantize(svr_exec *exec, const svr_quantize_args *args, void *workspace,
                             svr_error *err)
{
    cudaStream_t stream = svr_cuda_of(exec)->stream;

    (void) workspace;
    SVR_STORAGE_SWITCH(args->x.dtype, X, launch<X>(args, stream));
    return svr_cuda_launched("quantize", err);
}
