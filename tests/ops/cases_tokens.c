/* Cases of the transformer's ops.  Limits: as in cases_conv.c. */
#include "harness.h"
#include "reference.h"

#include <math.h>

enum { SUM_UNITS = 16 };

/* ---------------------------------------------------------------------------- swiglu, rms norm */

static void swiglu_case(ops_bench *bench, const int shape[3], svr_dtype dtype, svr_dtype out)
{
    int64_t M = shape[0], K = shape[1], F = shape[2];
    svr_dtype weight = ops_weight_dtype(bench, dtype);
    ops_array *x = ops_input(bench, dtype, SVR_DIMS(M, K));
    ops_array *gate = ops_input(bench, weight, SVR_DIMS(F, K)),
              *up = ops_input(bench, weight, SVR_DIMS(F, K));
    ops_array *y = ops_output(bench, out, SVR_DIMS(M, F));
    double *magnitude = ops_doubles(bench, M * F);
    svr_swiglu_args args[OPS_SIDES];

    ops_scale_values(gate, 2 / sqrt((double) K), 0);
    ops_scale_values(up, 1 / sqrt((double) K), 0);
    for (int side = 0; side < OPS_SIDES; side++)
        args[side] = (svr_swiglu_args){.x = ops_view(x, side),
                                       .w_gate = ops_view(gate, side),
                                       .w_up = ops_view(up, side),
                                       .y = ops_view(y, side)};
    OPS_RUN(bench, swiglu, &args[OPS_DEVICE]);
    reference_swiglu(&args[OPS_REFERENCE], magnitude);
    ops_compare(bench, y, magnitude,
                SUM_UNITS * OPS_F32_EPS + 2 * ops_inner_rounding(bench, dtype));
}

void ops_cases_swiglu(ops_bench *bench)
{
    static const int shapes[][3] = {{61, 192, 512}, {1, 7, 1},      {29, 33, 47},
                                    {85, 64, 16},   {514, 770, 20}, {130, 72, 136}};

    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (int d = 0; d < 3 && ops_wants(bench, i == 2 || i == 5); d++) {
            ops_case(bench, "swiglu[%zu] %s", i, svr_dtype_name(ops_storage[d]));
            swiglu_case(bench, shapes[i], ops_storage[d], i == 2 ? SVR_F32 : ops_storage[d]);
        }
}

/* kind 4: like 3, of rows by number */
static void rms_norm_case(ops_bench *bench, int M, int D, int kind, svr_dtype dtype)
{
    enum { MOST = 50, ALL = 60 };
    ops_array *x = ops_input(bench, kind >= 3 ? SVR_F32 : dtype, SVR_DIMS(kind == 4 ? ALL : M, D));
    ops_array *rows = kind == 4 ? ops_input(bench, SVR_I32, SVR_DIMS(M)) : NULL;
    int32_t numbers[MOST];
    ops_array *weight = kind == 1 || kind >= 3 ? ops_input(bench, SVR_F32, SVR_DIMS(D)) : NULL;
    ops_array *scale = kind >= 2 ? ops_input(bench, SVR_F32, SVR_DIMS(D)) : NULL;
    ops_array *shift = kind >= 2 ? ops_input(bench, SVR_F32, SVR_DIMS(D)) : NULL;
    ops_array *y = ops_output(bench, dtype, SVR_DIMS(M, D));
    svr_rms_norm_args args[OPS_SIDES];

    for (int m = 0; m < M; m++)
        numbers[m] = test_random_below(ops_random(bench), ALL);
    if (rows)
        ops_set_ints(rows, numbers);
    ops_scale_values(x, kind == 1 ? 100 : kind == 2 ? 1e-3 : 1, 0);
    for (int side = 0; side < OPS_SIDES; side++)
        args[side] = (svr_rms_norm_args){.x = ops_view(x, side),
                                         .weight = ops_view(weight, side),
                                         .scale = ops_view(scale, side),
                                         .shift = ops_view(shift, side),
                                         .rows = ops_view(rows, side),
                                         .y = ops_view(y, side),
                                         .eps = 1e-5f};
    OPS_RUN(bench, rms_norm, &args[OPS_DEVICE]);
    reference_rms_norm(&args[OPS_REFERENCE]);
    ops_compare(bench, y, NULL, 8 * OPS_F32_EPS);
}

