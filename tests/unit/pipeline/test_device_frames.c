/* Frames in device memory, pushed and pulled: the same bytes as through host memory, where they
 * wait and what that takes, and what happens when nobody pulls or copies fail. */
#include "pipeline/planner.h"
#include "pipeline/upscaler_internal.h"

#include "cpu/cpu_backend.h"
#include "fake_networks.h"
#include "shared_memory.h"

#include "check.h"

#include <stdlib.h>
#include <string.h>

enum { IN_W = 18, IN_H = 16, OUT_W = 34, OUT_H = 32, PADDING = 24, MOST_BYTES = 16384, SIDES = 4 };

/* An upscaler whose backend shares memory and fails the n-th allocation (from 1; 0: none). */
static svr_upscaler *create_failing(fake_networks *fake, uint64_t n)
{
    const svr_cpu_options cpu = {.threads = 1, .fail_allocation = n};
    svr_upscaler_options options;
    svr_backend *backend = NULL;
    svr_upscaler *u = NULL;
    svr_error err = {0};

    svr_upscaler_options_init(&options);
    options.networks = &fake->networks;
    CHECK_OK(svr_cpu_backend_create(&cpu, &backend, &err), err);
    shared_memory_install(backend);
    CHECK_OK(svr_upscaler_create_on(backend, &options, &u, &err), err);
    return u;
}

static svr_upscaler *create(fake_networks *fake)
{
    return create_failing(fake, 0);
}

/* Bit 0 of `sides`: input, bit 1: output on the device. */
static svr_stream_config config_of(int sides, svr_pixel_format format, int batch, int overlap)
{
    const svr_colorimetry color = {.kr = 0.2126, .kb = 0.0722};
    svr_stream_config c;

    svr_stream_config_init(&c);
    c.in = (svr_video_info){.format = format, .width = IN_W, .height = IN_H, .color = color};
    c.out = (svr_video_info){.format = format, .width = OUT_W, .height = OUT_H, .color = color};
    c.in_on_device = sides & 1;
    c.out_on_device = sides & 2;
    c.batch_size = batch;
    c.temporal_overlap = overlap;
    return c;
}

static void configure(svr_upscaler *u, const svr_stream_config *c)
{
    svr_error err = {0};

    CHECK_OK(svr_upscaler_configure(u, c, &err), err);
}

/* A frame with padded rows in `memory`, on the device or not. */
static svr_frame frame_in(const svr_video_info *info, uint8_t *memory, bool on_device)
{
    svr_frame frame = {0};
    size_t offset = 0;

    for (int p = 0; p < svr_pixel_planes(info->format); p++) {
        frame.plane[p] = on_device ? shared_memory_address(memory + offset) : memory + offset;
        frame.stride[p] = (ptrdiff_t) svr_plane_row_bytes(info, p) + PADDING;
        offset += (size_t) frame.stride[p] * (size_t) svr_plane_rows(info, p);
    }
    CHECK(offset <= MOST_BYTES);
    return frame;
}

/* Pushes frame `number`; its memory is overwritten at once. */
static svr_status push(svr_upscaler *u, const svr_stream_config *c, int number, svr_error *err)
{
    uint8_t memory[MOST_BYTES];
    svr_frame frame = frame_in(&c->in, memory, c->in_on_device);
    svr_status status;

    for (int i = 0; i < MOST_BYTES; i++)
        memory[i] = (uint8_t) (40 + (i * 7 + number * 31 + i / 50 * number) % 170);
    status = svr_upscaler_push(u, &frame, err);
    memset(memory, 0xee, sizeof memory);
    return status;
}

/* Pulls a frame, tightly packed, to `packed`; what lies between its rows must stay. */
static bool pull(svr_upscaler *u, const svr_stream_config *c, bool wait, uint8_t *packed)
{
    uint8_t memory[MOST_BYTES];
    svr_frame frame = frame_in(&c->out, memory, c->out_on_device);
    svr_frame host = frame_in(&c->out, memory, false), to = svr_frame_packed(&c->out, packed);
    svr_error err = {0};
    bool got;

    memset(memory, 0x5a, sizeof memory);
    CHECK_OK(svr_upscaler_pull(u, &frame, wait, &got, &err), err);
    if (got)
        svr_frame_copy(&c->out, &to, &host);
    for (int i = 0; i < PADDING; i++)
        CHECK(memory[svr_plane_row_bytes(&c->out, 0) + (size_t) i] == 0x5a);
    return got;
}

