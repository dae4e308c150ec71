/* Chunks of tokens and guidance: what they save, and that they change nothing. */
#include "generated.h"

#include "check.h"
#include "dit/sampler.h"

#include <stdlib.h>
#include <string.h>

static void check_chunks(const svr_dit_config *config, svr_dtype storage)
{
    static const int64_t chunks[] = {1, 2, 7, 50, 110, 161, 162, 1000};
    generated_model m;

    generated_open(&m, config, storage);
    float *want = generated_run(&m);
    for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
        svr_dit_set_token_chunk(m.network.dit, chunks[i]);
        float *got = generated_run(&m);
        CHECK(memcmp(got, want, GENERATED_PIXELS * 16 * sizeof(float)) == 0);
        free(got);
    }
    free(want);
    generated_close(&m);
}

static void test_chunks_change_nothing(void)
{
    svr_dit_config small = generated_config(SVR_MODEL_DIT_3B, 1);
    svr_dit_config big = generated_config(SVR_MODEL_DIT_7B, 3);

    check_chunks(&small, SVR_F32);
    check_chunks(&small, SVR_F16);
    check_chunks(&big, SVR_F32);
    check_chunks(&big, SVR_BF16);
    /* many windows of different sizes */
    small.windows[1] = small.windows[2] = big.windows[1] = big.windows[2] = 20;
    check_chunks(&small, SVR_BF16);
    check_chunks(&big, SVR_F16);
    /* wide enough for a library that multiplies in its own ways */
    small.dim = 1024;
    small.layers = 2;
    check_chunks(&small, SVR_F32);
}

/* Scratch memory of a run in `chunk` on the device, less what the input takes. */
static size_t peak_of_run(const svr_dit_config *config, int64_t chunk)
{
    generated_model m;

    generated_open(&m, config, SVR_F16);
    size_t before = svr_scratch_peak(m.device.scratch);
    svr_dit_set_token_chunk(m.network.dit, chunk);
    free(generated_run(&m));
    size_t peak = svr_scratch_peak(m.device.scratch) - before;
    generated_close(&m);
    return peak;
}

/* The same for a generated_latent of any length, by counting. */
static size_t peak_by_counting(const svr_dit_config *config, int64_t chunk, int frames)
{
    svr_error err = {0};
    generated_model m;
    const int size[3] = {frames, generated_latent[1], generated_latent[2]};
    const int64_t dims[] = {frames, generated_latent[1], generated_latent[2], 16};

    generated_open(&m, config, SVR_F16);
    svr_dit_geometry_destroy(m.geometry);
    svr_backend *counting = svr_counting_backend_create(m.device.backend);
    svr_exec exec = {.backend = counting, .scratch = svr_scratch_create_counting()};
    CHECK(counting && exec.scratch);
    svr_dit_set_token_chunk(m.network.dit, chunk);
    CHECK_OK(
        svr_dit_geometry_create(counting, m.network.dit, size, GENERATED_TEXT, &m.geometry, &err),
        err);
    svr_dit_io io = {.condition = m.condition, .geometry = m.geometry};
    CHECK_OK(svr_exec_alloc(&exec, SVR_F16, 4, dims, &io.x_t, &err), err);
    CHECK_OK(svr_exec_alloc(&exec, SVR_F16, 4, dims, &io.cond, &err), err);
    CHECK_OK(svr_exec_alloc(&exec, SVR_F32, 4, dims, &io.v, &err), err);
    size_t before = svr_scratch_peak(exec.scratch);
    CHECK_OK(svr_dit_forward(&exec, m.network.dit, &io, &err), err);
    size_t peak = svr_scratch_peak(exec.scratch) - before;
    svr_scratch_destroy(exec.scratch);
    generated_close(&m);
    svr_backend_destroy(counting);
    return peak;
}

/* Smaller chunks take less memory, as much as was counted. */
static void test_chunks_save_memory(void)
{
    static const int64_t chunks[] = {0, 120, 60, 30, 8}; /* windows have 12 tokens and fewer */
    svr_dit_config config = generated_config(SVR_MODEL_DIT_7B, 3);
    size_t last = SIZE_MAX;

    config.windows[1] = config.windows[2] = 20;
    config.mlp_hidden = 512;
    for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
        size_t peak = peak_of_run(&config, chunks[i]);
        CHECK(peak < last);
        CHECK(peak == peak_by_counting(&config, chunks[i], generated_latent[0]));
        last = peak;
    }
}

