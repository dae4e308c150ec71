#include "base/point.h"

#include <assert.h>

const char *svr_point_name(svr_point point)
{
    static const char *const names[SVR_POINT_COUNT] = {
        "encode", "step-begin", "positive", "negative", "step-end", "decode", "batch"};

    assert((unsigned) point < SVR_POINT_COUNT);
    return names[point];
}
