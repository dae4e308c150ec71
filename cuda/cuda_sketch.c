/* A GPU to plan for, without one. */
#include "cuda_backend.h"
#include "cuda_internal.h"

#include <stdlib.h>

enum { LEAST_CAPABILITY = 80 };

static void destroy(svr_backend *backend)
{
    free(backend);
}

static svr_status no_memory(svr_backend *backend, size_t bytes, void **out, svr_error *err)
{
    (void) backend, (void) bytes;
    *out = NULL;
    return SVR_FAIL(err, SVR_ERR_NO_DEVICE, "a sketch of a GPU has no memory; count on it only");
}

static void give_back(svr_backend *backend, void *address)
{
    (void) backend, (void) address;
}

static svr_status no_copy(svr_backend *backend, void *dst, const void *src, size_t bytes,
                          svr_error *err)
{
    (void) backend, (void) dst, (void) src, (void) bytes;
    return SVR_FAIL(err, SVR_ERR_NO_DEVICE, "a sketch of a GPU has no memory; count on it only");
}

svr_status svr_cuda_sketch_create(int capability, int sm_count, svr_backend **out, svr_error *err)
{
    static const svr_backend_vtable vtable = {
        .destroy = destroy,
        .alloc = no_memory,
        .free = give_back,
        .upload = no_copy,
        .download = no_copy,
        .weight_dtype = svr_cuda_weight_dtype,
        .check_quantization = svr_cuda_check_quantization,
    };
    svr_cuda_backend *b;

    if (capability < LEAST_CAPABILITY)
        return SVR_FAIL(err, SVR_ERR_NO_DEVICE,
                        "compute capability %d.%d; 8.0 is the least that is supported",
                        capability / 10, capability % 10);
    b = calloc(1, sizeof *b);
    if (!b)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for a sketch of a GPU");
    b->base = (svr_backend){.vtable = &vtable, .ops = svr_cuda_ops(), .name = "cuda", .dry = true};
    b->capability = capability;
    b->sm_count = sm_count;
    *out = &b->base;
    return SVR_OK;
}
