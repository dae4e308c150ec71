/* A store with a generated transformer, on a CPU backend that keeps weights as a test wants. */
#ifndef SVR_TESTS_MEMORY_STORE_RIG_H
#define SVR_TESTS_MEMORY_STORE_RIG_H

#include "cpu/cpu_backend.h"
#include "memory/store.h"

/* A transformer whose feed-forward matrices (1100 x 1100) take more than one chunk of a load. */
extern const svr_dit_config store_config;

/* One of these, and its elements. */
extern const char store_big_name[];
enum { STORE_BIG = 1100 * 1100 };

/* Element i of every tensor; needs more bits than half precision has. */
float store_value(size_t i);

/* The generator of these; the tensor whose name is `user` has no values. */
svr_status store_values(void *user, const svr_weight_spec *spec, size_t first, size_t count,
                        float *dst, svr_error *err);

typedef struct store_rig {
    svr_backend *backend;
    svr_weights *weights;
    svr_store *store;
    svr_error err;
} store_rig;

/* Of the backend of the rig that was opened last. */
extern svr_backend_vtable store_vtable;

/* Three groups without items.  `options` may be NULL; the tensor `failing` (NULL: none) has no
 * values. */
store_rig store_rig_open(const svr_cpu_options *options, svr_dtype storage, svr_dtype weight_type,
                         char *failing);

/* Checks that nothing is left in backend memory. */
void store_rig_close(store_rig *r);

/* Adds an item; its id. */
int store_rig_add(store_rig *r, const char *name, svr_store_form form, int group);

svr_tensor store_rig_acquire(store_rig *r, int group, int id);
void store_rig_load(store_rig *r, int first, int count);

#endif
