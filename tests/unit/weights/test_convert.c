/* Conversion of model files and the writer below it: what is in the new file, what is refused, and
 * that failures leave nothing. */
#include "model_file.h"

#include "base/quantize.h"
#include "random.h"
#include "weights/convert.h"
#include "weights/safetensors_writer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char in_path[] = "test_convert_in.tmp", out_path[] = "test_convert_out.tmp",
                  part_path[] = "test_convert_out.tmp.part";

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

/* Random numbers of type F16 in every tensor; the caller frees them. */
static uint16_t *fill(model_file *model)
{
    test_random random = test_random_seed(5);
    size_t total = 0, at = 0;
    uint16_t *values;

    for (size_t i = 0; i < model->count; i++)
        total += svr_weight_elems(svr_weights_find(model->weights, model->tensors[i].name));
    values = malloc(total * sizeof *values);
    CHECK(values != NULL);
    for (size_t i = 0; i < total; i++)
        values[i] = svr_f32_to_f16(test_random_normal(&random) / 8);
    for (size_t i = 0; i < model->count; i++) {
        model->tensors[i].data = values + at;
        at += svr_weight_elems(svr_weights_find(model->weights, model->tensors[i].name));
    }
    return values;
}

static svr_safetensors *open_file(const char *path)
{
    svr_safetensors *file = NULL;
    svr_error err = {0};

    CHECK_OK(svr_safetensors_open(path, &file, &err), err);
    return file;
}

static svr_safetensors *convert(const char *from, svr_dtype to, const char *path)
{
    svr_safetensors *file = open_file(from);
    svr_error err = {0};

    CHECK_OK(svr_convert(file, to, path, NULL, &err), err);
    CHECK(!exists(part_path));
    svr_safetensors_close(file);
    return open_file(path);
}

/* Tensor `name` of the input, [rows, width] or a vector of one row, quantised. */
static void check_rows(const svr_safetensors *in, const svr_safetensors *out, const char *name,
                       svr_dtype to)
{
    const svr_safetensors_entry *source = svr_safetensors_find(in, name);
    const svr_safetensors_entry *made = svr_safetensors_find(out, name), *scales;
    size_t width = (size_t) source->dims[1];
    float *row = malloc(width * sizeof *row);
    uint8_t *want = malloc(width);
    char scale_name[128];

    snprintf(scale_name, sizeof scale_name, "%s_scale", name);
    scales = svr_safetensors_find(out, scale_name);
    CHECK(row && want && made && scales && made->dtype == to && made->rank == 2);
    CHECK(scales->dtype == SVR_F32 && scales->rank == 1 && scales->dims[0] == source->dims[0]);
    CHECK((uintptr_t) scales->data % sizeof(float) == 0);
    for (int64_t n = 0; n < source->dims[0]; n++) {
        svr_to_f32((const char *) source->data + (size_t) n * width * 2, SVR_F16, row, width);
        CHECK(svr_quantize_row(row, width, to, want) == ((const float *) scales->data)[n]);
        CHECK(memcmp((const char *) made->data + (size_t) n * width, want, width) == 0);
    }
    free(row);
    free(want);
}

static void check_same(const svr_safetensors *in, const svr_safetensors *out, const char *name)
{
    const svr_safetensors_entry *a = svr_safetensors_find(in, name);
    const svr_safetensors_entry *b = svr_safetensors_find(out, name);

    CHECK(a && b && a->dtype == b->dtype && a->rank == b->rank && a->bytes == b->bytes);
    CHECK(memcmp(a->dims, b->dims, sizeof a->dims) == 0 && memcmp(a->data, b->data, a->bytes) == 0);
}

static void check_8_bits(svr_dit_config config, svr_dtype to)
{
    static const float prompt[3] = {1, -2, 3};
    model_file model = model_file_of_dit(&config);
    uint16_t *values = fill(&model);
    svr_safetensors *in, *out;
    size_t rows = 0;

    model_file_append(&model, "positive_conditioning");
    model.tensors[model.count - 1].dims[0] = 3;
    model.tensors[model.count - 1].data = prompt;
    svr_safetensors_close(model_file_open(&model, in_path, "{\"note\": \"a \\\\ \\u00e4\\n\"}"));
    out = convert(in_path, to, out_path);
    in = open_file(in_path);
    for (size_t i = 0; i < svr_weights_count(model.weights); i++) {
        const svr_weight_spec *spec = svr_weights_at(model.weights, i);

        rows += spec->factor;
        if (spec->factor)
            check_rows(in, out, spec->name, to);
        else
            check_same(in, out, spec->name);
    }
    check_same(in, out, "positive_conditioning");
    CHECK(svr_safetensors_count(out) == svr_safetensors_count(in) + rows && rows >= 7);
    CHECK(strcmp(svr_safetensors_metadata(out, "config"), svr_safetensors_metadata(in, "config")) ==
          0);
    svr_safetensors_close(in);
    svr_safetensors_close(out);
    free(values);
    model_file_free(&model);
}

