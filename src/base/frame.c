#include "base/frame.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "words of frames are little endian and read as the machine's");

/* Channels in one plane, given by their places in a pixel; x is alpha or filler. */
#define RGB_8(r, g, b)                                                                             \
    .kind = SVR_KIND_RGB, .planes = 1, .word = 1,                                                  \
    .channel = {{0, r, 3, 0, 8}, {0, g, 3, 0, 8}, {0, b, 3, 0, 8}}
#define RGB_4x8(r, g, b, x)                                                                        \
    .kind = SVR_KIND_RGB, .planes = 1, .word = 1,                                                  \
    .channel = {{0, r, 4, 0, 8}, {0, g, 4, 0, 8}, {0, b, 4, 0, 8}, {0, x, 4, 0, 8}}
#define RGB_4x16(r, g, b, x)                                                                       \
    .kind = SVR_KIND_RGB, .planes = 1, .word = 2,                                                  \
    .channel = {{0, 2 * (r), 8, 0, 16},                                                            \
                {0, 2 * (g), 8, 0, 16},                                                            \
                {0, 2 * (b), 8, 0, 16},                                                            \
                {0, 2 * (x), 8, 0, 16}}
#define RGB_10_2(r, g, b)                                                                          \
    .kind = SVR_KIND_RGB, .planes = 1, .word = 4,                                                  \
    .channel = {{0, 0, 4, r, 10}, {0, 0, 4, g, 10}, {0, 0, 4, b, 10}, {0, 0, 4, 30, 2}}

/* A plane a channel, its number given by channel; `bits` in the lower end of a word. */
#define PLANAR(of_kind, bytes, bits, a, b, c)                                                      \
    .kind = (of_kind), .planes = 3, .word = (bytes),                                               \
    .channel = {{a, 0, bytes, 0, bits}, {b, 0, bytes, 0, bits}, {c, 0, bytes, 0, bits}}

/* A plane of luma and one of chroma in turns; `bits` in the upper end of a word. */
#define SEMIPLANAR(bytes, bits, u, v)                                                              \
    .kind = SVR_KIND_YUV, .planes = 2, .word = (bytes),                                            \
    .channel = {{0, 0, bytes, 8 * (bytes) - (bits), bits},                                         \
                {1, (u) * (bytes), 2 * (bytes), 8 * (bytes) - (bits), bits},                       \
                {1, (v) * (bytes), 2 * (bytes), 8 * (bytes) - (bits), bits}}

/* Two pixels in four bytes: the first luma, U and V by their places. */
#define PAIRS(y, u, v)                                                                             \
    .kind = SVR_KIND_YUV, .planes = 1, .word = 1, .w_sub = 1,                                      \
    .channel = {{0, y, 2, 0, 8}, {0, u, 4, 0, 8}, {0, v, 4, 0, 8}}

#define GREY(bytes)                                                                                \
    .kind = SVR_KIND_GRAY, .planes = 1, .word = (bytes), .channel = {{0, 0, bytes, 0, 8 * (bytes)}}

