/* The pixel ops in double precision, loop by loop as backend/ops.h and spec pipeline §3, §11, §12
 * define them.  Tensors as in reference.h; planes of frames lie in host memory. */
#ifndef SVR_TESTS_OPS_REFERENCE_PIXELS_H
#define SVR_TESTS_OPS_REFERENCE_PIXELS_H

#include "backend/ops.h"

/* The nearest index inside, the nearest value inside, and a model value as unit. */
static inline int64_t reference_index(int64_t i, int64_t n)
{
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

static inline double reference_clamp(double v, double lo, double hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

static inline double reference_unit(double model)
{
    return reference_clamp((model + 1) / 2, 0, 1);
}

/* Frames, from descriptions of their own (reference_frames.c). */

void reference_unpack(const svr_unpack_args *args);

/* Samples of a frame, plane by plane and row by row; fillers count, and the four of a shared word.
 */
int64_t reference_samples(const svr_video_info *info);

/* Sample `i` of a frame, and in `*top` the largest code that it can have; -1 where bits that belong
 * to no sample are not zero. */
int64_t reference_sample(const svr_video_info *info, const svr_frame *frame, int64_t i,
                         int64_t *top);

/* All samples before they are rounded, within what their bits hold. */
void reference_pack(const svr_pack_args *args, double *codes);

void reference_resize(const svr_resize_args *args);
void reference_to_model(const svr_to_model_args *args);
void reference_crop(const svr_crop_args *args);
void reference_blur(const svr_blur_args *args);
void reference_adain(const svr_adain_args *args);
void reference_rgb_to_lab(const svr_lab_args *args);
void reference_lab_to_rgb(const svr_lab_args *args);
void reference_histogram(const svr_histogram_args *args, uint32_t *counts);
void reference_match_histogram(const svr_match_histogram_args *args);
void reference_match_ranks(const svr_match_ranks_args *args);
void reference_hsv(const svr_hsv_args *args);
void reference_saturation_mix(const svr_saturation_mix_args *args);
void reference_alpha_guide(const svr_alpha_guide_args *args);

#endif
