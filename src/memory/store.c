#include "memory/store_internal.h"

#include "base/checked.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    ITEM_ALIGN = 256, /* of an item inside its group */
    FIRST_CAPACITY = 64,
    CONV_RANK = 5
};

svr_status svr_store_create(svr_backend *backend, const svr_weights *weights, svr_dtype storage,
                            int groups, svr_store **out, svr_error *err)
{
    svr_store *store = calloc(1, sizeof *store);

    assert(groups > 0);
    *out = NULL;
    if (store)
        store->arena = svr_arena_create();
    if (store && store->arena)
        store->groups = svr_arena_alloc(store->arena, (size_t) groups, sizeof store->groups[0]);
    if (!store || !store->groups) {
        svr_store_destroy(store);
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for the table of weights");
    }
    store->backend = backend;
    store->weights = weights;
    store->storage = storage;
    store->kept = store->factors = backend->vtable->weight_dtype(backend, storage);
    store->group_count = groups;
    store->slots = 2;
    *out = store;
    return SVR_OK;
}

svr_status svr_store_quantize(svr_store *store, svr_dtype type, svr_error *err)
{
    const svr_backend_vtable *vtable = store->backend->vtable;

    if (type != SVR_F8_E4M3 && type != SVR_I8)
        return SVR_FAIL(err, SVR_ERR_UNSUPPORTED,
                        "weights cannot be quantised to %s; choose f8_e4m3 or i8",
                        svr_dtype_name(type));
    if (vtable->check_quantization)
        SVR_TRY(vtable->check_quantization(store->backend, type, err));
    store->factors = type;
    return SVR_OK;
}

void svr_store_unload(svr_store *store, int index)
{
    store_group *g = &store->groups[index];

    assert(g->users == 0);
    svr_store_place_items(store, index, NULL);
    if (g->in_host)
        svr_backend_host_free(store->backend, (size_t) g->bytes, g->address);
    else
        svr_backend_free(store->backend, SVR_MEM_WEIGHTS, (size_t) g->bytes, g->address);
    g->address = NULL;
    g->loaded = g->in_host = false;
}

void svr_store_destroy(svr_store *store)
{
    if (!store)
        return;
    for (int i = 0; store->groups && i < store->group_count; i++) {
        store->groups[i].users = 0;
        svr_store_unload(store, i);
    }
    svr_store_relay_close(store);
    free(store->items);
    svr_arena_destroy(store->arena);
    free(store);
}

/* Completes rank and dims of an item that is read from a tensor. */
static svr_status take_shape(const svr_store *store, svr_store_item *source, svr_error *err)
{
    const svr_weight_spec *spec;

    if (!source->make) {
        spec = svr_weights_find(store->weights, source->name);
        if (!spec)
            return SVR_FAIL(err, SVR_ERR_INVALID,
                            "the model has no tensor '%s'; give a complete file", source->name);
        source->rank = spec->rank;
        memcpy(source->dims, spec->dims, sizeof source->dims);
    }
    if (source->form == SVR_FORM_CONV && source->rank != CONV_RANK)
        return SVR_FAIL(err, SVR_ERR_INVALID,
                        "tensor '%s' has %d dimensions, a convolution has %d; give a proper file",
                        source->name, source->rank, CONV_RANK);
    if (source->form == SVR_FORM_FACTOR && source->rank != 2)
        return SVR_FAIL(err, SVR_ERR_INVALID,
                        "tensor '%s' has %d dimensions, a matrix has 2; give a proper file",
                        source->name, source->rank);
    return SVR_OK;
}

/* Shape and type on the device. */
static svr_tensor device_view(const svr_store *store, const svr_store_item *source)
{
    svr_tensor view = {.rank = source->rank,
                       .dtype = source->form == SVR_FORM_VECTOR ? SVR_F32 : store->kept};

    memcpy(view.dims, source->dims, sizeof view.dims);
    if (source->form == SVR_FORM_CONV) {
        memmove(&view.dims[1], &source->dims[2], 3 * sizeof view.dims[0]);
        view.dims[4] = source->dims[1];
    }
    return view;
}

