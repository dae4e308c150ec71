#include "backend/backend.h"

#include "backend/ops.h"
#include "base/checked.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGN_BYTES = 256 };

/* Far from all memory and from the ranges of a counting scratch: the entries of ops compare
 * addresses to find overlaps, also with tables that lie on a device. */
#define FIRST_ADDRESS ((uintptr_t) 1 << 62)

typedef struct counting_backend {
    svr_backend base;
    svr_backend *inner;
    svr_ops ops;
    uintptr_t next; /* address of the next allocation */
} counting_backend;

static svr_backend *inner_of(const svr_backend *backend)
{
    return ((const counting_backend *) backend)->inner;
}

static void destroy(svr_backend *backend)
{
    free(backend);
}

static svr_status alloc_address(svr_backend *backend, size_t bytes, void **out, svr_error *err)
{
    counting_backend *counting = (counting_backend *) backend;
    size_t step = svr_align_up(bytes, ALIGN_BYTES), next;

    if (!svr_add_size(counting->next, step, &next))
        return SVR_FAIL(err, SVR_ERR_NO_VRAM, "%zu bytes are more than any device has", bytes);
    /* stands for no memory, so there is no pointer that it could be derived from */
    *out = (void *) counting->next; /* NOLINT(performance-no-int-to-ptr) */
    counting->next = next;
    return SVR_OK;
}

static void free_address(svr_backend *backend, void *address)
{
    (void) backend;
    (void) address;
}

static svr_status upload(svr_backend *backend, void *dst, const void *src, size_t bytes,
                         svr_error *err)
{
    (void) backend;
    (void) dst;
    (void) src;
    (void) bytes;
    (void) err;
    return SVR_OK;
}

/* Whoever reads the result must find defined values. */
static svr_status download(svr_backend *backend, void *dst, const void *src, size_t bytes,
                           svr_error *err)
{
    (void) backend;
    (void) src;
    (void) err;
    memset(dst, 0, bytes);
    return SVR_OK;
}

static svr_status copy(svr_backend *backend, svr_queue queue, void *dst, const void *src,
                       size_t bytes, svr_error *err)
{
    (void) backend;
    (void) queue;
    (void) dst;
    (void) src;
    (void) bytes;
    (void) err;
    return SVR_OK;
}

static svr_status mark(svr_backend *backend, svr_queue queue, svr_mark *out, svr_error *err)
{
    (void) backend;
    (void) queue;
    (void) out;
    (void) err;
    return SVR_OK;
}

static svr_status follow(svr_backend *backend, svr_queue queue, svr_mark after, svr_error *err)
{
    (void) backend;
    (void) queue;
    (void) after;
    (void) err;
    return SVR_OK;
}

static svr_dtype weight_dtype(const svr_backend *backend, svr_dtype storage)
{
    return inner_of(backend)->vtable->weight_dtype(inner_of(backend), storage);
}

static const svr_backend_vtable vtable = {
    .destroy = destroy,
    .alloc = alloc_address,
    .free = free_address,
    .upload = upload,
    .download = download,
    .host_alloc = alloc_address,
    .host_free = free_address,
    .copy = copy,
    .mark = mark,
    .follow = follow,
    .weight_dtype = weight_dtype,
};

#define COUNT_OP(name)                                                                             \
    static svr_status count_##name(svr_exec *exec, const svr_##name##_args *args, void *workspace, \
                                   svr_error *err)                                                 \
    {                                                                                              \
        (void) exec;                                                                               \
        (void) args;                                                                               \
        (void) workspace;                                                                          \
        (void) err;                                                                                \
        return SVR_OK;                                                                             \
    }                                                                                              \
                                                                                                   \
    static size_t count_##name##_workspace(svr_backend *backend, const svr_##name##_args *args)    \
    {                                                                                              \
        svr_backend *inner = inner_of(backend);                                                    \
                                                                                                   \
        return inner->ops->name##_workspace(inner, args);                                          \
    }                                                                                              \
                                                                                                   \
    /* What `inner` lacks stays absent, so that counting fails where the run would fail. */        \
    static void fill_##name(const svr_ops *inner, svr_ops *ops)                                    \
    {                                                                                              \
        ops->name = inner->name ? count_##name : NULL;                                             \
        ops->name##_workspace = inner->name##_workspace ? count_##name##_workspace : NULL;         \
    }

SVR_OP_LIST(COUNT_OP)

static void fill_ops(const svr_ops *inner, svr_ops *ops)
{
#define FILL_OP(name) fill_##name(inner, ops);
    SVR_OP_LIST(FILL_OP)
#undef FILL_OP
}

svr_backend *svr_counting_backend_create(svr_backend *inner)
{
    counting_backend *counting = calloc(1, sizeof *counting);

    if (!counting)
        return NULL;
    counting->inner = inner;
    counting->next = FIRST_ADDRESS;
    fill_ops(inner->ops, &counting->ops);
    counting->base.vtable = &vtable;
    counting->base.ops = &counting->ops;
    counting->base.name = "counting";
    counting->base.dry = true;
    return &counting->base;
}
