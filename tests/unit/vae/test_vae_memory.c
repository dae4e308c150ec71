/* Pieces, sweeps and parking: always the same function, in the memory that is planned. */
#include "lazy_queues.h"
#include "sample.h"

#include "backend/ops.h"

#include <stdlib.h>
#include <string.h>

/* Runs one setting: every bit is that of the whole clip. */
static void checked_run(const sample *s, svr_backend *counting, int half,
                        const svr_vae_memory *memory)
{
    float *y = sample_run_counted(s, counting, half, memory);

    CHECK(memcmp(y, s->whole[half], s->elems[half] * sizeof *y) == 0);
    free(y);
}

static void check_setting(const sample *s, svr_backend *counting, int64_t piece, int64_t carried)
{
    for (int half = 0; half < HALVES; half++) {
        svr_vae_memory memory = {.piece_values = piece, .carried_values = carried};

        checked_run(s, counting, half, &memory);
        memory.park_on_host = true;
        checked_run(s, counting, half, &memory);
        memory.tight = 2;
        checked_run(s, counting, half, &memory);
        memory.even = true;
        checked_run(s, counting, half, &memory);
    }
}

static void check_all_settings(const svr_vae_config *config, int64_t h, int64_t w)
{
    static const int64_t frames[] = {1, 5, 9, 13, 21}, pieces[] = {0, 1, 700, 5000, 20000};
    static const int64_t carried[] = {0, 1, 3000, 12000};
    vae_rig rig = rig_open(NULL, config, SVR_F32);
    svr_backend *counting = svr_counting_backend_create(rig.backend);

    CHECK(counting != NULL);
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
        sample s = sample_make(&rig, frames[i], h, w);

        for (size_t p = 0; p < sizeof pieces / sizeof pieces[0]; p++)
            for (size_t c = 0; c < sizeof carried / sizeof carried[0]; c++)
                check_setting(&s, counting, pieces[p], carried[c]);
        sample_free(&s);
    }
    svr_backend_destroy(counting);
    rig_close(&rig);
}

static void test_settings_of_a_small_network(void)
{
    check_all_settings(&rig_small, 3, 5);
}

static void test_settings_of_a_deep_network(void)
{
    check_all_settings(&sample_deep, 1, 2);
}

/* Two sweeps of several stages each, whose pieces do not divide each other: what is fetched ahead
 * is what the next piece wants. */
static void test_pieces_of_many_sizes(void)
{
    vae_rig rig = rig_open(NULL, &sample_deep, SVR_F32);
    svr_backend *counting = svr_counting_backend_create(rig.backend);
    sample s = sample_make(&rig, 29, 2, 1);

    CHECK(counting != NULL);
    for (int64_t piece = 200; piece < 12000; piece += piece / 5)
        check_setting(&s, counting, piece, 12000);
    sample_free(&s);
    svr_backend_destroy(counting);
    rig_close(&rig);
}

/* Through queues that do nothing before somebody waits for them.  In 8 bits bands of rows make
 * statistics of what was packed, as nothing on the device does, unless that stays as it is. */
static void check_copies_are_waited_for(svr_dtype parked, unsigned exact)
{
    vae_rig rig = rig_open(NULL, &rig_small, SVR_F32);
    sample s = sample_make(&rig, 13, 3, 2);
    const int64_t carried[] = {1, 3000};

    svr_backend_host_free(rig.backend, rig.block_bytes, rig.host_block);
    lazy_queues_install(rig.backend);
    svr_error err = {0};
    CHECK_OK(svr_backend_host_alloc(rig.backend, rig.block_bytes, &rig.host_block, &err), err);
    for (int half = 0; half < HALVES; half++)
        for (size_t i = 0; i < sizeof carried / sizeof carried[0]; i++) {
            svr_vae_memory memory = {.piece_values = 1,
                                     .carried_values = carried[i],
                                     .parked = parked,
                                     .parked_exact = exact};
            float *device = sample_run(&s, half, &memory), *host;

            CHECK(lazy_queues_done() == 0);
            memory.park_on_host = true;
            for (memory.tight = 0; memory.tight <= 2; memory.tight++) {
                host = sample_run(&s, half, &memory);
                CHECK(lazy_queues_done() > 0);
                CHECK(memcmp(device, host, s.elems[half] * sizeof *host) == 0);
                free(host);
            }
            free(device);
        }
    sample_free(&s);
    rig_close(&rig);
}

