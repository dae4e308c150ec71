#include "cpu/cpu_library.h"

#include <assert.h>

bool svr_cpu_library_has_product(void)
{
    return false;
}

void svr_cpu_library_product(const float *x, const float *w, float *out, const int64_t m_n_k[3])
{
    (void) x, (void) w, (void) out, (void) m_n_k;
    assert(!"there is no library");
}

bool svr_cpu_library_serves_conv3d(const svr_conv3d_args *args)
{
    (void) args;
    return false;
}

size_t svr_cpu_library_conv3d_workspace(svr_backend *backend, const svr_conv3d_args *args)
{
    (void) backend, (void) args;
    return 0;
}

svr_status svr_cpu_library_conv3d(svr_exec *exec, const svr_conv3d_args *args, void *workspace,
                                  svr_error *err)
{
    (void) exec, (void) args, (void) workspace;
    return SVR_FAIL(err, SVR_ERR_UNSUPPORTED, "conv3d: this build has no oneDNN");
}
