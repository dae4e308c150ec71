/* window_attention: softmax attention over [window's video tokens | all text tokens].
 *
 * Compute capability 9.0, heads of 128 channels: window_attention_hopper.cu.  Otherwise
 * F16 and BF16: tiles of 128 queries against tiles of 64 keys with mma.sync and an online softmax;
 * nothing is gathered out, rows are addressed through the window order.  F32 (reference): one warp
 * a query. Text queries write F32 partial results per window; a second kernel averages them in
 * window order, so the result does not depend on scheduling. */
#include "mma.cuh"
#include "window_attention.cuh"

namespace svr
{

enum { QUERIES = 128, KEYS = 64, ATTENTION_THREADS = 256 };

__device__ __forceinline__ void load_matrix(uint32_t (&r)[4], const void *shared)
{
    unsigned address = (unsigned) __cvta_generic_to_shared(shared);

    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address));
}

__device__ __forceinline__ void load_matrix_transposed(uint32_t (&r)[4], const void *shared)
{
    unsigned address = (unsigned) __cvta_generic_to_shared(shared);

    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address));
}

/* Element offset of 16-byte block `block` of row `row` in a tile of HD columns, swizzled so that
 * the eight rows of an ldmatrix hit different banks. */
template <int HD> __device__ __forceinline__ int tile_offset(int row, int block)
{
    constexpr int mask = HD >= 64 ? 7 : HD / 8 - 1;

    return row * HD + ((block ^ (HD >= 64 ? row & mask : (row / (64 / HD)) & mask)) * 8);
}

/* Rows [first, first + ROWS) of the sequence, part `which` of q,k,v, into a shared tile; rows past
 * `len` are zero. */
template <int HD, int ROWS, typename T>
__device__ __forceinline__ void load_tile(T *tile, const T *vid, const T *txt,
                                          const window_tokens &tokens, int n, int len, int first,
                                          int64_t row_elems, int column)
{
    constexpr int blocks = HD / 8;

    for (int i = threadIdx.x; i < ROWS * blocks; i += ATTENTION_THREADS) {
        int row = i / blocks, block = i % blocks, s = first + row;
        bool valid = s < len;
        const T *src = sequence_row(vid, txt, tokens, n, valid ? s : 0, row_elems);

        copy16(tile + tile_offset<HD>(row, block), src + column + block * 8, valid);
    }
}

