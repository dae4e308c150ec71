#include "sample.h"

#include "random.h"

#include <stdlib.h>
#include <string.h>

const svr_vae_config sample_deep = {
    .stages = 4,
    .channels = {8, 16, 32, 32},
    .layers_per_block = 2,
    .latent_channels = 4,
    .norm_groups = 4,
    .temporal_stages = 2,
    .eps = 1e-6f,
    .scaling_factor = 0.9152f,
};

static size_t elems(const int64_t d[4])
{
    return (size_t) (d[0] * d[1] * d[2] * d[3]);
}

float *sample_run(const sample *s, int half, const svr_vae_memory *memory)
{
    svr_vae_cut cut = {.encoder = *memory, .decoder = *memory};

    return half == ENCODE ? rig_encode(s->rig, &cut, s->values[half], s->in[half], s->out[half])
                          : rig_decode(s->rig, &cut, s->values[half], s->in[half], s->out[half]);
}

sample sample_make(vae_rig *rig, int64_t frames, int64_t h, int64_t w)
{
    int64_t f = svr_vae_spatial_factor(&rig->config), latents = (frames - 1) / 4 + 1;
    int64_t c = rig->config.latent_channels;
    sample s = {.rig = rig,
                .in = {{frames, f * h + 1, f * w + 2, 3}, {latents, h, w, c}},
                .out = {{latents, h, w, c}, {frames, f * h, f * w, 3}}};
    test_random random = test_random_seed(11);

    for (int half = 0; half < HALVES; half++) {
        s.elems[half] = elems(s.out[half]);
        s.values[half] = malloc(elems(s.in[half]) * sizeof(float));
        CHECK(s.values[half] != NULL);
        test_random_fill(&random, s.values[half], elems(s.in[half]), 0.5f);
        s.whole[half] = sample_run(&s, half, &(svr_vae_memory){0});
    }
    return s;
}

void sample_free(sample *s)
{
    for (int half = 0; half < HALVES; half++)
        free(s->values[half]), free(s->whole[half]);
}

memory_use memory_use_of(const svr_exec *exec)
{
    svr_memory_use use = svr_backend_memory(exec->backend);

    return (memory_use){svr_scratch_peak(exec->scratch), svr_scratch_peak(exec->host),
                        use.copied_in, use.copied_out};
}

void rig_shrink(vae_rig *rig, const memory_use *use, int sixteenths)
{
    size_t n = (size_t) sixteenths;

    rig_reset_scratch(rig);
    svr_scratch_destroy(n % 2 ? rig->exec.host : rig->exec.scratch);
    if (n % 2)
        rig->exec.host = svr_scratch_create(rig->host_block, use->host / 16 * n);
    else
        rig->exec.scratch = svr_scratch_create(rig->block, use->scratch / 16 * n);
}

static memory_use use_since(const svr_exec *exec, const memory_use *before)
{
    memory_use use = memory_use_of(exec);

    use.in -= before->in;
    use.out -= before->out;
    return use;
}

memory_use count_half(const dry_network *net, int half, int64_t dims[2][4],
                      const svr_vae_memory *memory)
{
    svr_exec dry = {.backend = net->counting,
                    .scratch = svr_scratch_create_counting(),
                    .host = svr_scratch_create_counting()};
    svr_vae_cut cut = {.encoder = *memory, .decoder = *memory};
    /* beyond any scratch address, as memory of another allocation is */
    void *far[2] = {(void *) 0xC000000000000000u, (void *) 0xD000000000000000u};
    memory_use before = memory_use_of(&dry), use;
    svr_error err = {0};
    svr_tensor t[2];

    for (int i = 0; i < 2; i++)
        t[i] = svr_tensor_4d(far[i], i == 0 ? net->storage : SVR_F32, dims[i][0], dims[i][1],
                             dims[i][2], dims[i][3]);
    CHECK_OK(half == ENCODE ? svr_vae_encode(&dry, net->vae, &cut, &t[0], &t[1], &err)
                            : svr_vae_decode(&dry, net->vae, &cut, &t[0], &t[1], &err),
             err);
    CHECK(svr_scratch_live(dry.scratch) == 0 && svr_scratch_live(dry.host) == 0);
    use = use_since(&dry, &before);
    svr_scratch_destroy(dry.scratch);
    svr_scratch_destroy(dry.host);
    return use;
}

memory_use sample_count(const sample *s, svr_backend *counting, int half,
                        const svr_vae_memory *memory)
{
    const dry_network net = {counting, s->rig->vae, s->rig->storage};
    int64_t dims[2][4];

    memcpy(dims[0], s->in[half], sizeof dims[0]);
    memcpy(dims[1], s->out[half], sizeof dims[1]);
    return count_half(&net, half, dims, memory);
}

float *sample_run_counted(const sample *s, svr_backend *counting, int half,
                          const svr_vae_memory *memory)
{
    memory_use before = memory_use_of(&s->rig->exec), got, want;
    float *y = sample_run(s, half, memory);

    want = sample_count(s, counting, half, memory);
    got = use_since(&s->rig->exec, &before);
    CHECK(memcmp(&got, &want, sizeof got) == 0);
    /* bands of rows come three times, and the decoder has such; tiles come several times */
    CHECK(half == ENCODE && memory->tile == 0 ? got.in == got.out : got.in >= got.out);
    CHECK((got.host > 0) == (got.in > 0));
    CHECK(memory->park_on_host || got.host == 0);
    return y;
}

/* ---------------------------------------------------------------------------- the published VAE */

/* Backends without workspaces, so that what is counted are activations alone. */
#define NO_WORKSPACE(name)                                                                         \
    static size_t no_##name##_workspace(svr_backend *backend, const svr_##name##_args *args)       \
    {                                                                                              \
        (void) backend;                                                                            \
        (void) args;                                                                               \
        return 0;                                                                                  \
    }
SVR_OP_LIST(NO_WORKSPACE)

static svr_status constant(void *user, const svr_weight_spec *spec, size_t first, size_t count,
                           float *dst, svr_error *err)
{
    (void) user;
    (void) spec;
    (void) first;
    (void) err;
    for (size_t i = 0; i < count; i++)
        dst[i] = 0.01f;
    return SVR_OK;
}

published published_open(svr_ops *ops)
{
    const svr_vae_config config = svr_vae_config_published();
    published p = {0};
    svr_error err = {0};

    CHECK_OK(svr_cpu_backend_create(&(svr_cpu_options){.threads = 1}, &p.cpu, &err), err);
    *ops = *p.cpu->ops;
#define DROP_WORKSPACE(name) ops->name##_workspace = no_##name##_workspace;
    SVR_OP_LIST(DROP_WORKSPACE)
#undef DROP_WORKSPACE
    p.cpu->ops = ops;
    p.counting = svr_counting_backend_create(p.cpu);
    CHECK(p.counting != NULL);
    CHECK_OK(svr_weights_generate_vae(&config, constant, NULL, &p.weights, &err), err);
    CHECK_OK(svr_store_create(p.counting, p.weights, SVR_F16, SVR_VAE_GROUPS, &p.store, &err), err);
    CHECK_OK(svr_vae_create(&config, p.store, &p.vae, &err), err);
    CHECK_OK(svr_store_load(p.store, 0, SVR_VAE_GROUPS, NULL, &err), err);
    return p;
}

void published_close(published *p)
{
    svr_vae_destroy(p->vae);
    svr_store_destroy(p->store);
    svr_weights_destroy(p->weights);
    svr_backend_destroy(p->counting);
    svr_backend_destroy(p->cpu);
}