static void test_copies_are_waited_for(void)
{
    check_copies_are_waited_for(SVR_F32, 0);
    check_copies_are_waited_for(SVR_F8_E4M3, SVR_VAE_PARKED_INNER);
    check_copies_are_waited_for(SVR_I8, SVR_VAE_PARKED_INNER);
}

/* A result of fewer frames ends early, also with frames fetched in vain. */
static void test_fewer_frames(void)
{
    vae_rig rig = rig_open(NULL, &rig_small, SVR_F32);
    sample s = sample_make(&rig, 13, 2, 3);
    size_t frame = s.elems[DECODE] / 13;

    for (int i = 0; i < 3; i++) {
        svr_vae_memory memory = {
            .piece_values = 1, .carried_values = i ? 1 : 0, .park_on_host = i == 2};
        float *all = sample_run(&s, DECODE, &memory);

        for (int64_t frames = 1; frames < 13; frames += 3) {
            sample fewer = s;
            float *y;

            fewer.out[DECODE][0] = frames;
            y = sample_run(&fewer, DECODE, &memory);
            CHECK(memcmp(y, all, (size_t) frames * frame * sizeof *y) == 0);
            free(y);
        }
        free(all);
    }
    sample_free(&s);
    rig_close(&rig);
}

/* Every step on its own: each activation of the encoder goes out once and comes back once, with the
 * residual inside a resnet.  Attention, which cannot be parked behind, goes with the step behind.
 */
static void test_parked_bytes(void)
{
    enum { FULL = 9 * 16 * 16, HALF = 5 * 8 * 8, LATENT = 3 * 4 * 4 };
    const uint64_t full = FULL * ((8 + 8) + 8);       /* resnet */
    const uint64_t half = HALF * (8 + (16 + 8) + 16); /* down, resnet */
    const uint64_t values = full + half +
                            LATENT * (16 + (32 + 16) + 32                 /* down, resnet */
                                      + (32 + 32) + 32 + (32 + 32) + 32); /* mid, conv_out */
    vae_rig rig = rig_open(NULL, &rig_small, SVR_F32);
    svr_backend *counting = svr_counting_backend_create(rig.backend);
    svr_vae_memory memory = {
        .piece_values = 1, .carried_values = 1, .park_on_host = true, .tight = 2};
    const dry_network net = {counting, rig.vae, SVR_F32};
    int64_t dims[2][4] = {{9, 16, 16, 3}, {3, 4, 4, 4}};
    memory_use use = count_half(&net, ENCODE, dims, &memory);

    CHECK(use.out == values * sizeof(float) && use.in == use.out);
    /* what is taken makes room for what is put: the largest is the one in front of conv2 */
    CHECK(use.host == FULL * 16 * sizeof(float));
    /* rows are one run: a byte a value, and two scales F32 for its 16, 8 or 4 pixels */
    memory.parked = SVR_I8;
    use = count_half(&net, ENCODE, dims, &memory);
    CHECK(use.out == values + full / 2 + half + 2 * (values - full - half) && use.in == use.out);
    CHECK(use.host == FULL * 16 / 2 * 3);
    svr_backend_destroy(counting);
    rig_close(&rig);
}

/* The one narrowing resnet at each of the two last resolutions: every frame's bands read the rows
 * of up to three frames, with one row more at inner borders. */
static void test_bytes_of_bands(void)
{
    vae_rig rig = rig_open(NULL, &rig_small, SVR_F32);
    svr_backend *counting = svr_counting_backend_create(rig.backend);
    svr_vae_memory memory = {
        .piece_values = 1, .carried_values = 1, .park_on_host = true, .tight = 2};
    const dry_network net = {counting, rig.vae, SVR_F32};
    int64_t dims[2][4] = {{2, 8, 8, 4}, {5, 32, 32, 3}};
    memory_use use = count_half(&net, DECODE, dims, &memory);
    /* 16 bands of 2 rows of 32 with 2 x 15 rows beside them; 16 of 1 row with 2 x 15 */
    uint64_t last = (uint64_t) (32 + 30) * 32 * 16, middle = (uint64_t) (16 + 30) * 16 * 32;
    /* frames read: 1 + 2 + 3 + 3 + 3 of 5, 1 + 2 + 3 of 3; all others once */
    uint64_t extra = 12 * last - 5 * 32 * 32 * 16 + 6 * middle - 3 * 16 * 16 * 32;

    CHECK(use.in == use.out + extra * sizeof(float));
    memory.parked = SVR_F8_E4M3;
    use = count_half(&net, DECODE, dims, &memory);
    /* runs of 32 pixels in the last ones' rows, of 16 in the middle ones': two scales F32 each */
    extra += (12 * last - 5 * 32 * 32 * 16) / 4 + (6 * middle - 3 * 16 * 16 * 32) / 2;
    CHECK(use.in == use.out + extra);
    svr_backend_destroy(counting);
    rig_close(&rig);
}

