/* Single blocks, and what happens when something is wrong.
 *   test_dit_block DATA_DIR */
#include "generated.h"

#include "base/cancel.h"
#include "check.h"
#include "cpu/cpu_backend.h"

#include <stdio.h>
#include <stdlib.h>

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

/* ---------------------------------------------------------------------------- the last block */

/* A 3B whose blocks all have text weights: the last one has keys and values of the text only. */
static void test_split_tail(void)
{
    svr_dit_config config = generated_config(SVR_MODEL_DIT_3B, 3);
    generated_model m;

    generated_open(&m, &config, SVR_F32);
    CHECK(svr_weights_find(m.network.weights, "blocks.2.mlp.txt.proj_in.weight") == NULL);
    free(generated_run(&m));
    generated_close(&m);
}

/* ---------------------------------------------------------------------------- errors */

static void test_wrong_shapes(void)
{
    svr_dit_config config = generated_config(SVR_MODEL_DIT_7B, 3);
    svr_error err = {0};
    generated_model m;
    svr_dit_geometry *other;

    generated_open(&m, &config, SVR_F32);
    svr_dit_io io = m.io;
    io.cond.dims[1]--;
    CHECK_FAILS(svr_dit_forward(&m.device.exec, m.network.dit, &io, &err), SVR_ERR_SHAPE, err);
    CHECK_OK(svr_dit_geometry_create(m.device.backend, m.network.dit, generated_latent,
                                     GENERATED_TEXT + 1, &other, &err),
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
                                        GENERATED_TEXT, &other, &err),
                SVR_ERR_SHAPE, err);
    generated_close(&m);
}

static void test_cancel(void)
{
    svr_dit_config config = generated_config(SVR_MODEL_DIT_3B, 1);
    svr_error err = {0};
    generated_model m;
    svr_cancel *cancel = svr_cancel_create();

    CHECK(cancel != NULL);
    generated_open(&m, &config, SVR_F32);
    m.device.exec.cancel = cancel;
    svr_cancel_set(cancel, true);
    CHECK_FAILS(svr_dit_forward(&m.device.exec, m.network.dit, &m.io, &err), SVR_ERR_CANCELLED,
                err);
    svr_cancel_set(cancel, false);
    free(generated_run(&m));
    svr_cancel_destroy(cancel);
    generated_close(&m);
}

/* A config that this code cannot run is refused, and a device without memory fails cleanly. */
static void test_refusals(void)
{
    svr_dit_config config = generated_config(SVR_MODEL_DIT_3B, 1);
    svr_error err = {0};
    svr_weights *weights;
    svr_store *store;
    svr_dit *dit;
    svr_dit_geometry *geometry;
    svr_dit_condition *condition;
    svr_backend *backend;
    float text[GENERATED_TEXT * 24] = {0};
    svr_cpu_options options = {.memory_limit_bytes = 1000};

    CHECK_OK(svr_cpu_backend_create(&options, &backend, &err), err);
    CHECK_OK(svr_weights_generate_dit(&config, generated_values, NULL, &weights, &err), err);
    CHECK_OK(svr_store_create(backend, weights, SVR_F32, svr_dit_groups(&config), &store, &err),
             err);
    config.in_channels = 32;
    CHECK_FAILS(svr_dit_create(&config, store, &dit, &err), SVR_ERR_UNSUPPORTED, err);
    config.in_channels = 33;
    CHECK_OK(svr_dit_create(&config, store, &dit, &err), err);
    CHECK_FAILS(
        svr_dit_geometry_create(backend, dit, generated_latent, GENERATED_TEXT, &geometry, &err),
        SVR_ERR_NO_MEM, err);
    CHECK_FAILS(svr_dit_condition_create(backend, dit, 1000.0f,
                                         &(svr_dit_text){text, GENERATED_TEXT}, &condition, &err),
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
    RUN(test_split_tail);
    RUN(test_wrong_shapes);
    RUN(test_cancel);
    RUN(test_refusals);
    return check_done();
}
