/* The first step of a resnet that narrows, in bands of rows, for a sweep of that step alone whose
 * carried frames would be too large: nothing is carried.  Each band of an output frame reads its
 * rows of three parked frames, one more at either side, and normalises them by the statistics of
 * whole frames, which are known; so it is the same arithmetic, at three times the traffic. */
#include "vae/vae_pass.h"

#include "backend/ops.h"
#include "base/checked.h"
#include "vae/vae_steps.h"

enum { BANDS = 16, FRAMES = 3 };

/* Output rows [first, end) of frame t and the input rows [low, high) that they read. */
typedef struct band {
    int64_t t, first, end, low, high;
} band;

typedef struct band_input {
    svr_tensor x;        /* [frames up to t, rows, W, C], or packed */
    vae_packing packing; /* of these rows */
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

/* Brings rows [low, high) of a packed frame in: some of its numbers, and their scales. */
static svr_status copy_packed_rows(vae_pass *p, const band *b, const svr_tensor *frame,
                                   const band_input *in, const svr_tensor *to, svr_error *err)
{
    svr_backend *backend = p->run->exec->backend;
    int64_t rows = b->high - b->low;
    const vae_packed from = svr_vae_packed(&p->source.packing[0], frame, b->low, rows);
    const vae_packed there = svr_vae_packed(&in->packing, to, 0, rows);

    SVR_TRY(svr_backend_copy_in(backend, there.values.data, from.values.data,
                                svr_tensor_bytes(&there.values), err));
    return svr_backend_copy_in(backend, there.scales.data, from.scales.data,
                               svr_tensor_bytes(&there.scales), err);
}

/* Brings the band's rows of a parked frame in. */
static svr_status copy_rows(vae_pass *p, const band *b, const svr_tensor *frame,
                            const band_input *in, const svr_tensor *to, svr_error *err)
{
    svr_tensor from;

    if (in->packing.type != SVR_F32)
        return copy_packed_rows(p, b, frame, in, to, err);
    from = rows_of(frame, b->low, b->high);
    return svr_backend_copy_in(p->run->exec->backend, to->data, from.data, svr_tensor_bytes(&from),
                               err);
}

/* Sizes of a band's input. */
static void input_dims(const vae_pass *p, const band *b, int64_t out[4])
{
    const int64_t *d = p->source.dims[0];

    out[0] = svr_min_i64(b->t + 1, FRAMES);
    out[1] = b->high - b->low;
    out[2] = d[2];
    out[3] = d[3];
}

/* Begins to bring a band's rows in. */
static svr_status fetch(vae_pass *p, const band *b, band_input *in, svr_error *err)
{
    svr_exec *exec = p->run->exec;
    int64_t d[4];

    input_dims(p, b, d);
    in->packing = svr_vae_packing(p->source.packing[0].type, p->run->storage, d);
    SVR_TRY(svr_vae_take_parked(p->run, &in->packing, d, d[0], &in->x, err));
    SVR_TRY(svr_backend_order(exec->backend, SVR_QUEUE_COMPUTE, SVR_QUEUE_IN, err));
    for (int64_t i = 0; i < d[0]; i++) {
        svr_tensor to = svr_tensor_slice(&in->x, i, 1);

        SVR_TRY(copy_rows(p, b, &p->source.host_x[b->t - d[0] + 1 + i], in, &to, err));
    }
    return svr_backend_mark(exec->backend, SVR_QUEUE_IN, &in->came, err);
}

/* x = the input as it was. */
static svr_status arrive(vae_pass *p, const band *b, band_input *in, svr_tensor *x, svr_error *err)
{
    svr_exec *exec = p->run->exec;
    int64_t d[4];

    SVR_TRY(svr_backend_follow(exec->backend, SVR_QUEUE_COMPUTE, in->came, err));
    *x = in->x;
    if (in->packing.type == SVR_F32)
        return SVR_OK;
    input_dims(p, b, d);
    SVR_TRY(svr_exec_alloc(exec, p->run->storage, 4, d, x, err));
    SVR_TRY(svr_vae_unpack(p->run, &in->packing, &in->x, x, err));
    svr_exec_free(exec, &in->x);
    return SVR_OK;
}

static svr_status normalise(vae_pass *p, const vae_norm *norm, const band *b, const svr_tensor *x,
                            svr_error *err)
{
    svr_group_norm_args args = svr_vae_norm_args(p->run, norm, x, x);

    args.moments = svr_tensor_slice(&p->source.moments, b->t + 1 - x->dims[0], x->dims[0]);
    args.activation = SVR_ACT_SILU;
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
    const int64_t *d = p->source.dims[0];
    band b = band_of(t, 0, d[1]);
    band_input in, next = {0};

    SVR_TRY(svr_exec_alloc(exec, p->run->storage, SVR_DIMS(1, d[1], d[2], r->shortcut.out),
                           &y->residual, err));
    SVR_TRY(
        svr_exec_alloc(exec, p->run->storage, SVR_DIMS(1, d[1], d[2], r->conv1.out), &y->x, err));
    SVR_TRY(fetch(p, &b, &next, err));
    for (bool more = true; more;) {
        band following = band_of(t, b.end, d[1]);
        svr_tensor x;

        in = next;
        more = b.end < d[1];
        if (more)
            SVR_TRY(fetch(p, &following, &next, err));
        SVR_TRY(arrive(p, &b, &in, &x, err));
        SVR_TRY(compute(p, r, &b, &x, y, err));
        svr_exec_free(exec, &x);
        b = following;
    }
    return SVR_OK;
}
