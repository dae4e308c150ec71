#include "reference.h"

#include "base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double *f64(const svr_tensor *t)
{
    return t->data;
}

static double silu(double x)
{
    return x / (1 + exp(-x));
}

static double activate(double x, svr_activation activation)
{
    if (activation == SVR_ACT_SILU)
        return silu(x);
    if (activation == SVR_ACT_GELU_TANH)
        return 0.5 * x * (1 + tanh(sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
    return x;
}

/* Adds the products of n values to *sum and their absolute values to *mass. */
static void add_products(const double *x, const double *w, int64_t n, double *sum, double *mass)
{
    double terms = *sum, absolute = *mass;

    for (int64_t i = 0; i < n; i++) {
        double term = x[i] * w[i];

        terms += term;
        absolute += fabs(term);
    }
    *sum = terms;
    *mass = absolute;
}

/* ---------------------------------------------------------------------------- video VAE */

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
                    add_products(x,
                                 f64(&a->w) + (((at[3] * w[1] + kt) * w[2] + ky) * w[3] + kx) * C,
                                 C, sum, mass);
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
            y[p * C + c] = activate((x[p * C + c] - mean) / sqrt(variance + (double) a->eps) *
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

/* Row pointers of one attention: softmax(q k^T scale) v. */
typedef struct rows {
    const double **q, **k, **v;
    int64_t queries, keys, width;
} rows;

static void attend(const rows *r, int64_t query, double *out)
{
    double *p = calloc((size_t) r->keys, sizeof *p), most = -INFINITY, sum = 0;

    if (!p)
        abort();
    for (int64_t j = 0; j < r->keys; j++) {
        for (int64_t c = 0; c < r->width; c++)
            p[j] += r->q[query][c] * r->k[j][c];
        p[j] /= sqrt((double) r->width);
        most = p[j] > most ? p[j] : most;
    }
    for (int64_t j = 0; j < r->keys; j++)
        sum += p[j] = exp(p[j] - most);
    for (int64_t c = 0; c < r->width; c++) {
        out[c] = 0;
        for (int64_t j = 0; j < r->keys; j++)
            out[c] += p[j] / sum * r->v[j][c];
    }
    free(p);
}

static rows rows_make(int64_t count, int64_t width)
{
    rows r = {.queries = count, .keys = count, .width = width};

    r.q = calloc((size_t) (3 * count), sizeof *r.q);
    if (!r.q)
        abort();
    r.k = r.q + count;
    r.v = r.k + count;
    return r;
}

void reference_frame_attention(const svr_frame_attention_args *a)
{
    int64_t L = a->q.dims[1], C = a->q.dims[2];
    rows r = rows_make(L, C);

    for (int64_t t = 0; t < a->q.dims[0]; t++) {
        for (int64_t i = 0; i < L; i++) {
            r.q[i] = f64(&a->q) + (t * L + i) * C;
            r.k[i] = f64(&a->k) + (t * L + i) * C;
            r.v[i] = f64(&a->v) + (t * L + i) * C;
        }
        for (int64_t i = 0; i < L; i++)
            attend(&r, i, f64(&a->y) + (t * L + i) * C);
    }
    free(r.q);
}

/* ---------------------------------------------------------------------------- general */

void reference_copy(const svr_copy_args *a)
{
    memcpy(a->dst.data, a->src.data, svr_tensor_bytes(&a->src));
}

void reference_copy_rows(const svr_copy_rows_args *a)
{
    const int32_t *from = a->from.data, *to = a->to.data;
    int64_t M = from ? a->from.dims[0] : a->to.dims[0], D = a->x.dims[1];
    size_t unit = svr_dtype_size(a->x.dtype); /* integers stay what they are here */

    for (int64_t m = 0; m < M; m++)
        memcpy((char *) a->y.data + (size_t) ((to ? to[m] : m) * D) * unit,
               (const char *) a->x.data + (size_t) ((from ? from[m] : m) * D) * unit,
               (size_t) D * unit);
}

void reference_copy_window(const svr_copy_window_args *a)
{
    const int64_t *x = a->x.dims, *y = a->y.dims;

    for (int64_t t = 0; t < x[0]; t++)
        for (int64_t i = 0; i < a->size[0]; i++)
            for (int64_t j = 0; j < a->size[1]; j++)
                for (int64_t c = 0; c < x[3]; c++)
                    f64(&a->y)[((t * y[1] + a->to[0] + i) * y[2] + a->to[1] + j) * y[3] + c] = f64(
                        &a->x)[((t * x[1] + a->from[0] + i) * x[2] + a->from[1] + j) * x[3] + c];
}

void reference_lincomb(const svr_lincomb_args *a, double *magnitude)
{
    int64_t n = svr_tensor_elems(&a->y);

    for (int64_t i = 0; i < n; i++) {
        double y = (double) a->alpha * f64(&a->a)[i];

        magnitude[i] = fabs(y);
        if (svr_tensor_present(&a->b)) {
            magnitude[i] += fabs((double) a->beta * f64(&a->b)[i]);
            y += (double) a->beta * f64(&a->b)[i];
        }
        if (a->clamp)
            y = fmin(fmax(y, (double) a->lo), (double) a->hi);
        f64(&a->y)[i] = y;
    }
}

void reference_quantize(const svr_quantize_args *a, double end)
{
    int64_t M = a->x.dims[0], K = a->x.dims[1];

    for (int64_t m = 0; m < M; m++) {
        double most = 0, scale;

        for (int64_t k = 0; k < K; k++)
            most = fmax(most, fabs(f64(&a->x)[m * K + k]));
        scale = most < 0x1p-100 ? 1 : most / end;
        for (int64_t k = 0; k < K; k++)
            f64(&a->y)[m * K + k] = f64(&a->x)[m * K + k] / scale;
        f64(&a->scale)[m] = scale;
    }
}

void reference_dequantize(const svr_dequantize_args *a)
{
    int64_t M = a->x.dims[0], K = a->x.dims[1];

    for (int64_t i = 0; i < M * K; i++)
        f64(&a->y)[i] = (double) (float) (f64(&a->scale)[i / K] * f64(&a->x)[i]);
}

/* Factor of row m and output n of a quantised product, 1 for others. */
static double scale_of(const svr_tensor *x_scale, const svr_tensor *w_scale, int64_t m, int64_t n)
{
    return svr_tensor_present(x_scale) ? f64(x_scale)[m] * f64(w_scale)[n] : 1;
}

/* Dot product of row m of x and row n of w; adds the absolute terms to *mass. */
static double dot(const svr_tensor *x, int64_t m, const svr_tensor *w, int64_t n, double *mass)
{
    int64_t K = x->dims[1];
    double sum = 0;

    add_products(f64(x) + m * K, f64(w) + n * K, K, &sum, mass);
    return sum;
}

void reference_linear(const svr_linear_args *a, double *magnitude)
{
    int64_t M = a->y.dims[0], N = a->y.dims[1];

    for (int64_t i = 0; i < M * N; i++) {
        int64_t m = i / N, n = i % N;
        double mass = 0, y = dot(&a->x, m, &a->w, n, &mass);
        double gate = svr_tensor_present(&a->gate) ? f64(&a->gate)[n] : 1;
        double scale = scale_of(&a->x_scale, &a->w_scale, m, n);

        y *= scale;
        mass *= scale;
        if (svr_tensor_present(&a->b)) {
            y += f64(&a->b)[n];
            mass += fabs(f64(&a->b)[n]);
        }
        y = gate * activate(y, a->activation);
        mass *= fabs(gate);
        if (svr_tensor_present(&a->residual)) {
            y += f64(&a->residual)[i];
            mass += fabs(f64(&a->residual)[i]);
        }
        f64(&a->y)[i] = y;
        magnitude[i] = mass;
    }
}

/* ---------------------------------------------------------------------------- transformer */

void reference_swiglu(const svr_swiglu_args *a, double *magnitude)
{
    int64_t M = a->y.dims[0], F = a->y.dims[1];

    for (int64_t i = 0; i < M * F; i++) {
        double gate_mass = 0, up_mass = 0;
        double gate = dot(&a->x, i / F, &a->w_gate, i % F, &gate_mass);
        double up = dot(&a->x, i / F, &a->w_up, i % F, &up_mass);
        double gate_scale = scale_of(&a->x_scale, &a->gate_scale, i / F, i % F);
        double up_scale = scale_of(&a->x_scale, &a->up_scale, i / F, i % F);

        gate *= gate_scale, gate_mass *= gate_scale;
        up *= up_scale, up_mass *= up_scale;
        f64(&a->y)[i] = silu(gate) * up;
        /* first order: |d silu| <= 1.1 */
        magnitude[i] = 1.1 * gate_mass * fabs(up) + fabs(silu(gate)) * up_mass;
    }
}

static double rms(const double *x, int64_t n, double eps)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++)
        sum += x[i] * x[i];
    return sqrt(sum / (double) n + eps);
}

void reference_rms_norm(const svr_rms_norm_args *a)
{
    int64_t M = a->y.dims[0], D = a->x.dims[1];
    const int32_t *numbers = a->rows.data;

    for (int64_t m = 0; m < M; m++) {
        const double *x = f64(&a->x) + (numbers ? numbers[m] : m) * D;
        double length = rms(x, D, (double) a->eps);

        for (int64_t i = 0; i < D; i++) {
            double y = x[i] / length;

            if (svr_tensor_present(&a->weight))
                y *= f64(&a->weight)[i];
            if (svr_tensor_present(&a->scale))
                y = y * f64(&a->scale)[i] + f64(&a->shift)[i];
            f64(&a->y)[m * D + i] = y;
        }
    }
}

/* Index of feature f of token n in picture [T,H,W,C], patch P. */
static int64_t patch_pixel(const svr_tensor *picture, int64_t P, int64_t token, int64_t place)
{
    int64_t h = picture->dims[1] / P, w = picture->dims[2] / P;
    int64_t t = token / (h * w), y = token / w % h * P + place / P, x = token % w * P + place % P;

    return (t * picture->dims[1] + y) * picture->dims[2] + x;
}

void reference_patchify(const svr_patchify_args *a)
{
    int64_t tokens = a->y.dims[0], features = a->y.dims[1], Ca = a->a.dims[3];
    int64_t P = a->patch, C = features / (P * P), Cb = C - Ca;

    for (int64_t token = 0; token < tokens; token++)
        for (int64_t f = 0; f < features; f++) {
            int64_t pixel = patch_pixel(&a->a, P, token, f / C), c = f % C;

            f64(&a->y)[token * features + f] =
                c < Ca ? f64(&a->a)[pixel * Ca + c] : f64(&a->b)[pixel * Cb + c - Ca];
        }
}

void reference_unpatchify(const svr_unpatchify_args *a)
{
    int64_t tokens = a->x.dims[0], features = a->x.dims[1], C = a->y.dims[3];

    for (int64_t token = 0; token < tokens; token++)
        for (int64_t f = 0; f < features; f++)
            f64(&a->y)[patch_pixel(&a->y, a->patch, token, f / C) * C + f % C] =
                f64(&a->x)[token * features + f];
}

static void norm_rope_head(const svr_qk_norm_rope_args *a, int64_t token, const double *weight,
                           double *x)
{
    int64_t hd = a->qkv.dims[3], p = a->cosines.dims[1];
    const int32_t *rows_of = a->rows.data;
    double length = rms(x, hd, (double) a->eps);

    for (int64_t i = 0; i < hd; i++)
        x[i] = x[i] / length * weight[i];
    for (int64_t j = 0; rows_of && j < 3 * p; j++) {
        int64_t at = rows_of[3 * token + j / p] * p + j % p;
        double even = x[2 * j], odd = x[2 * j + 1];

        x[2 * j] = even * f64(&a->cosines)[at] - odd * f64(&a->sines)[at];
        x[2 * j + 1] = odd * f64(&a->cosines)[at] + even * f64(&a->sines)[at];
    }
}

void reference_qk_norm_rope(const svr_qk_norm_rope_args *a)
{
    int64_t heads = a->qkv.dims[2], hd = a->qkv.dims[3];

    for (int64_t token = 0; token < a->qkv.dims[0]; token++)
        for (int64_t part = 0; part < 2; part++)
            for (int64_t head = 0; head < heads; head++)
                norm_rope_head(a, token, f64(part == 0 ? &a->norm_q : &a->norm_k),
                               f64(&a->qkv) + ((token * 3 + part) * heads + head) * hd);
}

/* Text results are added to text [L, heads * hd], which may be NULL. */
static void attend_window(const svr_window_attention_args *a, int window, int64_t head,
                          double *text)
{
    int64_t heads = a->vid.dims[2], hd = a->vid.dims[3], L = a->txt.dims[0];
    int64_t first = a->host_offsets[window], count = a->host_offsets[window + 1] - first;
    int64_t begin = first - a->host_offsets[0];
    const int32_t *order = a->order.data;
    double *out = calloc((size_t) hd, sizeof *out);
    rows r = rows_make(count + L, hd);

    if (!out)
        abort();
    for (int64_t i = 0; i < count + L; i++) {
        int64_t row = i >= count ? 0 : order ? order[begin + i] : begin + i;
        const double *base = i < count ? f64(&a->vid) + row * 3 * heads * hd
                                       : f64(&a->txt) + (i - count) * 3 * heads * hd;

        r.q[i] = base + head * hd;
        r.k[i] = base + (heads + head) * hd;
        r.v[i] = base + (2 * heads + head) * hd;
    }
    for (int64_t i = 0; i < count + L; i++) {
        attend(&r, i, out);
        int64_t row = i >= count ? i - count : order ? order[begin + i] : begin + i;
        double *to = i < count ? f64(&a->out_vid) : text;

        for (int64_t c = 0; to && c < hd; c++) {
            double *y = to + (row * heads + head) * hd + c;

            *y = i < count ? out[c] : *y + out[c];
        }
    }
    free(r.q);
    free(out);
}

void reference_window_attention(const svr_window_attention_args *a)
{
    bool summed = svr_tensor_present(&a->text_sum);
    double *text = summed ? f64(&a->text_sum) : f64(&a->out_txt);
    int64_t n = a->txt.dims[0] * a->txt.dims[2] * a->txt.dims[3];

    if (text && a->windows_before == 0)
        memset(text, 0, (size_t) n * sizeof *text);
    for (int window = 0; window < a->window_count; window++)
        for (int64_t head = 0; head < a->vid.dims[2]; head++)
            attend_window(a, window, head, text);
    for (int64_t i = 0; svr_tensor_present(&a->out_txt) && i < n; i++)
        f64(&a->out_txt)[i] = text[i] / (a->windows_before + a->window_count);
}

static double deviation(const double *x, int64_t n)
{
    double mean = 0, sum = 0;

    for (int64_t i = 0; i < n; i++)
        mean += x[i] / (double) n;
    for (int64_t i = 0; i < n; i++)
        sum += (x[i] - mean) * (x[i] - mean);
    return sqrt(sum / (double) (n - 1));
}

void reference_guidance(const svr_guidance_args *a)
{
    int64_t C = a->pos.dims[1];

    for (int64_t row = 0; row < a->pos.dims[0]; row++) {
        double *pos = f64(&a->pos) + row * C;
        const double *neg = f64(&a->neg) + row * C;
        double before = a->rescale != 0 ? deviation(pos, C) : 0, factor = 1;

        for (int64_t i = 0; i < C; i++)
            pos[i] = neg[i] + (double) a->scale * (pos[i] - neg[i]);
        if (a->rescale != 0)
            factor = (double) a->rescale * before / deviation(pos, C) + 1 - (double) a->rescale;
        for (int64_t i = 0; i < C; i++)
            pos[i] *= factor;
        for (int64_t i = 0; svr_tensor_present(&a->x) && i < C; i++)
            f64(&a->x)[row * C + i] += (double) a->step * pos[i];
    }
}

void reference_noise(const svr_noise_args *a)
{
    const int64_t *d = a->y.dims;
    int64_t i = 0;

    for (uint32_t f = 0; f < d[0]; f++)
        for (uint32_t y = 0; y < d[1]; y++)
            for (uint32_t x = 0; x < d[2]; x++)
                for (uint32_t group = 0; group < d[3] / 4; group++, i += 4) {
                    float values[4];

                    svr_position_noise(a->seed, a->stream,
                                       (uint32_t[]){a->x0 + x, a->y0 + y, a->frame0 + f, group},
                                       values);
                    for (int k = 0; k < 4; k++)
                        f64(&a->y)[i + k] = (double) values[k];
                }
}
