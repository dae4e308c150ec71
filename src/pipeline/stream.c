#include "pipeline/stream.h"

#include "backend/ops.h"
#include "base/checked.h"
#include "pipeline/batch_cache.h"
#include "video/temporal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Frames of the sequence that become final together. */
typedef struct slice {
    int64_t start;
    int count;
} slice;

struct svr_stream {
    svr_backend *backend;
    const svr_networks *networks;
    svr_stream_options options;
    svr_phases *phases;
    svr_exec exec;
    svr_memory_plan plan;
    void *scratch_block, *host_block;
    uint64_t scratch_block_bytes, host_block_bytes;
    svr_frame_store *sources, *finished;
    svr_tensor pending;     /* [capacity,oh,ow,3], frames [base, base + length) of the sequence */
    svr_tensor shared;      /* [overlap,oh,ow,3], what a batch is cross-faded with */
    int64_t base, length;   /* length frames are there */
    int64_t next_start;     /* of the next batch */
    slice *slices;          /* waiting, oldest first */
    int slice_count, depth; /* at most `depth` */
    const uint8_t **frames; /* [batch] sources of the batch or slice at hand */
    svr_batch_cache *cache; /* NULL: no batch is like another */
    const uint8_t **kept;   /* [batch] sources of the batch in the cache */
    int64_t kept_start;     /* where it began in this sequence; negative: in one before */
    uint64_t reused;
    void (*note)(void *user, svr_point point, const svr_stream_use *use);
    void *note_user;
};

/* ------------------------------------------------------------------ memory */

/* State memory for `frames` decoded frames. */
static svr_status alloc_frames(svr_stream *s, int64_t frames, svr_tensor *out, svr_error *err)
{
    svr_tensor t = {.dtype = SVR_F32, .rank = 4};

    svr_phases_slice_dims(s->phases, (int) frames, t.dims);
    SVR_TRY(svr_backend_alloc(s->backend, SVR_MEM_STATE, svr_tensor_bytes(&t), &t.data, err));
    *out = t;
    return SVR_OK;
}

static void free_frames(svr_stream *s, svr_tensor *t)
{
    if (svr_tensor_present(t))
        svr_backend_free(s->backend, SVR_MEM_STATE, svr_tensor_bytes(t), t->data);
}

static svr_status alloc_scratch(svr_stream *s, svr_error *err)
{
    uint64_t bytes = s->plan.scratch;

    SVR_TRY(svr_backend_alloc(s->backend, SVR_MEM_SCRATCH, bytes, &s->scratch_block, err));
    s->scratch_block_bytes = bytes;
    s->exec.scratch = svr_scratch_create(s->scratch_block, bytes);
    return s->exec.scratch ? SVR_OK : SVR_FAIL(err, SVR_ERR_NO_MEM, "no host memory for a stream");
}

static svr_status alloc_host(svr_stream *s, svr_error *err)
{
    uint64_t bytes = s->plan.host_parked;

    if (bytes == 0)
        return SVR_OK;
    SVR_TRY(svr_backend_host_alloc(s->backend, bytes, &s->host_block, err));
    s->host_block_bytes = bytes;
    s->exec.host = svr_scratch_create(s->host_block, bytes);
    return s->exec.host ? SVR_OK : SVR_FAIL(err, SVR_ERR_NO_MEM, "no host memory for a stream");
}

static void free_scratch(svr_stream *s)
{
    svr_scratch_destroy(s->exec.scratch);
    svr_scratch_destroy(s->exec.host);
    svr_backend_free(s->backend, SVR_MEM_SCRATCH, s->scratch_block_bytes, s->scratch_block);
    svr_backend_host_free(s->backend, s->host_block_bytes, s->host_block);
    s->exec.scratch = s->exec.host = NULL;
    s->scratch_block = s->host_block = NULL;
}

/* Frames that other batches have a part in are not one batch's, and those on the device are not
 * looked at. */
