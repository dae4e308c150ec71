/* Bicubic taps (a = -0.5, antialiased, renormalised at borders).  Source: spec pipeline §3.2.
 * Level 2. */
#ifndef SVR_VIDEO_RESAMPLE_H
#define SVR_VIDEO_RESAMPLE_H

#include "backend/exec.h"
#include "backend/ops.h"
#include "video/sizes.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Taps of one axis on the host. */
typedef struct svr_taps {
    int outputs, taps;
    int32_t *first; /* [outputs] */
    float *weight;  /* [outputs, taps] */
} svr_taps;

/* Caller ends with svr_taps_finish().  Errors: NO_MEM, INVALID (a size < 1). */
SVR_CHECKED svr_status svr_taps_init(int in, int out, svr_taps *taps, svr_error *err);
void svr_taps_finish(svr_taps *taps);

/* Both axes of a resize in backend memory (tag STATE). */
typedef struct svr_resampler svr_resampler;

SVR_CHECKED svr_status svr_resampler_create(svr_backend *backend, svr_size in, svr_size out_size,
                                            svr_resampler **out, svr_error *err);
void svr_resampler_destroy(svr_resampler *resampler);

/* y = resize(x); equal sizes: a copy.   x [T,in_h,in_w,C], y [T,out_h,out_w,C] F32.
 * Thread: the one that computes. */
SVR_CHECKED svr_status svr_resampler_run(svr_exec *exec, const svr_resampler *resampler,
                                         const svr_tensor *x, const svr_tensor *y, svr_error *err);

#ifdef __cplusplus
}
#endif
#endif
