#include "cuda_context.h"

#include "cuda_backend.h"
#include "cuda_internal.h"

#include <string.h>

enum { MINIMUM_CAPABILITY = 80 };

/* ------------------------------------------------------------------ the driver */

/* CUDA 12.0 to 12.4 look a function up in the form that their own version gave it. */
static cudaError_t find_in_driver(const char *name, unsigned version, void **address,
                                  enum cudaDriverEntryPointQueryResult *found)
{
#if CUDART_VERSION >= 12050
    return cudaGetDriverEntryPointByVersion(name, address, version, cudaEnableDefault, found);
#else
    (void) version;
    return cudaGetDriverEntryPoint(name, address, cudaEnableDefault, found);
#endif
}

svr_status svr_cuda_driver_function(const char *name, unsigned version, void *function,
                                    svr_error *err)
{
    enum cudaDriverEntryPointQueryResult found = cudaDriverEntryPointSymbolNotFound;
    void *address = NULL;

    SVR_TRY(svr_cuda_check(find_in_driver(name, version, &address, &found), name, err));
    if (found != cudaDriverEntryPointSuccess || !address)
        return SVR_FAIL(err, SVR_ERR_NO_DEVICE,
                        "the NVIDIA driver has no %s: update it, or set backend=cpu", name);
    /* ISO C has no conversion from object to function pointers */
    memcpy(function, &address, sizeof address);
    return SVR_OK;
}

/* The runtime's numbers of errors are the driver's. */
static svr_status driver_check(CUresult result, const char *what, svr_error *err)
{
    return svr_cuda_check((cudaError_t) result, what, err);
}

static svr_status check_driver(svr_error *err)
{
    int driver = 0, runtime = 0;

    if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0)
        return SVR_FAIL(err, SVR_ERR_NO_DEVICE, "no NVIDIA driver: install it, or set backend=cpu");
    (void) cudaRuntimeGetVersion(&runtime);
    if (driver / 1000 < runtime / 1000)
        return SVR_FAIL(err, SVR_ERR_NO_DEVICE,
                        "the NVIDIA driver serves CUDA %d.%d, this build needs %d.x: update the "
                        "driver, or set backend=cpu",
                        driver / 1000, driver % 1000 / 10, runtime / 1000);
    return SVR_OK;
}

/* ------------------------------------------------------------------ devices */

static svr_status count_devices(int *count, svr_error *err)
{
    cudaError_t result = cudaGetDeviceCount(count);

    if (result == cudaSuccess && *count > 0)
        return SVR_OK;
    if (svr_cuda_is_fatal(result))
        return svr_cuda_check(result, "counting GPUs", err);
    (void) cudaGetLastError();
    return SVR_FAIL(err, SVR_ERR_NO_DEVICE, "no usable NVIDIA GPU was found (%s): set backend=cpu",
                    cudaGetErrorString(result == cudaSuccess ? cudaErrorNoDevice : result));
}

svr_status svr_cuda_capability(int device, int *out, svr_error *err)
{
    int major = 0, minor = 0;

    SVR_TRY(
        svr_cuda_check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device),
                       "cudaDeviceGetAttribute", err));
    SVR_TRY(
        svr_cuda_check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device),
                       "cudaDeviceGetAttribute", err));
    *out = 10 * major + minor;
    return SVR_OK;
}

static svr_status check_device(int device, svr_error *err)
{
    int capability = 0;

    SVR_TRY(svr_cuda_capability(device, &capability, err));
    if (capability >= MINIMUM_CAPABILITY)
        return SVR_OK;
    return SVR_FAIL(err, SVR_ERR_NO_DEVICE,
                    "GPU %d has compute capability %d.%d, %d.%d or newer is needed: set "
                    "backend=cpu",
                    device, capability / 10, capability % 10, MINIMUM_CAPABILITY / 10,
                    MINIMUM_CAPABILITY % 10);
}

/* The device of the calling thread's current context; -1 where there is none.  Asked without the
 * runtime first, which would make a context. */
static svr_status current_device(int *device, svr_error *err)
{
    PFN_cuCtxGetCurrent_v4000 get_current;
    CUcontext current = NULL;

    *device = -1;
    SVR_TRY(svr_cuda_driver_function("cuCtxGetCurrent", 4000, &get_current, err));
    if (get_current(&current) != CUDA_SUCCESS || !current)
        return SVR_OK;
    return svr_cuda_check(cudaGetDevice(device), "cudaGetDevice", err);
}

