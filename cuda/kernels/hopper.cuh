/* Primitives of compute capability 9.0: barriers, the bulk tensor copy engine, warpgroup matrix
 * products, and tensor maps on the host.  Names of the instructions are in the PTX manual. */
#ifndef SVR_CUDA_KERNELS_HOPPER_CUH
#define SVR_CUDA_KERNELS_HOPPER_CUH

#include "common.cuh"

#include <cuda.h>

namespace svr
{

__device__ __forceinline__ uint32_t shared_address(const void *p)
{
    return (uint32_t) __cvta_generic_to_shared(p);
}

__device__ __forceinline__ void barrier_init(uint64_t *barrier, int arrivals)
{
    asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(shared_address(barrier)),
                 "r"(arrivals));
}

__device__ __forceinline__ void barrier_expect(uint64_t *barrier, int bytes)
{
    asm volatile("mbarrier.arrive.expect_tx.shared.b64 _, [%0], %1;" ::"r"(shared_address(barrier)),
                 "r"(bytes)
                 : "memory");
}

__device__ __forceinline__ void barrier_arrive(uint64_t *barrier)
{
    asm volatile("mbarrier.arrive.shared.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory");
}

__device__ __forceinline__ void barrier_wait(uint64_t *barrier, int parity)
{
    asm volatile("{\n"
                 ".reg .pred p;\n"
                 "again:\n"
                 "mbarrier.try_wait.parity.shared.b64 p, [%0], %1;\n"
                 "@p bra done;\n"
                 "bra again;\n"
                 "done:\n"
                 "}" ::"r"(shared_address(barrier)),
                 "r"(parity)
                 : "memory");
}

/* A box at the given coordinates, innermost first, to shared memory; its bytes count at the
 * barrier. */
__device__ __forceinline__ void fetch4(void *dst, const CUtensorMap *map, uint64_t *barrier, int c0,
                                       int c1, int c2, int c3)
{
    asm volatile("cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes "
                 "[%0], [%1, {%3,%4,%5,%6}], [%2];" ::"r"(shared_address(dst)),
                 "l"(map), "r"(shared_address(barrier)), "r"(c0), "r"(c1), "r"(c2), "r"(c3)
                 : "memory");
}

__device__ __forceinline__ void fetch3(void *dst, const CUtensorMap *map, uint64_t *barrier, int c0,
                                       int c1, int c2)
{
    asm volatile("cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes "
                 "[%0], [%1, {%3,%4,%5}], [%2];" ::"r"(shared_address(dst)),
                 "l"(map), "r"(shared_address(barrier)), "r"(c0), "r"(c1), "r"(c2)
                 : "memory");
}

/* Makes initialised barriers known to the copy engine. */
__device__ __forceinline__ void barriers_visible()
{
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    asm volatile("fence.proxy.async;" ::: "memory");
}

/* Orders ordinary stores to shared memory before reads by matrix products. */
__device__ __forceinline__ void fence_shared_for_copy_engine()
{
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

template <int N> __device__ __forceinline__ void registers_shrink()
{
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(N));
}

template <int N> __device__ __forceinline__ void registers_grow()
{
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(N));
}

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

template <typename T> __device__ __forceinline__ uint32_t pack2(float a, float b)
{
    uint32_t r;
    T *e = reinterpret_cast<T *>(&r);

    e[0] = from_float<T>(a);
    e[1] = from_float<T>(b);
    return r;
}

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

#define SVR_ACC4(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define SVR_ACC16(i) SVR_ACC4(i), SVR_ACC4(i + 4), SVR_ACC4(i + 8), SVR_ACC4(i + 12)

/* d (64 x 16) = a (64 x 16) b (16 x 16)^T, added to d when accumulate is not 0. */
template <typename T>
__device__ __forceinline__ void wgmma_n16(float (&d)[8], uint64_t a, uint64_t b, int accumulate)
{
    if constexpr (__is_same(T, __half))
        asm volatile(
            "{\n.reg .pred p;\nsetp.ne.b32 p, %10, 0;\n"
            "wgmma.mma_async.sync.aligned.m64n16k16.f32.f16.f16 {%0,%1,%2,%3,%4,%5,%6,%7}, "
            "%8, %9, p, 1, 1, 0, 0;\n}"
            : SVR_ACC4(0), SVR_ACC4(4)
            : "l"(a), "l"(b), "r"(accumulate));
    else
        asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %10, 0;\n"
                     "wgmma.mma_async.sync.aligned.m64n16k16.f32.bf16.bf16 "
                     "{%0,%1,%2,%3,%4,%5,%6,%7}, %8, %9, p, 1, 1, 0, 0;\n}"
                     : SVR_ACC4(0), SVR_ACC4(4)
                     : "l"(a), "l"(b), "r"(accumulate));
}

/* d (64 x 32) = a (64 x 16) b (32 x 16)^T, added to d when accumulate is not 0. */
template <typename T>
__device__ __forceinline__ void wgmma_n32(float (&d)[16], uint64_t a, uint64_t b, int accumulate)
{
    if constexpr (__is_same(T, __half))
        asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %18, 0;\n"
                     "wgmma.mma_async.sync.aligned.m64n32k16.f32.f16.f16 {"
                     "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15"
                     "}, %16, %17, p, 1, 1, 0, 0;\n}"
                     : SVR_ACC16(0)
                     : "l"(a), "l"(b), "r"(accumulate));
    else
        asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %18, 0;\n"
                     "wgmma.mma_async.sync.aligned.m64n32k16.f32.bf16.bf16 {"
                     "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15"
                     "}, %16, %17, p, 1, 1, 0, 0;\n}"
                     : SVR_ACC16(0)
                     : "l"(a), "l"(b), "r"(accumulate));
}

