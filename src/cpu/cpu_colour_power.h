/* Powers in plain arithmetic, so that the compiler can work on several pixels at once.
 * Relative error below 3e-7 over the ranges of colour maths.  Level 2.  Thread: any (pure). */
#ifndef SVR_CPU_CPU_COLOUR_POWER_H
#define SVR_CPU_CPU_COLOUR_POWER_H

#include <stdint.h>

typedef union svr_float_bits {
    float value;
    int32_t bits;
} svr_float_bits;

/* log2(x) for normal x > 0: exponent, and the series of artanh on a mantissa near 1. */
static inline float svr_fast_log2(float x)
{
    const int32_t sqrt_half = 0x3F3504F3;
    svr_float_bits u;
    int32_t exponent;
    float s, s2, series;

    u.value = x;
    exponent = (u.bits - sqrt_half) >> 23;
    u.bits -= exponent * (1 << 23); /* sqrt(1/2) .. sqrt(2) */
    s = (u.value - 1.0f) / (u.value + 1.0f);
    s2 = s * s;
    series = 1.0f + s2 * (1.0f / 3.0f + s2 * (1.0f / 5.0f + s2 * (1.0f / 7.0f + s2 / 9.0f)));
    return (float) exponent + 2.8853900817779268f * s * series;
}

/* 2^y for -126 < y < 127: whole part into the exponent, Taylor series for the rest. */
static inline float svr_fast_exp2(float y)
{
    const float integers = 0x1.8p23f; /* adding it rounds to an integer */
    svr_float_bits whole, u;
    float f;

    whole.value = y + integers;
    f = (y - (whole.value - integers)) * 0.693147180559945f;
    u.value =
        1.0f +
        f * (1.0f +
             f * (1.0f / 2.0f +
                  f * (1.0f / 6.0f +
                       f * (1.0f / 24.0f +
                            f * (1.0f / 120.0f + f * (1.0f / 720.0f + f * (1.0f / 5040.0f)))))));
    u.bits += (whole.bits - 0x4B400000) * (1 << 23);
    return u.value;
}

/* x^exponent for normal x > 0 and a result in the normal range. */
static inline float svr_fast_pow(float x, float exponent)
{
    return svr_fast_exp2(svr_fast_log2(x) * exponent);
}

#endif
