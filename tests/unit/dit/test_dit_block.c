/* Single blocks, chunks, and what happens when something is wrong.
 *   test_dit_block DATA_DIR */
#include "fixture.h"

#include "base/cancel.h"
#include "check.h"
#include "cpu/cpu_backend.h"
#include "dit/sampler.h"
#include "random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *data_dir;

/* ---------------------------------------------------------------------------- one block */

/* What a block gets or leaves: golden tensor of `layer` (-1: in front of the first). */
static svr_tensor golden_stream(device *d, const golden_case *c, int layer, const char *stream,
                                int64_t dim)
{
    char name[64];
    size_t count;

    snprintf(name, sizeof(name), "block%d.%s", layer, stream);
    if (layer < 0)
        snprintf(name, sizeof(name), "%s", stream[0] == 'v' ? "patch_in" : "txt_in");
    float *values = golden_floats(c->file, name, &count);
    svr_tensor tensor = device_tensor(d, SVR_F32, SVR_DIMS((int64_t) count / dim, dim), values);
    free(values);
    return tensor;
}

static void check_stream(device *d, const golden_case *c, int layer, const char *stream,
                         const svr_tensor *value)
{
    char name[64];
    size_t count;

    snprintf(name, sizeof(name), "block%d.%s", layer, stream);
    float *got = device_floats(d, value), *want = golden_floats(c->file, name, &count);
    golden_error error = golden_compare(got, want, count);
    CHECK(error.max <= 5e-5 && error.rel_l2 <= 5e-6);
    free(want);
    free(got);
}

/* Some blocks, with nothing else in the store, from the golden result of the one before. */
static void check_blocks(const char *variant, int first, int count)
{
    device d;
    network n;
    golden_case c;
    svr_dit_config config;
    svr_safetensors *file;
    svr_error err = {0};
    svr_dit_io io = {0};
    svr_dit_condition *condition;
    svr_dit_geometry *geometry;
    char name[64];
    int last = first + count - 1;

    snprintf(name, sizeof(name), "dit_%s_tiny_a.c2", variant);
    case_open(&c, data_dir, name);
    device_open(&d);
    svr_weights *weights = weights_open(data_dir, variant, c.windows, &file, &config);
    network_open(&n, &d, &config, weights, SVR_F32);
    network_load(&n, first, count);
    float *emb = golden_floats(c.file, "emb", NULL),
          *txt_in = golden_floats(c.file, "txt_in", NULL);
    CHECK_OK(svr_dit_condition_from(d.backend, n.dit, emb, &(svr_dit_text){txt_in, c.text_len},
                                    &condition, &err),
             err);
    CHECK_OK(svr_dit_geometry_create(d.backend, n.dit, c.latent, c.text_len, &geometry, &err), err);
    io.condition = condition;
    io.geometry = geometry;
    svr_tensor vid = golden_stream(&d, &c, first - 1, "vid", config.dim);
    svr_tensor txt = golden_stream(&d, &c, first - 1, "txt", config.dim);
    for (int layer = first; layer <= last; layer++)
        CHECK_OK(svr_dit_block(&d.exec, n.dit, layer, &io, (svr_tensor[]){vid, txt}, &err), err);
    check_stream(&d, &c, last, "vid", &vid);
    if (!svr_dit_is_text_tail(&config, last))
        check_stream(&d, &c, last, "txt", &txt);
    /* the next one was not loaded */
    CHECK_FAILS(svr_dit_block(&d.exec, n.dit, (last + 1) % config.layers, &io,
                              (svr_tensor[]){vid, txt}, &err),
                SVR_ERR_INVALID, err);
    free(emb);
    free(txt_in);
    svr_dit_geometry_destroy(geometry);
    svr_dit_condition_destroy(condition);
    network_close(&n);
    device_close(&d);
    case_close(&c);
    svr_safetensors_close(file);
}

static void test_3b_blocks_alone(void)
{
    check_blocks("3b", 0, 1);
    check_blocks("3b", 1, 1);
    check_blocks("3b", 2, 2); /* the golden file does not hold what is between them */
}

static void test_7b_blocks_alone(void)
{
    for (int layer = 0; layer < 3; layer++)
        check_blocks("7b", layer, 1);
}

/* ---------------------------------------------------------------------------- generated models */

static const int latent[3] = {3, 12, 18};
enum { TEXT_LEN = 11, PIXELS = 3 * 12 * 18 };

