/* Views of video frames as integers in memory: what enters and leaves the engine.
 * Level 0.  Thread: any (plain values). */
#ifndef SVR_BASE_FRAME_H
#define SVR_BASE_FRAME_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Names are GStreamer's: bytes in memory order for the packed ones. */
typedef enum svr_pixel_format {
    SVR_PIXEL_RGB = 0,
    SVR_PIXEL_BGR,
    SVR_PIXEL_RGBA,
    SVR_PIXEL_BGRA,
    SVR_PIXEL_ARGB,
    SVR_PIXEL_ABGR,
    SVR_PIXEL_RGBX,
    SVR_PIXEL_BGRX,
    SVR_PIXEL_XRGB,
    SVR_PIXEL_XBGR,
    SVR_PIXEL_NV12, /* Y plane, then interleaved U,V at half size (rounded up) */
    SVR_PIXEL_I420, /* Y, U, V planes, chroma at half size (rounded up) */
    SVR_PIXEL_FORMAT_COUNT
} svr_pixel_format;

enum { SVR_MAX_PLANES = 3 };

/* How the integers of a YUV format mean R'G'B' in [0,1].  Ignored for RGB formats, which are full
 * range. */
typedef struct svr_colorimetry {
    double kr, kb;         /* luma weights of red and blue, e.g. .2126 and .0722 for BT.709 */
    bool full_range;       /* false: 16..235 for luma and 16..240 for chroma */
    bool chroma_h_cosited; /* chroma sample lies on the left luma column of its pair ("mpeg2"),
                              else between both ("jpeg") */
    bool chroma_v_cosited; /* same for rows */
} svr_colorimetry;

/* Size and meaning of a stream of frames. */
typedef struct svr_video_info {
    svr_pixel_format format;
    int width, height; /* pixels */
    svr_colorimetry color;
} svr_video_info;

/* One frame in memory that somebody else owns. */
typedef struct svr_frame {
    uint8_t *plane[SVR_MAX_PLANES];
    ptrdiff_t stride[SVR_MAX_PLANES]; /* bytes from row to row */
} svr_frame;

/* Planes of a format, 1..3. */
SVR_API int svr_pixel_planes(svr_pixel_format format);

/* True when the format carries an alpha channel that means something (RGBA, not RGBx). */
SVR_API bool svr_pixel_has_alpha(svr_pixel_format format);

/* True for the formats with chroma planes. */
SVR_API bool svr_pixel_is_yuv(svr_pixel_format format);

/* Bytes of a row and number of rows of plane `plane` (no padding). */
SVR_API size_t svr_plane_row_bytes(const svr_video_info *info, int plane);
SVR_API int svr_plane_rows(const svr_video_info *info, int plane);

/* Bytes of a tightly packed frame. */
SVR_API size_t svr_frame_bytes(const svr_video_info *info);

/* Points a frame's planes into `data`, which holds svr_frame_bytes() bytes, tightly packed. */
SVR_API svr_frame svr_frame_packed(const svr_video_info *info, uint8_t *data);

/* The same for a frame that is only read. */
svr_frame svr_frame_to_read(const svr_video_info *info, const uint8_t *data);

/* Copies all planes row by row; same info for both sides. */
SVR_API void svr_frame_copy(const svr_video_info *info, const svr_frame *dst, const svr_frame *src);

#ifdef __cplusplus
}
#endif
#endif
