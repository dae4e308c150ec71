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

/* Names are GStreamer's: bytes in memory order for the packed ones, planes in memory order for the
 * others.  Words of more than 8 bits are little endian, but for one format. */
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
    SVR_PIXEL_NV21, /* NV12 with V,U */
    SVR_PIXEL_YV12, /* I420 with V before U */
    SVR_PIXEL_P010, /* NV12 in the upper 10, 12 or all bits of 16 */
    SVR_PIXEL_P012,
    SVR_PIXEL_P016,
    SVR_PIXEL_I420_10, /* I420 in the lower 10 or 12 bits of 16 */
    SVR_PIXEL_I420_12,
    SVR_PIXEL_Y42B, /* chroma at half the width */
    SVR_PIXEL_I422_10,
    SVR_PIXEL_I422_12,
    SVR_PIXEL_NV16, /* the same with chroma interleaved: U,V */
    SVR_PIXEL_NV61, /* V,U */
    SVR_PIXEL_YUY2, /* the same in one plane: Y,U,Y,V for two pixels, also where the width is odd */
    SVR_PIXEL_YVYU,
    SVR_PIXEL_UYVY,
    SVR_PIXEL_Y444, /* chroma at full size */
    SVR_PIXEL_Y444_10,
    SVR_PIXEL_Y444_12,
    SVR_PIXEL_Y444_16,
    SVR_PIXEL_NV24,  /* the same with chroma interleaved: U,V */
    SVR_PIXEL_GRAY8, /* luma alone */
    SVR_PIXEL_GRAY16,
    SVR_PIXEL_GRAY16_BE, /* big endian: what PNG decoders give */
    SVR_PIXEL_RGBP,      /* a plane a colour */
    SVR_PIXEL_BGRP,
    SVR_PIXEL_GBR,
    SVR_PIXEL_GBR_10,
    SVR_PIXEL_GBR_12,
    SVR_PIXEL_RGB10A2, /* 32 bits, red in the lowest 10, alpha in the highest 2 */
    SVR_PIXEL_BGR10A2,
    SVR_PIXEL_RGBA64, /* 16 bits a channel */
    SVR_PIXEL_ARGB64,
    SVR_PIXEL_FORMAT_COUNT
} svr_pixel_format;

enum { SVR_MAX_PLANES = 3, SVR_MAX_CHANNELS = 4 };

typedef enum svr_pixel_kind { SVR_KIND_RGB, SVR_KIND_YUV, SVR_KIND_GRAY } svr_pixel_kind;

/* Where the samples of a channel lie.  A sample is a part of a word of 1, 2 or 4 bytes. */
typedef struct svr_channel {
    uint8_t plane;
    uint8_t offset; /* bytes from the start of a row to its first word */
    uint8_t step;   /* bytes from word to word */
    uint8_t shift;  /* bits of the word below the sample */
    uint8_t depth;  /* bits of the sample; 0: there is no such channel */
} svr_channel;

/* All that has to be known of a format to read and write it. */
typedef struct svr_pixel_layout {
    const char *name; /* GStreamer's */
    svr_pixel_kind kind;
    uint8_t planes;
    uint8_t word;         /* bytes of a word; 4: all channels of a pixel share one */
    uint8_t w_sub, h_sub; /* chroma is coarser by 2 to the power of this */
    bool alpha;           /* the last channel means transparency, else filler */
    bool big_endian;      /* words of 2 bytes */
    svr_channel channel[SVR_MAX_CHANNELS]; /* R,G,B or Y,Cb,Cr or Y; [3] is alpha or filler */
} svr_pixel_layout;

/* How integers mean R'G'B' in [0,1]. */
typedef struct svr_colorimetry {
    double kr, kb;    /* luma weights of red and blue, e.g. .2126 and .0722 for BT.709; YUV
                         and grey formats */
    bool full_range;  /* YUV and grey: luma and chroma use all codes.  false: of 8 bits, 16..235
                         and 16..240, more bits in proportion */
    bool limited_rgb; /* RGB formats: 16..235 of 8 bits instead of all codes */
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

/* One channel of a frame. */
typedef struct svr_samples {
    uint8_t *data; /* the first word */
    ptrdiff_t stride;
    int width, height; /* samples */
    int word, step, shift;
    bool big_endian;
    uint32_t top; /* the largest code */
} svr_samples;

/* The layout of a valid format. */
const svr_pixel_layout *svr_pixel_layout_of(svr_pixel_format format);

/* Planes of a format, 1..3. */
SVR_API int svr_pixel_planes(svr_pixel_format format);

/* True when the format carries an alpha channel that means something (RGBA, not RGBx). */
SVR_API bool svr_pixel_has_alpha(svr_pixel_format format);

/* True for the formats with chroma planes. */
SVR_API bool svr_pixel_is_yuv(svr_pixel_format format);

/* Bytes of a row and number of rows of plane `plane` (no padding). */
SVR_API size_t svr_plane_row_bytes(const svr_video_info *info, int plane);
SVR_API int svr_plane_rows(const svr_video_info *info, int plane);

/* Channel `channel` of a frame, which the format must have. */
svr_samples svr_frame_samples(const svr_video_info *info, const svr_frame *frame, int channel);

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
