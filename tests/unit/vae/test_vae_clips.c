/* Clips that come and go with a half: an encoder that gives back what it has read, a decoder that
 * takes memory for what it makes. */
#include "fixture.h"

#include "random.h"

#include <stdlib.h>
#include <string.h>

/* Narrow at full size, so that the first and the last sweep are not the largest. */
static vae_rig open_narrow(void)
{
    svr_vae_config config = rig_small;

    config.channels[0] = 4;
    config.channels[1] = 32;
    config.channels[2] = 64;
    return rig_open(NULL, &config, SVR_F32);
}

static const int64_t clip[4] = {13, 24, 32, 3}, latent[4] = {4, 6, 8, 4};

/* Whole, in one sweep of small pieces, in many sweeps parked here and there. */
static const svr_vae_memory settings[] = {
    {0},
    {.piece_values = 1},
    {.piece_values = 1, .carried_values = 1},
    {.piece_values = 1, .carried_values = 1, .park_on_host = true},
    {.piece_values = 1, .carried_values = 20000, .park_on_host = true, .tight = 2}};
enum { SETTINGS = sizeof settings / sizeof settings[0], FIRST_WITH_SWEEPS = 2 };

static size_t elems(const int64_t d[4])
{
    return (size_t) (d[0] * d[1] * d[2] * d[3]);
}

static float *random_values(size_t count)
{
    test_random random = test_random_seed(5);
    float *values = malloc(count * sizeof *values);

    CHECK(values != NULL);
    test_random_fill(&random, values, count, 0.5f);
    return values;
}

static svr_tensor in_scratch(vae_rig *rig, const int64_t d[4], const float *values)
{
    svr_error err = {0};
    svr_tensor t;

    CHECK_OK(svr_exec_alloc(&rig->exec, SVR_F32, 4, d, &t, &err), err);
    if (values)
        memcpy(t.data, values, svr_tensor_bytes(&t));
    return t;
}

/* The encoder on a clip in scratch memory; its peak. */
static size_t encode(vae_rig *rig, const svr_vae_cut *cut, const float *values, bool consume,
                     float *out)
{
    svr_tensor moments = svr_tensor_4d(out, SVR_F32, latent[0], latent[1], latent[2], latent[3]);
    svr_error err = {0};
    svr_tensor x;

    rig_reset_scratch(rig);
    x = in_scratch(rig, clip, values);
    if (consume) {
        CHECK_OK(svr_vae_encode_consume(&rig->exec, rig->vae, cut, &x, &moments, &err), err);
        CHECK(!svr_tensor_present(&x));
    } else {
        CHECK_OK(svr_vae_encode(&rig->exec, rig->vae, cut, &x, &moments, &err), err);
        CHECK(svr_scratch_live(rig->exec.scratch) == svr_tensor_bytes(&x));
        CHECK(memcmp(x.data, values, svr_tensor_bytes(&x)) == 0);
        svr_exec_free(&rig->exec, &x);
    }
    CHECK(svr_scratch_live(rig->exec.scratch) == 0 && svr_scratch_live(rig->exec.host) == 0);
    return svr_scratch_peak(rig->exec.scratch);
}

static void test_the_clip_goes_when_it_is_read(void)
{
    vae_rig rig = open_narrow();
    float *values = random_values(elems(clip));
    float *want = rig_encode(&rig, &(svr_vae_cut){0}, values, clip, latent);
    float *got = malloc(elems(latent) * sizeof *got);

    CHECK(got != NULL);
    for (int i = 0; i < SETTINGS; i++) {
        svr_vae_cut cut = {.encoder = settings[i]};
        size_t kept = encode(&rig, &cut, values, false, got);

        CHECK(memcmp(got, want, elems(latent) * sizeof *got) == 0);
        memset(got, 0, elems(latent) * sizeof *got);
        size_t consumed = encode(&rig, &cut, values, true, got);

        CHECK(memcmp(got, want, elems(latent) * sizeof *got) == 0);
        CHECK(i < FIRST_WITH_SWEEPS ? consumed == kept : consumed < kept);
    }
    free(values), free(want), free(got);
    rig_close(&rig);
}

