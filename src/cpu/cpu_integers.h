/* Products of 8-bit integers.  Level 2.  Thread: any. */
#ifndef SVR_CPU_CPU_INTEGERS_H
#define SVR_CPU_CPU_INTEGERS_H

#include "cpu/cpu_simd.h"

#include <stdint.h>

/* Integers of 16 bits that a product with so many rows of x needs as room. */
size_t svr_cpu_integer_room(int64_t x_rows, int64_t depth);

/* out [M,N] = x_scale * w_scale * (x w^T), with x and w I8: sums are exact, then rounded to F32 and
 * scaled.  Other members of `args` are not looked at. */
void svr_cpu_integer_product(const svr_cpu_simd *simd, const svr_linear_args *args, int16_t *room,
                             float *out);

#endif
