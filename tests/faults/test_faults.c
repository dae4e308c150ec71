/* test_faults cpu|cuda MODELS: the public API with the nano model while device memory runs out:
 * at every n-th allocation in turn, and because another process takes it.
 *
 * Not injected: failures of pinned host memory, streams and events while a backend is opened; the
 * CUDA runtime offers no way to make them fail.
 *
 * test_faults hog: that other process.  Takes nearly all device memory, says so on standard output,
 * and gives it back at the end of its standard input. */
#include "faulty_backend.h"
#include "hog.h"

#include "pipeline/backends.h"
#include "pipeline/upscaler_internal.h"

#include "check.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    DEVICE_SLACK = 16 << 20,  /* for what a driver keeps of its own */
    HOST_SLACK = 64 << 10,    /* caches of the C library */
    DRIVER_SLACK = 960 << 10, /* and of a GPU's driver */
    FRAMES = 5,
    PATH_BYTES = 1024
};

static svr_backend *device;  /* all runs work on it, each through a faulty backend of its own */
static svr_status no_memory; /* how `device` says that it is full */
static char model_path[PATH_BYTES], vae_path[PATH_BYTES];
static fault_plan plan;

/* ------------------------------------------------------------------ memory */

static uint64_t device_free(void)
{
    return svr_backend_memory(device).device_free;
}

