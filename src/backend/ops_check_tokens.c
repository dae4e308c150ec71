#include "backend/ops_check.h"

enum { MAX_PATCH = 64 };

svr_status svr_check_rms_norm(const svr_rms_norm_args *args, svr_error *err)
{
    static const svr_operand operands[] = {
        SVR_OPERAND(rms_norm, x, ".D", STORAGE, 0),
        SVR_OPERAND(rms_norm, weight, "D", F32, SVR_OPERAND_OPTIONAL),
        SVR_OPERAND(rms_norm, scale, "D", F32, SVR_OPERAND_OPTIONAL),
        SVR_OPERAND(rms_norm, shift, "D", F32, SVR_OPERAND_OPTIONAL),
        SVR_OPERAND(rms_norm, rows, "M", I32, SVR_OPERAND_OPTIONAL),
        SVR_OPERAND(rms_norm, y, "MD", FACTOR, SVR_OPERAND_WRITTEN),
        SVR_OPERAND(rms_norm, y_scale, "M", F32, SVR_OPERAND_OPTIONAL | SVR_OPERAND_WRITTEN),
    };
    static const char *const y[2] = {"y", "y_scale"};

    SVR_TRY(SVR_CHECK_OPERANDS("rms_norm", args, operands, err));
    SVR_TRY(svr_check_scale("rms_norm", y, &args->y, &args->y_scale, err));
    SVR_TRY(svr_check_fit(svr_tensor_present(&args->rows) || args->x.dims[0] == args->y.dims[0],
                          "rms_norm: without rows, x and y must have the same number of them",
                          &args->x, &args->y, err));
    SVR_TRY(svr_check_option("rms_norm",
                             svr_tensor_present(&args->scale) == svr_tensor_present(&args->shift),
                             "scale and shift go together; give both or none", err));
    return svr_check_option("rms_norm", args->eps >= 0, "eps must not be negative", err);
}

static svr_status check_patch(const char *op, int patch, svr_error *err)
{
    return svr_check_option(op, patch >= 1 && patch <= MAX_PATCH, "patch must be between 1 and 64",
                            err);
}

svr_status svr_check_patchify(const svr_patchify_args *args, svr_error *err)
{
    static const svr_operand operands[] = {
        SVR_OPERAND(patchify, a, "THW.", STORAGE, 0),
        SVR_OPERAND(patchify, b, "THW.", STORAGE, SVR_OPERAND_OPTIONAL),
        SVR_OPERAND(patchify, y, "..", STORAGE, SVR_OPERAND_WRITTEN),
    };
    const int64_t *a = args->a.dims;
    int64_t p = args->patch, channels = a[3];

    SVR_TRY(SVR_CHECK_OPERANDS("patchify", args, operands, err));
    SVR_TRY(check_patch("patchify", args->patch, err));
    SVR_TRY(svr_check_fit(a[1] % p == 0 && a[2] % p == 0,
                          "patchify: height and width of a must be multiples of the patch",
                          &args->a, &args->y, err));
    if (svr_tensor_present(&args->b))
        channels += args->b.dims[3];
    return svr_check_dims("patchify", "y", &args->y,
                          (int64_t[]){a[0] * (a[1] / p) * (a[2] / p), p * p * channels}, &args->a,
                          err);
}

svr_status svr_check_unpatchify(const svr_unpatchify_args *args, svr_error *err)
{
    static const svr_operand operands[] = {
        SVR_OPERAND(unpatchify, x, "..", STORAGE, 0),
        SVR_OPERAND(unpatchify, y, "....", STORAGE, SVR_OPERAND_WRITTEN),
    };
    const int64_t *y = args->y.dims;
    int64_t p = args->patch;

    SVR_TRY(SVR_CHECK_OPERANDS("unpatchify", args, operands, err));
    SVR_TRY(check_patch("unpatchify", args->patch, err));
    SVR_TRY(svr_check_fit(y[1] % p == 0 && y[2] % p == 0,
                          "unpatchify: height and width of y must be multiples of the patch",
                          &args->y, &args->x, err));
    return svr_check_dims("unpatchify", "x", &args->x,
                          (int64_t[]){y[0] * (y[1] / p) * (y[2] / p), p * p * y[3]}, &args->y, err);
}

svr_status svr_check_qk_norm_rope(const svr_qk_norm_rope_args *args, svr_error *err)
{
    static const svr_operand operands[] = {
        SVR_OPERAND(qk_norm_rope, qkv, "S3Hd", STORAGE, SVR_OPERAND_WRITTEN),
        SVR_OPERAND(qk_norm_rope, norm_q, "d", F32, 0),
        SVR_OPERAND(qk_norm_rope, norm_k, "d", F32, 0),
        SVR_OPERAND(qk_norm_rope, rows, "S3", I32, SVR_OPERAND_OPTIONAL),
        SVR_OPERAND(qk_norm_rope, cosines, "Rp", F32, SVR_OPERAND_OPTIONAL),
        SVR_OPERAND(qk_norm_rope, sines, "Rp", F32, SVR_OPERAND_OPTIONAL),
    };
    bool rotate = svr_tensor_present(&args->rows);

    SVR_TRY(SVR_CHECK_OPERANDS("qk_norm_rope", args, operands, err));
    SVR_TRY(svr_check_option("qk_norm_rope", args->eps >= 0, "eps must not be negative", err));
    if (!rotate)
        return SVR_OK;
    SVR_TRY(svr_check_option("qk_norm_rope",
                             svr_tensor_present(&args->cosines) && svr_tensor_present(&args->sines),
                             "rows need the tables cosines and sines", err));
    return svr_check_fit(6 * args->cosines.dims[1] <= args->qkv.dims[3],
                         "qk_norm_rope: three axes of cosines do not fit into a head of qkv",
                         &args->cosines, &args->qkv, err);
}

