/* Overflow-checked size arithmetic.  Level 0.  Thread: any. */
#ifndef SVR_BASE_CHECKED_H
#define SVR_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* *out = a * b; false (and *out untouched) on overflow. */
static inline bool svr_mul_size(size_t a, size_t b, size_t *out)
{
    if (b != 0 && a > SIZE_MAX / b)
        return false;
    *out = a * b;
    return true;
}

/* *out = a + b; false (and *out untouched) on overflow. */
static inline bool svr_add_size(size_t a, size_t b, size_t *out)
{
    if (a > SIZE_MAX - b)
        return false;
    *out = a + b;
    return true;
}

/* Rounds up to a multiple of `align`, a power of two; saturates at SIZE_MAX. */
static inline size_t svr_align_up(size_t n, size_t align)
{
    size_t mask = align - 1;
    return n > SIZE_MAX - mask ? SIZE_MAX : (n + mask) & ~mask;
}

/* Smallest q with q * b >= a, for a >= 0 and b > 0. */
static inline int64_t svr_ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static inline int64_t svr_min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t svr_max_i64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

#ifdef __cplusplus
}
#endif
#endif
