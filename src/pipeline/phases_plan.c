#include "pipeline/phases_internal.h"

#include "base/checked.h"
#include "video/temporal.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Frames of zeros stand in for every source frame: host code may look at them. */
typedef struct dry_run {
    svr_phases *phases;
    svr_exec exec;
    uint8_t *frame;
    const uint8_t **frames; /* [batch], all `frame` */
    const svr_temporal_plan *temporal;
    svr_tensor waiting;  /* [batch,oh,ow,3] on the counting backend: frames of earlier batches */
    svr_memory_use seen; /* up to the last point */
    svr_stage_need stage[SVR_STAGES];
} dry_run;

static svr_stage stage_of(svr_point point)
{
    switch (point) {
    case SVR_POINT_ENCODED:
        return SVR_STAGE_ENCODE;
    case SVR_POINT_DECODED:
        return SVR_STAGE_DECODE;
    case SVR_POINT_CLEANED:
        return SVR_STAGE_FINISH;
    default:
        return SVR_STAGE_DIT;
    }
}

/* What happened since the last point belongs to the stage that ends here. */
static void count_point(void *user, svr_point point)
{
    dry_run *run = user;
    svr_stage_need *stage = &run->stage[stage_of(point)];
    uint64_t peak = svr_scratch_take_peak(run->exec.scratch);
    svr_memory_use now = svr_backend_memory(run->exec.backend);

    if (peak > stage->scratch)
        stage->scratch = peak;
    stage->copied_in += now.copied_in - run->seen.copied_in;
    stage->copied_out += now.copied_out - run->seen.copied_out;
    run->seen = now;
}

static void dry_run_finish(dry_run *run)
{
    svr_backend *backend = run->exec.backend;

    if (svr_tensor_present(&run->waiting))
        svr_backend_free(backend, SVR_MEM_STATE, svr_tensor_bytes(&run->waiting),
                         run->waiting.data);
    svr_scratch_destroy(run->exec.scratch);
    svr_scratch_destroy(run->exec.host);
    svr_backend_destroy(backend);
    free(run->frames);
    free(run->frame);
}

static svr_status dry_run_init(dry_run *run, svr_phases *p, const svr_temporal_plan *temporal,
                               const svr_cancel *cancel, svr_error *err)
{
    svr_tensor waiting = {.dtype = SVR_F32, .rank = 4};
    int batch = temporal->batch;

    *run = (dry_run){.phases = p, .temporal = temporal};
    run->frame = calloc(1, svr_frame_bytes(&p->config.in));
    run->frames = calloc((size_t) batch, sizeof *run->frames);
    run->exec.cancel = cancel;
    run->exec.note = count_point;
    run->exec.note_user = run;
    run->exec.backend = svr_counting_backend_create(p->backend);
    run->exec.scratch = svr_scratch_create_counting();
    run->exec.host = svr_scratch_create_counting();
    if (!run->frame || !run->frames || !run->exec.backend || !run->exec.scratch || !run->exec.host)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no host memory to plan a stream");
    for (int i = 0; i < batch; i++)
        run->frames[i] = run->frame;
    svr_phases_slice_dims(p, batch, waiting.dims);
    SVR_TRY(svr_backend_alloc(run->exec.backend, SVR_MEM_STATE, svr_tensor_bytes(&waiting),
                              &waiting.data, err));
    run->waiting = waiting;
    return SVR_OK;
}

/* A slice of `frames` frames on its way out; none if that is not positive. */
static svr_status count_finish(dry_run *run, int frames, svr_error *err)
{
    svr_phases_slice slice = {.frames = run->frames};
    svr_tensor y;

    if (frames < 1)
        return SVR_OK;
    y = svr_tensor_slice(&run->waiting, 0, frames);
    slice.y = &y;
    return svr_phases_finish(run->phases, &run->exec, &slice, NULL, err);
}

static svr_status count_blend(dry_run *run, const svr_tensor *y, svr_error *err)
{
    int overlap = (int) svr_min_i64(run->temporal->overlap, y->dims[0]);
    svr_tensor waiting = svr_tensor_slice(&run->waiting, 0, overlap);
    svr_tensor part = svr_tensor_slice(y, 0, overlap);

    return overlap > 0 ? svr_phases_blend(run->phases, &run->exec, &waiting, &part, err) : SVR_OK;
}

/* The slices that can become final behind batches of more than `below` and at most `count` frames,
 * whose decoded frames lie in the same place: what such a batch does not share with the one before,
 * and with overlap a whole first batch and a whole later one. */
