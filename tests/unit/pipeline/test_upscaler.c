/* The public API with stand-in networks: frames in = frames out, once, in order, whatever the plan;
 * the protocol; cancel, failure, reset. */
#include "pipeline/upscaler_internal.h"

#include "cpu/cpu_backend.h"
#include "fake_networks.h"

#include "check.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { IN_SIDE = 16, OUT_SIDE = 32 };

/* Events, counted on the worker's thread. */
typedef struct counted_events {
    atomic_int kinds[SVR_EVENT_FAILED + 1];
    atomic_ullong last_first_frame, computed;
    /* so far at the first batch, and in batches behind it; bytes that are left in the end */
    atomic_ullong allocations, more_allocations, left;
} counted_events;

static void count_event(void *user, const svr_event *event)
{
    counted_events *events = user;

    atomic_fetch_add(&events->kinds[event->kind], 1);
    if (event->kind == SVR_EVENT_BATCH) {
        atomic_store(&events->last_first_frame, event->first_frame);
        atomic_fetch_add(&events->computed, event->computed_frames);
        if (event->batch == 0)
            atomic_store(&events->allocations, event->stats.memory.allocations);
        atomic_store(&events->more_allocations,
                     event->stats.memory.allocations - atomic_load(&events->allocations));
    }
    if (event->kind == SVR_EVENT_CLOSED)
        atomic_store(&events->left, event->stats.memory.used + event->stats.memory.host_pinned + 1);
}

static svr_upscaler *create(fake_networks *fake, counted_events *events)
{
    svr_upscaler_options options;
    svr_upscaler *u = NULL;
    svr_error err = {0};

    svr_upscaler_options_init(&options);
    options.backend = SVR_BACKEND_CPU;
    options.threads = 1;
    options.networks = &fake->networks;
    if (events) {
        memset(events, 0, sizeof *events);
        options.event = count_event;
        options.event_user = events;
    }
    CHECK_OK(svr_upscaler_create(&options, &u, &err), err);
    return u;
}

static svr_stream_config config_of(int batch, int overlap, int prepend)
{
    svr_stream_config c;

    svr_stream_config_init(&c);
    c.in = (svr_video_info){.format = SVR_PIXEL_RGB, .width = IN_SIDE, .height = IN_SIDE};
    c.out = (svr_video_info){.format = SVR_PIXEL_RGB, .width = OUT_SIDE, .height = OUT_SIDE};
    c.batch_size = batch;
    c.temporal_overlap = overlap;
    c.prepend_frames = prepend;
    c.color_correction = SVR_COLOUR_NONE;
    return c;
}

static void configure(svr_upscaler *u, int batch, int overlap, int prepend)
{
    svr_stream_config c = config_of(batch, overlap, prepend);
    svr_error err = {0};

    CHECK_OK(svr_upscaler_configure(u, &c, &err), err);
}

/* The grey value that marks frame `number`. */
static int mark(int number)
{
    return 20 + number * 13 % 220;
}

static svr_status push(svr_upscaler *u, int number, svr_error *err)
{
    uint8_t data[IN_SIDE * IN_SIDE * 3];
    svr_frame frame = {.plane = {data}, .stride = {IN_SIDE * 3}};

    memset(data, mark(number), sizeof data);
    return svr_upscaler_push(u, &frame, err);
}

/* Pulls a frame and checks that it is `number`. */
static svr_status pull(svr_upscaler *u, int number, bool wait, bool *got, svr_error *err)
{
    uint8_t data[OUT_SIDE * OUT_SIDE * 3];
    svr_frame frame = {.plane = {data}, .stride = {OUT_SIDE * 3}};

    memset(data, 0, sizeof data);
    SVR_TRY(svr_upscaler_pull(u, &frame, wait, got, err));
    for (size_t i = 0; *got && i < sizeof data; i++)
        CHECK(abs(data[i] - mark(number)) <= 1);
    return SVR_OK;
}

