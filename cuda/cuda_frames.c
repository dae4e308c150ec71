#include "cuda_frames.h"

svr_status svr_cuda_frames_open(svr_cuda_backend *b, svr_error *err)
{
    return svr_cuda_check(cudaStreamCreateWithFlags(&b->frames, cudaStreamNonBlocking),
                          "cudaStreamCreate", err);
}

void svr_cuda_frames_close(svr_cuda_backend *b)
{
    if (!b->frames)
        return;
    (void) cudaStreamSynchronize(b->frames);
    (void) cudaStreamDestroy(b->frames);
}

/* The direction is left to the driver: memory of another context of the same device has an address
 * in this one, but is not of it. */
static svr_status copy_plane(svr_cuda_backend *b, const svr_video_info *info, int plane,
                             const svr_frame *dst, const svr_frame *src, svr_error *err)
{
    size_t width = svr_plane_row_bytes(info, plane);
    size_t rows = (size_t) svr_plane_rows(info, plane);

    return svr_cuda_check(cudaMemcpy2DAsync(dst->plane[plane], (size_t) dst->stride[plane],
                                            src->plane[plane], (size_t) src->stride[plane], width,
                                            rows, cudaMemcpyDefault, b->frames),
                          "copying a frame", err);
}

static svr_status copy_planes(svr_cuda_backend *b, const svr_video_info *info, const svr_frame *dst,
                              const svr_frame *src, svr_error *err)
{
    for (int i = 0; i < svr_pixel_planes(info->format); i++)
        SVR_TRY(copy_plane(b, info, i, dst, src, err));
    return svr_cuda_check(cudaStreamSynchronize(b->frames), "copying a frame", err);
}

svr_status svr_cuda_copy_frame(svr_backend *backend, const svr_video_info *info,
                               const svr_frame *dst, const svr_frame *src, svr_error *err)
{
    svr_cuda_backend *b = (svr_cuda_backend *) backend;
    svr_status status;

    SVR_TRY(svr_cuda_context_enter(&b->context, err));
    status = copy_planes(b, info, dst, src, err);
    svr_cuda_context_leave(&b->context);
    return status;
}
