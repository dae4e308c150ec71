#include "pipeline/backends.h"

#include "cpu/cpu_backend.h"
#include "pipeline/cuda_module.h"

#include <assert.h>

static svr_status open_cpu(int threads, svr_backend **out, svr_error *err)
{
    svr_cpu_options options = {.threads = threads};

    return svr_cpu_backend_create(&options, out, err);
}

svr_status svr_backend_open(svr_backend_kind kind, int threads, const svr_cuda_options *cuda,
                            const svr_log *log, svr_backend **out, svr_error *err)
{
    svr_error missing = {.code = SVR_OK};

    assert(kind == SVR_BACKEND_AUTO || kind == SVR_BACKEND_CPU || kind == SVR_BACKEND_CUDA);
    if (kind == SVR_BACKEND_CUDA)
        return svr_cuda_module_open(cuda, log, out, err);
    if (kind == SVR_BACKEND_CPU)
        return open_cpu(threads, out, err);
    if (svr_cuda_module_open(cuda, log, out, &missing) == SVR_OK)
        return SVR_OK;
    /* there is a GPU and it failed: who had it before should not find the CPU without a word */
    if (missing.code == SVR_ERR_DEVICE)
        return SVR_FAIL(err, SVR_ERR_DEVICE, "%s", missing.text);
    svr_log_write(log, SVR_LOG_INFO, "backend", "computing on the CPU: %s", missing.text);
    return open_cpu(threads, out, err);
}
