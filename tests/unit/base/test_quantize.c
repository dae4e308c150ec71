/* base/quantize: rows against the definition, rows that count as 0, NaN. */
#include "base/quantize.h"

#include "check.h"
#include "random.h"

#include <math.h>
#include <string.h>

enum { MOST = 5000 };

/* Every value is within half a step of e4m3 of x / scale, and the largest one is 448. */
static void check_row(const float *x, size_t n)
{
    uint8_t y[MOST];
    float scale = svr_quantize_row(x, n, SVR_F8_E4M3, y), most = 0;
    int largest = 0;

    for (size_t i = 0; i < n; i++)
        most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
    CHECK(fabsf(scale * SVR_F8_E4M3_MAX - most) <= most * 0x1p-23f);
    for (size_t i = 0; i < n; i++) {
        double want = (double) x[i] / (double) scale, got = (double) svr_f8_e4m3_to_f32(y[i]);
        double step = fabs(want) < 0x1p-6 ? 0x1p-9 : ldexp(1, ilogb(want) - 3);

        CHECK(fabs(got - want) <= step * (0.5 + 1e-5));
        CHECK(!signbit(x[i]) == !(y[i] & 0x80));
        largest += (y[i] & 0x7f) == 0x7e;
    }
    CHECK(largest >= 1);
}

/* The same for integers, and the way back. */
static void check_integers(const float *x, size_t n)
{
    static float back[MOST];
    int8_t y[MOST];
    float scale = svr_quantize_row(x, n, SVR_I8, y), most = 0;
    int largest = 0;

    for (size_t i = 0; i < n; i++)
        most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
    CHECK(fabsf(scale * SVR_I8_MAX - most) <= most * 0x1p-23f);
    svr_dequantize_row(y, n, SVR_I8, scale, back);
    for (size_t i = 0; i < n; i++) {
        CHECK(y[i] >= -127);
        CHECK(fabs((double) x[i] / (double) scale - y[i]) <= 0.5 + 1e-4);
        CHECK(back[i] == scale * (float) y[i]);
        largest += y[i] == 127 || y[i] == -127;
    }
    CHECK(largest >= 1);
}

static void test_rows(void)
{
    static const size_t sizes[] = {1, 2, 15, 16, 17, 1023, 1024, 1025, MOST};
    test_random random = test_random_seed(3);
    float x[MOST];

    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
        for (int power = -80; power <= 120; power += 40) {
            for (size_t i = 0; i < sizes[s]; i++)
                x[i] = ldexpf(test_random_normal(&random), power);
            check_row(x, sizes[s]);
            check_integers(x, sizes[s]);
        }
    x[16] = -1e4f; /* the largest magnitude behind whole vectors, and negative */
    check_row(x, 17);
    check_integers(x, 17);
}

/* A row whose scale is 1 shows how halves go; a quantised row quantises to itself. */
static void test_integers(void)
{
    const float x[8] = {127, 0.5f, 1.5f, -0.5f, -2.5f, 126.5f, -126.5f, 3};
    static const int8_t want[8] = {127, 0, 2, 0, -2, 126, -126, 3};
    float back[8];
    int8_t y[8], again[8];

    CHECK(svr_quantize_row(x, 8, SVR_I8, y) == 1.0f);
    CHECK(memcmp(y, want, 8) == 0);
    for (int power = -60; power <= 60; power += 30) {
        float scale = ldexpf(1.0f, power);

        svr_dequantize_row(y, 8, SVR_I8, scale, back);
        CHECK(svr_quantize_row(back, 8, SVR_I8, again) == scale && memcmp(again, y, 8) == 0);
    }
    svr_dequantize_row((const uint8_t[]){0x7e, 0x38, 0xb8}, 3, SVR_F8_E4M3, 0.25f, back);
    CHECK(back[0] == 112 && back[1] == 0.25f && back[2] == -0.25f);
}

static void test_rows_of_nothing(void)
{
    float x[40] = {0};
    uint8_t y[40];

    for (int i = 0; i < 40; i++)
        x[i] = i % 2 ? -0x1p-101f : 0.0f;
    memset(y, 7, sizeof y);
    CHECK(svr_quantize_row(x, 40, SVR_F8_E4M3, y) == 1.0f);
    for (int i = 0; i < 40; i++)
        CHECK(y[i] == 0);
    x[3] = 0x1p-100f; /* just enough */
    CHECK(svr_quantize_row(x, 40, SVR_F8_E4M3, y) == 0x1p-100f / 448 && y[3] == 0x7e);
    CHECK(svr_quantize_row(x, 40, SVR_I8, y) == 0x1p-100f / 127 && y[3] == 127 && y[5] == 256 - 64);
    x[3] = 0;
    memset(y, 7, sizeof y);
    CHECK(svr_quantize_row(x, 40, SVR_I8, y) == 1.0f && y[0] == 0 && y[39] == 0);
}

static void test_nan_stays(void)
{
    for (int at = 0; at < 20; at++) {
        float x[20] = {1, 2, 3};
        uint8_t y[20];

        x[at] = NAN;
        CHECK(isnan(svr_quantize_row(x, 20, SVR_F8_E4M3, y)));
        CHECK((y[at] & 0x7f) == 0x7f);
        CHECK(isnan(svr_quantize_row(x, 20, SVR_I8, y)));
    }
}

int main(void)
{
    RUN(test_rows);
    RUN(test_integers);
    RUN(test_rows_of_nothing);
    RUN(test_nan_stays);
    return check_done();
}
