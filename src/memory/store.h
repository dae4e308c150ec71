/* The weights of one network on a device.
 *
 * A network declares its items, each in a group (a transformer block, an encoder, …), then loads
 * them once.  At run time it begins a pass over some groups, acquires each in order, uses the views
 * and releases it; whether a group was resident or came through a ring of slots is nobody's
 * business above.  A streamed group waits in host memory, page-locked, in the form that it has on
 * the device, or, where the host has no room for that, in the model file, and is brought into a
 * slot in scratch memory for each pass, beside the computation of the groups before it.  Weights
 * are read-only and never copied back.  Level 3.  Thread: the one that computes. */
#ifndef SVR_MEMORY_STORE_H
#define SVR_MEMORY_STORE_H

#include "backend/exec.h"
#include "weights/weights.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct svr_store svr_store;

/* How an item is kept. */
typedef enum svr_store_form {
    SVR_FORM_VECTOR, /* F32, any rank */
    SVR_FORM_MATRIX, /* the backend's weight type for the storage type */
    SVR_FORM_FACTOR, /* [N,K], of products that can be quantised: like MATRIX unless
                        svr_store_quantize() was called */
    SVR_FORM_CONV    /* like MATRIX; file [K,C,kt,kh,kw] becomes [K,kt,kh,kw,C] */
} svr_store_form;

typedef struct svr_store_item {
    const char *name; /* tensor of the checkpoint, copied; with `make` only a label */
    svr_store_form form;
    int group; /* 0 .. groups-1 */
    /* optional: computes the values (shape rank, dims; FORM_CONV: in the file's order) from other
     * tensors instead of reading tensor `name` */
    svr_status (*make)(void *user, const svr_weights *weights, float *dst, svr_error *err);
    void *make_user;
    int rank; /* with make only */
    int64_t dims[SVR_MAX_RANK];
} svr_store_item;

/* `backend` and `weights` are borrowed and must outlive the store.  Values of matrices and
 * convolutions are rounded to `storage` before they are kept in the backend's type, so all backends
 * compute with the same weights. */
SVR_CHECKED svr_status svr_store_create(svr_backend *backend, const svr_weights *weights,
                                        svr_dtype storage, int groups, svr_store **out,
                                        svr_error *err);

/* Keeps the FORM_FACTOR items that are added from now on as `type` (F8_E4M3, I8), quantised from
 * the file's values, with a scale for each row (base/quantize.h); what the file keeps in this type
 * is taken as it is.  Call it before the network declares its items.  Errors: UNSUPPORTED (says
 * what the device lacks). */
SVR_CHECKED svr_status svr_store_quantize(svr_store *store, svr_dtype type, svr_error *err);

/* Accepts NULL. */
void svr_store_destroy(svr_store *store);

/* Declares an item of a group that is not loaded yet; its id goes to *id.  Errors: INVALID (no such
 * tensor), NO_MEM. */
SVR_CHECKED svr_status svr_store_add(svr_store *store, const svr_store_item *item, int *id,
                                     svr_error *err);

/* Whether a group is to be streamed; by default it is resident.  A dry run sees that at once, the
 * weights are moved by the next svr_store_load(). */
void svr_store_set_streamed(svr_store *store, int group, bool streamed);
bool svr_store_is_streamed(const svr_store *store, int group);

/* How many slots a pass has, at most one a streamed group; at least 1, by default 2.  With one, the
 * next group waits for the end of the one before. */
void svr_store_set_slots(svr_store *store, int slots);

/* Streamed groups are read from the file in every pass instead of from a copy in host memory. */
void svr_store_set_relay(svr_store *store, bool relay);

/* Bytes of a group on the device, known before loading. */
uint64_t svr_store_group_bytes(const svr_store *store, int group);

/* Is told bytes done and to do. */
typedef void (*svr_store_progress)(void *user, uint64_t done_bytes, uint64_t total_bytes);

/* How a load is watched and stopped; all of it optional. */
typedef struct svr_store_watch {
    const svr_cancel *cancel; /* polled between chunks */
    svr_store_progress progress;
    void *progress_user;
} svr_store_watch;

/* Brings those of groups [first, first + count) to the device that are not there, streamed ones to
 * host memory; where that has no room for all, these are relayed (svr_store_set_relay()).  `watch`
 * may be NULL.  Errors: NO_MEM, NO_VRAM, CANCELLED, those of the values. */
SVR_CHECKED svr_status svr_store_load(svr_store *store, int first, int count,
                                      const svr_store_watch *watch, svr_error *err);

/* Begins a pass over groups [first, first + count), of which the streamed ones are acquired in
 * ascending order, once each: takes their slots from the exec's scratch memory and starts to fill
 * them.  One pass at a time; it forgets one that was not ended because of a failure.
 * Errors: NO_VRAM, those of copies and of the values. */
SVR_CHECKED svr_status svr_store_begin(svr_store *store, svr_exec *exec, int first, int count,
                                       svr_error *err);

/* Whether a pass was begun and not ended; it may be one that failed until svr_store_forget(). */
bool svr_store_in_pass(const svr_store *store);

/* Forgets a pass whose scratch memory was reset. */
void svr_store_forget(svr_store *store);

/* Gives the slots back. */
void svr_store_end(svr_store *store, svr_exec *exec);

/* Makes a group usable until the matching release, a streamed one inside a pass only.  On a dry
 * backend groups need not be loaded.  Errors: INVALID when it was not loaded or is not next in the
 * pass, those of copies and of the values. */
SVR_CHECKED svr_status svr_store_acquire(svr_store *store, svr_exec *exec, int group,
                                         svr_error *err);

/* Ops that were issued may still be at work on the group: its slot is filled again behind them. */
void svr_store_release(svr_store *store, int group);

/* View of an item; valid between acquire and release of its group. */
svr_tensor svr_store_tensor(const svr_store *store, int id);

/* Scales [N] F32 of an item that is kept quantised, valid like its view; no tensor for others. */
svr_tensor svr_store_scale(const svr_store *store, int id);

/* Type of FORM_FACTOR items on the device: that of svr_store_quantize(), else that of matrices. */
svr_dtype svr_store_factor_type(const svr_store *store);

/* The tensors behind the store, for constants that are folded on the host. */
const svr_weights *svr_store_weights(const svr_store *store);

/* The storage type given at creation. */
svr_dtype svr_store_storage(const svr_store *store);

#ifdef __cplusplus
}
#endif
#endif
