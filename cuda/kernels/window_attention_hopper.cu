/* window_attention for heads of 128 channels of 16 bits on compute capability 9.0.
 *
 * A block takes tiles of 128 queries of one window and head, one after the other from a counter.
 * One warpgroup gathers rows through the window order with cp.async into swizzled tiles: queries,
 * and tiles of 128 keys and values in two stages each; it runs ahead into the next queries' tiles.
 * Two warpgroups multiply 64 queries each with wgmma: the scores of the next keys are computed
 * while the values of the last are summed, and the softmax of one warpgroup runs beside the
 * products of the other.  Each tile's result depends on its inputs only, not on who computes it.
 * Compute bound, in long runs by the power limit.  Measured on an H200, F16, 20 heads, 58 text
 * tokens: 27 windows of 6 x 45 x 80 tokens 0.49 ms (420 TFLOP/s), 64 shifted windows 0.39 ms (333).
 */
#include "wgmma.cuh"
#include "window_attention_gather.cuh"

namespace svr
{

__device__ __forceinline__ float exp2_fast(float x)
{
    float y;

    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

/* Starts score = q k^T. */
template <typename T>
__device__ __forceinline__ void wa_scores(float (&score)[64], uint32_t q, uint32_t k)
{
    wgmma_fence();
#pragma unroll
    for (int block = 0; block < 2; block++)
#pragma unroll
        for (int i = 0; i < 4; i++)
            wgmma_n128<T>(score, operand(q + block * WA_BOX_BYTES) + i * 2,
                          operand(k + block * WA_BOX_BYTES) + i * 2, block + i > 0);
    wgmma_commit();
}

/* Starts out += p v. */
template <typename T>
__device__ __forceinline__ void wa_values(float (&out)[64], const uint32_t (&p)[8][4], uint32_t v)
{
    wgmma_fence();
#pragma unroll
    for (int j = 0; j < WA_ROWS / 16; j++)
        wgmma_registers_n128<T>(out, p[j], operand_transposed(v + j * 2048, WA_BOX_BYTES));
    wgmma_commit();
}

/* Scores of keys from `first` on to weights, in place, around the new maxima; `factor` is what
 * earlier weights shrink by. */
__device__ __forceinline__ void wa_softmax(float (&score)[64], int first, int len, float scale,
                                           float (&high)[2], float (&sum)[2], float (&factor)[2])
{
    int column = first + threadIdx.x % 4 * 2;

    if (first + WA_ROWS > len)
#pragma unroll
        for (int i = 0; i < 64; i++)
            if (column + i / 4 * 8 + i % 2 >= len)
                score[i] = -INFINITY;
#pragma unroll
    for (int r = 0; r < 2; r++) {
        float top = high[r], scaled;

#pragma unroll
        for (int i = 2 * r; i < 64; i += 4)
            top = fmaxf(top, fmaxf(score[i], score[i + 1]));
        top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, 1));
        top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, 2));
        factor[r] = exp2_fast((high[r] - top) * scale);
        high[r] = top;
        scaled = top * scale;
        sum[r] *= factor[r];
#pragma unroll
        for (int i = 2 * r; i < 64; i += 4) {
            score[i] = exp2_fast(score[i] * scale - scaled);
            score[i + 1] = exp2_fast(score[i + 1] * scale - scaled);
            sum[r] += score[i] + score[i + 1];
        }
    }
}

/* Weights as the left operand of a product. */
template <typename T>
__device__ __forceinline__ void wa_pack(uint32_t (&p)[8][4], const float (&score)[64])
{
#pragma unroll
    for (int j = 0; j < 8; j++)
#pragma unroll
        for (int i = 0; i < 4; i++)
            p[j][i] = pack2<T>(score[8 * j + 2 * i], score[8 * j + 2 * i + 1]);
}

/* Results of a warp's 16 queries: text in F32 to its window, video through the warp's own rows of
 * the query tile, so that rows are written as whole lines. */
