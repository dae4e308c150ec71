/* Colour correction against the reference, with the limits of the goldens' manifest. */
#include "check.h"
#include "fixture.h"
#include "golden.h"
#include "base/colour_math.h"
#include "random.h"
#include "video/colour.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *data_dir;

static const double lsb = 2.0 / 255.0; /* of 8 bits, in model values */

/* References that lie ready, and how often they were asked for. */
typedef struct ready_style {
    svr_tensor frames;
    int calls;
    svr_cancel *cancel; /* raised by the call for frame 1 */
} ready_style;

static svr_status give_style(void *user, svr_exec *exec, int frame, const svr_tensor *style,
                             svr_error *err)
{
    ready_style *ready = user;
    svr_tensor source = svr_tensor_slice(&ready->frames, frame, 1);

    ready->calls++;
    if (ready->cancel && frame == 1)
        svr_cancel_set(ready->cancel, true);
    return svr_op_copy(exec, &(svr_copy_args){.src = source, .dst = *style}, err);
}

/* Content of golden `prefix` after a correction, in new memory. */
static svr_tensor corrected(const svr_safetensors *file, const char *prefix,
                            svr_colour_method method, bool exact)
{
    fixture f = fixture_open();
    ready_style ready = {.frames = fixture_picture(file, prefix, "style")};
    svr_colour_style style = {&ready, give_style};
    svr_tensor content = fixture_picture(file, prefix, "content");
    svr_error err = {0};

    CHECK_OK(svr_colour_correct(&f.exec, method, exact, &style, &content, &err), err);
    free(ready.frames.data);
    fixture_close(&f);
    return content;
}

static void check_close(const svr_safetensors *file, svr_colour_method method, const char *name)
{
    static const char *const prefixes[] = {"k0.", "k1."};

    for (int k = 0; k < 2; k++) {
        svr_tensor got = corrected(file, prefixes[k], method, false);
        svr_tensor want = fixture_picture(file, prefixes[k], name);
        golden_error d = golden_compare(got.data, want.data, (size_t) svr_tensor_elems(&want));

        printf("# %s%s max %.2g\n", prefixes[k], name, d.max);
        CHECK(d.max <= 1e-5);
        free(got.data);
        free(want.data);
    }
}

static void check_ranked(const svr_safetensors *file, svr_colour_method method, const char *name)
{
    static const char *const prefixes[] = {"k0.", "k1."};

    for (int k = 0; k < 2; k++) {
        svr_tensor got = corrected(file, prefixes[k], method, true);
        svr_tensor want = fixture_picture(file, prefixes[k], name);
        int64_t n = svr_tensor_elems(&want);
        golden_error d = golden_compare(got.data, want.data, n);

        printf("# %s%s mean %.2g p99.9 %.2g max %.2g\n", prefixes[k], name, d.mean, d.p999, d.max);
        CHECK(d.mean <= 2e-5);
        CHECK(d.p999 <= 2e-3);
        CHECK(golden_share_beyond(got.data, want.data, n, lsb) < 1e-3);
        free(got.data);
        free(want.data);
    }
}

static void test_methods(void)
{
    svr_safetensors *file = golden_open(data_dir, "pipe_color");

    check_close(file, SVR_COLOUR_WAVELET, "wavelet");
    check_close(file, SVR_COLOUR_ADAIN, "adain");
    check_close(file, SVR_COLOUR_NONE, "content");
    check_ranked(file, SVR_COLOUR_LAB, "lab_stable");
    check_ranked(file, SVR_COLOUR_HSV, "hsv_stable");
    check_ranked(file, SVR_COLOUR_WAVELET_ADAPTIVE, "wavelet_adaptive_stable");
    svr_safetensors_close(file);
}

static void lab_of_model(const float *model, float lab[3])
{
    float unit[3];

    for (int k = 0; k < 3; k++)
        unit[k] = svr_unit_from_model(model[k]);
    svr_lab_from_unit(unit, lab);
}

