/* The network ops in double precision, loop by loop as backend/ops.h defines them: slow, plain, and
 * independent of every backend.  All floating tensors of the arguments are dense F64 on the host.
 * `magnitude` (like y, optional) receives the sum of the absolute values of the terms of each sum.
 */
#ifndef SVR_TESTS_OPS_REFERENCE_H
#define SVR_TESTS_OPS_REFERENCE_H

#include "backend/ops.h"

void reference_conv3d(const svr_conv3d_args *args, double *magnitude);
void reference_tap_sum(const svr_tap_sum_args *args);
void reference_upsample_conv3d(const svr_upsample_conv3d_args *args, double *magnitude);
void reference_group_norm(const svr_group_norm_args *args);
void reference_depth_to_space(const svr_depth_to_space_args *args);
void reference_frame_attention(const svr_frame_attention_args *args);
void reference_copy(const svr_copy_args *args);
void reference_copy_rows(const svr_copy_rows_args *args);
void reference_copy_window(const svr_copy_window_args *args);
void reference_lincomb(const svr_lincomb_args *args, double *magnitude);
/* y unrounded: x / scale, the largest magnitude of a row becomes `end`.  y may be x. */
void reference_quantize(const svr_quantize_args *args, double end);
/* y rounded to F32. */
void reference_dequantize(const svr_dequantize_args *args);
void reference_linear(const svr_linear_args *args, double *magnitude);
void reference_swiglu(const svr_swiglu_args *args, double *magnitude);
void reference_rms_norm(const svr_rms_norm_args *args);
void reference_patchify(const svr_patchify_args *args);
void reference_unpatchify(const svr_unpatchify_args *args);
void reference_qk_norm_rope(const svr_qk_norm_rope_args *args);
void reference_window_attention(const svr_window_attention_args *args);
void reference_guidance(const svr_guidance_args *args);
void reference_noise(const svr_noise_args *args);

#endif
