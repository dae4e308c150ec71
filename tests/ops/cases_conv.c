/* Cases of conv3d.
 *
 * Limits.  A sum of n products in F32 is off by about sqrt(n) * 2^-24 of its partial sums; 16 units
 * of the sum of absolute terms leaves room for every order of summation up to n = 2^14 and for the
 * rounding of summed temporal taps.  Outputs of 16 bits add half a unit in their last place, which
 * ops_compare() grants by itself. */
#include "harness.h"
#include "moments.h"
#include "reference.h"

#include <math.h>

enum { SUM_UNITS = 16 };

/* HEAD_APART: its last frame lies elsewhere. */
typedef enum head_kind { NO_HEAD, HEAD, HEAD_IN_FRONT, HEAD_APART } head_kind;

typedef struct conv_case {
    int x[4];      /* T, H, W, C */
    int w[4];      /* K, kt, kh, kw */
    int stride[2]; /* time, space */
    int pad[4];    /* top, bottom, left, right */
    head_kind head;
    int head_frames;
    enum { PLAIN, ADD, ADD_IN_PLACE } residual;
    int groups; /* of the statistics of the result; 0: none */
    bool no_bias, f32_out, small;
    bool head_starts;
} conv_case;

static const conv_case conv_cases[] = {
    /* residual blocks and resolutions of the networks, clip start */
    {.x = {5, 6, 37, 16}, .w = {16, 3, 3, 3}, .stride = {1, 1}, .pad = {1, 1, 1, 1}},
    {.x = {3, 5, 30, 32}, .w = {64, 3, 3, 3}, .stride = {1, 1}, .pad = {1, 1, 1, 1}},
    {.x = {1, 4, 9, 64}, .w = {32, 3, 3, 3}, .stride = {1, 1}, .pad = {1, 1, 1, 1}, .small = true},
    {.x = {2, 7, 58, 16}, .w = {32, 3, 3, 3}, .stride = {1, 1}, .pad = {1, 1, 1, 1}},
    /* conv_in and conv_out */
    {.x = {5, 6, 31, 3}, .w = {16, 3, 3, 3}, .stride = {1, 1}, .pad = {1, 1, 1, 1}, .small = true},
    {.x = {3, 5, 61, 16}, .w = {3, 3, 3, 3}, .stride = {1, 1}, .pad = {1, 1, 1, 1}},
    {.x = {3, 5, 29, 24},
     .w = {4, 3, 3, 3},
     .stride = {1, 1},
     .pad = {1, 1, 1, 1},
     .f32_out = true,
     .small = true},
    {.x = {2, 3, 5, 16}, .w = {33, 3, 3, 3}, .stride = {1, 1}, .pad = {1, 1, 1, 1}},
    /* later slices */
    {.x = {4, 6, 29, 16},
     .w = {16, 3, 3, 3},
     .stride = {1, 1},
     .pad = {1, 1, 1, 1},
     .head = HEAD,
     .head_frames = 2},
    {.x = {1, 5, 16, 32},
     .w = {16, 3, 3, 3},
     .stride = {1, 1},
     .pad = {1, 1, 1, 1},
     .head = HEAD,
     .head_frames = 2,
     .small = true},
    {.x = {4, 6, 29, 16},
     .w = {16, 3, 3, 3},
     .stride = {1, 1},
     .pad = {1, 1, 1, 1},
     .head = HEAD_IN_FRONT,
     .head_frames = 2},
    {.x = {3, 4, 8, 16},
     .w = {16, 3, 3, 3},
     .stride = {1, 1},
     .pad = {1, 1, 1, 1},
     .head = HEAD,
     .head_frames = 0},
    {.x = {4, 4, 8, 8},
     .w = {16, 3, 3, 3},
     .stride = {1, 1},
     .pad = {1, 1, 1, 1},
     .head = HEAD,
     .head_frames = 1},
    /* downsamplers */
    {.x = {5, 8, 12, 16}, .w = {16, 1, 3, 3}, .stride = {1, 2}, .pad = {0, 1, 0, 1}, .small = true},
    {.x = {5, 9, 61, 32}, .w = {32, 3, 3, 3}, .stride = {2, 2}, .pad = {0, 1, 0, 1}},
    {.x = {4, 8, 10, 32},
     .w = {32, 3, 3, 3},
     .stride = {2, 2},
     .pad = {0, 1, 0, 1},
     .head = HEAD,
     .head_frames = 1,
     .small = true},
    {.x = {4, 8, 10, 32},
     .w = {48, 3, 3, 3},
     .stride = {2, 2},
     .pad = {0, 1, 0, 1},
     .head = HEAD_IN_FRONT,
     .head_frames = 1},
    {.x = {1, 8, 8, 16}, .w = {16, 3, 3, 3}, .stride = {2, 2}, .pad = {0, 1, 0, 1}},
    /* shortcuts and expansions */
    {.x = {3, 5, 40, 32}, .w = {16, 1, 1, 1}, .stride = {1, 1}, .small = true},
    {.x = {2, 4, 14, 64}, .w = {512, 1, 1, 1}, .stride = {1, 1}},
    /* residuals */
    {.x = {3, 5, 33, 16},
     .w = {16, 3, 3, 3},
     .stride = {1, 1},
     .pad = {1, 1, 1, 1},
     .residual = ADD,
     .small = true},
    {.x = {3, 5, 33, 16},
     .w = {16, 3, 3, 3},
     .stride = {1, 1},
     .pad = {1, 1, 1, 1},
     .residual = ADD_IN_PLACE},
    {.x = {3, 2, 131, 16},
     .w = {16, 3, 3, 3},
     .stride = {1, 1},
     .pad = {1, 1, 1, 1},
     .residual = ADD_IN_PLACE},
    {.x = {1, 2, 251, 4},
     .w = {48, 1, 3, 3},
     .stride = {1, 1},
     .pad = {1, 1, 1, 1},
     .residual = ADD_IN_PLACE},
    {.x = {2, 5, 31, 8},
     .w = {40, 3, 3, 3},
     .stride = {1, 1},
     .pad = {1, 1, 1, 1},
     .residual = ADD_IN_PLACE},
    {.x = {2, 3, 45, 32},
     .w = {64, 1, 1, 1},
     .stride = {1, 1},
     .residual = ADD_IN_PLACE,
     .no_bias = true},
    /* with statistics: whole groups of 4, 8 and 16 channels and others, borders, several tiles */
    {.x = {2, 9, 67, 64},
     .w = {128, 3, 3, 3},
     .stride = {1, 1},
     .pad = {1, 1, 1, 1},
     .groups = 32,
     .small = true},
    {.x = {3, 5, 130, 32},
     .w = {256, 3, 3, 3},
     .stride = {1, 1},
     .pad = {1, 1, 1, 1},
     .head = HEAD,
     .head_frames = 2,
     .residual = ADD_IN_PLACE,
     .groups = 32},
    {.x = {1, 3, 7, 64},
     .w = {512, 3, 3, 3},
     .stride = {1, 1},
     .pad = {1, 1, 1, 1},
     .head = HEAD_APART,
     .head_frames = 2,
     .residual = ADD,
     .groups = 32},
    {.x = {4, 10, 40, 64},
     .w = {128, 3, 3, 3},
     .stride = {2, 2},
     .pad = {0, 1, 0, 1},
     .groups = 32},
    {.x = {2, 7, 70, 3}, .w = {128, 3, 3, 3}, .stride = {1, 1}, .pad = {1, 1, 1, 1}, .groups = 32},
    {.x = {2, 6, 9, 16}, .w = {24, 3, 3, 3}, .stride = {1, 1}, .pad = {1, 1, 1, 1}, .groups = 4},
    {.x = {2, 6, 9, 16}, .w = {6, 1, 1, 1}, .stride = {1, 1}, .groups = 3},
    /* pieces of one frame */
    {.x = {1, 6, 29, 16},
     .w = {16, 3, 3, 3},
     .stride = {1, 1},
     .pad = {1, 1, 1, 1},
     .head = HEAD_APART,
     .head_frames = 2},
    {.x = {1, 9, 65, 128},
     .w = {128, 3, 3, 3},
     .stride = {1, 1},
     .pad = {1, 1, 1, 1},
     .head = HEAD_APART,
     .head_frames = 2,
     .residual = ADD_IN_PLACE,
     .small = true},
    {.x = {3, 5, 21, 12},
     .w = {3, 3, 3, 3},
     .stride = {1, 1},
     .pad = {1, 1, 1, 1},
     .head = HEAD_APART,
     .head_frames = 2,
     .f32_out = true},
    {.x = {4, 6, 7, 5},
     .w = {4, 3, 3, 3},
     .stride = {2, 2},
     .pad = {0, 1, 0, 1},
     .head = HEAD_APART,
     .head_frames = 1},
    {.x = {2, 18, 1000, 8},
     .w = {16, 3, 3, 3},
     .stride = {1, 1},
     .pad = {1, 1, 1, 1},
     .head = HEAD_APART,
     .head_frames = 2},
    /* whole tiles of tensor cores, and more than one tile of pixels */
    {.x = {1, 5, 67, 64},
     .w = {128, 3, 3, 3},
     .stride = {1, 1},
     .pad = {1, 1, 1, 1},
     .head = HEAD,
     .head_frames = 2,
     .residual = ADD_IN_PLACE,
     .small = true},
    {.x = {3, 9, 17, 128},
     .w = {64, 3, 3, 3},
     .stride = {2, 2},
     .pad = {0, 1, 0, 1},
     .small = true},
    {.x = {4, 6, 20, 128},
     .w = {64, 3, 3, 3},
     .stride = {2, 2},
     .pad = {0, 1, 0, 1},
     .head = HEAD,
     .head_frames = 1},
    /* large enough for a library, the first two in several bands of rows */
    {.x = {2, 18, 1000, 8}, .w = {16, 3, 3, 3}, .stride = {1, 1}, .pad = {1, 1, 1, 1}},
    {.x = {1, 18, 1000, 8},
     .w = {16, 3, 3, 3},
     .stride = {1, 1},
     .pad = {1, 1, 1, 1},
     .head = HEAD,
     .head_frames = 2,
     .residual = ADD_IN_PLACE},
    {.x = {3, 12, 100, 16},
     .w = {16, 3, 3, 3},
     .stride = {1, 1},
     .pad = {1, 1, 1, 1},
     .residual = ADD},
    {.x = {4, 48, 40, 16},
     .w = {32, 3, 3, 3},
     .stride = {2, 2},
     .pad = {0, 1, 0, 1},
     .head = HEAD,
     .head_frames = 1},
    {.x = {5, 48, 40, 16}, .w = {32, 3, 3, 3}, .stride = {2, 2}, .pad = {0, 1, 0, 1}},
    {.x = {2, 30, 56, 16}, .w = {17, 2, 3, 5}, .stride = {1, 1}, .pad = {0, 2, 3, 0}},
    {.x = {1, 30, 111, 64},
     .w = {48, 1, 1, 1},
     .stride = {1, 1},
     .pad = {0, 0, 0, 0},
     .no_bias = true},
    /* behind the clip's first frame */
    {.x = {1, 5, 16, 32},
     .w = {16, 3, 3, 3},
     .stride = {1, 1},
     .pad = {1, 1, 1, 1},
     .head = HEAD,
     .head_frames = 1,
     .head_starts = true,
     .small = true},
    {.x = {4, 3, 37, 64},
     .w = {64, 3, 3, 3},
     .stride = {1, 1},
     .pad = {1, 1, 1, 1},
     .head = HEAD,
     .head_frames = 1,
     .residual = ADD_IN_PLACE,
     .groups = 8,
     .head_starts = true,
     .small = true},
    {.x = {3, 9, 70, 128},
     .w = {128, 3, 3, 3},
     .stride = {1, 1},
     .pad = {1, 1, 1, 1},
     .head = HEAD,
     .head_frames = 1,
     .groups = 32,
     .head_starts = true},
    {.x = {2, 6, 31, 3},
     .w = {16, 3, 3, 3},
     .stride = {1, 1},
     .pad = {1, 1, 1, 1},
     .head = HEAD_IN_FRONT,
     .head_frames = 1,
     .head_starts = true},
    /* odd ones */
    {.x = {1, 1, 1, 1}, .w = {1, 3, 3, 3}, .stride = {1, 1}, .pad = {1, 1, 1, 1}, .small = true},
    {.x = {7, 1, 1, 5}, .w = {7, 3, 3, 3}, .stride = {1, 1}, .pad = {1, 1, 1, 1}, .no_bias = true},
    {.x = {2, 11, 13, 7}, .w = {17, 2, 3, 5}, .stride = {1, 1}, .pad = {0, 2, 3, 0}},
    {.x = {6, 7, 5, 6}, .w = {5, 5, 2, 1}, .stride = {3, 3}, .pad = {1, 0, 0, 2}},
    {.x = {2, 2, 2, 3}, .w = {2, 1, 3, 3}, .stride = {1, 1}, .pad = {3, 3, 3, 3}},
    {.x = {2, 7, 131, 16},
     .w = {16, 3, 3, 3},
     .stride = {1, 1},
     .pad = {0, 0, 0, 0},
     .f32_out = true},
};

