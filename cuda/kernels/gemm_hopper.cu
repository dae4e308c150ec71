/* Matrix products with what follows them in one kernel, through the bulk tensor copy engine and
 * wgmma: linear with bias, gate and residual, and swiglu.
 *
 * A block of three warpgroups is persistent over output tiles of 128 rows by 256 columns of the
 * product: one thread of the first group issues copies, the other two multiply 64 rows each.  Two
 * blocks of a cluster work on neighbouring rows and the same columns; each fetches half of the
 * weights for both, which cuts the traffic from L2 by a third.  For swiglu the 256 columns are 128
 * of the gate and the same 128 of the values, so that one lane holds both factors of its results.
 * A residual that is the output is not read: results are added to it in L2, each element once, so
 * the sum does not depend on the order of blocks.  Compute bound, in long runs by the power limit.
 * Measured on an H200, F16, 21600 rows: swiglu 2560 to 6912 2.05 ms (747 TFLOP/s), 2.36 ms in long
 * runs; 6912 to 2560 with gate and residual 1.10 ms, 1.24 ms in long runs.
 *
 * e4m3 takes the same bytes through the same steps: a row of a stage holds 128 elements instead of
 * 64, a product is 32 deep instead of 16, and the scales are applied to the finished sums.  The
 * tensor cores keep only some 14 bits of an e4m3 sum, and cut off the rest at every step of 32.
 * The sums stay there nevertheless: adding them up in F32 between steps takes as many registers
 * again, hence smaller tiles and more traffic, and what is lost is small beside the rounding of the
 * factors.  It is at most 2^-13 of the sum a step, on average half of that and towards 0: by this
 * estimate 0.3 % of results of depth 2560 and 1 % at 6912, where e4m3's fraction of 3 bits costs
 * 4 %.  The tests of ops hold the kernel to about that.
 *
 * 8-bit integers go the same way; their sums are integers of 32 bits, and exact. */
#include "cuda_gemm.h"

#include "gemm_epilogue.cuh"
#include "hopper.cuh"
#include "wgmma.cuh"

