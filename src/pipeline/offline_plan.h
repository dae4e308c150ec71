/* A stream's memory plan for a device that need not be there.  Level 5.  Thread: any. */
#ifndef SVR_PIPELINE_OFFLINE_PLAN_H
#define SVR_PIPELINE_OFFLINE_PLAN_H

#include "pipeline/model.h"
#include "pipeline/upscaler.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct svr_offline_plan {
    bool fits;
    svr_memory_plan plan;     /* if not: of the most frugal placement */
    svr_memory_plan smallest; /* the most frugal placement of that batch */
} svr_offline_plan;

/* Plans `config` for a model on `device`, which is borrowed and asked for workspaces and types only
 * (svr_cuda_module_sketch(), or any backend).  Nothing is loaded.
 * Errors: those of opening the model and of the configuration; a budget that is too small is none.
 */
SVR_CHECKED svr_status svr_plan_offline(svr_backend *device, const svr_model_options *model,
                                        const svr_stream_config *config, svr_offline_plan *out,
                                        svr_error *err);

#ifdef __cplusplus
}
#endif
#endif
