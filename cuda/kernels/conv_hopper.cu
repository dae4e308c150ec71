/* Implicit-GEMM convolution on tensor cores through the bulk tensor copy engine and wgmma.
 *
 * A block of three warpgroups is persistent over output tiles of 4 x 64 pixels by 128 channels: one
 * thread of the first group issues copies, the other two multiply, each on two rows of 64 pixels.
 * For kernels up to 3x3 of stride 1 the input tile is fetched once with its border ((4+2) x (64+2)
 * pixels of 64 channels) and all taps are taken from it by moving the start of the matrix
 * descriptor from pixel to pixel: the 128-byte swizzle follows absolute addresses, so any row may
 * start an operand.  That cuts the traffic from L2 to a third.  Otherwise each tap fetches its own
 * 4 x 64 pixels, with a traversal stride where the convolution has one.  Zero padding is the copy
 * engine's fill outside the tensor.  Inputs of at most 16 channels go in rows of 32 bytes, outputs
 * of at most sixteen through products sixteen wide.  Upsampling (conv_upsample.cu) is several such
 * convolutions, the phases, which write every second pixel.  Accumulation F32; the epilogue adds
 * bias and residual on the way out.  Compute bound.  Measured on an H200 in slices of 4 frames,
 * with residual: 128 channels at 1280x720 620 TFLOP/s, 256 at 640x360 695, 512 at 320x180 722;
 * without residual 128 channels 650, 512 at 640x360 752. */
#include "conv_hopper_write.cuh"
#include "hopper.cuh"
#include "wgmma.cuh"

