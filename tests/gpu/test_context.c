/* The CUDA contexts that the engine works in, on a real GPU; exits 77 without one.
 *
 *     test_context MODEL_FOLDER [fault | fault-given]
 *
 * Each fault in a process of its own, since what it leaves is the driver's.  Lines "seen: …" tell
 * what the driver did where that is not ours to decide. */
#include "pipeline/cuda_module.h"

#include "check.h"
#include "driver.h"
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

/* Everything in a lost context fails, and says what to do. */
static void check_lost(svr_backend *backend, const svr_cuda_options *options)
{
    svr_backend *second = NULL;
    void *block = NULL;
    svr_error err = {0};

    CHECK(svr_backend_synchronize(backend, &err) == SVR_ERR_DEVICE);
    printf("seen: waiting: %s\n", err.text);
    CHECK_TEXT(err.text, "context is lost");
    svr_error_clear(&err);
    CHECK_FAILS(svr_backend_alloc(backend, SVR_MEM_STATE, BLOCK, &block, &err), SVR_ERR_DEVICE,
                err);
    CHECK(svr_cuda_module_open(options, NULL, &second, &err) == SVR_ERR_DEVICE);
    printf("seen: opening another backend: %s\n", err.text);
    CHECK_TEXT(err.text, "context is lost");
}

/* The last holder resets a lost primary context, and everything works again. */
static void lose_and_recover(const uint8_t *right)
{
    static const svr_cuda_options options = {.device = 0};
    uint8_t *pixels = calloc(FRAMES, OUT_BYTES);
    svr_backend *backend = open_backend(0, NULL);
    void *primary = NULL;
    svr_error err = {0};

    CHECK(pixels);
    CHECK_OK(svr_cuda_module_retain_primary(0, &primary, &err), err);
    check_backend(backend, primary, NULL);
    CHECK(driver_break(primary));
    check_lost(backend, &options);
    svr_backend_destroy(backend);
    printf("seen: with a holder left the context is %s and gives error %d\n",
           driver_primary_is_active() ? "active" : "inactive", driver_try(primary));
    CHECK(driver_try(primary) != 0);
    svr_cuda_module_release_primary(0);
    printf("seen: after the last holder it is %s\n",
           driver_primary_is_active() ? "active: no reset" : "inactive");

    CHECK_OK(svr_cuda_module_retain_primary(0, &primary, &err), err);
    printf("seen: the next primary context gives error %d\n", driver_try(primary));
    backend = open_backend(0, NULL);
    check_backend(backend, primary, NULL);
    svr_backend_destroy(backend);
    svr_cuda_module_release_primary(0);
    upscale(NULL, pixels);
    CHECK(memcmp(pixels, right, (size_t) FRAMES * OUT_BYTES) == 0);
    free(pixels);
}

static void test_fault_in_the_primary_context(void)
{
    uint8_t *right = calloc(FRAMES, OUT_BYTES);

    CHECK(right);
    upscale(NULL, right);
    lose_and_recover(right);
    lose_and_recover(right);
    free(right);
}

/* A hold that was taken before a reset, by somebody else, and is given back after it: whether that
 * ends the next context is the driver's affair, but ours does not do it. */
static void test_old_hold_of_another(void)
{
    void *old = driver_primary_retain(), *primary = NULL;
    svr_error err = {0};

    CHECK_OK(svr_cuda_module_retain_primary(0, &primary, &err), err);
    CHECK(driver_break(primary));
    svr_cuda_module_release_primary(0);
    CHECK_OK(svr_cuda_module_retain_primary(0, &primary, &err), err);
    CHECK(driver_try(primary) == 0);
    driver_primary_release();
    printf("seen: the address of the context is %s, and a hold from before the reset, given back, "
           "leaves it %s\n",
           old == primary ? "the same" : "another",
           driver_primary_is_active() ? "active" : "inactive");
    svr_cuda_module_release_primary(0);
}

/* A context that somebody else made stays lost; the primary one is not reset for it. */
static void test_fault_in_a_given_context(void)
{
    void *context = driver_context_create(), *primary = NULL;
    svr_cuda_options options = {.device = -1, .context = context};
    svr_backend *given = open_backend(-1, context), *other = open_backend(0, NULL);
    svr_backend *last = NULL;
    svr_error err = {0};

    CHECK_OK(svr_cuda_module_retain_primary(0, &primary, &err), err);
    CHECK(driver_break(context));
    check_lost(given, &options);
    svr_backend_destroy(given);
    CHECK(driver_try(context) != 0);
    CHECK(driver_primary_is_active());
    printf("seen: beside the lost context the primary one gives error %d\n", driver_try(primary));
    driver_context_destroy(context);
    svr_backend_destroy(other);
    svr_cuda_module_release_primary(0);
    options.context = NULL;
    (void) !svr_cuda_module_open(&options, NULL, &last, &err);
    printf("seen: afterwards a backend in the primary context: %s\n", last ? "works" : err.text);
    svr_backend_destroy(last);
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
        RUN(test_old_hold_of_another);
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
