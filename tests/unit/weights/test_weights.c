/* Tables of tensors, binding them to files, and reading of values. */
#include "model_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char path[] = "test_weights.tmp";

static svr_status count_up(void *user, const svr_weight_spec *spec, size_t first, size_t count,
                           float *dst, svr_error *err)
{
    if (user && strcmp(spec->name, user) == 0)
        return SVR_FAIL(err, SVR_ERR_IO, "no values for %s", spec->name);
    for (size_t i = 0; i < count; i++)
        dst[i] = (float) (first + i);
    return SVR_OK;
}

/* Elements of all tensors but the rotary buffers. */
static uint64_t parameters(const svr_weights *weights)
{
    uint64_t total = 0;

    for (size_t i = 0; i < svr_weights_count(weights); i++) {
        const svr_weight_spec *spec = svr_weights_at(weights, i);

        if (!strstr(spec->name, "rope.freqs"))
            total += svr_weight_elems(spec);
    }
    return total;
}

/* The published checkpoints: numbers from the lists of their keys. */
static void test_tables_of_the_published_models(void)
{
    const svr_vae_config vae = {.stages = 4,
                                .channels = {128, 256, 512, 512},
                                .layers_per_block = 2,
                                .latent_channels = 16,
                                .norm_groups = 32,
                                .temporal_stages = 2};
    svr_dit_config small = svr_dit_config_published(SVR_MODEL_DIT_3B);
    svr_dit_config large = svr_dit_config_published(SVR_MODEL_DIT_7B);
    svr_weights *weights = NULL;
    const svr_weight_spec *spec;
    svr_error err = {0};

    CHECK_OK(svr_weights_generate_vae(&vae, count_up, NULL, &weights, &err), err);
    CHECK(svr_weights_count(weights) == 250 && parameters(weights) == 250648227);
    spec = svr_weights_find(weights, "encoder.down_blocks.0.downsamplers.0.conv.weight");
    CHECK(spec && spec->dims[2] == 1 && spec->dims[3] == 3);
    spec = svr_weights_find(weights, "decoder.up_blocks.2.upsamplers.0.upscale_conv.weight");
    CHECK(spec && spec->dims[0] == 1024 && spec->dims[1] == 256 && spec->dims[4] == 1);
    svr_weights_destroy(weights);
    CHECK_OK(svr_weights_generate_dit(&small, count_up, NULL, &weights, &err), err);
    CHECK(svr_weights_count(weights) == 635 && parameters(weights) == 3391475776);
    svr_weights_destroy(weights);
    CHECK_OK(svr_weights_generate_dit(&large, count_up, NULL, &weights, &err), err);
    CHECK(svr_weights_count(weights) == 1128 && parameters(weights) == 8239607872);
    CHECK(svr_weights_find(weights, "blocks.35.mlp.txt.proj_in.weight") != NULL);
    svr_weights_destroy(weights);
}

static svr_status bind_vae(const model_file *model, svr_error *err)
{
    svr_safetensors *file = model_file_open(model, path, NULL);
    svr_vae_config config = small_vae();
    svr_weights *weights = NULL;
    svr_status status = svr_weights_bind_vae(file, &config, &weights, err);

    CHECK((status == SVR_OK) == (weights != NULL));
    svr_weights_destroy(weights);
    svr_safetensors_close(file);
    return status;
}

static svr_status bind_dit(const model_file *model, svr_model_kind kind, svr_error *err)
{
    svr_safetensors *file = model_file_open(model, path, NULL);
    svr_dit_config config = small_dit(kind);
    svr_weights *weights = NULL;
    svr_status status = svr_weights_bind_dit(file, &config, &weights, err);

    CHECK((status == SVR_OK) == (weights != NULL));
    svr_weights_destroy(weights);
    svr_safetensors_close(file);
    return status;
}

