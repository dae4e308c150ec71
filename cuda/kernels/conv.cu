/* conv3d by the own kernels: chooses the path.
 *
 * At the start of a clip output frame 0 sees input frame 0 through every temporal tap, frame 1
 * (stride 1) sees it through two: those frames run with summed taps, 1/3 and 2/3 of the arithmetic.
 * 1x1x1 kernels are matrix products.  16-bit types take conv_hopper.cu on
 * compute capability 9.0 and conv_mma.cu elsewhere, channel counts that are no multiple of 8 as
 * copies with zeros behind; the rest, F32 for reference, takes the direct kernel below. */
#include "conv_hopper.cuh"
#include "cuda_conv.h"
#include "cuda_gemm.h"

namespace svr
{

enum { DIRECT_PIXELS = 64, DIRECT_CHANNELS = 64, DIRECT_C = 16, DIRECT_THREADS = 256 };

struct direct_problem {
    conv_problem conv;
    int in_h, in_w, in_t;
};

template <typename T> struct direct_frames {
    const T *operand[3]; /* x, head, recent */
};

/* Block: 64 pixels of one output frame by 64 channels; each thread 4 x 4 of them.  The sum runs
 * over taps and 16 channels at a time through shared memory, in F32. */
template <typename T, typename W, typename Y>
__global__ void conv_direct_kernel(direct_frames<T> frames, const W *weights, direct_problem d)
{
    __shared__ float pixels[DIRECT_C][DIRECT_PIXELS + 1], filters[DIRECT_C][DIRECT_CHANNELS + 1];
    const conv_problem &p = d.conv;
    int64_t plane = (int64_t) p.h * p.w, first = (int64_t) blockIdx.x * DIRECT_PIXELS;
    int n0 = blockIdx.y * DIRECT_CHANNELS, t = p.t0 + blockIdx.z;
    int tx = threadIdx.x % 16, ty = threadIdx.x / 16, taps = p.kt * p.kh * p.kw;
    float acc[4][4] = {};

    for (int tap = 0; tap < taps; tap++) {
        int dt = tap / (p.kh * p.kw), dy = tap / p.kw % p.kh, dx = tap % p.kw;
        conv_frame frame = conv_frame_at(p, t * p.stride_t + dt - p.back);
        const T *source = frames.operand[frame.operand];

        for (int c0 = 0; c0 < p.c; c0 += DIRECT_C) {
            for (int i = threadIdx.x; i < DIRECT_PIXELS * DIRECT_C; i += DIRECT_THREADS) {
                int c = c0 + i % DIRECT_C, m = i / DIRECT_C;
                int64_t pixel = first + m;
                int row = (int) (pixel / p.w) * p.stride_s + dy - p.pad_top;
                int column = (int) (pixel % p.w) * p.stride_s + dx - p.pad_left;
                bool inside = pixel < plane && c < p.c && row >= 0 && row < d.in_h && column >= 0 &&
                              column < d.in_w;

                pixels[i % DIRECT_C][m] =
                    inside
                        ? to_float(
                              source[(((int64_t) frame.number * d.in_h + row) * d.in_w + column) *
                                         p.c +
                                     c])
                        : 0.0f;
            }
            for (int i = threadIdx.x; i < DIRECT_CHANNELS * DIRECT_C; i += DIRECT_THREADS) {
                int c = c0 + i % DIRECT_C, n = n0 + i / DIRECT_C;

                filters[i % DIRECT_C][i / DIRECT_C] =
                    n < p.k && c < p.c ? to_float(weights[((int64_t) n * taps + tap) * p.c + c])
                                       : 0.0f;
            }
            __syncthreads();
            for (int c = 0; c < DIRECT_C; c++)
                for (int i = 0; i < 4; i++)
                    for (int j = 0; j < 4; j++)
                        acc[i][j] += pixels[c][ty * 4 + i] * filters[c][tx * 4 + j];
            __syncthreads();
        }
    }
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++) {
            int64_t pixel = first + ty * 4 + i;
            int n = n0 + tx * 4 + j;
            int64_t at = ((int64_t) t * plane + pixel) * p.k + n;

            if (pixel >= plane || n >= p.k)
                continue;
            acc[i][j] += (p.bias ? p.bias[n] : 0.0f) +
                         (p.residual ? to_float(((const Y *) p.residual)[at]) : 0.0f);
            ((Y *) p.y)[at] = from_float<Y>(acc[i][j]);
        }
}

/* One thread an element: dst[k,kt',s,c] = sums of the temporal taps of w[k,kt,s,c].  keep = kt'
 * temporal taps: the first is the sum of the first kt - keep + 1, the others are copies. */
