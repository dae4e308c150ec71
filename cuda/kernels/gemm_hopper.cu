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

#include "hopper.cuh"

#include <cuda_fp8.h>

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
    GEMM_PATCH_BYTES = 16 * 128, /* 16 x 64 results of a warp on their way out */
    GEMM_THREADS = 384,
    GEMM_SHARED = GEMM_STAGES * GEMM_STAGE_BYTES + 8 * GEMM_PATCH_BYTES + 1024 + 256
};

/* Elements of a row of a stage: a step along K. */
template <typename T> constexpr int gemm_step = GEMM_ROW_BYTES / (int) sizeof(T);

template <typename T> constexpr bool gemm_is_e4m3 = __is_same(T, __nv_fp8_e4m3);

/* Rows with scales: e4m3 or int8_t. */
template <typename T> constexpr bool gemm_is_scaled = sizeof(T) == 1;

template <typename T> struct gemm_sum {
    typedef float type;
};
template <> struct gemm_sum<int8_t> {
    typedef int type;
};

/* What the kernel computes; y [m,n], for swiglu n are the columns after the product. */
struct gemm_problem {
    int m, n, k;
    int pairs, tiles_n; /* pairs of row tiles, column tiles */
    int half_step;      /* columns between both halves of a tile's weights: 128, swiglu 0 */
    bool in_place;      /* y is F32 and the residual: results are added to it */
    bool gelu;          /* 8 bits only */
    const float *x_scale, *w_scale, *up_scale; /* 8 bits only; the last with swiglu */
    const float *bias, *gate;
    const void *residual;
    void *y;
};

struct gemm_stages {
    uint8_t *data;
    uint64_t *full, *empty;
};

__device__ __forceinline__ int cluster_rank()
{
    int rank;

    asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
    return rank;
}

__device__ __forceinline__ void cluster_meet()
{
    asm volatile("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::
                     : "memory");
}

/* Arrives at the same barrier of block `rank` of the cluster. */
__device__ __forceinline__ void barrier_arrive_at(uint64_t *barrier, int rank)
{
    asm volatile(
        "{\n.reg .b32 remote;\n"
        "mapa.shared::cluster.u32 remote, %0, %1;\n"
        "mbarrier.arrive.shared::cluster.b64 _, [remote];\n}" ::"r"(shared_address(barrier)),
        "r"(rank)
        : "memory");
}

__device__ __forceinline__ void fetch2(void *dst, const CUtensorMap *map, uint64_t *barrier, int c0,
                                       int c1)
{
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes "
                 "[%0], [%1, {%3,%4}], [%2];" ::"r"(shared_address(dst)),
                 "l"(map), "r"(shared_address(barrier)), "r"(c0), "r"(c1)
                 : "memory");
}

/* To the same place in both blocks of the cluster, each told at its own barrier. */
__device__ __forceinline__ void fetch2_both(void *dst, const CUtensorMap *map, uint64_t *barrier,
                                            int c0, int c1)
{
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes"
                 ".multicast::cluster [%0], [%1, {%3,%4}], [%2], %5;" ::"r"(shared_address(dst)),
                 "l"(map), "r"(shared_address(barrier)), "r"(c0), "r"(c1), "h"((uint16_t) 3)
                 : "memory");
}

/* `c`: constraint of a sum, "+f" or "+r" */
#define ACC4(c, i) c(d[i]), c(d[i + 1]), c(d[i + 2]), c(d[i + 3])
#define ACC16(c, i) ACC4(c, i), ACC4(c, i + 4), ACC4(c, i + 8), ACC4(c, i + 12)
#define ACC128(c)                                                                                  \
    ACC16(c, 0), ACC16(c, 16), ACC16(c, 32), ACC16(c, 48), ACC16(c, 64), ACC16(c, 80),             \
        ACC16(c, 96), ACC16(c, 112)
/* `kind` is depth and types; `layout` signs of the operands, and whether they are transposed, which
 * 8 bits cannot be. */
#define WGMMA_N256(c, kind, layout)                                                                \
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %130, 0;\n"                                     \
                 "wgmma.mma_async.sync.aligned.m64n256" kind " {"                                  \
                 "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"                          \
                 "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,"                \
                 "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,"                \
                 "%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63,"                \
                 "%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79,"                \
                 "%80,%81,%82,%83,%84,%85,%86,%87,%88,%89,%90,%91,%92,%93,%94,%95,"                \
                 "%96,%97,%98,%99,%100,%101,%102,%103,%104,%105,%106,%107,%108,%109,%110,%111,"    \
                 "%112,%113,%114,%115,%116,%117,%118,%119,%120,%121,%122,%123,%124,%125,%126,%127" \
                 "}, %128, %129, p" layout ";\n}"                                                  \
                 : ACC128(c)                                                                       \
                 : "l"(a), "l"(b), "r"(accumulate))

