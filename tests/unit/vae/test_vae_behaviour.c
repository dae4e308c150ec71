/* Memory, errors and special weights of the VAE, on a small network with random weights. */
#include "fixture.h"

#include "random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 16, FACTOR = 4 };

static float *random_clip(int64_t frames, int64_t size, int64_t channels, int64_t dims[4])
{
    size_t n = (size_t) (frames * size * size * channels);
    float *x = malloc(n * sizeof *x);
    test_random random = test_random_seed(7);

    CHECK(x != NULL);
    test_random_fill(&random, x, n, 0.5f);
    memcpy(dims, (int64_t[4]){frames, size, size, channels}, 4 * sizeof dims[0]);
    return x;
}

/* Scratch peaks of both halves for a clip of 4n+1 frames. */
static void peaks(vae_rig *rig, int slice_frames, int64_t n, size_t out[2])
{
    svr_vae_cut cut = {.slice_frames = slice_frames};
    int64_t in[4], zin[4];
    float *x = random_clip(4 * n + 1, SIZE, 3, in);
    float *z = random_clip(n + 1, SIZE / FACTOR, rig_small.latent_channels, zin);

    free(rig_encode(rig, &cut, x, in, zin));
    out[0] = svr_scratch_peak(rig->exec.scratch);
    free(rig_decode(rig, &cut, z, zin, in));
    out[1] = svr_scratch_peak(rig->exec.scratch);
    free(x), free(z);
}

static void test_memory_does_not_grow_with_the_clip(void)
{
    vae_rig rig = rig_open(NULL, &rig_small, SVR_F32);
    size_t three[2], eight[2], whole[2];

    peaks(&rig, 4, 3, three);
    peaks(&rig, 4, 8, eight);
    peaks(&rig, 0, 8, whole);
    for (int half = 0; half < 2; half++) {
        CHECK(three[half] == eight[half]);
        CHECK(eight[half] * 2 < whole[half]);
    }
    rig_close(&rig);
}

/* What the planner counts is what a run takes. */
static void test_counting_backend_predicts_the_peak(void)
{
    vae_rig rig = rig_open(NULL, &rig_small, SVR_F16);
    svr_backend *counting = svr_counting_backend_create(rig.backend);
    const svr_vae_cut cuts[] = {
        {0},
        {.slice_frames = 4},
        {.slice_frames = 4, .tile_h = 8, .tile_w = 8, .overlap_h = 4, .overlap_w = 4}};
    svr_error err = {0};

    CHECK(counting != NULL);
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        int64_t in[4], zin[4];
        float *x = random_clip(13, SIZE, 3, in);
        float *z = random_clip(4, SIZE / FACTOR, rig_small.latent_channels, zin);
        svr_exec dry = {.backend = counting, .scratch = svr_scratch_create_counting()};
        /* beyond any scratch address, as memory of another allocation is */
        svr_tensor fake_x =
            svr_tensor_4d((void *) 0xC000000000000000u, SVR_F16, in[0], in[1], in[2], in[3]);
        svr_tensor fake_z =
            svr_tensor_4d((void *) 0xD000000000000000u, SVR_F32, zin[0], zin[1], zin[2], zin[3]);

        CHECK_OK(svr_vae_encode(&dry, rig.vae, &cuts[i], &fake_x, &fake_z, &err), err);
        free(rig_encode(&rig, &cuts[i], x, in, zin));
        CHECK(svr_scratch_peak(dry.scratch) == svr_scratch_peak(rig.exec.scratch));
        svr_scratch_destroy(dry.scratch);
        free(x), free(z);
    }
    svr_backend_destroy(counting);
    rig_close(&rig);
}

