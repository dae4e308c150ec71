/* Pictures to other sizes and value ranges, and the blur of the low band. */
#include "cpu/cpu_pixels.h"

#include "base/dtype.h"
#include "cpu/cpu_internal.h"
#include "cpu/cpu_pixels_math.h"

#include <string.h>

/* ---------------------------------------------------------------------------- resize */

typedef struct resize_context {
    const svr_resize_args *args;
    const float *frame; /* [H,W,C] */
    float *narrow;      /* [H,W',C]: columns are done */
    float *out;         /* [H',W',C] */
} resize_context;

static void resize_columns_of_row(void *context, int64_t index, int thread)
{
    const resize_context *c = context;
    const svr_resize_axis *axis = &c->args->horizontal;
    int64_t channels = c->args->x.dims[3], outputs = axis->weight.dims[0];
    int64_t taps = axis->weight.dims[1];
    const float *in = c->frame + index * c->args->x.dims[2] * channels;
    float *out = c->narrow + index * outputs * channels;

    (void) thread;
    for (int64_t o = 0; o < outputs; o++) {
        const float *weight = (const float *) axis->weight.data + o * taps;
        const float *from = in + ((const int32_t *) axis->first.data)[o] * channels;

        for (int64_t ch = 0; ch < channels; ch++) {
            float sum = 0.0f;

            for (int64_t j = 0; j < taps; j++)
                sum += weight[j] * from[j * channels + ch];
            out[o * channels + ch] = sum;
        }
    }
}

static void resize_row(void *context, int64_t index, int thread)
{
    const resize_context *c = context;
    const svr_resize_axis *axis = &c->args->vertical;
    int64_t taps = axis->weight.dims[1], n = c->args->y.dims[2] * c->args->y.dims[3];
    const float *weight = (const float *) axis->weight.data + index * taps;
    const float *from = c->narrow + ((const int32_t *) axis->first.data)[index] * n;
    float *out = c->out + index * n;

    (void) thread;
    for (int64_t i = 0; i < n; i++)
        out[i] = weight[0] * from[i];
    for (int64_t j = 1; j < taps; j++) {
        for (int64_t i = 0; i < n; i++)
            out[i] += weight[j] * from[j * n + i];
    }
}

size_t svr_cpu_resize_workspace(svr_backend *backend, const svr_resize_args *args)
{
    (void) backend;
    return (size_t) (args->x.dims[1] * args->y.dims[2] * args->x.dims[3]) * sizeof(float);
}

svr_status svr_cpu_resize(svr_exec *exec, const svr_resize_args *args, void *workspace,
                          svr_error *err)
{
    for (int64_t t = 0; t < args->x.dims[0]; t++) {
        svr_tensor x = svr_tensor_slice(&args->x, t, 1), y = svr_tensor_slice(&args->y, t, 1);
        resize_context context = {
            .args = args, .frame = x.data, .narrow = workspace, .out = y.data};

        SVR_TRY(svr_cpu_for(exec, x.dims[1], resize_columns_of_row, &context, err));
        SVR_TRY(svr_cpu_for(exec, y.dims[1], resize_row, &context, err));
    }
    return SVR_OK;
}

/* ---------------------------------------------------------------------------- to_model, crop */

enum { CHUNK = 768 }; /* values of a row that are converted at a time */

typedef struct rows_context {
    const svr_tensor *x, *y;
    svr_padding padding; /* to_model */
} rows_context;

static char *row_of(const svr_tensor *t, int64_t row)
{
    return (char *) t->data + (size_t) (row * t->dims[2] * t->dims[3]) * svr_dtype_size(t->dtype);
}

static void black(char *out, svr_dtype dtype, int64_t n)
{
    float values[CHUNK];

    for (int i = 0; i < CHUNK; i++)
        values[i] = -1.0f;
    for (int64_t done = 0; done < n; done += CHUNK)
        svr_from_f32(values, dtype, out + (size_t) done * svr_dtype_size(dtype),
                     (size_t) (n - done < CHUNK ? n - done : CHUNK));
}

static void model_values(const float *in, char *out, svr_dtype dtype, int64_t n)
{
    float values[CHUNK];

    for (int64_t done = 0; done < n; done += CHUNK) {
        int64_t count = n - done < CHUNK ? n - done : CHUNK;

        for (int64_t i = 0; i < count; i++)
            values[i] = 2.0f * svr_clamp_unit(in[done + i]) - 1.0f;
        svr_from_f32(values, dtype, out + (size_t) done * svr_dtype_size(dtype), (size_t) count);
    }
}

/* Fills a row of model values up from its first `inside` pixels. */
static void pad_row(const svr_tensor *y, char *out, int64_t inside, svr_padding padding)
{
    size_t pixel = (size_t) y->dims[3] * svr_dtype_size(y->dtype);

    if (padding == SVR_PADDING_BLACK) {
        black(out + (size_t) inside * pixel, y->dtype, (y->dims[2] - inside) * y->dims[3]);
        return;
    }
    for (int64_t i = inside; i < y->dims[2]; i++)
        memcpy(out + (size_t) i * pixel, out + (size_t) (inside - 1) * pixel, pixel);
}

