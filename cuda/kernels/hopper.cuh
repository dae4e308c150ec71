/* Primitives of compute capability 9.0: barriers, the bulk tensor copy engine, clusters, and tensor
 * maps on the host; products are in wgmma.cuh.  Names of the instructions are in the PTX manual. */
#ifndef SVR_CUDA_KERNELS_HOPPER_CUH
#define SVR_CUDA_KERNELS_HOPPER_CUH

#include "common.cuh"

#include <cuda.h>

namespace svr
{

/* ---- barriers and copies */

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

__device__ __forceinline__ bool barrier_passed(uint64_t *barrier, int parity)
{
    uint32_t passed;

    asm volatile("{\n.reg .pred p;\n"
                 "mbarrier.test_wait.parity.shared.b64 p, [%1], %2;\n"
                 "selp.u32 %0, 1, 0, p;\n}"
                 : "=r"(passed)
                 : "r"(shared_address(barrier)), "r"(parity)
                 : "memory");
    return passed != 0;
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

__device__ __forceinline__ void fetch2(void *dst, const CUtensorMap *map, uint64_t *barrier, int c0,
                                       int c1)
{
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes "
                 "[%0], [%1, {%3,%4}], [%2];" ::"r"(shared_address(dst)),
                 "l"(map), "r"(shared_address(barrier)), "r"(c0), "r"(c1)
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

/* ---- clusters of two blocks */

__device__ __forceinline__ int cluster_rank()
{
    int rank;

    asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
    return rank;
}

__device__ __forceinline__ void cluster_meet()
{
    asm volatile("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::
                     : "memory");
}

/* Arrives at the same barrier of block `rank` of the cluster. */
__device__ __forceinline__ void barrier_arrive_at(uint64_t *barrier, int rank)
{
    asm volatile(
        "{\n.reg .b32 remote;\n"
        "mapa.shared::cluster.u32 remote, %0, %1;\n"
        "mbarrier.arrive.shared::cluster.b64 _, [remote];\n}" ::"r"(shared_address(barrier)),
        "r"(rank)
        : "memory");
}

/* To the same place in both blocks of the cluster, each told at its own barrier. */
__device__ __forceinline__ void fetch2_both(void *dst, const CUtensorMap *map, uint64_t *barrier,
                                            int c0, int c1)
{
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes"
                 ".multicast::cluster [%0], [%1, {%3,%4}], [%2], %5;" ::"r"(shared_address(dst)),
                 "l"(map), "r"(shared_address(barrier)), "r"(c0), "r"(c1), "h"((uint16_t) 3)
                 : "memory");
}

/* ---- registers of a warpgroup */

template <int N> __device__ __forceinline__ void registers_shrink()
{
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(N));
}

template <int N> __device__ __forceinline__ void registers_grow()
{
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(N));
}

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
