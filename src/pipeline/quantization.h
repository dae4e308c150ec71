/* How the transformer's large matrices are kept and multiplied.  Level 5.  Thread: any. */
#ifndef SVR_PIPELINE_QUANTIZATION_H
#define SVR_PIPELINE_QUANTIZATION_H

#include "base/api.h"
#include "base/dtype.h"

#ifdef __cplusplus
extern "C" {
#endif

struct svr_weights;

typedef enum svr_quantization {
    SVR_QUANTIZATION_AUTO_FP16 = 0, /* not quantised: in the storage type */
    SVR_QUANTIZATION_FP16,          /* the same, and the storage type is fp16 … */
    SVR_QUANTIZATION_BF16,          /* … or bf16 */
    /* kept and multiplied as e4m3: GPUs of compute capability 8.9 and newer, and the CPU */
    SVR_QUANTIZATION_FP8,
    SVR_QUANTIZATION_INT8,      /* kept as 8-bit integers, multiplied in the storage type */
    SVR_QUANTIZATION_INT8_W8A8, /* kept as these, multiplied as integers: activations too */
    SVR_QUANTIZATION_AS_STORED, /* FP8 or INT8 where the model file holds that, else AUTO_FP16 */
    SVR_QUANTIZATION_COUNT
} svr_quantization;

/* "auto-fp16", "fp16", "bf16", "fp8", "int8", "int8-w8a8", "as-stored"; static storage. */
SVR_API const char *svr_quantization_name(svr_quantization quantization);

/* For svr_store_quantize(): F8_E4M3 or I8; F32 where nothing is quantised. */
svr_dtype svr_quantization_factors(svr_quantization quantization,
                                   const struct svr_weights *weights);

#ifdef __cplusplus
}
#endif
#endif
