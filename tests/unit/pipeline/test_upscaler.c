/* The public API with stand-in networks: frames in = frames out, once, in order, whatever the plan
 * and the format. */
#include "upscaler_rig.h"

#include "check.h"

#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ frames in = frames out */

static void test_every_length_and_plan(void)
{
    static const int batches[] = {1, 4, 5, 9}, prepends[] = {0, 2};
    fake_networks fake;

    fake_networks_init(&fake, FAKE_IDENTITY);
    svr_upscaler *u = up_open(&fake, NULL);
    for (int b = 0; b < 4; b++)
        for (int overlap = 0; overlap <= 3; overlap++)
            for (int p = 0; p < 2; p++) {
                up_configure(u, batches[b], overlap, prepends[p]);
                for (int n = 1; n <= 13; n++)
                    up_check_count(u, n);
            }
    svr_upscaler_destroy(u);
}

static void test_uniform_batches(void)
{
    svr_stream_config c = up_config(9, 2, 0);
    up_events events;
    fake_networks fake;
    svr_error err = {0};

    c.uniform_batch = true;
    fake_networks_init(&fake, FAKE_IDENTITY);
    svr_upscaler *u = up_open(&fake, &events);
    CHECK_OK(svr_upscaler_configure(u, &c, &err), err);
    up_check_count(u, 2);
    CHECK(atomic_load(&events.computed) == 9);
    up_check_count(u, 12);
    CHECK(atomic_load(&events.computed) == 27);
    svr_upscaler_destroy(u);
}

/* Sequences one after the other without pulling between them. */
static void test_drain_in_mid_stream(void)
{
    up_events events;
    fake_networks fake;
    svr_error err = {0};
    int pushed = 0;

    fake_networks_init(&fake, FAKE_IDENTITY);
    svr_upscaler *u = up_open(&fake, &events);
    svr_stream_config c = up_config(5, 1, 2);
    c.first_frame = 100;
    CHECK_OK(svr_upscaler_configure(u, &c, &err), err);
    for (int length = 1; length <= 4; length++) {
        for (int i = 0; i < length; i++)
            CHECK_OK(up_push(u, pushed++, &err), err);
        CHECK_OK(svr_upscaler_drain(u, &err), err);
        CHECK_OK(svr_upscaler_drain(u, &err), err);
    }
    CHECK(up_pull_all(u, 0) == 10);
    /* 1 + 2, 2 + 2, 3 + 2 frames: one batch; 4 + 2: two, the last at virtual frame 4 of 106 */
    CHECK(atomic_load(&events.kinds[SVR_EVENT_BATCH]) == 5);
    CHECK(atomic_load(&events.last_first_frame) == 110);
    svr_upscaler_destroy(u);
}

static void test_frames_come_early_without_overlap(void)
{
    fake_networks fake;
    svr_error err = {0};
    bool got;

    fake_networks_init(&fake, FAKE_IDENTITY);
    svr_upscaler *u = up_open(&fake, NULL);
    up_configure(u, 4, 0, 0);
    for (int i = 0; i < 4; i++)
        CHECK_OK(up_push(u, i, &err), err);
    CHECK(up_pull_all(u, 0) == 4);
    CHECK_OK(up_push(u, 4, &err), err);
    CHECK_OK(up_pull(u, 4, true, &got, &err), err);
    CHECK(!got && svr_upscaler_held(u) == 1);
    svr_upscaler_destroy(u);
}

static void test_overlap_waits_for_the_next_batch(void)
{
    fake_networks fake;
    svr_error err = {0};

    fake_networks_init(&fake, FAKE_IDENTITY);
    svr_upscaler *u = up_open(&fake, NULL);
    up_configure(u, 5, 1, 0);
    for (int i = 0; i < 8; i++)
        CHECK_OK(up_push(u, i, &err), err);
    CHECK(up_pull_all(u, 0) == 0);
    CHECK_OK(up_push(u, 8, &err), err);
    CHECK(up_pull_all(u, 0) == 5);
    CHECK_OK(svr_upscaler_drain(u, &err), err);
    CHECK(up_pull_all(u, 5) == 4);
    svr_upscaler_destroy(u);
}

static void test_pushes_wait_for_a_busy_worker(void)
{
    fake_networks fake;
    svr_error err = {0};

    fake_networks_init(&fake, FAKE_IDENTITY);
    fake.predict_ms = 60;
    svr_upscaler *u = up_open(&fake, NULL);
    up_configure(u, 1, 0, 0);
    double start = up_now_ms();
    for (int i = 0; i < 5; i++)
        CHECK_OK(up_push(u, i, &err), err);
    /* frames 0..2 are computed before frame 4 is let in */
    CHECK(up_now_ms() - start >= 2.5 * 60.0);
    CHECK_OK(svr_upscaler_drain(u, &err), err);
    CHECK(up_pull_all(u, 0) == 5);
    svr_upscaler_destroy(u);
}

