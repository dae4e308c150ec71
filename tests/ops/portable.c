#include "portable.h"

#include <dlfcn.h>
#include <string.h>

enum { PORTABLE_CAPABILITY = 80 };

typedef svr_status (*create_limited)(const svr_log *log, int highest_capability, svr_backend **out,
                                     svr_error *err);

svr_status portable_backend_open(svr_backend **out, svr_error *err)
{
    void *module = dlopen("libseedvr2-cuda.so", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    void *symbol = module ? dlsym(module, "svr_cuda_backend_create_limited") : NULL;
    create_limited create;

    if (module)
        dlclose(module);
    if (!symbol)
        return SVR_FAIL(err, SVR_ERR_NO_DEVICE, "no CUDA module of this version: build it");
    /* ISO C has no conversion from object to function pointers */
    memcpy(&create, &symbol, sizeof symbol);
    return create(NULL, PORTABLE_CAPABILITY, out, err);
}
