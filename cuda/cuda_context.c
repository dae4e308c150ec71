#include "cuda_context.h"

#include "cuda_backend.h"
#include "cuda_internal.h"

#include <pthread.h>
#include <string.h>

enum {
    MINIMUM_CAPABILITY = 80,
    MOST_DEVICES = 64 /* of a process; NVIDIA's driver has 32 at most */
};

/* ------------------------------------------------------------------ the driver */

/* Stores the address of a driver function, in the form that CUDA `version` gave it, at `function`,
 * which points to a function pointer. */
static svr_status driver_function(const char *name, unsigned version, void *function,
                                  svr_error *err)
{
    enum cudaDriverEntryPointQueryResult found = cudaDriverEntryPointSymbolNotFound;
    void *address = NULL;

    SVR_TRY(svr_cuda_check(
        cudaGetDriverEntryPointByVersion(name, &address, version, cudaEnableDefault, &found), name,
        err));
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

    if (result == cudaSuccess && *count > MOST_DEVICES)
        *count = MOST_DEVICES;
    if (result == cudaSuccess && *count > 0)
        return SVR_OK;
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
    SVR_TRY(driver_function("cuCtxGetCurrent", 4000, &get_current, err));
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

/* Holds of this module.  The driver has a count too, but the CUDA runtime is in it from its first
 * call in the context until the process ends. */
static struct {
    int holds;
    CUcontext context;
} primaries[MOST_DEVICES];

static pthread_mutex_t primaries_lock = PTHREAD_MUTEX_INITIALIZER;

typedef struct primary_driver {
    CUdevice device;
    PFN_cuCtxPushCurrent_v4000 push;
    PFN_cuCtxPopCurrent_v4000 pop;
    PFN_cuDevicePrimaryCtxRetain_v7000 retain;
    PFN_cuDevicePrimaryCtxRelease_v11000 release;
    PFN_cuDevicePrimaryCtxGetState_v7000 get_state;
    PFN_cuDevicePrimaryCtxReset_v11000 reset;
    PFN_cuStreamQuery_v2000 query;
} primary_driver;

static svr_status find_primary_driver(int device, primary_driver *d, svr_error *err)
{
    PFN_cuDeviceGet_v2000 get;

    SVR_TRY(driver_function("cuCtxPushCurrent", 4000, &d->push, err));
    SVR_TRY(driver_function("cuCtxPopCurrent", 4000, &d->pop, err));
    SVR_TRY(driver_function("cuDevicePrimaryCtxRetain", 7000, &d->retain, err));
    SVR_TRY(driver_function("cuDevicePrimaryCtxRelease", 11000, &d->release, err));
    SVR_TRY(driver_function("cuDevicePrimaryCtxGetState", 7000, &d->get_state, err));
    SVR_TRY(driver_function("cuDevicePrimaryCtxReset", 11000, &d->reset, err));
    SVR_TRY(driver_function("cuStreamQuery", 2000, &d->query, err));
    SVR_TRY(driver_function("cuDeviceGet", 2000, &get, err));
    return driver_check(get(&d->device, device), "cuDeviceGet", err);
}

/* Any call in a lost context tells; this one waits for nothing and, being the driver's, does not
 * make the runtime hold a context that it never used. */
static bool is_lost(const primary_driver *d, CUcontext context)
{
    CUresult result = d->push(context);
    CUcontext left;

    if (result == CUDA_SUCCESS) {
        result = d->query(NULL);
        (void) d->pop(&left);
    }
    return svr_cuda_is_fatal((cudaError_t) result);
}

/* Ends a context whoever holds it, so that the next one to retain it gets a new one. */
static void reset(const primary_driver *d, CUcontext context)
{
    cudaError_t result = (cudaError_t) d->push(context);
    CUcontext left;

    if (result == cudaSuccess) {
        result = cudaDeviceReset();
        (void) d->pop(&left);
    }
    /* the runtime's way fails where it cannot use the context at all */
    if (result != cudaSuccess)
        (void) d->reset(d->device);
    (void) cudaGetLastError();
}

/* The hold goes first: after a reset it might be taken from the next context. */
static void release_last(int device)
{
    CUcontext context = primaries[device].context;
    primary_driver d;
    unsigned flags;
    int active = 0;
    bool lost;

    if (find_primary_driver(device, &d, NULL) != SVR_OK)
        return;
    lost = is_lost(&d, context);
    (void) d.release(d.device);
    if (lost && d.get_state(d.device, &flags, &active) == CUDA_SUCCESS && active)
        reset(&d, context);
}

static svr_status retain(int device, svr_error *err)
{
    primary_driver d;

    if (primaries[device].holds == 0) {
        SVR_TRY(find_primary_driver(device, &d, err));
        SVR_TRY(driver_check(d.retain(&primaries[device].context, d.device),
                             "making a CUDA context", err));
    }
    primaries[device].holds++;
    return SVR_OK;
}

svr_status svr_cuda_retain_primary(int device, void **context, svr_error *err)
{
    svr_status status;

    pthread_mutex_lock(&primaries_lock);
    status = retain(device, err);
    if (status == SVR_OK)
        *context = primaries[device].context;
    pthread_mutex_unlock(&primaries_lock);
    return status;
}

void svr_cuda_release_primary(int device)
{
    pthread_mutex_lock(&primaries_lock);
    if (--primaries[device].holds == 0)
        release_last(device);
    pthread_mutex_unlock(&primaries_lock);
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
    SVR_TRY(driver_function("cuCtxPushCurrent", 4000, &c->push, err));
    SVR_TRY(driver_function("cuCtxPopCurrent", 4000, &c->pop, err));
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
