/* Small transformers with generated weights, and input for one evaluation. */
#ifndef SVR_TESTS_DIT_GENERATED_H
#define SVR_TESTS_DIT_GENERATED_H

#include "fixture.h"

enum { GENERATED_TEXT = 11, GENERATED_PIXELS = 3 * 12 * 18 };

extern const int generated_latent[3];

/* Small enough for a thousand runs; `split` layers have text weights of their own. */
svr_dit_config generated_config(svr_model_kind kind, int split);

/* Their weights: a generator. */
svr_status generated_values(void *user, const svr_weight_spec *spec, size_t first, size_t count,
                            float *dst, svr_error *err);

/* A generated network with input for one evaluation. */
typedef struct generated_model {
    device device;
    network network;
    svr_dit_condition *condition;
    svr_dit_geometry *geometry;
    svr_dit_io io;
} generated_model;

void generated_open(generated_model *m, const svr_dit_config *config, svr_dtype storage);
void generated_close(generated_model *m);

/* The velocity; the caller frees. */
float *generated_run(generated_model *m);

#endif
