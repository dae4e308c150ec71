/* Resampling and the preparation of frames, against the reference. */
#include "check.h"
#include "cpu/cpu_backend.h"
#include "fixture.h"
#include "golden.h"
#include "video/pre.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *data_dir;

/* ---------------------------------------------------------------------------- taps */

static void test_taps(void)
{
    static const int sizes[][2] = {{36, 50}, {50, 36}, {1, 7}, {7, 1}, {2, 640}, {3, 2}, {64, 64}};
    svr_error err = {0};

    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        int in = sizes[s][0], out = sizes[s][1];
        svr_taps taps;

        CHECK_OK(svr_taps_init(in, out, &taps, &err), err);
        CHECK(taps.outputs == out && taps.taps >= 1 && taps.taps <= in);
        for (int o = 0; o < out; o++) {
            double sum = 0.0;

            CHECK(taps.first[o] >= 0 && taps.first[o] + taps.taps <= in);
            for (int j = 0; j < taps.taps; j++)
                sum += taps.weight[o * taps.taps + j];
            CHECK_NEAR(sum, 1.0, 1e-6);
        }
        svr_taps_finish(&taps);
    }
}

/* 4 to 2: support 4 around 1, weights K((j - 0.5)/2) of what is inside, by hand. */
static void test_taps_by_hand(void)
{
    svr_error err = {0};
    svr_taps taps;
    const double k[4] = {0.8671875, 0.8671875, 0.2265625,
                         -0.0703125}; /* K(.25) K(.25) K(.75) K(1.25) */
    double sum = k[0] + k[1] + k[2] + k[3];

    CHECK_OK(svr_taps_init(4, 2, &taps, &err), err);
    CHECK(taps.taps == 4);
    for (int j = 0; j < 4; j++) {
        CHECK_NEAR(taps.weight[j], k[j] / sum, 1e-6);
        CHECK_NEAR(taps.weight[4 + j], k[3 - j] / sum, 1e-6);
    }
    svr_taps_finish(&taps);
}

static void test_bad_sizes(void)
{
    svr_error err = {0};
    svr_taps taps;

    CHECK_FAILS(svr_taps_init(0, 4, &taps, &err), SVR_ERR_INVALID, err);
    CHECK(taps.first == NULL && taps.weight == NULL);
    CHECK_FAILS(svr_taps_init(4, -1, &taps, &err), SVR_ERR_INVALID, err);
}

static void test_resampler(void)
{
    fixture f = fixture_open();
    svr_error err = {0};
    svr_resampler *same, *wider, *bad;
    svr_tensor x = fixture_floats(4, (int64_t[]){2, 3, 5, 1});
    svr_tensor y = fixture_floats(4, (int64_t[]){2, 3, 5, 1});
    svr_tensor wide = fixture_floats(4, (int64_t[]){2, 3, 11, 1});

    for (int i = 0; i < 30; i++)
        ((float *) x.data)[i] = (float) (i / 5);
    CHECK_OK(svr_resampler_create(f.backend, (svr_size){5, 3}, (svr_size){5, 3}, &same, &err), err);
    CHECK_OK(svr_resampler_create(f.backend, (svr_size){5, 3}, (svr_size){11, 3}, &wider, &err),
             err);
    CHECK_FAILS(svr_resampler_create(f.backend, (svr_size){5, 3}, (svr_size){5, 0}, &bad, &err),
                SVR_ERR_INVALID, err);
    CHECK(bad == NULL);
    CHECK_OK(svr_resampler_run(&f.exec, same, &x, &y, &err), err);
    CHECK(memcmp(x.data, y.data, svr_tensor_bytes(&x)) == 0);
    CHECK_OK(svr_resampler_run(&f.exec, wider, &x, &wide, &err), err);
    for (int i = 0; i < 66; i++) /* rows of one value each stay so */
        CHECK_NEAR(((const float *) wide.data)[i], i / 11, 1e-5);
    svr_resampler_destroy(same);
    svr_resampler_destroy(wider);
    svr_resampler_destroy(NULL);
    free(x.data);
    free(y.data);
    free(wide.data);
    fixture_close(&f);
}

/* ---------------------------------------------------------------------------- pictures */

/* One golden of the resize file: its picture, and what the reference made of it. */
typedef struct resize_golden {
    svr_video_info info;
    svr_tensor in;   /* [1,h,w,3] U8 */
    svr_tensor want; /* [3,1,H,W] F32 */
    int kind, a, b;
} resize_golden;

