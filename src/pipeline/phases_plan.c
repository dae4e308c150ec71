#include "pipeline/phases_internal.h"

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
    svr_tensor slice;       /* [batch,oh,ow,3] on the counting backend */
    svr_memory_use seen;    /* up to the last point */
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

static svr_status ignore_frame(void *user, int index, const uint8_t *data, svr_error *err)
{
    (void) user, (void) index, (void) data, (void) err;
    return SVR_OK;
}

static void dry_run_finish(dry_run *run)
{
    svr_backend *backend = run->exec.backend;

    if (svr_tensor_present(&run->slice))
        svr_backend_free(backend, SVR_MEM_STATE, svr_tensor_bytes(&run->slice), run->slice.data);
    svr_scratch_destroy(run->exec.scratch);
    svr_scratch_destroy(run->exec.host);
    svr_backend_destroy(backend);
    free(run->frames);
    free(run->frame);
}

static svr_status dry_run_init(dry_run *run, svr_phases *p, int batch, const svr_cancel *cancel,
                               svr_error *err)
{
    svr_tensor slice = {.dtype = SVR_F32, .rank = 4};

    *run = (dry_run){.phases = p};
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
    svr_phases_slice_dims(p, batch, slice.dims);
    SVR_TRY(svr_backend_alloc(run->exec.backend, SVR_MEM_STATE, svr_tensor_bytes(&slice),
                              &slice.data, err));
    run->slice = slice;
    return SVR_OK;
}

/* A batch of `count` frames; the stages are those of the last one. */
static svr_status count_batch(dry_run *run, int count, int uniform, svr_error *err)
{
    svr_phases_batch b = {.frames = run->frames, .count = count, .uniform = uniform};
    svr_tensor y = svr_tensor_slice(&run->slice, 0, count);

    memset(run->stage, 0, sizeof run->stage);
    SVR_TRY(svr_phases_compute(run->phases, &run->exec, &b, &y, NULL, err));
    svr_scratch_reset(run->exec.scratch);
    svr_scratch_reset(run->exec.host);
    return SVR_OK;
}

/* The largest batch of each length that mirroring leads to, the whole one last. */
static svr_status count_compute(dry_run *run, int batch, int uniform, svr_error *err)
{
    int factor = run->phases->networks->temporal_factor;
    int first = uniform >= batch ? batch : 1;

    for (int n = first; n < batch; n++)
        if (svr_padded_length(n, factor) != svr_padded_length(n + 1, factor))
            SVR_TRY(count_batch(run, n, uniform, err));
    return count_batch(run, batch, uniform, err);
}

static svr_status count_finish(dry_run *run, int first, int batch, svr_error *err)
{
    for (int n = first; n <= batch; n++) {
        svr_tensor y = svr_tensor_slice(&run->slice, 0, n);
        svr_phases_slice slice = {.y = &y, .frames = run->frames, .sink = ignore_frame};

        SVR_TRY(svr_phases_finish(run->phases, &run->exec, &slice, NULL, err));
        svr_scratch_reset(run->exec.scratch);
    }
    count_point(run, SVR_POINT_CLEANED);
    return SVR_OK;
}

static svr_status count_blend(dry_run *run, int overlap, svr_error *err)
{
    svr_tensor part = svr_tensor_slice(&run->slice, 0, overlap);

    return overlap > 0 ? svr_phases_blend(run->phases, &run->exec, &part, &part, err) : SVR_OK;
}

static svr_status count(dry_run *run, const svr_temporal_plan *plan, int uniform,
                        svr_plan_extent extent, svr_error *err)
{
    bool every = extent == SVR_PLAN_EVERY_BATCH;

    SVR_TRY(every ? count_compute(run, plan->batch, uniform, err)
                  : count_batch(run, plan->batch, uniform, err));
    SVR_TRY(count_finish(run, every ? 1 : plan->batch, plan->batch, err));
    return count_blend(run, plan->overlap, err);
}

svr_status svr_phases_plan(svr_phases *p, const svr_temporal_plan *plan, bool uniform,
                           svr_plan_extent extent, const svr_cancel *cancel, svr_phases_need *need,
                           svr_error *err)
{
    dry_run run;
    svr_status status = dry_run_init(&run, p, plan->batch, cancel, err);

    *need = (svr_phases_need){0};
    if (status == SVR_OK)
        status = count(&run, plan, uniform ? plan->batch : 0, extent, err);
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
