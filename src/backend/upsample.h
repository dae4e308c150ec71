/* upsample_conv3d as its three steps, for backends without a kernel of its own: widen, shuffle,
 * convolve, through the backend's other ops.  Level 1.  Thread: the one that computes. */
#ifndef SVR_BACKEND_UPSAMPLE_H
#define SVR_BACKEND_UPSAMPLE_H

#include "backend/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of workspace: the shuffled frames, one widened frame and what the convolutions take. */
size_t svr_upsample_plain_workspace(svr_backend *backend, const svr_upsample_conv3d_args *args);

/* The op with checked arguments and that workspace.  Errors: those of conv3d and depth_to_space. */
SVR_CHECKED svr_status svr_upsample_plain(svr_exec *exec, const svr_upsample_conv3d_args *args,
                                          void *workspace, svr_error *err);

#ifdef __cplusplus
}
#endif
#endif
