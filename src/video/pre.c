#include "video/pre.h"

#include <assert.h>
#include <float.h>
#include <inttypes.h>
#include <stdlib.h>

struct svr_pre {
    svr_video_info in;
    svr_size_plan plan;
    int stages;              /* resizes that change the size, 0..2 */
    svr_resampler *stage[2]; /* [stages] */
    svr_size stage_size[2];  /* their results */
    svr_resampler *alpha;    /* input to output size; formats with alpha only */
    bool on_device;          /* source frames are */
};

static svr_size input_size(const svr_pre *pre)
{
    return (svr_size){pre->in.width, pre->in.height};
}

static svr_size last_size(const svr_pre *pre)
{
    return pre->plan.resize[pre->plan.resizes - 1];
}

/* ---------------------------------------------------------------------------- life */

static svr_status check_plan(const svr_video_info *in, const svr_size_plan *plan, svr_error *err)
{
    svr_size last = plan->resize[plan->resizes - 1];

    if (in->width < 1 || in->height < 1)
        return SVR_FAIL(err, SVR_ERR_INVALID, "the input is %dx%d; frames need at least one pixel",
                        in->width, in->height);
    if (plan->output.width < 1 || plan->output.height < 1 || plan->output.width > last.width ||
        plan->output.height > last.height || plan->padded.width < last.width ||
        plan->padded.height < last.height)
        return SVR_FAIL(err, SVR_ERR_INVALID,
                        "sizes %dx%d resized, %dx%d output, %dx%d padded do not fit into each "
                        "other; ask for a larger output",
                        last.width, last.height, plan->output.width, plan->output.height,
                        plan->padded.width, plan->padded.height);
    return SVR_OK;
}

static svr_status create_stages(svr_backend *backend, svr_pre *pre, svr_error *err)
{
    svr_size from = input_size(pre);

    for (int i = 0; i < pre->plan.resizes; i++) {
        svr_size to = pre->plan.resize[i];

        if (from.width == to.width && from.height == to.height)
            continue;
        SVR_TRY(svr_resampler_create(backend, from, to, &pre->stage[pre->stages], err));
        pre->stage_size[pre->stages++] = to;
        from = to;
    }
    if (!svr_pixel_has_alpha(pre->in.format))
        return SVR_OK;
    return svr_resampler_create(backend, (svr_size){pre->in.width, pre->in.height},
                                pre->plan.output, &pre->alpha, err);
}

svr_status svr_pre_create(svr_backend *backend, const svr_video_info *in, const svr_size_plan *plan,
                          svr_pre **out, svr_error *err)
{
    svr_pre *pre;
    svr_status status;

    *out = NULL;
    SVR_TRY(check_plan(in, plan, err));
    pre = calloc(1, sizeof *pre);
    if (!pre)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for the frame preparation");
    pre->in = *in;
    pre->plan = *plan;
    status = create_stages(backend, pre, err);
    if (status != SVR_OK) {
        svr_pre_destroy(pre);
        return status;
    }
    *out = pre;
    return SVR_OK;
}

void svr_pre_destroy(svr_pre *pre)
{
    if (!pre)
        return;
    svr_resampler_destroy(pre->stage[0]);
    svr_resampler_destroy(pre->stage[1]);
    svr_resampler_destroy(pre->alpha);
    free(pre);
}

void svr_pre_set_on_device(svr_pre *pre, bool on_device)
{
    pre->on_device = on_device;
}

/* ---------------------------------------------------------------------------- pictures */

static svr_status alloc_picture(svr_exec *exec, svr_size size, svr_tensor *out, svr_error *err)
{
    return svr_exec_alloc(exec, SVR_F32, SVR_DIMS(1, size.height, size.width, 3), out, err);
}

/* Puts a frame from host memory where the device sees it, in new scratch. */
static svr_status upload(svr_exec *exec, const svr_pre *pre, const uint8_t *data, svr_tensor *bytes,
                         svr_error *err)
{
    size_t size = svr_frame_bytes(&pre->in);

    SVR_TRY(svr_exec_alloc(exec, SVR_U8, SVR_DIMS((int64_t) size), bytes, err));
    return svr_backend_upload(exec->backend, bytes->data, data, size, err);
}

/* A frame's integers to unit values.   rgb [1,h,w,3], alpha optional [1,h,w], at the input's size.
 */
