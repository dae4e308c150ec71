/* Rows of 8-bit integers with a scale each to a storage type, bound by memory: what a product takes
 * whose weights are kept in 8 bits.
 *
 * One thread takes 16 neighbouring elements, which lie in one row; other widths and addresses: one
 * element. */
#include "cuda_gemm.h"

#include "common.cuh"

#include <limits.h>

namespace svr
{

enum { DEQUANTIZE_RUN = 16 };

template <typename Y>
__global__ void dequantize_kernel(const int8_t *w, const float *scale, Y *y, unsigned runs,
                                  unsigned runs_per_row)
{
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;

    if (i >= runs)
        return;
    int4 raw = reinterpret_cast<const int4 *>(w)[i];
    const int8_t *q = reinterpret_cast<const int8_t *>(&raw);
    float factor = scale[i / runs_per_row];
    float v[8];

#pragma unroll
    for (int half = 0; half < DEQUANTIZE_RUN; half += 8) {
#pragma unroll
        for (int k = 0; k < 8; k++)
            v[k] = (float) q[half + k] * factor;
        store8(y + (int64_t) i * DEQUANTIZE_RUN + half, v);
    }
}

template <typename Y>
__global__ void dequantize_any_kernel(const int8_t *w, const float *scale, Y *y, int64_t n,
                                      int64_t k)
{
    int64_t i = (int64_t) blockIdx.x * blockDim.x + threadIdx.x;

    if (i < n)
        y[i] = from_float<Y>((float) w[i] * scale[i / k]);
}

} // namespace svr

using namespace svr;

enum { THREADS = 256 };

template <typename Y>
static void launch(cudaStream_t stream, const svr_tensor *w, const svr_tensor *scale,
                   const svr_tensor *out)
{
    int64_t n = svr_tensor_elems(w), k = w->dims[1], runs = n / DEQUANTIZE_RUN;
    const int8_t *values = (const int8_t *) w->data;
    const float *scales = (const float *) scale->data;
    Y *y = (Y *) out->data;

    if (k % DEQUANTIZE_RUN == 0 && runs <= UINT_MAX && aligned16(values, y))
        dequantize_kernel<Y><<<(unsigned) ((runs + THREADS - 1) / THREADS), THREADS, 0, stream>>>(
            values, scales, y, (unsigned) runs, (unsigned) (k / DEQUANTIZE_RUN));
    else
        dequantize_any_kernel<Y><<<(unsigned) ((n + THREADS - 1) / THREADS), THREADS, 0, stream>>>(
            values, scales, y, n, k);
}

svr_status svr_cuda_dequantize(cudaStream_t stream, const svr_tensor *w, const svr_tensor *scale,
                               const svr_tensor *out, svr_error *err)
{
    SVR_STORAGE_SWITCH(out->dtype, Y, launch<Y>(stream, w, scale, out));
    return svr_cuda_launched("dequantize", err);
}
