/* Ways for each stage to do with less memory, and which combination costs least within a limit.
 * Level 5.  Thread: the one that computes. */
#ifndef SVR_PIPELINE_PLAN_LEVELS_H
#define SVR_PIPELINE_PLAN_LEVELS_H

#include "pipeline/memory_plan.h"
#include "pipeline/phases.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Levels of each of the three networks' stages; 0 is the fastest.  The last ones of the VAE are
 * spatial tiles. */
enum {
    SVR_PLAN_LEVELS = 29,
    SVR_TILED_LEVELS = 5,
    SVR_ALL_LEVELS = SVR_PLAN_LEVELS + SVR_TILED_LEVELS
};

typedef struct svr_level_choice {
    int level[3];      /* of encoder, transformer, decoder */
    bool streamed;     /* the VAE's weights come for their phase; blocks beyond `resident` too */
    bool ahead;        /* their first ones during the phase before; with `streamed` only */
    uint64_t resident; /* bytes of blocks that may stay; with `streamed` only */
    uint64_t scratch;  /* that the stages take by the table */
} svr_level_choice;

/* What is known when a choice is made. */
typedef struct svr_level_table {
    svr_network_weights weights;
    int levels;                                       /* SVR_PLAN_LEVELS, or with tiles */
    svr_stage_need stage[SVR_ALL_LEVELS][SVR_STAGES]; /* without weights that come and go */
    uint64_t state;
    /* bytes that a stage of this size can copy each way while it computes */
    uint64_t hidden[3];
} svr_level_table;

/* What placements depend on beside the choice. */
typedef struct svr_level_frame {
    int full_channels, height, width; /* of the VAE at full resolution */
    int tile;                         /* pixels of tiles where they are asked for; 0: none */
} svr_level_frame;

/* The placement of a choice, except resident_blocks. */
svr_placement svr_level_placement(const svr_level_choice *choice, const svr_level_frame *frame);

/* What a choice has to keep to; 0: no limit. */
typedef struct svr_level_limit {
    svr_vram_mode mode;
    uint64_t peak, scratch;
} svr_level_limit;

/* The cheapest choice within the limit.  False: none fits. */
bool svr_level_choose(const svr_level_table *table, const svr_level_limit *limit,
                      svr_level_choice *out);

/* Whether the copies of a choice hide behind the computation, but for 3 percent; `need` as counted
 * with it, weights included. */
bool svr_level_hides(const svr_level_choice *choice, const svr_phases_need *need,
                     const uint64_t hidden[3]);

/* The choice with the lowest peak. */
svr_level_choice svr_level_smallest(const svr_level_table *table);

#ifdef __cplusplus
}
#endif
#endif
