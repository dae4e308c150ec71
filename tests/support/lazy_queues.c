#include "lazy_queues.h"

#include "check.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_ENTRIES = 1 << 14 };

/* A copy, or (dst NULL) to wait for a mark. */
typedef struct entry {
    void *dst;
    const void *src;
    size_t bytes;
    svr_mark mark;
} entry;

/* Entries [done, count) of a ring. */
typedef struct queue {
    entry entries[MOST_ENTRIES];
    uint64_t done, count;
} queue;

static queue queues[SVR_QUEUE_COUNT];
static svr_backend_vtable vtable;
static uint64_t limit;
static int fail_at, copies;

static entry *next_entry(svr_queue q)
{
    CHECK(queues[q].count - queues[q].done < MOST_ENTRIES);
    return &queues[q].entries[queues[q].count++ % MOST_ENTRIES];
}

/* A mark is a position and, in its last two bits, the queue. */
static void run_to(svr_mark mark) /* NOLINT(misc-no-recursion) */
{
    queue *q = &queues[mark & 3];

    while (q->done < mark >> 2) {
        entry e = q->entries[q->done++ % MOST_ENTRIES];

        if (!e.dst) {
            run_to(e.mark);
            continue;
        }
        memcpy(e.dst, e.src, e.bytes);
        copies++;
    }
}

static svr_mark end_of(svr_queue q)
{
    return queues[q].count << 2 | (svr_mark) q;
}

static void run_all(void)
{
    run_to(end_of(SVR_QUEUE_OUT));
    run_to(end_of(SVR_QUEUE_IN));
}

static svr_status host_alloc(svr_backend *backend, size_t bytes, void **out, svr_error *err)
{
    if (limit != 0 && backend->use.host_live + bytes > limit)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "refused by a test");
    *out = aligned_alloc(256, (bytes + 255) / 256 * 256);
    return *out ? SVR_OK : SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory");
}

static void host_free(svr_backend *backend, void *address)
{
    (void) backend;
    run_all();
    free(address);
}

static svr_status copy(svr_backend *backend, svr_queue q, void *dst, const void *src, size_t bytes,
                       svr_error *err)
{
    (void) backend;
    if (fail_at > 0 && --fail_at == 0)
        return SVR_FAIL(err, SVR_ERR_IO, "a copy fails as a test wants it");
    if (q == SVR_QUEUE_IN)
        memset(dst, 0xff, bytes); /* NaN until it is done */
    *next_entry(q) = (entry){.dst = dst, .src = src, .bytes = bytes};
    return SVR_OK;
}

static svr_status mark(svr_backend *backend, svr_queue q, svr_mark *out, svr_error *err)
{
    (void) backend;
    (void) err;
    *out = end_of(q);
    return SVR_OK;
}

static svr_status await(svr_backend *backend, svr_mark waited, svr_error *err)
{
    (void) backend;
    (void) err;
    run_to(waited);
    return SVR_OK;
}

static svr_status follow(svr_backend *backend, svr_queue q, svr_mark waited, svr_error *err)
{
    if (q == SVR_QUEUE_COMPUTE)
        return await(backend, waited, err);
    *next_entry(q) = (entry){.mark = waited};
    return SVR_OK;
}

static svr_status synchronize(svr_backend *backend, svr_error *err)
{
    (void) backend;
    (void) err;
    run_all();
    return SVR_OK;
}

void lazy_queues_install(svr_backend *backend)
{
    for (int q = 0; q < SVR_QUEUE_COUNT; q++)
        queues[q].done = queues[q].count = 0;
    limit = 0;
    fail_at = copies = 0;
    vtable = *backend->vtable;
    vtable.host_alloc = host_alloc;
    vtable.host_free = host_free;
    vtable.copy = copy;
    vtable.mark = mark;
    vtable.follow = follow;
    vtable.await = await;
    vtable.synchronize = synchronize;
    backend->vtable = &vtable;
}

void lazy_queues_limit(uint64_t bytes)
{
    limit = bytes;
}

void lazy_queues_fail(int n)
{
    fail_at = n;
}

int lazy_queues_pending(void)
{
    int n = 0;

    for (int q = 0; q < SVR_QUEUE_COUNT; q++)
        for (uint64_t i = queues[q].done; i < queues[q].count; i++)
            n += queues[q].entries[i % MOST_ENTRIES].dst != NULL;
    return n;
}

int lazy_queues_done(void)
{
    int n = copies;

    copies = 0;
    return n;
}