/* Too little of either memory stops a run anywhere; the next one is as good as ever. */
static void check_recovers_after_failures(svr_dtype parked)
{
    vae_rig rig = rig_open(NULL, &rig_small, SVR_F32);
    sample s = sample_make(&rig, 9, 2, 3);
    svr_vae_memory memory = {
        .piece_values = 1, .carried_values = 1, .park_on_host = true, .parked = parked};
    svr_vae_cut cut = {.decoder = memory};
    const int64_t *d = s.in[DECODE], *o = s.out[DECODE];
    svr_tensor z = svr_tensor_4d(s.values[DECODE], SVR_F32, d[0], d[1], d[2], d[3]);
    svr_tensor y = svr_tensor_4d(NULL, SVR_F32, o[0], o[1], o[2], o[3]);
    float *want = sample_run(&s, DECODE, &memory), *got;
    memory_use use = memory_use_of(&rig.exec);
    svr_error err = {0};

    y.data = malloc(svr_tensor_bytes(&y));
    CHECK(y.data != NULL);
    for (int i = 0; i < 16; i++) {
        rig_shrink(&rig, &use, i);
        CHECK_FAILS(svr_vae_decode(&rig.exec, rig.vae, &cut, &z, &y, &err), SVR_ERR_NO_VRAM, err);
    }
    got = sample_run(&s, DECODE, &memory);
    CHECK(memcmp(got, want, s.elems[DECODE] * sizeof *got) == 0);
    free(want), free(got), free(y.data);
    sample_free(&s);
    rig_close(&rig);
}

static void test_recovers_after_failures(void)
{
    check_recovers_after_failures(SVR_F32);
    check_recovers_after_failures(SVR_I8);
}

static void test_refusals(void)
{
    vae_rig rig = rig_open(NULL, &rig_small, SVR_F32);
    sample s = sample_make(&rig, 9, 2, 2);
    svr_tensor z = svr_tensor_4d(s.values[DECODE], SVR_F32, 3, 2, 2, 4);
    svr_tensor y = svr_tensor_4d(s.whole[DECODE], SVR_F32, 9, 8, 8, 3);
    svr_vae_cut cut = {.decoder = {1, 1, true}};
    svr_error err = {0};
    svr_scratch *host = rig.exec.host;

    rig.exec.host = NULL;
    CHECK_FAILS(svr_vae_decode(&rig.exec, rig.vae, &cut, &z, &y, &err), SVR_ERR_NO_MEM, err);
    rig.exec.host = host;
    rig_reset_scratch(&rig);
    cut.decoder.carried_values = -1;
    CHECK_FAILS(svr_vae_decode(&rig.exec, rig.vae, &cut, &z, &y, &err), SVR_ERR_INVALID, err);
    cut.decoder.carried_values = 1;
    cut.decoder.parked = SVR_F16;
    CHECK_FAILS(svr_vae_decode(&rig.exec, rig.vae, &cut, &z, &y, &err), SVR_ERR_INVALID, err);
    cut.decoder.parked = SVR_F32;
    cut.whole_frames = -1;
    CHECK_FAILS(svr_vae_decode(&rig.exec, rig.vae, &cut, &z, &y, &err), SVR_ERR_INVALID, err);
    sample_free(&s);
    rig_close(&rig);
}

/* ---------------------------------------------------------------------------- the published VAE */

/* A size, a setting in frames of 128 channels, and GiB that suffice and are nearly needed. */
typedef struct target {
    int w, h, frames, half;
    double piece, carried, scratch_gib, host_gib;
    bool even;
} target;

