#include "weights/convert.h"

#include "base/arena.h"
#include "base/quantize.h"
#include "weights/safetensors_writer.h"
#include "weights/weights.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { CHUNK_ELEMS = 1 << 20, MAX_NAME = 176, MAX_PATH = 4096 };

/* How a tensor of the output is made. */
typedef enum output_kind {
    OUTPUT_COPY,   /* the bytes of the input */
    OUTPUT_VALUES, /* converted */
    OUTPUT_ROWS,   /* quantised; its scales are made with it */
    OUTPUT_SCALES
} output_kind;

typedef struct conversion {
    const svr_safetensors *file;
    const svr_cancel *cancel;
    svr_weights *weights;
    svr_dtype to;
    svr_arena *arena;
    svr_safetensors_entry *outputs; /* `bytes` holds an output_kind until all are known */
    output_kind *kinds;
    size_t count;
    svr_safetensors_writer *writer;
    float *values; /* [capacity] */
    void *packed;  /* the same elements in the type of the output */
    float *scales;
    size_t capacity;
} conversion;

static bool is_8_bit(svr_dtype type)
{
    return type == SVR_I8 || type == SVR_F8_E4M3;
}

/* ------------------------------------------------------------------ what there will be */

/* Two output tensors at most come from one of the input. */
static svr_safetensors_entry *add(conversion *c, const char *name, svr_dtype dtype,
                                  output_kind kind)
{
    svr_safetensors_entry *added = &c->outputs[c->count++];

    *added = (svr_safetensors_entry){.name = name, .dtype = dtype, .bytes = (size_t) kind};
    return added;
}

static svr_status add_spec(conversion *c, const svr_weight_spec *spec, svr_error *err)
{
    bool rows = is_8_bit(c->to) &&
                (spec->factor || svr_weights_row_type(c->weights, spec->name) != SVR_F32);
    const svr_safetensors_entry *source = svr_safetensors_find(c->file, spec->name);
    svr_safetensors_entry *out;
    char scale[MAX_NAME];

    if (is_8_bit(c->to) && !rows)
        out = add(c, spec->name, source->dtype, OUTPUT_COPY);
    else
        out = add(c, spec->name, c->to, rows ? OUTPUT_ROWS : OUTPUT_VALUES);
    out->rank = spec->rank;
    memcpy(out->dims, spec->dims, sizeof spec->dims);
    if (!rows)
        return SVR_OK;
    snprintf(scale, sizeof scale, "%s_scale", spec->name);
    out = add(c, svr_arena_strndup(c->arena, scale, strlen(scale)), SVR_F32, OUTPUT_SCALES);
    out->rank = 1;
    out->dims[0] = spec->dims[0];
    if (!out->name)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for the names of the tensors");
    return SVR_OK;
}

/* Large elements first, so that all are aligned, then by name. */
static int by_size_and_name(const void *a, const void *b)
{
    const svr_safetensors_entry *x = a, *y = b;
    size_t m = svr_dtype_size(x->dtype), n = svr_dtype_size(y->dtype);

    return m != n ? (m < n ? 1 : -1) : strcmp(x->name, y->name);
}

static svr_status list_outputs(conversion *c, svr_error *err)
{
    static const char *const companions[] = {"positive_conditioning", "negative_conditioning"};
    size_t most = 2 * svr_weights_count(c->weights) + 2;

    c->outputs = svr_arena_alloc(c->arena, most, sizeof c->outputs[0]);
    c->kinds = svr_arena_alloc(c->arena, most, sizeof c->kinds[0]);
    if (!c->outputs || !c->kinds)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for the table of tensors");
    for (size_t i = 0; i < svr_weights_count(c->weights); i++)
        SVR_TRY(add_spec(c, svr_weights_at(c->weights, i), err));
    for (int i = 0; i < 2; i++) {
        const svr_safetensors_entry *source = svr_safetensors_find(c->file, companions[i]);

        if (!source)
            continue;
        c->outputs[c->count] = *source;
        c->outputs[c->count++].bytes = OUTPUT_COPY;
    }
    qsort(c->outputs, c->count, sizeof c->outputs[0], by_size_and_name);
    for (size_t i = 0; i < c->count; i++)
        c->kinds[i] = (output_kind) c->outputs[i].bytes;
    return SVR_OK;
}

/* ------------------------------------------------------------------ values */

