/* Tiles of conv_hopper.cu: where they lie in the output, and their way there from the accumulators
 * of a warpgroup, with bias and residual. */
#ifndef SVR_CUDA_KERNELS_CONV_HOPPER_WRITE_CUH
#define SVR_CUDA_KERNELS_CONV_HOPPER_WRITE_CUH

#include "conv_epilogue.cuh"

namespace svr
{

struct conv_tile {
    int t, h, w, n, phase;
    int dy, dx; /* of the phase */
    int frame;  /* of the output */
};

/* Channels, then phases fastest, so that blocks next to each other share pixels. */
__device__ __forceinline__ conv_tile tile_at(const conv_problem &p, int64_t i)
{
    conv_tile t;

    t.n = (int) (i % p.tiles_n) * TILE_N;
    i /= p.tiles_n;
    t.phase = (int) (i % p.phases);
    i /= p.phases;
    t.dy = t.phase / p.tz / 2;
    t.dx = t.phase / p.tz % 2;
    t.w = (int) (i % p.tiles_w) * TILE_W;
    i /= p.tiles_w;
    t.h = (int) (i % p.tiles_h) * TILE_H;
    t.t = p.t0 + (int) (i / p.tiles_h);
    t.frame = p.first_y + (t.t - p.t0) * p.tz + t.phase % p.tz;
    return t;
}

/* The output pixel of place (h, w) of the tile's frame. */
__device__ __forceinline__ int64_t pixel_at(const conv_problem &p, const conv_tile &tile, int h,
                                            int w)
{
    int64_t row = (int64_t) tile.frame * p.h + h;

    if (p.phases == 1)
        return row * p.w + w;
    return (row * 2 + tile.dy) * 2 * p.w + 2 * w + tile.dx;
}

/* The bias vector there. */
__device__ __forceinline__ const float *bias_at(const conv_problem &p, const conv_tile &tile, int h,
                                                int w)
{
    bool row = h == (tile.dy ? p.h - 1 : 0), column = w == (tile.dx ? p.w - 1 : 0);

    return p.phases == 1 ? p.bias : p.bias + (tile.phase * 4 + row * 2 + column) * p.k;
}

/* A warp's share of a tile is 16 pixels of both rows by 128 channels, of which a lane holds two
 * channels in every eight.  Four lanes exchange theirs, so that each writes eight channels at once:
 * lane l writes pixels l/4 and l/4 + 8 (sides 0, 1), channels l%4*8.. of every 32 (quarters 0..3).
 * The residuals of a row are asked for before its first write: one wait instead of eight. */
template <typename Y>
__device__ __forceinline__ void write_row(const conv_problem &p, const conv_tile &tile, int h,
                                          int w, const float (&acc)[64])
{
    int n = tile.n + threadIdx.x % 4 * 8;
    int64_t first = pixel_at(p, tile, h, w) * p.k + n;
    int64_t at[2] = {first, first + (p.phases == 1 ? 8 : 16) * (int64_t) p.k};
    bool inside[2] = {w < p.w, w + 8 < p.w};
    const Y *residual = (const Y *) p.residual;
    uint4 ahead[4][2]; /* [quarter][side] */

#pragma unroll
    for (int i = 0; i < 8; i++)
        if (sizeof(Y) == 2 && p.wide && residual && inside[i % 2] && n + i / 2 * 32 < p.k)
            ahead[i / 2][i % 2] = *(const uint4 *) (residual + at[i % 2] + i / 2 * 32);
#pragma unroll
    for (int quarter = 0; quarter < 4; quarter++) {
        int channel = n + quarter * 32;
        float bias[8];

#pragma unroll
        for (int side = 0; side < 2; side++) {
            const float *from = acc + quarter * 16 + side * 2;
            int64_t to = at[side] + quarter * 32;
            float2 own[4];
            float v[8];

            if (side == 0 || p.phases > 1)
                load_bias(p, bias_at(p, tile, h, w + side * 8), channel, bias);
#pragma unroll
            for (int j = 0; j < 4; j++)
                own[j] = make_float2(from[j * 4], from[j * 4 + 1]);
            exchange4(own, v);
#pragma unroll
            for (int e = 0; e < 8; e++)
                v[e] += bias[e];
            if (inside[side] && channel < p.k)
                write8<Y>(p, v, (Y *) p.y + to, residual ? residual + to : NULL, channel,
                          ahead[quarter][side]);
        }
    }
}

template <typename Y>
__device__ __forceinline__ void write_tile(const conv_problem &p, const conv_tile &tile,
                                           int consumer, const float (&acc)[2][64])
{
    int h = tile.h + consumer * 2, w = tile.w + threadIdx.x % 128 / 32 * 16 + threadIdx.x % 32 / 4;

#pragma unroll
    for (int row = 0; row < 2; row++)
        if (h + row < p.h)
            write_row<Y>(p, tile, h + row, w, acc[row]);
}

/* At most sixteen channels: straight from the registers. */
template <typename Y>
__device__ __forceinline__ void write_tile(const conv_problem &p, const conv_tile &tile,
                                           int consumer, const float (&acc)[2][8])
{
    int lane = threadIdx.x % 32;

#pragma unroll
    for (int i = 0; i < 16; i++) {
        int side = i / 2 % 2, n = i / 4 % 2 * 8 + lane % 4 * 2 + i % 2;
        int h = tile.h + consumer * 2 + i / 8;
        int w = tile.w + threadIdx.x % 128 / 32 * 16 + lane / 4 + side * 8;
        int64_t at = pixel_at(p, tile, h, w) * p.k + n;

        if (h < p.h && w < p.w && n < p.k)
            ((Y *) p.y)[at] =
                from_float<Y>(acc[i / 8][i % 8] + (p.bias ? p.bias[n] : 0.0f) +
                              (p.residual ? to_float(((const Y *) p.residual)[at]) : 0.0f));
    }
}

} // namespace svr

#endif