static double mean_delta_e(const float *a, const float *b, int64_t pixels)
{
    double sum = 0.0;

    for (int64_t i = 0; i < pixels; i++) {
        float x[3], y[3];

        lab_of_model(a + 3 * i, x);
        lab_of_model(b + 3 * i, y);
        sum += sqrt(pow(x[0] - y[0], 2) + pow(x[1] - y[1], 2) + pow(x[2] - y[2], 2));
    }
    return sum / (double) pixels;
}

/* The default goes through histograms; it may differ from ranks as much as the manifest allows. */
static void test_lab_by_histograms(void)
{
    static const char *const prefixes[] = {"k0.", "k1."};
    svr_safetensors *file = golden_open(data_dir, "pipe_color");

    for (int k = 0; k < 2; k++) {
        svr_tensor got = corrected(file, prefixes[k], SVR_COLOUR_LAB, false);
        svr_tensor want = fixture_picture(file, prefixes[k], "lab_stable");
        int64_t n = svr_tensor_elems(&want);
        golden_error d = golden_compare(got.data, want.data, n);
        double delta_e = mean_delta_e(got.data, want.data, n / 3);

        printf("# %shistogram lab: mean %.3g p99 %.3g max %.3g LSB, dE %.3g\n", prefixes[k],
               d.mean / lsb, d.p99 / lsb, d.max / lsb, delta_e);
        CHECK(d.mean <= 0.15 * lsb);
        CHECK(d.p99 <= 2.0 * lsb);
        CHECK(delta_e <= 0.15);
        free(got.data);
        free(want.data);
    }
    svr_safetensors_close(file);
}

static void test_low_band(void)
{
    svr_safetensors *file = golden_open(data_dir, "pipe_color");
    fixture f = fixture_open();
    svr_tensor x = fixture_picture(file, "k0.", "style");
    svr_tensor want = fixture_picture(file, "k0.", "style_low");
    svr_tensor y = fixture_floats(4, x.dims);
    svr_error err = {0};

    CHECK_OK(svr_colour_low_band(&f.exec, &x, &y, &err), err);
    CHECK(golden_compare(y.data, want.data, (size_t) svr_tensor_elems(&want)).max <= 1e-5);
    free(x.data);
    free(y.data);
    free(want.data);
    fixture_close(&f);
    svr_safetensors_close(file);
}

static void test_lab_primitive(void)
{
    svr_safetensors *file = golden_open(data_dir, "pipe_color");
    fixture f = fixture_open();
    svr_tensor x = fixture_picture(file, "k0.", "style");
    svr_tensor want = fixture_picture(file, "k0.", "style_lab");
    svr_tensor lab = fixture_floats(4, x.dims), back = fixture_floats(4, x.dims);
    svr_error err = {0};

    CHECK_OK(svr_op_rgb_to_lab(&f.exec, &(svr_lab_args){x, lab}, &err), err);
    CHECK(golden_compare(lab.data, want.data, (size_t) svr_tensor_elems(&want)).max <= 1e-3);
    CHECK_OK(svr_op_lab_to_rgb(&f.exec, &(svr_lab_args){lab, back}, &err), err);
    CHECK(golden_compare(back.data, x.data, (size_t) svr_tensor_elems(&x)).max <= 2e-5);
    free(x.data);
    free(want.data);
    free(lab.data);
    free(back.data);
    fixture_close(&f);
    svr_safetensors_close(file);
}

/* The scalar formulas that backends share. */
static void test_colour_math(void)
{
    svr_safetensors *file = golden_open(data_dir, "pipe_color");
    svr_tensor x = fixture_picture(file, "k0.", "style");
    svr_tensor want_hsv = fixture_picture(file, "k0.", "style_hsv");
    svr_tensor want_lab = fixture_picture(file, "k0.", "style_lab");

    for (int64_t i = 0; i < svr_tensor_elems(&x); i += 3) {
        float unit[3], hsv[3], lab[3], back[3];

        for (int k = 0; k < 3; k++)
            unit[k] = svr_unit_from_model(((const float *) x.data)[i + k]);
        svr_hsv_from_unit(unit, hsv);
        svr_lab_from_unit(unit, lab);
        for (int k = 0; k < 3; k++) {
            CHECK_NEAR(hsv[k], ((const float *) want_hsv.data)[i + k], 1e-5);
            CHECK_NEAR(lab[k], ((const float *) want_lab.data)[i + k], 1e-3);
        }
        svr_unit_from_hsv(hsv, back);
        for (int k = 0; k < 3; k++)
            CHECK_NEAR(back[k], unit[k], 1e-5);
        svr_unit_from_lab(lab, back);
        for (int k = 0; k < 3; k++)
            CHECK_NEAR(back[k], unit[k], 1e-5);
    }
    free(x.data);
    free(want_hsv.data);
    free(want_lab.data);
    svr_safetensors_close(file);
}

