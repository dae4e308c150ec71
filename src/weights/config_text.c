#include "weights/config_text.h"

#include <stdio.h>
#include <string.h>

#define MEND "; mend the config in the file's metadata or fetch the file again"

enum { MAX_KEY = 64, MAX_NAME = 160 };

static svr_status parse(svr_config_text *text, const char *source, svr_error *err)
{
    svr_status status;

    text->arena = svr_arena_create();
    if (!text->arena)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory to read the config");
    status = svr_json_parse(text->arena, source, strlen(source), &text->json, err);
    if (status != SVR_OK) {
        svr_error_prefix(err, "%s: metadata 'config': ", svr_safetensors_path(text->file));
        return status;
    }
    if (text->json->type != SVR_JSON_OBJECT)
        return SVR_FAIL(err, SVR_ERR_FORMAT, "%s: metadata 'config' is no JSON object" MEND,
                        svr_safetensors_path(text->file));
    return SVR_OK;
}

svr_status svr_config_text_open(const svr_safetensors *file, svr_config_text *out, svr_error *err)
{
    const char *source = svr_safetensors_metadata(file, "config");

    *out = (svr_config_text){.file = file};
    return source ? parse(out, source, err) : SVR_OK;
}

void svr_config_text_close(svr_config_text *text)
{
    svr_arena_destroy(text->arena);
    *text = (svr_config_text){0};
}

/* The first spelling of `keys` that the config has; its name goes to `key`. */
static const svr_json *member(const svr_config_text *text, const char *keys, char key[MAX_KEY])
{
    for (const char *k = keys; k;) {
        const char *bar = strchr(k, '|');
        const svr_json *value;

        snprintf(key, MAX_KEY, "%.*s", bar ? (int) (bar - k) : MAX_KEY - 1, k);
        value = svr_json_get(text->json, key);
        if (value && value->type != SVR_JSON_NULL)
            return value;
        k = bar ? bar + 1 : NULL;
    }
    return NULL;
}

static svr_status wrong_value(const svr_config_text *text, const char *key, const char *wanted,
                              svr_error *err)
{
    return SVR_FAIL(err, SVR_ERR_FORMAT, "%s: config '%s' is not %s" MEND,
                    svr_safetensors_path(text->file), key, wanted);
}

/* What integers a member must hold. */
typedef struct int_rule {
    int count, lo, hi;
} int_rule;

static bool is_int(const svr_json *value, const int_rule *rule)
{
    return value->type == SVR_JSON_NUMBER && value->is_integer && value->integer >= rule->lo &&
           value->integer <= rule->hi;
}

static svr_status read_ints(const svr_config_text *text, const char *keys, const int_rule *rule,
                            int *values, svr_error *err)
{
    char key[MAX_KEY], wanted[80];
    const svr_json *found = member(text, keys, key), *item = found;

    if (!found)
        return SVR_OK;
    snprintf(wanted, sizeof wanted, "%d whole number(s) of %d to %d", rule->count, rule->lo,
             rule->hi);
    if (found->type == SVR_JSON_ARRAY) {
        if (found->children != (size_t) rule->count)
            return wrong_value(text, key, wanted, err);
        item = found->child;
    } else if (rule->count != 1) {
        return wrong_value(text, key, wanted, err);
    }
    for (int i = 0; i < rule->count; i++, item = item->next) {
        if (!is_int(item, rule))
            return wrong_value(text, key, wanted, err);
        values[i] = (int) item->integer;
    }
    return SVR_OK;
}

svr_status svr_config_int(const svr_config_text *text, const char *keys, int lo, int hi, int *value,
                          svr_error *err)
{
    return read_ints(text, keys, &(int_rule){1, lo, hi}, value, err);
}

svr_status svr_config_ints(const svr_config_text *text, const char *keys, int count, int most,
                           int *values, svr_error *err)
{
    return read_ints(text, keys, &(int_rule){count, 1, most}, values, err);
}