static svr_status make_cache(svr_stream *s, svr_error *err)
{
    const svr_stream_options *o = &s->options;

    s->kept_start = -1;
    if (!o->noise_time_invariant || o->temporal.overlap > 0 || o->phases.in_on_device ||
        o->phases.out_on_device)
        return SVR_OK;
    s->kept = calloc((size_t) o->temporal.batch, sizeof *s->kept);
    s->cache = svr_batch_cache_create(o->temporal.batch, svr_frame_bytes(&o->phases.in),
                                      svr_frame_bytes(&o->phases.out));
    if (!s->kept || !s->cache)
        return SVR_FAIL(err, SVR_ERR_NO_MEM,
                        "no host memory to keep the frames of a batch; use a smaller batch-size, "
                        "or leave noise-time-invariant off");
    return SVR_OK;
}

static svr_status make_stores(svr_stream *s, const svr_waiting_frames *waiting, svr_error *err)
{
    const svr_phases_config *c = &s->options.phases;
    svr_backend *in = c->in_on_device ? s->backend : NULL;
    svr_backend *out = c->out_on_device ? s->backend : NULL;

    SVR_TRY(svr_frame_store_create(in, &c->in, waiting->sources, &s->sources, err));
    return svr_frame_store_create(out, &c->out, waiting->finished, &s->finished, err);
}

/* A slice waits for the `depth` - 1 batches behind its own that begin before its end. */
static svr_status alloc_all(svr_stream *s, svr_error *err)
{
    const svr_temporal_plan *t = &s->options.temporal;
    svr_waiting_frames waiting = svr_waiting_frames_of(t);

    s->depth = (int) svr_ceil_div(t->batch, t->step);
    s->slices = calloc((size_t) s->depth, sizeof *s->slices);
    s->frames = calloc((size_t) t->batch, sizeof *s->frames);
    if (!s->slices || !s->frames)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no host memory for a stream");
    SVR_TRY(make_cache(s, err));
    SVR_TRY(alloc_scratch(s, err));
    SVR_TRY(alloc_host(s, err));
    SVR_TRY(make_stores(s, &waiting, err));
    SVR_TRY(alloc_frames(s, waiting.pending, &s->pending, err));
    return waiting.shared > 0 ? alloc_frames(s, waiting.shared, &s->shared, err) : SVR_OK;
}

static svr_planning planning_of(svr_stream *s)
{
    return (svr_planning){.backend = s->backend,
                          .networks = s->networks,
                          .phases = s->phases,
                          .temporal = &s->options.temporal,
                          .uniform = s->options.uniform,
                          .may_park_guidance = s->options.may_park_guidance,
                          .request = &s->options.memory,
                          .cancel = s->exec.cancel};
}

/* Chooses the batch where that is open, and the plan. */
static svr_status plan(svr_stream *s, svr_error *err)
{
    svr_temporal_plan *t = &s->options.temporal;
    svr_planning planning = planning_of(s);
    bool device = svr_backend_memory(s->backend).device_total > 0;
    int batch;

    if (t->batch == 0) {
        SVR_TRY(svr_plan_batch(&planning, device ? SVR_LARGEST_BATCH : SVR_LARGEST_CPU_BATCH,
                               &batch, err));
        *t = svr_temporal_plan_make(batch, t->overlap, t->prepend);
    }
    return svr_plan_make(&planning, &s->plan, err);
}

static svr_status set_up(svr_stream *s, svr_error *err)
{
    svr_status status;

    SVR_TRY(svr_phases_create(s->backend, s->networks, &s->options.phases, &s->phases, err));
    /* what an earlier stream was given is not what this one gets */
    svr_backend_set_limit(s->backend, 0);
    SVR_TRY(plan(s, err));
    svr_backend_set_limit(s->backend, s->options.memory.budget);
    svr_backend_set_waits(s->backend, s->options.memory.synchronous);
    if (s->networks->load)
        SVR_TRY(s->networks->load(s->networks->user, s->exec.cancel, err));
    status = alloc_all(s, err);
    if (status == SVR_ERR_NO_VRAM || status == SVR_ERR_NO_MEM)
        svr_error_prefix(err,
                         "batch-size %d needs %llu MiB of working memory; use a smaller batch-size "
                         "or picture: ",
                         s->options.temporal.batch, (unsigned long long) (s->plan.scratch >> 20));
    return status;
}

