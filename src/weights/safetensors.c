#include "weights/safetensors.h"

#include "base/arena.h"
#include "base/checked.h"
#include "base/file.h"
#include "base/json.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define METADATA_KEY "__metadata__"
#define AGAIN "; the file is damaged, fetch or convert it again"

enum { LENGTH_BYTES = 8 };

struct svr_safetensors {
    const char *path;
    svr_file file;
    svr_arena *arena; /* owns the path, the parsed header and the entries */
    const svr_json *metadata;
    svr_safetensors_entry *entries; /* sorted by name */
    size_t count;
};

/* Names the usual other containers, so that the user knows what to convert. */
static const char *container_of(const unsigned char *start)
{
    if (memcmp(start, "GGUF", 4) == 0)
        return "a GGUF file";
    if (memcmp(start, "PK\3\4", 4) == 0)
        return "a zip archive (PyTorch .pth or .pt)";
    return "no safetensors file";
}

/* Length of the JSON header: the file's first 8 bytes, little endian. */
static svr_status read_length(const svr_file *file, size_t *length, svr_error *err)
{
    unsigned char start[LENGTH_BYTES];
    uint64_t n = 0;

    if (file->size < LENGTH_BYTES)
        return SVR_FAIL(err, SVR_ERR_FORMAT,
                        "has only %zu bytes, too few for a safetensors file; fetch it again",
                        file->size);
    SVR_TRY(svr_file_read(file, 0, start, sizeof start, err));
    for (int i = LENGTH_BYTES - 1; i >= 0; i--)
        n = n << 8 | start[i];
    if (n > SVR_SAFETENSORS_MAX_HEADER)
        return SVR_FAIL(err, SVR_ERR_FORMAT,
                        "is %s (a header of %llu bytes is over the limit of %d); give a "
                        "safetensors file",
                        container_of(start), (unsigned long long) n, SVR_SAFETENSORS_MAX_HEADER);
    if (n > file->size - LENGTH_BYTES)
        return SVR_FAIL(err, SVR_ERR_FORMAT,
                        "announces a header of %llu bytes but has only %zu bytes in all" AGAIN,
                        (unsigned long long) n, file->size);
    *length = (size_t) n;
    return SVR_OK;
}

/* `header` gets what the arena of the file owns. */
static svr_status parse_header(svr_safetensors *file, size_t length, const svr_json **header,
                               svr_error *err)
{
    char *text = malloc(length + 1);
    svr_status status;

    if (!text)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for a header of %zu bytes", length);
    status = svr_file_read(&file->file, LENGTH_BYTES, text, length, err);
    if (status == SVR_OK)
        status = length >= 2 && text[0] == '{'
                     ? svr_json_parse(file->arena, text, length, header, err)
                     : SVR_FAIL(err, SVR_ERR_FORMAT,
                                "is no safetensors file: its header is no JSON object" AGAIN);
    free(text);
    return status;
}

static svr_status check_metadata(const svr_json *metadata, svr_error *err)
{
    if (!metadata)
        return SVR_OK;
    if (metadata->type != SVR_JSON_OBJECT)
        return SVR_FAIL(err, SVR_ERR_FORMAT, METADATA_KEY " is no JSON object" AGAIN);
    for (const svr_json *m = metadata->child; m; m = m->next)
        if (m->type != SVR_JSON_STRING)
            return SVR_FAIL(err, SVR_ERR_FORMAT, METADATA_KEY " entry '%.120s' is no string" AGAIN,
                            m->key);
    return SVR_OK;
}

static svr_status read_dtype(const svr_json *node, svr_safetensors_entry *entry, svr_error *err)
{
    const svr_json *dtype = svr_json_get(node, "dtype");
    int known;

    if (!dtype || dtype->type != SVR_JSON_STRING)
        return SVR_FAIL(err, SVR_ERR_FORMAT, "has no dtype" AGAIN);
    known = svr_dtype_from_safetensors(dtype->string);
    if (known < 0)
        return SVR_FAIL(err, SVR_ERR_FORMAT,
                        "has the unknown dtype '%.40s'; convert the file to F32, F16 or BF16",
                        dtype->string);
    entry->dtype = (svr_dtype) known;
    return SVR_OK;
}

