#include "fixture.h"

#include "golden.h"
#include "random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const svr_vae_config rig_small = {
    .stages = 3,
    .channels = {8, 16, 32},
    .layers_per_block = 1,
    .latent_channels = 4,
    .norm_groups = 4,
    .temporal_stages = 2,
    .eps = 1e-6f,
    .scaling_factor = 0.9152f,
};

enum { SCRATCH_BYTES = 96 << 20 };

/* N(0, 1/fan_in) for matrices, around 1 for norm weights, small otherwise: activations stay O(1).
 */
static svr_status random_values(void *user, const svr_weight_spec *spec, size_t first, size_t count,
                                float *dst, svr_error *err)
{
    size_t fan_in = svr_weight_elems(spec) / (size_t) spec->dims[0];
    bool is_weight = strstr(spec->name, ".weight") != NULL;
    uint64_t seed = (uint64_t) first;

    (void) user;
    (void) err;
    for (const char *c = spec->name; *c; c++)
        seed = seed * 131 + (unsigned char) *c;
    for (size_t i = 0; i < count; i++) {
        test_random random = test_random_seed(seed + i);
        float n = test_random_normal(&random);

        if (spec->rank == 1)
            dst[i] = (is_weight ? 1.0f : 0.0f) + 0.1f * n;
        else
            dst[i] = n / sqrtf((float) fan_in);
    }
    return SVR_OK;
}

static void open_weights(vae_rig *rig, const char *path, const svr_vae_config *config)
{
    svr_error err = {0};

    if (path) {
        CHECK_OK(svr_safetensors_open(path, &rig->file, &err), err);
        CHECK_OK(svr_vae_config_read(rig->file, &rig->config, &err), err);
        CHECK_OK(svr_weights_bind_vae(rig->file, &rig->config, &rig->weights, &err), err);
        return;
    }
    rig->config = *config;
    CHECK_OK(svr_weights_generate_vae(config, random_values, NULL, &rig->weights, &err), err);
}

vae_rig rig_open(const char *path, const svr_vae_config *config, svr_dtype storage)
{
    vae_rig rig = {.storage = storage, .block_bytes = SCRATCH_BYTES};
    svr_error err = {0};

    open_weights(&rig, path, config);
    /* tiny layers: several threads would mostly wait for each other */
    CHECK_OK(svr_cpu_backend_create(&(svr_cpu_options){.threads = 1}, &rig.backend, &err), err);
    CHECK_OK(svr_store_create(rig.backend, rig.weights, storage, SVR_VAE_GROUPS, &rig.store, &err),
             err);
    CHECK_OK(svr_vae_create(&rig.config, rig.store, &rig.vae, &err), err);
    CHECK_OK(svr_store_load(rig.store, 0, SVR_VAE_GROUPS, NULL, &err), err);
    CHECK_OK(svr_backend_alloc(rig.backend, SVR_MEM_SCRATCH, rig.block_bytes, &rig.block, &err),
             err);
    CHECK_OK(svr_backend_host_alloc(rig.backend, rig.block_bytes, &rig.host_block, &err), err);
    rig.exec.backend = rig.backend;
    rig_reset_scratch(&rig);
    return rig;
}

void rig_reset_scratch(vae_rig *rig)
{
    svr_scratch_destroy(rig->exec.scratch);
    svr_scratch_destroy(rig->exec.host);
    rig->exec.scratch = svr_scratch_create(rig->block, rig->block_bytes);
    rig->exec.host = svr_scratch_create(rig->host_block, rig->block_bytes);
    CHECK(rig->exec.scratch != NULL && rig->exec.host != NULL);
}

void rig_close(vae_rig *rig)
{
    svr_scratch_destroy(rig->exec.scratch);
    svr_scratch_destroy(rig->exec.host);
    svr_backend_host_free(rig->backend, rig->block_bytes, rig->host_block);
    svr_backend_free(rig->backend, SVR_MEM_SCRATCH, rig->block_bytes, rig->block);
    svr_vae_destroy(rig->vae);
    svr_store_destroy(rig->store);
    CHECK(svr_backend_memory(rig->backend).live_total == 0);
    svr_backend_destroy(rig->backend);
    svr_weights_destroy(rig->weights);
    svr_safetensors_close(rig->file);
}

float *clip_load(const svr_safetensors *file, const char *name, int64_t dims[4])
{
    const svr_safetensors_entry *e = golden_entry(file, name);
    const int64_t order[4] = {2, 3, 4, 1};
    size_t n;
    float *planes = golden_floats(file, name, &n), *clip = malloc(n * sizeof *clip);

    CHECK(e->rank == 5 && e->dims[0] == 1 && clip != NULL);
    for (int i = 0; i < 4; i++)
        dims[i] = e->dims[order[i]];
    golden_channels_last(planes, (size_t) dims[3], n / (size_t) dims[3], clip);
    free(planes);
    return clip;
}

/* A tensor of the storage type (or F32) in memory of its own, filled from `values`. */
static svr_tensor make_tensor(svr_dtype dtype, const int64_t d[4], const float *values)
{
    svr_tensor t = svr_tensor_4d(NULL, dtype, d[0], d[1], d[2], d[3]);

    t.data = calloc(1, svr_tensor_bytes(&t));
    CHECK(t.data != NULL);
    if (values && dtype == SVR_F32)
        memcpy(t.data, values, svr_tensor_bytes(&t));
    else if (values)
        svr_from_f32(values, dtype, t.data, (size_t) svr_tensor_elems(&t));
    return t;
}

typedef svr_status (*half_function)(svr_exec *exec, svr_vae *vae, const svr_vae_cut *cut,
                                    const svr_tensor *in, const svr_tensor *out, svr_error *err);

static float *run(vae_rig *rig, half_function half, const svr_vae_cut *cut, const svr_tensor *x,
                  const int64_t out[4])
{
    svr_tensor y = make_tensor(SVR_F32, out, NULL);
    svr_error err = {0};

    rig_reset_scratch(rig);
    CHECK_OK(half(&rig->exec, rig->vae, cut, x, &y, &err), err);
    CHECK(svr_scratch_live(rig->exec.scratch) == 0);
    CHECK(svr_scratch_live(rig->exec.host) == 0);
    free(x->data);
    return y.data;
}

float *rig_encode(vae_rig *rig, const svr_vae_cut *cut, const float *x, const int64_t dims[4],
                  const int64_t out[4])
{
    svr_tensor in = make_tensor(rig->storage, dims, x);

    return run(rig, svr_vae_encode, cut, &in, out);
}

float *rig_decode(vae_rig *rig, const svr_vae_cut *cut, const float *z, const int64_t dims[4],
                  const int64_t out[4])
{
    svr_tensor in = make_tensor(rig->storage, dims, z);

    return run(rig, svr_vae_decode, cut, &in, out);
}
