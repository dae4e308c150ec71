/* Cases of frames, sizes and blurs.  Limits: sums of a few dozen products, so 16 units of F32;
 * codes are nearest integers, where a value closer to a tie than F32 can tell may go either way. */
#include "harness.h"
#include "reference_pixels.h"

#include "video/resample.h"

#include <math.h>
#include <string.h>

enum { SUM_UNITS = 16 };

/* ---------------------------------------------------------------------------- frames */

typedef struct frame_case {
    svr_pixel_format format;
    int width, height;
    int color; /* see colorimetry() */
} frame_case;

/* Bits: 1 BT.601 instead of BT.709, 2 full range (of RGB: limited), 4 and 8 cosited chroma. */
static svr_colorimetry colorimetry(int bits)
{
    return (svr_colorimetry){.kr = bits & 1 ? 0.299 : 0.2126,
                             .kb = bits & 1 ? 0.114 : 0.0722,
                             .full_range = (bits & 2) != 0,
                             .limited_rgb = (bits & 2) != 0,
                             .chroma_h_cosited = (bits & 4) != 0,
                             .chroma_v_cosited = (bits & 8) != 0};
}

/* Bytes travel in I32 arrays. */
static svr_frame frame_in(const svr_video_info *info, const ops_array *bytes, int side)
{
    return svr_frame_packed(info, ops_view(bytes, side).data);
}

static int64_t words_of(const svr_video_info *info)
{
    return (int64_t) (svr_frame_bytes(info) + 3) / 4;
}

static void unpack_case(ops_bench *bench, const frame_case *c)
{
    svr_video_info info = {c->format, c->width, c->height, colorimetry(c->color)};
    int64_t words = words_of(&info);
    int32_t *codes = (int32_t *) (void *) ops_doubles(bench, words);
    ops_array *bytes = ops_input(bench, SVR_I32, SVR_DIMS(words));
    ops_array *rgb = ops_output(bench, SVR_F32, SVR_DIMS(c->height, c->width, 3));
    ops_array *alpha =
        c->color & 1 ? NULL : ops_output(bench, SVR_F32, SVR_DIMS(c->height, c->width));
    svr_unpack_args args[OPS_SIDES];

    for (int64_t i = 0; i < words; i++)
        codes[i] = (int32_t) (uint32_t) test_random_u64(ops_random(bench));
    ops_set_ints(bytes, codes);
    for (int side = 0; side < OPS_SIDES; side++)
        args[side] = (svr_unpack_args){info, frame_in(&info, bytes, side), ops_view(rgb, side),
                                       ops_view(alpha, side)};
    OPS_RUN(bench, unpack, &args[OPS_DEVICE]);
    reference_unpack(&args[OPS_REFERENCE]);
    ops_compare(bench, rgb, NULL, 4 * OPS_F32_EPS);
    if (alpha)
        ops_compare(bench, alpha, NULL, OPS_F32_EPS);
}

/* Limits are 1e-4 of a code of 8 bits.  NaN stands where anything may be. */
static void compare_codes(ops_bench *bench, const svr_video_info *info, const svr_frame *frame,
                          const double *want, bool truncate)
{
    for (int64_t i = 0; i < reference_samples(info); i++) {
        int64_t top, got = reference_sample(info, frame, i, &top);
        double off = (double) got - (truncate ? want[i] - 0.5 : want[i]);

        if (!isnan(want[i]) && !(fabs(off) <= 0.5 + 1e-4 * (double) (top + 1) / 256 && got >= 0))
            ops_fail(bench, "sample %lld is %lld, wanted %.9g as an integer", (long long) i,
                     (long long) got, want[i]);
    }
}

static void pack_case(ops_bench *bench, const frame_case *c, bool with_alpha, bool truncate)
{
    svr_video_info info = {c->format, c->width, c->height, colorimetry(c->color)};
    ops_array *bytes = ops_output(bench, SVR_I32, SVR_DIMS(words_of(&info)));
    ops_array *rgb = ops_input(bench, SVR_F32, SVR_DIMS(c->height, c->width, 3));
    ops_array *alpha = with_alpha ? ops_input(bench, SVR_F32, SVR_DIMS(c->height, c->width)) : NULL;
    double *codes = ops_doubles(bench, reference_samples(&info));
    svr_pack_args args[OPS_SIDES];
    svr_frame frame;

    ops_scale_values(rgb, 0.7, 0); /* some of it beyond [-1,1] */
    for (int side = 0; side < OPS_SIDES; side++)
        args[side] = (svr_pack_args){info, frame_in(&info, bytes, side), ops_view(rgb, side),
                                     ops_view(alpha, side), truncate};
    OPS_RUN(bench, pack, &args[OPS_DEVICE]);
    reference_pack(&args[OPS_REFERENCE], codes);
    frame = svr_frame_packed(&info, (uint8_t *) (uintptr_t) ops_result(bytes));
    compare_codes(bench, &info, &frame, codes, truncate);
}