template <typename T>
__device__ __forceinline__ void wa_write(const wa_tensors<T> &t, const window_shape &s,
                                         const wa_window &w, const wa_item &item, uint8_t *rows,
                                         const float (&out)[64], const float (&sum)[2])
{
    int lane = threadIdx.x % 32, first = item.first + (threadIdx.x - 128) / 32 * 16;
    int width = s.heads * WA_HD;

#pragma unroll
    for (int r = 0; r < 2; r++) {
        int line = lane / 4 + 8 * r, row = first + line - w.n;
        float inverse = 1.0f / sum[r];

#pragma unroll
        for (int j = 0; j < 16; j++) {
            float a = out[4 * j + 2 * r] * inverse, b = out[4 * j + 2 * r + 1] * inverse;
            int column = j * 8 + lane % 4 * 2;

            *(uint32_t *) (rows + j / 8 * WA_BOX_BYTES + line * 128 + ((j % 8) ^ (line & 7)) * 16 +
                           lane % 4 * 4) = pack2<T>(a, b);
            if (s.text_out && row >= 0 && row < s.text)
                *(float2 *) (t.text_partial + ((int64_t) item.window * s.text + row) * width +
                             item.head * WA_HD + column) = make_float2(a, b);
        }
    }
    __syncwarp();
#pragma unroll 4
    for (int line = lane / 16; line < 16; line += 2) {
        int block = lane % 16;

        if (first + line < w.n)
            *(uint4 *) (t.out_vid + (int64_t) w.tokens[first + line] * width + item.head * WA_HD +
                        block * 8) =
                *(const uint4 *) (rows + block / 8 * WA_BOX_BYTES + line * 128 +
                                  ((block % 8) ^ (line & 7)) * 16);
    }
    __syncwarp();
}

template <typename T>
__device__ __forceinline__ void wa_consume(const wa_tensors<T> &t, const window_shape &s,
                                           const wa_shared &m, int consumer)
{
    bool leader = threadIdx.x % 128 == 0;
    int used = 0; /* tiles of keys so far */

    for (int round = 0;; round++) {
        uint8_t *rows = m.q + round % 2 * WA_TILE_BYTES + consumer * 64 * 128;
        uint32_t q = shared_address(rows);
        float out[64], score[64], high[2] = {-INFINITY, -INFINITY}, sum[2] = {}, factor[2];
        uint32_t p[8][4];

        barrier_wait(m.q_full + round % 2, round / 2 & 1);
        wa_item item = m.items[round % 2];
        if (item.window < 0)
            return;
        wa_window w = wa_open(s, item.window);

#pragma unroll
        for (int i = 0; i < 64; i++)
            out[i] = 0.0f;
        barrier_wait(m.k_full + used % WA_STAGES, used / WA_STAGES & 1);
        wa_scores<T>(score, q, shared_address(m.k + used % WA_STAGES * WA_TILE_BYTES));
        wgmma_wait<0>();
        if (leader)
            barrier_arrive(m.k_empty + used % WA_STAGES);
        wa_softmax(score, 0, w.len, s.scale, high, sum, factor);
        wa_pack<T>(p, score);
        for (int first = WA_ROWS; first < w.len; first += WA_ROWS) {
            int v = used % WA_STAGES, v_parity = used / WA_STAGES & 1, k = ++used % WA_STAGES;

            barrier_wait(m.k_full + k, used / WA_STAGES & 1);
            wa_scores<T>(score, q, shared_address(m.k + k * WA_TILE_BYTES));
            barrier_wait(m.v_full + v, v_parity);
            wa_values<T>(out, p, shared_address(m.v + v * WA_TILE_BYTES));
            wgmma_wait<1>();
            if (leader)
                barrier_arrive(m.k_empty + k);
            wa_softmax(score, first, w.len, s.scale, high, sum, factor);
            wgmma_wait<0>();
            if (leader)
                barrier_arrive(m.v_empty + v);
#pragma unroll
            for (int i = 0; i < 64; i++)
                out[i] *= factor[i / 2 % 2];
            wa_pack<T>(p, score);
        }
        barrier_wait(m.v_full + used % WA_STAGES, used / WA_STAGES & 1);
        wa_values<T>(out, p, shared_address(m.v + used % WA_STAGES * WA_TILE_BYTES));
        wgmma_wait<0>();
        if (leader)
            barrier_arrive(m.v_empty + used % WA_STAGES);
        used++;
        for (int r = 0; r < 2; r++) {
            sum[r] += __shfl_xor_sync(0xffffffffu, sum[r], 1);
            sum[r] += __shfl_xor_sync(0xffffffffu, sum[r], 2);
        }
        wa_write(t, s, w, item, rows + threadIdx.x % 128 / 32 * 16 * 128, out, sum);
        if (threadIdx.x % 32 == 0)
            barrier_arrive(m.q_empty + round % 2);
    }
}