static svr_tensor filled(const int64_t dims[4], float value)
{
    svr_tensor t = fixture_floats(4, dims);

    for (int64_t i = 0; i < svr_tensor_elems(&t); i++)
        ((float *) t.data)[i] = value;
    return t;
}

/* Pure black and white lie at the ends of the Lab range, where rounding may take them beyond. */
static void test_flat_pictures(void)
{
    const float values[] = {-1.0f, 1.0f, 0.25f};
    const int64_t dims[4] = {2, 9, 21, 3};
    svr_error err = {0};

    for (int v = 0; v < 3; v++) {
        fixture f = fixture_open();
        ready_style ready = {.frames = filled(dims, values[v])};
        svr_colour_style style = {&ready, give_style};
        svr_tensor content = filled(dims, values[v]);

        CHECK_OK(svr_colour_correct(&f.exec, SVR_COLOUR_LAB, false, &style, &content, &err), err);
        CHECK(golden_compare(content.data, ready.frames.data, (size_t) svr_tensor_elems(&content))
                  .max <= 0.5 * lsb);
        free(content.data);
        free(ready.frames.data);
        fixture_close(&f);
    }
}

/* Statistics of lab span the slice: two frames that swapped tones keep their difference. */
static void test_statistics_span_the_slice(void)
{
    const int64_t dims[4] = {2, 16, 32, 3};
    fixture f = fixture_open();
    test_random random = test_random_seed(5);
    ready_style ready = {.frames = fixture_floats(4, dims)};
    svr_colour_style style = {&ready, give_style};
    svr_tensor content = fixture_floats(4, dims);
    svr_error err = {0};
    int64_t n = svr_tensor_elems(&content);

    for (int64_t i = 0; i < n; i++)
        ((float *) ready.frames.data)[i] = test_random_uniform(&random, -0.9f, 0.9f);
    memcpy(content.data, ready.frames.data, svr_tensor_bytes(&content));
    CHECK_OK(svr_colour_correct(&f.exec, SVR_COLOUR_LAB, false, &style, &content, &err), err);
    CHECK(golden_compare(content.data, ready.frames.data, n).p99 <= lsb);
    CHECK(ready.calls == 2); /* each reference is made once */
    free(content.data);
    free(ready.frames.data);
    fixture_close(&f);
}

static void test_cancel(void)
{
    const int64_t dims[4] = {3, 16, 16, 3};
    svr_error err = {0};

    for (int method = 0; method < SVR_COLOUR_NONE; method++) {
        fixture f = fixture_open();
        ready_style ready = {.frames = filled(dims, 0.5f), .cancel = svr_cancel_create()};
        svr_colour_style style = {&ready, give_style};
        svr_tensor content = filled(dims, 0.5f);

        f.exec.cancel = ready.cancel;
        CHECK_FAILS(
            svr_colour_correct(&f.exec, (svr_colour_method) method, false, &style, &content, &err),
            SVR_ERR_CANCELLED, err);
        CHECK(ready.calls == 2);
        svr_scratch_reset(f.exec.scratch);
        svr_cancel_destroy(ready.cancel);
        free(content.data);
        free(ready.frames.data);
        fixture_close(&f);
    }
}

static svr_status no_style(void *user, svr_exec *exec, int frame, const svr_tensor *style,
                           svr_error *err)
{
    (void) user;
    (void) exec;
    (void) style;
    return frame == 0 ? SVR_OK : SVR_FAIL(err, SVR_ERR_IO, "no reference for frame %d", frame);
}