static void test_unpulled_frames_close_the_door(void)
{
    fake_networks fake;
    svr_error err = {0};

    fake_networks_init(&fake, FAKE_IDENTITY);
    svr_upscaler *u = up_open(&fake, NULL);
    up_configure(u, 2, 0, 0);
    CHECK(svr_upscaler_can_push(u));
    for (int i = 0; i < 6; i++)
        CHECK_OK(up_push(u, i, &err), err);
    CHECK_OK(svr_upscaler_drain(u, &err), err);
    for (int i = 0; i < 2000; i++) {
        svr_upscaler_stats stats;

        svr_upscaler_get_stats(u, &stats);
        if (stats.frames_out == 6)
            break;
        up_sleep_ms(1);
    }
    CHECK(!svr_upscaler_can_push(u));
    CHECK(up_pull_all(u, 0) == 6);
    CHECK(svr_upscaler_can_push(u));
    svr_upscaler_destroy(u);
}

/* ------------------------------------------------------------------ formats */

/* One frame of `in`, all bytes `value`, through the upscaler; the packed output in `data`. */
static void pass_one(svr_upscaler *u, const svr_stream_config *c, int value, uint8_t *data)
{
    size_t bytes = svr_frame_bytes(&c->in);
    uint8_t *source = malloc(bytes);
    svr_frame in = svr_frame_packed(&c->in, source), out = svr_frame_packed(&c->out, data);
    svr_error err = {0};
    bool got;

    CHECK(source != NULL);
    memset(source, value, bytes);
    CHECK_OK(svr_upscaler_configure(u, c, &err), err);
    CHECK_OK(svr_upscaler_push(u, &in, &err), err);
    CHECK_OK(svr_upscaler_drain(u, &err), err);
    CHECK_OK(svr_upscaler_pull(u, &out, true, &got, &err), err);
    CHECK(got);
    free(source);
}

static void test_alpha_comes_through(void)
{
    svr_stream_config c = up_config(5, 0, 0);
    uint8_t data[UP_OUT * UP_OUT * 4];
    fake_networks fake;

    fake_networks_init(&fake, FAKE_IDENTITY);
    svr_upscaler *u = up_open(&fake, NULL);
    c.in.format = SVR_PIXEL_ARGB;
    c.out.format = SVR_PIXEL_RGBA;
    pass_one(u, &c, 100, data);
    /* the guided filter's windows count zeros beyond the border (spec §12), so alpha falls off
     * there */
    for (int y = 0; y < UP_OUT; y++)
        for (int x = 0; x < UP_OUT; x++) {
            const uint8_t *pixel = data + (y * UP_OUT + x) * 4;
            bool inside = x >= 6 && x < UP_OUT - 6 && y >= 6 && y < UP_OUT - 6;

            CHECK(abs(pixel[0] - 100) <= 1 && abs(pixel[2] - 100) <= 1);
            CHECK(!inside || abs(pixel[3] - 100) <= 1);
        }
    c.in.format = SVR_PIXEL_RGB;
    pass_one(u, &c, 100, data);
    for (size_t i = 3; i < sizeof data; i += 4)
        CHECK(data[i] == 255);
    svr_upscaler_destroy(u);
}

static void test_yuv_of_odd_sizes(void)
{
    static const svr_colorimetry bt709 = {.kr = 0.2126, .kb = 0.0722, .chroma_h_cosited = true};
    svr_stream_config c = up_config(5, 0, 0);
    uint8_t data[35 * 37 + 2 * 18 * 19];
    fake_networks fake;

    fake_networks_init(&fake, FAKE_IDENTITY);
    svr_upscaler *u = up_open(&fake, NULL);
    c.in = (svr_video_info){SVR_PIXEL_NV12, 17, 19, bt709};
    c.out = (svr_video_info){SVR_PIXEL_I420, 35, 37, bt709};
    CHECK(svr_frame_bytes(&c.out) == sizeof data);
    pass_one(u, &c, 128, data);
    svr_frame frame = svr_frame_packed(&c.out, data);
    for (int plane = 0; plane < 3; plane++) {
        int width = plane == 0 ? 35 : 18, height = plane == 0 ? 37 : 19;

        CHECK(frame.stride[plane] == width);
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++)
                CHECK(abs(frame.plane[plane][y * frame.stride[plane] + x] - 128) <= 1);
    }
    svr_upscaler_destroy(u);
}

int main(void)
{
    RUN(test_every_length_and_plan);
    RUN(test_uniform_batches);
    RUN(test_drain_in_mid_stream);
    RUN(test_frames_come_early_without_overlap);
    RUN(test_overlap_waits_for_the_next_batch);
    RUN(test_pushes_wait_for_a_busy_worker);
    RUN(test_unpulled_frames_close_the_door);
    RUN(test_alpha_comes_through);
    RUN(test_yuv_of_odd_sizes);
    return check_done();
}
