/* Implicit-GEMM convolution on tensor cores for any device from compute capability 8.0: cp.async,
 * ldmatrix and mma.m16n8k16.
 *
 * A block computes 256 pixels of one output frame (in raster order) by 128 channels, eight warps of
 * 64 x 64 each; outputs of at most 32 channels have a tile of 256 x 32, a warp 32 x 32.  The sum
 * goes over frames, 32 input channels at a time, and within those over the spatial taps, whose
 * pixels overlap and so may come from L1.  Each step is a stage of shared memory: 64-byte rows of
 * pixels and of weights, whose four 16-byte units are permuted by bits 1 and 2 of the row, which
 * keeps both the copies and ldmatrix free of bank conflicts.  Zero padding, and what lies behind
 * the last channel, is cp.async's fill.  Accumulation F32.  96 KiB of shared memory, one block a
 * multiprocessor.  Compute bound.
 *
 * Measured on an H200, f16: 128 channels at 1280x720, 5 frames at the clip's start 427 TFLOP/s;
 * slices of 4 frames with residual: 128 channels 401, 256 at 640x360 431, 512 at 320x180 430 to 447
 * (conv_hopper.cu in the same run: 712, 745, 766).  With operands read in the step that uses them
 * and copies issued before its products: 255 to 268.  Two blocks of 128 pixels a multiprocessor:
 * 419, 437, 440; past L1: 402, 414, 451. */
#include "conv_epilogue.cuh"
#include "mma.cuh"

namespace svr
{

enum {
    MMA_PIXELS = 256,
    MMA_STEP = 32, /* channels */
    MMA_UNITS = MMA_STEP / 8,
    MMA_ROW = MMA_STEP * 2, /* bytes */
    MMA_STAGES = 4,
    MMA_THREADS = 256,
    MMA_COPY_ROWS = MMA_THREADS / MMA_UNITS, /* rows that the block copies at once */
    MMA_PIXEL_COPIES = MMA_PIXELS / MMA_COPY_ROWS
};

/* How the eight warps share a tile: `across` of them side by side, each 16 * high pixels by
 * 8 * wide channels. */
template <int ACROSS, int HIGH, int WIDE> struct mma_shape {
    static constexpr int across = ACROSS, high = HIGH, wide = WIDE;
    static constexpr int channels = across * wide * 8;
    static constexpr int stage = (MMA_PIXELS + channels) * MMA_ROW;
    static constexpr int shared = MMA_STAGES * stage;
    static constexpr int weight_copies = (channels + MMA_COPY_ROWS - 1) / MMA_COPY_ROWS;
    static_assert(MMA_THREADS / 32 / across * high * 16 == MMA_PIXELS, "warps cover the pixels");
};

using mma_wide = mma_shape<2, 4, 8>;
using mma_narrow = mma_shape<1, 2, 4>;

struct mma_problem {
    conv_problem conv;
    const void *frames[3]; /* x, head, recent */
    const void *weights;
    int in_h, in_w;
    int tiles_m, tiles_n; /* of a frame */
};

/* ---- primitives */

/* 16 bytes to shared memory, zeros unless `there`, through L1 or past it. */
__device__ __forceinline__ void copy_cached(uint32_t dst, const void *src, bool there)
{
    asm volatile("cp.async.ca.shared.global [%0], [%1], 16, %2;" ::"r"(dst), "l"(src),
                 "r"(there ? 16 : 0)
                 : "memory");
}

__device__ __forceinline__ void copy(uint32_t dst, const void *src, bool there)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(dst), "l"(src),
                 "r"(there ? 16 : 0)
                 : "memory");
}

__device__ __forceinline__ void load_matrices(uint32_t address, uint32_t (&r)[4])
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address)
                 : "memory");
}

/* Where unit `unit` of row `row` lies in a part of a stage. */
__device__ __forceinline__ uint32_t swizzled(int row, int unit)
{
    return (uint32_t) (row * MMA_ROW + (unit ^ (row >> 1 & (MMA_UNITS - 1))) * 16);
}

