#include "backend/ops_check.h"

static svr_status check_colorimetry(const char *op, const svr_video_info *info, svr_error *err)
{
    double kr = info->color.kr, kb = info->color.kb;

    return svr_check_option(op,
                            svr_pixel_layout_of(info->format)->kind == SVR_KIND_RGB ||
                                (kr > 0 && kb > 0 && kr + kb < 1),
                            "the luma weights of red and blue must be positive and leave something "
                            "for green",
                            err);
}

/* Planes that are there and rows that do not overlap; negative strides (bottom up) are fine. */
static svr_status check_frame(const char *op, const svr_video_info *info, const svr_frame *frame,
                              svr_error *err)
{
    SVR_TRY(svr_check_option(op, (unsigned) info->format < SVR_PIXEL_FORMAT_COUNT,
                             "the pixel format is unknown", err));
    SVR_TRY(svr_check_option(op, info->width > 0 && info->height > 0,
                             "the frame must have at least one pixel", err));
    SVR_TRY(check_colorimetry(op, info, err));
    for (int p = 0; p < svr_pixel_planes(info->format); p++) {
        uintptr_t word = svr_pixel_layout_of(info->format)->word;
        ptrdiff_t stride = frame->stride[p], row = (ptrdiff_t) svr_plane_row_bytes(info, p);

        SVR_TRY(
            svr_check_option(op, frame->plane[p] != NULL, "a plane of the frame is missing", err));
        SVR_TRY(svr_check_option(op,
                                 stride >= row || stride <= -row || svr_plane_rows(info, p) == 1,
                                 "the stride of a plane is smaller than its rows", err));
        SVR_TRY(svr_check_option(
            op, ((uintptr_t) frame->plane[p] | (uintptr_t) stride) % word == 0,
            "rows of a plane must start at multiples of the format's 2 or 4 byte words", err));
    }
    return SVR_OK;
}

static svr_status check_frame_size(const char *op, const svr_video_info *info,
                                   const svr_tensor *rgb, svr_error *err)
{
    svr_tensor frame = svr_tensor_2d(NULL, SVR_U8, info->height, info->width);

    return svr_check_dims(op, "rgb", rgb, (int64_t[]){info->height, info->width, 3}, &frame, err);
}

svr_status svr_check_unpack(const svr_unpack_args *args, svr_error *err)
{
    static const svr_operand operands[] = {
        SVR_OPERAND(unpack, rgb, "HW3", F32, SVR_OPERAND_WRITTEN),
        SVR_OPERAND(unpack, alpha, "HW", F32, SVR_OPERAND_OPTIONAL | SVR_OPERAND_WRITTEN),
    };

    SVR_TRY(SVR_CHECK_OPERANDS("unpack", args, operands, err));
    SVR_TRY(check_frame("unpack", &args->info, &args->frame, err));
    return check_frame_size("unpack", &args->info, &args->rgb, err);
}

svr_status svr_check_pack(const svr_pack_args *args, svr_error *err)
{
    static const svr_operand operands[] = {
        SVR_OPERAND(pack, rgb, "HW3", F32, 0),
        SVR_OPERAND(pack, alpha, "HW", F32, SVR_OPERAND_OPTIONAL),
    };

    SVR_TRY(SVR_CHECK_OPERANDS("pack", args, operands, err));
    SVR_TRY(check_frame("pack", &args->info, &args->frame, err));
    return check_frame_size("pack", &args->info, &args->rgb, err);
}

/* A longer row of taps than the input could not stay inside it. */
static svr_status check_taps(const svr_tensor *weight, int64_t input, const svr_tensor *x,
                             svr_error *err)
{
    return svr_check_fit(weight->dims[1] <= input, "resize: more taps than the input x has pixels",
                         weight, x, err);
}

svr_status svr_check_resize(const svr_resize_args *args, svr_error *err)
{
    static const svr_operand operands[] = {
        SVR_OPERAND(resize, x, "T..C", F32, 0),
        SVR_OPERAND(resize, y, "THWC", F32, SVR_OPERAND_WRITTEN),
        SVR_OPERAND(resize, horizontal.first, "W", I32, 0),
        SVR_OPERAND(resize, horizontal.weight, "W.", F32, 0),
        SVR_OPERAND(resize, vertical.first, "H", I32, 0),
        SVR_OPERAND(resize, vertical.weight, "H.", F32, 0),
    };

    SVR_TRY(SVR_CHECK_OPERANDS("resize", args, operands, err));
    SVR_TRY(check_taps(&args->horizontal.weight, args->x.dims[2], &args->x, err));
    return check_taps(&args->vertical.weight, args->x.dims[1], &args->x, err);
}

svr_status svr_check_to_model(const svr_to_model_args *args, svr_error *err)
{
    static const svr_operand operands[] = {
        SVR_OPERAND(to_model, x, "T..3", F32, 0),
        SVR_OPERAND(to_model, y, "T..3", STORAGE, SVR_OPERAND_WRITTEN),
    };

    SVR_TRY(SVR_CHECK_OPERANDS("to_model", args, operands, err));
    SVR_TRY(svr_check_option("to_model", (unsigned) args->padding < SVR_PADDING_COUNT,
                             "padding must be black or replicate", err));
    return svr_check_fit(args->y.dims[1] >= args->x.dims[1] && args->y.dims[2] >= args->x.dims[2],
                         "to_model: y must be at least as high and wide as x", &args->y, &args->x,
                         err);
}

svr_status svr_check_crop(const svr_crop_args *args, svr_error *err)
{
    static const svr_operand operands[] = {
        SVR_OPERAND(crop, x, "T..C", STORAGE, 0),
        SVR_OPERAND(crop, y, "T..C", STORAGE, SVR_OPERAND_WRITTEN),
    };

    SVR_TRY(SVR_CHECK_OPERANDS("crop", args, operands, err));
    return svr_check_fit(args->y.dims[1] <= args->x.dims[1] && args->y.dims[2] <= args->x.dims[2],
                         "crop: y must not be higher or wider than x", &args->y, &args->x, err);
}

svr_status svr_check_blur(const svr_blur_args *args, svr_error *err)
{
    static const svr_operand operands[] = {
        SVR_OPERAND(blur, x, "THWC", F32, 0),
        SVR_OPERAND(blur, y, "THWC", F32, SVR_OPERAND_WRITTEN),
    };

    SVR_TRY(SVR_CHECK_OPERANDS("blur", args, operands, err));
    return svr_check_option("blur", args->radius >= 1, "the radius must be at least 1", err);
}