/* Clips of every length and odd sizes, in slices that do not divide them. */
static void test_slices_of_any_length(void)
{
    vae_rig rig = rig_open(NULL, &rig_small, SVR_F32);

    for (int64_t n = 1; n <= 5; n++) {
        int64_t zin[4], out[4] = {4 * n + 1, 12, 12, 3};
        float *z = random_clip(n + 1, 3, rig_small.latent_channels, zin);
        float *whole = rig_decode(&rig, &(svr_vae_cut){0}, z, zin, out);
        float *encoded = rig_encode(&rig, &(svr_vae_cut){0}, whole, out, zin);

        for (int slice = 4; slice <= 12; slice += 4) {
            svr_vae_cut cut = {.slice_frames = slice};
            float *y = rig_decode(&rig, &cut, z, zin, out);
            float *m = rig_encode(&rig, &cut, whole, out, zin);

            CHECK(memcmp(y, whole, (size_t) (out[0] * 12 * 12 * 3) * sizeof *y) == 0);
            CHECK(memcmp(m, encoded, (size_t) (zin[0] * 3 * 3 * 4) * sizeof *m) == 0);
            free(y), free(m);
        }
        free(z), free(whole), free(encoded);
    }
    rig_close(&rig);
}

/* A result of fewer frames is the beginning of the whole one, to the bit. */
static void check_first_frames(vae_rig *rig, const svr_vae_cut *cut, const float *z,
                               const int64_t zin[4], const float *whole)
{
    int64_t frames = 4 * (zin[0] - 1) + 1;

    for (int64_t fewer = frames > 4 ? frames - 4 : 1; fewer < frames; fewer++) {
        int64_t out[4] = {fewer, 12, 12, 3};
        float *y = rig_decode(rig, cut, z, zin, out);

        CHECK(memcmp(y, whole, (size_t) (fewer * 12 * 12 * 3) * sizeof *y) == 0);
        free(y);
    }
}

/* Pieces of every size give the frames of the whole clip, and what is planned is what is taken. */
static void test_decoder_in_pieces(void)
{
    vae_rig rig = rig_open(NULL, &rig_small, SVR_F32);
    svr_backend *counting = svr_counting_backend_create(rig.backend);
    svr_error err = {0};

    CHECK(counting != NULL);
    for (int64_t n = 0; n <= 5; n++) {
        int64_t zin[4], out[4] = {4 * n + 1, 12, 12, 3};
        float *z = random_clip(n + 1, 3, rig_small.latent_channels, zin);
        float *whole = rig_decode(&rig, &(svr_vae_cut){0}, z, zin, out);

        for (int64_t values = 1; values < 40000; values = values * 3 + 1) {
            svr_vae_cut cut = {.slice_frames = 4, .decoder.piece_values = values};
            svr_exec dry = {.backend = counting, .scratch = svr_scratch_create_counting()};
            svr_tensor fake_z = svr_tensor_4d((void *) 0xD000000000000000u, SVR_F32, zin[0], zin[1],
                                              zin[2], zin[3]);
            svr_tensor fake_y = svr_tensor_4d((void *) 0xC000000000000000u, SVR_F32, out[0], out[1],
                                              out[2], out[3]);
            float *y = rig_decode(&rig, &cut, z, zin, out);

            CHECK(memcmp(y, whole, (size_t) (out[0] * 12 * 12 * 3) * sizeof *y) == 0);
            check_first_frames(&rig, &cut, z, zin, y);
            CHECK_OK(svr_vae_decode(&dry, rig.vae, &cut, &fake_z, &fake_y, &err), err);
            CHECK(svr_scratch_peak(dry.scratch) == svr_scratch_peak(rig.exec.scratch));
            svr_scratch_destroy(dry.scratch);
            free(y);
        }
        free(z), free(whole);
    }
    svr_backend_destroy(counting);
    rig_close(&rig);
}

