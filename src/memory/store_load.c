/* Values on their way from the file to the device or to host memory, converted in chunks. */
#include "memory/store_internal.h"

#include "base/quantize.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_ELEMS = 1 << 20 /* converted at a time; bounds the host memory of a load */ };

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
    return svr_store_is_quantized_item(it) && !it->source.make &&
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

    if (svr_store_is_quantized_item(it))
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
    if (svr_store_is_quantized_item(it)) {
        SVR_TRY(quantize_chunk(l, it, first, n, err));
        packed = l->packed;
    } else {
        packed = pack(l, it, values, n);
    }
    SVR_TRY(deliver(l, (char *) it->view.data + first * size, packed, n * size, err));
    report(l, n * size);
    return SVR_OK;
}

/* Whether the file has the very bytes that the device keeps of an item. */
static bool has_same_bytes(const loader *l, const store_item *it)
{
    const svr_store *store = l->store;

    if (it->source.make || it->source.form == SVR_FORM_CONV || svr_store_is_quantized_item(it))
        return false;
    if (it->source.form != SVR_FORM_VECTOR && store->kept != store->storage)
        return false;
    return svr_weights_is_stored(store->weights, it->source.name, it->view.dtype);
}

/* Elements [first, first + n) as the file has them. */
static svr_status copy_chunk(loader *l, const store_item *it, size_t first, size_t n,
                             svr_error *err)
{
    size_t size = svr_dtype_size(it->view.dtype);
    char *dst = (char *) it->view.data + first * size;

    SVR_TRY(svr_weights_read_stored(l->store->weights, it->source.name, first, n,
                                    l->to_host ? dst : l->packed, err));
    if (!l->to_host)
        SVR_TRY(svr_backend_upload(l->store->backend, dst, l->packed, n * size, err));
    report(l, n * size);
    return SVR_OK;
}

/* Brings one item over in chunks; `made` holds its values when it is computed. */
static svr_status load_chunks(loader *l, const store_item *it, const float *made, svr_error *err)
{
    size_t total = (size_t) svr_tensor_elems(&it->view), unit = unit_elems(it);
    size_t step = l->capacity / unit * unit;
    bool same = has_same_bytes(l, it);

    for (size_t first = 0; first < total; first += step) {
        size_t n = total - first < step ? total - first : step;

        if (svr_cancel_raised(l->watch.cancel))
            return SVR_FAIL(err, SVR_ERR_CANCELLED, "loading the weights was cancelled");
        if (same) {
            SVR_TRY(copy_chunk(l, it, first, n, err));
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
        svr_store_unload(store, index);
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
            svr_store_unload(store, i);
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