/* `count` frames as an element does it, then the rest; out [count] packed frames. */
static void run(svr_upscaler *u, const svr_stream_config *c, int count, uint8_t *out)
{
    size_t bytes = svr_frame_bytes(&c->out);
    svr_error err = {0};
    int pulled = 0;
    uint8_t frame[MOST_BYTES];

    for (int i = 0; i < count; i++) {
        while (pull(u, c, !svr_upscaler_can_push(u), frame))
            memcpy(out + (size_t) pulled++ * bytes, frame, bytes);
        CHECK_OK(push(u, c, i, &err), err);
    }
    CHECK_OK(svr_upscaler_drain(u, &err), err);
    while (pull(u, c, true, frame))
        memcpy(out + (size_t) pulled++ * bytes, frame, bytes);
    CHECK(pulled == count && svr_upscaler_held(u) == 0);
}

/* ------------------------------------------------------------------ the same bytes */

static void check_sides(svr_upscaler *u, svr_stream_config c, int count)
{
    size_t bytes = svr_frame_bytes(&c.out) * (size_t) count;
    uint8_t *want = malloc(bytes), *got = malloc(bytes);

    CHECK(want && got);
    for (int sides = 0; sides < SIDES; sides++) {
        int read = shared_memory_read(), written = shared_memory_written();

        c.in_on_device = sides & 1;
        c.out_on_device = sides & 2;
        configure(u, &c);
        run(u, &c, count, sides == 0 ? want : got);
        CHECK(sides == 0 || memcmp(want, got, bytes) == 0);
        CHECK(shared_memory_read() - read == (c.in_on_device ? count : 0));
        CHECK(shared_memory_written() - written == (c.out_on_device ? count : 0));
    }
    free(want);
    free(got);
}

/* Colour correction looks at source frames again when they are finished. */
static void test_the_same_bytes_on_all_sides(void)
{
    static const svr_pixel_format formats[] = {SVR_PIXEL_NV12, SVR_PIXEL_I420, SVR_PIXEL_RGBA};
    static const int plans[][3] = {{1, 0, 0}, {5, 0, 0}, {5, 2, 0}, {4, 3, 3}, {9, 1, 2}};
    fake_networks fake;

    fake_networks_init(&fake, FAKE_GOLDEN);
    svr_upscaler *u = create(&fake);
    for (size_t f = 0; f < sizeof formats / sizeof formats[0]; f++)
        for (size_t p = 0; p < sizeof plans / sizeof plans[0]; p++) {
            svr_stream_config c = config_of(0, formats[f], plans[p][0], plans[p][1]);

            c.prepend_frames = plans[p][2];
            check_sides(u, c, 13);
        }
    svr_upscaler_destroy(u);
}

static void test_batches_are_not_compared(void)
{
    fake_networks fake;
    uint8_t out[10 * MOST_BYTES];
    svr_upscaler_stats stats;

    fake_networks_init(&fake, FAKE_GOLDEN);
    svr_upscaler *u = create(&fake);
    for (int sides = 1; sides < SIDES; sides++) {
        svr_stream_config c = config_of(sides, SVR_PIXEL_RGB, 1, 0);

        c.noise_time_invariant = true;
        configure(u, &c);
        for (int i = 0; i < 3; i++)
            run(u, &c, 1, out); /* the same frame, each time a sequence */
        svr_upscaler_get_stats(u, &stats);
        CHECK(stats.batches_computed == 3 && stats.batches_reused == 0);
    }
    svr_upscaler_destroy(u);
}

/* ------------------------------------------------------------------ memory */

static void test_waiting_frames_are_planned(void)
{
    const svr_temporal_plan plan = svr_temporal_plan_make(5, 2, 0);
    uint64_t host_state = 0;
    uint8_t out[13 * MOST_BYTES];
    fake_networks fake;

    fake_networks_init(&fake, FAKE_GOLDEN);
    svr_upscaler *u = create(&fake);
    for (int sides = 0; sides < SIDES; sides++) {
        svr_stream_config c = config_of(sides, SVR_PIXEL_NV12, 5, 2);
        uint64_t sources = svr_frame_store_device_bytes(&c.in, svr_waiting_sources(&plan));
        uint64_t finished = svr_frame_store_device_bytes(&c.out, svr_waiting_finished(&plan));
        svr_upscaler_stats stats;

        configure(u, &c);
        svr_upscaler_get_stats(u, &stats);
        host_state = sides == 0 ? stats.plan.state : host_state;
        CHECK(stats.plan.state ==
              host_state + (sides & 1 ? sources : 0) + (sides & 2 ? finished : 0));
        CHECK(stats.memory.state == stats.plan.state && stats.memory.used == stats.plan.peak);
        run(u, &c, 13, out);
        svr_upscaler_get_stats(u, &stats);
        CHECK(stats.memory.used == stats.plan.peak);
        CHECK(stats.memory.scratch_peak == stats.plan.scratch);
    }
    svr_upscaler_destroy(u);
}

