/* Copies, depth_to_space, tap_sum, patchify, unpatchify, crop: pure index maps, bound by memory.
 * One thread moves eight channels where the inner size allows it, else one. */
#include "common.cuh"

namespace svr
{

/* Copies V elements; the types may differ when V is 1. */
template <int V, typename S, typename D> __device__ __forceinline__ void move(const S *s, D *d)
{
    if constexpr (V == 8 && sizeof(S) == sizeof(D)) {
        float v[8];

        load8(s, v);
        store8(d, v);
    } else {
        *d = from_float<D>(to_float(*s));
    }
}

/* One thread a unit: row to[m] of y = row from[m] of x, rows of `units` units. */
template <typename U>
__global__ void copy_rows_kernel(const U *x, U *y, const int *from, const int *to, int64_t n,
                                 int64_t units)
{
    int64_t step = (int64_t) gridDim.x * blockDim.x;

    for (int64_t i = (int64_t) blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) {
        int64_t m = i / units, column = i % units;

        y[(to ? to[m] : m) * units + column] = x[(from ? from[m] : m) * units + column];
    }
}

struct window_shape {
    int64_t rows, units;    /* of the window, a row's in units of U */
    int64_t x_row, y_row;   /* units */
    int64_t x_skip, y_skip; /* units from frame to frame */
};

/* One thread a unit; x and y begin at the window. */
template <typename U>
__global__ void copy_window_kernel(const U *x, U *y, int64_t n, window_shape s)
{
    int64_t step = (int64_t) gridDim.x * blockDim.x;

    for (int64_t i = (int64_t) blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) {
        int64_t column = i % s.units, row = i / s.units % s.rows, t = i / s.units / s.rows;

        y[t * s.y_skip + row * s.y_row + column] = x[t * s.x_skip + row * s.x_row + column];
    }
}

struct shuffle_shape {
    int64_t t, h, w, c; /* of the output, c in units of V */
    int tz;
    bool drop;
};

/* One thread an output group: finds the channel block of x that it comes from. */
template <int V, typename T>
__global__ void depth_to_space_kernel(const T *x, T *y, int64_t n, shuffle_shape s)
{
    int64_t i = (int64_t) blockIdx.x * blockDim.x + threadIdx.x, rest = i;
    int64_t c, j, row, frame, block;

    if (i >= n)
        return;
    c = rest % s.c;
    rest /= s.c;
    j = rest % s.w;
    rest /= s.w;
    row = rest % s.h;
    frame = rest / s.h;
    if (s.drop && frame > 0)
        frame++;
    block = ((row % 2) * 2 + j % 2) * s.tz + frame % s.tz;
    move<V>(x + ((((frame / s.tz) * (s.h / 2) + row / 2) * (s.w / 2) + j / 2) * (4 * s.tz * s.c) +
                 block * s.c + c) *
                    V,
            y + i * V);
}

struct tap_shape {
    int64_t plane; /* elements of a frame of s */
    int64_t frame; /* elements of a frame of y */
    int k, taps, heads;
};

/* One thread an element of y; neighbours read neighbouring groups of taps. */
template <typename Y>
__global__ void tap_sum_kernel(const float *s, const float *head, const float *bias, Y *y,
                               int64_t n, tap_shape shape)
{
    int64_t i = (int64_t) blockIdx.x * blockDim.x + threadIdx.x;
    int64_t t = i / shape.frame, at = i % shape.frame * shape.taps;
    float sum;

    if (i >= n)
        return;
    sum = bias ? bias[i % shape.k] : 0.0f;
    for (int j = 0; j < shape.taps; j++) {
        int64_t from = t + j - (shape.taps - 1);
        const float *frame = from >= 0     ? s + from * shape.plane
                             : shape.heads ? head + (shape.heads + from) * shape.plane
                                           : s;

        sum += frame[at + j];
    }
    y[i] = from_float<Y>(sum);
}

struct patch_shape {
    int64_t h, w;   /* tokens */
    int64_t ca, cb; /* channels of both sources */
    int patch;
};

/* One thread a feature of a token. */
template <typename A, typename B, typename Y>
__global__ void patchify_kernel(const A *a, const B *b, Y *y, int64_t n, patch_shape s)
{
    int64_t i = (int64_t) blockIdx.x * blockDim.x + threadIdx.x, rest = i;
    int64_t channel, col, row, wi, hi, pixel;

    if (i >= n)
        return;
    channel = rest % (s.ca + s.cb);
    rest /= s.ca + s.cb;
    col = rest % s.patch;
    rest /= s.patch;
    row = rest % s.patch;
    rest /= s.patch;
    wi = rest % s.w;
    rest /= s.w;
    hi = rest % s.h;
    pixel = (((rest / s.h) * s.h + hi) * s.patch + row) * (s.w * s.patch) + wi * s.patch + col;
    y[i] = from_float<Y>(channel < s.ca ? to_float(a[pixel * s.ca + channel])
                                        : to_float(b[pixel * s.cb + channel - s.ca]));
}

/* One thread an element of the picture. */
template <typename X, typename Y>
__global__ void unpatchify_kernel(const X *x, Y *y, int64_t n, patch_shape s)
{
    int64_t i = (int64_t) blockIdx.x * blockDim.x + threadIdx.x, rest = i;
    int64_t c, col, row, frame, token, feature;

    if (i >= n)
        return;
    c = rest % s.ca;
    rest /= s.ca;
    col = rest % (s.w * s.patch);
    rest /= s.w * s.patch;
    row = rest % (s.h * s.patch);
    frame = rest / (s.h * s.patch);
    token = (frame * s.h + row / s.patch) * s.w + col / s.patch;
    feature = ((row % s.patch) * s.patch + col % s.patch) * s.ca + c;
    y[i] = from_float<Y>(to_float(x[token * (s.patch * s.patch * s.ca) + feature]));
}

struct crop_shape {
    int64_t h, w, hp, wp, c;
};

template <typename X, typename Y>
__global__ void crop_kernel(const X *x, Y *y, int64_t n, crop_shape s)
{
    int64_t i = (int64_t) blockIdx.x * blockDim.x + threadIdx.x;
    int64_t inner = s.w * s.c, row = i / inner;

    if (i < n)
        y[i] =
            from_float<Y>(to_float(x[((row / s.h) * s.hp + row % s.h) * (s.wp * s.c) + i % inner]));
}

} // namespace svr

