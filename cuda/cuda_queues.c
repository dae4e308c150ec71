#include "cuda_queues.h"

static cudaStream_t stream_of(const svr_cuda_backend *b, svr_queue queue)
{
    return queue == SVR_QUEUE_IN ? b->in : queue == SVR_QUEUE_OUT ? b->out : b->stream;
}

svr_status svr_cuda_queues_open(svr_cuda_backend *b, svr_error *err)
{
    SVR_TRY(svr_cuda_check(cudaStreamCreateWithFlags(&b->in, cudaStreamNonBlocking),
                           "cudaStreamCreate", err));
    SVR_TRY(svr_cuda_check(cudaStreamCreateWithFlags(&b->out, cudaStreamNonBlocking),
                           "cudaStreamCreate", err));
    for (int i = 0; i < SVR_CUDA_MARKS; i++)
        SVR_TRY(svr_cuda_check(cudaEventCreateWithFlags(&b->marks[i], cudaEventDisableTiming),
                               "cudaEventCreate", err));
    return SVR_OK;
}

void svr_cuda_queues_close(svr_cuda_backend *b)
{
    svr_cuda_queues_drain(b);
    for (int i = 0; i < SVR_CUDA_MARKS; i++)
        if (b->marks[i])
            (void) cudaEventDestroy(b->marks[i]);
    if (b->out)
        (void) cudaStreamDestroy(b->out);
    if (b->in)
        (void) cudaStreamDestroy(b->in);
}

void svr_cuda_queues_drain(svr_cuda_backend *b)
{
    if (b->in)
        (void) cudaStreamSynchronize(b->in);
    if (b->out)
        (void) cudaStreamSynchronize(b->out);
}

svr_status svr_cuda_queues_synchronize(svr_cuda_backend *b, svr_error *err)
{
    SVR_TRY(svr_cuda_check(cudaStreamSynchronize(b->in), "copies to the device", err));
    return svr_cuda_check(cudaStreamSynchronize(b->out), "copies from the device", err);
}

/* Page-locking fails with the same code as device memory does. */
static svr_status lock_pages(size_t bytes, void **out, svr_error *err)
{
    cudaError_t result = cudaMallocHost(out, bytes);

    if (result != cudaErrorMemoryAllocation)
        return svr_cuda_check(result, "cudaMallocHost", err);
    (void) cudaGetLastError();
    return SVR_FAIL(err, SVR_ERR_NO_MEM,
                    "the system has no %zu MiB that can be page-locked: close other programs, or "
                    "give the GPU a larger budget",
                    bytes >> 20);
}

svr_status svr_cuda_host_alloc(svr_backend *backend, size_t bytes, void **out, svr_error *err)
{
    svr_cuda_backend *b = (svr_cuda_backend *) backend;
    svr_status status;

    SVR_TRY(svr_cuda_context_enter(&b->context, err));
    status = lock_pages(bytes, out, err);
    svr_cuda_context_leave(&b->context);
    return status;
}

void svr_cuda_host_free(svr_backend *backend, void *address)
{
    svr_cuda_backend *b = (svr_cuda_backend *) backend;

    if (svr_cuda_context_enter(&b->context, NULL) != SVR_OK)
        return;
    svr_cuda_queues_drain(b);
    (void) cudaFreeHost(address);
    svr_cuda_context_leave(&b->context);
}

static enum cudaMemcpyKind kind_of(svr_queue queue)
{
    return queue == SVR_QUEUE_IN ? cudaMemcpyHostToDevice : cudaMemcpyDeviceToHost;
}

/* What a copy within the context of `b` came to; leaves the context. */
static svr_status copied(svr_cuda_backend *b, svr_queue queue, cudaError_t code, svr_error *err)
{
    svr_status status = svr_cuda_check(
        code, queue == SVR_QUEUE_IN ? "copy to the device" : "copy from the device", err);

    svr_cuda_context_leave(&b->context);
    return status;
}

svr_status svr_cuda_queue_copy(svr_backend *backend, svr_queue queue, void *dst, const void *src,
                               size_t bytes, svr_error *err)
{
    svr_cuda_backend *b = (svr_cuda_backend *) backend;

    SVR_TRY(svr_cuda_context_enter(&b->context, err));
    return copied(b, queue, cudaMemcpyAsync(dst, src, bytes, kind_of(queue), stream_of(b, queue)),
                  err);
}

svr_status svr_cuda_queue_copy_rows(svr_backend *backend, svr_queue queue, const svr_row_copy *copy,
                                    svr_error *err)
{
    svr_cuda_backend *b = (svr_cuda_backend *) backend;

    SVR_TRY(svr_cuda_context_enter(&b->context, err));
    return copied(b, queue,
                  cudaMemcpy2DAsync(copy->dst, copy->dst_step, copy->src, copy->src_step,
                                    copy->bytes, copy->rows, kind_of(queue), stream_of(b, queue)),
                  err);
}

svr_status svr_cuda_mark(svr_backend *backend, svr_queue queue, svr_mark *out, svr_error *err)
{
    svr_cuda_backend *b = (svr_cuda_backend *) backend;
    svr_status status;

    SVR_TRY(svr_cuda_context_enter(&b->context, err));
    *out = ++b->last_mark;
    status = svr_cuda_check(cudaEventRecord(b->marks[*out % SVR_CUDA_MARKS], stream_of(b, queue)),
                            "cudaEventRecord", err);
    svr_cuda_context_leave(&b->context);
    return status;
}

svr_status svr_cuda_follow(svr_backend *backend, svr_queue queue, svr_mark mark, svr_error *err)
{
    svr_cuda_backend *b = (svr_cuda_backend *) backend;
    svr_status status;

    SVR_TRY(svr_cuda_context_enter(&b->context, err));
    status =
        svr_cuda_check(cudaStreamWaitEvent(stream_of(b, queue), b->marks[mark % SVR_CUDA_MARKS], 0),
                       "cudaStreamWaitEvent", err);
    svr_cuda_context_leave(&b->context);
    return status;
}

svr_status svr_cuda_await(svr_backend *backend, svr_mark mark, svr_error *err)
{
    svr_cuda_backend *b = (svr_cuda_backend *) backend;
    svr_status status;

    SVR_TRY(svr_cuda_context_enter(&b->context, err));
    status = svr_cuda_check(cudaEventSynchronize(b->marks[mark % SVR_CUDA_MARKS]),
                            "waiting for a copy", err);
    svr_cuda_context_leave(&b->context);
    return status;
}
