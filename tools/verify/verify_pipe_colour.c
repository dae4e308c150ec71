/* pipe_color: the colour correction methods and their parts, in F32 whatever the storage type. */
#include "base/colour_math.h"
#include "verify/verify.h"
#include "video/colour.h"

#include <math.h>
#include <string.h>

static const verify_limit wavelet_limit = {.max_abs = 1e-5};
/* rank matching amplifies rounding, so single values may be far off */
static const verify_limit rank_limit = {
    .mean_abs = 2e-5, .p999 = 2e-3, .share = 1e-3, .share_from = 2.0 / 255.0};
/* histograms of 1024 bins instead of ranks; .15 and 2 levels of 8 bits, a level is 2/255 here */
static const verify_limit histogram_limit = {.mean_abs = 0.15 * 2.0 / 255.0,
                                             .p99 = 2.0 * 2.0 / 255.0};
static const double histogram_delta_e = 0.15;

static const struct {
    const char *name;
    svr_colour_method method;
    const verify_limit *limit;
} methods[] = {
    {"wavelet", SVR_COLOUR_WAVELET, &wavelet_limit},
    {"adain", SVR_COLOUR_ADAIN, &wavelet_limit},
    {"lab_stable", SVR_COLOUR_LAB, &rank_limit},
    {"hsv_stable", SVR_COLOUR_HSV, &rank_limit},
    {"wavelet_adaptive_stable", SVR_COLOUR_WAVELET_ADAPTIVE, &rank_limit},
};

/* Content and style as [T,H,W,3]. */
typedef struct colour_case {
    svr_colour_method method;
    bool exact;
    int64_t dims[4];
    float *content, *style;
    float *out;
} colour_case;

static size_t elems(const colour_case *c)
{
    return (size_t) (c->dims[0] * c->dims[1] * c->dims[2] * c->dims[3]);
}

static svr_tensor pictures(const colour_case *c, int64_t frames)
{
    return svr_tensor_4d(NULL, SVR_F32, frames, c->dims[1], c->dims[2], c->dims[3]);
}

static svr_status style_frame(void *user, svr_exec *exec, int frame, const svr_tensor *style,
                              svr_error *err)
{
    const colour_case *c = (const colour_case *) user;
    size_t n = elems(c) / (size_t) c->dims[0];

    return svr_backend_upload(exec->backend, style->data, c->style + (size_t) frame * n,
                              n * sizeof(float), err);
}

static svr_status run_method(void *user, svr_exec *exec, svr_error *err)
{
    colour_case *c = (colour_case *) user;
    svr_colour_style style = {.user = c, .frame = style_frame};
    svr_tensor content;

    SVR_TRY(device_put(exec, c->content, pictures(c, c->dims[0]), &content, err));
    SVR_TRY(svr_colour_correct(exec, c->method, c->exact, &style, &content, err));
    return device_get(exec->backend, &content, c->out, err);
}

static svr_status run_low_band(void *user, svr_exec *exec, svr_error *err)
{
    colour_case *c = (colour_case *) user;
    svr_tensor x, y;

    SVR_TRY(device_put(exec, c->style, pictures(c, c->dims[0]), &x, err));
    SVR_TRY(svr_exec_alloc(exec, SVR_F32, x.rank, x.dims, &y, err));
    SVR_TRY(svr_colour_low_band(exec, &x, &y, err));
    return device_get(exec->backend, &y, c->out, err);
}

static svr_status run_lab(void *user, svr_exec *exec, svr_error *err)
{
    colour_case *c = (colour_case *) user;
    svr_rgb_to_lab_args args;

    SVR_TRY(device_put(exec, c->style, pictures(c, c->dims[0]), &args.x, err));
    SVR_TRY(svr_exec_alloc(exec, SVR_F32, args.x.rank, args.x.dims, &args.y, err));
    SVR_TRY(svr_op_rgb_to_lab(exec, &args, err));
    return device_get(exec->backend, &args.y, c->out, err);
}

/* The result is channels-last, the golden tensor [T,3,H,W]; a file need not have all of them. */
static svr_status compare(verify_run *run, const golden *g, const colour_case *c, const char *name,
                          const verify_limit *limit, svr_error *err)
{
    static const int order[4] = {0, 3, 1, 2};
    g_autofree float *got = NULL;

    if (!golden_has(g, name))
        return SVR_OK;
    got = golden_permute(c->out, c->dims, order);
    return verify_tensor(run, g, name, got, elems(c), limit, err);
}

static svr_status check_parts(verify_run *run, const golden *g, const char *prefix, colour_case *c,
                              svr_error *err)
{
    static const verify_limit lab_limit = {.max_abs = 1e-3};
    g_autofree char *low = g_strconcat(prefix, "style_low", NULL);
    g_autofree char *high = g_strconcat(prefix, "style_high", NULL);
    g_autofree char *lab = g_strconcat(prefix, "style_lab", NULL);
    g_autofree char *hsv = g_strconcat(prefix, "style_hsv", NULL);

    if (!golden_has(g, low) && !golden_has(g, high) && !golden_has(g, lab) && !golden_has(g, hsv))
        return SVR_OK;
    SVR_TRY(device_run(&run->device, run_low_band, c, NULL, err));
    SVR_TRY(compare(run, g, c, low, &wavelet_limit, err));
    for (size_t i = 0; i < elems(c); i++)
        c->out[i] = c->style[i] - c->out[i];
    SVR_TRY(compare(run, g, c, high, &wavelet_limit, err));
    SVR_TRY(device_run(&run->device, run_lab, c, NULL, err));
    SVR_TRY(compare(run, g, c, lab, &lab_limit, err));
    for (size_t i = 0; i < elems(c); i += 3) {
        float unit[3];

        for (int k = 0; k < 3; k++)
            unit[k] = svr_unit_from_model(c->style[i + (size_t) k]);
        svr_hsv_from_unit(unit, c->out + i);
    }
    return compare(run, g, c, hsv, &wavelet_limit, err);
}

