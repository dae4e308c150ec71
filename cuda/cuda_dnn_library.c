#include "cuda_dnn_internal.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIBRARY "libcudnn.so.9"

/* 9.8 to 9.14 compute some 16-bit 3-D convolutions wrongly */
enum { MINIMUM_VERSION = 91500 };

/* ---- calls */

svr_status svr_cuda_dnn_check(const svr_cuda_dnn *d, cudnnStatus_t result, const char *what,
                              svr_error *err)
{
    char why[256] = "";

    if (result == CUDNN_STATUS_SUCCESS)
        return SVR_OK;
    d->cudnnGetLastErrorString(why, sizeof why);
    return SVR_FAIL(err, SVR_ERR_UNSUPPORTED, "cuDNN, %s: %s (%s)", what,
                    d->cudnnGetErrorString(result), why);
}

svr_status svr_cuda_dnn_failed_as(svr_status code, svr_error *err)
{
    if (err)
        err->code = code;
    return code;
}

svr_status svr_cuda_dnn_make(svr_cuda_dnn_descriptors *owned, cudnnBackendDescriptorType_t type,
                             cudnnBackendDescriptor_t *out, svr_error *err)
{
    const svr_cuda_dnn *d = owned->dnn;

    if (owned->count == SVR_CUDA_DNN_MOST_DESCRIPTORS)
        return SVR_FAIL(err, SVR_ERR_UNSUPPORTED, "cuDNN, too many descriptors for a convolution");
    SVR_TRY(svr_cuda_dnn_check(d, d->cudnnBackendCreateDescriptor(type, out), "a descriptor", err));
    owned->items[owned->count++] = *out;
    return SVR_OK;
}

void svr_cuda_dnn_release(svr_cuda_dnn_descriptors *owned)
{
    while (owned->count > 0)
        (void) owned->dnn->cudnnBackendDestroyDescriptor(owned->items[--owned->count]);
}

svr_status svr_cuda_dnn_fill(const svr_cuda_dnn *d, cudnnBackendDescriptor_t descriptor,
                             const svr_cuda_dnn_attribute *attributes, int count, svr_error *err)
{
    for (int i = 0; i < count; i++) {
        const svr_cuda_dnn_attribute *a = &attributes[i];
        char what[32];

        snprintf(what, sizeof what, "attribute %d", (int) a->name);
        SVR_TRY(svr_cuda_dnn_check(
            d, d->cudnnBackendSetAttribute(descriptor, a->name, a->type, a->count, a->values), what,
            err));
    }
    return svr_cuda_dnn_check(d, d->cudnnBackendFinalize(descriptor), "finalizing", err);
}

static svr_status find_functions(svr_cuda_dnn *d, svr_error *err)
{
    void *symbol;

    /* ISO C has no conversion from object to function pointers */
#define FIND(name)                                                                                 \
    symbol = dlsym(d->library, #name);                                                             \
    if (!symbol)                                                                                   \
        return SVR_FAIL(err, SVR_ERR_NO_DEVICE, LIBRARY " has no " #name ": update cuDNN");        \
    memcpy(&d->name, &symbol, sizeof symbol);
    SVR_CUDA_DNN_FUNCTIONS(FIND)
#undef FIND
    return SVR_OK;
}

static svr_status open_library(svr_cuda_dnn *d, svr_error *err)
{
    const char *why;

    d->library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!d->library) {
        why = dlerror();
        return SVR_FAIL(err, SVR_ERR_NO_DEVICE,
                        "cuDNN cannot be loaded (%s): install cuDNN 9, or put its folder in "
                        "LD_LIBRARY_PATH",
                        why ? why : LIBRARY);
    }
    SVR_TRY(find_functions(d, err));
    d->version = (int) d->cudnnGetVersion();
    if (d->version < MINIMUM_VERSION)
        return SVR_FAIL(err, SVR_ERR_NO_DEVICE,
                        "cuDNN %d.%d.%d is too old, its 3-D convolutions can be wrong: install "
                        "%d.%d or newer",
                        d->version / 10000, d->version / 100 % 100, d->version % 100,
                        MINIMUM_VERSION / 10000, MINIMUM_VERSION / 100 % 100);
    return SVR_OK;
}

static svr_status start(svr_cuda_dnn *d, int device, cudaStream_t stream, svr_error *err)
{
    int32_t id = device;
    svr_cuda_dnn_attribute attributes[] = {
        {CUDNN_ATTR_DEVICEPROP_DEVICE_ID, CUDNN_TYPE_INT32, 1, &id}};

    SVR_TRY(svr_cuda_dnn_check(d, d->cudnnCreate(&d->handle), "starting", err));
    SVR_TRY(svr_cuda_dnn_check(d, d->cudnnSetStream(d->handle, stream), "its stream", err));
    SVR_TRY(svr_cuda_dnn_check(
        d, d->cudnnBackendCreateDescriptor(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, &d->device),
        "the device", err));
    return SVR_CUDA_DNN_FILL(d, d->device, attributes, err);
}

svr_status svr_cuda_dnn_open(int device, cudaStream_t stream, const svr_log *log,
                             svr_cuda_dnn **out, svr_error *err)
{
    svr_cuda_dnn *d = calloc(1, sizeof *d);
    svr_status status;

    if (!d)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for cuDNN");
    d->log = log;
    status = open_library(d, err);
    if (status == SVR_OK)
        status = start(d, device, stream, err);
    if (status != SVR_OK) {
        svr_cuda_dnn_close(d);
        return svr_cuda_dnn_failed_as(SVR_ERR_NO_DEVICE, err);
    }
    *out = d;
    return SVR_OK;
}

/* The library stays open: threads of its own may still run when a process ends. */
void svr_cuda_dnn_close(svr_cuda_dnn *d)
{
    if (!d)
        return;
    if (d->device)
        (void) d->cudnnBackendDestroyDescriptor(d->device);
    if (d->handle)
        (void) d->cudnnDestroy(d->handle);
    free(d);
}

int svr_cuda_dnn_version(const svr_cuda_dnn *d)
{
    return d->version;
}
