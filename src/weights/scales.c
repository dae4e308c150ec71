#include "weights/scales.h"

#include "base/json.h"

#include <stdio.h>
#include <string.h>

enum { MAX_NAME = 176, MAX_NOTE = 4096 };

static const char weight_suffix[] = ".weight";

/* A tensor beside `entry`: its name with `cut` removed at the end and `suffix` appended. */
static const svr_safetensors_entry *find_beside(const svr_safetensors *file,
                                                const svr_safetensors_entry *entry, const char *cut,
                                                const char *suffix)
{
    size_t length = strlen(entry->name), removed = strlen(cut);
    char name[MAX_NAME];
    int written;

    if (length < removed || strcmp(entry->name + length - removed, cut) != 0)
        return NULL;
    written = snprintf(name, sizeof name, "%.*s%s", (int) (length - removed), entry->name, suffix);
    return written < (int) sizeof name ? svr_safetensors_find(file, name) : NULL;
}

static svr_status check_values(const svr_safetensors *file, const svr_safetensors_entry *entry,
                               const svr_safetensors_entry *values, svr_error *err)
{
    size_t n = svr_safetensors_elems(values);
    bool fits = n == 1 || (n == (size_t) entry->dims[0] && values->dims[0] == entry->dims[0]);

    if (values->dtype != SVR_F32)
        return SVR_FAIL(err, SVR_ERR_FORMAT,
                        "%s: tensor '%s' is of type %s; scales must be f32, convert the file again",
                        svr_safetensors_path(file), values->name, svr_dtype_name(values->dtype));
    if (fits)
        return SVR_OK;
    return SVR_FAIL(err, SVR_ERR_FORMAT,
                    "%s: tensor '%s' has %zu values for the %lld rows of '%s'; there must be one "
                    "for each row or one for all, convert the file again",
                    svr_safetensors_path(file), values->name, n, (long long) entry->dims[0],
                    entry->name);
}

static svr_status read_all(const svr_safetensors *file, const svr_safetensors_entry *entry,
                           svr_arena *arena, const void **out, svr_error *err)
{
    void *bytes = svr_arena_alloc(arena, entry->bytes, 1);

    if (!bytes)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "%s: no memory for tensor '%s'",
                        svr_safetensors_path(file), entry->name);
    *out = bytes;
    return svr_safetensors_read(file, entry, 0, bytes, entry->bytes, err);
}

/* A note must say what type and shapes say already. */
static svr_status check_note(const svr_safetensors *file, const svr_safetensors_entry *entry,
                             const svr_safetensors_entry *note, svr_arena *arena, svr_error *err)
{
    const char *want = entry->dtype == SVR_I8 ? "int8_tensorwise" : "float8_e4m3fn";
    const svr_json *json = NULL, *format, *rotated;
    const void *text;

    if (note->dtype != SVR_U8 || note->bytes > MAX_NOTE)
        return SVR_FAIL(err, SVR_ERR_FORMAT,
                        "%s: tensor '%s' is %zu bytes of type %s; such notes are short texts",
                        svr_safetensors_path(file), note->name, note->bytes,
                        svr_dtype_name(note->dtype));
    SVR_TRY(read_all(file, note, arena, &text, err));
    if (svr_json_parse(arena, text, note->bytes, &json, err) != SVR_OK) {
        svr_error_prefix(err, "%s: tensor '%s': ", svr_safetensors_path(file), note->name);
        return err ? err->code : SVR_ERR_FORMAT;
    }
    format = svr_json_get(json, "format");
    rotated = svr_json_get(json, "convrot");
    if (!format || format->type != SVR_JSON_STRING || strcmp(format->string, want) != 0)
        return SVR_FAIL(err, SVR_ERR_UNSUPPORTED,
                        "%s: tensor '%s' is not quantised as %s; give an F16 file",
                        svr_safetensors_path(file), entry->name, want);
    if (rotated && (rotated->type != SVR_JSON_BOOL || rotated->boolean))
        return SVR_FAIL(err, SVR_ERR_UNSUPPORTED,
                        "%s: tensor '%s' is rotated (convrot), which is not supported; give an F16 "
                        "file and convert it to int8 here",
                        svr_safetensors_path(file), entry->name);
    return SVR_OK;
}

svr_status svr_scales_find(const svr_safetensors *file, const svr_safetensors_entry *entry,
                           svr_arena *arena, svr_scales *out, svr_error *err)
{
    const void *values = NULL;

    *out = (svr_scales){0};
    if (entry->dtype != SVR_I8 && entry->dtype != SVR_F8_E4M3)
        return SVR_OK;
    if (entry->rank == 2)
        out->entry = find_beside(file, entry, "", "_scale");
    if (entry->dtype == SVR_I8 && !out->entry)
        return SVR_FAIL(err, SVR_ERR_FORMAT,
                        "%s: tensor '%s' holds integers without their scales '%.120s_scale'; the "
                        "file is not complete, convert it again",
                        svr_safetensors_path(file), entry->name, entry->name);
    if (out->entry) {
        SVR_TRY(check_values(file, entry, out->entry, err));
        SVR_TRY(read_all(file, out->entry, arena, &values, err));
        out->values = values;
    }
    out->note = find_beside(file, entry, weight_suffix, ".comfy_quant");
    return out->note ? check_note(file, entry, out->note, arena, err) : SVR_OK;
}

float svr_scales_of_row(const svr_scales *scales, size_t row)
{
    return scales->values[svr_safetensors_elems(scales->entry) == 1 ? 0 : row];
}
