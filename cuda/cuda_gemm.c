#include "cuda_gemm.h"

#include <string.h>

/* Quantised products without a kernel of their own go in slabs of rows through sums of 32 bits, so
 * that they need little memory. */
enum { BLAS_WORKSPACE_BYTES = 32 << 20, BIAS_ALIGN = 256, SLAB_ROWS = 2048, F8_CAPABILITY = 89 };

static cudaDataType_t data_type(svr_dtype dtype)
{
    return dtype == SVR_F16       ? CUDA_R_16F
           : dtype == SVR_BF16    ? CUDA_R_16BF
           : dtype == SVR_F8_E4M3 ? CUDA_R_8F_E4M3
           : dtype == SVR_I8      ? CUDA_R_8I
           : dtype == SVR_I32     ? CUDA_R_32I
                                  : CUDA_R_32F;
}

static bool is_quantized(const svr_gemm *g)
{
    return g->x.dtype == SVR_F8_E4M3 || g->x.dtype == SVR_I8;
}

static int64_t slab_rows(const svr_gemm *g)
{
    return g->y.dims[0] < SLAB_ROWS ? g->y.dims[0] : SLAB_ROWS;
}

/* True when cuBLASLt alone can write y: bias and GELU are epilogues, the rest needs a kernel.  Its
 * GELU is exact to 16 bits, not to F32. */
static bool is_plain(const svr_gemm *g)
{
    return !svr_tensor_present(&g->gate) && !svr_tensor_present(&g->residual) &&
           (g->activation == SVR_ACT_NONE ||
            (g->activation == SVR_ACT_GELU_TANH && g->y.dtype != SVR_F32));
}

static size_t bias_bytes(const svr_gemm *g)
{
    size_t n = (size_t) g->y.dims[1] * svr_dtype_size(g->y.dtype);

    return (n + BIAS_ALIGN - 1) / BIAS_ALIGN * BIAS_ALIGN;
}

size_t svr_cuda_gemm_workspace(svr_cuda_backend *b, const svr_gemm *g)
{
    if (!is_quantized(g) && is_plain(g))
        return BLAS_WORKSPACE_BYTES + bias_bytes(g);
    if (svr_cuda_gemm_fused_serves(b, g))
        return 0;
    if (is_quantized(g))
        return BLAS_WORKSPACE_BYTES + (size_t) (slab_rows(g) * g->y.dims[1]) * sizeof(float);
    return BLAS_WORKSPACE_BYTES + (size_t) svr_tensor_elems(&g->y) * svr_dtype_size(g->x.dtype);
}

/* The descriptors of one product; all optional until made. */
typedef struct plan {
    cublasLtMatmulDesc_t operation;
    cublasLtMatrixLayout_t w, x, y;
    cublasLtMatmulPreference_t preference;
} plan;

static void plan_finish(plan *p)
{
    if (p->preference)
        (void) cublasLtMatmulPreferenceDestroy(p->preference);
    if (p->y)
        (void) cublasLtMatrixLayoutDestroy(p->y);
    if (p->x)
        (void) cublasLtMatrixLayoutDestroy(p->x);
    if (p->w)
        (void) cublasLtMatrixLayoutDestroy(p->w);
    if (p->operation)
        (void) cublasLtMatmulDescDestroy(p->operation);
}

static svr_status blas_check(cublasStatus_t status, svr_error *err)
{
    if (status == CUBLAS_STATUS_SUCCESS)
        return SVR_OK;
    return SVR_FAIL(err, SVR_ERR_DEVICE, "cuBLASLt failed: %s", cublasLtGetStatusString(status));
}

static svr_status set_epilogue(plan *p, const svr_gemm *g, const void *bias, svr_error *err)
{
    cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;

    if (bias)
        epilogue = g->activation == SVR_ACT_GELU_TANH ? CUBLASLT_EPILOGUE_GELU_BIAS
                                                      : CUBLASLT_EPILOGUE_BIAS;
    else if (g->activation == SVR_ACT_GELU_TANH)
        epilogue = CUBLASLT_EPILOGUE_GELU;
    if (bias)
        SVR_TRY(blas_check(cublasLtMatmulDescSetAttribute(
                               p->operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias),
                           err));
    return blas_check(cublasLtMatmulDescSetAttribute(p->operation, CUBLASLT_MATMUL_DESC_EPILOGUE,
                                                     &epilogue, sizeof epilogue),
                      err);
}

