/* base/dtype: every f16, bf16 and e4m3 pattern against arithmetic from the definition; rounding of
 * floats against the two neighbours; the array functions against the scalar ones. */
#include "base/dtype.h"

#include "check.h"
#include "random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint32_t bits_of(float f)
{
    uint32_t u;

    memcpy(&u, &f, sizeof u);
    return u;
}

static float float_of(uint32_t u)
{
    float f;

    memcpy(&f, &u, sizeof f);
    return f;
}

/* Value of a small float with `fraction` fraction bits, from the definition. */
static double defined_value(uint32_t magnitude, int fraction, int bias)
{
    int exponent = (int) (magnitude >> fraction);
    double mantissa = (double) (magnitude & ((1u << fraction) - 1));

    if (exponent == 0)
        return ldexp(mantissa, 1 - bias - fraction);
    return ldexp(mantissa + ldexp(1, fraction), exponent - bias - fraction);
}

static void test_every_f16(void)
{
    for (uint32_t h = 0; h < 0x10000; h++) {
        uint32_t magnitude = h & 0x7fff;
        float f = svr_f16_to_f32((uint16_t) h);

        CHECK(!!signbit(f) == (h >> 15));
        if (magnitude > 0x7c00)
            CHECK(isnan(f) && svr_f32_to_f16(f) == (h | 0x200));
        else if (magnitude == 0x7c00)
            CHECK(isinf(f));
        else
            CHECK(fabs((double) f) == defined_value(magnitude, 10, 15));
        if (magnitude <= 0x7c00)
            CHECK(svr_f32_to_f16(f) == h);
    }
}

static void test_every_bf16(void)
{
    for (uint32_t h = 0; h < 0x10000; h++) {
        uint32_t magnitude = h & 0x7fff;
        float f = svr_bf16_to_f32((uint16_t) h);

        CHECK(!!signbit(f) == (h >> 15));
        if (magnitude > 0x7f80)
            CHECK(isnan(f) && svr_f32_to_bf16(f) == (h | 0x40));
        else if (magnitude == 0x7f80)
            CHECK(isinf(f));
        else
            CHECK(fabs((double) f) == defined_value(magnitude, 7, 127));
        if (magnitude <= 0x7f80)
            CHECK(svr_f32_to_bf16(f) == h);
    }
}

static void test_every_e4m3(void)
{
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t magnitude = b & 0x7f;
        float f = svr_f8_e4m3_to_f32((uint8_t) b);

        if (magnitude == 0x7f)
            CHECK(isnan(f));
        else
            CHECK(fabs((double) f) == defined_value(magnitude, 3, 7) && !!signbit(f) == b >> 7);
        CHECK(svr_f32_to_f8_e4m3(f) == b);
    }
    CHECK(svr_f8_e4m3_to_f32(0x7e) == 448.0f); /* the largest, from the OCP document */
    CHECK(svr_f8_e4m3_to_f32(0x01) == 0x1p-9f);
}

/* The float halfway between patterns h and h + 1 goes to the even one, its neighbours to the nearer
 * one.  Holds up to the overflow to infinity. */
static void check_half_way(uint16_t (*narrow)(float), double low, double high, uint32_t h)
{
    float middle = (float) ((low + high) / 2);

    CHECK(narrow(middle) == h + (h & 1));
    CHECK(narrow(nextafterf(middle, 0)) == h);
    CHECK(narrow(nextafterf(middle, INFINITY)) == h + 1);
    CHECK(narrow(-middle) == (narrow(-0.0f) | (h + (h & 1))));
}

static uint16_t narrow_e4m3(float f)
{
    return svr_f32_to_f8_e4m3(f);
}

