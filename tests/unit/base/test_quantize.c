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
    float scale = svr_quantize_row(x, n, y), most = 0;
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
        }
    x[16] = -1e4f; /* the largest magnitude behind whole vectors, and negative */
    check_row(x, 17);
}

static void test_rows_of_nothing(void)
{
    float x[40] = {0};
    uint8_t y[40];

    for (int i = 0; i < 40; i++)
        x[i] = i % 2 ? -0x1p-101f : 0.0f;
    memset(y, 7, sizeof y);
    CHECK(svr_quantize_row(x, 40, y) == 1.0f);
    for (int i = 0; i < 40; i++)
        CHECK(y[i] == 0);
    x[3] = 0x1p-100f; /* just enough */
    CHECK(svr_quantize_row(x, 40, y) == 0x1p-100f / 448 && y[3] == 0x7e);
}

static void test_nan_stays(void)
{
    for (int at = 0; at < 20; at++) {
        float x[20] = {1, 2, 3};
        uint8_t y[20];

        x[at] = NAN;
        CHECK(isnan(svr_quantize_row(x, 20, y)));
        CHECK((y[at] & 0x7f) == 0x7f);
    }
}

int main(void)
{
    RUN(test_rows);
    RUN(test_rows_of_nothing);
    RUN(test_nan_stays);
    return check_done();
}
