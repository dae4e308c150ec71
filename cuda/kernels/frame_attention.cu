/* frame_attention: one head as wide as the tensor, over all pixels of a frame.
 *
 * Generic path: rows of queries in chunks, scores by a matrix product in F32, softmax, and the
 * product with v; the chunk bounds the scores, so no L x L matrix exists. Compute capability 9.0,
 * 512 channels of 16 bits: the flash kernel below.  A block takes 64 queries; two warpgroups share
 * them.  Each computes the scores of half of a tile of 64 keys over all 512 channels, both agree on
 * the row maxima through shared memory, and each multiplies the tile's probabilities with its half
 * of v's channels (64 x 256 accumulators).  A third warpgroup copies K and V tiles: the next K
 * while the values are multiplied, the next V while scores are.  Bound by L2 traffic (128 KiB
 * for 8.4 MFLOP) at about half of the tensor cores' rate. */
#include "cuda_gemm.h"

#include "hopper.cuh"
#include "wgmma.cuh"

namespace svr
{

enum {
    FLASH_QUERIES = 64,
    FLASH_KEYS = 64,
    FLASH_WIDTH = 512,
    FLASH_BLOCKS = FLASH_WIDTH / 64, /* boxes of 64 channels */
    FLASH_BOX_BYTES = 64 * 128,
    FLASH_TILE_BYTES = FLASH_BLOCKS * FLASH_BOX_BYTES,
    FLASH_THREADS = 384,
    FLASH_SHARED = 3 * FLASH_TILE_BYTES + FLASH_BOX_BYTES + 2 * 64 * 4 * 2 + 1024 + 64
};

struct flash_problem {
    int length;  /* L */
    float scale; /* 1/sqrt(C) * log2(e) */
    void *y;
};

/* The pieces of shared memory. */
struct flash_shared {
    uint8_t *q, *k, *v, *p;
    float *highs, *sums; /* [2][64]: row maxima and sums of both warpgroups */
    uint64_t *q_full, *k_full, *k_empty, *v_full, *v_empty;
};

/* Both consumer warpgroups meet. */
__device__ __forceinline__ void consumers_meet()
{
    asm volatile("bar.sync 1, 256;" ::: "memory");
}

__device__ __forceinline__ void fetch_tile(uint8_t *dst, const CUtensorMap *map, uint64_t *full,
                                           int row, int frame)
{
    barrier_expect(full, FLASH_TILE_BYTES);
    for (int block = 0; block < FLASH_BLOCKS; block++)
        fetch3(dst + block * FLASH_BOX_BYTES, map, full, block * 64, row, frame);
}

template <typename T>
__device__ __forceinline__ void flash_produce(const CUtensorMap *q, const CUtensorMap *k,
                                              const CUtensorMap *v, const flash_problem &p,
                                              const flash_shared &s)
{
    int tiles = (p.length + FLASH_KEYS - 1) / FLASH_KEYS;

    fetch_tile(s.q, q, s.q_full, blockIdx.x * FLASH_QUERIES, blockIdx.y);
    for (int tile = 0; tile < tiles; tile++) {
        barrier_wait(s.k_empty, (tile & 1) ^ 1);
        fetch_tile(s.k, k, s.k_full, tile * FLASH_KEYS, blockIdx.y);
        barrier_wait(s.v_empty, (tile & 1) ^ 1);
        fetch_tile(s.v, v, s.v_full, tile * FLASH_KEYS, blockIdx.y);
    }
}

/* Scores of 64 queries with this warpgroup's 32 keys. */
template <typename T>
__device__ __forceinline__ void flash_scores(const flash_shared &s, int consumer,
                                             float (&score)[16])
{
    uint32_t q = shared_address(s.q), k = shared_address(s.k) + consumer * 32 * 128;

    wgmma_fence();
#pragma unroll
    for (int block = 0; block < FLASH_BLOCKS; block++)
#pragma unroll
        for (int i = 0; i < 4; i++)
            wgmma_n32<T>(score, operand(q + block * FLASH_BOX_BYTES) + i * 2,
                         operand(k + block * FLASH_BOX_BYTES) + i * 2, block + i > 0);
    wgmma_commit();
    wgmma_wait<0>();
}

/* Row maximum over both warpgroups; rows r = 0, 1 of this lane. */
__device__ __forceinline__ void flash_highs(const flash_shared &s, int consumer, int row,
                                            const float (&score)[16], float (&top)[2])
{
#pragma unroll
    for (int r = 0; r < 2; r++) {
        float high = -INFINITY;

        for (int j = 0; j < 4; j++)
            high = fmaxf(high, fmaxf(score[4 * j + 2 * r], score[4 * j + 2 * r + 1]));
        high = fmaxf(high, __shfl_xor_sync(0xffffffffu, high, 1));
        high = fmaxf(high, __shfl_xor_sync(0xffffffffu, high, 2));
        if (threadIdx.x % 4 == 0)
            s.highs[consumer * 64 + row + 8 * r] = high;
    }
    consumers_meet();
    for (int r = 0; r < 2; r++)
        top[r] = fmaxf(s.highs[row + 8 * r], s.highs[64 + row + 8 * r]);
}

template <typename T>
__device__ void flash_consume(const flash_problem &p, const flash_shared &s, int consumer)
{
    int tiles = (p.length + FLASH_KEYS - 1) / FLASH_KEYS, lane = threadIdx.x % 32;
    int row = threadIdx.x % 128 / 32 * 16 + lane / 4;
    bool leader = threadIdx.x % 128 == 0;
    float out[128], high[2] = {-INFINITY, -INFINITY}, sum[2] = {0.0f, 0.0f};

#pragma unroll
    for (int i = 0; i < 128; i++)
        out[i] = 0.0f;
    barrier_wait(s.q_full, 0);
    for (int tile = 0; tile < tiles; tile++) {
        float score[16], top[2], factor[2];

        barrier_wait(s.k_full, tile & 1);
        flash_scores<T>(s, consumer, score);
        if (leader)
            barrier_arrive(s.k_empty);
        if ((tile + 1) * FLASH_KEYS > p.length)
            for (int j = 0; j < 16; j++)
                if (tile * FLASH_KEYS + consumer * 32 + j / 4 * 8 + lane % 4 * 2 + j % 2 >=
                    p.length)
                    score[j] = -INFINITY;
        flash_highs(s, consumer, row, score, top);
#pragma unroll
        for (int r = 0; r < 2; r++) {
            top[r] = fmaxf(top[r], high[r]);
            factor[r] = exp2f((high[r] - top[r]) * p.scale);
            high[r] = top[r];
            sum[r] *= factor[r];
            for (int j = 0; j < 4; j++) {
                int column = consumer * 32 + j * 8 + lane % 4 * 2, line = row + 8 * r;
                float a = exp2f((score[4 * j + 2 * r] - top[r]) * p.scale);
                float b = exp2f((score[4 * j + 2 * r + 1] - top[r]) * p.scale);
                /* the 128-byte swizzle of the operand: 16-byte blocks xor row mod 8 */
                int block = (column / 8) ^ (line & 7);

                sum[r] += a + b;
                *(uint32_t *) (s.p + line * 128 + block * 16 + column % 8 * 2) = pack2<T>(a, b);
            }
        }
#pragma unroll
        for (int i = 0; i < 128; i++)
            out[i] *= factor[i / 2 % 2];
        fence_shared_for_copy_engine();
        consumers_meet();
        barrier_wait(s.v_full, tile & 1);
        wgmma_fence();
#pragma unroll
        for (int i = 0; i < 4; i++)
            wgmma_n256_transposed<T>(
                out, operand(shared_address(s.p)) + i * 2,
                operand_transposed(shared_address(s.v) + consumer * 4 * FLASH_BOX_BYTES + i * 2048,
                                   FLASH_BOX_BYTES));
        wgmma_commit();
        wgmma_wait<0>();
        if (leader)
            barrier_arrive(s.v_empty);
    }
    for (int r = 0; r < 2; r++) {
        sum[r] += __shfl_xor_sync(0xffffffffu, sum[r], 1);
        sum[r] += __shfl_xor_sync(0xffffffffu, sum[r], 2);
        if (lane % 4 == 0)
            s.sums[consumer * 64 + row + 8 * r] = sum[r];
    }
    consumers_meet();
    for (int r = 0; r < 2; r++) {
        int64_t query = (int64_t) blockIdx.x * FLASH_QUERIES + row + 8 * r;
        float inverse = 1.0f / (s.sums[row + 8 * r] + s.sums[64 + row + 8 * r]);
        T *y = (T *) p.y + ((int64_t) blockIdx.y * p.length + query) * FLASH_WIDTH + consumer * 256;

        if (query >= p.length)
            continue;
#pragma unroll
        for (int j = 0; j < 32; j++)
            *(uint32_t *) (y + j * 8 + lane % 4 * 2) =
                pack2<T>(out[4 * j + 2 * r] * inverse, out[4 * j + 2 * r + 1] * inverse);
    }
}

template <typename T>
__global__ void __launch_bounds__(FLASH_THREADS, 1)
    flash_kernel(const __grid_constant__ CUtensorMap q, const __grid_constant__ CUtensorMap k,
                 const __grid_constant__ CUtensorMap v, const flash_problem p)
{
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    extern __shared__ uint8_t raw[];
    uint8_t *base = (uint8_t *) (((uintptr_t) raw + 1023) & ~(uintptr_t) 1023);
    uint8_t *tail = base + 3 * FLASH_TILE_BYTES + FLASH_BOX_BYTES;
    uint64_t *barriers = (uint64_t *) (tail + 2 * 64 * 4 * 2);
    flash_shared s = {base,
                      base + FLASH_TILE_BYTES,
                      base + 2 * FLASH_TILE_BYTES,
                      base + 3 * FLASH_TILE_BYTES,
                      (float *) tail,
                      (float *) tail + 128,
                      barriers,
                      barriers + 1,
                      barriers + 2,
                      barriers + 3,
                      barriers + 4};
    int group = threadIdx.x / 128;

    if (threadIdx.x == 0) {
        barrier_init(s.q_full, 1);
        barrier_init(s.k_full, 1);
        barrier_init(s.k_empty, 2);
        barrier_init(s.v_full, 1);
        barrier_init(s.v_empty, 2);
        barriers_visible();
    }
    __syncthreads();
    if (group == 0) {
        registers_shrink<40>();
        if (threadIdx.x == 0)
            flash_produce<T>(&q, &k, &v, p, s);
    } else {
        registers_grow<232>();
        flash_consume<T>(p, s, group - 1);
    }
#endif
}

/* One block a row: p = softmax(scores), rows of n. */
template <typename T> __global__ void softmax_kernel(const float *scores, T *p, int64_t n)
{
    __shared__ float shared[32];
    const float *row = scores + blockIdx.x * n;
    float high = -INFINITY, sum = 0.0f;

    for (int64_t i = threadIdx.x; i < n; i += blockDim.x)
        high = fmaxf(high, row[i]);
    for (int offset = 16; offset > 0; offset /= 2)
        high = fmaxf(high, __shfl_xor_sync(0xffffffffu, high, offset));
    if (threadIdx.x % 32 == 0)
        shared[threadIdx.x / 32] = high;
    __syncthreads();
    high = shared[threadIdx.x % (blockDim.x / 32)];
    for (int offset = 16; offset > 0; offset /= 2)
        high = fmaxf(high, __shfl_xor_sync(0xffffffffu, high, offset));
    for (int64_t i = threadIdx.x; i < n; i += blockDim.x)
        sum += expf(row[i] - high);
    sum = block_sum(sum, shared);
    for (int64_t i = threadIdx.x; i < n; i += blockDim.x)
        p[blockIdx.x * n + i] = from_float<T>(expf(row[i] - high) / sum);
}

} // namespace svr

