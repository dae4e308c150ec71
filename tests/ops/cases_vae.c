/* Cases of the video VAE's ops but conv3d.  Limits of sums as in cases_conv.c. */
#include "harness.h"
#include "reference.h"

enum { SUM_UNITS = 16 };

/* ---------------------------------------------------------------------------- sums of taps */

static void tap_sum_case(ops_bench *bench, const int64_t s[4], int taps, bool head, svr_dtype dtype)
{
    ops_array *in = ops_input(bench, SVR_F32, 4, s);
    ops_array *before =
        head ? ops_input(bench, SVR_F32, SVR_DIMS(taps - 1, s[1], s[2], s[3])) : NULL;
    ops_array *b = s[3] % 2 ? ops_input(bench, SVR_F32, SVR_DIMS(s[3] / taps)) : NULL;
    ops_array *y = ops_output(bench, dtype, SVR_DIMS(s[0], s[1], s[2], s[3] / taps));
    svr_tap_sum_args args[OPS_SIDES];

    for (int side = 0; side < OPS_SIDES; side++)
        args[side] = (svr_tap_sum_args){ops_view(in, side), ops_view(before, side),
                                        ops_view(b, side), ops_view(y, side)};
    OPS_RUN(bench, tap_sum, &args[OPS_DEVICE]);
    reference_tap_sum(&args[OPS_REFERENCE]);
    ops_compare(bench, y, NULL, SUM_UNITS * OPS_F32_EPS);
}

void ops_cases_tap_sum(ops_bench *bench)
{
    static const struct {
        int64_t s[4];
        int taps;
    } shapes[] = {{{1, 5, 700, 9}, 3}, {{4, 3, 7, 9}, 3}, {{2, 2, 3, 10}, 2}, {{3, 1, 5, 4}, 1}};

    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (int d = 0; d < 3; d++)
            for (int head = 0; head < 2; head++) {
                if ((head && shapes[i].taps == 1) || !ops_wants(bench, i > 0))
                    continue;
                ops_case(bench, "tap_sum[%zu] %s head %d", i, svr_dtype_name(ops_storage[d]), head);
                tap_sum_case(bench, shapes[i].s, shapes[i].taps, head, ops_storage[d]);
            }
}

/* ---------------------------------------------------------------------------- group norm */

typedef struct norm_case {
    int x[4], groups;
    double scale, offset; /* of the input */
    svr_activation activation;
    bool in_place, small;
} norm_case;

static const norm_case norm_cases[] = {
    {{3, 5, 37, 16}, 8, 1, 0, SVR_ACT_SILU, false, true},
    {{2, 12, 40, 64}, 32, 3, 0, SVR_ACT_SILU, true, true},
    {{1, 9, 11, 32}, 32, 1, 0, SVR_ACT_NONE, false, false},
    {{2, 70, 90, 16}, 16, 1, 32, SVR_ACT_SILU, true, true},  /* more than one band, on a constant */
    {{1, 6, 7, 12}, 4, 1e-3, 5, SVR_ACT_NONE, false, false}, /* variance far below the square of the
                                                              * mean
                                                              */
    {{2, 1, 1, 512}, 32, 1, 0, SVR_ACT_SILU, false, false},
    {{1, 3, 5, 6}, 3, 0, 7, SVR_ACT_SILU, false, false}, /* no variance at all */
    {{1, 1, 1, 1}, 1, 1, 0, SVR_ACT_SILU, true, false},
    {{1, 4, 4, 20}, 5, 1e3, 0, SVR_ACT_GELU_TANH, false, false},
};

/* Statistics that are not those of x, so that an op that makes its own is found out. */
static ops_array *strange_moments(ops_bench *bench, const norm_case *c)
{
    ops_array *moments = ops_input(bench, SVR_F32, SVR_DIMS(c->x[0], c->groups, 3));
    double *values = ops_doubles(bench, (int64_t) c->x[0] * c->groups * 3);

    for (int i = 0; i < c->x[0] * c->groups; i++) {
        values[i * 3] = c->offset + c->scale * (i % 7 - 3) / 4;
        values[i * 3 + 1] = 1e-8 * c->offset;
        values[i * 3 + 2] = c->scale * c->scale * (1 + i % 3) + 1e-3;
    }
    ops_set_values(moments, values);
    return moments;
}

