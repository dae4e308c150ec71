/* Tiles with shared statistics: the untiled function, in less memory. */
#include "lazy_queues.h"
#include "sample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Latent pixels of the small network's clips, and tiles of 8 x 8 of them: three by two tiles where
 * the decoder's overlap most. */
enum { ROWS = 12, COLUMNS = 9, TILE = 32, LEAST_DECODED = 28, LEAST_ENCODED = 20 };

/* Rounding of sums in another order, as a share of the largest value; seen: 8e-7. */
#define ROUNDING 5e-6

static float largest(const float *values, size_t n)
{
    float most = 0;

    for (size_t i = 0; i < n; i++)
        most = fmaxf(most, fabsf(values[i]));
    return most;
}

/* Largest difference as a share of the largest value of b. */
static double distance(const float *a, const float *b, size_t n)
{
    float most = 0;

    for (size_t i = 0; i < n; i++) {
        CHECK(isfinite(a[i]));
        most = fmaxf(most, fabsf(a[i] - b[i]));
    }
    return (double) (most / largest(b, n));
}

/* Makes one corner of the clip loud, so that tiles have statistics of their own. */
static void make_uneven(const sample *s)
{
    for (int half = 0; half < HALVES; half++) {
        const int64_t *d = s->in[half];

        for (int64_t i = 0; i < d[0] * d[1] * d[2]; i++)
            for (int64_t c = 0; c < d[3] && i % d[2] * 3 < d[2]; c++)
                s->values[half][i * d[3] + c] = 4 * s->values[half][i * d[3] + c] + 2;
    }
}

static sample uneven_sample(vae_rig *rig, int64_t frames)
{
    sample s = sample_make(rig, frames, ROWS, COLUMNS);

    make_uneven(&s);
    for (int half = 0; half < HALVES; half++) {
        free(s.whole[half]);
        s.whole[half] = sample_run(&s, half, &(svr_vae_memory){0});
    }
    return s;
}

/* The untiled numbers, in the memory that counting predicts. */
static void check_setting(const sample *s, svr_backend *counting, int half,
                          const svr_vae_memory *memory)
{
    memory_use use = sample_count(s, counting, half, memory);
    float *y = sample_run_counted(s, counting, half, memory);

    CHECK((use.host > 0) == memory->park_on_host && (use.in > 0) == memory->park_on_host);
    CHECK(distance(y, s->whole[half], s->elems[half]) < ROUNDING);
    free(y);
}

static void test_tiles_do_not_show(void)
{
    static const int64_t frames[] = {1, 5, 13}, pieces[] = {0, 1, 20000}, carried[] = {0, 1, 6000};
    vae_rig rig = rig_open(NULL, &rig_small, SVR_F32);
    svr_backend *counting = svr_counting_backend_create(rig.backend);

    CHECK(counting != NULL);
    for (int i = 0; i < 27; i++) {
        sample s = uneven_sample(&rig, frames[i / 9]);
        svr_vae_memory memory = {
            .piece_values = pieces[i / 3 % 3], .carried_values = carried[i % 3], .tile = TILE};

        for (int half = 0; half < HALVES; half++)
            for (int host = 0; host < 2; host++) {
                memory.park_on_host = host != 0;
                memory.tight = host ? i % 3 : 0;
                check_setting(&s, counting, half, &memory);
            }
        sample_free(&s);
    }
    svr_backend_destroy(counting);
    rig_close(&rig);
}

/* The smallest tiles, tiles that are no multiple of latent pixels, and slices. */
static void test_sizes_of_tiles(void)
{
    static const int sizes[HALVES][3] = {{LEAST_ENCODED, 27, 40}, {LEAST_DECODED, 35, 40}};
    vae_rig rig = rig_open(NULL, &rig_small, SVR_F32);
    sample s = uneven_sample(&rig, 9);

    for (int half = 0; half < HALVES; half++)
        for (int i = 0; i < 3; i++) {
            const svr_vae_memory memory = {.tile = sizes[half][i]};
            svr_vae_cut cut = {.slice_frames = 4};
            float *y;

            *(half == ENCODE ? &cut.encoder : &cut.decoder) = memory;
            y = half == ENCODE ? rig_encode(&rig, &cut, s.values[half], s.in[half], s.out[half])
                               : rig_decode(&rig, &cut, s.values[half], s.in[half], s.out[half]);
            CHECK(distance(y, s.whole[half], s.elems[half]) < ROUNDING);
            free(y);
        }
    sample_free(&s);
    rig_close(&rig);
}

