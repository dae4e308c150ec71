/* A network's list of specs, and which tensor of a file belongs to each. */
#include "base/arena.h"
#include "weights/scales.h"
#include "weights/specs.h"
#include "weights/weights_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NAME = 160 };

/* The two kinds of network, so that one binder serves both. */
typedef struct network {
    const char *kind;
    const svr_vae_config *vae; /* one of both is set */
    const svr_dit_config *dit;
} network;

/* Weights with their table of specs and no values yet. */
static svr_status create(const network *net, svr_weights **out, svr_error *err)
{
    svr_weights *weights = calloc(1, sizeof *weights);
    svr_spec_list list = {0};

    *out = NULL;
    if (weights)
        list.arena = weights->arena = svr_arena_create();
    if (!list.arena) {
        svr_weights_destroy(weights);
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for the names of the %s's tensors",
                        net->kind);
    }
    if (net->vae)
        svr_specs_of_vae(net->vae, &list);
    else
        svr_specs_of_dit(net->dit, &list);
    weights->specs = list.specs;
    weights->count = list.count;
    weights->entries =
        svr_arena_alloc(weights->arena, list.count, sizeof(const svr_safetensors_entry *));
    weights->scales = svr_arena_alloc(weights->arena, list.count, sizeof weights->scales[0]);
    if (list.failed || !weights->entries || !weights->scales) {
        svr_weights_destroy(weights);
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for the names of the %s's tensors",
                        net->kind);
    }
    qsort(weights->specs, weights->count, sizeof weights->specs[0], svr_spec_by_name);
    *out = weights;
    return SVR_OK;
}

/* Attention projections as older versions of the VAE's library called them. */
static const svr_safetensors_entry *find_old_name(const svr_safetensors *file, const char *name)
{
    static const char *const renamed[][2] = {{".to_q.", ".query."},
                                             {".to_k.", ".key."},
                                             {".to_v.", ".value."},
                                             {".to_out.0.", ".proj_attn."}};
    char old[MAX_NAME];

    for (size_t i = 0; i < sizeof renamed / sizeof renamed[0]; i++) {
        const char *at = strstr(name, ".attentions.") ? strstr(name, renamed[i][0]) : NULL;

        if (!at)
            continue;
        snprintf(old, sizeof old, "%.*s%s%s", (int) (at - name), name, renamed[i][1],
                 at + strlen(renamed[i][0]));
        return svr_safetensors_find(file, old);
    }
    return NULL;
}

/* "f16 [3, 8]" as messages show shapes. */
static char *describe(char *text, size_t size, svr_dtype dtype, int rank, const int64_t *dims)
{
    svr_tensor t = {.dtype = dtype, .rank = rank};

    memcpy(t.dims, dims, sizeof t.dims);
    return svr_tensor_describe(&t, text, size);
}

static bool holds_numbers(svr_dtype dtype)
{
    return dtype == SVR_F32 || dtype == SVR_F16 || dtype == SVR_BF16 || dtype == SVR_F8_E4M3 ||
           dtype == SVR_I8 || dtype == SVR_F64;
}

static svr_status check_entry(const svr_safetensors *file, const svr_weight_spec *spec,
                              const svr_safetensors_entry *entry, svr_error *err)
{
    char want[96], got[96];

    if (!holds_numbers(entry->dtype))
        return SVR_FAIL(err, SVR_ERR_FORMAT,
                        "%s: tensor '%s' is of type %s; convert the file to F32, F16 or BF16",
                        svr_safetensors_path(file), entry->name, svr_dtype_name(entry->dtype));
    if (entry->rank == spec->rank &&
        memcmp(entry->dims, spec->dims, (size_t) spec->rank * sizeof spec->dims[0]) == 0)
        return SVR_OK;
    return SVR_FAIL(err, SVR_ERR_FORMAT,
                    "%s: tensor '%s' is %s where the others need %s; the file is damaged or not "
                    "converted properly",
                    svr_safetensors_path(file), entry->name,
                    describe(got, sizeof got, entry->dtype, entry->rank, entry->dims),
                    describe(want, sizeof want, entry->dtype, spec->rank, spec->dims));
}

/* Notes the tensor of weights->specs[index] and its scales, and marks both. */
static svr_status bind_entry(svr_weights *weights, size_t index, const svr_safetensors_entry *entry,
                             bool *used, svr_error *err)
{
    const svr_safetensors_entry *first = svr_safetensors_at(weights->file, 0);
    svr_scales *scales = &weights->scales[index];

    SVR_TRY(check_entry(weights->file, &weights->specs[index], entry, err));
    SVR_TRY(svr_scales_find(weights->file, entry, weights->arena, scales, err));
    used[entry - first] = true;
    if (scales->entry)
        used[scales->entry - first] = true;
    if (scales->note)
        used[scales->note - first] = true;
    weights->entries[index] = entry;
    return SVR_OK;
}

