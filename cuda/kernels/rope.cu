/* qk_norm_rope: per-head RMS norm and rotation of q and k in place, bound by memory.
 *
 * Head widths 32 to 256 that are powers of two: a warp takes q or k of one token, a lane eight
 * neighbouring channels of one head, the same in every head, so that it reads its weights and
 * angles once.  Others: one warp takes one head of q or k of one token; a lane holds every 32nd
 * pair of channels. */
#include "common.cuh"

namespace svr
{

enum { ROPE_WARPS = 8, MAX_PAIRS_PER_LANE = 4 };

struct rope_shape {
    int64_t tokens;
    int heads, hd, p; /* p: rotated pairs of an axis */
    float eps;
};

template <typename T>
__global__ void qk_norm_rope_kernel(T *qkv, const float *norm_q, const float *norm_k,
                                    const int *rows, const float *cosines, const float *sines,
                                    rope_shape s)
{
    int64_t item = (int64_t) blockIdx.x * ROPE_WARPS + threadIdx.x / 32;
    int lane = threadIdx.x % 32, head, which, pairs = s.hd / 2;
    int64_t token = item / (2 * s.heads);
    float x[MAX_PAIRS_PER_LANE], y[MAX_PAIRS_PER_LANE], square = 0.0f, factor;
    const float *weight;
    T *v;

    if (token >= s.tokens)
        return;
    which = (int) (item / s.heads % 2);
    head = (int) (item % s.heads);
    weight = which ? norm_k : norm_q;
    v = qkv + ((token * 3 + which) * s.heads + head) * s.hd;
    for (int i = 0, j = lane; j < pairs; i++, j += 32) {
        x[i] = to_float(v[2 * j]);
        y[i] = to_float(v[2 * j + 1]);
        square += x[i] * x[i] + y[i] * y[i];
    }
    factor = rsqrtf(warp_sum(square) / (float) s.hd + s.eps);
    for (int i = 0, j = lane; j < pairs; i++, j += 32) {
        float a = x[i] * factor * weight[2 * j], b = y[i] * factor * weight[2 * j + 1];

        if (rows && j < 3 * s.p) {
            int axis = j / s.p;
            int64_t entry = (int64_t) rows[token * 3 + axis] * s.p + (j - axis * s.p);
            float cosine = cosines[entry], sine = sines[entry], even = a;

            a = even * cosine - b * sine;
            b = b * cosine + even * sine;
        }
        v[2 * j] = from_float<T>(a);
        v[2 * j + 1] = from_float<T>(b);
    }
}

/* Weights, cosines and sines of channels [c, c+8) of q or k of a token. */
struct rope_factors {
    float weight[8], cosine[4], sine[4];
};

__device__ __forceinline__ rope_factors rope_load(const float *weight, const int *rows,
                                                  const float *cosines, const float *sines, int c,
                                                  int p)
{
    rope_factors f;

    load8(weight + c, f.weight);
#pragma unroll
    for (int i = 0; i < 4; i++) {
        int j = c / 2 + i, axis = rows && j < 3 * p ? j / p : 3;

        f.cosine[i] = 1.0f;
        f.sine[i] = 0.0f;
        if (axis < 3) {
            int64_t entry = (int64_t) rows[axis] * p + (j - axis * p);

            f.cosine[i] = cosines[entry];
            f.sine[i] = sines[entry];
        }
    }
    return f;
}

/* LANES lanes a head, HEADS heads at a time. */
template <int LANES, typename T>
__global__ void __launch_bounds__(32 * ROPE_WARPS)
    qk_norm_rope_wide_kernel(T *qkv, const float *norm_q, const float *norm_k, const int *rows,
                             const float *cosines, const float *sines, rope_shape s)
{
    constexpr int HEADS = 32 / LANES;
    int64_t item = (int64_t) blockIdx.x * ROPE_WARPS + threadIdx.x / 32, token = item / 2;
    int which = (int) (item % 2), lane = threadIdx.x % 32, c = lane % LANES * 8;
    T *v = qkv + (token * 3 + which) * s.heads * s.hd + c;
    rope_factors f;

    if (token >= s.tokens)
        return;
    f = rope_load(which ? norm_k : norm_q, rows ? rows + token * 3 : nullptr, cosines, sines, c,
                  s.p);
#pragma unroll 5
    for (int first = 0; first < s.heads; first += HEADS) {
        int head = first + lane / LANES;
        float x[8] = {}, square = 0.0f, factor;

        if (head < s.heads)
            load8(v + head * s.hd, x);
#pragma unroll
        for (int i = 0; i < 8; i++)
            square += x[i] * x[i];
#pragma unroll
        for (int offset = LANES / 2; offset > 0; offset /= 2)
            square += __shfl_xor_sync(0xffffffffu, square, offset);
        factor = rsqrtf(square / (float) s.hd + s.eps);
#pragma unroll
        for (int i = 0; i < 8; i += 2) {
            float even = x[i] * factor * f.weight[i], odd = x[i + 1] * factor * f.weight[i + 1];

            x[i] = even * f.cosine[i / 2] - odd * f.sine[i / 2];
            x[i + 1] = odd * f.cosine[i / 2] + even * f.sine[i / 2];
        }
        if (head < s.heads)
            store8(v + head * s.hd, x);
    }
}

} // namespace svr