/* Windows must cover all video tokens, in order. */
static svr_status check_offsets(const svr_window_attention_args *args, svr_error *err)
{
    const int32_t *offsets = args->host_offsets;
    bool rising = true;

    if (args->window_count < 1 || !offsets)
        return svr_check_option("window_attention", false,
                                "at least one window and host_offsets are needed", err);
    SVR_TRY(svr_check_dims("window_attention", "offsets", &args->offsets,
                           (int64_t[]){(int64_t) args->window_count + 1}, &args->vid, err));
    for (int i = 0; i < args->window_count; i++)
        rising = rising && offsets[i] <= offsets[i + 1];
    return svr_check_option("window_attention",
                            offsets[0] >= 0 && rising &&
                                offsets[args->window_count] - offsets[0] == args->vid.dims[0],
                            "host_offsets must rise by the number of video tokens", err);
}

static svr_status check_text_result(const char *name, const svr_tensor *out, const svr_tensor *txt,
                                    svr_error *err)
{
    if (!svr_tensor_present(out))
        return SVR_OK;
    return svr_check_dims("window_attention", name, out,
                          (int64_t[]){txt->dims[0], txt->dims[2] * txt->dims[3]}, txt, err);
}

svr_status svr_check_window_attention(const svr_window_attention_args *args, svr_error *err)
{
    static const svr_operand operands[] = {
        SVR_OPERAND(window_attention, vid, "N3Hd", STORAGE, 0),
        SVR_OPERAND(window_attention, txt, "L3Hd", FIRST, 0),
        SVR_OPERAND(window_attention, order, "N", I32, SVR_OPERAND_OPTIONAL),
        SVR_OPERAND(window_attention, offsets, ".", I32, 0),
        SVR_OPERAND(window_attention, out_vid, "N.", STORAGE, SVR_OPERAND_WRITTEN),
        SVR_OPERAND(window_attention, out_txt, "L.", STORAGE,
                    SVR_OPERAND_OPTIONAL | SVR_OPERAND_WRITTEN),
        SVR_OPERAND(window_attention, text_sum, "L.", F32,
                    SVR_OPERAND_OPTIONAL | SVR_OPERAND_WRITTEN),
    };
    const int64_t *vid = args->vid.dims;
    int64_t width;

    SVR_TRY(SVR_CHECK_OPERANDS("window_attention", args, operands, err));
    SVR_TRY(check_offsets(args, err));
    width = vid[2] * vid[3];
    SVR_TRY(svr_check_dims("window_attention", "out_vid", &args->out_vid,
                           (int64_t[]){vid[0], width}, &args->vid, err));
    SVR_TRY(check_text_result("out_txt", &args->out_txt, &args->txt, err));
    SVR_TRY(check_text_result("text_sum", &args->text_sum, &args->txt, err));
    return svr_check_option("window_attention",
                            args->windows_before == 0 ||
                                (args->windows_before > 0 && (svr_tensor_present(&args->text_sum) ||
                                                              !svr_tensor_present(&args->out_txt))),
                            "the sum over the windows before must be in text_sum", err);
}

svr_status svr_check_guidance(const svr_guidance_args *args, svr_error *err)
{
    static const svr_operand operands[] = {
        SVR_OPERAND(guidance, pos, "NC", STORAGE, SVR_OPERAND_WRITTEN),
        SVR_OPERAND(guidance, neg, "NC", STORAGE, 0),
        SVR_OPERAND(guidance, x, "NC", STORAGE, SVR_OPERAND_OPTIONAL | SVR_OPERAND_WRITTEN),
    };

    SVR_TRY(SVR_CHECK_OPERANDS("guidance", args, operands, err));
    return svr_check_option("guidance", args->rescale == 0 || args->pos.dims[1] >= 2,
                            "rescale needs at least 2 channels for a deviation", err);
}

svr_status svr_check_noise(const svr_noise_args *args, svr_error *err)
{
    static const svr_operand operands[] = {
        SVR_OPERAND(noise, y, "THWC", STORAGE, SVR_OPERAND_WRITTEN),
    };
    int64_t channels = args->y.dims[3];

    SVR_TRY(SVR_CHECK_OPERANDS("noise", args, operands, err));
    /* a counter holds 256 groups of four channels per stream */
    return svr_check_option("noise", channels % 4 == 0 && channels <= 1024,
                            "y must have a multiple of 4 channels, at most 1024", err);
}
