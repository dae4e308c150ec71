/* The way out of a convolution on tensor cores: accumulators to vectors of eight channels, bias,
 * residual, storage. */
#ifndef SVR_CUDA_KERNELS_CONV_EPILOGUE_CUH
#define SVR_CUDA_KERNELS_CONV_EPILOGUE_CUH

#include "conv_hopper.cuh"

namespace svr
{

/* Eight channels n.. of the bias, zeros behind the last. */
__device__ __forceinline__ void load_bias(const conv_problem &p, const float *bias, int n,
                                          float (&v)[8])
{
    if (p.wide && bias && n < p.k) {
        *(float4 *) v = __ldg((const float4 *) (bias + n));
        *(float4 *) (v + 4) = __ldg((const float4 *) (bias + n) + 1);
        return;
    }
#pragma unroll
    for (int e = 0; e < 8; e++)
        v[e] = bias && n + e < p.k ? bias[n + e] : 0.0f;
}

/* Eight channels n.. of a pixel, v, to y; `ahead` is their residual where it was read ahead. */
template <typename Y>
__device__ __forceinline__ void write8(const conv_problem &p, float (&v)[8], Y *y,
                                       const Y *residual, int n, const uint4 &ahead)
{
    float r[8];

    if (!p.wide) {
        for (int e = 0; e < 8 && n + e < p.k; e++)
            y[e] = from_float<Y>(v[e] + (residual ? to_float(residual[e]) : 0.0f));
        return;
    }
    if (residual) {
        load8(sizeof(Y) == 2 ? (const Y *) &ahead : residual, r);
#pragma unroll
        for (int e = 0; e < 8; e++)
            v[e] += r[e];
    }
    store8(y, v);
}

/* Lane q of four has a[j] = elements 2q, 2q + 1 of vector j; it gets all eight of vector q. */
__device__ __forceinline__ void exchange4(const float2 (&a)[4], float (&v)[8])
{
    bool odd = threadIdx.x & 1, high = threadIdx.x & 2;
    float2 b[2][2]; /* of the vectors m*2 + odd: elements of the even lane, of the odd one */

#pragma unroll
    for (int m = 0; m < 2; m++) {
        float2 keep = odd ? a[m * 2 + 1] : a[m * 2], send = odd ? a[m * 2] : a[m * 2 + 1], got;

        got.x = __shfl_xor_sync(0xffffffffu, send.x, 1);
        got.y = __shfl_xor_sync(0xffffffffu, send.y, 1);
        b[m][0] = odd ? got : keep;
        b[m][1] = odd ? keep : got;
    }
#pragma unroll
    for (int i = 0; i < 2; i++) {
        float2 keep = high ? b[1][i] : b[0][i], send = high ? b[0][i] : b[1][i], got;

        got.x = __shfl_xor_sync(0xffffffffu, send.x, 2);
        got.y = __shfl_xor_sync(0xffffffffu, send.y, 2);
        v[i * 2] = high ? got.x : keep.x;
        v[i * 2 + 1] = high ? got.y : keep.y;
        v[4 + i * 2] = high ? keep.x : got.x;
        v[4 + i * 2 + 1] = high ? keep.y : got.y;
    }
}

} // namespace svr

#endif
