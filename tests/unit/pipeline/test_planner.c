/* The planner: budgets are kept, what is predicted happens, nothing of it changes the picture. */
#include "rig.h"

#include "pipeline/model.h"
#include "pipeline/offline_plan.h"
#include "pipeline/planner.h"

#include "check.h"
#include "fake_networks.h"
#include "lazy_queues.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COUNT = 12, IN = 24 * 16 * 3, OUT = 48 * 32 * 3 };

static const char *model_dir;

static const char *join(const char *name)
{
    static char paths[4][1024];
    static int next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof paths[0], "%s/%s", model_dir, name);
    return path;
}

static svr_model_options nano_options(void)
{
    return (svr_model_options){.dit_path = join("nano_dit.safetensors"),
                               .vae_path = join("nano_vae.safetensors"),
                               .storage = SVR_F16,
                               .steps = 1};
}

/* A stream of nano, planned for `request`. */
typedef struct run {
    svr_backend *backend;
    svr_model *model;
    svr_stream *stream;
    svr_stream_options options;
    svr_error err;
} run;

static run open_run(void)
{
    svr_model_options model = nano_options();
    svr_size_plan sizes = svr_size_plan_exact((svr_size){48, 32}, 16);
    run r = {.backend = rig_backend(0)};

    lazy_queues_install(r.backend);
    r.options = rig_options((svr_size){24, 16}, &sizes);
    r.options.temporal = svr_temporal_plan_make(5, 0, 0);
    CHECK_OK(svr_model_open(r.backend, &model, &r.model, &r.err), r.err);
    return r;
}

static svr_status configure(run *r, const svr_memory_request *request)
{
    svr_stream_destroy(r->stream);
    r->stream = NULL;
    r->options.memory = *request;
    return svr_stream_create(r->backend, svr_model_networks(r->model), &r->options, NULL,
                             &r->stream, &r->err);
}

static void close_run(run *r)
{
    svr_stream_destroy(r->stream);
    svr_model_close(r->model);
    CHECK(svr_backend_memory(r->backend).live_total == 0);
    CHECK(svr_backend_memory(r->backend).host_live == 0);
    svr_backend_destroy(r->backend);
}

/* All frames through the stream; checks that the memory is as planned, behind every batch. */
static void compute(run *r, uint8_t *bytes)
{
    uint8_t frames[COUNT * IN];
    rig_sequence s = {
        .frames = frames, .frame_bytes = IN, .out_elems = OUT, .count = COUNT, .bytes = bytes};
    const svr_memory_plan *plan = svr_stream_plan(r->stream);
    svr_memory_use ready = svr_backend_memory(r->backend), after;

    for (size_t i = 0; i < sizeof frames; i++)
        frames[i] = (uint8_t) (i * 2654435761u >> 13);
    CHECK_OK(rig_run(r->stream, r->backend, &r->options.temporal, 0, &s, &r->err), r->err);
    after = svr_backend_memory(r->backend);
    CHECK(ready.live_total == plan->peak && after.live_total == plan->peak);
    CHECK(after.host_live == plan->host);
    CHECK(after.allocations == ready.allocations);
    CHECK(svr_stream_scratch_peak(r->stream) == plan->scratch);
    CHECK(s.batches == 3);
    /* two whole batches and a short one, whose weights are as many */
    CHECK(after.copied_in - ready.copied_in <= 3 * plan->copied_in);
    CHECK(after.copied_in - ready.copied_in >= 2 * plan->copied_in);
    rig_sequence_finish(&s);
}

static svr_memory_plan plan_for(run *r, svr_memory_request request)
{
    CHECK_OK(configure(r, &request), r->err);
    return *svr_stream_plan(r->stream);
}

