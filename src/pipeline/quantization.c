#include "pipeline/quantization.h"

#include "weights/weights.h"

const char *svr_quantization_name(svr_quantization quantization)
{
    static const char *const names[SVR_QUANTIZATION_COUNT] = {
        "auto-fp16", "fp16", "bf16", "fp8", "int8", "int8-w8a8", "as-stored"};

    return (unsigned) quantization < SVR_QUANTIZATION_COUNT ? names[quantization] : "unknown";
}

svr_dtype svr_quantization_factors(svr_quantization quantization, const svr_weights *weights)
{
    switch (quantization) {
    case SVR_QUANTIZATION_FP8:
        return SVR_F8_E4M3;
    case SVR_QUANTIZATION_INT8:
    case SVR_QUANTIZATION_INT8_W8A8:
        return SVR_I8;
    case SVR_QUANTIZATION_AS_STORED:
        return svr_weights_factor_type(weights);
    default:
        return SVR_F32;
    }
}
