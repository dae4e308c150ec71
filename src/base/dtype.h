/* Element types of tensors and their host conversions.
 * Level 0.  Thread: any (pure functions). */
#ifndef SVR_BASE_DTYPE_H
#define SVR_BASE_DTYPE_H

#include "base/api.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum svr_dtype {
    SVR_F32 = 0,
    SVR_F16,
    SVR_BF16,
    SVR_F8_E4M3,
    SVR_I32,
    SVR_U8,
    SVR_F64,
    SVR_I64,
    SVR_I8,
    SVR_DTYPE_COUNT
} svr_dtype;

/* Bytes of one element. */
size_t svr_dtype_size(svr_dtype dtype);

/* "f32", "f16", "bf16", …; static storage. */
SVR_API const char *svr_dtype_name(svr_dtype dtype);

/* The safetensors spelling ("F32", "BF16", …) to a type (-1 when unknown), and back. */
int svr_dtype_from_safetensors(const char *name);
const char *svr_dtype_to_safetensors(svr_dtype dtype);

/* IEEE binary16 <-> binary32, round to nearest even, infinities and NaN kept. */
float svr_f16_to_f32(uint16_t h);
uint16_t svr_f32_to_f16(float f);

/* bfloat16 <-> binary32, round to nearest even, NaN kept. */
float svr_bf16_to_f32(uint16_t h);
uint16_t svr_f32_to_bf16(float f);

/* OCP e4m3 (fn: no infinities, 0x7f and 0xff are NaN) <-> binary32, round to nearest even; what is
 * larger than 448, infinities too, becomes 448. */
float svr_f8_e4m3_to_f32(uint8_t b);
uint8_t svr_f32_to_f8_e4m3(float f);

/* Integers of quantised rows, rounded to nearest even; what is larger than 127 becomes 127, so that
 * -128 never occurs, and NaN becomes 0. */
int8_t svr_f32_to_i8(float f);

/* n elements of `dtype` (F32, F16, BF16, F8_E4M3, I8, F64) at `src`, which may be unaligned, to
 * floats at `dst`; no overlap. */
void svr_to_f32(const void *src, svr_dtype dtype, float *dst, size_t n);

/* n floats to `dtype` (F32, F16, BF16, F8_E4M3, I8), rounded to nearest even; no overlap. */
void svr_from_f32(const float *src, svr_dtype dtype, void *dst, size_t n);

#ifdef __cplusplus
}
#endif
#endif