static void test_failing_style(void)
{
    const int64_t dims[4] = {2, 16, 16, 3};
    fixture f = fixture_open();
    svr_colour_style style = {NULL, no_style};
    svr_tensor content = filled(dims, 0.5f);
    svr_error err = {0};

    CHECK_FAILS(svr_colour_correct(&f.exec, SVR_COLOUR_LAB, false, &style, &content, &err),
                SVR_ERR_IO, err);
    svr_scratch_reset(f.exec.scratch);
    free(content.data);
    fixture_close(&f);
}

static svr_status copy_nothing(void *user, svr_exec *exec, int frame, const svr_tensor *style,
                               svr_error *err)
{
    (void) user;
    (void) exec;
    (void) frame;
    (void) style;
    (void) err;
    return SVR_OK;
}

/* The planner's dry run takes exactly the scratch memory of the real run. */
static void test_counted_memory(void)
{
    const int64_t dims[4] = {3, 24, 40, 3};
    svr_colour_style style = {NULL, copy_nothing};
    svr_error err = {0};

    for (int method = 0; method < SVR_COLOUR_COUNT; method++) {
        for (int exact = 0; exact < 2; exact++) {
            fixture f = fixture_open();
            svr_tensor content = filled(dims, 0.5f);
            svr_scratch *counted = svr_scratch_create(f.memory, SIZE_MAX / 2);
            svr_exec exec = {.backend = f.counting, .scratch = counted};

            memset(f.memory, 0,
                   1 << 20); /* references are whatever lies there: let it be numbers */
            CHECK_OK(svr_colour_correct(&exec, (svr_colour_method) method, exact, &style, &content,
                                        &err),
                     err);
            CHECK_OK(svr_colour_correct(&f.exec, (svr_colour_method) method, exact, &style,
                                        &content, &err),
                     err);
            CHECK(svr_scratch_peak(counted) == svr_scratch_peak(f.exec.scratch));
            svr_scratch_destroy(counted);
            free(content.data);
            fixture_close(&f);
        }
    }
}

/* Pixels of a whole slice are counted in 32 bits: more are refused before anything is touched. */
static void test_too_many_pixels(void)
{
    fixture f = fixture_open();
    svr_colour_style style = {NULL, give_style};
    float nothing[1];
    svr_tensor content = svr_tensor_4d(nothing, SVR_F32, 130, 4320, 7680, 3);
    svr_error err = {0};

    CHECK(svr_colour_most_frames(SVR_COLOUR_LAB, 4320 * 7680) == 129);
    CHECK(svr_colour_most_frames(SVR_COLOUR_WAVELET, 4320 * 7680) > UINT32_MAX);
    CHECK(svr_colour_correct(&f.exec, SVR_COLOUR_LAB, false, &style, &content, &err) ==
          SVR_ERR_INVALID);
    CHECK_TEXT(err.text, "smaller batch-size");
    fixture_close(&f);
}

static void test_names(void)
{
    CHECK(strcmp(svr_colour_method_name(SVR_COLOUR_LAB), "lab") == 0);
    CHECK(strcmp(svr_colour_method_name(SVR_COLOUR_WAVELET), "wavelet") == 0);
    CHECK(strcmp(svr_colour_method_name(SVR_COLOUR_WAVELET_ADAPTIVE), "wavelet-adaptive") == 0);
    CHECK(strcmp(svr_colour_method_name(SVR_COLOUR_HSV), "hsv") == 0);
    CHECK(strcmp(svr_colour_method_name(SVR_COLOUR_ADAIN), "adain") == 0);
    CHECK(strcmp(svr_colour_method_name(SVR_COLOUR_NONE), "none") == 0);
}

int main(int argc, char **argv)
{
    data_dir = argc > 1 ? argv[1] : "tests/data";
    RUN(test_methods);
    RUN(test_lab_by_histograms);
    RUN(test_low_band);
    RUN(test_lab_primitive);
    RUN(test_colour_math);
    RUN(test_flat_pictures);
    RUN(test_statistics_span_the_slice);
    RUN(test_cancel);
    RUN(test_failing_style);
    RUN(test_counted_memory);
    RUN(test_too_many_pixels);
    RUN(test_names);
    return check_done();
}
