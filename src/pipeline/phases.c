#include "pipeline/phases_internal.h"

#include "backend/ops.h"
#include "base/rng.h"
#include "video/temporal.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

/* ------------------------------------------------------------------ life */

svr_status svr_phases_create(svr_backend *backend, const svr_networks *networks,
                             const svr_phases_config *config, svr_phases **out, svr_error *err)
{
    svr_phases *p = calloc(1, sizeof *p);
    svr_status status;

    if (!p)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no host memory for a stream");
    p->backend = backend;
    p->networks = networks;
    p->config = *config;
    p->staging = malloc(svr_frame_bytes(&config->out));
    status = p->staging ? svr_pre_create(backend, &config->in, &config->sizes, &p->pre, err)
                        : SVR_FAIL(err, SVR_ERR_NO_MEM, "no host memory for an output frame");
    if (status != SVR_OK) {
        svr_phases_destroy(p);
        return status;
    }
    svr_pre_set_on_device(p->pre, config->in_on_device);
    *out = p;
    return SVR_OK;
}

void svr_phases_destroy(svr_phases *p)
{
    if (!p)
        return;
    svr_pre_destroy(p->pre);
    free(p->staging);
    free(p);
}

void svr_phases_slice_dims(const svr_phases *p, int frames, int64_t dims[4])
{
    dims[0] = frames;
    dims[1] = p->config.sizes.output.height;
    dims[2] = p->config.sizes.output.width;
    dims[3] = 3;
}

void svr_phases_park_guidance(svr_phases *p, bool park)
{
    p->config.sampler.park_on_host = park;
}

int64_t svr_phases_most_frames(const svr_phases *p)
{
    svr_size output = p->config.sizes.output;

    return svr_colour_most_frames(p->config.colour, (int64_t) output.width * output.height);
}

svr_size svr_phases_padded(const svr_phases *p)
{
    return p->config.sizes.padded;
}

void svr_phases_latent_grid(const svr_phases *p, int64_t frames, int grid[3])
{
    grid[0] = (int) ((frames - 1) / p->networks->temporal_factor) + 1;
    grid[1] = p->config.sizes.padded.height / p->networks->spatial_factor;
    grid[2] = p->config.sizes.padded.width / p->networks->spatial_factor;
}

svr_status svr_phases_prepare(svr_phases *p, int64_t frames, int grid[3], svr_error *err)
{
    svr_phases_latent_grid(p, frames, grid);
    return p->networks->prepare ? p->networks->prepare(p->networks->user, grid, err) : SVR_OK;
}

/* ------------------------------------------------------------------ times */

/* Adds the time since *mark to *sum and moves the mark; nothing without `sum`. */
static svr_status lap(svr_exec *exec, uint64_t *mark, uint64_t *sum, svr_error *err)
{
    struct timespec now;
    uint64_t ns;

    if (!sum)
        return SVR_OK;
    SVR_TRY(svr_backend_synchronize(exec->backend, err));
    clock_gettime(CLOCK_MONOTONIC, &now);
    ns = (uint64_t) now.tv_sec * 1000000000u + (uint64_t) now.tv_nsec;
    if (*mark != 0)
        *sum += ns - *mark;
    *mark = ns;
    return SVR_OK;
}

/* lap() for a part of the phase that began at `mark`. */
static svr_status lap_part(svr_exec *exec, uint64_t mark, uint64_t *sum, svr_error *err)
{
    return lap(exec, &mark, sum, err);
}

/* ------------------------------------------------------------------ compute */

/* Source of frame i of a batch after both mirrors. */
static int64_t source_index(const svr_phases_batch *batch, int64_t length, int64_t i)
{
    int64_t n = batch->count, whole = batch->uniform > batch->count ? batch->uniform : n;

    return svr_tail_index(n, whole - n, svr_tail_index(whole, length - whole, i));
}

