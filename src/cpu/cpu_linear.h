/* Inside of linear and swiglu: one description of a product, and the two ways to compute it.
 * Level 2.  Thread: any. */
#ifndef SVR_CPU_CPU_LINEAR_H
#define SVR_CPU_CPU_LINEAR_H

#include "backend/ops.h"
#include "cpu/cpu_simd.h"

/* One product x w^T, or two of the same shape (swiglu), and where its tiles go. */
typedef struct svr_cpu_product {
    const svr_cpu_simd *simd;
    svr_tensor x, w[2], y;
    svr_tensor x_scale, w_scale[2]; /* of quantised factors */
    const svr_linear_args *linear;  /* NULL: swiglu */
    int matrices;
    int64_t M, N, K;
    float *packed[2]; /* weights, where it goes by tiles */
    size_t scratch;   /* floats per thread */
    float *scratches;
} svr_cpu_product;

/* ---- cpu_linear.c */

/* Both factors are I8. */
bool svr_cpu_product_of_integers(const svr_cpu_product *p);

/* Weights in 8 bits, which are loaded by rows; others are F32 here. */
bool svr_cpu_product_quantized(const svr_cpu_product *p);

/* Rows [first, first + count) of [.,K] as floats, with their scales: the tensor's own memory where
 * it is F32, else `buffer`.  Scaled integers are rounded to the type of x, as devices that multiply
 * in that type do. */
const float *svr_cpu_product_rows(const svr_cpu_product *p, const svr_tensor *t,
                                  const svr_tensor *scale, const int64_t first_count[2],
                                  float *buffer);

/* Results of row m, outputs [n0, n0 + count): gate, residual, and out. */
void svr_cpu_product_store(const svr_cpu_product *p, const int64_t m_n_count[3], float *values,
                           float *buffer);

/* ---- cpu_linear_tiles.c: packed weights against tiles of rows */

/* Sets p->scratch; returns the floats of packed weights. */
size_t svr_cpu_product_plan_tiles(svr_cpu_product *p);
SVR_CHECKED svr_status svr_cpu_product_by_tiles(svr_exec *exec, svr_cpu_product *p, void *workspace,
                                                svr_error *err);

/* ---- cpu_linear_blocks.c: blocks of rows and outputs, by the library or of integers */

bool svr_cpu_product_goes_by_blocks(const svr_cpu_product *p);

/* Sets p->scratch. */
void svr_cpu_product_plan_blocks(svr_cpu_product *p);
SVR_CHECKED svr_status svr_cpu_product_by_blocks(svr_exec *exec, svr_cpu_product *p,
                                                 void *workspace, svr_error *err);

#endif