/* From everything resident down to the smallest budget. */
static void test_budgets_are_kept(void)
{
    run r = open_run();
    uint8_t *want = malloc(COUNT * OUT), *got = malloc(COUNT * OUT);
    svr_memory_plan all = plan_for(&r, (svr_memory_request){0}), least, before = all;

    CHECK(all.budget == 0 && all.streamed_blocks == 0 && !all.vae_streamed && all.copied_in == 0);
    CHECK(all.blocks == 6 && all.batch_size == 5);
    compute(&r, want);
    least = plan_for(&r, (svr_memory_request){.mode = SVR_VRAM_EXTREME_ECONOMY});
    CHECK(least.streamed_blocks == 6 && least.vae_streamed && least.peak < all.peak);
    for (int i = 0; i <= 8; i++) {
        uint64_t budget = all.peak - (all.peak - least.peak) * (uint64_t) i / 8;
        svr_memory_plan plan = plan_for(&r, (svr_memory_request){.budget = budget});

        CHECK(plan.peak <= budget && plan.budget == budget);
        CHECK(plan.streamed_blocks >= before.streamed_blocks);
        svr_backend_set_limit(r.backend, budget);
        compute(&r, got);
        svr_backend_set_limit(r.backend, 0);
        CHECK(memcmp(want, got, COUNT * OUT) == 0);
        before = plan;
    }
    CHECK(before.streamed_blocks > 0);
    free(want);
    free(got);
    close_run(&r);
}

static void test_modes(void)
{
    run r = open_run();
    uint8_t *want = malloc(COUNT * OUT), *got = malloc(COUNT * OUT);
    svr_memory_plan automatic = plan_for(&r, (svr_memory_request){0}), economy, extreme;

    compute(&r, want);
    economy = plan_for(&r, (svr_memory_request){.mode = SVR_VRAM_ECONOMY});
    CHECK(economy.vae_streamed && economy.streamed_blocks == 0);
    compute(&r, got);
    CHECK(memcmp(want, got, COUNT * OUT) == 0);
    extreme = plan_for(&r, (svr_memory_request){.mode = SVR_VRAM_EXTREME_ECONOMY});
    compute(&r, got);
    CHECK(memcmp(want, got, COUNT * OUT) == 0);
    /* nothing is put off when copies are waited for */
    plan_for(&r, (svr_memory_request){.mode = SVR_VRAM_EXTREME_ECONOMY, .synchronous = true});
    compute(&r, got);
    CHECK(lazy_queues_pending() == 0 && memcmp(want, got, COUNT * OUT) == 0);
    CHECK(extreme.peak < economy.peak && economy.peak < automatic.peak);
    CHECK(extreme.copied_in > economy.copied_in && economy.copied_in > 0);
    free(want);
    free(got);
    close_run(&r);
}

/* The peak of the most frugal placement. */
static uint64_t smallest_peak(run *r)
{
    svr_model_options model = nano_options();
    svr_stream_config config;
    svr_offline_plan offline;

    svr_stream_config_init(&config);
    config.in = r->options.phases.in;
    config.out = r->options.phases.out;
    CHECK_OK(svr_plan_offline(r->backend, &model, &config, &offline, &r->err), r->err);
    return offline.smallest.peak;
}

/* In 8 bits less waits and is copied, and the picture moves a little, but not where all stays. */
static void test_parked_precision(void)
{
    run r = open_run();
    uint8_t *want = malloc(COUNT * OUT), *got = malloc(COUNT * OUT);
    svr_memory_plan all = plan_for(&r, (svr_memory_request){0}), plain, packed;
    uint64_t budget;
    long squares = 0;

    compute(&r, want);
    CHECK(plan_for(&r, (svr_memory_request){.parked = SVR_PARKED_INT8}).peak == all.peak);
    compute(&r, got);
    CHECK(memcmp(want, got, COUNT * OUT) == 0);
    budget = smallest_peak(&r);
    plain = plan_for(&r, (svr_memory_request){.budget = budget});
    packed = plan_for(&r, (svr_memory_request){.budget = budget, .parked = SVR_PARKED_INT8});
    CHECK(packed.parked == SVR_PARKED_INT8 && packed.peak <= budget);
    CHECK(packed.host_parked > 0 && packed.host_parked < plain.host_parked);
    CHECK(packed.copied_out < plain.copied_out);
    compute(&r, got);
    for (int i = 0; i < COUNT * OUT; i++)
        squares += (want[i] - got[i]) * (want[i] - got[i]);
    /* 2.5 codes in the mean of what is made of noise, with all steps in sweeps of their own; 4 */
    CHECK(squares > 0 && squares <= 16 * COUNT * OUT);
    plan_for(
        &r, (svr_memory_request){.budget = budget, .parked = SVR_PARKED_INT8, .synchronous = true});
    compute(&r, want);
    CHECK(memcmp(want, got, COUNT * OUT) == 0);
    free(want);
    free(got);
    close_run(&r);
}