using namespace svr;

enum { THREADS = 256 };

template <typename U>
static void launch_copy_rows(const svr_copy_rows_args *args, cudaStream_t stream)
{
    const int *from = (const int *) args->from.data, *to = (const int *) args->to.data;
    int64_t rows = from ? args->from.dims[0] : args->to.dims[0];
    int64_t units = args->x.dims[1] * (int64_t) svr_dtype_size(args->x.dtype) / (int64_t) sizeof(U);

    copy_rows_kernel<U><<<grid_for(rows * units, THREADS), THREADS, 0, stream>>>(
        (const U *) args->x.data, (U *) args->y.data, from, to, rows * units, units);
}

svr_status svr_cuda_copy_rows(svr_exec *exec, const svr_copy_rows_args *args, void *workspace,
                              svr_error *err)
{
    cudaStream_t stream = svr_cuda_of(exec)->stream;
    size_t bits = (size_t) args->x.dims[1] * svr_dtype_size(args->x.dtype) | (size_t) args->x.data |
                  (size_t) args->y.data;

    (void) workspace;
    if (bits % sizeof(uint4) == 0)
        launch_copy_rows<uint4>(args, stream);
    else if (bits % sizeof(uint32_t) == 0)
        launch_copy_rows<uint32_t>(args, stream);
    else
        launch_copy_rows<uint8_t>(args, stream);
    return svr_cuda_launched("copy_rows", err);
}

template <typename U>
static void launch_copy_window(const svr_copy_window_args *args, cudaStream_t stream)
{
    const int64_t *x = args->x.dims, *y = args->y.dims;
    size_t pixel = (size_t) x[3] * svr_dtype_size(args->x.dtype);
    int64_t units = (int64_t) (pixel / sizeof(U));
    window_shape s = {args->size[0], args->size[1] * units, x[2] * units,
                      y[2] * units,  x[1] * x[2] * units,   y[1] * y[2] * units};
    int64_t n = x[0] * s.rows * s.units;
    const U *from = (const U *) args->x.data + args->from[0] * s.x_row + args->from[1] * units;
    U *to = (U *) args->y.data + args->to[0] * s.y_row + args->to[1] * units;

    copy_window_kernel<U><<<grid_for(n, THREADS), THREADS, 0, stream>>>(from, to, n, s);
}

svr_status svr_cuda_copy_window(svr_exec *exec, const svr_copy_window_args *args, void *workspace,
                                svr_error *err)
{
    cudaStream_t stream = svr_cuda_of(exec)->stream;
    size_t bits = (size_t) args->x.dims[3] * svr_dtype_size(args->x.dtype) | (size_t) args->x.data |
                  (size_t) args->y.data;

    (void) workspace;
    if (bits % sizeof(uint4) == 0)
        launch_copy_window<uint4>(args, stream);
    else if (bits % sizeof(uint32_t) == 0)
        launch_copy_window<uint32_t>(args, stream);
    else
        launch_copy_window<uint8_t>(args, stream);
    return svr_cuda_launched("copy_window", err);
}

