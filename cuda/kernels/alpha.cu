/* alpha_guide: a guided filter of transparency, and for masks a sharpening along edges.
 * Frame by frame, so that the planes between the kernels stay in L2; box sums go through shared
 * memory, rows first.  Bound by memory.  Thresholds follow, so sums and products round as on the
 * CPU. */
#include "pixels.cuh"

namespace svr
{

enum {
    ALPHA_TILE_W = 32,
    ALPHA_TILE_H = 16,
    ALPHA_ROW_STEP = PIXEL_THREADS / ALPHA_TILE_W /* rows of a tile that threads take at once */
};

/* One frame: alpha, y, edges [height, width], rgb [height, width, 3]. */
struct alpha_frame {
    const float *alpha, *rgb;
    float *y, *edges;
    float *slope,
        *offset;   /* of the filter's straight lines; slope serves the squared gradients later */
    int *steepest; /* largest squared gradient */
    int height, width;
    bool rescale, inside_only;
};

__device__ __forceinline__ float picture_value(const alpha_frame &f, int64_t i)
{
    return f.rescale ? (f.rgb[i] + 1.0f) * 0.5f : f.rgb[i];
}

__device__ __forceinline__ float guide_value(const alpha_frame &f, int64_t i)
{
    return (picture_value(f, 3 * i) + picture_value(f, 3 * i + 1) + picture_value(f, 3 * i + 2)) /
           3.0f;
}

/* ---------------------------------------------------------------------------- guided filter */

/* A tile of two planes with R more on each side, zeros outside of the frame, and the sums of up to
 * four quantities along its rows. */
template <int R, int SUMS> struct box_tile {
    enum { WIDTH = ALPHA_TILE_W + 2 * R, HEIGHT = ALPHA_TILE_H + 2 * R };
    float plane[2][HEIGHT][WIDTH];
    float sums[SUMS][HEIGHT][ALPHA_TILE_W];
};

/* Calls visit(row, column, pixel or -1) for all places of the tile of this block. */
template <int R, typename F>
__device__ __forceinline__ void each_of_tile(const alpha_frame &f, F visit)
{
    enum { WIDTH = ALPHA_TILE_W + 2 * R, HEIGHT = ALPHA_TILE_H + 2 * R };

    for (int i = threadIdx.x; i < WIDTH * HEIGHT; i += PIXEL_THREADS) {
        int row = i / WIDTH, column = i % WIDTH;
        int y = blockIdx.y * ALPHA_TILE_H + row - R, x = blockIdx.x * ALPHA_TILE_W + column - R;
        bool inside = y >= 0 && y < f.height && x >= 0 && x < f.width;

        visit(row, column, inside ? (int64_t) y * f.width + x : -1);
    }
}

/* What means over the box around a pixel are divided by. */
template <int R> __device__ __forceinline__ float box_area(const alpha_frame &f, int x, int y)
{
    const float side = 2 * R + 1;

    if (!f.inside_only)
        return side * side;
    return (float) ((min(x + R, f.width - 1) - max(x - R, 0) + 1) *
                    (min(y + R, f.height - 1) - max(y - R, 0) + 1));
}

/* Mean over the box below row sums. */
template <int R>
__device__ __forceinline__ float box_mean(const float (*sums)[ALPHA_TILE_W], int row, int column,
                                          float area)
{
    float sum = 0.0f;

#pragma unroll
    for (int j = 0; j <= 2 * R; j++)
        sum += sums[row + j][column];
    return sum / area;
}

/* Block: a tile.  slope, offset = the line that takes guide to alpha best inside the box of each
 * pixel. */
template <int R> __global__ void __launch_bounds__(PIXEL_THREADS) alpha_fit_kernel(alpha_frame f)
{
    __shared__ box_tile<R, 4> tile;
    int column = threadIdx.x % ALPHA_TILE_W, x = blockIdx.x * ALPHA_TILE_W + column;

    each_of_tile<R>(f, [&](int r, int c, int64_t pixel) {
        tile.plane[0][r][c] = pixel >= 0 ? guide_value(f, pixel) : 0.0f;
        tile.plane[1][r][c] = pixel >= 0 ? f.alpha[pixel] : 0.0f;
    });
    __syncthreads();
    for (int row = threadIdx.x / ALPHA_TILE_W; row < tile.HEIGHT; row += ALPHA_ROW_STEP) {
        float sums[4] = {0.0f, 0.0f, 0.0f, 0.0f};

#pragma unroll
        for (int j = 0; j <= 2 * R; j++) {
            float guide = tile.plane[0][row][column + j], alpha = tile.plane[1][row][column + j];

            sums[0] += guide;
            sums[1] += alpha;
            sums[2] += rounded_product(guide, alpha);
            sums[3] += rounded_product(guide, guide);
        }
        for (int k = 0; k < 4; k++)
            tile.sums[k][row][column] = sums[k];
    }
    __syncthreads();
    for (int row = threadIdx.x / ALPHA_TILE_W; row < ALPHA_TILE_H; row += ALPHA_ROW_STEP) {
        int y = blockIdx.y * ALPHA_TILE_H + row;
        float area = box_area<R>(f, x, y);
        float guide = box_mean<R>(tile.sums[0], row, column, area);
        float alpha = box_mean<R>(tile.sums[1], row, column, area);
        float product = box_mean<R>(tile.sums[2], row, column, area);
        float square = box_mean<R>(tile.sums[3], row, column, area);
        float slope = (product - rounded_product(guide, alpha)) /
                      (square - rounded_product(guide, guide) + 0.002f);

        if (x < f.width && y < f.height) {
            f.slope[(int64_t) y * f.width + x] = slope;
            f.offset[(int64_t) y * f.width + x] = alpha - rounded_product(slope, guide);
        }
    }
}

/* Block: a tile.  y = the mean line of the boxes around each pixel at its guide, clamped to unit if
 * `clamp`. */
template <int R>
__global__ void __launch_bounds__(PIXEL_THREADS) alpha_apply_kernel(alpha_frame f, bool clamp)
{
    __shared__ box_tile<R, 2> tile;
    int column = threadIdx.x % ALPHA_TILE_W, x = blockIdx.x * ALPHA_TILE_W + column;

    each_of_tile<R>(f, [&](int r, int c, int64_t pixel) {
        tile.plane[0][r][c] = pixel >= 0 ? f.slope[pixel] : 0.0f;
        tile.plane[1][r][c] = pixel >= 0 ? f.offset[pixel] : 0.0f;
    });
    __syncthreads();
    for (int row = threadIdx.x / ALPHA_TILE_W; row < tile.HEIGHT; row += ALPHA_ROW_STEP) {
        for (int k = 0; k < 2; k++) {
            float sum = 0.0f;

#pragma unroll
            for (int j = 0; j <= 2 * R; j++)
                sum += tile.plane[k][row][column + j];
            tile.sums[k][row][column] = sum;
        }
    }
    __syncthreads();
    for (int row = threadIdx.x / ALPHA_TILE_W; row < ALPHA_TILE_H; row += ALPHA_ROW_STEP) {
        int y = blockIdx.y * ALPHA_TILE_H + row;
        int64_t i = (int64_t) y * f.width + x;

        if (x < f.width && y < f.height) {
            float area = box_area<R>(f, x, y);
            float v =
                rounded_product(box_mean<R>(tile.sums[0], row, column, area), guide_value(f, i)) +
                box_mean<R>(tile.sums[1], row, column, area);

            f.y[i] = clamp ? clamp_unit(v) : v;
        }
    }
}

/* ---------------------------------------------------------------------------- edges of masks */

/* 8-bit grey in the weights of OpenCV, which the reference uses. */
__device__ __forceinline__ int grey_code(const alpha_frame &f, int64_t pixel)
{
    int code[3];

#pragma unroll
    for (int k = 0; k < 3; k++)
        code[k] = (int) (clamp_unit(picture_value(f, 3 * pixel + k)) * 255.0f);
    return (code[0] * 9798 + code[1] * 19235 + code[2] * 3735 + 16384) >> 15;
}

/* Mirrored without repeating the border sample. */
__device__ __forceinline__ int reflect(int i, int count)
{
    return clamp_index(i < 0 ? -i : i >= count ? 2 * count - 2 - i : i, count);
}

/* Block: a tile.  Squared Sobel gradients of the grey picture (whole numbers below 2^21) to the
 * memory of `slope`, and the largest to `steepest`. */
__global__ void __launch_bounds__(PIXEL_THREADS) alpha_gradient_kernel(alpha_frame f)
{
    __shared__ int grey[ALPHA_TILE_H + 2][ALPHA_TILE_W + 2], steepest;
    int column = threadIdx.x % ALPHA_TILE_W, x = blockIdx.x * ALPHA_TILE_W + column, largest = 0;
    int *gradient = (int *) f.slope;

    if (threadIdx.x == 0)
        steepest = 0;
    for (int i = threadIdx.x; i < (ALPHA_TILE_H + 2) * (ALPHA_TILE_W + 2); i += PIXEL_THREADS) {
        int row = i / (ALPHA_TILE_W + 2), at = i % (ALPHA_TILE_W + 2);
        int64_t py = reflect(blockIdx.y * ALPHA_TILE_H + row - 1, f.height);

        grey[row][at] =
            grey_code(f, py * f.width + reflect(blockIdx.x * ALPHA_TILE_W + at - 1, f.width));
    }
    __syncthreads();
    for (int row = threadIdx.x / ALPHA_TILE_W; row < ALPHA_TILE_H; row += ALPHA_ROW_STEP) {
        const int *above = grey[row] + column, *at = grey[row + 1] + column;
        const int *below = grey[row + 2] + column;
        int gx = above[2] - above[0] + 2 * (at[2] - at[0]) + below[2] - below[0];
        int gy = below[0] - above[0] + 2 * (below[1] - above[1]) + below[2] - above[2];
        int y = blockIdx.y * ALPHA_TILE_H + row, square = gx * gx + gy * gy;

        if (x < f.width && y < f.height) {
            gradient[(int64_t) y * f.width + x] = square;
            largest = max(largest, square);
        }
    }
    atomicMax(&steepest, largest);
    __syncthreads();
    if (threadIdx.x == 0)
        atomicMax(f.steepest, steepest);
}

/* Gradients as a share of the frame's steepest, in whole 255ths; a flat frame has no edges.  One
 * thread a pixel, grid-stride. */
__global__ void alpha_edges_kernel(alpha_frame f)
{
    const int *gradient = (const int *) f.slope;
    double steepest = sqrt((double) *f.steepest);
    int64_t step = (int64_t) gridDim.x * blockDim.x, n = (int64_t) f.height * f.width;

    for (int64_t i = (int64_t) blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step)
        f.edges[i] = steepest > 0.0
                         ? (float) trunc(sqrt((double) gradient[i]) / steepest * 255.0) / 255.0f
                         : 0.0f;
}

__device__ __forceinline__ float hard(float v)
{
    return v > 0.5f ? 1.0f : 0.0f;
}

/* Away from edges a mask is all or nothing; at edges it is steepened. */
__device__ __forceinline__ float sharpened(float alpha, float edge, float nearby)
{
    float share = clamp_unit(edge / 0.25f);
    float steep = 1.0f / (1.0f + expf(-12.0f * (alpha - 0.5f)));
    float v = nearby < 0.05f ? hard(alpha)
                             : rounded_product(alpha, 1.0f - share) + rounded_product(steep, share);

    if (nearby < 0.03f || (v > 0.3f && v < 0.7f && !(edge > 0.15f)))
        v = hard(v);
    return clamp_unit(v);
}

/* In place on y.  One thread a pixel of a row; the edges around it come from L1. */
__global__ void alpha_sharpen_kernel(alpha_frame f)
{
    int x = blockIdx.x * PIXEL_THREADS + threadIdx.x;

    if (x >= f.width)
        return;
    for (int y = blockIdx.y; y < f.height; y += gridDim.y) {
        int64_t i = (int64_t) y * f.width + x;
        float nearby = 0.0f;

        for (int dy = -1; dy <= 1; dy++) {
            const float *row = f.edges + (int64_t) clamp_index(y + dy, f.height) * f.width;

            for (int dx = -1; dx <= 1; dx++)
                nearby = fmaxf(nearby, row[clamp_index(x + dx, f.width)]);
        }
        f.y[i] = sharpened(f.y[i], f.edges[i], nearby);
    }
}

} // namespace svr

