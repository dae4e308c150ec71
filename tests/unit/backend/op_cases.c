#include "op_cases.h"

#include "fake_backend.h"

#define F32(...) fake_tensor(SVR_F32, SVR_DIMS(__VA_ARGS__))
#define F16(...) fake_tensor(SVR_F16, SVR_DIMS(__VA_ARGS__))
#define F8(...) fake_tensor(SVR_F8_E4M3, SVR_DIMS(__VA_ARGS__))
#define I32(...) fake_tensor(SVR_I32, SVR_DIMS(__VA_ARGS__))

svr_conv3d_args good_conv3d(void)
{
    return (svr_conv3d_args){.x = F16(3, 8, 10, 4),
                             .head = F16(2, 8, 10, 4),
                             .w = F32(6, 3, 3, 3, 4),
                             .b = F32(6),
                             .residual = F16(3, 4, 5, 6),
                             .y = F16(3, 4, 5, 6),
                             .stride_t = 1,
                             .stride_s = 2,
                             .pad_bottom = 1,
                             .pad_right = 1};
}

svr_tap_sum_args good_tap_sum(void)
{
    return (svr_tap_sum_args){
        .s = F32(4, 5, 6, 9), .head = F32(2, 5, 6, 9), .b = F32(3), .y = F16(4, 5, 6, 3)};
}

svr_upsample_conv3d_args good_upsample_conv3d(void)
{
    return (svr_upsample_conv3d_args){.x = F16(3, 4, 5, 8),
                                      .head = F16(1, 4, 5, 8),
                                      .up = F32(48, 1, 1, 1, 8),
                                      .up_b = F32(48),
                                      .w = F32(7, 3, 3, 3, 6),
                                      .b = F32(7),
                                      .y = F16(6, 8, 10, 7),
                                      .tz = 2};
}

svr_group_norm_args good_group_norm(void)
{
    return (svr_group_norm_args){.x = F16(2, 3, 4, 32),
                                 .gamma = F32(32),
                                 .beta = F32(32),
                                 .y = F16(2, 3, 4, 32),
                                 .groups = 8,
                                 .eps = 1e-6f,
                                 .activation = SVR_ACT_SILU};
}

svr_group_moments_args good_group_moments(void)
{
    return (svr_group_moments_args){.x = F16(2, 3, 4, 32), .moments = F32(2, 8, 3)};
}

svr_depth_to_space_args good_depth_to_space(void)
{
    return (svr_depth_to_space_args){
        .x = F16(3, 4, 5, 16), .y = F16(5, 8, 10, 2), .tz = 2, .drop_second = true};
}

svr_frame_attention_args good_frame_attention(void)
{
    return (svr_frame_attention_args){F16(2, 9, 8), F16(2, 9, 8), F16(2, 9, 8), F16(2, 9, 8)};
}

svr_copy_args good_copy(void)
{
    return (svr_copy_args){.src = F16(2, 6), .dst = F32(3, 4)};
}

svr_copy_rows_args good_copy_rows(void)
{
    return (svr_copy_rows_args){F16(9, 6), F16(7, 6), I32(4), I32(4)};
}

svr_copy_window_args good_copy_window(void)
{
    return (svr_copy_window_args){
        .x = F16(2, 5, 6, 3), .y = F16(2, 4, 9, 3), .from = {2, 1}, .to = {0, 5}, .size = {3, 4}};
}

svr_lincomb_args good_lincomb(void)
{
    return (svr_lincomb_args){
        .a = F16(2, 6), .b = F32(12), .y = F32(3, 4), .clamp = true, .lo = -1, .hi = 1};
}

svr_find_overflow_args good_find_overflow(void)
{
    return (svr_find_overflow_args){F16(2, 6), I32(1)};
}

svr_quantize_args good_quantize(void)
{
    return (svr_quantize_args){F16(7, 8), F8(7, 8), F32(7)};
}

svr_quantize_runs_args good_quantize_runs(void)
{
    return (svr_quantize_runs_args){F16(5, 33, 8), F8(5, 33, 8), F16(5, 2, 2, 8)};
}

svr_dequantize_runs_args good_dequantize_runs(void)
{
    return (svr_dequantize_runs_args){F8(5, 33, 8), F16(5, 2, 2, 8), F16(5, 33, 8)};
}

svr_dequantize_args good_dequantize(void)
{
    return (svr_dequantize_args){F8(7, 8), F32(7), F16(7, 8)};
}

svr_linear_args good_linear(void)
{
    return (svr_linear_args){.x = F16(7, 8),
                             .w = F32(5, 8),
                             .b = F32(5),
                             .gate = F32(5),
                             .residual = F16(7, 5),
                             .y = F16(7, 5),
                             .activation = SVR_ACT_GELU_TANH};
}

svr_swiglu_args good_swiglu(void)
{
    return (svr_swiglu_args){
        .x = F16(7, 8), .w_gate = F32(12, 8), .w_up = F32(12, 8), .y = F16(7, 12)};
}

