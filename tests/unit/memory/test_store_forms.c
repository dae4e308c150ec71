/* The forms in which the store keeps items: layouts and types on the device. */
#include "store_rig.h"

#include "base/quantize.h"

#include "check.h"
#include "write_safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const svr_vae_config vae_config = {.stages = 2,
                                          .channels = {8, 12},
                                          .layers_per_block = 1,
                                          .latent_channels = 4,
                                          .norm_groups = 4,
                                          .temporal_stages = 1};

/* Storage and kept type against what element i must have become. */
static void check_matrix(svr_dtype storage, svr_dtype weight_type)
{
    store_rig r = store_rig_open(NULL, storage, weight_type, NULL);
    int id = store_rig_add(&r, store_big_name, SVR_FORM_MATRIX, 0);
    svr_tensor t;
    float *got = malloc(STORE_BIG * sizeof *got);

    store_rig_load(&r, 0, 1);
    t = store_rig_acquire(&r, 0, id);
    CHECK(t.dtype == weight_type && t.rank == 2 && t.dims[0] == 1100 && t.dims[1] == 1100);
    CHECK(got != NULL);
    svr_to_f32(t.data, t.dtype, got, STORE_BIG);
    for (size_t i = 0; i < STORE_BIG; i++) {
        float want = store_value(i);

        if (storage == SVR_F16)
            want = svr_f16_to_f32(svr_f32_to_f16(want));
        if (storage == SVR_BF16 || weight_type == SVR_BF16)
            want = svr_bf16_to_f32(svr_f32_to_bf16(want));
        CHECK(got[i] == want);
    }
    free(got);
    svr_store_release(r.store, 0);
    store_rig_close(&r);
}

static void test_matrices_are_rounded_to_storage(void)
{
    check_matrix(SVR_F32, SVR_F32);
    check_matrix(SVR_F16, SVR_F32);
    check_matrix(SVR_BF16, SVR_F32);
    check_matrix(SVR_F16, SVR_F16);
    check_matrix(SVR_BF16, SVR_BF16);
    check_matrix(SVR_F16, SVR_BF16);
}

/* Rows of a factor over several chunks, from the file's values and not from rounded ones. */
static void check_quantized(const store_rig *r, int id, svr_dtype type)
{
    svr_tensor t = svr_store_tensor(r->store, id), scale = svr_store_scale(r->store, id);
    float row[1100];
    uint8_t want[1100];

    CHECK(t.dtype == type && t.rank == 2 && t.dims[0] == 1100 && t.dims[1] == 1100);
    CHECK(scale.dtype == SVR_F32 && scale.rank == 1 && scale.dims[0] == 1100);
    CHECK((char *) scale.data >= (char *) t.data + STORE_BIG);
    for (size_t n = 0; n < 1100; n++) {
        for (size_t k = 0; k < 1100; k++)
            row[k] = store_value(n * 1100 + k);
        CHECK(((float *) scale.data)[n] == svr_quantize_row(row, 1100, type, want));
        CHECK(memcmp((uint8_t *) t.data + n * 1100, want, 1100) == 0);
    }
}

/* Half the bytes of 16 bits, and the scales. */
static void check_factors(svr_dtype type)
{
    store_rig r = store_rig_open(NULL, SVR_BF16, SVR_BF16, NULL);
    int before = store_rig_add(&r, store_big_name, SVR_FORM_FACTOR, 0), id, matrix, vector;
    svr_store_item wrong = {.name = "vid_in.proj.bias", .form = SVR_FORM_FACTOR};

    CHECK(svr_store_factor_type(r.store) == SVR_BF16);
    CHECK_FAILS(svr_store_quantize(r.store, SVR_I32, &r.err), SVR_ERR_UNSUPPORTED, r.err);
    CHECK_OK(svr_store_quantize(r.store, type, &r.err), r.err);
    CHECK(svr_store_factor_type(r.store) == type);
    CHECK_FAILS(svr_store_add(r.store, &wrong, &id, &r.err), SVR_ERR_INVALID, r.err);
    id = store_rig_add(&r, store_big_name, SVR_FORM_FACTOR, 1);
    matrix = store_rig_add(&r, "vid_in.proj.weight", SVR_FORM_MATRIX, 1);
    vector = store_rig_add(&r, "vid_in.proj.bias", SVR_FORM_VECTOR, 1);
    /* 1100*1100 and 1100*4, then 1100*36*2 and 1100*4, each to 256 */
    CHECK(svr_store_group_bytes(r.store, 1) == 1210112 + 4608 + 79360 + 4608);
    store_rig_load(&r, 0, 2);
    CHECK(store_rig_acquire(&r, 0, before).dtype == SVR_BF16);
    CHECK(store_rig_acquire(&r, 1, id).data != NULL);
    check_quantized(&r, id, type);
    CHECK(svr_store_tensor(r.store, matrix).dtype == SVR_BF16);
    CHECK(svr_store_tensor(r.store, vector).dtype == SVR_F32);
    CHECK(!svr_store_scale(r.store, matrix).data && !svr_store_scale(r.store, before).data);
    svr_store_release(r.store, 0);
    svr_store_release(r.store, 1);
    store_rig_close(&r);
}

