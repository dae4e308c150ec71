#include "pipeline/phases_internal.h"

#include "video/temporal.h"

#include <stdint.h>
#include <stdlib.h>

/* Frames of zeros stand in for every source frame: host code may look at them. */
typedef struct dry_run {
    svr_phases *phases;
    svr_exec exec;
    uint8_t *frame;
    const uint8_t **frames; /* [batch], all `frame` */
    svr_tensor slice;       /* [batch,oh,ow,3] on the counting backend */
} dry_run;

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

/* The largest batch of each length that mirroring leads to. */
static svr_status count_compute(dry_run *run, int batch, int uniform, svr_error *err)
{
    int factor = run->phases->networks->temporal_factor;
    int first = uniform >= batch ? batch : 1;

    for (int n = first; n <= batch; n++) {
        svr_phases_batch b = {.frames = run->frames, .count = n, .uniform = uniform};
        svr_tensor y = svr_tensor_slice(&run->slice, 0, n);

        if (n < batch && svr_padded_length(n, factor) == svr_padded_length(n + 1, factor))
            continue;
        SVR_TRY(svr_phases_compute(run->phases, &run->exec, &b, &y, NULL, err));
        svr_scratch_reset(run->exec.scratch);
    }
    return SVR_OK;
}

static svr_status count_finish(dry_run *run, int batch, svr_error *err)
{
    for (int n = 1; n <= batch; n++) {
        svr_tensor y = svr_tensor_slice(&run->slice, 0, n);
        svr_phases_slice slice = {.y = &y, .frames = run->frames, .sink = ignore_frame};

        SVR_TRY(svr_phases_finish(run->phases, &run->exec, &slice, NULL, err));
        svr_scratch_reset(run->exec.scratch);
    }
    return SVR_OK;
}

static svr_status count_blend(dry_run *run, int overlap, svr_error *err)
{
    svr_tensor part = svr_tensor_slice(&run->slice, 0, overlap);

    return overlap > 0 ? svr_phases_blend(run->phases, &run->exec, &part, &part, err) : SVR_OK;
}

svr_status svr_phases_plan(svr_phases *p, const svr_temporal_plan *plan, bool uniform,
                           const svr_cancel *cancel, uint64_t *scratch_bytes, uint64_t *host_bytes,
                           svr_error *err)
{
    dry_run run;
    svr_status status = dry_run_init(&run, p, plan->batch, cancel, err);

    if (status == SVR_OK)
        status = count_compute(&run, plan->batch, uniform ? plan->batch : 0, err);
    if (status == SVR_OK)
        status = count_finish(&run, plan->batch, err);
    if (status == SVR_OK)
        status = count_blend(&run, plan->overlap, err);
    if (status == SVR_OK) {
        *scratch_bytes = svr_scratch_peak(run.exec.scratch);
        *host_bytes = svr_scratch_peak(run.exec.host);
    }
    dry_run_finish(&run);
    return status;
}