static svr_status unpack(svr_exec *exec, const svr_pre *pre, const uint8_t *data,
                         const svr_tensor *rgb, const svr_tensor *alpha, svr_error *err)
{
    int64_t h = pre->in.height, w = pre->in.width;
    svr_unpack_args args = {.info = pre->in, .rgb = svr_tensor_3d(rgb->data, SVR_F32, h, w, 3)};
    svr_tensor bytes = {0};

    if (!pre->on_device) {
        SVR_TRY(upload(exec, pre, data, &bytes, err));
        data = bytes.data;
    }
    args.frame = svr_frame_to_read(&pre->in, data);
    if (alpha)
        args.alpha = svr_tensor_2d(alpha->data, SVR_F32, h, w);
    SVR_TRY(svr_op_unpack(exec, &args, err));
    svr_exec_free(exec, &bytes);
    return SVR_OK;
}

/* The frame after all resizes, in unit values that may lie beyond [0,1].   rgb [1,H,W,3]. */
static svr_status unpack_resized(svr_exec *exec, const svr_pre *pre, const uint8_t *data,
                                 const svr_tensor *rgb, const svr_tensor *alpha, svr_error *err)
{
    svr_tensor from, to;

    if (pre->stages == 0)
        return unpack(exec, pre, data, rgb, alpha, err);
    SVR_TRY(alloc_picture(exec, input_size(pre), &from, err));
    SVR_TRY(unpack(exec, pre, data, &from, alpha, err));
    if (pre->stages == 2) {
        SVR_TRY(alloc_picture(exec, pre->stage_size[0], &to, err));
        SVR_TRY(svr_resampler_run(exec, pre->stage[0], &from, &to, err));
        svr_exec_free(exec, &from);
        from = to;
    }
    SVR_TRY(svr_resampler_run(exec, pre->stage[pre->stages - 1], &from, rgb, err));
    svr_exec_free(exec, &from);
    return SVR_OK;
}

static svr_status clamp_to_unit(svr_exec *exec, const svr_tensor *x, svr_error *err)
{
    return svr_op_lincomb(
        exec,
        &(svr_lincomb_args){.a = *x, .y = *x, .alpha = 1.0f, .clamp = true, .lo = 0.0f, .hi = 1.0f},
        err);
}

svr_status svr_pre_unit(svr_exec *exec, const svr_pre *pre, const uint8_t *data,
                        const svr_tensor *rgb, const svr_tensor *alpha, svr_error *err)
{
    svr_size size = last_size(pre);
    svr_tensor picture = svr_tensor_4d(rgb->data, SVR_F32, 1, size.height, size.width, 3);

    assert(svr_tensor_elems(rgb) == svr_tensor_elems(&picture));
    SVR_TRY(unpack_resized(exec, pre, data, &picture, alpha, err));
    return clamp_to_unit(exec, &picture, err);
}

svr_status svr_pre_model(svr_exec *exec, const svr_pre *pre, const uint8_t *data,
                         const svr_tensor *y, svr_error *err)
{
    svr_tensor picture;

    SVR_TRY(alloc_picture(exec, last_size(pre), &picture, err));
    SVR_TRY(unpack_resized(exec, pre, data, &picture, NULL, err));
    SVR_TRY(svr_op_to_model(
        exec, &(svr_to_model_args){.x = picture, .y = *y, .padding = pre->plan.padding}, err));
    svr_exec_free(exec, &picture);
    return SVR_OK;
}

svr_status svr_pre_style(svr_exec *exec, const svr_pre *pre, const uint8_t *data,
                         const svr_tensor *style, svr_error *err)
{
    svr_size last = last_size(pre), output = pre->plan.output;
    svr_tensor picture, cut;

    SVR_TRY(alloc_picture(exec, last, &picture, err));
    SVR_TRY(unpack_resized(exec, pre, data, &picture, NULL, err));
    if (last.width != output.width || last.height != output.height) {
        SVR_TRY(alloc_picture(exec, output, &cut, err));
        SVR_TRY(svr_op_crop(exec, &(svr_crop_args){.x = picture, .y = cut}, err));
        svr_exec_free(exec, &picture);
        picture = cut;
    }
    SVR_TRY(svr_op_to_model(exec, &(svr_to_model_args){.x = picture, .y = *style}, err));
    svr_exec_free(exec, &picture);
    return SVR_OK;
}

/* ---------------------------------------------------------------------------- transparency */

/* Unit alpha of all frames at the input's size.   planes [count,h,w]. */
static svr_status unpack_alpha(svr_exec *exec, const svr_pre *pre, const uint8_t *const *data,
                               const svr_tensor *planes, svr_error *err)
{
    svr_tensor rgb;

    SVR_TRY(alloc_picture(exec, input_size(pre), &rgb, err));
    for (int64_t i = 0; i < planes->dims[0]; i++) {
        svr_tensor plane = svr_tensor_slice(planes, i, 1);

        SVR_TRY(svr_exec_poll(exec, err));
        SVR_TRY(unpack(exec, pre, data[i], &rgb, &plane, err));
    }
    svr_exec_free(exec, &rgb);
    return SVR_OK;
}

