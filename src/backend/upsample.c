#include "backend/upsample.h"

#include "base/checked.h"

enum { ALIGN_BYTES = 256 };

/* Where the parts of the workspace lie. */
typedef struct plan {
    svr_tensor shuffled; /* [frames before + T', 2H, 2W, M] */
    int64_t before;      /* frames of head after the shuffle */
    svr_tensor widened;  /* [1, H, W, 4*tz*M] */
    void *rest;          /* workspace of the convolutions */
} plan;

static plan plan_of(const svr_upsample_conv3d_args *args, void *workspace)
{
    const int64_t *x = args->x.dims, *y = args->y.dims;
    unsigned char *at = workspace;
    plan p = {.before = svr_tensor_present(&args->head) ? args->head.dims[0] * args->tz : 0};

    if (args->head_starts) /* the clip's frame 0 has no second half */
        p.before = 1;

    p.shuffled = svr_tensor_4d(at, args->x.dtype, p.before + y[0], y[1], y[2], args->w.dims[4]);
    at += svr_align_up(svr_tensor_bytes(&p.shuffled), ALIGN_BYTES);
    p.widened = svr_tensor_4d(at, args->x.dtype, 1, x[1], x[2], args->up.dims[0]);
    p.rest = at + svr_align_up(svr_tensor_bytes(&p.widened), ALIGN_BYTES);
    return p;
}

static svr_conv3d_args widening(const svr_upsample_conv3d_args *args, const plan *p)
{
    return (svr_conv3d_args){.x = svr_tensor_slice(&args->x, 0, 1),
                             .w = args->up,
                             .b = args->up_b,
                             .y = p->widened,
                             .stride_t = 1,
                             .stride_s = 1};
}

static svr_conv3d_args convolution(const svr_upsample_conv3d_args *args, const plan *p)
{
    svr_conv3d_args conv = {.x = svr_tensor_slice(&p->shuffled, p->before, args->y.dims[0]),
                            .w = args->w,
                            .b = args->b,
                            .y = args->y,
                            .moments = args->moments,
                            .stride_t = 1,
                            .stride_s = 1,
                            .pad_top = 1,
                            .pad_bottom = 1,
                            .pad_left = 1,
                            .pad_right = 1,
                            .head_starts = args->head_starts};

    if (p->before > 0)
        conv.head = svr_tensor_slice(&p->shuffled, 0, p->before);
    return conv;
}

static size_t conv_bytes(svr_backend *backend, const svr_conv3d_args *args)
{
    return backend->ops->conv3d_workspace ? backend->ops->conv3d_workspace(backend, args) : 0;
}

size_t svr_upsample_plain_workspace(svr_backend *backend, const svr_upsample_conv3d_args *args)
{
    unsigned char *anywhere = args->y.data; /* only sizes are read */
    plan p = plan_of(args, anywhere);
    svr_conv3d_args widen = widening(args, &p), conv = convolution(args, &p);
    size_t a = conv_bytes(backend, &widen), b = conv_bytes(backend, &conv);

    return (size_t) ((unsigned char *) p.rest - anywhere) + (a > b ? a : b);
}

/* Frames of x to frames of p->shuffled from `to` on; at the clip's start the second is dropped. */
static svr_status shuffle_frames(svr_exec *exec, const svr_upsample_conv3d_args *args,
                                 const plan *p, const svr_tensor *x, int64_t to, svr_error *err)
{
    const svr_ops *ops = exec->backend->ops;
    bool starts = args->head_starts || !svr_tensor_present(&args->head);

    for (int64_t i = 0; i < x->dims[0]; i++) {
        bool drop = args->tz == 2 && starts && to == 0;
        int64_t frames = args->tz - drop;
        svr_conv3d_args widen = widening(args, p);
        svr_depth_to_space_args shuffle = {.x = p->widened,
                                           .y = svr_tensor_slice(&p->shuffled, to, frames),
                                           .tz = args->tz,
                                           .drop_second = drop};

        widen.x = svr_tensor_slice(x, i, 1);
        SVR_TRY(svr_exec_poll(exec, err));
        SVR_TRY(ops->conv3d(exec, &widen, p->rest, err));
        SVR_TRY(ops->depth_to_space(exec, &shuffle, NULL, err));
        to += frames;
    }
    return SVR_OK;
}

svr_status svr_upsample_plain(svr_exec *exec, const svr_upsample_conv3d_args *args, void *workspace,
                              svr_error *err)
{
    plan p = plan_of(args, workspace);
    svr_conv3d_args conv = convolution(args, &p);

    if (p.before > 0)
        SVR_TRY(shuffle_frames(exec, args, &p, &args->head, 0, err));
    SVR_TRY(shuffle_frames(exec, args, &p, &args->x, p.before, err));
    return exec->backend->ops->conv3d(exec, &conv, p.rest, err);
}
