#include "reference_pixels.h"

#include "base/checked.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------------------- colour */

/* Mean and unbiased deviation (with its 1e-5) of channel c of one frame. */
static void statistics(const svr_tensor *x, int64_t frame, int64_t c, double out[2])
{
    int64_t n = x->dims[1] * x->dims[2];
    const double *values = (const double *) x->data + frame * n * 3 + c;
    double squares = 0;

    out[0] = 0;
    for (int64_t i = 0; i < n; i++)
        out[0] += values[3 * i] / (double) n;
    for (int64_t i = 0; i < n; i++)
        squares += pow(values[3 * i] - out[0], 2);
    out[1] = sqrt(squares / (double) (n - 1) + 1e-5);
}

void reference_adain(const svr_adain_args *args)
{
    int64_t n = args->y.dims[1] * args->y.dims[2];

    for (int64_t f = 0; f < args->y.dims[0]; f++) {
        for (int64_t c = 0; c < 3; c++) {
            const double *content = (const double *) args->content.data + f * n * 3 + c;
            double *y = (double *) args->y.data + f * n * 3 + c;
            double own[2], other[2];

            statistics(&args->content, f, c, own);
            statistics(&args->style, f, c, other);
            for (int64_t i = 0; i < n; i++)
                y[3 * i] = (content[3 * i] - own[0]) / own[1] * other[1] + other[0];
        }
    }
}

static const double white[3] = {0.95047, 1, 1.08883};
static const double delta = 6.0 / 29.0;
static const double kappa = 29.0 / 3.0 * 29.0 / 3.0 * 29.0 / 3.0;

void reference_rgb_to_lab(const svr_lab_args *args)
{
    static const double m[3][3] = {{0.4124564, 0.3575761, 0.1804375},
                                   {0.2126729, 0.7151522, 0.0721750},
                                   {0.0193339, 0.1191920, 0.9503041}};

    for (int64_t i = 0; i < svr_tensor_elems(&args->x); i += 3) {
        const double *x = (const double *) args->x.data + i;
        double *y = (double *) args->y.data + i, linear[3], f[3];

        for (int c = 0; c < 3; c++) {
            double u = reference_unit(x[c]);

            linear[c] = u > 0.04045 ? pow((u + 0.055) / 1.055, 2.4) : u / 12.92;
        }
        for (int c = 0; c < 3; c++) {
            double t = (m[c][0] * linear[0] + m[c][1] * linear[1] + m[c][2] * linear[2]) / white[c];

            f[c] = t > delta * delta * delta ? cbrt(t) : (kappa * t + 16) / 116;
        }
        y[0] = 116 * f[1] - 16;
        y[1] = 500 * (f[0] - f[1]);
        y[2] = 200 * (f[1] - f[2]);
    }
}

void reference_lab_to_rgb(const svr_lab_args *args)
{
    static const double m[3][3] = {{3.2404542, -1.5371385, -0.4985314},
                                   {-0.9692660, 1.8760108, 0.0415560},
                                   {0.0556434, -0.2040259, 1.0572252}};

    for (int64_t i = 0; i < svr_tensor_elems(&args->x); i += 3) {
        const double *x = (const double *) args->x.data + i;
        double *y = (double *) args->y.data + i, fy = (x[0] + 16) / 116;
        double f[3] = {fy + x[1] / 500, fy, fy - x[2] / 200}, xyz[3];

        for (int c = 0; c < 3; c++)
            xyz[c] = white[c] * (f[c] > delta ? pow(f[c], 3) : (116 * f[c] - 16) / kappa);
        for (int c = 0; c < 3; c++) {
            double v = m[c][0] * xyz[0] + m[c][1] * xyz[1] + m[c][2] * xyz[2];

            v = v > 0.0031308 ? 1.055 * pow(v, 1 / 2.4) - 0.055 : v * 12.92;
            y[c] = 2 * reference_clamp(v, 0, 1) - 1;
        }
    }
}

void reference_histogram(const svr_histogram_args *args, uint32_t *counts)
{
    int64_t bins = args->counts.dims[1];

    for (int64_t i = 0; i < svr_tensor_elems(&args->x); i++) {
        double lo = (double) args->lo[i % 3], hi = (double) args->hi[i % 3];
        double v = ((const double *) args->x.data)[i];

        if (v >= lo && v <= hi)
            counts[i % 3 * bins +
                   svr_min_i64((int64_t) ((v - lo) / (hi - lo) * (double) bins), bins - 1)]++;
    }
}