/* Pulls all that comes, starting with frame `first`; how many came. */
static int pull_all(svr_upscaler *u, int first)
{
    svr_error err = {0};
    int count = 0;
    bool got = true;

    while (got) {
        CHECK_OK(pull(u, first + count, true, &got, &err), err);
        count += got;
    }
    return count;
}

static int pull_ready(svr_upscaler *u, int first)
{
    svr_error err = {0};
    int count = 0;
    bool got = true;

    while (got) {
        CHECK_OK(pull(u, first + count, false, &got, &err), err);
        count += got;
    }
    return count;
}

/* As an element does it: pull when there is no room, push, pull what is there. */
static int push_and_pull(svr_upscaler *u, int first, int count)
{
    svr_error err = {0};
    int pulled = 0;
    bool got;

    for (int i = 0; i < count; i++) {
        while (!svr_upscaler_can_push(u)) {
            CHECK_OK(pull(u, first + pulled, true, &got, &err), err);
            pulled += got;
        }
        CHECK_OK(push(u, first + i, &err), err);
        pulled += pull_ready(u, first + pulled);
    }
    return pulled;
}

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double) t.tv_sec * 1e3 + (double) t.tv_nsec * 1e-6;
}

static void sleep_ms(int ms)
{
    struct timespec t = {ms / 1000, (long) (ms % 1000) * 1000000};

    nanosleep(&t, NULL);
}

/* ------------------------------------------------------------------ frames in = frames out */

static void check_count(svr_upscaler *u, int n)
{
    svr_error err = {0};
    svr_upscaler_stats before, after;
    int pulled;

    svr_upscaler_get_stats(u, &before);
    pulled = push_and_pull(u, 0, n);
    CHECK_OK(svr_upscaler_drain(u, &err), err);
    pulled += pull_all(u, pulled);
    CHECK(pulled == n && svr_upscaler_held(u) == 0);
    svr_upscaler_get_stats(u, &after);
    CHECK(after.frames_in - before.frames_in == (uint64_t) n);
    CHECK(after.frames_out - before.frames_out == (uint64_t) n);
    CHECK(after.memory.host_frames == 0);
}

static void test_every_length_and_plan(void)
{
    static const int batches[] = {1, 4, 5, 9}, prepends[] = {0, 2};
    fake_networks fake;

    fake_networks_init(&fake, FAKE_IDENTITY);
    svr_upscaler *u = create(&fake, NULL);
    for (int b = 0; b < 4; b++)
        for (int overlap = 0; overlap <= 3; overlap++)
            for (int p = 0; p < 2; p++) {
                configure(u, batches[b], overlap, prepends[p]);
                for (int n = 1; n <= 13; n++)
                    check_count(u, n);
            }
    svr_upscaler_destroy(u);
}

static void test_uniform_batches(void)
{
    svr_stream_config c = config_of(9, 2, 0);
    counted_events events;
    fake_networks fake;
    svr_error err = {0};

    c.uniform_batch = true;
    fake_networks_init(&fake, FAKE_IDENTITY);
    svr_upscaler *u = create(&fake, &events);
    CHECK_OK(svr_upscaler_configure(u, &c, &err), err);
    check_count(u, 2);
    CHECK(atomic_load(&events.computed) == 9);
    check_count(u, 12);
    CHECK(atomic_load(&events.computed) == 27);
    svr_upscaler_destroy(u);
}

/* Sequences one after the other without pulling between them. */
static void test_drain_in_mid_stream(void)
{
    counted_events events;
    fake_networks fake;
    svr_error err = {0};
    int pushed = 0;

    fake_networks_init(&fake, FAKE_IDENTITY);
    svr_upscaler *u = create(&fake, &events);
    svr_stream_config c = config_of(5, 1, 2);
    c.first_frame = 100;
    CHECK_OK(svr_upscaler_configure(u, &c, &err), err);
    for (int length = 1; length <= 4; length++) {
        for (int i = 0; i < length; i++)
            CHECK_OK(push(u, pushed++, &err), err);
        CHECK_OK(svr_upscaler_drain(u, &err), err);
        CHECK_OK(svr_upscaler_drain(u, &err), err);
    }
    CHECK(pull_all(u, 0) == 10);
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
    svr_upscaler *u = create(&fake, NULL);
    configure(u, 4, 0, 0);
    for (int i = 0; i < 4; i++)
        CHECK_OK(push(u, i, &err), err);
    CHECK(pull_all(u, 0) == 4);
    CHECK_OK(push(u, 4, &err), err);
    CHECK_OK(pull(u, 4, true, &got, &err), err);
    CHECK(!got && svr_upscaler_held(u) == 1);
    svr_upscaler_destroy(u);
}

