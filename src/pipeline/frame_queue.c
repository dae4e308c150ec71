#include "pipeline/frame_queue.h"

#include "base/checked.h"

#include <stdlib.h>
#include <string.h>

svr_queued_frame *svr_queued_frame_copy(const uint8_t *data, size_t bytes)
{
    size_t total;
    svr_queued_frame *frame;

    if (!svr_add_size(sizeof *frame, bytes, &total))
        return NULL;
    frame = malloc(total);
    if (!frame)
        return NULL;
    frame->next = NULL;
    frame->data = (uint8_t *) (frame + 1);
    memcpy(frame->data, data, bytes);
    return frame;
}

void svr_frame_queue_push(svr_frame_queue *queue, svr_queued_frame *frame)
{
    if (queue->tail)
        queue->tail->next = frame;
    else
        queue->head = frame;
    queue->tail = frame;
    queue->count++;
}

svr_queued_frame *svr_frame_queue_pop(svr_frame_queue *queue)
{
    svr_queued_frame *frame = queue->head;

    if (!frame)
        return NULL;
    queue->head = frame->next;
    if (!queue->head)
        queue->tail = NULL;
    queue->count--;
    return frame;
}

void svr_frame_queue_clear(svr_frame_queue *queue)
{
    svr_queued_frame *frame;

    while ((frame = svr_frame_queue_pop(queue)))
        free(frame);
}
