/* Frames of integers in double precision.  Formats are described here once more, in another way
 * than in base/frame.c: by the letters of their planes. */
#include "reference_pixels.h"

#include <math.h>
#include <string.h>

/* Planes in memory order with a space between, letters of a pixel in memory order: R, G, B, Y, U,
 * V, A, x for filler.  `unit` is bits a sample, `skip` unused bits below it. */
typedef struct description {
    const char *planes;
    int unit, skip, wide, high; /* luma samples for a chroma sample */
} description;

static const description descriptions[SVR_PIXEL_FORMAT_COUNT] = {
    [SVR_PIXEL_RGB] = {"RGB", 8, 0, 1, 1},        [SVR_PIXEL_BGR] = {"BGR", 8, 0, 1, 1},
    [SVR_PIXEL_RGBA] = {"RGBA", 8, 0, 1, 1},      [SVR_PIXEL_BGRA] = {"BGRA", 8, 0, 1, 1},
    [SVR_PIXEL_ARGB] = {"ARGB", 8, 0, 1, 1},      [SVR_PIXEL_ABGR] = {"ABGR", 8, 0, 1, 1},
    [SVR_PIXEL_RGBX] = {"RGBx", 8, 0, 1, 1},      [SVR_PIXEL_BGRX] = {"BGRx", 8, 0, 1, 1},
    [SVR_PIXEL_XRGB] = {"xRGB", 8, 0, 1, 1},      [SVR_PIXEL_XBGR] = {"xBGR", 8, 0, 1, 1},
    [SVR_PIXEL_NV12] = {"Y UV", 8, 0, 2, 2},      [SVR_PIXEL_I420] = {"Y U V", 8, 0, 2, 2},
    [SVR_PIXEL_NV21] = {"Y VU", 8, 0, 2, 2},      [SVR_PIXEL_YV12] = {"Y V U", 8, 0, 2, 2},
    [SVR_PIXEL_P010] = {"Y UV", 10, 6, 2, 2},     [SVR_PIXEL_P012] = {"Y UV", 12, 4, 2, 2},
    [SVR_PIXEL_P016] = {"Y UV", 16, 0, 2, 2},     [SVR_PIXEL_I420_10] = {"Y U V", 10, 0, 2, 2},
    [SVR_PIXEL_I420_12] = {"Y U V", 12, 0, 2, 2}, [SVR_PIXEL_Y42B] = {"Y U V", 8, 0, 2, 1},
    [SVR_PIXEL_I422_10] = {"Y U V", 10, 0, 2, 1}, [SVR_PIXEL_I422_12] = {"Y U V", 12, 0, 2, 1},
    [SVR_PIXEL_Y444] = {"Y U V", 8, 0, 1, 1},     [SVR_PIXEL_Y444_10] = {"Y U V", 10, 0, 1, 1},
    [SVR_PIXEL_Y444_16] = {"Y U V", 16, 0, 1, 1}, [SVR_PIXEL_GRAY8] = {"Y", 8, 0, 1, 1},
    [SVR_PIXEL_GRAY16] = {"Y", 16, 0, 1, 1},      [SVR_PIXEL_RGBP] = {"R G B", 8, 0, 1, 1},
    [SVR_PIXEL_BGRP] = {"B G R", 8, 0, 1, 1},     [SVR_PIXEL_GBR] = {"G B R", 8, 0, 1, 1},
    [SVR_PIXEL_GBR_10] = {"G B R", 10, 0, 1, 1},  [SVR_PIXEL_RGB10A2] = {"RGBA", 10, 0, 1, 1},
    [SVR_PIXEL_BGR10A2] = {"BGRA", 10, 0, 1, 1},  [SVR_PIXEL_RGBA64] = {"RGBA", 16, 0, 1, 1},
    [SVR_PIXEL_ARGB64] = {"ARGB", 16, 0, 1, 1},   [SVR_PIXEL_NV16] = {"Y UV", 8, 0, 2, 1},
    [SVR_PIXEL_NV61] = {"Y VU", 8, 0, 2, 1},      [SVR_PIXEL_NV24] = {"Y UV", 8, 0, 1, 1},
    [SVR_PIXEL_YUY2] = {"YUYV", 8, 0, 2, 1},      [SVR_PIXEL_YVYU] = {"YVYU", 8, 0, 2, 1},
    [SVR_PIXEL_UYVY] = {"UYVY", 8, 0, 2, 1},      [SVR_PIXEL_Y444_12] = {"Y U V", 12, 0, 1, 1},
    [SVR_PIXEL_GBR_12] = {"G B R", 12, 0, 1, 1},  [SVR_PIXEL_GRAY16_BE] = {"Y", 16, 0, 1, 1},
};

