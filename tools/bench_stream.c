/* Frames per second through the public API, as an application sees them. */
#include "bench.h"
#include "commands.h"

#include "base/hash.h"

/* A stream at work; zero or owned. */
typedef struct stream {
    const bench_setup *setup;
    svr_upscaler *upscaler;
    svr_video_info in, out;
    uint8_t *source; /* a batch of frames, pushed again and again */
    uint8_t *target; /* one frame */
    int pulled;
    uint64_t begin, end; /* when the first and the last batch were out */
    /* behind the first batch, and over all that follow */
    svr_phase_times first;
    svr_memory_stats first_memory;
    uint64_t device_free[2];
    uint64_t checksum;
} stream;

static svr_precision precision_of(svr_dtype storage)
{
    return storage == SVR_F16    ? SVR_PRECISION_FP16
           : storage == SVR_BF16 ? SVR_PRECISION_BF16
                                 : SVR_PRECISION_FP32;
}

/* On the worker, which is idle when `first` is read. */
static void on_event(void *user, const svr_event *event)
{
    stream *s = user;

    if (event->kind != SVR_EVENT_BATCH)
        return;
    if (event->batch == 0) {
        s->first = event->stats.total;
        s->first_memory = event->stats.memory;
        s->device_free[0] = s->device_free[1] = event->stats.memory.device_free;
    }
    s->device_free[0] = MIN(s->device_free[0], event->stats.memory.device_free);
    s->device_free[1] = MAX(s->device_free[1], event->stats.memory.device_free);
}

static svr_status open_stream(stream *s, svr_error *err)
{
    svr_upscaler_options options;
    svr_stream_config config;

    svr_upscaler_options_init(&options);
    options.backend = s->setup->backend;
    options.threads = s->setup->threads;
    options.model_path = s->setup->model_path;
    options.vae_path = s->setup->vae_path;
    options.text_path = s->setup->text_path;
    options.device = s->setup->cuda.device;
    options.cache_folder = s->setup->cuda.cache_folder;
    options.precision = precision_of(s->setup->storage);
    options.quantization = s->setup->quantization;
    options.log = s->setup->log;
    options.event = on_event;
    options.event_user = s;
    svr_stream_config_init(&config);
    config.in = s->in;
    config.out = s->out;
    config.batch_size = s->setup->frames;
    config.memory = s->setup->memory;
    s->source = bench_paint(&s->in, s->setup->frames);
    s->target = g_new(uint8_t, svr_frame_bytes(&s->out));
    SVR_TRY(svr_upscaler_create(&options, &s->upscaler, err));
    return svr_upscaler_configure(s->upscaler, &config, err);
}

static svr_status pull(stream *s, bool wait, bool *got, svr_error *err)
{
    svr_frame frame = svr_frame_packed(&s->out, s->target);

    SVR_TRY(svr_upscaler_pull(s->upscaler, &frame, wait, got, err));
    if (!*got)
        return SVR_OK;
    s->pulled++;
    s->checksum = svr_hash64(s->target, svr_frame_bytes(&s->out), s->checksum);
    s->end = bench_now_ns();
    if (s->pulled == s->setup->frames)
        s->begin = s->end;
    return SVR_OK;
}

static svr_status push(stream *s, int number, svr_error *err)
{
    size_t bytes = svr_frame_bytes(&s->in);
    svr_frame frame =
        svr_frame_packed(&s->in, s->source + (size_t) (number % s->setup->frames) * bytes);

    return svr_upscaler_push(s->upscaler, &frame, err);
}

static svr_status feed(stream *s, int frames, svr_error *err)
{
    bool got = false;

    for (int i = 0; i < frames; i++) {
        while (!svr_upscaler_can_push(s->upscaler))
            SVR_TRY(pull(s, true, &got, err));
        SVR_TRY(push(s, i, err));
        do
            SVR_TRY(pull(s, false, &got, err));
        while (got);
    }
    SVR_TRY(svr_upscaler_drain(s->upscaler, err));
    do
        SVR_TRY(pull(s, true, &got, err));
    while (got);
    return SVR_OK;
}

static void report(const stream *s, bench_stream_result *out)
{
    svr_upscaler_stats stats;
    int batches = s->setup->runs;

    svr_upscaler_get_stats(s->upscaler, &stats);
    g_strlcpy(out->backend, svr_upscaler_backend_name(s->upscaler), sizeof(out->backend));
    out->frames_per_second = 1e9 * batches * s->setup->frames / (double) (s->end - s->begin);
    out->peak_bytes = stats.memory.peak;
    out->plan = stats.plan;
    out->memory = stats.memory;
    memcpy(out->device_free, s->device_free, sizeof(out->device_free));
    out->copied_in = (stats.memory.copied_in - s->first_memory.copied_in) / (uint64_t) batches;
    out->copied_out = (stats.memory.copied_out - s->first_memory.copied_out) / (uint64_t) batches;
    out->checksum = s->checksum;
    for (int i = 0; i < BENCH_PHASES; i++) {
        bench_phase_id id = (bench_phase_id) i;
        uint64_t ns = bench_phase_ns(&stats.total, id) - bench_phase_ns(&s->first, id);

        out->phase[i] = (double) ns / 1e6 / batches;
        out->total += out->phase[i];
    }
}

svr_status bench_stream_run(const bench_setup *setup, bench_stream_result *out, svr_error *err)
{
    stream s = {.setup = setup, .in = bench_input(setup), .out = bench_output(setup)};
    int frames = (setup->runs + 1) * setup->frames;
    svr_status status = open_stream(&s, err);

    *out = (bench_stream_result){.setup = *setup};
    if (status == SVR_OK)
        status = feed(&s, frames, err);
    if (status == SVR_OK && s.pulled != frames)
        status = SVR_FAIL(err, SVR_ERR_INVALID, "%d frames went in, %d came out", frames, s.pulled);
    if (status == SVR_OK)
        report(&s, out);
    svr_upscaler_destroy(s.upscaler);
    g_free(s.source);
    g_free(s.target);
    return status;
}
