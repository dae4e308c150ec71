#include "planner_rig.h"

#include "pipeline/offline_plan.h"

#include "check.h"
#include "lazy_queues.h"

#include <stdio.h>

const char *planner_models;

static const char *join(const char *name)
{
    static char paths[4][1024];
    static int next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof paths[0], "%s/%s", planner_models, name);
    return path;
}

svr_model_options planner_model(void)
{
    return (svr_model_options){.dit_path = join("nano_dit.safetensors"),
                               .vae_path = join("nano_vae.safetensors"),
                               .storage = SVR_F16,
                               .steps = 1};
}

planner_run planner_open(void)
{
    svr_model_options model = planner_model();
    svr_size_plan sizes = svr_size_plan_exact((svr_size){48, 32}, 16);
    planner_run r = {.backend = rig_backend(0)};

    lazy_queues_install(r.backend);
    r.options = rig_options((svr_size){24, 16}, &sizes);
    r.options.temporal = svr_temporal_plan_make(5, 0, 0);
    CHECK_OK(svr_model_open(r.backend, &model, &r.model, &r.err), r.err);
    return r;
}

svr_status planner_configure(planner_run *r, const svr_memory_request *request)
{
    svr_stream_destroy(r->stream);
    r->stream = NULL;
    r->options.memory = *request;
    return svr_stream_create(r->backend, svr_model_networks(r->model), &r->options, NULL,
                             &r->stream, &r->err);
}

void planner_close(planner_run *r)
{
    svr_stream_destroy(r->stream);
    svr_model_close(r->model);
    CHECK(svr_backend_memory(r->backend).live_total == 0);
    CHECK(svr_backend_memory(r->backend).host_live == 0);
    svr_backend_destroy(r->backend);
}

void planner_compute(planner_run *r, uint8_t *bytes)
{
    uint8_t frames[PLANNER_FRAMES * PLANNER_IN];
    rig_sequence s = {.frames = frames,
                      .frame_bytes = PLANNER_IN,
                      .out_elems = PLANNER_OUT,
                      .count = PLANNER_FRAMES,
                      .bytes = bytes};
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

svr_memory_plan planner_plan_for(planner_run *r, svr_memory_request request)
{
    CHECK_OK(planner_configure(r, &request), r->err);
    return *svr_stream_plan(r->stream);
}

uint64_t planner_smallest_peak(planner_run *r)
{
    svr_model_options model = planner_model();
    svr_stream_config config;
    svr_offline_plan offline;

    svr_stream_config_init(&config);
    config.in = r->options.phases.in;
    config.out = r->options.phases.out;
    CHECK_OK(svr_plan_offline(r->backend, &model, &config, &offline, &r->err), r->err);
    return offline.smallest.peak;
}