/* Reads the shape and computes the bytes that it needs. */
static svr_status read_shape(const svr_json *node, svr_safetensors_entry *entry, svr_error *err)
{
    const svr_json *shape = svr_json_get(node, "shape");
    size_t bytes = svr_dtype_size(entry->dtype);

    if (!shape || shape->type != SVR_JSON_ARRAY)
        return SVR_FAIL(err, SVR_ERR_FORMAT, "has no shape" AGAIN);
    if (shape->children > SVR_MAX_RANK)
        return SVR_FAIL(err, SVR_ERR_FORMAT,
                        "has %zu dimensions, more than %d; no SeedVR2 model has such a tensor",
                        shape->children, SVR_MAX_RANK);
    for (const svr_json *d = shape->child; d; d = d->next) {
        if (d->type != SVR_JSON_NUMBER || !d->is_integer || d->integer < 0)
            return SVR_FAIL(err, SVR_ERR_FORMAT,
                            "has a dimension that is no whole number >= 0" AGAIN);
        if (!svr_mul_size(bytes, (size_t) d->integer, &bytes) || bytes > INT64_MAX)
            return SVR_FAIL(err, SVR_ERR_FORMAT, "has a shape of more bytes than can exist" AGAIN);
        entry->dims[entry->rank++] = d->integer;
    }
    entry->bytes = bytes;
    return SVR_OK;
}

static bool is_offset(const svr_json *value)
{
    return value && value->type == SVR_JSON_NUMBER && value->is_integer && value->integer >= 0;
}

/* Points the entry at its bytes; `data`, `size`: what follows the header. */
static svr_status read_offsets(const svr_json *node, const unsigned char *data, size_t size,
                               svr_safetensors_entry *entry, svr_error *err)
{
    const svr_json *offsets = svr_json_get(node, "data_offsets");
    uint64_t begin, end;

    if (!offsets || offsets->type != SVR_JSON_ARRAY || offsets->children != 2 ||
        !is_offset(offsets->child) || !is_offset(offsets->child->next))
        return SVR_FAIL(err, SVR_ERR_FORMAT, "has no data_offsets of two whole numbers >= 0" AGAIN);
    begin = (uint64_t) offsets->child->integer;
    end = (uint64_t) offsets->child->next->integer;
    if (begin > end || end > size)
        return SVR_FAIL(err, SVR_ERR_FORMAT,
                        "lies at bytes %llu to %llu, outside the %zu bytes of data" AGAIN,
                        (unsigned long long) begin, (unsigned long long) end, size);
    if (end - begin != entry->bytes)
        return SVR_FAIL(err, SVR_ERR_FORMAT,
                        "has %llu bytes but its shape and dtype need %zu" AGAIN,
                        (unsigned long long) (end - begin), entry->bytes);
    entry->data = data + begin;
    return SVR_OK;
}

static svr_status read_entry(const svr_json *node, const unsigned char *data, size_t size,
                             svr_safetensors_entry *entry, svr_error *err)
{
    entry->name = node->key;
    if (node->type != SVR_JSON_OBJECT)
        return SVR_FAIL(err, SVR_ERR_FORMAT, "is described by no JSON object" AGAIN);
    SVR_TRY(read_dtype(node, entry, err));
    SVR_TRY(read_shape(node, entry, err));
    return read_offsets(node, data, size, entry, err);
}

static int by_name(const void *a, const void *b)
{
    const svr_safetensors_entry *x = a, *y = b;

    return strcmp(x->name, y->name);
}