/* Mean distance in Lab between two sequences of model values. */
static double mean_delta_e(const float *a, const float *b, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i += 3) {
        float unit[3], lab_a[3], lab_b[3];

        for (size_t k = 0; k < 3; k++)
            unit[k] = svr_unit_from_model(a[i + k]);
        svr_lab_from_unit(unit, lab_a);
        for (size_t k = 0; k < 3; k++)
            unit[k] = svr_unit_from_model(b[i + k]);
        svr_lab_from_unit(unit, lab_b);
        sum += sqrt(pow(lab_a[0] - lab_b[0], 2) + pow(lab_a[1] - lab_b[1], 2) +
                    pow(lab_a[2] - lab_b[2], 2));
    }
    return sum * 3.0 / (double) n;
}

/* The default form of lab, against the reference's ranks: it may differ, but not visibly. */
static svr_status check_histograms(verify_run *run, const golden *g, const char *prefix,
                                   colour_case *c, svr_error *err)
{
    static const int order[4] = {0, 3, 1, 2};
    static const float zero = 0;
    verify_limit delta_e_limit = {.max_abs = histogram_delta_e};
    g_autofree char *golden_name = g_strconcat(prefix, "lab_stable", NULL);
    g_autofree char *name = g_strconcat(prefix, "lab_histograms", NULL);
    g_autofree char *delta_name = g_strconcat(prefix, "lab_histograms_dE", NULL);
    g_autofree float *want = NULL, *got = NULL;
    g_autofree float *want_pixels = NULL;
    int64_t dims[4];
    float delta_e;

    if (!golden_has(g, golden_name))
        return SVR_OK;
    c->method = SVR_COLOUR_LAB;
    c->exact = false;
    SVR_TRY(device_run(&run->device, run_method, c, NULL, err));
    SVR_TRY(golden_floats(g, golden_name, &want, err));
    got = golden_permute(c->out, c->dims, order);
    verify_compare(&run->report, name, got, want, elems(c), &histogram_limit);
    for (int i = 0; i < 4; i++)
        dims[i] = c->dims[order[i]];
    want_pixels = golden_permute(want, dims, (const int[4]){0, 2, 3, 1});
    delta_e = (float) mean_delta_e(c->out, want_pixels, elems(c));
    verify_compare(&run->report, delta_name, &delta_e, &zero, 1, &delta_e_limit);
    return SVR_OK;
}

static svr_status read_pictures(const golden *g, const char *name, float **out, int64_t dims[4],
                                svr_error *err)
{
    static const int order[4] = {0, 2, 3, 1};
    const svr_safetensors_entry *entry;
    g_autofree float *values = NULL;

    SVR_TRY(golden_entry(g, name, 4, &entry, err));
    if (entry->dims[1] != 3)
        return SVR_FAIL(err, SVR_ERR_FORMAT, "%s: %s should be [T,3,H,W]",
                        svr_safetensors_path(g->file), name);
    SVR_TRY(golden_floats(g, name, &values, err));
    *out = golden_permute(values, entry->dims, order);
    for (int i = 0; i < 4; i++)
        dims[i] = entry->dims[order[i]];
    return SVR_OK;
}

static svr_status check_case(verify_run *run, const golden *g, const char *prefix, colour_case *c,
                             svr_error *err)
{
    g_autofree char *content = g_strconcat(prefix, "content", NULL);
    g_autofree char *style = g_strconcat(prefix, "style", NULL);
    int64_t style_dims[4];

    SVR_TRY(read_pictures(g, content, &c->content, c->dims, err));
    SVR_TRY(read_pictures(g, style, &c->style, style_dims, err));
    if (memcmp(style_dims, c->dims, sizeof(style_dims)) != 0)
        return SVR_FAIL(err, SVR_ERR_FORMAT, "%s: %s and %s have different sizes",
                        svr_safetensors_path(g->file), content, style);
    c->out = g_new0(float, elems(c));
    for (size_t i = 0; i < G_N_ELEMENTS(methods); i++) {
        g_autofree char *name = g_strconcat(prefix, methods[i].name, NULL);

        if (!golden_has(g, name))
            continue;
        c->method = methods[i].method;
        c->exact = true;
        SVR_TRY(device_run(&run->device, run_method, c, NULL, err));
        SVR_TRY(compare(run, g, c, name, methods[i].limit, err));
    }
    SVR_TRY(check_histograms(run, g, prefix, c, err));
    return check_parts(run, g, prefix, c, err);
}

svr_status verify_pipe_colour(verify_run *run, const golden *g, svr_error *err)
{
    g_auto(GStrv) prefixes = golden_prefixes(g, "content");
    svr_status status = SVR_OK;

    for (char **prefix = prefixes; *prefix && status == SVR_OK; prefix++) {
        colour_case c = {0};

        status = check_case(run, g, *prefix, &c, err);
        g_free(c.content);
        g_free(c.style);
        g_free(c.out);
    }
    return status;
}