static void test_factors_are_quantised(void)
{
    check_factors(SVR_F8_E4M3);
    check_factors(SVR_I8);
}

static const char file_path[] = "test_store.tmp";

/* The same transformer in a file, zeros but for one matrix of integers with scales. */
static svr_safetensors *write_file(const svr_weights *names, const int8_t *matrix,
                                   const float *scales)
{
    size_t count = svr_weights_count(names);
    test_tensor *tensors = calloc(count + 1, sizeof *tensors);
    svr_safetensors *file = NULL;
    svr_error err = {0};

    CHECK(tensors != NULL);
    for (size_t i = 0; i < count; i++) {
        const svr_weight_spec *spec = svr_weights_at(names, i);
        bool scaled = strcmp(spec->name, store_big_name) == 0;

        tensors[i] = (test_tensor){.name = spec->name,
                                   .dtype = scaled ? SVR_I8 : SVR_F16,
                                   .rank = spec->rank,
                                   .data = scaled ? matrix : NULL};
        memcpy(tensors[i].dims, spec->dims, sizeof spec->dims);
    }
    tensors[count] =
        (test_tensor){"blocks.0.mlp.vid.proj_in.weight_scale", SVR_F32, 1, {1100}, scales};
    test_write_safetensors(file_path, tensors, count + 1, NULL);
    free(tensors);
    CHECK_OK(svr_safetensors_open(file_path, &file, &err), err);
    return file;
}

/* What a file holds in the type in which it is kept comes over as it is, in several chunks. */
static void test_factors_as_stored(void)
{
    store_rig r = store_rig_open(NULL, SVR_F16, SVR_F16, NULL);
    int8_t *matrix = malloc(STORE_BIG);
    float scales[1100];
    svr_weights *stored = NULL;
    svr_store *store = NULL;
    svr_store_item item = {.name = store_big_name, .form = SVR_FORM_FACTOR};
    svr_safetensors *file;
    int id;

    CHECK(matrix != NULL);
    for (size_t i = 0; i < STORE_BIG; i++)
        matrix[i] = (int8_t) (i * 31 % 251 - 125); /* no 127: not what quantising it would give */
    for (int i = 0; i < 1100; i++)
        scales[i] = (float) (1 + i * 7 % 1100);
    file = write_file(r.weights, matrix, scales);
    CHECK_OK(svr_weights_bind_dit(file, &store_config, &stored, &r.err), r.err);
    CHECK_OK(svr_store_create(r.backend, stored, SVR_F16, 1, &store, &r.err), r.err);
    CHECK_OK(svr_store_quantize(store, SVR_I8, &r.err), r.err);
    CHECK_OK(svr_store_add(store, &item, &id, &r.err), r.err);
    CHECK_OK(svr_store_load(store, 0, 1, NULL, &r.err), r.err);
    CHECK_OK(svr_store_acquire(store, &(svr_exec){.backend = r.backend}, 0, &r.err), r.err);
    CHECK(memcmp(svr_store_tensor(store, id).data, matrix, STORE_BIG) == 0);
    CHECK(memcmp(svr_store_scale(store, id).data, scales, sizeof scales) == 0);
    svr_store_release(store, 0);
    svr_store_destroy(store);
    svr_weights_destroy(stored);
    svr_safetensors_close(file);
    free(matrix);
    remove(file_path);
    store_rig_close(&r);
}

static svr_status lacks_type(const svr_backend *backend, svr_dtype dtype, svr_error *err)
{
    (void) backend;
    return SVR_FAIL(err, SVR_ERR_UNSUPPORTED, "no %s here", svr_dtype_name(dtype));
}

