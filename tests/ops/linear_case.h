/* What the cases of linear share, whatever kind of number its factors are. */
#ifndef SVR_TESTS_OPS_LINEAR_CASE_H
#define SVR_TESTS_OPS_LINEAR_CASE_H

#include "harness.h"

/* y[M,N] = residual + gate * activation(x[M,K] w[N,K]^T + b). */
typedef struct linear_case {
    int M, K, N;
    bool bias, gate;
    enum { PLAIN, ADD_F32, ADD_IN_PLACE } residual;
    svr_activation activation;
    svr_dtype out;               /* of cases that run once */
    bool f32_in, f32_out, small; /* of cases that run in every storage type */
} linear_case;

/* All but the factors. */
typedef struct linear_operands {
    svr_activation activation;
    ops_array *b, *gate, *y, *residual;
    double *magnitude; /* [M,N], for reference_linear() */
} linear_operands;

linear_operands linear_operands_make(ops_bench *bench, const linear_case *c, svr_dtype out);

/* The arguments of one side, without x and w. */
svr_linear_args linear_args(const linear_operands *operands, int side);

#endif
