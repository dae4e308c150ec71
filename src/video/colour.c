#include "video/colour.h"

#include "base/checked.h"

#include <assert.h>

/* Lab is matched in these ranges.  L gets a margin, because rounding takes pure black and white a
 * little beyond [0,100], and values outside would be left out of the histograms.  a and b are moved
 * by half a bin, so that the rounding of greys does not scatter them over two bins. */
enum { LAB_BINS = 1024, LOW_BAND_PASSES = 5 };
static const float lab_lo[3] = {-0.5f, -128.125f, -128.125f};
static const float lab_hi[3] = {100.5f, 127.875f, 127.875f};

/* How much of the content's own value stays: most of the lightness, nothing of the colour. */
static const float lab_keep[3] = {0.8f, 0.0f, 0.0f};

const char *svr_colour_method_name(svr_colour_method method)
{
    static const char *const names[SVR_COLOUR_COUNT] = {
        [SVR_COLOUR_LAB] = "lab",
        [SVR_COLOUR_WAVELET] = "wavelet",
        [SVR_COLOUR_WAVELET_ADAPTIVE] = "wavelet-adaptive",
        [SVR_COLOUR_HSV] = "hsv",
        [SVR_COLOUR_ADAIN] = "adain",
        [SVR_COLOUR_NONE] = "none",
    };

    assert(method >= 0 && method < SVR_COLOUR_COUNT);
    return names[method];
}

/* A slice being corrected. */
typedef struct slice {
    svr_exec *exec;
    const svr_colour_style *style;
    const svr_tensor *content; /* [T,H,W,3] */
} slice;

static svr_status alloc_frames(const slice *s, int64_t frames, svr_tensor *out, svr_error *err)
{
    const int64_t *dims = s->content->dims;

    return svr_exec_alloc(s->exec, SVR_F32, SVR_DIMS(frames, dims[1], dims[2], 3), out, err);
}

static svr_status load_style(const slice *s, int64_t frame, const svr_tensor *out, svr_error *err)
{
    SVR_TRY(svr_exec_poll(s->exec, err));
    return s->style->frame(s->style->user, s->exec, (int) frame, out, err);
}

/* All references of the slice in new memory. */
static svr_status load_styles(const slice *s, svr_tensor *out, svr_error *err)
{
    SVR_TRY(alloc_frames(s, s->content->dims[0], out, err));
    for (int64_t t = 0; t < s->content->dims[0]; t++) {
        svr_tensor frame = svr_tensor_slice(out, t, 1);

        SVR_TRY(load_style(s, t, &frame, err));
    }
    return SVR_OK;
}

/* ---------------------------------------------------------------------------- wavelet */

static int low_band_radius(const svr_tensor *x, int pass)
{
    int64_t limit = svr_min_i64(x->dims[1], x->dims[2]) / 8;

    return (int) svr_min_i64((int64_t) 1 << pass, svr_max_i64(limit, 1));
}

svr_status svr_colour_low_band(svr_exec *exec, const svr_tensor *x, const svr_tensor *y,
                               svr_error *err)
{
    svr_tensor spare, from = *x, to = *y;

    SVR_TRY(svr_exec_alloc(exec, SVR_F32, x->rank, x->dims, &spare, err));
    for (int pass = 0; pass < LOW_BAND_PASSES; pass++) {
        SVR_TRY(svr_op_blur(
            exec, &(svr_blur_args){.x = from, .y = to, .radius = low_band_radius(x, pass)}, err));
        from = to;
        to = pass % 2 == 0 ? spare : *y; /* an odd number of passes ends in y */
    }
    svr_exec_free(exec, &spare);
    return SVR_OK;
}

/* y = clamp(content + low(style - content)): the detail of content on the low band of style.  The
 * low band is linear, so one pyramid serves both.   All [1,H,W,3]; y may be content. */
static svr_status wavelet(svr_exec *exec, const svr_tensor *content, const svr_tensor *style,
                          const svr_tensor *y, svr_error *err)
{
    svr_tensor difference, low;

    SVR_TRY(svr_exec_alloc(exec, SVR_F32, content->rank, content->dims, &difference, err));
    SVR_TRY(svr_exec_alloc(exec, SVR_F32, content->rank, content->dims, &low, err));
    SVR_TRY(svr_op_lincomb(
        exec,
        &(svr_lincomb_args){
            .a = *style, .b = *content, .y = difference, .alpha = 1.0f, .beta = -1.0f},
        err));
    SVR_TRY(svr_colour_low_band(exec, &difference, &low, err));
    SVR_TRY(svr_op_lincomb(exec,
                           &(svr_lincomb_args){.a = *content,
                                               .b = low,
                                               .y = *y,
                                               .alpha = 1.0f,
                                               .beta = 1.0f,
                                               .clamp = true,
                                               .lo = -1.0f,
                                               .hi = 1.0f},
                           err));
    svr_exec_free(exec, &low);
    svr_exec_free(exec, &difference);
    return SVR_OK;
}

