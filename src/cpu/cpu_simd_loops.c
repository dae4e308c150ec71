/* Compiled once per instruction set; SVR_CPU_SIMD_TABLE and SVR_CPU_SIMD_NAME name the result. */
#include "cpu/cpu_simd_levels.h"
#include "cpu/cpu_simd_math.h"
#include "cpu/cpu_simd_tile.h"

#if defined(__F16C__)
#include <immintrin.h>
#endif

#if defined(__F16C__)
static size_t f16_to_f32(const uint16_t *src, float *dst, size_t n)
{
    size_t i = 0;

    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(dst + i, _mm256_cvtph_ps(_mm_loadu_si128((const void *) (src + i))));
    return i;
}

static size_t f32_to_f16(const float *src, uint16_t *dst, size_t n)
{
    size_t i = 0;

    for (; i + 8 <= n; i += 8)
        _mm_storeu_si128((void *) (dst + i),
                         _mm256_cvtps_ph(_mm256_loadu_ps(src + i), _MM_FROUND_TO_NEAREST_INT));
    return i;
}
#else
static size_t f16_to_f32(const uint16_t *src, float *dst, size_t n)
{
    (void) src, (void) dst, (void) n;
    return 0;
}

static size_t f32_to_f16(const float *src, uint16_t *dst, size_t n)
{
    (void) src, (void) dst, (void) n;
    return 0;
}
#endif

static void to_f32(const void *src, svr_dtype dtype, float *dst, size_t n)
{
    const uint16_t *half = src;
    size_t i = 0;

    if (dtype == SVR_F32) {
        memcpy(dst, src, n * sizeof *dst);
        return;
    }
    if (dtype == SVR_F8_E4M3 || dtype == SVR_I8) {
        svr_to_f32(src, dtype, dst, n);
        return;
    }
    if (dtype == SVR_BF16) {
        for (; i < n; i++) {
            uint32_t bits = (uint32_t) half[i] << 16;
            memcpy(dst + i, &bits, sizeof bits);
        }
        return;
    }
    i = f16_to_f32(half, dst, n);
    for (; i < n; i++)
        dst[i] = svr_f16_to_f32(half[i]);
}

static void from_f32(const float *src, svr_dtype dtype, void *dst, size_t n)
{
    uint16_t *half = dst;
    size_t i = 0;

    if (dtype == SVR_F32) {
        memcpy(dst, src, n * sizeof *src);
        return;
    }
    if (dtype == SVR_BF16) {
        for (; i < n; i++) {
            uint32_t bits, nan;
            memcpy(&bits, src + i, sizeof bits);
            nan = (bits & 0x7fffffffu) > 0x7f800000u ? 0x7fc0u | bits >> 16 : 0u;
            bits = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
            half[i] = (uint16_t) (nan ? nan : bits);
        }
        return;
    }
    i = f32_to_f16(src, half, n);
    for (; i < n; i++)
        half[i] = svr_f32_to_f16(src[i]);
}

static void activate(float *x, size_t n, svr_activation activation)
{
    const svr_cpu_range range = svr_cpu_exp_range();

    if (activation == SVR_ACT_SILU) {
        for (size_t i = 0; i < n; i++)
            x[i] = svr_cpu_silu(x[i], range);
    } else if (activation == SVR_ACT_GELU_TANH) {
        for (size_t i = 0; i < n; i++)
            x[i] = svr_cpu_gelu_tanh(x[i], range);
    }
}

static void silu_mul(float *a, const float *b, size_t n)
{
    const svr_cpu_range range = svr_cpu_exp_range();

    for (size_t i = 0; i < n; i++)
        a[i] = svr_cpu_silu(a[i], range) * b[i];
}

/* Long sums go in pieces, or they lose more than their terms have. */
enum { SUM_PIECE = 512 };

static float exp_piece(float *x, size_t n, float scale, float largest)
{
    const svr_cpu_range range = svr_cpu_exp_range();
    float sum = 0;

#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++) {
        x[i] = svr_cpu_exp(scale * (x[i] - largest), range);
        sum += x[i];
    }
    return sum;
}