/* Small enough for a thousand runs; `split` layers have text weights of their own. */
static svr_dit_config small_config(svr_model_kind kind, int split)
{
    svr_dit_config config = svr_dit_config_published(kind);

    config.dim = 32;
    config.heads = 2;
    config.head_dim = 128;
    config.layers = 3;
    config.split_layers = split;
    config.mlp_hidden = 64;
    config.txt_in = 24;
    config.windows[1] = 9;
    config.windows[2] = 9;
    return config;
}

static svr_status generate(void *user, const svr_weight_spec *spec, size_t first, size_t count,
                           float *dst, svr_error *err)
{
    (void) user;
    (void) err;
    for (size_t i = 0; i < count; i++) {
        test_random random = test_random_seed(first + i + 7919 * strlen(spec->name));
        dst[i] = 0.2f * test_random_normal(&random);
    }
    return SVR_OK;
}

/* A generated network with input for one evaluation. */
typedef struct model {
    device device;
    network network;
    svr_dit_condition *condition;
    svr_dit_geometry *geometry;
    svr_dit_io io;
} model;

static void model_open(model *m, const svr_dit_config *config, svr_dtype storage)
{
    svr_error err = {0};
    svr_weights *weights;
    test_random random = test_random_seed(3);
    float text[TEXT_LEN * 24], values[PIXELS * 16];
    const int64_t dims[] = {latent[0], latent[1], latent[2], 16};

    *m = (model){0};
    device_open(&m->device);
    CHECK_OK(svr_weights_generate_dit(config, generate, NULL, &weights, &err), err);
    network_open(&m->network, &m->device, config, weights, storage);
    network_load(&m->network, 0, svr_dit_groups(config));
    test_random_fill(&random, text, TEXT_LEN * 24, 1.0f);
    CHECK_OK(svr_dit_condition_create(m->device.backend, m->network.dit, 1000.0f,
                                      &(svr_dit_text){text, TEXT_LEN}, &m->condition, &err),
             err);
    CHECK_OK(svr_dit_geometry_create(m->device.backend, m->network.dit, latent, TEXT_LEN,
                                     &m->geometry, &err),
             err);
    m->io = (svr_dit_io){.condition = m->condition, .geometry = m->geometry};
    test_random_fill(&random, values, PIXELS * 16, 1.0f);
    m->io.x_t = device_tensor(&m->device, storage, 4, dims, values);
    test_random_fill(&random, values, PIXELS * 16, 1.0f);
    m->io.cond = device_tensor(&m->device, storage, 4, dims, values);
    CHECK_OK(svr_exec_alloc(&m->device.exec, SVR_F32, 4, dims, &m->io.v, &err), err);
}

static void model_close(model *m)
{
    svr_dit_geometry_destroy(m->geometry);
    svr_dit_condition_destroy(m->condition);
    network_close(&m->network);
    device_close(&m->device);
}

static float *model_run(model *m)
{
    svr_error err = {0};

    CHECK_OK(svr_dit_forward(&m->device.exec, m->network.dit, &m->io, &err), err);
    return device_floats(&m->device, &m->io.v);
}

static void check_chunks(const svr_dit_config *config, svr_dtype storage)
{
    static const int64_t chunks[] = {1, 2, 7, 50, 110, 161, 162, 1000};
    model m;

    model_open(&m, config, storage);
    float *want = model_run(&m);
    for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
        svr_dit_set_token_chunk(m.network.dit, chunks[i]);
        float *got = model_run(&m);
        CHECK(memcmp(got, want, PIXELS * 16 * sizeof(float)) == 0);
        free(got);
    }
    free(want);
    model_close(&m);
}

static void test_chunks_change_nothing(void)
{
    svr_dit_config small = small_config(SVR_MODEL_DIT_3B, 1);
    svr_dit_config big = small_config(SVR_MODEL_DIT_7B, 3);

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
    model m;

    model_open(&m, config, SVR_F16);
    size_t before = svr_scratch_peak(m.device.scratch);
    svr_dit_set_token_chunk(m.network.dit, chunk);
    free(model_run(&m));
    size_t peak = svr_scratch_peak(m.device.scratch) - before;
    model_close(&m);
    return peak;
}

