/* Frames of others in device memory: copied to and from the backend's own.  Level 2.  Thread: any,
 * but for opening and closing. */
#ifndef SVR_CUDA_CUDA_FRAMES_H
#define SVR_CUDA_CUDA_FRAMES_H

#include "cuda_internal.h"

/* In the backend's context.  Errors: NO_VRAM, DEVICE. */
SVR_CHECKED svr_status svr_cuda_frames_open(svr_cuda_backend *b, svr_error *err);

/* In the backend's context.  Accepts what svr_cuda_frames_open() left when it failed. */
void svr_cuda_frames_close(svr_cuda_backend *b);

/* Of svr_backend_vtable. */
svr_status svr_cuda_copy_frame(svr_backend *backend, const svr_video_info *info,
                               const svr_frame *dst, const svr_frame *src, svr_error *err);

#endif