/* Values that are nearly 0 or nearly 1. */
static int64_t count_decided(const float *alpha, int64_t n)
{
    int64_t decided = 0;

    for (int64_t i = 0; i < n; i++)
        decided += alpha[i] < 0.1f || alpha[i] > 0.9f;
    return decided;
}

/* Whether the batch's alpha is a mask: more than 95 % of it is decided. */
static svr_status decide_mask_like(svr_exec *exec, const svr_tensor *planes, bool *mask_like,
                                   svr_error *err)
{
    int64_t pixels = planes->dims[1] * planes->dims[2], decided = 0;
    float *host = malloc((size_t) pixels * sizeof *host);
    svr_status status = SVR_OK;

    if (!host)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for an alpha plane of %" PRId64 " pixels",
                        pixels);
    for (int64_t i = 0; status == SVR_OK && i < planes->dims[0]; i++) {
        svr_tensor plane = svr_tensor_slice(planes, i, 1);

        status =
            svr_backend_download(exec->backend, host, plane.data, svr_tensor_bytes(&plane), err);
        if (status == SVR_OK)
            decided += count_decided(host, pixels);
    }
    free(host);
    *mask_like = (double) decided / (double) (pixels * planes->dims[0]) > 0.95;
    return status;
}

/* Whether any value lies below 0: a histogram of one bin counts them on the device. */
static svr_status find_negative(svr_exec *exec, const svr_tensor *rgb, bool *negative,
                                svr_error *err)
{
    svr_histogram_args args = {
        .x = *rgb, .lo = {-1e30f, -1e30f, -1e30f}, .hi = {-FLT_MIN, -FLT_MIN, -FLT_MIN}};
    int32_t counts[3] = {0};

    SVR_TRY(svr_exec_alloc(exec, SVR_I32, SVR_DIMS(3, 1), &args.counts, err));
    SVR_TRY(svr_op_histogram(exec, &args, err));
    SVR_TRY(svr_backend_download(exec->backend, counts, args.counts.data, sizeof counts, err));
    svr_exec_free(exec, &args.counts);
    *negative = counts[0] > 0 || counts[1] > 0 || counts[2] > 0;
    return SVR_OK;
}

/* Alpha of one frame to the output's size.   plane [1,h,w]; `args` has rgb [1,oh,ow,3],
 * y [1,oh,ow] and the decisions about the batch. */
static svr_status guide_alpha(svr_exec *exec, const svr_pre *pre, const svr_tensor *plane,
                              svr_alpha_guide_args *args, svr_error *err)
{
    int64_t oh = pre->plan.output.height, ow = pre->plan.output.width;
    svr_tensor x = svr_tensor_4d(plane->data, SVR_F32, 1, pre->in.height, pre->in.width, 1);
    svr_tensor large;

    SVR_TRY(svr_exec_alloc(exec, SVR_F32, SVR_DIMS(1, oh, ow, 1), &large, err));
    SVR_TRY(svr_resampler_run(exec, pre->alpha, &x, &large, err));
    SVR_TRY(clamp_to_unit(exec, &large, err));
    args->alpha = svr_tensor_3d(large.data, SVR_F32, 1, oh, ow);
    SVR_TRY(svr_op_alpha_guide(exec, args, err));
    svr_exec_free(exec, &large);
    return SVR_OK;
}

svr_status svr_pre_alpha(svr_exec *exec, const svr_pre *pre, const uint8_t *const *data,
                         const svr_tensor *rgb, const svr_tensor *alpha, svr_error *err)
{
    int64_t count = rgb->dims[0];
    svr_alpha_guide_args args = {.inside_only = true};
    svr_tensor planes;

    assert(pre->alpha && alpha->dims[0] == count);
    SVR_TRY(svr_exec_alloc(exec, SVR_F32, SVR_DIMS(count, pre->in.height, pre->in.width), &planes,
                           err));
    SVR_TRY(unpack_alpha(exec, pre, data, &planes, err));
    SVR_TRY(decide_mask_like(exec, &planes, &args.mask_like, err));
    SVR_TRY(find_negative(exec, rgb, &args.negative_rgb, err));
    for (int64_t i = 0; i < count; i++) {
        svr_tensor plane = svr_tensor_slice(&planes, i, 1);

        SVR_TRY(svr_exec_poll(exec, err));
        args.rgb = svr_tensor_slice(rgb, i, 1);
        args.y = svr_tensor_slice(alpha, i, 1);
        SVR_TRY(guide_alpha(exec, pre, &plane, &args, err));
    }
    svr_exec_free(exec, &planes);
    return SVR_OK;
}
