/* A convolution as a graph of cuDNN's operations. */
#include "cuda_dnn_internal.h"

enum {
    ALIGN_BYTES = 16,
    RANK = 5, /* N C T H W, the order of cuDNN's sizes, whatever the layout */
    SPACE = 3 /* T H W */
};

/* A dense tensor whose channels are innermost; `dims` in the order N C T H W (w: K C kt kh kw). */
static svr_status make_tensor(svr_cuda_dnn_descriptors *owned, int64_t id, cudnnDataType_t type,
                              const int64_t *dims, cudnnBackendDescriptor_t *out, svr_error *err)
{
    int64_t row = dims[4] * dims[1], frame = dims[3] * row, align = ALIGN_BYTES;
    int64_t strides[RANK] = {dims[2] * frame, 1, frame, row, dims[1]};
    bool inner = id == SVR_CUDA_DNN_PRODUCT_ID ||
                 id == SVR_CUDA_DNN_SUM_ID; /* exists between operations only */
    svr_cuda_dnn_attribute attributes[] = {
        {CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &id},
        {CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type},
        {CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, RANK, dims},
        {CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, RANK, strides},
        {CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &align},
        {CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &inner},
    };

    SVR_TRY(svr_cuda_dnn_make(owned, CUDNN_BACKEND_TENSOR_DESCRIPTOR, out, err));
    return SVR_CUDA_DNN_FILL(owned->dnn, *out, attributes, err);
}

static svr_status make_geometry(svr_cuda_dnn_descriptors *owned, const svr_cuda_dnn_conv *c,
                                cudnnBackendDescriptor_t *out, svr_error *err)
{
    cudnnDataType_t sums = CUDNN_DATA_FLOAT;
    cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    int64_t space = SPACE, dilations[SPACE] = {1, 1, 1};
    int64_t strides[SPACE] = {c->stride_t, c->stride_s, c->stride_s};
    int64_t before[SPACE] = {0, c->pad_top, c->pad_left};
    int64_t behind[SPACE] = {0, c->pad_bottom, c->pad_right};
    svr_cuda_dnn_attribute attributes[] = {
        {CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &sums},
        {CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode},
        {CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &space},
        {CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, SPACE, dilations},
        {CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, SPACE, strides},
        {CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, SPACE, before},
        {CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, SPACE, behind},
    };

    SVR_TRY(svr_cuda_dnn_make(owned, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, out, err));
    return SVR_CUDA_DNN_FILL(owned->dnn, *out, attributes, err);
}

/* What an operation reads and writes. */
typedef struct edge {
    cudnnBackendDescriptor_t a, b, y;
} edge;

static svr_status make_products(svr_cuda_dnn_descriptors *owned, const svr_cuda_dnn_conv *c,
                                const edge *e, cudnnBackendDescriptor_t *out, svr_error *err)
{
    cudnnBackendDescriptor_t geometry;
    float one = 1.0f, zero = 0.0f;

    SVR_TRY(make_geometry(owned, c, &geometry, err));
    SVR_TRY(
        svr_cuda_dnn_make(owned, CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, out, err));
    return SVR_CUDA_DNN_FILL(
        owned->dnn, *out,
        ((svr_cuda_dnn_attribute[]){
            {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
             &geometry},
            {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &e->a},
            {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &e->b},
            {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &e->y},
            {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_TYPE_FLOAT, 1, &one},
            {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_TYPE_FLOAT, 1, &zero}}),
        err);
}

static svr_status make_sum(svr_cuda_dnn_descriptors *owned, const edge *e,
                           cudnnBackendDescriptor_t *out, svr_error *err)
{
    cudnnBackendDescriptor_t how;
    cudnnPointwiseMode_t mode = CUDNN_POINTWISE_ADD;
    cudnnDataType_t sums = CUDNN_DATA_FLOAT;
    svr_cuda_dnn_attribute addition[] = {
        {CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode},
        {CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &sums},
    };

    SVR_TRY(svr_cuda_dnn_make(owned, CUDNN_BACKEND_POINTWISE_DESCRIPTOR, &how, err));
    SVR_TRY(SVR_CUDA_DNN_FILL(owned->dnn, how, addition, err));
    SVR_TRY(svr_cuda_dnn_make(owned, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, out, err));
    return SVR_CUDA_DNN_FILL(
        owned->dnn, *out,
        ((svr_cuda_dnn_attribute[]){
            {CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &how},
            {CUDNN_ATTR_OPERATION_POINTWISE_XDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &e->a},
            {CUDNN_ATTR_OPERATION_POINTWISE_BDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &e->b},
            {CUDNN_ATTR_OPERATION_POINTWISE_YDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &e->y}}),
        err);
}

svr_status svr_cuda_dnn_make_graph(svr_cuda_dnn_descriptors *owned, const svr_cuda_dnn_conv *c,
                                   cudnnBackendDescriptor_t *out, svr_error *err)
{
    cudnnDataType_t type = c->dtype == SVR_BF16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_HALF;
    int64_t x_dims[RANK] = {1, c->x[3], c->x[0], c->x[1], c->x[2]};
    int64_t w_dims[RANK] = {c->w[0], c->w[4], c->w[1], c->w[2], c->w[3]};
    int64_t y_dims[RANK] = {1, c->y[3], c->y[0], c->y[1], c->y[2]};
    int64_t bias_dims[RANK] = {1, c->y[3], 1, 1, 1};
    cudnnBackendDescriptor_t x, w, bias, residual, y, product, sum, operations[3];
    int count = 0;

    SVR_TRY(make_tensor(owned, SVR_CUDA_DNN_X_ID, type, x_dims, &x, err));
    SVR_TRY(make_tensor(owned, SVR_CUDA_DNN_W_ID, type, w_dims, &w, err));
    SVR_TRY(make_tensor(owned, SVR_CUDA_DNN_BIAS_ID, type, bias_dims, &bias, err));
    SVR_TRY(make_tensor(owned, SVR_CUDA_DNN_Y_ID, type, y_dims, &y, err));
    SVR_TRY(make_tensor(owned, SVR_CUDA_DNN_PRODUCT_ID, CUDNN_DATA_FLOAT, y_dims, &product, err));
    SVR_TRY(make_products(owned, c, &(edge){x, w, product}, &operations[count++], err));
    if (c->residual) {
        SVR_TRY(make_tensor(owned, SVR_CUDA_DNN_RESIDUAL_ID, type, y_dims, &residual, err));
        SVR_TRY(make_tensor(owned, SVR_CUDA_DNN_SUM_ID, CUDNN_DATA_FLOAT, y_dims, &sum, err));
        SVR_TRY(make_sum(owned, &(edge){product, residual, sum}, &operations[count++], err));
        product = sum;
    }
    SVR_TRY(make_sum(owned, &(edge){product, bias, y}, &operations[count++], err));
    SVR_TRY(svr_cuda_dnn_make(owned, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, out, err));
    return SVR_CUDA_DNN_FILL(
        owned->dnn, *out,
        ((svr_cuda_dnn_attribute[]){
            {CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, count, operations}}),
        err);
}
