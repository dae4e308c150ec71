#include "pipeline/memory_plan.h"

const char *svr_parked_precision_name(svr_parked_precision precision)
{
    static const char *const names[SVR_PARKED_PRECISIONS] = {"16-bit", "fp8", "int8"};

    return (unsigned) precision < SVR_PARKED_PRECISIONS ? names[precision] : "unknown";
}

svr_dtype svr_parked_precision_type(svr_parked_precision precision)
{
    return precision == SVR_PARKED_FP8    ? SVR_F8_E4M3
           : precision == SVR_PARKED_INT8 ? SVR_I8
                                          : SVR_F32;
}