using namespace svr;

/* Planes of one frame, then the largest gradient. */
enum { PLANE_SLOPE, PLANE_OFFSET, PLANE_EDGES, PLANES };

static dim3 tiles_of(const alpha_frame &f)
{
    return dim3((unsigned) ((f.width + ALPHA_TILE_W - 1) / ALPHA_TILE_W),
                (unsigned) ((f.height + ALPHA_TILE_H - 1) / ALPHA_TILE_H));
}

template <int R>
static svr_status filter(const alpha_frame &f, bool clamp, cudaStream_t stream, svr_error *err)
{
    alpha_fit_kernel<R><<<tiles_of(f), PIXEL_THREADS, 0, stream>>>(f);
    SVR_TRY(svr_cuda_launched("fit of alpha_guide", err));
    alpha_apply_kernel<R><<<tiles_of(f), PIXEL_THREADS, 0, stream>>>(f, clamp);
    return svr_cuda_launched("alpha_guide", err);
}

static svr_status sharpen(const alpha_frame &f, cudaStream_t stream, svr_error *err)
{
    int64_t n = (int64_t) f.height * f.width;

    SVR_TRY(svr_cuda_check(cudaMemsetAsync(f.steepest, 0, sizeof *f.steepest, stream),
                           "cudaMemsetAsync", err));
    alpha_gradient_kernel<<<tiles_of(f), PIXEL_THREADS, 0, stream>>>(f);
    SVR_TRY(svr_cuda_launched("gradients of alpha_guide", err));
    alpha_edges_kernel<<<grid_for(n, PIXEL_THREADS), PIXEL_THREADS, 0, stream>>>(f);
    SVR_TRY(svr_cuda_launched("edges of alpha_guide", err));
    alpha_sharpen_kernel<<<grid_of_rows(f.width, f.height), PIXEL_THREADS, 0, stream>>>(f);
    return svr_cuda_launched("sharpening of alpha_guide", err);
}

