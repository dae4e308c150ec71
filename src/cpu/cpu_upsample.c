/* upsample_conv3d in its plain steps. */
#include "backend/upsample.h"
#include "cpu/cpu_ops.h"

size_t svr_cpu_upsample_conv3d_workspace(svr_backend *backend, const svr_upsample_conv3d_args *args)
{
    return svr_upsample_plain_workspace(backend, args);
}

svr_status svr_cpu_upsample_conv3d(svr_exec *exec, const svr_upsample_conv3d_args *args,
                                   void *workspace, svr_error *err)
{
    return svr_upsample_plain(exec, args, workspace, err);
}
