/* The weights and biases that conv_upsample.cu convolves with, formed from those of the upsampler:
 * out[phase][k][tap][c] = sum over the taps of w that read from there, of w[k][tap][m]
 * up[sub][m][c]. The products run on tensor cores with F32 sums; the arithmetic is told in
 * conv_upsample.cu. */
#ifndef SVR_CUDA_KERNELS_UPSAMPLE_WEIGHTS_CUH
#define SVR_CUDA_KERNELS_UPSAMPLE_WEIGHTS_CUH

#include "common.cuh"

#include <mma.h>

namespace svr
{

enum {
    FORM_TILE = 128, /* rows and columns of a block's tile */
    FORM_STEP = 64,
    FORM_THREADS = 256,
    FORM_A_LD = FORM_STEP + 8,
    FORM_B_LD = FORM_TILE + 8,
    FORM_STAGE = FORM_TILE * FORM_A_LD + FORM_STEP * FORM_B_LD, /* elements */
    FORM_SHARED = 2 * FORM_STAGE * 2,
    MOST_TERMS = 12
};

/* Which weights are formed. */
struct form_shape {
    int k, m, c; /* outputs, channels between, inputs */
    int tz;      /* of the shuffle */
    int kt;      /* temporal taps: 1 for frame 0, 2 for frame 1, else 2 (tz 2) or 3 */
    int dzs;     /* temporal phases: tz, but 1 for frame 0 */
    bool starts; /* frame 0 is read: it has one half only */
};

/* One product of the sum: tap of w and phase of up. */
struct form_term {
    int tap, sub;
};

struct form_phase {
    int dy, dx, dz;
};

__device__ __forceinline__ form_phase form_phase_of(const form_shape &s, int phase)
{
    return {phase / s.dzs / 2, phase / s.dzs % 2, phase % s.dzs};
}

/* Temporal tap `a` of w, seen from phase dz: which tap of the result it belongs to, which half of
 * that frame it reads. */
__device__ __forceinline__ void form_time(const form_shape &s, int dz, int a, int *tap, int *half)
{
    int at = dz + a - 2; /* in frames of the output, from the first of this input frame */

    *half = 0;
    if (s.tz == 1) {
        *tap = max(a - (3 - s.kt), 0);
        return;
    }
    *tap = s.kt == 1 ? 0 : at >= 0;
    if (!s.starts || at >= 0)
        *half = s.kt == 1 ? 0 : at & 1;
}

/* Spatial tap `p` of w, seen from phase d of its axis: tap of the result and phase that it reads.
 */
__device__ __forceinline__ void form_space(int d, int p, int *tap, int *sub)
{
    int at = d + p - 1;

    *tap = (at >> 1) + 1 - d;
    *sub = at & 1;
}

/* Terms of one tap (dt, i, j) of a phase; returns how many. */
__device__ int form_terms(const form_shape &s, int phase, int tap, form_term *terms)
{
    form_phase f = form_phase_of(s, phase);
    int count = 0;

    for (int n = 0; n < 27; n++) {
        int dt, half, i, suby, j, subx;

        form_time(s, f.dz, n / 9, &dt, &half);
        form_space(f.dy, n / 3 % 3, &i, &suby);
        form_space(f.dx, n % 3, &j, &subx);
        if ((dt * 2 + i) * 2 + j == tap)
            terms[count++] = {n, (suby * 2 + subx) * s.tz + half};
    }
    return count;
}

__device__ __forceinline__ void copy16(void *dst, const void *src, bool there)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(
                     (uint32_t) __cvta_generic_to_shared(dst)),
                 "l"(src), "r"(there ? 16 : 0)
                 : "memory");
}

/* Piece `step` of a term: 128 rows of w by 64 channels, and those channels by 128 columns of up. */
template <typename T>
__device__ __forceinline__ void form_fetch(const T *w, const T *up, const form_shape &s,
                                           const form_term &term, int m0, T *stage)
{
    int k0 = blockIdx.y * FORM_TILE, c0 = blockIdx.x * FORM_TILE;
    T *b = stage + FORM_TILE * FORM_A_LD;

    for (int i = threadIdx.x; i < FORM_TILE * FORM_STEP / 8; i += FORM_THREADS) {
        int row = i / (FORM_STEP / 8), column = i % (FORM_STEP / 8) * 8;
        bool there = k0 + row < s.k;
        int64_t at = ((int64_t) (there ? k0 + row : 0) * 27 + term.tap) * s.m + m0 + column;

        copy16(stage + row * FORM_A_LD + column, w + at, there);
    }
    for (int i = threadIdx.x; i < FORM_TILE * FORM_STEP / 8; i += FORM_THREADS) {
        int row = i / (FORM_TILE / 8), column = i % (FORM_TILE / 8) * 8;
        bool there = c0 + column < s.c;
        int64_t at = ((int64_t) term.sub * s.m + m0 + row) * s.c + (there ? c0 + column : 0);

        copy16(b + row * FORM_B_LD + column, up + at, there);
    }
    asm volatile("cp.async.commit_group;" ::: "memory");
}

