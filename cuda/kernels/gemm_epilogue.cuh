/* The way out of the product in gemm_hopper.cu: a warp's sums of 16 rows to scales, bias,
 * activation, gate, residual or swiglu, and storage.  Lanes hold columns as wgmma.cuh says; `v` is
 * 64 of them, [8 columns][row and row + 8][2] a lane. */
#ifndef SVR_CUDA_KERNELS_GEMM_EPILOGUE_CUH
#define SVR_CUDA_KERNELS_GEMM_EPILOGUE_CUH

#include "common.cuh"

namespace svr
{

enum { GEMM_PATCH_BYTES = 16 * 128 /* 16 x 64 results of a warp on their way out */ };

/* Rows with scales: e4m3 or int8_t. */
template <typename T> constexpr bool gemm_is_scaled = sizeof(T) == 1;

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

} // namespace svr

#endif
