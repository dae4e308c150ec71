#include "memory/store_internal.h"

#include "base/checked.h"
#include "base/quantize.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHUNK_ELEMS = 1 << 20, /* converted at a time; bounds the host memory of a load */
    ITEM_ALIGN = 256,      /* of an item inside its group */
    FIRST_CAPACITY = 64,
    CONV_RANK = 5
};

/* Host memory and bookkeeping of one svr_store_load(). */
typedef struct loader {
    svr_store *store;
    svr_store_watch watch;
    uint64_t done, total;
    bool to_host;           /* views are of host memory */
    size_t capacity;        /* elements of each buffer */
    float *values, *sorted; /* as read; in the device's order */
    void *packed;           /* in the device's type */
    float *scales;          /* of the rows of a chunk */
} loader;

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

/* Takes a group from where it is. */
static void unload(svr_store *store, int index)
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
        unload(store, i);
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

static bool is_quantized(const store_item *it)
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
    size_t scales = is_quantized(it) ? svr_tensor_bytes(&it->scale) : 0;

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

/* [rows, channels, taps] to [rows, taps, channels]. */
static void sort_taps(const float *src, float *dst, size_t rows, size_t channels, size_t taps)
{
    for (size_t r = 0; r < rows; r++, src += channels * taps, dst += channels * taps)
        for (size_t t = 0; t < taps; t++)
            for (size_t c = 0; c < channels; c++)
                dst[t * channels + c] = src[c * taps + t];
}

/* Rounds n values to the storage type, then brings them to the type of the view. */
static const void *pack(loader *l, const store_item *it, float *values, size_t n)
{
    const svr_store *store = l->store;

    if (it->source.form == SVR_FORM_VECTOR)
        return values;
    if (store->storage != SVR_F32) {
        svr_from_f32(values, store->storage, l->packed, n);
        if (store->kept == store->storage)
            return l->packed;
        svr_to_f32(l->packed, store->storage, values, n);
    }
    if (store->kept == SVR_F32)
        return values;
    svr_from_f32(values, store->kept, l->packed, n);
    return l->packed;
}

/* `bytes` of a group's values to their place. */
static svr_status deliver(const loader *l, void *dst, const void *src, size_t bytes, svr_error *err)
{
    if (!l->to_host)
        return svr_backend_upload(l->store->backend, dst, src, bytes, err);
    memcpy(dst, src, bytes);
    return SVR_OK;
}

/* Whether the file has the rows of an item in the very form in which they are kept. */
static bool is_kept_as_stored(const svr_store *store, const store_item *it)
{
    return is_quantized(it) && !it->source.make &&
           svr_weights_row_type(store->weights, it->source.name) == it->view.dtype;
}

/* Quantises the rows of a chunk, or takes those of the file, and brings over their scales. */
static svr_status quantize_chunk(loader *l, const store_item *it, size_t first, size_t n,
                                 svr_error *err)
{
    size_t unit = (size_t) it->source.dims[1], rows = n / unit;

    if (is_kept_as_stored(l->store, it))
        SVR_TRY(svr_weights_read_rows(l->store->weights, it->source.name, first / unit, rows,
                                      l->packed, l->scales, err));
    else
        for (size_t row = 0; row < rows; row++)
            l->scales[row] = svr_quantize_row(l->values + row * unit, unit, it->view.dtype,
                                              (uint8_t *) l->packed + row * unit);
    return deliver(l, (float *) it->scale.data + first / unit, l->scales,
                   rows * sizeof l->scales[0], err);
}

/* Elements that must stay together: an output channel of a convolution or of a quantised matrix. */
static size_t unit_elems(const store_item *it)
{
    const int64_t *d = it->source.dims;

    if (is_quantized(it))
        return (size_t) d[1];
    return it->source.form == SVR_FORM_CONV ? (size_t) (d[1] * d[2] * d[3] * d[4]) : 1;
}

static void report(loader *l, size_t bytes)
{
    l->done += bytes;
    if (l->watch.progress)
        l->watch.progress(l->watch.progress_user, l->done, l->total);
}

