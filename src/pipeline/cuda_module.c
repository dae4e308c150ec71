#include "pipeline/cuda_module.h"

#include <dlfcn.h>
#include <string.h>

#define MODULE "libseedvr2-cuda.so"

/* Stores the address of a function of the module at `function`, which points to a function pointer.
 * The module stays in the process: its code must outlive the backends that it makes. */
static svr_status find(const char *name, void *function, svr_error *err)
{
    void *module = dlopen(MODULE, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE), *symbol;
    const char *why;

    if (!module) {
        why = dlerror();
        return SVR_FAIL(err, SVR_ERR_NO_DEVICE,
                        "the CUDA module cannot be loaded (%s): install it, or compute on the CPU "
                        "with backend=cpu",
                        why ? why : MODULE);
    }
    symbol = dlsym(module, name);
    dlclose(module);
    if (!symbol)
        return SVR_FAIL(err, SVR_ERR_NO_DEVICE,
                        "%s has no %s: it belongs to another version; install the matching one, or "
                        "set backend=cpu",
                        MODULE, name);
    /* ISO C has no conversion from object to function pointers */
    memcpy(function, &symbol, sizeof symbol);
    return SVR_OK;
}

svr_status svr_cuda_module_open(const svr_cuda_options *options, const svr_log *log,
                                svr_backend **out, svr_error *err)
{
    svr_cuda_create_fn *create = NULL;

    SVR_TRY(find("svr_cuda_backend_create", &create, err));
    return create(options, log, out, err);
}

svr_status svr_cuda_module_sketch(int capability, int sm_count, svr_backend **out, svr_error *err)
{
    svr_cuda_sketch_fn *sketch = NULL;

    SVR_TRY(find("svr_cuda_sketch_create", &sketch, err));
    return sketch(capability, sm_count, out, err);
}

svr_status svr_cuda_module_find_device(int device, int *found, svr_error *err)
{
    svr_cuda_find_device_fn *find_device = NULL;

    SVR_TRY(find("svr_cuda_find_device", &find_device, err));
    return find_device(device, found, err);
}

svr_status svr_cuda_module_retain_primary(int device, void **context, svr_error *err)
{
    svr_cuda_retain_primary_fn *retain = NULL;

    SVR_TRY(find("svr_cuda_retain_primary", &retain, err));
    return retain(device, context, err);
}

void svr_cuda_module_release_primary(int device)
{
    svr_cuda_release_primary_fn *release = NULL;

    if (find("svr_cuda_release_primary", &release, NULL) == SVR_OK)
        release(device);
}