static void group_norm_case(ops_bench *bench, const norm_case *c, svr_dtype dtype, bool given)
{
    int64_t dims[4] = {c->x[0], c->x[1], c->x[2], c->x[3]};
    ops_array *x =
        c->in_place ? ops_in_place(bench, dtype, 4, dims) : ops_input(bench, dtype, 4, dims);
    ops_array *gamma = ops_input(bench, SVR_F32, SVR_DIMS(dims[3]));
    ops_array *beta = ops_input(bench, SVR_F32, SVR_DIMS(dims[3]));
    ops_array *y = c->in_place ? x : ops_output(bench, dtype, 4, dims);
    ops_array *moments = given ? strange_moments(bench, c) : NULL;
    svr_group_norm_args args[OPS_SIDES];

    ops_scale_values(x, c->scale, c->offset);
    for (int side = 0; side < OPS_SIDES; side++)
        args[side] = (svr_group_norm_args){.x = ops_view(x, side),
                                           .gamma = ops_view(gamma, side),
                                           .beta = ops_view(beta, side),
                                           .moments = ops_view(moments, side),
                                           .y = ops_view(y, side),
                                           .groups = c->groups,
                                           .eps = 1e-6f,
                                           .activation = c->activation};
    OPS_RUN(bench, group_norm, &args[OPS_DEVICE]);
    reference_group_norm(&args[OPS_REFERENCE]);
    /* few roundings per element, each relative to the largest normalised value */
    ops_compare(bench, y, NULL, 4 * OPS_F32_EPS);
}

void ops_cases_group_norm(ops_bench *bench)
{
    for (size_t i = 0; i < sizeof norm_cases / sizeof norm_cases[0]; i++)
        for (int d = 0; d < 3 && ops_wants(bench, norm_cases[i].small); d++) {
            for (int given = 0; given < 2; given++) {
                ops_case(bench, "group_norm[%zu] %s given %d", i, svr_dtype_name(ops_storage[d]),
                         given);
                group_norm_case(bench, &norm_cases[i], ops_storage[d], given);
            }
        }
}

/* ---------------------------------------------------------------------------- depth to space */

static void depth_to_space_case(ops_bench *bench, const int shape[4], int tz, bool drop,
                                svr_dtype dtype)
{
    int64_t T = shape[0], H = shape[1], W = shape[2], C = shape[3];
    ops_array *x = ops_input(bench, dtype, SVR_DIMS(T, H, W, 4 * tz * C));
    ops_array *y = ops_output(bench, dtype, SVR_DIMS(T * tz - (drop ? 1 : 0), 2 * H, 2 * W, C));
    svr_depth_to_space_args args[OPS_SIDES];

    for (int side = 0; side < OPS_SIDES; side++)
        args[side] = (svr_depth_to_space_args){
            .x = ops_view(x, side), .y = ops_view(y, side), .tz = tz, .drop_second = drop};
    OPS_RUN(bench, depth_to_space, &args[OPS_DEVICE]);
    reference_depth_to_space(&args[OPS_REFERENCE]);
    ops_compare_exact(bench, y);
}

void ops_cases_depth_to_space(ops_bench *bench)
{
    static const int shapes[][4] = {{3, 4, 5, 16}, {1, 1, 1, 1}, {2, 3, 7, 5}};

    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (int d = 0; d < 3 && ops_wants(bench, i == 0); d++)
            for (int kind = 0; kind < 3; kind++) { /* tz 1; tz 2; tz 2 at the clip's start */
                ops_case(bench, "depth_to_space[%zu] %s kind %d", i, svr_dtype_name(ops_storage[d]),
                         kind);
                depth_to_space_case(bench, shapes[i], kind == 0 ? 1 : 2, kind == 2, ops_storage[d]);
            }
}

/* ---------------------------------------------------------------------------- frame attention */

static void frame_attention_case(ops_bench *bench, const int shape[3], svr_dtype dtype,
                                 bool f32_out)
{
    int64_t T = shape[0], L = shape[1], C = shape[2];
    ops_array *q = ops_input(bench, dtype, SVR_DIMS(T, L, C));
    ops_array *k = ops_input(bench, dtype, SVR_DIMS(T, L, C));
    ops_array *v = ops_input(bench, dtype, SVR_DIMS(T, L, C));
    ops_array *y = ops_output(bench, f32_out ? SVR_F32 : dtype, SVR_DIMS(T, L, C));
    svr_frame_attention_args args[OPS_SIDES];

    ops_scale_values(q, 2, 0);
    for (int side = 0; side < OPS_SIDES; side++)
        args[side] = (svr_frame_attention_args){ops_view(q, side), ops_view(k, side),
                                                ops_view(v, side), ops_view(y, side)};
    OPS_RUN(bench, frame_attention, &args[OPS_DEVICE]);
    reference_frame_attention(&args[OPS_REFERENCE]);
    /* scores up to about 10 are off by 2^-24 of that, and so, relatively, are their exponentials */
    ops_compare(bench, y, NULL, 32 * OPS_F32_EPS + ops_inner_rounding(bench, dtype));
}

void ops_cases_frame_attention(ops_bench *bench)
{
    static const int shapes[][3] = {{2, 60, 64}, {1, 1, 16},   {3, 29, 32},  {1, 257, 48},
                                    {2, 33, 7},  {1, 90, 512}, {2, 150, 512}};

    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (int d = 0; d < 3 && ops_wants(bench, i % 2 == 0 && i > 0); d++) {
            ops_case(bench, "frame_attention[%zu] %s", i, svr_dtype_name(ops_storage[d]));
            frame_attention_case(bench, shapes[i], ops_storage[d], i % 2 == 1);
        }
}
