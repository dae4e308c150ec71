/* A clip's activation between two sweeps: in scratch memory, or in page-locked host memory with
 * copies beside the computation.
 *
 * What copies need of the queues.  Out: OUT follows the ops that made the frames; their memory is
 * given back only after COMPUTE follows the copy, so whoever gets it next comes later, and so does
 * the next sweep, which reads it.  In: IN follows COMPUTE, of which ops that were issued may use
 * the memory for something else, and COMPUTE follows the copy before the frames are used. */
#include "vae/vae_internal.h"

/* Memory for `channels` of every frame of the activation d. */
static svr_status take(vae_run *run, const vae_parked *parked, const int64_t d[4], int64_t channels,
                       svr_tensor *out, svr_error *err)
{
    const int64_t dims[4] = {d[0], d[1], d[2], channels};

    return parked->on_host ? svr_exec_host_alloc(run->exec, run->storage, 4, dims, out, err)
                           : svr_exec_alloc(run->exec, run->storage, 4, dims, out, err);
}

svr_status svr_vae_park_open(vae_run *run, const vae_half *half, int step, bool on_host,
                             vae_parked *parked, svr_error *err)
{
    const int64_t *d = run->vae->plan.dims[step];

    *parked = (vae_parked){.on_host = on_host};
    SVR_TRY(svr_exec_alloc(run->exec, SVR_F32, SVR_DIMS(d[0], run->vae->config.norm_groups, 3),
                           &parked->moments, err));
    if (half->steps[step].kind == VAE_STEP_CLOSE)
        SVR_TRY(take(run, parked, d, svr_vae_residual_channels(half->steps[step].resnet),
                     &parked->residual, err));
    return take(run, parked, d, d[3], &parked->x, err);
}

static svr_tensor part(const svr_tensor *whole, int64_t first, int64_t count)
{
    return svr_tensor_present(whole) ? svr_tensor_slice(whole, first, count) : (svr_tensor){0};
}

vae_frames svr_vae_park_place(const vae_parked *parked, int64_t first, int64_t count)
{
    return (vae_frames){.x = part(&parked->x, first, count),
                        .residual = part(&parked->residual, first, count)};
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

/* Sends x, which ops have made by now, to its frames of `whole`. */
static svr_status send(vae_run *run, const svr_tensor *whole, int64_t first, svr_tensor *x,
                       svr_tensor *leaving, svr_error *err)
{
    svr_tensor to;

    if (!svr_tensor_present(x))
        return SVR_OK;
    to = svr_tensor_slice(whole, first, x->dims[0]);
    *leaving = *x;
    *x = (svr_tensor){0};
    return svr_backend_copy_out(run->exec->backend, to.data, leaving->data,
                                svr_tensor_bytes(leaving), err);
}

svr_status svr_vae_park_put(vae_run *run, vae_parked *parked, int64_t first, vae_frames *x,
                            svr_error *err)
{
    svr_backend *backend = run->exec->backend;

    if (svr_tensor_present(&x->x))
        SVR_TRY(put_moments(run, parked, first, &x->x, err));
    if (!parked->on_host) {
        *x = (vae_frames){0};
        return SVR_OK;
    }
    SVR_TRY(svr_backend_order(backend, SVR_QUEUE_COMPUTE, SVR_QUEUE_OUT, err));
    SVR_TRY(send(run, &parked->x, first, &x->x, &parked->leaving.x, err));
    SVR_TRY(send(run, &parked->residual, first, &x->residual, &parked->leaving.residual, err));
    return svr_backend_mark(backend, SVR_QUEUE_OUT, &parked->left, err);
}

svr_status svr_vae_park_settle(vae_run *run, vae_parked *parked, svr_error *err)
{
    if (svr_tensor_present(&parked->leaving.x) || svr_tensor_present(&parked->leaving.residual))
        SVR_TRY(svr_backend_follow(run->exec->backend, SVR_QUEUE_COMPUTE, parked->left, err));
    svr_vae_give(run, &parked->leaving.x);
    svr_vae_give(run, &parked->leaving.residual);
    return SVR_OK;
}

static svr_status receive(vae_run *run, const svr_tensor *whole, const vae_range *range,
                          svr_tensor *x, svr_error *err)
{
    svr_tensor from = part(whole, range->first, range->count);

    if (!svr_tensor_present(whole))
        return SVR_OK;
    SVR_TRY(svr_exec_alloc(run->exec, run->storage, 4, from.dims, x, err));
    return svr_backend_copy_in(run->exec->backend, x->data, from.data, svr_tensor_bytes(x), err);
}

/* Begins to bring frames in. */
static svr_status fetch(vae_run *run, vae_parked *parked, const vae_range *range, svr_error *err)
{
    svr_backend *backend = run->exec->backend;

    SVR_TRY(svr_backend_order(backend, SVR_QUEUE_COMPUTE, SVR_QUEUE_IN, err));
    SVR_TRY(receive(run, &parked->residual, range, &parked->coming.residual, err));
    SVR_TRY(receive(run, &parked->x, range, &parked->coming.x, err));
    return svr_backend_mark(backend, SVR_QUEUE_IN, &parked->came, err);
}

static svr_status take_from_host(vae_run *run, vae_parked *parked, const vae_range *range,
                                 vae_frames *x, svr_error *err)
{
    svr_backend *backend = run->exec->backend;
    vae_range next = {.first = range->first + range->count, .count = range->next};
    svr_mark came;

    if (range->first == 0)
        SVR_TRY(fetch(run, parked, range, err));
    *x = parked->coming;
    came = parked->came;
    parked->coming = (vae_frames){0};
    if (next.count > 0)
        SVR_TRY(fetch(run, parked, &next, err));
    return svr_backend_follow(backend, SVR_QUEUE_COMPUTE, came, err);
}

svr_status svr_vae_park_take(vae_run *run, vae_parked *parked, const vae_range *range,
                             vae_frames *x, svr_error *err)
{
    vae_state *state = &run->vae->state;

    if (parked->on_host)
        SVR_TRY(take_from_host(run, parked, range, x, err));
    else
        *x = svr_vae_park_place(parked, range->first, range->count);
    state->known_of = parked->has_moments ? x->x.data : NULL;
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
    if (parked->on_host) {
        svr_exec_host_free(run->exec, &parked->x);
        svr_exec_host_free(run->exec, &parked->residual);
    } else {
        svr_exec_free(run->exec, &parked->x);
        svr_exec_free(run->exec, &parked->residual);
    }
    *parked = (vae_parked){0};
    return SVR_OK;
}