/* Algorithms are chosen for what an address allows. */
static svr_status set_alignment(plan *p, cublasLtMatmulPreferenceAttributes_t which,
                                const void *address, svr_error *err)
{
    uint32_t alignment = 256;

    while ((uintptr_t) address % alignment != 0)
        alignment /= 2;
    return blas_check(
        cublasLtMatmulPreferenceSetAttribute(p->preference, which, &alignment, sizeof alignment),
        err);
}

static bool sums_integers(const svr_tensor *y)
{
    return y->dtype == SVR_I32;
}

/* Row-major y [M,N] = x w^T is column-major y^T [N,M] = w^T' x^T. */
static svr_status plan_init(plan *p, const svr_gemm *g, const svr_tensor *y, svr_error *err)
{
    cublasOperation_t transpose = g->w_transposed ? CUBLAS_OP_N : CUBLAS_OP_T;
    size_t workspace = BLAS_WORKSPACE_BYTES;
    uint64_t m = (uint64_t) g->x.dims[0], k = (uint64_t) g->x.dims[1], n = (uint64_t) g->y.dims[1];
    const void *out = y->data;
    uint64_t rows = g->w_transposed ? n : k, columns = g->w_transposed ? k : n;

    SVR_TRY(blas_check(
        cublasLtMatmulDescCreate(&p->operation,
                                 sums_integers(y) ? CUBLAS_COMPUTE_32I : CUBLAS_COMPUTE_32F,
                                 sums_integers(y) ? CUDA_R_32I : CUDA_R_32F),
        err));
    SVR_TRY(blas_check(cublasLtMatmulDescSetAttribute(p->operation, CUBLASLT_MATMUL_DESC_TRANSA,
                                                      &transpose, sizeof transpose),
                       err));
    SVR_TRY(blas_check(
        cublasLtMatrixLayoutCreate(&p->w, data_type(g->w.dtype), rows, columns, (int64_t) rows),
        err));
    SVR_TRY(blas_check(cublasLtMatrixLayoutCreate(&p->x, data_type(g->x.dtype), k, m, (int64_t) k),
                       err));
    SVR_TRY(
        blas_check(cublasLtMatrixLayoutCreate(&p->y, data_type(y->dtype), n, m, (int64_t) n), err));
    SVR_TRY(blas_check(cublasLtMatmulPreferenceCreate(&p->preference), err));
    SVR_TRY(set_alignment(p, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, g->w.data, err));
    SVR_TRY(set_alignment(p, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, g->x.data, err));
    SVR_TRY(set_alignment(p, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, out, err));
    SVR_TRY(set_alignment(p, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, out, err));
    return blas_check(cublasLtMatmulPreferenceSetAttribute(p->preference,
                                                           CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                                           &workspace, sizeof workspace),
                      err);
}

/* The first algorithm that cuBLASLt proposes. */
static svr_status multiply(svr_cuda_backend *b, const svr_gemm *g, plan *p, void *out,
                           void *workspace, svr_error *err)
{
    cublasLtMatmulHeuristicResult_t found;
    const float factor = g->alpha != 0.0f ? g->alpha : 1.0f;
    const int32_t one = 1, zero = 0; /* zero: of both types */
    const void *alpha = g->x.dtype == SVR_I8 ? (const void *) &one : (const void *) &factor;
    cublasStatus_t status;
    int count = 0;

    SVR_TRY(blas_check(cublasLtMatmulAlgoGetHeuristic(b->blas, p->operation, p->w, p->x, p->y, p->y,
                                                      p->preference, 1, &found, &count),
                       err));
    if (count == 0)
        return SVR_FAIL(err, SVR_ERR_UNSUPPORTED, "cuBLASLt has no algorithm for this product");
    status =
        cublasLtMatmul(b->blas, p->operation, alpha, g->w.data, p->w, g->x.data, p->x, &zero, out,
                       p->y, out, p->y, &found.algo, workspace, BLAS_WORKSPACE_BYTES, b->stream);
    if (status == CUBLAS_STATUS_SUCCESS)
        return SVR_OK;
    return svr_cuda_library_failed(b->stream, "cuBLASLt", cublasLtGetStatusString(status), err);
}

static svr_status product(svr_exec *exec, const svr_gemm *g, const svr_tensor *out,
                          const void *bias, void *workspace, svr_error *err)
{
    svr_gemm bare = *g;
    plan p;
    svr_status status;

    memset(&p, 0, sizeof p);
    if (out->data != g->y.data)
        bare.activation = SVR_ACT_NONE;
    status = plan_init(&p, &bare, out, err);
    if (status == SVR_OK)
        status = set_epilogue(&p, &bare, bias, err);
    if (status == SVR_OK)
        status = multiply(svr_cuda_of(exec), &bare, &p, out->data, workspace, err);
    plan_finish(&p);
    return status;
}