/* The decoder's first `frames` frames, in scratch memory from the start or when it wants it. */
static size_t decode(vae_rig *rig, const svr_vae_cut *cut, const float *values, int64_t frames,
                     bool late_memory, const float *want)
{
    svr_tensor z = svr_tensor_4d(NULL, SVR_F32, latent[0], latent[1], latent[2], latent[3]);
    svr_tensor y = svr_tensor_4d(NULL, SVR_F32, clip[0], clip[1], clip[2], clip[3]), first;
    size_t live;
    svr_error err = {0};

    rig_reset_scratch(rig);
    z = in_scratch(rig, latent, values);
    if (late_memory) {
        CHECK_OK(svr_vae_decode_new(&rig->exec, rig->vae, cut, &z, frames, &y, &err), err);
        first = svr_tensor_slice(&y, 0, frames);
    } else {
        y = in_scratch(rig, clip, NULL);
        first = svr_tensor_slice(&y, 0, frames);
        CHECK_OK(svr_vae_decode(&rig->exec, rig->vae, cut, &z, &first, &err), err);
    }
    CHECK(memcmp(first.data, want, svr_tensor_bytes(&first)) == 0);
    live = svr_tensor_bytes(&y) + svr_tensor_bytes(&z);
    CHECK(svr_scratch_live(rig->exec.scratch) == live && svr_scratch_live(rig->exec.host) == 0);
    return svr_scratch_peak(rig->exec.scratch);
}

static void test_the_picture_comes_when_it_is_made(void)
{
    vae_rig rig = open_narrow();
    float *values = random_values(elems(latent));
    float *want = rig_decode(&rig, &(svr_vae_cut){0}, values, latent, clip);

    for (int i = 0; i < SETTINGS; i++) {
        svr_vae_cut cut = {.decoder = settings[i]};

        for (int64_t frames = 1; frames <= 13; frames += 6) {
            size_t early = decode(&rig, &cut, values, frames, false, want);
            size_t new = decode(&rig, &cut, values, frames, true, want);

            CHECK(i < FIRST_WITH_SWEEPS ? new == early : new < early);
        }
    }
    free(values), free(want);
    rig_close(&rig);
}

/* With tiles that have statistics of their own both are there throughout. */
static void test_own_tiles(void)
{
    vae_rig rig = open_narrow();
    const svr_vae_cut cut = {.tile_h = 16, .tile_w = 16, .overlap_h = 4, .overlap_w = 4};
    float *values = random_values(elems(clip)), *got = malloc(elems(latent) * sizeof *got);
    float *moments = rig_encode(&rig, &cut, values, clip, latent), *picture;

    CHECK(got != NULL);
    encode(&rig, &cut, values, true, got);
    CHECK(memcmp(got, moments, elems(latent) * sizeof *got) == 0);
    picture = rig_decode(&rig, &cut, moments, latent, clip);
    decode(&rig, &cut, moments, clip[0], true, picture);
    free(values), free(got), free(moments), free(picture);
    rig_close(&rig);
}

/* With tiles that share them the clip goes behind the first stage, and the picture comes with the
 * last. */
static void test_shared_tiles(void)
{
    vae_rig rig = open_narrow();
    float *values = random_values(elems(clip)), *got = malloc(elems(latent) * sizeof *got);

    CHECK(got != NULL);
    for (int host = 0; host < 2; host++) {
        const svr_vae_memory memory = {.piece_values = 1, .park_on_host = host != 0, .tile = 28};
        const svr_vae_cut cut = {.encoder = memory, .decoder = memory};
        float *moments = rig_encode(&rig, &cut, values, clip, latent);
        float *picture = rig_decode(&rig, &cut, moments, latent, clip);
        size_t kept = encode(&rig, &cut, values, false, got);

        CHECK(encode(&rig, &cut, values, true, got) < kept);
        CHECK(memcmp(got, moments, elems(latent) * sizeof *got) == 0);
        for (int64_t frames = 1; frames <= 13; frames += 6)
            CHECK(decode(&rig, &cut, moments, frames, true, picture) <
                  decode(&rig, &cut, moments, frames, false, picture));
        free(moments), free(picture);
    }
    free(values), free(got);
    rig_close(&rig);
}

int main(void)
{
    RUN(test_the_clip_goes_when_it_is_read);
    RUN(test_the_picture_comes_when_it_is_made);
    RUN(test_own_tiles);
    RUN(test_shared_tiles);
    return check_done();
}