/* x [length,Hp,Wp,3]: each source frame is prepared once, mirrored ones are copies. */
static svr_status fill_input(svr_phases *p, svr_exec *exec, const svr_phases_batch *batch,
                             const svr_tensor *x, svr_error *err)
{
    for (int64_t i = 0; i < x->dims[0]; i++) {
        svr_tensor frame = svr_tensor_slice(x, i, 1);

        SVR_TRY(svr_exec_poll(exec, err));
        if (i < batch->count) {
            SVR_TRY(svr_pre_model(exec, p->pre, batch->frames[i], &frame, err));
        } else {
            svr_copy_args copy = {.src = svr_tensor_slice(x, source_index(batch, x->dims[0], i), 1),
                                  .dst = frame};
            SVR_TRY(svr_op_copy(exec, &copy, err));
        }
    }
    return SVR_OK;
}

/* x [length,Hp,Wp,3] of a batch made up to `length` frames, in new scratch. */
static svr_status make_input(svr_phases *p, svr_exec *exec, const svr_phases_batch *batch,
                             int64_t length, svr_tensor *x, svr_error *err)
{
    const svr_size padded = p->config.sizes.padded;

    SVR_TRY(svr_exec_alloc(exec, p->networks->storage,
                           SVR_DIMS(length, padded.height, padded.width, 3), x, err));
    return fill_input(p, exec, batch, x, err);
}

/* latent [t,h,w,C] F32 of x, which is used up. */
static svr_status encode(svr_phases *p, svr_exec *exec, svr_tensor *x, const svr_tensor *latent,
                         svr_error *err)
{
    SVR_TRY(p->networks->encode(p->networks->user, exec, x, latent, err));
    return svr_exec_tap(exec, "b.latent", latent, err);
}

/* What the sampler's predictor needs. */
typedef struct conditioned {
    const svr_networks *networks;
    const svr_tensor *cond;
} conditioned;

static svr_status predict(void *user, svr_exec *exec, const svr_prediction *p, svr_error *err)
{
    const conditioned *c = user;

    SVR_TRY(c->networks->predict(c->networks->user, exec, c->cond, p, err));
    return p->negative ? SVR_OK : svr_exec_tap(exec, "b.v", p->v, err);
}

/* z = x_0 for the condition `latent`, from the noise of this place. */
static svr_status sample(svr_phases *p, svr_exec *exec, int64_t first_frame,
                         const svr_tensor *latent, const svr_tensor *z, svr_error *err)
{
    conditioned user = {p->networks, latent};
    svr_predictor predictor = {&user, predict};
    svr_noise_args noise = {.y = *z,
                            .seed = p->config.seed,
                            .stream = SVR_NOISE_BASE,
                            .frame0 = (uint32_t) (first_frame / p->networks->temporal_factor)};

    SVR_TRY(svr_op_noise(exec, &noise, err));
    SVR_TRY(svr_exec_tap(exec, "b.noise", z, err));
    return svr_sampler_run(exec, &p->config.sampler, &predictor, z, err);
}

/* `found` [1] I32 in scratch, 0: whether a result of the networks is not finite.  Infinities of a
 * 16-bit type become NaN in norms and softmax and reach the results, so those are all that is
 * searched. */
static svr_status watch_begin(svr_exec *exec, svr_tensor *found, svr_error *err)
{
    const int32_t no = 0;

    SVR_TRY(svr_exec_alloc(exec, SVR_I32, SVR_DIMS(1), found, err));
    return svr_backend_upload(exec->backend, found->data, &no, sizeof no, err);
}

static svr_status watch(svr_exec *exec, const svr_tensor *result, const svr_tensor *found,
                        svr_error *err)
{
    svr_find_overflow_args args = {.x = *result, .found = *found};

    return svr_op_find_overflow(exec, &args, err);
}

static svr_status watch_end(svr_phases *p, svr_exec *exec, svr_tensor *found, svr_error *err)
{
    int32_t overflow = 0;

    SVR_TRY(svr_backend_download(exec->backend, &overflow, found->data, sizeof overflow, err));
    svr_exec_free(exec, found);
    if (!overflow)
        return SVR_OK;
    return SVR_FAIL(err, SVR_ERR_OVERFLOW,
                    "the networks made numbers beyond the range of %s: choose another precision; "
                    "if it happens in fp32 too, the model file is damaged",
                    svr_dtype_name(p->networks->storage));
}

