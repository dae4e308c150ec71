#include "verify/pipeline_run.h"

#include "base/checked.h"
#include "video/temporal.h"

/* State of a run, from its start. */
typedef struct progress {
    pipeline_run *run;
    svr_phases *phases;
    const uint8_t **sources; /* [total] with the mirrored frames in front */
    int64_t total;
    svr_tensor all; /* [total, oh, ow, 3]: an overlap may be wider than half a batch, so any later
                     * batch may still change what is there */
    int batch;      /* number of the running one, for the taps */
} progress;

/* Frames [start, start + count) of the sequence; the first `overlap` are shared with the batch
 * before. */
typedef struct span {
    int64_t start, count, overlap;
} span;

void pipeline_run_init(pipeline_run *p)
{
    *p = (pipeline_run){0};
    device_taps_init(&p->taps);
}

void pipeline_run_finish(pipeline_run *p)
{
    device_taps_finish(&p->taps);
    g_free(p->out);
    p->out = NULL;
}

svr_status pipeline_run_clip(pipeline_run *p, const golden *g, int short_side, int max_edge,
                             svr_error *err)
{
    svr_phases_config *c = &p->config;
    const svr_safetensors_entry *frames;

    SVR_TRY(golden_entry(g, "frames_u8_thwc", 4, &frames, err));
    if (frames->dtype != SVR_U8 || frames->dims[3] != 3)
        return SVR_FAIL(err, SVR_ERR_FORMAT, "%s: frames_u8_thwc should be [T,H,W,3] of U8",
                        svr_safetensors_path(g->file));
    *c = (svr_phases_config){.in = {.format = SVR_PIXEL_RGB}};
    c->in.height = (int) frames->dims[1];
    c->in.width = (int) frames->dims[2];
    c->out = c->in;
    c->sizes = svr_size_plan_short_side((svr_size){c->in.width, c->in.height}, short_side, max_edge,
                                        1, p->networks->grid_multiple);
    c->out.width = c->sizes.output.width;
    c->out.height = c->sizes.output.height;
    p->frames = (const uint8_t *) frames->data;
    p->count = (int) frames->dims[0];
    return SVR_OK;
}

/* Keeps "b.<what>" as "b<batch>.<what>". */
static svr_status keep_tap(void *user, const char *name, const svr_tensor *value, svr_error *err)
{
    progress *p = (progress *) user;
    g_autofree char *numbered = NULL;

    if (!g_str_has_prefix(name, "b."))
        return SVR_OK;
    numbered = g_strdup_printf("b%d%s", p->batch, name + 1);
    return device_taps_add(&p->run->taps, numbered, value, err);
}

static svr_status ignore_frame(void *user, int index, const uint8_t *data, svr_error *err)
{
    (void) user, (void) index, (void) data, (void) err;
    return SVR_OK;
}

/* The batch's own frames behind those that are there, which are mixed with what it shares. */
static svr_status enter(progress *p, svr_exec *exec, const svr_tensor *y, const span *batch,
                        svr_error *err)
{
    svr_tensor shared = svr_tensor_slice(&p->all, batch->start, batch->overlap);
    svr_tensor head = svr_tensor_slice(y, 0, batch->overlap);
    int64_t own = batch->count - batch->overlap;
    svr_copy_args copy = {.src = svr_tensor_slice(y, batch->overlap, own),
                          .dst = svr_tensor_slice(&p->all, batch->start + batch->overlap, own)};

    if (batch->overlap > 0)
        SVR_TRY(svr_phases_blend(p->phases, exec, &shared, &head, err));
    return svr_op_copy(exec, &copy, err);
}

static svr_status compute_batch(progress *p, svr_exec *exec, const span *batch, svr_error *err)
{
    const pipeline_run *run = p->run;
    svr_phases_batch input = {.frames = p->sources + batch->start,
                              .count = (int) batch->count,
                              .uniform = run->uniform ? run->batch : 0,
                              .first_frame = batch->start};
    svr_tensor y;

    SVR_TRY(svr_phases_compute(p->phases, exec, &input, &y, NULL, err));
    SVR_TRY(enter(p, exec, &y, batch, err));
    svr_exec_free(exec, &y);
    return SVR_OK;
}

/* Colour of the batch's own frames, then to the host without what was put in front. */
static svr_status finish_batch(progress *p, svr_exec *exec, const span *batch, svr_error *err)
{
    int64_t frames = batch->count - batch->overlap, first = batch->start + batch->overlap;
    svr_tensor slice = svr_tensor_slice(&p->all, first, frames);
    size_t picture = (size_t) (slice.dims[1] * slice.dims[2] * slice.dims[3]);
    svr_phases_slice out = {.y = &slice, .frames = p->sources + first, .sink = ignore_frame};
    g_autofree float *values = NULL;

    SVR_TRY(svr_phases_finish(p->phases, exec, &out, NULL, err));
    SVR_TRY(device_get_new(exec->backend, &slice, &values, err));
    for (int64_t i = 0; i < frames; i++) {
        int64_t at = first + i - p->run->prepend;

        if (at < 0)
            continue;
        for (size_t k = 0; k < picture; k++)
            p->run->out[(size_t) at * picture + k] =
                CLAMP(values[(size_t) i * picture + k], -1.0f, 1.0f) * 0.5f + 0.5f;
    }
    return SVR_OK;
}

typedef svr_status (*batch_step)(progress *p, svr_exec *exec, const span *batch, svr_error *err);

static svr_status each_batch(progress *p, svr_exec *exec, batch_step step, svr_error *err)
{
    int64_t overlap, stride = svr_batch_step(p->run->batch, p->run->overlap, &overlap);

    p->batch = 0;
    for (int64_t start = 0; start < p->total && svr_batch_exists(p->total, start, overlap);
         start += stride) {
        span batch = {.start = start,
                      .count = svr_min_i64(p->run->batch, p->total - start),
                      .overlap = start > 0 ? overlap : 0};

        SVR_TRY(step(p, exec, &batch, err));
        p->batch++;
    }
    return SVR_OK;
}

/* Colours come when no batch is left that could change a frame. */
static svr_status run_batches(void *user, svr_exec *exec, svr_error *err)
{
    progress *p = (progress *) user;
    svr_size size = p->run->config.sizes.output;

    exec->tap = keep_tap;
    exec->tap_user = p;
    p->run->taps.backend = exec->backend;
    device_taps_clear(&p->run->taps);
    SVR_TRY(svr_exec_alloc(exec, SVR_F32, SVR_DIMS(p->total, size.height, size.width, 3), &p->all,
                           err));
    SVR_TRY(each_batch(p, exec, compute_batch, err));
    return each_batch(p, exec, finish_batch, err);
}

svr_status pipeline_run_all(device *d, pipeline_run *run, svr_error *err)
{
    size_t frame_bytes = svr_frame_bytes(&run->config.in);
    svr_size size = run->config.sizes.output;
    progress p = {.run = run, .total = run->count + run->prepend};
    svr_status status;

    p.sources = g_new(const uint8_t *, (size_t) p.total);
    for (int64_t i = 0; i < p.total; i++)
        p.sources[i] =
            run->frames + (size_t) svr_head_index(run->count, run->prepend, i) * frame_bytes;
    run->out = g_new0(float, (size_t) run->count *(size_t) size.height *(size_t) size.width * 3);
    status = svr_phases_create(d->backend, run->networks, &run->config, &p.phases, err);
    if (status == SVR_OK)
        status = device_run(d, run_batches, &p, NULL, err);
    svr_phases_destroy(p.phases);
    g_free(p.sources);
    return status;
}
