/* What a stream's memory may be and what was planned: plain numbers.  Level 5.  Thread: any. */
#ifndef SVR_PIPELINE_MEMORY_PLAN_H
#define SVR_PIPELINE_MEMORY_PLAN_H

#include "base/dtype.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where planning begins.  The picture is the same in all modes. */
typedef enum svr_vram_mode {
    SVR_VRAM_AUTO = 0, /* everything stays on the device if it fits, else the next cheapest way */
    SVR_VRAM_ECONOMY,  /* VAE and transformer take turns, activations in chunks, and if that does
                          not fit, blocks are streamed */
    SVR_VRAM_EXTREME_ECONOMY /* all blocks of the transformer are streamed, too */
} svr_vram_mode;

/* How the VAE keeps frames that wait between two sweeps. */
typedef enum svr_parked_precision {
    SVR_PARKED_16_BIT = 0, /* as they were computed */
    SVR_PARKED_FP8,  /* in 8 bits (svr_quantize_runs_args), which changes the picture a little */
    SVR_PARKED_INT8, /* likewise, and less */
    SVR_PARKED_PRECISIONS
} svr_parked_precision;

/* "16-bit", "fp8", "int8"; static storage. */
const char *svr_parked_precision_name(svr_parked_precision precision);

/* For svr_vae_memory: F8_E4M3, I8, or F32 for frames as they are. */
svr_dtype svr_parked_precision_type(svr_parked_precision precision);

typedef struct svr_memory_request {
    svr_vram_mode mode;
    svr_parked_precision parked;
    /* bytes on the device for all that is taken there; 0: what is free, less a margin, or no limit
     * where the device does not tell */
    uint64_t budget;
    /* AUTO: above this peak the next cheaper way is taken as long as there is one; 0: never */
    uint64_t threshold;
    /* spatial tiles of the VAE in pixels each way; 0: only where nothing else fits */
    int tile_size;
    bool synchronous; /* every copy is waited for: slower, the same picture */
} svr_memory_request;

/* Bytes, as the ledger counts them. */
typedef struct svr_memory_plan {
    uint64_t budget;      /* that was planned for; 0: no limit */
    uint64_t peak;        /* predicted: weights + state + scratch */
    uint64_t weights;     /* resident */
    uint64_t state;       /* frames that wait, tables */
    uint64_t scratch;     /* activations, workspaces, slots for streamed weights */
    uint64_t host;        /* page-locked: copies of streamed weights, parked activations */
    uint64_t host_parked; /* the part of it that holds activations */
    uint64_t copied_in, copied_out; /* beside the computation, a whole batch */
    int batch_size;
    int blocks, streamed_blocks; /* of the transformer */
    int slots;                   /* that streamed blocks take turns in */
    int64_t token_chunk;         /* 0: all */
    bool vae_streamed;           /* its weights come for their phase */
    bool state_on_host;          /* activations of the VAE wait in host memory */
    svr_parked_precision parked; /* in this form, wherever they wait */
    bool tiled;                  /* frames go through the VAE in spatial tiles */
    /* whether copies are shorter than the computation of a batch on common cards: tokens of a batch
     * against what a byte of streamed weights must be used for */
    bool hidden;
} svr_memory_plan;

#ifdef __cplusplus
}
#endif
#endif
