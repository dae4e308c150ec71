/* softmax(q k^T * scale) v for one head, by register tiles.  Level 2.  Thread: any. */
#ifndef SVR_CPU_CPU_ATTENTION_H
#define SVR_CPU_CPU_ATTENTION_H

#include "cpu/cpu_simd.h"

#include <stdint.h>

/* Queries taken at a time, and the rows that their tiles may reach. */
enum { SVR_CPU_QUERIES = 28, SVR_CPU_QUERY_ROWS = 32 };

/* Keys and values of one head as the tiles read them. */
typedef struct svr_cpu_keys {
    int64_t count;  /* keys */
    int64_t width;  /* channels of the head */
    const float *k; /* packed (cpu_pack.h): outputs are keys, inner is width */
    const float *v; /* [count][v_step], padded to whole lanes */
    int64_t v_step;
    float scale;
} svr_cpu_keys;

/* Floats of `scratch` of svr_cpu_attend(). */
size_t svr_cpu_attend_floats(int64_t keys, int64_t width);

/* Attends with `queries` <= SVR_CPU_QUERIES rows of q (`width` floats each, q_step apart;
 * SVR_CPU_QUERY_ROWS rows are readable).  Returns [queries][width padded to 16] inside `scratch`.
 */
const float *svr_cpu_attend(const svr_cpu_simd *simd, const svr_cpu_keys *keys, const float *q,
                            int64_t q_step, int queries, float *scratch);

#endif