namespace svr
{

enum {
    GEMM_M = 128,
    GEMM_N = 256,
    GEMM_ROW_BYTES = 128, /* of a stage: one row of the copy engine's swizzle */
    GEMM_STAGES = 4,
    GEMM_CLUSTER = 2,
    GEMM_BAND = 8, /* pairs of row tiles that are worked on together, for reuse in L2 */
    GEMM_HALF_BYTES = GEMM_N / 2 * GEMM_ROW_BYTES,
    GEMM_A_BYTES = GEMM_M * GEMM_ROW_BYTES,
    GEMM_STAGE_BYTES = GEMM_A_BYTES + 2 * GEMM_HALF_BYTES,
    GEMM_THREADS = 384,
    GEMM_SHARED = GEMM_STAGES * GEMM_STAGE_BYTES + 8 * GEMM_PATCH_BYTES + 1024 + 256
};

/* Elements of a row of a stage: a step along K. */
template <typename T> constexpr int gemm_step = GEMM_ROW_BYTES / (int) sizeof(T);

struct gemm_stages {
    uint8_t *data;
    uint64_t *full, *empty;
};

/* First row and column of tile `i`: bands of row tiles, inside a band rows fastest. */
__device__ __forceinline__ int2 gemm_tile(const gemm_problem &p, int64_t i, int rank, int columns)
{
    int64_t per_band = (int64_t) GEMM_BAND * p.tiles_n;
    int band = (int) (i / per_band) * GEMM_BAND, rest = (int) (i % per_band);
    int rows = min(GEMM_BAND, p.pairs - band);

    return make_int2(((band + rest % rows) * GEMM_CLUSTER + rank) * GEMM_M, rest / rows * columns);
}

/* The copying thread; `step` elements of K a stage. */
__device__ __forceinline__ void gemm_produce(const CUtensorMap *x, const CUtensorMap *w0,
                                             const CUtensorMap *w1, const gemm_problem &p,
                                             const gemm_stages &s, int columns, int step)
{
    int rank = cluster_rank(), stage = 0, parity = 0;
    int64_t tiles = (int64_t) p.pairs * p.tiles_n;
    const CUtensorMap *w = rank ? w1 : w0;

    for (int64_t i = blockIdx.x / GEMM_CLUSTER; i < tiles; i += gridDim.x / GEMM_CLUSTER) {
        int2 tile = gemm_tile(p, i, rank, columns);

        for (int k = 0; k < p.k; k += step) {
            uint8_t *data = s.data + stage * GEMM_STAGE_BYTES;

            barrier_wait(s.empty + stage, parity ^ 1);
            barrier_expect(s.full + stage, GEMM_STAGE_BYTES);
            fetch2(data, x, s.full + stage, k, tile.x);
            fetch2_both(data + GEMM_A_BYTES + rank * GEMM_HALF_BYTES, w, s.full + stage, k,
                        tile.y + rank * p.half_step);
            if (++stage == GEMM_STAGES) {
                stage = 0;
                parity ^= 1;
            }
        }
    }
}

/* Sums a tile of 64 rows and 256 columns; (stage, parity) is the place in the ring. */
template <typename T>
__device__ __forceinline__ void gemm_accumulate(const gemm_problem &p, const gemm_stages &s,
                                                int consumer, int &stage, int &parity,
                                                typename wgmma_sum<T>::type (&acc)[128])
{
    int steps = (p.k + gemm_step<T> - 1) / gemm_step<T>, last = -1;
    bool leader = threadIdx.x % 128 < GEMM_CLUSTER;

    for (int step = 0; step < steps; step++) {
        uint32_t data = shared_address(s.data + stage * GEMM_STAGE_BYTES);
        uint64_t a = operand(data + consumer * 64 * 128), b = operand(data + GEMM_A_BYTES);

        barrier_wait(s.full + stage, parity);
        wgmma_fence();
#pragma unroll
        for (int k = 0; k < GEMM_ROW_BYTES / 32; k++)
            wgmma_n256<T>(acc, a + k * 2, b + k * 2, step + k > 0);
        wgmma_commit();
        wgmma_wait<1>();
        /* all but the newest products are done: their stage is free in both blocks */
        if (leader && last >= 0)
            barrier_arrive_at(s.empty + last, threadIdx.x % 128);
        last = stage;
        if (++stage == GEMM_STAGES) {
            stage = 0;
            parity ^= 1;
        }
    }
    wgmma_wait<0>();
    if (leader)
        barrier_arrive_at(s.empty + last, threadIdx.x % 128);
}

template <typename T, typename Y, bool SWIGLU>
__device__ __forceinline__ void gemm_consume(const gemm_problem &p, const gemm_stages &s,
                                             int consumer, uint8_t *patches)
{
    constexpr int columns = SWIGLU ? GEMM_N / 2 : GEMM_N;
    int64_t tiles = (int64_t) p.pairs * p.tiles_n;
    int warp = threadIdx.x % 128 / 32, stage = 0, parity = 0;
    uint8_t *patch = patches + (consumer * 4 + warp) * GEMM_PATCH_BYTES;

    for (int64_t i = blockIdx.x / GEMM_CLUSTER; i < tiles; i += gridDim.x / GEMM_CLUSTER) {
        int2 tile = gemm_tile(p, i, cluster_rank(), columns);
        int row = tile.x + consumer * 64;
        float acc[128];

        if constexpr (__is_same(T, int8_t)) {
            int sums[128];

            gemm_accumulate<T>(p, s, consumer, stage, parity, sums);
#pragma unroll
            for (int k = 0; k < 128; k++)
                acc[k] = __int_as_float(sums[k]);
        } else {
            gemm_accumulate<T>(p, s, consumer, stage, parity, acc);
        }
        if constexpr (SWIGLU)
            write_swiglu<T, Y>(p, acc, patch, row + warp * 16, tile.y);
        else
            write_linear<T, Y>(p, acc, patch, row + warp * 16, tile.y);
    }
}

/* Older architectures, whose kernel is empty, know no clusters. */
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
#define GEMM_CLUSTERED __cluster_dims__(GEMM_CLUSTER, 1, 1)
#else
#define GEMM_CLUSTERED
#endif

template <typename T, typename Y, bool SWIGLU>
__global__ void GEMM_CLUSTERED __launch_bounds__(GEMM_THREADS, 1)
    gemm_hopper_kernel(const __grid_constant__ CUtensorMap x,
                       const __grid_constant__ CUtensorMap w0,
                       const __grid_constant__ CUtensorMap w1, const gemm_problem p)
{
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    extern __shared__ uint8_t raw[];
    uint8_t *base = (uint8_t *) (((uintptr_t) raw + 1023) & ~(uintptr_t) 1023);
    uint8_t *patches = base + GEMM_STAGES * GEMM_STAGE_BYTES;
    uint64_t *barriers = (uint64_t *) (patches + 8 * GEMM_PATCH_BYTES);
    gemm_stages s = {base, barriers, barriers + GEMM_STAGES};
    int group = threadIdx.x / 128;

    if (threadIdx.x == 0) {
        for (int i = 0; i < GEMM_STAGES; i++) {
            barrier_init(s.full + i, 1);
            barrier_init(s.empty + i, 2 * GEMM_CLUSTER);
        }
        barriers_visible();
    }
    cluster_meet();
    if (group == 0) {
        registers_shrink<40>();
        if (threadIdx.x == 0)
            gemm_produce(&x, &w0, &w1, p, s, SWIGLU ? GEMM_N / 2 : GEMM_N, gemm_step<T>);
        __syncwarp();
    } else {
        registers_grow<232>();
        gemm_consume<T, Y, SWIGLU>(p, s, group - 1, patches);
    }
    /* nobody leaves while the other block still copies here or arrives at barriers here */
    cluster_meet();
#endif
}

} // namespace svr