using namespace svr;

template <int LANES, typename T>
static void launch_wide(const svr_qk_norm_rope_args *args, rope_shape s, cudaStream_t stream)
{
    unsigned blocks = blocks_of(s.tokens * 2, ROPE_WARPS);

    qk_norm_rope_wide_kernel<LANES, T><<<blocks, 32 * ROPE_WARPS, 0, stream>>>(
        (T *) args->qkv.data, (const float *) args->norm_q.data, (const float *) args->norm_k.data,
        (const int *) args->rows.data, (const float *) args->cosines.data,
        (const float *) args->sines.data, s);
}

template <typename T>
static void launch_any(const svr_qk_norm_rope_args *args, rope_shape s, cudaStream_t stream)
{
    unsigned blocks = blocks_of(s.tokens * 2 * s.heads, ROPE_WARPS);

    qk_norm_rope_kernel<T><<<blocks, 32 * ROPE_WARPS, 0, stream>>>(
        (T *) args->qkv.data, (const float *) args->norm_q.data, (const float *) args->norm_k.data,
        (const int *) args->rows.data, (const float *) args->cosines.data,
        (const float *) args->sines.data, s);
}

template <typename T>
static void choose(const svr_qk_norm_rope_args *args, rope_shape s, cudaStream_t stream)
{
    bool wide = aligned16(args->qkv.data, args->norm_q.data, args->norm_k.data);

    if (wide && s.hd == 128)
        launch_wide<16, T>(args, s, stream);
    else if (wide && s.hd == 64)
        launch_wide<8, T>(args, s, stream);
    else if (wide && s.hd == 32)
        launch_wide<4, T>(args, s, stream);
    else if (wide && s.hd == 256)
        launch_wide<32, T>(args, s, stream);
    else
        launch_any<T>(args, s, stream);
}

svr_status svr_cuda_qk_norm_rope(svr_exec *exec, const svr_qk_norm_rope_args *args, void *workspace,
                                 svr_error *err)
{
    rope_shape s = {args->qkv.dims[0], (int) args->qkv.dims[2], (int) args->qkv.dims[3],
                    svr_tensor_present(&args->rows) ? (int) args->cosines.dims[1] : 0, args->eps};

    (void) workspace;
    if (s.hd > 64 * MAX_PAIRS_PER_LANE)
        return SVR_FAIL(err, SVR_ERR_UNSUPPORTED, "qk_norm_rope: head width %d, at most %d", s.hd,
                        64 * MAX_PAIRS_PER_LANE);
    SVR_STORAGE_SWITCH(args->qkv.dtype, T, choose<T>(args, s, svr_cuda_of(exec)->stream));
    return svr_cuda_launched("qk_norm_rope", err);
}
