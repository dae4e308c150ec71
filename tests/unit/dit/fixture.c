#include "fixture.h"

#include "check.h"
#include "cpu/cpu_backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LATENT_CHANNELS = 16, INPUT_CHANNELS = 33 };

void device_open(device *d)
{
    svr_error err = {0};

    *d = (device){0};
    CHECK_OK(svr_cpu_backend_create(NULL, &d->backend, &err), err);
    CHECK_OK(svr_backend_alloc(d->backend, SVR_MEM_SCRATCH, DEVICE_SCRATCH_BYTES, &d->memory, &err),
             err);
    d->scratch = svr_scratch_create(d->memory, DEVICE_SCRATCH_BYTES);
    CHECK(d->scratch != NULL);
    d->exec = (svr_exec){.backend = d->backend, .scratch = d->scratch};
}

void device_close(device *d)
{
    svr_scratch_destroy(d->scratch);
    svr_backend_free(d->backend, SVR_MEM_SCRATCH, DEVICE_SCRATCH_BYTES, d->memory);
    CHECK(svr_backend_memory(d->backend).live_total == 0);
    svr_backend_destroy(d->backend);
}

svr_tensor device_tensor(device *d, svr_dtype dtype, int rank, const int64_t *dims,
                         const float *values)
{
    svr_error err = {0};
    svr_tensor tensor;

    CHECK_OK(svr_exec_alloc(&d->exec, dtype, rank, dims, &tensor, &err), err);
    void *host = malloc(svr_tensor_bytes(&tensor));
    CHECK(host != NULL);
    svr_from_f32(values, dtype, host, (size_t) svr_tensor_elems(&tensor));
    CHECK_OK(svr_backend_upload(d->backend, tensor.data, host, svr_tensor_bytes(&tensor), &err),
             err);
    free(host);
    return tensor;
}

float *device_floats(device *d, const svr_tensor *tensor)
{
    svr_error err = {0};
    size_t count = (size_t) svr_tensor_elems(tensor), bytes = svr_tensor_bytes(tensor);
    void *host = malloc(bytes);
    float *values = malloc(count * sizeof(float));

    CHECK(host && values);
    CHECK_OK(svr_backend_download(d->backend, host, tensor->data, bytes, &err), err);
    svr_to_f32(host, tensor->dtype, values, count);
    free(host);
    return values;
}

svr_weights *weights_open(const char *dir, const char *variant, const int windows[3],
                          svr_safetensors **file, svr_dit_config *config)
{
    svr_error err = {0};
    svr_weights *weights = NULL;
    char name[64];

    snprintf(name, sizeof(name), "dit_%s_tiny_a.weights", variant);
    *file = golden_open(dir, name);
    CHECK_OK(svr_dit_config_read(*file, config, &err), err);
    memcpy(config->windows, windows, sizeof(config->windows));
    CHECK_OK(svr_weights_bind_dit(*file, config, &weights, &err), err);
    return weights;
}

void network_open(network *n, device *d, const svr_dit_config *config, svr_weights *weights,
                  svr_dtype storage)
{
    network_open_quantized(n, d, config, weights, storage, SVR_F32);
}

void network_open_quantized(network *n, device *d, const svr_dit_config *config,
                            svr_weights *weights, svr_dtype storage, svr_dtype factors)
{
    svr_error err = {0};

    *n = (network){.weights = weights};
    CHECK_OK(
        svr_store_create(d->backend, weights, storage, svr_dit_groups(config), &n->store, &err),
        err);
    if (factors != SVR_F32)
        CHECK_OK(svr_store_quantize(n->store, factors, &err), err);
    CHECK_OK(svr_dit_create(config, n->store, &n->dit, &err), err);
}

void network_load(network *n, int first_group, int groups)
{
    svr_error err = {0};

    CHECK_OK(svr_store_load(n->store, first_group, groups, NULL, &err), err);
}

void network_close(network *n)
{
    svr_dit_destroy(n->dit);
    svr_store_destroy(n->store);
    svr_weights_destroy(n->weights);
}

void case_open(golden_case *c, const char *dir, const char *name)
{
    size_t count, text_count;
    float *timestep;

    *c = (golden_case){.file = golden_open(dir, name)};
    golden_ints(c->file, "in.size_tHW", c->latent, 3);
    golden_ints(c->file, "in.windows", c->windows, 3);
    timestep = golden_floats(c->file, "in.timestep", NULL);
    c->timestep = timestep[0];
    free(timestep);
    c->text = golden_floats(c->file, "in.text", &text_count);
    c->text_len = (int) svr_safetensors_find(c->file, "in.text")->dims[0];
    float *latent = golden_floats(c->file, "in.latent33", &count);
    size_t pixels = count / INPUT_CHANNELS;
    CHECK(pixels == (size_t) (c->latent[0] * c->latent[1] * c->latent[2]));
    c->x_t = malloc(pixels * LATENT_CHANNELS * sizeof(float));
    c->cond = malloc(pixels * LATENT_CHANNELS * sizeof(float));
    CHECK(c->x_t && c->cond);
    for (size_t i = 0; i < pixels * LATENT_CHANNELS; i++) {
        size_t at = i / LATENT_CHANNELS * INPUT_CHANNELS + i % LATENT_CHANNELS;
        c->x_t[i] = latent[at];
        c->cond[i] = latent[at + LATENT_CHANNELS];
    }
    for (size_t i = 0; i < pixels; i++)
        CHECK(latent[i * INPUT_CHANNELS + INPUT_CHANNELS - 1] == 1.0f);
    free(latent);
}

void case_close(golden_case *c)
{
    svr_safetensors_close(c->file);
    free(c->text);
    free(c->x_t);
    free(c->cond);
}
