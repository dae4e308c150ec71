/* A clip's activation between two sweeps: in scratch memory, or in page-locked host memory with
 * copies beside the computation.
 *
 * Frames may be parked in 8 bits (vae_pack.c): they are packed where they leave and unpacked where
 * they are taken, so copies, and memory of frames on their way, are of the packed ones.
 *
 * What copies need of the queues.  Out: OUT follows the ops that made the frames; their memory is
 * given back only after COMPUTE follows the copy, so whoever gets it next comes later, and so does
 * the next sweep, which reads it.  In: IN follows COMPUTE, of which ops that were issued may use
 * the memory for something else, and COMPUTE follows the copy before the frames are used. */
#include "vae/vae_park.h"

#include "backend/ops.h"
#include "vae/vae_state.h"

#include <stdlib.h>
#include <string.h>

svr_status svr_vae_park_prepare(svr_vae *vae, int64_t frames, svr_error *err)
{
    vae_plan *plan = &vae->plan;
    size_t slots = (size_t) frames * 4; /* x and residual, of source and target */

    if (plan->host_slots < slots) {
        free(plan->host_frames);
        plan->host_slots = 0;
        plan->host_frames = calloc(slots, sizeof plan->host_frames[0]);
        if (!plan->host_frames)
            return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory to list %zu parked frames", slots);
        plan->host_slots = slots;
    }
    /* a run that failed left views of memory that is no longer ours */
    memset(plan->host_frames, 0, plan->host_slots * sizeof plan->host_frames[0]);
    return SVR_OK;
}

/* Places for views of frames that will be sent to the host; the other half is the source's. */
static void list_frames(vae_plan *plan, vae_parked *parked)
{
    size_t quarter = plan->host_slots / 4;

    plan->upper = !plan->upper;
    parked->host_x = plan->host_frames + (plan->upper ? 2 * quarter : 0);
    parked->host_residual = parked->host_x + quarter;
}

/* What step `step` of the plan sees: sizes and form. */
static void describe(const vae_run *run, const vae_half *half, int step,
                     const svr_vae_memory *memory, vae_parked *parked)
{
    bool inner = half->steps[step].kind == VAE_STEP_CLOSE;
    const svr_vae_parked what[2] = {inner ? SVR_VAE_PARKED_INNER : SVR_VAE_PARKED_STREAM,
                                    SVR_VAE_PARKED_RESIDUAL};

    *parked = (vae_parked){.on_host = memory->park_on_host, .frames = run->vae->plan.dims[step][0]};
    for (int i = 0; i < (inner ? 2 : 1); i++) {
        memcpy(parked->dims[i], run->vae->plan.dims[step], sizeof parked->dims[i]);
        if (i == 1)
            parked->dims[i][3] = svr_vae_residual_channels(half->steps[step].resnet);
        parked->packing[i] =
            svr_vae_packing(svr_vae_park_type(memory, what[i]), run->storage, parked->dims[i]);
    }
}

svr_status svr_vae_park_open(vae_run *run, const vae_half *half, int step,
                             const svr_vae_memory *memory, vae_parked *parked, svr_error *err)
{
    describe(run, half, step, memory, parked);
    SVR_TRY(svr_exec_alloc(run->exec, SVR_F32,
                           SVR_DIMS(parked->frames, run->vae->config.norm_groups, 3),
                           &parked->moments, err));
    if (parked->on_host) {
        list_frames(&run->vae->plan, parked);
        return SVR_OK;
    }
    if (parked->dims[1][0] > 0)
        SVR_TRY(svr_vae_take_parked(run, &parked->packing[1], parked->dims[1], parked->frames,
                                    &parked->residual, err));
    return svr_vae_take_parked(run, &parked->packing[0], parked->dims[0], parked->frames,
                               &parked->x, err);
}

static svr_tensor part(const svr_tensor *whole, int64_t first, int64_t count)
{
    return svr_tensor_present(whole) ? svr_tensor_slice(whole, first, count) : (svr_tensor){0};
}

