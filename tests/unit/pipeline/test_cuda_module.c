/* What reaches the CUDA module, on a fake one. */
#include "pipeline/cuda_module.h"

#include "check.h"
#include "fake_cuda.h"
#include "pipeline/backends.h"

#include <string.h>

static const char cache_folder[] = "cache";
static const char no_file[] = "/nowhere/model.safetensors";

/* Opens an upscaler as far as the backend: there is no model file. */
static void open_on(svr_backend_kind kind, int device, void *context, svr_error *err)
{
    svr_upscaler_options options;
    svr_upscaler *upscaler = NULL;

    svr_upscaler_options_init(&options);
    options.backend = kind;
    options.device = device;
    options.cuda_context = context;
    options.cache_folder = cache_folder;
    options.model_path = options.vae_path = no_file;
    svr_error_clear(err);
    CHECK(svr_upscaler_create(&options, &upscaler, err) != SVR_OK);
}

static void test_options_reach_the_module(void)
{
    fake_cuda *fake = fake_cuda_get();
    svr_error err = {0};
    int context, opened = fake->opened;

    open_on(SVR_BACKEND_CUDA, 1, &context, &err);
    CHECK_TEXT(err.text, no_file);
    CHECK(fake->opened == opened + 1);
    CHECK(fake->options.device == 1 && fake->options.context == &context);
    CHECK(fake->options.cache_folder == cache_folder);
    CHECK(fake->options.dnn == SVR_CUDA_DNN_MEASURED && fake->options.highest_capability == 0);
    open_on(SVR_BACKEND_AUTO, 0, NULL, &err);
    CHECK(fake->opened == opened + 2);
    CHECK(fake->options.device == 0 && fake->options.context == NULL);
}

static void test_defaults_are_any_device_and_no_context(void)
{
    svr_upscaler_options options;
    svr_cuda_options cuda = SVR_CUDA_OPTIONS_DEFAULT;

    svr_upscaler_options_init(&options);
    CHECK(options.device == -1 && options.cuda_context == NULL);
    CHECK(cuda.device == -1 && cuda.context == NULL);
    CHECK(options.cache_folder == NULL && cuda.cache_folder == NULL);
    CHECK(cuda.dnn == SVR_CUDA_DNN_MEASURED && cuda.highest_capability == 0);
}

static void test_the_cpu_does_not_ask_the_module(void)
{
    fake_cuda *fake = fake_cuda_get();
    svr_error err = {0};
    int context, opened = fake->opened;

    open_on(SVR_BACKEND_CPU, 1, &context, &err);
    CHECK_TEXT(err.text, no_file);
    CHECK(fake->opened == opened);
}

static void test_impossible_device(void)
{
    svr_error err = {0};

    open_on(SVR_BACKEND_CUDA, -2, NULL, &err);
    CHECK(err.code == SVR_ERR_INVALID);
    CHECK_TEXT(err.text, "device is -2");
}

static void test_no_device(void)
{
    fake_cuda *fake = fake_cuda_get();
    svr_backend *backend = NULL;
    svr_error err = {0};
    int found = 7;

    fake->devices = 0;
    CHECK(svr_backend_open(SVR_BACKEND_CUDA, 1, NULL, NULL, &backend, &err) == SVR_ERR_NO_DEVICE);
    svr_error_clear(&err);
    CHECK(svr_cuda_module_find_device(-1, &found, &err) == SVR_ERR_NO_DEVICE && found == 7);
    svr_error_clear(&err);
    CHECK_OK(svr_backend_open(SVR_BACKEND_AUTO, 1, NULL, NULL, &backend, &err), err);
    CHECK(strcmp(backend->name, "cpu") == 0);
    svr_backend_destroy(backend);
    fake->devices = FAKE_CUDA_DEVICES;
}

static void test_primary_contexts(void)
{
    fake_cuda *fake = fake_cuda_get();
    void *context = NULL;
    svr_error err = {0};
    int found = -1;

    CHECK_OK(svr_cuda_module_find_device(1, &found, &err), err);
    CHECK(found == 1);
    CHECK_OK(svr_cuda_module_retain_primary(1, &context, &err), err);
    CHECK(context == &fake->primary[1] && fake->retained[1] == 1);
    svr_cuda_module_release_primary(1);
    CHECK(fake->retained[1] == 0);
}

/* After a fault nothing can be opened, holds can still be given back, and AUTO does not compute on
 * the CPU instead. */
static void test_fault(void)
{
    fake_cuda *fake = fake_cuda_get();
    svr_backend *backend = NULL;
    void *context = NULL;
    svr_error err = {0};

    CHECK_OK(svr_cuda_module_retain_primary(1, &context, &err), err);
    fake->broken = true;
    CHECK(svr_backend_open(SVR_BACKEND_CUDA, 1, NULL, NULL, &backend, &err) == SVR_ERR_DEVICE);
    CHECK_TEXT(err.text, "restart the program");
    svr_error_clear(&err);
    CHECK(svr_backend_open(SVR_BACKEND_AUTO, 1, NULL, NULL, &backend, &err) == SVR_ERR_DEVICE);
    CHECK_TEXT(err.text, "restart the program");
    svr_error_clear(&err);
    svr_cuda_module_release_primary(1);
    CHECK(fake->retained[1] == 0);
    CHECK_FAILS(svr_cuda_module_retain_primary(1, &context, &err), SVR_ERR_DEVICE, err);
    CHECK(fake->retained[1] == 0 && backend == NULL);
    fake->broken = false;
}

int main(void)
{
    RUN(test_options_reach_the_module);
    RUN(test_defaults_are_any_device_and_no_context);
    RUN(test_the_cpu_does_not_ask_the_module);
    RUN(test_impossible_device);
    RUN(test_no_device);
    RUN(test_primary_contexts);
    RUN(test_fault);
    return check_done();
}