/* ---------------------------------------------------------------------------- frame by frame */

typedef svr_status (*frame_correction)(svr_exec *exec, const svr_tensor *content,
                                       const svr_tensor *style, svr_error *err);

static svr_status wavelet_in_place(svr_exec *exec, const svr_tensor *content,
                                   const svr_tensor *style, svr_error *err)
{
    return wavelet(exec, content, style, content, err);
}

static svr_status adain_in_place(svr_exec *exec, const svr_tensor *content, const svr_tensor *style,
                                 svr_error *err)
{
    return svr_op_adain(
        exec, &(svr_adain_args){.content = *content, .style = *style, .y = *content}, err);
}

static svr_status correct_frames(const slice *s, frame_correction correct, svr_error *err)
{
    svr_tensor style;

    SVR_TRY(alloc_frames(s, 1, &style, err));
    for (int64_t t = 0; t < s->content->dims[0]; t++) {
        svr_tensor content = svr_tensor_slice(s->content, t, 1);

        SVR_TRY(load_style(s, t, &style, err));
        SVR_TRY(correct(s->exec, &content, &style, err));
    }
    svr_exec_free(s->exec, &style);
    return SVR_OK;
}

/* ---------------------------------------------------------------------------- lab */

/* Adds a picture's Lab values to a histogram.   picture, lab [1,H,W,3]; lab may be picture. */
static svr_status count_lab(svr_exec *exec, const svr_tensor *picture, const svr_tensor *lab,
                            const svr_tensor *counts, bool accumulate, svr_error *err)
{
    svr_histogram_args args = {.x = *lab, .counts = *counts, .accumulate = accumulate};

    for (int c = 0; c < 3; c++) {
        args.lo[c] = lab_lo[c];
        args.hi[c] = lab_hi[c];
    }
    SVR_TRY(svr_op_rgb_to_lab(exec, &(svr_lab_args){.x = *picture, .y = *lab}, err));
    return svr_op_histogram(exec, &args, err);
}

/* First pass: content gets the low band of its references; both distributions are counted. */
static svr_status count_slice(const slice *s, const svr_tensor *counts,
                              const svr_tensor *ref_counts, svr_error *err)
{
    svr_tensor style, lab;

    SVR_TRY(alloc_frames(s, 1, &style, err));
    for (int64_t t = 0; t < s->content->dims[0]; t++) {
        svr_tensor content = svr_tensor_slice(s->content, t, 1);

        SVR_TRY(load_style(s, t, &style, err));
        SVR_TRY(wavelet_in_place(s->exec, &content, &style, err));
        SVR_TRY(count_lab(s->exec, &style, &style, ref_counts, t > 0, err));
        SVR_TRY(alloc_frames(s, 1, &lab, err));
        SVR_TRY(count_lab(s->exec, &content, &lab, counts, t > 0, err));
        svr_exec_free(s->exec, &lab);
    }
    svr_exec_free(s->exec, &style);
    return SVR_OK;
}

/* Second pass, in place on one frame. */
static svr_status match_frame(svr_exec *exec, const svr_tensor *frame, const svr_tensor *counts,
                              const svr_tensor *ref_counts, svr_error *err)
{
    svr_match_histogram_args args = {
        .x = *frame, .y = *frame, .counts = *counts, .ref_counts = *ref_counts};
    svr_lab_args in_place = {.x = *frame, .y = *frame};

    for (int c = 0; c < 3; c++) {
        args.keep[c] = lab_keep[c];
        args.lo[c] = lab_lo[c];
        args.hi[c] = lab_hi[c];
    }
    SVR_TRY(svr_op_rgb_to_lab(exec, &in_place, err));
    SVR_TRY(svr_op_match_histogram(exec, &args, err));
    return svr_op_lab_to_rgb(exec, &in_place, err);
}

static svr_status correct_lab(const slice *s, svr_error *err)
{
    svr_tensor counts, ref_counts;

    SVR_TRY(svr_exec_alloc(s->exec, SVR_I32, SVR_DIMS(3, LAB_BINS), &counts, err));
    SVR_TRY(svr_exec_alloc(s->exec, SVR_I32, SVR_DIMS(3, LAB_BINS), &ref_counts, err));
    SVR_TRY(count_slice(s, &counts, &ref_counts, err));
    for (int64_t t = 0; t < s->content->dims[0]; t++) {
        svr_tensor frame = svr_tensor_slice(s->content, t, 1);

        SVR_TRY(svr_exec_poll(s->exec, err));
        SVR_TRY(match_frame(s->exec, &frame, &counts, &ref_counts, err));
    }
    svr_exec_free(s->exec, &ref_counts);
    svr_exec_free(s->exec, &counts);
    return SVR_OK;
}

