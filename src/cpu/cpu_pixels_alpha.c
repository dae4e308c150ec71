/* Guided upscaling of transparency: a guided filter, and for masks a sharpening along edges. */
#include "cpu/cpu_pixels.h"

#include "cpu/cpu_internal.h"
#include "cpu/cpu_pixels_math.h"

#include <math.h>

/* Planes of one frame in the workspace.  Those of the filter serve the edge map afterwards. */
enum {
    PLANE_GUIDE,
    PLANE_SUM, /* and the three after it: row sums of guide, alpha, guide*alpha, guide^2 */
    PLANE_SLOPE = PLANE_SUM + 4,
    PLANE_OFFSET,
    PLANE_COUNT,
    PLANE_GREY = PLANE_SUM,
    PLANE_GRADIENT = PLANE_SUM + 1, /* squared: whole numbers below 2^24, so exact */
    PLANE_EDGES = PLANE_SUM + 2,
    PLANE_ROW_MAXIMA = PLANE_SLOPE
};

static const float epsilon = 0.002f;

typedef struct alpha_context {
    const float *alpha, *rgb; /* one frame */
    float *y, *edges;
    float *plane[PLANE_COUNT];
    int64_t width, height;
    int radius;
    bool mask_like, rescale, inside_only;
    double steepest; /* largest gradient of the frame */
} alpha_context;

/* ---------------------------------------------------------------------------- guided filter */

static float picture_value(const alpha_context *c, int64_t i)
{
    return c->rescale ? (c->rgb[i] + 1.0f) * 0.5f : c->rgb[i];
}

static void guide_row(void *context, int64_t index, int thread)
{
    const alpha_context *c = context;

    (void) thread;
    for (int64_t i = index * c->width; i < (index + 1) * c->width; i++)
        c->plane[PLANE_GUIDE][i] =
            (picture_value(c, 3 * i) + picture_value(c, 3 * i + 1) + picture_value(c, 3 * i + 2)) /
            3.0f;
}

/* The part of [x - radius, x + radius] inside the row: what is outside counts as zero. */
static void window_at(const alpha_context *c, int64_t x, int64_t size, int64_t window[2])
{
    window[0] = svr_clamp_index(x - c->radius, size);
    window[1] = svr_clamp_index(x + c->radius, size);
}

static void sum_inputs_of_row(void *context, int64_t index, int thread)
{
    const alpha_context *c = context;
    const float *guide = c->plane[PLANE_GUIDE] + index * c->width;
    const float *alpha = c->alpha + index * c->width;

    (void) thread;
    for (int64_t x = 0; x < c->width; x++) {
        float sums[4] = {0.0f};
        int64_t window[2];

        window_at(c, x, c->width, window);
        for (int64_t i = window[0]; i <= window[1]; i++) {
            sums[0] += guide[i];
            sums[1] += alpha[i];
            sums[2] += guide[i] * alpha[i];
            sums[3] += guide[i] * guide[i];
        }
        for (int k = 0; k < 4; k++)
            c->plane[PLANE_SUM + k][index * c->width + x] = sums[k];
    }
}

/* What a mean over the box around column x and `rows` is divided by. */
static float box_area(const alpha_context *c, int64_t x, const int64_t rows[2])
{
    float side = (float) (2 * c->radius + 1);
    int64_t columns[2];

    if (!c->inside_only)
        return side * side;
    window_at(c, x, c->width, columns);
    return (float) ((rows[1] - rows[0] + 1) * (columns[1] - columns[0] + 1));
}

/* Mean over the box of a plane of row sums. */
static float box_mean(const alpha_context *c, int plane, int64_t x, const int64_t rows[2])
{
    float sum = 0.0f;

    for (int64_t y = rows[0]; y <= rows[1]; y++)
        sum += c->plane[plane][y * c->width + x];
    return sum / box_area(c, x, rows);
}

