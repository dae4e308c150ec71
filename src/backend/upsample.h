/* upsample_conv3d as its three steps, for backends without a kernel of its own: widen, shuffle,
 * convolve, through the backend's other ops.  Level 1.  Thread: the one that computes. */
#ifndef SVR_BACKEND_UPSAMPLE_H
#define SVR_BACKEND_UPSAMPLE_H

#include "backend/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes for rows between the steps: tall enough bands for a device to be busy and for the rows that
 * are widened twice not to count (1 % of the arithmetic at 1920x1080), little beside the frames. */
#define SVR_UPSAMPLE_BOUND ((size_t) 128 << 20)

/* Bytes of workspace: at most `bound` for the rows between the steps (but room for bands of one row
 * of x), and what the convolutions take. */
size_t svr_upsample_plain_workspace(svr_backend *backend, const svr_upsample_conv3d_args *args,
                                    size_t bound);

/* y of the op, with checked arguments and that workspace; args->moments is left to the caller, as
 * nobody sees all of a frame here.  A smaller bound changes no sum, where the backend's convolution
 * adds in the same order whatever the number of rows.  Errors: those of conv3d and depth_to_space.
 */
SVR_CHECKED svr_status svr_upsample_plain(svr_exec *exec, const svr_upsample_conv3d_args *args,
                                          size_t bound, void *workspace, svr_error *err);

#ifdef __cplusplus
}
#endif
#endif
