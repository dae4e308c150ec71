/* Runs of elements of storage tensors as floats.  Level 2.  Thread: any. */
#ifndef SVR_CPU_CPU_ROWS_H
#define SVR_CPU_CPU_ROWS_H

#include "base/tensor.h"
#include "cpu/cpu_simd.h"

#include <stdint.h>

/* Floats that keep 64-byte alignment behind them, for laying out workspaces. */
static inline size_t svr_cpu_floats(int64_t n)
{
    return ((size_t) n + 15) / 16 * 16;
}

/* Address of element `first`. */
static inline void *svr_cpu_at(const svr_tensor *t, int64_t first)
{
    return (char *) t->data + (size_t) first * svr_dtype_size(t->dtype);
}

/* Elements [first, first + n) as floats: the tensor's own memory when it is F32, else converted
 * into `buffer`. */
static inline const float *svr_cpu_load(const svr_cpu_simd *simd, const svr_tensor *t,
                                        int64_t first, int64_t n, float *buffer)
{
    if (t->dtype == SVR_F32)
        return (const float *) t->data + first;
    simd->to_f32(svr_cpu_at(t, first), t->dtype, buffer, (size_t) n);
    return buffer;
}

/* n floats to elements [first, first + n). */
static inline void svr_cpu_store(const svr_cpu_simd *simd, const svr_tensor *t, int64_t first,
                                 int64_t n, const float *values)
{
    simd->from_f32(values, t->dtype, svr_cpu_at(t, first), (size_t) n);
}

#endif