/* Converts and delivers elements [first, first + n), which are whole units, from l->values. */
static svr_status upload_chunk(loader *l, const store_item *it, size_t first, size_t n,
                               svr_error *err)
{
    const int64_t *d = it->source.dims;
    size_t size = svr_dtype_size(it->view.dtype), unit = unit_elems(it);
    float *values = l->values;
    const void *packed;

    if (it->source.form == SVR_FORM_CONV) {
        sort_taps(l->values, l->sorted, n / unit, (size_t) d[1], unit / (size_t) d[1]);
        values = l->sorted;
    }
    if (is_quantized(it)) {
        SVR_TRY(quantize_chunk(l, it, first, n, err));
        packed = l->packed;
    } else {
        packed = pack(l, it, values, n);
    }
    SVR_TRY(deliver(l, (char *) it->view.data + first * size, packed, n * size, err));
    report(l, n * size);
    return SVR_OK;
}

/* What an item's values are in the file, when the device keeps the same bytes. */
static const char *same_bytes(const loader *l, const store_item *it)
{
    const svr_store *store = l->store;

    if (it->source.make || it->source.form == SVR_FORM_CONV || is_quantized(it))
        return NULL;
    if (it->source.form != SVR_FORM_VECTOR && store->kept != store->storage)
        return NULL;
    return svr_weights_stored(store->weights, it->source.name, it->view.dtype);
}

/* Brings one item over in chunks; `made` holds its values when it is computed. */
static svr_status load_chunks(loader *l, const store_item *it, const float *made, svr_error *err)
{
    size_t total = (size_t) svr_tensor_elems(&it->view), unit = unit_elems(it);
    size_t step = l->capacity / unit * unit, size = svr_dtype_size(it->view.dtype);
    const char *stored = same_bytes(l, it);

    for (size_t first = 0; first < total; first += step) {
        size_t n = total - first < step ? total - first : step;

        if (svr_cancel_raised(l->watch.cancel))
            return SVR_FAIL(err, SVR_ERR_CANCELLED, "loading the weights was cancelled");
        if (stored) {
            SVR_TRY(deliver(l, (char *) it->view.data + first * size, stored + first * size,
                            n * size, err));
            report(l, n * size);
            continue;
        }
        if (made)
            memcpy(l->values, made + first, n * sizeof made[0]);
        else if (!is_kept_as_stored(l->store, it))
            SVR_TRY(svr_weights_read_range(l->store->weights, it->source.name, first, n, l->values,
                                           err));
        SVR_TRY(upload_chunk(l, it, first, n, err));
    }
    return SVR_OK;
}

static svr_status load_item(loader *l, const store_item *it, svr_error *err)
{
    const svr_store_item *source = &it->source;
    svr_status status;
    float *made;

    if (!source->make)
        return load_chunks(l, it, NULL, err);
    made = malloc((size_t) svr_tensor_elems(&it->view) * sizeof *made);
    if (!made)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no host memory to compute the weight '%s'",
                        source->name);
    status = source->make(source->make_user, l->store->weights, made, err);
    if (status == SVR_OK)
        status = load_chunks(l, it, made, err);
    free(made);
    return status;
}

void svr_store_place_items(svr_store *store, int index, void *address)
{
    for (int i = 0; i < store->item_count; i++) {
        store_item *it = &store->items[i];

        if (it->source.group != index)
            continue;
        it->view.data = address ? (char *) address + it->offset : NULL;
        it->scale.data =
            address && is_quantized(it) ? (char *) it->view.data + scale_offset(it) : NULL;
    }
}

static svr_status load_items(loader *l, int index, svr_error *err)
{
    for (int i = 0; i < l->store->item_count; i++)
        if (l->store->items[i].source.group == index)
            SVR_TRY(load_item(l, &l->store->items[i], err));
    return SVR_OK;
}

/* Memory for a group where it is to be kept. */
static svr_status take_memory(svr_store *store, store_group *g, svr_error *err)
{
    if (g->bytes == 0)
        return SVR_OK;
    if (!g->streamed)
        return svr_backend_alloc(store->backend, SVR_MEM_WEIGHTS, (size_t) g->bytes, &g->address,
                                 err);
    return svr_backend_host_alloc(store->backend, (size_t) g->bytes, &g->address, err);
}

