/* resize, to_model, blur: pictures to other sizes, to model values, and the blur of the low band.
 * One thread takes an element of a row (blur: of a column of rows), so neighbouring lanes read
 * neighbouring elements; all bound by memory.  Rows have less than 2^31 elements, pictures may have
 * more. */
#include "pixels.cuh"

namespace svr
{

struct resample_axis {
    const int *first;
    const float *weight;
    int taps;
};

/* Columns of one frame: x [rows, width, C] to y [rows, outputs, C].  One thread an element of a row
 * of y; the taps of neighbours overlap in L1.  C 0: `channels`, whatever it is. */
template <int C>
__global__ void resize_columns_kernel(const float *x, float *y, resample_axis axis, int64_t rows,
                                      int64_t width, int64_t outputs, int channels)
{
    int c = C > 0 ? C : channels, i = blockIdx.x * PIXEL_THREADS + threadIdx.x, o = i / c;
    const float *weight = axis.weight + (int64_t) o * axis.taps;
    int64_t from;

    if (o >= outputs)
        return;
    from = (int64_t) axis.first[o] * c + i % c;
    for (int64_t row = blockIdx.y; row < rows; row += gridDim.y) {
        const float *in = x + row * width * c + from;
        float sum = 0.0f;

        for (int j = 0; j < axis.taps; j++)
            sum += weight[j] * in[(int64_t) j * c];
        y[row * outputs * c + i] = sum;
    }
}

/* Rows of one frame: x [.., n] to y [outputs, n].  One thread an element of a row of y; a block's
 * rows of x come from L2 for all taps but one. */
__global__ void resize_rows_kernel(const float *x, float *y, resample_axis axis, int64_t outputs,
                                   int64_t n)
{
    int64_t i = (int64_t) blockIdx.x * PIXEL_THREADS + threadIdx.x;

    if (i >= n)
        return;
    for (int64_t o = blockIdx.y; o < outputs; o += gridDim.y) {
        const float *weight = axis.weight + o * axis.taps;
        const float *in = x + axis.first[o] * n + i;
        float sum = weight[0] * in[0];

        for (int j = 1; j < axis.taps; j++)
            sum += weight[j] * in[j * n];
        y[o * n + i] = sum;
    }
}

/* Elements of a row of the unpadded and the padded picture, their heights, all rows of the latter.
 */
struct pad_shape {
    int n, n_padded, h, h_padded, rows;
    svr_padding padding;
};

/* One thread an element of a row of y. */
template <typename Y> __global__ void to_model_kernel(const float *x, Y *y, pad_shape s)
{
    int i = blockIdx.x * PIXEL_THREADS + threadIdx.x;
    int source = i < s.n ? i : s.n - 3 + i % 3;

    if (i >= s.n_padded)
        return;
    for (int row = blockIdx.y; row < s.rows; row += gridDim.y) {
        int frame = row / s.h_padded, line = row - frame * s.h_padded;
        int64_t from = (int64_t) frame * s.h + min(line, s.h - 1);
        float v = 0.0f;

        if (s.padding != SVR_PADDING_BLACK || (line < s.h && i < s.n))
            v = clamp_unit(x[from * s.n + source]);
        y[(int64_t) row * s.n_padded + i] = from_float<Y>(2.0f * v - 1.0f);
    }
}

/* Output rows that a thread of blur_kernel computes, `radius` apart. */
enum { BLUR_STEPS = 8 };

struct blur_shape {
    int height, width, channels, radius;
    int spacing; /* radius, at most height: rows y and y + spacing are in the same chain */
};

/* One thread an element of BLUR_STEPS rows that are `spacing` apart: what is below one output row
 * is at the next, so registers keep the three rows of the three columns, and each output row takes
 * three loads, of which the block finds two in L1.  Block (elements of a row, first row, frame). */
__global__ void __launch_bounds__(PIXEL_THREADS)
    blur_kernel(const float *__restrict__ x, float *__restrict__ y, blur_shape s)
{
    int i = blockIdx.x * PIXEL_THREADS + threadIdx.x, chain = blockIdx.y;
    int row = chain / s.spacing * (s.spacing * BLUR_STEPS) + chain % s.spacing;
    int pixel = i / s.channels, columns[3];
    int64_t n = (int64_t) s.width * s.channels, first = row - min(row, s.radius);
    float above[3], at[3];

    if (i >= n || row >= s.height)
        return;
    columns[0] = i - min(pixel, s.radius) * s.channels;
    columns[1] = i;
    columns[2] = i + min(s.width - 1 - pixel, s.radius) * s.channels;
    x += (int64_t) blockIdx.z * s.height * n;
    y += (int64_t) blockIdx.z * s.height * n;
#pragma unroll
    for (int k = 0; k < 3; k++) {
        above[k] = x[first * n + columns[k]];
        at[k] = x[row * n + columns[k]];
    }
#pragma unroll
    for (int step = 0; step < BLUR_STEPS; step++) {
        int64_t next = row + min(s.height - 1 - row, s.radius);
        float vertical[3];

        if (row >= s.height)
            return;
#pragma unroll
        for (int k = 0; k < 3; k++) {
            float below = x[next * n + columns[k]];

            vertical[k] = 0.5f * at[k] + 0.25f * (above[k] + below);
            above[k] = at[k];
            at[k] = below;
        }
        y[(int64_t) row * n + i] = 0.5f * vertical[1] + 0.25f * (vertical[0] + vertical[2]);
        row += s.spacing;
    }
}

} // namespace svr

