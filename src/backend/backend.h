/* A device as the engine sees it: memory, copies, and one table of ops.
 *
 * Work goes through three queues, each in order and side by side: ops (and svr_backend_upload(),
 * _download()) in COMPUTE, copies between page-locked host memory and the device in IN and OUT.
 * Nothing is ordered between queues but by marks: a mark is a point in a queue, and a queue can be
 * made to follow it.  With a backend that does everything at once all of this is trivially so.
 *
 * Implemented by src/cpu, by cuda/ and by the counting backend of the planner.  A backend belongs
 * to one thread at a time, but any thread may call svr_backend_memory() and
 * svr_backend_copy_frame() meanwhile.  Level 1. */
#ifndef SVR_BACKEND_BACKEND_H
#define SVR_BACKEND_BACKEND_H

#include "base/dtype.h"
#include "base/frame.h"
#include "base/log.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct svr_ops;
typedef struct svr_backend svr_backend;

/* What memory is for; the ledger counts bytes per tag. */
typedef enum svr_memory_tag {
    SVR_MEM_WEIGHTS,
    SVR_MEM_SCRATCH, /* activations and op workspaces, one block laid out by the plan */
    SVR_MEM_STATE,   /* what lives from batch to batch: overlap, tables */
    SVR_MEM_TAG_COUNT
} svr_memory_tag;

/* Bytes that this backend has handed out and moved. */
typedef struct svr_memory_use {
    uint64_t live[SVR_MEM_TAG_COUNT];
    uint64_t live_total, peak_total;
    uint64_t allocations;               /* successful calls of svr_backend_alloc() so far */
    uint64_t host_live, host_peak;      /* of svr_backend_host_alloc() */
    uint64_t copied_in, copied_out;     /* through the queues IN and OUT so far */
    uint64_t device_total, device_free; /* of the whole device, 0 when unknown */
} svr_memory_use;

typedef enum svr_queue {
    SVR_QUEUE_COMPUTE,
    SVR_QUEUE_IN,  /* host to device */
    SVR_QUEUE_OUT, /* device to host */
    SVR_QUEUE_COUNT
} svr_queue;

/* A point in a queue; 0: its very beginning. */
typedef uint64_t svr_mark;

/* Rows of `bytes` each that lie apart, `dst_step` and `src_step` from one to the next. */
typedef struct svr_row_copy {
    char *dst;
    const char *src;
    size_t bytes, rows, dst_step, src_step;
} svr_row_copy;

/* What a backend implements.  Addresses are the backend's own; only the CPU backend's may be
 * dereferenced by the host. */
typedef struct svr_backend_vtable {
    void (*destroy)(svr_backend *backend);
    /* 256-byte aligned; NO_MEM or NO_VRAM */
    svr_status (*alloc)(svr_backend *backend, size_t bytes, void **out, svr_error *err);
    void (*free)(svr_backend *backend, void *address);
    /* Host to device and back; return when the host memory may be reused. */
    svr_status (*upload)(svr_backend *backend, void *dst, const void *src, size_t bytes,
                         svr_error *err);
    svr_status (*download)(svr_backend *backend, void *dst, const void *src, size_t bytes,
                           svr_error *err);
    /* optional: waits for all submitted work of all queues; NULL: ops are finished when they
     * return */
    svr_status (*synchronize)(svr_backend *backend, svr_error *err);
    /* optional, all of them or none: page-locked host memory, a copy in the background (`queue` is
     * IN or OUT), marks; NULL: plain memory, and copies are finished when they return */
    svr_status (*host_alloc)(svr_backend *backend, size_t bytes, void **out, svr_error *err);
    void (*host_free)(svr_backend *backend, void *address);
    svr_status (*copy)(svr_backend *backend, svr_queue queue, void *dst, const void *src,
                       size_t bytes, svr_error *err);
    /* optional: the same for rows; NULL: one by one */
    svr_status (*copy_rows)(svr_backend *backend, svr_queue queue, const svr_row_copy *copy,
                            svr_error *err);
    svr_status (*mark)(svr_backend *backend, svr_queue queue, svr_mark *out, svr_error *err);
    svr_status (*follow)(svr_backend *backend, svr_queue queue, svr_mark mark, svr_error *err);
    svr_status (*await)(svr_backend *backend, svr_mark mark, svr_error *err);
    /* optional: copies a frame within the memory of the device, which may be others' memory too;
     * returns when that is done.  Not ordered with any queue.  Any thread.  NULL: the device has no
     * memory that others could share */
    svr_status (*copy_frame)(svr_backend *backend, const svr_video_info *info, const svr_frame *dst,
                             const svr_frame *src, svr_error *err);
    /* optional: memory of the whole device */
    void (*device_memory)(svr_backend *backend, uint64_t *total, uint64_t *free_bytes);
    /* Type in which weights of a network that stores activations as `storage` are kept. */
    svr_dtype (*weight_dtype)(const svr_backend *backend, svr_dtype storage);
    /* optional: UNSUPPORTED when the device cannot multiply matrices of the 8-bit type `dtype`;
     * NULL: it can. */
    svr_status (*check_quantization)(const svr_backend *backend, svr_dtype dtype, svr_error *err);
} svr_backend_vtable;

