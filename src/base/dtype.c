#include "base/dtype.h"

#include <assert.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define HAVE_F16C_PATH 1
#else
#define HAVE_F16C_PATH 0
#endif

typedef struct dtype_info {
    size_t size;
    const char *name, *safetensors;
} dtype_info;

static const dtype_info infos[SVR_DTYPE_COUNT] = {
    [SVR_F32] = {4, "f32", "F32"},    [SVR_F16] = {2, "f16", "F16"},
    [SVR_BF16] = {2, "bf16", "BF16"}, [SVR_F8_E4M3] = {1, "f8_e4m3", "F8_E4M3"},
    [SVR_I32] = {4, "i32", "I32"},    [SVR_U8] = {1, "u8", "U8"},
    [SVR_F64] = {8, "f64", "F64"},    [SVR_I64] = {8, "i64", "I64"},
    [SVR_I8] = {1, "i8", "I8"},
};

size_t svr_dtype_size(svr_dtype dtype)
{
    assert((unsigned) dtype < SVR_DTYPE_COUNT);
    return infos[dtype].size;
}

const char *svr_dtype_name(svr_dtype dtype)
{
    return (unsigned) dtype < SVR_DTYPE_COUNT ? infos[dtype].name : "unknown type";
}

int svr_dtype_from_safetensors(const char *name)
{
    for (int i = 0; i < SVR_DTYPE_COUNT; i++)
        if (strcmp(name, infos[i].safetensors) == 0)
            return i;
    return -1;
}

const char *svr_dtype_to_safetensors(svr_dtype dtype)
{
    assert((unsigned) dtype < SVR_DTYPE_COUNT);
    return infos[dtype].safetensors;
}

static inline uint32_t bits_of(float f)
{
    uint32_t u;

    memcpy(&u, &f, sizeof u);
    return u;
}

static inline float float_of(uint32_t u)
{
    float f;

    memcpy(&f, &u, sizeof f);
    return f;
}

/* The conversions below choose between ready values instead of branching, so that loops over them
 * become vector code; subnormals are made by a subtraction of normal numbers, which also works on
 * threads that flush subnormals to zero. */

static inline uint32_t choose(int condition, uint32_t yes, uint32_t no)
{
    uint32_t mask = 0u - (uint32_t) condition;

    return (yes & mask) | (no & ~mask);
}

static inline float from_f16(uint16_t h)
{
    uint32_t sign = (uint32_t) (h & 0x8000u) << 16, magnitude = (uint32_t) (h & 0x7fffu) << 13;
    uint32_t normal = magnitude + (112u << 23), special = magnitude | (255u << 23);
    uint32_t subnormal = bits_of(float_of(magnitude + (113u << 23)) - 0x1p-14f);
    uint32_t u = choose(magnitude < (1u << 23), subnormal, normal);

    special |= choose(magnitude > (31u << 23), 1u << 22, 0); /* NaN becomes quiet, as in hardware */
    u = choose(magnitude >= (31u << 23), special, u);
    return float_of(sign | u);
}

static inline uint16_t to_f16(float f)
{
    uint32_t u = bits_of(f), sign = (u >> 16) & 0x8000u, magnitude = u & 0x7fffffffu;
    uint32_t even = (magnitude >> 13) & 1u;
    uint32_t normal = (magnitude + 0xfffu + even - (112u << 23)) >> 13;
    /* the unit of 0.5f is the smallest half, so the addition rounds */
    uint32_t subnormal = bits_of(float_of(magnitude) + 0.5f) - (126u << 23);
    uint32_t nan = 0x7e00u | ((magnitude >> 13) & 0x3ffu);
    uint32_t h = choose(magnitude < (113u << 23), subnormal, normal);

    h = choose(magnitude >= (143u << 23), 0x7c00u, h);
    h = choose(magnitude > (255u << 23), nan, h);
    return (uint16_t) (sign | h);
}

static inline float from_bf16(uint16_t h)
{
    return float_of((uint32_t) h << 16);
}

static inline uint16_t to_bf16(float f)
{
    uint32_t u = bits_of(f);
    uint32_t rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
    uint32_t nan = (u >> 16) | 0x40u;

    return (uint16_t) (choose((u & 0x7fffffffu) > (255u << 23), nan, rounded));
}

