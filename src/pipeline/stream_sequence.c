/* The batches of a sequence one after the other, and the slices that become final. */
#include "pipeline/stream_internal.h"

#include "backend/ops.h"
#include "base/checked.h"

#include <assert.h>
#include <string.h>

/* ------------------------------------------------------------------ slices */

static svr_status copy_frames(svr_stream *s, const svr_tensor *src, const svr_tensor *dst,
                              svr_error *err)
{
    svr_copy_args copy = {.src = *src, .dst = *dst};

    return svr_op_copy(&s->exec, &copy, err);
}

static void look_up(const svr_stream_io *io, int64_t start, int count, const uint8_t **frames)
{
    for (int i = 0; i < count; i++)
        frames[i] = io->source(io->user, start + i);
}

/* Turns virtual numbers of a slice into those of the sequence. */
typedef struct slice_sink {
    const svr_stream_io *io;
    int64_t start;
    svr_batch_cache *cache; /* keeps the frames too; NULL: none does */
} slice_sink;

static svr_status sink_frame(void *user, int index, const uint8_t *data, svr_error *err)
{
    const slice_sink *sink = user;

    if (sink->cache)
        svr_batch_cache_put(sink->cache, index, data);
    return sink->io->sink(sink->io->user, sink->start + index, data, err);
}

/* Takes `count` frames off the front of those that wait; frame by frame, so that copies never
 * overlap. */
static svr_status drop_front(svr_stream *s, int count, svr_error *err)
{
    for (int64_t i = count; i < s->length; i++) {
        svr_tensor src = svr_tensor_slice(&s->waiting, i, 1);
        svr_tensor dst = svr_tensor_slice(&s->waiting, i - count, 1);

        SVR_TRY(copy_frames(s, &src, &dst, err));
    }
    s->base += count;
    s->length -= count;
    return SVR_OK;
}

/* Behind a batch, whatever came of it: all scratch memory is free.  After a failure copies may
 * still be under way to it. */
static void settle(svr_stream *s, svr_status status)
{
    svr_error ignored = {.code = SVR_OK};

    /* what fails here fails again in the next call, which says so */
    if (status != SVR_OK && svr_backend_synchronize(s->backend, &ignored) != SVR_OK)
        svr_error_clear(&ignored);
    if (s->exec.scratch) /* svr_stream_replan() may have failed to take one */
        svr_scratch_reset(s->exec.scratch);
    if (s->exec.host)
        svr_scratch_reset(s->exec.host);
}

/* Finishes the oldest slice, whose decoded frames are y. */
static svr_status finish_slice(svr_stream *s, const svr_tensor *y, const svr_stream_io *io,
                               svr_phase_times *times, svr_error *err)
{
    svr_stream_slice front = s->slices[0];
    slice_sink sink = {io, front.start, s->cache};
    svr_phases_slice out = {.y = y, .frames = s->frames, .sink = sink_frame, .sink_user = &sink};

    assert(y->dims[0] == front.count);
    look_up(io, front.start, front.count, s->frames);
    SVR_TRY(svr_phases_finish(s->phases, &s->exec, &out, times, err));
    s->slice_count--;
    memmove(s->slices, s->slices + 1, (size_t) s->slice_count * sizeof *s->slices);
    return SVR_OK;
}

/* The same for one that waits. */
static svr_status finish_front(svr_stream *s, const svr_stream_io *io, svr_phase_times *times,
                               svr_error *err)
{
    svr_stream_slice front = s->slices[0];
    svr_tensor y = svr_tensor_slice(&s->waiting, 0, front.count);

    assert(front.start == s->base && front.count <= s->length);
    SVR_TRY(finish_slice(s, &y, io, times, err));
    return drop_front(s, front.count, err);
}

/* Cross-fades the last frames that wait with the first ones of a batch. */
static svr_status blend(svr_stream *s, const svr_tensor *y, int overlap, svr_error *err)
{
    svr_tensor prev, cur;

    if (overlap == 0)
        return SVR_OK;
    prev = svr_tensor_slice(&s->waiting, s->length - overlap, overlap);
    cur = svr_tensor_slice(y, 0, overlap);
    return svr_phases_blend(s->phases, &s->exec, &prev, &cur, err);
}

static bool is_final(const svr_stream *s, const svr_stream_slice *slice)
{
    return slice->start + slice->count <= s->next_start;
}

/* Decoded frames that no batch is left to change go out of scratch memory, others wait. */
static svr_status enter_slice(svr_stream *s, const svr_tensor *y, const svr_stream_io *io,
                              svr_phase_times *times, svr_error *err)
{
    svr_tensor to;

    assert(s->slice_count > 0);
    while (s->slice_count > 1 && is_final(s, &s->slices[0]))
        SVR_TRY(finish_front(s, io, times, err));
    if (is_final(s, &s->slices[s->slice_count - 1])) {
        SVR_TRY(finish_slice(s, y, io, times, err));
        s->base += y->dims[0];
        return SVR_OK;
    }
    to = svr_tensor_slice(&s->waiting, s->length, y->dims[0]);
    s->length += y->dims[0];
    return copy_frames(s, y, &to, err);
}

