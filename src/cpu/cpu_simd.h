/* The inner loops of the CPU backend, compiled once per instruction set from the same C; which one
 * runs is decided when a backend is created.  Level 2.  Thread: any (pure functions). */
#ifndef SVR_CPU_CPU_SIMD_H
#define SVR_CPU_CPU_SIMD_H

#include "backend/ops.h"

#include <stddef.h>

enum {
    SVR_CPU_LANES = 32,     /* outputs of the widest tile */
    SVR_CPU_TILE_ROWS = 28, /* no tile has more rows */
    SVR_CPU_TILE_FLOATS = SVR_CPU_TILE_ROWS * SVR_CPU_LANES
};

/* A register tile of a product:
 *   out[p*out_step + n] = (sum over r < runs, i < length of x[r][p*x_step + i] * w[r][i*w_step +
 * n])
 *                         + bias[n] + add[p*out_step + n]
 * for p < rows, n < lanes, summed in the order of r and i.  The bias comes last: as the first term
 * it would take precision from all that follow. */
typedef struct svr_cpu_tile {
    const float *const *x;
    const float *const *w;
    const float *bias; /* [lanes], or NULL for 0 */
    const float *gate; /* [lanes], or NULL for 1 */
    const float *add;  /* laid out like out and may be out, or NULL for 0 */
    int runs, length;
    ptrdiff_t x_step, w_step, out_step;
    int rows;  /* from svr_cpu_simd.tile_rows() */
    int lanes; /* 16 or 32 */
    float *out;
} svr_cpu_tile;

typedef struct svr_cpu_simd {
    const char *name; /* "x86-64-v4", "x86-64-v3", "generic" */
    /* Rows per tile that share `total` rows evenly: ceil(total / rows) tiles, the last may be short
     * of rows and must then overlap its neighbour or be padded. */
    int (*tile_rows)(int64_t total, int lanes);
    void (*tile)(const svr_cpu_tile *tile);
    /* n elements of a storage type (to_f32: F8_E4M3 and I8 too) to floats and back, rounded to
     * nearest even */
    void (*to_f32)(const void *src, svr_dtype dtype, float *dst, size_t n);
    void (*from_f32)(const float *src, svr_dtype dtype, void *dst, size_t n);
    /* x[i] = activation(x[i]) */
    void (*activate)(float *x, size_t n, svr_activation activation);
    /* a[i] = silu(a[i]) * b[i] */
    void (*silu_mul)(float *a, const float *b, size_t n);
    /* x[i] = exp(scale * (x[i] - max x)); returns the sum of the results; n >= 1, scale > 0 */
    float (*softmax)(float *x, size_t n, float scale);
    float (*square_sum)(const float *x, size_t n);
    /* sums[n] = sum over i < length of x[i] * w[n*length + i], n < count, exact: factors lie
     * between -127 and 127, and length is at most SVR_I8_DEPTH */
    void (*integer_sums)(const int16_t *x, const int16_t *w, size_t length, size_t count,
                         int32_t *sums);
    /* sums[c] += x[p*channels + c] and squares[c] += its square, over `pixels` values of p */
    void (*channel_sums)(const float *x, size_t pixels, size_t channels, double *sums,
                         double *squares);
    /* y[p*channels + c] = ((x - mean_hi[c]) - mean_lo[c]) * scale[c] + shift[c]; the table holds
     * these four rows of `channels`; y may be x */
    void (*channel_affine)(const float *x, float *y, size_t pixels, size_t channels,
                           const float *table);
} svr_cpu_simd;

/* Those that this machine can run, best first; NULL behind the last. */
void svr_cpu_simd_usable(const svr_cpu_simd *list[4]);

#endif