static void fit_row(void *context, int64_t index, int thread)
{
    const alpha_context *c = context;
    int64_t rows[2];

    (void) thread;
    window_at(c, index, c->height, rows);
    for (int64_t x = 0; x < c->width; x++) {
        float guide = box_mean(c, PLANE_SUM, x, rows), alpha = box_mean(c, PLANE_SUM + 1, x, rows);
        float product = box_mean(c, PLANE_SUM + 2, x, rows);
        float square = box_mean(c, PLANE_SUM + 3, x, rows);
        float slope = (product - guide * alpha) / (square - guide * guide + epsilon);

        c->plane[PLANE_SLOPE][index * c->width + x] = slope;
        c->plane[PLANE_OFFSET][index * c->width + x] = alpha - slope * guide;
    }
}

static void sum_fit_of_row(void *context, int64_t index, int thread)
{
    const alpha_context *c = context;
    const float *slope = c->plane[PLANE_SLOPE] + index * c->width;
    const float *offset = c->plane[PLANE_OFFSET] + index * c->width;

    (void) thread;
    for (int64_t x = 0; x < c->width; x++) {
        float slopes = 0.0f, offsets = 0.0f;
        int64_t window[2];

        window_at(c, x, c->width, window);
        for (int64_t i = window[0]; i <= window[1]; i++) {
            slopes += slope[i];
            offsets += offset[i];
        }
        c->plane[PLANE_SUM][index * c->width + x] = slopes;
        c->plane[PLANE_SUM + 1][index * c->width + x] = offsets;
    }
}

static void apply_fit_row(void *context, int64_t index, int thread)
{
    const alpha_context *c = context;
    int64_t rows[2];

    (void) thread;
    window_at(c, index, c->height, rows);
    for (int64_t x = 0; x < c->width; x++) {
        int64_t i = index * c->width + x;
        float v = box_mean(c, PLANE_SUM, x, rows) * c->plane[PLANE_GUIDE][i] +
                  box_mean(c, PLANE_SUM + 1, x, rows);

        c->y[i] = c->mask_like ? v : svr_clamp_unit(v);
    }
}

/* ---------------------------------------------------------------------------- edges of masks */

/* 8-bit grey in the weights of OpenCV, which the reference uses. */
static void grey_row(void *context, int64_t index, int thread)
{
    const alpha_context *c = context;

    (void) thread;
    for (int64_t i = index * c->width; i < (index + 1) * c->width; i++) {
        int code[3];

        for (int k = 0; k < 3; k++)
            code[k] = (int) (svr_clamp_unit(picture_value(c, 3 * i + k)) * 255.0f);
        c->plane[PLANE_GREY][i] =
            (float) ((code[0] * 9798 + code[1] * 19235 + code[2] * 3735 + 16384) >> 15);
    }
}

/* Mirrored without repeating the border sample. */
static int64_t reflect(int64_t i, int64_t count)
{
    return svr_clamp_index(i < 0 ? -i : i >= count ? 2 * count - 2 - i : i, count);
}

static void gradient_row(void *context, int64_t index, int thread)
{
    const alpha_context *c = context;
    const float *grey = c->plane[PLANE_GREY];
    const float *above = grey + reflect(index - 1, c->height) * c->width;
    const float *at = grey + index * c->width;
    const float *below = grey + reflect(index + 1, c->height) * c->width;
    float steepest = 0.0f;

    (void) thread;
    for (int64_t x = 0; x < c->width; x++) {
        int64_t l = reflect(x - 1, c->width), r = reflect(x + 1, c->width);
        float gx = above[r] - above[l] + 2.0f * (at[r] - at[l]) + below[r] - below[l];
        float gy = below[l] - above[l] + 2.0f * (below[x] - above[x]) + below[r] - above[r];
        float square = gx * gx + gy * gy;

        c->plane[PLANE_GRADIENT][index * c->width + x] = square;
        steepest = square > steepest ? square : steepest;
    }
    c->plane[PLANE_ROW_MAXIMA][index] = steepest;
}

/* Gradients as a share of the frame's steepest, in whole 255ths; a flat frame has no edges. */
static void edges_row(void *context, int64_t index, int thread)
{
    const alpha_context *c = context;

    (void) thread;
    for (int64_t i = index * c->width; i < (index + 1) * c->width; i++) {
        double gradient = sqrt((double) c->plane[PLANE_GRADIENT][i]);

        c->edges[i] =
            c->steepest > 0.0 ? (float) trunc(gradient / c->steepest * 255.0) / 255.0f : 0.0f;
    }
}

