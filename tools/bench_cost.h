/* What an op costs by its shapes alone: the arithmetic of the reference, and the bytes that it
 * cannot do without. */
#ifndef SEEDVR2_BENCH_COST_H
#define SEEDVR2_BENCH_COST_H

#include "backend/ops.h"

typedef struct bench_cost {
    double flop;  /* a multiply-add is two; 0 for ops whose time goes to moving memory */
    double bytes; /* every operand read once, every result written once */
} bench_cost;

/* bench_cost_conv3d(), bench_cost_group_norm(), … */
#define BENCH_COST(name) bench_cost bench_cost_##name(const svr_##name##_args *args);
SVR_OP_LIST(BENCH_COST)
#undef BENCH_COST

#endif