static void test_8_bits(void)
{
    check_8_bits(small_dit(SVR_MODEL_DIT_3B), SVR_I8);
    check_8_bits(small_dit(SVR_MODEL_DIT_3B), SVR_F8_E4M3);
    check_8_bits(small_dit(SVR_MODEL_DIT_7B), SVR_I8);
}

/* Matrices of more values than are converted at a time, by their rows and by their width. */
static void test_large_matrices(void)
{
    svr_dit_config config = small_dit(SVR_MODEL_DIT_3B);

    config.layers = 1;
    config.mlp_hidden = 45000;
    check_8_bits(config, SVR_I8);
}

/* Every value of a file with scales, and of one without, rounded to 16 bits. */
static void test_16_bits(void)
{
    svr_dit_config config = small_dit(SVR_MODEL_DIT_3B);
    model_file model = model_file_of_dit(&config);
    uint16_t *values = fill(&model);
    svr_safetensors *in, *out;
    svr_weights *weights = NULL;
    svr_error err = {0};

    svr_safetensors_close(model_file_open(&model, in_path, NULL));
    svr_safetensors_close(convert(in_path, SVR_I8, out_path));
    in = open_file(out_path);
    CHECK_OK(svr_weights_bind_dit(in, &config, &weights, &err), err);
    out = convert(out_path, SVR_BF16, in_path);
    CHECK(svr_safetensors_count(out) == model.count);
    for (size_t i = 0; i < model.count; i++) {
        const svr_safetensors_entry *e = svr_safetensors_at(out, i);
        size_t n = svr_safetensors_elems(e);
        float *want = malloc(n * sizeof *want);

        CHECK(want && e->dtype == SVR_BF16);
        CHECK_OK(svr_weights_read(weights, e->name, want, n, &err), err);
        for (size_t k = 0; k < n; k++) {
            uint16_t got;

            memcpy(&got, (const char *) e->data + 2 * k, sizeof got);
            CHECK(got == svr_f32_to_bf16(want[k]));
        }
        free(want);
    }
    svr_weights_destroy(weights);
    svr_safetensors_close(out);
    svr_safetensors_close(in);
    free(values);
    model_file_free(&model);
}

/* A VAE with old names of its attention gets the present ones. */
static void test_vae(void)
{
    svr_vae_config config = small_vae();
    model_file model = model_file_of_vae(&config);
    uint16_t *values = fill(&model);
    svr_safetensors *out, *in;
    svr_error err = {0};

    CHECK(model_file_rename(&model, ".to_q.", ".query.") == 4);
    in = model_file_open(&model, in_path, "{\"norm_groups\": 4}");
    CHECK_FAILS(svr_convert(in, SVR_I8, out_path, NULL, &err), SVR_ERR_UNSUPPORTED, err);
    svr_safetensors_close(in);
    out = convert(in_path, SVR_F16, out_path);
    in = open_file(in_path);
    check_same(in, out, "decoder.conv_out.weight");
    CHECK(svr_safetensors_find(out, "encoder.mid_block.attentions.0.to_q.weight") != NULL);
    CHECK(svr_safetensors_count(out) == model.count);
    svr_safetensors_close(in);
    svr_safetensors_close(out);
    free(values);
    model_file_free(&model);
}

static void check_refused(const char *name, float value, svr_dtype to, svr_status want,
                          const char *word)
{
    svr_dit_config config = small_dit(SVR_MODEL_DIT_3B);
    model_file model = model_file_of_dit(&config);
    test_tensor *t = model_file_find(&model, name);
    size_t n = svr_weight_elems(svr_weights_find(model.weights, name));
    float *values = calloc(n, sizeof *values);
    svr_safetensors *file;
    svr_error err = {0};

    CHECK(values != NULL);
    values[n - 1] = value;
    t->dtype = SVR_F32;
    t->data = values;
    file = model_file_open(&model, in_path, NULL);
    remove(out_path);
    CHECK(svr_convert(file, to, out_path, NULL, &err) == want);
    CHECK_TEXT(err.text, name);
    CHECK_TEXT(err.text, word);
    CHECK(!exists(out_path) && !exists(part_path));
    svr_safetensors_close(file);
    free(values);
    model_file_free(&model);
}