/* Four samples of 10, 10, 10 and 2 bits in 32. */
static bool shares_words(const description *d)
{
    return d->unit == 10 && strlen(d->planes) == 4 && !strchr(d->planes, ' ');
}

/* A plane of a frame. */
typedef struct plane {
    const char *letters;
    int count;             /* of letters */
    int64_t width, height; /* in units of all letters */
} plane;

/* How often a letter is among the first `end` of a plane. */
static int64_t times(const plane *p, char letter, int end)
{
    int64_t n = 0;

    for (int i = 0; i < end; i++)
        n += p->letters[i] == letter;
    return n;
}

static plane plane_of(const svr_video_info *info, int number)
{
    const description *d = &descriptions[info->format];
    plane p = {.letters = d->planes, .width = info->width, .height = info->height};

    for (; number > 0; number--)
        p.letters = strchr(p.letters, ' ') + 1;
    p.count = (int) strcspn(p.letters, " ");
    if (times(&p, 'U', p.count) + times(&p, 'V', p.count) > 0) {
        p.width = (p.width + d->wide - 1) / d->wide;
        p.height = (p.height + d->high - 1) / d->high;
    }
    return p;
}

/* The place of a sample. */
typedef struct spot {
    int plane, letter;
    int64_t x, y;
} spot;

static int planes_of(const description *d)
{
    int n = 1;

    for (const char *c = d->planes; *c; c++)
        n += *c == ' ';
    return n;
}

int64_t reference_samples(const svr_video_info *info)
{
    int64_t n = 0;

    for (int i = 0; i < planes_of(&descriptions[info->format]); i++) {
        plane p = plane_of(info, i);

        n += p.width * p.height * p.count;
    }
    return n;
}

static spot spot_of(const svr_video_info *info, int64_t i)
{
    spot s = {0};
    plane p = plane_of(info, 0);

    while (i >= p.width * p.height * p.count) {
        i -= p.width * p.height * p.count;
        p = plane_of(info, ++s.plane);
    }
    s.letter = (int) (i % p.count);
    s.x = i / p.count % p.width;
    s.y = i / p.count / p.width;
    return s;
}

static char letter_at(const svr_video_info *info, const spot *s)
{
    return plane_of(info, s->plane).letters[s->letter];
}

/* Its place among the samples of its letter in a row: two of luma where a unit is a pair. */
static int64_t column_of(const svr_video_info *info, const spot *s)
{
    plane p = plane_of(info, s->plane);
    char letter = p.letters[s->letter];

    return s->x * times(&p, letter, p.count) + times(&p, letter, s->letter);
}

/* The bits around a sample, `width` of them. */
static int64_t word_at(const svr_video_info *info, const svr_frame *frame, const spot *s)
{
    const description *d = &descriptions[info->format];
    const uint8_t *row = frame->plane[s->plane] + s->y * frame->stride[s->plane];
    int64_t index = s->x * plane_of(info, s->plane).count + s->letter;
    const uint8_t *bytes;

    if (shares_words(d)) {
        bytes = row + 4 * s->x;
        return ((int64_t) bytes[0] | (int64_t) bytes[1] << 8 | (int64_t) bytes[2] << 16 |
                (int64_t) bytes[3] << 24) >>
                   (10 * s->letter) &
               1023;
    }
    bytes = row + (d->unit > 8 ? 2 * index : index);
    if (info->format == SVR_PIXEL_GRAY16_BE)
        return bytes[0] << 8 | bytes[1];
    return d->unit > 8 ? bytes[0] | bytes[1] << 8 : bytes[0];
}

