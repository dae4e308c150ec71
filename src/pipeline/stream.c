#include "pipeline/stream_internal.h"

#include "base/checked.h"
#include "video/temporal.h"

#include <stdlib.h>

/* ------------------------------------------------------------------ memory */

/* State memory for `frames` decoded frames that wait. */
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

static svr_status make_stores(svr_stream *s, svr_error *err)
{
    const svr_phases_config *c = &s->options.phases;
    const svr_temporal_plan *t = &s->options.temporal;
    svr_backend *in = c->in_on_device ? s->backend : NULL;
    svr_backend *out = c->out_on_device ? s->backend : NULL;

    SVR_TRY(svr_frame_store_create(in, &c->in, svr_waiting_sources(t), &s->sources, err));
    return svr_frame_store_create(out, &c->out, svr_waiting_finished(t), &s->finished, err);
}

/* A slice waits for the `depth` - 1 batches behind its own that begin before its end. */
static svr_status alloc_all(svr_stream *s, svr_error *err)
{
    const svr_temporal_plan *t = &s->options.temporal;
    int64_t waiting = svr_waiting_frames(t);

    s->depth = (int) svr_ceil_div(t->batch, t->step);
    s->slices = calloc((size_t) s->depth, sizeof *s->slices);
    s->frames = calloc((size_t) t->batch, sizeof *s->frames);
    if (!s->slices || !s->frames)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no host memory for a stream");
    SVR_TRY(make_cache(s, err));
    SVR_TRY(alloc_scratch(s, err));
    SVR_TRY(alloc_host(s, err));
    SVR_TRY(make_stores(s, err));
    return waiting > 0 ? alloc_frames(s, waiting, &s->waiting, err) : SVR_OK;
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
    svr_planning planning = planning_of(s);
    bool device = svr_backend_memory(s->backend).device_total > 0;
    int most = device ? SVR_LARGEST_BATCH : SVR_LARGEST_CPU_BATCH;

    SVR_TRY(svr_plan_open_batch(&planning, most, &s->options.temporal, err));
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
    free_frames(s, &s->waiting);
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

static bool has_room(const svr_stream *s, const svr_phases_need *need)
{
    return s->exec.scratch && need->scratch <= s->plan.scratch &&
           (s->exec.host || need->host == 0) && need->host <= s->plan.host_parked;
}

svr_status svr_stream_replan(svr_stream *s, svr_error *err)
{
    svr_phases_need need;

    if (s->cache)
        svr_batch_cache_forget(s->cache);
    SVR_TRY(svr_phases_plan(s->phases, &s->options.temporal, s->options.uniform,
                            SVR_PLAN_EVERY_BATCH, s->exec.cancel, &need, err));
    if (has_room(s, &need))
        return SVR_OK;
    free_scratch(s); /* and if the new one fails, the next attempt takes it */
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

/* ------------------------------------------------------------------ queries */

uint64_t svr_stream_reused_batches(const svr_stream *s)
{
    return s->reused;
}

uint64_t svr_stream_cache_bytes(const svr_stream *s)
{
    const svr_stream_options *o = &s->options;

    return s->cache ? (uint64_t) o->temporal.batch * svr_frame_bytes(&o->phases.out) : 0;
}

svr_frame_store *svr_stream_sources(const svr_stream *s)
{
    return s->sources;
}

svr_frame_store *svr_stream_finished(const svr_stream *s)
{
    return s->finished;
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
    return s->exec.scratch ? svr_scratch_peak(s->exec.scratch) : 0;
}

int64_t svr_stream_computed_frames(const svr_stream *s, int count)
{
    int whole = s->options.uniform ? s->options.temporal.batch : count;

    return svr_padded_length(whole, s->networks->temporal_factor);
}
