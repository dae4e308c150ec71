#include "pipeline/offline_plan.h"

#include "pipeline/planner.h"
#include "pipeline/stream_config.h"

/* Everything that is planned with. */
typedef struct offline {
    svr_backend *counting;
    svr_model *model;
    svr_phases *phases;
    svr_stream_options options;
} offline;

static svr_status plan(offline *o, svr_offline_plan *out, svr_error *err)
{
    svr_planning planning = {.backend = o->counting,
                             .networks = svr_model_networks(o->model),
                             .phases = o->phases,
                             .temporal = &o->options.temporal,
                             .uniform = o->options.uniform,
                             .may_park_guidance = o->options.may_park_guidance,
                             .request = &o->options.memory};
    svr_error refused = {.code = SVR_OK};
    svr_status status;

    SVR_TRY(svr_plan_open_batch(&planning, SVR_LARGEST_BATCH, &o->options.temporal, err));
    SVR_TRY(svr_plan_smallest(&planning, &out->smallest, err));
    status = svr_plan_make(&planning, &out->plan, &refused);
    out->fits = status == SVR_OK;
    if (status == SVR_ERR_NO_VRAM)
        out->plan = out->smallest;
    else if (status != SVR_OK && err)
        *err = refused;
    return status == SVR_ERR_NO_VRAM ? SVR_OK : status;
}

static svr_status set_up(offline *o, svr_backend *device, const svr_model_options *model,
                         const svr_stream_config *config, svr_error *err)
{
    const svr_networks *networks;

    o->counting = svr_counting_backend_create(device);
    if (!o->counting)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no host memory to plan a stream");
    SVR_TRY(svr_model_open(o->counting, model, &o->model, err));
    networks = svr_model_networks(o->model);
    SVR_TRY(svr_stream_config_resolve(config, networks, &o->options, err));
    return svr_phases_create(o->counting, networks, &o->options.phases, &o->phases, err);
}

svr_status svr_plan_offline(svr_backend *device, const svr_model_options *model,
                            const svr_stream_config *config, svr_offline_plan *out, svr_error *err)
{
    offline o = {0};
    svr_status status = set_up(&o, device, model, config, err);

    if (status == SVR_OK)
        status = plan(&o, out, err);
    svr_phases_destroy(o.phases);
    svr_model_close(o.model);
    svr_backend_destroy(o.counting);
    return status;
}
