#include "pipeline/frame_queue.h"

#include <stdlib.h>

typedef struct svr_queued_frame {
    struct svr_queued_frame *next;
    uint8_t *data;
} svr_queued_frame;

svr_status svr_frame_queue_push(svr_frame_queue *queue, uint8_t *data, svr_error *err)
{
    svr_queued_frame *frame = malloc(sizeof *frame);

    if (!frame)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no host memory for a finished frame");
    *frame = (svr_queued_frame){NULL, data};
    if (queue->tail)
        queue->tail->next = frame;
    else
        queue->head = frame;
    queue->tail = frame;
    queue->count++;
    return SVR_OK;
}

uint8_t *svr_frame_queue_pop(svr_frame_queue *queue)
{
    svr_queued_frame *frame = queue->head;
    uint8_t *data;

    if (!frame)
        return NULL;
    data = frame->data;
    queue->head = frame->next;
    if (!queue->head)
        queue->tail = NULL;
    queue->count--;
    free(frame);
    return data;
}

void svr_frame_queue_clear(svr_frame_queue *queue, svr_frame_store *store)
{
    uint8_t *data;

    while ((data = svr_frame_queue_pop(queue)))
        svr_frame_store_give(store, data);
}
