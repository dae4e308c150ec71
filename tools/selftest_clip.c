/* The clip that selftest runs on, and how its result is judged. */
#include "selftest.h"

#include "video/resample.h"

#include <math.h>

/* ------------------------------------------------------------------ paint */

/* A triangle between 0 and `height`. */
static int wave(int position, int period, int height)
{
    int p = position % period;

    return height * abs(2 * p - period) / period;
}

static int luma(const svr_video_info *info, int x, int y, int f)
{
    int left = (info->width / 4 + 3 * f) % info->width, top = info->height / 3;
    bool inside = x >= left && x < left + info->width / 4 && y >= top && y < top + info->height / 3;

    return 40 + wave(x + 2 * f, 48, 60) + wave(x + 2 * y + f, 67, 50) + (inside ? 60 : 0);
}

static void paint_frame(const svr_video_info *info, const svr_frame *frame, int f)
{
    for (int plane = 0; plane < SVR_MAX_PLANES; plane++)
        for (int y = 0; y < svr_plane_rows(info, plane); y++)
            for (int x = 0; x < (int) svr_plane_row_bytes(info, plane); x++)
                frame->plane[plane][y * frame->stride[plane] + x] =
                    (uint8_t) (plane == 0 ? luma(info, x, y, f)
                                          : 98 + wave(x + plane * y + f, 80, 60));
}

uint8_t *selftest_paint(const svr_video_info *info, int frames)
{
    size_t bytes = svr_frame_bytes(info);
    uint8_t *pixels = g_new(uint8_t, bytes * (size_t) frames);

    for (int f = 0; f < frames; f++) {
        svr_frame frame = svr_frame_packed(info, pixels + (size_t) f * bytes);

        paint_frame(info, &frame, f);
    }
    return pixels;
}

/* ------------------------------------------------------------------ look */

static double psnr_of(double squares, double n)
{
    return squares == 0 ? INFINITY : 10.0 * log10(255.0 * 255.0 * n / squares);
}

double selftest_psnr(const uint8_t *a, const uint8_t *b, size_t n)
{
    double squares = 0;

    for (size_t i = 0; i < n; i++)
        squares += (double) ((a[i] - b[i]) * (a[i] - b[i]));
    return psnr_of(squares, (double) n);
}

/* A luma plane resized in one direction after the other. */
typedef struct resize {
    svr_taps across, down;
    int in_width, in_height;
    float *rows; /* [in_height, across.outputs] */
} resize;

static void resize_rows(const resize *r, const uint8_t *in)
{
    for (int y = 0; y < r->in_height; y++)
        for (int x = 0; x < r->across.outputs; x++) {
            const float *weight = r->across.weight + (size_t) x * (size_t) r->across.taps;
            float sum = 0;

            for (int i = 0; i < r->across.taps; i++)
                sum += weight[i] * (float) in[y * r->in_width + r->across.first[x] + i];
            r->rows[(size_t) y * (size_t) r->across.outputs + (size_t) x] = sum;
        }
}

static float resized(const resize *r, int x, int y)
{
    const float *weight = r->down.weight + (size_t) y * (size_t) r->down.taps;
    float sum = 0;

    for (int i = 0; i < r->down.taps; i++)
        sum += weight[i] *
               r->rows[(size_t) (r->down.first[y] + i) * (size_t) r->across.outputs + (size_t) x];
    return fminf(fmaxf(sum, 0), 255);
}

/* Sum of the squared differences of a frame. */
static double compare(const resize *r, const uint8_t *in, const uint8_t *out,
                      selftest_picture *picture)
{
    double squares = 0;

    resize_rows(r, in);
    for (int y = 0; y < r->down.outputs; y++)
        for (int x = 0; x < r->across.outputs; x++) {
            int value = out[y * r->across.outputs + x];
            double d = value - (double) resized(r, x, y);

            squares += d * d;
            picture->darkest = MIN(picture->darkest, value);
            picture->brightest = MAX(picture->brightest, value);
        }
    return squares;
}

svr_status selftest_look(const svr_video_info *in_info, const uint8_t *in,
                         const svr_video_info *out_info, const uint8_t *out, int frames,
                         selftest_picture *picture, svr_error *err)
{
    resize r = {.in_width = in_info->width, .in_height = in_info->height};
    double squares = 0, values = (double) frames * out_info->width * out_info->height;
    svr_status status = svr_taps_init(in_info->width, out_info->width, &r.across, err);

    *picture = (selftest_picture){.darkest = 255};
    if (status == SVR_OK)
        status = svr_taps_init(in_info->height, out_info->height, &r.down, err);
    if (status == SVR_OK) {
        r.rows = g_new(float, (size_t) in_info->height *(size_t) out_info->width);
        for (int f = 0; f < frames; f++)
            squares += compare(&r, in + (size_t) f * svr_frame_bytes(in_info),
                               out + (size_t) f * svr_frame_bytes(out_info), picture);
        picture->psnr_db = psnr_of(squares, values);
        g_free(r.rows);
    }
    svr_taps_finish(&r.down);
    svr_taps_finish(&r.across);
    return status;
}