namespace svr
{

enum {
    A_STAGES = 2,
    B_STAGES = 7,
    A_HALO_BYTES = (TILE_W + 2) * (TILE_H + 2) * 128,
    A_STRIDE = (A_HALO_BYTES + 1023) / 1024 * 1024,
    B_BYTES = TILE_N * 128,
    CONV_THREADS = 384,
    CONV_SHARED = A_STAGES * A_STRIDE + B_STAGES * B_BYTES + 1024 + 256
};

/* A place in a ring of stages: index and the parity of its current round. */
template <int STAGES> struct ring {
    int index = 0, parity = 0;

    __device__ __forceinline__ void next()
    {
        if (++index == STAGES) {
            index = 0;
            parity ^= 1;
        }
    }
};

struct stages {
    uint8_t *a, *b;
    uint64_t *a_full, *a_empty, *b_full, *b_empty;
    uint64_t *written, *counted; /* of a tile: its values, their statistics */
};

/* ---- the kernel's parts */

/* A tile with its border. */
__host__ __device__ __forceinline__ int halo_w(const conv_problem &p)
{
    return TILE_W + p.kw - 1;
}

__host__ __device__ __forceinline__ int halo_h(const conv_problem &p)
{
    return TILE_H + p.kh - 1;
}

/* The copying thread: pixels of every (dt, channels[, tap]) and weights of every tap. */
template <int N, int STEPS>
__device__ __forceinline__ void produce(const CUtensorMap *const (&maps)[3],
                                        const CUtensorMap *weights, const conv_problem &p,
                                        const stages &s)
{
    ring<A_STAGES> a;
    ring<B_STAGES> b;
    int spatial = p.kh * p.kw, steps = (p.c + STEP_C - 1) / STEP_C;
    int a_bytes = (p.halo ? halo_w(p) * halo_h(p) : TILE_W * TILE_H) * STEPS * 32;

    for (int64_t i = blockIdx.x; i < p.tiles; i += gridDim.x) {
        conv_tile tile = tile_at(p, i);

        for (int dt = 0; dt < p.kt; dt++) {
            conv_frame frame = conv_frame_at(p, tile.t * p.stride_t + dt - p.back);
            const CUtensorMap *map = frame.operand == 0   ? maps[0]
                                     : frame.operand == 1 ? maps[1]
                                                          : maps[2];

            for (int step = 0; step < steps; step++)
                for (int tap = 0; tap < spatial; tap++) {
                    if (tap == 0 || !p.halo) {
                        int dy = p.halo ? 0 : tap / p.kw, dx = p.halo ? 0 : tap % p.kw;

                        barrier_wait(s.a_empty + a.index, a.parity ^ 1);
                        barrier_expect(s.a_full + a.index, a_bytes);
                        fetch4(s.a + a.index * A_STRIDE, map, s.a_full + a.index, step * STEP_C,
                               tile.w * p.stride_s + dx + tile.dx - p.pad_left,
                               tile.h * p.stride_s + dy + tile.dy - p.pad_top, frame.number);
                        a.next();
                    }
                    barrier_wait(s.b_empty + b.index, b.parity ^ 1);
                    barrier_expect(s.b_full + b.index, N * STEPS * 32);
                    fetch3(s.b + b.index * B_BYTES, weights, s.b_full + b.index, step * STEP_C,
                           dt * spatial + tap, tile.phase * p.k + tile.n);
                    b.next();
                }
        }
    }
}

/* Rows of a step's channels: 64, or 32 or 16 where there are no more. */
template <int STEPS> __device__ __forceinline__ uint64_t rows_operand(uint32_t address)
{
    return STEPS == 1   ? operand_thin(address)
           : STEPS == 2 ? operand_half(address)
                        : operand(address);
}

template <typename T, int N>
__device__ __forceinline__ void multiply(float (&d)[N / 2], uint64_t a, uint64_t b, int accumulate)
{
    if constexpr (N == TILE_N)
        wgmma_n128<T>(d, a, b, accumulate);
    else
        wgmma_n16<T>(d, a, b, accumulate);
}

/* Sums a tile: acc[s] holds row 2*consumer + s of the tile, 64 pixels by N channels.  A step has
 * 16 * STEPS channels. */
template <typename T, int N, int STEPS>
__device__ __forceinline__ void accumulate_tile(const conv_problem &p, const stages &s,
                                                int consumer, ring<A_STAGES> &a, ring<B_STAGES> &b,
                                                float (&acc)[2][N / 2])
{
    constexpr int row = STEPS * 32; /* bytes */
    int spatial = p.kh * p.kw, taps_per_a = p.halo ? spatial : 1;
    int chunks = p.kt * ((p.c + STEP_C - 1) / STEP_C) * (spatial / taps_per_a);
    int pitch = p.halo ? halo_w(p) : TILE_W, accumulate = 0, last_b = -1;
    bool leader = threadIdx.x % 128 == 0;

    for (int chunk = 0; chunk < chunks; chunk++) {
        uint32_t pixels = shared_address(s.a + a.index * A_STRIDE);

        int dx = 0;

        pixels += consumer * 2 * pitch * row;
        barrier_wait(s.a_full + a.index, a.parity);
#pragma unroll 1
        for (int tap = 0; tap < taps_per_a; tap++) {
            uint64_t da0 = rows_operand<STEPS>(pixels + dx * row);
            uint64_t da1 = rows_operand<STEPS>(pixels + (pitch + dx) * row);
            uint64_t db = rows_operand<STEPS>(shared_address(s.b + b.index * B_BYTES));

            barrier_wait(s.b_full + b.index, b.parity);
            wgmma_fence();
#pragma unroll
            for (int k = 0; k < STEPS; k++) {
                multiply<T, N>(acc[0], da0 + k * 2, db + k * 2, accumulate);
                multiply<T, N>(acc[1], da1 + k * 2, db + k * 2, accumulate);
                accumulate = 1;
            }
            wgmma_commit();
            wgmma_wait<1>();
            /* all but the newest products are done: their stages are free */
            if (leader && last_b >= 0)
                barrier_arrive(s.b_empty + last_b);
            if (leader && tap == 0 && chunk > 0)
                barrier_arrive(s.a_empty + (a.index + A_STAGES - 1) % A_STAGES);
            last_b = b.index;
            b.next();
            if (++dx == p.kw) {
                dx = 0;
                pixels += pitch * row;
            }
        }
        a.next();
    }
    wgmma_wait<0>();
    if (leader) {
        barrier_arrive(s.b_empty + last_b);
        barrier_arrive(s.a_empty + (a.index + A_STAGES - 1) % A_STAGES);
    }
}

/* Two warps that have nothing else to do read each finished tile once more, while it is in L2, and
 * make its statistics: a thread takes eight channels of a row, four at a time, around the tile's
 * first value, since channels may sit on large constants.  Making them from the registers that
 * write the tile was tried: the groups' products wait meanwhile, 7 % of the whole. */
template <typename T>
__device__ __forceinline__ void observe(const conv_problem &p, const stages &s)
{
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32 - 1, parity = 0;
    int parts = p.phases / p.tz * p.tiles_h * p.tiles_w * 2;

    for (int64_t i = blockIdx.x; i < p.tiles; i += gridDim.x, parity ^= 1) {
        conv_tile tile = tile_at(p, i);
        int channel = tile.n + lane % 16 * 8, row = tile.h + warp * 2 + lane / 16;
        int columns = min(TILE_W, p.w - tile.w), rows = max(0, min(2, p.h - tile.h - warp * 2));
        int place = (tile.phase / p.tz * p.tiles_h + tile.h / TILE_H) * p.tiles_w + tile.w / TILE_W;
        float shift[2] = {}, sum[2] = {}, square[2] = {}, n = (float) (4 * rows * columns);

        barrier_wait(s.written, parity);
        if (channel < p.k) {
            const T *first = (const T *) p.y + pixel_at(p, tile, tile.h, tile.w) * p.k + channel;
            const T *at = (const T *) p.y + pixel_at(p, tile, row, tile.w) * p.k + channel;
            int step = p.phases == 1 ? p.k : 2 * p.k;

            shift[0] = to_float(first[0]);
            shift[1] = to_float(first[4]);
#pragma unroll 3
            for (int c = 0; c < (row < p.h ? columns : 0); c++) {
                float v[8];

                load8(at + (int64_t) c * step, v);
#pragma unroll
                for (int e = 0; e < 8; e++) {
                    float d = v[e] - shift[e / 4];

                    sum[e / 4] += d;
                    square[e / 4] += d * d;
                }
            }
        }
        __syncwarp();
        if (lane == 0)
            barrier_arrive(s.counted);
#pragma unroll
        for (int e = 0; e < 2; e++) {
            sum[e] += __shfl_xor_sync(0xffffffffu, sum[e], 16);
            square[e] += __shfl_xor_sync(0xffffffffu, square[e], 16);
        }
        if (lane < 16 && rows > 0 && channel < p.k)
            *(float4 *) (p.partials +
                         ((int64_t) tile.frame * parts + place * 2 + warp) * (p.k / 4) +
                         channel / 4) =
                make_float4(shift[0] + sum[0] / n, square[0] - sum[0] * sum[0] / n,
                            shift[1] + sum[1] / n, square[1] - sum[1] * sum[1] / n);
    }
}

template <typename T, int N, int STEPS>
__global__ void __launch_bounds__(CONV_THREADS, 1)
    conv_hopper_kernel(const __grid_constant__ CUtensorMap x,
                       const __grid_constant__ CUtensorMap head,
                       const __grid_constant__ CUtensorMap recent,
                       const __grid_constant__ CUtensorMap weights, const conv_problem p)
{
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    extern __shared__ uint8_t raw[];
    uint8_t *base = (uint8_t *) (((uintptr_t) raw + 1023) & ~(uintptr_t) 1023);
    uint64_t *barriers = (uint64_t *) (base + A_STAGES * A_STRIDE + B_STAGES * B_BYTES);
    stages s = {base,
                base + A_STAGES * A_STRIDE,
                barriers,
                barriers + A_STAGES,
                barriers + 2 * A_STAGES,
                barriers + 2 * A_STAGES + B_STAGES,
                barriers + 2 * A_STAGES + 2 * B_STAGES,
                barriers + 2 * A_STAGES + 2 * B_STAGES + 1};
    int group = threadIdx.x / 128;

    if (threadIdx.x == 0) {
        for (int i = 0; i < A_STAGES; i++) {
            barrier_init(s.a_full + i, 1);
            barrier_init(s.a_empty + i, 2);
        }
        for (int i = 0; i < B_STAGES; i++) {
            barrier_init(s.b_full + i, 1);
            barrier_init(s.b_empty + i, 2);
        }
        barrier_init(s.written, 256);
        barrier_init(s.counted, 2);
        barriers_visible();
    }
    __syncthreads();
    if (group == 0) {
        registers_shrink<56>();
        if (p.partials && threadIdx.x >= 32 && threadIdx.x < 96)
            observe<T>(p, s);
        if (threadIdx.x == 0)
            produce<N, STEPS>({&x, &head, &recent}, &weights, p, s);
    } else {
        ring<A_STAGES> a;
        ring<B_STAGES> b;
        int parity = 1;

        registers_grow<224>();
        for (int64_t i = blockIdx.x; i < p.tiles; i += gridDim.x) {
            conv_tile tile = tile_at(p, i);
            float acc[2][N / 2];

            accumulate_tile<T, N, STEPS>(p, s, group - 1, a, b, acc);
            if (p.y_f32)
                write_tile<float>(p, tile, group - 1, acc);
            else
                write_tile<T>(p, tile, group - 1, acc);
            if (p.partials) {
                barrier_wait(s.counted, parity);
                barrier_arrive(s.written);
                parity ^= 1;
            }
        }
    }
#endif
}

} // namespace svr