static svr_status count_slices(dry_run *run, int below, int count, svr_error *err)
{
    const svr_temporal_plan *t = run->temporal;

    if (t->overlap > 0) {
        SVR_TRY(count_finish(run, t->step, err));
        SVR_TRY(count_finish(run, t->batch, err));
    }
    for (int n = below + 1; n <= count; n++)
        SVR_TRY(count_finish(run, n - t->overlap, err));
    return SVR_OK;
}

/* A batch of `count` frames, like all of more than `below`; the stages are those of the last one.
 */
static svr_status count_batch(dry_run *run, int below, int count, int uniform, svr_error *err)
{
    svr_phases_batch b = {.frames = run->frames, .count = count, .uniform = uniform};
    svr_tensor y;

    memset(run->stage, 0, sizeof run->stage);
    SVR_TRY(svr_phases_compute(run->phases, &run->exec, &b, &y, NULL, err));
    SVR_TRY(count_blend(run, &y, err));
    SVR_TRY(count_slices(run, below, count, err));
    count_point(run, SVR_POINT_CLEANED);
    svr_scratch_reset(run->exec.scratch);
    svr_scratch_reset(run->exec.host);
    return SVR_OK;
}

/* The largest batch of the next length that mirroring leads to behind batches of `below` frames;
 * the whole one comes last, and is the only one where short ones are made up to it. */
static int next_batch(const svr_phases *p, const svr_temporal_plan *plan, bool uniform, int below)
{
    int factor = p->networks->temporal_factor, n = below + 1;

    if (uniform)
        return plan->batch;
    while (n < plan->batch && svr_padded_length(n, factor) == svr_padded_length(n + 1, factor))
        n++;
    return n;
}

static svr_status count_batches(dry_run *run, int uniform, svr_error *err)
{
    for (int n, below = 0; below < run->temporal->batch; below = n) {
        n = next_batch(run->phases, run->temporal, uniform > 0, below);
        SVR_TRY(count_batch(run, below, n, uniform, err));
    }
    return SVR_OK;
}

svr_status svr_phases_make_tables(svr_phases *p, const svr_temporal_plan *plan, bool uniform,
                                  svr_error *err)
{
    int grid[3];

    for (int n = 0; n < plan->batch;) {
        n = next_batch(p, plan, uniform, n);
        SVR_TRY(
            svr_phases_prepare(p, svr_padded_length(n, p->networks->temporal_factor), grid, err));
    }
    return SVR_OK;
}

/* Slices that wait at the end of a sequence go out without a batch in memory. */
static svr_status count_flush(dry_run *run, svr_error *err)
{
    svr_scratch_reset(run->exec.scratch);
    for (int n = 1; n <= run->temporal->batch && run->temporal->overlap > 0; n++)
        SVR_TRY(count_finish(run, n, err));
    return SVR_OK;
}

static svr_status count(dry_run *run, int uniform, svr_plan_extent extent, svr_error *err)
{
    int batch = run->temporal->batch;

    if (extent == SVR_PLAN_WHOLE_BATCH)
        return count_batch(run, batch - 1, batch, uniform, err);
    SVR_TRY(count_batches(run, uniform, err));
    return count_flush(run, err);
}

svr_status svr_phases_plan(svr_phases *p, const svr_temporal_plan *plan, bool uniform,
                           svr_plan_extent extent, const svr_cancel *cancel, svr_phases_need *need,
                           svr_error *err)
{
    dry_run run;
    svr_status status = dry_run_init(&run, p, plan, cancel, err);

    *need = (svr_phases_need){0};
    if (status == SVR_OK)
        status = count(&run, uniform ? plan->batch : 0, extent, err);
    if (status == SVR_OK) {
        need->scratch = svr_scratch_peak(run.exec.scratch);
        need->host = svr_scratch_peak(run.exec.host);
        memcpy(need->stage, run.stage, sizeof need->stage);
    }
    dry_run_finish(&run);
    return status;
}

uint64_t svr_phases_device_frames(const svr_phases *p, int64_t sources, int64_t finished)
{
    const svr_phases_config *c = &p->config;
    uint64_t in = c->in_on_device ? svr_frame_store_device_bytes(&c->in, sources) : 0;
    uint64_t out = c->out_on_device ? svr_frame_store_device_bytes(&c->out, finished) : 0;

    return in + out;
}

int64_t svr_phases_tokens(const svr_phases *p, int frames)
{
    int grid[3];

    svr_phases_latent_grid(p, svr_padded_length(frames, p->networks->temporal_factor), grid);
    return (int64_t) grid[0] * grid[1] * grid[2] / 4;
}
