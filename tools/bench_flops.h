/* How much arithmetic the networks do for a batch: the network code itself runs on the counting
 * backend with ops that add up multiply-adds instead of computing. */
#ifndef SEEDVR2_BENCH_FLOPS_H
#define SEEDVR2_BENCH_FLOPS_H

#include "pipeline/networks.h"

typedef struct bench_flops {
    double encode, dit, decode; /* floating point operations; a multiply-add is two */
} bench_flops;

/* For `frames` = temporal_factor * n + 1 frames of padded size width x height.  `backend` is the
 * one that `networks` live on. */
SVR_CHECKED svr_status bench_count_flops(svr_backend *backend, const svr_networks *networks,
                                         const int frames_height_width[3], bench_flops *out,
                                         svr_error *err);

#endif