/* Colorimetries that make a difference to a format: sitings only where chroma is coarser. */
static int colors_of(const svr_pixel_layout *layout)
{
    return layout->h_sub ? 16 : layout->w_sub ? 8 : 4;
}

void ops_cases_frames(ops_bench *bench)
{
    static const int sizes[][2] = {{13, 9}, {64, 6}, {1, 1}, {2, 7}, {35, 2}};

    for (int f = 0; f < SVR_PIXEL_FORMAT_COUNT; f++) {
        const svr_pixel_layout *layout = svr_pixel_layout_of((svr_pixel_format) f);

        for (int s = 0; s < 5; s++)
            for (int color = 0; color < colors_of(layout); color++) {
                bool small =
                    s == 0 && (color == 0 || (layout->w_sub && color == colors_of(layout) - 1));
                frame_case c = {(svr_pixel_format) f, sizes[s][0], sizes[s][1], color};

                if (!ops_wants(bench, small))
                    continue;
                ops_case(bench, "unpack %s %dx%d colour %d", layout->name, c.width, c.height,
                         color);
                unpack_case(bench, &c);
                ops_case(bench, "pack %s %dx%d colour %d", layout->name, c.width, c.height, color);
                pack_case(bench, &c, !(color & 1), s == 0 && layout->kind == SVR_KIND_RGB);
            }
    }
}

/* ---------------------------------------------------------------------------- resize */

/* Tables of one axis; the reference gets the same weights. */
static void axis_of(ops_bench *bench, int in, int out, svr_resize_axis axis[OPS_SIDES])
{
    svr_taps taps;
    svr_error err = {.code = SVR_OK};
    ops_array *first, *weight;
    double *values;

    if (svr_taps_init(in, out, &taps, &err) != SVR_OK)
        ops_fail(bench, "%s", err.text);
    first = ops_input(bench, SVR_I32, SVR_DIMS(out));
    weight = ops_input(bench, SVR_F32, SVR_DIMS(out, taps.taps));
    values = ops_doubles(bench, (int64_t) out * taps.taps);
    for (int i = 0; i < out * taps.taps; i++)
        values[i] = (double) taps.weight[i];
    ops_set_values(weight, values);
    ops_set_ints(first, taps.first);
    svr_taps_finish(&taps);
    for (int side = 0; side < OPS_SIDES; side++)
        axis[side] = (svr_resize_axis){ops_view(first, side), ops_view(weight, side)};
}

void ops_cases_resize(ops_bench *bench)
{
    /* frames, channels, height and width before and after */
    static const int shapes[][6] = {{1, 3, 9, 16, 18, 32}, {2, 3, 20, 11, 7, 30},
                                    {1, 1, 1, 1, 5, 3},    {3, 1, 5, 9, 5, 4},
                                    {1, 3, 40, 2, 1, 1},   {1, 3, 6, 70, 6, 70}};

    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        const int *s = shapes[i];
        svr_resize_axis horizontal[OPS_SIDES], vertical[OPS_SIDES];
        svr_resize_args args[OPS_SIDES];
        ops_array *x, *y;

        if (!ops_wants(bench, i == 1))
            continue;
        ops_case(bench, "resize[%zu]", i);
        x = ops_input(bench, SVR_F32, SVR_DIMS(s[0], s[2], s[3], s[1]));
        y = ops_output(bench, SVR_F32, SVR_DIMS(s[0], s[4], s[5], s[1]));
        axis_of(bench, s[3], s[5], horizontal);
        axis_of(bench, s[2], s[4], vertical);
        for (int side = 0; side < OPS_SIDES; side++)
            args[side] = (svr_resize_args){ops_view(x, side), ops_view(y, side), horizontal[side],
                                           vertical[side]};
        OPS_RUN(bench, resize, &args[OPS_DEVICE]);
        reference_resize(&args[OPS_REFERENCE]);
        ops_compare(bench, y, NULL, SUM_UNITS * OPS_F32_EPS);
    }
}