/* ---- the host side */

using namespace svr;

static svr_status pixel_map(const svr_cuda_backend *b, const svr_tensor *x, const conv_problem *p,
                            cuuint32_t channels, CUtensorMap *out, svr_error *err)
{
    cuuint32_t s = (cuuint32_t) p->stride_s;
    cuuint32_t w = p->halo ? (cuuint32_t) halo_w(*p) : (TILE_W - 1) * s + 1;
    cuuint32_t h = p->halo ? (cuuint32_t) halo_h(*p) : (TILE_H - 1) * s + 1;
    map_request r = {x,
                     4,
                     {(cuuint64_t) x->dims[3], (cuuint64_t) x->dims[2], (cuuint64_t) x->dims[1],
                      (cuuint64_t) x->dims[0]},
                     {channels, w, h, 1},
                     {1, s, s, 1}};

    return encode_map(b, &r, out, err);
}

template <typename T, int N, int STEPS>
static svr_status launch(const svr_cuda_backend *b, const conv_operands *o, const conv_problem *p,
                         svr_error *err)
{
    map_request r = {
        &o->weights,
        3,
        {(cuuint64_t) p->c, (cuuint64_t) (p->kt * p->kh * p->kw), (cuuint64_t) p->phases * p->k},
        {STEPS * 16, 1, N},
        {1, 1, 1}};
    const svr_tensor *frames[3] = {&o->x, &o->head, &o->recent};
    CUtensorMap maps[3], weight_map;
    int64_t grid = p->tiles < b->sm_count ? p->tiles : b->sm_count;

    for (int i = 0; i < 3; i++) {
        bool some = svr_tensor_present(frames[i]) && frames[i]->dims[0] > 0;

        /* a map of no frames is refused */
        SVR_TRY(pixel_map(b, some ? frames[i] : &o->x, p, STEPS * 16, &maps[i], err));
    }
    SVR_TRY(encode_map(b, &r, &weight_map, err));
    SVR_TRY(svr_cuda_check(cudaFuncSetAttribute(conv_hopper_kernel<T, N, STEPS>,
                                                cudaFuncAttributeMaxDynamicSharedMemorySize,
                                                CONV_SHARED),
                           "conv3d", err));
    conv_hopper_kernel<T, N, STEPS><<<(unsigned) grid, CONV_THREADS, CONV_SHARED, b->stream>>>(
        maps[0], maps[1], maps[2], weight_map, *p);
    return svr_cuda_launched("conv3d", err);
}