/* Every tensor is needed: without any one of them the file is refused by its name. */
static void test_missing_tensors(void)
{
    svr_vae_config config = small_vae();
    model_file all = model_file_of_vae(&config);
    svr_error err = {0};

    CHECK_OK(bind_vae(&all, &err), err);
    for (size_t i = 0; i < all.count; i++) {
        test_tensor last = all.tensors[all.count - 1], removed = all.tensors[i];

        all.tensors[i] = last;
        all.count--;
        CHECK(bind_vae(&all, &err) == SVR_ERR_FORMAT);
        CHECK_TEXT(err.text, path);
        CHECK_TEXT(err.text, removed.name);
        svr_error_clear(&err);
        all.tensors[all.count++] = last;
        all.tensors[i] = removed;
    }
    model_file_free(&all);
}

static void test_misshapen_and_extra_tensors(void)
{
    svr_vae_config config = small_vae();
    model_file model = model_file_of_vae(&config);
    test_tensor *t = model_file_find(&model, "decoder.conv_out.weight"), kept = *t;
    svr_error err = {0};

    t->dims[0] = 4;
    CHECK(bind_vae(&model, &err) == SVR_ERR_FORMAT);
    CHECK_TEXT(err.text, "'decoder.conv_out.weight' is f16 [4, 8, 3, 3, 3]");
    CHECK_TEXT(err.text, "need f16 [3, 8, 3, 3, 3]");
    svr_error_clear(&err);
    *t = kept;
    t->rank = 4;
    CHECK_FAILS(bind_vae(&model, &err), SVR_ERR_FORMAT, err);
    *t = kept;
    t->dtype = SVR_I32;
    CHECK(bind_vae(&model, &err) == SVR_ERR_FORMAT);
    CHECK_TEXT(err.text, "'decoder.conv_out.weight' is of type");
    svr_error_clear(&err);
    *t = kept;
    model_file_append(&model, "decoder.conv_out.weight_scale");
    CHECK(bind_vae(&model, &err) == SVR_ERR_FORMAT);
    CHECK_TEXT(err.text, "'decoder.conv_out.weight_scale' does not belong");
    CHECK_TEXT(err.text, "quantised");
    svr_error_clear(&err);
    model.tensors[model.count - 1].name = "positive_conditioning";
    CHECK_FAILS(bind_vae(&model, &err), SVR_ERR_FORMAT, err);
    model_file_free(&model);
}

static void test_old_attention_names(void)
{
    svr_vae_config config = small_vae();
    model_file model = model_file_of_vae(&config);
    svr_error err = {0};

    CHECK(model_file_rename(&model, ".to_q.", ".query.") == 4);
    CHECK(model_file_rename(&model, ".to_k.", ".key.") == 4);
    CHECK(model_file_rename(&model, ".to_v.", ".value.") == 4);
    CHECK(model_file_rename(&model, ".to_out.0.", ".proj_attn.") == 4);
    CHECK_OK(bind_vae(&model, &err), err);
    CHECK(model_file_rename(&model, ".query.", ".to_q.") == 4);
    model_file_append(&model, "encoder.mid_block.attentions.0.query.bias");
    CHECK_FAILS(bind_vae(&model, &err), SVR_ERR_FORMAT, err);
    model_file_free(&model);
}

/* Buffers and what nobody reads of the last block's text may be missing, everything else not. */
static void test_optional_tensors(void)
{
    svr_dit_config config = small_dit(SVR_MODEL_DIT_7B);
    model_file model = model_file_of_dit(&config);
    svr_error err = {0};

    model_file_append(&model, "positive_conditioning");
    model_file_append(&model, "negative_conditioning");
    CHECK_OK(bind_dit(&model, SVR_MODEL_DIT_7B, &err), err);
    CHECK(model_file_remove_all(&model, "rope.freqs") == 3);
    CHECK(model_file_remove_all(&model, "blocks.2.mlp.txt.") == 4);
    CHECK(model_file_remove_all(&model, "blocks.2.attn.proj_out.txt.") == 2);
    CHECK(model_file_remove_all(&model, "blocks.2.attn.norm_q.txt.") == 1);
    CHECK(model_file_remove_all(&model, "blocks.2.ada.txt.mlp_") == 3);
    CHECK(model_file_remove_all(&model, "blocks.2.ada.txt.attn_gate") == 1);
    CHECK_OK(bind_dit(&model, SVR_MODEL_DIT_7B, &err), err);
    CHECK(model_file_remove_all(&model, "blocks.2.attn.norm_k.txt.") == 1);
    CHECK(bind_dit(&model, SVR_MODEL_DIT_7B, &err) == SVR_ERR_FORMAT);
    CHECK_TEXT(err.text, "blocks.2.attn.norm_k.txt.weight");
    model_file_free(&model);
}