svr_rms_norm_args good_rms_norm(void)
{
    return (svr_rms_norm_args){.x = F16(7, 8),
                               .weight = F32(8),
                               .scale = F32(8),
                               .shift = F32(8),
                               .y = F16(7, 8),
                               .eps = 1e-5f};
}

svr_patchify_args good_patchify(void)
{
    return (svr_patchify_args){F16(3, 4, 6, 16), F16(3, 4, 6, 17), F16(18, 132), 2};
}

svr_unpatchify_args good_unpatchify(void)
{
    return (svr_unpatchify_args){F16(18, 64), F16(3, 4, 6, 16), 2};
}

svr_qk_norm_rope_args good_qk_norm_rope(void)
{
    return (svr_qk_norm_rope_args){F16(9, 3, 2, 32), F32(32),    F32(32), I32(9, 3),
                                   F32(11, 5),       F32(11, 5), 1e-5f};
}

svr_window_attention_args good_window_attention(void)
{
    static const int32_t offsets[] = {0, 4, 4, 9};

    return (svr_window_attention_args){.vid = F16(9, 3, 2, 16),
                                       .txt = F16(5, 3, 2, 16),
                                       .order = I32(9),
                                       .offsets = I32(4),
                                       .out_vid = F16(9, 32),
                                       .out_txt = F16(5, 32),
                                       .host_offsets = offsets,
                                       .window_count = 3};
}

svr_guidance_args good_guidance(void)
{
    return (svr_guidance_args){F16(9, 16), F16(9, 16), F32(9, 16), 6.5f, 0.5f, -1.0f};
}

svr_noise_args good_noise(void)
{
    return (svr_noise_args){.y = F16(2, 3, 4, 16)};
}

/* A frame of 5 x 3 pixels. */
static svr_video_info small_nv12(void)
{
    return (svr_video_info){SVR_PIXEL_NV12, 5, 3, {.kr = 0.2126, .kb = 0.0722}};
}

static svr_frame untouchable_frame(void)
{
    svr_video_info info = small_nv12();

    return svr_frame_packed(&info, (uint8_t *) (uintptr_t) 0x1000);
}

svr_unpack_args good_unpack(void)
{
    return (svr_unpack_args){small_nv12(), untouchable_frame(), F32(3, 5, 3), F32(3, 5)};
}

svr_pack_args good_pack(void)
{
    return (svr_pack_args){small_nv12(), untouchable_frame(), F32(3, 5, 3), F32(3, 5), false};
}

svr_resize_args good_resize(void)
{
    return (svr_resize_args){
        F32(2, 6, 8, 3), F32(2, 9, 12, 3), {I32(12), F32(12, 4)}, {I32(9), F32(9, 4)}};
}

svr_to_model_args good_to_model(void)
{
    return (svr_to_model_args){F32(2, 6, 7, 3), F16(2, 8, 16, 3), SVR_PADDING_REPLICATE};
}

svr_crop_args good_crop(void)
{
    return (svr_crop_args){F16(2, 8, 16, 3), F32(2, 6, 7, 3)};
}

svr_blur_args good_blur(void)
{
    return (svr_blur_args){F32(2, 6, 7, 3), F32(2, 6, 7, 3), 4};
}

svr_adain_args good_adain(void)
{
    return (svr_adain_args){F32(2, 6, 7, 3), F32(2, 6, 7, 3), F32(2, 6, 7, 3)};
}

svr_rgb_to_lab_args good_rgb_to_lab(void)
{
    return (svr_lab_args){F32(2, 6, 7, 3), F32(2, 6, 7, 3)};
}

svr_lab_to_rgb_args good_lab_to_rgb(void)
{
    return good_rgb_to_lab();
}

svr_histogram_args good_histogram(void)
{
    return (svr_histogram_args){F32(2, 6, 7, 3), I32(3, 256), {0, -1, -1}, {1, 1, 1}, false};
}

svr_match_histogram_args good_match_histogram(void)
{
    return (svr_match_histogram_args){.x = F32(2, 6, 7, 3),
                                      .counts = I32(3, 64),
                                      .ref_counts = I32(3, 64),
                                      .y = F32(2, 6, 7, 3),
                                      .hi = {1, 1, 1}};
}

svr_match_ranks_args good_match_ranks(void)
{
    return (svr_match_ranks_args){F32(2, 6, 7, 3), F32(2, 6, 7, 3), F32(2, 6, 7, 3), {0}};
}

svr_hsv_args good_hsv(void)
{
    return (svr_hsv_args){F32(2, 6, 7, 3), F32(2, 6, 7, 3), F32(2, 6, 7, 3)};
}

svr_saturation_mix_args good_saturation_mix(void)
{
    return (svr_saturation_mix_args){F32(2, 6, 7, 3), F32(2, 6, 7, 3), F32(2, 6, 7, 3),
                                     F32(2, 6, 7, 3), F32(2, 6, 7, 3)};
}

svr_alpha_guide_args good_alpha_guide(void)
{
    return (svr_alpha_guide_args){F32(2, 6, 7), F32(2, 6, 7, 3), F32(2, 6, 7), F32(2, 6, 7),
                                  true,         false,           true};
}
