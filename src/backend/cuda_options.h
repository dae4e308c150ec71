/* What the engine and the CUDA module agree on; neither includes the other.  Level 1. */
#ifndef SVR_BACKEND_CUDA_OPTIONS_H
#define SVR_BACKEND_CUDA_OPTIONS_H

#include "backend/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What cuDNN is used for, where it is installed. */
typedef enum svr_cuda_dnn_use {
    /* convolutions that it was measured to do faster than the own kernels, see cache_folder */
    SVR_CUDA_DNN_MEASURED = 0,
    SVR_CUDA_DNN_OFF,
    /* the same, but everything is measured, whatever is known; cuDNN must be there: to look at */
    SVR_CUDA_DNN_COMPARED,
    /* every convolution that it can do, without measuring; cuDNN must be there: for tests */
    SVR_CUDA_DNN_WHEREVER
} svr_cuda_dnn_use;

typedef struct svr_cuda_options {
    svr_cuda_dnn_use dnn;
    /* folder for what was measured, made when needed, copied; NULL: it is measured every time */
    const char *cache_folder;
    /* no path is taken that needs a higher compute capability than this (10 * major + minor, at
     * least 80), whatever the device has: for comparisons; 0: no limit */
    int highest_capability;
} svr_cuda_options;

/* The module's entry, see svr_cuda_backend_create(). */
typedef svr_status svr_cuda_create_fn(const svr_cuda_options *options, const svr_log *log,
                                      svr_backend **out, svr_error *err);

#ifdef __cplusplus
}
#endif
#endif