svr_status svr_cuda_depth_to_space(svr_exec *exec, const svr_depth_to_space_args *args,
                                   void *workspace, svr_error *err)
{
    cudaStream_t stream = svr_cuda_of(exec)->stream;
    const int64_t *d = args->y.dims;
    int v = d[3] % 8 == 0 && aligned16(args->x.data, args->y.data) ? 8 : 1;
    shuffle_shape s = {d[0], d[1], d[2], d[3] / v, args->tz, args->drop_second};
    int64_t n = svr_tensor_elems(&args->y) / v;

    (void) workspace;
    SVR_STORAGE_SWITCH(args->x.dtype, T,
                       if (v == 8) depth_to_space_kernel<8, T>
                       <<<blocks_of(n, THREADS), THREADS, 0, stream>>>((const T *) args->x.data,
                                                                       (T *) args->y.data, n, s);
                       else depth_to_space_kernel<1, T>
                       <<<blocks_of(n, THREADS), THREADS, 0, stream>>>((const T *) args->x.data,
                                                                       (T *) args->y.data, n, s));
    return svr_cuda_launched("depth_to_space", err);
}

template <typename A, typename Y>
static void launch_patchify(const svr_patchify_args *args, int64_t n, const patch_shape &s,
                            cudaStream_t stream)
{
    SVR_STORAGE_SWITCH(
        svr_tensor_present(&args->b) ? args->b.dtype : args->a.dtype, B,
        patchify_kernel<A, B, Y><<<blocks_of(n, THREADS), THREADS, 0, stream>>>(
            (const A *) args->a.data, (const B *) args->b.data, (Y *) args->y.data, n, s));
}

svr_status svr_cuda_tap_sum(svr_exec *exec, const svr_tap_sum_args *args, void *workspace,
                            svr_error *err)
{
    const int64_t *d = args->y.dims;
    int64_t n = svr_tensor_elems(&args->y);
    tap_shape shape = {d[1] * d[2] * args->s.dims[3], d[1] * d[2] * d[3], (int) d[3],
                       (int) (args->s.dims[3] / d[3]),
                       svr_tensor_present(&args->head) ? (int) args->head.dims[0] : 0};

    (void) workspace;
    SVR_STORAGE_SWITCH(args->y.dtype, Y,
                       tap_sum_kernel<Y>
                       <<<blocks_of(n, THREADS), THREADS, 0, svr_cuda_of(exec)->stream>>>(
                           (const float *) args->s.data, (const float *) args->head.data,
                           (const float *) args->b.data, (Y *) args->y.data, n, shape));
    return svr_cuda_launched("tap_sum", err);
}

svr_status svr_cuda_patchify(svr_exec *exec, const svr_patchify_args *args, void *workspace,
                             svr_error *err)
{
    cudaStream_t stream = svr_cuda_of(exec)->stream;
    patch_shape s = {args->a.dims[1] / args->patch, args->a.dims[2] / args->patch, args->a.dims[3],
                     svr_tensor_present(&args->b) ? args->b.dims[3] : 0, args->patch};
    int64_t n = svr_tensor_elems(&args->y);

    (void) workspace;
    SVR_STORAGE_SWITCH(
        args->a.dtype, A,
        SVR_STORAGE_SWITCH(args->y.dtype, Y, (launch_patchify<A, Y>(args, n, s, stream))));
    return svr_cuda_launched("patchify", err);
}

svr_status svr_cuda_unpatchify(svr_exec *exec, const svr_unpatchify_args *args, void *workspace,
                               svr_error *err)
{
    cudaStream_t stream = svr_cuda_of(exec)->stream;
    patch_shape s = {args->y.dims[1] / args->patch, args->y.dims[2] / args->patch, args->y.dims[3],
                     0, args->patch};
    int64_t n = svr_tensor_elems(&args->y);

    (void) workspace;
    SVR_STORAGE_SWITCH(args->x.dtype, X,
                       SVR_STORAGE_SWITCH(args->y.dtype, Y,
                                          unpatchify_kernel<X, Y>
                                          <<<blocks_of(n, THREADS), THREADS, 0, stream>>>(
                                              (const X *) args->x.data, (Y *) args->y.data, n, s)));
    return svr_cuda_launched("unpatchify", err);
}

svr_status svr_cuda_crop(svr_exec *exec, const svr_crop_args *args, void *workspace, svr_error *err)
{
    cudaStream_t stream = svr_cuda_of(exec)->stream;
    crop_shape s = {args->y.dims[1], args->y.dims[2], args->x.dims[1], args->x.dims[2],
                    args->y.dims[3]};
    int64_t n = svr_tensor_elems(&args->y);

    (void) workspace;
    SVR_STORAGE_SWITCH(args->x.dtype, X,
                       SVR_STORAGE_SWITCH(args->y.dtype, Y,
                                          crop_kernel<X, Y>
                                          <<<blocks_of(n, THREADS), THREADS, 0, stream>>>(
                                              (const X *) args->x.data, (Y *) args->y.data, n, s)));
    return svr_cuda_launched("crop", err);
}
