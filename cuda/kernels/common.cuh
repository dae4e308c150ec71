/* What kernels share: storage types, vector access, reductions, dispatch over types.
 * Device code is templated over the storage type only; arithmetic is F32. */
#ifndef SVR_CUDA_KERNELS_COMMON_CUH
#define SVR_CUDA_KERNELS_COMMON_CUH

#include "cuda_internal.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <stdint.h>

namespace svr
{

template <typename T> __device__ __forceinline__ float to_float(T v);
template <> __device__ __forceinline__ float to_float(float v)
{
    return v;
}
template <> __device__ __forceinline__ float to_float(int v)
{
    return (float) v;
}
template <> __device__ __forceinline__ float to_float(__half v)
{
    return __half2float(v);
}
template <> __device__ __forceinline__ float to_float(__nv_bfloat16 v)
{
    return __bfloat162float(v);
}

template <typename T> __device__ __forceinline__ T from_float(float v);
template <> __device__ __forceinline__ float from_float(float v)
{
    return v;
}
template <> __device__ __forceinline__ __half from_float(float v)
{
    return __float2half_rn(v);
}
template <> __device__ __forceinline__ __nv_bfloat16 from_float(float v)
{
    return __float2bfloat16_rn(v);
}

/* Eight consecutive elements at an address aligned to 16 bytes. */
template <typename T> __device__ __forceinline__ void load8(const T *p, float (&v)[8])
{
    if constexpr (sizeof(T) == 2) {
        uint4 raw = *reinterpret_cast<const uint4 *>(p);
        const T *e = reinterpret_cast<const T *>(&raw);
#pragma unroll
        for (int i = 0; i < 8; i++)
            v[i] = to_float(e[i]);
    } else {
        *reinterpret_cast<float4 *>(v) = *reinterpret_cast<const float4 *>(p);
        *reinterpret_cast<float4 *>(v + 4) = *reinterpret_cast<const float4 *>(p + 4);
        if constexpr (__is_same(T, int))
#pragma unroll
            for (int i = 0; i < 8; i++)
                v[i] = (float) __float_as_int(v[i]);
    }
}

template <typename T> __device__ __forceinline__ void store8(T *p, const float (&v)[8])
{
    if constexpr (sizeof(T) == 2) {
        uint4 raw;
        T *e = reinterpret_cast<T *>(&raw);
#pragma unroll
        for (int i = 0; i < 8; i++)
            e[i] = from_float<T>(v[i]);
        *reinterpret_cast<uint4 *>(p) = raw;
    } else {
        *reinterpret_cast<float4 *>(p) = *reinterpret_cast<const float4 *>(v);
        *reinterpret_cast<float4 *>(p + 4) = *reinterpret_cast<const float4 *>(v + 4);
    }
}

/* Two elements of 16 bits, a at the lower address. */
template <typename T> __device__ __forceinline__ uint32_t pack2(float a, float b)
{
    uint32_t r;
    T *e = reinterpret_cast<T *>(&r);

    e[0] = from_float<T>(a);
    e[1] = from_float<T>(b);
    return r;
}

__device__ __forceinline__ float warp_sum(float v)
{
#pragma unroll
    for (int offset = 16; offset > 0; offset /= 2)
        v += __shfl_xor_sync(0xffffffffu, v, offset);
    return v;
}

/* What every warp of the block has in its first lane, a lane each, zeros behind; `shared` holds 32
 * floats. */
__device__ __forceinline__ float of_warps(float v, float *shared)
{
    int warps = (blockDim.x + 31) / 32;

    __syncthreads();
    if (threadIdx.x % 32 == 0)
        shared[threadIdx.x / 32] = v;
    __syncthreads();
    return threadIdx.x % 32 < warps ? shared[threadIdx.x % 32] : 0.0f;
}

/* Sum over the block, given to every thread; `shared` holds 32 floats. */
__device__ __forceinline__ float block_sum(float v, float *shared)
{
    return warp_sum(of_warps(warp_sum(v), shared));
}

/* The larger of `most`, which is not negative, and the magnitude of v: these order like their bits,
 * and NaN comes out on top. */
__device__ __forceinline__ float larger(float most, float v)
{
    return __uint_as_float(max(__float_as_uint(most), __float_as_uint(v) & 0x7fffffffu));
}

__device__ __forceinline__ float warp_max(float v)
{
#pragma unroll
    for (int offset = 16; offset > 0; offset /= 2)
        v = larger(v, __shfl_xor_sync(0xffffffffu, v, offset));
    return v;
}

/* The largest of values that are not negative, given to every thread; `shared` as above. */
__device__ __forceinline__ float block_max(float v, float *shared)
{
    return warp_max(of_warps(warp_max(v), shared));
}

__device__ __forceinline__ float silu(float x)
{
    return x / (1.0f + expf(-x));
}

__device__ __forceinline__ float gelu_tanh(float x)
{
    return 0.5f * x * (1.0f + tanhf(0.7978845608f * (x + 0.044715f * x * x * x)));
}

__device__ __forceinline__ float activate(float x, int activation)
{
    return activation == SVR_ACT_SILU        ? silu(x)
           : activation == SVR_ACT_GELU_TANH ? gelu_tanh(x)
                                             : x;
}

/* Whether vectors of 16 bytes may be used at all of these addresses (NULL counts as aligned):
 * slices of tensors with odd sizes may start anywhere. */
template <typename... P> static inline bool aligned16(P... p)
{
    return (((uintptr_t) p | ...) & 15) == 0;
}

/* Blocks of `threads` for n items, one thread an item; at least one, which looks at n itself. */
static inline unsigned blocks_of(int64_t n, int threads)
{
    int64_t blocks = (n + threads - 1) / threads;

    return (unsigned) (blocks < 1 ? 1 : blocks);
}

/* The same bounded, for kernels whose threads loop over the items with the stride of the grid; it
 * would leave items out of others. */
static inline unsigned grid_for(int64_t n, int threads)
{
    return blocks_of(n < (int64_t) threads << 20 ? n : (int64_t) threads << 20, threads);
}

} // namespace svr

/* Runs `body` with T bound to the element type of a storage dtype. */
#define SVR_STORAGE_SWITCH(dtype, T, ...)                                                          \
    switch (dtype) {                                                                               \
    case SVR_F16: {                                                                                \
        using T = __half;                                                                          \
        __VA_ARGS__;                                                                               \
        break;                                                                                     \
    }                                                                                              \
    case SVR_BF16: {                                                                               \
        using T = __nv_bfloat16;                                                                   \
        __VA_ARGS__;                                                                               \
        break;                                                                                     \
    }                                                                                              \
    default: {                                                                                     \
        using T = float;                                                                           \
        __VA_ARGS__;                                                                               \
        break;                                                                                     \
    }                                                                                              \
    }

#endif
