/* Rows of numbers in 8 bits with one scale each: what quantised matrix products take.
 * Level 0.  Thread: any (pure functions). */
#ifndef SVR_BASE_QUANTIZE_H
#define SVR_BASE_QUANTIZE_H

#include "base/dtype.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The largest e4m3: the largest value of every row becomes it. */
#define SVR_F8_E4M3_MAX 448.0f

/* A row without any larger magnitude counts as 0: its factor would overflow. */
#define SVR_QUANTIZE_LEAST 0x1p-100f

/* n >= 1 values to F8_E4M3 at dst: src[i] * (448 / max|src|), rounded to nearest even.  Returns the
 * row's scale max|src| / 448, by which dst is to be multiplied; a row that counts as 0 becomes 0
 * with scale 1.  NaN stays NaN.  No overlap. */
float svr_quantize_row(const float *src, size_t n, uint8_t *dst);

#ifdef __cplusplus
}
#endif
#endif
