/* Guided upscaling of transparency, against the reference. */
#include "check.h"
#include "fixture.h"
#include "golden.h"
#include "random.h"
#include "video/pre.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *data_dir;

/* The golden: alpha [1,48,32], picture [1,96,64,3]. */
typedef struct alpha_golden {
    svr_tensor alpha, rgb, edges, out;
} alpha_golden;

static alpha_golden alpha_golden_open(const char *variant)
{
    svr_safetensors *file = golden_open(data_dir, "pipe_alpha");
    alpha_golden g = {.alpha = fixture_picture(file, variant, "alpha_in"),
                      .rgb = fixture_picture(file, "a0.", "rgb_hi"),
                      .edges = fixture_picture(file, "a0.", "edges"),
                      .out = fixture_picture(file, variant, "out")};

    svr_safetensors_close(file);
    return g;
}

static void alpha_golden_close(alpha_golden *g)
{
    free(g->alpha.data);
    free(g->rgb.data);
    free(g->edges.data);
    free(g->out.data);
}

/* Resampled and clamped alpha, [1,oh,ow], in new memory. */
static svr_tensor enlarged(fixture *f, const svr_tensor *alpha, int64_t oh, int64_t ow)
{
    svr_error err = {0};
    svr_resampler *resampler;
    svr_tensor x = svr_tensor_4d(alpha->data, SVR_F32, 1, alpha->dims[1], alpha->dims[2], 1);
    svr_tensor y = fixture_floats(4, (int64_t[]){1, oh, ow, 1});

    CHECK_OK(svr_resampler_create(f->backend,
                                  (svr_size){(int) alpha->dims[2], (int) alpha->dims[1]},
                                  (svr_size){(int) ow, (int) oh}, &resampler, &err),
             err);
    CHECK_OK(svr_resampler_run(&f->exec, resampler, &x, &y, &err), err);
    svr_resampler_destroy(resampler);
    for (int64_t i = 0; i < oh * ow; i++)
        ((float *) y.data)[i] = fminf(fmaxf(((float *) y.data)[i], 0.0f), 1.0f);
    return svr_tensor_3d(y.data, SVR_F32, 1, oh, ow);
}

static void test_gradient_golden(void)
{
    fixture f = fixture_open();
    alpha_golden g = alpha_golden_open("a0.1.");
    svr_error err = {0};
    svr_tensor y = fixture_floats(3, g.out.dims);
    svr_alpha_guide_args args = {
        .alpha = enlarged(&f, &g.alpha, 96, 64), .rgb = g.rgb, .y = y, .negative_rgb = true};

    CHECK_OK(svr_op_alpha_guide(&f.exec, &args, &err), err);
    CHECK(golden_compare(y.data, g.out.data, 96 * 64).max <= 1e-5);
    free(args.alpha.data);
    free(y.data);
    alpha_golden_close(&g);
    fixture_close(&f);
}

static void test_mask_golden(void)
{
    fixture f = fixture_open();
    alpha_golden g = alpha_golden_open("a0.0.");
    svr_error err = {0};
    svr_tensor y = fixture_floats(3, g.out.dims), edges = fixture_floats(3, g.out.dims);
    svr_alpha_guide_args args = {.alpha = enlarged(&f, &g.alpha, 96, 64),
                                 .rgb = g.rgb,
                                 .y = y,
                                 .edges = edges,
                                 .mask_like = true,
                                 .negative_rgb = true};

    CHECK_OK(svr_op_alpha_guide(&f.exec, &args, &err), err);
    printf("# mask: %.3g off, edges %.3g\n",
           golden_share_beyond(y.data, g.out.data, 96 * 64, 1.0 / 255.0),
           golden_compare(edges.data, g.edges.data, 96 * 64).max);
    CHECK(golden_share_beyond(y.data, g.out.data, 96 * 64, 1.0 / 255.0) < 0.005);
    CHECK(golden_compare(edges.data, g.edges.data, 96 * 64).max <= 1.0 / 255.0 + 1e-6);
    /* the map is an extra: without it the same alpha */
    args.edges = (svr_tensor){0};
    memcpy(edges.data, y.data, svr_tensor_bytes(&y));
    CHECK_OK(svr_op_alpha_guide(&f.exec, &args, &err), err);
    CHECK(memcmp(edges.data, y.data, svr_tensor_bytes(&y)) == 0);
    free(args.alpha.data);
    free(edges.data);
    free(y.data);
    alpha_golden_close(&g);
    fixture_close(&f);
}