static void to_model_row(void *context, int64_t index, int thread)
{
    const rows_context *c = context;
    const svr_tensor *x = c->x, *y = c->y;
    int64_t frame = index / y->dims[1], row = index % y->dims[1], height = x->dims[1];
    char *out = row_of(y, index);

    (void) thread;
    if (row >= height && c->padding == SVR_PADDING_BLACK) {
        pad_row(y, out, 0, c->padding);
        return;
    }
    if (row >= height)
        row = height - 1;
    model_values((const float *) (const void *) row_of(x, frame * height + row), out, y->dtype,
                 x->dims[2] * x->dims[3]);
    pad_row(y, out, x->dims[2], c->padding);
}

svr_status svr_cpu_to_model(svr_exec *exec, const svr_to_model_args *args, void *workspace,
                            svr_error *err)
{
    rows_context context = {&args->x, &args->y, args->padding};

    (void) workspace;
    return svr_cpu_for(exec, args->y.dims[0] * args->y.dims[1], to_model_row, &context, err);
}

static void convert(const char *in, svr_dtype from, char *out, svr_dtype to, int64_t n)
{
    float values[CHUNK];

    if (from == to) {
        memcpy(out, in, (size_t) n * svr_dtype_size(to));
        return;
    }
    for (int64_t done = 0; done < n; done += CHUNK) {
        size_t count = (size_t) (n - done < CHUNK ? n - done : CHUNK);

        svr_to_f32(in + (size_t) done * svr_dtype_size(from), from, values, count);
        svr_from_f32(values, to, out + (size_t) done * svr_dtype_size(to), count);
    }
}

static void crop_row(void *context, int64_t index, int thread)
{
    const svr_tensor *x = ((const rows_context *) context)->x;
    const svr_tensor *y = ((const rows_context *) context)->y;
    int64_t frame = index / y->dims[1], row = index % y->dims[1];

    (void) thread;
    convert(row_of(x, frame * x->dims[1] + row), x->dtype, row_of(y, index), y->dtype,
            y->dims[2] * y->dims[3]);
}

svr_status svr_cpu_crop(svr_exec *exec, const svr_crop_args *args, void *workspace, svr_error *err)
{
    rows_context context = {.x = &args->x, .y = &args->y};

    (void) workspace;
    return svr_cpu_for(exec, args->y.dims[0] * args->y.dims[1], crop_row, &context, err);
}

/* ---------------------------------------------------------------------------- blur */

/* The rows above, at and below an output row; border rows stand in for missing ones. */
typedef struct blur_rows {
    const float *above, *at, *below;
} blur_rows;

static float blur_vertical(const blur_rows *rows, int64_t i)
{
    return 0.5f * rows->at[i] + 0.25f * (rows->above[i] + rows->below[i]);
}

/* Pixels [first, end) of a row, near a border. */
static void blur_border(const svr_blur_args *args, const blur_rows *rows, float *out, int64_t first,
                        int64_t end)
{
    int64_t width = args->x.dims[2], channels = args->x.dims[3];

    for (int64_t x = first; x < end; x++) {
        int64_t left = x >= args->radius ? x - args->radius : 0;
        int64_t right = x + args->radius < width ? x + args->radius : width - 1;

        for (int64_t c = 0; c < channels; c++)
            out[x * channels + c] = 0.5f * blur_vertical(rows, x * channels + c) +
                                    0.25f * (blur_vertical(rows, left * channels + c) +
                                             blur_vertical(rows, right * channels + c));
    }
}

static void blur_row(void *context, int64_t index, int thread)
{
    const svr_blur_args *args = context;
    int64_t height = args->x.dims[1], width = args->x.dims[2], channels = args->x.dims[3];
    int64_t radius = args->radius, n = width * channels, shift = radius * channels;
    int64_t y = index % height;
    const float *frame = (const float *) args->x.data + (index - y) * n;
    blur_rows rows = {frame + (y >= radius ? y - radius : 0) * n, frame + y * n,
                      frame + (y + radius < height ? y + radius : height - 1) * n};
    float *out = (float *) args->y.data + index * n;

    (void) thread;
    if (width <= 2 * radius) {
        blur_border(args, &rows, out, 0, width);
        return;
    }
    blur_border(args, &rows, out, 0, radius);
    for (int64_t i = shift; i < n - shift; i++)
        out[i] = 0.5f * blur_vertical(&rows, i) +
                 0.25f * (blur_vertical(&rows, i - shift) + blur_vertical(&rows, i + shift));
    blur_border(args, &rows, out, width - radius, width);
}

svr_status svr_cpu_blur(svr_exec *exec, const svr_blur_args *args, void *workspace, svr_error *err)
{
    svr_blur_args context = *args;

    (void) workspace;
    return svr_cpu_for(exec, args->x.dims[0] * args->x.dims[1], blur_row, &context, err);
}
