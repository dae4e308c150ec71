/* What the pixel kernels share.  Pictures are F32 with interleaved channels and start at any
 * element, so there are no wide loads: neighbouring lanes take neighbouring elements instead. */
#ifndef SVR_CUDA_KERNELS_PIXELS_CUH
#define SVR_CUDA_KERNELS_PIXELS_CUH

#include "common.cuh"

namespace svr
{

enum {
    PIXEL_THREADS = 256,
    PIXEL_WARPS = PIXEL_THREADS / 32,
    WARP_FLOATS = 96, /* three channels of a warp's pixels */
    MAX_GRID_ROWS = 65535
};

/* a * b that is not fused with an addition: for sums that round as on the CPU, because a step
 * follows (an integer, a threshold, a rank). */
__device__ __forceinline__ float rounded_product(float a, float b)
{
    return __fmul_rn(a, b);
}

/* Limited to [0,1]; NaN gives 0. */
__device__ __forceinline__ float clamp_unit(float v)
{
    v = v > 0.0f ? v : 0.0f;
    return v < 1.0f ? v : 1.0f;
}

__device__ __forceinline__ int clamp_index(int i, int count)
{
    return i < 0 ? 0 : i >= count ? count - 1 : i;
}

/* Three channels of `count` (1..32) neighbouring pixels, one pixel a lane, zeros beyond.  They go
 * through `shared` (WARP_FLOATS of this warp alone), so that global memory is read in whole lines.
 * All lanes of the warp take part. */
__device__ __forceinline__ void load_pixels(const float *pixels, int count, float *shared,
                                            float (&channels)[3])
{
    int lane = threadIdx.x % 32;

#pragma unroll
    for (int k = 0; k < 3; k++)
        shared[lane + 32 * k] = lane + 32 * k < 3 * count ? pixels[lane + 32 * k] : 0.0f;
    __syncwarp();
#pragma unroll
    for (int k = 0; k < 3; k++)
        channels[k] = shared[3 * lane + k];
    __syncwarp();
}

/* The way back. */
__device__ __forceinline__ void store_pixels(float *pixels, int count, float *shared,
                                             const float (&channels)[3])
{
    int lane = threadIdx.x % 32;

#pragma unroll
    for (int k = 0; k < 3; k++)
        shared[3 * lane + k] = channels[k];
    __syncwarp();
#pragma unroll
    for (int k = 0; k < 3; k++) {
        if (lane + 32 * k < 3 * count)
            pixels[lane + 32 * k] = shared[lane + 32 * k];
    }
    __syncwarp();
}

/* Pixels of a warp's group that starts at `first` of n. */
__device__ __forceinline__ int group_count(int64_t first, int64_t n)
{
    return n - first < 32 ? (int) (n - first) : 32;
}

/* Pixels of pictures of three channels. */
static inline int64_t pixels_of(const svr_tensor *t)
{
    return svr_tensor_elems(t) / 3;
}

/* Blocks along a row of n elements by rows; kernels loop over rows beyond the grid. */
static inline dim3 grid_of_rows(int64_t n, int64_t rows)
{
    return dim3((unsigned) ((n + PIXEL_THREADS - 1) / PIXEL_THREADS),
                (unsigned) (rows < MAX_GRID_ROWS ? rows : (int64_t) MAX_GRID_ROWS));
}

} // namespace svr

#endif