/* Block (query tile, window, head); a warp owns 16 queries. */
template <int HD, typename T>
__global__ void __launch_bounds__(ATTENTION_THREADS)
    window_attention_kernel(const T *vid, const T *txt, T *out_vid, float *text_partial,
                            window_shape s)
{
    extern __shared__ __align__(16) unsigned char raw[];
    T *q_tile = reinterpret_cast<T *>(raw);
    T *k_tile = q_tile + QUERIES * HD, *v_tile = k_tile + 2 * KEYS * HD;
    int window = blockIdx.y, head = blockIdx.z, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    window_tokens tokens = tokens_of(s, window);
    int n = s.offsets[window + 1] - s.offsets[window], len = n + s.text;
    int first = blockIdx.x * QUERIES, queries = s.text_out ? len : n;
    int width = s.heads * HD, tiles = (len + KEYS - 1) / KEYS;
    int64_t row_elems = 3 * (int64_t) width;
    uint32_t q[HD / 16][4];
    float out[HD / 8][4] = {}, high[2] = {-INFINITY, -INFINITY}, sum[2] = {0.0f, 0.0f};

    if (first >= queries)
        return;
    load_tile<HD, QUERIES>(q_tile, vid, txt, tokens, n, len, first, row_elems, head * HD);
    load_tile<HD, KEYS>(k_tile, vid, txt, tokens, n, len, 0, row_elems, width + head * HD);
    load_tile<HD, KEYS>(v_tile, vid, txt, tokens, n, len, 0, row_elems, 2 * width + head * HD);
    copy_commit();
    copy_wait<0>();
    __syncthreads();
    for (int k = 0; k < HD / 16; k++)
        load_matrix(q[k], q_tile + tile_offset<HD>(warp * 16 + lane % 16, k * 2 + lane / 16));

    for (int tile = 0; tile < tiles; tile++) {
        T *k_now = k_tile + (tile & 1) * KEYS * HD, *v_now = v_tile + (tile & 1) * KEYS * HD;
        float score[KEYS / 8][4] = {};

        if (tile + 1 < tiles) {
            int next = (tile + 1) & 1, start = (tile + 1) * KEYS;

            load_tile<HD, KEYS>(k_tile + next * KEYS * HD, vid, txt, tokens, n, len, start,
                                row_elems, width + head * HD);
            load_tile<HD, KEYS>(v_tile + next * KEYS * HD, vid, txt, tokens, n, len, start,
                                row_elems, 2 * width + head * HD);
            copy_commit();
        }
#pragma unroll
        for (int k = 0; k < HD / 16; k++)
#pragma unroll
            for (int j = 0; j < KEYS / 16; j++) {
                uint32_t b[4]; /* keys j*16..+7 and +8..+15, both halves of k */
                int row = j * 16 + lane % 8 + lane / 16 * 8, block = k * 2 + lane / 8 % 2;

                load_matrix(b, k_now + tile_offset<HD>(row, block));
                mma_16x8<T>(score[2 * j], q[k], b[0], b[1]);
                mma_16x8<T>(score[2 * j + 1], q[k], b[2], b[3]);
            }
        /* mask keys past the end, then the online softmax over both rows of this lane */
        if ((tile + 1) * KEYS > len)
            for (int j = 0; j < KEYS / 8; j++)
                for (int e = 0; e < 4; e++)
                    if (tile * KEYS + j * 8 + lane % 4 * 2 + e % 2 >= len)
                        score[j][e] = -INFINITY;
#pragma unroll
        for (int r = 0; r < 2; r++) {
            float top = high[r], factor, scaled;

            for (int j = 0; j < KEYS / 8; j++)
                top = fmaxf(top, fmaxf(score[j][2 * r], score[j][2 * r + 1]));
            top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, 1));
            top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, 2));
            factor = exp2f((high[r] - top) * s.scale);
            high[r] = top;
            scaled = top * s.scale;
            sum[r] *= factor;
            for (int j = 0; j < KEYS / 8; j++)
                for (int e = 2 * r; e < 2 * r + 2; e++) {
                    score[j][e] = exp2f(score[j][e] * s.scale - scaled);
                    sum[r] += score[j][e];
                }
            for (int c = 0; c < HD / 8; c++) {
                out[c][2 * r] *= factor;
                out[c][2 * r + 1] *= factor;
            }
        }
#pragma unroll
        for (int j = 0; j < KEYS / 16; j++) {
            uint32_t p[4] = {pack2<T>(score[2 * j][0], score[2 * j][1]),
                             pack2<T>(score[2 * j][2], score[2 * j][3]),
                             pack2<T>(score[2 * j + 1][0], score[2 * j + 1][1]),
                             pack2<T>(score[2 * j + 1][2], score[2 * j + 1][3])};

#pragma unroll
            for (int c = 0; c < HD / 16; c++) {
                uint32_t b[4];

                load_matrix_transposed(
                    b, v_now + tile_offset<HD>(j * 16 + lane % 16, c * 2 + lane / 16));
                mma_16x8<T>(out[2 * c], p, b[0], b[1]);
                mma_16x8<T>(out[2 * c + 1], p, b[2], b[3]);
            }
        }
        copy_wait<0>();
        __syncthreads();
    }
    for (int r = 0; r < 2; r++) {
        int row = first + warp * 16 + lane / 4 + r * 8;
        float inverse;

        sum[r] += __shfl_xor_sync(0xffffffffu, sum[r], 1);
        sum[r] += __shfl_xor_sync(0xffffffffu, sum[r], 2);
        inverse = 1.0f / sum[r];
        if (row >= queries)
            continue;
        for (int c = 0; c < HD / 8; c++) {
            int column = head * HD + c * 8 + lane % 4 * 2;
            float a = out[c][2 * r] * inverse, b = out[c][2 * r + 1] * inverse;

            if (row < n)
                *reinterpret_cast<uint32_t *>(out_vid + (int64_t) tokens[row] * width + column) =
                    pack2<T>(a, b);
            else
                *reinterpret_cast<float2 *>(
                    text_partial + ((int64_t) window * s.text + row - n) * width + column) =
                    make_float2(a, b);
        }
    }
}

