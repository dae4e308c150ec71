/* What measuring a convolution needs: random operands, never zeros (which draw less power and would
 * be timed too fast), and a comparison of results.  Bound by memory; small beside a convolution. */
#include "common.cuh"
#include "cuda_conv.h"

namespace svr
{

enum { TRIAL_THREADS = 256 };

/* Bits of i and a seed, well mixed: multiplications and shifts of a 32-bit finalizer. */
__device__ __forceinline__ uint32_t mixed(uint64_t i, uint32_t seed)
{
    uint32_t h = (uint32_t) i ^ (uint32_t) (i >> 32) * 0x9e3779b9u ^ seed * 0x85ebca6bu;

    h = (h ^ h >> 16) * 0x7feb352du;
    h = (h ^ h >> 15) * 0x846ca68bu;
    return h ^ h >> 16;
}

/* A thread every n-th element. */
template <typename T>
__global__ void fill_random_kernel(T *x, int64_t n, float scale, uint32_t seed)
{
    int64_t step = (int64_t) gridDim.x * blockDim.x;

    for (int64_t i = (int64_t) blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step)
        x[i] = from_float<T>(scale * ((float) (mixed((uint64_t) i, seed) >> 8) * 0x1p-23f - 1.0f));
}

/* The same.  Differences are rare, so the counter is hardly touched. */
template <typename T>
__global__ void count_different_kernel(const T *a, const T *b, int64_t n, float limit,
                                       unsigned *count)
{
    int64_t step = (int64_t) gridDim.x * blockDim.x;
    int found = 0;

    for (int64_t i = (int64_t) blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step)
        found += !(fabsf(to_float(a[i]) - to_float(b[i])) <= limit);
    if (found)
        atomicAdd(count, (unsigned) found);
}

} // namespace svr

using namespace svr;

svr_status svr_cuda_fill_random(cudaStream_t stream, const svr_tensor *x, float scale,
                                uint32_t seed, svr_error *err)
{
    int64_t n = svr_tensor_present(x) ? svr_tensor_elems(x) : 0;

    if (n == 0)
        return SVR_OK;
    SVR_STORAGE_SWITCH(
        x->dtype, T,
        fill_random_kernel<T>
        <<<grid_for(n, TRIAL_THREADS), TRIAL_THREADS, 0, stream>>>((T *) x->data, n, scale, seed));
    return svr_cuda_launched("random operands", err);
}

svr_status svr_cuda_count_different(cudaStream_t stream, const svr_tensor *a, const svr_tensor *b,
                                    float limit, unsigned *count, svr_error *err)
{
    int64_t n = svr_tensor_elems(a);

    SVR_STORAGE_SWITCH(a->dtype, T,
                       count_different_kernel<T>
                       <<<grid_for(n, TRIAL_THREADS), TRIAL_THREADS, 0, stream>>>(
                           (const T *) a->data, (const T *) b->data, n, limit, count));
    return svr_cuda_launched("comparison of results", err);
}
