/* The frames of a sequence as integers in a store, and which of them make the next batch.
 *
 * Frames are numbered in two ways: real frames as they were pushed, and virtual frames, which begin
 * with the mirrored lead-in of `prepend` frames.  Batches and colour slices count virtual frames.
 * Source: spec pipeline §2.  Level 5.  Thread: one at a time (the upscaler holds its lock). */
#ifndef SVR_PIPELINE_BATCHER_H
#define SVR_PIPELINE_BATCHER_H

#include "pipeline/frame_store.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct svr_batcher svr_batcher;

/* How a stream is cut into batches. */
typedef struct svr_temporal_plan {
    int batch;   /* frames of a whole batch, >= 1 */
    int overlap; /* effective: 0 .. batch - 1 */
    int step;    /* batch - overlap */
    int prepend; /* mirrored frames in front, >= 0 */
} svr_temporal_plan;

/* Virtual frames [start, start + count). */
typedef struct svr_batch_span {
    int64_t start;
    int count;
} svr_batch_span;

/* The plan of these options; an overlap that is not smaller than the batch counts as none. */
svr_temporal_plan svr_temporal_plan_make(int batch, int overlap, int prepend);

/* For frames of `store`, which is borrowed.  NULL when there is no memory. */
svr_batcher *svr_batcher_create(const svr_temporal_plan *plan, svr_frame_store *store);

/* Accepts NULL.  Gives all frames back. */
void svr_batcher_destroy(svr_batcher *batcher);

/* Appends a real frame; the batcher owns `data`, which was taken from the store, when this
 * succeeds.  Not after svr_batcher_end().  Errors: NO_MEM. */
SVR_CHECKED svr_status svr_batcher_push(svr_batcher *batcher, uint8_t *data, svr_error *err);

/* No more frames come in this sequence. */
void svr_batcher_end(svr_batcher *batcher);
bool svr_batcher_ended(const svr_batcher *batcher);

/* Drops all frames and begins an empty sequence. */
void svr_batcher_restart(svr_batcher *batcher);

/* The next batch, if it can be computed now: it is whole, or the sequence has ended. */
bool svr_batcher_next(const svr_batcher *batcher, svr_batch_span *out);

/* Moves on to the batch behind the one that svr_batcher_next() gave. */
void svr_batcher_advance(svr_batcher *batcher);

/* Batches that can be computed and were not advanced over. */
int64_t svr_batcher_waiting(const svr_batcher *batcher);

/* Data of a virtual frame that has not been released; it stays where it is until then. */
const uint8_t *svr_batcher_frame(const svr_batcher *batcher, int64_t index);

/* Gives back what virtual frames from `first` on do not need. */
void svr_batcher_release(svr_batcher *batcher, int64_t first);

/* Real frames pushed in this sequence, and those still in memory. */
int64_t svr_batcher_pushed(const svr_batcher *batcher);
int64_t svr_batcher_held(const svr_batcher *batcher);

#ifdef __cplusplus
}
#endif
#endif