svr_status svr_stream_create(svr_backend *backend, const svr_networks *networks,
                             const svr_stream_options *options, const svr_cancel *cancel,
                             svr_stream **out, svr_error *err)
{
    svr_stream *s = calloc(1, sizeof *s);
    svr_status status;

    if (!s)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no host memory for a stream");
    s->backend = backend;
    s->networks = networks;
    s->options = *options;
    s->exec.backend = backend;
    s->exec.cancel = cancel;
    status = set_up(s, err);
    if (status != SVR_OK) {
        svr_stream_destroy(s);
        return status;
    }
    *out = s;
    return SVR_OK;
}

void svr_stream_destroy(svr_stream *s)
{
    if (!s)
        return;
    free_frames(s, &s->shared);
    free_frames(s, &s->pending);
    free_scratch(s);
    svr_frame_store_destroy(s->sources);
    svr_frame_store_destroy(s->finished);
    svr_phases_destroy(s->phases);
    svr_batch_cache_destroy(s->cache);
    free(s->kept);
    free(s->frames);
    free(s->slices);
    free(s);
}

svr_status svr_stream_replan(svr_stream *s, svr_error *err)
{
    svr_phases_need need;

    if (s->cache)
        svr_batch_cache_forget(s->cache);
    SVR_TRY(svr_phases_plan(s->phases, &s->options.temporal, s->options.uniform,
                            SVR_PLAN_EVERY_BATCH, s->exec.cancel, &need, err));
    if (need.scratch <= s->plan.scratch && need.host <= s->plan.host_parked)
        return SVR_OK;
    free_scratch(s);
    s->plan.peak += need.scratch - s->plan.scratch;
    s->plan.scratch = need.scratch;
    s->plan.host += need.host - s->plan.host_parked;
    s->plan.host_parked = need.host;
    SVR_TRY(alloc_scratch(s, err));
    return alloc_host(s, err);
}

void svr_stream_set_tap(svr_stream *s,
                        svr_status (*tap)(void *user, const char *name, const svr_tensor *value,
                                          svr_error *err),
                        void *user)
{
    s->exec.tap = tap;
    s->exec.tap_user = user;
}

static void note_use(void *user, svr_point point)
{
    svr_stream *s = user;
    uint64_t fixed = s->plan.weights + s->plan.state;
    svr_stream_use use = {.in_use = fixed + svr_scratch_live(s->exec.scratch),
                          .high_water = fixed + svr_scratch_take_peak(s->exec.scratch)};

    s->note(s->note_user, point, &use);
}

void svr_stream_set_note(svr_stream *s,
                         void (*note)(void *user, svr_point point, const svr_stream_use *use),
                         void *user)
{
    s->note = note;
    s->note_user = user;
    s->exec.note = note ? note_use : NULL;
    s->exec.note_user = s;
}

/* ------------------------------------------------------------------ sequence */

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

/* Takes `count` frames off the front of pending; frame by frame, so that copies never overlap. */
static svr_status drop_front(svr_stream *s, int count, svr_error *err)
{
    for (int64_t i = count; i < s->length; i++) {
        svr_tensor src = svr_tensor_slice(&s->pending, i, 1);
        svr_tensor dst = svr_tensor_slice(&s->pending, i - count, 1);

        SVR_TRY(copy_frames(s, &src, &dst, err));
    }
    s->base += count;
    s->length -= count;
    return SVR_OK;
}

/* Behind a batch all scratch memory is free.  After a failure copies may still be under way to it.
 */
static void settle(svr_stream *s, svr_status status)
{
    svr_error ignored = {SVR_OK, NULL, 0, ""};

    /* what fails here fails again in the next call, which says so */
    if (status != SVR_OK && svr_backend_synchronize(s->backend, &ignored) != SVR_OK)
        svr_error_clear(&ignored);
    svr_scratch_reset(s->exec.scratch);
    if (s->exec.host)
        svr_scratch_reset(s->exec.host);
}

