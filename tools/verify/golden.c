#include "verify/golden.h"

#include <stdlib.h>
#include <string.h>

svr_status golden_open(const char *path, golden *out, svr_error *err)
{
    g_autofree char *base = g_path_get_basename(path);

    *out = (golden){0};
    SVR_TRY(svr_safetensors_open(path, &out->file, err));
    if (g_str_has_suffix(base, ".safetensors"))
        base[strlen(base) - strlen(".safetensors")] = '\0';
    out->stem = g_steal_pointer(&base);
    out->folder = g_path_get_dirname(path);
    return SVR_OK;
}

void golden_close(golden *g)
{
    svr_safetensors_close(g->file);
    g_free(g->stem);
    g_free(g->folder);
    *g = (golden){0};
}

bool golden_has(const golden *g, const char *name)
{
    return svr_safetensors_find(g->file, name) != NULL;
}

bool golden_has_any(const golden *g, const char *prefix)
{
    for (size_t i = 0; i < svr_safetensors_count(g->file); i++)
        if (g_str_has_prefix(svr_safetensors_at(g->file, i)->name, prefix))
            return true;
    return false;
}

char **golden_prefixes(const golden *g, const char *suffix)
{
    GPtrArray *prefixes = g_ptr_array_new();

    for (size_t i = 0; i < svr_safetensors_count(g->file); i++) {
        const char *name = svr_safetensors_at(g->file, i)->name;

        if (g_str_has_suffix(name, suffix))
            g_ptr_array_add(prefixes, g_strndup(name, strlen(name) - strlen(suffix)));
    }
    g_ptr_array_add(prefixes, NULL);
    return (char **) g_ptr_array_free(prefixes, FALSE);
}

static svr_status wrong(const golden *g, const char *name, const char *what, svr_error *err)
{
    return SVR_FAIL(err, SVR_ERR_FORMAT, "%s: %s %s; the golden file does not fit its kind",
                    svr_safetensors_path(g->file), name, what);
}

svr_status golden_entry(const golden *g, const char *name, int rank,
                        const svr_safetensors_entry **out, svr_error *err)
{
    const svr_safetensors_entry *entry = svr_safetensors_find(g->file, name);

    *out = entry;
    if (!entry)
        return wrong(g, name, "is missing", err);
    if (rank >= 0 && entry->rank != rank)
        return wrong(g, name, "has another rank than expected", err);
    if (svr_safetensors_elems(entry) == 0)
        return wrong(g, name, "is empty", err);
    return SVR_OK;
}

/* Element i of an integer entry, which may lie unaligned. */
static int64_t integer_at(const svr_safetensors_entry *entry, size_t i)
{
    const unsigned char *data = (const unsigned char *) entry->data;
    int64_t wide;
    int32_t narrow;

    switch (entry->dtype) {
    case SVR_I64:
        memcpy(&wide, data + i * sizeof(wide), sizeof(wide));
        return wide;
    case SVR_I32:
        memcpy(&narrow, data + i * sizeof(narrow), sizeof(narrow));
        return narrow;
    default:
        return data[i];
    }
}

static bool is_integer(svr_dtype dtype)
{
    return dtype == SVR_I32 || dtype == SVR_I64 || dtype == SVR_U8;
}

svr_status golden_floats(const golden *g, const char *name, float **out, svr_error *err)
{
    const svr_safetensors_entry *entry;
    size_t n;

    SVR_TRY(golden_entry(g, name, -1, &entry, err));
    n = svr_safetensors_elems(entry);
    *out = g_new0(float, n);
    if (is_integer(entry->dtype)) {
        for (size_t i = 0; i < n; i++)
            (*out)[i] = (float) integer_at(entry, i);
        return SVR_OK;
    }
    svr_to_f32(entry->data, entry->dtype, *out, n);
    return SVR_OK;
}

svr_status golden_ints(const golden *g, const char *name, int64_t **out, svr_error *err)
{
    const svr_safetensors_entry *entry;
    size_t n;

    SVR_TRY(golden_entry(g, name, -1, &entry, err));
    if (!is_integer(entry->dtype))
        return wrong(g, name, "does not hold integers", err);
    n = svr_safetensors_elems(entry);
    *out = g_new(int64_t, n);
    for (size_t i = 0; i < n; i++)
        (*out)[i] = integer_at(entry, i);
    return SVR_OK;
}

