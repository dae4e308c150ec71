#include "cuda_backend.h"

#include "cuda_conv_choice.h"
#include "cuda_frames.h"
#include "cuda_internal.h"
#include "cuda_queues.h"

#include <stdlib.h>
#include <string.h>

enum { STAGING_BYTES = 32 << 20 };

/* About 30 ms of an H100, 200 ms of a small card. */
static const double pace_flops = 2e13;

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

static void close_streams(svr_cuda_backend *b)
{
    if (b->stream)
        (void) cudaStreamSynchronize(b->stream);
    if (b->copies)
        (void) cudaStreamSynchronize(b->copies);
    svr_cuda_queues_close(b);
    svr_cuda_frames_close(b);
    svr_cuda_conv_choices_close(b->conv_choices);
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
    if (b->computed)
        (void) cudaEventDestroy(b->computed);
    if (b->copies)
        (void) cudaStreamDestroy(b->copies);
    if (b->stream)
        (void) cudaStreamDestroy(b->stream);
}

static void destroy(svr_backend *backend)
{
    svr_cuda_backend *b = (svr_cuda_backend *) backend;

    /* else the context is lost, and the driver keeps all that until the process ends */
    if (b->context.handle && svr_cuda_context_enter(&b->context, NULL) == SVR_OK) {
        close_streams(b);
        /* else a launch of the thread's next backend would be blamed for a failure of this one */
        (void) cudaGetLastError();
        svr_cuda_context_leave(&b->context);
    }
    svr_cuda_context_close(&b->context);
    free(b);
}

static svr_status allocate(size_t bytes, void **out, svr_error *err)
{
    size_t free_bytes = 0, total = 0;
    cudaError_t result = cudaMalloc(out, bytes);

    if (result != cudaErrorMemoryAllocation)
        return svr_cuda_check(result, "cudaMalloc", err);
    (void) cudaGetLastError();
    (void) cudaMemGetInfo(&free_bytes, &total);
    return SVR_FAIL(err, SVR_ERR_NO_VRAM,
                    "the GPU has no room for %zu MiB (%zu of %zu MiB are free): use a smaller "
                    "batch or output, or close other programs on this GPU",
                    bytes >> 20, free_bytes >> 20, total >> 20);
}

static svr_status device_alloc(svr_backend *backend, size_t bytes, void **out, svr_error *err)
{
    svr_cuda_backend *b = (svr_cuda_backend *) backend;
    svr_status status;

    SVR_TRY(svr_cuda_context_enter(&b->context, err));
    status = allocate(bytes, out, err);
    svr_cuda_context_leave(&b->context);
    return status;
}

static void device_free(svr_backend *backend, void *address)
{
    svr_cuda_backend *b = (svr_cuda_backend *) backend;

    if (svr_cuda_context_enter(&b->context, NULL) != SVR_OK)
        return;
    svr_cuda_queues_drain(b);
    (void) cudaStreamSynchronize(b->stream);
    (void) cudaFree(address);
    svr_cuda_context_leave(&b->context);
}

/* The next staging buffer, once its last copy is done. */
static svr_status take_staging(svr_cuda_backend *b, int *index, svr_error *err)
{
    *index = b->staging_next;
    b->staging_next = (b->staging_next + 1) % SVR_CUDA_STAGING_BUFFERS;
    return svr_cuda_check(cudaEventSynchronize(b->staging_free[*index]), "cudaEventSynchronize",
                          err);
}

/* The copies that come next see all that was computed so far. */
static svr_status copies_follow(svr_cuda_backend *b, svr_error *err)
{
    SVR_TRY(svr_cuda_check(cudaEventRecord(b->computed, b->stream), "cudaEventRecord", err));
    return svr_cuda_check(cudaStreamWaitEvent(b->copies, b->computed, 0), "cudaStreamWaitEvent",
                          err);
}

static svr_status copy_in(svr_cuda_backend *b, void *dst, const void *src, size_t bytes,
                          svr_error *err)
{
    for (size_t done = 0; done < bytes;) {
        size_t n = bytes - done < STAGING_BYTES ? bytes - done : STAGING_BYTES;
        int i;

        SVR_TRY(take_staging(b, &i, err));
        memcpy(b->staging[i], (const char *) src + done, n);
        SVR_TRY(copies_follow(b, err));
        SVR_TRY(svr_cuda_check(cudaMemcpyAsync((char *) dst + done, b->staging[i], n,
                                               cudaMemcpyHostToDevice, b->copies),
                               "copy to the device", err));
        SVR_TRY(
            svr_cuda_check(cudaEventRecord(b->staging_free[i], b->copies), "cudaEventRecord", err));
        SVR_TRY(svr_cuda_check(cudaStreamWaitEvent(b->stream, b->staging_free[i], 0),
                               "cudaStreamWaitEvent", err));
        done += n;
    }
    return SVR_OK;
}

