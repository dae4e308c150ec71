/* The worker: loads the weights, sets up streams, computes batches. */
#include "pipeline/upscaler_internal.h"

#include <stdio.h>
#include <stdlib.h>

typedef enum task_kind {
    TASK_NONE = 0,
    TASK_QUIT,
    TASK_CONFIGURE,
    TASK_BATCH,
    TASK_END /* of a sequence: what waits becomes final */
} task_kind;

typedef struct task {
    task_kind kind;
    svr_batch_span span;  /* BATCH */
    uint64_t first_frame; /* BATCH: absolute number of the sequence's virtual frame 0 */
} task;

/* ------------------------------------------------------------------ events */

static void emit(svr_upscaler *u, svr_event *event)
{
    if (!u->event)
        return;
    pthread_mutex_lock(u->mutex);
    event->stats = svr_upscaler_snapshot(u);
    pthread_mutex_unlock(u->mutex);
    u->event(u->event_user, event);
}

void svr_upscaler_emit(svr_upscaler *u, svr_event_kind kind)
{
    svr_event event = {.kind = kind};

    emit(u, &event);
}

/* Reads the ledger; on the worker, because the device is asked too. */
static void refresh_memory(svr_upscaler *u)
{
    svr_memory_use use = svr_backend_memory(u->backend);

    pthread_mutex_lock(u->mutex);
    svr_memory_stats *m = &u->stats.memory;
    m->weights = use.live[SVR_MEM_WEIGHTS];
    m->state = use.live[SVR_MEM_STATE];
    m->scratch = use.live[SVR_MEM_SCRATCH];
    m->used = use.live_total;
    m->peak = use.peak_total;
    m->allocations = use.allocations;
    m->device_total = use.device_total;
    m->device_free = use.device_free;
    m->host_pinned = use.host_live;
    m->host_pinned_peak = use.host_peak;
    m->copied_in = use.copied_in;
    m->copied_out = use.copied_out;
    m->scratch_peak = u->stream ? svr_stream_scratch_peak(u->stream) : 0;
    pthread_mutex_unlock(u->mutex);
}

void svr_upscaler_report_closed(svr_upscaler *u)
{
    refresh_memory(u);
    svr_upscaler_emit(u, SVR_EVENT_CLOSED);
}

/* ------------------------------------------------------------------ load and configure */

void svr_upscaler_report_progress(void *user, uint64_t done, uint64_t total)
{
    svr_event event = {.kind = SVR_EVENT_LOADING, .bytes_done = done, .bytes_total = total};

    emit(user, &event);
}

/* Takes the old stream away before the new one is made: both may not fit. */
static void drop_stream(svr_upscaler *u)
{
    svr_stream *stream;
    svr_batcher *batcher;

    pthread_mutex_lock(u->mutex);
    stream = u->stream;
    batcher = u->batcher;
    u->stream = NULL;
    u->batcher = NULL;
    pthread_mutex_unlock(u->mutex);
    svr_batcher_destroy(batcher);
    svr_stream_destroy(stream);
}

/* Words for people. */
static const char *describe_point(svr_point point)
{
    static const char *const texts[SVR_POINT_COUNT] = {
        "after VAE encode",        "before DiT step", "after the positive pass",
        "after the negative pass", "after DiT step",  "after VAE decode",
        "after batch cleanup"};

    return texts[point];
}

static double gigabytes(uint64_t bytes)
{
    return (double) bytes * 1e-9;
}

static void log_point(const svr_upscaler *u, const svr_event *event)
{
    const svr_memory_stats *m = &event->stats.memory;
    char step[16] = "";

    if (event->step > 0)
        snprintf(step, sizeof step, " %d", event->step);
    svr_log_write(
        &u->log, SVR_LOG_INFO, "memory",
        "VRAM %s%s: in use %.1f GB, high-water mark %.1f GB, planned %.1f GB, device %.1f "
        "of %.1f GB free, page-locked %.1f GB",
        describe_point(event->point), step, gigabytes(event->in_use), gigabytes(event->high_water),
        gigabytes(event->stats.plan.peak), gigabytes(m->device_free), gigabytes(m->device_total),
        gigabytes(m->host_pinned));
}

