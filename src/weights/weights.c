/* Values of tensors that are bound (weights_bind.c), as F32 or as the file has them. */
#include "weights/weights.h"

#include "base/quantize.h"
#include "weights/scales.h"
#include "weights/specs.h"
#include "weights/weights_internal.h"

#include <stdlib.h>

enum { SCAN_ELEMS = 4096, PIECE_BYTES = 32768 };

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

/* Elements [first, first + count) of entry `index`, in its own type. */
static svr_status read_entry(const svr_weights *weights, size_t index, size_t first, size_t count,
                             void *dst, svr_error *err)
{
    const svr_safetensors_entry *entry = weights->entries[index];
    size_t size = svr_dtype_size(entry->dtype);

    return svr_safetensors_read(weights->file, entry, first * size, dst, count * size, err);
}

/* Elements [first, first + count) of a tensor with scales from `numbers`. */
static void apply_scales(const svr_weights *weights, size_t index, size_t first, size_t count,
                         const unsigned char *numbers, float *dst)
{
    const svr_safetensors_entry *entry = weights->entries[index];
    size_t width = (size_t) entry->dims[1];

    while (count > 0) {
        size_t row = first / width, rest = width - first % width, n = count < rest ? count : rest;

        svr_dequantize_row(numbers, n, entry->dtype,
                           svr_scales_of_row(&weights->scales[index], row), dst);
        numbers += n, first += n, dst += n, count -= n;
    }
}

/* In pieces, so that values in the file's type need no memory to speak of. */
static svr_status read_values(const svr_weights *weights, size_t index, size_t first, size_t count,
                              float *dst, svr_error *err)
{
    unsigned char piece[PIECE_BYTES];
    svr_dtype dtype = weights->entries[index]->dtype;
    size_t most = sizeof piece / svr_dtype_size(dtype);

    if (dtype == SVR_F32)
        return read_entry(weights, index, first, count, dst, err);
    while (count > 0) {
        size_t n = count < most ? count : most;

        SVR_TRY(read_entry(weights, index, first, n, piece, err));
        if (weights->scales[index].entry)
            apply_scales(weights, index, first, n, piece, dst);
        else
            svr_to_f32(piece, dtype, dst, n);
        first += n, dst += n, count -= n;
    }
    return SVR_OK;
}

static svr_status check_range(const svr_weight_spec *spec, const char *name, size_t first,
                              size_t count, svr_error *err)
{
    if (!spec)
        return SVR_FAIL(err, SVR_ERR_INVALID, "the model has no tensor '%s'; ask for one it has",
                        name);
    if (first > svr_weight_elems(spec) || count > svr_weight_elems(spec) - first)
        return SVR_FAIL(err, SVR_ERR_INVALID,
                        "elements %zu to %zu of tensor '%s' are asked for, which has %zu; ask for "
                        "fewer",
                        first, first + count, name, svr_weight_elems(spec));
    return SVR_OK;
}

svr_status svr_weights_read_range(const svr_weights *weights, const char *name, size_t first,
                                  size_t count, float *dst, svr_error *err)
{
    const svr_weight_spec *spec = svr_weights_find(weights, name);

    SVR_TRY(check_range(spec, name, first, count, err));
    if (weights->generator)
        return weights->generator(weights->user, spec, first, count, dst, err);
    return read_values(weights, (size_t) (spec - weights->specs), first, count, dst, err);
}

bool svr_weights_is_stored(const svr_weights *weights, const char *name, svr_dtype dtype)
{
    const svr_weight_spec *spec = svr_weights_find(weights, name);

    return spec && !weights->generator && weights->entries[spec - weights->specs]->dtype == dtype;
}

svr_status svr_weights_read_stored(const svr_weights *weights, const char *name, size_t first,
                                   size_t count, void *dst, svr_error *err)
{
    const svr_weight_spec *spec = svr_weights_find(weights, name);

    SVR_TRY(check_range(spec, name, first, count, err));
    return read_entry(weights, (size_t) (spec - weights->specs), first, count, dst, err);
}

/* The place of a tensor that has scales, else -1. */
static ptrdiff_t find_scaled(const svr_weights *weights, const char *name)
{
    const svr_weight_spec *spec = svr_weights_find(weights, name);

    return spec && weights->scales[spec - weights->specs].entry ? spec - weights->specs : -1;
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
    const svr_weight_spec *spec = index < 0 ? NULL : &weights->specs[index];
    size_t rows = spec ? (size_t) spec->dims[0] : 0, width = spec ? (size_t) spec->dims[1] : 0;

    if (first > rows || count > rows - first)
        return SVR_FAIL(
            err, SVR_ERR_INVALID,
            "rows %zu to %zu of tensor '%s' are asked for, which has %zu in 8 bits; ask "
            "for fewer",
            first, first + count, name, rows);
    if (count > 0)
        SVR_TRY(read_entry(weights, (size_t) index, first * width, count * width, dst, err));
    for (size_t i = 0; i < count; i++)
        scales[i] = svr_scales_of_row(&weights->scales[index], first + i);
    return SVR_OK;
}

svr_dtype svr_weights_factor_type(const svr_weights *weights)
{
    for (size_t i = 0; i < weights->count; i++)
        if (weights->specs[i].factor && weights->scales[i].entry)
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
