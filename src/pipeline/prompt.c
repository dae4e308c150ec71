#include "pipeline/prompt.h"

#include <math.h>
#include <stdlib.h>

enum { MAX_LENGTH = 4096 }; /* tokens */

static bool is_floating(svr_dtype dtype)
{
    return dtype == SVR_F32 || dtype == SVR_F16 || dtype == SVR_BF16;
}

static svr_status check_entry(const svr_safetensors *file, const svr_safetensors_entry *entry,
                              int width, svr_error *err)
{
    const char *path = svr_safetensors_path(file);

    if (entry->rank != 2 || !is_floating(entry->dtype) || entry->dims[0] < 1 ||
        entry->dims[0] > MAX_LENGTH)
        return SVR_FAIL(err, SVR_ERR_FORMAT,
                        "%s: tensor %s is no prompt embedding: it must be [tokens, width] of f32, "
                        "f16 or bf16 with 1 to %d tokens; set text-embedding to a proper file",
                        path, entry->name, MAX_LENGTH);
    if (entry->dims[1] != width)
        return SVR_FAIL(err, SVR_ERR_INVALID,
                        "%s: prompt embedding %s is %lld wide, but txt_in of the model takes %d: "
                        "set text-embedding to the file that belongs to the model",
                        path, entry->name, (long long) entry->dims[1], width);
    return SVR_OK;
}

static svr_status read_entry(const svr_safetensors *file, const char *name, int width,
                             svr_prompt *out, svr_error *err)
{
    const svr_safetensors_entry *entry = svr_safetensors_find(file, name);
    size_t count;
    svr_status status;
    void *stored;

    if (!entry)
        return SVR_OK;
    SVR_TRY(check_entry(file, entry, width, err));
    count = svr_safetensors_elems(entry);
    stored = malloc(entry->bytes);
    out->values = malloc(count * sizeof *out->values);
    if (!stored || !out->values) {
        free(stored);
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no host memory for the prompt embedding");
    }
    status = svr_safetensors_read(file, entry, 0, stored, entry->bytes, err);
    if (status == SVR_OK)
        svr_to_f32(stored, entry->dtype, out->values, count);
    free(stored);
    SVR_TRY(status);
    out->length = (int) entry->dims[0];
    for (size_t i = 0; i < count; i++)
        if (!isfinite(out->values[i]))
            return SVR_FAIL(err, SVR_ERR_FORMAT, "%s: tensor %s holds values that are no numbers",
                            svr_safetensors_path(file), name);
    return SVR_OK;
}

static svr_status read_both(const svr_safetensors *file, const char *const names[2], int width,
                            svr_prompts *out, svr_error *err)
{
    SVR_TRY(read_entry(file, names[0], width, &out->positive, err));
    return read_entry(file, names[1], width, &out->negative, err);
}

static svr_status read_file(const char *path, int width, svr_prompts *out, svr_error *err)
{
    static const char *const names[2] = {"pos", "neg"};
    svr_safetensors *file;
    svr_status status;

    status = svr_safetensors_open(path, &file, err);
    if (status != SVR_OK) {
        svr_error_prefix(err, "text-embedding: ");
        return status;
    }
    status = read_both(file, names, width, out, err);
    if (status == SVR_OK && !out->positive.values)
        status = SVR_FAIL(
            err, SVR_ERR_INVALID,
            "%s has no tensor `pos`: set text-embedding to a file of prompt embeddings", path);
    svr_safetensors_close(file);
    return status;
}

static svr_status read_model(const svr_safetensors *file, int width, svr_prompts *out,
                             svr_error *err)
{
    static const char *const names[2] = {"positive_conditioning", "negative_conditioning"};

    SVR_TRY(read_both(file, names, width, out, err));
    if (!out->positive.values)
        return SVR_FAIL(err, SVR_ERR_INVALID,
                        "%s carries no prompt embedding: set text-embedding to a file with the "
                        "tensor `pos`, %d wide",
                        svr_safetensors_path(file), width);
    return SVR_OK;
}

svr_status svr_prompts_init(const char *text_path, const svr_safetensors *dit_file,
                            const svr_dit_config *config, bool need_negative, svr_prompts *out,
                            svr_error *err)
{
    svr_status status;

    *out = (svr_prompts){{NULL, 0}, {NULL, 0}};
    status = text_path ? read_file(text_path, config->txt_in, out, err)
                       : read_model(dit_file, config->txt_in, out, err);
    if (status == SVR_OK && need_negative && !out->negative.values)
        status = SVR_FAIL(err, SVR_ERR_INVALID,
                          "%s has no negative prompt embedding: set cfg-scale=1, or give a file "
                          "with the tensor `neg` as text-embedding",
                          text_path ? text_path : svr_safetensors_path(dit_file));
    if (status != SVR_OK)
        svr_prompts_finish(out);
    return status;
}

svr_status svr_prompts_published(int width, svr_prompts *out, svr_error *err)
{
    enum { POSITIVE = 58, NEGATIVE = 64 };

    *out = (svr_prompts){{calloc((size_t) width * POSITIVE, sizeof(float)), POSITIVE},
                         {calloc((size_t) width * NEGATIVE, sizeof(float)), NEGATIVE}};
    if (out->positive.values && out->negative.values)
        return SVR_OK;
    svr_prompts_finish(out);
    return SVR_FAIL(err, SVR_ERR_NO_MEM, "no host memory for the prompt embeddings");
}

void svr_prompts_finish(svr_prompts *prompts)
{
    free(prompts->positive.values);
    free(prompts->negative.values);
    *prompts = (svr_prompts){{NULL, 0}, {NULL, 0}};
}
