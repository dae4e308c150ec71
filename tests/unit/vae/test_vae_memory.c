/* Pieces, sweeps and parking: always the same function, in the memory that is planned. */
#include "fixture.h"
#include "lazy_queues.h"

#include "backend/ops.h"

#include "random.h"

#include <stdlib.h>
#include <string.h>

/* The real one's layout: a stage that keeps time, two resnets a stage. */
static const svr_vae_config deep = {
    .stages = 4,
    .channels = {8, 16, 32, 32},
    .layers_per_block = 2,
    .latent_channels = 4,
    .norm_groups = 4,
    .temporal_stages = 2,
    .eps = 1e-6f,
    .scaling_factor = 0.9152f,
};

enum { ENCODE, DECODE, HALVES };

/* A clip and its latent, and what becomes of them whole. */
typedef struct sample {
    vae_rig *rig;
    int64_t in[HALVES][4], out[HALVES][4];
    float *values[HALVES], *whole[HALVES];
    size_t elems[HALVES]; /* of the results */
} sample;

static size_t elems(const int64_t d[4])
{
    return (size_t) (d[0] * d[1] * d[2] * d[3]);
}

static float *run_half(const sample *s, int half, const svr_vae_memory *memory)
{
    svr_vae_cut cut = {.encoder = *memory, .decoder = *memory};

    return half == ENCODE ? rig_encode(s->rig, &cut, s->values[half], s->in[half], s->out[half])
                          : rig_decode(s->rig, &cut, s->values[half], s->in[half], s->out[half]);
}

/* The encoder's clip is a little larger than what its latent stands for. */
static sample sample_make(vae_rig *rig, int64_t frames, int64_t h, int64_t w)
{
    int64_t f = svr_vae_spatial_factor(&rig->config), latents = (frames - 1) / 4 + 1;
    int64_t c = rig->config.latent_channels;
    sample s = {.rig = rig,
                .in = {{frames, f * h + 1, f * w + 2, 3}, {latents, h, w, c}},
                .out = {{latents, h, w, c}, {frames, f * h, f * w, 3}}};
    test_random random = test_random_seed(11);

    for (int half = 0; half < HALVES; half++) {
        s.elems[half] = elems(s.out[half]);
        s.values[half] = malloc(elems(s.in[half]) * sizeof(float));
        CHECK(s.values[half] != NULL);
        test_random_fill(&random, s.values[half], elems(s.in[half]), 0.5f);
        s.whole[half] = run_half(&s, half, &(svr_vae_memory){0});
    }
    return s;
}

static void sample_free(sample *s)
{
    for (int half = 0; half < HALVES; half++)
        free(s->values[half]), free(s->whole[half]);
}

/* Peaks of scratch and host memory, and bytes copied. */
typedef struct memory_use {
    size_t scratch, host;
    uint64_t in, out;
} memory_use;

static memory_use use_of(const svr_exec *exec)
{
    svr_memory_use use = svr_backend_memory(exec->backend);

    return (memory_use){svr_scratch_peak(exec->scratch), svr_scratch_peak(exec->host),
                        use.copied_in, use.copied_out};
}

static memory_use use_since(const svr_exec *exec, const memory_use *before)
{
    memory_use use = use_of(exec);

    use.in -= before->in;
    use.out -= before->out;
    return use;
}

/* A network on a device that counts. */
typedef struct dry_network {
    svr_backend *counting;
    svr_vae *vae;
    svr_dtype storage;
} dry_network;

/* What a half takes for an input of dims[0] and a result of dims[1]. */
static memory_use count_half(const dry_network *net, int half, int64_t dims[2][4],
                             const svr_vae_memory *memory)
{
    svr_exec dry = {.backend = net->counting,
                    .scratch = svr_scratch_create_counting(),
                    .host = svr_scratch_create_counting()};
    svr_vae_cut cut = {.encoder = *memory, .decoder = *memory};
    /* beyond any scratch address, as memory of another allocation is */
    void *far[2] = {(void *) 0xC000000000000000u, (void *) 0xD000000000000000u};
    memory_use before = use_of(&dry), use;
    svr_error err = {0};
    svr_tensor t[2];

    for (int i = 0; i < 2; i++)
        t[i] = svr_tensor_4d(far[i], i == 0 ? net->storage : SVR_F32, dims[i][0], dims[i][1],
                             dims[i][2], dims[i][3]);
    CHECK_OK(half == ENCODE ? svr_vae_encode(&dry, net->vae, &cut, &t[0], &t[1], &err)
                            : svr_vae_decode(&dry, net->vae, &cut, &t[0], &t[1], &err),
             err);
    CHECK(svr_scratch_live(dry.scratch) == 0 && svr_scratch_live(dry.host) == 0);
    use = use_since(&dry, &before);
    svr_scratch_destroy(dry.scratch);
    svr_scratch_destroy(dry.host);
    return use;
}

