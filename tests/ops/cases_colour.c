/* Cases of colour and transparency.
 *
 * Limits.  Powers and cube roots in F32 are good for a few units; Lab multiplies differences of
 * cube roots by 500.  Ops that decide by comparing values (ranks of saturation, thresholds, integer
 * grey) may decide otherwise within rounding: there nearly all values must agree. */
#include "harness.h"
#include "reference_pixels.h"

#include <math.h>
#include <string.h>

static const int shapes[][3] = {{1, 13, 17}, {2, 20, 31}, {3, 4, 65}, {1, 1, 2}};

enum { SHAPES = sizeof shapes / sizeof shapes[0] };

typedef ops_array *new_array(ops_bench *bench, svr_dtype dtype, int rank, const int64_t *dims);

/* [T,H,W,3] of a shape, values N(0, .5^2). */
static ops_array *picture(ops_bench *bench, new_array *make, const int shape[3])
{
    ops_array *a = make(bench, SVR_F32, SVR_DIMS(shape[0], shape[1], shape[2], 3));

    if (make != ops_output)
        ops_scale_values(a, 0.5, 0);
    return a;
}

static int64_t values_of(const int shape[3])
{
    return (int64_t) shape[0] * shape[1] * shape[2] * 3;
}

/* At most `share` of the values may be further than `limit` from the reference. */
static void compare_most(ops_bench *bench, const ops_array *a, double limit, double share)
{
    svr_tensor want = ops_view(a, OPS_REFERENCE);
    int64_t n = svr_tensor_elems(&want), beyond = 0;
    const float *got = ops_result(a);

    for (int64_t i = 0; i < n; i++)
        beyond += !(fabs((double) got[i] - ((const double *) want.data)[i]) <= limit);
    if ((double) beyond > share * (double) n)
        ops_fail(bench, "%lld of %lld values are more than %.3g off", (long long) beyond,
                 (long long) n, limit);
}

/* ---------------------------------------------------------------------------- adain, lab */

static void adain_case(ops_bench *bench, const int shape[3], bool in_place)
{
    ops_array *style = picture(bench, ops_input, shape);
    ops_array *content = picture(bench, in_place ? ops_in_place : ops_input, shape);
    ops_array *y = in_place ? content : picture(bench, ops_output, shape);
    svr_adain_args args[OPS_SIDES];

    ops_scale_values(content, 0.6, 0.2);
    for (int side = 0; side < OPS_SIDES; side++)
        args[side] =
            (svr_adain_args){ops_view(content, side), ops_view(style, side), ops_view(y, side)};
    OPS_RUN(bench, adain, &args[OPS_DEVICE]);
    reference_adain(&args[OPS_REFERENCE]);
    ops_compare(bench, y, NULL, 8 * OPS_F32_EPS);
}

static void lab_case(ops_bench *bench, const int shape[3], bool back, bool in_place)
{
    ops_array *x = picture(bench, in_place ? ops_in_place : ops_input, shape);
    ops_array *y = in_place ? x : picture(bench, ops_output, shape);
    svr_lab_args args[OPS_SIDES];

    if (back) {
        svr_tensor lab = ops_view(x, OPS_REFERENCE);
        double *values = lab.data;

        for (int64_t i = 0; i < svr_tensor_elems(&lab); i++)
            values[i] = i % 3 == 0 ? 50 + 60 * values[i] : 60 * values[i];
        ops_set_values(x, values);
    }
    for (int side = 0; side < OPS_SIDES; side++)
        args[side] = (svr_lab_args){ops_view(x, side), ops_view(y, side)};
    if (back) {
        OPS_RUN(bench, lab_to_rgb, &args[OPS_DEVICE]);
        reference_lab_to_rgb(&args[OPS_REFERENCE]);
        /* terms of the matrix cancel near black: 2 (model) * 12.92 (sRGB) * (3.24 + 1.54 + .50)
         * units */
        ops_compare(bench, y, NULL, 136 * OPS_F32_EPS);
    } else {
        OPS_RUN(bench, rgb_to_lab, &args[OPS_DEVICE]);
        reference_rgb_to_lab(&args[OPS_REFERENCE]);
        ops_compare(bench, y, NULL, 32 * OPS_F32_EPS);
    }
}

/* ---------------------------------------------------------------------------- histograms */

static const float lo[3] = {-1.5f, -0.25f, -100.0f}, hi[3] = {1.5f, 2.0f, 100.0f};

