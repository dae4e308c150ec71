/* Rows in 8 bits with a scale each to a storage type, bound by memory: the op, and what a product
 * takes whose weights are kept as integers.
 *
 * One thread takes 16 neighbouring elements, which lie in one row; other widths and addresses: one
 * element. */
#include "cuda_gemm.h"

#include "common.cuh"

#include <cuda_fp8.h>
#include <limits.h>

namespace svr
{

enum { DEQUANTIZE_RUN = 16 };

/* Eight of a run's 16 bytes. */
__device__ __forceinline__ void decode8(const int8_t *q, float (&v)[8])
{
#pragma unroll
    for (int k = 0; k < 8; k++)
        v[k] = (float) q[k];
}

__device__ __forceinline__ void decode8(const __nv_fp8_e4m3 *q, float (&v)[8])
{
    const __nv_fp8x2_storage_t *pairs = reinterpret_cast<const __nv_fp8x2_storage_t *>(q);

#pragma unroll
    for (int k = 0; k < 4; k++) {
        float2 pair = __half22float2(__half2(__nv_cvt_fp8x2_to_halfraw2(pairs[k], __NV_E4M3)));

        v[2 * k] = pair.x;
        v[2 * k + 1] = pair.y;
    }
}

template <typename Q, typename Y>
__global__ void dequantize_kernel(const Q *w, const float *scale, Y *y, unsigned runs,
                                  unsigned runs_per_row)
{
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;

    if (i >= runs)
        return;
    int4 raw = reinterpret_cast<const int4 *>(w)[i];
    const Q *q = reinterpret_cast<const Q *>(&raw);
    float factor = scale[i / runs_per_row];
    float v[8];

#pragma unroll
    for (int half = 0; half < DEQUANTIZE_RUN; half += 8) {
        decode8(q + half, v);
#pragma unroll
        for (int k = 0; k < 8; k++)
            v[k] *= factor;
        store8(y + (int64_t) i * DEQUANTIZE_RUN + half, v);
    }
}

template <typename Q, typename Y>
__global__ void dequantize_any_kernel(const Q *w, const float *scale, Y *y, int64_t n, int64_t k)
{
    int64_t i = (int64_t) blockIdx.x * blockDim.x + threadIdx.x;

    if (i < n)
        y[i] = from_float<Y>((float) w[i] * scale[i / k]);
}

} // namespace svr

using namespace svr;

enum { THREADS = 256 };

template <typename Q, typename Y>
static void launch(cudaStream_t stream, const svr_tensor *w, const svr_tensor *scale,
                   const svr_tensor *out)
{
    int64_t n = svr_tensor_elems(w), k = w->dims[1], runs = n / DEQUANTIZE_RUN;
    const Q *values = (const Q *) w->data;
    const float *scales = (const float *) scale->data;
    Y *y = (Y *) out->data;

    if (k % DEQUANTIZE_RUN == 0 && runs <= UINT_MAX && aligned16(values, y))
        dequantize_kernel<Q, Y><<<blocks_of(runs, THREADS), THREADS, 0, stream>>>(
            values, scales, y, (unsigned) runs, (unsigned) (k / DEQUANTIZE_RUN));
    else
        dequantize_any_kernel<Q, Y>
            <<<blocks_of(n, THREADS), THREADS, 0, stream>>>(values, scales, y, n, k);
}

svr_status svr_cuda_dequantize_rows(cudaStream_t stream, const svr_tensor *w,
                                    const svr_tensor *scale, const svr_tensor *out, svr_error *err)
{
    if (w->dtype == SVR_I8)
        SVR_STORAGE_SWITCH(out->dtype, Y, (launch<int8_t, Y>(stream, w, scale, out)))
    else
        SVR_STORAGE_SWITCH(out->dtype, Y, (launch<__nv_fp8_e4m3, Y>(stream, w, scale, out)));
    return svr_cuda_launched("dequantize", err);
}

svr_status svr_cuda_dequantize(svr_exec *exec, const svr_dequantize_args *args, void *workspace,
                               svr_error *err)
{
    (void) workspace;
    return svr_cuda_dequantize_rows(svr_cuda_of(exec)->stream, &args->x, &args->scale, &args->y,
                                    err);
}
