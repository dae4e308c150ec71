/* Reading of values: of all types, with scales, generated. */
#include "model_file.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char path[] = "test_weights_values.tmp";

enum { VALUES = 8 * 3 * 27 };

/* Binds a VAE whose first convolution holds `data` of a type. */
static svr_weights *bind_values(svr_dtype dtype, const void *data, svr_safetensors **file)
{
    svr_vae_config config = small_vae();
    model_file model = model_file_of_vae(&config);
    test_tensor *t = model_file_find(&model, "encoder.conv_in.weight");
    svr_weights *weights = NULL;
    svr_error err = {0};

    t->dtype = dtype;
    t->data = data;
    *file = model_file_open(&model, path, NULL);
    CHECK_OK(svr_weights_bind_vae(*file, &config, &weights, &err), err);
    model_file_free(&model);
    return weights;
}

/* Small whole numbers are exact in every type. */
static void test_values_of_all_types(void)
{
    const svr_dtype types[] = {SVR_F32, SVR_F16, SVR_BF16, SVR_F64, SVR_F8_E4M3};
    const char *name = "encoder.conv_in.weight";
    float want[VALUES], got[VALUES];
    double wide[VALUES];
    unsigned char bytes[VALUES * sizeof(double)];

    for (size_t type = 0; type < sizeof types / sizeof types[0]; type++) {
        svr_safetensors *file;
        svr_weights *weights;
        svr_error err = {0};

        for (int i = 0; i < VALUES; i++)
            wide[i] = want[i] = (float) (i % 100);
        if (types[type] == SVR_F64)
            memcpy(bytes, wide, sizeof wide);
        else if (types[type] == SVR_F8_E4M3)
            for (int i = 0; i < VALUES; i++) {
                bytes[i] = (unsigned char) (i % 127);
                want[i] = svr_f8_e4m3_to_f32(bytes[i]);
            }
        else if (types[type] == SVR_F32)
            memcpy(bytes, want, sizeof want);
        else
            svr_from_f32(want, types[type], bytes, VALUES);
        weights = bind_values(types[type], bytes, &file);
        CHECK_OK(svr_weights_read(weights, name, got, VALUES, &err), err);
        CHECK(memcmp(got, want, sizeof want) == 0);
        CHECK_OK(svr_weights_read_range(weights, name, 100, 7, got, &err), err);
        CHECK(memcmp(got, want + 100, 7 * sizeof got[0]) == 0);
        CHECK_FAILS(svr_weights_read(weights, name, got, VALUES - 1, &err), SVR_ERR_INVALID, err);
        CHECK_FAILS(svr_weights_read_range(weights, name, VALUES - 1, 2, got, &err),
                    SVR_ERR_INVALID, err);
        CHECK_FAILS(svr_weights_read_range(weights, name, 2, SIZE_MAX, got, &err), SVR_ERR_INVALID,
                    err);
        CHECK_FAILS(svr_weights_read(weights, "no.tensor", got, 1, &err), SVR_ERR_INVALID, err);
        CHECK(!svr_weights_is_zero(weights, name));
        CHECK(svr_weights_is_zero(weights, "encoder.conv_in.bias"));
        CHECK(!svr_weights_is_zero(weights, "no.tensor"));
        svr_weights_destroy(weights);
        svr_safetensors_close(file);
    }
}

static void test_what_is_not_finite_is_not_zero(void)
{
    const float bad[] = {NAN, INFINITY, -INFINITY};
    float values[VALUES] = {0};

    for (int i = 0; i < 3; i++) {
        svr_safetensors *file;
        svr_weights *weights;

        values[VALUES - 1] = bad[i];
        weights = bind_values(SVR_F32, values, &file);
        CHECK(!svr_weights_is_zero(weights, "encoder.conv_in.weight"));
        svr_weights_destroy(weights);
        svr_safetensors_close(file);
    }
}

enum { ROWS = 144, WIDTH = 24 }; /* of blocks.0.attn.proj_qkv.vid.weight */