/* What fits one tile is not tiled at all. */
static void test_one_tile(void)
{
    vae_rig rig = rig_open(NULL, &rig_small, SVR_F32);
    sample s = uneven_sample(&rig, 5);

    for (int half = 0; half < HALVES; half++) {
        svr_vae_memory memory = {.tile = 4 * ROWS};
        float *y = sample_run(&s, half, &memory);

        CHECK(memcmp(y, s.whole[half], s.elems[half] * sizeof *y) == 0);
        free(y);
    }
    sample_free(&s);
    rig_close(&rig);
}

/* The top left of the first frames, as a picture that was padded wants it. */
static void test_part_of_the_picture(void)
{
    vae_rig rig = rig_open(NULL, &rig_small, SVR_F32);
    sample s = uneven_sample(&rig, 9);
    const int64_t part[4] = {6, 4 * ROWS - 7, 4 * COLUMNS - 5, 3};
    const svr_vae_cut cut = {.decoder = {.piece_values = 1, .tile = TILE}};
    float *y = rig_decode(&rig, &cut, s.values[DECODE], s.in[DECODE], part);
    float most = largest(s.whole[DECODE], s.elems[DECODE]);

    for (int64_t i = 0; i < part[0] * part[1] * part[2] * 3; i++) {
        int64_t row = i / (part[2] * 3), t = row / part[1], at = i % (part[2] * 3);
        int64_t from = ((t * 4 * ROWS) + row % part[1]) * 4 * COLUMNS * 3 + at;

        CHECK_NEAR((double) y[i], (double) s.whole[DECODE][from], ROUNDING * (double) most);
    }
    free(y);
    sample_free(&s);
    rig_close(&rig);
}

/* Where every tile has statistics of its own it does show. */
static void test_own_statistics_show(void)
{
    vae_rig rig = rig_open(NULL, &rig_small, SVR_F32);
    sample s = uneven_sample(&rig, 5);
    const svr_vae_cut cut = {.tile_h = TILE, .tile_w = TILE, .overlap_h = 8, .overlap_w = 8};
    float *y = rig_decode(&rig, &cut, s.values[DECODE], s.in[DECODE], s.out[DECODE]);

    CHECK(distance(y, s.whole[DECODE], s.elems[DECODE]) > 0.1);
    free(y);
    sample_free(&s);
    rig_close(&rig);
}

/* Through queues that do nothing before somebody waits for them; `most` is how far frames parked in
 * this form may be from the whole clip. */
static void check_copies_are_waited_for(svr_dtype parked, double most)
{
    vae_rig rig = rig_open(NULL, &rig_small, SVR_F32);
    sample s = uneven_sample(&rig, 5);
    svr_vae_memory memory = {
        .piece_values = 1, .carried_values = 6000, .parked = parked, .tile = TILE};
    svr_error err = {0};

    svr_backend_host_free(rig.backend, rig.block_bytes, rig.host_block);
    lazy_queues_install(rig.backend);
    CHECK_OK(svr_backend_host_alloc(rig.backend, rig.block_bytes, &rig.host_block, &err), err);
    for (int half = 0; half < HALVES; half++) {
        float *device, *host;

        memory.park_on_host = false;
        device = sample_run(&s, half, &memory);
        CHECK(lazy_queues_done() == 0);
        memory.park_on_host = true;
        host = sample_run(&s, half, &memory);
        CHECK(lazy_queues_done() > 0);
        CHECK(memcmp(device, host, s.elems[half] * sizeof *host) == 0);
        CHECK(distance(host, s.whole[half], s.elems[half]) < most);
        free(device), free(host);
    }
    sample_free(&s);
    rig_close(&rig);
}

static void test_copies_are_waited_for(void)
{
    check_copies_are_waited_for(SVR_F32, ROUNDING);
    check_copies_are_waited_for(SVR_I8, 0.05);
}