size_t svr_cuda_alpha_guide_workspace(svr_backend *backend, const svr_alpha_guide_args *args)
{
    (void) backend;
    return (size_t) (PLANES * args->y.dims[1] * args->y.dims[2]) * sizeof(float) + sizeof(int);
}

svr_status svr_cuda_alpha_guide(svr_exec *exec, const svr_alpha_guide_args *args, void *workspace,
                                svr_error *err)
{
    cudaStream_t stream = svr_cuda_of(exec)->stream;
    int64_t n = args->y.dims[1] * args->y.dims[2];
    float *planes = (float *) workspace;
    alpha_frame f = {};

    f.height = (int) args->y.dims[1];
    f.width = (int) args->y.dims[2];
    f.rescale = args->negative_rgb;
    f.inside_only = args->inside_only;
    f.slope = planes + PLANE_SLOPE * n;
    f.offset = planes + PLANE_OFFSET * n;
    f.steepest = (int *) (planes + PLANES * n);
    for (int64_t t = 0; t < args->y.dims[0]; t++) {
        f.alpha = (const float *) args->alpha.data + t * n;
        f.rgb = (const float *) args->rgb.data + 3 * t * n;
        f.y = (float *) args->y.data + t * n;
        f.edges = svr_tensor_present(&args->edges) ? (float *) args->edges.data + t * n
                                                   : planes + PLANE_EDGES * n;
        if (args->mask_like) {
            SVR_TRY(filter<2>(f, false, stream, err));
            SVR_TRY(sharpen(f, stream, err));
        } else {
            SVR_TRY(filter<3>(f, true, stream, err));
        }
    }
    return SVR_OK;
}
