/* The product of a warp's tensor cores, compute capability 8.0 and newer. */
#ifndef SVR_CUDA_KERNELS_MMA_CUH
#define SVR_CUDA_KERNELS_MMA_CUH

#include "common.cuh"

namespace svr
{

/* d (16 x 8) += a (16 x 16) b (16 x 8), 16-bit T, sums in F32.  Lane l has d of rows l/4 and l/4 +
 * 8, columns l%4*2 and the next. */
template <typename T>
__device__ __forceinline__ void mma_16x8(float (&d)[4], const uint32_t (&a)[4], uint32_t b0,
                                         uint32_t b1)
{
    if constexpr (__is_same(T, __nv_bfloat16))
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
                     "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                     : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
    else
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
                     "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                     : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

} // namespace svr

#endif
