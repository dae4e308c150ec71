/* The planner: budgets are kept, what is predicted happens, nothing of it changes the picture. */
#include "planner_rig.h"

#include "pipeline/planner.h"

#include "check.h"
#include "fake_networks.h"
#include "lazy_queues.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* From everything resident down to the smallest budget. */
static void test_budgets_are_kept(void)
{
    planner_run r = planner_open();
    uint8_t *want = malloc(PLANNER_FRAMES * PLANNER_OUT),
            *got = malloc(PLANNER_FRAMES * PLANNER_OUT);
    svr_memory_plan all = planner_plan_for(&r, (svr_memory_request){0}), least, before = all;

    CHECK(all.budget == 0 && all.streamed_blocks == 0 && !all.vae_streamed && all.copied_in == 0);
    CHECK(all.blocks == 6 && all.batch_size == 5);
    planner_compute(&r, want);
    least = planner_plan_for(&r, (svr_memory_request){.mode = SVR_VRAM_EXTREME_ECONOMY});
    CHECK(least.streamed_blocks == 6 && least.vae_streamed && least.peak < all.peak);
    for (int i = 0; i <= 8; i++) {
        uint64_t budget = all.peak - (all.peak - least.peak) * (uint64_t) i / 8;
        svr_memory_plan plan = planner_plan_for(&r, (svr_memory_request){.budget = budget});

        CHECK(plan.peak <= budget && plan.budget == budget);
        CHECK(plan.streamed_blocks >= before.streamed_blocks);
        svr_backend_set_limit(r.backend, budget);
        planner_compute(&r, got);
        svr_backend_set_limit(r.backend, 0);
        CHECK(memcmp(want, got, PLANNER_FRAMES * PLANNER_OUT) == 0);
        before = plan;
    }
    CHECK(before.streamed_blocks > 0);
    free(want);
    free(got);
    planner_close(&r);
}

static void test_modes(void)
{
    planner_run r = planner_open();
    uint8_t *want = malloc(PLANNER_FRAMES * PLANNER_OUT),
            *got = malloc(PLANNER_FRAMES * PLANNER_OUT);
    svr_memory_plan automatic = planner_plan_for(&r, (svr_memory_request){0}), economy, extreme;

    planner_compute(&r, want);
    economy = planner_plan_for(&r, (svr_memory_request){.mode = SVR_VRAM_ECONOMY});
    CHECK(economy.vae_streamed && economy.streamed_blocks == 0);
    planner_compute(&r, got);
    CHECK(memcmp(want, got, PLANNER_FRAMES * PLANNER_OUT) == 0);
    extreme = planner_plan_for(&r, (svr_memory_request){.mode = SVR_VRAM_EXTREME_ECONOMY});
    planner_compute(&r, got);
    CHECK(memcmp(want, got, PLANNER_FRAMES * PLANNER_OUT) == 0);
    /* nothing is put off when copies are waited for */
    planner_plan_for(&r,
                     (svr_memory_request){.mode = SVR_VRAM_EXTREME_ECONOMY, .synchronous = true});
    planner_compute(&r, got);
    CHECK(lazy_queues_pending() == 0 && memcmp(want, got, PLANNER_FRAMES * PLANNER_OUT) == 0);
    CHECK(extreme.peak < economy.peak && economy.peak < automatic.peak);
    CHECK(extreme.copied_in > economy.copied_in && economy.copied_in > 0);
    free(want);
    free(got);
    planner_close(&r);
}

/* In 8 bits less waits and is copied, and the picture moves a little, but not where all stays. */
static void test_parked_precision(void)
{
    planner_run r = planner_open();
    uint8_t *want = malloc(PLANNER_FRAMES * PLANNER_OUT),
            *got = malloc(PLANNER_FRAMES * PLANNER_OUT);
    svr_memory_plan all = planner_plan_for(&r, (svr_memory_request){0}), plain, packed;
    uint64_t budget;
    long squares = 0;

    planner_compute(&r, want);
    CHECK(planner_plan_for(&r, (svr_memory_request){.parked = SVR_PARKED_INT8}).peak == all.peak);
    planner_compute(&r, got);
    CHECK(memcmp(want, got, PLANNER_FRAMES * PLANNER_OUT) == 0);
    budget = planner_smallest_peak(&r);
    plain = planner_plan_for(&r, (svr_memory_request){.budget = budget});
    packed =
        planner_plan_for(&r, (svr_memory_request){.budget = budget, .parked = SVR_PARKED_INT8});
    CHECK(packed.parked == SVR_PARKED_INT8 && packed.peak <= budget);
    CHECK(packed.host_parked > 0 && packed.host_parked < plain.host_parked);
    CHECK(packed.copied_out < plain.copied_out);
    planner_compute(&r, got);
    for (int i = 0; i < PLANNER_FRAMES * PLANNER_OUT; i++)
        squares += (want[i] - got[i]) * (want[i] - got[i]);
    /* 2.5 codes in the mean of what is made of noise, with all steps in sweeps of their own; 4 */
    CHECK(squares > 0 && squares <= 16 * PLANNER_FRAMES * PLANNER_OUT);
    planner_plan_for(
        &r, (svr_memory_request){.budget = budget, .parked = SVR_PARKED_INT8, .synchronous = true});
    planner_compute(&r, want);
    CHECK(memcmp(want, got, PLANNER_FRAMES * PLANNER_OUT) == 0);
    free(want);
    free(got);
    planner_close(&r);
}

