/* Ops that move elements: copies, sums of taps, patches, channels to space. */
#include "base/checked.h"
#include "cpu/cpu_internal.h"
#include "cpu/cpu_ops.h"
#include "cpu/cpu_rows.h"

#include <string.h>

enum { STAGE_FLOATS = 1024, COPY_PIECE = 1 << 15 };

/* n elements from one tensor to another, converted where the types differ. */
static void move(const svr_cpu_simd *simd, const svr_tensor *src, int64_t from,
                 const svr_tensor *dst, int64_t to, int64_t n)
{
    float stage[STAGE_FLOATS];

    if (src->dtype == dst->dtype) {
        memcpy(svr_cpu_at(dst, to), svr_cpu_at(src, from), (size_t) n * svr_dtype_size(src->dtype));
        return;
    }
    for (int64_t i = 0; i < n; i += STAGE_FLOATS) {
        int64_t count = svr_min_i64(STAGE_FLOATS, n - i);
        const float *values = svr_cpu_load(simd, src, from + i, count, stage);

        svr_cpu_store(simd, dst, to + i, count, values);
    }
}

/* ---------------------------------------------------------------------------- copy */

typedef struct copy {
    const svr_copy_args *args;
    const svr_cpu_simd *simd;
    int64_t n;
} copy;

static void copy_task(void *context, int64_t index, int thread)
{
    const copy *c = context;
    int64_t at = index * COPY_PIECE;

    (void) thread;
    move(c->simd, &c->args->src, at, &c->args->dst, at, svr_min_i64(COPY_PIECE, c->n - at));
}

svr_status svr_cpu_copy(svr_exec *exec, const svr_copy_args *args, void *workspace, svr_error *err)
{
    copy c = {args, svr_cpu_of(exec->backend)->simd, svr_tensor_elems(&args->src)};

    (void) workspace;
    return svr_cpu_for(exec, svr_ceil_div(c.n, COPY_PIECE), copy_task, &c, err);
}

/* ---------------------------------------------------------------------------- copy rows */

enum { ROWS_PER_TASK = 32 };

static int64_t copied_rows(const svr_copy_rows_args *a)
{
    return svr_tensor_present(&a->from) ? a->from.dims[0] : a->to.dims[0];
}

static void copy_rows_task(void *context, int64_t index, int thread)
{
    const svr_copy_rows_args *a = context;
    const int32_t *from = a->from.data, *to = a->to.data;
    int64_t D = a->x.dims[1], end = svr_min_i64((index + 1) * ROWS_PER_TASK, copied_rows(a));

    (void) thread;
    for (int64_t m = index * ROWS_PER_TASK; m < end; m++)
        memcpy(svr_cpu_at(&a->y, (to ? to[m] : m) * D), svr_cpu_at(&a->x, (from ? from[m] : m) * D),
               (size_t) D * svr_dtype_size(a->x.dtype));
}

svr_status svr_cpu_copy_rows(svr_exec *exec, const svr_copy_rows_args *args, void *workspace,
                             svr_error *err)
{
    svr_copy_rows_args a = *args;

    (void) workspace;
    return svr_cpu_for(exec, svr_ceil_div(copied_rows(args), ROWS_PER_TASK), copy_rows_task, &a,
                       err);
}

/* ---------------------------------------------------------------------------- copy window */

/* One row of the window. */
static void copy_window_task(void *context, int64_t index, int thread)
{
    const svr_copy_window_args *a = context;
    const int64_t *x = a->x.dims, *y = a->y.dims;
    int64_t t = index / a->size[0], row = index % a->size[0];
    int64_t from = ((t * x[1] + a->from[0] + row) * x[2] + a->from[1]) * x[3];
    int64_t to = ((t * y[1] + a->to[0] + row) * y[2] + a->to[1]) * y[3];

    (void) thread;
    memcpy(svr_cpu_at(&a->y, to), svr_cpu_at(&a->x, from),
           (size_t) (a->size[1] * x[3]) * svr_dtype_size(a->x.dtype));
}

svr_status svr_cpu_copy_window(svr_exec *exec, const svr_copy_window_args *args, void *workspace,
                               svr_error *err)
{
    svr_copy_window_args a = *args;

    (void) workspace;
    return svr_cpu_for(exec, a.x.dims[0] * a.size[0], copy_window_task, &a, err);
}

/* ---------------------------------------------------------------------------- sums of taps */

/* Source of tap j of output frame t; NULL-free: before the clip it is frame 0. */
static const float *tap_frame(const svr_tap_sum_args *a, int64_t frame, int64_t plane)
{
    int64_t heads = svr_tensor_present(&a->head) ? a->head.dims[0] : 0;

    if (frame >= 0)
        return (const float *) a->s.data + frame * plane;
    return heads ? (const float *) a->head.data + (heads + frame) * plane : a->s.data;
}

typedef struct tap_sum {
    const svr_tap_sum_args *args;
    const svr_cpu_simd *simd;
} tap_sum;