using namespace svr;

enum { CHUNK_BYTES = 64 << 20 };

static bool is_flash(const svr_cuda_backend *b, const svr_frame_attention_args *args)
{
    return b->capability == 90 && args->q.dtype != SVR_F32 && args->q.dims[2] == FLASH_WIDTH &&
           args->y.dtype == args->q.dtype &&
           aligned16(args->q.data, args->k.data, args->v.data, args->y.data);
}

/* Query rows per chunk of the generic path. */
static int64_t chunk_rows(const svr_frame_attention_args *args)
{
    int64_t length = args->q.dims[1], rows = CHUNK_BYTES / (length * 4);

    rows = rows < 16 ? 16 : rows;
    return rows < length ? rows : length;
}

static svr_gemm score_product(const svr_frame_attention_args *args, int64_t frame, int64_t first,
                              int64_t rows, void *scores)
{
    int64_t length = args->q.dims[1], c = args->q.dims[2];
    size_t size = svr_dtype_size(args->q.dtype);
    svr_gemm g = {};

    g.x = svr_tensor_2d((char *) args->q.data + (frame * length + first) * c * size, args->q.dtype,
                        rows, c);
    g.w =
        svr_tensor_2d((char *) args->k.data + frame * length * c * size, args->k.dtype, length, c);
    g.y = svr_tensor_2d(scores, SVR_F32, rows, length);
    g.alpha = (float) (1.0 / sqrt((double) c));
    return g;
}