/* Values well inside their bins; every 16th lies outside the range. */
static void set_inside_bins(ops_bench *bench, ops_array *x, int bins)
{
    svr_tensor view = ops_view(x, OPS_REFERENCE);
    double *values = view.data;

    for (int64_t i = 0; i < svr_tensor_elems(&view); i++) {
        double inside = (double) test_random_uniform(ops_random(bench), 0.05f, 0.95f);
        double step = (double) (hi[i % 3] - lo[i % 3]) / bins;
        int bin = i % 16 == 15 ? bins + (int) i % 3 : test_random_below(ops_random(bench), bins);

        values[i] = (double) lo[i % 3] + step * (bin + inside);
    }
    ops_set_values(x, values);
}

static void histogram_case(ops_bench *bench, const int shape[3], int bins, bool accumulate)
{
    ops_array *x = picture(bench, ops_input, shape);
    ops_array *counts = (accumulate ? ops_in_place : ops_output)(bench, SVR_I32, SVR_DIMS(3, bins));
    uint32_t *want = (uint32_t *) (void *) ops_doubles(bench, 3 * bins);
    svr_histogram_args args[OPS_SIDES];

    set_inside_bins(bench, x, bins);
    if (accumulate) {
        for (int i = 0; i < 3 * bins; i++)
            want[i] = INT32_MAX - (uint32_t) i / 2; /* some go beyond */
        ops_set_ints(counts, (const int32_t *) want);
    }
    for (int side = 0; side < OPS_SIDES; side++) {
        args[side] = (svr_histogram_args){
            .x = ops_view(x, side), .counts = ops_view(counts, side), .accumulate = accumulate};
        memcpy(args[side].lo, lo, sizeof lo);
        memcpy(args[side].hi, hi, sizeof hi);
    }
    OPS_RUN(bench, histogram, &args[OPS_DEVICE]);
    reference_histogram(&args[OPS_REFERENCE], want);
    if (memcmp(ops_result(counts), want, (size_t) (3 * bins) * sizeof *want) != 0)
        ops_fail(bench, "counts differ");
}

/* Histograms without gaps, so that no step is steeper than three bins per bin. */
static ops_array *counts_without_gaps(ops_bench *bench, int bins)
{
    ops_array *counts = ops_input(bench, SVR_I32, SVR_DIMS(3, bins));
    int32_t *values = (int32_t *) (void *) ops_doubles(bench, 3 * bins);

    for (int i = 0; i < 3 * bins; i++)
        values[i] = 50 + test_random_below(ops_random(bench), 101);
    ops_set_ints(counts, values);
    return counts;
}

static void match_histogram_case(ops_bench *bench, const int shape[3], int bins, bool in_place)
{
    ops_array *x = picture(bench, in_place ? ops_in_place : ops_input, shape);
    ops_array *y = in_place ? x : picture(bench, ops_output, shape);
    ops_array *own = counts_without_gaps(bench, bins), *ref = counts_without_gaps(bench, bins);
    svr_match_histogram_args args[OPS_SIDES];

    set_inside_bins(bench, x, bins);
    for (int side = 0; side < OPS_SIDES; side++) {
        args[side] = (svr_match_histogram_args){.x = ops_view(x, side),
                                                .counts = ops_view(own, side),
                                                .ref_counts = ops_view(ref, side),
                                                .y = ops_view(y, side),
                                                .keep = {0.8f, 0.0f, 0.0f}};
        memcpy(args[side].lo, lo, sizeof lo);
        memcpy(args[side].hi, hi, sizeof hi);
    }
    OPS_RUN(bench, match_histogram, &args[OPS_DEVICE]);
    reference_match_histogram(&args[OPS_REFERENCE]);
    ops_compare(bench, y, NULL, 64 * OPS_F32_EPS);
}

/* Flat pictures: all of a channel in one bin at its very edge, and nothing around it.  Their values
 * may move inside the reference's bin, but not across the gaps beside it. */