/* The reference: one warp a query, keys in order, in F32.  Grid (queries / 4, windows, heads). */
template <typename T>
__global__ void window_attention_plain_kernel(const T *vid, const T *txt, T *out_vid,
                                              float *text_partial, window_shape s, int hd)
{
    int window = blockIdx.y, head = blockIdx.z, lane = threadIdx.x % 32;
    window_tokens tokens = tokens_of(s, window);
    int n = s.offsets[window + 1] - s.offsets[window], len = n + s.text;
    int row = blockIdx.x * 4 + threadIdx.x / 32, width = s.heads * hd;
    int64_t row_elems = 3 * (int64_t) width;
    float q[8], out[8] = {}, high = -INFINITY, sum = 0.0f;
    const T *src;

    if (row >= (s.text_out ? len : n))
        return;
    src = sequence_row(vid, txt, tokens, n, row, row_elems) + head * hd;
    for (int i = 0; i * 32 + lane < hd; i++)
        q[i] = to_float(src[i * 32 + lane]);
    for (int k = 0; k < len; k++) {
        const T *key = sequence_row(vid, txt, tokens, n, k, row_elems) + width + head * hd;
        float dot = 0.0f, top, factor, weight;

        for (int i = 0; i * 32 + lane < hd; i++)
            dot += q[i] * to_float(key[i * 32 + lane]);
        dot = warp_sum(dot);
        top = fmaxf(high, dot);
        factor = exp2f((high - top) * s.scale);
        weight = exp2f((dot - top) * s.scale);
        high = top;
        sum = sum * factor + weight;
        for (int i = 0; i * 32 + lane < hd; i++)
            out[i] = out[i] * factor + weight * to_float(key[width + i * 32 + lane]);
    }
    for (int i = 0; i * 32 + lane < hd; i++) {
        int column = head * hd + i * 32 + lane;

        if (row < n)
            out_vid[(int64_t) tokens[row] * width + column] = from_float<T>(out[i] / sum);
        else
            text_partial[((int64_t) window * s.text + row - n) * width + column] = out[i] / sum;
    }
}

/* One thread an element: sum over windows, in their order, behind those of the `before` windows
 * that are in `sums`; the mean where `out` is wanted. */
template <typename T>
__global__ void text_mean_kernel(const float *partial, float *sums, T *out, int64_t n, int windows,
                                 int before)
{
    int64_t i = (int64_t) blockIdx.x * blockDim.x + threadIdx.x;
    float sum = 0.0f;

    if (i >= n)
        return;
    if (before > 0)
        sum = sums[i];
    for (int w = 0; w < windows; w++)
        sum += partial[w * n + i];
    if (sums)
        sums[i] = sum;
    if (out)
        out[i] = from_float<T>(sum / (float) (before + windows));
}

} // namespace svr

using namespace svr;

static bool text_wanted(const svr_window_attention_args *args)
{
    return svr_tensor_present(&args->out_txt) || svr_tensor_present(&args->text_sum);
}

/* Elements of the text's results. */
static int64_t text_elems(const svr_window_attention_args *args)
{
    return args->txt.dims[0] * args->txt.dims[2] * args->txt.dims[3];
}

size_t svr_cuda_window_attention_workspace(svr_backend *backend,
                                           const svr_window_attention_args *args)
{
    (void) backend;
    if (!text_wanted(args))
        return WINDOW_COUNTER_BYTES;
    return WINDOW_COUNTER_BYTES +
           (size_t) args->window_count * (size_t) text_elems(args) * sizeof(float);
}

/* Longest window in tokens. */
static int longest_window(const svr_window_attention_args *args)
{
    int longest = 0;

    for (int i = 0; i < args->window_count; i++) {
        int n = args->host_offsets[i + 1] - args->host_offsets[i];

        longest = n > longest ? n : longest;
    }
    return longest;
}

static window_shape shape_of(const svr_window_attention_args *args)
{
    const double log2e = 1.4426950408889634;
    window_shape s = {(const int *) args->order.data,
                      (const int *) args->offsets.data,
                      args->host_offsets[0],
                      (int) args->txt.dims[0],
                      args->window_count,
                      (int) args->vid.dims[2],
                      text_wanted(args),
                      (float) (log2e / sqrt((double) args->vid.dims[3]))};

    return s;
}

