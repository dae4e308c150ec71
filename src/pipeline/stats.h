/* Seconds per phase, frames and bytes: what the engine reports of itself.  Level 5. */
#ifndef SVR_PIPELINE_STATS_H
#define SVR_PIPELINE_STATS_H

#include "base/dtype.h"
#include "base/point.h"
#include "pipeline/memory_plan.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What the phases of a batch took, in nanoseconds.  Each is added when its phase ends. */
typedef struct svr_phase_times {
    uint64_t encode_ns; /* upload, unpack, resize, VAE encoder */
    uint64_t dit_ns;
    uint64_t decode_ns;
    uint64_t finish_ns; /* alpha, colour, pack, download */
    uint64_t input_ns;  /* the part of encode_ns in front of the encoder */
    uint64_t colour_ns; /* the part of finish_ns in front of packing */
} svr_phase_times;

/* sum += times */
static inline void svr_phase_times_add(svr_phase_times *sum, const svr_phase_times *times)
{
    sum->encode_ns += times->encode_ns;
    sum->dit_ns += times->dit_ns;
    sum->decode_ns += times->decode_ns;
    sum->finish_ns += times->finish_ns;
    sum->input_ns += times->input_ns;
    sum->colour_ns += times->colour_ns;
}

/* Memory in bytes. */
typedef struct svr_memory_stats {
    uint64_t weights, state, scratch;       /* live on the device, by purpose */
    uint64_t used, peak;                    /* live and highest sum on the device */
    uint64_t allocations;                   /* on the device so far */
    uint64_t host_pinned, host_pinned_peak; /* page-locked host memory */
    uint64_t copied_in, copied_out;         /* so far, beside the computation */
    uint64_t scratch_peak;                  /* highest use of the scratch so far */
    uint64_t point_peak[SVR_POINT_COUNT];   /* highest use on the way to a point, so far */
    uint64_t device_total, device_free;     /* of the whole device; 0 when unknown */
    uint64_t host_frames;                   /* integer frames held in host memory */
} svr_memory_stats;

typedef struct svr_upscaler_stats {
    uint64_t frames_in, frames_out, batches;
    uint64_t
        batches_computed; /* of these; the others repeated the one before and took its frames */
    uint64_t batches_reused;
    uint64_t frames_computed;    /* with padding and overlap */
    svr_dtype storage;           /* of activations and matrices: F16, BF16 or F32 */
    svr_phase_times total, last; /* over all batches; of the last one */
    svr_memory_stats memory;
    svr_memory_plan plan; /* of the current stream */
} svr_upscaler_stats;

#ifdef __cplusplus
}
#endif
#endif
