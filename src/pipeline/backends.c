#include "pipeline/backends.h"

#include "cpu/cpu_backend.h"

#include <assert.h>
#include <dlfcn.h>
#include <string.h>

#define CUDA_MODULE "libseedvr2-cuda.so"
#define CUDA_SYMBOL "svr_cuda_backend_create"

/* The module stays in the process: its code must outlive the backends that it makes. */
static svr_status find_cuda_create(svr_cuda_create_fn **out, svr_error *err)
{
    void *module = dlopen(CUDA_MODULE, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE), *symbol;
    const char *why;

    if (!module) {
        why = dlerror();
        return SVR_FAIL(err, SVR_ERR_NO_DEVICE,
                        "the CUDA module cannot be loaded (%s): install it, or compute on the CPU "
                        "with backend=cpu",
                        why ? why : CUDA_MODULE);
    }
    symbol = dlsym(module, CUDA_SYMBOL);
    dlclose(module);
    if (!symbol)
        return SVR_FAIL(err, SVR_ERR_NO_DEVICE,
                        "%s has no %s: it belongs to another version; install the matching one, or "
                        "set backend=cpu",
                        CUDA_MODULE, CUDA_SYMBOL);
    /* ISO C has no conversion from object to function pointers */
    memcpy(out, &symbol, sizeof symbol);
    return SVR_OK;
}

static svr_status open_cuda(const svr_cuda_options *options, const svr_log *log, svr_backend **out,
                            svr_error *err)
{
    svr_cuda_create_fn *create = NULL;

    SVR_TRY(find_cuda_create(&create, err));
    return create(options, log, out, err);
}

static svr_status open_cpu(int threads, svr_backend **out, svr_error *err)
{
    svr_cpu_options options = {.threads = threads};

    return svr_cpu_backend_create(&options, out, err);
}

svr_status svr_backend_open(svr_backend_kind kind, int threads, const svr_cuda_options *cuda,
                            const svr_log *log, svr_backend **out, svr_error *err)
{
    svr_error missing = {SVR_OK, NULL, 0, ""};

    assert(kind == SVR_BACKEND_AUTO || kind == SVR_BACKEND_CPU || kind == SVR_BACKEND_CUDA);
    if (kind == SVR_BACKEND_CUDA)
        return open_cuda(cuda, log, out, err);
    if (kind == SVR_BACKEND_CPU)
        return open_cpu(threads, out, err);
    if (open_cuda(cuda, log, out, &missing) == SVR_OK)
        return SVR_OK;
    svr_log_write(log, SVR_LOG_INFO, "backend", "computing on the CPU: %s", missing.text);
    return open_cpu(threads, out, err);
}