/* Nine bits in place of sixteen; rows that are no multiple of a run have a short one at their end,
 * which is as good as nothing in full-size frames. */
static void check_packed(uint64_t packed, uint64_t whole)
{
    CHECK(packed >= whole / 16 * 9);
    CHECK((double) packed <= 1.0005 * (double) (whole / 16 * 9));
}

static void check_target(published *p, const target *t)
{
    int64_t frame = (int64_t) t->w * t->h * 128, latents = (t->frames - 1) / 4 + 1;
    svr_vae_memory memory = {.piece_values = (int64_t) (t->piece * (double) frame),
                             .carried_values = (int64_t) (t->carried * (double) frame),
                             .park_on_host = true,
                             .tight = 2,
                             .even = t->even};
    int64_t clip[4] = {t->frames, t->h, t->w, 3}, latent[4] = {latents, t->h / 8, t->w / 8, 16};
    int64_t dims[2][4];
    memory_use use, packed;

    memcpy(dims[0], t->half == ENCODE ? clip : latent, sizeof dims[0]);
    memcpy(dims[1], t->half == ENCODE ? latent : clip, sizeof dims[1]);
    use = count_half(&(dry_network){p->counting, p->vae, SVR_F16}, t->half, dims, &memory);
    CHECK_NEAR((double) use.scratch / (1 << 30), t->scratch_gib - 0.1, 0.1);
    CHECK_NEAR((double) use.host / (1 << 30), t->host_gib - 0.1, 0.1);
    memory.parked = SVR_I8;
    packed = count_half(&(dry_network){p->counting, p->vae, SVR_F16}, t->half, dims, &memory);
    /* frames are packed while they are still there, which one of these shows, by half a percent */
    CHECK((double) packed.scratch <= 1.005 * (double) use.scratch);
    check_packed(packed.host, use.host);
    check_packed(packed.out, use.out);
    check_packed(packed.in, use.in);
}

static void test_memory_of_the_published_network(void)
{
    static const target targets[] = {
        /* 5 frames, at little extra work, and at least memory */
        {1280, 720, 5, ENCODE, 1, 4, 2.1, 1.2, false},
        {1280, 720, 5, DECODE, 1, 8, 3.0, 1.3, false},
        {1920, 1088, 5, ENCODE, 1, 4, 4.6, 2.6, false},
        {1920, 1088, 5, DECODE, 1, 5, 5.0, 5.3, false},
        {3840, 2160, 5, ENCODE, 1, 2, 12.9, 19.9, false},
        {3840, 2160, 5, DECODE, 1, 2, 12.9, 32.7, false},
        /* 21 frames */
        {1280, 720, 21, ENCODE, 1, 12, 3.5, 0.4, false},
        {1280, 720, 21, DECODE, 1, 12, 3.6, 4.8, false},
        {1280, 720, 21, ENCODE, 1, 2, 1.6, 9.3, false},
        {1280, 720, 21, DECODE, 1, 5, 2.3, 9.4, false},
        {1920, 1088, 21, ENCODE, 1, 4, 4.4, 10.5, false},
        {1920, 1088, 21, DECODE, 1, 8, 6.5, 10.9, false},
        {1920, 1088, 21, DECODE, 1, 6, 5.5, 21.2, false},
        {1920, 1088, 21, DECODE, 1, 5, 5.0, 21.2, false},
        {1920, 1088, 21, DECODE, 1, 2, 3.5, 24.2, false},
        {1920, 1088, 21, ENCODE, 1, 9, 5.7, 2.7, true},
        {1920, 1088, 21, DECODE, 1, 9, 6.5, 10.9, true},
    };
    svr_ops ops;
    published p = published_open(&ops);

    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++)
        check_target(&p, &targets[i]);
    published_close(&p);
}

int main(void)
{
    RUN(test_settings_of_a_small_network);
    RUN(test_settings_of_a_deep_network);
    RUN(test_pieces_of_many_sizes);
    RUN(test_copies_are_waited_for);
    RUN(test_fewer_frames);
    RUN(test_parked_bytes);
    RUN(test_bytes_of_bands);
    RUN(test_recovers_after_failures);
    RUN(test_refusals);
    RUN(test_memory_of_the_published_network);
    return check_done();
}
