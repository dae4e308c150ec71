/* Frames in and out: the caller's side of the upscaler. */
#include "pipeline/upscaler_internal.h"

#include <stdlib.h>
#include <string.h>

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

static svr_status wait_for_room(svr_upscaler *u, svr_error *err)
{
    svr_status status;

    pthread_mutex_lock(u->mutex);
    while ((status = check_usable(u, err)) == SVR_OK && !input_has_room(u))
        pthread_cond_wait(&u->changed, u->mutex);
    pthread_mutex_unlock(u->mutex);
    return status;
}

static uint8_t *copy_frame(const svr_video_info *info, const svr_frame *frame)
{
    uint8_t *data = malloc(svr_frame_bytes(info));

    if (data) {
        svr_frame packed = svr_frame_packed(info, data);

        svr_frame_copy(info, &packed, frame);
    }
    return data;
}

svr_status svr_upscaler_push(svr_upscaler *u, const svr_frame *frame, svr_error *err)
{
    svr_status status;
    uint8_t *data;

    SVR_TRY(wait_for_room(u, err));
    data = copy_frame(&u->options.phases.in, frame);
    if (!data)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no host memory for a frame of %zu bytes",
                        svr_frame_bytes(&u->options.phases.in));
    pthread_mutex_lock(u->mutex);
    status = check_usable(u, err);
    if (status == SVR_OK)
        status = svr_batcher_push(u->batcher, data, err);
    if (status == SVR_OK) {
        u->held++;
        u->stats.frames_in++;
        pthread_cond_broadcast(&u->changed);
    }
    pthread_mutex_unlock(u->mutex);
    if (status != SVR_OK)
        free(data);
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
static svr_status take_finished(svr_upscaler *u, bool wait, svr_queued_frame **out, svr_error *err)
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
    const svr_video_info *info = &u->options.phases.out;
    svr_queued_frame *frame = NULL;
    svr_status status;

    *got = false;
    pthread_mutex_lock(u->mutex);
    status = take_finished(u, wait, &frame, err);
    pthread_mutex_unlock(u->mutex);
    if (!frame)
        return status;
    svr_frame packed = svr_frame_packed(info, frame->data);
    svr_frame_copy(info, out, &packed);
    free(frame);
    *got = true;
    return SVR_OK;
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
    while (u->busy)
        pthread_cond_wait(&u->changed, u->mutex);
}

void svr_upscaler_reset(svr_upscaler *u)
{
    pthread_mutex_lock(u->mutex);
    stop_worker(u);
    svr_frame_queue_clear(&u->finished);
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
