#include "base/frame.h"

#include <string.h>

int svr_pixel_planes(svr_pixel_format format)
{
    return format == SVR_PIXEL_I420 ? 3 : format == SVR_PIXEL_NV12 ? 2 : 1;
}

bool svr_pixel_has_alpha(svr_pixel_format format)
{
    return format == SVR_PIXEL_RGBA || format == SVR_PIXEL_BGRA || format == SVR_PIXEL_ARGB ||
           format == SVR_PIXEL_ABGR;
}

bool svr_pixel_is_yuv(svr_pixel_format format)
{
    return format == SVR_PIXEL_NV12 || format == SVR_PIXEL_I420;
}

size_t svr_plane_row_bytes(const svr_video_info *info, int plane)
{
    size_t w = (size_t) info->width, half = (w + 1) / 2;

    switch (info->format) {
    case SVR_PIXEL_RGB:
    case SVR_PIXEL_BGR:
        return 3 * w;
    case SVR_PIXEL_NV12:
        return plane == 0 ? w : 2 * half;
    case SVR_PIXEL_I420:
        return plane == 0 ? w : half;
    default:
        return 4 * w;
    }
}

int svr_plane_rows(const svr_video_info *info, int plane)
{
    return plane > 0 ? (info->height + 1) / 2 : info->height;
}

size_t svr_frame_bytes(const svr_video_info *info)
{
    size_t bytes = 0;

    for (int p = 0; p < svr_pixel_planes(info->format); p++)
        bytes += svr_plane_row_bytes(info, p) * (size_t) svr_plane_rows(info, p);
    return bytes;
}

svr_frame svr_frame_packed(const svr_video_info *info, uint8_t *data)
{
    svr_frame f = {{NULL}, {0}};

    for (int p = 0; p < svr_pixel_planes(info->format); p++) {
        f.plane[p] = data;
        f.stride[p] = (ptrdiff_t) svr_plane_row_bytes(info, p);
        data += svr_plane_row_bytes(info, p) * (size_t) svr_plane_rows(info, p);
    }
    return f;
}

svr_frame svr_frame_to_read(const svr_video_info *info, const uint8_t *data)
{
    uint8_t *planes;

    memcpy(&planes, &data, sizeof planes); /* svr_frame knows no planes that are constant */
    return svr_frame_packed(info, planes);
}

void svr_frame_copy(const svr_video_info *info, const svr_frame *dst, const svr_frame *src)
{
    for (int p = 0; p < svr_pixel_planes(info->format); p++) {
        size_t bytes = svr_plane_row_bytes(info, p);

        for (int row = 0; row < svr_plane_rows(info, p); row++)
            memcpy(dst->plane[p] + row * dst->stride[p], src->plane[p] + row * src->stride[p],
                   bytes);
    }
}
