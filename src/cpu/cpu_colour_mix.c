/* Colour transfer by means and deviations, and the choice between two corrections. */
#include "cpu/cpu_pixels.h"

#include "base/colour_math.h"
#include "cpu/cpu_internal.h"

#include <math.h>

/* ---------------------------------------------------------------------------- adain */

/* Sums of the values and their squares of some pixels, per channel. */
typedef struct row_sums {
    double sum[3], square[3];
} row_sums;

typedef struct channel_scale {
    float mean_content, mean_style, deviation_content, deviation_style;
} channel_scale;

typedef struct adain_context {
    const svr_adain_args *args;
    const svr_tensor *picture; /* whose rows are summed up */
    row_sums *rows;            /* [T*H] */
    channel_scale *scales;     /* [T, 3] */
} adain_context;

static void sum_row(void *context, int64_t index, int thread)
{
    const adain_context *c = context;
    int64_t width = c->picture->dims[2];
    const float *row = (const float *) c->picture->data + index * width * 3;
    row_sums sums = {{0.0}, {0.0}};

    (void) thread;
    for (int64_t x = 0; x < width; x++) {
        for (int k = 0; k < 3; k++) {
            double v = (double) row[3 * x + k];

            sums.sum[k] += v;
            sums.square[k] += v * v;
        }
    }
    c->rows[index] = sums;
}

/* Mean and deviation (unbiased) of channel k of one frame. */
static void statistics(const row_sums *rows, int64_t height, int64_t width, int k, float out[2])
{
    double n = (double) (height * width), sum = 0.0, square = 0.0, mean, variance;

    for (int64_t y = 0; y < height; y++) {
        sum += rows[y].sum[k];
        square += rows[y].square[k];
    }
    mean = sum / n;
    variance = n > 1.0 ? fmax(square - sum * mean, 0.0) / (n - 1.0) : 0.0;
    out[0] = (float) mean;
    out[1] = (float) sqrt(variance + 1e-5);
}

static svr_status measure(svr_exec *exec, adain_context *c, const svr_tensor *picture,
                          svr_error *err)
{
    int64_t frames = picture->dims[0], height = picture->dims[1], width = picture->dims[2];

    c->picture = picture;
    SVR_TRY(svr_cpu_for(exec, frames * height, sum_row, c, err));
    for (int64_t i = 0; i < frames * 3; i++) {
        channel_scale *scale = &c->scales[i];
        float result[2];

        statistics(c->rows + i / 3 * height, height, width, (int) (i % 3), result);
        if (picture == &c->args->style) {
            scale->mean_style = result[0];
            scale->deviation_style = result[1];
        } else {
            scale->mean_content = result[0];
            scale->deviation_content = result[1];
        }
    }
    return SVR_OK;
}

static void adain_row(void *context, int64_t index, int thread)
{
    const adain_context *c = context;
    int64_t width = c->args->y.dims[2];
    const channel_scale *scales = c->scales + index / c->args->y.dims[1] * 3;
    const float *content = (const float *) c->args->content.data + index * width * 3;
    float *y = (float *) c->args->y.data + index * width * 3;

    (void) thread;
    for (int64_t x = 0; x < width; x++) {
        for (int k = 0; k < 3; k++) {
            const channel_scale *s = &scales[k];
            float normal = (content[3 * x + k] - s->mean_content) / s->deviation_content;

            y[3 * x + k] = normal * s->deviation_style + s->mean_style;
        }
    }
}

size_t svr_cpu_adain_workspace(svr_backend *backend, const svr_adain_args *args)
{
    const int64_t *dims = args->content.dims;

    (void) backend;
    return (size_t) (dims[0] * dims[1]) * sizeof(row_sums) +
           (size_t) (dims[0] * 3) * sizeof(channel_scale);
}

svr_status svr_cpu_adain(svr_exec *exec, const svr_adain_args *args, void *workspace,
                         svr_error *err)
{
    int64_t rows = args->content.dims[0] * args->content.dims[1];
    adain_context context = {.args = args, .rows = workspace};

    context.scales = (channel_scale *) (void *) (context.rows + rows);
    SVR_TRY(measure(exec, &context, &args->content, err));
    SVR_TRY(measure(exec, &context, &args->style, err));
    return svr_cpu_for(exec, rows, adain_row, &context, err);
}

/* ---------------------------------------------------------------------------- saturation_mix */

static float saturation(const float *model)
{
    float r = svr_unit_from_model(model[0]), g = svr_unit_from_model(model[1]);
    float b = svr_unit_from_model(model[2]);
    float max = fmaxf(r, fmaxf(g, b)), min = fminf(r, fminf(g, b));

    return max > 1e-10f ? (max - min) / max : 0.0f;
}

/* How much of the hsv correction a pixel gets: content (and its wavelet correction) is too vivid.
 */
static float vividness(float content, float style, float wavelet)
{
    const float threshold = 0.15f, sharpness = 5.0f;

    if (!(wavelet - style > threshold * 0.5f))
        return 0.0f;
    return 1.0f / (1.0f + expf(-sharpness * (content - style - threshold)));
}

static void mix_row(void *context, int64_t index, int thread)
{
    const svr_saturation_mix_args *args = context;
    int64_t width = args->y.dims[2];
    const float *content = (const float *) args->content.data + index * width * 3;
    const float *style = (const float *) args->style.data + index * width * 3;
    const float *wavelet = (const float *) args->wavelet.data + index * width * 3;
    const float *hsv = (const float *) args->hsv.data + index * width * 3;
    float *y = (float *) args->y.data + index * width * 3;

    (void) thread;
    for (int64_t i = 0; i < 3 * width; i += 3) {
        float m =
            vividness(saturation(content + i), saturation(style + i), saturation(wavelet + i));

        for (int k = 0; k < 3; k++)
            y[i + k] = wavelet[i + k] * (1.0f - m) + hsv[i + k] * m;
    }
}

svr_status svr_cpu_saturation_mix(svr_exec *exec, const svr_saturation_mix_args *args,
                                  void *workspace, svr_error *err)
{
    svr_saturation_mix_args context = *args;

    (void) workspace;
    return svr_cpu_for(exec, args->y.dims[0] * args->y.dims[1], mix_row, &context, err);
}
