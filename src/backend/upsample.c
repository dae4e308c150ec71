/* The picture is computed in bands of rows.  While a band's frames of y are made one behind the
 * other, the shuffled rows of the frames that they read stay in a ring, so only the rows around a
 * band are widened twice. */
#include "backend/upsample.h"

#include "base/checked.h"

enum {
    ALIGN_BYTES = 256,
    READS = 3,    /* frames that a frame of y reads */
    ROW_STEP = 2, /* rows of x: a band of y is then a multiple of 4 rows, as tiles of kernels are */
    KINDS = 3     /* of bands: at the top, inside, at the bottom */
};

/* A source is a frame of head or x.  It makes tz shuffled frames, which are counted through from
 * the first source on, also where the clip's frame 0 makes one that stands for two. */
typedef struct plan {
    const svr_upsample_conv3d_args *args;
    int64_t heads;  /* sources in front of x */
    int64_t rows;   /* of x in a band */
    int64_t slots;  /* sources in the ring */
    size_t slot;    /* bytes of one */
    char *shuffled; /* the ring */
    char *widened;  /* rows of one source */
    char *rest;     /* workspace of the convolutions */
} plan;

/* Rows [first, end) of x and those that they need around them, [top, bottom). */
typedef struct band {
    int64_t first, end, top, bottom;
} band;

/* ---------------------------------------------------------------------------- the plan */

/* Bytes of the shuffled rows that a row of x makes. */
static size_t shuffled_bytes(const svr_upsample_conv3d_args *args)
{
    return (size_t) (4 * (int64_t) args->tz * args->x.dims[2] * args->w.dims[4]) *
           svr_dtype_size(args->x.dtype);
}

/* Rows of a band: all, or what fits with a row above and below. */
static int64_t band_rows(const svr_upsample_conv3d_args *args, int64_t slots, size_t bound)
{
    int64_t fit = (int64_t) (bound / ((size_t) (slots + 1) * shuffled_bytes(args)));

    if (fit >= args->x.dims[1])
        return args->x.dims[1];
    fit -= 2;
    return svr_max_i64(fit >= ROW_STEP ? fit - fit % ROW_STEP : fit, 1);
}

static plan plan_of(const svr_upsample_conv3d_args *args, size_t bound, void *workspace)
{
    plan p = {.args = args, .shuffled = workspace};

    p.heads = svr_tensor_present(&args->head) ? args->head.dims[0] : 0;
    p.slots = svr_min_i64(READS + 1 - args->tz, p.heads + args->x.dims[0]);
    p.rows = band_rows(args, p.slots, bound);
    p.slot = svr_align_up((size_t) svr_min_i64(p.rows + 2, args->x.dims[1]) * shuffled_bytes(args),
                          ALIGN_BYTES);
    p.widened = p.shuffled + (size_t) p.slots * p.slot;
    p.rest = p.widened + p.slot;
    return p;
}

static int64_t band_count(const plan *p)
{
    return svr_ceil_div(p->args->x.dims[1], p->rows);
}

static band band_at(const plan *p, int64_t index)
{
    int64_t H = p->args->x.dims[1], first = index * p->rows, end = svr_min_i64(first + p->rows, H);

    return (band){first, end, svr_max_i64(first - 1, 0), svr_min_i64(end + 1, H)};
}

/* ---------------------------------------------------------------------------- views */

/* Rows [first, end) of a frame. */
static svr_tensor rows_of(const svr_tensor *t, int64_t frame, int64_t first, int64_t end)
{
    size_t row = (size_t) (t->dims[2] * t->dims[3]) * svr_dtype_size(t->dtype);
    char *at = (char *) t->data + (size_t) (frame * t->dims[1] + first) * row;

    return svr_tensor_4d(at, t->dtype, 1, end - first, t->dims[2], t->dims[3]);
}

/* Whether source 0 is the clip's first frame. */
static bool starts(const plan *p)
{
    return p->heads == 0 || p->args->head_starts;
}

/* The clip's first frame with tz 2 has no second half: the first stands for it. */
static bool is_single(const plan *p, int64_t source)
{
    return p->args->tz == 2 && source == 0 && starts(p);
}

/* Rows [2 top, 2 bottom) of what a source makes. */
static svr_tensor shuffled_source(const plan *p, const band *at, int64_t source)
{
    const svr_upsample_conv3d_args *args = p->args;

    return svr_tensor_4d(p->shuffled + (size_t) (source % p->slots) * p->slot, args->x.dtype,
                         args->tz - is_single(p, source), 2 * (at->bottom - at->top),
                         2 * args->x.dims[2], args->w.dims[4]);
}

/* The rows of a shuffled frame that the band of y reads; frames in front of the first repeat it. */
static svr_tensor shuffled_rows(const plan *p, const band *at, int64_t frame)
{
    int64_t tz = p->args->tz, source = svr_max_i64(frame, 0) / tz;
    int64_t half = is_single(p, source) ? 0 : svr_max_i64(frame, 0) % tz;
    svr_tensor all = shuffled_source(p, at, source);
    int64_t first = svr_max_i64(2 * at->first - 1, 0);
    int64_t end = svr_min_i64(2 * at->end + 1, 2 * p->args->x.dims[1]);

    return rows_of(&all, half, first - 2 * at->top, end - 2 * at->top);
}