static void test_overlap_waits_for_the_next_batch(void)
{
    fake_networks fake;
    svr_error err = {0};

    fake_networks_init(&fake, FAKE_IDENTITY);
    svr_upscaler *u = create(&fake, NULL);
    configure(u, 5, 1, 0);
    for (int i = 0; i < 8; i++)
        CHECK_OK(push(u, i, &err), err);
    CHECK(pull_all(u, 0) == 0);
    CHECK_OK(push(u, 8, &err), err);
    CHECK(pull_all(u, 0) == 5);
    CHECK_OK(svr_upscaler_drain(u, &err), err);
    CHECK(pull_all(u, 5) == 4);
    svr_upscaler_destroy(u);
}

static void test_pushes_wait_for_a_busy_worker(void)
{
    fake_networks fake;
    svr_error err = {0};

    fake_networks_init(&fake, FAKE_IDENTITY);
    fake.predict_ms = 60;
    svr_upscaler *u = create(&fake, NULL);
    configure(u, 1, 0, 0);
    double start = now_ms();
    for (int i = 0; i < 5; i++)
        CHECK_OK(push(u, i, &err), err);
    /* frames 0..2 are computed before frame 4 is let in */
    CHECK(now_ms() - start >= 2.5 * 60.0);
    CHECK_OK(svr_upscaler_drain(u, &err), err);
    CHECK(pull_all(u, 0) == 5);
    svr_upscaler_destroy(u);
}