static svr_tensor place(const svr_tensor *whole, const vae_packing *p, int64_t first, int64_t count)
{
    return p->type == SVR_F32 ? part(whole, first, count) : (svr_tensor){0};
}

vae_frames svr_vae_park_place(const vae_parked *parked, int64_t first, int64_t count)
{
    return (vae_frames){.x = place(&parked->x, &parked->packing[0], first, count),
                        .residual = place(&parked->residual, &parked->packing[1], first, count)};
}

/* The statistics of x, where the op that made it made them. */
static svr_status put_moments(vae_run *run, vae_parked *parked, int64_t first, const svr_tensor *x,
                              svr_error *err)
{
    svr_copy_args copy = {.src = svr_vae_moments_of(run, x)};

    parked->has_moments = svr_tensor_present(&copy.src);
    if (!parked->has_moments)
        return SVR_OK;
    copy.dst = svr_tensor_slice(&parked->moments, first, x->dims[0]);
    return svr_op_copy(run->exec, &copy, err);
}

/* Gives back frames that are on their way: what comes to their memory comes behind them. */
static svr_status settle_one(vae_run *run, svr_tensor *leaving, svr_mark left, svr_error *err)
{
    if (svr_tensor_present(leaving))
        SVR_TRY(svr_backend_follow(run->exec->backend, SVR_QUEUE_COMPUTE, left, err));
    svr_vae_give(run, leaving);
    return SVR_OK;
}

/* What leaves for the host, made of x, which is given back if that is something else. */
static svr_status leave(vae_run *run, const vae_packing *p, svr_tensor *x, svr_tensor *leaving,
                        svr_error *err)
{
    if (!svr_tensor_present(x))
        return SVR_OK;
    if (p->type == SVR_F32) {
        *leaving = *x;
        *x = (svr_tensor){0};
        return SVR_OK;
    }
    SVR_TRY(svr_vae_take_parked(run, p, x->dims, x->dims[0], leaving, err));
    SVR_TRY(svr_vae_pack(run, p, x, leaving, err));
    svr_vae_give(run, x);
    return SVR_OK;
}

/* Sends what ops have made by now, frame by frame. */
static svr_status send(vae_run *run, svr_tensor *frames, const svr_tensor *leaving, svr_mark *left,
                       svr_error *err)
{
    for (int64_t i = 0; i < leaving->dims[0]; i++) {
        svr_tensor frame = svr_tensor_slice(leaving, i, 1);

        SVR_TRY(
            svr_exec_host_alloc(run->exec, frame.dtype, frame.rank, frame.dims, &frames[i], err));
        SVR_TRY(svr_backend_copy_out(run->exec->backend, frames[i].data, frame.data,
                                     svr_tensor_bytes(&frame), err));
    }
    return svr_backend_mark(run->exec->backend, SVR_QUEUE_OUT, left, err);
}

static svr_status put_on_host(vae_run *run, vae_parked *parked, int64_t first, vae_frames *x,
                              svr_error *err)
{
    bool has_x = svr_tensor_present(&x->x), has_residual = svr_tensor_present(&x->residual);
    vae_frames *leaving = &parked->leaving;

    if (has_x)
        SVR_TRY(settle_one(run, &leaving->x, parked->left[0], err));
    if (has_residual)
        SVR_TRY(settle_one(run, &leaving->residual, parked->left[1], err));
    SVR_TRY(leave(run, &parked->packing[1], &x->residual, &leaving->residual, err));
    SVR_TRY(leave(run, &parked->packing[0], &x->x, &leaving->x, err));
    SVR_TRY(svr_backend_order(run->exec->backend, SVR_QUEUE_COMPUTE, SVR_QUEUE_OUT, err));
    if (has_residual)
        SVR_TRY(
            send(run, parked->host_residual + first, &leaving->residual, &parked->left[1], err));
    return has_x ? send(run, parked->host_x + first, &leaving->x, &parked->left[0], err) : SVR_OK;
}