/* ---- copies */

/* A thread copies the same unit of every 64th row of pixels and of weights, step by step.  What is
 * behind the last pixel or output channel reads the last one: its sums are not written. */
template <typename T, typename S> struct mma_copier {
    const mma_problem &m;
    int rows[MMA_PIXEL_COPIES], columns[MMA_PIXEL_COPIES]; /* in the input, of tap (0, 0) */
    const T *filters[S::weight_copies];                    /* rows of weights */
    const T *frame;                                        /* that is read now */
    uint32_t to;                                           /* own unit in stage 0 */
    int unit, t, dt, c, dy, dx;                            /* the step */

    __device__ __forceinline__ mma_copier(const mma_problem &problem, uint32_t stages, int t_out,
                                          int64_t first, int n0)
        : m(problem), unit(threadIdx.x % MMA_UNITS), t(t_out), dt(0), c(0), dy(0), dx(0)
    {
        const conv_problem &p = m.conv;
        int row = threadIdx.x / MMA_UNITS;

        to = stages + swizzled(row, unit);
#pragma unroll
        for (int i = 0; i < MMA_PIXEL_COPIES; i++) {
            int64_t pixel = min(first + row + i * MMA_COPY_ROWS, (int64_t) p.h * p.w - 1);

            rows[i] = (int) (pixel / p.w) * p.stride_s - p.pad_top;
            columns[i] = (int) (pixel % p.w) * p.stride_s - p.pad_left;
        }
#pragma unroll
        for (int i = 0; i < S::weight_copies; i++) {
            int n = min(n0 + row + i * MMA_COPY_ROWS, p.k - 1);

            filters[i] = (const T *) m.weights + (int64_t) n * p.kt * p.kh * p.kw * p.c + unit * 8;
        }
        seek();
    }

    /* Finds the frame of tap dt. */
    __device__ __forceinline__ void seek()
    {
        const conv_problem &p = m.conv;
        conv_frame at = conv_frame_at(p, t * p.stride_t + dt - p.back);

        frame = (const T *) m.frames[at.operand] + (int64_t) at.number * m.in_h * m.in_w * p.c +
                unit * 8;
    }

    /* Whether there is something to copy: channels of a step that exists. */
    __device__ __forceinline__ bool some() const
    {
        return c + unit * 8 < m.conv.c && dt < m.conv.kt;
    }

    __device__ __forceinline__ void pixels(int stage, int i) const
    {
        int row = rows[i] + dy, column = columns[i] + dx;
        bool inside = (unsigned) row < (unsigned) m.in_h && (unsigned) column < (unsigned) m.in_w;

        copy_cached(to + stage * S::stage + i * MMA_COPY_ROWS * MMA_ROW,
                    frame + (int64_t) (row * m.in_w + column) * m.conv.c + c, inside && some());
    }

    __device__ __forceinline__ void weights(int stage, int i) const
    {
        const conv_problem &p = m.conv;

        if (S::channels % MMA_COPY_ROWS == 0 || (int) threadIdx.x / MMA_UNITS < S::channels)
            copy(to + stage * S::stage + (MMA_PIXELS + i * MMA_COPY_ROWS) * MMA_ROW,
                 filters[i] + ((dt * p.kh + dy) * p.kw + dx) * p.c + c, some());
    }

    /* Part i of `parts` of a stage. */
    __device__ __forceinline__ void fetch(int stage, int part, int parts) const
    {
#pragma unroll
        for (int i = 0; i < MMA_PIXEL_COPIES; i++)
            if (i % parts == part)
                pixels(stage, i);
#pragma unroll
        for (int i = 0; i < S::weight_copies; i++)
            if (i % parts == part)
                weights(stage, i);
    }

    /* Closes a stage and goes on to the next step. */
    __device__ __forceinline__ void next()
    {
        const conv_problem &p = m.conv;

        asm volatile("cp.async.commit_group;" ::: "memory");
        if (++dx < p.kw)
            return;
        dx = 0;
        if (++dy < p.kh)
            return;
        dy = 0;
        c += MMA_STEP;
        if (c < p.c)
            return;
        c = 0;
        dt++;
        seek();
    }
};