template <typename T>
__global__ void sum_taps_kernel(const T *w, T *dst, int64_t n, int kt, int keep, int inner)
{
    int64_t i = (int64_t) blockIdx.x * blockDim.x + threadIdx.x;
    int64_t rest = i % inner, tap = i / inner % keep, k = i / inner / keep;
    float sum = 0.0f;

    if (i >= n)
        return;
    for (int t = tap == 0 ? 0 : (int) tap + kt - keep; t <= (int) tap + kt - keep; t++)
        sum += to_float(w[(k * kt + t) * inner + rest]);
    dst[i] = from_float<T>(sum);
}

/* Rows of c elements to rows of `wide`, the rest zeros; one thread eight elements of a row. */
template <typename T> __global__ void widen_kernel(const T *src, T *dst, int64_t n, int c, int wide)
{
    int64_t i = (int64_t) blockIdx.x * blockDim.x + threadIdx.x;
    int64_t row = i / (wide / 8);
    int first = (int) (i % (wide / 8)) * 8;
    float v[8];

    if (i >= n)
        return;
    for (int e = 0; e < 8; e++)
        v[e] = first + e < c ? to_float(src[row * c + first + e]) : 0.0f;
    store8(dst + i * 8, v);
}

} // namespace svr

using namespace svr;

void svr::conv_tile_up(conv_problem *p)
{
    p->tiles_w = (p->w + TILE_W - 1) / TILE_W;
    p->tiles_h = (p->h + TILE_H - 1) / TILE_H;
    p->tiles_n = (p->k + TILE_N - 1) / TILE_N;
    p->tiles = (int64_t) p->frames * p->tiles_w * p->tiles_h * p->tiles_n * p->phases;
}

conv_problem svr::conv_describe(const svr_conv3d_args *args, const svr_tensor *weights, int t0,
                                int frames)
{
    conv_problem p = {};

    p.t0 = t0;
    p.frames = frames;
    p.h = (int) args->y.dims[1];
    p.w = (int) args->y.dims[2];
    p.k = (int) args->y.dims[3];
    p.c = (int) args->x.dims[3];
    p.kt = (int) weights->dims[1];
    p.kh = (int) weights->dims[2];
    p.kw = (int) weights->dims[3];
    p.stride_t = args->stride_t;
    p.stride_s = args->stride_s;
    p.pad_top = args->pad_top;
    p.pad_left = args->pad_left;
    p.has_head = svr_tensor_present(&args->head);
    p.has_recent = svr_tensor_present(&args->recent);
    p.before = p.has_head ? (int) args->head.dims[0] + p.has_recent : 0;
    /* summed taps start at frame 0, so what is missing in front is what the full kernel lacks */
    p.back = p.has_head && !args->head_starts ? p.before : p.kt - 1;
    p.halo = p.kh * p.kw > 1 && p.kh <= 3 && p.kw <= 3 && p.stride_s == 1;
    p.phases = p.tz = 1;
    p.first_y = t0;
    p.bias = (const float *) args->b.data;
    p.residual = args->residual.data;
    p.y = args->y.data;
    p.y_f32 = args->y.dtype == SVR_F32;
    p.wide = p.k % 8 == 0 && aligned16(p.y, p.residual, p.bias);
    conv_tile_up(&p);
    return p;
}

template <typename T, typename Y>
static void launch_direct(const svr_conv3d_args *args, const svr_tensor *weights,
                          const direct_problem &d, cudaStream_t stream)
{
    int64_t plane = (int64_t) d.conv.h * d.conv.w;
    dim3 grid((unsigned) ((plane + DIRECT_PIXELS - 1) / DIRECT_PIXELS),
              (unsigned) ((d.conv.k + DIRECT_CHANNELS - 1) / DIRECT_CHANNELS),
              (unsigned) d.conv.frames);
    direct_frames<T> frames = {
        {(const T *) args->x.data, (const T *) args->head.data, (const T *) args->recent.data}};

    SVR_STORAGE_SWITCH(weights->dtype, W,
                       conv_direct_kernel<T, W, Y>
                       <<<grid, DIRECT_THREADS, 0, stream>>>(frames, (const W *) weights->data, d));
}

/* The slow path: any types, any sizes. */
static svr_status run_direct(svr_exec *exec, const svr_conv3d_args *args, const svr_tensor *weights,
                             int t0, int frames, svr_error *err)
{
    cudaStream_t stream = svr_cuda_of(exec)->stream;
    direct_problem d = {conv_describe(args, weights, t0, frames), (int) args->x.dims[1],
                        (int) args->x.dims[2], (int) args->x.dims[0]};

    SVR_STORAGE_SWITCH(args->x.dtype, T,
                       if (args->y.dtype == SVR_F32)
                           launch_direct<T, float>(args, weights, d, stream);
                       else launch_direct<T, T>(args, weights, d, stream));
    return svr_cuda_launched("conv3d", err);
}