/* Packs x into its place; what is not packed is there already. */
static svr_status put_on_device(vae_run *run, const vae_packing *p, const svr_tensor *whole,
                                int64_t first, svr_tensor *x, svr_error *err)
{
    if (svr_tensor_present(x) && p->type != SVR_F32) {
        svr_tensor packed = svr_tensor_slice(whole, first, x->dims[0]);

        SVR_TRY(svr_vae_pack(run, p, x, &packed, err));
        svr_vae_give(run, x);
    }
    *x = (svr_tensor){0};
    return SVR_OK;
}

svr_status svr_vae_park_put(vae_run *run, vae_parked *parked, int64_t first, vae_frames *x,
                            svr_error *err)
{
    if (svr_tensor_present(&x->x))
        SVR_TRY(put_moments(run, parked, first, &x->x, err));
    if (parked->on_host)
        return put_on_host(run, parked, first, x, err);
    SVR_TRY(put_on_device(run, &parked->packing[1], &parked->residual, first, &x->residual, err));
    return put_on_device(run, &parked->packing[0], &parked->x, first, &x->x, err);
}

svr_status svr_vae_park_settle(vae_run *run, vae_parked *parked, svr_error *err)
{
    SVR_TRY(settle_one(run, &parked->leaving.x, parked->left[0], err));
    return settle_one(run, &parked->leaving.residual, parked->left[1], err);
}

static svr_status receive(vae_run *run, const svr_tensor *frames, int64_t count, svr_tensor *x,
                          svr_error *err)
{
    int64_t d[SVR_MAX_RANK];

    if (!svr_tensor_present(frames))
        return SVR_OK;
    memcpy(d, frames->dims, sizeof d);
    d[0] = count;
    SVR_TRY(svr_exec_alloc(run->exec, frames->dtype, frames->rank, d, x, err));
    for (int64_t i = 0; i < count; i++) {
        svr_tensor frame = svr_tensor_slice(x, i, 1);

        SVR_TRY(svr_backend_copy_in(run->exec->backend, frame.data, frames[i].data,
                                    svr_tensor_bytes(&frame), err));
    }
    return SVR_OK;
}

/* Begins to bring frames in. */
static svr_status fetch(vae_run *run, vae_parked *parked, const vae_range *range, svr_error *err)
{
    svr_backend *backend = run->exec->backend;

    SVR_TRY(svr_backend_order(backend, SVR_QUEUE_COMPUTE, SVR_QUEUE_IN, err));
    if (range->late)
        parked->late = *range;
    else
        SVR_TRY(receive(run, parked->host_residual + range->first, range->count,
                        &parked->coming.residual, err));
    SVR_TRY(receive(run, parked->host_x + range->first, range->count, &parked->coming.x, err));
    return svr_backend_mark(backend, SVR_QUEUE_IN, &parked->came, err);
}

svr_status svr_vae_park_fetch_late(vae_run *run, vae_parked *parked, svr_error *err)
{
    svr_backend *backend = run->exec->backend;
    vae_range late = parked->late;

    parked->late = (vae_range){0};
    if (late.count == 0)
        return SVR_OK;
    SVR_TRY(svr_backend_order(backend, SVR_QUEUE_COMPUTE, SVR_QUEUE_IN, err));
    SVR_TRY(receive(run, parked->host_residual + late.first, late.count, &parked->coming.residual,
                    err));
    return svr_backend_mark(backend, SVR_QUEUE_IN, &parked->came, err);
}

void svr_vae_park_drop(vae_run *run, vae_parked *parked, int64_t first, int64_t count)
{
    for (int64_t i = first; i < first + count; i++) {
        svr_exec_host_free(run->exec, &parked->host_x[i]);
        svr_exec_host_free(run->exec, &parked->host_residual[i]);
    }
}

