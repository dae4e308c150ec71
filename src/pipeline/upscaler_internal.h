/* The upscaler's state, shared by the caller's side (upscaler.c, upscaler_frames.c) and the worker
 * (worker.c).
 *
 * One mutex guards everything that is not fixed after creation; one condition says that something
 * changed.  The worker takes a task under the lock, runs it without, and enters its result under
 * the lock again.  `stream` belongs to the worker while it is busy. */
#ifndef SVR_PIPELINE_UPSCALER_INTERNAL_H
#define SVR_PIPELINE_UPSCALER_INTERNAL_H

#include "base/cancel.h"
#include "pipeline/frame_queue.h"
#include "pipeline/model.h"
#include "pipeline/stream_config.h"

#include <pthread.h>

/* A configure call on its way through the worker. */
typedef enum svr_request_state {
    SVR_REQUEST_NONE = 0,
    SVR_REQUEST_PENDING,
    SVR_REQUEST_RUNNING,
    SVR_REQUEST_DONE
} svr_request_state;

typedef struct svr_request {
    svr_request_state state;
    svr_stream_options options;
    uint64_t first_frame;
    svr_error result;
} svr_request;

struct svr_upscaler {
    /* fixed after creation */
    svr_log log;
    void (*event)(void *user, const svr_event *event);
    void *event_user;
    svr_backend *backend;
    svr_model *model; /* NULL when networks were given */
    const svr_networks *networks;
    svr_cancel *cancel; /* raised and cleared under the lock, polled without */
    pthread_t thread;
    pthread_mutex_t mutex_storage;
    pthread_mutex_t *mutex; /* = &mutex_storage: queries take const upscalers */
    pthread_cond_t changed;

    /* the worker's */
    bool loaded;   /* weights were there once */
    bool widening; /* fp16 overflowed, and what bf16 needs is not there yet */
    int step;      /* of the sampler, in the batch at hand */

    /* guarded by mutex */
    bool quit, busy;
    bool starved;      /* the busy worker waits for a pull */
    svr_error failure; /* of the worker; code OK: none */
    svr_request request;
    svr_stream *stream;         /* NULL: not configured */
    svr_stream_options options; /* of stream */
    uint64_t first_frame;       /* as configured */
    uint64_t sequence_first;    /* absolute number of the sequence's first frame */
    svr_batcher *batcher;       /* of the sequence; NULL: not configured */
    svr_frame_queue finished;
    uint64_t held; /* pushed and not pulled */
    svr_upscaler_stats stats;
};

/* The same as svr_upscaler_create() on a given backend (tests: one that runs out of memory), which
 * the upscaler owns from now on, also when this fails. */
SVR_CHECKED svr_status svr_upscaler_create_on(svr_backend *backend,
                                              const svr_upscaler_options *options,
                                              svr_upscaler **out, svr_error *err);

/* Tells of bytes that are loaded (svr_store_progress); `user` is the upscaler. */
void svr_upscaler_report_progress(void *user, uint64_t done, uint64_t total);

/* Tells what memory is left when all was given back; after the worker ended. */
void svr_upscaler_report_closed(svr_upscaler *upscaler);

/* On the worker, without the lock: tells of an event that has nothing but its kind. */
void svr_upscaler_emit(svr_upscaler *upscaler, svr_event_kind kind);

/* On the worker: where its stream gets source frames and leaves finished ones. */
svr_stream_io svr_upscaler_io(svr_upscaler *upscaler);

/* Main function of the worker thread; `user` is the upscaler. */
void *svr_upscaler_worker(void *user);

/* With the lock held: frames are being computed, or can be without a further push or drain. */
bool svr_upscaler_work_ahead(const svr_upscaler *upscaler);

/* With the lock held: fails when cancelled (CANCELLED) or when the worker failed. */
SVR_CHECKED svr_status svr_upscaler_check(const svr_upscaler *upscaler, svr_error *err);

/* With the lock held: the stats of this moment. */
svr_upscaler_stats svr_upscaler_snapshot(const svr_upscaler *upscaler);

#endif