/* Runs one setting: every bit is that of the whole clip, in the memory that counting predicts. */
static void checked_run(const sample *s, svr_backend *counting, int half,
                        const svr_vae_memory *memory)
{
    const dry_network net = {counting, s->rig->vae, s->rig->storage};
    memory_use before = use_of(&s->rig->exec), got, want;
    float *y = run_half(s, half, memory);
    int64_t dims[2][4];

    memcpy(dims[0], s->in[half], sizeof dims[0]);
    memcpy(dims[1], s->out[half], sizeof dims[1]);
    want = count_half(&net, half, dims, memory);
    got = use_since(&s->rig->exec, &before);
    CHECK(memcmp(&got, &want, sizeof got) == 0);
    /* bands of rows come three times, and the decoder has such */
    CHECK(half == ENCODE ? got.in == got.out : got.in >= got.out);
    CHECK((got.host > 0) == (got.in > 0));
    CHECK(memory->park_on_host || got.host == 0);
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
    check_all_settings(&deep, 1, 2);
}

/* Two sweeps of several stages each, whose pieces do not divide each other: what is fetched ahead
 * is what the next piece wants. */
static void test_pieces_of_many_sizes(void)
{
    vae_rig rig = rig_open(NULL, &deep, SVR_F32);
    svr_backend *counting = svr_counting_backend_create(rig.backend);
    sample s = sample_make(&rig, 29, 2, 1);

    CHECK(counting != NULL);
    for (int64_t piece = 200; piece < 12000; piece += piece / 5)
        check_setting(&s, counting, piece, 12000);
    sample_free(&s);
    svr_backend_destroy(counting);
    rig_close(&rig);
}

/* The same through queues that do nothing before somebody waits for them. */
static void test_copies_are_waited_for(void)
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
            svr_vae_memory memory = {.piece_values = 1, .carried_values = carried[i]};
            float *device = run_half(&s, half, &memory), *host;

            CHECK(lazy_queues_done() == 0);
            memory.park_on_host = true;
            for (memory.tight = 0; memory.tight <= 2; memory.tight++) {
                host = run_half(&s, half, &memory);
                CHECK(lazy_queues_done() > 0);
                CHECK(memcmp(device, host, s.elems[half] * sizeof *host) == 0);
                free(host);
            }
            free(device);
        }
    sample_free(&s);
    rig_close(&rig);
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
        float *all = run_half(&s, DECODE, &memory);

        for (int64_t frames = 1; frames < 13; frames += 3) {
            sample fewer = s;
            float *y;

            fewer.out[DECODE][0] = frames;
            y = run_half(&fewer, DECODE, &memory);
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
    const uint64_t values = FULL * ((8 + 8) + 8)                            /* resnet */
                            + HALF * (8 + (16 + 8) + 16)                    /* down, resnet */
                            + LATENT * (16 + (32 + 16) + 32                 /* down, resnet */
                                        + (32 + 32) + 32 + (32 + 32) + 32); /* mid, conv_out */
    vae_rig rig = rig_open(NULL, &rig_small, SVR_F32);
    svr_backend *counting = svr_counting_backend_create(rig.backend);
    const svr_vae_memory memory = {
        .piece_values = 1, .carried_values = 1, .park_on_host = true, .tight = 2};
    const dry_network net = {counting, rig.vae, SVR_F32};
    int64_t dims[2][4] = {{9, 16, 16, 3}, {3, 4, 4, 4}};
    memory_use use = count_half(&net, ENCODE, dims, &memory);

    CHECK(use.out == values * sizeof(float) && use.in == use.out);
    /* what is taken makes room for what is put: the largest is the one in front of conv2 */
    CHECK(use.host == FULL * 16 * sizeof(float));
    svr_backend_destroy(counting);
    rig_close(&rig);
}

/* The one narrowing resnet at each of the two last resolutions: every frame's bands read the rows
 * of up to three frames, with one row more at inner borders. */
static void test_bytes_of_bands(void)
{
    vae_rig rig = rig_open(NULL, &rig_small, SVR_F32);
    svr_backend *counting = svr_counting_backend_create(rig.backend);
    const svr_vae_memory memory = {
        .piece_values = 1, .carried_values = 1, .park_on_host = true, .tight = 2};
    const dry_network net = {counting, rig.vae, SVR_F32};
    int64_t dims[2][4] = {{2, 8, 8, 4}, {5, 32, 32, 3}};
    memory_use use = count_half(&net, DECODE, dims, &memory);
    /* 16 bands of 2 rows of 32 with 2 x 15 rows beside them; 16 of 1 row with 2 x 15 */
    uint64_t last = (uint64_t) (32 + 30) * 32 * 16, middle = (uint64_t) (16 + 30) * 16 * 32;
    /* frames read: 1 + 2 + 3 + 3 + 3 of 5, 1 + 2 + 3 of 3; all others once */
    uint64_t extra = 12 * last - 5 * 32 * 32 * 16 + 6 * middle - 3 * 16 * 16 * 32;

    CHECK(use.in == use.out + extra * sizeof(float));
    svr_backend_destroy(counting);
    rig_close(&rig);
}

