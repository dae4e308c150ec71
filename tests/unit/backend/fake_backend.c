#include "fake_backend.h"

#include <stdlib.h>
#include <string.h>

static fake_backend *fake_of(svr_backend *backend)
{
    return (fake_backend *) backend;
}

static void destroy(svr_backend *backend)
{
    fake_of(backend)->base.name = "destroyed";
}

static svr_status alloc_memory(svr_backend *backend, size_t bytes, void **out, svr_error *err)
{
    fake_backend *fake = fake_of(backend);

    if (fake->alloc_result != SVR_OK)
        return SVR_FAIL(err, fake->alloc_result, "the fake is full");
    *out = aligned_alloc(SVR_SCRATCH_ALIGN,
                         (bytes + SVR_SCRATCH_ALIGN - 1) / SVR_SCRATCH_ALIGN * SVR_SCRATCH_ALIGN);
    fake->alive++;
    return *out ? SVR_OK : SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory");
}

static void free_memory(svr_backend *backend, void *address)
{
    fake_of(backend)->alive--;
    free(address);
}

static svr_status upload(svr_backend *backend, void *dst, const void *src, size_t bytes,
                         svr_error *err)
{
    (void) err;
    fake_of(backend)->uploads++;
    memcpy(dst, src, bytes);
    return SVR_OK;
}

static svr_status download(svr_backend *backend, void *dst, const void *src, size_t bytes,
                           svr_error *err)
{
    (void) err;
    fake_of(backend)->downloads++;
    memcpy(dst, src, bytes);
    return SVR_OK;
}

static svr_status synchronize(svr_backend *backend, svr_error *err)
{
    (void) err;
    fake_of(backend)->synchronized++;
    return SVR_OK;
}

static void device_memory(svr_backend *backend, uint64_t *total, uint64_t *free_bytes)
{
    (void) backend;
    *total = 1000;
    *free_bytes = 600;
}

static svr_dtype weight_dtype(const svr_backend *backend, svr_dtype storage)
{
    (void) backend;
    return storage == SVR_F16 ? SVR_BF16 : SVR_F32;
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

#define FAKE_OP(name)                                                                              \
    static svr_status fake_##name(svr_exec *exec, const svr_##name##_args *args, void *workspace,  \
                                  svr_error *err)                                                  \
    {                                                                                              \
        fake_backend *fake = fake_of(exec->backend);                                               \
                                                                                                   \
        (void) args;                                                                               \
        fake->called = #name;                                                                      \
        fake->workspace = workspace;                                                               \
        return fake->result == SVR_OK ? SVR_OK : SVR_FAIL(err, fake->result, "fake " #name);       \
    }                                                                                              \
                                                                                                   \
    static size_t fake_##name##_workspace(svr_backend *backend, const svr_##name##_args *args)     \
    {                                                                                              \
        (void) args;                                                                               \
        return fake_of(backend)->workspace_bytes;                                                  \
    }

SVR_OP_LIST(FAKE_OP)

static const svr_ops ops = {
#define FAKE_MEMBER(name) .name = fake_##name, .name##_workspace = fake_##name##_workspace,
    SVR_OP_LIST(FAKE_MEMBER)
#undef FAKE_MEMBER
};

void fake_backend_init(fake_backend *fake)
{
    memset(fake, 0, sizeof *fake);
    fake->ops = ops;
    fake->base.vtable = &vtable;
    fake->base.ops = &fake->ops;
    fake->base.name = "fake";
}

svr_tensor fake_tensor(svr_dtype dtype, int rank, const int64_t *dims)
{
    static uintptr_t next = (uintptr_t) 1 << 60;
    svr_tensor t = {.data = (void *) next, .dtype = dtype, .rank = rank};

    memcpy(t.dims, dims, (size_t) rank * sizeof dims[0]);
    next += 1 << 20;
    return t;
}