/* Too little memory stops a run anywhere; the next one is as good as ever. */
static void test_recovers_after_failures(void)
{
    vae_rig rig = rig_open(NULL, &rig_small, SVR_F32);
    sample s = uneven_sample(&rig, 5);
    svr_vae_memory memory = {.piece_values = 1, .park_on_host = true, .tile = TILE};
    svr_vae_cut cut = {.encoder = memory, .decoder = memory};
    memory_use use;

    for (int half = 0; half < HALVES; half++) {
        const int64_t *d = s.in[half], *o = s.out[half];
        svr_tensor in = svr_tensor_4d(s.values[half], SVR_F32, d[0], d[1], d[2], d[3]);
        svr_tensor out = svr_tensor_4d(NULL, SVR_F32, o[0], o[1], o[2], o[3]);
        float *y = sample_run(&s, half, &memory);
        svr_error err = {0};

        use = memory_use_of(&rig.exec);
        out.data = y;
        for (int i = 1; i < 16; i++) {
            rig_shrink(&rig, &use, i);
            CHECK_FAILS(half == ENCODE ? svr_vae_encode(&rig.exec, rig.vae, &cut, &in, &out, &err)
                                       : svr_vae_decode(&rig.exec, rig.vae, &cut, &in, &out, &err),
                        SVR_ERR_NO_VRAM, err);
        }
        free(y);
        y = sample_run(&s, half, &memory);
        CHECK(distance(y, s.whole[half], s.elems[half]) < ROUNDING);
        free(y);
    }
    sample_free(&s);
    rig_close(&rig);
}

static void test_refusals(void)
{
    vae_rig rig = rig_open(NULL, &rig_small, SVR_F32);
    sample s = sample_make(&rig, 5, ROWS, COLUMNS);
    const int64_t *d = s.in[DECODE], *o = s.out[DECODE];
    svr_tensor z = svr_tensor_4d(s.values[DECODE], SVR_F32, d[0], d[1], d[2], d[3]);
    svr_tensor y = svr_tensor_4d(s.whole[DECODE], SVR_F32, o[0], o[1], o[2], o[3]);
    svr_vae_cut cut = {.decoder.tile = LEAST_DECODED - 1};
    svr_error err = {0};

    CHECK(svr_vae_decode(&rig.exec, rig.vae, &cut, &z, &y, &err) == SVR_ERR_INVALID);
    CHECK_TEXT(err.text, "give at least 28, or 0");
    svr_error_clear(&err);
    cut.decoder.tile = 0;
    cut.encoder.tile = LEAST_ENCODED - 1;
    CHECK_FAILS(svr_vae_decode(&rig.exec, rig.vae, &cut, &z, &y, &err), SVR_ERR_INVALID, err);
    cut = (svr_vae_cut){.decoder.tile = TILE, .tile_h = TILE, .tile_w = TILE};
    CHECK_FAILS(svr_vae_decode(&rig.exec, rig.vae, &cut, &z, &y, &err), SVR_ERR_INVALID, err);
    sample_free(&s);
    rig_close(&rig);
}

/* Scratch memory of the published network for five frames of 2160p: the least without tiles, and
 * with those of some sizes.  Whole frames on the host are those between stages, not within. */
static void test_memory_of_the_published_network(void)
{
    static const int tiles[] = {0, 1024, 512, 256};
    static const double most_gib[HALVES][4] = {{12.0, 3.2, 2.1, 1.05}, {12.0, 5.8, 1.85, 1.05}};
    svr_ops ops;
    published p = published_open(&ops);
    const dry_network net = {p.counting, p.vae, SVR_F16};

    for (int half = 0; half < HALVES; half++) {
        int64_t clip[4] = {5, 2160, 3840, 3}, latent[4] = {2, 270, 480, 16}, dims[2][4];
        double before = 100;

        memcpy(dims[0], half == ENCODE ? clip : latent, sizeof dims[0]);
        memcpy(dims[1], half == ENCODE ? latent : clip, sizeof dims[1]);
        for (int i = 0; i < 4; i++) {
            int64_t side = tiles[i], frame = 128 * (side ? side * side : INT64_C(3840) * 2160);
            const svr_vae_memory memory = {.piece_values = frame,
                                           .carried_values = (side ? 16 : 1) * frame,
                                           .park_on_host = true,
                                           .tight = 2,
                                           .tile = (int) side};
            memory_use use = count_half(&net, half, dims, &memory);
            double gib = (double) use.scratch / (1 << 30);

            CHECK(gib < before && gib <= most_gib[half][i] && gib > 0.9 * most_gib[half][i]);
            CHECK((double) use.host / (1 << 30) < (side ? 6.5 : 33));
            before = gib;
        }
    }
    published_close(&p);
}

int main(int argc, char **argv)
{
    (void) argc, (void) argv;
    RUN(test_tiles_do_not_show);
    RUN(test_sizes_of_tiles);
    RUN(test_one_tile);
    RUN(test_part_of_the_picture);
    RUN(test_own_statistics_show);
    RUN(test_copies_are_waited_for);
    RUN(test_recovers_after_failures);
    RUN(test_refusals);
    RUN(test_memory_of_the_published_network);
    return check_done();
}
