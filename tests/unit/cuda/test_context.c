/* Holding, giving back and resetting primary contexts, on a driver and a runtime made up here. */
#include "cuda_context.h"

#include "check.h"
#include "cuda_backend.h"
#include "cuda_internal.h"

#include <string.h>

enum { DEVICE = 1 };

static struct {
    int holds; /* the driver's count of the primary context */
    bool active, lost;
    bool reset_drops_holds; /* against the documentation, but it was seen */
    CUresult query, push;   /* what a lost context answers */
    cudaError_t reset;      /* what the runtime's reset gives */
    int releases, runtime_resets, driver_resets;
    int depth; /* of the thread's stack of contexts */
    char primary, given;
} fake;

static void fake_init(void)
{
    memset(&fake, 0, sizeof fake);
    fake.query = CUDA_ERROR_ILLEGAL_ADDRESS;
}

/* The same address comes back, as it does from the driver. */
static CUresult CUDAAPI fake_retain(CUcontext *context, CUdevice device)
{
    CHECK(device == DEVICE);
    fake.holds++;
    fake.active = true;
    *context = (CUcontext) (void *) &fake.primary;
    return CUDA_SUCCESS;
}

static void fake_end(void)
{
    fake.active = fake.lost = false;
}

static CUresult CUDAAPI fake_release(CUdevice device)
{
    CHECK(device == DEVICE);
    fake.releases++;
    CHECK(fake.holds > 0);
    if (--fake.holds == 0)
        fake_end();
    return CUDA_SUCCESS;
}

static CUresult CUDAAPI fake_reset(CUdevice device)
{
    CHECK(device == DEVICE);
    fake.driver_resets++;
    fake_end();
    if (fake.reset_drops_holds)
        fake.holds = 0;
    return CUDA_SUCCESS;
}

cudaError_t cudaDeviceReset(void)
{
    CHECK(fake.depth == 1);
    fake.runtime_resets++;
    if (fake.reset != cudaSuccess)
        return fake.reset;
    (void) fake_reset(DEVICE);
    fake.driver_resets--;
    return cudaSuccess;
}

static CUresult CUDAAPI fake_get_state(CUdevice device, unsigned *flags, int *active)
{
    CHECK(device == DEVICE);
    *flags = 0;
    *active = fake.active;
    return CUDA_SUCCESS;
}

static CUresult CUDAAPI fake_push(CUcontext context)
{
    if (context == (CUcontext) (void *) &fake.primary && fake.lost && fake.push != CUDA_SUCCESS)
        return fake.push;
    fake.depth++;
    return CUDA_SUCCESS;
}

static CUresult CUDAAPI fake_pop(CUcontext *context)
{
    CHECK(fake.depth-- > 0);
    *context = NULL;
    return CUDA_SUCCESS;
}

