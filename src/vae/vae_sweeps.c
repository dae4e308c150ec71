/* A clip through a half, sweep by sweep: the memory of each, and what is parked in between. */
#include "vae/vae_pass.h"

#include "base/checked.h"
#include "vae/vae_shared.h"
#include "vae/vae_state.h"

/* Most frames that a segment has in hand. */
static int64_t frames_in_hand(const vae_pass *p, const vae_segment *s)
{
    int64_t n = svr_min_i64(s->in, s->most + s->extra);

    if (p->decodes)
        return s->doubles ? 2 * n : n;
    return s->halves ? svr_min_i64(s->in, svr_max_i64(2, s->most)) : n;
}

/* Memory for what a resnet's conv2 sees and keeps, where frames come one by one. */
static svr_status take_spare(vae_pass *p, int begin, svr_error *err)
{
    const int64_t *widest = NULL;

    for (int i = begin; i < p->end; i++) {
        const vae_segment *s = &p->plan->segments[i];

        for (int step = s->first + 1; step < s->end; step++) {
            const int64_t *d = p->plan->dims[step];

            if (s->cut && frames_in_hand(p, s) == 1 &&
                p->half->steps[step].kind == VAE_STEP_CLOSE &&
                (!widest || d[1] * d[2] * d[3] > widest[1] * widest[2] * widest[3]))
                widest = d;
        }
    }
    return widest ? svr_exec_alloc(p->run->exec, p->run->storage,
                                   SVR_DIMS(1, widest[1], widest[2], widest[3]),
                                   &p->run->vae->state.spare, err)
                  : SVR_OK;
}

/* Memory that stays while a sweep runs. */
static svr_status take_state(vae_pass *p, int begin, svr_error *err)
{
    const vae_plan *plan = p->plan;
    int64_t most = 1;

    for (int i = begin; i < p->end; i++)
        most = svr_max_i64(most, frames_in_hand(p, &plan->segments[i]));
    SVR_TRY(svr_vae_state_begin(p->run, most, err));
    for (int i = begin; i < p->end; i++) {
        vae_segment *s = &plan->segments[i];

        if (!p->decodes && i > begin)
            SVR_TRY(
                svr_exec_alloc(p->run->exec, SVR_F32,
                               SVR_DIMS(frames_in_hand(p, s), p->run->vae->config.norm_groups, 3),
                               &s->moments, err));
        for (int step = s->first; s->cut && step < s->end; step++)
            SVR_TRY(svr_vae_state_take(p->run, p->half, &p->half->steps[step], plan->dims[step][1],
                                       plan->dims[step][2], err));
    }
    return take_spare(p, begin, err);
}

/* Gives back what a sweep had; its result becomes the next one's source. */
static svr_status end_sweep(vae_pass *p, int begin, svr_error *err)
{
    vae_state *state = &p->run->vae->state;

    SVR_TRY(svr_vae_park_settle(p->run, &p->target, err));
    for (int i = begin; i < p->end; i++) {
        svr_vae_give(p->run, &p->plan->segments[i].held);
        svr_exec_free(p->run->exec, &p->plan->segments[i].moments);
    }
    svr_vae_state_end(p->run);
    if (begin == 0 && p->run->consumed)
        svr_exec_free(p->run->exec, p->run->consumed);
    SVR_TRY(svr_vae_park_close(p->run, &p->source, err));
    p->source = p->target;
    p->target = (vae_parked){0};
    state->parked[0] = p->source.x;
    state->parked[1] = p->source.residual;
    return SVR_OK;
}

/* A sweep of one step in bands; the next frames need the two before them. */
static svr_status run_bands(vae_pass *p, vae_segment *s, svr_error *err)
{
    const vae_resnet *r = p->half->steps[s->first].resnet;

    for (int64_t t = 0; t < s->in; t++) {
        vae_frames y;

        SVR_TRY(svr_vae_park_settle(p->run, &p->target, err));
        SVR_TRY(svr_vae_open_in_bands(p, r, t, &y, err));
        SVR_TRY(svr_vae_park_put(p->run, &p->target, t, &y, err));
        if (t >= 2)
            svr_vae_park_drop(p->run, &p->source, t - 2, 1);
    }
    return SVR_OK;
}

/* Memory for what a sweep makes: a place to park, which is on the device and of the storage type
 * for what is kept, or that of a picture that has none yet. */
static svr_status take_result(vae_pass *p, svr_error *err)
{
    const svr_vae_memory kept = {0};
    svr_tensor *made = p->run->made;

    if (svr_vae_parks(p))
        return svr_vae_park_open(p->run, p->half, p->plan->segments[p->end - 1].end,
                                 svr_vae_goes_on(p) ? p->memory : &kept, &p->target, err);
    if (!made)
        return SVR_OK;
    SVR_TRY(svr_exec_alloc(p->run->exec, made->dtype, made->rank, made->dims, made, err));
    p->out.data = made->data;
    return SVR_OK;
}

