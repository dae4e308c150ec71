#include "base/quantize.h"

#include <assert.h>
#include <string.h>

enum { LANES = 16, PIECE = 1024 };

/* Several maxima side by side become vector code. */
static float largest_magnitude(const float *src, size_t n)
{
    uint32_t most[LANES] = {0}, largest = 0;
    size_t i = 0;
    float result;

    /* magnitudes without a sign order like their bits, and NaN comes out on top */
    for (; i + LANES <= n; i += LANES) {
        for (int k = 0; k < LANES; k++) {
            uint32_t bits;

            memcpy(&bits, src + i + k, sizeof bits);
            bits &= 0x7fffffffu;
            most[k] = (int32_t) bits > (int32_t) most[k] ? bits : most[k];
        }
    }
    for (; i < n; i++) {
        uint32_t bits;

        memcpy(&bits, src + i, sizeof bits);
        bits &= 0x7fffffffu;
        largest = bits > largest ? bits : largest;
    }
    for (int k = 0; k < LANES; k++)
        largest = most[k] > largest ? most[k] : largest;
    memcpy(&result, &largest, sizeof result);
    return result;
}

float svr_quantize_row(const float *src, size_t n, svr_dtype type, void *dst)
{
    const float end = type == SVR_I8 ? SVR_I8_MAX : SVR_F8_E4M3_MAX;
    float most = largest_magnitude(src, n), factor;
    float scaled[PIECE];

    assert(type == SVR_I8 || type == SVR_F8_E4M3);
    if (most < SVR_QUANTIZE_LEAST) {
        memset(dst, 0, n);
        return 1.0f;
    }
    factor = end / most;
    for (size_t first = 0; first < n; first += PIECE) {
        size_t count = n - first < PIECE ? n - first : PIECE;

        for (size_t i = 0; i < count; i++)
            scaled[i] = src[first + i] * factor;
        svr_from_f32(scaled, type, (uint8_t *) dst + first, count);
    }
    return most / end;
}

void svr_dequantize_row(const void *src, size_t n, svr_dtype type, float scale, float *dst)
{
    svr_to_f32(src, type, dst, n);
    for (size_t i = 0; i < n; i++)
        dst[i] *= scale;
}
