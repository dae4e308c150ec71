/* Matrix products through cuBLASLt with what follows them.  Level 2. */
#ifndef SVR_CUDA_CUDA_GEMM_H
#define SVR_CUDA_CUDA_GEMM_H

#include "cuda_internal.h"

#ifdef __cplusplus
extern "C" {
#endif

/* y = residual + gate * act(x w^T + b): svr_linear_args without its promise that x and y are dense
 * activations.   x [M,K], w [N,K] storage of one type, b, gate [N] F32 optional, residual [M,N]
 * optional, y [M,N]; y F32 with 16-bit x is allowed.  x and w I8, or from compute capability 8.9
 * on F8_E4M3, with x_scale [M] and w_scale [N] F32 (y: any storage type). */
typedef struct svr_gemm {
    svr_tensor x, w, b, gate, residual, y;
    svr_tensor x_scale, w_scale;
    svr_activation activation;
    float alpha;       /* factor of the product; 0 counts as 1 */
    bool w_transposed; /* w is [K,N] */
} svr_gemm;

size_t svr_cuda_gemm_workspace(svr_cuda_backend *b, const svr_gemm *gemm);

SVR_CHECKED svr_status svr_cuda_gemm_run(svr_exec *exec, const svr_gemm *gemm, void *workspace,
                                         svr_error *err);

/* Products and what follows them in one kernel (kernels/gemm_hopper.cu): whether it can, linear,
 * and y = silu(gate's product) * (up's product), where both share x and y, which is 16-bit. */
bool svr_cuda_gemm_fused_serves(const svr_cuda_backend *b, const svr_gemm *gemm);

SVR_CHECKED svr_status svr_cuda_gemm_fused_run(svr_exec *exec, const svr_gemm *gemm,
                                               svr_error *err);

SVR_CHECKED svr_status svr_cuda_gemm_swiglu_run(svr_exec *exec, const svr_gemm *gate,
                                                const svr_gemm *up, svr_error *err);

/* out = scale[n] * w[n,k], rounded once: w [N,K] I8 or F8_E4M3, scale [N] F32, out [N,K] storage
 * (kernels/dequantize.cu). */
SVR_CHECKED svr_status svr_cuda_dequantize_rows(cudaStream_t stream, const svr_tensor *w,
                                                const svr_tensor *scale, const svr_tensor *out,
                                                svr_error *err);

/* Kernels that finish a product (kernels/linear.cu). */

/* dst[i] = src[i] as `dtype`. */
SVR_CHECKED svr_status svr_cuda_convert_vector(cudaStream_t stream, const float *src, void *dst,
                                               svr_dtype dtype, int64_t n, svr_error *err);

/* y = residual + gate * act(product + b), product [M,N] in its own type; where there are scales it
 * is multiplied by x_scale[m] * w_scale[n] first. */
SVR_CHECKED svr_status svr_cuda_finish_gemm(cudaStream_t stream, const svr_gemm *gemm,
                                            const svr_tensor *product, svr_error *err);

#ifdef __cplusplus
}
#endif
#endif
