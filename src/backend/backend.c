#include "backend/backend.h"

#include <assert.h>
#include <stdbool.h>

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
    assert(backend->use.live_total == 0);
    backend->vtable->destroy(backend);
}

svr_status svr_backend_alloc(svr_backend *backend, svr_memory_tag tag, size_t bytes, void **out,
                             svr_error *err)
{
    svr_status status;

    assert((unsigned) tag < SVR_MEM_TAG_COUNT && bytes > 0);
    status = backend->vtable->alloc(backend, bytes, out, err);
    if (status != SVR_OK) {
        svr_error_prefix(err, "%s: %zu bytes for %s with %llu bytes in use: ", backend->name, bytes,
                         tag_name(tag), (unsigned long long) load(&backend->use.live_total));
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

svr_memory_use svr_backend_memory(svr_backend *backend)
{
    svr_memory_use use = {.allocations = load(&backend->use.allocations)};

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