static svr_gemm value_product(const svr_frame_attention_args *args, int64_t frame, int64_t first,
                              int64_t rows, void *probabilities)
{
    int64_t length = args->q.dims[1], c = args->q.dims[2];
    size_t size = svr_dtype_size(args->q.dtype);
    svr_gemm g = {};

    g.x = svr_tensor_2d(probabilities, args->q.dtype, rows, length);
    g.w =
        svr_tensor_2d((char *) args->v.data + frame * length * c * size, args->v.dtype, length, c);
    g.y = svr_tensor_2d((char *) args->y.data + (frame * length + first) * c * size, args->y.dtype,
                        rows, c);
    g.w_transposed = true;
    return g;
}

static size_t aligned(int64_t bytes)
{
    return ((size_t) bytes + 255) / 256 * 256;
}

size_t svr_cuda_frame_attention_workspace(svr_backend *backend,
                                          const svr_frame_attention_args *args)
{
    svr_cuda_backend *b = (svr_cuda_backend *) backend;
    int64_t rows = chunk_rows(args), length = args->q.dims[1];
    svr_gemm scores = score_product(args, 0, 0, rows, args->y.data);
    svr_gemm values = value_product(args, 0, 0, rows, args->y.data);
    size_t a = svr_cuda_gemm_workspace(b, &scores), c = svr_cuda_gemm_workspace(b, &values);

    if (is_flash(b, args))
        return 0;
    return aligned(rows * length * 4) +
           aligned(rows * length * (int64_t) svr_dtype_size(args->q.dtype)) + (a > c ? a : c);
}

