#include "shared_memory.h"

#include <stdatomic.h>

/* No address in use has this bit, nor is such an address canonical. */
#define DEVICE_BIT ((uintptr_t) 1 << 60)

static svr_backend_vtable vtable;
static atomic_int fail_in, reads, writes;

uint8_t *shared_memory_address(void *host)
{
    return (uint8_t *) ((uintptr_t) host | DEVICE_BIT); /* NOLINT(performance-no-int-to-ptr) */
}

uint8_t *shared_memory_host(uint8_t *address)
{
    return (uint8_t *) ((uintptr_t) address & ~DEVICE_BIT); /* NOLINT(performance-no-int-to-ptr) */
}

bool shared_memory_is(const uint8_t *address)
{
    return ((uintptr_t) address & DEVICE_BIT) != 0;
}

static svr_frame reachable(const svr_frame *frame)
{
    svr_frame host = *frame;

    for (int i = 0; i < SVR_MAX_PLANES; i++)
        host.plane[i] = shared_memory_host(frame->plane[i]);
    return host;
}

static svr_status copy_frame(svr_backend *backend, const svr_video_info *info, const svr_frame *dst,
                             const svr_frame *src, svr_error *err)
{
    svr_frame to = reachable(dst), from = reachable(src);

    (void) backend;
    if (atomic_load(&fail_in) > 0 && atomic_fetch_sub(&fail_in, 1) == 1)
        return SVR_FAIL(err, SVR_ERR_DEVICE, "a copy fails");
    atomic_fetch_add(&reads, shared_memory_is(src->plane[0]));
    atomic_fetch_add(&writes, shared_memory_is(dst->plane[0]));
    svr_frame_copy(info, &to, &from);
    return SVR_OK;
}

void shared_memory_install(svr_backend *backend)
{
    vtable = *backend->vtable;
    vtable.copy_frame = copy_frame;
    backend->vtable = &vtable;
    atomic_store(&fail_in, 0);
    atomic_store(&reads, 0);
    atomic_store(&writes, 0);
}

void shared_memory_fail(int n)
{
    atomic_store(&fail_in, n);
}

int shared_memory_read(void)
{
    return atomic_load(&reads);
}

int shared_memory_written(void)
{
    return atomic_load(&writes);
}
