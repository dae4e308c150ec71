/* Exact rank matching by a stable radix sort.  Level 2.  Thread: one at a time per set of buffers.
 */
#ifndef SVR_CPU_CPU_COLOUR_SORT_H
#define SVR_CPU_CPU_COLOUR_SORT_H

#include <stddef.h>
#include <stdint.h>

/* A value in a form that sorts as an unsigned number, and where it came from. */
typedef struct svr_ranked {
    uint32_t key, place;
} svr_ranked;

/* Buffers for matching up to n_source values to up to n_reference values; a and b, and ref and
 * ref_spare, are the two sides that a sort swaps. */
typedef struct svr_rank_buffers {
    svr_ranked *a, *b;
    uint32_t *ref, *ref_spare;
} svr_rank_buffers;

/* Bytes of the buffers, and the buffers laid out in so many bytes at `memory` (8-byte aligned). */
size_t svr_rank_buffers_bytes(int64_t n_source, int64_t n_reference);
svr_rank_buffers svr_rank_buffers_at(void *memory, int64_t n_source, int64_t n_reference);

/* Key of a float (-0 equals +0). */
uint32_t svr_rank_key(float value);

/* Sorts a[0..n_source) and ref[0..n_reference) (both >= 1), then gives each source value the
 * reference value of its rank: out[place * out_step].  Where the counts differ, rank k takes
 * trunc(k / (n_source - 1) * (n_reference - 1)).  Source: spec pipeline §11 rank match. */
void svr_rank_match(svr_rank_buffers *buffers, int64_t n_source, int64_t n_reference, float *out,
                    int64_t out_step);

#endif
