#include "reference_internal.h"

#include <math.h>
#include <stdlib.h>

/* The channels of the padded input P at (t, y, x); NULL outside the picture, where they are 0. */
static const double *padded(const svr_conv3d_args *a, int64_t t, int64_t y, int64_t x)
{
    int64_t H = a->x.dims[1], W = a->x.dims[2], C = a->x.dims[3];
    const svr_tensor *from = &a->x;

    if (y < 0 || y >= H || x < 0 || x >= W)
        return NULL;
    if (a->head_starts) /* what would be in front of it is the same */
        t = t > 0 ? t - 1 : 0;
    if (svr_tensor_present(&a->head)) {
        int64_t recent = svr_tensor_present(&a->recent) ? 1 : 0;

        if (t < a->head.dims[0])
            from = &a->head;
        else if (t < a->head.dims[0] + recent)
            from = &a->recent, t = 0;
        else
            t -= a->head.dims[0] + recent;
    } else {
        t -= a->w.dims[1] - 1;
        t = t < 0 ? 0 : t;
    }
    return f64(from) + ((t * H + y) * W + x) * C;
}

static void conv_element(const svr_conv3d_args *a, const int64_t at[4], double *sum, double *mass)
{
    const int64_t *w = a->w.dims;
    int64_t C = w[4];

    for (int64_t kt = 0; kt < w[1]; kt++)
        for (int64_t ky = 0; ky < w[2]; ky++)
            for (int64_t kx = 0; kx < w[3]; kx++) {
                const double *x =
                    padded(a, at[0] * a->stride_t + kt, at[1] * a->stride_s + ky - a->pad_top,
                           at[2] * a->stride_s + kx - a->pad_left);

                if (x)
                    reference_add_products(
                        x, f64(&a->w) + (((at[3] * w[1] + kt) * w[2] + ky) * w[3] + kx) * C, C, sum,
                        mass);
            }
}

void reference_conv3d(const svr_conv3d_args *a, double *magnitude)
{
    const int64_t *d = a->y.dims;
    int64_t i = 0;

    for (int64_t t = 0; t < d[0]; t++)
        for (int64_t y = 0; y < d[1]; y++)
            for (int64_t x = 0; x < d[2]; x++)
                for (int64_t k = 0; k < d[3]; k++, i++) {
                    double sum = svr_tensor_present(&a->b) ? f64(&a->b)[k] : 0, mass = fabs(sum);

                    conv_element(a, (int64_t[]){t, y, x, k}, &sum, &mass);
                    if (svr_tensor_present(&a->residual)) {
                        sum += f64(&a->residual)[i];
                        mass += fabs(f64(&a->residual)[i]);
                    }
                    f64(&a->y)[i] = sum;
                    magnitude[i] = mass;
                }
}

/* The given statistics, or those of x; of `pixels` pixels of a group of `size` channels. */
static void group_statistics(const svr_group_norm_args *a, int64_t t, int64_t group, double *mean,
                             double *variance)
{
    int64_t pixels = a->x.dims[1] * a->x.dims[2], C = a->x.dims[3], size = C / a->groups;
    const double *x = f64(&a->x) + t * pixels * C + group * size;
    double n = (double) (pixels * size);

    if (svr_tensor_present(&a->moments)) {
        const double *m = f64(&a->moments) + (t * a->groups + group) * 3;

        *mean = m[0] + m[1];
        *variance = m[2];
        return;
    }
    *mean = *variance = 0;
    for (int64_t p = 0; p < pixels; p++)
        for (int64_t c = 0; c < size; c++)
            *mean += x[p * C + c] / n;
    for (int64_t p = 0; p < pixels; p++)
        for (int64_t c = 0; c < size; c++)
            *variance += (x[p * C + c] - *mean) * (x[p * C + c] - *mean) / n;
}

static void norm_group(const svr_group_norm_args *a, int64_t t, int64_t group)
{
    int64_t pixels = a->x.dims[1] * a->x.dims[2], C = a->x.dims[3], size = C / a->groups;
    const double *x = f64(&a->x) + t * pixels * C + group * size;
    double *y = f64(&a->y) + t * pixels * C + group * size, mean, variance;

    group_statistics(a, t, group, &mean, &variance);
    for (int64_t p = 0; p < pixels; p++)
        for (int64_t c = 0; c < size; c++)
            y[p * C + c] =
                reference_activate((x[p * C + c] - mean) / sqrt(variance + (double) a->eps) *
                                           f64(&a->gamma)[group * size + c] +
                                       f64(&a->beta)[group * size + c],
                                   a->activation);
}

void reference_group_norm(const svr_group_norm_args *a)
{
    for (int64_t t = 0; t < a->x.dims[0]; t++)
        for (int64_t group = 0; group < a->groups; group++)
            norm_group(a, t, group);
}