/* The wide end holds one frame however many come. */
static void test_pieces_bound_the_memory(void)
{
    vae_rig rig = rig_open(NULL, &rig_small, SVR_F32);
    svr_vae_cut piece = {.decoder.piece_values = 1}, slice = {.slice_frames = 4};
    size_t peak[3];

    for (int i = 0; i < 3; i++) {
        int64_t zin[4], n = i == 1 ? 8 : 4, out[4] = {4 * n + 1, SIZE, SIZE, 3};
        float *z = random_clip(n + 1, SIZE / FACTOR, rig_small.latent_channels, zin);

        free(rig_decode(&rig, i == 2 ? &slice : &piece, z, zin, out));
        peak[i] = svr_scratch_peak(rig.exec.scratch);
        free(z);
    }
    CHECK(peak[0] == peak[1] && peak[0] < peak[2]);
    rig_close(&rig);
}

/* Columns [first, first + width) of z [T,h,w,C] in new memory; their sizes go to `dims`. */
static float *columns_of(const float *z, const int64_t zin[4], int64_t first, int64_t width,
                         int64_t dims[4])
{
    size_t run = (size_t) (width * zin[3]);
    float *part = malloc((size_t) (zin[0] * zin[1]) * run * sizeof *part);

    CHECK(part != NULL);
    memcpy(dims, zin, 4 * sizeof dims[0]);
    dims[2] = width;
    for (int64_t row = 0; row < zin[0] * zin[1]; row++)
        memcpy(part + (size_t) row * run, z + (row * zin[2] + first) * zin[3], run * sizeof *part);
    return part;
}

/* Two tiles side by side: each alone where the other does not reach, between both where they
 * overlap. */
static void test_decoded_tiles_are_blended(void)
{
    enum { LATENT_W = 4, TILE_W = 3, W = LATENT_W * FACTOR, TW = TILE_W * FACTOR };
    vae_rig rig = rig_open(NULL, &rig_small, SVR_F32);
    svr_vae_cut cut = {
        .tile_h = 2 * FACTOR, .tile_w = TW, .overlap_h = FACTOR, .overlap_w = 2 * FACTOR};
    int64_t square[4], zin[4], part[4], out[4] = {5, 2 * FACTOR, W, 3};
    int64_t tile_out[4] = {5, 2 * FACTOR, TW, 3};
    float *z4 = random_clip(2, LATENT_W, rig_small.latent_channels, square);
    /* [2,4,4,C] read as [2,2,4,C]: the first two rows of a frame, then the others */
    memcpy(zin, square, sizeof zin);
    zin[1] = 2;
    float *tiled = rig_decode(&rig, &cut, z4, zin, out), *tile[2];

    for (int i = 0; i < 2; i++) {
        float *z = columns_of(z4, zin, i, TILE_W, part);
        tile[i] = rig_decode(&rig, &(svr_vae_cut){0}, z, part, tile_out);
        free(z);
    }
    for (int64_t n = 0; n < out[0] * out[1] * W * 3; n++) {
        int64_t row = n / (W * 3), x = n / 3 % W, c = n % 3;
        bool has[2] = {x < TW, x >= FACTOR};
        float a = has[0] ? tile[0][(row * TW + x) * 3 + c] : 0.0f;
        float b = has[1] ? tile[1][(row * TW + x - FACTOR) * 3 + c] : a;

        a = has[0] ? a : b;
        CHECK(tiled[n] >= fminf(a, b) - 2e-5f && tiled[n] <= fmaxf(a, b) + 2e-5f);
    }
    free(z4), free(tiled), free(tile[0]), free(tile[1]);
    rig_close(&rig);
}

/* Values 0 for every output projection of an attention, 0.01 elsewhere. */
static svr_status zero_attention(void *user, const svr_weight_spec *spec, size_t first,
                                 size_t count, float *dst, svr_error *err)
{
    (void) user;
    (void) first;
    (void) err;
    for (size_t i = 0; i < count; i++)
        dst[i] = strstr(spec->name, ".to_out.0.") ? 0.0f : 0.01f;
    return SVR_OK;
}

