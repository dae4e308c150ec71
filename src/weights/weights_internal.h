/* What a network's tensors are bound to.  Internal to weights.  Level 2.  Thread: any for reading.
 */
#ifndef SVR_WEIGHTS_WEIGHTS_INTERNAL_H
#define SVR_WEIGHTS_WEIGHTS_INTERNAL_H

#include "base/arena.h"
#include "weights/scales.h"
#include "weights/weights.h"

#ifdef __cplusplus
extern "C" {
#endif

struct svr_weights {
    svr_arena *arena;       /* owns the names */
    svr_weight_spec *specs; /* sorted by name; malloc'ed */
    size_t count;
    const svr_safetensors *file;           /* NULL with a generator */
    const svr_safetensors_entry **entries; /* of specs, from the arena */
    svr_scales *scales;                    /* of entries in 8 bits, likewise; zero for others */
    svr_weight_generator generator;
    void *user;
};

#ifdef __cplusplus
}
#endif
#endif