static void test_unpulled_frames_close_the_door(void)
{
    fake_networks fake;
    svr_error err = {0};

    fake_networks_init(&fake, FAKE_IDENTITY);
    svr_upscaler *u = create(&fake, NULL);
    configure(u, 2, 0, 0);
    CHECK(svr_upscaler_can_push(u));
    for (int i = 0; i < 6; i++)
        CHECK_OK(push(u, i, &err), err);
    CHECK_OK(svr_upscaler_drain(u, &err), err);
    for (int i = 0; i < 2000; i++) {
        svr_upscaler_stats stats;

        svr_upscaler_get_stats(u, &stats);
        if (stats.frames_out == 6)
            break;
        sleep_ms(1);
    }
    CHECK(!svr_upscaler_can_push(u));
    CHECK(pull_all(u, 0) == 6);
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
    svr_stream_config c = config_of(5, 0, 0);
    uint8_t data[OUT_SIDE * OUT_SIDE * 4];
    fake_networks fake;

    fake_networks_init(&fake, FAKE_IDENTITY);
    svr_upscaler *u = create(&fake, NULL);
    c.in.format = SVR_PIXEL_ARGB;
    c.out.format = SVR_PIXEL_RGBA;
    pass_one(u, &c, 100, data);
    /* the guided filter's windows count zeros beyond the border (spec §12), so alpha falls off
     * there */
    for (int y = 0; y < OUT_SIDE; y++)
        for (int x = 0; x < OUT_SIDE; x++) {
            const uint8_t *pixel = data + (y * OUT_SIDE + x) * 4;
            bool inside = x >= 6 && x < OUT_SIDE - 6 && y >= 6 && y < OUT_SIDE - 6;

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
    svr_stream_config c = config_of(5, 0, 0);
    uint8_t data[35 * 37 + 2 * 18 * 19];
    fake_networks fake;

    fake_networks_init(&fake, FAKE_IDENTITY);
    svr_upscaler *u = create(&fake, NULL);
    c.in = (svr_video_info){SVR_PIXEL_NV12, 17, 19, bt709};
    c.out = (svr_video_info){SVR_PIXEL_I420, 35, 37, bt709};
    CHECK(svr_frame_bytes(&c.out) == sizeof data);
    pass_one(u, &c, 128, data);
    svr_frame frame = svr_frame_packed(&c.out, data);
    for (int plane = 0; plane < 3; plane++) {
        /* blocks of 8 pixels that reach into the black padding are darker */
        int side = plane == 0 ? 32 : 16;

        CHECK(frame.stride[plane] == (plane == 0 ? 35 : 18));
        for (int y = 0; y < side; y++)
            for (int x = 0; x < side; x++)
                CHECK(abs(frame.plane[plane][y * frame.stride[plane] + x] - 128) <= 1);
    }
    svr_upscaler_destroy(u);
}

/* ------------------------------------------------------------------ protocol */

static void test_order_of_calls(void)
{
    svr_stream_config c = config_of(5, 0, 0);
    fake_networks fake;
    svr_error err = {0};
    bool got;

    fake_networks_init(&fake, FAKE_IDENTITY);
    svr_upscaler *u = create(&fake, NULL);
    CHECK_FAILS(push(u, 0, &err), SVR_ERR_INVALID, err);
    CHECK_FAILS(svr_upscaler_drain(u, &err), SVR_ERR_INVALID, err);
    CHECK_FAILS(pull(u, 0, true, &got, &err), SVR_ERR_INVALID, err);
    configure(u, 5, 0, 0);
    CHECK_OK(svr_upscaler_drain(u, &err), err);
    CHECK_OK(pull(u, 0, true, &got, &err), err);
    CHECK(!got);
    CHECK_OK(push(u, 0, &err), err);
    CHECK_FAILS(svr_upscaler_configure(u, &c, &err), SVR_ERR_INVALID, err);
    CHECK_OK(svr_upscaler_drain(u, &err), err);
    CHECK(pull_all(u, 0) == 1);
    CHECK_OK(svr_upscaler_configure(u, &c, &err), err);
    check_count(u, 7);
    svr_upscaler_destroy(u);
}

static void test_configuration_is_checked(void)
{
    svr_stream_config good = config_of(5, 1, 0), c;
    fake_networks fake;
    svr_error err = {0};

    fake_networks_init(&fake, FAKE_IDENTITY);
    fake.networks.has_negative = false;
    svr_upscaler *u = create(&fake, NULL);
#define REFUSES(member, value, status, word)                                                       \
    do {                                                                                           \
        c = good;                                                                                  \
        c.member = (value);                                                                        \
        CHECK(svr_upscaler_configure(u, &c, &err) == (status));                                    \
        CHECK_TEXT(err.text, word);                                                                \
        svr_error_clear(&err);                                                                     \
    } while (0)
    REFUSES(batch_size, -1, SVR_ERR_INVALID, "batch-size");
    REFUSES(memory.mode, (svr_vram_mode) 3, SVR_ERR_INVALID, "vram-mode");
    REFUSES(memory.tile_size, -8, SVR_ERR_INVALID, "vae-tile-size");
    REFUSES(memory.parked, SVR_PARKED_PRECISIONS, SVR_ERR_INVALID, "parked-precision");
    REFUSES(memory.budget, 1000, SVR_ERR_NO_VRAM, "smallest vram-budget");
    REFUSES(temporal_overlap, -1, SVR_ERR_INVALID, "temporal-overlap");
    REFUSES(prepend_frames, -1, SVR_ERR_INVALID, "prepend-frames");
    REFUSES(steps, 0, SVR_ERR_INVALID, "steps");
    REFUSES(steps, 1001, SVR_ERR_INVALID, "steps");
    REFUSES(cfg_scale, NAN, SVR_ERR_INVALID, "cfg-scale");
    REFUSES(cfg_scale, 2.0, SVR_ERR_INVALID, "text-embedding");
    REFUSES(cfg_rescale, -0.1, SVR_ERR_INVALID, "cfg-rescale");
    REFUSES(color_correction, SVR_COLOUR_COUNT, SVR_ERR_INVALID, "color-correction");
    REFUSES(padding, SVR_PADDING_COUNT, SVR_ERR_INVALID, "padding");
    REFUSES(in.width, 15, SVR_ERR_SHAPE, "input");
    REFUSES(out.height, 8, SVR_ERR_SHAPE, "output");
    REFUSES(in.format, SVR_PIXEL_FORMAT_COUNT, SVR_ERR_INVALID, "pixel format");
#undef REFUSES
    c = good;
    c.reference.active = true;
    c.reference.short_side = 48;
    CHECK_FAILS(svr_upscaler_configure(u, &c, &err), SVR_ERR_SHAPE, err);
    c.reference.short_side = OUT_SIDE;
    CHECK_OK(svr_upscaler_configure(u, &c, &err), err);
    CHECK_OK(svr_upscaler_configure(u, &good, &err), err);
    check_count(u, 6);
    svr_upscaler_destroy(u);
}

static void test_options_are_checked(void)
{
    svr_upscaler_options options;
    svr_upscaler *u = NULL;
    fake_networks fake;
    svr_error err = {0};

    svr_upscaler_options_init(&options);
    options.backend = SVR_BACKEND_CPU;
    CHECK(svr_upscaler_create(&options, &u, &err) == SVR_ERR_INVALID);
    CHECK_TEXT(err.text, "vae-model");
    svr_error_clear(&err);
    fake_networks_init(&fake, FAKE_IDENTITY);
    options.networks = &fake.networks;
    options.precision = (svr_precision) 4;
    CHECK_FAILS(svr_upscaler_create(&options, &u, &err), SVR_ERR_INVALID, err);
    options.precision = SVR_PRECISION_AUTO;
    options.quantization = SVR_QUANTIZATION_COUNT;
    CHECK_FAILS(svr_upscaler_create(&options, &u, &err), SVR_ERR_INVALID, err);
    options.quantization = SVR_QUANTIZATION_BF16;
    options.precision = SVR_PRECISION_FP16;
    CHECK(svr_upscaler_create(&options, &u, &err) == SVR_ERR_INVALID);
    CHECK_TEXT(err.text, "quantization bf16 and precision contradict each other");
    svr_error_clear(&err);
    options.precision = SVR_PRECISION_AUTO;
    options.quantization = SVR_QUANTIZATION_AUTO_FP16;
    options.backend = SVR_BACKEND_CUDA;
    CHECK_FAILS(svr_upscaler_create(&options, &u, &err), SVR_ERR_INVALID, err);
    CHECK(u == NULL);
    svr_upscaler_destroy(NULL);
}

static void test_events_and_stats(void)
{
    counted_events events;
    fake_networks fake;
    svr_upscaler_stats stats;

    fake_networks_init(&fake, FAKE_IDENTITY);
    svr_upscaler *u = create(&fake, &events);
    CHECK(strcmp(svr_upscaler_backend_name(u), "cpu") == 0);
    configure(u, 5, 0, 0);
    check_count(u, 11);
    svr_upscaler_get_stats(u, &stats);
    CHECK(atomic_load(&events.kinds[SVR_EVENT_LOADED]) == 1);
    CHECK(atomic_load(&events.kinds[SVR_EVENT_PLANNED]) == 1);
    CHECK(atomic_load(&events.kinds[SVR_EVENT_FRAME]) == 11);
    CHECK(atomic_load(&events.kinds[SVR_EVENT_BATCH]) == 3);
    CHECK(atomic_load(&events.kinds[SVR_EVENT_FAILED]) == 0);
    CHECK(stats.batches == 3 && stats.frames_computed == 11);
    CHECK(stats.plan.scratch > 0 && stats.memory.scratch_peak == stats.plan.scratch);
    CHECK(stats.memory.scratch >= stats.plan.scratch && stats.memory.state > 0);
    CHECK(stats.memory.used == stats.memory.scratch + stats.memory.state);
    CHECK(stats.total.encode_ns > 0 && stats.total.decode_ns > 0 && stats.total.finish_ns > 0);
    CHECK(stats.total.input_ns > 0 && stats.total.input_ns < stats.total.encode_ns);
    CHECK(stats.total.colour_ns <= stats.total.finish_ns);
    CHECK(stats.total.dit_ns >= stats.last.dit_ns);
    CHECK(atomic_load(&events.allocations) > 0 && atomic_load(&events.more_allocations) == 0);
    CHECK(atomic_load(&events.kinds[SVR_EVENT_CLOSED]) == 0);
    svr_upscaler_destroy(u);
    CHECK(atomic_load(&events.kinds[SVR_EVENT_CLOSED]) == 1);
    CHECK(atomic_load(&events.left) == 1); /* 0 bytes, as the event said it */
}

/* ------------------------------------------------------------------ cancel, failure, reset */

static void *cancel_soon(void *user)
{
    sleep_ms(50);
    svr_upscaler_cancel(user);
    return NULL;
}

static void test_cancel_is_quick(void)
{
    fake_networks fake;
    svr_error err = {0};
    pthread_t thread;
    bool got;

    fake_networks_init(&fake, FAKE_IDENTITY);
    fake.predict_ms = 20000;
    svr_upscaler *u = create(&fake, NULL);
    configure(u, 1, 0, 0);
    CHECK_OK(push(u, 0, &err), err);
    double start = now_ms();
    CHECK(pthread_create(&thread, NULL, cancel_soon, u) == 0);
    CHECK_FAILS(pull(u, 0, true, &got, &err), SVR_ERR_CANCELLED, err);
    CHECK(now_ms() - start < 50.0 + 100.0);
    pthread_join(thread, NULL);
    CHECK_FAILS(push(u, 1, &err), SVR_ERR_CANCELLED, err);
    CHECK_FAILS(svr_upscaler_drain(u, &err), SVR_ERR_CANCELLED, err);
    CHECK_FAILS(pull(u, 0, false, &got, &err), SVR_ERR_CANCELLED, err);
    start = now_ms();
    svr_upscaler_reset(u);
    CHECK(now_ms() - start < 100.0);
    fake.predict_ms = 0;
    CHECK(svr_upscaler_held(u) == 0);
    check_count(u, 3);
    svr_upscaler_destroy(u);
}

static void test_cancel_frees_a_waiting_push(void)
{
    fake_networks fake;
    svr_error err = {0};
    pthread_t thread;

    fake_networks_init(&fake, FAKE_IDENTITY);
    fake.predict_ms = 20000;
    svr_upscaler *u = create(&fake, NULL);
    configure(u, 1, 0, 0);
    CHECK_OK(push(u, 0, &err), err);
    CHECK_OK(push(u, 1, &err), err);
    double start = now_ms();
    CHECK(pthread_create(&thread, NULL, cancel_soon, u) == 0);
    svr_status status = SVR_OK;
    for (int i = 2; status == SVR_OK && i < 5; i++)
        status = push(u, i, &err);
    CHECK_FAILS(status, SVR_ERR_CANCELLED, err);
    CHECK(now_ms() - start < 50.0 + 100.0);
    pthread_join(thread, NULL);
    start = now_ms();
    svr_upscaler_destroy(u);
    CHECK(now_ms() - start < 100.0);
}

static void test_reset_drops_frames(void)
{
    fake_networks fake;
    svr_error err = {0};

    fake_networks_init(&fake, FAKE_IDENTITY);
    svr_upscaler *u = create(&fake, NULL);
    configure(u, 5, 2, 0);
    for (int i = 0; i < 8; i++)
        CHECK_OK(push(u, 100 + i, &err), err);
    svr_upscaler_reset(u);
    CHECK(svr_upscaler_held(u) == 0);
    check_count(u, 9);
    svr_upscaler_reset(u);
    check_count(u, 2);
    svr_upscaler_destroy(u);
}

static void test_a_failure_comes_after_the_finished_frames(void)
{
    counted_events events;
    fake_networks fake;
    svr_error err = {0};
    svr_status status = SVR_OK;
    bool got;

    fake_networks_init(&fake, FAKE_IDENTITY);
    fake.fail_at = 3;
    svr_upscaler *u = create(&fake, &events);
    configure(u, 2, 0, 0);
    for (int i = 0; i < 6 && status == SVR_OK; i++)
        status = push(u, i, &err);
    CHECK(status == SVR_OK);
    for (int i = 0; i < 4; i++) {
        CHECK_OK(pull(u, i, true, &got, &err), err);
        CHECK(got);
    }
    CHECK(pull(u, 4, true, &got, &err) == SVR_ERR_UNSUPPORTED);
    CHECK_TEXT(err.text, "as it was told");
    svr_error_clear(&err);
    CHECK_FAILS(push(u, 6, &err), SVR_ERR_UNSUPPORTED, err);
    CHECK_FAILS(pull(u, 4, false, &got, &err), SVR_ERR_UNSUPPORTED, err);
    for (int i = 0; i < 2000 && atomic_load(&events.kinds[SVR_EVENT_FAILED]) == 0; i++)
        sleep_ms(1);
    CHECK(atomic_load(&events.kinds[SVR_EVENT_FAILED]) == 1);
    svr_upscaler_reset(u);
    check_count(u, 5);
    svr_upscaler_destroy(u);
}

static void test_a_lost_device_stays_lost(void)
{
    fake_networks fake;
    svr_error err = {0};
    bool got;

    fake_networks_init(&fake, FAKE_IDENTITY);
    fake.fail_at = 1;
    fake.fail_with = SVR_ERR_DEVICE;
    svr_upscaler *u = create(&fake, NULL);
    configure(u, 1, 0, 0);
    CHECK_OK(push(u, 0, &err), err);
    CHECK_FAILS(pull(u, 0, true, &got, &err), SVR_ERR_DEVICE, err);
    svr_upscaler_reset(u);
    CHECK_FAILS(push(u, 0, &err), SVR_ERR_DEVICE, err);
    svr_upscaler_destroy(u);
}

/* Every backend allocation may fail: configure says so, and the next one works. */
static void test_every_failing_allocation_is_clean(void)
{
    svr_upscaler_options options;
    svr_stream_config c = config_of(5, 2, 0);
    svr_status status = SVR_ERR_NO_MEM;
    int n = 1;

    svr_upscaler_options_init(&options);
    for (; status != SVR_OK; n++) {
        svr_cpu_options cpu = {.fail_allocation = (uint64_t) n, .threads = 1};
        svr_backend *backend = NULL;
        svr_upscaler *u = NULL;
        fake_networks fake;
        svr_error err = {0};

        fake_networks_init(&fake, FAKE_IDENTITY);
        options.networks = &fake.networks;
        CHECK_OK(svr_cpu_backend_create(&cpu, &backend, &err), err);
        CHECK_OK(svr_upscaler_create_on(backend, &options, &u, &err), err);
        status = svr_upscaler_configure(u, &c, &err);
        if (status != SVR_OK) {
            CHECK_FAILS(status, SVR_ERR_NO_MEM, err);
            CHECK_FAILS(push(u, 0, &err), SVR_ERR_INVALID, err);
            CHECK_OK(svr_upscaler_configure(u, &c, &err), err);
        }
        check_count(u, 6);
        svr_upscaler_destroy(u);
        CHECK(n < 100);
    }
    CHECK(n > 4);
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
    RUN(test_order_of_calls);
    RUN(test_configuration_is_checked);
    RUN(test_options_are_checked);
    RUN(test_events_and_stats);
    RUN(test_cancel_is_quick);
    RUN(test_cancel_frees_a_waiting_push);
    RUN(test_reset_drops_frames);
    RUN(test_a_failure_comes_after_the_finished_frames);
    RUN(test_a_lost_device_stays_lost);
    RUN(test_every_failing_allocation_is_clean);
    return check_done();
}
