/* Frames parked in 8 bits: how much that changes, and that nothing else does. */
#include "sample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double relative_error(const float *got, const float *want, size_t n)
{
    double error = 0, norm = 0;

    for (size_t i = 0; i < n; i++) {
        double d = (double) got[i] - (double) want[i];

        error += d * d;
        norm += (double) want[i] * (double) want[i];
    }
    return sqrt(error / norm);
}

/* What all parkings together may add, relative to the result.  One rounds each value by half a unit
 * at most, its square by a third of that in the mean: a unit is 1/254 of what a run spans, which is
 * less than six times the root mean square of bell-shaped values, or 2^-3 of the distance from the
 * middle.  Errors of n parkings are independent of each other, and layers that are normalised pass
 * them on as they are, but for a factor of 2 that chance is given. */
static double error_bound(svr_dtype type, int parkings)
{
    double unit = type == SVR_I8 ? 6.0 / 254 : 0.125;

    return 2 * sqrt(parkings) * unit / 2 / sqrt(3);
}

/* A clip through a half in 8 bits, and what it copied. */
typedef struct packed_run {
    float *y;
    memory_use use, plain; /* in the same sweeps with frames as they are */
} packed_run;

static packed_run run_packed(const sample *s, svr_backend *counting, int half,
                             svr_vae_memory memory)
{
    packed_run r = {.y = sample_run_counted(s, counting, half, &memory),
                    .use = sample_count(s, counting, half, &memory)};

    memory.parked = SVR_F32;
    r.plain = sample_count(s, counting, half, &memory);
    CHECK(r.use.out <= r.plain.out);
    return r;
}

static void check_close(const sample *s, int half, const float *y, const svr_vae_memory *memory,
                        bool packs)
{
    enum { MOST_PARKINGS = 20 };
    double error = relative_error(y, s->whole[half], s->elems[half]);

    CHECK((error > 0) == packs);
    CHECK(error <= error_bound(memory->parked, MOST_PARKINGS));
}

/* Frames are packed the same wherever they are parked, and come back the same in bands of rows; but
 * where statistics of a banded result are those of the packed one. */
static void check_packed(const sample *s, svr_backend *counting, svr_vae_memory memory)
{
    for (int half = 0; half < HALVES; half++) {
        packed_run device, host;
        size_t bytes = s->elems[half] * sizeof(float);
        bool banded;

        memory.park_on_host = false;
        device = run_packed(s, counting, half, memory);
        memory.park_on_host = true;
        memory.tight = 0;
        host = run_packed(s, counting, half, memory);
        banded = host.use.in > host.use.out;
        if (!banded || memory.parked_exact & SVR_VAE_PARKED_INNER)
            CHECK(memcmp(device.y, host.y, bytes) == 0);
        check_close(s, half, device.y, &memory, host.use.out < host.plain.out);
        check_close(s, half, host.y, &memory, host.use.out < host.plain.out);
        free(device.y);
        memory.tight = 2;
        device = run_packed(s, counting, half, memory);
        CHECK(memcmp(device.y, host.y, bytes) == 0);
        free(device.y), free(host.y);
    }
}

/* Both types; with every step in a sweep of its own, all choices of what stays as it is. */
static void check_packed_types(const sample *s, svr_backend *counting, svr_vae_memory memory)
{
    static const svr_dtype types[] = {SVR_F8_E4M3, SVR_I8};
    unsigned exact = memory.carried_values == 1 ? SVR_VAE_PARKED_ALL : 0;

    for (int t = 0; t < 2; t++)
        for (memory.parked_exact = 0; memory.parked_exact <= exact; memory.parked_exact++) {
            memory.parked = types[t];
            check_packed(s, counting, memory);
        }
}

static void check_packed_network(const svr_vae_config *config, int64_t h, int64_t w)
{
    static const int64_t frames[] = {5, 13}, pieces[] = {1, 700}, carried[] = {0, 1, 3000};
    vae_rig rig = rig_open(NULL, config, SVR_F32);
    svr_backend *counting = svr_counting_backend_create(rig.backend);

    CHECK(counting != NULL);
    for (int i = 0; i < 2; i++) {
        sample s = sample_make(&rig, frames[i], h, w);

        for (int c = 0; c < 3; c++)
            check_packed_types(
                &s, counting,
                (svr_vae_memory){.piece_values = pieces[i], .carried_values = carried[c]});
        sample_free(&s);
    }
    svr_backend_destroy(counting);
    rig_close(&rig);
}

static void test_packed_small_network(void)
{
    check_packed_network(&rig_small, 3, 5);
}

static void test_packed_deep_network(void)
{
    check_packed_network(&sample_deep, 1, 2);
}

/* An infinity in a frame shows in all that it reaches, and not before it. */
static void test_packed_overflow(void)
{
    static const svr_dtype types[] = {SVR_F8_E4M3, SVR_I8};
    vae_rig rig = rig_open(NULL, &rig_small, SVR_F16);
    sample s = sample_make(&rig, 13, 3, 2);
    svr_vae_memory memory = {.piece_values = 1, .carried_values = 1};
    const size_t latent = (size_t) 3 * 2 * 4;
    float *plain;

    /* the third of four latent frames */
    s.values[DECODE][2 * latent + 5] = INFINITY;
    plain = sample_run(&s, DECODE, &memory);
    for (int t = 0; t < 2; t++) {
        float *packed;
        size_t finite = 0;

        memory.parked = types[t];
        packed = sample_run(&s, DECODE, &memory);
        for (size_t i = 0; i < s.elems[DECODE]; i++) {
            CHECK(isfinite(packed[i]) == isfinite(plain[i]));
            finite += isfinite(plain[i]) != 0;
        }
        CHECK(finite == s.elems[DECODE] / 13 * 5);
        free(packed);
    }
    free(plain);
    sample_free(&s);
    rig_close(&rig);
}

int main(void)
{
    RUN(test_packed_small_network);
    RUN(test_packed_deep_network);
    RUN(test_packed_overflow);
    return check_done();
}