/* Finds every spec's tensor, drops optional specs without one, marks tensors that were found. */
static svr_status bind_specs(svr_weights *weights, const network *net, bool *used, svr_error *err)
{
    const svr_safetensors *file = weights->file;
    size_t kept = 0;

    for (size_t i = 0; i < weights->count; i++) {
        const svr_weight_spec *spec = &weights->specs[i];
        const svr_safetensors_entry *entry = svr_safetensors_find(file, spec->name);

        if (!entry && net->vae)
            entry = find_old_name(file, spec->name);
        if (!entry && spec->optional)
            continue;
        if (!entry)
            return SVR_FAIL(err, SVR_ERR_FORMAT,
                            "%s: tensor '%s' of the %s is missing; the file is not complete, fetch "
                            "or convert it again",
                            svr_safetensors_path(file), spec->name, net->kind);
        weights->specs[kept] = *spec;
        SVR_TRY(bind_entry(weights, kept++, entry, used, err));
    }
    weights->count = kept;
    return SVR_OK;
}

/* Prompt embeddings ride along in some transformer files. */
static bool is_companion(const char *name)
{
    return strcmp(name, "positive_conditioning") == 0 || strcmp(name, "negative_conditioning") == 0;
}

static bool is_quantisation(const char *name)
{
    return strstr(name, ".comfy_quant") || strstr(name, ".weight_scale");
}

static svr_status refuse_extras(const svr_weights *weights, const network *net, const bool *used,
                                svr_error *err)
{
    for (size_t i = 0; i < svr_safetensors_count(weights->file); i++) {
        const char *name = svr_safetensors_at(weights->file, i)->name;

        if (used[i] || (net->dit && is_companion(name)))
            continue;
        return SVR_FAIL(err, SVR_ERR_FORMAT, "%s: tensor '%.120s' does not belong to a %s; %s",
                        svr_safetensors_path(weights->file), name, net->kind,
                        is_quantisation(name)
                            ? "it is not quantised in a way that is supported, give an F16 file"
                            : "the file holds another model or is not converted properly");
    }
    return SVR_OK;
}

static svr_status bind_network(const svr_safetensors *file, const network *net, svr_weights **out,
                               svr_error *err)
{
    svr_weights *weights = NULL;
    svr_status status;
    bool *used;

    *out = NULL;
    SVR_TRY(create(net, &weights, err));
    weights->file = file;
    used = svr_arena_alloc(weights->arena, svr_safetensors_count(file), sizeof *used);
    if (used) {
        status = bind_specs(weights, net, used, err);
        if (status == SVR_OK)
            status = refuse_extras(weights, net, used, err);
    } else {
        status = SVR_FAIL(err, SVR_ERR_NO_MEM, "%s: no memory to check the tensors",
                          svr_safetensors_path(file));
    }
    if (status == SVR_OK)
        *out = weights;
    else
        svr_weights_destroy(weights);
    return status;
}

svr_status svr_weights_bind_vae(const svr_safetensors *file, const svr_vae_config *config,
                                svr_weights **out, svr_error *err)
{
    network net = {.kind = svr_model_kind_name(SVR_MODEL_VAE), .vae = config};

    return bind_network(file, &net, out, err);
}

svr_status svr_weights_bind_dit(const svr_safetensors *file, const svr_dit_config *config,
                                svr_weights **out, svr_error *err)
{
    network net = {.kind = svr_model_kind_name(config->kind), .dit = config};

    return bind_network(file, &net, out, err);
}

svr_status svr_weights_generate_vae(const svr_vae_config *config, svr_weight_generator generator,
                                    void *user, svr_weights **out, svr_error *err)
{
    network net = {.kind = svr_model_kind_name(SVR_MODEL_VAE), .vae = config};

    SVR_TRY(create(&net, out, err));
    (*out)->generator = generator;
    (*out)->user = user;
    return SVR_OK;
}

svr_status svr_weights_generate_dit(const svr_dit_config *config, svr_weight_generator generator,
                                    void *user, svr_weights **out, svr_error *err)
{
    network net = {.kind = svr_model_kind_name(config->kind), .dit = config};

    SVR_TRY(create(&net, out, err));
    (*out)->generator = generator;
    (*out)->user = user;
    return SVR_OK;
}

void svr_weights_destroy(svr_weights *weights)
{
    if (!weights)
        return;
    free(weights->specs);
    svr_arena_destroy(weights->arena);
    free(weights);
}
