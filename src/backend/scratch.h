/* Deterministic range allocator: hands out offsets in one block of device memory.
 *
 * First fit over a sorted free list with coalescing, so the same sequence of calls gives the same
 * offsets and the same peak: the planner runs the sequence on an unbounded scratch, and its peak is
 * the size of the block for the real run.  Bookkeeping is on the host.  Level 1.
 * Thread: one at a time. */
#ifndef SVR_BACKEND_SCRATCH_H
#define SVR_BACKEND_SCRATCH_H

#include "base/status.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct svr_scratch svr_scratch;

enum { SVR_SCRATCH_ALIGN = 256 };

/* Ranges of [base, base + capacity); `base` is borrowed and SVR_SCRATCH_ALIGN-aligned, as
 * svr_backend_alloc() gives it.  NULL when there is no memory. */
svr_scratch *svr_scratch_create(void *base, size_t capacity);

/* Ranges of no memory, without an end in practice: for counting what a run would take.  The
 * addresses lie beyond all memory, and apart from those of the counting backend.  NULL when there
 * is no memory. */
svr_scratch *svr_scratch_create_counting(void);

/* Accepts NULL. */
void svr_scratch_destroy(svr_scratch *scratch);

/* An aligned range of `bytes` (0 counts as 1).  Errors: NO_VRAM when nothing fits, NO_MEM. */
SVR_CHECKED svr_status svr_scratch_alloc(svr_scratch *scratch, size_t bytes, void **out,
                                         svr_error *err);

/* Gives a range back.  Accepts NULL.  `address` must come from svr_scratch_alloc(). */
void svr_scratch_free(svr_scratch *scratch, void *address);

/* Frees everything: the end of a batch, or the clean-up after a failure. */
void svr_scratch_reset(svr_scratch *scratch);

/* Highest end of any range since creation, in bytes from base. */
size_t svr_scratch_peak(const svr_scratch *scratch);

/* The same since the last call. */
size_t svr_scratch_take_peak(svr_scratch *scratch);

/* Bytes handed out now. */
size_t svr_scratch_live(const svr_scratch *scratch);

#ifdef __cplusplus
}
#endif
#endif