/* The shuffled frame that frame j of y is the last to read. */
static int64_t last_read(const plan *p, int64_t j)
{
    bool skips = p->args->tz == 2 && p->heads == 0 && j > 0;

    return p->heads * p->args->tz + j + skips;
}

/* ---------------------------------------------------------------------------- the steps */

static svr_conv3d_args widening(const plan *p, const band *at, int64_t source)
{
    const svr_upsample_conv3d_args *args = p->args;
    bool in_head = source < p->heads;

    return (svr_conv3d_args){.x =
                                 rows_of(in_head ? &args->head : &args->x,
                                         in_head ? source : source - p->heads, at->top, at->bottom),
                             .w = args->up,
                             .b = args->up_b,
                             .y = svr_tensor_4d(p->widened, args->x.dtype, 1, at->bottom - at->top,
                                                args->x.dims[2], args->up.dims[0]),
                             .stride_t = 1,
                             .stride_s = 1};
}

/* Frame j of the band.  The clip's first frame reads one frame three times, its second one twice,
 * which conv3d is told, as backends may use sums of taps. */
static svr_conv3d_args convolution(const plan *p, const band *at, int64_t j)
{
    const svr_upsample_conv3d_args *args = p->args;
    int64_t last = last_read(p, j);
    svr_conv3d_args conv = {.x = shuffled_rows(p, at, last),
                            .w = args->w,
                            .b = args->b,
                            .y = rows_of(&args->y, j, 2 * at->first, 2 * at->end),
                            .stride_t = 1,
                            .stride_s = 1,
                            .pad_top = at->first == 0,
                            .pad_bottom = at->end == args->x.dims[1],
                            .pad_left = 1,
                            .pad_right = 1};

    if (last == 0)
        return conv;
    conv.head_starts = starts(p) && last == args->tz;
    conv.head = shuffled_rows(p, at, last - 2);
    if (!conv.head_starts)
        conv.recent = shuffled_rows(p, at, last - 1);
    return conv;
}

static svr_status shuffle(svr_exec *exec, const plan *p, const band *at, int64_t source,
                          svr_error *err)
{
    const svr_ops *ops = exec->backend->ops;
    svr_conv3d_args widen = widening(p, at, source);
    svr_depth_to_space_args shuffled = {.x = widen.y,
                                        .y = shuffled_source(p, at, source),
                                        .tz = p->args->tz,
                                        .drop_second = is_single(p, source)};

    SVR_TRY(ops->conv3d(exec, &widen, p->rest, err));
    return ops->depth_to_space(exec, &shuffled, NULL, err);
}

static svr_status run_band(svr_exec *exec, const plan *p, const band *at, svr_error *err)
{
    int64_t ready = 0; /* sources */

    for (int64_t j = 0; j < p->args->y.dims[0]; j++) {
        svr_conv3d_args conv = convolution(p, at, j);

        SVR_TRY(svr_exec_poll(exec, err));
        for (; ready <= last_read(p, j) / p->args->tz; ready++)
            SVR_TRY(shuffle(exec, p, at, ready, err));
        SVR_TRY(exec->backend->ops->conv3d(exec, &conv, p->rest, err));
    }
    return SVR_OK;
}

/* ---------------------------------------------------------------------------- the op */

static size_t conv_bytes(svr_backend *backend, const svr_conv3d_args *args)
{
    return backend->ops->conv3d_workspace ? backend->ops->conv3d_workspace(backend, args) : 0;
}

/* What the convolutions of a band take: at a clip's start those of the first two frames differ. */
static size_t band_bytes(svr_backend *backend, const plan *p, const band *at)
{
    int64_t last = p->args->y.dims[0] - 1;
    svr_conv3d_args args[] = {widening(p, at, 0), convolution(p, at, 0),
                              convolution(p, at, svr_min_i64(1, last)), convolution(p, at, last)};
    size_t most = 0;

    for (size_t i = 0; i < sizeof args / sizeof args[0]; i++) {
        size_t bytes = conv_bytes(backend, &args[i]);

        most = bytes > most ? bytes : most;
    }
    return most;
}

size_t svr_upsample_plain_workspace(svr_backend *backend, const svr_upsample_conv3d_args *args,
                                    size_t bound)
{
    /* only sizes and alignment are read, and the workspace will be aligned */
    char *anywhere = (char *) args->y.data + -(uintptr_t) args->y.data % ALIGN_BYTES;
    plan p = plan_of(args, bound, anywhere);
    int64_t last = band_count(&p) - 1;
    const int64_t kinds[KINDS] = {0, svr_min_i64(1, last), last};
    size_t most = 0;

    for (int i = 0; i < KINDS; i++) {
        band at = band_at(&p, kinds[i]);
        size_t bytes = band_bytes(backend, &p, &at);

        most = bytes > most ? bytes : most;
    }
    return (size_t) (p.rest - anywhere) + most;
}

svr_status svr_upsample_plain(svr_exec *exec, const svr_upsample_conv3d_args *args, size_t bound,
                              void *workspace, svr_error *err)
{
    plan p = plan_of(args, bound, workspace);

    for (int64_t i = 0; i < band_count(&p); i++) {
        band at = band_at(&p, i);

        SVR_TRY(run_band(exec, &p, &at, err));
    }
    return SVR_OK;
}