/* ---- the host side */

using namespace svr;

static svr_status rows_map(const svr_cuda_backend *b, const svr_tensor *t, int rows,
                           CUtensorMap *out, svr_error *err)
{
    map_request r = {t,
                     2,
                     {(cuuint64_t) t->dims[1], (cuuint64_t) t->dims[0]},
                     {(cuuint32_t) (GEMM_ROW_BYTES / svr_dtype_size(t->dtype)), (cuuint32_t) rows},
                     {1, 1}};

    return encode_map(b, &r, out, err);
}

static gemm_problem describe(const svr_gemm *g, int columns)
{
    gemm_problem p = {};

    p.m = (int) g->y.dims[0];
    p.n = (int) g->y.dims[1];
    p.k = (int) g->x.dims[1];
    p.pairs = (p.m + GEMM_CLUSTER * GEMM_M - 1) / (GEMM_CLUSTER * GEMM_M);
    p.tiles_n = (p.n + columns - 1) / columns;
    p.half_step = columns == GEMM_N ? GEMM_N / 2 : 0;
    p.gelu = g->activation == SVR_ACT_GELU_TANH;
    p.x_scale = (const float *) g->x_scale.data;
    p.w_scale = (const float *) g->w_scale.data;
    p.bias = (const float *) g->b.data;
    p.gate = (const float *) g->gate.data;
    p.residual = g->residual.data;
    p.in_place = p.residual && p.residual == g->y.data && g->y.dtype == SVR_F32;
    p.y = g->y.data;
    return p;
}