using namespace svr;

static resample_axis axis_of(const svr_resize_axis *axis)
{
    return {(const int *) axis->first.data, (const float *) axis->weight.data,
            (int) axis->weight.dims[1]};
}

static svr_status resize_columns(const svr_resize_args *args, const float *frame, float *narrow,
                                 cudaStream_t stream, svr_error *err)
{
    int64_t rows = args->x.dims[1], width = args->x.dims[2], outputs = args->y.dims[2];
    int c = (int) args->x.dims[3];
    resample_axis axis = axis_of(&args->horizontal);
    dim3 grid = grid_of_rows(outputs * c, rows);

    if (c == 3)
        resize_columns_kernel<3>
            <<<grid, PIXEL_THREADS, 0, stream>>>(frame, narrow, axis, rows, width, outputs, c);
    else if (c == 1)
        resize_columns_kernel<1>
            <<<grid, PIXEL_THREADS, 0, stream>>>(frame, narrow, axis, rows, width, outputs, c);
    else
        resize_columns_kernel<0>
            <<<grid, PIXEL_THREADS, 0, stream>>>(frame, narrow, axis, rows, width, outputs, c);
    return svr_cuda_launched("resize of columns", err);
}

size_t svr_cuda_resize_workspace(svr_backend *backend, const svr_resize_args *args)
{
    (void) backend;
    return (size_t) (args->x.dims[1] * args->y.dims[2] * args->x.dims[3]) * sizeof(float);
}

svr_status svr_cuda_resize(svr_exec *exec, const svr_resize_args *args, void *workspace,
                           svr_error *err)
{
    cudaStream_t stream = svr_cuda_of(exec)->stream;
    int64_t outputs = args->y.dims[1], n = args->y.dims[2] * args->y.dims[3];
    float *narrow = (float *) workspace;

    for (int64_t t = 0; t < args->x.dims[0]; t++) {
        svr_tensor x = svr_tensor_slice(&args->x, t, 1), y = svr_tensor_slice(&args->y, t, 1);

        SVR_TRY(resize_columns(args, (const float *) x.data, narrow, stream, err));
        resize_rows_kernel<<<grid_of_rows(n, outputs), PIXEL_THREADS, 0, stream>>>(
            narrow, (float *) y.data, axis_of(&args->vertical), outputs, n);
        SVR_TRY(svr_cuda_launched("resize of rows", err));
    }
    return SVR_OK;
}

svr_status svr_cuda_to_model(svr_exec *exec, const svr_to_model_args *args, void *workspace,
                             svr_error *err)
{
    cudaStream_t stream = svr_cuda_of(exec)->stream;
    const int64_t *d = args->x.dims, *padded = args->y.dims;
    pad_shape s = {(int) (d[2] * d[3]), (int) (padded[2] * padded[3]), (int) d[1],
                   (int) padded[1],     (int) (padded[0] * padded[1]), args->padding};

    (void) workspace;
    SVR_STORAGE_SWITCH(args->y.dtype, Y,
                       to_model_kernel<Y>
                       <<<grid_of_rows(s.n_padded, s.rows), PIXEL_THREADS, 0, stream>>>(
                           (const float *) args->x.data, (Y *) args->y.data, s));
    return svr_cuda_launched("to_model", err);
}

svr_status svr_cuda_blur(svr_exec *exec, const svr_blur_args *args, void *workspace, svr_error *err)
{
    cudaStream_t stream = svr_cuda_of(exec)->stream;
    const int64_t *d = args->x.dims;
    int64_t spacing = args->radius < d[1] ? args->radius : d[1];
    int64_t chains = (d[1] + spacing * BLUR_STEPS - 1) / (spacing * BLUR_STEPS) * spacing;
    blur_shape s = {(int) d[1], (int) d[2], (int) d[3], args->radius, (int) spacing};
    dim3 grid((unsigned) ((d[2] * d[3] + PIXEL_THREADS - 1) / PIXEL_THREADS), (unsigned) chains,
              (unsigned) d[0]);

    (void) workspace;
    blur_kernel<<<grid, PIXEL_THREADS, 0, stream>>>((const float *) args->x.data,
                                                    (float *) args->y.data, s);
    return svr_cuda_launched("blur", err);
}
