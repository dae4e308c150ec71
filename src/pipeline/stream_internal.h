/* What stream.c and stream_sequence.c share. */
#ifndef SVR_PIPELINE_STREAM_INTERNAL_H
#define SVR_PIPELINE_STREAM_INTERNAL_H

#include "pipeline/batch_cache.h"
#include "pipeline/stream.h"

/* Frames of the sequence that become final together. */
typedef struct svr_stream_slice {
    int64_t start;
    int count;
} svr_stream_slice;

struct svr_stream {
    svr_backend *backend;
    const svr_networks *networks;
    svr_stream_options options;
    svr_phases *phases;
    svr_exec exec;
    svr_memory_plan plan;
    void *scratch_block, *host_block;
    uint64_t scratch_block_bytes, host_block_bytes;
    svr_frame_store *sources, *finished;
    /* [capacity,oh,ow,3], frames [base, base + length) of the sequence: what earlier batches made
     * and is not final; without overlap there is none */
    svr_tensor waiting;
    int64_t base, length;
    int64_t next_start;       /* of the next batch */
    svr_stream_slice *slices; /* not final, oldest first */
    int slice_count, depth;   /* at most `depth` */
    const uint8_t **frames;   /* [batch] sources of the batch or slice at hand */
    svr_batch_cache *cache;   /* NULL: no batch is like another */
    const uint8_t **kept;     /* [batch] sources of the batch in the cache */
    int64_t kept_start;       /* where it began in this sequence; negative: in one before */
    uint64_t reused;
    void (*note)(void *user, svr_point point, const svr_stream_use *use);
    void *note_user;
};

#endif
