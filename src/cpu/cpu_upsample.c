/* upsample_conv3d in its plain steps. */
#include "backend/upsample.h"
#include "cpu/cpu_internal.h"
#include "cpu/cpu_ops.h"

/* The steps and the statistics use the same memory, one behind the other. */
size_t svr_cpu_upsample_conv3d_workspace(svr_backend *backend, const svr_upsample_conv3d_args *args)
{
    size_t steps = svr_upsample_plain_workspace(backend, args, SVR_UPSAMPLE_BOUND), moments = 0;

    if (svr_tensor_present(&args->moments))
        moments = svr_cpu_moments_workspace(backend, &args->y);
    return steps > moments ? steps : moments;
}

svr_status svr_cpu_upsample_conv3d(svr_exec *exec, const svr_upsample_conv3d_args *args,
                                   void *workspace, svr_error *err)
{
    SVR_TRY(svr_upsample_plain(exec, args, SVR_UPSAMPLE_BOUND, workspace, err));
    if (!svr_tensor_present(&args->moments))
        return SVR_OK;
    return svr_cpu_moments(exec, &args->y, &args->moments, workspace, err);
}
