/* Finished frames as integers in host memory, first in, first out.
 * Level 5.  Thread: one at a time (the upscaler holds its lock). */
#ifndef SVR_PIPELINE_FRAME_QUEUE_H
#define SVR_PIPELINE_FRAME_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A frame, tightly packed; free() it. */
typedef struct svr_queued_frame {
    struct svr_queued_frame *next;
    uint8_t *data; /* behind this struct, in the same memory */
} svr_queued_frame;

/* Zeroed: empty. */
typedef struct svr_frame_queue {
    svr_queued_frame *head, *tail;
    size_t count;
} svr_frame_queue;

/* A copy of `bytes` bytes at `data`; NULL when there is no memory.  The caller owns it. */
svr_queued_frame *svr_queued_frame_copy(const uint8_t *data, size_t bytes);

/* The queue owns `frame` from now on. */
void svr_frame_queue_push(svr_frame_queue *queue, svr_queued_frame *frame);

/* The oldest frame, now the caller's; NULL when the queue is empty. */
svr_queued_frame *svr_frame_queue_pop(svr_frame_queue *queue);

void svr_frame_queue_clear(svr_frame_queue *queue);

#ifdef __cplusplus
}
#endif
#endif
