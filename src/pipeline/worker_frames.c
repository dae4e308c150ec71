/* Frames on their way to the worker and from it. */
#include "pipeline/upscaler_internal.h"

static const uint8_t *source_frame(void *user, int64_t index)
{
    svr_upscaler *u = user;
    const uint8_t *data;

    /* pushes move the table of frames, not the frames */
    pthread_mutex_lock(u->mutex);
    data = svr_batcher_frame(u->batcher, index);
    pthread_mutex_unlock(u->mutex);
    return data;
}

/* Memory for a finished frame; on the device it may have to be pulled empty first. */
static svr_status take_room(svr_upscaler *u, uint8_t **out, svr_error *err)
{
    svr_frame_store *store = svr_stream_finished(u->stream);
    svr_status status = SVR_OK;

    pthread_mutex_lock(u->mutex);
    while (svr_frame_store_is_full(store) && (status = svr_upscaler_check(u, err)) == SVR_OK) {
        u->starved = true;
        pthread_cond_broadcast(&u->changed);
        pthread_cond_wait(&u->changed, u->mutex);
    }
    u->starved = false;
    *out = status == SVR_OK ? svr_frame_store_take(store) : NULL;
    pthread_mutex_unlock(u->mutex);
    if (status == SVR_OK && !*out)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no host memory for a finished frame of %zu bytes",
                        svr_frame_bytes(&u->options.phases.out));
    return status;
}

/* Queues a copy of a frame.  Lock held. */
static svr_status enter_finished(svr_upscaler *u, uint8_t *copy, svr_error *err)
{
    svr_status status = svr_frame_queue_push(&u->finished, copy, err);

    if (status != SVR_OK) {
        svr_frame_store_give(svr_stream_finished(u->stream), copy);
        return status;
    }
    u->stats.frames_out++;
    pthread_cond_broadcast(&u->changed);
    return SVR_OK;
}

static svr_status finished_frame(void *user, int64_t index, const uint8_t *data, svr_error *err)
{
    svr_upscaler *u = user;
    svr_frame frame = svr_frame_to_read(&u->options.phases.out, data);
    svr_status status;
    uint8_t *copy;

    if (index < u->options.temporal.prepend)
        return SVR_OK;
    SVR_TRY(take_room(u, &copy, err));
    status = svr_frame_store_fill(svr_stream_finished(u->stream), copy, &frame, err);
    pthread_mutex_lock(u->mutex);
    if (status == SVR_OK)
        status = enter_finished(u, copy, err);
    else
        svr_frame_store_give(svr_stream_finished(u->stream), copy);
    pthread_mutex_unlock(u->mutex);
    SVR_TRY(status);
    svr_upscaler_emit(u, SVR_EVENT_FRAME);
    return SVR_OK;
}

svr_stream_io svr_upscaler_io(svr_upscaler *u)
{
    return (svr_stream_io){u, source_frame, finished_frame};
}