/* The first device that is new enough; fails with what is wrong with the first of all. */
static svr_status first_usable(int count, int *found, svr_error *err)
{
    for (int device = 0; device < count; device++)
        if (check_device(device, NULL) == SVR_OK) {
            *found = device;
            return SVR_OK;
        }
    return check_device(0, err);
}

svr_status svr_cuda_find_device(int device, int *found, svr_error *err)
{
    int count = 0;

    SVR_TRY(check_driver(err));
    SVR_TRY(count_devices(&count, err));
    if (device >= count)
        return SVR_FAIL(err, SVR_ERR_NO_DEVICE,
                        "there is no GPU %d, the last one is %d: choose another device, or -1 for "
                        "the first usable one",
                        device, count - 1);
    if (device < 0)
        SVR_TRY(current_device(&device, err));
    if (device < 0)
        return first_usable(count, found, err);
    *found = device;
    return check_device(device, err);
}

/* ------------------------------------------------------------------ primary contexts */

svr_status svr_cuda_retain_primary(int device, void **context, svr_error *err)
{
    PFN_cuDevicePrimaryCtxRetain_v7000 retain;
    PFN_cuDeviceGet_v2000 get;
    CUcontext primary = NULL;
    CUdevice handle = 0;

    SVR_TRY(svr_cuda_driver_function("cuDeviceGet", 2000, &get, err));
    SVR_TRY(svr_cuda_driver_function("cuDevicePrimaryCtxRetain", 7000, &retain, err));
    SVR_TRY(driver_check(get(&handle, device), "cuDeviceGet", err));
    SVR_TRY(driver_check(retain(&primary, handle), "making a CUDA context", err));
    *context = primary;
    return SVR_OK;
}

void svr_cuda_release_primary(int device)
{
    PFN_cuDevicePrimaryCtxRelease_v11000 release;
    PFN_cuDeviceGet_v2000 get;
    CUdevice handle = 0;

    if (svr_cuda_driver_function("cuDeviceGet", 2000, &get, NULL) == SVR_OK &&
        svr_cuda_driver_function("cuDevicePrimaryCtxRelease", 11000, &release, NULL) == SVR_OK &&
        get(&handle, device) == CUDA_SUCCESS)
        (void) release(handle);
}

/* ------------------------------------------------------------------ the backend's context */

/* Checks that a given context is of the wanted device, and what that is. */
static svr_status adopt(svr_cuda_context *c, const svr_cuda_options *options, svr_error *err)
{
    svr_status status;

    c->handle = (CUcontext) options->context;
    SVR_TRY(svr_cuda_context_enter(c, err));
    status = svr_cuda_check(cudaGetDevice(&c->device), "the given CUDA context", err);
    svr_cuda_context_leave(c);
    SVR_TRY(status);
    if (options->device >= 0 && options->device != c->device)
        return SVR_FAIL(err, SVR_ERR_INVALID,
                        "the given CUDA context is of GPU %d, but GPU %d is asked for: give a "
                        "context of that one, or -1 for the context's",
                        c->device, options->device);
    return check_device(c->device, err);
}

static svr_status take_primary(svr_cuda_context *c, int device, svr_error *err)
{
    void *primary = NULL;

    SVR_TRY(svr_cuda_find_device(device, &c->device, err));
    SVR_TRY(svr_cuda_retain_primary(c->device, &primary, err));
    c->handle = (CUcontext) primary;
    c->primary = true;
    return SVR_OK;
}

static svr_status open_context(svr_cuda_context *c, const svr_cuda_options *options, svr_error *err)
{
    SVR_TRY(check_driver(err));
    SVR_TRY(svr_cuda_driver_function("cuCtxPushCurrent", 4000, &c->push, err));
    SVR_TRY(svr_cuda_driver_function("cuCtxPopCurrent", 4000, &c->pop, err));
    return options->context ? adopt(c, options, err) : take_primary(c, options->device, err);
}

svr_status svr_cuda_context_open(svr_cuda_context *c, const svr_cuda_options *options,
                                 svr_error *err)
{
    svr_status status;

    memset(c, 0, sizeof *c);
    status = open_context(c, options, err);
    if (status != SVR_OK)
        memset(c, 0, sizeof *c);
    return status;
}

void svr_cuda_context_close(svr_cuda_context *c)
{
    if (c->primary)
        svr_cuda_release_primary(c->device);
    memset(c, 0, sizeof *c);
}

svr_status svr_cuda_context_enter(const svr_cuda_context *c, svr_error *err)
{
    return driver_check(c->push(c->handle), "entering the CUDA context", err);
}

void svr_cuda_context_leave(const svr_cuda_context *c)
{
    CUcontext left;

    (void) c->pop(&left);
}