/* Whether tensor cores do it. */
static bool is_tensor_core(const svr_cuda_backend *b, const svr_conv3d_args *args)
{
    return conv_hopper_serves(b, args) || conv_mma_serves(args);
}

/* `partials`: see conv_problem; only where conv_makes_moments() says so. */
static svr_status run(svr_exec *exec, const svr_conv3d_args *args, const svr_tensor *weights,
                      int t0, int frames, float2 *partials, svr_error *err)
{
    const svr_cuda_backend *b = svr_cuda_of(exec);
    double flops = 2.0 * (double) svr_tensor_elems(&args->y) / (double) args->y.dims[0] * frames *
                   (double) (svr_tensor_elems(weights) / weights->dims[0]);

    if (frames <= 0)
        return SVR_OK;
    if (is_tensor_core(b, args)) {
        conv_problem p = conv_describe(args, weights, t0, frames);
        conv_operands o = {args->x, args->head, args->recent, *weights};
        bool hopper = conv_hopper_serves(b, args);

        p.partials = partials;
        SVR_TRY((hopper ? conv_hopper_run : conv_mma_run)(b, &o, &p, err));
    } else {
        SVR_TRY(run_direct(exec, args, weights, t0, frames, err));
    }
    return svr_cuda_pace(exec, flops, err);
}

int svr_cuda_conv3d_repeated(const svr_conv3d_args *args)
{
    int kt = (int) args->w.dims[1], n;

    if (args->head_starts)
        return 1;
    if (svr_tensor_present(&args->head) || kt == 1)
        return 0;
    n = (kt - 2) / args->stride_t + 1;
    return n < (int) args->y.dims[0] ? n : (int) args->y.dims[0];
}

static bool is_pointwise(const svr_conv3d_args *args)
{
    return args->w.dims[1] * args->w.dims[2] * args->w.dims[3] == 1 && args->stride_t == 1 &&
           args->stride_s == 1 &&
           args->pad_top + args->pad_bottom + args->pad_left + args->pad_right == 0;
}

static svr_gemm pointwise_gemm(const svr_conv3d_args *args)
{
    int64_t pixels = args->y.dims[0] * args->y.dims[1] * args->y.dims[2];
    svr_gemm g = {};

    g.x = svr_tensor_as_2d(&args->x, pixels, args->x.dims[3]);
    g.w = svr_tensor_2d(args->w.data, args->w.dtype, args->w.dims[0], args->w.dims[4]);
    g.b = args->b;
    if (svr_tensor_present(&args->residual))
        g.residual = svr_tensor_as_2d(&args->residual, pixels, args->y.dims[3]);
    g.y = svr_tensor_as_2d(&args->y, pixels, args->y.dims[3]);
    return g;
}

svr_tensor svr::conv_widened(const svr_tensor *t, size_t *bytes)
{
    svr_tensor wide = *t;

    *bytes = 0;
    if (!svr_tensor_present(t) || conv_hopper_reads(t))
        return wide;
    wide.dims[t->rank - 1] = (t->dims[t->rank - 1] + 7) / 8 * 8;
    *bytes = (svr_tensor_bytes(&wide) + 255) / 256 * 256;
    return wide;
}

svr_status svr::conv_widen(svr_exec *exec, svr_tensor *t, char **free, svr_error *err)
{
    size_t bytes;
    svr_tensor wide = conv_widened(t, &bytes);
    int64_t n = svr_tensor_elems(&wide) / 8;

    if (bytes == 0)
        return SVR_OK;
    wide.data = *free;
    *free += bytes;
    if (n > 0)
        SVR_STORAGE_SWITCH(t->dtype, T,
                           widen_kernel<T>
                           <<<blocks_of(n, 256), 256, 0, svr_cuda_of(exec)->stream>>>(
                               (const T *) t->data, (T *) wide.data, n, (int) t->dims[t->rank - 1],
                               (int) wide.dims[t->rank - 1]));
    *t = wide;
    return svr_cuda_launched("conv3d", err);
}

/* A multiple of 256. */
static size_t product_bytes(svr_cuda_backend *b, const svr_conv3d_args *args)
{
    size_t x = 0, head = 0, recent = 0, w = 0;
    svr_tensor weights = args->w;

    if (is_pointwise(args)) {
        svr_gemm g = pointwise_gemm(args);

        return (svr_cuda_gemm_workspace(b, &g) + 255) / 256 * 256;
    }
    if (is_tensor_core(b, args)) {
        svr_conv3d_args in = conv_folds(args) ? conv_folded(args) : *args;

        conv_widened(&in.x, &x);
        conv_widened(&in.head, &head);
        conv_widened(&in.recent, &recent);
        weights = conv_widened(&in.w, &w);
    }
    if (svr_cuda_conv3d_repeated(args) > 0)
        w += (svr_tensor_bytes(&weights) + 255) / 256 * 256;
    return x + head + recent + w;
}