/* What a piece became goes where it is wanted. */
static svr_status put(vae_pass *p, vae_frames *x, svr_error *err)
{
    int64_t frames = x->x.dims[0];

    if (svr_vae_parks(p)) {
        SVR_TRY(svr_vae_park_put(p->run, &p->target, p->done, x, err));
    } else {
        SVR_TRY(svr_vae_measure(p->run, &x->x, p->done, err));
        svr_vae_give(p->run, &x->x);
        svr_vae_give(p->run, &x->residual);
    }
    p->done += frames;
    return SVR_OK;
}

/* A result of fewer frames than there are ends it early. */
static svr_status run_sweep(vae_pass *p, int begin, svr_error *err)
{
    vae_segment *last = &p->plan->segments[p->end - 1];
    bool ends; /* the half */

    p->done = 0;
    SVR_TRY(take_result(p, err));
    SVR_TRY(take_state(p, begin, err));
    if (last->banded) {
        SVR_TRY(run_bands(p, last, err));
        return end_sweep(p, begin, err);
    }
    ends = !svr_vae_parks(p) && !p->measures;
    while (last->taken < last->in && (!ends || p->done < p->out.dims[0])) {
        vae_frames x;

        SVR_TRY(svr_vae_run_segment(p, p->end - 1, svr_vae_demand(p), NULL, &x, err));
        if (!ends)
            SVR_TRY(put(p, &x, err));
    }
    return end_sweep(p, begin, err);
}

static svr_status run_sweeps(vae_pass *p, svr_error *err)
{
    const vae_plan *plan = p->plan;
    vae_state *state = &p->run->vae->state;

    /* and not what a run that failed may have left */
    state->parked[0] = p->source.x;
    state->parked[1] = (svr_tensor){0};
    state->sliced = false;
    for (int i = 0; i < plan->count; i++)
        state->sliced =
            state->sliced || plan->segments[i].cut || (i > 0 && plan->segments[i].starts_sweep);
    for (int begin = 0; begin < plan->count; begin = p->end) {
        p->end = begin + 1;
        while (svr_vae_goes_on(p) && !plan->segments[p->end].starts_sweep)
            p->end++;
        SVR_TRY(run_sweep(p, begin, err));
    }
    return SVR_OK;
}

void svr_vae_let_copies_end(vae_run *run)
{
    svr_backend *backend = run->exec->backend;
    svr_error ignored = {0};
    svr_status in = svr_backend_order(backend, SVR_QUEUE_IN, SVR_QUEUE_COMPUTE, &ignored);
    svr_status out = svr_backend_order(backend, SVR_QUEUE_OUT, SVR_QUEUE_COMPUTE, &ignored);

    (void) in;
    (void) out;
}

svr_status svr_vae_run_range(vae_pass *p, const svr_vae_cut *cut, const int range[2],
                             svr_error *err)
{
    svr_vae *vae = p->run->vae;
    const svr_tensor *in = p->in ? p->in : &p->source.x;
    /* of the longer end */
    int64_t frames =
        (p->decodes || !p->in ? svr_vae_temporal_factor(&vae->config) : 1) * in->dims[0];
    svr_status status;

    p->plan = &vae->plan;
    p->keeps = range[1] < p->half->step_count;
    p->memory = p->decodes ? &cut->decoder : &cut->encoder;
    svr_vae_plan_clip(vae, p->half, cut, in, range);
    if (p->memory->park_on_host)
        SVR_TRY(svr_vae_park_prepare(vae, frames, err));
    status = run_sweeps(p, err);
    if (status != SVR_OK && p->memory->park_on_host)
        svr_vae_let_copies_end(p->run);
    return status;
}

svr_status svr_vae_encode_clip(vae_run *run, const svr_vae_cut *cut, const svr_tensor *x,
                               const svr_tensor *moments, svr_error *err)
{
    vae_pass p = {.run = run, .half = &run->vae->encoder, .in = x, .out = *moments};

    return svr_vae_run_range(&p, cut, (int[2]){0, p.half->step_count}, err);
}

svr_status svr_vae_decode_clip(vae_run *run, const svr_vae_cut *cut, const svr_tensor *z,
                               const svr_tensor *y, svr_error *err)
{
    vae_pass p = {.run = run, .half = &run->vae->decoder, .in = z, .out = *y, .decodes = true};

    return svr_vae_run_range(&p, cut, (int[2]){0, p.half->step_count}, err);
}