static inline float from_e4m3(uint8_t b)
{
    uint32_t sign = (uint32_t) (b & 0x80u) << 24, magnitude = (uint32_t) (b & 0x7fu) << 20;
    uint32_t normal = magnitude + (120u << 23);
    uint32_t subnormal = bits_of(float_of(magnitude + (121u << 23)) - 0x1p-6f);
    uint32_t u = choose(magnitude < (1u << 23), subnormal, normal);

    u = choose(magnitude == (0x7fu << 20), 0x7fc00000u, u);
    return float_of(sign | u);
}

static inline uint8_t to_e4m3(float f)
{
    uint32_t u = bits_of(f), sign = (u >> 24) & 0x80u, magnitude = u & 0x7fffffffu;
    uint32_t even = (magnitude >> 20) & 1u;
    uint32_t normal = (magnitude + 0x7ffffu + even - (120u << 23)) >> 20;
    /* the unit of 2^14 is the smallest e4m3, so the addition rounds */
    uint32_t subnormal = bits_of(float_of(magnitude) + 0x1p14f) - (141u << 23);
    uint32_t b = choose(magnitude < (121u << 23), subnormal, normal);

    b = choose(b > 0x7eu, 0x7eu, b);
    b = choose(magnitude > (255u << 23), 0x7fu, b);
    return (uint8_t) (sign | b);
}

static inline int8_t to_i8(float f)
{
    uint32_t u = bits_of(f), sign = u & 0x80000000u, magnitude = u & 0x7fffffffu;
    uint32_t end = 0x42fe0000u; /* 127.0f */
    uint32_t bounded = choose(magnitude > end, end, magnitude);

    bounded = choose(magnitude > (255u << 23), 0, bounded);
    /* the unit of 2^23 is 1, so the addition rounds; the integer ends up in the lowest bits */
    return (int8_t) (uint8_t) bits_of(float_of(sign | bounded) + 0x1.8p23f);
}

float svr_f16_to_f32(uint16_t h)
{
    return from_f16(h);
}

uint16_t svr_f32_to_f16(float f)
{
    return to_f16(f);
}

float svr_bf16_to_f32(uint16_t h)
{
    return from_bf16(h);
}

uint16_t svr_f32_to_bf16(float f)
{
    return to_bf16(f);
}

float svr_f8_e4m3_to_f32(uint8_t b)
{
    return from_e4m3(b);
}

uint8_t svr_f32_to_f8_e4m3(float f)
{
    return to_e4m3(f);
}

int8_t svr_f32_to_i8(float f)
{
    return to_i8(f);
}

#if HAVE_F16C_PATH
static int cpu_has_f16c(void)
{
    return __builtin_cpu_supports("avx2"); /* every CPU with AVX2 has F16C */
}

/* Both return how many elements they did, a multiple of 8. */
__attribute__((target("avx,f16c"))) static size_t f16_to_f32_f16c(const char *src, float *dst,
                                                                  size_t n)
{
    size_t i = 0;

    for (; i + 8 <= n; i += 8) {
        __m128i half;

        memcpy(&half, src + 2 * i, sizeof half);
        _mm256_storeu_ps(dst + i, _mm256_cvtph_ps(half));
    }
    return i;
}

__attribute__((target("avx,f16c"))) static size_t f32_to_f16_f16c(const float *src, char *dst,
                                                                  size_t n)
{
    size_t i = 0;

    for (; i + 8 <= n; i += 8) {
        __m128i half = _mm256_cvtps_ph(_mm256_loadu_ps(src + i), _MM_FROUND_TO_NEAREST_INT);

        memcpy(dst + 2 * i, &half, sizeof half);
    }
    return i;
}
#endif

/* Sources may be unaligned, such as those in mapped goldens, hence memcpy. */

static void f16_to_f32_array(const char *restrict src, float *restrict dst, size_t n)
{
    size_t i = 0;

#if HAVE_F16C_PATH
    if (cpu_has_f16c())
        i = f16_to_f32_f16c(src, dst, n);
#endif
    for (; i < n; i++) {
        uint16_t h;

        memcpy(&h, src + 2 * i, sizeof h);
        dst[i] = from_f16(h);
    }
}