void ops_cases_rms_norm(ops_bench *bench)
{
    static const int shapes[][2] = {{50, 192}, {1, 1}, {33, 65}, {3, 2560}};

    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (int kind = 0; kind < 5 && ops_wants(bench, i >= 2);
             kind++) /* plain; weight; scale and shift; all, from F32; the same by number */
            for (int d = 0; d < 3; d++) {
                ops_case(bench, "rms_norm[%zu] kind %d %s", i, kind,
                         svr_dtype_name(ops_storage[d]));
                rms_norm_case(bench, shapes[i][0], shapes[i][1], kind, ops_storage[d]);
            }
}

/* ---------------------------------------------------------------------------- patches */

typedef struct patch_case {
    int t, h, w, patch; /* tokens */
    int Ca, Cb;         /* Cb 0: one picture */
} patch_case;

static const patch_case patch_cases[] = {
    {2, 3, 5, 2, 16, 16}, {1, 1, 1, 2, 16, 0}, {3, 4, 2, 1, 5, 0}, {2, 2, 7, 3, 3, 2}};

static void patchify_case(ops_bench *bench, const patch_case *c, svr_dtype dtype, svr_dtype out)
{
    int64_t H = c->h * c->patch, W = c->w * c->patch;
    ops_array *a = ops_input(bench, dtype, SVR_DIMS(c->t, H, W, c->Ca));
    ops_array *b = c->Cb ? ops_input(bench, dtype, SVR_DIMS(c->t, H, W, c->Cb)) : NULL;
    ops_array *y =
        ops_output(bench, out, SVR_DIMS(c->t * c->h * c->w, c->patch * c->patch * (c->Ca + c->Cb)));
    svr_patchify_args args[OPS_SIDES];

    for (int side = 0; side < OPS_SIDES; side++)
        args[side] = (svr_patchify_args){.a = ops_view(a, side),
                                         .b = ops_view(b, side),
                                         .y = ops_view(y, side),
                                         .patch = c->patch};
    OPS_RUN(bench, patchify, &args[OPS_DEVICE]);
    reference_patchify(&args[OPS_REFERENCE]);
    ops_compare_exact(bench, y);
}

static void unpatchify_case(ops_bench *bench, const patch_case *c, svr_dtype dtype, svr_dtype out)
{
    ops_array *x =
        ops_input(bench, dtype, SVR_DIMS(c->t * c->h * c->w, c->patch * c->patch * c->Ca));
    ops_array *y = ops_output(bench, out, SVR_DIMS(c->t, c->h * c->patch, c->w * c->patch, c->Ca));
    svr_unpatchify_args args[OPS_SIDES];

    for (int side = 0; side < OPS_SIDES; side++)
        args[side] = (svr_unpatchify_args){
            .x = ops_view(x, side), .y = ops_view(y, side), .patch = c->patch};
    OPS_RUN(bench, unpatchify, &args[OPS_DEVICE]);
    reference_unpatchify(&args[OPS_REFERENCE]);
    ops_compare_exact(bench, y);
}

void ops_cases_patches(ops_bench *bench)
{
    for (size_t i = 0; i < sizeof patch_cases / sizeof patch_cases[0]; i++)
        for (int d = 0; d < 3 && ops_wants(bench, i == 0); d++)
            for (int f32_out = 0; f32_out < 2; f32_out++) {
                svr_dtype out = f32_out ? SVR_F32 : ops_storage[d];

                ops_case(bench, "patchify[%zu] %s to %s", i, svr_dtype_name(ops_storage[d]),
                         svr_dtype_name(out));
                patchify_case(bench, &patch_cases[i], ops_storage[d], out);
                ops_case(bench, "unpatchify[%zu] %s to %s", i, svr_dtype_name(ops_storage[d]),
                         svr_dtype_name(out));
                unpatchify_case(bench, &patch_cases[i], ops_storage[d], out);
            }
}

/* ---------------------------------------------------------------------------- rotation */

typedef struct rope_case {
    int tokens, heads, hd, p; /* p 0: not rotated */
} rope_case;

