/* Warpgroup matrix products of compute capability 9.0: descriptors of operands in shared memory,
 * and the instructions by shape.  All are asynchronous: wgmma_fence(), products, wgmma_commit(),
 * wgmma_wait().  A warpgroup holds 64 rows of sums; lane l of warp w has, of row w*16 + l/4,
 * columns l%4*2 and the next of every eight, then the same of the row eight below. */
#ifndef SVR_CUDA_KERNELS_WGMMA_CUH
#define SVR_CUDA_KERNELS_WGMMA_CUH

#include "common.cuh"

#include <cuda_fp8.h>

namespace svr
{

__device__ __forceinline__ void wgmma_fence()
{
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

__device__ __forceinline__ void wgmma_commit()
{
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

template <int N> __device__ __forceinline__ void wgmma_wait()
{
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory");
}

/* ---- operands in shared memory */

/* K-major operand of 128 bytes a row (64 elements of 16 bits), 128-byte swizzle, eight rows every
 * 1024 bytes.  The swizzle follows absolute addresses, so the operand may start at any row. */
__device__ __forceinline__ uint64_t operand(uint32_t address)
{
    return (uint64_t) ((address & 0x3FFFF) >> 4) | (uint64_t) 1 << 16 |
           (uint64_t) (1024 >> 4) << 32 | (uint64_t) 1 << 62;
}

/* The same of 16 elements a row, 32-byte swizzle, eight rows every 256 bytes. */
__device__ __forceinline__ uint64_t operand_thin(uint32_t address)
{
    return (uint64_t) ((address & 0x3FFFF) >> 4) | (uint64_t) 1 << 16 |
           (uint64_t) (256 >> 4) << 32 | (uint64_t) 3 << 62;
}

/* The same of 32 elements a row, 64-byte swizzle, eight rows every 512 bytes. */
__device__ __forceinline__ uint64_t operand_half(uint32_t address)
{
    return (uint64_t) ((address & 0x3FFFF) >> 4) | (uint64_t) 1 << 16 |
           (uint64_t) (512 >> 4) << 32 | (uint64_t) 2 << 62;
}

/* Operand with K along the rows: boxes of 64 columns, `box_bytes` apart, eight rows every 1024
 * bytes. */
__device__ __forceinline__ uint64_t operand_transposed(uint32_t address, int box_bytes)
{
    return (uint64_t) ((address & 0x3FFFF) >> 4) | (uint64_t) (box_bytes >> 4) << 16 |
           (uint64_t) (1024 >> 4) << 32 | (uint64_t) 1 << 62;
}

/* ---- products */

/* What products of T are summed up in. */
template <typename T> struct wgmma_sum {
    typedef float type;
};
template <> struct wgmma_sum<int8_t> {
    typedef int type;
};

/* Names of the registers of d, and the registers; `c` is their constraint, "+f" or "+r". */
#define SVR_R8 "%0,%1,%2,%3,%4,%5,%6,%7"
#define SVR_R16 "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15"
#define SVR_R64                                                                                    \
    SVR_R16                                                                                        \
    ",%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31"                             \
    ",%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47"                             \
    ",%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63"
#define SVR_R128                                                                                   \
    SVR_R64                                                                                        \
    ",%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79"                             \
    ",%80,%81,%82,%83,%84,%85,%86,%87,%88,%89,%90,%91,%92,%93,%94,%95"                             \
    ",%96,%97,%98,%99,%100,%101,%102,%103,%104,%105,%106,%107,%108,%109,%110,%111"                 \
    ",%112,%113,%114,%115,%116,%117,%118,%119,%120,%121,%122,%123,%124,%125,%126,%127"
#define SVR_D4(c, i) c(d[i]), c(d[i + 1]), c(d[i + 2]), c(d[i + 3])
#define SVR_D16(c, i) SVR_D4(c, i), SVR_D4(c, i + 4), SVR_D4(c, i + 8), SVR_D4(c, i + 12)
#define SVR_D64(c, i) SVR_D16(c, i), SVR_D16(c, i + 16), SVR_D16(c, i + 32), SVR_D16(c, i + 48)

/* d = a b, added to d when `accumulate` is not 0.  `kind`: shape and types; a_at, b_at, p_at: names
 * of a, b and `accumulate`, behind d's; `layout`: signs of the operands, and whether they are
 * transposed, which 8 bits cannot be; then the registers of d. */
#define SVR_WGMMA(kind, names, a_at, b_at, p_at, layout, ...)                                      \
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, " p_at ", 0;\n"                                 \
                 "wgmma.mma_async.sync.aligned." kind " {" names "}, " a_at ", " b_at ", p" layout \
                 ";\n}"                                                                            \
                 : __VA_ARGS__                                                                     \
                 : "l"(a), "l"(b), "r"(accumulate))

#define SVR_WGMMA_N16(types)                                                                       \
    SVR_WGMMA("m64n16k16.f32." types, SVR_R8, "%8", "%9", "%10", ", 1, 1, 0, 0", SVR_D4("+f", 0),  \
              SVR_D4("+f", 4))
#define SVR_WGMMA_N32(types)                                                                       \
    SVR_WGMMA("m64n32k16.f32." types, SVR_R16, "%16", "%17", "%18", ", 1, 1, 0, 0",                \
              SVR_D16("+f", 0))
#define SVR_WGMMA_N128(types)                                                                      \
    SVR_WGMMA("m64n128k16.f32." types, SVR_R64, "%64", "%65", "%66", ", 1, 1, 0, 0",               \
              SVR_D64("+f", 0))
#define SVR_WGMMA_N256(c, types, layout)                                                           \
    SVR_WGMMA("m64n256" types, SVR_R128, "%128", "%129", "%130", layout, SVR_D64(c, 0),            \
              SVR_D64(c, 64))

/* d (64 x 16) = a (64 x 16) b (16 x 16)^T, added to d when accumulate is not 0. */
template <typename T>
__device__ __forceinline__ void wgmma_n16(float (&d)[8], uint64_t a, uint64_t b, int accumulate)
{
    if constexpr (__is_same(T, __half))
        SVR_WGMMA_N16("f16.f16");
    else
        SVR_WGMMA_N16("bf16.bf16");
}

/* d (64 x 32) = a (64 x 16) b (32 x 16)^T, likewise. */
template <typename T>
__device__ __forceinline__ void wgmma_n32(float (&d)[16], uint64_t a, uint64_t b, int accumulate)
{
    if constexpr (__is_same(T, __half))
        SVR_WGMMA_N32("f16.f16");
    else
        SVR_WGMMA_N32("bf16.bf16");
}

/* d (64 x 128) = a (64 x 16) b (128 x 16)^T, likewise. */
template <typename T>
__device__ __forceinline__ void wgmma_n128(float (&d)[64], uint64_t a, uint64_t b, int accumulate)
{
    if constexpr (__is_same(T, __half))
        SVR_WGMMA_N128("f16.f16");
    else
        SVR_WGMMA_N128("bf16.bf16");
}

/* d (64 x 256) = a b^T, likewise: 32 bytes of 64 and of 256 rows, of 16 bits, e4m3 or int8_t. */
template <typename T>
__device__ __forceinline__ void wgmma_n256(typename wgmma_sum<T>::type (&d)[128], uint64_t a,
                                           uint64_t b, int accumulate)
{
    if constexpr (__is_same(T, __half))
        SVR_WGMMA_N256("+f", "k16.f32.f16.f16", ", 1, 1, 0, 0");
    else if constexpr (__is_same(T, __nv_fp8_e4m3))
        SVR_WGMMA_N256("+f", "k32.f32.e4m3.e4m3", ", 1, 1");
    else if constexpr (__is_same(T, int8_t))
        SVR_WGMMA_N256("+r", "k32.s32.s8.s8", "");
    else
        SVR_WGMMA_N256("+f", "k16.f32.bf16.bf16", ", 1, 1, 0, 0");
}

#define SVR_WGMMA_N256_TRANSPOSED(types)                                                           \
    asm volatile("wgmma.mma_async.sync.aligned.m64n256k16.f32." types " {" SVR_R128                \
                 "}, %128, %129, 1, 1, 1, 0, 1;"                                                   \
                 : SVR_D64("+f", 0), SVR_D64("+f", 64)                                             \
                 : "l"(a), "l"(b))

/* d (64 x 256) += a (64 x 16) b (16 x 256), b with K along the rows. */
template <typename T>
__device__ __forceinline__ void wgmma_n256_transposed(float (&d)[128], uint64_t a, uint64_t b)
{
    if constexpr (__is_same(T, __half))
        SVR_WGMMA_N256_TRANSPOSED("f16.f16");
    else
        SVR_WGMMA_N256_TRANSPOSED("bf16.bf16");
}

#define SVR_WGMMA_REGISTERS_N128(types)                                                            \
    asm volatile("wgmma.mma_async.sync.aligned.m64n128k16.f32." types " {" SVR_R64                 \
                 "}, {%64,%65,%66,%67}, %68, 1, 1, 1, 1;"                                          \
                 : SVR_D64("+f", 0)                                                                \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b))

/* d (64 x 128) += a (64 x 16, in registers) b (16 x 128), b with K along the rows. */
template <typename T>
__device__ __forceinline__ void wgmma_registers_n128(float (&d)[64], const uint32_t (&a)[4],
                                                     uint64_t b)
{
    if constexpr (__is_same(T, __half))
        SVR_WGMMA_REGISTERS_N128("f16.f16");
    else
        SVR_WGMMA_REGISTERS_N128("bf16.bf16");
}

#undef SVR_WGMMA_REGISTERS_N128
#undef SVR_WGMMA_N256_TRANSPOSED
#undef SVR_WGMMA_N256
#undef SVR_WGMMA_N128
#undef SVR_WGMMA_N32
#undef SVR_WGMMA_N16
#undef SVR_WGMMA
#undef SVR_D64
#undef SVR_D16
#undef SVR_D4
#undef SVR_R128
#undef SVR_R64
#undef SVR_R16
#undef SVR_R8

} // namespace svr

#endif
