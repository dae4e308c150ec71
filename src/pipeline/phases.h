/* One batch through the networks, phase by phase, and its frames out again:
 *
 *   integers -> pre -> encode -> sample -> decode -> [cross-fade] -> alpha -> colour -> integers
 *
 * The same code runs on the counting backend, which is how the scratch size is planned.
 * Level 5.  Thread: the one that computes. */
#ifndef SVR_PIPELINE_PHASES_H
#define SVR_PIPELINE_PHASES_H

#include "dit/sampler.h"
#include "pipeline/batcher.h"
#include "pipeline/networks.h"
#include "pipeline/stats.h"
#include "video/colour.h"
#include "video/pre.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct svr_phases svr_phases;

typedef struct svr_phases_config {
    svr_video_info in, out;
    bool in_on_device, out_on_device; /* where source and finished frames are */
    svr_size_plan sizes;
    uint64_t seed;
    svr_sampler_config sampler;
    svr_colour_method colour;
    bool exact_colour;    /* rank matching by sorting (verification) */
    bool reference_blend; /* overlap weights of the reference (verification) */
    bool truncate;        /* the reference's quantiser (verification) */
} svr_phases_config;

/* `backend` and `networks` are borrowed.  Errors: NO_MEM, NO_VRAM, those of svr_pre_create(). */
SVR_CHECKED svr_status svr_phases_create(svr_backend *backend, const svr_networks *networks,
                                         const svr_phases_config *config, svr_phases **out,
                                         svr_error *err);
void svr_phases_destroy(svr_phases *phases);

/* Shape of a decoded slice: [frames, oh, ow, 3] F32. */
void svr_phases_slice_dims(const svr_phases *phases, int frames, int64_t dims[4]);

/* A batch: `count` source frames, tightly packed, on the side that the configuration says. */
typedef struct svr_phases_batch {
    const uint8_t *const *frames;
    int count;   /* true frames, before they are mirrored up to 4n+1 */
    int uniform; /* > count: mirrored up to this first; 0: no */
    /* absolute number of frame 0, lead-in included: keys the noise, whose first latent frame is
     * first_frame / temporal factor, rounded down */
    int64_t first_frame;
} svr_phases_batch;

/* Encode, sample, decode.   *y [count,oh,ow,3] F32: model values, cut to the output, not clamped;
 * scratch memory, the caller's from now on, whose place depends on the latent frames alone.  What
 * each phase took is added to `times` (optional).  Taps: "b.latent", "b.noise", "b.v". Errors:
 * OVERFLOW (a result is not finite; there is no y), those of the networks, CANCELLED, NO_VRAM,
 * DEVICE. */
SVR_CHECKED svr_status svr_phases_compute(svr_phases *phases, svr_exec *exec,
                                          const svr_phases_batch *batch, svr_tensor *y,
                                          svr_phase_times *times, svr_error *err);

/* Cross-fades the last frames of a batch with the first of the next, into the former.
 *   prev, cur [n,oh,ow,3] F32.   Source: spec pipeline §10. */
SVR_CHECKED svr_status svr_phases_blend(svr_phases *phases, svr_exec *exec, const svr_tensor *prev,
                                        const svr_tensor *cur, svr_error *err);

/* Takes frame `index` of a slice, tightly packed, where the configuration wants it; `data` is
 * complete and valid during the call. */
typedef svr_status (*svr_frame_sink)(void *user, int index, const uint8_t *data, svr_error *err);

/* Decoded frames on their way out. */
typedef struct svr_phases_slice {
    const svr_tensor *y;          /* [count,oh,ow,3] F32, corrected in place */
    const uint8_t *const *frames; /* [count] their source frames */
    svr_frame_sink sink; /* gets the frames in order, as they are ready; NULL: nobody wants them */
    void *sink_user;
} svr_phases_slice;

/* Colour-corrects a slice in place and hands its frames, tightly packed as `out`, to the sink.
 * What it took is added to `times` (optional).  Tap: "b.out", the corrected slice.
 * Errors: those of the sink, CANCELLED, NO_VRAM, DEVICE. */
SVR_CHECKED svr_status svr_phases_finish(svr_phases *phases, svr_exec *exec,
                                         const svr_phases_slice *slice, svr_phase_times *times,
                                         svr_error *err);

typedef enum svr_stage {
    SVR_STAGE_ENCODE, /* upload, resize, VAE encoder */
    SVR_STAGE_DIT,
    SVR_STAGE_DECODE,
    SVR_STAGE_FINISH, /* alpha, colour, pack */
    SVR_STAGES
} svr_stage;

/* What one stage of a whole batch needs, in bytes. */
typedef struct svr_stage_need {
    uint64_t scratch;               /* peak while it works */
    uint64_t copied_in, copied_out; /* through the queues beside the computation */
} svr_stage_need;

/* What batches need, in bytes. */
typedef struct svr_phases_need {
    uint64_t scratch; /* peak on the device */
    uint64_t host;    /* peak of page-locked memory, weights apart */
    svr_stage_need stage[SVR_STAGES];
} svr_phases_need;

/* How much of the batches of a plan is counted. */
typedef enum svr_plan_extent {
    SVR_PLAN_WHOLE_BATCH, /* a full batch only: enough to compare placements */
    SVR_PLAN_EVERY_BATCH  /* all lengths that can occur */
} svr_plan_extent;

/* Needs of batches of up to plan->batch frames with plan->overlap, found by running the code above
 * on a counting backend; `uniform`: short batches are mirrored up to full ones.  Calls the
 * networks' `prepare` for every latent grid that can occur, so their tables are made too.  Polls
 * `cancel` (may be NULL).  Errors: NO_MEM, CANCELLED, those of the networks. */
SVR_CHECKED svr_status svr_phases_plan(svr_phases *phases, const svr_temporal_plan *plan,
                                       bool uniform, svr_plan_extent extent,
                                       const svr_cancel *cancel, svr_phases_need *need,
                                       svr_error *err);

/* What svr_phases_plan() makes with EVERY_BATCH and leaves behind: the tables of all latent grids.
 * Errors: those of the networks. */
SVR_CHECKED svr_status svr_phases_make_tables(svr_phases *phases, const svr_temporal_plan *plan,
                                              bool uniform, svr_error *err);

/* Whether guidance parks its positive velocity on the host (svr_sampler_config.park_on_host). */
void svr_phases_park_guidance(svr_phases *phases, bool park);

/* Bytes on the device of so many waiting source and finished frames, as integers; of those on the
 * host none. */
uint64_t svr_phases_device_frames(const svr_phases *phases, int64_t sources, int64_t finished);

/* Most frames of a batch whose colours can be corrected. */
int64_t svr_phases_most_frames(const svr_phases *phases);

/* Size of the frames that the networks see. */
svr_size svr_phases_padded(const svr_phases *phases);

/* Tokens of the transformer in a batch of `frames` frames. */
int64_t svr_phases_tokens(const svr_phases *phases, int frames);

#ifdef __cplusplus
}
#endif
#endif