static resize_golden resize_golden_open(const svr_safetensors *file, int index)
{
    char prefix[16];
    resize_golden g;
    svr_tensor kind;

    snprintf(prefix, sizeof prefix, "p%d.", index);
    g.in = fixture_values(file, prefix, "in_u8_thwc");
    g.want = fixture_values(file, prefix, "out_cthw");
    kind = fixture_values(file, prefix, "kind_a_b");
    g.kind = ((const int32_t *) kind.data)[0];
    g.a = ((const int32_t *) kind.data)[1];
    g.b = ((const int32_t *) kind.data)[2];
    g.info = (svr_video_info){
        .format = SVR_PIXEL_RGB, .width = (int) g.in.dims[2], .height = (int) g.in.dims[1]};
    free(kind.data);
    return g;
}

static void resize_golden_close(resize_golden *g)
{
    free(g->in.data);
    free(g->want.data);
}

/* Value (channel, y, x) of the reference. */
static float wanted(const resize_golden *g, int64_t c, int64_t y, int64_t x)
{
    return ((const float *) g->want.data)[(c * g->want.dims[2] + y) * g->want.dims[3] + x];
}

static svr_pre *pre_of(fixture *f, const svr_video_info *info, const svr_size_plan *plan)
{
    svr_error err = {0};
    svr_pre *pre;

    CHECK_OK(svr_pre_create(f->backend, info, plan, &pre, &err), err);
    return pre;
}

/* The short-side rule, with the second resampling of the reference, to the padded network input. */
static void check_short_side(fixture *f, const resize_golden *g)
{
    svr_error err = {0};
    svr_size in = {g->info.width, g->info.height};
    svr_size_plan plan = svr_size_plan_short_side(in, g->a, g->b, 1, 16);
    svr_pre *pre = pre_of(f, &g->info, &plan);
    int64_t h = plan.padded.height, w = plan.padded.width;
    svr_tensor y = fixture_floats(4, (int64_t[]){1, h, w, 3});

    CHECK(h == g->want.dims[2] && w == g->want.dims[3]);
    CHECK_OK(svr_pre_model(&f->exec, pre, g->in.data, &y, &err), err);
    for (int64_t i = 0; i < h * w * 3; i++)
        CHECK_NEAR(((const float *) y.data)[i], wanted(g, i % 3, i / 3 / w, i / 3 % w), 3e-5);
    free(y.data);
    svr_pre_destroy(pre);
}

/* The equal-area rule, cut from the middle to multiples of 16. */
static void check_area(fixture *f, const resize_golden *g)
{
    svr_error err = {0};
    svr_size size = svr_size_area((svr_size){g->info.width, g->info.height}, g->b, g->a);
    svr_size_plan plan = svr_size_plan_exact(size, 16);
    svr_pre *pre = pre_of(f, &g->info, &plan);
    int64_t h = g->want.dims[2], w = g->want.dims[3];
    int64_t y0 = (int64_t) nearbyint((double) (size.height - h) / 2.0);
    int64_t x0 = (int64_t) nearbyint((double) (size.width - w) / 2.0);
    svr_tensor unit = fixture_floats(3, (int64_t[]){size.height, size.width, 3});

    CHECK(size.height / 16 * 16 == h && size.width / 16 * 16 == w);
    CHECK_OK(svr_pre_unit(&f->exec, pre, g->in.data, &unit, NULL, &err), err);
    for (int64_t i = 0; i < h * w * 3; i++) {
        int64_t y = i / 3 / w, x = i / 3 % w;
        float v = ((const float *) unit.data)[((y0 + y) * size.width + x0 + x) * 3 + i % 3];

        CHECK_NEAR(2.0f * v - 1.0f, wanted(g, i % 3, y, x), 3e-5);
    }
    free(unit.data);
    svr_pre_destroy(pre);
}

/* Replicated columns and rows repeat the last one, whatever black padding leaves there; the picture
 * itself is the same. */
