/* In the place of the other cuda_dnn files where cuDNN's headers were not found at build time: no
 * cuDNN, so no shapes either. */
#include "cuda_dnn.h"

svr_status svr_cuda_dnn_open(int device, cudaStream_t stream, const svr_log *log,
                             svr_cuda_dnn **out, svr_error *err)
{
    (void) device, (void) stream, (void) log, (void) out;
    return SVR_FAIL(err, SVR_ERR_NO_DEVICE,
                    "this build was made without cuDNN: install its headers and build again");
}

void svr_cuda_dnn_close(svr_cuda_dnn *dnn)
{
    (void) dnn;
}

int svr_cuda_dnn_version(const svr_cuda_dnn *dnn)
{
    (void) dnn;
    return 0;
}

svr_status svr_cuda_dnn_shape_create(svr_cuda_dnn *dnn, const svr_cuda_dnn_conv *conv, int most,
                                     svr_cuda_dnn_shape **out, svr_error *err)
{
    (void) dnn, (void) conv, (void) most, (void) out;
    return SVR_FAIL(err, SVR_ERR_UNSUPPORTED, "this build was made without cuDNN");
}

void svr_cuda_dnn_shape_destroy(svr_cuda_dnn_shape *shape)
{
    (void) shape;
}

int svr_cuda_dnn_plans(const svr_cuda_dnn_shape *shape)
{
    (void) shape;
    return 0;
}

int64_t svr_cuda_dnn_plan_engine(const svr_cuda_dnn_shape *shape, int plan)
{
    (void) shape, (void) plan;
    return -1;
}

size_t svr_cuda_dnn_plan_workspace(const svr_cuda_dnn_shape *shape, int plan)
{
    (void) shape, (void) plan;
    return 0;
}

svr_status svr_cuda_dnn_run(const svr_cuda_dnn_shape *shape, int plan,
                            const svr_cuda_dnn_operands *operands, svr_error *err)
{
    (void) shape, (void) plan, (void) operands;
    return SVR_FAIL(err, SVR_ERR_UNSUPPORTED, "this build was made without cuDNN");
}