static void test_device_may_lack_quantisation(void)
{
    store_rig r = store_rig_open(NULL, SVR_F16, SVR_F16, NULL);

    store_vtable.check_quantization = lacks_type;
    CHECK(svr_store_quantize(r.store, SVR_F8_E4M3, &r.err) == SVR_ERR_UNSUPPORTED);
    CHECK_TEXT(r.err.text, "no f8_e4m3 here");
    CHECK(svr_store_factor_type(r.store) == SVR_F16);
    store_rig_close(&r);
}

static void test_vectors_stay_exact(void)
{
    store_rig r = store_rig_open(NULL, SVR_F16, SVR_F16, NULL);
    int id = store_rig_add(&r, "vid_in.proj.bias", SVR_FORM_VECTOR, 0);
    svr_tensor t;

    store_rig_load(&r, 0, 1);
    t = store_rig_acquire(&r, 0, id);
    CHECK(t.dtype == SVR_F32 && t.rank == 1 && t.dims[0] == 1100);
    for (size_t i = 0; i < 1100; i++)
        CHECK(((float *) t.data)[i] == store_value(i));
    svr_store_release(r.store, 0);
    store_rig_close(&r);
}

/* [K,C,kt,kh,kw] of the file becomes [K,kt,kh,kw,C]. */
static void test_convolutions_have_channels_last(void)
{
    svr_backend *backend = NULL;
    svr_weights *weights = NULL;
    svr_store *store = NULL;
    svr_error err = {0};
    svr_store_item item = {.name = "encoder.down_blocks.1.resnets.0.conv1.weight",
                           .form = SVR_FORM_CONV};
    svr_tensor t;
    int id;

    CHECK_OK(svr_cpu_backend_create(NULL, &backend, &err), err);
    CHECK_OK(svr_weights_generate_vae(&vae_config, store_values, NULL, &weights, &err), err);
    CHECK_OK(svr_store_create(backend, weights, SVR_F32, 1, &store, &err), err);
    CHECK_OK(svr_store_add(store, &item, &id, &err), err);
    item.name = "encoder.conv_in.bias";
    CHECK_FAILS(svr_store_add(store, &item, &id, &err), SVR_ERR_INVALID, err);
    CHECK_OK(svr_store_load(store, 0, 1, NULL, &err), err);
    CHECK_OK(svr_store_acquire(store, &(svr_exec){.backend = backend}, 0, &err), err);
    t = svr_store_tensor(store, id);
    CHECK(t.rank == 5 && t.dims[0] == 12 && t.dims[1] == 3 && t.dims[3] == 3 && t.dims[4] == 8);
    for (size_t k = 0; k < 12; k++)
        for (size_t tap = 0; tap < 27; tap++)
            for (size_t c = 0; c < 8; c++)
                CHECK(((float *) t.data)[(k * 27 + tap) * 8 + c] ==
                      store_value((k * 8 + c) * 27 + tap));
    svr_store_release(store, 0);
    svr_store_destroy(store);
    svr_weights_destroy(weights);
    svr_backend_destroy(backend);
}

/* Sum of two tensors of the model: values that are folded on the host. */
static svr_status folded(void *user, const svr_weights *weights, float *dst, svr_error *err)
{
    SVR_TRY(svr_weights_read_range(weights, "vid_in.proj.bias", 0, 6, dst, err));
    for (int i = 0; i < 6; i++)
        dst[i] += *(float *) user;
    return SVR_OK;
}

static void test_computed_items(void)
{
    store_rig r = store_rig_open(NULL, SVR_F32, SVR_F32, NULL);
    float offset = 10;
    svr_store_item item = {.name = "folded",
                           .form = SVR_FORM_MATRIX,
                           .group = 1,
                           .make = folded,
                           .make_user = &offset,
                           .rank = 2,
                           .dims = {2, 3}};
    int id = -1;
    svr_tensor t;

    CHECK_OK(svr_store_add(r.store, &item, &id, &r.err), r.err);
    store_rig_load(&r, 0, 3);
    t = store_rig_acquire(&r, 1, id);
    CHECK(t.rank == 2 && t.dims[0] == 2 && t.dims[1] == 3);
    for (size_t i = 0; i < 6; i++)
        CHECK(((float *) t.data)[i] == store_value(i) + 10);
    svr_store_release(r.store, 1);
    store_rig_close(&r);
}

int main(void)
{
    RUN(test_matrices_are_rounded_to_storage);
    RUN(test_factors_are_quantised);
    RUN(test_factors_as_stored);
    RUN(test_device_may_lack_quantisation);
    RUN(test_vectors_stay_exact);
    RUN(test_convolutions_have_channels_last);
    RUN(test_computed_items);
    return check_done();
}