static svr_status load_group(loader *l, int index, svr_error *err)
{
    svr_store *store = l->store;
    store_group *g = &store->groups[index];
    svr_status status;

    SVR_TRY(take_memory(store, g, err));
    g->in_host = l->to_host = g->streamed;
    svr_store_place_items(store, index, g->address);
    status = load_items(l, index, err);
    g->loaded = status == SVR_OK;
    if (g->in_host)
        svr_store_place_items(store, index, NULL);
    if (!g->loaded)
        unload(store, index);
    return status;
}

static bool is_wanted(const svr_store *store, int group)
{
    const store_group *g = &store->groups[group];

    return !g->loaded && !(g->streamed && store->relay_asked);
}

/* Counts what groups [first, end) still need, and the elements that a buffer must hold. */
static void measure(loader *l, int first, int end)
{
    const svr_store *store = l->store;

    l->capacity = CHUNK_ELEMS;
    for (int i = 0; i < store->item_count; i++) {
        const store_item *it = &store->items[i];

        if (it->source.group < first || it->source.group >= end)
            continue;
        if (is_wanted(store, it->source.group))
            l->total += svr_tensor_bytes(&it->view);
        if (unit_elems(it) > l->capacity)
            l->capacity = unit_elems(it);
    }
}

static bool take_buffers(loader *l)
{
    l->values = calloc(l->capacity, sizeof l->values[0]);
    l->sorted = calloc(l->capacity, sizeof l->sorted[0]);
    l->packed = calloc(l->capacity, sizeof(float));
    l->scales = calloc(l->capacity, sizeof l->scales[0]);
    return l->values && l->sorted && l->packed && l->scales;
}

static void free_buffers(loader *l)
{
    free(l->values);
    free(l->sorted);
    free(l->packed);
    free(l->scales);
}

/* Drops what is not where it is wanted, before anything is loaded: both may not fit. */
static void drop_misplaced(svr_store *store)
{
    bool any = false;

    for (int i = 0; i < store->group_count; i++) {
        const store_group *g = &store->groups[i];

        if (g->loaded && (g->in_host != g->streamed || (g->in_host && store->relay_asked)))
            unload(store, i);
        any = any || g->streamed;
    }
    if (!any || !store->relay_asked)
        svr_store_relay_close(store);
}

/* Loads the groups that have memory of their own.  *refused: the host has none for a streamed one.
 */
static svr_status load_groups(loader *l, int first, int end, bool *refused, svr_error *err)
{
    *refused = false;
    for (int i = first; i < end; i++) {
        uint64_t host = l->store->backend->use.host_live;
        svr_status status = is_wanted(l->store, i) ? load_group(l, i, err) : SVR_OK;

        *refused = status == SVR_ERR_NO_MEM && l->store->groups[i].streamed &&
                   l->store->backend->use.host_live == host;
        SVR_TRY(status);
    }
    return SVR_OK;
}

svr_status svr_store_load(svr_store *store, int first, int count, const svr_store_watch *watch,
                          svr_error *err)
{
    loader l = {.store = store, .watch = watch ? *watch : (svr_store_watch){0}};
    svr_status status;
    bool refused = false;

    assert(first >= 0 && count >= 0 && first + count <= store->group_count);
    drop_misplaced(store);
    measure(&l, first, first + count);
    status = take_buffers(&l) ? load_groups(&l, first, first + count, &refused, err)
                              : SVR_FAIL(err, SVR_ERR_NO_MEM, "no host memory to load the weights");
    free_buffers(&l);
    if (refused) {
        svr_error_clear(err);
        svr_store_set_relay(store, true);
        return svr_store_load(store, first, count, watch, err);
    }
    SVR_TRY(status);
    return store->relay_asked ? svr_store_relay_open(store, err) : SVR_OK;
}

svr_status svr_store_read_group(svr_store *store, int group, void *dst, svr_error *err)
{
    loader l = {.store = store, .to_host = true};
    svr_status status;

    measure(&l, group, group + 1);
    svr_store_place_items(store, group, dst);
    status = take_buffers(&l) ? load_items(&l, group, err)
                              : SVR_FAIL(err, SVR_ERR_NO_MEM, "no host memory to read weights");
    free_buffers(&l);
    svr_store_place_items(store, group, NULL);
    return status;
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
    return is_quantized(&store->items[id]) ? store->items[id].scale : absent;
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
