/* Which frames make a batch: pure index arithmetic.  Source: spec pipeline §2, §10.
 * Level 2.  Thread: any (pure). */
#ifndef SVR_VIDEO_TEMPORAL_H
#define SVR_VIDEO_TEMPORAL_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Length of n frames made up to 4k+1 (`factor` = 4); 0 for n = 0. */
int64_t svr_padded_length(int64_t n, int factor);

/* Source of frame i (0 <= i < n + count) after `count` frames were appended to n by mirroring; past
 * the mirror's end the last frame repeats. */
int64_t svr_tail_index(int64_t n, int64_t count, int64_t i);

/* Source of frame i (0 <= i < n + count) after `count` mirrored frames were put in front of n. */
int64_t svr_head_index(int64_t n, int64_t count, int64_t i);

/* Frames from one batch's start to the next; an overlap that is not smaller than the batch counts
 * as none, and *effective_overlap says so. */
int64_t svr_batch_step(int64_t batch, int64_t overlap, int64_t *effective_overlap);

/* Whether `total` frames have a batch starting at `start` (a multiple of the step): a rest that is
 * no longer than the overlap belongs to the batch before. */
bool svr_batch_exists(int64_t total, int64_t start, int64_t overlap);

/* Weight of the previous batch on shared frame i of n.  as_reference: the plateau of the ComfyUI
 * node; else a raised cosine that mixes every shared frame. */
float svr_overlap_weight(int n, int i, bool as_reference);

#ifdef __cplusplus
}
#endif
#endif
