/* What the engine and the CUDA module agree on; neither includes the other.  Level 1. */
#ifndef SVR_BACKEND_CUDA_OPTIONS_H
#define SVR_BACKEND_CUDA_OPTIONS_H

#include "backend/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct svr_cuda_options {
    int device;    /* index; -1: that of the context, else of the calling thread's current context,
                      else the first usable one */
    void *context; /* a CUcontext that outlives the backend; NULL: the device's primary context */
} svr_cuda_options;

#define SVR_CUDA_OPTIONS_DEFAULT                                                                   \
    {                                                                                              \
        .device = -1, .context = NULL                                                              \
    }

/* The functions that the module exports, see cuda/cuda_backend.h. */
typedef svr_status svr_cuda_create_fn(const svr_cuda_options *options, const svr_log *log,
                                      svr_backend **out, svr_error *err);
typedef svr_status svr_cuda_find_device_fn(int device, int *found, svr_error *err);
typedef svr_status svr_cuda_retain_primary_fn(int device, void **context, svr_error *err);
typedef void svr_cuda_release_primary_fn(int device);

#ifdef __cplusplus
}
#endif
#endif
