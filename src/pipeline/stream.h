/* The computing side of one configured stream: its memory, the batches of a sequence one after the
 * other, and the colour slices that become final.
 *
 * Batch i covers virtual frames [i*step, i*step + count).  Its first `overlap` frames are shared
 * with the batches before it and are cross-faded into what is there; slice i is the rest (of batch
 * 0: everything).  A slice is final, and is finished, when the next batch begins behind its end;
 * until then its decoded frames wait as state, once the batch has left scratch memory.  Source:
 * spec pipeline §2, §9, §10.
 *
 * With time-invariant noise and without overlap the frames that a batch becomes depend on its
 * source frames only, and a repeated batch is answered from a svr_batch_cache; not where frames are
 * on the device, since the host looks at them for that.
 * Level 5.  Thread: the one that computes. */
#ifndef SVR_PIPELINE_STREAM_H
#define SVR_PIPELINE_STREAM_H

#include "pipeline/batcher.h"
#include "pipeline/phases.h"
#include "pipeline/planner.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct svr_stream svr_stream;

typedef struct svr_stream_options {
    svr_phases_config phases;
    svr_temporal_plan temporal; /* batch 0: the largest that fits */
    bool uniform;               /* mirror a short batch up to a whole one */
    svr_memory_request memory;
    bool may_park_guidance; /* the planner decides */
    /* every batch has the noise of the film's first one; without overlap a batch that repeats the
     * one before is then not computed again */
    bool noise_time_invariant;
} svr_stream_options;

/* Plans the stream, loads what the networks have not loaded for that, and takes all its memory; no
 * backend memory is taken afterwards.
 * `backend` and `networks` are borrowed; `cancel` may be NULL and is polled, here and later.
 * Errors: NO_MEM and NO_VRAM with the bytes needed, CANCELLED, those of the networks. */
SVR_CHECKED svr_status svr_stream_create(svr_backend *backend, const svr_networks *networks,
                                         const svr_stream_options *options,
                                         const svr_cancel *cancel, svr_stream **out,
                                         svr_error *err);
/* Accepts NULL. */
void svr_stream_destroy(svr_stream *stream);

/* Plans again for networks that changed their storage type, and takes a larger scratch where that
 * is needed; the sequence goes on.  After a failure no batch is computed until another call
 * succeeds.  Errors as above. */
SVR_CHECKED svr_status svr_stream_replan(svr_stream *stream, svr_error *err);

/* Named intermediate tensors go to `tap` from now on (tests, verification); NULL: nowhere. */
void svr_stream_set_tap(svr_stream *stream,
                        svr_status (*tap)(void *user, const char *name, const svr_tensor *value,
                                          svr_error *err),
                        void *user);

/* The memory of the stream at a point of the work: bytes on the device. */
typedef struct svr_stream_use {
    uint64_t in_use;     /* weights, state and what is taken of the scratch */
    uint64_t high_water; /* the same at its highest since the point before */
} svr_stream_use;

/* `note` is told from now on where the work is; NULL: nobody. */
void svr_stream_set_note(svr_stream *stream,
                         void (*note)(void *user, svr_point point, const svr_stream_use *use),
                         void *user);

/* Where source frames come from and finished ones go to, by virtual number. */
typedef struct svr_stream_io {
    void *user;
    /* valid until the stream needs them no more, see svr_stream_needed_from() */
    const uint8_t *(*source)(void *user, int64_t index);
    /* in order; `data` is valid during the call */
    svr_status (*sink)(void *user, int64_t index, const uint8_t *data, svr_error *err);
} svr_stream_io;

/* Computes the next batch of the sequence and finishes the slices that are final then.
 * `first_frame`: absolute number of virtual frame 0.  After OVERFLOW, for which nothing was
 * finished, the same batch may be tried again with networks of a wider range; after other failures
 * only svr_stream_restart() and svr_stream_destroy() are allowed. */
SVR_CHECKED svr_status svr_stream_batch(svr_stream *stream, const svr_batch_span *span,
                                        int64_t first_frame, const svr_stream_io *io,
                                        svr_phase_times *times, svr_error *err);

/* Finishes the slices that still wait: the sequence has no further batch. */
SVR_CHECKED svr_status svr_stream_flush(svr_stream *stream, const svr_stream_io *io,
                                        svr_phase_times *times, svr_error *err);

/* Forgets the sequence; the next batch is the first of a new one. */
void svr_stream_restart(svr_stream *stream);

/* Where source frames, and finished ones, are to wait until they are computed, or pulled.  The
 * stream's; all frames are given back before it is destroyed. */
svr_frame_store *svr_stream_sources(const svr_stream *stream);
svr_frame_store *svr_stream_finished(const svr_stream *stream);

/* First virtual frame that waiting slices, the next batch or its comparison with the last need. */
int64_t svr_stream_needed_from(const svr_stream *stream);

/* The options with the batch that was chosen, and the plan. */
const svr_stream_options *svr_stream_get_options(const svr_stream *stream);
const svr_memory_plan *svr_stream_plan(const svr_stream *stream);

/* Batches so far that were like the one before and took its frames. */
uint64_t svr_stream_reused_batches(const svr_stream *stream);

/* Host memory that the frames of the last batch take; 0 where batches are never reused. */
uint64_t svr_stream_cache_bytes(const svr_stream *stream);

/* Highest use of the scratch so far, in bytes. */
uint64_t svr_stream_scratch_peak(const svr_stream *stream);

/* Frames that a batch of `count` frames costs, mirrored ones included. */
int64_t svr_stream_computed_frames(const svr_stream *stream, int count);

#ifdef __cplusplus
}
#endif
#endif