void reference_depth_to_space(const svr_depth_to_space_args *a)
{
    const int64_t *d = a->y.dims;
    int64_t H = a->x.dims[1], W = a->x.dims[2], C = d[3], i = 0;

    for (int64_t frame = 0; frame < d[0]; frame++)
        for (int64_t y = 0; y < d[1]; y++)
            for (int64_t x = 0; x < d[2]; x++)
                for (int64_t c = 0; c < C; c++, i++) {
                    int64_t full = a->drop_second && frame > 0 ? frame + 1 : frame;
                    int64_t part = ((y % 2 * 2 + x % 2) * a->tz + full % a->tz) * C + c;

                    f64(&a->y)[i] =
                        f64(&a->x)[((full / a->tz * H + y / 2) * W + x / 2) * a->x.dims[3] + part];
                }
}

void reference_tap_sum(const svr_tap_sum_args *a)
{
    int64_t K = a->y.dims[3], S = a->s.dims[3], taps = S / K, plane = a->s.dims[1] * a->s.dims[2];
    int64_t heads = svr_tensor_present(&a->head) ? a->head.dims[0] : 0;

    for (int64_t i = 0; i < svr_tensor_elems(&a->y); i++) {
        int64_t t = i / (plane * K), pixel = i / K % plane, k = i % K;
        double sum = svr_tensor_present(&a->b) ? f64(&a->b)[k] : 0;

        for (int64_t j = 0; j < taps; j++) {
            int64_t frame = t + j - (taps - 1);
            const double *from = frame < 0 && heads ? f64(&a->head) : f64(&a->s);

            frame = frame < 0 ? (heads ? frame + heads : 0) : frame;
            sum += from[(frame * plane + pixel) * S + k * taps + j];
        }
        f64(&a->y)[i] = sum;
    }
}

/* Value of the shuffled frames at (t, y, x, m), t counted from the first frame of head or x. */
static double shuffled(const svr_upsample_conv3d_args *a, const int64_t at[4], double *mass)
{
    int64_t H = a->x.dims[1], W = a->x.dims[2], C = a->x.dims[3], M = a->w.dims[4];
    int64_t heads = svr_tensor_present(&a->head) ? a->head.dims[0] : 0, frame = at[0] / a->tz;
    int64_t row = ((at[1] % 2 * 2 + at[2] % 2) * a->tz + at[0] % a->tz) * M + at[3];
    const double *x = frame < heads ? f64(&a->head) : f64(&a->x);
    double sum = f64(&a->up_b)[row];

    *mass = fabs(sum);
    frame -= frame < heads ? 0 : heads;
    x += ((frame * H + at[1] / 2) * W + at[2] / 2) * C;
    for (int64_t c = 0; c < C; c++) {
        sum += f64(&a->up)[row * C + c] * x[c];
        *mass += fabs(f64(&a->up)[row * C + c] * x[c]);
    }
    return sum;
}

/* The steps one by one: all shuffled frames, without the second at the clip's start, then their
 * convolution.  The magnitudes of the frames give those of the result through |w|. */
void reference_upsample_conv3d(const svr_upsample_conv3d_args *a, double *magnitude)
{
    const int64_t *y = a->y.dims;
    int64_t M = a->w.dims[4];
    int64_t heads = a->head_starts ? 2 : svr_tensor_present(&a->head) ? a->head.dims[0] * a->tz : 0;
    int64_t frames = heads + y[0], n = frames * y[1] * y[2] * M, i = 0;
    int64_t weights = svr_tensor_elems(&a->w);
    double *u = calloc((size_t) n, sizeof *u), *mass = calloc((size_t) n, sizeof *mass);
    double *size = calloc((size_t) weights, sizeof *size);
    double *unused = calloc((size_t) svr_tensor_elems(&a->y), sizeof *unused);
    svr_conv3d_args conv = {.x = svr_tensor_4d(u, a->x.dtype, frames, y[1], y[2], M),
                            .w = a->w,
                            .b = a->b,
                            .y = a->y,
                            .stride_t = 1,
                            .stride_s = 1,
                            .pad_top = 1,
                            .pad_bottom = 1,
                            .pad_left = 1,
                            .pad_right = 1};

    if (!u || !mass || !size || !unused)
        abort();
    for (int64_t t = 0; t < frames; t++)
        for (int64_t h = 0; h < y[1]; h++)
            for (int64_t w = 0; w < y[2]; w++)
                for (int64_t m = 0; m < M; m++, i++) {
                    int64_t full = t + (heads == 0 && a->tz == 2 && t > 0);

                    full -= a->head_starts && (a->tz == 1 ? t > 0 : t == 1);

                    u[i] = shuffled(a, (int64_t[]){full, h, w, m}, &mass[i]);
                }
    if (heads > 0)
        conv.head = svr_tensor_4d(u, a->x.dtype, heads, y[1], y[2], M);
    conv.x.dims[0] = y[0];
    for (i = 0; i < weights; i++)
        size[i] = fabs(f64(&a->w)[i]);
    for (int pass = 0; pass < 2; pass++) {
        conv.w.data = pass == 0 ? size : a->w.data;
        conv.x.data = (pass == 0 ? mass : u) + heads * y[1] * y[2] * M;
        conv.head.data = heads > 0 ? (pass == 0 ? mass : u) : NULL;
        reference_conv3d(&conv, pass == 0 ? magnitude : unused);
    }
    free(u), free(mass), free(size), free(unused);
}
