#include "cuda_backend.h"

#include "cuda_internal.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { STAGING_BYTES = 32 << 20, MINIMUM_CAPABILITY = 80 };

/* About 30 ms of an H100, 200 ms of a small card. */
static const double pace_flops = 2e13;

svr_status svr_cuda_check(cudaError_t result, const char *what, svr_error *err)
{
    if (result == cudaSuccess)
        return SVR_OK;
    (void) cudaGetLastError();
    if (result == cudaErrorMemoryAllocation)
        return SVR_FAIL(err, SVR_ERR_NO_VRAM, "%s: out of device memory", what);
    return SVR_FAIL(err, SVR_ERR_DEVICE, "%s failed: %s", what, cudaGetErrorString(result));
}

svr_status svr_cuda_launched(const char *kernel, svr_error *err)
{
    return svr_cuda_check(cudaGetLastError(), kernel, err);
}

/* Polls instead of blocking, so that a cancelled wait ends at once. */
static svr_status wait_event(svr_exec *exec, cudaEvent_t event, svr_error *err)
{
    for (;;) {
        cudaError_t state = cudaEventQuery(event);

        if (state == cudaSuccess)
            return SVR_OK;
        if (state != cudaErrorNotReady)
            return svr_cuda_check(state, "waiting for the device", err);
        SVR_TRY(svr_exec_poll(exec, err));
    }
}

svr_status svr_cuda_pace(svr_exec *exec, double flops, svr_error *err)
{
    svr_cuda_backend *b = svr_cuda_of(exec);
    int other = (b->pace_next + 1) % SVR_CUDA_PACE_EVENTS;

    b->pace_work += flops;
    if (b->pace_work < pace_flops)
        return SVR_OK;
    b->pace_work = 0.0;
    SVR_TRY(
        svr_cuda_check(cudaEventRecord(b->pace[b->pace_next], b->stream), "cudaEventRecord", err));
    b->pace_next = other;
    return wait_event(exec, b->pace[other], err);
}

static void destroy(svr_backend *backend)
{
    svr_cuda_backend *b = (svr_cuda_backend *) backend;

    if (b->stream)
        (void) cudaStreamSynchronize(b->stream);
    for (int i = 0; i < SVR_CUDA_STAGING_BUFFERS; i++) {
        if (b->staging_free[i])
            (void) cudaEventDestroy(b->staging_free[i]);
        if (b->staging[i])
            (void) cudaFreeHost(b->staging[i]);
    }
    for (int i = 0; i < SVR_CUDA_PACE_EVENTS; i++)
        if (b->pace[i])
            (void) cudaEventDestroy(b->pace[i]);
    if (b->blas)
        (void) cublasLtDestroy(b->blas);
    if (b->stream)
        (void) cudaStreamDestroy(b->stream);
    free(b);
}

static svr_status device_alloc(svr_backend *backend, size_t bytes, void **out, svr_error *err)
{
    size_t free_bytes = 0, total = 0;
    cudaError_t result = cudaMalloc(out, bytes);

    (void) backend;
    if (result != cudaErrorMemoryAllocation)
        return svr_cuda_check(result, "cudaMalloc", err);
    (void) cudaGetLastError();
    (void) cudaMemGetInfo(&free_bytes, &total);
    return SVR_FAIL(err, SVR_ERR_NO_VRAM,
                    "the GPU has no room for %zu MiB (%zu of %zu MiB are free): use a smaller "
                    "batch or output, or close other programs on this GPU",
                    bytes >> 20, free_bytes >> 20, total >> 20);
}

static void device_free(svr_backend *backend, void *address)
{
    svr_cuda_backend *b = (svr_cuda_backend *) backend;

    (void) cudaStreamSynchronize(b->stream);
    (void) cudaFree(address);
}

/* The next staging buffer, once its last copy is done. */
static svr_status take_staging(svr_cuda_backend *b, int *index, svr_error *err)
{
    *index = b->staging_next;
    b->staging_next = (b->staging_next + 1) % SVR_CUDA_STAGING_BUFFERS;
    return svr_cuda_check(cudaEventSynchronize(b->staging_free[*index]), "cudaEventSynchronize",
                          err);
}

