#include "model_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SPARE = 8 };

svr_vae_config small_vae(void)
{
    return (svr_vae_config){.stages = 3,
                            .channels = {8, 16, 16},
                            .layers_per_block = 1,
                            .latent_channels = 4,
                            .norm_groups = 4,
                            .temporal_stages = 1,
                            .eps = 1e-6f,
                            .scaling_factor = 0.9152f};
}

svr_dit_config small_dit(svr_model_kind kind)
{
    svr_dit_config c = svr_dit_config_published(kind);

    c.dim = 24;
    c.heads = 3;
    c.head_dim = 16;
    c.layers = 3;
    c.split_layers = kind == SVR_MODEL_DIT_3B ? 1 : 3;
    c.mlp_hidden = 40;
    c.rope_axis_dim = (kind == SVR_MODEL_DIT_3B ? 16 : 8) / 3;
    c.rope_pairs = c.rope_axis_dim / 2;
    c.txt_in = 10;
    c.out_channels = 4;
    c.in_channels = 9;
    c.time_freqs = 6;
    return c;
}

static svr_status no_values(void *user, const svr_weight_spec *spec, size_t first, size_t count,
                            float *dst, svr_error *err)
{
    (void) user;
    (void) dst;
    return SVR_FAIL(err, SVR_ERR_INVALID, "%s has no values (%zu at %zu)", spec->name, count,
                    first);
}

static model_file from_weights(svr_weights *weights)
{
    model_file model = {.weights = weights, .count = svr_weights_count(weights)};

    model.tensors = calloc(model.count + SPARE, sizeof model.tensors[0]);
    model.renamed = calloc(model.count + SPARE, sizeof model.renamed[0]);
    CHECK(model.tensors && model.renamed);
    for (size_t i = 0; i < model.count; i++) {
        const svr_weight_spec *spec = svr_weights_at(weights, i);

        model.tensors[i] = (test_tensor){.name = spec->name, .dtype = SVR_F16, .rank = spec->rank};
        memcpy(model.tensors[i].dims, spec->dims, sizeof spec->dims);
    }
    return model;
}

model_file model_file_of_vae(const svr_vae_config *config)
{
    svr_weights *weights = NULL;
    svr_error err = {0};

    CHECK_OK(svr_weights_generate_vae(config, no_values, NULL, &weights, &err), err);
    return from_weights(weights);
}

model_file model_file_of_dit(const svr_dit_config *config)
{
    svr_weights *weights = NULL;
    svr_error err = {0};

    CHECK_OK(svr_weights_generate_dit(config, no_values, NULL, &weights, &err), err);
    return from_weights(weights);
}

void model_file_free(model_file *model)
{
    free(model->tensors);
    free(model->renamed);
    svr_weights_destroy(model->weights);
}

test_tensor *model_file_find(model_file *model, const char *name)
{
    for (size_t i = 0; i < model->count; i++)
        if (strcmp(model->tensors[i].name, name) == 0)
            return &model->tensors[i];
    fprintf(stderr, "no tensor %s\n", name);
    CHECK(!"the tensor is in the model");
    return NULL;
}

void model_file_remove(model_file *model, const char *name)
{
    *model_file_find(model, name) = model->tensors[model->count - 1];
    model->count--;
}

size_t model_file_remove_all(model_file *model, const char *part)
{
    size_t kept = 0, before = model->count;

    for (size_t i = 0; i < before; i++)
        if (!strstr(model->tensors[i].name, part))
            model->tensors[kept++] = model->tensors[i];
    model->count = kept;
    return before - kept;
}

void model_file_append(model_file *model, const char *name)
{
    CHECK(model->count < svr_weights_count(model->weights) + SPARE);
    model->tensors[model->count++] = (test_tensor){name, SVR_F32, 1, {1}, NULL};
}

size_t model_file_rename(model_file *model, const char *from, const char *to)
{
    size_t changed = 0;

    for (size_t i = 0; i < model->count; i++) {
        const char *name = model->tensors[i].name, *at = strstr(name, from);
        char text[96];

        if (!at)
            continue;
        snprintf(text, sizeof text, "%.*s%s%s", (int) (at - name), name, to, at + strlen(from));
        memcpy(model->renamed[i], text, sizeof text);
        model->tensors[i].name = model->renamed[i];
        changed++;
    }
    return changed;
}

svr_safetensors *model_file_open(const model_file *model, const char *path, const char *config)
{
    svr_safetensors *file = NULL;
    svr_error err = {0};

    test_write_safetensors(path, model->tensors, model->count, config);
    CHECK_OK(svr_safetensors_open(path, &file, &err), err);
    return file;
}

svr_status model_file_count_up(void *user, const svr_weight_spec *spec, size_t first, size_t count,
                               float *dst, svr_error *err)
{
    if (user && strcmp(spec->name, user) == 0)
        return SVR_FAIL(err, SVR_ERR_IO, "no values for %s", spec->name);
    for (size_t i = 0; i < count; i++)
        dst[i] = (float) (first + i);
    return SVR_OK;
}

/* What was bound is not needed. */
static svr_status unbind(svr_status status, svr_weights *weights, svr_safetensors *file)
{
    CHECK((status == SVR_OK) == (weights != NULL));
    svr_weights_destroy(weights);
    svr_safetensors_close(file);
    return status;
}

svr_status model_file_bind_vae(const model_file *model, const char *path, svr_error *err)
{
    svr_safetensors *file = model_file_open(model, path, NULL);
    svr_vae_config config = small_vae();
    svr_weights *weights = NULL;
    svr_status status = svr_weights_bind_vae(file, &config, &weights, err);

    return unbind(status, weights, file);
}

svr_status model_file_bind_dit(const model_file *model, const char *path, svr_model_kind kind,
                               svr_error *err)
{
    svr_safetensors *file = model_file_open(model, path, NULL);
    svr_dit_config config = small_dit(kind);
    svr_weights *weights = NULL;
    svr_status status = svr_weights_bind_dit(file, &config, &weights, err);

    return unbind(status, weights, file);
}