/* The same for a latent of any length, by counting. */
static size_t peak_by_counting(const svr_dit_config *config, int64_t chunk, int frames)
{
    svr_error err = {0};
    model m;
    const int size[3] = {frames, latent[1], latent[2]};
    const int64_t dims[] = {frames, latent[1], latent[2], 16};

    model_open(&m, config, SVR_F16);
    svr_dit_geometry_destroy(m.geometry);
    svr_backend *counting = svr_counting_backend_create(m.device.backend);
    svr_exec exec = {.backend = counting, .scratch = svr_scratch_create_counting()};
    CHECK(counting && exec.scratch);
    svr_dit_set_token_chunk(m.network.dit, chunk);
    CHECK_OK(svr_dit_geometry_create(counting, m.network.dit, size, TEXT_LEN, &m.geometry, &err),
             err);
    svr_dit_io io = {.condition = m.condition, .geometry = m.geometry};
    CHECK_OK(svr_exec_alloc(&exec, SVR_F16, 4, dims, &io.x_t, &err), err);
    CHECK_OK(svr_exec_alloc(&exec, SVR_F16, 4, dims, &io.cond, &err), err);
    CHECK_OK(svr_exec_alloc(&exec, SVR_F32, 4, dims, &io.v, &err), err);
    size_t before = svr_scratch_peak(exec.scratch);
    CHECK_OK(svr_dit_forward(&exec, m.network.dit, &io, &err), err);
    size_t peak = svr_scratch_peak(exec.scratch) - before;
    svr_scratch_destroy(exec.scratch);
    model_close(&m);
    svr_backend_destroy(counting);
    return peak;
}

/* Smaller chunks take less memory, as much as was counted. */
static void test_chunks_save_memory(void)
{
    static const int64_t chunks[] = {0, 120, 60, 30, 8}; /* windows have 12 tokens and fewer */
    svr_dit_config config = small_config(SVR_MODEL_DIT_7B, 3);
    size_t last = SIZE_MAX;

    config.windows[1] = config.windows[2] = 20;
    config.mlp_hidden = 512;
    for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
        size_t peak = peak_of_run(&config, chunks[i]);
        CHECK(peak < last);
        CHECK(peak == peak_by_counting(&config, chunks[i], latent[0]));
        last = peak;
    }
}

/* Counting leaves out blocks like one before it with the same windows: regular and shifted ones
 * differ in sizes. */
static void test_blocks_counted_once(void)
{
    static const int windows[] = {9, 12, 16, 20, 30};

    for (int i = 0; i < 10; i++) {
        svr_dit_config config = small_config(i % 2 ? SVR_MODEL_DIT_7B : SVR_MODEL_DIT_3B, 5);

        config.layers = 5;
        config.mlp_hidden = 16;
        config.windows[1] = config.windows[2] = windows[i / 2];
        CHECK(peak_of_run(&config, 30) == peak_by_counting(&config, 30, latent[0]));
        CHECK(peak_of_run(&config, 8) == peak_by_counting(&config, 8, latent[0]));
    }
}

/* In chunks, a longer film adds its residual stream and what is in front of and behind the blocks:
 * 128 features in halves, or 64 in floats. */
static void test_only_the_stream_grows(void)
{
    svr_dit_config config = small_config(SVR_MODEL_DIT_3B, 1);

    config.windows[0] = 30; /* of one frame */
    size_t tokens = 54 * 20, token = (size_t) config.dim * 4 + 256;
    size_t chunked = peak_by_counting(&config, 54, 24) - peak_by_counting(&config, 54, 4);
    size_t whole = peak_by_counting(&config, 0, 24) - peak_by_counting(&config, 0, 4);

    CHECK(chunked <= tokens * token + 4096);
    CHECK(whole > 4 * tokens * token);
}

/* The model as a velocity for the sampler; both texts are the same here. */
typedef struct velocity {
    model *model;
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
static size_t peak_of_steps(model *m, const svr_sampler_config *config)
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
    svr_dit_config config = small_config(SVR_MODEL_DIT_3B, 1);
    svr_sampler_config sampler = {.steps = 2, .cfg_scale = 1.0, .cfg_partial = 1.0};
    model m;

    model_open(&m, &config, SVR_F16);
    for (int64_t chunk = 0; chunk <= 60; chunk += 60) {
        svr_dit_set_token_chunk(m.network.dit, chunk);
        sampler.cfg_scale = 1.0;
        sampler.park_on_host = false;
        size_t plain = peak_of_steps(&m, &sampler);
        sampler.cfg_scale = 6.5;
        size_t guided = peak_of_steps(&m, &sampler);
        sampler.park_on_host = true;
        size_t parked = peak_of_steps(&m, &sampler);
        CHECK(guided - plain == PIXELS * 16 * sizeof(float));
        CHECK(parked == plain);
    }
    model_close(&m);
}

/* A 3B whose blocks all have text weights: the last one has keys and values of the text only. */
static void test_split_tail(void)
{
    svr_dit_config config = small_config(SVR_MODEL_DIT_3B, 3);
    model m;

    model_open(&m, &config, SVR_F32);
    CHECK(svr_weights_find(m.network.weights, "blocks.2.mlp.txt.proj_in.weight") == NULL);
    free(model_run(&m));
    model_close(&m);
}