/* The threshold is a wish, the budget is not. */
static void test_threshold(void)
{
    planner_run r = planner_open();
    svr_memory_plan all = planner_plan_for(&r, (svr_memory_request){0});
    svr_memory_plan less = planner_plan_for(&r, (svr_memory_request){.threshold = all.peak - 1});

    CHECK(less.peak < all.peak && less.copied_in > 0);
    CHECK(planner_plan_for(&r, (svr_memory_request){.threshold = all.peak}).peak == all.peak);
    CHECK(planner_plan_for(&r, (svr_memory_request){.threshold = 1}).peak == all.peak);
    planner_close(&r);
}

/* Refused with the smallest that works, before anything is loaded; and that works. */
static void test_refusal(void)
{
    planner_run r = planner_open();
    svr_memory_request request = {.budget = 1};
    unsigned long long mib = 0, bytes = 0;
    const char *text;

    CHECK(planner_configure(&r, &request) == SVR_ERR_NO_VRAM);
    CHECK(svr_backend_memory(r.backend).live[SVR_MEM_WEIGHTS] == 0);
    CHECK(svr_backend_memory(r.backend).host_live == 0);
    text = strstr(r.err.text, "works is ");
    CHECK(text && sscanf(text, "works is %llu MiB (%llu bytes)", &mib, &bytes) == 2);
    CHECK(bytes == mib << 20 && mib > 0);
    CHECK(r.err.needed == bytes && r.err.available == 1);
    svr_error_clear(&r.err);
    request.budget = bytes;
    CHECK_OK(planner_configure(&r, &request), r.err);
    request.budget = bytes - (1 << 20);
    CHECK_FAILS(planner_configure(&r, &request), SVR_ERR_NO_VRAM, r.err);
    planner_close(&r);
}

/* An open batch is the largest 4n+1 that fits. */
static void test_open_batch(void)
{
    planner_run r = planner_open();
    svr_memory_plan plan;
    int chosen;

    r.options.temporal = (svr_temporal_plan){.overlap = 2};
    plan = planner_plan_for(&r, (svr_memory_request){0});
    CHECK(plan.batch_size == SVR_LARGEST_CPU_BATCH);
    CHECK(svr_stream_get_options(r.stream)->temporal.overlap == 2);
    r.options.temporal = (svr_temporal_plan){0};
    plan = planner_plan_for(&r, (svr_memory_request){.mode = SVR_VRAM_EXTREME_ECONOMY});
    for (chosen = SVR_LARGEST_CPU_BATCH; chosen > 1; chosen -= 4) {
        uint64_t budget = plan.peak - 1;
        svr_memory_request request = {.budget = budget};

        r.options.temporal = svr_temporal_plan_make(chosen, 0, 0);
        plan = planner_plan_for(&r, (svr_memory_request){.mode = SVR_VRAM_EXTREME_ECONOMY});
        CHECK(plan.batch_size == chosen);
        request.budget = plan.peak;
        r.options.temporal = (svr_temporal_plan){0};
        CHECK(planner_plan_for(&r, request).batch_size >= chosen);
        CHECK(planner_plan_for(&r, request).peak <= plan.peak);
    }
    planner_close(&r);
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
    planner_run r = planner_open();
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
    planner_close(&r);
}

/* A transformer whose memory grows with the frames. */
static svr_status predict_in_memory_of_frames(void *user, svr_exec *exec, const svr_tensor *cond,
                                              const svr_prediction *p, svr_error *err)
{
    svr_tensor much;

    (void) user, (void) p;
    SVR_TRY(svr_exec_alloc(exec, SVR_U8, SVR_DIMS(cond->dims[0] << 22), &much, err));
    svr_exec_free(exec, &much);
    return SVR_OK;
}