/* The threshold is a wish, the budget is not. */
static void test_threshold(void)
{
    run r = open_run();
    svr_memory_plan all = plan_for(&r, (svr_memory_request){0});
    svr_memory_plan less = plan_for(&r, (svr_memory_request){.threshold = all.peak - 1});

    CHECK(less.peak < all.peak && less.copied_in > 0);
    CHECK(plan_for(&r, (svr_memory_request){.threshold = all.peak}).peak == all.peak);
    CHECK(plan_for(&r, (svr_memory_request){.threshold = 1}).peak == all.peak);
    close_run(&r);
}

/* Refused with the smallest that works, before anything is loaded; and that works. */
static void test_refusal(void)
{
    run r = open_run();
    svr_memory_request request = {.budget = 1};
    unsigned long long mib = 0, bytes = 0;
    const char *text;

    CHECK(configure(&r, &request) == SVR_ERR_NO_VRAM);
    CHECK(svr_backend_memory(r.backend).live[SVR_MEM_WEIGHTS] == 0);
    CHECK(svr_backend_memory(r.backend).host_live == 0);
    text = strstr(r.err.text, "works is ");
    CHECK(text && sscanf(text, "works is %llu MiB (%llu bytes)", &mib, &bytes) == 2);
    CHECK(bytes == mib << 20 && mib > 0);
    CHECK(r.err.needed == bytes && r.err.available == 1);
    svr_error_clear(&r.err);
    request.budget = bytes;
    CHECK_OK(configure(&r, &request), r.err);
    request.budget = bytes - (1 << 20);
    CHECK_FAILS(configure(&r, &request), SVR_ERR_NO_VRAM, r.err);
    close_run(&r);
}

/* An open batch is the largest 4n+1 that fits. */
static void test_open_batch(void)
{
    run r = open_run();
    svr_memory_plan plan;
    int chosen;

    r.options.temporal = (svr_temporal_plan){.overlap = 2};
    plan = plan_for(&r, (svr_memory_request){0});
    CHECK(plan.batch_size == SVR_LARGEST_CPU_BATCH);
    CHECK(svr_stream_get_options(r.stream)->temporal.overlap == 2);
    r.options.temporal = (svr_temporal_plan){0};
    plan = plan_for(&r, (svr_memory_request){.mode = SVR_VRAM_EXTREME_ECONOMY});
    for (chosen = SVR_LARGEST_CPU_BATCH; chosen > 1; chosen -= 4) {
        uint64_t budget = plan.peak - 1;
        svr_memory_request request = {.budget = budget};

        r.options.temporal = svr_temporal_plan_make(chosen, 0, 0);
        plan = plan_for(&r, (svr_memory_request){.mode = SVR_VRAM_EXTREME_ECONOMY});
        CHECK(plan.batch_size == chosen);
        request.budget = plan.peak;
        r.options.temporal = (svr_temporal_plan){0};
        CHECK(plan_for(&r, request).batch_size >= chosen);
        CHECK(plan_for(&r, request).peak <= plan.peak);
    }
    close_run(&r);
}

/* A transformer that needs more memory than all the rest. */
static svr_status predict_in_much_memory(void *user, svr_exec *exec, const svr_tensor *cond,
                                         const svr_prediction *p, svr_error *err)
{
    svr_tensor much;

    (void) user, (void) cond, (void) p;
    SVR_TRY(svr_exec_alloc(exec, SVR_U8, SVR_DIMS(1 << 24), &much, err));
    svr_exec_free(exec, &much);
    return SVR_OK;
}

/* Guidance parks its latent where nothing else would do, and only there. */
static void test_guidance_gives_way(void)
{
    fake_networks fake;
    run r = open_run();
    uint64_t peak;

    fake_networks_init(&fake, FAKE_IDENTITY);
    fake.networks.predict = predict_in_much_memory;
    r.options.phases.sampler.cfg_scale = 2.0;
    for (int may = 0; may < 2; may++) {
        r.options.may_park_guidance = may != 0;
        r.options.memory.budget = 0;
        CHECK_OK(svr_stream_create(r.backend, &fake.networks, &r.options, NULL, &r.stream, &r.err),
                 r.err);
        peak = svr_stream_plan(r.stream)->peak;
        CHECK(svr_stream_plan(r.stream)->host == 0);
        svr_stream_destroy(r.stream);
        r.stream = NULL;
        r.options.memory.budget = peak - 1;
        CHECK(svr_stream_create(r.backend, &fake.networks, &r.options, NULL, &r.stream, &r.err) ==
              (may ? SVR_OK : SVR_ERR_NO_VRAM));
        svr_error_clear(&r.err);
    }
    CHECK(svr_stream_plan(r.stream)->host > 0 && svr_stream_plan(r.stream)->peak < peak);
    close_run(&r);
}