/* Share of the counts below position `at` (in bins) of a cumulative histogram with linear bins. */
static double share_below(const uint32_t *counts, int64_t bins, double position)
{
    double below = 0, total = 0;

    for (int64_t i = 0; i < bins; i++) {
        below += counts[i] * reference_clamp(position - (double) i, 0, 1);
        total += counts[i];
    }
    return below / total;
}

/* Position whose share is `share`. */
static double position_of(const uint32_t *counts, int64_t bins, double share)
{
    double total = 0, below = 0;

    for (int64_t i = 0; i < bins; i++)
        total += counts[i];
    for (int64_t i = 0; i < bins; i++) {
        if (counts[i] > 0 && below + counts[i] >= share * total)
            return (double) i + (share * total - below) / counts[i];
        below += counts[i];
    }
    return (double) bins;
}

void reference_match_histogram(const svr_match_histogram_args *args)
{
    int64_t bins = args->counts.dims[1];

    for (int64_t i = 0; i < svr_tensor_elems(&args->x); i++) {
        int64_t c = i % 3;
        double lo = (double) args->lo[c], step = ((double) args->hi[c] - lo) / (double) bins;
        double keep = (double) args->keep[c], v = ((const double *) args->x.data)[i];
        double share = share_below((const uint32_t *) args->counts.data + c * bins, bins,
                                   reference_clamp((v - lo) / step, 0, (double) bins - 1e-3));
        double matched =
            lo +
            step * position_of((const uint32_t *) args->ref_counts.data + c * bins, bins, share);

        ((double *) args->y.data)[i] = keep * v + (1 - keep) * matched;
    }
}

/* ---------------------------------------------------------------------------- ranks */

typedef struct ranked {
    double value;
    int64_t place;
} ranked;