/* A point of the work: counts steps, keeps the highest use, tells. */
static void report_point(void *user, svr_point point, const svr_stream_use *use)
{
    svr_upscaler *u = user;
    svr_event event = {.kind = SVR_EVENT_MEMORY,
                       .point = point,
                       .in_use = use->in_use,
                       .high_water = use->high_water};
    bool in_step = point >= SVR_POINT_STEP_BEGIN && point <= SVR_POINT_STEP_END;

    if (point == SVR_POINT_ENCODED)
        u->step = 0;
    u->step += point == SVR_POINT_STEP_BEGIN;
    event.step = in_step ? u->step : 0;
    refresh_memory(u);
    pthread_mutex_lock(u->mutex);
    event.batch = u->stats.batches;
    if (use->high_water > u->stats.memory.point_peak[point])
        u->stats.memory.point_peak[point] = use->high_water;
    event.stats = svr_upscaler_snapshot(u);
    pthread_mutex_unlock(u->mutex);
    log_point(u, &event);
    emit(u, &event);
}

static void adopt_stream(svr_upscaler *u, svr_stream *stream, svr_batcher *batcher)
{
    pthread_mutex_lock(u->mutex);
    u->stream = stream;
    u->batcher = batcher;
    u->options = *svr_stream_get_options(stream);
    u->first_frame = u->sequence_first = u->request.first_frame;
    u->stats =
        (svr_upscaler_stats){.storage = u->networks->storage, .plan = *svr_stream_plan(stream)};
    pthread_mutex_unlock(u->mutex);
}

static double gib(uint64_t bytes)
{
    return (double) bytes / (double) ((uint64_t) 1 << 30);
}

/* What was chosen, in one line of the log. */
static void log_plan(const svr_upscaler *u)
{
    const svr_phases_config *c = &u->options.phases;
    const svr_memory_plan *p = &u->stats.plan;
    const char *hidden = p->hidden ? "" : ", which the computation does not hide";

    svr_log_write(
        &u->log, SVR_LOG_INFO, "plan",
        "%dx%d to %dx%d, batches of %d, overlap %d: peak %.2f GiB (weights %.2f, state "
        "%.2f, scratch %.2f), %d of %d blocks streamed, VAE weights %s%s, host %.2f GiB%s%s, "
        "%.0f MiB in and %.0f MiB out a batch%s",
        c->in.width, c->in.height, c->out.width, c->out.height, u->options.temporal.batch,
        u->options.temporal.overlap, gib(p->peak), gib(p->weights), gib(p->state), gib(p->scratch),
        p->streamed_blocks, p->blocks, p->vae_streamed ? "fetched for their phase" : "resident",
        p->tiled ? ", VAE in tiles" : "", gib(p->host),
        p->parked == SVR_PARKED_16_BIT ? "" : ", parked frames in ",
        p->parked == SVR_PARKED_16_BIT ? "" : svr_parked_precision_name(p->parked),
        1024.0 * gib(p->copied_in), 1024.0 * gib(p->copied_out), hidden);
}

/* The store reads streamed weights from the file where the host has no room for copies. */
static void warn_of_relay(const svr_upscaler *u)
{
    uint64_t host = svr_backend_memory(u->backend).host_live;

    if (host < u->stats.plan.host)
        svr_log_write(&u->log, SVR_LOG_WARN, "plan",
                      "only %.2f of %.2f GiB of host memory could be page-locked: streamed weights "
                      "are read from the model file in every batch, which is slower",
                      gib(host), gib(u->stats.plan.host));
}

static svr_status configure(svr_upscaler *u, svr_error *err)
{
    const svr_stream_options *options = &u->request.options; /* stays while the request runs */
    svr_stream *stream = NULL;
    svr_batcher *batcher;

    drop_stream(u);
    SVR_TRY(svr_stream_create(u->backend, u->networks, options, u->cancel, &stream, err));
    batcher =
        svr_batcher_create(&svr_stream_get_options(stream)->temporal, svr_stream_sources(stream));
    if (!batcher) {
        svr_stream_destroy(stream);
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no host memory for a stream");
    }
    adopt_stream(u, stream, batcher);
    u->widening = false; /* the stream is planned and loaded for what the networks are now */
    warn_of_relay(u);
    svr_stream_set_note(stream, report_point, u);
    refresh_memory(u);
    log_plan(u);
    if (!u->loaded)
        svr_upscaler_emit(u, SVR_EVENT_LOADED);
    u->loaded = true;
    svr_upscaler_emit(u, SVR_EVENT_PLANNED);
    return SVR_OK;
}

