/* Stable sorting by value for exact rank matching, as the CPU does it: values become integers that
 * sort alike, pixels with equal values keep their order.  cub's radix sort in memory that the
 * caller gives. */
#ifndef SVR_CUDA_KERNELS_RANK_SORT_CUH
#define SVR_CUDA_KERNELS_RANK_SORT_CUH

#include "common.cuh"

#include <cub/device/device_radix_sort.cuh>

namespace svr
{

/* Key of a float (-0 equals +0), and back. */
__device__ __forceinline__ uint32_t rank_key(float value)
{
    uint32_t bits = __float_as_uint(value);

    bits = bits == 0x80000000u ? 0u : bits;
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

__device__ __forceinline__ float rank_value(uint32_t key)
{
    return __uint_as_float(key & 0x80000000u ? key & 0x7FFFFFFFu : ~key);
}

/* Rank k of n_source values among n_reference ones.  In single precision like the reference, whose
 * truncation depends on it. */
__device__ __forceinline__ int64_t reference_rank(int64_t k, int64_t n_source, int64_t n_reference)
{
    float step, quantile;
    int64_t rank;

    if (n_source == n_reference)
        return k;
    if (n_source == 1)
        return 0;
    step = 1.0f / (float) (n_source - 1);
    quantile = k < n_source / 2 ? __fmul_rn(step, (float) k)
                                : 1.0f - __fmul_rn(step, (float) (n_source - 1 - k));
    rank = (int64_t) (quantile * (float) (n_reference - 1));
    return rank < n_reference ? rank : n_reference - 1;
}

/* Hands out parts of a workspace, or only counts bytes when it is NULL. */
struct workspace_cursor {
    char *base;
    size_t used;

    template <typename T> T *take(int64_t n)
    {
        T *part = base ? (T *) (base + used) : NULL;

        used += ((size_t) n * sizeof(T) + 255) / 256 * 256;
        return part;
    }
};

/* Memory that sorts of one op share, one after the other. */
struct sort_memory {
    void *data;
    size_t bytes;
};

typedef cub::DoubleBuffer<uint32_t> sort_keys;

/* All 32 bits of n keys, with their values; what is sorted comes out as Current() of both. */
template <typename V>
static inline cudaError_t sort_pairs(sort_memory *memory, sort_keys *keys,
                                     cub::DoubleBuffer<V> *values, int64_t n, cudaStream_t stream)
{
    return cub::DeviceRadixSort::SortPairs(memory->data, memory->bytes, *keys, *values,
                                           (uint32_t) n, 0, 32, stream);
}

static inline cudaError_t sort_alone(sort_memory *memory, sort_keys *keys, int64_t n,
                                     cudaStream_t stream)
{
    return cub::DeviceRadixSort::SortKeys(memory->data, memory->bytes, *keys, (uint32_t) n, 0, 32,
                                          stream);
}

/* Lists items by group, in their order inside each: the lowest `bits` of each item's group count.
 */
static inline cudaError_t sort_by_group(sort_memory *memory, const uint8_t *groups,
                                        uint8_t *groups_out, const uint32_t *items,
                                        uint32_t *items_out, int64_t n, int bits,
                                        cudaStream_t stream)
{
    return cub::DeviceRadixSort::SortPairs(memory->data, memory->bytes, groups, groups_out, items,
                                           items_out, (uint32_t) n, 0, bits, stream);
}

/* Bytes that a sort asks for, in place of doing it (memory->data NULL), if more than `most`. */
static inline size_t larger(const sort_memory &memory, size_t most)
{
    return memory.bytes > most ? memory.bytes : most;
}

/* Pictures beyond this have no 32-bit places. */
static inline svr_status check_rank_places(const char *op, int64_t n, svr_error *err)
{
    if (n <= (int64_t) UINT32_MAX)
        return SVR_OK;
    return SVR_FAIL(err, SVR_ERR_UNSUPPORTED,
                    "%s: %lld pixels, at most 2^32 - 1: use smaller batches", op, (long long) n);
}

} // namespace svr

#endif