static int by_value(const void *a, const void *b)
{
    const ranked *x = a, *y = b;

    if (x->value != y->value)
        return x->value < y->value ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

/* out[place] of the k-th smallest of `own` = k-th smallest of `ref`, by share where counts differ.
 */
static void match_by_rank(ranked *own, int64_t n, ranked *ref, int64_t n_ref, double *out)
{
    qsort(own, (size_t) n, sizeof *own, by_value);
    qsort(ref, (size_t) n_ref, sizeof *ref, by_value);
    for (int64_t k = 0; k < n; k++)
        out[own[k].place] = ref[n == n_ref ? k : k * (n_ref - 1) / (n - 1)].value;
}

void reference_match_ranks(const svr_match_ranks_args *args)
{
    int64_t n = svr_tensor_elems(&args->x) / 3;
    ranked *own = calloc((size_t) n, sizeof *own), *ref = calloc((size_t) n, sizeof *ref);
    double *out = calloc((size_t) n, sizeof *out);

    for (int64_t c = 0; c < 3; c++) {
        const double *x = (const double *) args->x.data + c,
                     *r = (const double *) args->ref.data + c;
        double *y = (double *) args->y.data + c, keep = (double) args->keep[c];

        for (int64_t i = 0; i < n; i++) {
            own[i] = (ranked){x[3 * i], i};
            ref[i] = (ranked){r[3 * i], i};
        }
        match_by_rank(own, n, ref, n, out);
        for (int64_t i = 0; i < n; i++)
            y[3 * i] = keep * x[3 * i] + (1 - keep) * out[i];
    }
    free(own);
    free(ref);
    free(out);
}

/* Hue in sixths of a turn, saturation, value of a model pixel. */
static void to_hsv(const double *model, double hsv[3])
{
    double r = reference_unit(model[0]), g = reference_unit(model[1]), b = reference_unit(model[2]);
    double max = fmax(r, fmax(g, b)), chroma_width = max - fmin(r, fmin(g, b));

    hsv[0] = 0;
    if (chroma_width > 1e-10)
        hsv[0] = max == b   ? (r - g) / chroma_width + 4
                 : max == g ? (b - r) / chroma_width + 2
                            : fmod((g - b) / chroma_width + 6, 6);
    hsv[1] = max > 1e-10 ? chroma_width / max : 0;
    hsv[2] = max;
}

static void from_hsv(const double hsv[3], double *model)
{
    /* channel = v - v s reference_clamp(min(k, 4 - k), 0, 1) with k = (n + hue) mod 6, n = 5, 3, 1
     */
    for (int c = 0; c < 3; c++) {
        double k = fmod(5 - 2 * c + hsv[0], 6);

        model[c] = 2 * (hsv[2] - hsv[2] * hsv[1] * reference_clamp(fmin(k, 4 - k), 0, 1)) - 1;
    }
}

static int64_t gather(const double *hsv, int64_t n, int bin, ranked *out)
{
    int64_t count = 0;

    for (int64_t i = 0; i < n; i++) {
        int own = (int) (2 * hsv[3 * i]);

        if (own == bin || (bin == 0 && own >= 11))
            out[count++] = (ranked){hsv[3 * i + 1], i};
    }
    return count;
}

void reference_hsv(const svr_hsv_args *args)
{
    int64_t n = svr_tensor_elems(&args->content) / 3;
    double *own = calloc((size_t) (4 * n), sizeof *own),
           *style = calloc((size_t) (3 * n), sizeof *own);
    ranked *a = calloc((size_t) n, sizeof *a), *b = calloc((size_t) n, sizeof *b);
    double *out = own + 3 * n;

    for (int64_t i = 0; i < n; i++) {
        to_hsv((const double *) args->content.data + 3 * i, own + 3 * i);
        to_hsv((const double *) args->style.data + 3 * i, style + 3 * i);
        out[i] = own[3 * i + 1];
    }
    for (int bin = 0; bin < 12; bin++) {
        int64_t na = gather(own, n, bin, a), nb = gather(style, n, bin, b);

        if (na > 100 && nb > 100)
            match_by_rank(a, na, b, nb, out);
    }
    for (int64_t i = 0; i < n; i++)
        from_hsv((const double[]){own[3 * i], out[i], own[3 * i + 2]},
                 (double *) args->y.data + 3 * i);
    free(own);
    free(style);
    free(a);
    free(b);
}

void reference_saturation_mix(const svr_saturation_mix_args *args)
{
    for (int64_t i = 0; i < svr_tensor_elems(&args->y); i += 3) {
        double content[3], style[3], wavelet[3], m = 0;

        to_hsv((const double *) args->content.data + i, content);
        to_hsv((const double *) args->style.data + i, style);
        to_hsv((const double *) args->wavelet.data + i, wavelet);
        if (wavelet[1] - style[1] > 0.075)
            m = 1 / (1 + exp(-5 * (content[1] - style[1] - 0.15)));
        for (int64_t k = i; k < i + 3; k++)
            ((double *) args->y.data)[k] = ((const double *) args->wavelet.data)[k] * (1 - m) +
                                           ((const double *) args->hsv.data)[k] * m;
    }
}

/* ---------------------------------------------------------------------------- alpha */

/* One frame; `picture` is R'G'B' as the filter sees it. */
typedef struct alpha_frame {
    int64_t w, h;
    const double *alpha;
    double *picture, *guide, *slope, *offset, *edges, *y;
    bool inside_only;
} alpha_frame;

/* Mean of a (b optional: of a * b) over the box, zero outside, divided by its area or by what of it
 * is inside. */
static double box(const alpha_frame *f, const double *a, const double *b, int64_t i, int64_t radius)
{
    int64_t x0 = i % f->w, y0 = i / f->w;
    double sum = 0;
    int64_t inside = 0;

    for (int64_t y = y0 - radius; y <= y0 + radius; y++)
        for (int64_t x = x0 - radius; x <= x0 + radius; x++)
            if (y >= 0 && y < f->h && x >= 0 && x < f->w) {
                sum += a[y * f->w + x] * (b ? b[y * f->w + x] : 1);
                inside++;
            }
    return sum / (double) (f->inside_only ? inside : (2 * radius + 1) * (2 * radius + 1));
}

static void filter(alpha_frame *f, int64_t radius)
{
    for (int64_t i = 0; i < f->w * f->h; i++)
        f->guide[i] = (f->picture[3 * i] + f->picture[3 * i + 1] + f->picture[3 * i + 2]) / 3;
    for (int64_t i = 0; i < f->w * f->h; i++) {
        double g = box(f, f->guide, NULL, i, radius), a = box(f, f->alpha, NULL, i, radius);

        f->slope[i] = (box(f, f->guide, f->alpha, i, radius) - g * a) /
                      (box(f, f->guide, f->guide, i, radius) - g * g + 0.002);
        f->offset[i] = a - f->slope[i] * g;
    }
    for (int64_t i = 0; i < f->w * f->h; i++)
        f->y[i] =
            box(f, f->slope, NULL, i, radius) * f->guide[i] + box(f, f->offset, NULL, i, radius);
}

static double grey(const alpha_frame *f, int64_t x, int64_t y)
{
    int64_t code[3];

    x = reference_index(x < 0 ? -x : x >= f->w ? 2 * f->w - 2 - x : x, f->w);
    y = reference_index(y < 0 ? -y : y >= f->h ? 2 * f->h - 2 - y : y, f->h);
    for (int c = 0; c < 3; c++)
        code[c] = (int64_t) (reference_clamp(f->picture[3 * (y * f->w + x) + c], 0, 1) * 255);
    return (double) ((9798 * code[0] + 19235 * code[1] + 3735 * code[2] + 16384) >> 15);
}

static void find_edges(alpha_frame *f)
{
    double steepest = 0;

    for (int64_t i = 0; i < f->w * f->h; i++) {
        int64_t x = i % f->w, y = i / f->w;
        double gx = 0, gy = 0;

        for (int k = -1; k <= 1; k++) {
            int weight = k == 0 ? 2 : 1;

            gx += weight * (grey(f, x + 1, y + k) - grey(f, x - 1, y + k));
            gy += weight * (grey(f, x + k, y + 1) - grey(f, x + k, y - 1));
        }
        f->edges[i] = sqrt(gx * gx + gy * gy);
        steepest = fmax(steepest, f->edges[i]);
    }
    for (int64_t i = 0; i < f->w * f->h; i++)
        f->edges[i] = steepest > 0 ? trunc(f->edges[i] / steepest * 255) / 255 : 0;
}

static double hard(double v)
{
    return v > 0.5 ? 1 : 0;
}

static double sharpen(const alpha_frame *f, int64_t i)
{
    double zone = 0, a = f->y[i], e = f->edges[i], q = reference_clamp(e / 0.25, 0, 1), v;

    for (int64_t y = i / f->w - 1; y <= i / f->w + 1; y++)
        for (int64_t x = i % f->w - 1; x <= i % f->w + 1; x++)
            if (y >= 0 && y < f->h && x >= 0 && x < f->w)
                zone = fmax(zone, f->edges[y * f->w + x]);
    v = zone < 0.05 ? hard(a) : a * (1 - q) + q / (1 + exp(-12 * (a - 0.5)));
    if (zone < 0.03)
        v = hard(v);
    return v > 0.3 && v < 0.7 && !(e > 0.15) ? hard(v) : v;
}

void reference_alpha_guide(const svr_alpha_guide_args *args)
{
    alpha_frame f = {.h = args->y.dims[1], .w = args->y.dims[2], .inside_only = args->inside_only};
    int64_t n = f.w * f.h;
    double *memory = calloc((size_t) (7 * n), sizeof *memory);

    f.picture = memory;
    f.guide = memory + 3 * n;
    f.slope = memory + 4 * n;
    f.offset = memory + 5 * n;
    f.edges = memory + 6 * n;
    for (int64_t t = 0; t < args->y.dims[0]; t++) {
        f.alpha = (const double *) args->alpha.data + t * n;
        f.y = (double *) args->y.data + t * n;
        if (svr_tensor_present(&args->edges))
            f.edges = (double *) args->edges.data + t * n;
        for (int64_t i = 0; i < 3 * n; i++) {
            double v = ((const double *) args->rgb.data)[3 * n * t + i];

            f.picture[i] = args->negative_rgb ? (v + 1) / 2 : v;
        }
        filter(&f, args->mask_like ? 2 : 3);
        if (args->mask_like)
            find_edges(&f);
        for (int64_t i = 0; i < n; i++) /* looks at edges only, so y may change on the way */
            f.y[i] = reference_clamp(args->mask_like ? sharpen(&f, i) : f.y[i], 0, 1);
    }
    free(memory);
}