svr_status golden_few_ints(const golden *g, const char *name, size_t n, int *out, svr_error *err)
{
    const svr_safetensors_entry *entry;

    SVR_TRY(golden_entry(g, name, -1, &entry, err));
    if (!is_integer(entry->dtype) || svr_safetensors_elems(entry) != n)
        return wrong(g, name, "does not hold the integers that belong there", err);
    for (size_t i = 0; i < n; i++) {
        int64_t value = integer_at(entry, i);

        if (value < INT32_MIN || value > INT32_MAX)
            return wrong(g, name, "holds a number that is out of range", err);
        out[i] = (int) value;
    }
    return SVR_OK;
}

float *golden_permute(const float *src, const int64_t dims[4], const int order[4])
{
    int64_t stride[4] = {dims[1] * dims[2] * dims[3], dims[2] * dims[3], dims[3], 1};
    float *dst = g_new(float, (size_t) (dims[0] * stride[0]));
    size_t n = 0;

    for (int64_t a = 0; a < dims[order[0]]; a++)
        for (int64_t b = 0; b < dims[order[1]]; b++)
            for (int64_t c = 0; c < dims[order[2]]; c++)
                for (int64_t d = 0; d < dims[order[3]]; d++)
                    dst[n++] = src[a * stride[order[0]] + b * stride[order[1]] +
                                   c * stride[order[2]] + d * stride[order[3]]];
    return dst;
}

svr_status golden_channels_last(const golden *g, const char *name, float **out, int64_t dims[4],
                                svr_error *err)
{
    static const int order[4] = {1, 2, 3, 0};
    const svr_safetensors_entry *entry;
    g_autofree float *values = NULL;
    const int64_t *shape;

    SVR_TRY(golden_entry(g, name, -1, &entry, err));
    if (entry->rank != 4 && !(entry->rank == 5 && entry->dims[0] == 1))
        return wrong(g, name, "is no picture sequence [C,T,H,W]", err);
    shape = entry->dims + (entry->rank - 4);
    SVR_TRY(golden_floats(g, name, &values, err));
    *out = golden_permute(values, shape, order);
    for (int i = 0; i < 4; i++)
        dims[i] = shape[order[i]];
    return SVR_OK;
}

svr_status golden_meta_tuple(const golden *g, const char *key, size_t n, int *out, svr_error *err)
{
    const char *at = svr_safetensors_metadata(g->file, key);

    if (!at)
        return SVR_FAIL(err, SVR_ERR_FORMAT, "%s: the metadata lack \"%s\"",
                        svr_safetensors_path(g->file), key);
    for (size_t i = 0; i < n; i++) {
        char *end;
        long value;

        at += strspn(at, "([, ");
        value = strtol(at, &end, 10);
        if (end == at || value < INT32_MIN || value > INT32_MAX)
            return SVR_FAIL(err, SVR_ERR_FORMAT,
                            "%s: metadata \"%s\" should hold %zu whole numbers",
                            svr_safetensors_path(g->file), key, n);
        out[i] = (int) value;
        at = end;
    }
    return SVR_OK;
}

svr_status golden_meta_int(const golden *g, const char *key, int *out, svr_error *err)
{
    return golden_meta_tuple(g, key, 1, out, err);
}

svr_status golden_weights_path(const golden *g, char **out, svr_error *err)
{
    for (size_t n = strlen(g->stem); n-- > 0;) {
        g_autofree char *name = NULL;
        g_autofree char *path = NULL;

        if (g->stem[n] != '.' && g->stem[n] != '_')
            continue;
        name = g_strdup_printf("%.*sweights.safetensors", (int) n + 1, g->stem);
        path = g_build_filename(g->folder, name, NULL);
        if (g_file_test(path, G_FILE_TEST_EXISTS)) {
            *out = g_steal_pointer(&path);
            return SVR_OK;
        }
    }
    return SVR_FAIL(err, SVR_ERR_IO, "%s: no weights file (…weights.safetensors) lies beside it",
                    svr_safetensors_path(g->file));
}