static const char scaled_name[] = "blocks.0.attn.proj_qkv.vid.weight";
static const char scale_name[] = "blocks.0.attn.proj_qkv.vid.weight_scale";
static const char note_name[] = "blocks.0.attn.proj_qkv.vid.comfy_quant";

/* A transformer with one matrix in 8 bits. */
typedef struct scaled_file {
    model_file model;
    int8_t values[ROWS * WIDTH];
    float scales[ROWS];
    test_tensor *matrix, *scale; /* in the model */
} scaled_file;

static void scaled_init(scaled_file *f, svr_dtype type)
{
    svr_dit_config config = small_dit(SVR_MODEL_DIT_3B);

    f->model = model_file_of_dit(&config);
    for (int i = 0; i < ROWS * WIDTH; i++)
        f->values[i] = (int8_t) (i * 37 % 255 - 127);
    for (int i = 0; i < ROWS * WIDTH && type == SVR_F8_E4M3; i++)
        f->values[i] = (int8_t) (i % 127); /* no NaN */
    for (int i = 0; i < ROWS; i++)
        f->scales[i] = (float) (i + 1) / 3;
    f->matrix = model_file_find(&f->model, scaled_name);
    CHECK(f->matrix->dims[0] == ROWS && f->matrix->dims[1] == WIDTH);
    f->matrix->dtype = type;
    f->matrix->data = type == SVR_F16 ? NULL : f->values;
    model_file_append(&f->model, scale_name);
    f->scale = &f->model.tensors[f->model.count - 1];
    f->scale->dims[0] = ROWS;
    f->scale->data = f->scales;
}

static void check_scaled(const scaled_file *f, bool one_scale)
{
    svr_dit_config config = small_dit(SVR_MODEL_DIT_3B);
    svr_safetensors *file = model_file_open(&f->model, path, NULL);
    svr_dtype type = f->matrix->dtype;
    svr_weights *weights = NULL;
    float got[ROWS * WIDTH], want[ROWS * WIDTH], scales[ROWS];
    int8_t rows[ROWS * WIDTH];
    svr_error err = {0};

    CHECK_OK(svr_weights_bind_dit(file, &config, &weights, &err), err);
    CHECK(svr_weights_row_type(weights, scaled_name) == type);
    CHECK(svr_weights_row_type(weights, "blocks.0.attn.proj_qkv.txt.weight") == SVR_F32);
    CHECK(svr_weights_row_type(weights, "no.tensor") == SVR_F32);
    CHECK(svr_weights_factor_type(weights) == type);
    svr_to_f32(f->values, type, want, ROWS * WIDTH);
    for (int i = 0; i < ROWS * WIDTH; i++)
        want[i] *= f->scales[one_scale ? 0 : i / WIDTH];
    CHECK_OK(svr_weights_read(weights, scaled_name, got, ROWS * WIDTH, &err), err);
    CHECK(memcmp(got, want, sizeof want) == 0);
    /* from the middle of a row to the middle of another one */
    CHECK_OK(svr_weights_read_range(weights, scaled_name, 30, 70, got, &err), err);
    CHECK(memcmp(got, want + 30, 70 * sizeof got[0]) == 0);
    CHECK_OK(svr_weights_read_rows(weights, scaled_name, 5, 20, rows, scales, &err), err);
    CHECK(memcmp(rows, f->values + 5 * WIDTH, 20 * WIDTH) == 0);
    for (int i = 0; i < 20; i++)
        CHECK(scales[i] == f->scales[one_scale ? 0 : 5 + i]);
    CHECK_FAILS(svr_weights_read_rows(weights, scaled_name, ROWS - 1, 2, rows, scales, &err),
                SVR_ERR_INVALID, err);
    CHECK_FAILS(svr_weights_read_rows(weights, "txt_in.weight", 0, 1, rows, scales, &err),
                SVR_ERR_INVALID, err);
    svr_weights_destroy(weights);
    svr_safetensors_close(file);
}