/* Frames as they were from packed ones. */
static svr_status unpack(vae_run *run, const vae_parked *parked, int which,
                         const svr_tensor *packed, svr_tensor *x, svr_error *err)
{
    const int64_t *d = parked->dims[which];

    SVR_TRY(svr_exec_alloc(run->exec, run->storage, SVR_DIMS(packed->dims[0], d[1], d[2], d[3]), x,
                           err));
    return svr_vae_unpack(run, &parked->packing[which], packed, x, err);
}

/* The same for frames that have come, whose memory becomes the result's or is given back. */
static svr_status arrive(vae_run *run, const vae_parked *parked, int which, svr_tensor *came,
                         svr_tensor *x, svr_error *err)
{
    *x = *came;
    if (svr_tensor_present(came) && parked->packing[which].type != SVR_F32) {
        SVR_TRY(unpack(run, parked, which, came, x, err));
        svr_exec_free(run->exec, came);
    }
    *came = (svr_tensor){0};
    return SVR_OK;
}

/* What has come is no longer needed on the host: copies to its memory follow ops, and these follow
 * the copy that read it. */
static svr_status take_from_host(vae_run *run, vae_parked *parked, const vae_range *range,
                                 vae_frames *x, svr_error *err)
{
    vae_range next = {
        .first = range->first + range->count, .count = range->next, .late = range->late};

    if (range->first == 0)
        SVR_TRY(fetch(run, parked, &(vae_range){.count = range->count}, err));
    SVR_TRY(svr_backend_follow(run->exec->backend, SVR_QUEUE_COMPUTE, parked->came, err));
    SVR_TRY(arrive(run, parked, 1, &parked->coming.residual, &x->residual, err));
    SVR_TRY(arrive(run, parked, 0, &parked->coming.x, &x->x, err));
    svr_vae_park_drop(run, parked, range->first, range->count);
    return next.count > 0 ? fetch(run, parked, &next, err) : SVR_OK;
}

static svr_status take_from_device(vae_run *run, const vae_parked *parked, const vae_range *range,
                                   vae_frames *x, svr_error *err)
{
    svr_tensor residual = part(&parked->residual, range->first, range->count);
    svr_tensor whole = part(&parked->x, range->first, range->count);

    *x = svr_vae_park_place(parked, range->first, range->count);
    if (svr_tensor_present(&residual) && !svr_tensor_present(&x->residual))
        SVR_TRY(unpack(run, parked, 1, &residual, &x->residual, err));
    return svr_tensor_present(&x->x) ? SVR_OK : unpack(run, parked, 0, &whole, &x->x, err);
}

svr_status svr_vae_park_take(vae_run *run, vae_parked *parked, const vae_range *range,
                             vae_frames *x, svr_error *err)
{
    vae_state *state = &run->vae->state;

    SVR_TRY(parked->on_host ? take_from_host(run, parked, range, x, err)
                            : take_from_device(run, parked, range, x, err));
    state->known_of = parked->has_moments ? x->x.data : NULL;
    if (parked->has_moments)
        state->known = svr_tensor_slice(&parked->moments, range->first, range->count);
    return SVR_OK;
}

svr_status svr_vae_park_close(vae_run *run, vae_parked *parked, svr_error *err)
{
    if (svr_tensor_present(&parked->coming.x))
        SVR_TRY(svr_backend_follow(run->exec->backend, SVR_QUEUE_COMPUTE, parked->came, err));
    svr_exec_free(run->exec, &parked->coming.x);
    svr_exec_free(run->exec, &parked->coming.residual);
    svr_exec_free(run->exec, &parked->moments);
    if (parked->on_host)
        svr_vae_park_drop(run, parked, 0, parked->frames);
    svr_exec_free(run->exec, &parked->x);
    svr_exec_free(run->exec, &parked->residual);
    *parked = (vae_parked){0};
    return SVR_OK;
}