static void test_values_that_do_not_fit(void)
{
    static const char factor[] = "blocks.1.mlp.all.proj_in.weight";

    check_refused(factor, INFINITY, SVR_I8, SVR_ERR_FORMAT, "not finite");
    check_refused(factor, NAN, SVR_F8_E4M3, SVR_ERR_FORMAT, "not finite");
    check_refused("vid_in.proj.bias", -NAN, SVR_BF16, SVR_ERR_FORMAT, "not finite");
    check_refused("vid_in.proj.bias", -65520, SVR_F16, SVR_ERR_UNSUPPORTED, "bf16");
}

/* A flag that is raised leaves nothing; a folder is refused before anything is written. */
static void test_cancelled_and_misplaced(void)
{
    svr_dit_config config = small_dit(SVR_MODEL_DIT_3B);
    model_file model = model_file_of_dit(&config);
    svr_safetensors *file = model_file_open(&model, in_path, NULL);
    svr_cancel *cancel = svr_cancel_create();
    svr_error err = {0};

    CHECK(cancel != NULL);
    remove(out_path);
    svr_cancel_set(cancel, true);
    CHECK_FAILS(svr_convert(file, SVR_I8, out_path, cancel, &err), SVR_ERR_CANCELLED, err);
    CHECK(!exists(out_path) && !exists(part_path));
    CHECK(mkdir(out_path, 0700) == 0);
    CHECK(svr_convert(file, SVR_I8, out_path, NULL, &err) == SVR_ERR_INVALID);
    CHECK_TEXT(err.text, "test_convert_out.tmp: is a folder");
    svr_error_clear(&err);
    CHECK(!exists(part_path) && rmdir(out_path) == 0);
    CHECK(mkfifo(part_path, 0600) == 0); /* must not wait for a reader */
    CHECK_FAILS(svr_convert(file, SVR_I8, out_path, NULL, &err), SVR_ERR_IO, err);
    CHECK(remove(part_path) == 0);
    svr_cancel_destroy(cancel);
    svr_safetensors_close(file);
    model_file_free(&model);
}

/* The input gets shorter once it is open: an error, and no half of a file. */
static void test_shortened_input(void)
{
    static const svr_dtype types[] = {SVR_I8, SVR_BF16};
    svr_dit_config config = small_dit(SVR_MODEL_DIT_3B);
    model_file model = model_file_of_dit(&config);

    for (int i = 0; i < 2; i++) {
        svr_safetensors *file = model_file_open(&model, in_path, NULL);
        svr_error err = {0};

        remove(out_path);
        CHECK(truncate(in_path, (off_t) svr_safetensors_file_bytes(file) / 2) == 0);
        CHECK(svr_convert(file, types[i], out_path, NULL, &err) == SVR_ERR_IO);
        CHECK_TEXT(err.text, in_path);
        CHECK_TEXT(err.text, "shorter than");
        CHECK(!exists(out_path) && !exists(part_path));
        svr_safetensors_close(file);
    }
    model_file_free(&model);
}

static const svr_safetensors_entry entries[] = {
    {.name = "a\"\\\n", .dtype = SVR_F32, .rank = 1, .dims = {3}},
    {.name = "b", .dtype = SVR_I8, .rank = 2, .dims = {2, 2}},
    {.name = "none", .dtype = SVR_U8, .rank = 1, .dims = {0}},
};

static svr_safetensors_writer *open_writer(const char *path)
{
    svr_safetensors_writer *writer = NULL;
    svr_error err = {0};

    CHECK_OK(svr_safetensors_writer_open(path, entries, 3, NULL, &writer, &err), err);
    return writer;
}

static void test_writer(void)
{
    const float a[3] = {1, 2, 3};
    const int8_t b[4] = {1, -1, 127, -127};
    svr_safetensors_writer *writer = open_writer(out_path);
    svr_safetensors *file;
    svr_error err = {0};

    CHECK_OK(svr_safetensors_writer_put(writer, 1, 2, b + 2, 2, &err), err);
    CHECK_OK(svr_safetensors_writer_put(writer, 0, 0, a, 12, &err), err);
    CHECK_OK(svr_safetensors_writer_put(writer, 1, 0, b, 2, &err), err);
    CHECK_FAILS(svr_safetensors_writer_put(writer, 1, 3, b, 2, &err), SVR_ERR_INVALID, err);
    CHECK_FAILS(svr_safetensors_writer_put(writer, 3, 0, b, 0, &err), SVR_ERR_INVALID, err);
    CHECK_OK(svr_safetensors_writer_finish(writer, &err), err);
    CHECK(!exists(part_path));
    file = open_file(out_path);
    CHECK(svr_safetensors_count(file) == 3);
    CHECK(memcmp(svr_safetensors_find(file, "a\"\\\n")->data, a, 12) == 0);
    CHECK(memcmp(svr_safetensors_find(file, "b")->data, b, 4) == 0);
    CHECK((uintptr_t) svr_safetensors_find(file, "a\"\\\n")->data % 8 == 0);
    svr_safetensors_close(file);
}

