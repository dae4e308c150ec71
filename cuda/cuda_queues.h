/* The queues IN and OUT: page-locked host memory, copies beside the ops, and the marks that order
 * them.  Level 2.  Thread: the one that computes. */
#ifndef SVR_CUDA_CUDA_QUEUES_H
#define SVR_CUDA_CUDA_QUEUES_H

#include "cuda_internal.h"

/* In the backend's context.  Errors: NO_VRAM, DEVICE. */
SVR_CHECKED svr_status svr_cuda_queues_open(svr_cuda_backend *b, svr_error *err);

/* In the backend's context; waits.  Accepts what svr_cuda_queues_open() left when it failed. */
void svr_cuda_queues_close(svr_cuda_backend *b);

/* In the backend's context: waits for both queues; what failed there is lost. */
void svr_cuda_queues_drain(svr_cuda_backend *b);

/* The same, which tells what failed. */
SVR_CHECKED svr_status svr_cuda_queues_synchronize(svr_cuda_backend *b, svr_error *err);

/* Of svr_backend_vtable. */
svr_status svr_cuda_host_alloc(svr_backend *backend, size_t bytes, void **out, svr_error *err);
void svr_cuda_host_free(svr_backend *backend, void *address);
svr_status svr_cuda_queue_copy(svr_backend *backend, svr_queue queue, void *dst, const void *src,
                               size_t bytes, svr_error *err);
svr_status svr_cuda_queue_copy_rows(svr_backend *backend, svr_queue queue, const svr_row_copy *copy,
                                    svr_error *err);
svr_status svr_cuda_mark(svr_backend *backend, svr_queue queue, svr_mark *out, svr_error *err);
svr_status svr_cuda_follow(svr_backend *backend, svr_queue queue, svr_mark mark, svr_error *err);
svr_status svr_cuda_await(svr_backend *backend, svr_mark mark, svr_error *err);

#endif