/* x and what lies before it. */
typedef struct conv_input {
    svr_tensor x, head, recent;
} conv_input;

/* Makes x and, for a head that lies in front of it, both in one array. */
static void conv_inputs(ops_bench *bench, const conv_case *c, svr_dtype dtype, conv_input in[])
{
    int64_t H = c->x[1], W = c->x[2], C = c->x[3];
    int64_t front = c->head == HEAD_IN_FRONT ? c->head_frames : 0;
    ops_array *array = ops_input(bench, dtype, SVR_DIMS(front + c->x[0], H, W, C));
    ops_array *apart = NULL, *recent = NULL;

    if (c->head == HEAD || c->head == HEAD_APART)
        apart =
            ops_input(bench, dtype, SVR_DIMS(c->head_frames - (c->head == HEAD_APART), H, W, C));
    if (c->head == HEAD_APART)
        recent = ops_input(bench, dtype, SVR_DIMS(1, H, W, C));
    for (int side = 0; side < OPS_SIDES; side++) {
        svr_tensor all = ops_view(array, side);

        in[side].x = svr_tensor_slice(&all, front, c->x[0]);
        in[side].head = front > 0 ? svr_tensor_slice(&all, 0, front) : ops_view(apart, side);
        in[side].recent = ops_view(recent, side);
    }
}