/* d (64 x 256) = a b^T, added to d when accumulate is not 0: 32 bytes of 64 and of 256 rows. */
template <typename T>
__device__ __forceinline__ void wgmma_n256(typename gemm_sum<T>::type (&d)[128], uint64_t a,
                                           uint64_t b, int accumulate)
{
    if constexpr (__is_same(T, __half))
        WGMMA_N256("+f", "k16.f32.f16.f16", ", 1, 1, 0, 0");
    else if constexpr (gemm_is_e4m3<T>)
        WGMMA_N256("+f", "k32.f32.e4m3.e4m3", ", 1, 1");
    else if constexpr (gemm_is_scaled<T>)
        WGMMA_N256("+r", "k32.s32.s8.s8", "");
    else
        WGMMA_N256("+f", "k16.f32.bf16.bf16", ", 1, 1, 0, 0");
}

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
                                                typename gemm_sum<T>::type (&acc)[128])
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

/* 1 / (1 + exp(-x)); the quotient is 0 where the exponential overflows. */
__device__ __forceinline__ float sigmoid_fast(float x)
{
    return __fdividef(1.0f, 1.0f + __expf(-x));
}

/* Two neighbouring elements at an even index. */
template <typename T> __device__ __forceinline__ float2 load2(const T *p)
{
    if constexpr (sizeof(T) == 4)
        return *(const float2 *) p;
    T pair[2];

    *(uint32_t *) pair = *(const uint32_t *) p;
    return make_float2(to_float(pair[0]), to_float(pair[1]));
}

/* y[0] += a, y[1] += b, without waiting. */
__device__ __forceinline__ void add2(float *y, float a, float b)
{
    asm volatile("red.global.add.v2.f32 [%0], {%1, %2};" ::"l"(y), "f"(a), "f"(b) : "memory");
}

/* 64 columns of a warp's 16 rows, `v` [8 columns][row and row + 8][2] a lane, to y. F32: a quad of
 * lanes writes a whole sector.  16 bits: through the warp's patch, whose blocks of 16 bytes are
 * xor-swizzled by row, so that rows are written as whole lines. */
template <typename Y>
__device__ __forceinline__ void write_columns(const gemm_problem &p, const float *v, uint8_t *patch,
                                              int row, int column)
{
    int lane = threadIdx.x % 32, line = lane / 4;

    if constexpr (sizeof(Y) == 4) {
        float *y = (float *) p.y + (int64_t) (row + line) * p.n + column + lane % 4 * 2;

#pragma unroll
        for (int j = 0; j < 8; j++) {
            if (column + j * 8 >= p.n)
                break;
            for (int r = 0; r < 2; r++) {
                float *at = y + (int64_t) 8 * r * p.n + j * 8;

                if (row + line + 8 * r >= p.m)
                    continue;
                if (p.in_place)
                    add2(at, v[4 * j + 2 * r], v[4 * j + 2 * r + 1]);
                else
                    *(float2 *) at = make_float2(v[4 * j + 2 * r], v[4 * j + 2 * r + 1]);
            }
        }
        return;
    }
    __syncwarp();
#pragma unroll
    for (int j = 0; j < 8; j++) {
        uint8_t *at = patch + line * 128 + (j ^ line) * 16 + lane % 4 * 4;

        *(uint32_t *) at = pack2<Y>(v[4 * j], v[4 * j + 1]);
        *(uint32_t *) (at + 8 * 128) = pack2<Y>(v[4 * j + 2], v[4 * j + 3]);
    }
    __syncwarp();
#pragma unroll
    for (int i = 0; i < 4; i++) {
        int r = lane / 8 + i * 4, n = column + lane % 8 * 8;

        if (row + r < p.m && n < p.n)
            *(uint4 *) ((Y *) p.y + (int64_t) (row + r) * p.n + n) =
                *(const uint4 *) (patch + r * 128 + ((lane % 8) ^ (r & 7)) * 16);
    }
}

/* A sum as a number: those of integers arrive as their bits. */
template <typename T> __device__ __forceinline__ float sum_of(float v)
{
    return __is_same(T, int8_t) ? (float) __float_as_int(v) : v;
}