static size_t elems_of(const svr_safetensors_entry *out)
{
    size_t n = 1;

    for (int i = 0; i < out->rank; i++)
        n *= (size_t) out->dims[i];
    return n;
}

/* Reads elements [first, first + n) and refuses what the output cannot hold. */
static svr_status read_values(conversion *c, const svr_safetensors_entry *out, size_t first,
                              size_t n, svr_error *err)
{
    /* what is at least this large is rounded to infinity */
    const float end = c->to == SVR_F16 ? 65520.0f : INFINITY;

    SVR_TRY(svr_weights_read_range(c->weights, out->name, first, n, c->values, err));
    for (size_t i = 0; i < n; i++) {
        if (fabsf(c->values[i]) < end)
            continue;
        if (!isfinite(c->values[i]))
            return SVR_FAIL(
                err, SVR_ERR_FORMAT,
                "%s: tensor '%s' holds values that are not finite; fetch the file again",
                svr_safetensors_path(c->file), out->name);
        return SVR_FAIL(err, SVR_ERR_UNSUPPORTED,
                        "%s: tensor '%s' holds %g, which fp16 cannot; convert to bf16",
                        svr_safetensors_path(c->file), out->name, (double) c->values[i]);
    }
    return SVR_OK;
}

/* The next piece of a tensor. */
static svr_status put(const conversion *c, size_t index, size_t offset, const void *data,
                      size_t bytes, svr_error *err)
{
    if (svr_cancel_raised(c->cancel))
        return SVR_FAIL(err, SVR_ERR_CANCELLED, "stopped; the unfinished output is removed");
    return svr_safetensors_writer_put(c->writer, index, offset, data, bytes, err);
}

static svr_status write_values(conversion *c, size_t index, svr_error *err)
{
    const svr_safetensors_entry *out = &c->outputs[index];
    size_t total = elems_of(out), size = svr_dtype_size(out->dtype);

    for (size_t first = 0; first < total; first += c->capacity) {
        size_t n = total - first < c->capacity ? total - first : c->capacity;

        SVR_TRY(read_values(c, out, first, n, err));
        svr_from_f32(c->values, out->dtype, c->packed, n);
        SVR_TRY(put(c, index, first * size, c->packed, n * size, err));
    }
    return SVR_OK;
}

/* Rows [first, first + count) of width `width` to c->packed and c->scales. */
static svr_status make_rows(conversion *c, const svr_safetensors_entry *out, size_t first,
                            size_t count, svr_error *err)
{
    size_t width = (size_t) out->dims[1];

    if (svr_weights_row_type(c->weights, out->name) == out->dtype)
        return svr_weights_read_rows(c->weights, out->name, first, count, c->packed, c->scales,
                                     err);
    SVR_TRY(read_values(c, out, first * width, count * width, err));
    for (size_t i = 0; i < count; i++)
        c->scales[i] = svr_quantize_row(c->values + i * width, width, out->dtype,
                                        (uint8_t *) c->packed + i * width);
    return SVR_OK;
}

static size_t find_scales(const conversion *c, const char *name)
{
    size_t length = strlen(name), i = 0;

    while (c->kinds[i] != OUTPUT_SCALES || strncmp(c->outputs[i].name, name, length) != 0 ||
           strcmp(c->outputs[i].name + length, "_scale") != 0)
        i++;
    return i;
}

static svr_status write_rows(conversion *c, size_t index, svr_error *err)
{
    const svr_safetensors_entry *out = &c->outputs[index];
    size_t rows = (size_t) out->dims[0], width = (size_t) out->dims[1];
    size_t scales = find_scales(c, out->name), step = c->capacity / width;

    for (size_t first = 0; first < rows; first += step) {
        size_t n = rows - first < step ? rows - first : step;

        SVR_TRY(make_rows(c, out, first, n, err));
        SVR_TRY(put(c, index, first * width, c->packed, n * width, err));
        SVR_TRY(put(c, scales, first * sizeof(float), c->scales, n * sizeof(float), err));
    }
    return SVR_OK;
}

static svr_status write_copy(conversion *c, size_t index, svr_error *err)
{
    const svr_safetensors_entry *source = svr_safetensors_find(c->file, c->outputs[index].name);
    size_t most = c->capacity * sizeof(uint16_t);

    for (size_t first = 0; first < source->bytes; first += most) {
        size_t n = source->bytes - first < most ? source->bytes - first : most;

        SVR_TRY(svr_safetensors_read(c->file, source, first, c->packed, n, err));
        SVR_TRY(put(c, index, first, c->packed, n, err));
    }
    return SVR_OK;
}

