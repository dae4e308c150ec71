/* What the pipeline tests share: a sequence of frames run through svr_stream. */
#ifndef SVR_TESTS_PIPELINE_RIG_H
#define SVR_TESTS_PIPELINE_RIG_H

#include "cpu/cpu_backend.h"
#include "pipeline/stream.h"

#include <stdbool.h>

/* A CPU backend with one thread whose n-th allocation (from 1; 0: none) fails. */
svr_backend *rig_backend(uint64_t fail_allocation);

/* Options of an RGB stream in -> out with the defaults of the public API. */
svr_stream_options rig_options(svr_size in, const svr_size_plan *sizes);

/* The frames of a sequence and what came out. */
typedef struct rig_sequence {
    const uint8_t *frames; /* [count] tightly packed */
    size_t frame_bytes, out_elems;
    int count;
    float *out;     /* [count][out_elems] unit values behind the colour correction */
    uint8_t *bytes; /* [count][out_elems] packed RGB */
    int64_t next;   /* virtual frame that must come next */
    int64_t tapped; /* virtual frames seen by the tap */
    int prepend;
    /* optional: latents, noise and predictions of the first two batches, in order; new memory */
    float *latent[2], *noise[2], *v[2];
    int latents, noises, vs;
    uint64_t allocations[64]; /* of the backend, behind each batch */
    int batches;
    int overflows; /* batches that were tried again */
} rig_sequence;

/* Runs all batches and the flush on a CPU backend; checks that frames come once and in order.
 * Fills in what `sequence` asks for (out, bytes: given by the caller, may be NULL). */
svr_status rig_run(svr_stream *stream, svr_backend *backend, const svr_temporal_plan *plan,
                   int64_t first_frame, rig_sequence *sequence, svr_error *err);

/* Frees latent, noise and v. */
void rig_sequence_finish(rig_sequence *sequence);

#endif
