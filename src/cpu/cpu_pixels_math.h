/* Small sums that pixel loops share.  Level 2.  Thread: any (pure). */
#ifndef SVR_CPU_CPU_PIXELS_MATH_H
#define SVR_CPU_CPU_PIXELS_MATH_H

#include <stdint.h>

/* The nearest value in [0,1]; 0 for NaN. */
static inline float svr_clamp_unit(float v)
{
    v = v > 0.0f ? v : 0.0f;
    return v < 1.0f ? v : 1.0f;
}

/* The nearest index in [0, count). */
static inline int64_t svr_clamp_index(int64_t i, int64_t count)
{
    return i < 0 ? 0 : i >= count ? count - 1 : i;
}

#endif