static svr_status finish_front(svr_stream *s, const svr_stream_io *io, svr_phase_times *times,
                               svr_error *err)
{
    slice front = s->slices[0];
    slice_sink sink = {io, front.start, s->cache};
    svr_tensor y = svr_tensor_slice(&s->pending, 0, front.count);
    svr_phases_slice out = {.y = &y, .frames = s->frames, .sink = sink_frame, .sink_user = &sink};

    assert(front.start == s->base && front.count <= s->length);
    look_up(io, front.start, front.count, s->frames);
    SVR_TRY(svr_phases_finish(s->phases, &s->exec, &out, times, err));
    settle(s, SVR_OK);
    SVR_TRY(drop_front(s, front.count, err));
    s->slice_count--;
    memmove(s->slices, s->slices + 1, (size_t) s->slice_count * sizeof *s->slices);
    return SVR_OK;
}

/* Decodes the batch to its place in pending; frames that are there already are cross-faded, and
 * come back when the batch overflows. */
static svr_status compute_batch(svr_stream *s, const svr_phases_batch *batch, int64_t offset,
                                svr_phase_times *times, svr_error *err)
{
    svr_tensor y = svr_tensor_slice(&s->pending, offset, batch->count);
    svr_tensor head = {0};
    int64_t overlap = s->length - offset;
    svr_status status;

    if (overlap > 0) {
        head = svr_tensor_slice(&s->pending, offset, overlap);
        SVR_TRY(copy_frames(s, &head, &s->shared, err));
    }
    status = svr_phases_compute(s->phases, &s->exec, batch, &y, times, err);
    settle(s, status);
    if (status == SVR_ERR_OVERFLOW && overlap > 0)
        SVR_TRY(copy_frames(s, &s->shared, &head, err));
    SVR_TRY(status);
    if (overlap > 0) {
        SVR_TRY(svr_phases_blend(s->phases, &s->exec, &s->shared, &head, err));
        SVR_TRY(copy_frames(s, &s->shared, &head, err));
    }
    return SVR_OK;
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

static svr_status run_batch(svr_stream *s, const svr_batch_span *span, int64_t first_frame,
                            const svr_stream_io *io, svr_phase_times *times, svr_error *err)
{
    const svr_temporal_plan *t = &s->options.temporal;
    int overlap = span->start > 0 ? t->overlap : 0;
    int64_t absolute = first_frame + span->start;
    svr_phases_batch batch = {.frames = s->frames,
                              .count = span->count,
                              .uniform = s->options.uniform ? t->batch : 0,
                              .first_frame = s->options.noise_time_invariant ? 0 : absolute};

    SVR_TRY(compute_batch(s, &batch, span->start - s->base, times, err));
    s->length = span->start - s->base + span->count;
    s->slices[s->slice_count++] = (slice){span->start + overlap, span->count - overlap};
    s->next_start += t->step;
    while (s->slice_count > 0 && s->slices[0].start + s->slices[0].count <= s->next_start)
        SVR_TRY(finish_front(s, io, times, err));
    if (s->cache)
        svr_batch_cache_end(s->cache);
    svr_exec_note(&s->exec, SVR_POINT_CLEANED);
    return SVR_OK;
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

svr_frame_store *svr_stream_sources(const svr_stream *s)
{
    return s->sources;
}

svr_frame_store *svr_stream_finished(const svr_stream *s)
{
    return s->finished;
}

int64_t svr_stream_needed_from(const svr_stream *s)
{
    int64_t needed = svr_min_i64(s->base, s->next_start);

    return s->kept_start < 0 ? needed : svr_min_i64(needed, s->kept_start);
}

uint64_t svr_stream_reused_batches(const svr_stream *s)
{
    return s->reused;
}

uint64_t svr_stream_cache_bytes(const svr_stream *s)
{
    const svr_stream_options *o = &s->options;

    return s->cache ? (uint64_t) o->temporal.batch * svr_frame_bytes(&o->phases.out) : 0;
}

const svr_stream_options *svr_stream_get_options(const svr_stream *s)
{
    return &s->options;
}

const svr_memory_plan *svr_stream_plan(const svr_stream *s)
{
    return &s->plan;
}

uint64_t svr_stream_scratch_peak(const svr_stream *s)
{
    return svr_scratch_peak(s->exec.scratch);
}

int64_t svr_stream_computed_frames(const svr_stream *s, int count)
{
    int whole = s->options.uniform ? s->options.temporal.batch : count;

    return svr_padded_length(whole, s->networks->temporal_factor);
}
