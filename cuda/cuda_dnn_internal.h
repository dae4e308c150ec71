/* What the files of cuDNN's way share: the opened library (cuda_dnn_library.c), descriptors, and
 * the graph of a convolution (cuda_dnn_graph.c).  Level 2.  Thread: the one that computes. */
#ifndef SVR_CUDA_CUDA_DNN_INTERNAL_H
#define SVR_CUDA_CUDA_DNN_INTERNAL_H

#include "cuda_dnn.h"

#include <cudnn_graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the library */

/* What is called, as declared by the headers. */
#define SVR_CUDA_DNN_FUNCTIONS(F)                                                                  \
    F(cudnnGetVersion)                                                                             \
    F(cudnnGetErrorString)                                                                         \
    F(cudnnGetLastErrorString)                                                                     \
    F(cudnnCreate)                                                                                 \
    F(cudnnDestroy)                                                                                \
    F(cudnnSetStream)                                                                              \
    F(cudnnBackendCreateDescriptor)                                                                \
    F(cudnnBackendDestroyDescriptor)                                                               \
    F(cudnnBackendSetAttribute)                                                                    \
    F(cudnnBackendGetAttribute)                                                                    \
    F(cudnnBackendFinalize)                                                                        \
    F(cudnnBackendExecute)

struct svr_cuda_dnn {
    void *library;
    cudnnHandle_t handle;
    cudnnBackendDescriptor_t device;
    int version;
    const svr_log *log;
#define SVR_CUDA_DNN_MEMBER(name) __typeof__(&(name)) name;
    SVR_CUDA_DNN_FUNCTIONS(SVR_CUDA_DNN_MEMBER)
#undef SVR_CUDA_DNN_MEMBER
};

/* A failure counts as UNSUPPORTED, with cuDNN's own words; what it means is up to the caller. */
SVR_CHECKED svr_status svr_cuda_dnn_check(const svr_cuda_dnn *dnn, cudnnStatus_t result,
                                          const char *what, svr_error *err);

/* The failure that *err (may be NULL) tells of, under another code, which is returned. */
svr_status svr_cuda_dnn_failed_as(svr_status code, svr_error *err);

/* ---- descriptors */

enum { SVR_CUDA_DNN_MOST_DESCRIPTORS = 128 };

/* Descriptors that go together, in the order in which they were made. */
typedef struct svr_cuda_dnn_descriptors {
    const svr_cuda_dnn *dnn;
    cudnnBackendDescriptor_t items[SVR_CUDA_DNN_MOST_DESCRIPTORS];
    int count;
} svr_cuda_dnn_descriptors;

/* Makes one that `owned` keeps.  Errors: UNSUPPORTED. */
SVR_CHECKED svr_status svr_cuda_dnn_make(svr_cuda_dnn_descriptors *owned,
                                         cudnnBackendDescriptorType_t type,
                                         cudnnBackendDescriptor_t *out, svr_error *err);

/* Gives all of them back, the newest first. */
void svr_cuda_dnn_release(svr_cuda_dnn_descriptors *owned);

typedef struct svr_cuda_dnn_attribute {
    cudnnBackendAttributeName_t name;
    cudnnBackendAttributeType_t type;
    int64_t count;
    const void *values;
} svr_cuda_dnn_attribute;

/* Sets attributes and finalizes.  Errors: UNSUPPORTED. */
SVR_CHECKED svr_status svr_cuda_dnn_fill(const svr_cuda_dnn *dnn,
                                         cudnnBackendDescriptor_t descriptor,
                                         const svr_cuda_dnn_attribute *attributes, int count,
                                         svr_error *err);

/* The same with an array. */
#define SVR_CUDA_DNN_FILL(dnn, descriptor, attributes, err)                                        \
    svr_cuda_dnn_fill((dnn), (descriptor), (attributes),                                           \
                      (int) (sizeof(attributes) / sizeof((attributes)[0])), (err))

/* ---- the graph */

/* Names of tensors for cuDNN. */
enum {
    SVR_CUDA_DNN_X_ID = 1,
    SVR_CUDA_DNN_W_ID,
    SVR_CUDA_DNN_BIAS_ID,
    SVR_CUDA_DNN_RESIDUAL_ID,
    SVR_CUDA_DNN_Y_ID,
    SVR_CUDA_DNN_PRODUCT_ID,
    SVR_CUDA_DNN_SUM_ID
};

/* products (+ residual) + bias, in this order: the only one that cuDNN has compiled engines for.
 * *out and what it is made of belong to `owned`.  Errors: UNSUPPORTED. */
SVR_CHECKED svr_status svr_cuda_dnn_make_graph(svr_cuda_dnn_descriptors *owned,
                                               const svr_cuda_dnn_conv *conv,
                                               cudnnBackendDescriptor_t *out, svr_error *err);

#ifdef __cplusplus
}
#endif
#endif