/* Until all stages but the newest two have come, and every warp is done with what it read. */
__device__ __forceinline__ void wait_stage()
{
    asm volatile("cp.async.wait_group %0;" ::"n"(MMA_STAGES - 2) : "memory");
    __syncthreads();
}

/* ---- products */

/* A warp's operands for 16 channels. */
template <typename S> struct mma_operands {
    uint32_t a[S::high][4], b[S::wide / 2][4];

    /* From unit `k` of a stage; the warp's part starts at pixel row `m` and weight row `n`. */
    __device__ __forceinline__ void load(uint32_t stage, int m, int n, int k)
    {
        int lane = threadIdx.x % 32;
        /* four matrices each: of pixels two down, then right; of weights two right, then down */
        uint32_t pixels = stage + swizzled(m + lane % 16, lane / 16 + k);
        uint32_t weights =
            stage + MMA_PIXELS * MMA_ROW + swizzled(n + lane % 8 + lane / 16 * 8, lane / 8 % 2 + k);

#pragma unroll
        for (int i = 0; i < S::high; i++)
            load_matrices(pixels + i * 16 * MMA_ROW, a[i]);
#pragma unroll
        for (int j = 0; j < S::wide / 2; j++)
            load_matrices(weights + j * 16 * MMA_ROW, b[j]);
    }

    template <typename T>
    __device__ __forceinline__ void multiply(int i, float (&acc)[S::wide][4]) const
    {
#pragma unroll
        for (int j = 0; j < S::wide; j++)
            mma_16x8<T>(acc[j], a[i], b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]);
    }
};

/* Sums the tile.  Operands are read half a step ahead of the products that use them, and the
 * copies' instructions lie between products. */
template <typename T, typename S>
__device__ __forceinline__ void mma_tile(mma_copier<T, S> &copier, uint32_t stages, int steps,
                                         int row, int column, float (&acc)[S::high][S::wide][4])
{
    mma_operands<S> first, second;
    int stage = 0;

#pragma unroll 1
    for (int i = 0; i < MMA_STAGES - 1; i++) {
        copier.fetch(i, 0, 1);
        copier.next();
    }
    wait_stage();
    first.load(stages, row, column, 0);
#pragma unroll 1
    for (int step = 0; step < steps; step++) {
        second.load(stages + stage * S::stage, row, column, 2);
#pragma unroll
        for (int i = 0; i < S::high; i++) {
            first.template multiply<T>(i, acc[i]);
            copier.fetch((stage + MMA_STAGES - 1) % MMA_STAGES, i, S::high);
        }
        copier.next();
        stage = (stage + 1) % MMA_STAGES;
        wait_stage();
        first.load(stages + stage * S::stage, row, column, 0);
#pragma unroll
        for (int i = 0; i < S::high; i++)
            second.template multiply<T>(i, acc[i]);
    }
}

/* A warp's part of the tile, from pixel `first` and channel `n`: lane l writes pixels l/4 and
 * l/4 + 8 of every 16, channels l%4*8.. of every 32. */
template <typename Y, typename S>
__device__ __forceinline__ void mma_write(const conv_problem &p, int t, int64_t first, int n,
                                          const float (&acc)[S::high][S::wide][4])
{
    int64_t plane = (int64_t) p.h * p.w;
    const Y *residual = (const Y *) p.residual;

    first += threadIdx.x % 32 / 4;
    n += threadIdx.x % 4 * 8;
#pragma unroll
    for (int quarter = 0; quarter < S::wide / 4; quarter++) {
        int channel = n + quarter * 32;
        float bias[8];

        load_bias(p, p.bias, channel, bias);
#pragma unroll
        for (int i = 0; i < S::high * 2; i++) {
            int64_t pixel = first + i * 8, at = (t * plane + pixel) * p.k + channel;
            bool inside = pixel < plane && channel < p.k;
            uint4 ahead = {};
            float2 own[4];
            float v[8];

            if (sizeof(Y) == 2 && p.wide && residual && inside)
                ahead = *(const uint4 *) (residual + at);
#pragma unroll
            for (int j = 0; j < 4; j++)
                own[j] = make_float2(acc[i / 2][quarter * 4 + j][i % 2 * 2],
                                     acc[i / 2][quarter * 4 + j][i % 2 * 2 + 1]);
            exchange4(own, v);
#pragma unroll
            for (int e = 0; e < 8; e++)
                v[e] += bias[e];
            if (inside)
                write8<Y>(p, v, (Y *) p.y + at, residual ? residual + at : NULL, channel, ahead);
        }
    }
}

