/* The public engine API: frames in, restored and upscaled frames out.
 *
 *     create -> configure -> push … pull … -> drain -> pull … -> destroy
 *
 * The upscaler computes on its own worker thread.  Frames go in and come out as integers, once each
 * and in order; the caller keeps timestamps and the like in a queue beside it.  Frames are
 * collected into batches of `batch_size` that the networks restore together.
 *
 * Threads: all functions may be called from any thread, but push, pull, drain, configure, reset and
 * destroy from one at a time ("the caller").  svr_upscaler_cancel() and the queries may be called
 * at any time by any thread until destroy.
 *
 * Errors: a failed call fills `err`.  A failure of the worker is kept, finished frames can still be
 * pulled, then pull and push return it until svr_upscaler_reset().  Level 5. */
#ifndef SVR_PIPELINE_UPSCALER_H
#define SVR_PIPELINE_UPSCALER_H

#include "base/api.h"
#include "base/frame.h"
#include "base/log.h"
#include "base/padding.h"
#include "base/status.h"
#include "pipeline/memory_plan.h"
#include "pipeline/quantization.h"
#include "pipeline/stats.h"
#include "video/colour_method.h"

#ifdef __cplusplus
extern "C" {
#endif

struct svr_networks;
typedef struct svr_upscaler svr_upscaler;

typedef enum svr_backend_kind {
    SVR_BACKEND_AUTO = 0, /* CUDA where its module and a device are found, else the CPU */
    SVR_BACKEND_CPU,
    SVR_BACKEND_CUDA
} svr_backend_kind;

/* How activations and matrices are stored; sums are F32 always. */
typedef enum svr_precision {
    SVR_PRECISION_AUTO = 0, /* fp16 on a GPU, fp32 on the CPU */
    SVR_PRECISION_FP16,     /* bf16 from the first batch on whose numbers it cannot hold */
    SVR_PRECISION_BF16,
    SVR_PRECISION_FP32
} svr_precision;

/* Where the positive prediction waits while guidance makes the negative one; never changes the
 * picture. */
typedef enum svr_cfg_offload {
    SVR_CFG_OFFLOAD_AUTO = 0, /* on the device if the plan fits, else on the host */
    SVR_CFG_OFFLOAD_NEVER,
    SVR_CFG_OFFLOAD_ALWAYS /* in page-locked host memory: saves a latent of device memory */
} svr_cfg_offload;

typedef enum svr_event_kind {
    SVR_EVENT_LOADING = 1, /* bytes_done of bytes_total weights are where the plan wants them */
    SVR_EVENT_LOADED,      /* weights and constants are ready */
    SVR_EVENT_PLANNED,     /* a new stream is configured: stats hold the plan */
    SVR_EVENT_MEMORY,      /* the work on a batch is at a point: in_use, high_water, stats */
    SVR_EVENT_FRAME,       /* a frame can be pulled */
    SVR_EVENT_BATCH,       /* a batch was computed: stats hold its times */
    SVR_EVENT_WIDENED,     /* fp16 overflowed: this batch and all that follow are made in bf16 */
    SVR_EVENT_ENDED,       /* a drained sequence is finished: stats are those of the whole stream */
    /* destroy gave everything back: what `stats.memory` still counts was lost.  The last one; on
     * the thread that destroys */
    SVR_EVENT_CLOSED,
    SVR_EVENT_FAILED /* the worker failed: pull returns why */
} svr_event_kind;

/* Something happened on the worker. */
typedef struct svr_event {
    svr_event_kind kind;
    uint64_t bytes_done, bytes_total; /* LOADING */
    uint64_t batch;                   /* BATCH, MEMORY: its number since configure */
    svr_point point;                  /* MEMORY */
    int step;                         /* MEMORY: of the sampler, from 1; 0 outside */
    uint64_t in_use, high_water; /* MEMORY: bytes on the device, now and since the point before */
    uint64_t first_frame;        /* BATCH, WIDENED: absolute number of the batch's first frame */
    uint64_t frames;             /* BATCH: true frames */
    uint64_t computed_frames; /* BATCH: with padding; 0 where the frames of the last were reused */
    svr_upscaler_stats stats; /* as of now */
} svr_event;

typedef struct svr_upscaler_options {
    svr_backend_kind backend;
    const char *model_path; /* transformer, safetensors */
    const char *vae_path;   /* VAE, safetensors */
    const char *text_path;  /* prompt embeddings `pos`, `neg`; NULL: those in the model file */
    svr_precision precision;
    svr_quantization quantization; /* FP16 and BF16 go with the same `precision` and AUTO */
    int threads;                   /* CPU backend: 0 = all cores */
    /* CUDA: index of the device; -1 (the default): that of the context, else of the calling
     * thread's current context, else the first usable one */
    int device;
    /* CUDA: a CUcontext to work in, which outlives the upscaler; NULL: the device's primary one.
     * What is current on the caller's threads is left as it is in either case. */
    void *cuda_context;
    /* CUDA: folder that remembers what was measured on this machine; NULL: nothing is kept */
    const char *cache_folder;
    svr_log log;
    /* optional: called on the worker without any lock held; must return soon and may not call the
     * upscaler except for svr_upscaler_get_stats() and svr_upscaler_cancel(), and not even these
     * for CLOSED */
    void (*event)(void *user, const svr_event *event);
    void *event_user;
    /* tests: used instead of model files; borrowed.  Needs SVR_BACKEND_CPU. */
    const struct svr_networks *networks;
} svr_upscaler_options;

/* Defaults of both structs: zeroed, then what the comments say. */
typedef struct svr_stream_config {
    svr_video_info in, out;
    /* planes of pushed frames, and of those to pull into, lie in device memory that the upscaler's
     * CUDA context can reach; then such frames also wait there, in memory that the plan counts.
     * Needs the CUDA backend.  default: in host memory */
    bool in_on_device, out_on_device;
    /* frames per batch, any number; 4n+1 wastes nothing; 0: the largest 4n+1 that fits, of at most
     * 81 frames on a GPU.  default 5 */
    int batch_size;
    int temporal_overlap; /* frames shared by neighbouring batches and cross-faded; default 0 */
    int prepend_frames;   /* mirrored frames computed in front of the first one and dropped; 0 */
    bool uniform_batch;   /* mirror a short last batch up to batch_size */
    uint64_t seed;        /* of the noise; default 42 */
    /* absolute number of the stream's first frame: chunks of a film that begin where a batch of the
     * whole would get the noise of the whole.  A batch has the noise of latent frame
     * (first_frame + its start) / 4 and following; the start counts the lead-in */
    uint64_t first_frame;
    /* every batch has the noise of the film's first one, wherever it lies; first_frame then changes
     * nothing.  A still gives the same picture batch after batch, and a batch that repeats the one
     * before is not computed again unless batches overlap or frames are on the device.  In an
     * overlap the two batches have different noise for the same frame.  default: off */
    bool noise_time_invariant;
    int steps;                          /* 1..1000; default 1 */
    double cfg_scale;                   /* default 1: no negative pass */
    double cfg_rescale;                 /* default 0 */
    svr_cfg_offload cfg_offload;        /* default auto */
    svr_colour_method color_correction; /* default lab */
    /* of pictures whose sides are no multiples of 16; cut off again.  Only what is near the right
     * and the lower edge changes with it.  default replicate */
    svr_padding padding;
    svr_memory_request memory; /* default: automatic, of what the device has free */
    /* The reference's habits, for verification; leave zeroed. */
    struct {
        bool active;
        int short_side, max_edge; /* sizes by its rule, with its second resampling */
        bool blend_weights, exact_colour, truncate;
    } reference; /* pads with black, too */
} svr_stream_config;

/* Fills in the defaults named above. */
SVR_API void svr_upscaler_options_init(svr_upscaler_options *options);
SVR_API void svr_stream_config_init(svr_stream_config *config);

/* Opens backend and model files and starts the worker.  Weights are loaded when the first stream is
 * configured, since their place is part of its plan.
 * Errors: IO, FORMAT (names the file and the tensor), INVALID, NO_DEVICE, NO_MEM, NO_VRAM, DEVICE
 * (a CUDA context that failed earlier), UNSUPPORTED (quantization that this device lacks). */
SVR_API SVR_CHECKED svr_status svr_upscaler_create(const svr_upscaler_options *options,
                                                   svr_upscaler **out, svr_error *err);

/* Cancels, waits for the worker, frees everything.  Accepts NULL. */
SVR_API void svr_upscaler_destroy(svr_upscaler *upscaler);

/* Sets the stream, plans its memory, loads weights to where the plan wants them and takes all
 * memory, before any frame flows.  Only while nothing is held (at first, after everything was
 * pulled behind a drain, or after a reset). Errors: INVALID (names the option; guidance without a
 * negative text), UNSUPPORTED (frames on the device without one), SHAPE (sizes below 16), NO_VRAM
 * (with the smallest budget that works), NO_MEM, CANCELLED, and what loading brought up. */
SVR_API SVR_CHECKED svr_status svr_upscaler_configure(svr_upscaler *upscaler,
                                                      const svr_stream_config *config,
                                                      svr_error *err);

/* False while another whole batch waits behind a busy worker, a drained sequence is not finished,
 * or more finished frames than two batches wait to be pulled: pull first. */
SVR_API bool svr_upscaler_can_push(const svr_upscaler *upscaler);

/* Copies a frame of the configured input; on the device it must be complete.  Waits for the worker
 * while another whole batch waits behind it or a drained sequence is not finished; never waits for
 * a pull, so frames that nobody pulls pile up unless svr_upscaler_can_push() is asked.  On the
 * device there is room for a batch of them: behind these the worker waits for a pull.
 * Errors: INVALID (not configured; the worker waits for a pull and cannot take more), CANCELLED,
 * NO_MEM, DEVICE, a failure of the worker. */
SVR_API SVR_CHECKED svr_status svr_upscaler_push(svr_upscaler *upscaler, const svr_frame *frame,
                                                 svr_error *err);

/* Copies the next finished frame to `out` (of the configured output), also where that is on the
 * device: it is complete when this returns.  *got says whether there was one.  wait: blocks until
 * there is one, or until none can come without another push or drain.
 * Errors: INVALID (not configured), CANCELLED, DEVICE, a failure of the worker (behind the last
 * frame). */
SVR_API SVR_CHECKED svr_status svr_upscaler_pull(svr_upscaler *upscaler, const svr_frame *out,
                                                 bool wait, bool *got, svr_error *err);

/* Ends the sequence: what was pushed is computed and can be pulled, padded to whole batches inside.
 * The next push begins a new sequence with frame number first_frame + frames pushed so far. */
SVR_API SVR_CHECKED svr_status svr_upscaler_drain(svr_upscaler *upscaler, svr_error *err);

/* Frames pushed and not yet pulled. */
SVR_API uint64_t svr_upscaler_held(const svr_upscaler *upscaler);

/* Any thread: makes every waiting and following call return CANCELLED and stops the computation
 * within 100 ms of work, until svr_upscaler_reset(). */
SVR_API void svr_upscaler_cancel(svr_upscaler *upscaler);

/* Stops the computation, waits until the worker is idle, drops all frames, forgets a cancel and a
 * failure (but for DEVICE, which lasts until the upscaler is destroyed); the configured stream
 * stays and starts over at first_frame. */
SVR_API void svr_upscaler_reset(svr_upscaler *upscaler);

SVR_API void svr_upscaler_get_stats(const svr_upscaler *upscaler, svr_upscaler_stats *out);

/* "cpu" or "cuda". */
SVR_API const char *svr_upscaler_backend_name(const svr_upscaler *upscaler);

#ifdef __cplusplus
}
#endif
#endif
