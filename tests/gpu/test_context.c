/* The CUDA contexts that the engine works in, on a real GPU; exits 77 without one.
 *
 *     test_context MODEL_FOLDER [fault | fault-given]
 *
 * Each fault in a process of its own, which is of no use for CUDA afterwards.  Lines "seen: …" tell
 * what the driver did. */
#include "pipeline/cuda_module.h"

#include "check.h"
#include "driver.h"
#include "pipeline/backends.h"
#include "pipeline/upscaler.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SIDE = 64,
    FRAMES = 5,
    OUT_BYTES = 4 * SIDE * SIDE * 3,
    BLOCK = 1 << 20,
    ROUNDS = 4,
    MAY_STAY = 16 << 20 /* less than ROUNDS times the weights */
};

static const char *models;

static svr_backend *open_backend(int device, void *context)
{
    svr_cuda_options options = {.device = device, .context = context};
    svr_backend *backend = NULL;
    svr_error err = {0};

    CHECK_OK(svr_cuda_module_open(&options, NULL, &backend, &err), err);
    return backend;
}

/* Memory of the backend belongs to `owner` and takes what is copied to it, while `current` stays
 * current. */
static void check_backend(svr_backend *backend, const void *owner, const void *current)
{
    static char sent[BLOCK], received[BLOCK];
    void *block = NULL;
    svr_error err = {0};

    CHECK_OK(svr_backend_alloc(backend, SVR_MEM_STATE, BLOCK, &block, &err), err);
    CHECK(driver_current() == current);
    CHECK(driver_owner(block) == owner);
    memset(sent, 7, BLOCK);
    CHECK_OK(svr_backend_upload(backend, block, sent, BLOCK, &err), err);
    CHECK_OK(svr_backend_download(backend, received, block, BLOCK, &err), err);
    CHECK(memcmp(sent, received, BLOCK) == 0);
    CHECK_OK(svr_backend_synchronize(backend, &err), err);
    CHECK(svr_backend_memory(backend).device_total > 0);
    CHECK(driver_current() == current);
    svr_backend_free(backend, SVR_MEM_STATE, BLOCK, block);
    CHECK(driver_current() == current);
}

/* Before anything made a primary context. */
static void test_given_context_is_the_only_one(void)
{
    void *context = driver_context_create();
    svr_backend *backend;

    CHECK(!driver_primary_is_active());
    backend = open_backend(-1, context);
    CHECK(driver_current() == NULL);
    check_backend(backend, context, NULL);
    svr_backend_destroy(backend);
    CHECK(driver_current() == NULL);
    CHECK(!driver_primary_is_active());
    driver_context_destroy(context);
}

static void test_finding_a_device_makes_no_context(void)
{
    svr_error err = {0};
    int found = -1;

    CHECK_OK(svr_cuda_module_find_device(-1, &found, &err), err);
    CHECK(found >= 0);
    CHECK(driver_current() == NULL && !driver_primary_is_active());
}

/* Pulls everything behind a drain. */
static void pull_all(svr_upscaler *upscaler, const svr_video_info *out, uint8_t *pixels)
{
    svr_error err = {0};

    CHECK_OK(svr_upscaler_drain(upscaler, &err), err);
    for (int i = 0; i < FRAMES; i++) {
        svr_frame frame = svr_frame_packed(out, pixels + (size_t) i * OUT_BYTES);
        bool got = false;

        CHECK_OK(svr_upscaler_pull(upscaler, &frame, true, &got, &err), err);
        CHECK(got);
    }
}

static svr_upscaler *open_upscaler(void *context, char paths[2][1024])
{
    svr_upscaler_options options;
    svr_upscaler *upscaler = NULL;
    svr_error err = {0};

    svr_upscaler_options_init(&options);
    snprintf(paths[0], 1024, "%s/nano_dit.safetensors", models);
    snprintf(paths[1], 1024, "%s/nano_vae.safetensors", models);
    options.backend = SVR_BACKEND_CUDA;
    options.model_path = paths[0];
    options.vae_path = paths[1];
    options.cuda_context = context;
    CHECK_OK(svr_upscaler_create(&options, &upscaler, &err), err);
    return upscaler;
}