/* ------------------------------------------------------------------ batches */

static void report_batch(svr_upscaler *u, const task *t, const svr_phase_times *times)
{
    uint64_t reused = svr_stream_reused_batches(u->stream);
    bool computed = reused == u->stats.batches_reused;
    svr_event event = {.kind = SVR_EVENT_BATCH,
                       .first_frame = t->first_frame + (uint64_t) t->span.start,
                       .frames = (uint64_t) t->span.count};

    if (computed)
        event.computed_frames = (uint64_t) svr_stream_computed_frames(u->stream, t->span.count);

    refresh_memory(u);
    pthread_mutex_lock(u->mutex);
    svr_batcher_release(u->batcher, svr_stream_needed_from(u->stream));
    event.batch = u->stats.batches++;
    u->stats.batches_computed += computed;
    u->stats.batches_reused = reused;
    u->stats.frames_computed += event.computed_frames;
    u->stats.last = *times;
    svr_phase_times_add(&u->stats.total, times);
    pthread_mutex_unlock(u->mutex);
    svr_log_write(&u->log, SVR_LOG_DEBUG, "pipeline",
                  "batch %llu: %d frames, encode %.1f dit %.1f decode %.1f finish %.1f ms",
                  (unsigned long long) event.batch, t->span.count, (double) times->encode_ns * 1e-6,
                  (double) times->dit_ns * 1e-6, (double) times->decode_ns * 1e-6,
                  (double) times->finish_ns * 1e-6);
    emit(u, &event);
}

/* fp16 could not hold this film: what was loaded for it goes. */
static void leave_fp16(svr_upscaler *u, const task *t)
{
    uint64_t frame = t->first_frame + (uint64_t) t->span.start;

    svr_log_write(&u->log, SVR_LOG_WARN, "pipeline",
                  "fp16 overflowed in the batch of frame %llu: computing in bf16 from here on",
                  (unsigned long long) frame);
    svr_model_set_storage(u->model, SVR_BF16);
    u->widening = true;
}

/* Loads the weights again, for bf16.  When that fails or is cancelled, the next batch tries again.
 */
static svr_status enter_bf16(svr_upscaler *u, const task *t, svr_error *err)
{
    svr_event event = {.kind = SVR_EVENT_WIDENED,
                       .first_frame = t->first_frame + (uint64_t) t->span.start};

    SVR_TRY(svr_model_load(u->model, u->cancel, err));
    SVR_TRY(svr_stream_replan(u->stream, err));
    u->widening = false;
    pthread_mutex_lock(u->mutex);
    u->stats.storage = SVR_BF16;
    u->stats.plan = *svr_stream_plan(u->stream);
    pthread_mutex_unlock(u->mutex);
    emit(u, &event);
    return SVR_OK;
}

static svr_status compute_batch(svr_upscaler *u, const task *t, svr_error *err)
{
    svr_stream_io io = svr_upscaler_io(u);
    svr_phase_times times = {0};
    svr_status status;

    if (u->widening)
        SVR_TRY(enter_bf16(u, t, err));
    status = svr_stream_batch(u->stream, &t->span, (int64_t) t->first_frame, &io, &times, err);
    if (status == SVR_ERR_OVERFLOW && u->model && u->networks->storage == SVR_F16) {
        svr_error_clear(err);
        times = (svr_phase_times){0};
        leave_fp16(u, t);
        SVR_TRY(enter_bf16(u, t, err));
        status = svr_stream_batch(u->stream, &t->span, (int64_t) t->first_frame, &io, &times, err);
    }
    SVR_TRY(status);
    report_batch(u, t, &times);
    return SVR_OK;
}

/* What the stream took, as a whole so far. */
static void log_summary(const svr_upscaler *u)
{
    const svr_upscaler_stats *stats = &u->stats;
    const svr_memory_stats *m = &stats->memory;

    svr_log_write(
        &u->log, SVR_LOG_INFO, "memory",
        "VRAM summary: %llu frames in %llu batches, peak %.2f GB of %.2f planned (encode "
        "%.2f, DiT %.2f, decode %.2f), page-locked %.2f GB, copied %.1f GB in and %.1f GB "
        "out",
        (unsigned long long) stats->frames_out, (unsigned long long) stats->batches,
        gigabytes(m->peak), gigabytes(stats->plan.peak),
        gigabytes(m->point_peak[SVR_POINT_ENCODED]),
        gigabytes(m->point_peak[SVR_POINT_POSITIVE_DONE]),
        gigabytes(m->point_peak[SVR_POINT_DECODED]), gigabytes(m->host_pinned_peak),
        gigabytes(m->copied_in), gigabytes(m->copied_out));
}

