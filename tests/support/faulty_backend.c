#include "faulty_backend.h"

#include "backend/ops.h"

#include <stdlib.h>

/* 64 TiB */
#define MORE_THAN_ANY ((size_t) 1 << 46)

typedef struct faulty_backend {
    svr_backend base;
    svr_backend *inner;
    fault_plan *plan;
    svr_ops ops;
} faulty_backend;

static faulty_backend *faulty_of(svr_backend *backend)
{
    return (faulty_backend *) backend;
}

static svr_backend *inner_of(const svr_backend *backend)
{
    return ((const faulty_backend *) backend)->inner;
}

static void destroy(svr_backend *backend)
{
    fault_plan *plan = faulty_of(backend)->plan;

    plan->left = backend->use.live_total;
    plan->destroyed++;
    free(backend);
}

static svr_status refuse(svr_backend *inner, size_t bytes, svr_error *err)
{
    uint64_t total = 0, free_bytes = 0;
    void *never = NULL;

    if (inner->vtable->device_memory)
        inner->vtable->device_memory(inner, &total, &free_bytes);
    if (total > 0)
        return inner->vtable->alloc(inner, MORE_THAN_ANY, &never, err);
    return SVR_FAIL(err, SVR_ERR_NO_MEM, "%zu bytes were refused by a test: use smaller frames",
                    bytes);
}

static svr_status alloc_memory(svr_backend *backend, size_t bytes, void **out, svr_error *err)
{
    svr_backend *inner = inner_of(backend);
    fault_plan *plan = faulty_of(backend)->plan;

    plan->attempts++;
    if (plan->every == 0 || plan->attempts % plan->every != 0)
        return inner->vtable->alloc(inner, bytes, out, err);
    plan->failed++;
    return refuse(inner, bytes, err);
}

static void free_memory(svr_backend *backend, void *address)
{
    inner_of(backend)->vtable->free(inner_of(backend), address);
}

static svr_status upload(svr_backend *backend, void *dst, const void *src, size_t bytes,
                         svr_error *err)
{
    return inner_of(backend)->vtable->upload(inner_of(backend), dst, src, bytes, err);
}

static svr_status download(svr_backend *backend, void *dst, const void *src, size_t bytes,
                           svr_error *err)
{
    return inner_of(backend)->vtable->download(inner_of(backend), dst, src, bytes, err);
}

static svr_status synchronize(svr_backend *backend, svr_error *err)
{
    return svr_backend_synchronize(inner_of(backend), err);
}

static void device_memory(svr_backend *backend, uint64_t *total, uint64_t *free_bytes)
{
    svr_backend *inner = inner_of(backend);

    if (inner->vtable->device_memory)
        inner->vtable->device_memory(inner, total, free_bytes);
}

static svr_dtype weight_dtype(const svr_backend *backend, svr_dtype storage)
{
    return inner_of(backend)->vtable->weight_dtype(inner_of(backend), storage);
}

static const svr_backend_vtable vtable = {
    .destroy = destroy,
    .alloc = alloc_memory,
    .free = free_memory,
    .upload = upload,
    .download = download,
    .synchronize = synchronize,
    .device_memory = device_memory,
    .weight_dtype = weight_dtype,
};

/* An op of `inner` finds its own state behind the exec. */
#define PASS_OP(name)                                                                              \
    static svr_status pass_##name(svr_exec *exec, const svr_##name##_args *args, void *workspace,  \
                                  svr_error *err)                                                  \
    {                                                                                              \
        svr_exec inner = *exec;                                                                    \
                                                                                                   \
        inner.backend = inner_of(exec->backend);                                                   \
        return inner.backend->ops->name(&inner, args, workspace, err);                             \
    }                                                                                              \
                                                                                                   \
    static size_t pass_##name##_workspace(svr_backend *backend, const svr_##name##_args *args)     \
    {                                                                                              \
        return inner_of(backend)->ops->name##_workspace(inner_of(backend), args);                  \
    }                                                                                              \
                                                                                                   \
    static void fill_##name(const svr_ops *inner, svr_ops *ops)                                    \
    {                                                                                              \
        ops->name = inner->name ? pass_##name : NULL;                                              \
        ops->name##_workspace = inner->name##_workspace ? pass_##name##_workspace : NULL;          \
    }

SVR_OP_LIST(PASS_OP)

svr_backend *faulty_backend_create(svr_backend *inner, fault_plan *plan)
{
    faulty_backend *faulty = calloc(1, sizeof *faulty);

    if (!faulty)
        return NULL;
    faulty->base = (svr_backend){.vtable = &vtable, .ops = &faulty->ops, .name = inner->name};
    faulty->inner = inner;
    faulty->plan = plan;
#define FILL_OP(name) fill_##name(inner->ops, &faulty->ops);
    SVR_OP_LIST(FILL_OP)
#undef FILL_OP
    return &faulty->base;
}
