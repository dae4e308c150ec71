#include "backend/backend.h"

#include "base/checked.h"

#include <assert.h>
#include <stdlib.h>

/* The thread that computes writes the ledger, any thread may read it: each number is a relaxed
 * atomic.  The fields stay plain integers (and the builtins are used on them) because C++ includes
 * the header, which has no C11 _Atomic. */

static uint64_t load(const uint64_t *value)
{
    return __atomic_load_n(value, __ATOMIC_RELAXED);
}

static uint64_t add(uint64_t *value, uint64_t n)
{
    return __atomic_add_fetch(value, n, __ATOMIC_RELAXED);
}

static void raise_to(uint64_t *value, uint64_t n)
{
    uint64_t seen = load(value);

    while (seen < n &&
           !__atomic_compare_exchange_n(value, &seen, n, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

static const char *tag_name(svr_memory_tag tag)
{
    static const char *const names[SVR_MEM_TAG_COUNT] = {"weights", "scratch memory", "state"};

    return names[tag];
}

void svr_backend_destroy(svr_backend *backend)
{
    if (!backend)
        return;
    assert(backend->use.live_total == 0 && backend->use.host_live == 0);
    backend->vtable->destroy(backend);
}

void svr_backend_set_limit(svr_backend *backend, uint64_t bytes)
{
    backend->limit = bytes;
}

void svr_backend_set_waits(svr_backend *backend, bool waits)
{
    backend->waits = waits;
}

static svr_status take(svr_backend *backend, size_t bytes, void **out, svr_error *err)
{
    uint64_t live = load(&backend->use.live_total);

    if (backend->limit != 0 && (live > backend->limit || bytes > backend->limit - live))
        return SVR_FAIL(err, SVR_ERR_NO_VRAM, "more than the budget of %llu bytes",
                        (unsigned long long) backend->limit);
    return backend->vtable->alloc(backend, bytes, out, err);
}

/* What could still be taken; 0 where neither a limit nor the device tells. */
static uint64_t room(svr_backend *backend)
{
    uint64_t live = load(&backend->use.live_total), total = 0, room = 0;

    if (backend->vtable->device_memory)
        backend->vtable->device_memory(backend, &total, &room);
    if (backend->limit != 0) {
        uint64_t allowed = live < backend->limit ? backend->limit - live : 0;

        room = total == 0 || room > allowed ? allowed : room;
    }
    return room;
}

svr_status svr_backend_alloc(svr_backend *backend, svr_memory_tag tag, size_t bytes, void **out,
                             svr_error *err)
{
    svr_status status;

    assert((unsigned) tag < SVR_MEM_TAG_COUNT && bytes > 0);
    status = take(backend, bytes, out, err);
    if (status != SVR_OK) {
        svr_error_prefix(err, "%s: %zu bytes for %s with %llu bytes in use: ", backend->name, bytes,
                         tag_name(tag), (unsigned long long) load(&backend->use.live_total));
        svr_error_bytes(err, bytes, room(backend));
        return status;
    }
    add(&backend->use.live[tag], bytes);
    add(&backend->use.allocations, 1);
    raise_to(&backend->use.peak_total, add(&backend->use.live_total, bytes));
    return SVR_OK;
}

void svr_backend_free(svr_backend *backend, svr_memory_tag tag, size_t bytes, void *address)
{
    if (!address)
        return;
    assert((unsigned) tag < SVR_MEM_TAG_COUNT && backend->use.live[tag] >= bytes);
    backend->vtable->free(backend, address);
    add(&backend->use.live[tag], 0 - (uint64_t) bytes);
    add(&backend->use.live_total, 0 - (uint64_t) bytes);
}

svr_status svr_backend_upload(svr_backend *backend, void *dst, const void *src, size_t bytes,
                              svr_error *err)
{
    return bytes ? backend->vtable->upload(backend, dst, src, bytes, err) : SVR_OK;
}

svr_status svr_backend_download(svr_backend *backend, void *dst, const void *src, size_t bytes,
                                svr_error *err)
{
    return bytes ? backend->vtable->download(backend, dst, src, bytes, err) : SVR_OK;
}

svr_status svr_backend_synchronize(svr_backend *backend, svr_error *err)
{
    return backend->vtable->synchronize ? backend->vtable->synchronize(backend, err) : SVR_OK;
}

/* ------------------------------------------------------------------ frames of others */

bool svr_backend_shares_frames(const svr_backend *backend)
{
    return backend->vtable->copy_frame != NULL;
}

svr_status svr_backend_copy_frame(svr_backend *backend, const svr_video_info *info,
                                  const svr_frame *dst, const svr_frame *src, svr_error *err)
{
    if (!svr_backend_shares_frames(backend))
        return SVR_FAIL(err, SVR_ERR_UNSUPPORTED,
                        "the %s backend shares no memory: frames in device memory need "
                        "backend=cuda",
                        backend->name);
    return backend->vtable->copy_frame(backend, info, dst, src, err);
}

/* ------------------------------------------------------------------ copies in the background */

enum { HOST_ALIGN = 256 };

static svr_status host_memory(svr_backend *backend, size_t bytes, void **out, svr_error *err)
{
    if (backend->vtable->host_alloc)
        return backend->vtable->host_alloc(backend, bytes, out, err);
    *out = aligned_alloc(HOST_ALIGN, svr_align_up(bytes, HOST_ALIGN));
    return *out
               ? SVR_OK
               : SVR_FAIL(err, SVR_ERR_NO_MEM, "the system has no %zu bytes of memory left", bytes);
}

svr_status svr_backend_host_alloc(svr_backend *backend, size_t bytes, void **out, svr_error *err)
{
    svr_status status;

    assert(bytes > 0);
    status = host_memory(backend, bytes, out, err);
    if (status != SVR_OK) {
        svr_error_bytes(err, bytes, 0);
        return status;
    }
    raise_to(&backend->use.host_peak, add(&backend->use.host_live, bytes));
    return SVR_OK;
}

void svr_backend_host_free(svr_backend *backend, size_t bytes, void *address)
{
    if (!address)
        return;
    assert(backend->use.host_live >= bytes);
    if (backend->vtable->host_free)
        backend->vtable->host_free(backend, address);
    else
        free(address);
    add(&backend->use.host_live, 0 - (uint64_t) bytes);
}

static void enter_copy(svr_backend *backend, svr_queue queue, uint64_t bytes)
{
    add(queue == SVR_QUEUE_IN ? &backend->use.copied_in : &backend->use.copied_out, bytes);
}

/* A copy by the queue, or at once where there is none. */
static svr_status submit(svr_backend *backend, svr_queue queue, void *dst, const void *src,
                         size_t bytes, svr_error *err)
{
    const svr_backend_vtable *vtable = backend->vtable;

    if (!vtable->copy)
        return queue == SVR_QUEUE_IN ? vtable->upload(backend, dst, src, bytes, err)
                                     : vtable->download(backend, dst, src, bytes, err);
    SVR_TRY(vtable->copy(backend, queue, dst, src, bytes, err));
    return backend->waits ? svr_backend_synchronize(backend, err) : SVR_OK;
}

static svr_status copy(svr_backend *backend, svr_queue queue, void *dst, const void *src,
                       size_t bytes, svr_error *err)
{
    if (bytes == 0)
        return SVR_OK;
    enter_copy(backend, queue, bytes);
    return submit(backend, queue, dst, src, bytes, err);
}

svr_status svr_backend_copy_in(svr_backend *backend, void *dst, const void *src, size_t bytes,
                               svr_error *err)
{
    return copy(backend, SVR_QUEUE_IN, dst, src, bytes, err);
}

svr_status svr_backend_copy_out(svr_backend *backend, void *dst, const void *src, size_t bytes,
                                svr_error *err)
{
    return copy(backend, SVR_QUEUE_OUT, dst, src, bytes, err);
}

svr_status svr_backend_copy_rows(svr_backend *backend, svr_queue queue, const svr_row_copy *copy,
                                 svr_error *err)
{
    if (copy->bytes == 0)
        return SVR_OK;
    enter_copy(backend, queue, (uint64_t) copy->rows * copy->bytes);
    if (backend->dry)
        return SVR_OK;
    if (backend->vtable->copy_rows) {
        SVR_TRY(backend->vtable->copy_rows(backend, queue, copy, err));
        return backend->waits ? svr_backend_synchronize(backend, err) : SVR_OK;
    }
    for (size_t i = 0; i < copy->rows; i++)
        SVR_TRY(submit(backend, queue, copy->dst + i * copy->dst_step,
                       copy->src + i * copy->src_step, copy->bytes, err));
    return SVR_OK;
}

void svr_backend_repeat_copies(svr_backend *backend, const svr_memory_use *since, uint64_t times)
{
    uint64_t in = load(&backend->use.copied_in) - since->copied_in;
    uint64_t out = load(&backend->use.copied_out) - since->copied_out;

    assert(backend->dry);
    enter_copy(backend, SVR_QUEUE_IN, in * times);
    enter_copy(backend, SVR_QUEUE_OUT, out * times);
}

svr_status svr_backend_mark(svr_backend *backend, svr_queue queue, svr_mark *out, svr_error *err)
{
    *out = 0;
    return backend->vtable->mark ? backend->vtable->mark(backend, queue, out, err) : SVR_OK;
}

svr_status svr_backend_follow(svr_backend *backend, svr_queue queue, svr_mark mark, svr_error *err)
{
    if (mark == 0 || !backend->vtable->follow)
        return SVR_OK;
    return backend->vtable->follow(backend, queue, mark, err);
}

svr_status svr_backend_await(svr_backend *backend, svr_mark mark, svr_error *err)
{
    if (mark == 0 || !backend->vtable->await)
        return SVR_OK;
    return backend->vtable->await(backend, mark, err);
}

svr_status svr_backend_order(svr_backend *backend, svr_queue before, svr_queue queue,
                             svr_error *err)
{
    svr_mark mark;

    SVR_TRY(svr_backend_mark(backend, before, &mark, err));
    return svr_backend_follow(backend, queue, mark, err);
}

/* ------------------------------------------------------------------ ledger */

svr_memory_use svr_backend_memory(svr_backend *backend)
{
    svr_memory_use use = {.allocations = load(&backend->use.allocations),
                          .host_live = load(&backend->use.host_live),
                          .host_peak = load(&backend->use.host_peak),
                          .copied_in = load(&backend->use.copied_in),
                          .copied_out = load(&backend->use.copied_out)};

    for (int tag = 0; tag < SVR_MEM_TAG_COUNT; tag++) {
        use.live[tag] = load(&backend->use.live[tag]);
        use.live_total += use.live[tag];
    }
    /* an allocation may be half entered */
    use.peak_total = load(&backend->use.peak_total);
    if (use.peak_total < use.live_total)
        use.peak_total = use.live_total;
    if (backend->vtable->device_memory)
        backend->vtable->device_memory(backend, &use.device_total, &use.device_free);
    return use;
}