static void match_single_bins(ops_bench *bench, uint32_t own_count, uint32_t ref_count)
{
    enum { BINS = 8 };
    const int shape[3] = {1, 2, 2};
    ops_array *x = picture(bench, ops_in_place, shape);
    uint32_t counts[2][3 * BINS] = {{0}};
    ops_array *own = ops_input(bench, SVR_I32, SVR_DIMS(3, BINS));
    ops_array *ref = ops_input(bench, SVR_I32, SVR_DIMS(3, BINS));
    svr_match_histogram_args args = {.lo = {0, 0, 0}, .hi = {BINS, BINS, BINS}};
    double values[12];
    const float *got;

    for (int i = 0; i < 12; i++)
        values[i] = i % 3 == 0 ? 4.0 : i % 3 == 1 ? 0.0 : (double) BINS;
    for (int c = 0; c < 3; c++) {
        counts[0][c * BINS + (c == 0 ? 4 : c == 1 ? 0 : BINS - 1)] = own_count;
        counts[1][c * BINS + 5] = ref_count;
    }
    ops_set_values(x, values);
    ops_set_ints(own, (const int32_t *) counts[0]);
    ops_set_ints(ref, (const int32_t *) counts[1]);
    args.x = args.y = ops_view(x, OPS_DEVICE);
    args.counts = ops_view(own, OPS_DEVICE);
    args.ref_counts = ops_view(ref, OPS_DEVICE);
    OPS_RUN(bench, match_histogram, &args);
    got = ops_result(x);
    for (int i = 0; i < 12; i++)
        if (!(got[i] >= 5.0f && got[i] <= 6.0f))
            ops_fail(bench, "value %d went to %.9g, out of the only bin [5,6]", i, (double) got[i]);
}

/* ---------------------------------------------------------------------------- ranks */

/* Steps of 1/8 make many ties, which keep the order of their places. */
static void make_ties(ops_array *a)
{
    svr_tensor view = ops_view(a, OPS_REFERENCE);
    double *values = view.data;

    for (int64_t i = 0; i < svr_tensor_elems(&view); i++)
        values[i] = nearbyint(values[i] * 8) / 8;
    ops_set_values(a, values);
}

static void match_ranks_case(ops_bench *bench, const int shape[3], bool in_place, bool ties)
{
    ops_array *x = picture(bench, in_place ? ops_in_place : ops_input, shape);
    ops_array *y = in_place ? x : picture(bench, ops_output, shape);
    ops_array *ref = picture(bench, ops_input, shape);
    svr_match_ranks_args args[OPS_SIDES];

    if (ties)
        make_ties(x);
    for (int side = 0; side < OPS_SIDES; side++)
        args[side] = (svr_match_ranks_args){
            ops_view(x, side), ops_view(ref, side), ops_view(y, side), {0.8f, 0.0f, 0.5f}};
    OPS_RUN(bench, match_ranks, &args[OPS_DEVICE]);
    reference_match_ranks(&args[OPS_REFERENCE]);
    ops_compare(bench, y, NULL, 2 * OPS_F32_EPS);
}

/* Large enough that hue bins hold more than 100 pixels, some of them at least. */
static void hsv_case(ops_bench *bench, const int shape[3], bool in_place)
{
    ops_array *content = picture(bench, in_place ? ops_in_place : ops_input, shape);
    ops_array *y = in_place ? content : picture(bench, ops_output, shape);
    ops_array *style = picture(bench, ops_input, shape);
    svr_hsv_args args[OPS_SIDES];

    ops_scale_values(style, 0.5, 0.1);
    for (int side = 0; side < OPS_SIDES; side++)
        args[side] =
            (svr_hsv_args){ops_view(content, side), ops_view(style, side), ops_view(y, side)};
    OPS_RUN(bench, hsv, &args[OPS_DEVICE]);
    reference_hsv(&args[OPS_REFERENCE]);
    compare_most(bench, y, 1e-5, 0.01);
}

static void mix_case(ops_bench *bench, const int shape[3], int in_place)
{
    ops_array *in[4]; /* content, style, wavelet, hsv */
    svr_saturation_mix_args args[OPS_SIDES];
    ops_array *y;

    for (int i = 0; i < 4; i++)
        in[i] = picture(bench, i == in_place ? ops_in_place : ops_input, shape);
    y = in_place < 4 ? in[in_place] : picture(bench, ops_output, shape);
    for (int side = 0; side < OPS_SIDES; side++)
        args[side] = (svr_saturation_mix_args){ops_view(in[0], side), ops_view(in[1], side),
                                               ops_view(in[2], side), ops_view(in[3], side),
                                               ops_view(y, side)};
    OPS_RUN(bench, saturation_mix, &args[OPS_DEVICE]);
    reference_saturation_mix(&args[OPS_REFERENCE]);
    compare_most(bench, y, 1e-5, 0.002);
}

