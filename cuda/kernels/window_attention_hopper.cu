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
#include "hopper.cuh"
#include "window_attention.cuh"

namespace svr
{

enum {
    WA_ROWS = 128, /* queries of a block's tile, and keys of a tile */
    WA_HD = 128,
    WA_BOX_BYTES = WA_ROWS * 128, /* 64 channels of a tile */
    WA_TILE_BYTES = 2 * WA_BOX_BYTES,
    WA_STAGES = 2,
    WA_THREADS = 384,
    WA_SHARED = 3 * WA_STAGES * WA_TILE_BYTES + 1024 + 256 + 2 * WA_ROWS * 8
};

/* A tile of queries. */
struct wa_item {
    int window, first, head; /* window < 0: no more */
};

/* Shared memory: tiles by stage, and the items of the queries. */
struct wa_shared {
    uint8_t *q, *k, *v;
    uint64_t *q_full, *q_empty, *k_full, *k_empty, *v_full, *v_empty;
    wa_item *items;
    int *next;
    void *rows;
};

template <typename T> struct wa_tensors {
    const T *vid, *txt;
    T *out_vid;
    float *text_partial;
    int *counter;
    int tiles; /* of a head */
};

/* A window's place in the tensors. */
struct wa_window {
    window_tokens tokens;
    int n, len;
};

__device__ __forceinline__ wa_window wa_open(const window_shape &s, int window)
{
    wa_window w = {tokens_of(s, window), s.offsets[window + 1] - s.offsets[window], 0};

    w.len = w.n + s.text;
    return w;
}

/* ---- the copying warpgroup */

__device__ __forceinline__ bool barrier_passed(uint64_t *barrier, int parity)
{
    uint32_t passed;

    asm volatile("{\n.reg .pred p;\n"
                 "mbarrier.test_wait.parity.shared.b64 p, [%1], %2;\n"
                 "selp.u32 %0, 1, 0, p;\n}"
                 : "=r"(passed)
                 : "r"(shared_address(barrier)), "r"(parity)
                 : "memory");
    return passed != 0;
}

/* Tiles that were asked for and not yet announced: at most two, older first. */
struct wa_pending {
    uint64_t *first = nullptr, *second = nullptr;

    __device__ __forceinline__ void announce(uint64_t *barrier)
    {
        fence_shared_for_copy_engine();
        barrier_arrive(barrier);
    }

    __device__ __forceinline__ void push(uint64_t *barrier)
    {
        copy_commit();
        if (second) {
            copy_wait<2>();
            announce(first);
            first = second;
            second = barrier;
        } else if (first) {
            second = barrier;
        } else {
            first = barrier;
        }
    }

    __device__ __forceinline__ void flush()
    {
        copy_wait<0>();
        if (first)
            announce(first);
        if (second)
            announce(second);
        first = second = nullptr;
    }

    /* Waits for room; what consumers may be waiting for is announced before. */
    __device__ __forceinline__ void wait_for(uint64_t *barrier, int parity)
    {
        if (barrier_passed(barrier, parity))
            return;
        flush();
        barrier_wait(barrier, parity);
    }
};

/* Place `s` of a window's sequence as a row: of the video, or ~row of the text.  Places past the
 * end repeat the last: their scores are masked. */
__device__ __forceinline__ int wa_row(const wa_window &w, int s)
{
    s = min(s, w.len - 1);
    return s < w.n ? w.tokens[s] : ~(s - w.n);
}

__device__ __forceinline__ void copy16(uint32_t shared, const void *global)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared), "l"(global));
}

/* The 128 copying threads meet. */
__device__ __forceinline__ void wa_copiers_meet()
{
    asm volatile("bar.sync 1, 128;" ::: "memory");
}

/* Tells all copying threads where the rows of a tile start, of which each knows one.  Two lists
 * take turns; rows eight apart, which one thread copies, are neighbours. */
template <typename T> struct wa_rows {
    const T **lists;
    int turn = 0;

    __device__ __forceinline__ const T **share(const wa_tensors<T> &t, int row, int64_t row_elems)
    {
        const T **list = lists + turn * WA_ROWS;

        turn ^= 1;
        list[threadIdx.x % 8 * 16 + threadIdx.x / 8] =
            row >= 0 ? t.vid + row * row_elems : t.txt + ~row * row_elems;
        wa_copiers_meet();
        return list + threadIdx.x / 16 * 16;
    }
};

/* A tile of rows from column `column` on. A thread copies one block of 16 bytes of every eighth
 * row.
 */
template <typename T>
__device__ __forceinline__ void wa_copy(uint8_t *tile, const T *const *rows, int column)
{
    int block = threadIdx.x % 16, first = threadIdx.x / 16;
    uint32_t dst =
        shared_address(tile) + block / 8 * WA_BOX_BYTES + first * 128 + ((block % 8) ^ first) * 16;

    column += block * 8;
#pragma unroll
    for (int i = 0; i < WA_ROWS / 8; i += 2) {
        ulonglong2 two = *(const ulonglong2 *) (rows + i);

        copy16(dst + i * 1024, (const T *) two.x + column);
        copy16(dst + i * 1024 + 1024, (const T *) two.y + column);
    }
}