static svr_status run_chunks(svr_exec *exec, const svr_frame_attention_args *args, char *workspace,
                             svr_error *err)
{
    int64_t rows = chunk_rows(args), length = args->q.dims[1];
    char *p = workspace + aligned(rows * length * 4);
    char *rest = p + aligned(rows * length * (int64_t) svr_dtype_size(args->q.dtype));

    for (int64_t frame = 0; frame < args->q.dims[0]; frame++)
        for (int64_t first = 0; first < length; first += rows) {
            int64_t n = rows < length - first ? rows : length - first;
            svr_gemm scores = score_product(args, frame, first, n, workspace);
            svr_gemm values = value_product(args, frame, first, n, p);

            SVR_TRY(svr_cuda_gemm_run(exec, &scores, rest, err));
            SVR_STORAGE_SWITCH(args->q.dtype, T,
                               softmax_kernel<T>
                               <<<(unsigned) n, 256, 0, svr_cuda_of(exec)->stream>>>(
                                   (const float *) workspace, (T *) p, length));
            SVR_TRY(svr_cuda_launched("softmax", err));
            SVR_TRY(svr_cuda_gemm_run(exec, &values, rest, err));
        }
    return SVR_OK;
}

template <typename T>
static svr_status run_flash(svr_exec *exec, const svr_frame_attention_args *args, svr_error *err)
{
    svr_cuda_backend *b = svr_cuda_of(exec);
    const svr_tensor *tensors[3] = {&args->q, &args->k, &args->v};
    flash_problem p = {(int) args->q.dims[1], (float) (1.4426950408889634 / sqrt(512.0)),
                       args->y.data};
    dim3 grid((unsigned) ((p.length + FLASH_QUERIES - 1) / FLASH_QUERIES),
              (unsigned) args->q.dims[0]);
    CUtensorMap maps[3];

    for (int i = 0; i < 3; i++) {
        map_request r = {tensors[i],
                         3,
                         {FLASH_WIDTH, (cuuint64_t) p.length, (cuuint64_t) args->q.dims[0]},
                         {64, 64, 1},
                         {1, 1, 1}};

        SVR_TRY(encode_map(b, &r, &maps[i], err));
    }
    SVR_TRY(svr_cuda_check(cudaFuncSetAttribute(flash_kernel<T>,
                                                cudaFuncAttributeMaxDynamicSharedMemorySize,
                                                FLASH_SHARED),
                           "frame_attention", err));
    flash_kernel<T><<<grid, FLASH_THREADS, FLASH_SHARED, b->stream>>>(maps[0], maps[1], maps[2], p);
    SVR_TRY(svr_cuda_launched("frame_attention", err));
    return svr_cuda_pace(exec, 4.0 * p.length * p.length * FLASH_WIDTH * (double) args->q.dims[0],
                         err);
}

svr_status svr_cuda_frame_attention(svr_exec *exec, const svr_frame_attention_args *args,
                                    void *workspace, svr_error *err)
{
    if (!is_flash(svr_cuda_of(exec), args))
        return run_chunks(exec, args, (char *) workspace, err);
    if (args->q.dtype == SVR_BF16)
        return run_flash<__nv_bfloat16>(exec, args, err);
    return run_flash<__half>(exec, args, err);
}