/* A 3B whose last block is split: its text has neither MLP nor modulation. */
static void test_split_text_tail(void)
{
    svr_dit_config config = small_dit(SVR_MODEL_DIT_3B);
    svr_weights *weights = NULL;
    svr_error err = {0};

    config.split_layers = config.layers;
    CHECK_OK(svr_weights_generate_dit(&config, count_up, NULL, &weights, &err), err);
    CHECK(svr_weights_find(weights, "blocks.1.mlp.txt.proj_in.weight") != NULL);
    CHECK(svr_weights_find(weights, "blocks.2.mlp.vid.proj_in.weight") != NULL);
    CHECK(svr_weights_find(weights, "blocks.2.mlp.txt.proj_in.weight") == NULL);
    CHECK(svr_weights_find(weights, "blocks.2.ada.txt.attn_shift") == NULL);
    CHECK(svr_weights_find(weights, "blocks.2.attn.proj_qkv.txt.weight") != NULL);
    svr_weights_destroy(weights);
}

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
        CHECK_OK(svr_weights_check_finite(weights, &err), err);
        svr_weights_destroy(weights);
        svr_safetensors_close(file);
    }
}

static void test_values_that_are_not_finite(void)
{
    const float bad[] = {NAN, INFINITY, -INFINITY};
    float values[VALUES] = {0};

    for (int i = 0; i < 3; i++) {
        svr_safetensors *file;
        svr_weights *weights;
        svr_error err = {0};

        values[VALUES - 1] = bad[i];
        weights = bind_values(SVR_F32, values, &file);
        CHECK(svr_weights_check_finite(weights, &err) == SVR_ERR_FORMAT);
        CHECK_TEXT(err.text, path);
        CHECK_TEXT(err.text, "encoder.conv_in.weight");
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

    CHECK(bind_dit(&f->model, SVR_MODEL_DIT_3B, &err) == want);
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
    CHECK_OK(bind_dit(&f.model, SVR_MODEL_DIT_3B, &err), err);
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
        CHECK(bind_dit(&f.model, SVR_MODEL_DIT_3B, &err) == notes[i].want);
        if (notes[i].want != SVR_OK)
            CHECK_TEXT(err.text, "blocks.0.attn.proj_qkv.vid.");
        model_file_free(&f.model);
    }
}

/* The published transformers have 210 and 288 matrices that may be kept in 8 bits. */
static void test_factors(void)
{
    for (int large = 0; large < 2; large++) {
        svr_dit_config config =
            svr_dit_config_published(large ? SVR_MODEL_DIT_7B : SVR_MODEL_DIT_3B);
        svr_weights *weights = NULL;
        svr_error err = {0};
        int factors = 0;

        CHECK_OK(svr_weights_generate_dit(&config, count_up, NULL, &weights, &err), err);
        for (size_t i = 0; i < svr_weights_count(weights); i++)
            factors += svr_weights_at(weights, i)->factor;
        CHECK(factors == (large ? 288 : 210));
        CHECK(svr_weights_factor_type(weights) == SVR_F32);
        CHECK(!svr_weights_find(weights, "vid_in.proj.weight")->factor);
        svr_weights_destroy(weights);
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
    check_shortened(svr_weights_check_finite(weights, &err), &err);
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

    CHECK_OK(svr_weights_generate_dit(&config, count_up, bad, &weights, &err), err);
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
    RUN(test_tables_of_the_published_models);
    RUN(test_missing_tensors);
    RUN(test_misshapen_and_extra_tensors);
    RUN(test_old_attention_names);
    RUN(test_optional_tensors);
    RUN(test_split_text_tail);
    RUN(test_values_of_all_types);
    RUN(test_values_that_are_not_finite);
    RUN(test_scaled_matrices);
    RUN(test_wrong_scales);
    RUN(test_notes_beside_scales);
    RUN(test_factors);
    RUN(test_shortened_file);
    RUN(test_generated_values);
    remove(path);
    return check_done();
}