static CUresult CUDAAPI fake_query(CUstream stream)
{
    CHECK(stream == NULL && fake.depth == 1);
    return fake.lost ? fake.query : CUDA_SUCCESS;
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
        {"cuDevicePrimaryCtxGetState", (void (*)(void)) fake_get_state},
        {"cuDevicePrimaryCtxReset", (void (*)(void)) fake_reset},
        {"cuStreamQuery", (void (*)(void)) fake_query},
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
    return cudaSuccess;
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

static void hold(void)
{
    void *context = NULL;
    svr_error err = {0};

    CHECK_OK(svr_cuda_retain_primary(DEVICE, &context, &err), err);
    CHECK(context == &fake.primary && fake.active);
}

/* The runtime's own hold, from its first call until the process ends. */
static void use_runtime(void)
{
    CUcontext context;

    (void) fake_retain(&context, DEVICE);
}

static int resets(void)
{
    return fake.runtime_resets + fake.driver_resets;
}

static void test_a_healthy_context_stays(void)
{
    fake_init();
    hold();
    use_runtime();
    svr_cuda_release_primary(DEVICE);
    CHECK(fake.active && fake.holds == 1 && resets() == 0 && fake.depth == 0);
}

static void test_without_the_runtime_it_goes(void)
{
    fake_init();
    hold();
    fake.lost = true;
    svr_cuda_release_primary(DEVICE);
    CHECK(!fake.active && fake.holds == 0 && resets() == 0);
}

static void check_last_hold_resets(bool reset_drops_holds)
{
    fake_init();
    fake.reset_drops_holds = reset_drops_holds;
    hold();
    hold();
    use_runtime();
    fake.lost = true;
    svr_cuda_release_primary(DEVICE);
    CHECK(fake.lost && resets() == 0);
    svr_cuda_release_primary(DEVICE);
    CHECK(!fake.lost && !fake.active && fake.depth == 0);
    CHECK(fake.runtime_resets == 1 && fake.driver_resets == 0);
    CHECK(fake.holds == (reset_drops_holds ? 0 : 1));

    /* none of the old holds is taken from the new context */
    hold();
    CHECK(fake.releases == 1 && !fake.lost);
    use_runtime();
    svr_cuda_release_primary(DEVICE);
    CHECK(fake.active && fake.runtime_resets == 1);
}

static void test_the_last_hold_of_a_lost_one_resets(void)
{
    check_last_hold_resets(false);
    check_last_hold_resets(true);
}

/* Whatever the lost context still allows. */
static void test_reset_by_the_driver(void)
{
    fake_init();
    hold();
    use_runtime();
    fake.lost = true;
    fake.push = CUDA_ERROR_LAUNCH_FAILED;
    svr_cuda_release_primary(DEVICE);
    CHECK(!fake.active && fake.runtime_resets == 0 && fake.driver_resets == 1);

    fake_init();
    hold();
    use_runtime();
    fake.lost = true;
    fake.reset = cudaErrorIllegalAddress;
    svr_cuda_release_primary(DEVICE);
    CHECK(!fake.active && fake.runtime_resets == 1 && fake.driver_resets == 1);
    CHECK(fake.depth == 0);
}

static void test_other_answers_are_no_loss(void)
{
    static const CUresult answers[] = {CUDA_ERROR_NOT_READY, CUDA_ERROR_OUT_OF_MEMORY,
                                       CUDA_ERROR_INVALID_VALUE};

    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        fake_init();
        hold();
        use_runtime();
        fake.lost = true;
        fake.query = answers[i];
        svr_cuda_release_primary(DEVICE);
        CHECK(fake.active && resets() == 0);
    }
}

/* Backends and svr_cuda_retain_primary() are counted together. */
static void test_a_backend_is_a_holder(void)
{
    svr_cuda_options options = {.device = DEVICE};
    svr_cuda_context c;
    svr_error err = {0};

    fake_init();
    CHECK_OK(svr_cuda_context_open(&c, &options, &err), err);
    CHECK(c.primary && c.handle == (CUcontext) (void *) &fake.primary);
    hold();
    use_runtime();
    fake.lost = true;
    svr_cuda_release_primary(DEVICE);
    CHECK(fake.lost && resets() == 0);
    svr_cuda_context_close(&c);
    CHECK(!fake.lost && fake.runtime_resets == 1);
}

static void test_a_given_context_is_never_reset(void)
{
    svr_cuda_options options = {.device = DEVICE, .context = &fake.given};
    svr_cuda_context c;
    svr_error err = {0};

    fake_init();
    use_runtime();
    CHECK_OK(svr_cuda_context_open(&c, &options, &err), err);
    CHECK(!c.primary && c.device == DEVICE);
    fake.lost = true;
    svr_cuda_context_close(&c);
    CHECK(resets() == 0 && fake.releases == 0 && fake.depth == 0);
}

/* An element hands its held primary context to the engine: the hold is the element's. */
static void test_a_given_primary_context_is_its_holders(void)
{
    svr_cuda_options options = {.device = DEVICE, .context = &fake.primary};
    svr_cuda_context c;
    svr_error err = {0};

    fake_init();
    hold();
    use_runtime();
    CHECK_OK(svr_cuda_context_open(&c, &options, &err), err);
    fake.lost = true;
    svr_cuda_context_close(&c);
    CHECK(fake.lost && resets() == 0);
    svr_cuda_release_primary(DEVICE);
    CHECK(!fake.lost && fake.runtime_resets == 1);
}

static void test_texts(void)
{
    svr_error err = {0};

    CHECK(svr_cuda_check(cudaErrorLaunchFailure, "copy", &err) == SVR_ERR_DEVICE);
    CHECK_TEXT(err.text, "copy failed, the CUDA context is lost (made up): set all pipelines");
    CHECK_TEXT(err.text, "another element made it");
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
    RUN(test_a_healthy_context_stays);
    RUN(test_without_the_runtime_it_goes);
    RUN(test_the_last_hold_of_a_lost_one_resets);
    RUN(test_reset_by_the_driver);
    RUN(test_other_answers_are_no_loss);
    RUN(test_a_backend_is_a_holder);
    RUN(test_a_given_context_is_never_reset);
    RUN(test_a_given_primary_context_is_its_holders);
    RUN(test_texts);
    return check_done();
}