static float strongest_nearby(const alpha_context *c, int64_t x, int64_t y)
{
    float strongest = 0.0f;

    for (int dy = -1; dy <= 1; dy++) {
        const float *row = c->edges + svr_clamp_index(y + dy, c->height) * c->width;

        for (int dx = -1; dx <= 1; dx++)
            strongest = fmaxf(strongest, row[svr_clamp_index(x + dx, c->width)]);
    }
    return strongest;
}

static float hard(float v)
{
    return v > 0.5f ? 1.0f : 0.0f;
}

/* Away from edges a mask is all or nothing; at edges it is steepened. */
static float sharpened(float alpha, float edge, float nearby)
{
    float share = svr_clamp_unit(edge / 0.25f);
    float steep = 1.0f / (1.0f + expf(-12.0f * (alpha - 0.5f)));
    float v = nearby < 0.05f ? hard(alpha) : alpha * (1.0f - share) + steep * share;

    if (nearby < 0.03f || (v > 0.3f && v < 0.7f && !(edge > 0.15f)))
        v = hard(v);
    return svr_clamp_unit(v);
}

static void sharpen_row(void *context, int64_t index, int thread)
{
    const alpha_context *c = context;

    (void) thread;
    for (int64_t x = 0; x < c->width; x++) {
        int64_t i = index * c->width + x;

        c->y[i] = sharpened(c->y[i], c->edges[i], strongest_nearby(c, x, index));
    }
}

static svr_status sharpen(svr_exec *exec, alpha_context *c, svr_error *err)
{
    float steepest = 0.0f;

    SVR_TRY(svr_cpu_for(exec, c->height, grey_row, c, err));
    SVR_TRY(svr_cpu_for(exec, c->height, gradient_row, c, err));
    for (int64_t y = 0; y < c->height; y++)
        steepest = fmaxf(steepest, c->plane[PLANE_ROW_MAXIMA][y]);
    c->steepest = sqrt((double) steepest);
    SVR_TRY(svr_cpu_for(exec, c->height, edges_row, c, err));
    return svr_cpu_for(exec, c->height, sharpen_row, c, err);
}

/* ---------------------------------------------------------------------------- the op */

static svr_status guide_frame(svr_exec *exec, alpha_context *c, svr_error *err)
{
    SVR_TRY(svr_cpu_for(exec, c->height, guide_row, c, err));
    SVR_TRY(svr_cpu_for(exec, c->height, sum_inputs_of_row, c, err));
    SVR_TRY(svr_cpu_for(exec, c->height, fit_row, c, err));
    SVR_TRY(svr_cpu_for(exec, c->height, sum_fit_of_row, c, err));
    SVR_TRY(svr_cpu_for(exec, c->height, apply_fit_row, c, err));
    return c->mask_like ? sharpen(exec, c, err) : SVR_OK;
}

size_t svr_cpu_alpha_guide_workspace(svr_backend *backend, const svr_alpha_guide_args *args)
{
    (void) backend;
    return (size_t) (PLANE_COUNT * args->y.dims[1] * args->y.dims[2]) * sizeof(float);
}

svr_status svr_cpu_alpha_guide(svr_exec *exec, const svr_alpha_guide_args *args, void *workspace,
                               svr_error *err)
{
    alpha_context c = {.height = args->y.dims[1],
                       .width = args->y.dims[2],
                       .radius = args->mask_like ? 2 : 3,
                       .mask_like = args->mask_like,
                       .rescale = args->negative_rgb,
                       .inside_only = args->inside_only};
    int64_t n = c.width * c.height;

    for (int k = 0; k < PLANE_COUNT; k++)
        c.plane[k] = (float *) workspace + k * n;
    for (int64_t t = 0; t < args->y.dims[0]; t++) {
        c.alpha = (const float *) args->alpha.data + t * n;
        c.rgb = (const float *) args->rgb.data + 3 * t * n;
        c.y = (float *) args->y.data + t * n;
        c.edges = svr_tensor_present(&args->edges) ? (float *) args->edges.data + t * n
                                                   : c.plane[PLANE_EDGES];
        SVR_TRY(guide_frame(exec, &c, err));
    }
    return SVR_OK;
}