/* Bytes that the program holds; 0 under a sanitizer. */
static uint64_t host_used(void)
{
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

static void check_device_is_back(uint64_t before)
{
    uint64_t now = device_free();

    if (now + DEVICE_SLACK < before)
        fprintf(stderr, "%" PRIu64 " MiB of device memory were free, now %" PRIu64 "\n",
                before >> 20, now >> 20);
    CHECK(now + DEVICE_SLACK >= before);
}

/* One line that names bytes, on a GPU what is free of them. */
static void check_error(svr_status status, const svr_error *err)
{
    CHECK(status == no_memory && err->code == no_memory);
    CHECK(strchr(err->text, '\n') == NULL);
    CHECK_TEXT(err->text, no_memory == SVR_ERR_NO_VRAM ? " MiB are free" : " bytes");
}

/* ------------------------------------------------------------------ a stream */

static svr_stream_config stream_of(int width, int height, int batch)
{
    svr_stream_config c;

    svr_stream_config_init(&c);
    c.in = (svr_video_info){.format = SVR_PIXEL_RGB, .width = width / 2, .height = height / 2};
    c.out = (svr_video_info){.format = SVR_PIXEL_RGB, .width = width, .height = height};
    c.batch_size = batch;
    return c;
}

static svr_status open_upscaler(svr_upscaler **out, svr_error *err)
{
    svr_backend *backend = faulty_backend_create(device, &plan);
    svr_upscaler_options options;

    CHECK(backend != NULL);
    *out = NULL;
    svr_upscaler_options_init(&options);
    options.model_path = model_path;
    options.vae_path = vae_path;
    return svr_upscaler_create_on(backend, &options, out, err);
}

static svr_status push_all(svr_upscaler *u, const svr_stream_config *c, svr_error *err)
{
    size_t bytes = svr_frame_bytes(&c->in);
    uint8_t *data = malloc(bytes);
    svr_status status = SVR_OK;

    CHECK(data != NULL);
    for (int f = 0; f < FRAMES && status == SVR_OK; f++) {
        svr_frame frame = svr_frame_packed(&c->in, data);

        for (size_t i = 0; i < bytes; i++)
            data[i] = (uint8_t) (i * 7 + i / 100 + (size_t) f * 5);
        status = svr_upscaler_push(u, &frame, err);
    }
    free(data);
    return status == SVR_OK ? svr_upscaler_drain(u, err) : status;
}

/* FRAMES frames through a configured upscaler; `out` gets them. */
static svr_status run_frames(svr_upscaler *u, const svr_stream_config *c, uint8_t *out,
                             svr_error *err)
{
    size_t bytes = svr_frame_bytes(&c->out);
    bool got;

    SVR_TRY(push_all(u, c, err));
    for (int f = 0; f < FRAMES; f++) {
        svr_frame frame = svr_frame_packed(&c->out, out + (size_t) f * bytes);

        SVR_TRY(svr_upscaler_pull(u, &frame, true, &got, err));
        CHECK(got);
    }
    return SVR_OK;
}

static svr_status compute(svr_upscaler *u, const svr_stream_config *c, uint8_t *out, svr_error *err)
{
    SVR_TRY(svr_upscaler_configure(u, c, err));
    return run_frames(u, c, out, err);
}

static uint8_t *new_frames(const svr_stream_config *c)
{
    uint8_t *frames = malloc(FRAMES * svr_frame_bytes(&c->out));

    CHECK(frames != NULL);
    return frames;
}

static void check_same(const svr_stream_config *c, const uint8_t *a, const uint8_t *b)
{
    CHECK(memcmp(a, b, FRAMES * svr_frame_bytes(&c->out)) == 0);
}

/* Ends a run: nothing of it is left. */
static void close_upscaler(svr_upscaler *u)
{
    uint64_t destroyed = plan.destroyed;

    svr_upscaler_destroy(u);
    CHECK(plan.destroyed == destroyed + 1 && plan.left == 0);
}

/* ------------------------------------------------------------------ every n-th allocation */

/* A whole run with every n-th allocation failing; false when it got through without a failure.
 * recover: the same upscaler then has to do the work without failures. */
static bool run_with_failures(uint64_t every, bool recover, const svr_stream_config *c,
                              const uint8_t *want)
{
    svr_error err = {.code = SVR_OK};
    uint8_t *got = new_frames(c);
    svr_upscaler *u = NULL;
    svr_status status;
    bool failed;

    plan = (fault_plan){.every = every};
    status = open_upscaler(&u, &err);
    if (status == SVR_OK)
        status = compute(u, c, got, &err);
    failed = plan.failed > 0;
    if (failed)
        check_error(status, &err);
    else
        CHECK_OK(status, err);
    svr_error_clear(&err);
    if (failed && recover && u) {
        plan.every = 0;
        svr_upscaler_reset(u);
        CHECK_OK(compute(u, c, got, &err), err);
    }
    if (!failed || (recover && u))
        check_same(c, got, want);
    if (u)
        close_upscaler(u);
    CHECK(plan.destroyed == 1 && plan.left == 0);
    free(got);
    return failed;
}

/* The frames of a run without failures. */
static uint8_t *run_without_failures(const svr_stream_config *c)
{
    svr_error err = {.code = SVR_OK};
    uint8_t *frames = new_frames(c);
    svr_upscaler *u;

    plan = (fault_plan){0};
    CHECK_OK(open_upscaler(&u, &err), err);
    CHECK_OK(compute(u, c, frames, &err), err);
    close_upscaler(u);
    return frames;
}

/* How many allocations failed in turn until a run got through. */
static uint64_t sweep(const svr_stream_config *c, const uint8_t *want)
{
    uint64_t free_before = device_free(), n;

    for (n = 1; run_with_failures(n, false, c, want); n++) {
        CHECK(run_with_failures(n, true, c, want));
        check_device_is_back(free_before);
        CHECK(n < 1000);
    }
    return n - 1;
}

static void test_every_nth_allocation(void)
{
    uint64_t slack = HOST_SLACK + (no_memory == SVR_ERR_NO_VRAM ? DRIVER_SLACK : 0);
    svr_stream_config c = stream_of(64, 48, FRAMES);
    uint8_t *want = run_without_failures(&c);
    uint64_t count = sweep(&c, want), used = host_used();

    /* weights, constants, tables, scratch, frames */
    CHECK(count >= 10);
    /* the first time fills the caches of libraries */
    CHECK(sweep(&c, want) == count);
    CHECK(host_used() <= used + slack);
    printf("%" PRIu64 " allocations failed in turn\n", count);
    free(want);
}

/* ------------------------------------------------------------------ another process */

static void await_device_memory(uint64_t wanted)
{
    for (int i = 0; i < 200 && device_free() + DEVICE_SLACK < wanted; i++)
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    check_device_is_back(wanted);
}

/* Refused by the plan, which sees what is left, and where a budget promises more, by the first
 * allocation that finds no room. */
static void test_memory_taken_before_configure(void)
{
    static const char *const says[] = {"the smallest vram-budget that works is ",
                                       "batch-size 21 needs "};
    svr_stream_config small = stream_of(64, 48, FRAMES), large = stream_of(1280, 720, 21);
    uint8_t *frames = new_frames(&large);
    svr_error err = {.code = SVR_OK};
    uint64_t free_before;
    svr_upscaler *u;
    hog h;

    plan = (fault_plan){0};
    CHECK_OK(open_upscaler(&u, &err), err);
    CHECK_OK(svr_upscaler_configure(u, &small, &err), err);
    free_before = device_free();
    hog_start(&h);
    for (int given = 0; given < 2; given++) {
        large.memory.budget = given ? free_before : 0;
        svr_status status = svr_upscaler_configure(u, &large, &err);
        check_error(status, &err);
        CHECK_TEXT(err.text, says[given]);
        printf("%s\n", err.text);
        svr_error_clear(&err);
    }
    hog_end(&h);
    await_device_memory(free_before);
    CHECK_OK(compute(u, &large, frames, &err), err);
    close_upscaler(u);
    free(frames);
}

/* What a stream needs it holds from configure on, so there is nothing to take between that and its
 * frames. */
static void test_memory_taken_behind_configure(void)
{
    svr_stream_config c = stream_of(64, 48, FRAMES);
    uint8_t *want = run_without_failures(&c), *got = new_frames(&c);
    svr_error err = {.code = SVR_OK};
    uint64_t free_before = device_free();
    svr_upscaler *u;
    hog h;

    plan = (fault_plan){0};
    CHECK_OK(open_upscaler(&u, &err), err);
    CHECK_OK(svr_upscaler_configure(u, &c, &err), err);
    hog_start(&h);
    CHECK_OK(run_frames(u, &c, got, &err), err);
    check_same(&c, got, want);
    hog_end(&h);
    close_upscaler(u);
    await_device_memory(free_before);
    free(want);
    free(got);
}

/* ------------------------------------------------------------------ backends */

static void test_opening_and_closing(void)
{
    svr_error err = {.code = SVR_OK};
    uint64_t free_before = 0;

    for (int i = 0; i < 4; i++) {
        svr_backend *other = NULL;

        CHECK_OK(svr_backend_open(SVR_BACKEND_CUDA, 0, NULL, NULL, &other, &err), err);
        svr_backend_destroy(other);
        if (i == 0)
            free_before = device_free();
        check_device_is_back(free_before);
    }
}

/* ------------------------------------------------------------------ main */

static int run_tests(const char *backend, const char *models)
{
    bool cuda = strcmp(backend, "cuda") == 0;
    svr_error err = {.code = SVR_OK};
    svr_status status =
        svr_backend_open(cuda ? SVR_BACKEND_CUDA : SVR_BACKEND_CPU, 1, NULL, NULL, &device, &err);

    if (status == SVR_ERR_NO_DEVICE) {
        printf("skipped: %s\n", err.text);
        return CHECK_SKIP;
    }
    CHECK_OK(status, err);
    no_memory = cuda ? SVR_ERR_NO_VRAM : SVR_ERR_NO_MEM;
    snprintf(model_path, sizeof model_path, "%s/nano_dit.safetensors", models);
    snprintf(vae_path, sizeof vae_path, "%s/nano_vae.safetensors", models);
    RUN(test_every_nth_allocation);
    if (cuda) {
        RUN(test_memory_taken_before_configure);
        RUN(test_memory_taken_behind_configure);
        RUN(test_opening_and_closing);
    }
    svr_backend_destroy(device);
    return check_done();
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "hog") == 0)
        return hog_main();
    if (argc != 3) {
        fprintf(stderr, "test_faults cpu|cuda MODELS\n");
        return 2;
    }
    return run_tests(argv[1], argv[2]);
}
