#include "upscaler_rig.h"

#include "check.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static void count_event(void *user, const svr_event *event)
{
    up_events *events = user;

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

svr_upscaler *up_open(fake_networks *fake, up_events *events)
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

svr_stream_config up_config(int batch, int overlap, int prepend)
{
    svr_stream_config c;

    svr_stream_config_init(&c);
    c.in = (svr_video_info){.format = SVR_PIXEL_RGB, .width = UP_IN, .height = UP_IN};
    c.out = (svr_video_info){.format = SVR_PIXEL_RGB, .width = UP_OUT, .height = UP_OUT};
    c.batch_size = batch;
    c.temporal_overlap = overlap;
    c.prepend_frames = prepend;
    c.color_correction = SVR_COLOUR_NONE;
    return c;
}

void up_configure(svr_upscaler *u, int batch, int overlap, int prepend)
{
    svr_stream_config c = up_config(batch, overlap, prepend);
    svr_error err = {0};

    CHECK_OK(svr_upscaler_configure(u, &c, &err), err);
}

/* The grey value that marks frame `number`. */
static int up_grey(int number)
{
    return 20 + number * 13 % 220;
}

svr_status up_push(svr_upscaler *u, int number, svr_error *err)
{
    uint8_t data[UP_IN * UP_IN * 3];
    svr_frame frame = {.plane = {data}, .stride = {UP_IN * 3}};

    memset(data, up_grey(number), sizeof data);
    return svr_upscaler_push(u, &frame, err);
}

svr_status up_pull(svr_upscaler *u, int number, bool wait, bool *got, svr_error *err)
{
    uint8_t data[UP_OUT * UP_OUT * 3];
    svr_frame frame = {.plane = {data}, .stride = {UP_OUT * 3}};

    memset(data, 0, sizeof data);
    SVR_TRY(svr_upscaler_pull(u, &frame, wait, got, err));
    for (size_t i = 0; *got && i < sizeof data; i++)
        CHECK(abs(data[i] - up_grey(number)) <= 1);
    return SVR_OK;
}

/* Pulls what comes, starting with frame `first`; how many came. */
static int pull_while(svr_upscaler *u, int first, bool wait)
{
    svr_error err = {0};
    int count = 0;
    bool got = true;

    while (got) {
        CHECK_OK(up_pull(u, first + count, wait, &got, &err), err);
        count += got;
    }
    return count;
}

int up_pull_all(svr_upscaler *u, int first)
{
    return pull_while(u, first, true);
}

int up_pull_ready(svr_upscaler *u, int first)
{
    return pull_while(u, first, false);
}

int up_push_and_pull(svr_upscaler *u, int first, int count)
{
    svr_error err = {0};
    int pulled = 0;
    bool got;

    for (int i = 0; i < count; i++) {
        while (!svr_upscaler_can_push(u)) {
            CHECK_OK(up_pull(u, first + pulled, true, &got, &err), err);
            pulled += got;
        }
        CHECK_OK(up_push(u, first + i, &err), err);
        pulled += up_pull_ready(u, first + pulled);
    }
    return pulled;
}

double up_now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double) t.tv_sec * 1e3 + (double) t.tv_nsec * 1e-6;
}

void up_sleep_ms(int ms)
{
    struct timespec t = {ms / 1000, (long) (ms % 1000) * 1000000};

    nanosleep(&t, NULL);
}

void up_check_count(svr_upscaler *u, int n)
{
    svr_error err = {0};
    svr_upscaler_stats before, after;
    int pulled;

    svr_upscaler_get_stats(u, &before);
    pulled = up_push_and_pull(u, 0, n);
    CHECK_OK(svr_upscaler_drain(u, &err), err);
    pulled += up_pull_all(u, pulled);
    CHECK(pulled == n && svr_upscaler_held(u) == 0);
    svr_upscaler_get_stats(u, &after);
    CHECK(after.frames_in - before.frames_in == (uint64_t) n);
    CHECK(after.frames_out - before.frames_out == (uint64_t) n);
    CHECK(after.memory.host_frames == 0);
}
