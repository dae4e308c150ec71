#include "reference_internal.h"

#include "base/rng.h"

#include <math.h>
#include <string.h>

double reference_silu(double x)
{
    return x / (1 + exp(-x));
}

double reference_activate(double x, svr_activation activation)
{
    if (activation == SVR_ACT_SILU)
        return reference_silu(x);
    if (activation == SVR_ACT_GELU_TANH)
        return 0.5 * x * (1 + tanh(sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
    return x;
}

void reference_add_products(const double *x, const double *w, int64_t n, double *sum, double *mass)
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

    reference_add_products(f64(x) + m * K, f64(w) + n * K, K, &sum, mass);
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
        y = gate * reference_activate(y, a->activation);
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
        f64(&a->y)[i] = reference_silu(gate) * up;
        /* first order: |d silu| <= 1.1 */
        magnitude[i] = 1.1 * gate_mass * fabs(up) + fabs(reference_silu(gate)) * up_mass;
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
