#include "cuda_conv.h"

#include "base/checked.h"
#include "cuda_conv_choice.h"
#include "cuda_gemm.h"

#include <limits.h>

enum { ALIGN_BYTES = 256 };

/* ---- what cuDNN can be asked for */

static bool is_aligned(const svr_tensor *t)
{
    return (uintptr_t) t->data % 16 == 0;
}

/* cuDNN indexes with 32 bits. */
static bool is_small(const int64_t *dims, int rank)
{
    int64_t elems = 1;

    for (int i = 0; i < rank; i++)
        if (dims[i] <= 0 || (elems *= dims[i]) > INT_MAX)
            return false;
    return true;
}

/* Products of 1x1x1 kernels go to cuBLASLt. */
static bool has_taps(const svr_conv3d_args *args)
{
    return args->w.dims[1] * args->w.dims[2] * args->w.dims[3] > 1;
}

static bool has_types(const svr_conv3d_args *args)
{
    return args->x.dtype != SVR_F32 && args->w.dtype == args->x.dtype &&
           args->y.dtype == args->x.dtype;
}

/* The own kernel that makes the clip's first frames may read a history in place; else it is
 * gathered. */
static bool is_start_aligned(const svr_conv3d_args *args)
{
    return !args->head_starts || is_aligned(&args->head);
}

bool svr_cuda_conv3d_dnn_serves(const svr_conv3d_args *args, svr_cuda_dnn_conv *conv)
{
    const int64_t *x = args->x.dims, *w = args->w.dims, *y = args->y.dims;
    int64_t frames = y[0] - svr_cuda_conv3d_repeated(args);

    *conv = (svr_cuda_dnn_conv){.dtype = args->x.dtype,
                                .x = {(frames - 1) * args->stride_t + w[1], x[1], x[2], x[3]},
                                .w = {w[0], w[1], w[2], w[3], w[4]},
                                .y = {frames, y[1], y[2], y[3]},
                                .stride_t = args->stride_t,
                                .stride_s = args->stride_s,
                                .pad_top = args->pad_top,
                                .pad_bottom = args->pad_bottom,
                                .pad_left = args->pad_left,
                                .pad_right = args->pad_right,
                                .residual = svr_tensor_present(&args->residual)};
    return has_types(args) && has_taps(args) && frames > 0 && w[0] % 8 == 0 && w[4] % 8 == 0 &&
           is_aligned(&args->x) && is_aligned(&args->w) && is_aligned(&args->y) &&
           is_aligned(&args->residual) && is_start_aligned(args) && is_small(conv->x, 4) &&
           is_small(conv->w, 5) && is_small(conv->y, 4);
}

/* ---- the way through cuDNN */

/* Parts of the workspace, as offsets. */
typedef struct layout {
    size_t gathered; /* head, recent and x in one piece, where there are frames in front of x */
    size_t bias, own, end;
} layout;

/* cuDNN's part comes first.  The summed weights of the first frames are dead when it starts, but
 * sharing their place would save little: clips start once. */
static layout layout_of(const svr_conv3d_args *args, svr_cuda_conv_plan plan)
{
    size_t pixel = (size_t) (args->x.dims[1] * args->x.dims[2] * args->x.dims[3]) *
                   svr_dtype_size(args->x.dtype);
    int64_t before = args->head_starts ? 1 : svr_conv3d_before(args);
    size_t frames = before > 0 ? (size_t) (before + args->x.dims[0]) : 0;
    size_t start = svr_cuda_conv3d_repeated(args) > 0 ? svr_tensor_bytes(&args->w) : 0;
    layout l;

    l.gathered = svr_align_up(svr_cuda_dnn_plan_workspace(plan.shape, plan.index), ALIGN_BYTES);
    l.bias = l.gathered + svr_align_up(frames * pixel, ALIGN_BYTES);
    l.own = l.bias +
            svr_align_up((size_t) args->w.dims[0] * svr_dtype_size(args->x.dtype), ALIGN_BYTES);
    l.end = l.own + svr_align_up(start, ALIGN_BYTES);
    return l;
}

size_t svr_cuda_conv3d_dnn_workspace(const svr_conv3d_args *args, svr_cuda_conv_plan plan)
{
    size_t moments = 0;

    if (svr_tensor_present(&args->moments))
        moments = svr_cuda_moments_workspace(&args->y, (int) args->moments.dims[1]);
    return layout_of(args, plan).end + moments;
}