static svr_status upload(svr_backend *backend, void *dst, const void *src, size_t bytes,
                         svr_error *err)
{
    svr_cuda_backend *b = (svr_cuda_backend *) backend;
    svr_status status;

    SVR_TRY(svr_cuda_context_enter(&b->context, err));
    status = copy_in(b, dst, src, bytes, err);
    svr_cuda_context_leave(&b->context);
    return status;
}

static svr_status copy_out(svr_cuda_backend *b, void *dst, const void *src, size_t bytes,
                           svr_error *err)
{
    for (size_t done = 0; done < bytes;) {
        size_t n = bytes - done < STAGING_BYTES ? bytes - done : STAGING_BYTES;
        int i;

        SVR_TRY(take_staging(b, &i, err));
        SVR_TRY(copies_follow(b, err));
        SVR_TRY(svr_cuda_check(cudaMemcpyAsync(b->staging[i], (const char *) src + done, n,
                                               cudaMemcpyDeviceToHost, b->copies),
                               "copy from the device", err));
        SVR_TRY(
            svr_cuda_check(cudaEventRecord(b->staging_free[i], b->copies), "cudaEventRecord", err));
        SVR_TRY(
            svr_cuda_check(cudaEventSynchronize(b->staging_free[i]), "copy from the device", err));
        memcpy((char *) dst + done, b->staging[i], n);
        done += n;
    }
    return SVR_OK;
}

static svr_status download(svr_backend *backend, void *dst, const void *src, size_t bytes,
                           svr_error *err)
{
    svr_cuda_backend *b = (svr_cuda_backend *) backend;
    svr_status status;

    SVR_TRY(svr_cuda_context_enter(&b->context, err));
    status = copy_out(b, dst, src, bytes, err);
    svr_cuda_context_leave(&b->context);
    return status;
}

static svr_status synchronize(svr_backend *backend, svr_error *err)
{
    svr_cuda_backend *b = (svr_cuda_backend *) backend;
    svr_status status;

    SVR_TRY(svr_cuda_context_enter(&b->context, err));
    status = svr_cuda_queues_synchronize(b, err);
    if (status == SVR_OK)
        status = svr_cuda_check(cudaStreamSynchronize(b->stream), "waiting for the device", err);
    svr_cuda_context_leave(&b->context);
    return status;
}

static void device_memory(svr_backend *backend, uint64_t *total, uint64_t *free_bytes)
{
    svr_cuda_backend *b = (svr_cuda_backend *) backend;
    size_t f = 0, t = 0;

    if (svr_cuda_context_enter(&b->context, NULL) == SVR_OK) {
        if (cudaMemGetInfo(&f, &t) != cudaSuccess)
            (void) cudaGetLastError();
        svr_cuda_context_leave(&b->context);
    }
    *total = t;
    *free_bytes = f;
}

svr_dtype svr_cuda_weight_dtype(const svr_backend *backend, svr_dtype storage)
{
    (void) backend;
    return storage;
}

svr_status svr_cuda_no_f8(const svr_cuda_backend *b, svr_error *err)
{
    return SVR_FAIL(err, SVR_ERR_UNSUPPORTED,
                    "fp8 needs a GPU of compute capability 8.9 or newer, this one has %d.%d: set "
                    "quantization to int8-w8a8, int8 or auto-fp16",
                    b->capability / 10, b->capability % 10);
}

svr_status svr_cuda_check_quantization(const svr_backend *backend, svr_dtype dtype, svr_error *err)
{
    const svr_cuda_backend *b = (const svr_cuda_backend *) backend;

    /* every GPU of this module multiplies 8-bit integers */
    return dtype != SVR_F8_E4M3 || b->capability >= 89 ? SVR_OK : svr_cuda_no_f8(b, err);
}

