/* What the transformer needs besides its weights, cached in backend memory: a condition per
 * timestep and text, tables per latent grid and text.  Level 5.  Thread: the one that computes. */
#ifndef SVR_PIPELINE_CONSTANTS_H
#define SVR_PIPELINE_CONSTANTS_H

#include "dit/dit.h"
#include "pipeline/prompt.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct svr_condition_entry {
    float timestep;
    bool negative;
    svr_dit_condition *condition;
} svr_condition_entry;

/* Grids whose tables are kept: all that batches of up to 93 frames can have. */
enum { SVR_KEPT_GRIDS = 24 };

typedef struct svr_geometry_entry {
    int latent[3];
    uint64_t used;                         /* when it was last prepared */
    svr_dit_geometry *positive, *negative; /* negative NULL without a negative text */
} svr_geometry_entry;

/* Fixed pointers are borrowed; zeroed lists are empty. */
typedef struct svr_constants {
    svr_backend *backend;
    const svr_dit *dit;
    const svr_prompts *prompts;
    svr_condition_entry *conditions;
    size_t condition_count, condition_capacity;
    svr_geometry_entry geometries[SVR_KEPT_GRIDS];
    size_t geometry_count;
    uint64_t clock;
} svr_constants;

void svr_constants_finish(svr_constants *constants);

/* The condition of a timestep (0..1000), made when it is first asked for.
 * Errors: NO_MEM, NO_VRAM, DEVICE. */
SVR_CHECKED svr_status svr_constants_condition(svr_constants *constants, float timestep,
                                               bool negative, const svr_dit_condition **out,
                                               svr_error *err);

/* Makes the tables of a latent grid t,h,w unless they are there.  Tables of another h,w are
 * dropped: the stream has changed; beyond SVR_KEPT_GRIDS those that were not used for longest.
 * Errors: NO_MEM, NO_VRAM, DEVICE, SHAPE. */
SVR_CHECKED svr_status svr_constants_prepare(svr_constants *constants, const int latent[3],
                                             svr_error *err);

/* Gives back the tables of all grids; no op may be under way. */
void svr_constants_forget(svr_constants *constants);

/* Tables that svr_constants_prepare() made; NULL when it did not. */
const svr_dit_geometry *svr_constants_geometry(const svr_constants *constants, const int latent[3],
                                               bool negative);

#ifdef __cplusplus
}
#endif
#endif
