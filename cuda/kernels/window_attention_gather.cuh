/* The copying warpgroup of window_attention_hopper.cu, and what it shares with the multiplying
 * ones: tiles in shared memory, the items of work, and the barriers between them. */
#ifndef SVR_CUDA_KERNELS_WINDOW_ATTENTION_GATHER_CUH
#define SVR_CUDA_KERNELS_WINDOW_ATTENTION_GATHER_CUH

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

} // namespace svr

#endif
