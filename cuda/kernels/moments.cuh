/* Statistics of frames for group_norm: [T,G,3] F32, the mean as a sum of two and the variance. */
#ifndef SVR_CUDA_KERNELS_MOMENTS_CUH
#define SVR_CUDA_KERNELS_MOMENTS_CUH

#include "common.cuh"

namespace svr
{

/* Of one group, by the first lane, from the warp's shares of sum and sum of squares of `values`. */
__device__ __forceinline__ void write_moments(double sum, double square, double values,
                                              float *moments, double shift = 0.0)
{
    double mean, variance;

    for (int offset = 16; offset > 0; offset /= 2) {
        sum += __shfl_xor_sync(0xffffffffu, sum, offset);
        square += __shfl_xor_sync(0xffffffffu, square, offset);
    }
    if (threadIdx.x % 32 != 0)
        return;
    mean = sum / values;
    variance = fmax(square / values - mean * mean, 0.0);
    mean += shift;
    moments[0] = (float) mean;
    moments[1] = (float) (mean - (double) (float) mean);
    moments[2] = (float) variance;
}

} // namespace svr

#endif