static const svr_backend_vtable vtable = {
    .destroy = destroy,
    .alloc = device_alloc,
    .free = device_free,
    .upload = upload,
    .download = download,
    .synchronize = synchronize,
    .host_alloc = svr_cuda_host_alloc,
    .host_free = svr_cuda_host_free,
    .copy = svr_cuda_queue_copy,
    .copy_rows = svr_cuda_queue_copy_rows,
    .mark = svr_cuda_mark,
    .follow = svr_cuda_follow,
    .await = svr_cuda_await,
    .copy_frame = svr_cuda_copy_frame,
    .device_memory = device_memory,
    .weight_dtype = svr_cuda_weight_dtype,
    .check_quantization = svr_cuda_check_quantization,
};

/* Ops run in the backend's context; workspace functions only count, except where
 * svr_cuda_conv_choose() enters it. */
#define OP(name)                                                                                   \
    static svr_status run_##name(svr_exec *exec, const svr_##name##_args *args, void *workspace,   \
                                 svr_error *err)                                                   \
    {                                                                                              \
        const svr_cuda_context *context = &svr_cuda_of(exec)->context;                             \
        svr_status status;                                                                         \
                                                                                                   \
        SVR_TRY(svr_cuda_context_enter(context, err));                                             \
        status = svr_cuda_##name(exec, args, workspace, err);                                      \
        svr_cuda_context_leave(context);                                                           \
        return status;                                                                             \
    }
SVR_OP_LIST(OP)
#undef OP

static const svr_ops ops = {
#define OP(name) .name = run_##name, .name##_workspace = svr_cuda_##name##_workspace,
    SVR_OP_LIST(OP)
#undef OP
};

const svr_ops *svr_cuda_ops(void)
{
    return &ops;
}

static svr_status read_device(svr_cuda_backend *b, int highest_capability, svr_error *err)
{
    int device = b->context.device;

    SVR_TRY(svr_cuda_capability(device, &b->capability, err));
    if (highest_capability > 0 && b->capability > highest_capability)
        b->capability = highest_capability;
    return svr_cuda_check(
        cudaDeviceGetAttribute(&b->sm_count, cudaDevAttrMultiProcessorCount, device),
        "cudaDeviceGetAttribute", err);
}

static svr_status open_streams(svr_cuda_backend *b, svr_error *err)
{
    SVR_TRY(svr_cuda_check(cudaStreamCreateWithFlags(&b->stream, cudaStreamNonBlocking),
                           "cudaStreamCreate", err));
    SVR_TRY(svr_cuda_check(cudaStreamCreateWithFlags(&b->copies, cudaStreamNonBlocking),
                           "cudaStreamCreate", err));
    SVR_TRY(svr_cuda_check(cudaEventCreateWithFlags(&b->computed, cudaEventDisableTiming),
                           "cudaEventCreate", err));
    SVR_TRY(svr_cuda_queues_open(b, err));
    SVR_TRY(svr_cuda_frames_open(b, err));
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
    if (b->capability < 90)
        return SVR_OK;
    return svr_cuda_driver_function("cuTensorMapEncodeTiled", 12000, &b->encode_tensor_map, err);
}

/* In the context that was opened. */
static svr_status open_device(svr_cuda_backend *b, const svr_cuda_options *options, svr_error *err)
{
    svr_status status;

    SVR_TRY(svr_cuda_context_enter(&b->context, err));
    status = read_device(b, options->highest_capability, err);
    if (status == SVR_OK)
        status = open_streams(b, err);
    if (status == SVR_OK)
        status = find_entry_points(b, err);
    if (status == SVR_OK)
        status = svr_cuda_conv_choices_open(b, options, err);
    svr_cuda_context_leave(&b->context);
    return status;
}

svr_status svr_cuda_backend_create(const svr_cuda_options *options, const svr_log *log,
                                   svr_backend **out, svr_error *err)
{
    static const svr_cuda_options defaults = SVR_CUDA_OPTIONS_DEFAULT;
    svr_cuda_backend *b = calloc(1, sizeof *b);
    svr_status status;

    if (!b)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for the CUDA backend");
    if (!options)
        options = &defaults;
    b->base = (svr_backend){.vtable = &vtable, .ops = &ops, .name = "cuda"};
    if (log)
        b->log = *log;
    status = svr_cuda_context_open(&b->context, options, err);
    if (status == SVR_OK)
        status = open_device(b, options, err);
    if (status != SVR_OK) {
        destroy(&b->base);
        return status;
    }
    svr_log_write(log, SVR_LOG_INFO, "cuda", "GPU %d, compute capability %d.%d, %s context %p",
                  b->context.device, b->capability / 10, b->capability % 10,
                  b->context.primary ? "primary" : "given", (void *) b->context.handle);
    *out = &b->base;
    return SVR_OK;
}