svr_status svr_config_float(const svr_config_text *text, const char *keys, double lo, double hi,
                            float *value, svr_error *err)
{
    char key[MAX_KEY], wanted[80];
    const svr_json *found = member(text, keys, key);

    if (!found)
        return SVR_OK;
    if (found->type != SVR_JSON_NUMBER || !(found->number >= lo && found->number <= hi)) {
        snprintf(wanted, sizeof wanted, "a number of %g to %g", lo, hi);
        return wrong_value(text, key, wanted, err);
    }
    *value = (float) found->number;
    return SVR_OK;
}

svr_status svr_config_bool(const svr_config_text *text, const char *keys, bool *value,
                           svr_error *err)
{
    char key[MAX_KEY];
    const svr_json *found = member(text, keys, key);

    if (!found)
        return SVR_OK;
    if (found->type != SVR_JSON_BOOL)
        return wrong_value(text, key, "true or false", err);
    *value = found->boolean;
    return SVR_OK;
}

svr_status svr_config_agree(const svr_config_text *text, const char *keys, int actual,
                            const char *tensor, svr_error *err)
{
    return svr_config_agree_ints(text, keys, 1, &actual, tensor, err);
}

static void list(char *out, size_t size, int count, const int *values)
{
    size_t used = 0;

    out[0] = '\0';
    for (int i = 0; i < count && used < size; i++)
        used += (size_t) snprintf(out + used, size - used, "%s%d", i ? "," : "", values[i]);
}

/* A list of another length is a contradiction too, not a wrong value. */
svr_status svr_config_agree_ints(const svr_config_text *text, const char *keys, int count,
                                 const int *actual, const char *tensor, svr_error *err)
{
    char key[MAX_KEY], says[100];
    const svr_json *found = member(text, keys, key);
    const svr_json *item = found && found->type == SVR_JSON_ARRAY ? found->child : found;
    bool same = found && (found->type == SVR_JSON_ARRAY ? found->children : 1) == (size_t) count;

    if (!found)
        return SVR_OK;
    for (int i = 0; i < count && same; i++, item = item->next)
        same = is_int(item, &(int_rule){1, actual[i], actual[i]});
    if (same)
        return SVR_OK;
    list(says, sizeof says, count, actual);
    return SVR_FAIL(err, SVR_ERR_FORMAT,
                    "%s: config '%s' contradicts tensor '%s', by which it is %s" MEND,
                    svr_safetensors_path(text->file), key, tensor, says);
}

svr_status svr_config_agree_word(const svr_config_text *text, const char *keys, const char *actual,
                                 const char *tensor, svr_error *err)
{
    char key[MAX_KEY];
    const svr_json *found = member(text, keys, key);

    if (!found || (found->type == SVR_JSON_STRING && strcmp(found->string, actual) == 0))
        return SVR_OK;
    return SVR_FAIL(err, SVR_ERR_FORMAT,
                    "%s: config '%s' contradicts tensor '%s', by which it is %s" MEND,
                    svr_safetensors_path(text->file), key, tensor, actual);
}

svr_status svr_config_size(const svr_safetensors *file, const char *name, int rank, int axis,
                           int *value, svr_error *err)
{
    const svr_safetensors_entry *entry = svr_safetensors_find(file, name);

    if (!entry)
        return SVR_FAIL(err, SVR_ERR_FORMAT,
                        "%s: tensor '%s' is missing; the file is not complete, fetch it again",
                        svr_safetensors_path(file), name);
    if (entry->rank != rank || entry->dims[axis] < 1 || entry->dims[axis] > SVR_CONFIG_MAX_WIDTH)
        return SVR_FAIL(err, SVR_ERR_FORMAT,
                        "%s: tensor '%s' should have %d dimensions of 1 to %d; this is no model "
                        "that can be used",
                        svr_safetensors_path(file), name, rank, SVR_CONFIG_MAX_WIDTH);
    *value = (int) entry->dims[axis];
    return SVR_OK;
}

int svr_config_count(const svr_safetensors *file, const char *before, const char *after, int limit)
{
    char name[MAX_NAME];
    int n = 0;

    for (; n <= limit; n++) {
        snprintf(name, sizeof name, "%s%d%s", before, n, after);
        if (!svr_safetensors_find(file, name))
            break;
    }
    return n;
}