/* The first `frames` frames of the latent z as *y, in new memory for all of them.  Frames and rows
 * that are only there for the padding are not kept. */
static svr_status decode(svr_phases *p, svr_exec *exec, const svr_tensor *z, int64_t length,
                         int frames, svr_tensor *y, svr_error *err)
{
    svr_tensor whole = {.dtype = SVR_F32, .rank = 4};

    svr_phases_slice_dims(p, (int) length, whole.dims);
    SVR_TRY(p->networks->decode(p->networks->user, exec, z, frames, &whole, err));
    *y = svr_tensor_slice(&whole, 0, frames);
    return SVR_OK;
}

svr_status svr_phases_compute(svr_phases *p, svr_exec *exec, const svr_phases_batch *batch,
                              svr_tensor *y, svr_phase_times *times, svr_error *err)
{
    int whole = batch->uniform > batch->count ? batch->uniform : batch->count;
    int64_t length = svr_padded_length(whole, p->networks->temporal_factor);
    int channels = p->networks->latent_channels, grid[3];
    uint64_t mark = 0, start = 0;
    svr_tensor latent, x, z, found;

    assert(batch->count >= 1);
    SVR_TRY(svr_phases_prepare(p, length, grid, err));
    SVR_TRY(lap(exec, &mark, times ? &start : NULL, err));
    SVR_TRY(watch_begin(exec, &found, err));
    SVR_TRY(
        svr_exec_alloc(exec, SVR_F32, SVR_DIMS(grid[0], grid[1], grid[2], channels), &latent, err));
    SVR_TRY(make_input(p, exec, batch, length, &x, err));
    SVR_TRY(lap_part(exec, mark, times ? &times->input_ns : NULL, err));
    SVR_TRY(encode(p, exec, &x, &latent, err));
    svr_exec_note(exec, SVR_POINT_ENCODED);
    SVR_TRY(watch(exec, &latent, &found, err));
    SVR_TRY(lap(exec, &mark, times ? &times->encode_ns : NULL, err));
    SVR_TRY(svr_exec_alloc(exec, SVR_F32, SVR_DIMS(grid[0], grid[1], grid[2], channels), &z, err));
    SVR_TRY(sample(p, exec, batch->first_frame, &latent, &z, err));
    SVR_TRY(watch(exec, &z, &found, err));
    svr_exec_free(exec, &latent);
    SVR_TRY(lap(exec, &mark, times ? &times->dit_ns : NULL, err));
    SVR_TRY(decode(p, exec, &z, length, batch->count, y, err));
    svr_exec_note(exec, SVR_POINT_DECODED);
    SVR_TRY(watch(exec, y, &found, err));
    svr_exec_free(exec, &z);
    SVR_TRY(watch_end(p, exec, &found, err));
    return lap(exec, &mark, times ? &times->decode_ns : NULL, err);
}

/* ------------------------------------------------------------------ finish */

svr_status svr_phases_blend(svr_phases *p, svr_exec *exec, const svr_tensor *prev,
                            const svr_tensor *cur, svr_error *err)
{
    int n = (int) prev->dims[0];

    assert(svr_tensor_same_shape(prev, cur));
    for (int i = 0; i < n; i++) {
        float weight = svr_overlap_weight(n, i, p->config.reference_blend);
        svr_lincomb_args mix = {.a = svr_tensor_slice(prev, i, 1),
                                .b = svr_tensor_slice(cur, i, 1),
                                .y = svr_tensor_slice(prev, i, 1),
                                .alpha = weight,
                                .beta = 1.0f - weight};
        SVR_TRY(svr_op_lincomb(exec, &mix, err));
    }
    return SVR_OK;
}

/* A slice on its way out. */
typedef struct finishing {
    svr_phases *phases;
    const svr_phases_slice *slice;
} finishing;

static svr_status style_frame(void *user, svr_exec *exec, int frame, const svr_tensor *style,
                              svr_error *err)
{
    const finishing *f = user;

    return svr_pre_style(exec, f->phases->pre, f->slice->frames[frame], style, err);
}