template <typename T>
__global__ void __launch_bounds__(WA_THREADS, 1)
    window_attention_hopper_kernel(const wa_tensors<T> t, const window_shape s)
{
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    extern __shared__ uint8_t raw[];
    uint8_t *base = (uint8_t *) (((uintptr_t) raw + 1023) & ~(uintptr_t) 1023);
    uint8_t *tail = base + 3 * WA_STAGES * WA_TILE_BYTES;
    uint64_t *barriers = (uint64_t *) tail;
    wa_shared m = {base,
                   base + 2 * WA_TILE_BYTES,
                   base + (2 + WA_STAGES) * WA_TILE_BYTES,
                   barriers,
                   barriers + 2,
                   barriers + 4,
                   barriers + 4 + WA_STAGES,
                   barriers + 4 + 2 * WA_STAGES,
                   barriers + 4 + 3 * WA_STAGES,
                   (wa_item *) (tail + 160),
                   (int *) (tail + 224),
                   tail + 256};
    int group = threadIdx.x / 128;

    if (threadIdx.x == 0) {
        for (int i = 0; i < 2; i++) {
            barrier_init(m.q_full + i, 128);
            barrier_init(m.q_empty + i, 8);
        }
        for (int i = 0; i < WA_STAGES; i++) {
            barrier_init(m.k_full + i, 128);
            barrier_init(m.k_empty + i, 2);
            barrier_init(m.v_full + i, 128);
            barrier_init(m.v_empty + i, 2);
        }
        barriers_visible();
    }
    __syncthreads();
    if (group == 0) {
        registers_shrink<56>();
        wa_produce(t, s, m);
    } else {
        registers_grow<224>();
        wa_consume(t, s, m, group - 1);
    }
#endif
}

} // namespace svr

/* ---- the host side */

using namespace svr;

bool svr::window_attention_hopper_serves(const svr_cuda_backend *b,
                                         const svr_window_attention_args *args)
{
    return b->capability == 90 && args->vid.dtype != SVR_F32 && args->vid.dims[3] == WA_HD &&
           aligned16(args->vid.data, args->txt.data, args->out_vid.data);
}

/* Tiles of queries of all windows of a head. */
static int query_tiles(const svr_window_attention_args *args, const window_shape &s)
{
    int tiles = 0;

    for (int i = 0; i < s.windows; i++)
        tiles += (args->host_offsets[i + 1] - args->host_offsets[i] + (s.text_out ? s.text : 0) +
                  WA_ROWS - 1) /
                 WA_ROWS;
    return tiles;
}

template <typename T>
static svr_status run(svr_exec *exec, const svr_window_attention_args *args, const window_shape &s,
                      void *counter, float *text_partial, svr_error *err)
{
    svr_cuda_backend *b = svr_cuda_of(exec);
    wa_tensors<T> t = {(const T *) args->vid.data,
                       (const T *) args->txt.data,
                       (T *) args->out_vid.data,
                       text_partial,
                       (int *) counter,
                       query_tiles(args, s)};
    int64_t items = (int64_t) t.tiles * s.heads;
    unsigned grid = (unsigned) (items < b->sm_count ? items : b->sm_count);

    SVR_TRY(
        svr_cuda_check(cudaFuncSetAttribute(window_attention_hopper_kernel<T>,
                                            cudaFuncAttributeMaxDynamicSharedMemorySize, WA_SHARED),
                       "window_attention", err));
    SVR_TRY(svr_cuda_check(cudaMemsetAsync(counter, 0, sizeof(int), b->stream), "window_attention",
                           err));
    window_attention_hopper_kernel<T><<<grid, WA_THREADS, WA_SHARED, b->stream>>>(t, s);
    return svr_cuda_launched("window_attention", err);
}

svr_status svr::window_attention_hopper_run(svr_exec *exec, const svr_window_attention_args *args,
                                            const window_shape &shape, void *counter,
                                            float *text_partial, svr_error *err)
{
    if (args->vid.dtype == SVR_BF16)
        return run<__nv_bfloat16>(exec, args, shape, counter, text_partial, err);
    return run<__half>(exec, args, shape, counter, text_partial, err);
}