static void test_replicated_padding(void)
{
    fixture f = fixture_open();
    svr_safetensors *file = golden_open(data_dir, "pipe_resize");
    resize_golden g = resize_golden_open(file, 0);
    svr_size_plan plan = svr_size_plan_exact((svr_size){37, 21}, 16);
    svr_tensor black = fixture_floats(4, (int64_t[]){1, 32, 48, 3});
    svr_tensor filled = fixture_floats(4, (int64_t[]){1, 32, 48, 3});
    svr_pre *pre = pre_of(&f, &g.info, &plan);
    svr_error err = {0};

    CHECK_OK(svr_pre_model(&f.exec, pre, g.in.data, &black, &err), err);
    svr_pre_destroy(pre);
    plan.padding = SVR_PADDING_REPLICATE;
    pre = pre_of(&f, &g.info, &plan);
    CHECK_OK(svr_pre_model(&f.exec, pre, g.in.data, &filled, &err), err);
    for (int64_t i = 0; i < 32 * 48 * 3; i++) {
        int64_t y = i / 3 / 48, x = i / 3 % 48;
        int64_t from = ((y < 21 ? y : 20) * 48 + (x < 37 ? x : 36)) * 3 + i % 3;

        CHECK(((const float *) filled.data)[i] == ((const float *) black.data)[from]);
        if (y > 20 || x > 36)
            CHECK(((const float *) black.data)[i] == -1.0f);
    }
    svr_pre_destroy(pre);
    free(black.data);
    free(filled.data);
    resize_golden_close(&g);
    svr_safetensors_close(file);
    fixture_close(&f);
}

static void test_resize_goldens(void)
{
    svr_safetensors *file = golden_open(data_dir, "pipe_resize");

    for (int i = 0; i < 4; i++) {
        fixture f = fixture_open();
        resize_golden g = resize_golden_open(file, i);

        CHECK(g.kind == (i == 3));
        if (g.kind == 0)
            check_short_side(&f, &g);
        else
            check_area(&f, &g);
        resize_golden_close(&g);
        fixture_close(&f);
    }
    svr_safetensors_close(file);
}

/* The colour reference is the network's input without its padding and odd last row and column. */
static void test_style_is_cut_model(void)
{
    svr_safetensors *file = golden_open(data_dir, "pipe_resize");
    resize_golden g = resize_golden_open(file, 2); /* 60x106 */
    fixture f = fixture_open();
    svr_error err = {0};
    svr_size_plan plan = svr_size_plan_short_side((svr_size){106, 60}, 39, 0, 0, 16);
    svr_pre *pre = pre_of(&f, &g.info, &plan);
    svr_tensor model = fixture_floats(4, (int64_t[]){1, plan.padded.height, plan.padded.width, 3});
    svr_tensor style = fixture_floats(4, (int64_t[]){1, plan.output.height, plan.output.width, 3});

    CHECK(plan.resize[0].height == 39 && plan.output.height == 38);
    CHECK_OK(svr_pre_model(&f.exec, pre, g.in.data, &model, &err), err);
    CHECK_OK(svr_pre_style(&f.exec, pre, g.in.data, &style, &err), err);
    for (int y = 0; y < plan.padded.height; y++) {
        const float *row = (const float *) model.data + (int64_t) y * plan.padded.width * 3;

        if (y < plan.output.height)
            CHECK(memcmp(row, (const float *) style.data + (int64_t) y * plan.output.width * 3,
                         (size_t) plan.output.width * 3 * sizeof(float)) == 0);
        for (int x = plan.resize[0].width * 3; x < plan.padded.width * 3; x++)
            CHECK(row[x] == -1.0f);
        if (y >= plan.resize[0].height)
            CHECK(row[0] == -1.0f);
    }
    free(model.data);
    free(style.data);
    svr_pre_destroy(pre);
    resize_golden_close(&g);
    fixture_close(&f);
    svr_safetensors_close(file);
}

/* Without a resize an integer picture passes bit by bit: to model values and, packed, back. */
static void test_pass_through(void)
{
    enum { W = 33, H = 18 };
    static const svr_pixel_format formats[] = {SVR_PIXEL_RGBA, SVR_PIXEL_NV12};
    svr_error err = {0};

    for (int k = 0; k < 2; k++) {
        fixture f = fixture_open();
        svr_video_info info = {
            formats[k], W, H, {.kr = 0.2126, .kb = 0.0722, .chroma_h_cosited = true}};
        svr_size_plan plan = svr_size_plan_exact((svr_size){W, H}, 1);
        svr_pre *pre = pre_of(&f, &info, &plan);
        svr_tensor style = fixture_floats(4, (int64_t[]){1, H, W, 3}), rgb;
        svr_tensor alpha = fixture_floats(2, (int64_t[]){H, W});
        svr_tensor unit = fixture_floats(3, (int64_t[]){H, W, 3});
        uint8_t in[4 * W * H], out[4 * W * H] = {0};

        for (int i = 0; i < 4 * W * H; i++)
            in[i] = (uint8_t) (k == 0 ? 7 * i : i < W * H ? 90 + i % 70 : 121);
        CHECK_OK(svr_pre_style(&f.exec, pre, in, &style, &err), err);
        CHECK_OK(svr_pre_unit(&f.exec, pre, in, &unit, &alpha, &err), err);
        rgb = svr_tensor_3d(style.data, SVR_F32, H, W, 3);
        CHECK_OK(svr_op_pack(
                     &f.exec,
                     &(svr_pack_args){info, svr_frame_packed(&info, out), rgb, alpha, false}, &err),
                 err);
        CHECK(memcmp(in, out, svr_frame_bytes(&info)) == 0);
        for (int i = 0; i < W * H * 3; i++)
            CHECK(((float *) style.data)[i] == 2.0f * ((float *) unit.data)[i] - 1.0f);
        free(style.data);
        free(alpha.data);
        free(unit.data);
        svr_pre_destroy(pre);
        fixture_close(&f);
    }
}