/* ------------------------------------------------------------------ repeated batches */

/* Whether the batch in s->frames is the one in the cache.  Its sources stay in the sequence for
 * this, see svr_stream_needed_from(). */
static bool is_repeated(svr_stream *s, const svr_cache_key *key, const svr_stream_io *io)
{
    if (s->kept_start < 0)
        return svr_batch_cache_holds(s->cache, key, NULL);
    look_up(io, s->kept_start, key->count, s->kept);
    return svr_batch_cache_holds(s->cache, key, s->kept);
}

/* Gives the frames of the cache in place of those of the batch. */
static svr_status repeat_batch(svr_stream *s, const svr_batch_span *span, const svr_stream_io *io,
                               svr_error *err)
{
    for (int i = 0; i < span->count; i++)
        SVR_TRY(io->sink(io->user, span->start + i, svr_batch_cache_frame(s->cache, i), err));
    s->base += span->count;
    s->next_start += s->options.temporal.step;
    s->reused++;
    return SVR_OK;
}

/* *repeated says whether the batch is done. */
static svr_status ask_cache(svr_stream *s, const svr_batch_span *span, const svr_stream_io *io,
                            bool *repeated, svr_error *err)
{
    svr_cache_key key = svr_batch_cache_key(s->cache, s->frames, span->count);

    *repeated = is_repeated(s, &key, io);
    s->kept_start = span->start;
    if (*repeated)
        return repeat_batch(s, span, io, err);
    svr_batch_cache_begin(s->cache, &key);
    return SVR_OK;
}

/* ------------------------------------------------------------------ batches */

static svr_status compute_batch(svr_stream *s, const svr_batch_span *span, int64_t first_frame,
                                const svr_stream_io *io, svr_phase_times *times, svr_error *err)
{
    const svr_temporal_plan *t = &s->options.temporal;
    int overlap = span->start > 0 ? t->overlap : 0, count = span->count - overlap;
    int64_t absolute = first_frame + span->start;
    svr_phases_batch batch = {.frames = s->frames,
                              .count = span->count,
                              .uniform = s->options.uniform ? t->batch : 0,
                              .first_frame = s->options.noise_time_invariant ? 0 : absolute};
    svr_tensor y, own;

    SVR_TRY(svr_phases_compute(s->phases, &s->exec, &batch, &y, times, err));
    SVR_TRY(blend(s, &y, overlap, err));
    s->slices[s->slice_count++] = (svr_stream_slice){span->start + overlap, count};
    s->next_start += t->step;
    own = svr_tensor_slice(&y, overlap, count);
    SVR_TRY(enter_slice(s, &own, io, times, err));
    if (s->cache)
        svr_batch_cache_end(s->cache);
    return SVR_OK;
}

static svr_status run_batch(svr_stream *s, const svr_batch_span *span, int64_t first_frame,
                            const svr_stream_io *io, svr_phase_times *times, svr_error *err)
{
    svr_status status = compute_batch(s, span, first_frame, io, times, err);

    settle(s, status);
    if (status == SVR_OK)
        svr_exec_note(&s->exec, SVR_POINT_CLEANED);
    return status;
}

svr_status svr_stream_batch(svr_stream *s, const svr_batch_span *span, int64_t first_frame,
                            const svr_stream_io *io, svr_phase_times *times, svr_error *err)
{
    int overlap = span->start > 0 ? s->options.temporal.overlap : 0;
    bool repeated = false;

    assert(span->start == s->next_start && span->count > overlap);
    assert(s->base + s->length == span->start + overlap && s->slice_count < s->depth);
    settle(s, SVR_OK);
    look_up(io, span->start, span->count, s->frames);
    if (s->cache)
        SVR_TRY(ask_cache(s, span, io, &repeated, err));
    return repeated ? SVR_OK : run_batch(s, span, first_frame, io, times, err);
}

svr_status svr_stream_flush(svr_stream *s, const svr_stream_io *io, svr_phase_times *times,
                            svr_error *err)
{
    while (s->slice_count > 0)
        SVR_TRY(finish_front(s, io, times, err));
    svr_stream_restart(s);
    return SVR_OK;
}

void svr_stream_restart(svr_stream *s)
{
    s->base = s->length = s->next_start = 0;
    s->kept_start = -1;
    s->slice_count = 0;
    settle(s, SVR_OK);
}

int64_t svr_stream_needed_from(const svr_stream *s)
{
    int64_t needed = svr_min_i64(s->base, s->next_start);

    return s->kept_start < 0 ? needed : svr_min_i64(needed, s->kept_start);
}