/* Channels fastest, then pixels, so that blocks next to each other share pixels. */
template <typename T, typename S>
__global__ void __launch_bounds__(MMA_THREADS, 1) conv_mma_kernel(const mma_problem m)
{
    extern __shared__ __align__(128) uint8_t raw[];
    const conv_problem &p = m.conv;
    uint32_t stages = (uint32_t) __cvta_generic_to_shared(raw);
    int n0 = (int) (blockIdx.x % m.tiles_n) * S::channels;
    int64_t first = (int64_t) (blockIdx.x / m.tiles_n % m.tiles_m) * MMA_PIXELS;
    int t = p.t0 + (int) (blockIdx.x / m.tiles_n / m.tiles_m);
    int steps = p.kt * p.kh * p.kw * ((p.c + MMA_STEP - 1) / MMA_STEP);
    int warp = threadIdx.x / 32;
    int row = warp / S::across * S::high * 16, column = warp % S::across * S::wide * 8;
    mma_copier<T, S> copier(m, stages, t, first, n0);
    float acc[S::high][S::wide][4] = {};

    mma_tile<T, S>(copier, stages, steps, row, column, acc);
    if (p.y_f32)
        mma_write<float, S>(p, t, first + row, n0 + column, acc);
    else
        mma_write<T, S>(p, t, first + row, n0 + column, acc);
}

} // namespace svr

/* ---- the host side */

using namespace svr;

template <typename T, typename S>
static svr_status launch(const svr_cuda_backend *b, mma_problem *m, svr_error *err)
{
    int64_t plane = (int64_t) m->conv.h * m->conv.w, blocks;

    m->tiles_m = (int) ((plane + MMA_PIXELS - 1) / MMA_PIXELS);
    m->tiles_n = (m->conv.k + S::channels - 1) / S::channels;
    blocks = (int64_t) m->conv.frames * m->tiles_m * m->tiles_n;
    SVR_TRY(
        svr_cuda_check(cudaFuncSetAttribute(conv_mma_kernel<T, S>,
                                            cudaFuncAttributeMaxDynamicSharedMemorySize, S::shared),
                       "conv3d", err));
    conv_mma_kernel<T, S><<<(unsigned) blocks, MMA_THREADS, S::shared, b->stream>>>(*m);
    return svr_cuda_launched("conv3d", err);
}

template <typename T>
static svr_status choose(const svr_cuda_backend *b, mma_problem *m, svr_error *err)
{
    if (m->conv.k <= mma_narrow::channels)
        return launch<T, mma_narrow>(b, m, err);
    return launch<T, mma_wide>(b, m, err);
}

bool svr::conv_mma_serves(const svr_conv3d_args *args)
{
    return args->x.dtype != SVR_F32 && args->w.dtype == args->x.dtype;
}

svr_status svr::conv_mma_run(const svr_cuda_backend *b, const conv_operands *o,
                             const conv_problem *p, svr_error *err)
{
    mma_problem m = {*p,
                     {o->x.data, o->head.data, o->recent.data},
                     o->weights.data,
                     (int) o->x.dims[1],
                     (int) o->x.dims[2],
                     0,
                     0};

    if (o->x.dtype == SVR_BF16)
        return choose<__nv_bfloat16>(b, &m, err);
    return choose<__half>(b, &m, err);
}
