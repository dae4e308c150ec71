/* What phases.c and phases_plan.c share. */
#ifndef SVR_PIPELINE_PHASES_INTERNAL_H
#define SVR_PIPELINE_PHASES_INTERNAL_H

#include "pipeline/phases.h"

struct svr_phases {
    svr_backend *backend;
    const svr_networks *networks;
    svr_phases_config config;
    svr_pre *pre;
    uint8_t *staging; /* one output frame, tightly packed */
};

/* Latent grid of `frames` = temporal_factor * n + 1 frames. */
void svr_phases_latent_grid(const svr_phases *phases, int64_t frames, int grid[3]);

/* That grid, with its tables. */
SVR_CHECKED svr_status svr_phases_prepare(svr_phases *phases, int64_t frames, int grid[3],
                                          svr_error *err);

#endif