static int64_t top_of(const svr_video_info *info, const spot *s)
{
    const description *d = &descriptions[info->format];

    return shares_words(d) && s->letter == 3 ? 3 : ((int64_t) 1 << d->unit) - 1;
}

int64_t reference_sample(const svr_video_info *info, const svr_frame *frame, int64_t i,
                         int64_t *top)
{
    const description *d = &descriptions[info->format];
    spot s = spot_of(info, i);
    int64_t word = word_at(info, frame, &s), code = word >> d->skip;

    *top = top_of(info, &s);
    return code > *top || code << d->skip != word ? -1 : code;
}

/* The code of a letter at a pixel, or at a chroma sample, or the nearest one inside. */
static double code_at(const svr_unpack_args *args, char letter, int64_t x, int64_t y)
{
    const svr_video_info *info = &args->info;
    spot s = {0};
    plane p = plane_of(info, 0);

    while (!memchr(p.letters, letter, (size_t) p.count))
        p = plane_of(info, ++s.plane);
    x = reference_index(x, p.width * times(&p, letter, p.count));
    s.x = x / times(&p, letter, p.count);
    while (p.letters[s.letter] != letter || column_of(info, &s) != x)
        s.letter++;
    s.y = reference_index(y, p.height);
    return (double) (word_at(info, &args->frame, &s) >> descriptions[info->format].skip &
                     top_of(info, &s));
}

/* The code that means 0 and the codes from there to 1. */
static double zero_of(const svr_video_info *info, char letter)
{
    double eighth = ldexp(1, descriptions[info->format].unit - 8);

    if (strchr("UV", letter))
        return 128 * eighth;
    if (strchr("RGB", letter))
        return info->color.limited_rgb ? 16 * eighth : 0;
    return letter == 'Y' && !info->color.full_range ? 16 * eighth : 0;
}

static double range_of(const svr_video_info *info, char letter)
{
    int bits = descriptions[info->format].unit;
    bool full = strchr("RGB", letter)   ? !info->color.limited_rgb
                : strchr("YUV", letter) ? info->color.full_range
                                        : true;

    if (letter == 'A' && shares_words(&descriptions[info->format]))
        return 3;
    return full ? ldexp(1, bits) - 1 : (strchr("UV", letter) ? 224 : 219) * ldexp(1, bits - 8);
}

/* ---------------------------------------------------------------------------- unpack */

/* Chroma samples around a luma sample: weights of the previous, own and next one. */
static void weights_up(int64_t luma, int64_t n, int ratio, bool cosited, double w[3])
{
    bool right = luma % 2 == 1;

    w[0] = w[2] = 0;
    w[1] = 1;
    if (ratio == 1)
        return;
    if (cosited && right) {
        w[1] = w[2] = 0.5;
    } else if (!cosited && luma / 2 * 2 + 1 < n) {
        w[0] = right ? -0.125 : 0.125;
        w[2] = -w[0];
    }
}

static double chroma(const svr_unpack_args *args, char letter, int64_t x, int64_t y)
{
    const svr_video_info *info = &args->info;
    const description *d = &descriptions[info->format];
    double wx[3], wy[3], sum = 0;

    weights_up(x, info->width, d->wide, info->color.chroma_h_cosited, wx);
    weights_up(y, info->height, d->high, info->color.chroma_v_cosited, wy);
    for (int k = 0; k < 9; k++)
        sum += wx[k % 3] * wy[k / 3] *
               code_at(args, letter, x / d->wide + k % 3 - 1, y / d->high + k / 3 - 1);
    return (sum - zero_of(info, letter)) / range_of(info, letter);
}

static double value_at(const svr_unpack_args *args, char letter, int64_t x, int64_t y)
{
    return (code_at(args, letter, x, y) - zero_of(&args->info, letter)) /
           range_of(&args->info, letter);
}

