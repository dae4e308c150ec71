/* 3-D convolutions through cuDNN 9, opened at run time where it is installed.
 *
 * The module links to no cuDNN and works without; cuda_dnn_none.c takes the place of the other
 * cuda_dnn files where its headers were not there at build time.  A convolution is a graph: the
 * products, plus the residual, plus the bias in the storage type (cuDNN fuses no F32 bias).
 * Level 2.  Thread: the one that computes. */
#ifndef SVR_CUDA_CUDA_DNN_H
#define SVR_CUDA_CUDA_DNN_H

#include "base/dtype.h"
#include "base/log.h"

#include <cuda_runtime_api.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* cuDNN's own workspace stays below this, or a plan is not taken: some ask for gigabytes. */
enum { SVR_CUDA_DNN_WORKSPACE_BYTES = 32 << 20 };

typedef struct svr_cuda_dnn svr_cuda_dnn;

/* x [T,H,W,C], w [K,kt,kh,kw,C], y [T',H',W',K], all dense, of one 16-bit type, at multiples of 16
 * bytes, C and K multiples of 8, fewer than 2^31 elements each.  T' takes no padding in time. */
typedef struct svr_cuda_dnn_conv {
    svr_dtype dtype;
    int64_t x[4], w[5], y[4];
    int64_t stride_t, stride_s;
    int64_t pad_top, pad_bottom, pad_left, pad_right;
    bool residual; /* one like y is added */
} svr_cuda_dnn_conv;

typedef struct svr_cuda_dnn_operands {
    const void *x, *w, *bias, *residual; /* bias [K] of the storage type; residual may be y */
    void *y, *workspace;
} svr_cuda_dnn_operands;

/* A convolution as cuDNN can run it: in one or more ways, called plans, best guess first. */
typedef struct svr_cuda_dnn_shape svr_cuda_dnn_shape;

/* `log` is borrowed.  Errors: NO_DEVICE where it is not installed, too old or will not start, with
 * what to do. */
SVR_CHECKED svr_status svr_cuda_dnn_open(int device, cudaStream_t stream, const svr_log *log,
                                         svr_cuda_dnn **out, svr_error *err);

/* Accepts NULL. */
void svr_cuda_dnn_close(svr_cuda_dnn *dnn);

/* 10000 * major + 100 * minor + patch. */
int svr_cuda_dnn_version(const svr_cuda_dnn *dnn);

/* The plans for a shape that run on tensor cores with F32 sums, give the same bits every time, need
 * no compiler at run time and little workspace, at most `most`; the same list on every call.  The
 * caller owns *out, which must go before `dnn`.  Errors: UNSUPPORTED when there is none, NO_MEM. */
SVR_CHECKED svr_status svr_cuda_dnn_shape_create(svr_cuda_dnn *dnn, const svr_cuda_dnn_conv *conv,
                                                 int most, svr_cuda_dnn_shape **out,
                                                 svr_error *err);

/* Accepts NULL. */
void svr_cuda_dnn_shape_destroy(svr_cuda_dnn_shape *shape);

int svr_cuda_dnn_plans(const svr_cuda_dnn_shape *shape);

/* cuDNN's number of the engine behind a plan. */
int64_t svr_cuda_dnn_plan_engine(const svr_cuda_dnn_shape *shape, int plan);

/* At most SVR_CUDA_DNN_WORKSPACE_BYTES. */
size_t svr_cuda_dnn_plan_workspace(const svr_cuda_dnn_shape *shape, int plan);

/* Asynchronous on the stream.  Errors: DEVICE. */
SVR_CHECKED svr_status svr_cuda_dnn_run(const svr_cuda_dnn_shape *shape, int plan,
                                        const svr_cuda_dnn_operands *operands, svr_error *err);

#ifdef __cplusplus
}
#endif
#endif
