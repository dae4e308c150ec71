/* One stream through the public API, and what its events said. */
#include "selftest.h"

#include "backend/backend.h"
#include "bench_profile.h"

svr_video_info selftest_output(const selftest_setup *setup)
{
    return (svr_video_info){.format = SVR_PIXEL_I420,
                            .width = setup->width,
                            .height = setup->height,
                            .color = {.kr = 0.2126, .kb = 0.0722, .chroma_h_cosited = true}};
}

svr_video_info selftest_input(const selftest_setup *setup)
{
    svr_video_info info = selftest_output(setup);

    info.width /= 2;
    info.height /= 2;
    return info;
}

int selftest_frames(const selftest_setup *setup)
{
    return SELFTEST_BATCHES * setup->batch_size;
}

/* ------------------------------------------------------------------ events */

static void batch_done(selftest_run *run, const svr_event *event)
{
    run->last = event->stats;
    run->last_ns = bench_now_ns();
    if (run->batches++ > 0)
        return;
    run->first = run->last;
    run->first_ns = run->last_ns;
}

/* On the worker; the run is read when that has ended. */
static void on_event(void *user, const svr_event *event)
{
    selftest_run *run = user;
    uint64_t free_bytes = event->stats.memory.device_free;

    if (event->kind == SVR_EVENT_LOADING || event->kind == SVR_EVENT_LOADED)
        run->loads++;
    if (event->kind == SVR_EVENT_PLANNED) {
        run->plans++;
        run->planned = event->stats;
    }
    if (event->kind == SVR_EVENT_BATCH)
        batch_done(run, event);
    if (event->kind == SVR_EVENT_CLOSED) {
        run->closes++;
        run->closed = event->stats.memory;
    } else if (run->plans > 0)
        run->free_least = MIN(run->free_least, free_bytes);
}

/* ------------------------------------------------------------------ frames */

typedef struct stream {
    const selftest_setup *setup;
    svr_upscaler *upscaler;
    svr_video_info in, out;
    uint8_t *output;
    int pulled;
} stream;

static svr_status pull(stream *s, bool wait, bool *got, svr_error *err)
{
    int frames = selftest_frames(s->setup);
    /* a frame too many overwrites the last one, and is counted */
    size_t place = (size_t) MIN(s->pulled, frames - 1) * svr_frame_bytes(&s->out);
    svr_frame frame = svr_frame_packed(&s->out, s->output + place);

    SVR_TRY(svr_upscaler_pull(s->upscaler, &frame, wait, got, err));
    s->pulled += *got;
    return SVR_OK;
}

static svr_status feed(stream *s, uint8_t *clip, svr_error *err)
{
    bool got = false;

    for (int i = 0; i < selftest_frames(s->setup); i++) {
        svr_frame frame = svr_frame_packed(&s->in, clip + (size_t) i * svr_frame_bytes(&s->in));

        while (!svr_upscaler_can_push(s->upscaler))
            SVR_TRY(pull(s, true, &got, err));
        SVR_TRY(svr_upscaler_push(s->upscaler, &frame, err));
    }
    SVR_TRY(svr_upscaler_drain(s->upscaler, err));
    do
        SVR_TRY(pull(s, true, &got, err));
    while (got);
    if (s->pulled != selftest_frames(s->setup))
        return SVR_FAIL(err, SVR_ERR_INVALID, "%d frames went in, %d came out",
                        selftest_frames(s->setup), s->pulled);
    return SVR_OK;
}

static svr_status open_stream(stream *s, const selftest_request *request, selftest_run *run,
                              svr_error *err)
{
    svr_upscaler_options options;
    svr_stream_config config;

    svr_upscaler_options_init(&options);
    options.backend = s->setup->backend;
    options.device = s->setup->device;
    options.model_path = s->setup->model_path;
    options.vae_path = s->setup->vae_path;
    options.text_path = s->setup->text_path;
    options.cache_folder = s->setup->cache_folder;
    options.log = s->setup->log;
    options.event = on_event;
    options.event_user = run;
    svr_stream_config_init(&config);
    config.in = s->in;
    config.out = s->out;
    config.batch_size = s->setup->batch_size;
    config.memory = request->memory;
    config.color_correction = request->colour;
    SVR_TRY(svr_upscaler_create(&options, &s->upscaler, err));
    g_strlcpy(run->backend, svr_upscaler_backend_name(s->upscaler), sizeof(run->backend));
    return svr_upscaler_configure(s->upscaler, &config, err);
}

static uint64_t device_free(const selftest_setup *setup)
{
    return svr_backend_memory(setup->probe).device_free;
}

void selftest_run_stream(const selftest_setup *setup, const selftest_request *request,
                         uint8_t *clip, selftest_run *run)
{
    stream s = {.setup = setup, .in = selftest_input(setup), .out = selftest_output(setup)};
    size_t bytes = svr_frame_bytes(&s.out) * (size_t) selftest_frames(setup);

    *run = (selftest_run){.free_before = device_free(setup)};
    run->free_least = run->free_before;
    s.output = g_new0(uint8_t, bytes);
    run->status = open_stream(&s, request, run, &run->err);
    if (run->status == SVR_OK)
        run->status = feed(&s, clip, &run->err);
    svr_upscaler_destroy(s.upscaler);
    run->free_after = device_free(setup);
    if (run->status == SVR_OK)
        run->output = s.output;
    else
        g_free(s.output);
}

void selftest_run_finish(selftest_run *run)
{
    g_free(run->output);
    run->output = NULL;
}
