#include "reference_pixels.h"

#include <math.h>
#include <string.h>

/* ---------------------------------------------------------------------------- frames */

/* Channels of packed formats in memory order. */
static const char *const letters[] = {"RGB",  "BGR",  "RGBA", "BGRA", "ARGB",
                                      "ABGR", "RGBX", "BGRX", "XRGB", "XBGR"};

static int byte_of(svr_pixel_format format, char channel)
{
    const char *at = strchr(letters[format], channel);

    return at ? (int) (at - letters[format]) : -1;
}

static uint8_t *chroma_at(const svr_video_info *info, const svr_frame *frame, int plane, int64_t x,
                          int64_t y)
{
    x = reference_index(x, (info->width + 1) / 2);
    y = reference_index(y, (info->height + 1) / 2);
    if (info->format == SVR_PIXEL_NV12)
        return frame->plane[1] + y * frame->stride[1] + 2 * x + plane;
    return frame->plane[1 + plane] + y * frame->stride[1 + plane] + x;
}

/* Linear between the chroma samples around a luma sample. */
static double chroma(const svr_unpack_args *args, int plane, int x, int y)
{
    const svr_colorimetry *c = &args->info.color;
    double px = (x - (c->chroma_h_cosited ? 0.0 : 0.5)) / 2, ix = floor(px), fx = px - ix;
    double py = (y - (c->chroma_v_cosited ? 0.0 : 0.5)) / 2, iy = floor(py), fy = py - iy;
    double sum = 0;

    for (int k = 0; k < 4; k++)
        sum += (k & 1 ? fx : 1 - fx) * (k & 2 ? fy : 1 - fy) *
               *chroma_at(&args->info, &args->frame, plane, (int64_t) ix + (k & 1),
                          (int64_t) iy + (k >> 1));
    return sum;
}

static void unpack_yuv(const svr_unpack_args *args, int x, int y, double rgb[3])
{
    const svr_colorimetry *c = &args->info.color;
    double luma = args->frame.plane[0][y * args->frame.stride[0] + x];
    double cb = (chroma(args, 0, x, y) - 128) / (c->full_range ? 255 : 224);
    double cr = (chroma(args, 1, x, y) - 128) / (c->full_range ? 255 : 224);

    luma = c->full_range ? luma / 255 : (luma - 16) / 219;
    rgb[0] = luma + 2 * (1 - c->kr) * cr;
    rgb[2] = luma + 2 * (1 - c->kb) * cb;
    rgb[1] = (luma - c->kr * rgb[0] - c->kb * rgb[2]) / (1 - c->kr - c->kb);
}

void reference_unpack(const svr_unpack_args *args)
{
    svr_pixel_format format = args->info.format;
    int w = args->info.width;

    for (int i = 0; i < w * args->info.height; i++) {
        double *rgb = (double *) args->rgb.data + 3 * i, alpha = 1;

        if (svr_pixel_is_yuv(format)) {
            unpack_yuv(args, i % w, i / w, rgb);
        } else {
            const uint8_t *pixel = args->frame.plane[0] + i / w * args->frame.stride[0] +
                                   i % w * (ptrdiff_t) strlen(letters[format]);

            for (int c = 0; c < 3; c++)
                rgb[c] = pixel[byte_of(format, "RGB"[c])] / 255.0;
            if (byte_of(format, 'A') >= 0)
                alpha = pixel[byte_of(format, 'A')] / 255.0;
        }
        if (svr_tensor_present(&args->alpha))
            ((double *) args->alpha.data)[i] = alpha;
    }
}

/* One channel around a chroma sample: [1 2 1]/4 where it is cosited, else the mean of its pair. */
static double averaged(const svr_pack_args *args, int channel, int i, int j)
{
    static const double weights[2][3] = {{0, 0.5, 0.5}, {0.25, 0.5, 0.25}};
    const double *wx = weights[args->info.color.chroma_h_cosited];
    const double *wy = weights[args->info.color.chroma_v_cosited];
    double sum = 0;

    for (int k = 0; k < 9; k++) {
        int64_t x = reference_index(2 * i + k % 3 - 1, args->info.width);
        int64_t y = reference_index(2 * j + k / 3 - 1, args->info.height);

        sum += wx[k % 3] * wy[k / 3] *
               reference_unit(
                   ((const double *) args->rgb.data)[3 * (y * args->info.width + x) + channel]);
    }
    return sum;
}