/* One scale for each row, as a vector or a column, or one for all, as a vector or a number. */
static void test_scaled_matrices(void)
{
    static const svr_dtype types[] = {SVR_I8, SVR_F8_E4M3};
    static const struct {
        int rank;
        int64_t dims[2];
    } shapes[] = {{1, {ROWS}}, {2, {ROWS, 1}}, {1, {1}}, {0, {0}}};

    for (int type = 0; type < 2; type++)
        for (int i = 0; i < 4; i++) {
            scaled_file f;

            scaled_init(&f, types[type]);
            f.scale->rank = shapes[i].rank;
            memcpy(f.scale->dims, shapes[i].dims, sizeof shapes[i].dims);
            check_scaled(&f, i >= 2);
            model_file_free(&f.model);
        }
}

static void check_scaled_refused(const scaled_file *f, svr_status want, const char *word)
{
    svr_error err = {0};

    CHECK(model_file_bind_dit(&f->model, path, SVR_MODEL_DIT_3B, &err) == want);
    CHECK_TEXT(err.text, path);
    CHECK_TEXT(err.text, word);
}

static void test_wrong_scales(void)
{
    scaled_file f;
    svr_error err = {0};

    scaled_init(&f, SVR_I8);
    f.scale->dims[0] = ROWS - 1;
    check_scaled_refused(&f, SVR_ERR_FORMAT, scale_name);
    f.scale->rank = 2;
    f.scale->dims[0] = 1, f.scale->dims[1] = ROWS;
    check_scaled_refused(&f, SVR_ERR_FORMAT, "144 values");
    f.scale->rank = 1;
    f.scale->dims[0] = ROWS;
    f.scale->dtype = SVR_F16;
    check_scaled_refused(&f, SVR_ERR_FORMAT, "scales must be f32");
    f.scale->dtype = SVR_F32;
    f.scale->name = "txt_in.weight_scale";
    check_scaled_refused(&f, SVR_ERR_FORMAT, "integers without their scales");
    f.matrix->dtype = SVR_F8_E4M3; /* plain values, and scales that belong to nothing */
    check_scaled_refused(&f, SVR_ERR_FORMAT, "'txt_in.weight_scale' does not belong");
    f.model.count--;
    CHECK_OK(model_file_bind_dit(&f.model, path, SVR_MODEL_DIT_3B, &err), err);
    model_file_free(&f.model);

    scaled_init(&f, SVR_F16); /* nothing to scale */
    check_scaled_refused(&f, SVR_ERR_FORMAT, "does not belong");
    model_file_find(&f.model, "blocks.0.ada.vid.attn_gate")->dtype = SVR_I8;
    f.model.count--;
    check_scaled_refused(&f, SVR_ERR_FORMAT, "blocks.0.ada.vid.attn_gate");
    model_file_free(&f.model);
}