/* Copies head, recent and x to one piece. */
static svr_status gather(cudaStream_t stream, const svr_conv3d_args *args, char *to, svr_error *err)
{
    const svr_tensor *const parts[] = {&args->head, &args->recent, &args->x};

    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        size_t bytes = svr_tensor_present(parts[i]) ? svr_tensor_bytes(parts[i]) : 0;

        if (bytes == 0)
            continue;
        SVR_TRY(svr_cuda_check(
            cudaMemcpyAsync(to, parts[i]->data, bytes, cudaMemcpyDeviceToDevice, stream),
            "conv3d, gathering frames", err));
        to += bytes;
    }
    return SVR_OK;
}

/* The bias in the storage type; zeros where there is none. */
static svr_status convert_bias(cudaStream_t stream, const svr_conv3d_args *args, void *to,
                               svr_error *err)
{
    int64_t n = args->w.dims[0];

    if (svr_tensor_present(&args->b))
        return svr_cuda_convert_vector(stream, args->b.data, to, args->x.dtype, n, err);
    return svr_cuda_check(
        cudaMemsetAsync(to, 0, (size_t) n * svr_dtype_size(args->x.dtype), stream),
        "conv3d, empty bias", err);
}

/* The frames behind the repeated ones, which see no frame in front of head or x. */
static svr_status run_rest(svr_exec *exec, const svr_conv3d_args *args, svr_cuda_conv_plan plan,
                           char *workspace, svr_error *err)
{
    cudaStream_t stream = svr_cuda_of(exec)->stream;
    layout l = layout_of(args, plan);
    int repeated = svr_cuda_conv3d_repeated(args);
    /* without head, output frame j sees input frames from j * stride - (kt - 1) on */
    int64_t first = svr_tensor_present(&args->head)
                        ? 0
                        : (int64_t) repeated * args->stride_t - (args->w.dims[1] - 1);
    svr_tensor x = svr_tensor_slice(&args->x, first, args->x.dims[0] - first);
    svr_tensor y = svr_tensor_slice(&args->y, repeated, args->y.dims[0] - repeated);
    svr_cuda_dnn_operands operands = {.x = x.data,
                                      .w = args->w.data,
                                      .bias = workspace + l.bias,
                                      .y = y.data,
                                      .workspace = workspace};

    if (l.bias > l.gathered) {
        SVR_TRY(gather(stream, args, workspace + l.gathered, err));
        operands.x = workspace + l.gathered;
    }
    if (svr_tensor_present(&args->residual))
        operands.residual = svr_tensor_slice(&args->residual, repeated, y.dims[0]).data;
    SVR_TRY(convert_bias(stream, args, workspace + l.bias, err));
    SVR_TRY(svr_cuda_dnn_run(plan.shape, plan.index, &operands, err));
    return svr_cuda_pace(exec,
                         2.0 * (double) svr_tensor_elems(&y) *
                             (double) (svr_tensor_elems(&args->w) / args->w.dims[0]),
                         err);
}

svr_status svr_cuda_conv3d_dnn(svr_exec *exec, const svr_conv3d_args *args, svr_cuda_conv_plan plan,
                               void *workspace, svr_error *err)
{
    SVR_TRY(svr_cuda_conv3d_start(exec, args, (char *) workspace + layout_of(args, plan).own, err));
    SVR_TRY(run_rest(exec, args, plan, workspace, err));
    if (!svr_tensor_present(&args->moments))
        return SVR_OK;
    return svr_cuda_moments(exec, &args->y, &args->moments,
                            (char *) workspace + layout_of(args, plan).end, err);
}

/* ---- the op */

size_t svr_cuda_conv3d_workspace(svr_backend *backend, const svr_conv3d_args *args)
{
    svr_cuda_backend *b = (svr_cuda_backend *) backend;
    svr_cuda_conv_plan plan;

    if (svr_cuda_conv_choose(b, args, &plan))
        return svr_cuda_conv3d_dnn_workspace(args, plan);
    return svr_cuda_conv3d_own_workspace(b, args);
}

svr_status svr_cuda_conv3d(svr_exec *exec, const svr_conv3d_args *args, void *workspace,
                           svr_error *err)
{
    svr_cuda_conv_plan plan;

    if (svr_cuda_conv_choose(svr_cuda_of(exec), args, &plan))
        return svr_cuda_conv3d_dnn(exec, args, plan, workspace, err);
    return svr_cuda_conv3d_own(exec, args, workspace, err);
}
