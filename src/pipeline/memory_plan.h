/* What a stream's memory may be and what was planned: plain numbers.  Level 5. */
#ifndef SVR_PIPELINE_MEMORY_PLAN_H
#define SVR_PIPELINE_MEMORY_PLAN_H

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

typedef struct svr_memory_request {
    svr_vram_mode mode;
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
    bool tiled;                  /* frames go through the VAE in spatial tiles */
    /* whether copies are shorter than the computation of a batch on common cards: tokens of a batch
     * against what a byte of streamed weights must be used for */
    bool hidden;
} svr_memory_plan;

#ifdef __cplusplus
}
#endif
#endif