static void f32_to_f16_array(const float *restrict src, char *restrict dst, size_t n)
{
    size_t i = 0;

#if HAVE_F16C_PATH
    if (cpu_has_f16c())
        i = f32_to_f16_f16c(src, dst, n);
#endif
    for (; i < n; i++) {
        uint16_t h = to_f16(src[i]);

        memcpy(dst + 2 * i, &h, sizeof h);
    }
}

static void bf16_to_f32_array(const char *restrict src, float *restrict dst, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint16_t h;

        memcpy(&h, src + 2 * i, sizeof h);
        dst[i] = from_bf16(h);
    }
}

static void f32_to_bf16_array(const float *restrict src, char *restrict dst, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint16_t h = to_bf16(src[i]);

        memcpy(dst + 2 * i, &h, sizeof h);
    }
}

static void e4m3_to_f32_array(const uint8_t *restrict src, float *restrict dst, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = from_e4m3(src[i]);
}

static inline void f32_to_e4m3_loop(const float *restrict src, uint8_t *restrict dst, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = to_e4m3(src[i]);
}

#if HAVE_F16C_PATH
/* The same loop in wider vectors: whole transformers go through it while they load. */
__attribute__((target("avx2"))) static void f32_to_e4m3_avx2(const float *restrict src,
                                                             uint8_t *restrict dst, size_t n)
{
    f32_to_e4m3_loop(src, dst, n);
}
#endif

static void f32_to_e4m3_array(const float *restrict src, uint8_t *restrict dst, size_t n)
{
#if HAVE_F16C_PATH
    if (cpu_has_f16c()) {
        f32_to_e4m3_avx2(src, dst, n);
        return;
    }
#endif
    f32_to_e4m3_loop(src, dst, n);
}

static void i8_to_f32_array(const int8_t *restrict src, float *restrict dst, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = (float) src[i];
}

static inline void f32_to_i8_loop(const float *restrict src, int8_t *restrict dst, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = to_i8(src[i]);
}

#if HAVE_F16C_PATH
__attribute__((target("avx2"))) static void f32_to_i8_avx2(const float *restrict src,
                                                           int8_t *restrict dst, size_t n)
{
    f32_to_i8_loop(src, dst, n);
}
#endif

static void f32_to_i8_array(const float *restrict src, int8_t *restrict dst, size_t n)
{
#if HAVE_F16C_PATH
    if (cpu_has_f16c()) {
        f32_to_i8_avx2(src, dst, n);
        return;
    }
#endif
    f32_to_i8_loop(src, dst, n);
}

static void f64_to_f32_array(const char *restrict src, float *restrict dst, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double d;

        memcpy(&d, src + 8 * i, sizeof d);
        dst[i] = (float) d;
    }
}

void svr_to_f32(const void *src, svr_dtype dtype, float *dst, size_t n)
{
    switch (dtype) {
    case SVR_F32:
        if (n > 0)
            memcpy(dst, src, n * sizeof *dst);
        break;
    case SVR_F16:
        f16_to_f32_array(src, dst, n);
        break;
    case SVR_BF16:
        bf16_to_f32_array(src, dst, n);
        break;
    case SVR_F8_E4M3:
        e4m3_to_f32_array(src, dst, n);
        break;
    case SVR_I8:
        i8_to_f32_array(src, dst, n);
        break;
    case SVR_F64:
        f64_to_f32_array(src, dst, n);
        break;
    default:
        assert(0 && "svr_to_f32: this type has no conversion");
    }
}

void svr_from_f32(const float *src, svr_dtype dtype, void *dst, size_t n)
{
    switch (dtype) {
    case SVR_F32:
        if (n > 0)
            memcpy(dst, src, n * sizeof *src);
        break;
    case SVR_F16:
        f32_to_f16_array(src, dst, n);
        break;
    case SVR_BF16:
        f32_to_bf16_array(src, dst, n);
        break;
    case SVR_F8_E4M3:
        f32_to_e4m3_array(src, dst, n);
        break;
    case SVR_I8:
        f32_to_i8_array(src, dst, n);
        break;
    default:
        assert(0 && "svr_from_f32: only f32, f16, bf16, f8_e4m3 and i8 are stored");
    }
}