/* ---------------------------------------------------------------------------- to_model, crop, blur
 */

/* s: frames, height and width, padded height and width */
static void to_model_case(ops_bench *bench, const int s[5], svr_padding padding, svr_dtype storage)
{
    svr_to_model_args args[OPS_SIDES];
    ops_array *x, *y;

    ops_case(bench, "to_model %dx%d in %dx%d padding %d %s", s[2], s[1], s[4], s[3], padding,
             svr_dtype_name(storage));
    x = ops_input(bench, SVR_F32, SVR_DIMS(s[0], s[1], s[2], 3));
    y = ops_output(bench, storage, SVR_DIMS(s[0], s[3], s[4], 3));
    for (int side = 0; side < OPS_SIDES; side++)
        args[side] = (svr_to_model_args){ops_view(x, side), ops_view(y, side), padding};
    OPS_RUN(bench, to_model, &args[OPS_DEVICE]);
    reference_to_model(&args[OPS_REFERENCE]);
    ops_compare(bench, y, NULL, OPS_F32_EPS);
}

void ops_cases_to_model(ops_bench *bench)
{
    static const int shapes[][5] = {
        {1, 5, 7, 16, 16}, {2, 16, 16, 16, 16}, {1, 1, 1, 3, 400}, {2, 20, 3, 32, 16}};

    for (int i = 0; i < 4; i++)
        for (int padding = 0; padding < SVR_PADDING_COUNT; padding++)
            for (int d = 0; d < 3 && ops_wants(bench, i == 0); d++)
                to_model_case(bench, shapes[i], (svr_padding) padding, ops_storage[d]);
}

void ops_cases_crop(ops_bench *bench)
{
    /* frames, channels, height and width before and after */
    static const int shapes[][6] = {
        {2, 3, 16, 16, 10, 14}, {1, 16, 4, 5, 4, 5}, {1, 3, 3, 600, 2, 599}};

    for (int i = 0; i < 3; i++)
        for (int d = 0; d < 9 && ops_wants(bench, i == 0); d++) {
            const int *s = shapes[i];
            svr_dtype from = ops_storage[d / 3], to = ops_storage[d % 3];
            svr_crop_args args[OPS_SIDES];
            ops_array *x, *y;

            ops_case(bench, "crop[%d] %s to %s", i, svr_dtype_name(from), svr_dtype_name(to));
            x = ops_input(bench, from, SVR_DIMS(s[0], s[2], s[3], s[1]));
            y = ops_output(bench, to, SVR_DIMS(s[0], s[4], s[5], s[1]));
            for (int side = 0; side < OPS_SIDES; side++)
                args[side] = (svr_crop_args){ops_view(x, side), ops_view(y, side)};
            OPS_RUN(bench, crop, &args[OPS_DEVICE]);
            reference_crop(&args[OPS_REFERENCE]);
            ops_compare_exact(bench, y);
        }
}

void ops_cases_blur(ops_bench *bench)
{
    /* frames, height, width, channels, radius */
    static const int shapes[][5] = {{2, 9, 33, 3, 1}, {1, 40, 40, 3, 16}, {1, 5, 9, 3, 4},
                                    {1, 3, 8, 1, 4},  {1, 1, 1, 3, 2},    {3, 7, 6, 3, 100}};

    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        const int *s = shapes[i];
        svr_blur_args args[OPS_SIDES];
        ops_array *x, *y;

        if (!ops_wants(bench, i == 0 || i == 2))
            continue;
        ops_case(bench, "blur[%zu]", i);
        x = ops_input(bench, SVR_F32, SVR_DIMS(s[0], s[1], s[2], s[3]));
        y = ops_output(bench, SVR_F32, SVR_DIMS(s[0], s[1], s[2], s[3]));
        for (int side = 0; side < OPS_SIDES; side++)
            args[side] = (svr_blur_args){ops_view(x, side), ops_view(y, side), s[4]};
        OPS_RUN(bench, blur, &args[OPS_DEVICE]);
        reference_blur(&args[OPS_REFERENCE]);
        ops_compare(bench, y, NULL, SUM_UNITS * OPS_F32_EPS);
    }
}