/* alpha [count,oh,ow] when the source has one and the output wants it, else absent. */
static svr_status make_alpha(const finishing *f, svr_exec *exec, svr_tensor *alpha, svr_error *err)
{
    const svr_tensor *y = f->slice->y;
    const svr_phases_config *config = &f->phases->config;

    *alpha = (svr_tensor){0};
    if (!svr_pixel_has_alpha(config->in.format) || !svr_pixel_has_alpha(config->out.format))
        return SVR_OK;
    SVR_TRY(
        svr_exec_alloc(exec, SVR_F32, SVR_DIMS(y->dims[0], y->dims[1], y->dims[2]), alpha, err));
    return svr_pre_alpha(exec, f->phases->pre, f->slice->frames, y, alpha, err);
}

/* One frame as [H,W,..]. */
static svr_tensor picture(const svr_tensor *t, int frame)
{
    svr_tensor one = svr_tensor_slice(t, frame, 1);

    for (int i = 0; i + 1 < one.rank; i++)
        one.dims[i] = one.dims[i + 1];
    one.dims[--one.rank] = 0;
    return one;
}

/* Gives a packed frame to the sink, if there is one, complete and on the side where it is wanted.
 */
static svr_status hand_out(const finishing *f, svr_exec *exec, int index, const svr_tensor *packed,
                           svr_error *err)
{
    const svr_phases_slice *slice = f->slice;
    const svr_phases *p = f->phases;
    svr_mark packing;

    if (!slice->sink)
        return SVR_OK;
    if (!p->config.out_on_device) {
        SVR_TRY(svr_backend_download(exec->backend, p->staging, packed->data,
                                     (size_t) packed->dims[0], err));
        return slice->sink(slice->sink_user, index, p->staging, err);
    }
    SVR_TRY(svr_backend_mark(exec->backend, SVR_QUEUE_COMPUTE, &packing, err));
    SVR_TRY(svr_backend_await(exec->backend, packing, err));
    return slice->sink(slice->sink_user, index, packed->data, err);
}

static svr_status pack_frames(const finishing *f, svr_exec *exec, const svr_tensor *alpha,
                              svr_error *err)
{
    const svr_tensor *y = f->slice->y;
    const svr_video_info *info = &f->phases->config.out;
    size_t bytes = svr_frame_bytes(info);
    svr_tensor packed;

    SVR_TRY(svr_exec_alloc(exec, SVR_U8, SVR_DIMS((int64_t) bytes), &packed, err));
    for (int i = 0; i < (int) y->dims[0]; i++) {
        svr_pack_args pack = {.info = *info,
                              .frame = svr_frame_packed(info, packed.data),
                              .rgb = picture(y, i),
                              .truncate = f->phases->config.truncate};

        SVR_TRY(svr_exec_poll(exec, err));
        if (svr_tensor_present(alpha))
            pack.alpha = picture(alpha, i);
        SVR_TRY(svr_op_pack(exec, &pack, err));
        SVR_TRY(hand_out(f, exec, i, &packed, err));
    }
    svr_exec_free(exec, &packed);
    return SVR_OK;
}

svr_status svr_phases_finish(svr_phases *p, svr_exec *exec, const svr_phases_slice *slice,
                             svr_phase_times *times, svr_error *err)
{
    const svr_tensor *y = slice->y;
    finishing f = {p, slice};
    svr_colour_style style = {&f, style_frame};
    uint64_t mark = 0, start = 0;
    svr_tensor alpha;

    SVR_TRY(lap(exec, &mark, times ? &start : NULL, err));
    SVR_TRY(make_alpha(&f, exec, &alpha, err));
    SVR_TRY(svr_colour_correct(exec, p->config.colour, p->config.exact_colour, &style, y, err));
    SVR_TRY(lap_part(exec, mark, times ? &times->colour_ns : NULL, err));
    SVR_TRY(svr_exec_tap(exec, "b.out", y, err));
    SVR_TRY(pack_frames(&f, exec, &alpha, err));
    svr_exec_free(exec, &alpha);
    return lap(exec, &mark, times ? &times->finish_ns : NULL, err);
}