/* ---------------------------------------------------------------------------- errors */

static void test_wrong_shapes(void)
{
    svr_dit_config config = small_config(SVR_MODEL_DIT_7B, 3);
    svr_error err = {0};
    model m;
    svr_dit_geometry *other;

    model_open(&m, &config, SVR_F32);
    svr_dit_io io = m.io;
    io.cond.dims[1]--;
    CHECK_FAILS(svr_dit_forward(&m.device.exec, m.network.dit, &io, &err), SVR_ERR_SHAPE, err);
    CHECK_OK(svr_dit_geometry_create(m.device.backend, m.network.dit, latent, TEXT_LEN + 1, &other,
                                     &err),
             err);
    io = m.io;
    io.geometry = other;
    CHECK_FAILS(svr_dit_forward(&m.device.exec, m.network.dit, &io, &err), SVR_ERR_SHAPE, err);
    svr_tensor vid = m.io.x_t, txt = m.io.x_t;
    CHECK_FAILS(
        svr_dit_block(&m.device.exec, m.network.dit, 0, &m.io, (svr_tensor[]){vid, txt}, &err),
        SVR_ERR_SHAPE, err);
    svr_dit_geometry_destroy(other);
    CHECK_FAILS(svr_dit_geometry_create(m.device.backend, m.network.dit, (const int[]){1, 7, 8},
                                        TEXT_LEN, &other, &err),
                SVR_ERR_SHAPE, err);
    model_close(&m);
}

static void test_cancel(void)
{
    svr_dit_config config = small_config(SVR_MODEL_DIT_3B, 1);
    svr_error err = {0};
    model m;
    svr_cancel *cancel = svr_cancel_create();

    CHECK(cancel != NULL);
    model_open(&m, &config, SVR_F32);
    m.device.exec.cancel = cancel;
    svr_cancel_set(cancel, true);
    CHECK_FAILS(svr_dit_forward(&m.device.exec, m.network.dit, &m.io, &err), SVR_ERR_CANCELLED,
                err);
    svr_cancel_set(cancel, false);
    free(model_run(&m));
    svr_cancel_destroy(cancel);
    model_close(&m);
}

/* A config that this code cannot run is refused, and a device without memory fails cleanly. */
static void test_refusals(void)
{
    svr_dit_config config = small_config(SVR_MODEL_DIT_3B, 1);
    svr_error err = {0};
    svr_weights *weights;
    svr_store *store;
    svr_dit *dit;
    svr_dit_geometry *geometry;
    svr_dit_condition *condition;
    svr_backend *backend;
    float text[TEXT_LEN * 24] = {0};
    svr_cpu_options options = {.memory_limit_bytes = 1000};

    CHECK_OK(svr_cpu_backend_create(&options, &backend, &err), err);
    CHECK_OK(svr_weights_generate_dit(&config, generate, NULL, &weights, &err), err);
    CHECK_OK(svr_store_create(backend, weights, SVR_F32, svr_dit_groups(&config), &store, &err),
             err);
    config.in_channels = 32;
    CHECK_FAILS(svr_dit_create(&config, store, &dit, &err), SVR_ERR_UNSUPPORTED, err);
    config.in_channels = 33;
    CHECK_OK(svr_dit_create(&config, store, &dit, &err), err);
    CHECK_FAILS(svr_dit_geometry_create(backend, dit, latent, TEXT_LEN, &geometry, &err),
                SVR_ERR_NO_MEM, err);
    CHECK_FAILS(svr_dit_condition_create(backend, dit, 1000.0f, &(svr_dit_text){text, TEXT_LEN},
                                         &condition, &err),
                SVR_ERR_NO_MEM, err);
    CHECK(svr_backend_memory(backend).live_total == 0);
    svr_dit_destroy(dit);
    svr_store_destroy(store);
    svr_weights_destroy(weights);
    svr_backend_destroy(backend);
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    data_dir = argv[1];
    RUN(test_3b_blocks_alone);
    RUN(test_7b_blocks_alone);
    RUN(test_chunks_change_nothing);
    RUN(test_chunks_save_memory);
    RUN(test_blocks_counted_once);
    RUN(test_only_the_stream_grows);
    RUN(test_memory_of_guidance);
    RUN(test_split_tail);
    RUN(test_wrong_shapes);
    RUN(test_cancel);
    RUN(test_refusals);
    return check_done();
}