/* The network's input may be stored in 16 bits. */
static void test_model_storage(void)
{
    svr_safetensors *file = golden_open(data_dir, "pipe_resize");
    resize_golden g = resize_golden_open(file, 0);
    fixture f = fixture_open();
    svr_error err = {0};
    svr_size_plan plan =
        svr_size_plan_short_side((svr_size){g.info.width, g.info.height}, g.a, g.b, 1, 16);
    svr_pre *pre = pre_of(&f, &g.info, &plan);
    int64_t h = plan.padded.height, w = plan.padded.width;
    uint16_t *values = calloc((size_t) (h * w * 3), sizeof *values);
    svr_tensor y = svr_tensor_4d(values, SVR_BF16, 1, h, w, 3);

    CHECK_OK(svr_pre_model(&f.exec, pre, g.in.data, &y, &err), err);
    for (int64_t i = 0; i < h * w * 3; i++)
        CHECK_NEAR(svr_bf16_to_f32(values[i]), wanted(&g, i % 3, i / 3 / w, i / 3 % w), 0x1p-8);
    free(values);
    svr_pre_destroy(pre);
    resize_golden_close(&g);
    fixture_close(&f);
    svr_safetensors_close(file);
}

/* ---------------------------------------------------------------------------- errors and memory */

static void test_bad_plans(void)
{
    fixture f = fixture_open();
    svr_error err = {0};
    svr_pre *pre;
    svr_video_info info = {.format = SVR_PIXEL_RGB, .width = 8, .height = 8};
    svr_size_plan plan = svr_size_plan_exact((svr_size){16, 16}, 16);
    svr_size_plan empty = svr_size_plan_short_side((svr_size){8, 8}, 1, 0, 0, 16);

    CHECK_FAILS(svr_pre_create(f.backend, &info, &empty, &pre, &err), SVR_ERR_INVALID, err);
    info.width = 0;
    CHECK_FAILS(svr_pre_create(f.backend, &info, &plan, &pre, &err), SVR_ERR_INVALID, err);
    CHECK(pre == NULL);
    fixture_close(&f);
}

/* Whichever allocation fails, all memory comes back. */
static void test_failing_allocations(void)
{
    svr_video_info info = {.format = SVR_PIXEL_RGBA, .width = 20, .height = 10};
    svr_size_plan plan = svr_size_plan_short_side((svr_size){20, 10}, 33, 40, 1, 16);
    int failures = 0;

    CHECK(plan.resizes == 2);
    for (uint64_t nth = 1; nth < 100; nth++) {
        svr_backend *backend;
        svr_error err = {0};
        svr_pre *pre;
        svr_status status;

        CHECK_OK(svr_cpu_backend_create(&(svr_cpu_options){.fail_allocation = nth}, &backend, &err),
                 err);
        status = svr_pre_create(backend, &info, &plan, &pre, &err);
        CHECK(status == SVR_OK || status == SVR_ERR_NO_MEM);
        svr_pre_destroy(pre);
        CHECK(svr_backend_memory(backend).live_total == 0);
        svr_backend_destroy(backend);
        if (status == SVR_OK)
            break;
        failures++;
    }
    CHECK(failures == 3 * 4); /* three resamplers of two axes with two tables each */
}

int main(int argc, char **argv)
{
    data_dir = argc > 1 ? argv[1] : "tests/data";
    RUN(test_taps);
    RUN(test_taps_by_hand);
    RUN(test_bad_sizes);
    RUN(test_resampler);
    RUN(test_resize_goldens);
    RUN(test_replicated_padding);
    RUN(test_style_is_cut_model);
    RUN(test_pass_through);
    RUN(test_model_storage);
    RUN(test_bad_plans);
    RUN(test_failing_allocations);
    return check_done();
}
