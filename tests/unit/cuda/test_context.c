/* Holding and giving back primary contexts, and errors, on a driver and a runtime made up here. */
#include "cuda_context.h"

#include "check.h"
#include "cuda_backend.h"
#include "cuda_internal.h"

#include <string.h>

enum { DEVICE = 1 };

static struct {
    int holds; /* the driver's count of the primary context */
    bool lost; /* after a fault, which is for good */
    int depth; /* of the thread's stack of contexts */
    char primary, given;
} fake;

static void fake_init(void)
{
    memset(&fake, 0, sizeof fake);
}

static CUresult CUDAAPI fake_retain(CUcontext *context, CUdevice device)
{
    CHECK(device == DEVICE);
    if (fake.lost)
        return CUDA_ERROR_ILLEGAL_ADDRESS;
    fake.holds++;
    *context = (CUcontext) (void *) &fake.primary;
    return CUDA_SUCCESS;
}

static CUresult CUDAAPI fake_release(CUdevice device)
{
    CHECK(device == DEVICE);
    CHECK(fake.holds-- > 0);
    return fake.lost ? CUDA_ERROR_ILLEGAL_ADDRESS : CUDA_SUCCESS;
}

static CUresult CUDAAPI fake_push(CUcontext context)
{
    CHECK(context != NULL);
    if (fake.lost)
        return CUDA_ERROR_ILLEGAL_ADDRESS;
    fake.depth++;
    return CUDA_SUCCESS;
}

static CUresult CUDAAPI fake_pop(CUcontext *context)
{
    CHECK(fake.depth-- > 0);
    *context = NULL;
    return CUDA_SUCCESS;
}

static CUresult CUDAAPI fake_device_get(CUdevice *device, int index)
{
    *device = index;
    return CUDA_SUCCESS;
}

cudaError_t cudaGetDriverEntryPointByVersion(const char *name, void **function, unsigned version,
                                             unsigned long long flags,
                                             enum cudaDriverEntryPointQueryResult *found)
{
    static const struct {
        const char *name;
        void (*function)(void);
    } functions[] = {
        {"cuDeviceGet", (void (*)(void)) fake_device_get},
        {"cuCtxPushCurrent", (void (*)(void)) fake_push},
        {"cuCtxPopCurrent", (void (*)(void)) fake_pop},
        {"cuDevicePrimaryCtxRetain", (void (*)(void)) fake_retain},
        {"cuDevicePrimaryCtxRelease", (void (*)(void)) fake_release},
    };

    (void) version, (void) flags;
    *found = cudaDriverEntryPointSymbolNotFound;
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
        if (strcmp(name, functions[i].name) == 0) {
            memcpy(function, &functions[i].function, sizeof *function);
            *found = cudaDriverEntryPointSuccess;
        }
    return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *version)
{
    *version = 99000;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version)
{
    *version = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *count)
{
    *count = DEVICE + 1;
    return fake.lost ? cudaErrorIllegalAddress : cudaSuccess;
}

cudaError_t cudaGetDevice(int *device)
{
    *device = DEVICE;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int device)
{
    (void) attribute, (void) device;
    *value = 9;
    return cudaSuccess;
}

cudaError_t cudaStreamQuery(cudaStream_t stream)
{
    (void) stream;
    return fake.lost ? cudaErrorIllegalAddress : cudaErrorNotReady;
}

cudaError_t cudaGetLastError(void)
{
    return cudaSuccess;
}

const char *cudaGetErrorString(cudaError_t error)
{
    (void) error;
    return "made up";
}

static void test_holds_are_counted_by_the_driver(void)
{
    void *context = NULL;
    svr_error err = {0};

    fake_init();
    for (int i = 1; i <= 2; i++) {
        CHECK_OK(svr_cuda_retain_primary(DEVICE, &context, &err), err);
        CHECK(context == &fake.primary && fake.holds == i);
    }
    for (int i = 1; i >= 0; i--) {
        svr_cuda_release_primary(DEVICE);
        CHECK(fake.holds == i);
    }
    CHECK(fake.depth == 0);
}

/* Opens a context, which is then held so often, and loses it maybe; closing gives it back. */
static void open_and_close(void *given, int holds, bool lost)
{
    svr_cuda_options options = {.device = DEVICE, .context = given};
    svr_cuda_context c;
    svr_error err = {0};

    fake_init();
    CHECK_OK(svr_cuda_context_open(&c, &options, &err), err);
    CHECK(c.device == DEVICE && c.primary == (given == NULL));
    CHECK(c.handle == (CUcontext) (given ? given : &fake.primary));
    CHECK(fake.holds == holds && fake.depth == 0);
    fake.lost = lost;
    svr_cuda_context_close(&c);
    CHECK(fake.holds == 0 && c.handle == NULL);
}

static void test_what_is_retained_is_released(void)
{
    open_and_close(NULL, 1, false);
    open_and_close(NULL, 1, true);
    open_and_close(&fake.given, 0, false);
    open_and_close(&fake.given, 0, true);
}

static void check_refused(svr_status status, svr_error *err)
{
    CHECK(status == SVR_ERR_DEVICE);
    CHECK_TEXT(err->text, "restart the program");
    svr_error_clear(err);
}

static void test_after_a_fault_nothing_opens(void)
{
    svr_cuda_options own = {.device = DEVICE}, given = {.device = -1, .context = &fake.given};
    svr_cuda_context c;
    void *context = NULL;
    svr_error err = {0};
    int found = -1;

    fake_init();
    fake.lost = true;
    check_refused(svr_cuda_find_device(DEVICE, &found, &err), &err);
    check_refused(svr_cuda_retain_primary(DEVICE, &context, &err), &err);
    check_refused(svr_cuda_context_open(&c, &own, &err), &err);
    check_refused(svr_cuda_context_open(&c, &given, &err), &err);
    CHECK(c.handle == NULL && context == NULL && fake.holds == 0 && fake.depth == 0);
}

static void test_texts(void)
{
    svr_error err = {0};

    CHECK(svr_cuda_check(cudaErrorLaunchFailure, "copy", &err) == SVR_ERR_DEVICE);
    CHECK(strcmp(err.text,
                 "copy failed, the CUDA context is lost (made up): restart the program") == 0);
    svr_error_clear(&err);
    CHECK(svr_cuda_check(cudaErrorInvalidValue, "copy", &err) == SVR_ERR_DEVICE);
    CHECK(strcmp(err.text, "copy failed: made up") == 0);
    svr_error_clear(&err);
    CHECK_FAILS(svr_cuda_check(cudaErrorMemoryAllocation, "copy", &err), SVR_ERR_NO_VRAM, err);

    fake_init();
    CHECK(svr_cuda_library_failed(NULL, "a library", "no", &err) == SVR_ERR_DEVICE);
    CHECK(strcmp(err.text, "a library failed: no") == 0);
    svr_error_clear(&err);
    fake.lost = true;
    CHECK(svr_cuda_library_failed(NULL, "a library", "no", &err) == SVR_ERR_DEVICE);
    CHECK_TEXT(err.text, "a library failed, the CUDA context is lost");
}

int main(void)
{
    RUN(test_holds_are_counted_by_the_driver);
    RUN(test_what_is_retained_is_released);
    RUN(test_after_a_fault_nothing_opens);
    RUN(test_texts);
    return check_done();
}
