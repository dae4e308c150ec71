/* A device as the engine sees it: memory, copies, and one table of ops.
 *
 * Implemented by src/cpu, by cuda/ and by the counting backend of the planner.  A backend belongs
 * to one thread at a time, but any thread may call svr_backend_memory() meanwhile.  Level 1. */
#ifndef SVR_BACKEND_BACKEND_H
#define SVR_BACKEND_BACKEND_H

#include "base/dtype.h"
#include "base/log.h"
#include "base/status.h"

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

/* Bytes that this backend has handed out. */
typedef struct svr_memory_use {
    uint64_t live[SVR_MEM_TAG_COUNT];
    uint64_t live_total, peak_total;
    uint64_t allocations;               /* successful calls of svr_backend_alloc() so far */
    uint64_t device_total, device_free; /* of the whole device, 0 when unknown */
} svr_memory_use;

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
    /* optional: waits for all submitted work; NULL: ops are finished when they return */
    svr_status (*synchronize)(svr_backend *backend, svr_error *err);
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
    svr_memory_use use; /* kept by svr_backend_alloc() and svr_backend_free() */
};

/* Accepts NULL.  Everything allocated must have been freed. */
void svr_backend_destroy(svr_backend *backend);

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
