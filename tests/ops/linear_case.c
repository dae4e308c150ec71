#include "linear_case.h"

linear_operands linear_operands_make(ops_bench *bench, const linear_case *c, svr_dtype out)
{
    linear_operands o = {
        .activation = c->activation,
        .b = c->bias ? ops_input(bench, SVR_F32, SVR_DIMS(c->N)) : NULL,
        .magnitude = ops_doubles(bench, (int64_t) c->M * c->N),
    };

    o.gate = c->gate ? ops_input(bench, SVR_F32, SVR_DIMS(c->N)) : NULL;
    o.y = c->residual == ADD_IN_PLACE ? ops_in_place(bench, out, SVR_DIMS(c->M, c->N))
                                      : ops_output(bench, out, SVR_DIMS(c->M, c->N));
    if (c->residual == ADD_F32)
        o.residual = ops_input(bench, SVR_F32, SVR_DIMS(c->M, c->N));
    if (c->residual == ADD_IN_PLACE)
        o.residual = o.y;
    return o;
}

svr_linear_args linear_args(const linear_operands *operands, int side)
{
    return (svr_linear_args){.b = ops_view(operands->b, side),
                             .gate = ops_view(operands->gate, side),
                             .residual = ops_view(operands->residual, side),
                             .y = ops_view(operands->y, side),
                             .activation = operands->activation};
}
