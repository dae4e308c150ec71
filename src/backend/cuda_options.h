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
    int device;    /* index; -1: that of the context, else of the calling thread's current context,
                      else the first usable one */
    void *context; /* a CUcontext that outlives the backend; NULL: the device's primary context */
    svr_cuda_dnn_use dnn;
    /* folder for what was measured, made when needed, copied; NULL: it is measured every time */
    const char *cache_folder;
    /* no path is taken that needs a higher compute capability than this (10 * major + minor, at
     * least 80), whatever the device has: for comparisons; 0: no limit */
    int highest_capability;
} svr_cuda_options;

/* The rest is 0. */
#define SVR_CUDA_OPTIONS_DEFAULT                                                                   \
    {                                                                                              \
        .device = -1                                                                               \
    }

/* The functions that the module exports, see cuda/cuda_backend.h. */
typedef svr_status svr_cuda_create_fn(const svr_cuda_options *options, const svr_log *log,
                                      svr_backend **out, svr_error *err);
typedef svr_status svr_cuda_sketch_fn(int capability, int sm_count, svr_backend **out,
                                      svr_error *err);
typedef svr_status svr_cuda_find_device_fn(int device, int *found, svr_error *err);
typedef svr_status svr_cuda_retain_primary_fn(int device, void **context, svr_error *err);
typedef void svr_cuda_release_primary_fn(int device);

#ifdef __cplusplus
}
#endif
#endif
