/* Chooses how a stream's memory is arranged: the cheapest placement whose peak, counted by running
 * the phases on the counting backend, fits.  docs/memory.md tells what is compared.
 * Level 5.  Thread: the one that computes. */
#ifndef SVR_PIPELINE_PLANNER_H
#define SVR_PIPELINE_PLANNER_H

#include "pipeline/memory_plan.h"
#include "pipeline/phases.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The largest batch that is chosen where the caller leaves it open: three seconds of film on a GPU;
 * on a CPU what takes it some seconds. */
enum { SVR_LARGEST_BATCH = 81, SVR_LARGEST_CPU_BATCH = 21 };

/* A stream to be planned; all borrowed. */
typedef struct svr_planning {
    svr_backend *backend;
    const svr_networks *networks;
    svr_phases *phases;
    const svr_temporal_plan *temporal;
    bool uniform;
    bool may_park_guidance;   /* on the host, where the plan fails otherwise */
    bool without_last_resort; /* no tiles but those asked for */
    bool trial;               /* nobody reads the numbers of a refusal */
    const svr_memory_request *request;
    const svr_cancel *cancel; /* may be NULL */
} svr_planning;

/* Decoded frames that wait between batches, device memory of the tag STATE: those of slices that
 * are not final, and what the next batch shares.  Without overlap none do. */
int64_t svr_waiting_frames(const svr_temporal_plan *temporal);

/* Source frames, and finished ones, that wait as integers at most, on a device. */
int64_t svr_waiting_sources(const svr_temporal_plan *temporal);
int64_t svr_waiting_finished(const svr_temporal_plan *temporal);

/* The plan; the networks have its placement then and are to be loaded.
 * Errors: NO_VRAM (with the smallest budget that works), NO_MEM, CANCELLED, those of the networks.
 */
SVR_CHECKED svr_status svr_plan_make(const svr_planning *planning, svr_memory_plan *out,
                                     svr_error *err);

/* The plan of the most frugal placement, whatever it needs. */
SVR_CHECKED svr_status svr_plan_smallest(const svr_planning *planning, svr_memory_plan *out,
                                         svr_error *err);

/* Chooses the batch of the planning's temporal plan where it is open (0); others stay.  It becomes
 * the largest of some batches 4n+1 of at most `most` frames that fits the request and whose copies
 * hide behind the computation and that park at most 32 GiB on the host; without such one, the
 * largest of at most 21 that fits, with tiles if none fits without. */
SVR_CHECKED svr_status svr_plan_open_batch(const svr_planning *planning, int most,
                                           svr_temporal_plan *temporal, svr_error *err);

#ifdef __cplusplus
}
#endif
#endif
