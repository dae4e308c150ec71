/* Room for the frames that wait on one side of a stream, tightly packed: host memory that is taken
 * frame by frame, or a block of device memory for as many as can wait.
 * Level 5.  Thread: one at a time (the upscaler holds its lock), fill and empty any. */
#ifndef SVR_PIPELINE_FRAME_STORE_H
#define SVR_PIPELINE_FRAME_STORE_H

#include "backend/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct svr_frame_store svr_frame_store;

/* A store in host memory, or with a `device` for up to `frames` frames there; the latter is
 * borrowed, and the memory counts as STATE.  Errors: NO_MEM, NO_VRAM. */
SVR_CHECKED svr_status svr_frame_store_create(svr_backend *device, const svr_video_info *info,
                                              int64_t frames, svr_frame_store **out,
                                              svr_error *err);

/* Accepts NULL.  All frames were given back. */
void svr_frame_store_destroy(svr_frame_store *store);

/* Bytes that a store takes on a device. */
uint64_t svr_frame_store_device_bytes(const svr_video_info *info, int64_t frames);

/* Bytes that a frame in the store takes on the host: 0 on a device. */
size_t svr_frame_store_host_bytes(const svr_frame_store *store);

/* Memory for a frame, until it is given back.  NULL: there is no more. */
uint8_t *svr_frame_store_take(svr_frame_store *store);

/* Accepts NULL `data`. */
void svr_frame_store_give(svr_frame_store *store, uint8_t *data);

/* Whether all frames are taken that the device has room for; never on the host. */
bool svr_frame_store_is_full(const svr_frame_store *store);

/* Copies a frame, which lies on the store's side, into memory that was taken, and out of it.
 * Errors: those of svr_backend_copy_frame(). */
SVR_CHECKED svr_status svr_frame_store_fill(const svr_frame_store *store, uint8_t *data,
                                            const svr_frame *from, svr_error *err);
SVR_CHECKED svr_status svr_frame_store_empty(const svr_frame_store *store, const uint8_t *data,
                                             const svr_frame *to, svr_error *err);

#ifdef __cplusplus
}
#endif
#endif