static svr_status correct_lab_exactly(const slice *s, svr_error *err)
{
    const svr_tensor *content = s->content;
    svr_match_ranks_args args = {.x = *content, .y = *content};
    svr_lab_args in_place = {.x = *content, .y = *content}, style_in_place;

    SVR_TRY(load_styles(s, &args.ref, err));
    style_in_place = (svr_lab_args){.x = args.ref, .y = args.ref};
    for (int64_t t = 0; t < content->dims[0]; t++) {
        svr_tensor frame = svr_tensor_slice(content, t, 1);
        svr_tensor style = svr_tensor_slice(&args.ref, t, 1);

        SVR_TRY(svr_exec_poll(s->exec, err));
        SVR_TRY(wavelet_in_place(s->exec, &frame, &style, err));
    }
    for (int c = 0; c < 3; c++)
        args.keep[c] = lab_keep[c];
    SVR_TRY(svr_op_rgb_to_lab(s->exec, &style_in_place, err));
    SVR_TRY(svr_op_rgb_to_lab(s->exec, &in_place, err));
    SVR_TRY(svr_op_match_ranks(s->exec, &args, err));
    SVR_TRY(svr_op_lab_to_rgb(s->exec, &in_place, err));
    svr_exec_free(s->exec, &args.ref);
    return SVR_OK;
}

/* ---------------------------------------------------------------------------- hsv */

static svr_status correct_hsv(const slice *s, svr_error *err)
{
    svr_hsv_args args = {.content = *s->content, .y = *s->content};

    SVR_TRY(load_styles(s, &args.style, err));
    SVR_TRY(svr_op_hsv(s->exec, &args, err));
    svr_exec_free(s->exec, &args.style);
    return SVR_OK;
}

/* The wavelet correction, but the hsv one where content is more vivid than its reference. */
static svr_status correct_adaptive(const slice *s, svr_error *err)
{
    svr_hsv_args hsv = {.content = *s->content};
    svr_saturation_mix_args mix;

    SVR_TRY(load_styles(s, &hsv.style, err));
    SVR_TRY(alloc_frames(s, s->content->dims[0], &hsv.y, err));
    SVR_TRY(svr_op_hsv(s->exec, &hsv, err));
    SVR_TRY(alloc_frames(s, 1, &mix.wavelet, err));
    for (int64_t t = 0; t < s->content->dims[0]; t++) {
        mix.content = mix.y = svr_tensor_slice(s->content, t, 1);
        mix.style = svr_tensor_slice(&hsv.style, t, 1);
        mix.hsv = svr_tensor_slice(&hsv.y, t, 1);
        SVR_TRY(svr_exec_poll(s->exec, err));
        SVR_TRY(wavelet(s->exec, &mix.content, &mix.style, &mix.wavelet, err));
        SVR_TRY(svr_op_saturation_mix(s->exec, &mix, err));
    }
    svr_exec_free(s->exec, &mix.wavelet);
    svr_exec_free(s->exec, &hsv.y);
    svr_exec_free(s->exec, &hsv.style);
    return SVR_OK;
}

int64_t svr_colour_most_frames(svr_colour_method method, int64_t pixels)
{
    return method == SVR_COLOUR_LAB ? UINT32_MAX / pixels : INT64_MAX;
}

static svr_status check_frames(svr_colour_method method, const svr_tensor *content, svr_error *err)
{
    const int64_t *d = content->dims;

    if (d[0] <= svr_colour_most_frames(method, d[1] * d[2]))
        return SVR_OK;
    return SVR_FAIL(err, SVR_ERR_INVALID,
                    "%lld frames of %lldx%lld have more pixels than color-correction=%s can count "
                    "together; use a smaller batch-size or another color-correction",
                    (long long) d[0], (long long) d[2], (long long) d[1],
                    svr_colour_method_name(method));
}

svr_status svr_colour_correct(svr_exec *exec, svr_colour_method method, bool exact,
                              const svr_colour_style *style, const svr_tensor *content,
                              svr_error *err)
{
    slice s = {exec, style, content};

    SVR_TRY(check_frames(method, content, err));
    switch (method) {
    case SVR_COLOUR_LAB:
        return exact ? correct_lab_exactly(&s, err) : correct_lab(&s, err);
    case SVR_COLOUR_WAVELET:
        return correct_frames(&s, wavelet_in_place, err);
    case SVR_COLOUR_WAVELET_ADAPTIVE:
        return correct_adaptive(&s, err);
    case SVR_COLOUR_HSV:
        return correct_hsv(&s, err);
    case SVR_COLOUR_ADAIN:
        return correct_frames(&s, adain_in_place, err);
    default:
        return SVR_OK;
    }
}