/* A flat picture has no gradient to divide by, and a single pixel no neighbours. */
static void test_flat_and_tiny(void)
{
    static const int64_t sizes[][3] = {{1, 8, 8}, {1, 1, 1}, {2, 1, 5}, {1, 2, 1}};
    svr_error err = {0};

    for (int s = 0; s < 4; s++) {
        fixture f = fixture_open();
        int64_t n = sizes[s][0] * sizes[s][1] * sizes[s][2];
        svr_tensor alpha = fixture_floats(3, sizes[s]), y = fixture_floats(3, sizes[s]);
        svr_tensor rgb = fixture_floats(4, (int64_t[]){sizes[s][0], sizes[s][1], sizes[s][2], 3});

        for (int64_t i = 0; i < n; i++)
            ((float *) alpha.data)[i] = 1.0f;
        for (int mask_like = 0; mask_like < 2; mask_like++) {
            svr_alpha_guide_args args = {
                .alpha = alpha, .rgb = rgb, .y = y, .mask_like = mask_like};

            CHECK_OK(svr_op_alpha_guide(&f.exec, &args, &err), err);
            for (int64_t i = 0; i < n; i++)
                CHECK(((const float *) y.data)[i] >= 0.0f && ((const float *) y.data)[i] <= 1.0f);
        }
        free(alpha.data);
        free(rgb.data);
        free(y.data);
        fixture_close(&f);
    }
}

/* ---------------------------------------------------------------------------- whole batches */

enum { W = 24, H = 20, OW = 48, OH = 40, FRAMES = 2 };

typedef struct batch {
    fixture f;
    svr_pre *pre;
    uint8_t *bytes[FRAMES];
    svr_tensor rgb, alpha;
} batch;

/* RGBA frames whose alpha is a disc, hard or soft, under random pictures in [lo, 1]. */
static batch batch_open(bool hard, float lo)
{
    batch b = {.f = fixture_open()};
    svr_error err = {0};
    svr_video_info info = {.format = SVR_PIXEL_RGBA, .width = W, .height = H};
    svr_size_plan plan = svr_size_plan_exact((svr_size){OW, OH}, 16);
    test_random random = test_random_seed(9);

    CHECK_OK(svr_pre_create(b.f.backend, &info, &plan, &b.pre, &err), err);
    b.rgb = fixture_floats(4, (int64_t[]){FRAMES, OH, OW, 3});
    b.alpha = fixture_floats(3, (int64_t[]){FRAMES, OH, OW});
    for (int64_t i = 0; i < svr_tensor_elems(&b.rgb); i++)
        ((float *) b.rgb.data)[i] = test_random_uniform(&random, lo, 1.0f);
    for (int t = 0; t < FRAMES; t++) {
        b.bytes[t] = calloc(4, W * H);
        for (int i = 0; i < W * H; i++) {
            double r = hypot(i % W - 11.5, i / W - 9.5 - t);
            double soft = fmin(fmax(255.0 - 15.0 * r, 0.0), 255.0);

            b.bytes[t][4 * i + 3] = (uint8_t) (hard ? (r < 7.0 ? 255 : 0) : soft);
        }
    }
    return b;
}

static void batch_close(batch *b)
{
    for (int t = 0; t < FRAMES; t++)
        free(b->bytes[t]);
    free(b->rgb.data);
    free(b->alpha.data);
    svr_pre_destroy(b->pre);
    fixture_close(&b->f);
}