static void pack_yuv(const svr_pack_args *args, double *codes)
{
    const svr_colorimetry *c = &args->info.color;
    double kg = 1 - c->kr - c->kb, range = c->full_range ? 255 : 224;
    int w = args->info.width, h = args->info.height, half = (w + 1) / 2, n = half * ((h + 1) / 2);
    const double *rgb = args->rgb.data;

    for (int i = 0; i < w * h; i++, rgb += 3) {
        double luma = c->kr * reference_unit(rgb[0]) + kg * reference_unit(rgb[1]) +
                      c->kb * reference_unit(rgb[2]);

        codes[i] = c->full_range ? 255 * luma : 16 + 219 * luma;
    }
    for (int i = 0; i < n; i++) {
        double r = averaged(args, 0, i % half, i / half), b = averaged(args, 2, i % half, i / half);
        double luma = c->kr * r + kg * averaged(args, 1, i % half, i / half) + c->kb * b;
        bool nv12 = args->info.format == SVR_PIXEL_NV12;

        codes[w * h + (nv12 ? 2 * i : i)] = 128 + range * (b - luma) / (2 - 2 * c->kb);
        codes[w * h + (nv12 ? 2 * i + 1 : n + i)] = 128 + range * (r - luma) / (2 - 2 * c->kr);
    }
}

void reference_pack(const svr_pack_args *args, double *codes)
{
    svr_pixel_format format = args->info.format;
    const double *rgb = args->rgb.data, *alpha = args->alpha.data;

    if (svr_pixel_is_yuv(format)) {
        pack_yuv(args, codes);
    } else {
        int bytes = (int) strlen(letters[format]);

        for (int i = 0; i < args->info.width * args->info.height; i++) {
            for (int b = 0; b < bytes; b++) {
                char channel = letters[format][b];
                const char *color = strchr("RGB", channel);

                codes[i * bytes + b] = color ? 255 * reference_unit(rgb[3 * i + (color - "RGB")])
                                       : channel == 'A' && alpha ? 255 * alpha[i]
                                                                 : 255;
            }
        }
    }
    for (size_t i = 0; i < svr_frame_bytes(&args->info); i++)
        codes[i] = reference_clamp(codes[i], 0, 255);
}

/* ---------------------------------------------------------------------------- geometry */

/* Element (t, y, x, c). */
static double *at(const svr_tensor *t, int64_t f, int64_t y, int64_t x, int64_t c)
{
    return (double *) t->data + ((f * t->dims[1] + y) * t->dims[2] + x) * t->dims[3] + c;
}

/* Indices of element `i` of a rank-4 tensor. */
typedef struct place {
    int64_t t, y, x, c;
} place;

static place place_of(const svr_tensor *t, int64_t i)
{
    int64_t row = t->dims[2] * t->dims[3], frame = t->dims[1] * row;

    return (place){i / frame, i % frame / row, i % row / t->dims[3], i % t->dims[3]};
}

static double tap(const svr_resize_axis *axis, int64_t o, int64_t j)
{
    return ((const double *) axis->weight.data)[o * axis->weight.dims[1] + j];
}

static int64_t first_tap(const svr_resize_axis *axis, int64_t o)
{
    return ((const int32_t *) axis->first.data)[o];
}

void reference_resize(const svr_resize_args *args)
{
    const svr_resize_axis *h = &args->horizontal, *v = &args->vertical;

    for (int64_t i = 0; i < svr_tensor_elems(&args->y); i++) {
        place p = place_of(&args->y, i);
        double sum = 0;

        for (int64_t k = 0; k < v->weight.dims[1]; k++)
            for (int64_t j = 0; j < h->weight.dims[1]; j++)
                sum += tap(v, p.y, k) * tap(h, p.x, j) *
                       *at(&args->x, p.t, first_tap(v, p.y) + k, first_tap(h, p.x) + j, p.c);
        ((double *) args->y.data)[i] = sum;
    }
}

void reference_to_model(const svr_to_model_args *args)
{
    for (int64_t i = 0; i < svr_tensor_elems(&args->y); i++) {
        place p = place_of(&args->y, i);
        bool inside = p.y < args->x.dims[1] && p.x < args->x.dims[2];

        ((double *) args->y.data)[i] =
            inside ? 2 * reference_clamp(*at(&args->x, p.t, p.y, p.x, p.c), 0, 1) - 1 : -1;
    }
}

void reference_crop(const svr_crop_args *args)
{
    for (int64_t i = 0; i < svr_tensor_elems(&args->y); i++) {
        place p = place_of(&args->y, i);

        ((double *) args->y.data)[i] = *at(&args->x, p.t, p.y, p.x, p.c);
    }
}

void reference_blur(const svr_blur_args *args)
{
    static const double weights[3] = {0.25, 0.5, 0.25};

    for (int64_t i = 0; i < svr_tensor_elems(&args->y); i++) {
        place p = place_of(&args->y, i);
        double sum = 0;

        for (int k = 0; k < 9; k++)
            sum += weights[k % 3] * weights[k / 3] *
                   *at(&args->x, p.t,
                       reference_index(p.y + (k / 3 - 1) * args->radius, args->x.dims[1]),
                       reference_index(p.x + (k % 3 - 1) * args->radius, args->x.dims[2]), p.c);
        ((double *) args->y.data)[i] = sum;
    }
}