template <typename T>
static svr_status choose(const svr_cuda_backend *b, const conv_operands *o, const conv_problem *p,
                         svr_error *err)
{
    if (p->c <= 16)
        return launch<T, TILE_N, 1>(b, o, p, err);
    if (p->c <= 32 && p->k > NARROW_N)
        return launch<T, TILE_N, 2>(b, o, p, err);
    if (p->k <= NARROW_N && p->phases == 1)
        return launch<T, NARROW_N, STEP_C / 16>(b, o, p, err);
    return launch<T, TILE_N, STEP_C / 16>(b, o, p, err);
}

bool svr::conv_hopper_serves(const svr_cuda_backend *b, const svr_conv3d_args *args)
{
    return b->capability == 90 && args->x.dtype != SVR_F32 && args->w.dtype == args->x.dtype &&
           args->stride_s <= 4;
}

bool svr::conv_hopper_reads(const svr_tensor *t)
{
    return t->dims[t->rank - 1] % 8 == 0 && aligned16(t->data);
}

svr_status svr::conv_hopper_run(const svr_cuda_backend *b, const conv_operands *o,
                                const conv_problem *p, svr_error *err)
{
    if (o->x.dtype == SVR_BF16)
        return choose<__nv_bfloat16>(b, o, p, err);
    return choose<__half>(b, o, p, err);
}
