#include "generated.h"

#include "check.h"
#include "random.h"

#include <string.h>

const int generated_latent[3] = {3, 12, 18};

svr_dit_config generated_config(svr_model_kind kind, int split)
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

svr_status generated_values(void *user, const svr_weight_spec *spec, size_t first, size_t count,
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

void generated_open(generated_model *m, const svr_dit_config *config, svr_dtype storage)
{
    svr_error err = {0};
    svr_weights *weights;
    test_random random = test_random_seed(3);
    float text[GENERATED_TEXT * 24], values[GENERATED_PIXELS * 16];
    const int64_t dims[] = {generated_latent[0], generated_latent[1], generated_latent[2], 16};

    *m = (generated_model){0};
    device_open(&m->device);
    CHECK_OK(svr_weights_generate_dit(config, generated_values, NULL, &weights, &err), err);
    network_open(&m->network, &m->device, config, weights, storage);
    network_load(&m->network, 0, svr_dit_groups(config));
    test_random_fill(&random, text, GENERATED_TEXT * 24, 1.0f);
    CHECK_OK(svr_dit_condition_create(m->device.backend, m->network.dit, 1000.0f,
                                      &(svr_dit_text){text, GENERATED_TEXT}, &m->condition, &err),
             err);
    CHECK_OK(svr_dit_geometry_create(m->device.backend, m->network.dit, generated_latent,
                                     GENERATED_TEXT, &m->geometry, &err),
             err);
    m->io = (svr_dit_io){.condition = m->condition, .geometry = m->geometry};
    test_random_fill(&random, values, GENERATED_PIXELS * 16, 1.0f);
    m->io.x_t = device_tensor(&m->device, storage, 4, dims, values);
    test_random_fill(&random, values, GENERATED_PIXELS * 16, 1.0f);
    m->io.cond = device_tensor(&m->device, storage, 4, dims, values);
    CHECK_OK(svr_exec_alloc(&m->device.exec, SVR_F32, 4, dims, &m->io.v, &err), err);
}

void generated_close(generated_model *m)
{
    svr_dit_geometry_destroy(m->geometry);
    svr_dit_condition_destroy(m->condition);
    network_close(&m->network);
    device_close(&m->device);
}

float *generated_run(generated_model *m)
{
    svr_error err = {0};

    CHECK_OK(svr_dit_forward(&m->device.exec, m->network.dit, &m->io, &err), err);
    return device_floats(&m->device, &m->io.v);
}