static void test_rounding(void)
{
    for (uint32_t h = 0; h < 0x7c00; h++)
        check_half_way(svr_f32_to_f16, defined_value(h, 10, 15), defined_value(h + 1, 10, 15), h);
    for (uint32_t h = 0; h < 0x7f7f; h++)
        check_half_way(svr_f32_to_bf16, defined_value(h, 7, 127), defined_value(h + 1, 7, 127), h);
    for (uint32_t h = 0; h < 0x7e; h++)
        check_half_way(narrow_e4m3, defined_value(h, 3, 7), defined_value(h + 1, 3, 7), h);
    /* no infinity: the largest number instead */
    CHECK(svr_f32_to_f8_e4m3(464.0f) == 0x7e && svr_f32_to_f8_e4m3(1e30f) == 0x7e);
    CHECK(svr_f32_to_f8_e4m3(-INFINITY) == 0xfe && svr_f32_to_f8_e4m3(NAN) == 0x7f);
    CHECK(svr_f32_to_f8_e4m3(-0.0f) == 0x80);
    CHECK(svr_f32_to_f16(65504.0f) == 0x7bff && svr_f32_to_f16(1e30f) == 0x7c00);
    CHECK(svr_f32_to_f16(-INFINITY) == 0xfc00 && svr_f32_to_f16(1e-30f) == 0);
    CHECK(svr_f32_to_bf16(float_of(0x7f7fffff)) == 0x7f80); /* FLT_MAX rounds up */
}

/* Special patterns first, then random ones of all magnitudes. */
static float *make_floats(size_t n)
{
    static const uint32_t special[] = {0,          0x80000000, 0x7f800000, 0xff800000, 0x7fc00000,
                                       0x7f800001, 0x7fffffff, 0xffffffff, 1,          0x807fffff,
                                       0x33000000, 0x33000001, 0x387fffff, 0x38800000, 0x477fefff,
                                       0x477ff000, 0x47800000, 0x7f7fffff};
    float *values = malloc(n * sizeof *values);
    test_random random = test_random_seed(2);

    CHECK(values != NULL);
    for (size_t i = 0; i < n; i++) {
        uint32_t u = (uint32_t) test_random_u64(&random);

        values[i] = float_of(i < sizeof special / sizeof special[0] ? special[i] : u);
        if (i % 2)
            values[i] = float_of((u & 0x87ffffffu) | 0x38000000u); /* in the range of f16 */
    }
    return values;
}

static void check_from_f32(svr_dtype dtype, uint16_t (*scalar)(float))
{
    enum { COUNT = 200003 };
    float *values = make_floats(COUNT);
    uint16_t *array = malloc(COUNT * sizeof *array);

    CHECK(array != NULL);
    svr_from_f32(values, dtype, array, COUNT);
    for (int i = 0; i < COUNT; i++)
        CHECK(array[i] == scalar(values[i]));
    for (int n = 0; n < 20; n++) { /* nothing behind the end is written */
        array[n] = 0x1234;
        svr_from_f32(values, dtype, array, (size_t) n);
        CHECK(array[n] == 0x1234);
    }
    free(array);
    free(values);
}

static void check_from_f32_to_e4m3(void)
{
    enum { COUNT = 200003 };
    float *values = make_floats(COUNT);
    uint8_t *array = malloc(COUNT + 1);

    CHECK(array != NULL);
    for (int i = 0; i < COUNT; i += 3) /* within its range */
        values[i] = ldexpf(values[i], 10);
    array[COUNT] = 0x12;
    svr_from_f32(values, SVR_F8_E4M3, array, COUNT);
    for (int i = 0; i < COUNT; i++)
        CHECK(array[i] == svr_f32_to_f8_e4m3(values[i]));
    CHECK(array[COUNT] == 0x12);
    free(array);
    free(values);
}

static void test_array_from_f32(void)
{
    float in[3] = {1, -2, 3}, out[3];

    check_from_f32(SVR_F16, svr_f32_to_f16);
    check_from_f32(SVR_BF16, svr_f32_to_bf16);
    check_from_f32_to_e4m3();
    svr_from_f32(in, SVR_F32, out, 3);
    CHECK(memcmp(in, out, sizeof in) == 0);
}

/* All 16-bit patterns, from an odd address as in a mapped file. */
static void check_to_f32(svr_dtype dtype, float (*scalar)(uint16_t))
{
    unsigned char *bytes = malloc(1 + 2 * 0x10000);
    float *values = malloc(0x10000 * sizeof *values);

    CHECK(bytes != NULL && values != NULL);
    for (uint32_t h = 0; h < 0x10000; h++) {
        uint16_t pattern = (uint16_t) h;

        memcpy(bytes + 1 + 2 * h, &pattern, 2);
    }
    svr_to_f32(bytes + 1, dtype, values, 0x10000);
    for (uint32_t h = 0; h < 0x10000; h++)
        CHECK(bits_of(values[h]) == bits_of(scalar((uint16_t) h)));
    for (int n = 0; n < 20; n++) {
        values[n] = 1234;
        svr_to_f32(bytes + 1, dtype, values, (size_t) n);
        CHECK(values[n] == 1234);
    }
    free(values);
    free(bytes);
}

