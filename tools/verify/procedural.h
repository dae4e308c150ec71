/* Weights and inputs that are defined by a hash instead of a file (dit_*_procedural goldens). */
#ifndef SEEDVR2_VERIFY_PROCEDURAL_H
#define SEEDVR2_VERIFY_PROCEDURAL_H

#include "weights/weights.h"

/* Elements [first, first + count) of tensor `name` (without "blocks.<n>."; or "vid", "txt", "emb");
 * `inputs` = length of a matrix row, for its scale. */
void procedural_fill(const char *name, uint32_t seed, int64_t inputs, size_t first, size_t count,
                     float *dst);

/* A svr_weight_generator; `user` points at the uint32_t seed. */
svr_status procedural_generate(void *user, const svr_weight_spec *spec, size_t first, size_t count,
                               float *dst, svr_error *err);

#endif