/* Whether the kernel makes the statistics on its way out. */
static bool makes_moments(const svr_cuda_backend *b, const svr_conv3d_args *args)
{
    return !is_pointwise(args) && conv_hopper_serves(b, args) &&
           conv_makes_moments(&args->y, &args->moments);
}

size_t svr_cuda_conv3d_own_workspace(svr_cuda_backend *b, const svr_conv3d_args *args)
{
    size_t product = product_bytes(b, args);
    conv_problem p;

    if (!svr_tensor_present(&args->moments))
        return product;
    if (!makes_moments(b, args))
        return product + svr_cuda_moments_workspace(&args->y, (int) args->moments.dims[1]);
    p = conv_describe(args, &args->w, 0, (int) args->y.dims[0]);
    return product + conv_moments_workspace(&args->y, conv_parts(&p));
}

/* Output frame t, whose kernel meets the clip's frame 0 more than once: with temporal taps summed.
 */
static svr_status run_repeated(svr_exec *exec, const svr_conv3d_args *args, int t, void *workspace,
                               float2 *partials, svr_error *err)
{
    int kt = (int) args->w.dims[1];
    int inner = (int) (args->w.dims[2] * args->w.dims[3] * args->w.dims[4]);
    svr_tensor summed = args->w;
    int64_t n;

    summed.data = workspace;
    summed.dims[1] = t * args->stride_t + 1 + args->head_starts;
    n = svr_tensor_elems(&summed);
    SVR_STORAGE_SWITCH(
        args->w.dtype, T,
        sum_taps_kernel<T><<<blocks_of(n, 256), 256, 0, svr_cuda_of(exec)->stream>>>(
            (const T *) args->w.data, (T *) workspace, n, kt, (int) summed.dims[1], inner));
    SVR_TRY(svr_cuda_launched("sum of taps", err));
    return run(exec, args, &summed, t, 1, partials, err);
}

static svr_status run_start(svr_exec *exec, const svr_conv3d_args *args, void *workspace,
                            float2 *partials, svr_error *err)
{
    int repeated = svr_cuda_conv3d_repeated(args);

    for (int t = 0; t < repeated; t++)
        SVR_TRY(run_repeated(exec, args, t, workspace, partials, err));
    return SVR_OK;
}

svr_status svr_cuda_conv3d_start(svr_exec *exec, const svr_conv3d_args *args, void *workspace,
                                 svr_error *err)
{
    return run_start(exec, args, workspace, NULL, err);
}

/* The convolution as tensor cores can read it, made in the workspace at *free. */
static svr_status make_readable(svr_exec *exec, const svr_conv3d_args *args, svr_conv3d_args *out,
                                char **free, svr_error *err)
{
    bool folds = conv_folds(args);

    *out = folds ? conv_folded(args) : *args;
    for (svr_tensor *frames : {&out->x, &out->head, &out->recent})
        SVR_TRY(folds ? conv_fold(exec, args, frames, free, err)
                      : conv_widen(exec, frames, free, err));
    return conv_widen(exec, &out->w, free, err);
}

/* The product alone. */
static svr_status convolve(svr_exec *exec, const svr_conv3d_args *args, char *workspace,
                           float2 *partials, svr_error *err)
{
    int repeated = svr_cuda_conv3d_repeated(args);
    svr_conv3d_args wide = *args;

    if (is_pointwise(args)) {
        svr_gemm g = pointwise_gemm(args);

        return svr_cuda_gemm_run(exec, &g, workspace, err);
    }
    if (is_tensor_core(svr_cuda_of(exec), args))
        SVR_TRY(make_readable(exec, args, &wide, &workspace, err));
    SVR_TRY(run_start(exec, &wide, workspace, partials, err));
    return run(exec, &wide, &wide.w, repeated, (int) args->y.dims[0] - repeated, partials, err);
}

svr_status svr_cuda_conv3d_own(svr_exec *exec, const svr_conv3d_args *args, void *workspace,
                               svr_error *err)
{
    svr_cuda_backend *b = svr_cuda_of(exec);
    char *behind = (char *) workspace + product_bytes(b, args);
    conv_problem p = {};

    if (!makes_moments(b, args)) {
        SVR_TRY(convolve(exec, args, (char *) workspace, NULL, err));
        return svr_tensor_present(&args->moments)
                   ? svr_cuda_moments(exec, &args->y, &args->moments, behind, err)
                   : SVR_OK;
    }
    p = conv_describe(args, &args->w, 0, (int) args->y.dims[0]);
    p.partials = (float2 *) behind;
    SVR_TRY(convolve(exec, args, (char *) workspace, p.partials, err));
    return conv_join_moments(exec, &p, &args->y, &args->moments, err);
}