/* A file with nothing but COUNT entries of metadata. */
static void write_metadata(int count)
{
    FILE *f = fopen(in_path, "wb");
    uint64_t length;

    CHECK(f != NULL);
    CHECK(fwrite("\0\0\0\0\0\0\0\0{\"__metadata__\":{", 1, 25, f) == 25);
    for (int i = 0; i < count; i++)
        fprintf(f, "%s\"k%d\":\"v%d\"", i ? "," : "", i, i);
    fputs("}}", f);
    length = (uint64_t) ftell(f) - sizeof length;
    rewind(f);
    CHECK(fwrite(&length, sizeof length, 1, f) == 1);
    CHECK(fclose(f) == 0);
}

/* As much metadata as a hostile file may hold is copied, in a time that grows with its number. */
static void test_writer_copies_metadata(void)
{
    enum { MANY = 400000 };
    const float a[3] = {1, 2, 3};
    const int8_t b[4] = {1, -1, 127, -127};
    const svr_json *at = NULL;
    const char *key, *value;
    svr_safetensors_writer *writer = NULL;
    svr_safetensors *file;
    svr_error err = {0};
    int n = 0;

    write_metadata(MANY);
    file = open_file(in_path);
    CHECK_OK(svr_safetensors_writer_open(out_path, entries, 3, file, &writer, &err), err);
    CHECK_OK(svr_safetensors_writer_put(writer, 0, 0, a, 12, &err), err);
    CHECK_OK(svr_safetensors_writer_put(writer, 1, 0, b, 4, &err), err);
    CHECK_OK(svr_safetensors_writer_finish(writer, &err), err);
    svr_safetensors_close(file);
    file = open_file(out_path);
    while (svr_safetensors_metadata_next(file, &at, &key, &value)) {
        CHECK(atoi(key + 1) == n && atoi(value + 1) == n);
        n++;
    }
    CHECK(n == MANY);
    svr_safetensors_close(file);
}

/* What is there already stays until the new file is complete. */
static void test_writer_failures(void)
{
    svr_safetensors_writer *writer;
    svr_safetensors *file;
    svr_error err = {0};
    int8_t other[4] = {0};

    test_writer();
    writer = open_writer(out_path);
    CHECK(exists(part_path));
    CHECK_OK(svr_safetensors_writer_put(writer, 1, 0, other, 4, &err), err);
    CHECK_FAILS(svr_safetensors_writer_finish(writer, &err), SVR_ERR_INVALID, err);
    CHECK(!exists(part_path));
    svr_safetensors_writer_abandon(open_writer(out_path));
    svr_safetensors_writer_abandon(NULL);
    CHECK(!exists(part_path));
    file = open_file(out_path);
    CHECK(((const int8_t *) svr_safetensors_find(file, "b")->data)[2] == 127);
    svr_safetensors_close(file);
    CHECK(svr_safetensors_writer_open("no_folder/x", entries, 3, NULL, &writer, &err) ==
          SVR_ERR_IO);
    CHECK_TEXT(err.text, "no_folder/x: cannot be created");
    CHECK(writer == NULL);
    svr_error_clear(&err);
    if (symlink("/dev/full", part_path) == 0) {
        CHECK(svr_safetensors_writer_open(out_path, entries, 3, NULL, &writer, &err) == SVR_ERR_IO);
        CHECK_TEXT(err.text, "cannot be written: No space");
        CHECK(!exists(part_path) && exists(out_path));
    }
}

int main(void)
{
    RUN(test_8_bits);
    RUN(test_large_matrices);
    RUN(test_16_bits);
    RUN(test_vae);
    RUN(test_values_that_do_not_fit);
    RUN(test_cancelled_and_misplaced);
    RUN(test_shortened_input);
    RUN(test_writer);
    RUN(test_writer_copies_metadata);
    RUN(test_writer_failures);
    remove(in_path);
    remove(out_path);
    return check_done();
}