static int by_place(const void *a, const void *b)
{
    const svr_safetensors_entry *x = a, *y = b;

    if (x->data != y->data)
        return (uintptr_t) x->data < (uintptr_t) y->data ? -1 : 1;
    return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

/* Every byte of data belongs to exactly one tensor.  Leaves the entries sorted by place. */
static svr_status check_places(svr_safetensors *file, const unsigned char *data, size_t size,
                               svr_error *err)
{
    const unsigned char *end = data;

    qsort(file->entries, file->count, sizeof file->entries[0], by_place);
    for (size_t i = 0; i < file->count; i++) {
        const svr_safetensors_entry *e = &file->entries[i];

        if (e->data != end)
            return SVR_FAIL(err, SVR_ERR_FORMAT, "tensor '%.120s' %s" AGAIN, e->name,
                            (uintptr_t) e->data < (uintptr_t) end
                                ? "overlaps another one"
                                : "starts behind a gap that belongs to no tensor");
        end += e->bytes;
    }
    if (end != data + size)
        return SVR_FAIL(err, SVR_ERR_FORMAT,
                        "has %zu bytes behind the last tensor that belong to none" AGAIN,
                        (size_t) (data + size - end));
    return SVR_OK;
}

/* Sorts by name.  Names are compared as C strings here: a JSON name with a NUL inside ends there.
 */
static svr_status check_names(svr_safetensors *file, svr_error *err)
{
    qsort(file->entries, file->count, sizeof file->entries[0], by_name);
    for (size_t i = 1; i < file->count; i++)
        if (strcmp(file->entries[i - 1].name, file->entries[i].name) == 0)
            return SVR_FAIL(err, SVR_ERR_FORMAT, "tensor '%.120s' is there twice" AGAIN,
                            file->entries[i].name);
    return SVR_OK;
}

static svr_status read_entries(svr_safetensors *file, const svr_json *header,
                               const unsigned char *data, size_t size, svr_error *err)
{
    file->entries = svr_arena_alloc(file->arena, header->children, sizeof file->entries[0]);
    if (!file->entries)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for %zu tensor names", header->children);
    for (const svr_json *node = header->child; node; node = node->next) {
        svr_status status;

        if (strcmp(node->key, METADATA_KEY) == 0)
            continue;
        status = read_entry(node, data, size, &file->entries[file->count], err);
        if (status != SVR_OK) {
            svr_error_prefix(err, "tensor '%.120s' ", node->key);
            return status;
        }
        file->count++;
    }
    SVR_TRY(check_places(file, data, size, err));
    return check_names(file, err);
}

static svr_status read_header(svr_safetensors *file, svr_error *err)
{
    const svr_json *header = NULL;
    size_t length = 0;
    const unsigned char *data;

    SVR_TRY(read_length(&file->file, &length, err));
    data = file->file.data + LENGTH_BYTES + length;
    SVR_TRY(parse_header(file, length, &header, err));
    file->metadata = svr_json_get(header, METADATA_KEY);
    SVR_TRY(check_metadata(file->metadata, err));
    return read_entries(file, header, data, file->file.size - LENGTH_BYTES - length, err);
}

static svr_status start(svr_safetensors *file, const char *path, svr_error *err)
{
    file->arena = svr_arena_create();
    if (file->arena)
        file->path = svr_arena_strndup(file->arena, path, strlen(path));
    if (!file->path)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "%s: no memory to open the file", path);
    return svr_file_open(path, &file->file, err);
}

svr_status svr_safetensors_open(const char *path, svr_safetensors **out, svr_error *err)
{
    svr_safetensors *file = calloc(1, sizeof *file);
    svr_status status;

    *out = NULL;
    if (!file)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "%s: no memory to open the file", path);
    status = start(file, path, err);
    if (status == SVR_OK) {
        status = read_header(file, err);
        if (status != SVR_OK)
            svr_error_prefix(err, "%s: ", path);
    }
    if (status != SVR_OK) {
        svr_safetensors_close(file);
        return status;
    }
    *out = file;
    return SVR_OK;
}

void svr_safetensors_close(svr_safetensors *file)
{
    if (!file)
        return;
    svr_file_close(&file->file);
    svr_arena_destroy(file->arena);
    free(file);
}

const char *svr_safetensors_path(const svr_safetensors *file)
{
    return file->path;
}

size_t svr_safetensors_file_bytes(const svr_safetensors *file)
{
    return file->file.size;
}

size_t svr_safetensors_count(const svr_safetensors *file)
{
    return file->count;
}

const svr_safetensors_entry *svr_safetensors_at(const svr_safetensors *file, size_t index)
{
    return index < file->count ? &file->entries[index] : NULL;
}

const svr_safetensors_entry *svr_safetensors_find(const svr_safetensors *file, const char *name)
{
    svr_safetensors_entry key = {.name = name};

    return bsearch(&key, file->entries, file->count, sizeof key, by_name);
}

svr_status svr_safetensors_read(const svr_safetensors *file, const svr_safetensors_entry *entry,
                                size_t offset, void *dst, size_t bytes, svr_error *err)
{
    size_t start = (size_t) ((const unsigned char *) entry->data - file->file.data);
    svr_status status;

    assert(offset <= entry->bytes && bytes <= entry->bytes - offset);
    status = svr_file_read(&file->file, start + offset, dst, bytes, err);
    if (status != SVR_OK)
        svr_error_prefix(err, "%s: tensor '%.120s': the file ", file->path, entry->name);
    return status;
}

const char *svr_safetensors_metadata(const svr_safetensors *file, const char *key)
{
    const svr_json *value = svr_json_get(file->metadata, key);

    return value ? value->string : NULL;
}

bool svr_safetensors_metadata_next(const svr_safetensors *file, const svr_json **at,
                                   const char **key, const char **value)
{
    *at = *at ? (*at)->next : file->metadata ? file->metadata->child : NULL;
    if (!*at)
        return false;
    *key = (*at)->key;
    *value = (*at)->string;
    return true;
}

size_t svr_safetensors_elems(const svr_safetensors_entry *entry)
{
    return entry->bytes / svr_dtype_size(entry->dtype);
}
