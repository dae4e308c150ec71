#include "store_rig.h"

#include "check.h"

#include <string.h>

const svr_dit_config store_config = {
    .kind = SVR_MODEL_DIT_7B,
    .dim = 1100,
    .heads = 1,
    .head_dim = 32,
    .layers = 1,
    .split_layers = 1,
    .mlp_hidden = 1100,
    .rope_pairs = 2,
    .rope_axis_dim = 5,
    .txt_in = 8,
    .in_channels = 9,
    .out_channels = 4,
    .patch = 2,
    .time_freqs = 4,
};

svr_backend_vtable store_vtable;
const char store_big_name[] = "blocks.0.mlp.vid.proj_in.weight";

/* What it keeps weights as. */
static svr_dtype kept;

float store_value(size_t i)
{
    return (float) (i % 99991) / 1024.0f + 1.0f / 8192.0f;
}

svr_status store_values(void *user, const svr_weight_spec *spec, size_t first, size_t count,
                        float *dst, svr_error *err)
{
    if (user && strcmp(user, spec->name) == 0)
        return SVR_FAIL(err, SVR_ERR_IO, "no values for %s", spec->name);
    for (size_t i = 0; i < count; i++)
        dst[i] = store_value(first + i);
    return SVR_OK;
}

static svr_dtype kept_dtype(const svr_backend *backend, svr_dtype storage)
{
    (void) backend;
    (void) storage;
    return kept;
}

store_rig store_rig_open(const svr_cpu_options *options, svr_dtype storage, svr_dtype weight_type,
                         char *failing)
{
    store_rig r = {0};

    CHECK_OK(svr_cpu_backend_create(options, &r.backend, &r.err), r.err);
    store_vtable = *r.backend->vtable;
    store_vtable.weight_dtype = kept_dtype;
    kept = weight_type;
    r.backend->vtable = &store_vtable;
    CHECK_OK(svr_weights_generate_dit(&store_config, store_values, failing, &r.weights, &r.err),
             r.err);
    CHECK_OK(svr_store_create(r.backend, r.weights, storage, 3, &r.store, &r.err), r.err);
    CHECK(svr_store_weights(r.store) == r.weights && svr_store_storage(r.store) == storage);
    return r;
}

void store_rig_close(store_rig *r)
{
    svr_store_destroy(r->store);
    CHECK(svr_backend_memory(r->backend).live_total == 0);
    svr_weights_destroy(r->weights);
    svr_backend_destroy(r->backend);
}

int store_rig_add(store_rig *r, const char *name, svr_store_form form, int group)
{
    svr_store_item item = {.name = name, .form = form, .group = group};
    int id = -1;

    CHECK_OK(svr_store_add(r->store, &item, &id, &r->err), r->err);
    return id;
}

svr_tensor store_rig_acquire(store_rig *r, int group, int id)
{
    CHECK_OK(svr_store_acquire(r->store, &(svr_exec){.backend = r->backend}, group, &r->err),
             r->err);
    return svr_store_tensor(r->store, id);
}

void store_rig_load(store_rig *r, int first, int count)
{
    CHECK_OK(svr_store_load(r->store, first, count, NULL, &r->err), r->err);
}
