#include "weights/scales.h"

#include "base/json.h"

#include <stdio.h>
#include <string.h>

enum { MAX_NAME = 176 };

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

/* A note must say what type and shapes say already. */
static svr_status check_note(const svr_safetensors *file, const svr_safetensors_entry *entry,
                             const svr_safetensors_entry *note, svr_arena *arena, svr_error *err)
{
    const char *want = entry->dtype == SVR_I8 ? "int8_tensorwise" : "float8_e4m3fn";
    const svr_json *json = NULL, *format, *rotated;

    if (note->dtype != SVR_U8)
        return SVR_FAIL(err, SVR_ERR_FORMAT, "%s: tensor '%s' is of type %s; such notes are text",
                        svr_safetensors_path(file), note->name, svr_dtype_name(note->dtype));
    if (svr_json_parse(arena, note->data, note->bytes, &json, err) != SVR_OK) {
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
    *out = (svr_scales){NULL, NULL};
    if (entry->dtype != SVR_I8 && entry->dtype != SVR_F8_E4M3)
        return SVR_OK;
    if (entry->rank == 2)
        out->values = find_beside(file, entry, "", "_scale");
    if (entry->dtype == SVR_I8 && !out->values)
        return SVR_FAIL(err, SVR_ERR_FORMAT,
                        "%s: tensor '%s' holds integers without their scales '%.120s_scale'; the "
                        "file is not complete, convert it again",
                        svr_safetensors_path(file), entry->name, entry->name);
    if (out->values)
        SVR_TRY(check_values(file, entry, out->values, err));
    out->note = find_beside(file, entry, weight_suffix, ".comfy_quant");
    return out->note ? check_note(file, entry, out->note, arena, err) : SVR_OK;
}

float svr_scales_of_row(const svr_safetensors_entry *values, size_t row)
{
    float scale;

    /* in a mapped file, perhaps at an odd address */
    memcpy(&scale,
           (const char *) values->data +
               (svr_safetensors_elems(values) == 1 ? 0 : row * sizeof scale),
           sizeof scale);
    return scale;
}