static float softmax(float *x, size_t n, float scale)
{
    float largest = x[0];
    double sum = 0;

#pragma omp simd reduction(max : largest)
    for (size_t i = 0; i < n; i++)
        largest = x[i] > largest ? x[i] : largest;
    for (size_t i = 0; i < n; i += SUM_PIECE) {
        size_t left = n - i;

        sum += (double) exp_piece(x + i, left < SUM_PIECE ? left : SUM_PIECE, scale, largest);
    }
    return (float) sum;
}

static float square_sum(const float *x, size_t n)
{
    double sum = 0;

#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++)
        sum += (double) x[i] * (double) x[i];
    return (float) sum;
}

enum { INTEGER_SUMS = 4 };

/* INTEGER_SUMS rows of w at a time, so that x is read less often. */
static void some_integer_sums(const int16_t *x, const int16_t *w, size_t length, int32_t *sums)
{
    int32_t a = 0, b = 0, c = 0, d = 0;

    for (size_t i = 0; i < length; i++) {
        a += x[i] * w[i];
        b += x[i] * w[i + length];
        c += x[i] * w[i + 2 * length];
        d += x[i] * w[i + 3 * length];
    }
    sums[0] = a, sums[1] = b, sums[2] = c, sums[3] = d;
}

static void integer_sums(const int16_t *x, const int16_t *w, size_t length, size_t count,
                         int32_t *sums)
{
    size_t n = 0;

    for (; n + INTEGER_SUMS <= count; n += INTEGER_SUMS)
        some_integer_sums(x, w + n * length, length, sums + n);
    for (; n < count; n++) {
        sums[n] = 0;
        for (size_t i = 0; i < length; i++)
            sums[n] += x[i] * w[n * length + i];
    }
}

/* Channels in pieces whose sums stay in registers. */
enum { SUM_CHANNELS = 16 };

static void piece_sums(const float *x, size_t pixels, size_t channels, double *sums,
                       double *squares)
{
    double s[SUM_CHANNELS], q[SUM_CHANNELS];

    memcpy(s, sums, sizeof s);
    memcpy(q, squares, sizeof q);
    for (size_t p = 0; p < pixels; p++) {
        for (int c = 0; c < SUM_CHANNELS; c++) {
            double value = (double) x[p * channels + (size_t) c];
            s[c] += value;
            q[c] += value * value;
        }
    }
    memcpy(sums, s, sizeof s);
    memcpy(squares, q, sizeof q);
}

static void channel_sums(const float *x, size_t pixels, size_t channels, double *sums,
                         double *squares)
{
    size_t c = 0;

    for (; c + SUM_CHANNELS <= channels; c += SUM_CHANNELS)
        piece_sums(x + c, pixels, channels, sums + c, squares + c);
    for (size_t p = 0; p < pixels && c < channels; p++) {
        for (size_t k = c; k < channels; k++) {
            double value = (double) x[p * channels + k];
            sums[k] += value;
            squares[k] += value * value;
        }
    }
}

static void channel_affine(const float *x, float *y, size_t pixels, size_t channels,
                           const float *table)
{
    const float *mean_hi = table, *mean_lo = table + channels;
    const float *scale = table + 2 * channels, *shift = table + 3 * channels;

    for (size_t p = 0; p < pixels; p++, x += channels, y += channels) {
#pragma omp simd
        for (size_t c = 0; c < channels; c++)
            y[c] = ((x[c] - mean_hi[c]) - mean_lo[c]) * scale[c] + shift[c];
    }
}

const svr_cpu_simd SVR_CPU_SIMD_TABLE = {
    .name = SVR_CPU_SIMD_NAME,
    .tile_rows = tile_rows,
    .tile = tile,
    .to_f32 = to_f32,
    .from_f32 = from_f32,
    .activate = activate,
    .silu_mul = silu_mul,
    .softmax = softmax,
    .square_sum = square_sum,
    .integer_sums = integer_sums,
    .channel_sums = channel_sums,
    .channel_affine = channel_affine,
};