/* While a batch is computed the next one fills, so as many frames wait as ever can. */
static void fill_up(svr_upscaler *u, svr_stream_config *c, int *most)
{
    uint8_t frame[MOST_BYTES];
    svr_error err = {0};
    int pushed = 0;

    for (int i = 0; i < 8; i++) {
        while (svr_upscaler_can_push(u)) {
            CHECK_OK(push(u, c, pushed++, &err), err);
            pthread_mutex_lock(u->mutex);
            int held = (int) svr_batcher_held(u->batcher);
            pthread_mutex_unlock(u->mutex);
            *most = held > *most ? held : *most;
        }
        /* what overlaps with the batch behind comes when that was pushed */
        (void) pull(u, c, true, frame);
    }
    svr_upscaler_reset(u);
    CHECK(svr_upscaler_held(u) == 0);
}

static void test_no_more_frames_wait_than_planned(void)
{
    fake_networks fake;
    int full = 0;

    fake_networks_init(&fake, FAKE_IDENTITY);
    fake.predict_ms = 10;
    svr_upscaler *u = create(&fake);
    for (int batch = 1; batch <= 5; batch += 2)
        for (int overlap = 0; overlap < batch; overlap += 2)
            for (int prepend = 0; prepend <= 24; prepend += 12) {
                svr_temporal_plan plan = svr_temporal_plan_make(batch, overlap, prepend);
                svr_stream_config c = config_of(3, SVR_PIXEL_RGB, batch, overlap);
                int64_t sources = svr_waiting_sources(&plan);
                int most = 0;

                c.prepend_frames = prepend;
                configure(u, &c);
                fill_up(u, &c, &most);
                CHECK(most <= sources);
                full += most == sources;
            }
    /* whether a worker is slow enough is not this test's to say, but once it is */
    CHECK(full > 0);
    svr_upscaler_destroy(u);
}

/* ------------------------------------------------------------------ nobody pulls */

/* Pushes until that is refused, which is when a batch of finished frames fills its room, another is
 * computed and the worker wants to go on.  How many were taken. */
static int push_until_refused(svr_upscaler *u, const svr_stream_config *c)
{
    svr_error err = {0};
    int pushed = 0;

    while (pushed < 100 && push(u, c, pushed, &err) == SVR_OK)
        pushed++;
    CHECK(err.code == SVR_ERR_INVALID);
    CHECK_TEXT(err.text, "pull them before");
    return pushed;
}

static void test_frames_that_nobody_pulls(void)
{
    svr_stream_config c = config_of(2, SVR_PIXEL_RGB, 4, 0);
    uint8_t frame[MOST_BYTES];
    fake_networks fake;
    svr_error err = {0};
    int pushed, pulled = 0;

    fake_networks_init(&fake, FAKE_IDENTITY);
    svr_upscaler *u = create(&fake);
    configure(u, &c);
    pushed = push_until_refused(u, &c);
    CHECK(pushed == 12 && !svr_upscaler_can_push(u));
    /* nothing is lost, and it goes on */
    while (!svr_upscaler_can_push(u)) {
        CHECK(pull(u, &c, true, frame));
        pulled++;
    }
    CHECK_OK(push(u, &c, pushed++, &err), err);
    CHECK_OK(svr_upscaler_drain(u, &err), err);
    while (pull(u, &c, true, frame))
        pulled++;
    CHECK(pulled == pushed);
    svr_upscaler_destroy(u);
}

/* With a batch pulled the worker can finish the next one and take another: a push waits for that,
 * and the one behind it is refused again. */
static void test_a_push_waits_behind_pulls(void)
{
    svr_stream_config c = config_of(2, SVR_PIXEL_RGB, 4, 0);
    uint8_t frame[MOST_BYTES];
    fake_networks fake;
    svr_error err = {0};

    fake_networks_init(&fake, FAKE_IDENTITY);
    svr_upscaler *u = create(&fake);
    configure(u, &c);
    push_until_refused(u, &c);
    for (int round = 0; round < 200; round++) {
        for (int i = 0; i < c.batch_size; i++)
            CHECK(pull(u, &c, true, frame));
        for (int i = 0; i < c.batch_size; i++)
            CHECK_OK(push(u, &c, i, &err), err);
        CHECK(push_until_refused(u, &c) == 0);
    }
    svr_upscaler_destroy(u);
}

