/* Rows in e4m3 with a scale each, as in base/quantize.h.  One block a row. */
#ifndef SVR_CUDA_KERNELS_QUANTIZE_CUH
#define SVR_CUDA_KERNELS_QUANTIZE_CUH

#include "common.cuh"

#include "base/quantize.h"

#include <cuda_fp8.h>

namespace svr
{

/* Eight consecutive elements at an address aligned to 8 bytes, times `factor`. */
__device__ __forceinline__ void store8_e4m3(__nv_fp8_e4m3 *p, const float (&v)[8], float factor)
{
    uint2 raw;
    __nv_fp8x2_storage_t *pairs = reinterpret_cast<__nv_fp8x2_storage_t *>(&raw);

#pragma unroll
    for (int i = 0; i < 4; i++)
        pairs[i] = __nv_cvt_float2_to_fp8x2(make_float2(v[2 * i] * factor, v[2 * i + 1] * factor),
                                            __NV_SATFINITE, __NV_E4M3);
    *reinterpret_cast<uint2 *>(p) = raw;
}

__device__ __forceinline__ void store1_e4m3(__nv_fp8_e4m3 *p, float v)
{
    p->__x = __nv_cvt_float_to_fp8(v, __NV_SATFINITE, __NV_E4M3);
}

__device__ __forceinline__ float largest8(const float (&v)[8], float most)
{
#pragma unroll
    for (int k = 0; k < 8; k++)
        most = fmaxf(most, fabsf(v[k]));
    return most;
}

/* The factor of a row for all threads of its block, from the largest magnitude that each saw; the
 * scale is stored.  `shared` holds 32 floats. */
__device__ __forceinline__ float row_factor(float most, float *scale, float *shared)
{
    float largest = block_max(most, shared);
    bool nothing = largest < SVR_QUANTIZE_LEAST;

    if (threadIdx.x == 0)
        *scale = nothing ? 1.0f : largest / SVR_F8_E4M3_MAX;
    return nothing ? 0.0f : SVR_F8_E4M3_MAX / largest;
}

} // namespace svr

#endif