static svr_status end_sequence(svr_upscaler *u, svr_error *err)
{
    svr_stream_io io = svr_upscaler_io(u);
    svr_phase_times times = {0};

    SVR_TRY(svr_stream_flush(u->stream, &io, &times, err));
    pthread_mutex_lock(u->mutex);
    svr_phase_times_add(&u->stats.last, &times);
    svr_phase_times_add(&u->stats.total, &times);
    u->sequence_first += (uint64_t) svr_batcher_pushed(u->batcher);
    svr_batcher_restart(u->batcher);
    pthread_mutex_unlock(u->mutex);
    log_summary(u);
    svr_upscaler_emit(u, SVR_EVENT_ENDED);
    return SVR_OK;
}

/* ------------------------------------------------------------------ the loop */

/* Lock held. */
static task next_task(const svr_upscaler *u)
{
    task t = {.kind = TASK_NONE, .first_frame = u->sequence_first};

    if (u->quit)
        t.kind = TASK_QUIT;
    else if (svr_cancel_raised(u->cancel) || u->failure.code != SVR_OK)
        t.kind = TASK_NONE;
    else if (u->request.state == SVR_REQUEST_PENDING)
        t.kind = TASK_CONFIGURE;
    else if (u->batcher && svr_batcher_next(u->batcher, &t.span))
        t.kind = TASK_BATCH;
    else if (u->batcher && svr_batcher_ended(u->batcher))
        t.kind = TASK_END;
    return t;
}

bool svr_upscaler_work_ahead(const svr_upscaler *u)
{
    return u->busy || next_task(u).kind != TASK_NONE;
}

/* Lock held. */
static void begin_task(svr_upscaler *u, const task *t)
{
    u->busy = true;
    if (t->kind == TASK_CONFIGURE)
        u->request.state = SVR_REQUEST_RUNNING;
    if (t->kind == TASK_BATCH)
        svr_batcher_advance(u->batcher);
    /* a push may go on */
    pthread_cond_broadcast(&u->changed);
}

static svr_status run_task(svr_upscaler *u, const task *t, svr_error *err)
{
    switch (t->kind) {
    case TASK_CONFIGURE:
        return configure(u, err);
    case TASK_BATCH:
        return compute_batch(u, t, err);
    case TASK_END:
        return end_sequence(u, err);
    default:
        return SVR_OK;
    }
}

/* Lock held.  True when this was a new failure of the worker. */
static bool enter_result(svr_upscaler *u, const task *t, svr_status status, const svr_error *err)
{
    u->busy = false;
    pthread_cond_broadcast(&u->changed);
    if (t->kind == TASK_CONFIGURE) {
        u->request.state = SVR_REQUEST_DONE;
        u->request.result = *err;
        return false;
    }
    if (status == SVR_OK || status == SVR_ERR_CANCELLED)
        return false;
    u->failure = *err;
    return true;
}

static void work(svr_upscaler *u, const task *t)
{
    svr_error err = {.code = SVR_OK};
    svr_status status = run_task(u, t, &err);
    bool failed;

    pthread_mutex_lock(u->mutex);
    failed = enter_result(u, t, status, &err);
    pthread_mutex_unlock(u->mutex);
    if (failed) {
        svr_log_write(&u->log, SVR_LOG_ERROR, "pipeline", "%s", err.text);
        svr_upscaler_emit(u, SVR_EVENT_FAILED);
    }
}

void *svr_upscaler_worker(void *user)
{
    svr_upscaler *u = user;
    task t;

    pthread_mutex_lock(u->mutex);
    while ((t = next_task(u)).kind != TASK_QUIT) {
        if (t.kind == TASK_NONE) {
            pthread_cond_wait(&u->changed, u->mutex);
            continue;
        }
        begin_task(u, &t);
        pthread_mutex_unlock(u->mutex);
        work(u, &t);
        pthread_mutex_lock(u->mutex);
    }
    pthread_mutex_unlock(u->mutex);
    return NULL;
}