/* Two mid blocks, each without its norm, four matrices and four biases. */
static void test_zero_attention_is_left_out(void)
{
    vae_rig rig = rig_open(NULL, &rig_small, SVR_F32);
    const size_t top = 32, vector = 256, matrix = top * top * sizeof(float);
    svr_weights *weights = NULL;
    svr_store *store = NULL;
    svr_vae *vae = NULL;
    svr_error err = {0};

    CHECK_OK(svr_weights_generate_vae(&rig_small, zero_attention, NULL, &weights, &err), err);
    CHECK_OK(svr_store_create(rig.backend, weights, SVR_F32, SVR_VAE_GROUPS, &store, &err), err);
    CHECK_OK(svr_vae_create(&rig_small, store, &vae, &err), err);
    for (int half = 0; half < SVR_VAE_GROUPS; half++)
        CHECK(svr_store_group_bytes(store, half) + 6 * vector + 4 * matrix ==
              svr_store_group_bytes(rig.store, half));
    svr_vae_destroy(vae);
    svr_store_destroy(store);
    svr_weights_destroy(weights);
    rig_close(&rig);
}

/* A smaller result is the top left of the whole one's first frames, in one piece or in many. */
static void test_cropped_results(void)
{
    enum { T = 5, H = 16, W = 16, SMALL_T = 4, SMALL_H = 13, SMALL_W = 10 };
    vae_rig rig = rig_open(NULL, &rig_small, SVR_F32);
    float z[2 * 4 * 4 * 4], whole[T * H * W * 3], part[SMALL_T * SMALL_H * SMALL_W * 3];
    svr_tensor latent = svr_tensor_4d(z, SVR_F32, 2, 4, 4, 4);
    svr_tensor y = svr_tensor_4d(whole, SVR_F32, T, H, W, 3);
    svr_tensor cropped = svr_tensor_4d(part, SVR_F32, SMALL_T, SMALL_H, SMALL_W, 3);
    svr_error err = {0};

    for (size_t i = 0; i < sizeof z / sizeof z[0]; i++)
        z[i] = (float) ((i * 2654435761u >> 8) % 2001) / 1000.0f - 1.0f;
    for (int64_t piece = 0; piece < 2; piece++) {
        svr_vae_cut cut = {.decoder.piece_values = piece};

        CHECK_OK(svr_vae_decode(&rig.exec, rig.vae, &cut, &latent, &y, &err), err);
        CHECK_OK(svr_vae_decode(&rig.exec, rig.vae, &cut, &latent, &cropped, &err), err);
        for (int t = 0; t < SMALL_T; t++)
            for (int i = 0; i < SMALL_H; i++)
                CHECK(memcmp(part + (t * SMALL_H + i) * SMALL_W * 3, whole + (t * H + i) * W * 3,
                             SMALL_W * 3 * sizeof part[0]) == 0);
    }
    rig_close(&rig);
}