/* Counting leaves out blocks like one before it with the same windows: regular and shifted ones
 * differ in sizes. */
static void test_blocks_counted_once(void)
{
    static const int windows[] = {9, 12, 16, 20, 30};

    for (int i = 0; i < 10; i++) {
        svr_dit_config config = generated_config(i % 2 ? SVR_MODEL_DIT_7B : SVR_MODEL_DIT_3B, 5);

        config.layers = 5;
        config.mlp_hidden = 16;
        config.windows[1] = config.windows[2] = windows[i / 2];
        CHECK(peak_of_run(&config, 30) == peak_by_counting(&config, 30, generated_latent[0]));
        CHECK(peak_of_run(&config, 8) == peak_by_counting(&config, 8, generated_latent[0]));
    }
}

/* In chunks, a longer film adds its residual stream and what is in front of and behind the blocks:
 * 128 features in halves, or 64 in floats. */
static void test_only_the_stream_grows(void)
{
    svr_dit_config config = generated_config(SVR_MODEL_DIT_3B, 1);

    config.windows[0] = 30; /* of one frame */
    size_t tokens = 54 * 20, token = (size_t) config.dim * 4 + 256;
    size_t chunked = peak_by_counting(&config, 54, 24) - peak_by_counting(&config, 54, 4);
    size_t whole = peak_by_counting(&config, 0, 24) - peak_by_counting(&config, 0, 4);

    CHECK(chunked <= tokens * token + 4096);
    CHECK(whole > 4 * tokens * token);
}

/* The model as a velocity for the sampler; both texts are the same here. */
typedef struct velocity {
    generated_model *model;
    svr_dit_io io;
    int positive, negative; /* calls */
} velocity;

static svr_status predict(void *user, svr_exec *exec, const svr_prediction *p, svr_error *err)
{
    velocity *v = user;

    v->io.x_t = *p->x_t;
    v->io.v = *p->v;
    v->positive += !p->negative;
    v->negative += p->negative;
    return svr_dit_forward(exec, v->model->network.dit, &v->io, err);
}

/* Scratch memory on the device for two steps with this config, by counting. */
static size_t peak_of_steps(generated_model *m, const svr_sampler_config *config)
{
    svr_error err = {0};
    velocity v = {.model = m, .io = m->io};
    svr_predictor predictor = {&v, predict};
    svr_backend *counting = svr_counting_backend_create(m->device.backend);
    svr_exec exec = {.backend = counting,
                     .scratch = svr_scratch_create_counting(),
                     .host = svr_scratch_create_counting()};
    svr_tensor x;

    CHECK(counting && exec.scratch && exec.host);
    CHECK_OK(svr_exec_alloc(&exec, SVR_F16, 4, m->io.x_t.dims, &x, &err), err);
    CHECK_OK(svr_sampler_run(&exec, config, &predictor, &x, &err), err);
    size_t peak = svr_scratch_peak(exec.scratch);
    CHECK(v.positive == 2 && v.negative == (config->cfg_scale == 1.0 ? 0 : 2));
    svr_scratch_destroy(exec.scratch);
    svr_scratch_destroy(exec.host);
    svr_backend_destroy(counting);
    return peak;
}

/* Guidance costs one velocity on the device, or nothing. */
static void test_memory_of_guidance(void)
{
    svr_dit_config config = generated_config(SVR_MODEL_DIT_3B, 1);
    svr_sampler_config sampler = {.steps = 2, .cfg_scale = 1.0, .cfg_partial = 1.0};
    generated_model m;

    generated_open(&m, &config, SVR_F16);
    for (int64_t chunk = 0; chunk <= 60; chunk += 60) {
        svr_dit_set_token_chunk(m.network.dit, chunk);
        sampler.cfg_scale = 1.0;
        sampler.park_on_host = false;
        size_t plain = peak_of_steps(&m, &sampler);
        sampler.cfg_scale = 6.5;
        size_t guided = peak_of_steps(&m, &sampler);
        sampler.park_on_host = true;
        size_t parked = peak_of_steps(&m, &sampler);
        CHECK(guided - plain == GENERATED_PIXELS * 16 * sizeof(float));
        CHECK(parked == plain);
    }
    generated_close(&m);
}

int main(void)
{
    RUN(test_chunks_change_nothing);
    RUN(test_chunks_save_memory);
    RUN(test_blocks_counted_once);
    RUN(test_only_the_stream_grows);
    RUN(test_memory_of_guidance);
    return check_done();
}