static void test_a_waiting_worker_stops(void)
{
    svr_stream_config c = config_of(3, SVR_PIXEL_RGB, 4, 0);
    fake_networks fake;
    uint8_t out[9 * MOST_BYTES];

    fake_networks_init(&fake, FAKE_IDENTITY);
    svr_upscaler *u = create(&fake);
    configure(u, &c);
    push_until_refused(u, &c);
    svr_upscaler_reset(u);
    run(u, &c, 9, out);
    push_until_refused(u, &c);
    svr_upscaler_destroy(u);
}

/* ------------------------------------------------------------------ errors */

static void test_the_cpu_backend_refuses(void)
{
    svr_upscaler_options options;
    svr_upscaler *u = NULL;
    fake_networks fake;
    svr_error err = {0};

    svr_upscaler_options_init(&options);
    fake_networks_init(&fake, FAKE_IDENTITY);
    options.backend = SVR_BACKEND_CPU;
    options.networks = &fake.networks;
    CHECK_OK(svr_upscaler_create(&options, &u, &err), err);
    for (int sides = 1; sides < SIDES; sides++) {
        svr_stream_config c = config_of(sides, SVR_PIXEL_RGB, 4, 0);

        CHECK(svr_upscaler_configure(u, &c, &err) == SVR_ERR_UNSUPPORTED);
        CHECK_TEXT(err.text, "backend=cuda");
        svr_error_clear(&err);
    }
    svr_upscaler_destroy(u);
}

/* The n-th copy fails, whosever it is: somebody is told, and a reset gives all memory back. */
static void test_failing_copies(void)
{
    svr_stream_config c = config_of(3, SVR_PIXEL_RGB, 2, 0);
    fake_networks fake;
    uint8_t memory[MOST_BYTES];

    fake_networks_init(&fake, FAKE_IDENTITY);
    for (int n = 1; n <= 6; n++) { /* two sources, then a finished one to its room and out of it */
        svr_upscaler *u = create(&fake);
        svr_frame out = frame_in(&c.out, memory, true);
        svr_error err = {0};
        svr_status status = SVR_OK;
        bool got = true;

        configure(u, &c);
        shared_memory_fail(n);
        for (int i = 0; i < 2 && status == SVR_OK; i++)
            status = push(u, &c, i, &err);
        while (got && status == SVR_OK)
            status = svr_upscaler_pull(u, &out, true, &got, &err);
        CHECK_FAILS(status, SVR_ERR_DEVICE, err);
        svr_upscaler_reset(u);
        svr_upscaler_destroy(u);
    }
}

/* Each allocation fails once: configure says so, and works when it is tried again. */
static void test_failing_allocations(void)
{
    svr_stream_config c = config_of(3, SVR_PIXEL_NV12, 3, 1);
    uint8_t out[7 * MOST_BYTES];
    fake_networks fake;
    svr_status status = SVR_ERR_NO_MEM;
    int n = 0;

    fake_networks_init(&fake, FAKE_GOLDEN);
    while (status != SVR_OK) {
        svr_upscaler *u = create_failing(&fake, (uint64_t) ++n);
        svr_error err = {0};

        status = svr_upscaler_configure(u, &c, &err);
        if (status != SVR_OK) {
            CHECK_FAILS(status, SVR_ERR_NO_MEM, err);
            configure(u, &c);
        }
        run(u, &c, 7, out);
        svr_upscaler_destroy(u);
        CHECK(n < 100);
    }
    CHECK(n > 5); /* scratch, two stores, two tensors of frames */
}

int main(void)
{
    RUN(test_the_same_bytes_on_all_sides);
    RUN(test_batches_are_not_compared);
    RUN(test_waiting_frames_are_planned);
    RUN(test_no_more_frames_wait_than_planned);
    RUN(test_frames_that_nobody_pulls);
    RUN(test_a_push_waits_behind_pulls);
    RUN(test_a_waiting_worker_stops);
    RUN(test_the_cpu_backend_refuses);
    RUN(test_failing_copies);
    RUN(test_failing_allocations);
    return check_done();
}