/* Field by field, because the padding of a struct holds anything. */
static bool same_plan(const svr_memory_plan *a, const svr_memory_plan *b)
{
    return a->budget == b->budget && a->peak == b->peak && a->weights == b->weights &&
           a->state == b->state && a->scratch == b->scratch && a->host == b->host &&
           a->host_parked == b->host_parked && a->copied_in == b->copied_in &&
           a->copied_out == b->copied_out && a->batch_size == b->batch_size &&
           a->blocks == b->blocks && a->streamed_blocks == b->streamed_blocks &&
           a->slots == b->slots && a->token_chunk == b->token_chunk &&
           a->vae_streamed == b->vae_streamed && a->state_on_host == b->state_on_host &&
           a->parked == b->parked && a->tiled == b->tiled && a->hidden == b->hidden;
}

/* A plan without the device is the plan with it. */
static void test_offline(void)
{
    svr_model_options model = nano_options();
    svr_stream_config config;
    svr_offline_plan offline;
    run r = open_run();
    svr_memory_plan real;

    svr_stream_config_init(&config);
    config.in = r.options.phases.in;
    config.out = r.options.phases.out;
    CHECK_OK(svr_plan_offline(r.backend, &model, &config, &offline, &r.err), r.err);
    real = plan_for(&r, (svr_memory_request){0});
    CHECK(offline.fits && same_plan(&offline.plan, &real));
    config.memory.budget = offline.smallest.peak - 1;
    CHECK_OK(svr_plan_offline(r.backend, &model, &config, &offline, &r.err), r.err);
    CHECK(!offline.fits && offline.plan.peak == offline.smallest.peak);
    config.memory.budget++;
    CHECK_OK(svr_plan_offline(r.backend, &model, &config, &offline, &r.err), r.err);
    CHECK(offline.fits && offline.plan.peak <= config.memory.budget);
    close_run(&r);
}

/* Tiles come last: from some budget on downwards, and the smallest budget is theirs. */
static void test_tiles_are_the_last_resort(void)
{
    svr_model_options model = nano_options();
    svr_stream_config config;
    svr_offline_plan o;
    run r = open_run();
    uint64_t most, least;
    int tiled = 0, untiled = 0;

    svr_stream_config_init(&config);
    config.in = (svr_video_info){.format = SVR_PIXEL_RGB, .width = 640, .height = 352};
    config.out = (svr_video_info){.format = SVR_PIXEL_RGB, .width = 1280, .height = 704};
    CHECK_OK(svr_plan_offline(r.backend, &model, &config, &o, &r.err), r.err);
    CHECK(!o.plan.tiled && o.smallest.tiled);
    most = o.plan.peak;
    least = o.smallest.peak;
    for (int i = 0; i <= 12; i++) {
        config.memory.budget = most - (most - least) * (uint64_t) i / 12;
        CHECK_OK(svr_plan_offline(r.backend, &model, &config, &o, &r.err), r.err);
        CHECK(o.fits && o.plan.peak <= config.memory.budget);
        CHECK(o.plan.tiled || tiled == 0);
        tiled += o.plan.tiled;
        untiled += !o.plan.tiled;
    }
    CHECK(tiled > 0 && untiled > 6);
    /* a batch that is left open is rather small than tiled */
    config.batch_size = 0;
    config.memory.budget = most;
    CHECK_OK(svr_plan_offline(r.backend, &model, &config, &o, &r.err), r.err);
    CHECK(o.fits && !o.plan.tiled);
    config.memory.budget = least;
    CHECK_OK(svr_plan_offline(r.backend, &model, &config, &o, &r.err), r.err);
    CHECK(o.fits && o.plan.tiled);
    close_run(&r);
}

