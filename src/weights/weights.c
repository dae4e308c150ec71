/* Values of tensors that are bound (weights_bind.c). */
#include "weights/weights.h"

#include "base/quantize.h"
#include "weights/scales.h"
#include "weights/specs.h"
#include "weights/weights_internal.h"

#include <stdlib.h>
#include <string.h>

enum { SCAN_ELEMS = 4096 };

const svr_weight_spec *svr_weights_find(const svr_weights *weights, const char *name)
{
    svr_weight_spec key = {.name = name};

    return bsearch(&key, weights->specs, weights->count, sizeof key, svr_spec_by_name);
}

size_t svr_weights_count(const svr_weights *weights)
{
    return weights->count;
}

const svr_weight_spec *svr_weights_at(const svr_weights *weights, size_t index)
{
    return index < weights->count ? &weights->specs[index] : NULL;
}

size_t svr_weight_elems(const svr_weight_spec *spec)
{
    size_t n = 1;

    for (int i = 0; i < spec->rank; i++)
        n *= (size_t) spec->dims[i];
    return n;
}

svr_status svr_weights_read(const svr_weights *weights, const char *name, float *dst, size_t count,
                            svr_error *err)
{
    const svr_weight_spec *spec = svr_weights_find(weights, name);

    if (spec && svr_weight_elems(spec) != count)
        return SVR_FAIL(err, SVR_ERR_INVALID,
                        "%zu elements of tensor '%s' are asked for, which has %zu; ask for all",
                        count, name, svr_weight_elems(spec));
    return svr_weights_read_range(weights, name, 0, count, dst, err);
}

/* Elements [first, first + count) of a tensor with scales. */
static void read_scaled(const svr_weights *weights, size_t index, size_t first, size_t count,
                        float *dst)
{
    const svr_safetensors_entry *entry = weights->entries[index];
    size_t width = (size_t) entry->dims[1];

    while (count > 0) {
        size_t row = first / width, rest = width - first % width, n = count < rest ? count : rest;

        svr_dequantize_row((const char *) entry->data + first, n, entry->dtype,
                           svr_scales_of_row(weights->scales[index], row), dst);
        first += n, dst += n, count -= n;
    }
}

svr_status svr_weights_read_range(const svr_weights *weights, const char *name, size_t first,
                                  size_t count, float *dst, svr_error *err)
{
    const svr_weight_spec *spec = svr_weights_find(weights, name);
    const svr_safetensors_entry *entry;

    if (!spec)
        return SVR_FAIL(err, SVR_ERR_INVALID, "the model has no tensor '%s'; ask for one it has",
                        name);
    if (first > svr_weight_elems(spec) || count > svr_weight_elems(spec) - first)
        return SVR_FAIL(err, SVR_ERR_INVALID,
                        "elements %zu to %zu of tensor '%s' are asked for, which has %zu; ask for "
                        "fewer",
                        first, first + count, name, svr_weight_elems(spec));
    if (weights->generator)
        return weights->generator(weights->user, spec, first, count, dst, err);
    entry = weights->entries[spec - weights->specs];
    if (weights->scales[spec - weights->specs]) {
        read_scaled(weights, (size_t) (spec - weights->specs), first, count, dst);
        return SVR_OK;
    }
    svr_to_f32((const char *) entry->data + first * svr_dtype_size(entry->dtype), entry->dtype, dst,
               count);
    return SVR_OK;
}

const void *svr_weights_stored(const svr_weights *weights, const char *name, svr_dtype dtype)
{
    const svr_weight_spec *spec = svr_weights_find(weights, name);
    const svr_safetensors_entry *entry;

    if (!spec || weights->generator)
        return NULL;
    entry = weights->entries[spec - weights->specs];
    return entry->dtype == dtype ? entry->data : NULL;
}

/* The place of a tensor that has scales, else -1. */
static ptrdiff_t find_scaled(const svr_weights *weights, const char *name)
{
    const svr_weight_spec *spec = svr_weights_find(weights, name);

    return spec && weights->scales[spec - weights->specs] ? spec - weights->specs : -1;
}

svr_dtype svr_weights_row_type(const svr_weights *weights, const char *name)
{
    ptrdiff_t index = find_scaled(weights, name);

    return index < 0 ? SVR_F32 : weights->entries[index]->dtype;
}

svr_status svr_weights_read_rows(const svr_weights *weights, const char *name, size_t first,
                                 size_t count, void *dst, float *scales, svr_error *err)
{
    ptrdiff_t index = find_scaled(weights, name);
    const svr_safetensors_entry *entry = index < 0 ? NULL : weights->entries[index];
    size_t rows = entry ? (size_t) entry->dims[0] : 0, width = entry ? (size_t) entry->dims[1] : 0;

    if (first > rows || count > rows - first)
        return SVR_FAIL(
            err, SVR_ERR_INVALID,
            "rows %zu to %zu of tensor '%s' are asked for, which has %zu in 8 bits; ask "
            "for fewer",
            first, first + count, name, rows);
    if (count > 0)
        memcpy(dst, (const char *) entry->data + first * width, count * width);
    for (size_t i = 0; i < count; i++)
        scales[i] = svr_scales_of_row(weights->scales[index], first + i);
    return SVR_OK;
}

svr_dtype svr_weights_factor_type(const svr_weights *weights)
{
    for (size_t i = 0; i < weights->count; i++)
        if (weights->specs[i].factor && weights->scales[i])
            return weights->entries[i]->dtype;
    return SVR_F32;
}

bool svr_weights_is_zero(const svr_weights *weights, const char *name)
{
    const svr_weight_spec *spec = svr_weights_find(weights, name);
    float values[SCAN_ELEMS];
    size_t total = spec ? svr_weight_elems(spec) : 0;

    for (size_t first = 0; first < total; first += SCAN_ELEMS) {
        size_t n = total - first < SCAN_ELEMS ? total - first : SCAN_ELEMS;

        if (svr_weights_read_range(weights, name, first, n, values, NULL) != SVR_OK)
            return false;
        for (size_t i = 0; i < n; i++)
            if (values[i] != 0.0f)
                return false;
    }
    return spec != NULL;
}