static svr_status write_output(conversion *c, size_t index, svr_error *err)
{
    switch (c->kinds[index]) {
    case OUTPUT_COPY:
        return write_copy(c, index, err);
    case OUTPUT_VALUES:
        return write_values(c, index, err);
    case OUTPUT_ROWS:
        return write_rows(c, index, err);
    case OUTPUT_SCALES:
        break;
    }
    return SVR_OK;
}

/* ------------------------------------------------------------------ the whole */

static svr_status bind(conversion *c, svr_error *err)
{
    svr_vae_config vae;
    svr_dit_config dit;

    switch (svr_model_recognise(c->file)) {
    case SVR_MODEL_VAE:
        if (is_8_bit(c->to))
            return SVR_FAIL(
                err, SVR_ERR_UNSUPPORTED,
                "%s: is a VAE, which is kept in 16 bits at least; convert it to fp16 or "
                "bf16",
                svr_safetensors_path(c->file));
        SVR_TRY(svr_vae_config_read(c->file, &vae, err));
        return svr_weights_bind_vae(c->file, &vae, &c->weights, err);
    case SVR_MODEL_DIT_3B:
    case SVR_MODEL_DIT_7B:
        SVR_TRY(svr_dit_config_read(c->file, &dit, err));
        return svr_weights_bind_dit(c->file, &dit, &c->weights, err);
    default:
        return SVR_FAIL(err, SVR_ERR_FORMAT,
                        "%s: is neither a transformer nor a VAE; name a model file",
                        svr_safetensors_path(c->file));
    }
}

static svr_status take_buffers(conversion *c, svr_error *err)
{
    c->capacity = CHUNK_ELEMS;
    for (size_t i = 0; i < c->count; i++)
        if (c->kinds[i] == OUTPUT_ROWS && (size_t) c->outputs[i].dims[1] > c->capacity)
            c->capacity = (size_t) c->outputs[i].dims[1];
    c->values = calloc(c->capacity, sizeof c->values[0]);
    c->packed = calloc(c->capacity, sizeof(uint16_t));
    c->scales = calloc(c->capacity, sizeof c->scales[0]);
    return c->values && c->packed && c->scales
               ? SVR_OK
               : SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory to convert tensors");
}

static bool is_same_file(const char *a, const char *b)
{
    struct stat x, y;

    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static svr_status check_path(const conversion *c, const char *path, svr_error *err)
{
    const char *source = svr_safetensors_path(c->file);
    char part[MAX_PATH];
    struct stat there;

    if (snprintf(part, sizeof part, "%s.part", path) >= (int) sizeof part)
        return SVR_FAIL(err, SVR_ERR_INVALID, "%.200s…: is too long a path", path);
    if (stat(path, &there) == 0 && !S_ISREG(there.st_mode))
        return SVR_FAIL(err, SVR_ERR_INVALID,
                        "%s: is a folder, device or pipe, which a file cannot take the place of; "
                        "name another one",
                        path);
    if (!is_same_file(source, path) && !is_same_file(source, part))
        return SVR_OK;
    return SVR_FAIL(err, SVR_ERR_INVALID, "%s: is the same file as the input; name another one",
                    path);
}

static svr_status run(conversion *c, const char *path, svr_error *err)
{
    svr_safetensors_writer *writer;

    SVR_TRY(check_path(c, path, err));
    SVR_TRY(bind(c, err));
    SVR_TRY(list_outputs(c, err));
    SVR_TRY(take_buffers(c, err));
    SVR_TRY(svr_safetensors_writer_open(path, c->outputs, c->count, c->file, &c->writer, err));
    for (size_t i = 0; i < c->count; i++)
        SVR_TRY(write_output(c, i, err));
    writer = c->writer;
    c->writer = NULL;
    return svr_safetensors_writer_finish(writer, err);
}

svr_status svr_convert(const svr_safetensors *file, svr_dtype to, const char *path,
                       const svr_cancel *cancel, svr_error *err)
{
    conversion c = {.file = file, .cancel = cancel, .to = to, .arena = svr_arena_create()};
    svr_status status =
        c.arena ? run(&c, path, err) : SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory to convert a file");

    svr_safetensors_writer_abandon(c.writer);
    svr_weights_destroy(c.weights);
    svr_arena_destroy(c.arena);
    free(c.values);
    free(c.packed);
    free(c.scales);
    return status;
}