/* Multiplies 64 columns of a warp's 16 rows by the scales of their rows and columns. */
template <typename T>
__device__ __forceinline__ void scale_columns(const gemm_problem &p, const float *w_scale, float *v,
                                              int row, int column)
{
    int lane = threadIdx.x % 32, line = row + lane / 4;
    float x_scale[2];

    column += lane % 4 * 2;
#pragma unroll
    for (int r = 0; r < 2; r++)
        x_scale[r] = line + 8 * r < p.m ? p.x_scale[line + 8 * r] : 0.0f;
#pragma unroll
    for (int j = 0; j < 8; j++) {
        float2 scale = make_float2(0.0f, 0.0f);

        if (column + j * 8 < p.n)
            scale = load2(w_scale + column + j * 8);
#pragma unroll
        for (int r = 0; r < 2; r++) {
            int at = 4 * j + 2 * r;

            v[at] = sum_of<T>(v[at]) * (x_scale[r] * scale.x);
            v[at + 1] = sum_of<T>(v[at + 1]) * (x_scale[r] * scale.y);
        }
    }
}

/* gelu_tanh() as x / (1 + e^-2u), which needs no tanh. */
__device__ __forceinline__ float gelu_fast(float x)
{
    return x * sigmoid_fast(1.5957691216f * (x + 0.044715f * x * x * x));
}

/* v = residual + gate * act(v + bias) for 64 columns of a warp's 16 rows. */
template <typename Y, bool GELU>
__device__ __forceinline__ void finish_columns(const gemm_problem &p, float *v, int row, int column)
{
    int lane = threadIdx.x % 32, line = row + lane / 4;
    float2 residual[8][2] = {};

    column += lane % 4 * 2;
    if (p.residual && !p.in_place)
#pragma unroll
        for (int j = 0; j < 8; j++)
#pragma unroll
            for (int r = 0; r < 2; r++)
                if (line + 8 * r < p.m && column + j * 8 < p.n)
                    residual[j][r] = load2((const Y *) p.residual + (int64_t) (line + 8 * r) * p.n +
                                           column + j * 8);
#pragma unroll
    for (int j = 0; j < 8; j++) {
        bool inside = column + j * 8 < p.n;
        float2 bias = make_float2(0.0f, 0.0f), gate = make_float2(1.0f, 1.0f);

        if (p.bias && inside)
            bias = load2(p.bias + column + j * 8);
        if (p.gate && inside)
            gate = load2(p.gate + column + j * 8);
#pragma unroll
        for (int r = 0; r < 2; r++) {
            float *pair = v + 4 * j + 2 * r;
            float a = pair[0] + bias.x, b = pair[1] + bias.y;

            if (GELU && p.gelu)
                a = gelu_fast(a), b = gelu_fast(b);
            pair[0] = residual[j][r].x + gate.x * a;
            pair[1] = residual[j][r].y + gate.y * b;
        }
    }
}

/* Results of a warp, 16 rows from `row` on. */
template <typename T, typename Y>
__device__ __forceinline__ void write_linear(const gemm_problem &p, float (&acc)[128],
                                             uint8_t *patch, int row, int column)
{
#pragma unroll
    for (int part = 0; part < 4; part++) {
        if constexpr (gemm_is_scaled<T>)
            scale_columns<T>(p, p.w_scale, acc + part * 32, row, column + part * 64);
        finish_columns<Y, gemm_is_scaled<T>>(p, acc + part * 32, row, column + part * 64);
        write_columns<Y>(p, acc + part * 32, patch, row, column + part * 64);
    }
}

/* The same for swiglu: columns 0..127 are the gate, 128..255 the values. */
template <typename T, typename Y>
__device__ __forceinline__ void write_swiglu(const gemm_problem &p, float (&acc)[128],
                                             uint8_t *patch, int row, int column)
{
    if constexpr (gemm_is_scaled<T>)
#pragma unroll
        for (int part = 0; part < 4; part++)
            scale_columns<T>(p, part < 2 ? p.w_scale : p.up_scale, acc + part * 32, row,
                             column + part % 2 * 64);
#pragma unroll
    for (int i = 0; i < 64; i++)
        acc[i] = acc[i] * sigmoid_fast(acc[i]) * acc[i + 64];
#pragma unroll
    for (int part = 0; part < 2; part++)
        write_columns<Y>(p, acc + part * 32, patch, row, column + part * 64);
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
