/* The first step of a resnet that narrows, in bands of rows, for a sweep of that step alone whose
 * carried frames would be too large: nothing is carried.  Each band of an output frame reads its
 * rows of three parked frames, one more at either side, and normalises them by the statistics of
 * whole frames, which are known; so it is the same arithmetic, at three times the traffic. */
#include "vae/vae_internal.h"

#include "base/checked.h"

enum { BANDS = 16, FRAMES = 3 };

/* Output rows [first, end) of frame t and the input rows [low, high) that they read. */
typedef struct band {
    int64_t t, first, end, low, high;
} band;

typedef struct band_input {
    svr_tensor x; /* [frames up to t, rows, W, C] */
    svr_mark came;
} band_input;

static band band_of(int64_t t, int64_t first, int64_t height)
{
    int64_t end = svr_min_i64(height, first + svr_ceil_div(height, BANDS));

    return (band){t, first, end, svr_max_i64(0, first - 1), svr_min_i64(height, end + 1)};
}

/* Rows [first, end) of a frame [1,H,W,C]. */
static svr_tensor rows_of(const svr_tensor *frame, int64_t first, int64_t end)
{
    svr_tensor rows = *frame;
    size_t row = svr_tensor_bytes(frame) / (size_t) frame->dims[1];

    rows.data = (char *) frame->data + (size_t) first * row;
    rows.dims[1] = end - first;
    return rows;
}

/* Begins to bring a band's rows in. */
static svr_status fetch(vae_pass *p, const band *b, band_input *in, svr_error *err)
{
    svr_backend *backend = p->run->exec->backend;
    const svr_tensor *frames = p->source.host_x;
    const int64_t *d = frames[b->t].dims;
    int64_t count = svr_min_i64(b->t + 1, FRAMES);

    SVR_TRY(svr_exec_alloc(p->run->exec, p->run->storage,
                           SVR_DIMS(count, b->high - b->low, d[2], d[3]), &in->x, err));
    SVR_TRY(svr_backend_order(backend, SVR_QUEUE_COMPUTE, SVR_QUEUE_IN, err));
    for (int64_t i = 0; i < count; i++) {
        svr_tensor to = svr_tensor_slice(&in->x, i, 1);
        svr_tensor from = rows_of(&frames[b->t - count + 1 + i], b->low, b->high);

        SVR_TRY(svr_backend_copy_in(backend, to.data, from.data, svr_tensor_bytes(&from), err));
    }
    return svr_backend_mark(backend, SVR_QUEUE_IN, &in->came, err);
}

static svr_status normalise(vae_pass *p, const vae_norm *norm, const band *b, const svr_tensor *x,
                            svr_error *err)
{
    const svr_store *store = p->run->vae->store;
    svr_group_norm_args args = {
        .x = *x,
        .gamma = svr_store_tensor(store, norm->gamma),
        .beta = svr_store_tensor(store, norm->beta),
        .moments = svr_tensor_slice(&p->source.moments, b->t + 1 - x->dims[0], x->dims[0]),
        .y = *x,
        .groups = p->run->vae->config.norm_groups,
        .eps = p->run->vae->config.eps,
        .activation = SVR_ACT_SILU,
    };

    return svr_op_group_norm(p->run->exec, &args, err);
}

/* Rows of h = conv1 of all frames of x, as history and input of frame t. */
static svr_status convolve(vae_pass *p, const vae_conv *conv, const band *b, const svr_tensor *x,
                           const svr_tensor *h, svr_error *err)
{
    const svr_store *store = p->run->vae->store;
    int64_t before = x->dims[0] - 1;
    svr_conv3d_args args = {
        .x = svr_tensor_slice(x, before, 1),
        .w = svr_store_tensor(store, conv->weight),
        .b = svr_store_tensor(store, conv->bias),
        .y = rows_of(h, b->first, b->end),
        .stride_t = 1,
        .stride_s = 1,
        .pad_top = b->low == b->first,
        .pad_bottom = b->high == b->end,
        .pad_left = 1,
        .pad_right = 1,
        .head_starts = before == 1,
    };

    if (before > 0)
        args.head = svr_tensor_slice(x, 0, before);
    return svr_op_conv3d(p->run->exec, &args, err);
}

/* One band of both results, from rows that have come. */
static svr_status compute(vae_pass *p, const vae_resnet *r, const band *b, const svr_tensor *x,
                          const vae_frames *y, svr_error *err)
{
    svr_tensor now = svr_tensor_slice(x, x->dims[0] - 1, 1);
    vae_input raw = {.x = rows_of(&now, b->first - b->low, b->end - b->low)};
    svr_tensor residual = rows_of(&y->residual, b->first, b->end);

    SVR_TRY(svr_exec_poll(p->run->exec, err));
    SVR_TRY(svr_vae_conv(p->run, &r->shortcut, &raw, NULL, &residual, err));
    SVR_TRY(normalise(p, &r->norm1, b, x, err));
    return convolve(p, &r->conv1, b, x, &y->x, err);
}

svr_status svr_vae_open_in_bands(vae_pass *p, const vae_resnet *r, int64_t t, vae_frames *y,
                                 svr_error *err)
{
    svr_exec *exec = p->run->exec;
    const int64_t *d = p->source.host_x[t].dims;
    band b = band_of(t, 0, d[1]);
    band_input in, next = {0};

    SVR_TRY(svr_exec_alloc(exec, p->run->storage, SVR_DIMS(1, d[1], d[2], r->shortcut.out),
                           &y->residual, err));
    SVR_TRY(
        svr_exec_alloc(exec, p->run->storage, SVR_DIMS(1, d[1], d[2], r->conv1.out), &y->x, err));
    SVR_TRY(fetch(p, &b, &next, err));
    for (bool more = true; more;) {
        band following = band_of(t, b.end, d[1]);

        in = next;
        more = b.end < d[1];
        if (more)
            SVR_TRY(fetch(p, &following, &next, err));
        SVR_TRY(svr_backend_follow(exec->backend, SVR_QUEUE_COMPUTE, in.came, err));
        SVR_TRY(compute(p, r, &b, &in.x, y, err));
        svr_exec_free(exec, &in.x);
        b = following;
    }
    return SVR_OK;
}
