/* Cases of the ops that spatial tiles need.  Limits: as in cases_conv.c. */
#include "harness.h"
#include "moments.h"
#include "reference.h"

/* ---------------------------------------------------------------------------- group moments */

static void group_moments_case(ops_bench *bench, const int x[4], int groups, double offset,
                               svr_dtype dtype)
{
    ops_array *input = ops_input(bench, dtype, SVR_DIMS(x[0], x[1], x[2], x[3]));
    ops_array *moments = ops_output(bench, SVR_F32, SVR_DIMS(x[0], groups, 3));
    svr_group_moments_args args[OPS_SIDES];

    ops_scale_values(input, 2, offset);
    for (int side = 0; side < OPS_SIDES; side++)
        args[side] = (svr_group_moments_args){ops_view(input, side), ops_view(moments, side)};
    OPS_RUN(bench, group_moments, &args[OPS_DEVICE]);
    ops_compare_moments(bench, moments, &args[OPS_REFERENCE].x, dtype);
}

void ops_cases_group_moments(ops_bench *bench)
{
    static const int shapes[][4] = {{2, 12, 40, 64}, {1, 1, 1, 32}, {3, 70, 90, 16}, {1, 9, 5, 6}};
    static const int groups[] = {32, 8, 16, 3};

    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (int d = 0; d < 3 && ops_wants(bench, i != 2); d++)
            for (int offset = 0; offset < 40; offset += 32) {
                ops_case(bench, "group_moments[%zu] %s on %d", i, svr_dtype_name(ops_storage[d]),
                         offset);
                group_moments_case(bench, shapes[i], groups[i], offset, ops_storage[d]);
            }
}

/* ---------------------------------------------------------------------------- copy window */

typedef struct window_case {
    int frames, channels;
    int x[2], y[2]; /* heights and widths */
    int from[2], to[2], size[2];
} window_case;

static const window_case window_cases[] = {
    {2, 3, {9, 11}, {5, 6}, {3, 4}, {0, 0}, {5, 6}},       /* cut out */
    {2, 64, {5, 6}, {9, 11}, {0, 0}, {4, 5}, {5, 6}},      /* put at the far corner */
    {3, 16, {12, 70}, {30, 40}, {5, 31}, {7, 2}, {6, 33}}, /* both */
    {1, 1, {1, 1}, {1, 1}, {0, 0}, {0, 0}, {1, 1}},
    {1, 5, {40, 3}, {40, 3}, {0, 0}, {0, 0}, {40, 3}}, /* all */
};

static void copy_window_case(ops_bench *bench, const window_case *c, svr_dtype dtype)
{
    ops_array *x = ops_input(bench, dtype, SVR_DIMS(c->frames, c->x[0], c->x[1], c->channels));
    ops_array *y = ops_in_place(bench, dtype, SVR_DIMS(c->frames, c->y[0], c->y[1], c->channels));
    svr_copy_window_args args[OPS_SIDES];

    for (int side = 0; side < OPS_SIDES; side++)
        args[side] = (svr_copy_window_args){.x = ops_view(x, side),
                                            .y = ops_view(y, side),
                                            .from = {c->from[0], c->from[1]},
                                            .to = {c->to[0], c->to[1]},
                                            .size = {c->size[0], c->size[1]}};
    OPS_RUN(bench, copy_window, &args[OPS_DEVICE]);
    reference_copy_window(&args[OPS_REFERENCE]);
    ops_compare_exact(bench, y);
}

void ops_cases_copy_window(ops_bench *bench)
{
    for (size_t i = 0; i < sizeof window_cases / sizeof window_cases[0]; i++)
        for (int d = 0; d < 3 && ops_wants(bench, i < 3); d++) {
            ops_case(bench, "copy_window[%zu] %s", i, svr_dtype_name(ops_storage[d]));
            copy_window_case(bench, &window_cases[i], ops_storage[d]);
        }
}