/* ---------------------------------------------------------------------------- alpha */

static void alpha_case(ops_bench *bench, const int shape[3], bool mask_like, bool negative)
{
    ops_array *rgb = picture(bench, ops_input, shape);
    ops_array *alpha = ops_input(bench, SVR_F32, SVR_DIMS(shape[0], shape[1], shape[2]));
    ops_array *y = ops_output(bench, SVR_F32, SVR_DIMS(shape[0], shape[1], shape[2]));
    ops_array *edges =
        mask_like ? ops_output(bench, SVR_F32, SVR_DIMS(shape[0], shape[1], shape[2])) : NULL;
    svr_tensor view = ops_view(alpha, OPS_REFERENCE);
    svr_alpha_guide_args args[OPS_SIDES];

    for (int64_t i = 0; i < values_of(shape) / 3; i++)
        ((double *) view.data)[i] =
            i % shape[2] > shape[2] / 2 ? 1 : 0.1 * reference_unit(((double *) view.data)[i]);
    ops_set_values(alpha, view.data);
    for (int side = 0; side < OPS_SIDES; side++)
        args[side] = (svr_alpha_guide_args){.alpha = ops_view(alpha, side),
                                            .rgb = ops_view(rgb, side),
                                            .y = ops_view(y, side),
                                            .edges = ops_view(edges, side),
                                            .mask_like = mask_like,
                                            .negative_rgb = negative,
                                            .inside_only = shape[0] != 1};
    OPS_RUN(bench, alpha_guide, &args[OPS_DEVICE]);
    reference_alpha_guide(&args[OPS_REFERENCE]);
    if (!mask_like) {
        ops_compare(bench, y, NULL, 160 * OPS_F32_EPS); /* 1e-5 */
        return;
    }
    compare_most(bench, edges, 1.0 / 255 + 1e-6, 0.0);
    compare_most(bench, y, 1.0 / 255, 0.005);
}

/* ---------------------------------------------------------------------------- the group */

static void cases_of_shape(ops_bench *bench, int s)
{
    for (int in_place = 0; in_place < 2; in_place++) {
        ops_case(bench, "adain[%d] in place %d", s, in_place);
        adain_case(bench, shapes[s], in_place);
        ops_case(bench, "rgb_to_lab[%d] in place %d", s, in_place);
        lab_case(bench, shapes[s], false, in_place);
        ops_case(bench, "lab_to_rgb[%d] in place %d", s, in_place);
        lab_case(bench, shapes[s], true, in_place);
        ops_case(bench, "histogram[%d] accumulate %d", s, in_place);
        histogram_case(bench, shapes[s], s == 0 ? 1024 : 10 * s, in_place);
        ops_case(bench, "match_histogram[%d] in place %d", s, in_place);
        match_histogram_case(bench, shapes[s], s == 0 ? 1024 : 10 * s, in_place);
        for (int ties = 0; ties < 2; ties++) {
            ops_case(bench, "match_ranks[%d] in place %d ties %d", s, in_place, ties);
            match_ranks_case(bench, shapes[s], in_place, ties);
        }
        for (int negative = 0; negative < 2; negative++) {
            ops_case(bench, "alpha_guide[%d] mask %d negative %d", s, in_place, negative);
            alpha_case(bench, shapes[s], in_place, negative);
        }
    }
    for (int in_place = 0; in_place < 5; in_place++) {
        ops_case(bench, "saturation_mix[%d] y is %d", s, in_place);
        mix_case(bench, shapes[s], in_place);
    }
}

void ops_cases_colour(ops_bench *bench)
{
    static const int large[3] = {2, 40, 37};

    for (int s = 0; s < SHAPES && ops_wants(bench, s == 0); s++)
        cases_of_shape(bench, s);
    ops_case(bench, "match_histogram single bins");
    match_single_bins(bench, 4, 7);
    ops_case(bench, "match_histogram bins of more than 2^31");
    match_single_bins(bench, 3u << 30, UINT32_MAX);
    for (int in_place = 0; in_place < 2 && ops_wants(bench, in_place == 0); in_place++) {
        ops_case(bench, "hsv in place %d", in_place);
        hsv_case(bench, large, in_place);
        ops_case(bench, "hsv small in place %d", in_place);
        hsv_case(bench, shapes[0], in_place);
    }
}
