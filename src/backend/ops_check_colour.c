#include "backend/ops_check.h"

static svr_status check_range(const char *op, const float lo[3], const float hi[3], svr_error *err)
{
    return svr_check_option(op, lo[0] < hi[0] && lo[1] < hi[1] && lo[2] < hi[2],
                            "lo must be below hi in every channel", err);
}

svr_status svr_check_adain(const svr_adain_args *args, svr_error *err)
{
    static const svr_operand operands[] = {
        SVR_OPERAND(adain, content, "THW3", F32, SVR_OPERAND_IN_PLACE),
        SVR_OPERAND(adain, style, "THW3", F32, 0),
        SVR_OPERAND(adain, y, "THW3", F32, SVR_OPERAND_WRITTEN),
    };

    SVR_TRY(SVR_CHECK_OPERANDS("adain", args, operands, err));
    return svr_check_option("adain", args->y.dims[1] > 1 || args->y.dims[2] > 1,
                            "the unbiased deviation needs at least 2 pixels in a frame", err);
}

static svr_status check_lab(const char *op, const svr_lab_args *args, svr_error *err)
{
    static const svr_operand operands[] = {
        SVR_OPERAND(lab, x, "THW3", F32, SVR_OPERAND_IN_PLACE),
        SVR_OPERAND(lab, y, "THW3", F32, SVR_OPERAND_WRITTEN),
    };

    return SVR_CHECK_OPERANDS(op, args, operands, err);
}

svr_status svr_check_rgb_to_lab(const svr_rgb_to_lab_args *args, svr_error *err)
{
    return check_lab("rgb_to_lab", args, err);
}

svr_status svr_check_lab_to_rgb(const svr_lab_to_rgb_args *args, svr_error *err)
{
    return check_lab("lab_to_rgb", args, err);
}

svr_status svr_check_histogram(const svr_histogram_args *args, svr_error *err)
{
    static const svr_operand operands[] = {
        SVR_OPERAND(histogram, x, "THW3", F32, 0),
        SVR_OPERAND(histogram, counts, "3.", I32, SVR_OPERAND_WRITTEN),
    };

    SVR_TRY(SVR_CHECK_OPERANDS("histogram", args, operands, err));
    return check_range("histogram", args->lo, args->hi, err);
}

svr_status svr_check_match_histogram(const svr_match_histogram_args *args, svr_error *err)
{
    static const svr_operand operands[] = {
        SVR_OPERAND(match_histogram, x, "THW3", F32, SVR_OPERAND_IN_PLACE),
        SVR_OPERAND(match_histogram, counts, "3B", I32, 0),
        SVR_OPERAND(match_histogram, ref_counts, "3B", I32, 0),
        SVR_OPERAND(match_histogram, y, "THW3", F32, SVR_OPERAND_WRITTEN),
    };

    SVR_TRY(SVR_CHECK_OPERANDS("match_histogram", args, operands, err));
    return check_range("match_histogram", args->lo, args->hi, err);
}

svr_status svr_check_match_ranks(const svr_match_ranks_args *args, svr_error *err)
{
    static const svr_operand operands[] = {
        SVR_OPERAND(match_ranks, x, "THW3", F32, SVR_OPERAND_IN_PLACE),
        SVR_OPERAND(match_ranks, ref, "THW3", F32, 0),
        SVR_OPERAND(match_ranks, y, "THW3", F32, SVR_OPERAND_WRITTEN),
    };

    return SVR_CHECK_OPERANDS("match_ranks", args, operands, err);
}

svr_status svr_check_hsv(const svr_hsv_args *args, svr_error *err)
{
    static const svr_operand operands[] = {
        SVR_OPERAND(hsv, content, "THW3", F32, SVR_OPERAND_IN_PLACE),
        SVR_OPERAND(hsv, style, "THW3", F32, 0),
        SVR_OPERAND(hsv, y, "THW3", F32, SVR_OPERAND_WRITTEN),
    };

    return SVR_CHECK_OPERANDS("hsv", args, operands, err);
}

svr_status svr_check_saturation_mix(const svr_saturation_mix_args *args, svr_error *err)
{
    static const svr_operand operands[] = {
        SVR_OPERAND(saturation_mix, content, "THW3", F32, SVR_OPERAND_IN_PLACE),
        SVR_OPERAND(saturation_mix, style, "THW3", F32, SVR_OPERAND_IN_PLACE),
        SVR_OPERAND(saturation_mix, wavelet, "THW3", F32, SVR_OPERAND_IN_PLACE),
        SVR_OPERAND(saturation_mix, hsv, "THW3", F32, SVR_OPERAND_IN_PLACE),
        SVR_OPERAND(saturation_mix, y, "THW3", F32, SVR_OPERAND_WRITTEN),
    };

    return SVR_CHECK_OPERANDS("saturation_mix", args, operands, err);
}

svr_status svr_check_alpha_guide(const svr_alpha_guide_args *args, svr_error *err)
{
    static const svr_operand operands[] = {
        SVR_OPERAND(alpha_guide, alpha, "THW", F32, 0),
        SVR_OPERAND(alpha_guide, rgb, "THW3", F32, 0),
        SVR_OPERAND(alpha_guide, y, "THW", F32, SVR_OPERAND_WRITTEN),
        SVR_OPERAND(alpha_guide, edges, "THW", F32, SVR_OPERAND_OPTIONAL | SVR_OPERAND_WRITTEN),
    };

    SVR_TRY(SVR_CHECK_OPERANDS("alpha_guide", args, operands, err));
    return svr_check_option("alpha_guide", args->mask_like || !svr_tensor_present(&args->edges),
                            "an edge map is made for mask-like alpha only", err);
}