/* Too little of either memory stops a run anywhere; the next one is as good as ever. */
static void test_recovers_after_failures(void)
{
    vae_rig rig = rig_open(NULL, &rig_small, SVR_F32);
    sample s = sample_make(&rig, 9, 2, 3);
    svr_vae_memory memory = {.piece_values = 1, .carried_values = 1, .park_on_host = true};
    svr_vae_cut cut = {.decoder = memory};
    const int64_t *d = s.in[DECODE], *o = s.out[DECODE];
    svr_tensor z = svr_tensor_4d(s.values[DECODE], SVR_F32, d[0], d[1], d[2], d[3]);
    svr_tensor y = svr_tensor_4d(NULL, SVR_F32, o[0], o[1], o[2], o[3]);
    float *want = run_half(&s, DECODE, &memory), *got;
    memory_use use = use_of(&rig.exec);
    svr_error err = {0};

    y.data = malloc(svr_tensor_bytes(&y));
    CHECK(y.data != NULL);
    for (int i = 0; i < 16; i++) {
        rig_reset_scratch(&rig);
        svr_scratch_destroy(i % 2 ? rig.exec.host : rig.exec.scratch);
        if (i % 2)
            rig.exec.host = svr_scratch_create(rig.host_block, use.host / 16 * (size_t) i);
        else
            rig.exec.scratch = svr_scratch_create(rig.block, use.scratch / 16 * (size_t) i);
        CHECK_FAILS(svr_vae_decode(&rig.exec, rig.vae, &cut, &z, &y, &err), SVR_ERR_NO_VRAM, err);
    }
    got = run_half(&s, DECODE, &memory);
    CHECK(memcmp(got, want, s.elems[DECODE] * sizeof *got) == 0);
    free(want), free(got), free(y.data);
    sample_free(&s);
    rig_close(&rig);
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
    cut.whole_frames = -1;
    CHECK_FAILS(svr_vae_decode(&rig.exec, rig.vae, &cut, &z, &y, &err), SVR_ERR_INVALID, err);
    sample_free(&s);
    rig_close(&rig);
}

/* ---------------------------------------------------------------------------- the published VAE */

/* Backends without workspaces, so that what is counted are activations alone. */
#define NO_WORKSPACE(name)                                                                         \
    static size_t no_##name##_workspace(svr_backend *backend, const svr_##name##_args *args)       \
    {                                                                                              \
        (void) backend;                                                                            \
        (void) args;                                                                               \
        return 0;                                                                                  \
    }
SVR_OP_LIST(NO_WORKSPACE)

static svr_status constant(void *user, const svr_weight_spec *spec, size_t first, size_t count,
                           float *dst, svr_error *err)
{
    (void) user;
    (void) spec;
    (void) first;
    (void) err;
    for (size_t i = 0; i < count; i++)
        dst[i] = 0.01f;
    return SVR_OK;
}

typedef struct published {
    svr_backend *cpu, *counting;
    svr_weights *weights;
    svr_store *store;
    svr_vae *vae;
} published;

static published published_open(svr_ops *ops)
{
    const svr_vae_config config = svr_vae_config_published();
    published p = {0};
    svr_error err = {0};

    CHECK_OK(svr_cpu_backend_create(&(svr_cpu_options){.threads = 1}, &p.cpu, &err), err);
    *ops = *p.cpu->ops;
#define DROP_WORKSPACE(name) ops->name##_workspace = no_##name##_workspace;
    SVR_OP_LIST(DROP_WORKSPACE)
#undef DROP_WORKSPACE
    p.cpu->ops = ops;
    p.counting = svr_counting_backend_create(p.cpu);
    CHECK(p.counting != NULL);
    CHECK_OK(svr_weights_generate_vae(&config, constant, NULL, &p.weights, &err), err);
    CHECK_OK(svr_store_create(p.counting, p.weights, SVR_F16, SVR_VAE_GROUPS, &p.store, &err), err);
    CHECK_OK(svr_vae_create(&config, p.store, &p.vae, &err), err);
    CHECK_OK(svr_store_load(p.store, 0, SVR_VAE_GROUPS, NULL, &err), err);
    return p;
}

static void published_close(published *p)
{
    svr_vae_destroy(p->vae);
    svr_store_destroy(p->store);
    svr_weights_destroy(p->weights);
    svr_backend_destroy(p->counting);
    svr_backend_destroy(p->cpu);
}

/* A size, a setting in frames of 128 channels, and GiB that suffice and are nearly needed. */
typedef struct target {
    int w, h, frames, half;
    double piece, carried, scratch_gib, host_gib;
    bool even;
} target;

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
    memory_use use;

    memcpy(dims[0], t->half == ENCODE ? clip : latent, sizeof dims[0]);
    memcpy(dims[1], t->half == ENCODE ? latent : clip, sizeof dims[1]);
    use = count_half(&(dry_network){p->counting, p->vae, SVR_F16}, t->half, dims, &memory);
    CHECK_NEAR((double) use.scratch / (1 << 30), t->scratch_gib - 0.1, 0.1);
    CHECK_NEAR((double) use.host / (1 << 30), t->host_gib - 0.1, 0.1);
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
