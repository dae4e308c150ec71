/* Statistics that tiles share: measured on the device, joined on the host in double, a few hundred
 * bytes a frame. */
#include "vae/vae_shared.h"

#include "backend/ops.h"
#include "vae/vae_steps.h"

#include <math.h>
#include <stdlib.h>

enum { MOMENTS = 3 };

svr_status svr_vae_statistics_begin(vae_run *run, const vae_half *half, int64_t frames,
                                    vae_statistics *out, svr_error *err)
{
    int groups = run->vae->config.norm_groups;
    size_t lines = (size_t) frames * (size_t) groups;

    *out = (vae_statistics){.groups = groups, .frames = frames};
    out->known = calloc((size_t) half->norm_count, sizeof *out->known);
    out->sums = calloc(lines * 2, sizeof *out->sums);
    out->staging = calloc(lines * MOMENTS, sizeof *out->staging);
    if (!out->known || !out->sums || !out->staging)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for statistics of the VAE's tiles");
    SVR_TRY(svr_exec_alloc(run->exec, SVR_F32, SVR_DIMS(half->norm_count, frames, groups, MOMENTS),
                           &out->pooled, err));
    return svr_exec_alloc(run->exec, SVR_F32, SVR_DIMS(frames, groups, MOMENTS), &out->measured,
                          err);
}

void svr_vae_statistics_end(vae_run *run, vae_statistics *s)
{
    svr_exec_free(run->exec, &s->measured);
    svr_exec_free(run->exec, &s->pooled);
    free(s->known);
    free(s->sums);
    free(s->staging);
    *s = (vae_statistics){0};
}

/* [frames,groups,3] of a norm. */
static svr_tensor pooled_of(const vae_statistics *s, const vae_norm *norm)
{
    svr_tensor one = svr_tensor_slice(&s->pooled, norm->index, 1);

    return svr_tensor_3d(one.data, SVR_F32, one.dims[1], one.dims[2], one.dims[3]);
}

void svr_vae_share(const vae_run *run, const vae_norm *norm, const svr_tensor *x,
                   svr_tensor *moments)
{
    const vae_statistics *s = run->statistics;
    svr_tensor all;

    if (!s || !s->known[norm->index])
        return;
    all = pooled_of(s, norm);
    *moments = svr_tensor_slice(&all, run->at, x->dims[0]);
}

/* The tile's core in frames of `x` rows or columns along an axis. */
static void core_of(const vae_statistics *s, int axis, int64_t x, int64_t *from, int64_t *size)
{
    int64_t scale = x / s->tile[axis], end = s->core[axis][1];

    *from = s->core[axis][0] * scale;
    /* at the picture's border there may be pixels beyond whole latent ones */
    *size = (end == s->tile[axis] ? x : end * scale) - *from;
}

svr_status svr_vae_measure(vae_run *run, const svr_tensor *x, int64_t first, svr_error *err)
{
    vae_statistics *s = run->statistics;
    int64_t frames = x->dims[0], corner[2], size[2];
    svr_group_moments_args args = {.moments = svr_tensor_slice(&s->measured, first, frames)};

    for (int axis = 0; axis < 2; axis++)
        core_of(s, axis, x->dims[axis + 1], &corner[axis], &size[axis]);
    s->reach = first + frames;
    s->pixels = size[0] * size[1];
    SVR_TRY(svr_exec_alloc(run->exec, x->dtype, SVR_DIMS(frames, size[0], size[1], x->dims[3]),
                           &args.x, err));
    SVR_TRY(svr_vae_cut_window(run, x, corner, &args.x, err));
    SVR_TRY(svr_op_group_moments(run->exec, &args, err));
    svr_exec_free(run->exec, &args.x);
    return SVR_OK;
}

svr_status svr_vae_statistics_add(vae_run *run, svr_error *err)
{
    vae_statistics *s = run->statistics;
    double pixels = (double) s->pixels;

    SVR_TRY(svr_backend_download(run->exec->backend, s->staging, s->measured.data,
                                 svr_tensor_bytes(&s->measured), err));
    s->weight += pixels;
    for (int64_t i = 0; i < s->reach * s->groups; i++) {
        const float *m = s->staging + i * MOMENTS;
        double mean = (double) m[0] + (double) m[1];

        s->sums[2 * i] += pixels * mean;
        s->sums[2 * i + 1] += pixels * ((double) m[2] + mean * mean);
    }
    return SVR_OK;
}

/* A download went before, so no op that is at work reads older ones. */
svr_status svr_vae_statistics_pool(vae_run *run, const vae_norm *norm, svr_error *err)
{
    vae_statistics *s = run->statistics;
    svr_tensor to = pooled_of(s, norm);

    for (int64_t i = 0; i < s->frames * s->groups; i++) {
        double mean = s->sums[2 * i] / s->weight, square = s->sums[2 * i + 1] / s->weight;
        float *m = s->staging + i * MOMENTS;

        m[0] = (float) mean;
        m[1] = (float) (mean - (double) m[0]);
        m[2] = (float) fmax(square - mean * mean, 0);
        s->sums[2 * i] = s->sums[2 * i + 1] = 0;
    }
    s->weight = 0;
    s->known[norm->index] = true;
    return svr_backend_upload(run->exec->backend, to.data, s->staging, svr_tensor_bytes(&to), err);
}