/* Tiles on request: the same picture. */
static void test_tiles_on_request(void)
{
    enum { TILE = 28 };
    run r = open_run();
    uint8_t *want = malloc(COUNT * OUT), *got = malloc(COUNT * OUT);
    svr_memory_plan all, tiled;

    /* correction by ranks makes much of a rounding */
    r.options.phases.colour = SVR_COLOUR_NONE;
    all = plan_for(&r, (svr_memory_request){0});

    compute(&r, want);
    for (int mode = 0; mode < 3; mode++) {
        tiled = plan_for(&r, (svr_memory_request){.tile_size = TILE, .mode = (svr_vram_mode) mode});
        CHECK(tiled.tiled && tiled.peak < all.peak);
        compute(&r, got);
        for (int i = 0; i < COUNT * OUT; i++)
            CHECK(abs(want[i] - got[i]) <= 1);
    }
    CHECK(!plan_for(&r, (svr_memory_request){.tile_size = 48}).tiled);
    r.options.memory = (svr_memory_request){.tile_size = 20};
    svr_stream_destroy(r.stream);
    CHECK(svr_stream_create(r.backend, svr_model_networks(r.model), &r.options, NULL, &r.stream,
                            &r.err) == SVR_ERR_INVALID);
    CHECK_TEXT(r.err.text, "give at least 28");
    svr_error_clear(&r.err);
    r.stream = NULL;
    free(want);
    free(got);
    close_run(&r);
}

/* Networks without placements have the one plan that they have. */
static void test_plain_networks(void)
{
    fake_networks fake;
    run r = open_run();
    svr_memory_request request = {0};
    uint64_t peak;

    fake_networks_init(&fake, FAKE_IDENTITY);
    CHECK_OK(svr_stream_create(r.backend, &fake.networks, &r.options, NULL, &r.stream, &r.err),
             r.err);
    peak = svr_stream_plan(r.stream)->peak;
    svr_stream_destroy(r.stream);
    r.stream = NULL;
    request.budget = peak;
    r.options.memory = request;
    CHECK_OK(svr_stream_create(r.backend, &fake.networks, &r.options, NULL, &r.stream, &r.err),
             r.err);
    svr_stream_destroy(r.stream);
    r.stream = NULL;
    r.options.memory.budget = peak - 1;
    CHECK_FAILS(svr_stream_create(r.backend, &fake.networks, &r.options, NULL, &r.stream, &r.err),
                SVR_ERR_NO_VRAM, r.err);
    r.stream = NULL;
    close_run(&r);
}

/* A batch that failed leaves copies under way; the next one does not see them. */
static void test_every_failing_copy_is_clean(void)
{
    run r = open_run();
    uint8_t *want = malloc(COUNT * OUT), *got = malloc(COUNT * OUT), frames[5 * IN];
    int failed = 0;
    svr_status status;

    plan_for(&r, (svr_memory_request){.mode = SVR_VRAM_EXTREME_ECONOMY});
    compute(&r, want);
    do {
        rig_sequence s = {
            .frames = frames, .frame_bytes = IN, .out_elems = OUT, .count = 5, .bytes = got};

        memset(frames, 17 * failed, sizeof frames);
        lazy_queues_fail(++failed);
        status = rig_run(r.stream, r.backend, &r.options.temporal, 0, &s, &r.err);
        CHECK(status == SVR_OK || status == SVR_ERR_IO);
        svr_error_clear(&r.err);
        svr_stream_restart(r.stream);
        CHECK(lazy_queues_pending() == 0);
        rig_sequence_finish(&s);
    } while (status != SVR_OK);
    CHECK(failed > 8); /* each of the blocks, encoder and decoder once, then none */
    lazy_queues_fail(0);
    compute(&r, got);
    CHECK(memcmp(want, got, COUNT * OUT) == 0);
    free(want);
    free(got);
    close_run(&r);
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    model_dir = argv[1];
    RUN(test_budgets_are_kept);
    RUN(test_modes);
    RUN(test_parked_precision);
    RUN(test_threshold);
    RUN(test_refusal);
    RUN(test_open_batch);
    RUN(test_guidance_gives_way);
    RUN(test_offline);
    RUN(test_tiles_are_the_last_resort);
    RUN(test_tiles_on_request);
    RUN(test_plain_networks);
    RUN(test_every_failing_copy_is_clean);
    return check_done();
}
