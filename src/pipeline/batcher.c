#include "pipeline/batcher.h"

#include "video/temporal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct svr_batcher {
    svr_temporal_plan plan;
    svr_frame_store *store;
    uint8_t **frames; /* real frames [first, pushed) */
    size_t capacity;
    int64_t first, pushed;
    int64_t next_start; /* virtual frame */
    bool ended;
};

svr_temporal_plan svr_temporal_plan_make(int batch, int overlap, int prepend)
{
    int64_t effective;
    int64_t step = svr_batch_step(batch, overlap, &effective);

    return (svr_temporal_plan){batch, (int) effective, (int) step, prepend};
}

svr_batcher *svr_batcher_create(const svr_temporal_plan *plan, svr_frame_store *store)
{
    svr_batcher *b = calloc(1, sizeof *b);

    assert(plan->batch >= 1 && plan->overlap < plan->batch && plan->prepend >= 0);
    if (b) {
        b->plan = *plan;
        b->store = store;
    }
    return b;
}

static void drop_before(svr_batcher *b, int64_t real)
{
    size_t dropped = (size_t) (real - b->first), kept = (size_t) (b->pushed - real);

    for (size_t i = 0; i < dropped; i++)
        svr_frame_store_give(b->store, b->frames[i]);
    if (dropped > 0 && kept > 0)
        memmove(b->frames, b->frames + dropped, kept * sizeof *b->frames);
    b->first = real;
}

void svr_batcher_destroy(svr_batcher *b)
{
    if (!b)
        return;
    drop_before(b, b->pushed);
    free(b->frames);
    free(b);
}

svr_status svr_batcher_push(svr_batcher *b, uint8_t *data, svr_error *err)
{
    size_t held = (size_t) (b->pushed - b->first);

    assert(!b->ended);
    if (held == b->capacity) {
        size_t capacity = b->capacity ? 2 * b->capacity : 16;
        uint8_t **frames = realloc(b->frames, capacity * sizeof *frames);

        if (!frames)
            return SVR_FAIL(err, SVR_ERR_NO_MEM, "no host memory to queue %zu frames", capacity);
        b->frames = frames;
        b->capacity = capacity;
    }
    b->frames[held] = data;
    b->pushed++;
    return SVR_OK;
}

void svr_batcher_end(svr_batcher *b)
{
    b->ended = true;
}

bool svr_batcher_ended(const svr_batcher *b)
{
    return b->ended;
}

void svr_batcher_restart(svr_batcher *b)
{
    drop_before(b, b->pushed);
    b->first = b->pushed = b->next_start = 0;
    b->ended = false;
}

/* Virtual frames that are known: while the mirror of the lead-in may still change, none. */
static int64_t virtual_total(const svr_batcher *b)
{
    if (b->pushed == 0 || (!b->ended && b->pushed <= b->plan.prepend))
        return 0;
    return b->pushed + b->plan.prepend;
}

bool svr_batcher_next(const svr_batcher *b, svr_batch_span *out)
{
    int64_t total = virtual_total(b), rest = total - b->next_start;

    if (rest >= b->plan.batch) {
        *out = (svr_batch_span){b->next_start, b->plan.batch};
        return true;
    }
    if (!b->ended || rest <= 0 || !svr_batch_exists(total, b->next_start, b->plan.overlap))
        return false;
    *out = (svr_batch_span){b->next_start, (int) rest};
    return true;
}

void svr_batcher_advance(svr_batcher *b)
{
    b->next_start += b->plan.step;
}

int64_t svr_batcher_waiting(const svr_batcher *b)
{
    int64_t total = virtual_total(b), waiting = 0, start = b->next_start;

    if (total - start >= b->plan.batch)
        waiting = 1 + (total - start - b->plan.batch) / b->plan.step;
    start += waiting * b->plan.step;
    if (b->ended && start < total && svr_batch_exists(total, start, b->plan.overlap))
        waiting++;
    return waiting;
}

const uint8_t *svr_batcher_frame(const svr_batcher *b, int64_t index)
{
    int64_t real = svr_head_index(b->pushed, b->plan.prepend, index);

    assert(real >= b->first && real < b->pushed);
    return b->frames[real - b->first];
}

void svr_batcher_release(svr_batcher *b, int64_t first)
{
    int64_t real = first - b->plan.prepend;

    /* the lead-in mirrors real frames up to `prepend`; all stay until it is behind us */
    if (real < 0)
        return;
    if (real > b->pushed)
        real = b->pushed;
    if (real > b->first)
        drop_before(b, real);
}

int64_t svr_batcher_pushed(const svr_batcher *b)
{
    return b->pushed;
}

int64_t svr_batcher_held(const svr_batcher *b)
{
    return b->pushed - b->first;
}
