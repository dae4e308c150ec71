/* Statistics that ops leave for a norm, against those of the reference's result. */
#ifndef SVR_TESTS_OPS_MOMENTS_H
#define SVR_TESTS_OPS_MOMENTS_H

#include "harness.h"

/* moments [T,G,3]: the mean as a sum of two and the variance, against those of y [T,H,W,K] (F64, of
 * the reference), as close as roundings of single values to a 16-bit `dtype` leave them. */
void ops_compare_moments(ops_bench *bench, const ops_array *moments, const svr_tensor *y,
                         svr_dtype dtype);

#endif
