/* Elementary functions in plain arithmetic, so that loops over them become vector code.
 * Level 2.  Thread: any (pure functions). */
#ifndef SVR_CPU_CPU_SIMD_MATH_H
#define SVR_CPU_CPU_SIMD_MATH_H

#include <stdint.h>
#include <string.h>

/* Where e^x neither overflows nor becomes subnormal. */
typedef struct svr_cpu_range {
    float lo, hi;
} svr_cpu_range;

/* The range as numbers that the compiler does not know: else it computes the clamped case apart for
 * every element and throws it away, and x / (1 + e^88) is a subnormal number that costs more than
 * all the rest. */
static inline svr_cpu_range svr_cpu_exp_range(void)
{
    svr_cpu_range range = {-87.0f, 88.0f};

    __asm__("" : "+m"(range));
    return range;
}

/* e^x within 1 ulp or so; x is clamped to the range, NaN stays.
 * x = n ln2 + r with |r| <= ln2 / 2 and ln2 in two parts; e^r by its series to the 7th power. */
static inline float svr_cpu_exp(float x, svr_cpu_range range)
{
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */
    float n, r, p, power;
    uint32_t bits;

    x = x < range.lo ? range.lo : x;
    x = x > range.hi ? range.hi : x;
    n = (x * 1.44269504088896341f + magic) - magic;
    r = x - n * 0.693145751953125f;
    r = r - n * 1.42860682030941723212e-6f;
    p = 1.98412698412698e-4f;
    p = p * r + 1.38888888888889e-3f;
    p = p * r + 8.33333333333333e-3f;
    p = p * r + 4.16666666666667e-2f;
    p = p * r + 1.66666666666667e-1f;
    p = p * r + 0.5f;
    p = p * (r * r) + r;
    bits = (uint32_t) ((int32_t) n + 127) << 23;
    memcpy(&power, &bits, sizeof power);
    return p * power + power;
}

/* x / (1 + e^-x) */
static inline float svr_cpu_silu(float x, svr_cpu_range range)
{
    return x / (1.0f + svr_cpu_exp(-x, range));
}

/* .5 x (1 + tanh(u)), u = sqrt(2/pi) (x + .044715 x^3); as x / (1 + e^-2u) it needs no tanh */
static inline float svr_cpu_gelu_tanh(float x, svr_cpu_range range)
{
    float u = 0.7978845608028654f * (x + 0.044715f * x * x * x);

    return x / (1.0f + svr_cpu_exp(-2.0f * u, range));
}

#endif