/* Item number `index`: head by head, window by window, found by adding up the windows' tiles; every
 * lane gets it. */
__device__ __forceinline__ wa_item wa_find(const window_shape &s, int index, int tiles)
{
    wa_item item = {-1, 0, index / tiles};
    int rest = index % tiles, lane = threadIdx.x % 32;

    if (item.head >= s.heads)
        return item;
    for (int base = 0; base < s.windows; base += 32) {
        int window = base + lane, mine = 0, before, total;
        unsigned hit;

        if (window < s.windows)
            mine = (s.offsets[window + 1] - s.offsets[window] + (s.text_out ? s.text : 0) +
                    WA_ROWS - 1) /
                   WA_ROWS;
        before = mine;
        for (int offset = 1; offset < 32; offset *= 2) {
            int other = __shfl_up_sync(0xffffffffu, before, offset);

            before += lane >= offset ? other : 0;
        }
        total = __shfl_sync(0xffffffffu, before, 31);
        before -= mine;
        hit = __ballot_sync(0xffffffffu, rest >= before && rest < before + mine);
        if (hit) {
            int from = __ffs((int) hit) - 1;

            item.window = base + from;
            item.first = (rest - __shfl_sync(0xffffffffu, before, from)) * WA_ROWS;
            return item;
        }
        rest -= total;
    }
    return item;
}

/* The counter's numbers for this block, drawn one ahead by the first copying thread. */
struct wa_draw {
    int *counter, *shared; /* [2] */
    int ahead = 0, turn = 0;

    __device__ __forceinline__ void draw()
    {
        if (threadIdx.x == 0)
            ahead = atomicAdd(counter, 1);
    }

    __device__ __forceinline__ int next()
    {
        int index;

        turn ^= 1;
        if (threadIdx.x == 0)
            shared[turn] = ahead;
        wa_copiers_meet();
        index = *(volatile int *) (shared + turn);
        draw();
        return index;
    }
};

template <typename T>
__device__ __forceinline__ void wa_produce(const wa_tensors<T> &t, const window_shape &s,
                                           const wa_shared &m)
{
    int width = s.heads * WA_HD, loaded = 0;
    int64_t row_elems = 3 * (int64_t) width;
    wa_pending pending;
    wa_rows<T> lists = {(const T **) m.rows};
    wa_draw draw = {t.counter, m.next};

    draw.draw();
    for (int round = 0;; round++) {
        wa_item item = wa_find(s, draw.next(), t.tiles);
        wa_window w = wa_open(s, item.window < 0 ? 0 : item.window);
        int queries = wa_row(w, item.first + threadIdx.x), mine = wa_row(w, threadIdx.x);
        int stage = round % 2, column = item.head * WA_HD;

        pending.wait_for(m.q_empty + stage, (round / 2 & 1) ^ 1);
        if (threadIdx.x == 0)
            m.items[stage] = item;
        if (item.window < 0) {
            pending.push(m.q_full + stage);
            pending.flush();
            return;
        }
        wa_copy(m.q + stage * WA_TILE_BYTES, lists.share(t, queries, row_elems), column);
        pending.push(m.q_full + stage);
        for (int first = 0; first < w.len; first += WA_ROWS, loaded++) {
            int kv = loaded % WA_STAGES, parity = (loaded / WA_STAGES & 1) ^ 1;
            const T **rows = lists.share(t, mine, row_elems);

            mine = wa_row(w, first + WA_ROWS + threadIdx.x);
            pending.wait_for(m.k_empty + kv, parity);
            wa_copy(m.k + kv * WA_TILE_BYTES, rows, width + column);
            pending.push(m.k_full + kv);
            pending.wait_for(m.v_empty + kv, parity);
            wa_copy(m.v + kv * WA_TILE_BYTES, rows, 2 * width + column);
            pending.push(m.v_full + kv);
        }
    }
}

/* ---- the multiplying warpgroups */

#define ACC4(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define ACC16(i) ACC4(i), ACC4(i + 4), ACC4(i + 8), ACC4(i + 12)
#define WGMMA_REGISTERS_N128(type)                                                                 \
    asm volatile("wgmma.mma_async.sync.aligned.m64n128k16.f32." type " {"                          \
                 "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"                          \
                 "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,"                \
                 "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,"                \
                 "%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63"                 \
                 "}, {%64,%65,%66,%67}, %68, 1, 1, 1, 1;"                                          \
                 : ACC16(0), ACC16(16), ACC16(32), ACC16(48)                                       \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b))

/* d (64 x 128) += a (64 x 16, in registers) b (16 x 128), b with K along the rows. */
template <typename T>
__device__ __forceinline__ void wgmma_registers_n128(float (&d)[64], const uint32_t (&a)[4],
                                                     uint64_t b)
{
    if constexpr (__is_same(T, __half))
        WGMMA_REGISTERS_N128("f16.f16");
    else
        WGMMA_REGISTERS_N128("bf16.bf16");
}

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
