/* Rows in 8 bits with a scale each, as in base/quantize.h.  Q is the type: __nv_fp8_e4m3, int8_t.
 */
#ifndef SVR_CUDA_KERNELS_QUANTIZE_CUH
#define SVR_CUDA_KERNELS_QUANTIZE_CUH

#include "common.cuh"

#include "base/quantize.h"

#include <cuda_fp8.h>

namespace svr
{

/* The number that the largest magnitude of a row becomes. */
template <typename Q>
constexpr float largest_of = __is_same(Q, int8_t) ? SVR_I8_MAX : SVR_F8_E4M3_MAX;

/* Eight consecutive elements at an address aligned to 8 bytes, times `factor`. */
__device__ __forceinline__ void store8_scaled(__nv_fp8_e4m3 *p, const float (&v)[8], float factor)
{
    uint2 raw;
    __nv_fp8x2_storage_t *pairs = reinterpret_cast<__nv_fp8x2_storage_t *>(&raw);

#pragma unroll
    for (int i = 0; i < 4; i++)
        pairs[i] = __nv_cvt_float2_to_fp8x2(make_float2(v[2 * i] * factor, v[2 * i + 1] * factor),
                                            __NV_SATFINITE, __NV_E4M3);
    *reinterpret_cast<uint2 *>(p) = raw;
}

__device__ __forceinline__ void store1_scaled(__nv_fp8_e4m3 *p, float v, float factor)
{
    p->__x = __nv_cvt_float_to_fp8(v * factor, __NV_SATFINITE, __NV_E4M3);
}

/* Products lie in [-127, 127] but for a rounding, which the integer does not see; NaN becomes 0. */
__device__ __forceinline__ void store8_scaled(int8_t *p, const float (&v)[8], float factor)
{
    uint2 raw;
    int8_t *bytes = reinterpret_cast<int8_t *>(&raw);

#pragma unroll
    for (int i = 0; i < 8; i++)
        bytes[i] = (int8_t) __float2int_rn(v[i] * factor);
    *reinterpret_cast<uint2 *>(p) = raw;
}

__device__ __forceinline__ void store1_scaled(int8_t *p, float v, float factor)
{
    *p = (int8_t) __float2int_rn(v * factor);
}

__device__ __forceinline__ float largest8(const float (&v)[8], float most)
{
#pragma unroll
    for (int k = 0; k < 8; k++)
        most = larger(most, v[k]);
    return most;
}

/* The factor of a row from its largest magnitude, and the scale. */
template <typename Q> __device__ __forceinline__ float factor_of(float largest, float *scale)
{
    bool nothing = largest < SVR_QUANTIZE_LEAST;

    *scale = nothing ? 1.0f : largest / largest_of<Q>;
    return nothing ? 0.0f : largest_of<Q> / largest;
}

/* The factor of a row for all threads of its block, from the largest magnitude that each saw; the
 * scale is stored.  `shared` holds 32 floats. */
template <typename Q>
__device__ __forceinline__ float row_factor(float most, float *scale, float *shared)
{
    float own, factor = factor_of<Q>(block_max(most, shared), &own);

    if (threadIdx.x == 0)
        *scale = own;
    return factor;
}

} // namespace svr

#endif
