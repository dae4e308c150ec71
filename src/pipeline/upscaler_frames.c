/* Frames in and out: the caller's side of the upscaler. */
#include "pipeline/upscaler_internal.h"

/* Lock held. */
static svr_status check_usable(const svr_upscaler *u, svr_error *err)
{
    SVR_TRY(svr_upscaler_check(u, err));
    if (!u->stream)
        return SVR_FAIL(err, SVR_ERR_INVALID, "configure the upscaler before frames flow");
    return SVR_OK;
}

/* ------------------------------------------------------------------ push */

/* Lock held.  A worker that is not busy takes a whole batch at once, so one may wait; frames of a
 * new sequence wait for the end of the one before. */
static bool input_has_room(const svr_upscaler *u)
{
    int64_t waiting = svr_batcher_waiting(u->batcher);

    return !svr_batcher_ended(u->batcher) && (waiting == 0 || (waiting == 1 && !u->busy));
}

bool svr_upscaler_can_push(const svr_upscaler *u)
{
    bool room = true;

    pthread_mutex_lock(u->mutex);
    if (u->batcher)
        room = input_has_room(u) && u->finished.count <= 2 * (size_t) u->options.temporal.batch;
    pthread_mutex_unlock(u->mutex);
    return room;
}

/* Lock held.  Nobody else can pull while the caller waits.  A worker that waits although there is
 * room again has not woken yet. */
static svr_status check_starved(const svr_upscaler *u, svr_error *err)
{
    if (!u->starved || !svr_frame_store_is_full(svr_stream_finished(u->stream)))
        return SVR_OK;
    return SVR_FAIL(err, SVR_ERR_INVALID,
                    "%zu finished frames fill their room on the device: pull them before another "
                    "frame is pushed (svr_upscaler_can_push)",
                    u->finished.count);
}

/* Memory for another source frame, once the worker takes one. */
static svr_status take_room(svr_upscaler *u, uint8_t **out, svr_error *err)
{
    svr_status status;

    *out = NULL;
    pthread_mutex_lock(u->mutex);
    while ((status = check_usable(u, err)) == SVR_OK && !input_has_room(u)) {
        status = check_starved(u, err);
        if (status != SVR_OK)
            break;
        pthread_cond_wait(&u->changed, u->mutex);
    }
    if (status == SVR_OK)
        *out = svr_frame_store_take(svr_stream_sources(u->stream));
    pthread_mutex_unlock(u->mutex);
    if (status == SVR_OK && !*out)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for a frame of %zu bytes",
                        svr_frame_bytes(&u->options.phases.in));
    return status;
}

/* Lock held. */
static svr_status enter_source(svr_upscaler *u, uint8_t *copy, svr_error *err)
{
    SVR_TRY(check_usable(u, err));
    SVR_TRY(svr_batcher_push(u->batcher, copy, err));
    u->held++;
    u->stats.frames_in++;
    pthread_cond_broadcast(&u->changed);
    return SVR_OK;
}

svr_status svr_upscaler_push(svr_upscaler *u, const svr_frame *frame, svr_error *err)
{
    svr_frame_store *store;
    svr_status status;
    uint8_t *copy;

    SVR_TRY(take_room(u, &copy, err));
    store = svr_stream_sources(u->stream);
    status = svr_frame_store_fill(store, copy, frame, err);
    pthread_mutex_lock(u->mutex);
    if (status == SVR_OK)
        status = enter_source(u, copy, err);
    if (status != SVR_OK)
        svr_frame_store_give(store, copy);
    pthread_mutex_unlock(u->mutex);
    return status;
}

svr_status svr_upscaler_drain(svr_upscaler *u, svr_error *err)
{
    svr_status status;

    pthread_mutex_lock(u->mutex);
    status = check_usable(u, err);
    if (status == SVR_OK && svr_batcher_pushed(u->batcher) > 0) {
        svr_batcher_end(u->batcher);
        pthread_cond_broadcast(&u->changed);
    }
    pthread_mutex_unlock(u->mutex);
    return status;
}

/* ------------------------------------------------------------------ pull */

/* Lock held.  The next finished frame, or NULL; finished frames come before a failure. */
static svr_status take_finished(svr_upscaler *u, bool wait, uint8_t **out, svr_error *err)
{
    for (;;) {
        if (svr_cancel_raised(u->cancel))
            return svr_upscaler_check(u, err);
        *out = svr_frame_queue_pop(&u->finished);
        if (*out)
            break;
        SVR_TRY(check_usable(u, err));
        if (!wait || !svr_upscaler_work_ahead(u))
            return SVR_OK;
        pthread_cond_wait(&u->changed, u->mutex);
    }
    u->held--;
    pthread_cond_broadcast(&u->changed);
    return SVR_OK;
}

svr_status svr_upscaler_pull(svr_upscaler *u, const svr_frame *out, bool wait, bool *got,
                             svr_error *err)
{
    uint8_t *frame = NULL;
    svr_status status;

    *got = false;
    pthread_mutex_lock(u->mutex);
    status = take_finished(u, wait, &frame, err);
    pthread_mutex_unlock(u->mutex);
    if (!frame)
        return status;
    status = svr_frame_store_empty(svr_stream_finished(u->stream), frame, out, err);
    pthread_mutex_lock(u->mutex);
    svr_frame_store_give(svr_stream_finished(u->stream), frame);
    pthread_cond_broadcast(&u->changed);
    pthread_mutex_unlock(u->mutex);
    *got = status == SVR_OK;
    return status;
}

/* ------------------------------------------------------------------ stop and start over */

void svr_upscaler_cancel(svr_upscaler *u)
{
    pthread_mutex_lock(u->mutex);
    svr_cancel_set(u->cancel, true);
    pthread_cond_broadcast(&u->changed);
    pthread_mutex_unlock(u->mutex);
}

/* Lock held. */
static void stop_worker(svr_upscaler *u)
{
    svr_cancel_set(u->cancel, true);
    pthread_cond_broadcast(&u->changed);
    while (u->busy)
        pthread_cond_wait(&u->changed, u->mutex);
}

void svr_upscaler_reset(svr_upscaler *u)
{
    pthread_mutex_lock(u->mutex);
    stop_worker(u);
    svr_frame_queue_clear(&u->finished, u->stream ? svr_stream_finished(u->stream) : NULL);
    if (u->batcher)
        svr_batcher_restart(u->batcher);
    if (u->stream)
        svr_stream_restart(u->stream);
    u->sequence_first = u->first_frame;
    u->held = 0;
    /* a device that failed stays failed until the backend is opened anew */
    if (u->failure.code != SVR_ERR_DEVICE)
        svr_error_clear(&u->failure);
    svr_cancel_set(u->cancel, false);
    pthread_cond_broadcast(&u->changed);
    pthread_mutex_unlock(u->mutex);
}