/* The batch's alpha must be what the op makes of the flags. */
static void check_batch(batch *b, bool mask_like, bool negative)
{
    svr_error err = {0};
    const uint8_t *const data[FRAMES] = {b->bytes[0], b->bytes[1]};

    CHECK_OK(svr_pre_alpha(&b->f.exec, b->pre, data, &b->rgb, &b->alpha, &err), err);
    for (int t = 0; t < FRAMES; t++) {
        svr_tensor small = fixture_floats(3, (int64_t[]){1, H, W});
        svr_tensor want = fixture_floats(3, (int64_t[]){1, OH, OW});
        svr_tensor got = svr_tensor_slice(&b->alpha, t, 1);
        svr_alpha_guide_args args = {.rgb = svr_tensor_slice(&b->rgb, t, 1),
                                     .y = want,
                                     .mask_like = mask_like,
                                     .negative_rgb = negative,
                                     .inside_only = true};

        for (int i = 0; i < W * H; i++)
            ((float *) small.data)[i] = (float) b->bytes[t][4 * i + 3] / 255.0f;
        args.alpha = enlarged(&b->f, &small, OH, OW);
        CHECK_OK(svr_op_alpha_guide(&b->f.exec, &args, &err), err);
        CHECK(golden_compare(got.data, want.data, OH * OW).max <= 1e-6);
        free(small.data);
        free(want.data);
        free(args.alpha.data);
    }
}

static void test_batch_decisions(void)
{
    for (int i = 0; i < 4; i++) {
        bool hard = i & 1, negative = i & 2;
        batch b = batch_open(hard, negative ? -1.0f : 0.0f);

        check_batch(&b, hard, negative);
        batch_close(&b);
    }
}

/* One value below zero in the last frame is enough, and zero itself is not below. */
static void test_one_negative_value(void)
{
    batch b = batch_open(false, 0.0f);
    float *last = (float *) b.rgb.data + svr_tensor_elems(&b.rgb) - 1;

    *last = 0.0f;
    check_batch(&b, false, false);
    *last = -1e-6f;
    check_batch(&b, false, true);
    batch_close(&b);
}

static void test_cancelled(void)
{
    batch b = batch_open(false, -1.0f);
    svr_error err = {0};
    svr_cancel *cancel = svr_cancel_create();
    const uint8_t *const data[FRAMES] = {b.bytes[0], b.bytes[1]};

    svr_cancel_set(cancel, true);
    b.f.exec.cancel = cancel;
    CHECK_FAILS(svr_pre_alpha(&b.f.exec, b.pre, data, &b.rgb, &b.alpha, &err), SVR_ERR_CANCELLED,
                err);
    svr_scratch_reset(b.f.exec.scratch);
    svr_cancel_destroy(cancel);
    batch_close(&b);
}

/* The planner's dry run, which never sees a frame, takes the scratch memory of the real run,
 * whichever way the decisions fall. */
static void test_counted_memory(void)
{
    for (int hard = 0; hard < 2; hard++) {
        batch b = batch_open(hard, -1.0f);
        svr_error err = {0};
        svr_scratch *counted = svr_scratch_create(b.f.memory, SIZE_MAX / 2);
        svr_exec exec = {.backend = b.f.counting, .scratch = counted};
        const uint8_t *const data[FRAMES] = {b.bytes[0], b.bytes[1]};
        const uint8_t *const nothing[FRAMES] = {NULL, NULL};

        CHECK_OK(svr_pre_alpha(&exec, b.pre, nothing, &b.rgb, &b.alpha, &err), err);
        CHECK_OK(svr_pre_alpha(&b.f.exec, b.pre, data, &b.rgb, &b.alpha, &err), err);
        CHECK(svr_scratch_peak(counted) == svr_scratch_peak(b.f.exec.scratch));
        svr_scratch_destroy(counted);
        batch_close(&b);
    }
}

int main(int argc, char **argv)
{
    data_dir = argc > 1 ? argv[1] : "tests/data";
    RUN(test_gradient_golden);
    RUN(test_mask_golden);
    RUN(test_flat_and_tiny);
    RUN(test_batch_decisions);
    RUN(test_one_negative_value);
    RUN(test_cancelled);
    RUN(test_counted_memory);
    return check_done();
}