static const svr_pixel_layout layouts[SVR_PIXEL_FORMAT_COUNT] = {
    [SVR_PIXEL_RGB] = {"RGB", RGB_8(0, 1, 2)},
    [SVR_PIXEL_BGR] = {"BGR", RGB_8(2, 1, 0)},
    [SVR_PIXEL_RGBA] = {"RGBA", RGB_4x8(0, 1, 2, 3), .alpha = true},
    [SVR_PIXEL_BGRA] = {"BGRA", RGB_4x8(2, 1, 0, 3), .alpha = true},
    [SVR_PIXEL_ARGB] = {"ARGB", RGB_4x8(1, 2, 3, 0), .alpha = true},
    [SVR_PIXEL_ABGR] = {"ABGR", RGB_4x8(3, 2, 1, 0), .alpha = true},
    [SVR_PIXEL_RGBX] = {"RGBx", RGB_4x8(0, 1, 2, 3)},
    [SVR_PIXEL_BGRX] = {"BGRx", RGB_4x8(2, 1, 0, 3)},
    [SVR_PIXEL_XRGB] = {"xRGB", RGB_4x8(1, 2, 3, 0)},
    [SVR_PIXEL_XBGR] = {"xBGR", RGB_4x8(3, 2, 1, 0)},
    [SVR_PIXEL_NV12] = {"NV12", SEMIPLANAR(1, 8, 0, 1), .w_sub = 1, .h_sub = 1},
    [SVR_PIXEL_I420] = {"I420", PLANAR(SVR_KIND_YUV, 1, 8, 0, 1, 2), .w_sub = 1, .h_sub = 1},
    [SVR_PIXEL_NV21] = {"NV21", SEMIPLANAR(1, 8, 1, 0), .w_sub = 1, .h_sub = 1},
    [SVR_PIXEL_YV12] = {"YV12", PLANAR(SVR_KIND_YUV, 1, 8, 0, 2, 1), .w_sub = 1, .h_sub = 1},
    [SVR_PIXEL_P010] = {"P010_10LE", SEMIPLANAR(2, 10, 0, 1), .w_sub = 1, .h_sub = 1},
    [SVR_PIXEL_P012] = {"P012_LE", SEMIPLANAR(2, 12, 0, 1), .w_sub = 1, .h_sub = 1},
    [SVR_PIXEL_P016] = {"P016_LE", SEMIPLANAR(2, 16, 0, 1), .w_sub = 1, .h_sub = 1},
    [SVR_PIXEL_I420_10] = {"I420_10LE", PLANAR(SVR_KIND_YUV, 2, 10, 0, 1, 2), .w_sub = 1,
                           .h_sub = 1},
    [SVR_PIXEL_I420_12] = {"I420_12LE", PLANAR(SVR_KIND_YUV, 2, 12, 0, 1, 2), .w_sub = 1,
                           .h_sub = 1},
    [SVR_PIXEL_Y42B] = {"Y42B", PLANAR(SVR_KIND_YUV, 1, 8, 0, 1, 2), .w_sub = 1},
    [SVR_PIXEL_I422_10] = {"I422_10LE", PLANAR(SVR_KIND_YUV, 2, 10, 0, 1, 2), .w_sub = 1},
    [SVR_PIXEL_I422_12] = {"I422_12LE", PLANAR(SVR_KIND_YUV, 2, 12, 0, 1, 2), .w_sub = 1},
    [SVR_PIXEL_NV16] = {"NV16", SEMIPLANAR(1, 8, 0, 1), .w_sub = 1},
    [SVR_PIXEL_NV61] = {"NV61", SEMIPLANAR(1, 8, 1, 0), .w_sub = 1},
    [SVR_PIXEL_YUY2] = {"YUY2", PAIRS(0, 1, 3)},
    [SVR_PIXEL_YVYU] = {"YVYU", PAIRS(0, 3, 1)},
    [SVR_PIXEL_UYVY] = {"UYVY", PAIRS(1, 0, 2)},
    [SVR_PIXEL_Y444] = {"Y444", PLANAR(SVR_KIND_YUV, 1, 8, 0, 1, 2)},
    [SVR_PIXEL_Y444_10] = {"Y444_10LE", PLANAR(SVR_KIND_YUV, 2, 10, 0, 1, 2)},
    [SVR_PIXEL_Y444_12] = {"Y444_12LE", PLANAR(SVR_KIND_YUV, 2, 12, 0, 1, 2)},
    [SVR_PIXEL_Y444_16] = {"Y444_16LE", PLANAR(SVR_KIND_YUV, 2, 16, 0, 1, 2)},
    [SVR_PIXEL_NV24] = {"NV24", SEMIPLANAR(1, 8, 0, 1)},
    [SVR_PIXEL_GRAY8] = {"GRAY8", GREY(1)},
    [SVR_PIXEL_GRAY16] = {"GRAY16_LE", GREY(2)},
    [SVR_PIXEL_GRAY16_BE] = {"GRAY16_BE", GREY(2), .big_endian = true},
    [SVR_PIXEL_RGBP] = {"RGBP", PLANAR(SVR_KIND_RGB, 1, 8, 0, 1, 2)},
    [SVR_PIXEL_BGRP] = {"BGRP", PLANAR(SVR_KIND_RGB, 1, 8, 2, 1, 0)},
    [SVR_PIXEL_GBR] = {"GBR", PLANAR(SVR_KIND_RGB, 1, 8, 2, 0, 1)},
    [SVR_PIXEL_GBR_10] = {"GBR_10LE", PLANAR(SVR_KIND_RGB, 2, 10, 2, 0, 1)},
    [SVR_PIXEL_GBR_12] = {"GBR_12LE", PLANAR(SVR_KIND_RGB, 2, 12, 2, 0, 1)},
    [SVR_PIXEL_RGB10A2] = {"RGB10A2_LE", RGB_10_2(0, 10, 20), .alpha = true},
    [SVR_PIXEL_BGR10A2] = {"BGR10A2_LE", RGB_10_2(20, 10, 0), .alpha = true},
    [SVR_PIXEL_RGBA64] = {"RGBA64_LE", RGB_4x16(0, 1, 2, 3), .alpha = true},
    [SVR_PIXEL_ARGB64] = {"ARGB64_LE", RGB_4x16(1, 2, 3, 0), .alpha = true},
};