/* A whole batch through the networks. */
static void upscale(void *context, uint8_t *pixels)
{
    static uint8_t in[SIDE * SIDE * 3];
    char paths[2][1024];
    svr_upscaler *upscaler = open_upscaler(context, paths);
    svr_stream_config config;
    svr_error err = {0};

    svr_stream_config_init(&config);
    config.in = (svr_video_info){.format = SVR_PIXEL_RGB, .width = SIDE, .height = SIDE};
    config.out = (svr_video_info){.format = SVR_PIXEL_RGB, .width = 2 * SIDE, .height = 2 * SIDE};
    config.batch_size = FRAMES;
    CHECK_OK(svr_upscaler_configure(upscaler, &config, &err), err);
    for (int i = 0; i < FRAMES; i++) {
        svr_frame frame;

        for (size_t j = 0; j < sizeof in; j++)
            in[j] = (uint8_t) (j * 7 + (size_t) i * 31);
        frame = svr_frame_packed(&config.in, in);
        CHECK_OK(svr_upscaler_push(upscaler, &frame, &err), err);
    }
    pull_all(upscaler, &config.out, pixels);
    svr_upscaler_destroy(upscaler);
    CHECK(driver_current() == NULL);
}

static void test_networks_run_in_a_given_context(void)
{
    void *context = driver_context_create();
    uint8_t *given = calloc(FRAMES, OUT_BYTES), *primary = calloc(FRAMES, OUT_BYTES);

    CHECK(given && primary);
    upscale(context, given);
    CHECK(!driver_primary_is_active());
    driver_context_destroy(context);
    upscale(NULL, primary);
    CHECK(memcmp(given, primary, (size_t) FRAMES * OUT_BYTES) == 0);
    CHECK(given[0] != given[OUT_BYTES - 1] || given[1] != given[OUT_BYTES / 2]);
    free(given);
    free(primary);
}

/* The context itself stays, with the code that the first use loads: the runtime holds it. */
static void test_memory_in_the_primary_context_comes_back(void)
{
    uint8_t *pixels = calloc(FRAMES, OUT_BYTES);
    uint64_t before, first, last;

    CHECK(pixels);
    before = driver_free_bytes();
    upscale(NULL, pixels);
    first = driver_free_bytes();
    for (int i = 0; i < ROUNDS; i++)
        upscale(NULL, pixels);
    last = driver_free_bytes();
    printf("seen: free KiB with a primary context %llu, after one use %llu, after %d more %llu; "
           "the context is %s\n",
           (unsigned long long) before >> 10, (unsigned long long) first >> 10, ROUNDS,
           (unsigned long long) last >> 10, driver_primary_is_active() ? "still there" : "gone");
    CHECK(last + MAY_STAY >= first);
    free(pixels);
}

/* Another context that is current is neither used nor lost. */
static void test_current_context_is_left_alone(void)
{
    void *other = driver_context_create(), *primary = NULL;
    svr_backend *backend;
    svr_error err = {0};

    CHECK_OK(svr_cuda_module_retain_primary(0, &primary, &err), err);
    driver_set_current(other);
    backend = open_backend(-1, NULL);
    CHECK(driver_current() == other);
    check_backend(backend, primary, other);
    svr_backend_destroy(backend);
    CHECK(driver_current() == other);
    driver_set_current(NULL);
    svr_cuda_module_release_primary(0);
    driver_context_destroy(other);
}

static void *use_elsewhere(void *user)
{
    void **arguments = user;

    check_backend(arguments[0], arguments[1], NULL);
    svr_backend_destroy(arguments[0]);
    return NULL;
}