static int64_t conv_size(int64_t size, int kernel, int stride)
{
    return (size - kernel) / stride + 1;
}

static ops_array *conv_output(ops_bench *bench, const conv_case *c, svr_dtype dtype)
{
    bool starts = c->head == NO_HEAD || c->head_starts;
    int64_t frames = c->x[0] + (starts ? c->w[1] - 1 : c->head_frames);
    int64_t dims[4] = {conv_size(frames, c->w[1], c->stride[0]),
                       conv_size(c->x[1] + c->pad[0] + c->pad[1], c->w[2], c->stride[1]),
                       conv_size(c->x[2] + c->pad[2] + c->pad[3], c->w[3], c->stride[1]), c->w[0]};

    dtype = c->f32_out ? SVR_F32 : dtype;
    return c->residual == ADD_IN_PLACE ? ops_in_place(bench, dtype, 4, dims)
                                       : ops_output(bench, dtype, 4, dims);
}

static void conv3d_case(ops_bench *bench, const conv_case *c, svr_dtype dtype)
{
    int64_t inner = (int64_t) c->w[1] * c->w[2] * c->w[3] * c->x[3];
    conv_input in[OPS_SIDES];
    svr_conv3d_args args[OPS_SIDES];
    ops_array *w, *b, *y, *residual, *moments = NULL;
    double *magnitude;

    conv_inputs(bench, c, dtype, in);
    w = ops_input(bench, ops_weight_dtype(bench, dtype),
                  SVR_DIMS(c->w[0], c->w[1], c->w[2], c->w[3], c->x[3]));
    ops_scale_values(w, 1 / sqrt((double) inner), 0);
    b = c->no_bias ? NULL : ops_input(bench, SVR_F32, SVR_DIMS(c->w[0]));
    ops_fit_bias(b, dtype);
    y = conv_output(bench, c, dtype);
    residual = c->residual == ADD_IN_PLACE ? y : NULL;
    for (int side = 0; side < OPS_SIDES; side++)
        args[side] = (svr_conv3d_args){.x = in[side].x,
                                       .head = in[side].head,
                                       .recent = in[side].recent,
                                       .w = ops_view(w, side),
                                       .b = ops_view(b, side),
                                       .y = ops_view(y, side),
                                       .stride_t = c->stride[0],
                                       .stride_s = c->stride[1],
                                       .pad_top = c->pad[0],
                                       .pad_bottom = c->pad[1],
                                       .pad_left = c->pad[2],
                                       .pad_right = c->pad[3],
                                       .head_starts = c->head_starts};
    if (c->groups > 0)
        moments = ops_output(bench, SVR_F32, SVR_DIMS(args[0].y.dims[0], c->groups, 3));
    if (c->residual == ADD)
        residual = ops_input(bench, args[0].y.dtype, 4, args[0].y.dims);
    for (int side = 0; side < OPS_SIDES; side++)
        args[side].residual = ops_view(residual, side),
        args[side].moments = ops_view(moments, side);
    OPS_RUN(bench, conv3d, &args[OPS_DEVICE]);
    magnitude = ops_doubles(bench, svr_tensor_elems(&args[0].y));
    reference_conv3d(&args[OPS_REFERENCE], magnitude);
    ops_compare(bench, y, magnitude,
                SUM_UNITS * OPS_F32_EPS + (c->head == NO_HEAD || c->head_starts
                                               ? ops_inner_rounding(bench, dtype)
                                               : 0.0));
    if (moments)
        ops_compare_moments(bench, moments, &args[OPS_REFERENCE].y, dtype);
}

void ops_cases_conv3d(ops_bench *bench)
{
    for (size_t i = 0; i < sizeof conv_cases / sizeof conv_cases[0]; i++)
        for (int d = 0; d < 3 && ops_wants(bench, conv_cases[i].small); d++) {
            ops_case(bench, "conv3d[%zu] %s", i, svr_dtype_name(ops_storage[d]));
            conv3d_case(bench, &conv_cases[i], ops_storage[d]);
        }
}