static svr_status upload(svr_backend *backend, void *dst, const void *src, size_t bytes,
                         svr_error *err)
{
    svr_cuda_backend *b = (svr_cuda_backend *) backend;

    for (size_t done = 0; done < bytes;) {
        size_t n = bytes - done < STAGING_BYTES ? bytes - done : STAGING_BYTES;
        int i;

        SVR_TRY(take_staging(b, &i, err));
        memcpy(b->staging[i], (const char *) src + done, n);
        SVR_TRY(svr_cuda_check(cudaMemcpyAsync((char *) dst + done, b->staging[i], n,
                                               cudaMemcpyHostToDevice, b->stream),
                               "copy to the device", err));
        SVR_TRY(
            svr_cuda_check(cudaEventRecord(b->staging_free[i], b->stream), "cudaEventRecord", err));
        done += n;
    }
    return SVR_OK;
}

static svr_status download(svr_backend *backend, void *dst, const void *src, size_t bytes,
                           svr_error *err)
{
    svr_cuda_backend *b = (svr_cuda_backend *) backend;

    for (size_t done = 0; done < bytes;) {
        size_t n = bytes - done < STAGING_BYTES ? bytes - done : STAGING_BYTES;
        int i;

        SVR_TRY(take_staging(b, &i, err));
        SVR_TRY(svr_cuda_check(cudaMemcpyAsync(b->staging[i], (const char *) src + done, n,
                                               cudaMemcpyDeviceToHost, b->stream),
                               "copy from the device", err));
        SVR_TRY(
            svr_cuda_check(cudaEventRecord(b->staging_free[i], b->stream), "cudaEventRecord", err));
        SVR_TRY(
            svr_cuda_check(cudaEventSynchronize(b->staging_free[i]), "copy from the device", err));
        memcpy((char *) dst + done, b->staging[i], n);
        done += n;
    }
    return SVR_OK;
}

static svr_status synchronize(svr_backend *backend, svr_error *err)
{
    svr_cuda_backend *b = (svr_cuda_backend *) backend;

    return svr_cuda_check(cudaStreamSynchronize(b->stream), "waiting for the device", err);
}

static void device_memory(svr_backend *backend, uint64_t *total, uint64_t *free_bytes)
{
    size_t f = 0, t = 0;

    (void) backend;
    if (cudaMemGetInfo(&f, &t) != cudaSuccess)
        (void) cudaGetLastError();
    *total = t;
    *free_bytes = f;
}

static svr_dtype weight_dtype(const svr_backend *backend, svr_dtype storage)
{
    (void) backend;
    return storage;
}

svr_status svr_cuda_no_f8(const svr_cuda_backend *b, svr_error *err)
{
    return SVR_FAIL(err, SVR_ERR_UNSUPPORTED,
                    "fp8 needs a GPU of compute capability 8.9 or newer, this one has %d.%d: leave "
                    "quantization at auto-fp16",
                    b->capability / 10, b->capability % 10);
}

static svr_status check_quantization(const svr_backend *backend, svr_dtype dtype, svr_error *err)
{
    const svr_cuda_backend *b = (const svr_cuda_backend *) backend;

    (void) dtype;
    return b->capability >= 89 ? SVR_OK : svr_cuda_no_f8(b, err);
}

static const svr_backend_vtable vtable = {
    .destroy = destroy,
    .alloc = device_alloc,
    .free = device_free,
    .upload = upload,
    .download = download,
    .synchronize = synchronize,
    .device_memory = device_memory,
    .weight_dtype = weight_dtype,
    .check_quantization = check_quantization,
};

static const svr_ops ops = {
#define OP(name) .name = svr_cuda_##name, .name##_workspace = svr_cuda_##name##_workspace,
    SVR_OP_LIST(OP)
#undef OP
};