/* d (64 x 128) = a (64 x 16) b (128 x 16)^T, added to d when accumulate is not 0. */
template <typename T>
__device__ __forceinline__ void wgmma_n128(float (&d)[64], uint64_t a, uint64_t b, int accumulate)
{
    if constexpr (__is_same(T, __half))
        asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %66, 0;\n"
                     "wgmma.mma_async.sync.aligned.m64n128k16.f32.f16.f16 {"
                     "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
                     "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,"
                     "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,"
                     "%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63"
                     "}, %64, %65, p, 1, 1, 0, 0;\n}"
                     : SVR_ACC16(0), SVR_ACC16(16), SVR_ACC16(32), SVR_ACC16(48)
                     : "l"(a), "l"(b), "r"(accumulate));
    else
        asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %66, 0;\n"
                     "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {"
                     "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
                     "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,"
                     "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,"
                     "%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63"
                     "}, %64, %65, p, 1, 1, 0, 0;\n}"
                     : SVR_ACC16(0), SVR_ACC16(16), SVR_ACC16(32), SVR_ACC16(48)
                     : "l"(a), "l"(b), "r"(accumulate));
}

/* d (64 x 256) += a (64 x 16) b (16 x 256), b with K along the rows. */
template <typename T>
__device__ __forceinline__ void wgmma_n256_transposed(float (&d)[128], uint64_t a, uint64_t b)
{
    if constexpr (__is_same(T, __half))
        asm volatile(
            "wgmma.mma_async.sync.aligned.m64n256k16.f32.f16.f16 {"
            "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
            "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,"
            "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,"
            "%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63,"
            "%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79,"
            "%80,%81,%82,%83,%84,%85,%86,%87,%88,%89,%90,%91,%92,%93,%94,%95,"
            "%96,%97,%98,%99,%100,%101,%102,%103,%104,%105,%106,%107,%108,%109,%110,%111,"
            "%112,%113,%114,%115,%116,%117,%118,%119,%120,%121,%122,%123,%124,%125,%126,%127"
            "}, %128, %129, 1, 1, 1, 0, 1;"
            : SVR_ACC16(0), SVR_ACC16(16), SVR_ACC16(32), SVR_ACC16(48), SVR_ACC16(64),
              SVR_ACC16(80), SVR_ACC16(96), SVR_ACC16(112)
            : "l"(a), "l"(b));
    else
        asm volatile(
            "wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 {"
            "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
            "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,"
            "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,"
            "%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63,"
            "%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79,"
            "%80,%81,%82,%83,%84,%85,%86,%87,%88,%89,%90,%91,%92,%93,%94,%95,"
            "%96,%97,%98,%99,%100,%101,%102,%103,%104,%105,%106,%107,%108,%109,%110,%111,"
            "%112,%113,%114,%115,%116,%117,%118,%119,%120,%121,%122,%123,%124,%125,%126,%127"
            "}, %128, %129, 1, 1, 1, 0, 1;"
            : SVR_ACC16(0), SVR_ACC16(16), SVR_ACC16(32), SVR_ACC16(48), SVR_ACC16(64),
              SVR_ACC16(80), SVR_ACC16(96), SVR_ACC16(112)
            : "l"(a), "l"(b));
}

#undef SVR_ACC16
#undef SVR_ACC4

/* ---- tensor maps */

typedef CUresult (*encode_function)(CUtensorMap *, CUtensorMapDataType, cuuint32_t, void *,
                                    const cuuint64_t *, const cuuint64_t *, const cuuint32_t *,
                                    const cuuint32_t *, CUtensorMapInterleave, CUtensorMapSwizzle,
                                    CUtensorMapL2promotion, CUtensorMapFloatOOBfill);

/* A tensor with C innermost as boxes of 64 or 16 channels (128 of 8 bits); sizes innermost first,
 * without C's. */
struct map_request {
    const svr_tensor *tensor;
    int rank;
    cuuint64_t dims[4];
    cuuint32_t box[4], step[4];
};

static inline svr_status encode_map(const svr_cuda_backend *b, const map_request *r,
                                    CUtensorMap *out, svr_error *err)
{
    CUtensorMapDataType type = svr_dtype_size(r->tensor->dtype) == 1 ? CU_TENSOR_MAP_DATA_TYPE_UINT8
                               : r->tensor->dtype == SVR_BF16 ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16
                                                              : CU_TENSOR_MAP_DATA_TYPE_FLOAT16;
    cuuint64_t strides[4] = {r->dims[0] * svr_dtype_size(r->tensor->dtype)};
    size_t row_bytes = r->box[0] * svr_dtype_size(r->tensor->dtype);
    CUresult result;

    for (int i = 1; i < r->rank - 1; i++)
        strides[i] = strides[i - 1] * r->dims[i];
    result = ((encode_function) b->encode_tensor_map)(
        out, type, (cuuint32_t) r->rank, r->tensor->data, r->dims, strides, r->box, r->step,
        CU_TENSOR_MAP_INTERLEAVE_NONE,
        row_bytes == 32   ? CU_TENSOR_MAP_SWIZZLE_32B
        : row_bytes == 64 ? CU_TENSOR_MAP_SWIZZLE_64B
                          : CU_TENSOR_MAP_SWIZZLE_128B,
        CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
    if (result != CUDA_SUCCESS)
        return SVR_FAIL(err, SVR_ERR_DEVICE, "the driver refused a tensor map (%d)", (int) result);
    return SVR_OK;
}

} // namespace svr

#endif
