/* Weights in the order in which tiles read them.
 *
 * Outputs go in blocks of 32 (the last of 16 or 32), zero-padded: packed[block][i][lane].  Packing
 * is done in the workspace of each call; it costs one pass over the weights.  Level 2.  Thread:
 * any. */
#ifndef SVR_CPU_CPU_PACK_H
#define SVR_CPU_CPU_PACK_H

#include "cpu/cpu_simd.h"

#include <stdint.h>

int64_t svr_cpu_blocks(int64_t outputs);

/* Lanes of block `block`: 16 or 32. */
int svr_cpu_block_lanes(int64_t outputs, int64_t block);

/* Outputs rounded up to whole lanes. */
int64_t svr_cpu_padded(int64_t outputs);

/* Floats of packed weights with `inner` values per output. */
size_t svr_cpu_packed_floats(int64_t outputs, int64_t inner);

/* Where block `block` starts. */
static inline size_t svr_cpu_block_start(int64_t block, int64_t inner)
{
    return (size_t) (block * SVR_CPU_LANES * inner);
}

/* packed[i][lane] = w[output*stride + i] for the outputs of one block and i < inner, where `packed`
 * is the start of the block and w the start of all weights. */
void svr_cpu_pack_block(const float *w, int64_t stride, int64_t outputs, int64_t block,
                        int64_t inner, float *packed);

#endif