/* The current context's device, else the first one that is new enough. */
static svr_status choose_device(svr_cuda_backend *b, svr_error *err)
{
    int driver = 0, runtime = 0, count = 0, major = 0, minor = 0;

    if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0)
        return SVR_FAIL(err, SVR_ERR_NO_DEVICE, "no NVIDIA driver: install it, or set backend=cpu");
    (void) cudaRuntimeGetVersion(&runtime);
    if (driver / 1000 < runtime / 1000)
        return SVR_FAIL(err, SVR_ERR_NO_DEVICE,
                        "the NVIDIA driver serves CUDA %d.%d, this build needs %d.x: update the "
                        "driver, or set backend=cpu",
                        driver / 1000, driver % 1000 / 10, runtime / 1000);
    if (cudaGetDeviceCount(&count) != cudaSuccess || count == 0) {
        (void) cudaGetLastError();
        return SVR_FAIL(err, SVR_ERR_NO_DEVICE, "no usable NVIDIA GPU was found: set backend=cpu");
    }
    SVR_TRY(svr_cuda_check(cudaGetDevice(&b->device), "cudaGetDevice", err));
    SVR_TRY(
        svr_cuda_check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, b->device),
                       "cudaDeviceGetAttribute", err));
    SVR_TRY(
        svr_cuda_check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, b->device),
                       "cudaDeviceGetAttribute", err));
    SVR_TRY(svr_cuda_check(
        cudaDeviceGetAttribute(&b->sm_count, cudaDevAttrMultiProcessorCount, b->device),
        "cudaDeviceGetAttribute", err));
    b->capability = 10 * major + minor;
    if (b->capability < MINIMUM_CAPABILITY)
        return SVR_FAIL(err, SVR_ERR_NO_DEVICE,
                        "the GPU has compute capability %d.%d, 8.0 or newer is needed: set "
                        "backend=cpu",
                        major, minor);
    return SVR_OK;
}

static svr_status open_streams(svr_cuda_backend *b, svr_error *err)
{
    SVR_TRY(svr_cuda_check(cudaStreamCreateWithFlags(&b->stream, cudaStreamNonBlocking),
                           "cudaStreamCreate", err));
    for (int i = 0; i < SVR_CUDA_STAGING_BUFFERS; i++) {
        SVR_TRY(
            svr_cuda_check(cudaMallocHost(&b->staging[i], STAGING_BYTES), "cudaMallocHost", err));
        SVR_TRY(
            svr_cuda_check(cudaEventCreateWithFlags(&b->staging_free[i], cudaEventDisableTiming),
                           "cudaEventCreate", err));
    }
    for (int i = 0; i < SVR_CUDA_PACE_EVENTS; i++)
        SVR_TRY(svr_cuda_check(cudaEventCreateWithFlags(&b->pace[i], cudaEventDisableTiming),
                               "cudaEventCreate", err));
    if (cublasLtCreate(&b->blas) != CUBLAS_STATUS_SUCCESS)
        return SVR_FAIL(err, SVR_ERR_DEVICE, "cuBLASLt could not be started");
    return SVR_OK;
}

static svr_status find_entry_points(svr_cuda_backend *b, svr_error *err)
{
    enum cudaDriverEntryPointQueryResult found = cudaDriverEntryPointSymbolNotFound;

    if (b->capability < 90)
        return SVR_OK;
    SVR_TRY(svr_cuda_check(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled",
                                                            &b->encode_tensor_map, 12000,
                                                            cudaEnableDefault, &found),
                           "cudaGetDriverEntryPointByVersion", err));
    if (found != cudaDriverEntryPointSuccess)
        return SVR_FAIL(err, SVR_ERR_NO_DEVICE,
                        "the NVIDIA driver is too old for this GPU: update it, or set "
                        "backend=cpu");
    return SVR_OK;
}

svr_status svr_cuda_backend_create(const svr_log *log, svr_backend **out, svr_error *err)
{
    return svr_cuda_backend_create_limited(log, INT_MAX, out, err);
}

svr_status svr_cuda_backend_create_limited(const svr_log *log, int highest_capability,
                                           svr_backend **out, svr_error *err)
{
    svr_cuda_backend *b = calloc(1, sizeof *b);
    svr_status status;

    if (!b)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for the CUDA backend");
    b->base = (svr_backend){.vtable = &vtable, .ops = &ops, .name = "cuda"};
    if (log)
        b->log = *log;
    status = choose_device(b, err);
    if (b->capability > highest_capability)
        b->capability = highest_capability;
    if (status == SVR_OK)
        status = open_streams(b, err);
    if (status == SVR_OK)
        status = find_entry_points(b, err);
    if (status != SVR_OK) {
        destroy(&b->base);
        return status;
    }
    *out = &b->base;
    return SVR_OK;
}