const svr_pixel_layout *svr_pixel_layout_of(svr_pixel_format format)
{
    return &layouts[format];
}

int svr_pixel_planes(svr_pixel_format format)
{
    return layouts[format].planes;
}

bool svr_pixel_has_alpha(svr_pixel_format format)
{
    return layouts[format].alpha;
}

bool svr_pixel_is_yuv(svr_pixel_format format)
{
    return layouts[format].kind == SVR_KIND_YUV;
}

/* Samples along a side of `size` luma samples at 1 / 2^sub of the rate. */
static int samples_of(int size, int sub)
{
    return (size + (1 << sub) - 1) >> sub;
}

static bool is_chroma(const svr_pixel_layout *layout, int channel)
{
    return layout->kind == SVR_KIND_YUV && (channel == 1 || channel == 2);
}

/* A channel that lies in the plane. */
static int channel_in(const svr_pixel_layout *layout, int plane)
{
    int c = 0;

    while (layout->channel[c].plane != plane)
        c++;
    return c;
}

size_t svr_plane_row_bytes(const svr_video_info *info, int plane)
{
    const svr_pixel_layout *layout = &layouts[info->format];
    size_t bytes = 0;

    /* of luma and chroma that share a plane, chroma may reach further */
    for (int c = 0; c < SVR_MAX_CHANNELS; c++) {
        int sub = is_chroma(layout, c) ? layout->w_sub : 0;
        size_t reach = (size_t) samples_of(info->width, sub) * layout->channel[c].step;

        if (layout->channel[c].depth > 0 && layout->channel[c].plane == plane && reach > bytes)
            bytes = reach;
    }
    return bytes;
}

int svr_plane_rows(const svr_video_info *info, int plane)
{
    const svr_pixel_layout *layout = &layouts[info->format];
    int c = channel_in(layout, plane);

    return samples_of(info->height, is_chroma(layout, c) ? layout->h_sub : 0);
}

svr_samples svr_frame_samples(const svr_video_info *info, const svr_frame *frame, int channel)
{
    const svr_pixel_layout *layout = &layouts[info->format];
    const svr_channel *c = &layout->channel[channel];
    bool chroma = is_chroma(layout, channel);

    return (svr_samples){
        .data = frame->plane[c->plane] + c->offset,
        .stride = frame->stride[c->plane],
        .width = samples_of(info->width, chroma ? layout->w_sub : 0),
        .height = samples_of(info->height, chroma ? layout->h_sub : 0),
        .word = layout->word,
        .step = c->step,
        .shift = c->shift,
        .big_endian = layout->big_endian,
        .top = (1u << c->depth) - 1u,
    };
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
