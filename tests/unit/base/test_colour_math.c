/* base/colour_math: published sRGB, Lab (D65) and HSV values of single colours, and round trips. */
#include "base/colour_math.h"

#include "check.h"
#include "random.h"

static void check_lab(float r, float g, float b, const float want[3])
{
    float rgb[3] = {r, g, b}, lab[3], back[3];

    svr_lab_from_unit(rgb, lab);
    svr_unit_from_lab(lab, back);
    for (int i = 0; i < 3; i++) {
        CHECK_NEAR(lab[i], want[i], 6e-4); /* the table has four decimals */
        CHECK_NEAR(back[i], rgb[i], 2e-5);
    }
}

static void test_model_range(void)
{
    CHECK(svr_unit_from_model(-1) == 0 && svr_unit_from_model(1) == 1);
    CHECK(svr_unit_from_model(0) == 0.5f && svr_unit_from_model(-0.5f) == 0.25f);
    CHECK(svr_unit_from_model(-1.01f) == 0 && svr_unit_from_model(7) == 1);
}

static void test_srgb_curve(void)
{
    CHECK_NEAR(svr_srgb_decode(0.5f), 0.2140411, 1e-7);
    CHECK_NEAR(svr_srgb_decode(0.04f), 0.04 / 12.92, 1e-9); /* the linear foot */
    CHECK_NEAR(svr_srgb_encode(0.5f), 0.7353570, 1e-6);
    CHECK_NEAR(svr_srgb_encode(0.002f), 0.02584, 1e-8);
    for (int i = 0; i <= 1000; i++) {
        float u = (float) i / 1000;

        CHECK_NEAR(svr_srgb_encode(svr_srgb_decode(u)), u, 1e-6);
    }
}

static void test_lab_of_colours(void)
{
    check_lab(0, 0, 0, (float[3]){0, 0, 0});
    check_lab(1, 1, 1, (float[3]){100, 0, 0});
    check_lab(1, 0, 0, (float[3]){53.2408f, 80.0925f, 67.2032f});
    check_lab(0, 1, 0, (float[3]){87.7347f, -86.1827f, 83.1793f});
    check_lab(0, 0, 1, (float[3]){32.2970f, 79.1875f, -107.8602f});
    check_lab(0.5f, 0.5f, 0.5f, (float[3]){53.3890f, 0, 0});
    check_lab(0.02f, 0.03f, 0.01f, (float[3]){1.8478f, -1.3760f, 1.6952f}); /* linear foot of f */
    check_lab(0.2f, 0.6f, 0.9f, (float[3]){60.9297f, -3.0568f, -46.8419f});
}

static void test_lab_outside_is_clamped(void)
{
    float rgb[3];

    svr_unit_from_lab((float[3]){120, 0, 0}, rgb);
    CHECK(rgb[0] == 1 && rgb[1] == 1 && rgb[2] == 1);
    svr_unit_from_lab((float[3]){50, 120, 0}, rgb);
    CHECK(rgb[0] == 1 && rgb[1] == 0);
}

static void check_hsv(float r, float g, float b, const float want[3])
{
    float hsv[3];

    svr_hsv_from_unit((float[3]){r, g, b}, hsv);
    for (int i = 0; i < 3; i++)
        CHECK_NEAR(hsv[i], want[i], 1e-6);
}

static void test_hsv_of_colours(void)
{
    check_hsv(0, 0, 0, (float[3]){0, 0, 0});
    check_hsv(0.4f, 0.4f, 0.4f, (float[3]){0, 0, 0.4f});
    check_hsv(1, 0, 0, (float[3]){0, 1, 1});
    check_hsv(0, 1, 0, (float[3]){1.0f / 3, 1, 1});
    check_hsv(0, 0, 1, (float[3]){2.0f / 3, 1, 1});
    check_hsv(0.2f, 0.6f, 0.9f, (float[3]){4.0f / 7, 7.0f / 9, 0.9f});
    check_hsv(0.9f, 0.2f, 0.5f, (float[3]){13.0f / 14, 7.0f / 9, 0.9f}); /* negative hue wraps */
    check_hsv(0.25f, 0.5f, 0.125f, (float[3]){5.0f / 18, 0.75f, 0.5f});
}

/* Two equal maxima: blue before green before red. */
static void test_hsv_ties(void)
{
    check_hsv(1, 0, 1, (float[3]){5.0f / 6, 1, 1});
    check_hsv(0, 1, 1, (float[3]){0.5f, 1, 1});
    check_hsv(1, 1, 0, (float[3]){1.0f / 6, 1, 1});
}

static void test_hsv_round_trip(void)
{
    test_random random = test_random_seed(3);

    for (int n = 0; n < 10000; n++) {
        float rgb[3], hsv[3], back[3];

        for (int i = 0; i < 3; i++)
            rgb[i] = test_random_uniform(&random, 0, 1);
        svr_hsv_from_unit(rgb, hsv);
        svr_unit_from_hsv(hsv, back);
        CHECK(hsv[0] >= 0 && hsv[0] < 1);
        for (int i = 0; i < 3; i++)
            CHECK_NEAR(back[i], rgb[i], 2e-6);
    }
}

int main(void)
{
    RUN(test_model_range);
    RUN(test_srgb_curve);
    RUN(test_lab_of_colours);
    RUN(test_lab_outside_is_clamped);
    RUN(test_hsv_of_colours);
    RUN(test_hsv_ties);
    RUN(test_hsv_round_trip);
    return check_done();
}
