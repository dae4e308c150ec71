/* Plans without a device, and what budgets lead to, down to tiles. */
#include "planner_rig.h"

#include "pipeline/offline_plan.h"

#include "check.h"

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
    svr_model_options model = planner_model();
    svr_stream_config config;
    svr_offline_plan offline;
    planner_run r = planner_open();
    svr_memory_plan real;

    svr_stream_config_init(&config);
    config.in = r.options.phases.in;
    config.out = r.options.phases.out;
    CHECK_OK(svr_plan_offline(r.backend, &model, &config, &offline, &r.err), r.err);
    real = planner_plan_for(&r, (svr_memory_request){0});
    CHECK(offline.fits && same_plan(&offline.plan, &real));
    config.memory.budget = offline.smallest.peak - 1;
    CHECK_OK(svr_plan_offline(r.backend, &model, &config, &offline, &r.err), r.err);
    CHECK(!offline.fits && offline.plan.peak == offline.smallest.peak);
    config.memory.budget++;
    CHECK_OK(svr_plan_offline(r.backend, &model, &config, &offline, &r.err), r.err);
    CHECK(offline.fits && offline.plan.peak <= config.memory.budget);
    planner_close(&r);
}

/* Tiles come last: from some budget on downwards, and the smallest budget is theirs. */
static void test_tiles_are_the_last_resort(void)
{
    svr_model_options model = planner_model();
    svr_stream_config config;
    svr_offline_plan o;
    planner_run r = planner_open();
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
    planner_close(&r);
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    planner_models = argv[1];
    RUN(test_offline);
    RUN(test_tiles_are_the_last_resort);
    return check_done();
}