static void colours_at(const svr_unpack_args *args, int64_t x, int64_t y, double rgb[3])
{
    const svr_colorimetry *c = &args->info.color;
    const char *planes = descriptions[args->info.format].planes;

    if (!strchr(planes, 'Y')) {
        for (int k = 0; k < 3; k++)
            rgb[k] = value_at(args, "RGB"[k], x, y);
        return;
    }
    rgb[0] = rgb[1] = rgb[2] = value_at(args, 'Y', x, y);
    if (strchr(planes, 'U')) {
        double luma = rgb[0];

        rgb[0] = luma + 2 * (1 - c->kr) * chroma(args, 'V', x, y);
        rgb[2] = luma + 2 * (1 - c->kb) * chroma(args, 'U', x, y);
        rgb[1] = (luma - c->kr * rgb[0] - c->kb * rgb[2]) / (1 - c->kr - c->kb);
    }
}

void reference_unpack(const svr_unpack_args *args)
{
    int64_t w = args->info.width;
    bool alpha = strchr(descriptions[args->info.format].planes, 'A') != NULL;

    for (int64_t i = 0; i < w * args->info.height; i++) {
        colours_at(args, i % w, i / w, (double *) args->rgb.data + 3 * i);
        if (svr_tensor_present(&args->alpha))
            ((double *) args->alpha.data)[i] = alpha ? value_at(args, 'A', i % w, i / w) : 1;
    }
}

/* ---------------------------------------------------------------------------- pack */

static double luma_of(const svr_colorimetry *c, const double rgb[3])
{
    return c->kr * rgb[0] + (1 - c->kr - c->kb) * rgb[1] + c->kb * rgb[2];
}

/* Luma samples from two before to two behind the left one of a chroma sample's pair. */
static const double *weights_down(int ratio, bool cosited)
{
    static const double one[5] = {0, 0, 1, 0, 0}, pair[5] = {0, 0, 0.5, 0.5, 0};
    static const double around[5] = {-0.125, 0.25, 0.75, 0.25, -0.125};

    return ratio == 1 ? one : cosited ? around : pair;
}

/* R, G, B around a sample. */
static void averaged(const svr_pack_args *args, const spot *s, bool is_chroma, double rgb[3])
{
    const svr_video_info *info = &args->info;
    const description *d = &descriptions[info->format];
    int wide = is_chroma ? d->wide : 1, high = is_chroma ? d->high : 1;
    const double *wx = weights_down(wide, info->color.chroma_h_cosited);
    const double *wy = weights_down(high, info->color.chroma_v_cosited);

    memset(rgb, 0, 3 * sizeof rgb[0]);
    for (int k = 0; k < 25; k++) {
        int64_t x = reference_index(column_of(info, s) * wide + k % 5 - 2, info->width);
        int64_t y = reference_index(s->y * high + k / 5 - 2, info->height);

        for (int c = 0; c < 3; c++)
            rgb[c] +=
                wx[k % 5] * wy[k / 5] *
                reference_unit(((const double *) args->rgb.data)[3 * (y * info->width + x) + c]);
    }
}

static double value_of(const svr_pack_args *args, char letter, const spot *s)
{
    const svr_colorimetry *c = &args->info.color;
    const double *alpha = args->alpha.data;
    double rgb[3];

    averaged(args, s, strchr("UV", letter) != NULL, rgb);
    switch (letter) {
    case 'Y':
        return luma_of(c, rgb);
    case 'U':
        return (rgb[2] - luma_of(c, rgb)) / (2 - 2 * c->kb);
    case 'V':
        return (rgb[0] - luma_of(c, rgb)) / (2 - 2 * c->kr);
    case 'A':
        return alpha ? alpha[s->y * args->info.width + s->x] : 1;
    case 'x':
        return 1;
    default:
        return rgb[letter == 'R' ? 0 : letter == 'G' ? 1 : 2];
    }
}

void reference_pack(const svr_pack_args *args, double *codes)
{
    for (int64_t i = 0; i < reference_samples(&args->info); i++) {
        spot s = spot_of(&args->info, i);
        char letter = letter_at(&args->info, &s);

        if (letter == 'Y' && column_of(&args->info, &s) >= args->info.width) {
            codes[i] = NAN; /* of a pair that the border cuts */
            continue;
        }
        codes[i] = reference_clamp(zero_of(&args->info, letter) +
                                       range_of(&args->info, letter) * value_of(args, letter, &s),
                                   0, (double) top_of(&args->info, &s));
    }
}