static const rope_case rope_cases[] = {
    {40, 6, 32, 5}, {7, 20, 128, 21}, {5, 2, 128, 10}, {33, 3, 16, 0}, {1, 1, 6, 1}};

static void qk_norm_rope_case(ops_bench *bench, const rope_case *c, svr_dtype dtype)
{
    enum { R = 9 };
    ops_array *qkv = ops_in_place(bench, dtype, SVR_DIMS(c->tokens, 3, c->heads, c->hd));
    ops_array *norm_q = ops_input(bench, SVR_F32, SVR_DIMS(c->hd));
    ops_array *norm_k = ops_input(bench, SVR_F32, SVR_DIMS(c->hd));
    ops_array *rows = NULL, *cosines = NULL, *sines = NULL;
    svr_qk_norm_rope_args args[OPS_SIDES];
    int32_t values[3 * 64];

    if (c->p > 0) {
        rows = ops_input(bench, SVR_I32, SVR_DIMS(c->tokens, 3));
        cosines = ops_input(bench, SVR_F32, SVR_DIMS(R, c->p));
        sines = ops_input(bench, SVR_F32, SVR_DIMS(R, c->p));
        for (int i = 0; i < 3 * c->tokens; i++)
            values[i] = test_random_below(ops_random(bench), R);
        ops_set_ints(rows, values);
    }
    for (int side = 0; side < OPS_SIDES; side++)
        args[side] = (svr_qk_norm_rope_args){.qkv = ops_view(qkv, side),
                                             .norm_q = ops_view(norm_q, side),
                                             .norm_k = ops_view(norm_k, side),
                                             .rows = ops_view(rows, side),
                                             .cosines = ops_view(cosines, side),
                                             .sines = ops_view(sines, side),
                                             .eps = 1e-5f};
    OPS_RUN(bench, qk_norm_rope, &args[OPS_DEVICE]);
    reference_qk_norm_rope(&args[OPS_REFERENCE]);
    ops_compare(bench, qkv, NULL, 8 * OPS_F32_EPS);
}

void ops_cases_qk_norm_rope(ops_bench *bench)
{
    for (size_t i = 0; i < sizeof rope_cases / sizeof rope_cases[0]; i++)
        for (int d = 0; d < 3 && ops_wants(bench, i == 0 || i == 2); d++) {
            ops_case(bench, "qk_norm_rope[%zu] %s", i, svr_dtype_name(ops_storage[d]));
            qk_norm_rope_case(bench, &rope_cases[i], ops_storage[d]);
        }
}

/* ---------------------------------------------------------------------------- window attention */

typedef struct window_case {
    int heads, hd, text;
    int sizes[24]; /* of windows, to the first negative */
    bool no_text_out, f32_out, small;
    bool in_order; /* no order is given */
    bool summed;   /* with text_sum */
    int first;     /* offset of the first window */
    int before;    /* windows in the calls before */
} window_case;

static const window_case window_cases[] = {
    {.heads = 6, .hd = 32, .text = 4, .sizes = {40, 61, 7, 1, 30, -1}, .small = true},
    {.heads = 2, .hd = 64, .text = 58, .sizes = {45, 20, 3, -1}, .f32_out = true},
    {.heads = 3, .hd = 128, .text = 5, .sizes = {33, -1}, .no_text_out = true},
    {.heads = 1, .hd = 16, .text = 1, .sizes = {1, 1, 1, 2, 3, 1, 1, 1, 2, 3, 1,
                                                1, 1, 2, 3, 1, 1, 1, 2, 3, -1}},
    {.heads = 2, .hd = 24, .text = 2, .sizes = {5, 0, 28, 29, -1}, .small = true},
    {.heads = 2, .hd = 128, .text = 58, .sizes = {150, 20, 1, -1}, .small = true},
    {.heads = 1, .hd = 128, .text = 7, .sizes = {130, -1}, .no_text_out = true, .small = true},
    {.heads = 2, .hd = 6, .text = 3, .sizes = {130, -1}},
    /* groups: the first, one between, the last */
    {.heads = 2,
     .hd = 32,
     .text = 4,
     .sizes = {40, 7, -1},
     .in_order = true,
     .summed = true,
     .no_text_out = true,
     .small = true},
    {.heads = 2,
     .hd = 128,
     .text = 58,
     .sizes = {150, 20, 1, -1},
     .in_order = true,
     .summed = true,
     .no_text_out = true,
     .first = 77,
     .before = 3,
     .small = true},
    {.heads = 2,
     .hd = 128,
     .text = 9,
     .sizes = {70, 65, -1},
     .in_order = true,
     .summed = true,
     .first = 1000,
     .before = 12,
     .small = true},
    {.heads = 3,
     .hd = 16,
     .text = 2,
     .sizes = {9, 30, -1},
     .summed = true,
     .first = 5,
     .before = 1},
    {.heads = 2,
     .hd = 64,
     .text = 3,
     .sizes = {9, 30, -1},
     .in_order = true,
     .no_text_out = true,
     .first = 64},
};