static void test_other_threads(void)
{
    void *context = driver_context_create();
    void *arguments[2] = {open_backend(-1, context), context};
    pthread_t thread;

    CHECK(pthread_create(&thread, NULL, use_elsewhere, arguments) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    driver_context_destroy(context);
}

static void test_refusals(void)
{
    void *context = driver_context_create();
    svr_cuda_options options = {.device = 1, .context = context};
    svr_backend *backend = NULL;
    svr_error err = {0};
    int found;

    CHECK(svr_cuda_module_open(&options, NULL, &backend, &err) == SVR_ERR_INVALID);
    CHECK_TEXT(err.text, "context is of GPU 0, but GPU 1");
    svr_error_clear(&err);
    CHECK(svr_cuda_module_find_device(99, &found, &err) == SVR_ERR_NO_DEVICE);
    CHECK_TEXT(err.text, "no GPU 99");
    driver_context_destroy(context);
}

static void check_refused(svr_status status, svr_error *err, const char *what)
{
    printf("seen: %s: %s\n", what, status == SVR_OK ? "works" : err->text);
    CHECK(status == SVR_ERR_DEVICE);
    CHECK_TEXT(err->text, "context is lost");
    CHECK_TEXT(err->text, "restart the program");
    svr_error_clear(err);
}

/* Another backend, from a caller who insists on the GPU and from one who does not. */
static void check_refuses_another(const svr_cuda_options *options)
{
    svr_backend *backend = NULL;
    svr_error err = {0};

    check_refused(svr_backend_open(SVR_BACKEND_CUDA, 1, options, NULL, &backend, &err), &err,
                  "opening a backend");
    check_refused(svr_backend_open(SVR_BACKEND_AUTO, 1, options, NULL, &backend, &err), &err,
                  "opening any backend");
    CHECK(backend == NULL);
}

/* Everything in a lost context fails, and says what to do. */
static void check_lost(svr_backend *backend, const svr_cuda_options *options)
{
    void *block = NULL;
    svr_error err = {0};

    check_refused(svr_backend_synchronize(backend, &err), &err, "waiting");
    check_refused(svr_backend_alloc(backend, SVR_MEM_STATE, BLOCK, &block, &err), &err, "memory");
    check_refuses_another(options);
}

/* The loss is for good: giving everything up works, and does not bring the GPU back. */
static void test_fault_in_the_primary_context(void)
{
    static const svr_cuda_options options = {.device = 0};
    svr_backend *backend = open_backend(0, NULL);
    void *primary = NULL;
    svr_error err = {0};

    CHECK_OK(svr_cuda_module_retain_primary(0, &primary, &err), err);
    check_backend(backend, primary, NULL);
    CHECK(driver_break(primary));
    check_lost(backend, &options);
    svr_backend_destroy(backend);
    check_refuses_another(&options);
    svr_cuda_module_release_primary(0);
    printf("seen: after the last holder the context is %s\n",
           driver_primary_is_active() ? "active" : "inactive");
    check_refuses_another(&options);
}

/* The driver takes the primary context from the process, too. */
static void test_fault_in_a_given_context(void)
{
    void *context = driver_context_create(), *primary = NULL;
    svr_cuda_options options = {.device = -1, .context = context};
    svr_backend *given = open_backend(-1, context), *other = open_backend(0, NULL);
    svr_error err = {0};

    CHECK_OK(svr_cuda_module_retain_primary(0, &primary, &err), err);
    CHECK(driver_break(context));
    check_lost(given, &options);
    svr_backend_destroy(given);
    printf("seen: beside the lost context the primary one gives error %d\n", driver_try(primary));
    driver_context_destroy(context);
    svr_backend_destroy(other);
    svr_cuda_module_release_primary(0);
    options.context = NULL;
    check_refuses_another(&options);
}

int main(int argc, char **argv)
{
    const char *fault = argc == 3 ? argv[2] : "";

    if (argc != 2 && strcmp(fault, "fault") != 0 && strcmp(fault, "fault-given") != 0) {
        fprintf(stderr, "usage: test_context MODEL_FOLDER [fault | fault-given]\n");
        return 2;
    }
    models = argv[1];
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!driver_open()) {
        printf("skipped: no NVIDIA GPU\n");
        return CHECK_SKIP;
    }
    if (strcmp(fault, "fault") == 0) {
        RUN(test_fault_in_the_primary_context);
    } else if (strcmp(fault, "fault-given") == 0) {
        RUN(test_fault_in_a_given_context);
    } else {
        RUN(test_given_context_is_the_only_one);
        RUN(test_finding_a_device_makes_no_context);
        RUN(test_networks_run_in_a_given_context);
        RUN(test_memory_in_the_primary_context_comes_back);
        RUN(test_current_context_is_left_alone);
        RUN(test_other_threads);
        RUN(test_refusals);
    }
    return check_done();
}