/* One row of y. */
static void tap_sum_task(void *context, int64_t index, int thread)
{
    const tap_sum *c = context;
    const svr_tap_sum_args *a = c->args;
    int64_t H = a->s.dims[1], W = a->s.dims[2], S = a->s.dims[3], K = a->y.dims[3], taps = S / K;
    int64_t t = index / H, row = index % H * W * S, n = W * K;
    const float *bias = a->b.data;
    float sums[STAGE_FLOATS];

    (void) thread;
    for (int64_t first = 0; first < n; first += STAGE_FLOATS) {
        int64_t count = svr_min_i64(STAGE_FLOATS, n - first);

        for (int64_t i = 0; i < count; i++)
            sums[i] = bias ? bias[(first + i) % K] : 0.0f;
        for (int64_t j = 0; j < taps; j++) {
            const float *s = tap_frame(a, t + j - (taps - 1), H * W * S) + row + first * taps + j;

            for (int64_t i = 0; i < count; i++)
                sums[i] += s[i * taps];
        }
        svr_cpu_store(c->simd, &a->y, index * n + first, count, sums);
    }
}

svr_status svr_cpu_tap_sum(svr_exec *exec, const svr_tap_sum_args *args, void *workspace,
                           svr_error *err)
{
    tap_sum c = {args, svr_cpu_of(exec->backend)->simd};

    (void) workspace;
    return svr_cpu_for(exec, args->y.dims[0] * args->y.dims[1], tap_sum_task, &c, err);
}

/* ---------------------------------------------------------------------------- depth to space */

typedef struct to_space {
    const svr_depth_to_space_args *args;
    size_t pixel; /* bytes of an output pixel */
} to_space;

/* One row of x: 2 * tz pieces of output rows. */
static void to_space_task(void *context, int64_t index, int thread)
{
    const to_space *s = context;
    const svr_tensor *x = &s->args->x, *y = &s->args->y;
    int64_t H = x->dims[1], W = x->dims[2], tz = s->args->tz;
    int64_t t = index / H, i = index % H;
    const char *row = (const char *) x->data + (size_t) (index * W * 4 * tz) * s->pixel;

    (void) thread;
    for (int64_t dz = 0; dz < tz; dz++) {
        int64_t frame = t * tz + dz;

        if (s->args->drop_second && frame == 1)
            continue;
        if (s->args->drop_second && frame > 1)
            frame--;
        for (int64_t dy = 0; dy < 2; dy++) {
            char *out =
                (char *) y->data + (size_t) (((frame * 2 * H) + 2 * i + dy) * 2 * W) * s->pixel;

            for (int64_t j = 0; j < 2 * W; j++) {
                int64_t part = (dy * 2 + j % 2) * tz + dz;

                memcpy(out + (size_t) j * s->pixel,
                       row + (size_t) (j / 2 * 4 * tz + part) * s->pixel, s->pixel);
            }
        }
    }
}

svr_status svr_cpu_depth_to_space(svr_exec *exec, const svr_depth_to_space_args *args,
                                  void *workspace, svr_error *err)
{
    to_space s = {args, (size_t) args->y.dims[3] * svr_dtype_size(args->y.dtype)};

    (void) workspace;
    return svr_cpu_for(exec, args->x.dims[0] * args->x.dims[1], to_space_task, &s, err);
}

/* ---------------------------------------------------------------------------- patches */

typedef struct patches {
    const svr_cpu_simd *simd;
    svr_tensor picture[2]; /* one or two pictures side by side in the channels */
    svr_tensor tokens;
    int pictures;
    int64_t patch, h, w; /* patch size; tokens per frame */
    bool to_tokens;
} patches;

/* One row of pixels of a token, whose features begin at `to`; returns where the next ones do. */
static int64_t patch_row(const patches *p, int64_t pixel, int64_t to)
{
    for (int64_t c = 0; c < p->patch; c++) {
        for (int k = 0; k < p->pictures; k++) {
            int64_t n = p->picture[k].dims[3], at = (pixel + c) * n;

            if (p->to_tokens)
                move(p->simd, &p->picture[k], at, &p->tokens, to, n);
            else
                move(p->simd, &p->tokens, to, &p->picture[k], at, n);
            to += n;
        }
    }
    return to;
}

/* One row of tokens. */
static void patch_task(void *context, int64_t index, int thread)
{
    const patches *p = context;
    int64_t P = p->patch, features = p->tokens.dims[1];

    (void) thread;
    for (int64_t token = index * p->w; token < (index + 1) * p->w; token++) {
        int64_t to = token * features, column = token % p->w * P;

        for (int64_t r = 0; r < P; r++)
            to = patch_row(p, (index * P + r) * p->w * P + column, to);
    }
}

static svr_status run_patches(svr_exec *exec, patches *p, svr_error *err)
{
    p->simd = svr_cpu_of(exec->backend)->simd;
    p->h = p->picture[0].dims[1] / p->patch;
    p->w = p->picture[0].dims[2] / p->patch;
    return svr_cpu_for(exec, p->picture[0].dims[0] * p->h, patch_task, p, err);
}

svr_status svr_cpu_patchify(svr_exec *exec, const svr_patchify_args *args, void *workspace,
                            svr_error *err)
{
    patches p = {.tokens = args->y,
                 .pictures = svr_tensor_present(&args->b) ? 2 : 1,
                 .patch = args->patch,
                 .to_tokens = true};

    (void) workspace;
    p.picture[0] = args->a, p.picture[1] = args->b;
    return run_patches(exec, &p, err);
}

svr_status svr_cpu_unpatchify(svr_exec *exec, const svr_unpatchify_args *args, void *workspace,
                              svr_error *err)
{
    patches p = {.tokens = args->x, .pictures = 1, .patch = args->patch};

    (void) workspace;
    p.picture[0] = args->y;
    return run_patches(exec, &p, err);
}