/* A random order of n tokens. */
static void shuffle(ops_bench *bench, int32_t *order, int n)
{
    for (int i = 0; i < n; i++) {
        int j = test_random_below(ops_random(bench), i + 1);

        order[i] = order[j];
        order[j] = i;
    }
}

static void window_attention_case(ops_bench *bench, const window_case *c, svr_dtype dtype)
{
    int32_t order[256] = {0}, offsets[25] = {0};
    int windows = 0, n;
    int64_t width = (int64_t) c->heads * c->hd;
    svr_dtype out = c->f32_out ? SVR_F32 : dtype;
    ops_array *vid, *txt, *order_array, *offset_array, *out_vid, *out_txt, *text_sum;
    double limit;
    svr_window_attention_args args[OPS_SIDES];

    offsets[0] = c->first;
    for (; c->sizes[windows] >= 0; windows++)
        offsets[windows + 1] = offsets[windows] + c->sizes[windows];
    n = offsets[windows] - c->first;
    shuffle(bench, order, n);
    vid = ops_input(bench, dtype, SVR_DIMS(n, 3, c->heads, c->hd));
    txt = ops_input(bench, dtype, SVR_DIMS(c->text, 3, c->heads, c->hd));
    order_array = c->in_order ? NULL : ops_input(bench, SVR_I32, SVR_DIMS(n));
    offset_array = ops_input(bench, SVR_I32, SVR_DIMS(windows + 1));
    if (order_array)
        ops_set_ints(order_array, order);
    ops_set_ints(offset_array, offsets);
    out_vid = ops_output(bench, out, SVR_DIMS(n, width));
    text_sum = !c->summed      ? NULL
               : c->before > 0 ? ops_in_place(bench, SVR_F32, SVR_DIMS(c->text, width))
                               : ops_output(bench, SVR_F32, SVR_DIMS(c->text, width));
    out_txt = c->no_text_out ? NULL : ops_output(bench, out, SVR_DIMS(c->text, width));
    for (int side = 0; side < OPS_SIDES; side++)
        args[side] = (svr_window_attention_args){.vid = ops_view(vid, side),
                                                 .txt = ops_view(txt, side),
                                                 .order = ops_view(order_array, side),
                                                 .offsets = ops_view(offset_array, side),
                                                 .out_vid = ops_view(out_vid, side),
                                                 .out_txt = ops_view(out_txt, side),
                                                 .text_sum = ops_view(text_sum, side),
                                                 .windows_before = c->before,
                                                 .host_offsets = offsets,
                                                 .window_count = windows};
    OPS_RUN(bench, window_attention, &args[OPS_DEVICE]);
    reference_window_attention(&args[OPS_REFERENCE]);
    limit = 32 * OPS_F32_EPS + ops_inner_rounding(bench, dtype);
    ops_compare(bench, out_vid, NULL, limit);
    if (out_txt)
        ops_compare(bench, out_txt, NULL, limit);
    if (text_sum)
        ops_compare(bench, text_sum, NULL, limit);
}

void ops_cases_window_attention(ops_bench *bench)
{
    for (size_t i = 0; i < sizeof window_cases / sizeof window_cases[0]; i++)
        for (int d = 0; d < 3 && ops_wants(bench, window_cases[i].small); d++) {
            ops_case(bench, "window_attention[%zu] %s", i, svr_dtype_name(ops_storage[d]));
            window_attention_case(bench, &window_cases[i], ops_storage[d]);
        }
}