/* What cuBLASLt needs for 8 bits; a pointer that is absent counts as aligned. */
static svr_status check_quantized(const svr_cuda_backend *b, const svr_gemm *g, svr_error *err)
{
    const uintptr_t bits = (uintptr_t) g->x.data | (uintptr_t) g->w.data;

    if (g->x.dtype == SVR_F8_E4M3 && b->capability < F8_CAPABILITY)
        return svr_cuda_no_f8(b, err);
    if (g->x.dims[1] % 16 != 0 || g->y.dims[1] % 16 != 0 || bits % 16 != 0)
        return SVR_FAIL(
            err, SVR_ERR_UNSUPPORTED,
            "linear: products of 8 bits need sizes and addresses that are multiples of 16");
    return SVR_OK;
}

static svr_gemm rows_of(const svr_gemm *g, int64_t first, int64_t count)
{
    svr_gemm part = *g;

    part.x = svr_tensor_slice(&g->x, first, count);
    part.x_scale = svr_tensor_slice(&g->x_scale, first, count);
    part.y = svr_tensor_slice(&g->y, first, count);
    if (svr_tensor_present(&g->residual))
        part.residual = svr_tensor_slice(&g->residual, first, count);
    return part;
}

static svr_status run_quantized(svr_exec *exec, const svr_gemm *g, void *workspace, svr_error *err)
{
    svr_cuda_backend *b = svr_cuda_of(exec);
    char *rest = (char *) workspace + BLAS_WORKSPACE_BYTES;
    int64_t rows = g->y.dims[0];

    if (svr_cuda_gemm_fused_serves(b, g))
        return svr_cuda_gemm_fused_run(exec, g, err);
    SVR_TRY(check_quantized(b, g, err));
    for (int64_t first = 0; first < rows; first += SLAB_ROWS) {
        int64_t count = rows - first < SLAB_ROWS ? rows - first : SLAB_ROWS;
        svr_gemm part = rows_of(g, first, count);
        svr_tensor out =
            svr_tensor_2d(rest, g->x.dtype == SVR_I8 ? SVR_I32 : SVR_F32, count, g->y.dims[1]);

        SVR_TRY(product(exec, &part, &out, NULL, workspace, err));
        SVR_TRY(svr_cuda_finish_gemm(b->stream, &part, &out, err));
    }
    return SVR_OK;
}

svr_status svr_cuda_gemm_run(svr_exec *exec, const svr_gemm *g, void *workspace, svr_error *err)
{
    svr_cuda_backend *b = svr_cuda_of(exec);
    char *rest = (char *) workspace + BLAS_WORKSPACE_BYTES;
    double flops = 2.0 * (double) svr_tensor_elems(&g->y) * (double) g->x.dims[1];
    svr_tensor out = g->y;

    if (g->x.dtype != g->w.dtype)
        return SVR_FAIL(err, SVR_ERR_UNSUPPORTED,
                        "linear: x is %s and w is %s, both must be one type",
                        svr_dtype_name(g->x.dtype), svr_dtype_name(g->w.dtype));
    if (is_quantized(g)) {
        SVR_TRY(run_quantized(exec, g, workspace, err));
        return svr_cuda_pace(exec, flops, err);
    }
    if (is_plain(g)) {
        void *bias = svr_tensor_present(&g->b) ? rest : NULL;

        if (bias)
            SVR_TRY(
                svr_cuda_convert_vector(b->stream, g->b.data, bias, g->y.dtype, g->y.dims[1], err));
        SVR_TRY(product(exec, g, &out, bias, workspace, err));
        return svr_cuda_pace(exec, flops, err);
    }
    if (svr_cuda_gemm_fused_serves(b, g)) {
        SVR_TRY(svr_cuda_gemm_fused_run(exec, g, err));
        return svr_cuda_pace(exec, flops, err);
    }
    out = svr_tensor_2d(rest, g->x.dtype, g->y.dims[0], g->y.dims[1]);
    SVR_TRY(product(exec, g, &out, NULL, workspace, err));
    SVR_TRY(svr_cuda_finish_gemm(b->stream, g, &out, err));
    return svr_cuda_pace(exec, flops, err);
}