template <int HD, typename T>
static svr_status launch_tiles(const svr_window_attention_args *args, float *partial,
                               cudaStream_t stream, svr_error *err)
{
    window_shape s = shape_of(args);
    int queries = longest_window(args) + (s.text_out ? s.text : 0);
    size_t shared = (QUERIES + 4 * KEYS) * HD * sizeof(T);
    dim3 grid((unsigned) ((queries + QUERIES - 1) / QUERIES), (unsigned) s.windows,
              (unsigned) s.heads);

    SVR_TRY(svr_cuda_check(cudaFuncSetAttribute(window_attention_kernel<HD, T>,
                                                cudaFuncAttributeMaxDynamicSharedMemorySize,
                                                (int) shared),
                           "window_attention", err));
    window_attention_kernel<HD, T><<<grid, ATTENTION_THREADS, shared, stream>>>(
        (const T *) args->vid.data, (const T *) args->txt.data, (T *) args->out_vid.data, partial,
        s);
    return svr_cuda_launched("window_attention", err);
}

template <typename T>
static svr_status launch_plain(const svr_window_attention_args *args, float *partial,
                               cudaStream_t stream, svr_error *err)
{
    window_shape s = shape_of(args);
    int queries = longest_window(args) + (s.text_out ? s.text : 0);
    int hd = (int) args->vid.dims[3];
    dim3 grid((unsigned) ((queries + 3) / 4), (unsigned) s.windows, (unsigned) s.heads);

    if (hd > 256)
        return SVR_FAIL(err, SVR_ERR_UNSUPPORTED, "window_attention: head width %d, at most 256",
                        hd);
    window_attention_plain_kernel<T>
        <<<grid, 128, 0, stream>>>((const T *) args->vid.data, (const T *) args->txt.data,
                                   (T *) args->out_vid.data, partial, s, hd);
    return svr_cuda_launched("window_attention", err);
}

template <typename T>
static svr_status attend(const svr_window_attention_args *args, float *partial, cudaStream_t stream,
                         svr_error *err)
{
    int64_t hd = args->vid.dims[3];

    if constexpr (sizeof(T) == 2) {
        if (!aligned16(args->vid.data, args->txt.data, args->out_vid.data))
            return launch_plain<T>(args, partial, stream, err);
        if (hd == 128)
            return launch_tiles<128, T>(args, partial, stream, err);
        if (hd == 64)
            return launch_tiles<64, T>(args, partial, stream, err);
        if (hd == 32)
            return launch_tiles<32, T>(args, partial, stream, err);
    }
    return launch_plain<T>(args, partial, stream, err);
}

svr_status svr_cuda_window_attention(svr_exec *exec, const svr_window_attention_args *args,
                                     void *workspace, svr_error *err)
{
    cudaStream_t stream = svr_cuda_of(exec)->stream;
    int64_t n = text_elems(args);
    float *partial = (float *) ((char *) workspace + WINDOW_COUNTER_BYTES);
    svr_status status = SVR_OK;

    if (args->out_vid.dtype != args->vid.dtype)
        return SVR_FAIL(err, SVR_ERR_UNSUPPORTED,
                        "window_attention: out_vid is %s and vid is %s, both must be one type",
                        svr_dtype_name(args->out_vid.dtype), svr_dtype_name(args->vid.dtype));
    if (window_attention_hopper_serves(svr_cuda_of(exec), args))
        status = window_attention_hopper_run(exec, args, shape_of(args), workspace, partial, err);
    else
        SVR_STORAGE_SWITCH(args->vid.dtype, T, status = attend<T>(args, partial, stream, err));
    SVR_TRY(status);
    if (!text_wanted(args))
        return SVR_OK;
    SVR_STORAGE_SWITCH(svr_tensor_present(&args->out_txt) ? args->out_txt.dtype : SVR_F32, T,
                       text_mean_kernel<T><<<blocks_of(n, 256), 256, 0, stream>>>(
                           partial, (float *) args->text_sum.data, (T *) args->out_txt.data, n,
                           args->window_count, args->windows_before));
    return svr_cuda_launched("text mean", err);
}