/* Notes of another library may confirm what is there and nothing else. */
static void test_notes_beside_scales(void)
{
    static const struct {
        svr_dtype type;
        svr_status want;
        const char *text;
    } notes[] = {
        {SVR_F8_E4M3, SVR_OK, "{\"format\":\"float8_e4m3fn\"}"},
        {SVR_I8, SVR_OK, "{\"format\":\"int8_tensorwise\"}"},
        {SVR_I8, SVR_OK, "{\"format\":\"int8_tensorwise\",\"convrot\":false}"},
        {SVR_I8, SVR_ERR_UNSUPPORTED,
         "{\"format\":\"int8_tensorwise\",\"convrot\":true,\"convrot_groupsize\":256}"},
        {SVR_I8, SVR_ERR_UNSUPPORTED, "{\"format\":\"float8_e4m3fn\"}"},
        {SVR_F8_E4M3, SVR_ERR_UNSUPPORTED, "{\"format\":\"mxfp8\"}"},
        {SVR_F8_E4M3, SVR_ERR_UNSUPPORTED, "{\"format\":8}"},
        {SVR_F8_E4M3, SVR_ERR_UNSUPPORTED, "[]"},
        {SVR_F8_E4M3, SVR_ERR_FORMAT, "{\"format\""},
        {SVR_F16, SVR_ERR_FORMAT, "{\"format\":\"float8_e4m3fn\"}"},
    };

    for (size_t i = 0; i < sizeof notes / sizeof notes[0]; i++) {
        scaled_file f;
        svr_error err = {0};
        test_tensor *note;

        scaled_init(&f, notes[i].type);
        if (notes[i].type == SVR_F16)
            f.model.count--;
        model_file_append(&f.model, note_name);
        note = &f.model.tensors[f.model.count - 1];
        note->dtype = SVR_U8;
        note->dims[0] = (int64_t) strlen(notes[i].text);
        note->data = notes[i].text;
        CHECK(model_file_bind_dit(&f.model, path, SVR_MODEL_DIT_3B, &err) == notes[i].want);
        if (notes[i].want != SVR_OK)
            CHECK_TEXT(err.text, "blocks.0.attn.proj_qkv.vid.");
        model_file_free(&f.model);
    }
}

static void check_shortened(svr_status got, svr_error *err)
{
    CHECK(got == SVR_ERR_IO);
    CHECK_TEXT(err->text, path);
    CHECK_TEXT(err->text, "shorter than");
    svr_error_clear(err);
}

/* A file that loses its data behind the opening: an error for each way of reading, and no SIGBUS.
 */
static void test_shortened_file(void)
{
    svr_dit_config config = small_dit(SVR_MODEL_DIT_3B);
    scaled_file f;
    svr_safetensors *file;
    svr_weights *weights = NULL;
    float got[ROWS * WIDTH], scales[ROWS];
    svr_error err = {0};

    scaled_init(&f, SVR_I8);
    file = model_file_open(&f.model, path, NULL);
    CHECK_OK(svr_weights_bind_dit(file, &config, &weights, &err), err);
    CHECK(truncate(path, 100) == 0);
    check_shortened(svr_weights_read(weights, scaled_name, got, ROWS * WIDTH, &err), &err);
    check_shortened(svr_weights_read_rows(weights, scaled_name, 0, 2, got, scales, &err), &err);
    check_shortened(svr_weights_read_stored(weights, "txt_in.bias", 0, 4, got, &err), &err);
    CHECK(!svr_weights_is_zero(weights, "txt_in.bias"));
    svr_weights_destroy(weights);
    svr_safetensors_close(file);
    model_file_free(&f.model);
}

static void test_generated_values(void)
{
    svr_dit_config config = small_dit(SVR_MODEL_DIT_3B);
    svr_weights *weights = NULL;
    float got[5];
    char bad[] = "txt_in.bias";
    svr_error err = {0};

    CHECK_OK(svr_weights_generate_dit(&config, model_file_count_up, bad, &weights, &err), err);
    CHECK_OK(svr_weights_read_range(weights, "txt_in.weight", 30, 5, got, &err), err);
    CHECK(got[0] == 30 && got[4] == 34);
    CHECK_FAILS(svr_weights_read_range(weights, bad, 0, 5, got, &err), SVR_ERR_IO, err);
    CHECK(!svr_weights_is_zero(weights, bad));
    for (size_t i = 0; i + 1 < svr_weights_count(weights); i++)
        CHECK(strcmp(svr_weights_at(weights, i)->name, svr_weights_at(weights, i + 1)->name) < 0);
    CHECK(svr_weights_at(weights, svr_weights_count(weights)) == NULL);
    svr_weights_destroy(weights);
}

int main(void)
{
    RUN(test_values_of_all_types);
    RUN(test_what_is_not_finite_is_not_zero);
    RUN(test_scaled_matrices);
    RUN(test_wrong_scales);
    RUN(test_notes_beside_scales);
    RUN(test_shortened_file);
    RUN(test_generated_values);
    remove(path);
    return check_done();
}
