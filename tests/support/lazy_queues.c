#include "lazy_queues.h"

#include "check.h"

#include <stdlib.h>
#include <string.h>

enum { MOST = 256 };

typedef struct pending_copy {
    svr_queue queue;
    void *dst;
    const void *src;
    size_t bytes;
    svr_mark number; /* of the first mark behind it */
} pending_copy;

static svr_backend_vtable vtable;
static pending_copy list[MOST];
static int count;
static svr_mark last;
static uint64_t limit;
static int fail_at;
static svr_queue queue_of[1 << 16]; /* by mark */

static svr_status host_alloc(svr_backend *backend, size_t bytes, void **out, svr_error *err)
{
    if (limit != 0 && backend->use.host_live + bytes > limit)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "refused by a test");
    *out = aligned_alloc(256, (bytes + 255) & ~(size_t) 255);
    return *out ? SVR_OK : SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory");
}

/* Performs the copies of a queue in front of a mark. */
static void perform(svr_queue queue, svr_mark mark)
{
    int kept = 0;

    for (int i = 0; i < count; i++) {
        if (list[i].queue == queue && list[i].number <= mark)
            memcpy(list[i].dst, list[i].src, list[i].bytes);
        else
            list[kept++] = list[i];
    }
    count = kept;
}

static void perform_all(void)
{
    perform(SVR_QUEUE_OUT, last + 1);
    perform(SVR_QUEUE_IN, last + 1);
}

static void host_free(svr_backend *backend, void *address)
{
    (void) backend;
    perform_all();
    free(address);
}

static svr_status copy(svr_backend *backend, svr_queue queue, void *dst, const void *src,
                       size_t bytes, svr_error *err)
{
    (void) backend;
    if (fail_at > 0 && --fail_at == 0)
        return SVR_FAIL(err, SVR_ERR_IO, "a copy fails as a test wants it");
    CHECK(count < MOST);
    list[count++] = (pending_copy){queue, dst, src, bytes, last + 1};
    return SVR_OK;
}

static svr_status mark(svr_backend *backend, svr_queue queue, svr_mark *out, svr_error *err)
{
    (void) backend;
    (void) err;
    *out = ++last;
    queue_of[last % (1 << 16)] = queue;
    return SVR_OK;
}

static svr_status await(svr_backend *backend, svr_mark waited, svr_error *err)
{
    (void) backend;
    (void) err;
    perform(queue_of[waited % (1 << 16)], waited);
    return SVR_OK;
}

/* Ops happen at once, so what they wait for must have happened; and what IN and OUT wait for is
 * performed now, which is early enough and no earlier than they could see it. */
static svr_status follow(svr_backend *backend, svr_queue queue, svr_mark waited, svr_error *err)
{
    (void) queue;
    return await(backend, waited, err);
}

static svr_status synchronize(svr_backend *backend, svr_error *err)
{
    (void) backend;
    (void) err;
    perform_all();
    return SVR_OK;
}

void lazy_queues_install(svr_backend *backend)
{
    vtable = *backend->vtable;
    vtable.host_alloc = host_alloc;
    vtable.host_free = host_free;
    vtable.copy = copy;
    vtable.mark = mark;
    vtable.follow = follow;
    vtable.await = await;
    vtable.synchronize = synchronize;
    backend->vtable = &vtable;
    count = 0;
    limit = 0;
    fail_at = 0;
}

void lazy_queues_fail(int n)
{
    fail_at = n;
}

void lazy_queues_limit(uint64_t bytes)
{
    limit = bytes;
}

int lazy_queues_pending(void)
{
    return count;
}
