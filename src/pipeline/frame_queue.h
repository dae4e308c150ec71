/* Finished frames as integers, first in, first out; a store has their memory.
 * Level 5.  Thread: one at a time (the upscaler holds its lock). */
#ifndef SVR_PIPELINE_FRAME_QUEUE_H
#define SVR_PIPELINE_FRAME_QUEUE_H

#include "pipeline/frame_store.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Zeroed: empty. */
typedef struct svr_frame_queue {
    struct svr_queued_frame *head, *tail;
    size_t count;
} svr_frame_queue;

/* The queue owns `data`, which was taken from a store, when this succeeds.  Errors: NO_MEM. */
SVR_CHECKED svr_status svr_frame_queue_push(svr_frame_queue *queue, uint8_t *data, svr_error *err);

/* The oldest frame, now the caller's; NULL when the queue is empty. */
uint8_t *svr_frame_queue_pop(svr_frame_queue *queue);

/* Gives all frames back.  `store` may be NULL where there are none. */
void svr_frame_queue_clear(svr_frame_queue *queue, svr_frame_store *store);

#ifdef __cplusplus
}
#endif
#endif