static void test_refusals(void)
{
    vae_rig rig = rig_open(NULL, &rig_small, SVR_F32);
    float values[5 * 16 * 16 * 3] = {0}, moments[2 * 4 * 4 * 8] = {0};
    svr_tensor x = svr_tensor_4d(values, SVR_F32, 5, 16, 16, 3);
    svr_tensor m = svr_tensor_4d(moments, SVR_F32, 2, 4, 4, 4), bad;
    svr_vae_cut cut = {0};
    svr_error err = {0};

    bad = svr_tensor_slice(&x, 0, 4);
    CHECK_FAILS(svr_vae_encode(&rig.exec, rig.vae, &cut, &bad, &m, &err), SVR_ERR_SHAPE, err);
    bad = svr_tensor_slice(&m, 0, 1);
    CHECK_FAILS(svr_vae_encode(&rig.exec, rig.vae, &cut, &x, &bad, &err), SVR_ERR_SHAPE, err);
    bad = m;
    bad.dims[3] = 5;
    CHECK_FAILS(svr_vae_encode(&rig.exec, rig.vae, &cut, &x, &bad, &err), SVR_ERR_SHAPE, err);
    bad = x;
    bad.dtype = SVR_F16;
    CHECK_FAILS(svr_vae_encode(&rig.exec, rig.vae, &cut, &bad, &m, &err), SVR_ERR_SHAPE, err);
    bad = x;
    bad.dims[1] = 17;
    CHECK_FAILS(svr_vae_decode(&rig.exec, rig.vae, &cut, &m, &bad, &err), SVR_ERR_SHAPE, err);
    CHECK_FAILS(svr_vae_decode(&rig.exec, rig.vae, &cut, &x, &x, &err), SVR_ERR_SHAPE, err);
    cut.decoder.piece_values = -1;
    CHECK_FAILS(svr_vae_decode(&rig.exec, rig.vae, &cut, &m, &x, &err), SVR_ERR_INVALID, err);
    cut.decoder.piece_values = 0;
    cut.slice_frames = 3;
    CHECK_FAILS(svr_vae_encode(&rig.exec, rig.vae, &cut, &x, &m, &err), SVR_ERR_INVALID, err);
    cut = (svr_vae_cut){.tile_h = 8};
    CHECK_FAILS(svr_vae_decode(&rig.exec, rig.vae, &cut, &m, &x, &err), SVR_ERR_INVALID, err);
    rig_close(&rig);
}

/* After a run that stopped half way the next one is as good as ever. */
static void test_recovers_after_failures(void)
{
    vae_rig rig = rig_open(NULL, &rig_small, SVR_F32);
    svr_vae_cut cut = {.slice_frames = 4};
    int64_t zin[4], out[4] = {13, SIZE, SIZE, 3};
    float *z = random_clip(4, SIZE / FACTOR, rig_small.latent_channels, zin);
    float *want = rig_decode(&rig, &cut, z, zin, out), *got;
    size_t peak = svr_scratch_peak(rig.exec.scratch), n = (size_t) (13 * SIZE * SIZE * 3);
    float *y = malloc(n * sizeof *y);
    svr_tensor zt = svr_tensor_4d(z, SVR_F32, zin[0], zin[1], zin[2], zin[3]);
    svr_tensor yt = svr_tensor_4d(y, SVR_F32, out[0], out[1], out[2], out[3]);
    svr_cancel *cancel = svr_cancel_create();
    svr_error err = {0};

    for (size_t bytes = peak / 7; bytes < peak; bytes += peak / 7) {
        svr_scratch_destroy(rig.exec.scratch);
        rig.exec.scratch = svr_scratch_create(rig.block, bytes);
        CHECK_FAILS(svr_vae_decode(&rig.exec, rig.vae, &cut, &zt, &yt, &err), SVR_ERR_NO_VRAM, err);
    }
    rig_reset_scratch(&rig);
    svr_cancel_set(cancel, true);
    rig.exec.cancel = cancel;
    CHECK_FAILS(svr_vae_decode(&rig.exec, rig.vae, &cut, &zt, &yt, &err), SVR_ERR_CANCELLED, err);
    rig.exec.cancel = NULL;
    got = rig_decode(&rig, &cut, z, zin, out);
    CHECK(memcmp(got, want, n * sizeof *got) == 0);
    free(z), free(want), free(got), free(y);
    svr_cancel_destroy(cancel);
    rig_close(&rig);
}

int main(void)
{
    RUN(test_memory_does_not_grow_with_the_clip);
    RUN(test_counting_backend_predicts_the_peak);
    RUN(test_slices_of_any_length);
    RUN(test_decoder_in_pieces);
    RUN(test_pieces_bound_the_memory);
    RUN(test_decoded_tiles_are_blended);
    RUN(test_zero_attention_is_left_out);
    RUN(test_cropped_results);
    RUN(test_refusals);
    RUN(test_recovers_after_failures);
    return check_done();
}