/* Implementations embed this as their first member and fill it in. */
struct svr_backend {
    const svr_backend_vtable *vtable;
    const struct svr_ops *ops;
    const char *name;   /* "cpu", "cuda", "counting" */
    bool dry;           /* computes nothing: addresses stand for no memory */
    svr_memory_use use; /* kept by the functions below */
    uint64_t limit;     /* of use.live_total; 0: none */
    bool waits;         /* behind each copy beside the computation */
};

/* Accepts NULL.  Everything allocated must have been freed. */
void svr_backend_destroy(svr_backend *backend);

/* No more than `bytes` are handed out at a time from now on; 0: as many as there are. */
void svr_backend_set_limit(svr_backend *backend, uint64_t bytes);

/* Whether each copy beside the computation is waited for, so that nothing overlaps: to look for
 * errors and to compare. */
void svr_backend_set_waits(svr_backend *backend, bool waits);

/* `bytes` > 0 at *out, counted under `tag`.  Errors: NO_MEM, NO_VRAM with the sizes. */
SVR_CHECKED svr_status svr_backend_alloc(svr_backend *backend, svr_memory_tag tag, size_t bytes,
                                         void **out, svr_error *err);

/* Accepts NULL `address`.  `tag` and `bytes` as allocated. */
void svr_backend_free(svr_backend *backend, svr_memory_tag tag, size_t bytes, void *address);

SVR_CHECKED svr_status svr_backend_upload(svr_backend *backend, void *dst, const void *src,
                                          size_t bytes, svr_error *err);
SVR_CHECKED svr_status svr_backend_download(svr_backend *backend, void *dst, const void *src,
                                            size_t bytes, svr_error *err);
SVR_CHECKED svr_status svr_backend_synchronize(svr_backend *backend, svr_error *err);

/* Whether frames of others in the memory of this device can be taken and given. */
bool svr_backend_shares_frames(const svr_backend *backend);

/* Copies a frame from and to device memory, own or others', and returns when that is done.  The
 * source is complete and the destination is read by nobody: no queue is waited for.  Any thread.
 * Errors: UNSUPPORTED (such memory is not shared), DEVICE. */
SVR_CHECKED svr_status svr_backend_copy_frame(svr_backend *backend, const svr_video_info *info,
                                              const svr_frame *dst, const svr_frame *src,
                                              svr_error *err);

/* `bytes` > 0 of page-locked host memory, 256-byte aligned, for the copies below.  Errors: NO_MEM.
 */
SVR_CHECKED svr_status svr_backend_host_alloc(svr_backend *backend, size_t bytes, void **out,
                                              svr_error *err);

/* Accepts NULL `address`; waits for copies.  `bytes` as allocated. */
void svr_backend_host_free(svr_backend *backend, size_t bytes, void *address);

/* Puts a copy from page-locked host memory into the queue IN, or one to it into OUT. */
SVR_CHECKED svr_status svr_backend_copy_in(svr_backend *backend, void *dst, const void *src,
                                           size_t bytes, svr_error *err);
SVR_CHECKED svr_status svr_backend_copy_out(svr_backend *backend, void *dst, const void *src,
                                            size_t bytes, svr_error *err);

/* The same for rows; `queue` is IN or OUT. */
SVR_CHECKED svr_status svr_backend_copy_rows(svr_backend *backend, svr_queue queue,
                                             const svr_row_copy *copy, svr_error *err);

/* For a backend that computes nothing, which need not be shown equal work again and again: enters
 * what was copied since the snapshot `since` another `times` times. */
void svr_backend_repeat_copies(svr_backend *backend, const svr_memory_use *since, uint64_t times);

/* *out stands behind all that is in the queue now. */
SVR_CHECKED svr_status svr_backend_mark(svr_backend *backend, svr_queue queue, svr_mark *out,
                                        svr_error *err);

/* What is put into `queue` from now on begins when everything in front of the mark is done. */
SVR_CHECKED svr_status svr_backend_follow(svr_backend *backend, svr_queue queue, svr_mark mark,
                                          svr_error *err);

/* Returns when everything in front of the mark is done. */
SVR_CHECKED svr_status svr_backend_await(svr_backend *backend, svr_mark mark, svr_error *err);

/* Both in one: `queue` follows all that is in `before` now. */
SVR_CHECKED svr_status svr_backend_order(svr_backend *backend, svr_queue before, svr_queue queue,
                                         svr_error *err);

/* Snapshot of the ledger with the device's figures filled in. */
svr_memory_use svr_backend_memory(svr_backend *backend);

/* The planner's device: hands out addresses that nobody may touch, runs no op, and asks `inner` for
 * workspace sizes and types, so that what is counted is what `inner` will need.  `inner` is
 * borrowed and must outlive it.  NULL when there is no memory. */
svr_backend *svr_counting_backend_create(svr_backend *inner);

#ifdef __cplusplus
}
#endif
#endif