bool svr_store_is_quantized_item(const store_item *it)
{
    return it->scale.rank != 0;
}

/* Makes the view of a factor quantised. */
static void quantize_view(store_item *it, svr_dtype type)
{
    it->view.dtype = type;
    it->scale = svr_tensor_1d(NULL, SVR_F32, it->view.dims[0]);
}

/* Bytes in front of an item's scales, and of the whole item. */
static size_t scale_offset(const store_item *it)
{
    return svr_align_up(svr_tensor_bytes(&it->view), ITEM_ALIGN);
}

static size_t item_bytes(const store_item *it)
{
    size_t scales = svr_store_is_quantized_item(it) ? svr_tensor_bytes(&it->scale) : 0;

    return scale_offset(it) + svr_align_up(scales, ITEM_ALIGN);
}

static bool grow(svr_store *store)
{
    int capacity = store->item_capacity ? 2 * store->item_capacity : FIRST_CAPACITY;
    store_item *items = realloc(store->items, (size_t) capacity * sizeof *items);

    if (!items)
        return false;
    store->items = items;
    store->item_capacity = capacity;
    return true;
}

svr_status svr_store_add(svr_store *store, const svr_store_item *source, int *id, svr_error *err)
{
    store_group *g = &store->groups[source->group];
    store_item added = {.source = *source};

    assert(source->group >= 0 && source->group < store->group_count && !g->loaded);
    SVR_TRY(take_shape(store, &added.source, err));
    added.source.name = svr_arena_strndup(store->arena, source->name, strlen(source->name));
    if (!added.source.name || (store->item_count == store->item_capacity && !grow(store)))
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for the table of weights");
    added.view = device_view(store, &added.source);
    if (store->factors != store->kept && source->form == SVR_FORM_FACTOR)
        quantize_view(&added, store->factors);
    added.offset = (size_t) g->bytes;
    g->bytes += item_bytes(&added);
    *id = store->item_count++;
    store->items[*id] = added;
    return SVR_OK;
}

void svr_store_set_streamed(svr_store *store, int group, bool streamed)
{
    assert(group >= 0 && group < store->group_count);
    store->groups[group].streamed = streamed;
}

bool svr_store_is_streamed(const svr_store *store, int group)
{
    assert(group >= 0 && group < store->group_count);
    return store->groups[group].streamed;
}

void svr_store_set_slots(svr_store *store, int slots)
{
    assert(slots >= 1);
    store->slots = slots < STORE_MAX_SLOTS ? slots : STORE_MAX_SLOTS;
}

void svr_store_set_relay(svr_store *store, bool relay)
{
    store->relay_asked = relay;
}

uint64_t svr_store_group_bytes(const svr_store *store, int group)
{
    assert(group >= 0 && group < store->group_count);
    return store->groups[group].bytes;
}

void svr_store_place_items(svr_store *store, int index, void *address)
{
    for (int i = 0; i < store->item_count; i++) {
        store_item *it = &store->items[i];

        if (it->source.group != index)
            continue;
        it->view.data = address ? (char *) address + it->offset : NULL;
        it->scale.data = address && svr_store_is_quantized_item(it)
                             ? (char *) it->view.data + scale_offset(it)
                             : NULL;
    }
}

svr_tensor svr_store_tensor(const svr_store *store, int id)
{
    assert(id >= 0 && id < store->item_count);
    assert(store->groups[store->items[id].source.group].users > 0);
    return store->items[id].view;
}

svr_tensor svr_store_scale(const svr_store *store, int id)
{
    svr_tensor absent = {0};

    assert(id >= 0 && id < store->item_count);
    assert(store->groups[store->items[id].source.group].users > 0);
    return svr_store_is_quantized_item(&store->items[id]) ? store->items[id].scale : absent;
}

svr_dtype svr_store_factor_type(const svr_store *store)
{
    return store->factors;
}

const svr_weights *svr_store_weights(const svr_store *store)
{
    return store->weights;
}

svr_dtype svr_store_storage(const svr_store *store)
{
    return store->storage;
}
