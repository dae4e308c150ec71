/* base/rng: Philox known answers (Random123 kat_vectors), position noise against the golden file
 * (named on the command line), its moments, and independence of streams. */
#include "base/rng.h"
#include "weights/safetensors.h"

#include "check.h"

#include <math.h>
#include <string.h>

static const char *golden_path;

static void check_philox(const uint32_t counter[4], const uint32_t key[2], const uint32_t want[4])
{
    uint32_t got[4];

    svr_philox4x32(counter, key, got);
    CHECK(memcmp(got, want, sizeof got) == 0);
}

static void test_known_answers(void)
{
    check_philox((uint32_t[4]){0}, (uint32_t[2]){0},
                 (uint32_t[4]){0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
    check_philox((uint32_t[4]){0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
                 (uint32_t[2]){0xffffffff, 0xffffffff},
                 (uint32_t[4]){0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
    check_philox((uint32_t[4]){0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                 (uint32_t[2]){0xa4093822, 0x299f31d0},
                 (uint32_t[4]){0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

/* A tensor that the file must have. */
static const svr_safetensors_entry *entry(const svr_safetensors *file, const char *name)
{
    const svr_safetensors_entry *e = svr_safetensors_find(file, name);

    CHECK(e != NULL);
    return e;
}

static void compare_noise(const svr_safetensors *file, const char *name, uint32_t stream)
{
    const svr_safetensors_entry *e = entry(file, name);
    const int64_t *dims = e->dims;
    const char *data = e->data;
    int32_t origin[3];
    int64_t seed;

    CHECK(e->rank == 4 && e->dtype == SVR_F32 && dims[3] % 4 == 0 && dims[0] * dims[1] > 1);
    memcpy(&seed, entry(file, "seed")->data, sizeof seed);
    memcpy(origin, entry(file, "t0_y0_x0")->data, sizeof origin);
    for (int64_t i = 0; i < dims[0] * dims[1] * dims[2] * dims[3] / 4; i++) {
        int64_t group = i % (dims[3] / 4), x = i / (dims[3] / 4) % dims[2];
        int64_t y = i / (dims[3] / 4) / dims[2] % dims[1];
        int64_t t = i / (dims[3] / 4) / dims[2] / dims[1];
        uint32_t at[4] = {(uint32_t) (x + origin[2]), (uint32_t) (y + origin[1]),
                          (uint32_t) (t + origin[0]), (uint32_t) group};
        float want[4], got[4];

        memcpy(want, data + 16 * i, sizeof want);
        svr_position_noise((uint64_t) seed, stream, at, got);
        for (int c = 0; c < 4; c++)
            CHECK_NEAR(got[c], want[c], 1e-6); /* double arithmetic on both sides, rounded once */
    }
}

static void test_golden_noise(void)
{
    svr_safetensors *file;
    svr_error err = {0};

    CHECK_OK(svr_safetensors_open(golden_path, &file, &err), err);
    compare_noise(file, "noise", SVR_NOISE_BASE);
    compare_noise(file, "stream1", SVR_NOISE_AUGMENT);
    svr_safetensors_close(file);
}

/* Mean and variance of N values of N(0,1) stay within five standard errors; pairs of one Box-Muller
 * draw are uncorrelated. */
static void test_moments(void)
{
    enum { BLOCKS = 50000, VALUES = 4 * BLOCKS };
    double sum = 0, squares = 0, fourth = 0, product = 0;

    for (uint32_t i = 0; i < BLOCKS; i++) {
        float v[4];

        svr_position_noise(42, SVR_NOISE_BASE, (uint32_t[4]){i % 250, i / 250, 0, 1}, v);
        for (int c = 0; c < 4; c++) {
            sum += v[c];
            squares += (double) v[c] * v[c];
            fourth += (double) v[c] * v[c] * v[c] * v[c];
        }
        product += (double) v[0] * v[1] + (double) v[2] * v[3];
    }
    CHECK_NEAR(sum / VALUES, 0, 5 / sqrt(VALUES));
    CHECK_NEAR(squares / VALUES, 1, 5 * sqrt(2.0 / VALUES));
    CHECK_NEAR(fourth / VALUES, 3, 5 * sqrt(96.0 / VALUES));
    CHECK_NEAR(product / (VALUES / 2), 0, 5 / sqrt(VALUES / 2));
}

/* Each part of the key changes all four values. */
static void test_every_coordinate_matters(void)
{
    float base[4], other[4];

    svr_position_noise(7, 0, (uint32_t[4]){1, 2, 3, 0}, base);
    for (int part = 0; part < 7; part++) {
        uint32_t at[4] = {1, 2, 3, 0};
        uint64_t seed = part == 4 ? 8 : part == 5 ? 7 + (1ull << 32) : 7;

        if (part < 4)
            at[part]++;
        svr_position_noise(seed, part == 6 ? 1 : 0, at, other);
        for (int c = 0; c < 4; c++)
            CHECK(other[c] != base[c]);
    }
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    golden_path = argv[1];
    RUN(test_known_answers);
    RUN(test_golden_noise);
    RUN(test_moments);
    RUN(test_every_coordinate_matters);
    return check_done();
}