/* `second` is g for linear, the other product for swiglu. */
template <typename T, typename Y, bool SWIGLU>
static svr_status launch(svr_exec *exec, const svr_gemm *g, const svr_gemm *second, svr_error *err)
{
    svr_cuda_backend *b = svr_cuda_of(exec);
    gemm_problem p = describe(g, SWIGLU ? GEMM_N / 2 : GEMM_N);
    int64_t blocks = (int64_t) p.pairs * p.tiles_n * GEMM_CLUSTER;
    int64_t most = b->sm_count / GEMM_CLUSTER * GEMM_CLUSTER;
    CUtensorMap x, w0, w1;

    SVR_TRY(rows_map(b, &g->x, GEMM_M, &x, err));
    SVR_TRY(rows_map(b, &g->w, GEMM_N / 2, &w0, err));
    SVR_TRY(rows_map(b, &second->w, GEMM_N / 2, &w1, err));
    p.up_scale = (const float *) second->w_scale.data;
    SVR_TRY(svr_cuda_check(cudaFuncSetAttribute(gemm_hopper_kernel<T, Y, SWIGLU>,
                                                cudaFuncAttributeMaxDynamicSharedMemorySize,
                                                GEMM_SHARED),
                           "linear", err));
    gemm_hopper_kernel<T, Y, SWIGLU>
        <<<(unsigned) (blocks < most ? blocks : most), GEMM_THREADS, GEMM_SHARED, b->stream>>>(
            x, w0, w1, p);
    return svr_cuda_launched("linear", err);
}

/* Few rows are left to cuBLASLt, where that needs no kernel behind it. */
static bool serves_types(const svr_gemm *g)
{
    if (g->x.dtype == SVR_F8_E4M3 || g->x.dtype == SVR_I8)
        return g->x.dims[1] % 16 == 0 && aligned16(g->w_scale.data) &&
               (g->activation == SVR_ACT_NONE || g->activation == SVR_ACT_GELU_TANH);
    return g->x.dtype != SVR_F32 && g->activation == SVR_ACT_NONE && g->y.dims[0] >= GEMM_M &&
           (g->y.dtype == g->x.dtype || g->y.dtype == SVR_F32);
}

bool svr_cuda_gemm_fused_serves(const svr_cuda_backend *b, const svr_gemm *g)
{
    return b->capability == 90 && b->sm_count >= GEMM_CLUSTER && serves_types(g) &&
           g->w.dtype == g->x.dtype && !g->w_transposed && g->alpha == 0.0f &&
           (!svr_tensor_present(&g->residual) || g->residual.dtype == g->y.dtype) &&
           g->x.dims[1] % 8 == 0 && g->y.dims[1] % 8 == 0 &&
           aligned16(g->x.data, g->w.data, g->y.data, g->b.data, g->gate.data, g->residual.data);
}

svr_status svr_cuda_gemm_fused_run(svr_exec *exec, const svr_gemm *g, svr_error *err)
{
    if (g->x.dtype == SVR_F8_E4M3)
        SVR_STORAGE_SWITCH(g->y.dtype, Y,
                           return (launch<__nv_fp8_e4m3, Y, false>(exec, g, g, err)));
    if (g->x.dtype == SVR_I8)
        SVR_STORAGE_SWITCH(g->y.dtype, Y, return (launch<int8_t, Y, false>(exec, g, g, err)));
    if (g->x.dtype == SVR_BF16)
        return g->y.dtype == SVR_F32 ? launch<__nv_bfloat16, float, false>(exec, g, g, err)
                                     : launch<__nv_bfloat16, __nv_bfloat16, false>(exec, g, g, err);
    return g->y.dtype == SVR_F32 ? launch<__half, float, false>(exec, g, g, err)
                                 : launch<__half, __half, false>(exec, g, g, err);
}

svr_status svr_cuda_gemm_swiglu_run(svr_exec *exec, const svr_gemm *gate, const svr_gemm *up,
                                    svr_error *err)
{
    if (gate->x.dtype == SVR_F8_E4M3)
        return gate->y.dtype == SVR_BF16
                   ? launch<__nv_fp8_e4m3, __nv_bfloat16, true>(exec, gate, up, err)
                   : launch<__nv_fp8_e4m3, __half, true>(exec, gate, up, err);
    if (gate->x.dtype == SVR_I8)
        return gate->y.dtype == SVR_BF16 ? launch<int8_t, __nv_bfloat16, true>(exec, gate, up, err)
                                         : launch<int8_t, __half, true>(exec, gate, up, err);
    if (gate->x.dtype == SVR_BF16)
        return launch<__nv_bfloat16, __nv_bfloat16, true>(exec, gate, up, err);
    return launch<__half, __half, true>(exec, gate, up, err);
}