/* Guidance that gave way for batches that do not fit all the same does not for the one that does.
 */
static void test_guidance_of_open_batch(void)
{
    fake_networks fake;
    planner_run r = planner_open();

    fake_networks_init(&fake, FAKE_IDENTITY);
    fake.networks.predict = predict_in_memory_of_frames;
    r.options.phases.sampler.cfg_scale = 2.0;
    r.options.may_park_guidance = true;
    CHECK_OK(svr_stream_create(r.backend, &fake.networks, &r.options, NULL, &r.stream, &r.err),
             r.err);
    r.options.memory.budget = svr_stream_plan(r.stream)->peak;
    svr_stream_destroy(r.stream);
    r.options.temporal = (svr_temporal_plan){0};
    CHECK_OK(svr_stream_create(r.backend, &fake.networks, &r.options, NULL, &r.stream, &r.err),
             r.err);
    CHECK(svr_stream_plan(r.stream)->batch_size == 5 && svr_stream_plan(r.stream)->host == 0);
    planner_close(&r);
}

/* Tiles on request: the same picture. */
static void test_tiles_on_request(void)
{
    enum { TILE = 28 };
    planner_run r = planner_open();
    uint8_t *want = malloc(PLANNER_FRAMES * PLANNER_OUT),
            *got = malloc(PLANNER_FRAMES * PLANNER_OUT);
    svr_memory_plan all, tiled;

    /* correction by ranks makes much of a rounding */
    r.options.phases.colour = SVR_COLOUR_NONE;
    all = planner_plan_for(&r, (svr_memory_request){0});

    planner_compute(&r, want);
    for (int mode = 0; mode < 3; mode++) {
        tiled = planner_plan_for(
            &r, (svr_memory_request){.tile_size = TILE, .mode = (svr_vram_mode) mode});
        CHECK(tiled.tiled && tiled.peak < all.peak);
        planner_compute(&r, got);
        for (int i = 0; i < PLANNER_FRAMES * PLANNER_OUT; i++)
            CHECK(abs(want[i] - got[i]) <= 1);
    }
    CHECK(!planner_plan_for(&r, (svr_memory_request){.tile_size = 48}).tiled);
    r.options.memory = (svr_memory_request){.tile_size = 20};
    svr_stream_destroy(r.stream);
    CHECK(svr_stream_create(r.backend, svr_model_networks(r.model), &r.options, NULL, &r.stream,
                            &r.err) == SVR_ERR_INVALID);
    CHECK_TEXT(r.err.text, "give at least 28");
    svr_error_clear(&r.err);
    r.stream = NULL;
    free(want);
    free(got);
    planner_close(&r);
}

/* Networks without placements have the one plan that they have. */
static void test_plain_networks(void)
{
    fake_networks fake;
    planner_run r = planner_open();
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
    planner_close(&r);
}

/* A batch that failed leaves copies under way; the next one does not see them. */
static void test_every_failing_copy_is_clean(void)
{
    planner_run r = planner_open();
    uint8_t *want = malloc(PLANNER_FRAMES * PLANNER_OUT),
            *got = malloc(PLANNER_FRAMES * PLANNER_OUT), frames[5 * PLANNER_IN];
    int failed = 0;
    svr_status status;

    planner_plan_for(&r, (svr_memory_request){.mode = SVR_VRAM_EXTREME_ECONOMY});
    planner_compute(&r, want);
    do {
        rig_sequence s = {.frames = frames,
                          .frame_bytes = PLANNER_IN,
                          .out_elems = PLANNER_OUT,
                          .count = 5,
                          .bytes = got};

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
    planner_compute(&r, got);
    CHECK(memcmp(want, got, PLANNER_FRAMES * PLANNER_OUT) == 0);
    free(want);
    free(got);
    planner_close(&r);
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    planner_models = argv[1];
    RUN(test_budgets_are_kept);
    RUN(test_modes);
    RUN(test_parked_precision);
    RUN(test_threshold);
    RUN(test_refusal);
    RUN(test_open_batch);
    RUN(test_guidance_gives_way);
    RUN(test_guidance_of_open_batch);
    RUN(test_tiles_on_request);
    RUN(test_plain_networks);
    RUN(test_every_failing_copy_is_clean);
    return check_done();
}