static void test_array_to_f32(void)
{
    unsigned char narrow[256];
    float wide[256];
    double doubles[3] = {0.1, -1e300, 7};

    check_to_f32(SVR_F16, svr_f16_to_f32);
    check_to_f32(SVR_BF16, svr_bf16_to_f32);
    for (int b = 0; b < 256; b++)
        narrow[b] = (unsigned char) b;
    svr_to_f32(narrow, SVR_F8_E4M3, wide, 256);
    for (int b = 0; b < 256; b++)
        CHECK(bits_of(wide[b]) == bits_of(svr_f8_e4m3_to_f32((uint8_t) b)));
    svr_to_f32(doubles, SVR_F64, wide, 3);
    CHECK(wide[0] == 0.1f && isinf(wide[1]) && wide[1] < 0 && wide[2] == 7);
}

/* To the nearest, halves to even, no further than 127 either way. */
static void test_i8(void)
{
    static const struct {
        float from;
        int to;
    } cases[] = {{0.5f, 0},     {1.5f, 2},      {2.5f, 2},        {-0.5f, 0},
                 {-1.5f, -2},   {-2.5f, -2},    {126.5f, 126},    {125.5f, 126},
                 {127.4f, 127}, {127.5f, 127},  {-127.5f, -127},  {-128.0f, -127},
                 {1e30f, 127},  {-1e30f, -127}, {INFINITY, 127},  {-INFINITY, -127},
                 {NAN, 0},      {-NAN, 0},      {0.49999997f, 0}, {-0.0f, 0}};
    enum { COUNT = sizeof cases / sizeof cases[0] };
    float wide[511], back[511];
    int8_t narrow[511];

    for (int i = 0; i < COUNT; i++) {
        wide[i] = cases[i].from;
        CHECK(svr_f32_to_i8(cases[i].from) == cases[i].to);
    }
    svr_from_f32(wide, SVR_I8, narrow, COUNT);
    for (int i = 0; i < COUNT; i++)
        CHECK(narrow[i] == cases[i].to);
    for (int i = 0; i < 511; i++)
        wide[i] = (float) (i - 255) / 2;
    svr_from_f32(wide, SVR_I8, narrow, 511);
    svr_to_f32(narrow, SVR_I8, back, 511);
    for (int i = 0; i < 511; i++)
        CHECK(back[i] == fmaxf(-127.0f, fminf(127.0f, nearbyintf(wide[i]))));
}

static void test_names_and_sizes(void)
{
    static const char *const spellings[SVR_DTYPE_COUNT] = {"F32", "F16", "BF16", "F8_E4M3", "I32",
                                                           "U8",  "F64", "I64",  "I8"};
    static const size_t sizes[SVR_DTYPE_COUNT] = {4, 2, 2, 1, 4, 1, 8, 8, 1};

    for (int i = 0; i < SVR_DTYPE_COUNT; i++) {
        CHECK(svr_dtype_from_safetensors(spellings[i]) == i);
        CHECK(strcmp(svr_dtype_to_safetensors((svr_dtype) i), spellings[i]) == 0);
        CHECK(svr_dtype_size((svr_dtype) i) == sizes[i]);
    }
    CHECK(strcmp(svr_dtype_name(SVR_BF16), "bf16") == 0);
    CHECK(svr_dtype_from_safetensors("f32") == -1 && svr_dtype_from_safetensors("") == -1);
    CHECK(svr_dtype_from_safetensors("F32 ") == -1);
}

int main(void)
{
    RUN(test_every_f16);
    RUN(test_every_bf16);
    RUN(test_every_e4m3);
    RUN(test_rounding);
    RUN(test_array_from_f32);
    RUN(test_array_to_f32);
    RUN(test_i8);
    RUN(test_names_and_sizes);
    return check_done();
}