/* Block (columns, rows, tap of a phase) of out [phases, k, taps, c]: a tile of 128 x 128, each of
 * eight warps 32 x 64 of it.  k, m and c are multiples of 64. */
template <typename T>
__global__ void __launch_bounds__(FORM_THREADS)
    form_weights_kernel(const T *w, const T *up, T *out, form_shape s)
{
    using namespace nvcuda;
    extern __shared__ __align__(128) uint8_t raw[];
    __shared__ form_term terms[MOST_TERMS];
    __shared__ int count;
    T *stages = (T *) raw;
    float *patch = (float *) raw;
    int taps = s.kt * 4, phase = blockIdx.z / taps, tap = blockIdx.z % taps;
    int warp = threadIdx.x / 32, row = warp / 2 * 32, column = warp % 2 * 64, per = s.m / FORM_STEP;
    wmma::fragment<wmma::accumulator, 16, 16, 16, float> acc[2][4];
    int steps;

    if (threadIdx.x == 0)
        count = form_terms(s, phase, tap, terms);
    __syncthreads();
    steps = count * per;
    for (int i = 0; i < 8; i++)
        wmma::fill_fragment(acc[i / 4][i % 4], 0.0f);
    form_fetch(w, up, s, terms[0], 0, stages);
    for (int step = 0; step < steps; step++) {
        const T *a = stages + step % 2 * FORM_STAGE, *b = a + FORM_TILE * FORM_A_LD;
        int next = step + 1;

        if (next < steps) {
            form_fetch(w, up, s, terms[next / per], next % per * FORM_STEP,
                       stages + next % 2 * FORM_STAGE);
            asm volatile("cp.async.wait_group 1;" ::: "memory");
        } else {
            asm volatile("cp.async.wait_group 0;" ::: "memory");
        }
        __syncthreads();
        for (int k = 0; k < FORM_STEP; k += 16) {
            wmma::fragment<wmma::matrix_a, 16, 16, 16, T, wmma::row_major> left[2];

            for (int i = 0; i < 2; i++)
                wmma::load_matrix_sync(left[i], a + (row + i * 16) * FORM_A_LD + k, FORM_A_LD);
            for (int j = 0; j < 4; j++) {
                wmma::fragment<wmma::matrix_b, 16, 16, 16, T, wmma::row_major> right;

                wmma::load_matrix_sync(right, b + k * FORM_B_LD + column + j * 16, FORM_B_LD);
                for (int i = 0; i < 2; i++)
                    wmma::mma_sync(acc[i][j], left[i], right, acc[i][j]);
            }
        }
        __syncthreads();
    }
    for (int i = 0; i < 8; i++)
        wmma::store_matrix_sync(patch + (row + i / 4 * 16) * FORM_TILE + column + i % 4 * 16,
                                acc[i / 4][i % 4], FORM_TILE, wmma::mem_row_major);
    __syncthreads();
    for (int i = threadIdx.x; i < FORM_TILE * FORM_TILE / 8; i += FORM_THREADS) {
        int k = blockIdx.y * FORM_TILE + i / (FORM_TILE / 8), at = i % (FORM_TILE / 8) * 8;
        int c = blockIdx.x * FORM_TILE + at;
        float v[8];

        for (int e = 0; e < 8; e++)
            v[e] = patch[i / (FORM_TILE / 8) * FORM_TILE + at + e];
        if (k < s.k && c < s.c)
            store8(out + (((int64_t) phase * s.k + k) * taps + tap) * s.c + c, v);
    }
}

/* One warp a phase and output channel: bias[phase][2*(row at the border) + column][k]. */
template <typename T>
__global__ void form_bias_kernel(const T *w, const float *b, const float *up_b, float *bias,
                                 form_shape s)
{
    int n = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    int phase = n / s.k, k = n % s.k;
    form_phase f = form_phase_of(s, phase);
    float total[4] = {};

    if (phase >= 4 * s.dzs)
        return;
    for (int tap = 0; tap < 27; tap++) {
        int dt, half, i, suby, j, subx, p = tap / 3 % 3, q = tap % 3;
        const T *row = w + ((int64_t) k * 27 + tap) * s.m;
        float sum = 0.0f;

        form_time(s, f.dz, tap / 9, &dt, &half);
        form_space(f.dy, p, &i, &suby);
        form_space(f.dx, q, &j, &subx);
        for (int m = lane; m < s.m; m += 32)
            sum += to_float(row[m]) * up_b[((suby * 2 + subx) * s.tz + half) * s.m + m];
        sum = warp_sum(sum);
        for (int border = 0; border < 4; border++)
            if (!(border / 2 && p == f.dy * 2) && !(border % 2 && q == f.dx * 2))
                total[border] += sum;
    }
    if (lane < 4)
        bias[(phase * 4 + lane) * s.k + k] = (b ? b[k] : 0.0f) + total[lane];
}

} // namespace svr

#endif
