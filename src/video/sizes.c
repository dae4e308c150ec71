#include "video/sizes.h"

#include "base/checked.h"

#include <math.h>

static int round_up(int n, int multiple)
{
    return (int) svr_ceil_div(n, multiple) * multiple;
}

static int max_int(int a, int b)
{
    return a > b ? a : b;
}

static svr_size scaled(svr_size size, double factor)
{
    return (svr_size){(int) nearbyint(size.width * factor), (int) nearbyint(size.height * factor)};
}

/* The short side becomes `side`; the long one keeps the aspect, its fraction dropped. */
static svr_size fit_short_side(svr_size in, int side)
{
    if (in.width <= in.height)
        return (svr_size){side, (int) ((double) side * in.height / in.width)};
    return (svr_size){(int) ((double) side * in.width / in.height), side};
}

svr_size_plan svr_size_plan_short_side(svr_size in, int short_side, int max_edge, int two_stage,
                                       int multiple)
{
    svr_size_plan plan = {.resizes = 1, .resize = {fit_short_side(in, short_side)}};
    svr_size last = plan.resize[0];
    int edge = max_int(last.width, last.height);

    if (max_edge > 0 && edge > max_edge) {
        last = scaled(last, (double) max_edge / edge);
        plan.resizes = two_stage ? 2 : 1;
        plan.resize[plan.resizes - 1] = last;
    }
    plan.output = (svr_size){last.width & ~1, last.height & ~1};
    plan.padded = (svr_size){round_up(last.width, multiple), round_up(last.height, multiple)};
    return plan;
}

svr_size_plan svr_size_plan_exact(svr_size out, int multiple)
{
    return (svr_size_plan){
        .resizes = 1,
        .resize = {out},
        .output = out,
        .padded = {round_up(out.width, multiple), round_up(out.height, multiple)},
    };
}

svr_size svr_size_area(svr_size in, int res_width, int res_height)
{
    /* Squaring the root again looks idle, but it is what decides the rounding of the original. */
    double root = sqrt((double) res_height * res_width);

    return scaled(in, sqrt(root * root / ((double) in.height * in.width)));
}
