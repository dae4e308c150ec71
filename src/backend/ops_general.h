/* Arguments of ops for any network: copies, sums, 8 bits, products.  What holds for all ops:
 * backend/ops.h.  Level 1. */
#ifndef SVR_BACKEND_OPS_GENERAL_H
#define SVR_BACKEND_OPS_GENERAL_H

#include "backend/activation.h"
#include "base/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Same elements in another place or type: dst = src.  src, dst: same number of elements, storage
 * types, or any equal type. */
typedef struct svr_copy_args {
    svr_tensor src, dst;
} svr_copy_args;

/* Rows of D elements by number: row to[m] of y = row from[m] of x, m = 0 .. M-1.  Without `from` or
 * `to` that is row m; rows of y that are not named stay.
 *   x, y [.,D] of any equal type   from, to [M] I32, at least one of them; `to` names a row once.
 */
typedef struct svr_copy_rows_args {
    svr_tensor x, y, from, to;
} svr_copy_rows_args;

/* A window of each frame to another place: y[t, to + i] = x[t, from + i] for all i in [0, size);
 * the rest of y stays.   x [T,H,W,C], y [T,H',W',C] of any equal type; rows, then columns */
typedef struct svr_copy_window_args {
    svr_tensor x, y;
    int64_t from[2], to[2], size[2];
} svr_copy_window_args;

/* y = alpha * a (+ beta * b), optionally clamped to [lo, hi].
 *   a, b, y same number of elements, storage types; b optional; y may be a or b. */
typedef struct svr_lincomb_args {
    svr_tensor a, b, y;
    float alpha, beta;
    bool clamp;
    float lo, hi;
} svr_lincomb_args;

/* found becomes 1 when an element of x is infinite or not a number; else it stays as it is.
 *   x storage   found [1] I32. */
typedef struct svr_find_overflow_args {
    svr_tensor x, found;
} svr_find_overflow_args;

/* Rows to 8 bits with a scale each: y = x / scale rounded to nearest even, scale = max|row| / MAX,
 * MAX 448 or 127; a row below 2^-100 counts as 0 and has scale 1 (base/quantize.h).  A row with an
 * infinity or NaN has a scale that is not finite and comes back as NaN, all of it.
 *   x [M,K] storage   y [M,K] F8_E4M3 or I8   scale [M] F32. */
typedef struct svr_quantize_args {
    svr_tensor x, y, scale;
} svr_quantize_args;

/* The way back: y[m,k] = scale[m] * x[m,k] in F32, rounded to the type of y.
 *   x [M,K] F8_E4M3 or I8   scale [M] F32   y [M,K] storage. */
typedef struct svr_dequantize_args {
    svr_tensor x, scale, y;
} svr_dequantize_args;

/* Frames to 8 bits: a run of SVR_RUN_PIXELS neighbours in a row of pixels (fewer at its end), each
 * channel by itself, becomes y = (x - middle) / step, rounded to nearest even.  middle lies halfway
 * between the run's least and largest value, step makes the largest distance from it MAX (127 or
 * 448); both are rounded to the type of x, step up.  Where step is below 2^-100, the run counts as
 * constant, with step 0.  What holds an infinity or NaN, or spans more than F32 can, has NaN for
 * both: all of it comes back as NaN.
 *   x [R,W,C] storage   y [R,W,C] I8 or F8_E4M3
 *   scales [R,N,2,C] like x, N = ceil(W/SVR_RUN_PIXELS): middle and step of each run. */
enum { SVR_RUN_PIXELS = 32 };
#define SVR_RUN_LEAST_STEP 0x1p-100f
typedef struct svr_quantize_runs_args {
    svr_tensor x, y, scales;
} svr_quantize_runs_args;

/* The way back: y = middle + step * x in F32, rounded.
 *   x [R,W,C] I8 or F8_E4M3   scales [R,N,2,C] like y   y [R,W,C] storage. */
typedef struct svr_dequantize_runs_args {
    svr_tensor x, scales, y;
} svr_dequantize_runs_args;

/* K of products of I8: 127 * 127 * K fits into a signed integer of 32 bits. */
#define SVR_I8_DEPTH 133144

/* y = residual + gate * act(x w^T + b).
 *   x [M,K] storage   w [N,K] weight type   b [N] F32 optional   gate [N] F32 optional
 *   residual [M,N] optional, may be y   y [M,N] storage.
 * Quantised: x and w F8_E4M3 with x_scale [M] and w_scale [N] F32; the product of row m and output
 * n is multiplied by x_scale[m] * w_scale[n] before anything else.  Tensor cores may sum the
 * products with fewer bits than F32 has.  Or x and w I8 with these scales: the sum of integers is
 * exact, rounded once to F32 and scaled as above; K up to SVR_I8_DEPTH.
 * Quantised weights alone: w I8 with w_scale [N] F32, x storage without a scale; the factor is
 * w_scale[n] * w[n,k] in F32, rounded to the type of x. */
typedef struct svr_linear_args {
    svr_tensor x, w, b, gate, residual, y;
    svr_tensor x_scale, w_scale;
    svr_activation activation;
} svr_linear_args;

/* y = silu(x w_gate^T) * (x w_up^T).   x [M,K] storage, w_gate and w_up [F,K], y [M,F] storage.
 * Quantised, as in svr_linear_args: x and both weights F8_E4M3, or all three I8, with x_scale [M],
 * gate_scale and up_scale [F] F32; or both weights alone I8 with their scales.
 * Source: spec dit §5. */
typedef struct svr_swiglu_args {
    svr_tensor x, w_gate, w_up, y;
    svr_tensor x_scale, gate_scale, up_scale;
} svr_swiglu_args;

#ifdef __cplusplus
}
#endif
#endif
