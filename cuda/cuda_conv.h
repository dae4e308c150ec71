/* conv3d in its two ways: by the own kernels and through cuDNN.  Level 2. */
#ifndef SVR_CUDA_CUDA_CONV_H
#define SVR_CUDA_CUDA_CONV_H

#include "cuda_dnn.h"
#include "cuda_internal.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the own kernels (kernels/conv.cu): every convolution */

size_t svr_cuda_conv3d_own_workspace(svr_cuda_backend *b, const svr_conv3d_args *args);

SVR_CHECKED svr_status svr_cuda_conv3d_own(svr_exec *exec, const svr_conv3d_args *args,
                                           void *workspace, svr_error *err);

/* Frames of y at a clip's start that see frame 0 of x more than once. */
int svr_cuda_conv3d_repeated(const svr_conv3d_args *args);

/* Those frames alone, by the own kernels, for tensors at multiples of 16 bytes whose channels are
 * multiples of 8.  `workspace`: room for the weights. */
SVR_CHECKED svr_status svr_cuda_conv3d_start(svr_exec *exec, const svr_conv3d_args *args,
                                             void *workspace, svr_error *err);

/* moments [T,G,3] F32 of the frames of y (kernels/norm.cu), where the kernel that made y does not
 * make them. */
size_t svr_cuda_moments_workspace(const svr_tensor *y, int groups);
SVR_CHECKED svr_status svr_cuda_moments(svr_exec *exec, const svr_tensor *y,
                                        const svr_tensor *moments, void *workspace, svr_error *err);

/* ---- through cuDNN (cuda_conv.c) */

/* A plan of cuDNN; borrowed. */
typedef struct svr_cuda_conv_plan {
    const svr_cuda_dnn_shape *shape;
    int index;
} svr_cuda_conv_plan;

/* Whether cuDNN may be asked, and what: all frames but those of svr_cuda_conv3d_start(). */
bool svr_cuda_conv3d_dnn_serves(const svr_conv3d_args *args, svr_cuda_dnn_conv *conv);

/* For a convolution that it serves, with a plan for that shape. */
size_t svr_cuda_conv3d_dnn_workspace(const svr_conv3d_args *args, svr_cuda_conv_plan plan);

SVR_CHECKED svr_status svr_cuda_conv3d_dnn(svr_exec *exec, const svr_conv3d_args *args,
                                           svr_cuda_conv_plan plan, void *workspace,
                                           svr_error *err);

/* ---- for measuring (kernels/conv_trial.cu) */

/* n elements of a storage type: uniform in [-scale, scale], the same for the same seed. */
SVR_CHECKED svr_status svr_cuda_fill_random(cudaStream_t stream, const svr_tensor *x, float scale,
                                            uint32_t seed, svr_error *err);

/* *count (on the device) += elements with |a - b| over the limit or not a number; a, b alike. */
SVR_CHECKED svr_status svr_cuda_count_different(cudaStream_t stream, const svr_tensor *a,
                                                const svr_tensor *b, float limit, unsigned *count,
                                                svr_error *err);

#ifdef __cplusplus
}
#endif
#endif
