/* Rows of numbers in 8 bits with one scale each: how the factors of matrix products are quantised.
 * Two types hold them: F8_E4M3, and I8, symmetric from -127 to 127.
 * Level 0.  Thread: any (pure functions). */
#ifndef SVR_BASE_QUANTIZE_H
#define SVR_BASE_QUANTIZE_H

#include "base/dtype.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The largest number of each type: the largest magnitude of every row becomes it. */
#define SVR_F8_E4M3_MAX 448.0f
#define SVR_I8_MAX 127.0f

/* A row without any larger magnitude counts as 0: its factor would overflow. */
#define SVR_QUANTIZE_LEAST 0x1p-100f

/* n >= 1 values to `type` (F8_E4M3, I8) at dst: src[i] * (MAX / max|src|), rounded to nearest even.
 * Returns the row's scale max|src| / MAX, by which dst is to be multiplied; a row that counts as 0
 * becomes 0 with scale 1.  Where src holds NaN the scale is NaN.  No overlap. */
float svr_quantize_row(const float *src, size_t n, svr_dtype type, void *dst);

/* The way back: dst[i] = scale * src[i], n values of `type` (any that svr_to_f32() takes). */
void svr_dequantize_row(const void *src, size_t n, svr_dtype type, float scale, float *dst);

#ifdef __cplusplus
}
#endif
#endif
