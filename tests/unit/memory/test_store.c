/* The store: layouts and types on the device, groups, loading in chunks, failures. */
#include "base/quantize.h"
#include "cpu/cpu_backend.h"
#include "memory/store.h"

#include "check.h"
#include "write_safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A transformer whose feed-forward matrices (1100 x 1100) take more than one chunk of a load. */
static const svr_dit_config config = {
    .kind = SVR_MODEL_DIT_7B,
    .dim = 1100,
    .heads = 1,
    .head_dim = 32,
    .layers = 1,
    .split_layers = 1,
    .mlp_hidden = 1100,
    .rope_pairs = 2,
    .rope_axis_dim = 5,
    .txt_in = 8,
    .in_channels = 9,
    .out_channels = 4,
    .patch = 2,
    .time_freqs = 4,
};
static const svr_vae_config vae_config = {.stages = 2,
                                          .channels = {8, 12},
                                          .layers_per_block = 1,
                                          .latent_channels = 4,
                                          .norm_groups = 4,
                                          .temporal_stages = 1};

enum { BIG = 1100 * 1100 };

/* Needs more bits than half precision has. */
static float value_at(size_t i)
{
    return (float) (i % 99991) / 1024.0f + 1.0f / 8192.0f;
}

static svr_status values(void *user, const svr_weight_spec *spec, size_t first, size_t count,
                         float *dst, svr_error *err)
{
    if (user && strcmp(user, spec->name) == 0)
        return SVR_FAIL(err, SVR_ERR_IO, "no values for %s", spec->name);
    for (size_t i = 0; i < count; i++)
        dst[i] = value_at(first + i);
    return SVR_OK;
}

typedef struct rig {
    svr_backend *backend;
    svr_weights *weights;
    svr_store *store;
    svr_error err;
} rig;

/* The CPU backend that keeps weights as `kept`. */
static svr_backend_vtable vtable;
static svr_dtype kept;

static svr_dtype kept_dtype(const svr_backend *backend, svr_dtype storage)
{
    (void) backend;
    (void) storage;
    return kept;
}

static rig open_rig(const svr_cpu_options *options, svr_dtype storage, svr_dtype weight_type,
                    char *failing)
{
    rig r = {0};

    CHECK_OK(svr_cpu_backend_create(options, &r.backend, &r.err), r.err);
    vtable = *r.backend->vtable;
    vtable.weight_dtype = kept_dtype;
    kept = weight_type;
    r.backend->vtable = &vtable;
    CHECK_OK(svr_weights_generate_dit(&config, values, failing, &r.weights, &r.err), r.err);
    CHECK_OK(svr_store_create(r.backend, r.weights, storage, 3, &r.store, &r.err), r.err);
    CHECK(svr_store_weights(r.store) == r.weights && svr_store_storage(r.store) == storage);
    return r;
}

static void close_rig(rig *r)
{
    svr_store_destroy(r->store);
    CHECK(svr_backend_memory(r->backend).live_total == 0);
    svr_weights_destroy(r->weights);
    svr_backend_destroy(r->backend);
}

static int add(rig *r, const char *name, svr_store_form form, int group)
{
    svr_store_item item = {.name = name, .form = form, .group = group};
    int id = -1;

    CHECK_OK(svr_store_add(r->store, &item, &id, &r->err), r->err);
    return id;
}

static svr_tensor acquire(rig *r, int group, int id)
{
    CHECK_OK(svr_store_acquire(r->store, &(svr_exec){.backend = r->backend}, group, &r->err),
             r->err);
    return svr_store_tensor(r->store, id);
}

static void load(rig *r, int first, int count)
{
    CHECK_OK(svr_store_load(r->store, first, count, NULL, &r->err), r->err);
}

static const char big_name[] = "blocks.0.mlp.vid.proj_in.weight";

/* Storage and kept type against what element i must have become. */
static void check_matrix(svr_dtype storage, svr_dtype weight_type)
{
    rig r = open_rig(NULL, storage, weight_type, NULL);
    int id = add(&r, big_name, SVR_FORM_MATRIX, 0);
    svr_tensor t;
    float *got = malloc(BIG * sizeof *got);

    load(&r, 0, 1);
    t = acquire(&r, 0, id);
    CHECK(t.dtype == weight_type && t.rank == 2 && t.dims[0] == 1100 && t.dims[1] == 1100);
    CHECK(got != NULL);
    svr_to_f32(t.data, t.dtype, got, BIG);
    for (size_t i = 0; i < BIG; i++) {
        float want = value_at(i);

        if (storage == SVR_F16)
            want = svr_f16_to_f32(svr_f32_to_f16(want));
        if (storage == SVR_BF16 || weight_type == SVR_BF16)
            want = svr_bf16_to_f32(svr_f32_to_bf16(want));
        CHECK(got[i] == want);
    }
    free(got);
    svr_store_release(r.store, 0);
    close_rig(&r);
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
static void check_quantized(const rig *r, int id, svr_dtype type)
{
    svr_tensor t = svr_store_tensor(r->store, id), scale = svr_store_scale(r->store, id);
    float row[1100];
    uint8_t want[1100];

    CHECK(t.dtype == type && t.rank == 2 && t.dims[0] == 1100 && t.dims[1] == 1100);
    CHECK(scale.dtype == SVR_F32 && scale.rank == 1 && scale.dims[0] == 1100);
    CHECK((char *) scale.data >= (char *) t.data + BIG);
    for (size_t n = 0; n < 1100; n++) {
        for (size_t k = 0; k < 1100; k++)
            row[k] = value_at(n * 1100 + k);
        CHECK(((float *) scale.data)[n] == svr_quantize_row(row, 1100, type, want));
        CHECK(memcmp((uint8_t *) t.data + n * 1100, want, 1100) == 0);
    }
}

/* Half the bytes of 16 bits, and the scales. */
static void check_factors(svr_dtype type)
{
    rig r = open_rig(NULL, SVR_BF16, SVR_BF16, NULL);
    int before = add(&r, big_name, SVR_FORM_FACTOR, 0), id, matrix, vector;
    svr_store_item wrong = {.name = "vid_in.proj.bias", .form = SVR_FORM_FACTOR};

    CHECK(svr_store_factor_type(r.store) == SVR_BF16);
    CHECK_FAILS(svr_store_quantize(r.store, SVR_I32, &r.err), SVR_ERR_UNSUPPORTED, r.err);
    CHECK_OK(svr_store_quantize(r.store, type, &r.err), r.err);
    CHECK(svr_store_factor_type(r.store) == type);
    CHECK_FAILS(svr_store_add(r.store, &wrong, &id, &r.err), SVR_ERR_INVALID, r.err);
    id = add(&r, big_name, SVR_FORM_FACTOR, 1);
    matrix = add(&r, "vid_in.proj.weight", SVR_FORM_MATRIX, 1);
    vector = add(&r, "vid_in.proj.bias", SVR_FORM_VECTOR, 1);
    /* 1100*1100 and 1100*4, then 1100*36*2 and 1100*4, each to 256 */
    CHECK(svr_store_group_bytes(r.store, 1) == 1210112 + 4608 + 79360 + 4608);
    load(&r, 0, 2);
    CHECK(acquire(&r, 0, before).dtype == SVR_BF16);
    CHECK(acquire(&r, 1, id).data != NULL);
    check_quantized(&r, id, type);
    CHECK(svr_store_tensor(r.store, matrix).dtype == SVR_BF16);
    CHECK(svr_store_tensor(r.store, vector).dtype == SVR_F32);
    CHECK(!svr_store_scale(r.store, matrix).data && !svr_store_scale(r.store, before).data);
    svr_store_release(r.store, 0);
    svr_store_release(r.store, 1);
    close_rig(&r);
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
        bool scaled = strcmp(spec->name, big_name) == 0;

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
    rig r = open_rig(NULL, SVR_F16, SVR_F16, NULL);
    int8_t *matrix = malloc(BIG);
    float scales[1100];
    svr_weights *stored = NULL;
    svr_store *store = NULL;
    svr_store_item item = {.name = big_name, .form = SVR_FORM_FACTOR};
    svr_safetensors *file;
    int id;

    CHECK(matrix != NULL);
    for (size_t i = 0; i < BIG; i++)
        matrix[i] = (int8_t) (i * 31 % 251 - 125); /* no 127: not what quantising it would give */
    for (int i = 0; i < 1100; i++)
        scales[i] = (float) (1 + i * 7 % 1100);
    file = write_file(r.weights, matrix, scales);
    CHECK_OK(svr_weights_bind_dit(file, &config, &stored, &r.err), r.err);
    CHECK_OK(svr_store_create(r.backend, stored, SVR_F16, 1, &store, &r.err), r.err);
    CHECK_OK(svr_store_quantize(store, SVR_I8, &r.err), r.err);
    CHECK_OK(svr_store_add(store, &item, &id, &r.err), r.err);
    CHECK_OK(svr_store_load(store, 0, 1, NULL, &r.err), r.err);
    CHECK_OK(svr_store_acquire(store, &(svr_exec){.backend = r.backend}, 0, &r.err), r.err);
    CHECK(memcmp(svr_store_tensor(store, id).data, matrix, BIG) == 0);
    CHECK(memcmp(svr_store_scale(store, id).data, scales, sizeof scales) == 0);
    svr_store_release(store, 0);
    svr_store_destroy(store);
    svr_weights_destroy(stored);
    svr_safetensors_close(file);
    free(matrix);
    remove(file_path);
    close_rig(&r);
}

static svr_status lacks_type(const svr_backend *backend, svr_dtype dtype, svr_error *err)
{
    (void) backend;
    return SVR_FAIL(err, SVR_ERR_UNSUPPORTED, "no %s here", svr_dtype_name(dtype));
}

static void test_device_may_lack_quantisation(void)
{
    rig r = open_rig(NULL, SVR_F16, SVR_F16, NULL);

    vtable.check_quantization = lacks_type;
    CHECK(svr_store_quantize(r.store, SVR_F8_E4M3, &r.err) == SVR_ERR_UNSUPPORTED);
    CHECK_TEXT(r.err.text, "no f8_e4m3 here");
    CHECK(svr_store_factor_type(r.store) == SVR_F16);
    close_rig(&r);
}

static void test_vectors_stay_exact(void)
{
    rig r = open_rig(NULL, SVR_F16, SVR_F16, NULL);
    int id = add(&r, "vid_in.proj.bias", SVR_FORM_VECTOR, 0);
    svr_tensor t;

    load(&r, 0, 1);
    t = acquire(&r, 0, id);
    CHECK(t.dtype == SVR_F32 && t.rank == 1 && t.dims[0] == 1100);
    for (size_t i = 0; i < 1100; i++)
        CHECK(((float *) t.data)[i] == value_at(i));
    svr_store_release(r.store, 0);
    close_rig(&r);
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
    CHECK_OK(svr_weights_generate_vae(&vae_config, values, NULL, &weights, &err), err);
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
                      value_at((k * 8 + c) * 27 + tap));
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
    rig r = open_rig(NULL, SVR_F32, SVR_F32, NULL);
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
    load(&r, 0, 3);
    t = acquire(&r, 1, id);
    CHECK(t.rank == 2 && t.dims[0] == 2 && t.dims[1] == 3);
    for (size_t i = 0; i < 6; i++)
        CHECK(((float *) t.data)[i] == value_at(i) + 10);
    svr_store_release(r.store, 1);
    close_rig(&r);
}

static void test_groups_are_one_allocation_each(void)
{
    rig r = open_rig(NULL, SVR_F16, SVR_F16, NULL);
    int bias = add(&r, "vid_in.proj.bias", SVR_FORM_VECTOR, 0);
    int matrix = add(&r, "vid_in.proj.weight", SVR_FORM_MATRIX, 0);
    int other = add(&r, "txt_in.bias", SVR_FORM_VECTOR, 2);
    uint64_t before = svr_backend_memory(r.backend).allocations;
    svr_tensor a, b;

    CHECK(svr_store_group_bytes(r.store, 0) == 4608 + 79360); /* 1100*4, 1100*36*2, each to 256 */
    CHECK(svr_store_group_bytes(r.store, 1) == 0);
    CHECK_FAILS(svr_store_acquire(r.store, &(svr_exec){.backend = r.backend}, 0, &r.err),
                SVR_ERR_INVALID, r.err);
    load(&r, 0, 2);
    CHECK(svr_backend_memory(r.backend).allocations == before + 1);
    CHECK(svr_backend_memory(r.backend).live[SVR_MEM_WEIGHTS] == 4608 + 79360);
    CHECK_FAILS(svr_store_acquire(r.store, &(svr_exec){.backend = r.backend}, 2, &r.err),
                SVR_ERR_INVALID, r.err);
    load(&r, 0, 3);
    CHECK(svr_backend_memory(r.backend).allocations == before + 2);
    a = acquire(&r, 0, bias);
    CHECK_OK(svr_store_acquire(r.store, &(svr_exec){.backend = r.backend}, 0, &r.err), r.err);
    b = svr_store_tensor(r.store, matrix);
    CHECK((char *) b.data == (char *) a.data + 4608);
    svr_store_release(r.store, 0);
    CHECK(svr_store_tensor(r.store, bias).data == a.data);
    svr_store_release(r.store, 0);
    CHECK(svr_tensor_present(&a) && acquire(&r, 2, other).data != NULL);
    svr_store_release(r.store, 2);
    close_rig(&r);
}

typedef struct progress {
    uint64_t last, total;
    int calls;
    svr_cancel *cancel; /* raised at the second call */
} progress;

static void on_progress(void *user, uint64_t done, uint64_t total)
{
    progress *p = user;

    CHECK(done > p->last && done <= total && (p->calls == 0 || total == p->total));
    p->last = done;
    p->total = total;
    if (++p->calls == 2 && p->cancel)
        svr_cancel_set(p->cancel, true);
}

static void test_progress_and_cancelling(void)
{
    rig r = open_rig(NULL, SVR_F16, SVR_F16, NULL);
    progress p = {0};
    svr_cancel *cancel = svr_cancel_create();

    add(&r, big_name, SVR_FORM_MATRIX, 0);
    add(&r, "vid_in.proj.bias", SVR_FORM_VECTOR, 0);
    p.cancel = cancel;
    CHECK_FAILS(svr_store_load(r.store, 0, 3, &(svr_store_watch){cancel, on_progress, &p}, &r.err),
                SVR_ERR_CANCELLED, r.err);
    CHECK(p.calls == 2 && svr_backend_memory(r.backend).live_total == 0);
    CHECK_FAILS(svr_store_acquire(r.store, &(svr_exec){.backend = r.backend}, 0, &r.err),
                SVR_ERR_INVALID, r.err);
    p = (progress){0};
    CHECK_OK(svr_store_load(r.store, 0, 3, &(svr_store_watch){NULL, on_progress, &p}, &r.err),
             r.err);
    CHECK(p.calls == 3 && p.last == p.total && p.total == (uint64_t) BIG * 2 + 1100 * 4);
    svr_cancel_destroy(cancel);
    close_rig(&r);
}

static void test_failures_leave_nothing_behind(void)
{
    char failing[] = "txt_in.bias";
    svr_cpu_options no_memory = {.fail_allocation = 2};
    rig r = open_rig(&no_memory, SVR_F32, SVR_F32, NULL);

    add(&r, "vid_in.proj.bias", SVR_FORM_VECTOR, 0);
    add(&r, "txt_in.bias", SVR_FORM_VECTOR, 1);
    CHECK_FAILS(svr_store_load(r.store, 0, 2, NULL, &r.err), SVR_ERR_NO_MEM, r.err);
    CHECK_OK(svr_store_acquire(r.store, &(svr_exec){.backend = r.backend}, 0, &r.err), r.err);
    svr_store_release(r.store, 0);
    CHECK_FAILS(svr_store_acquire(r.store, &(svr_exec){.backend = r.backend}, 1, &r.err),
                SVR_ERR_INVALID, r.err);
    load(&r, 0, 2);
    CHECK_OK(svr_store_acquire(r.store, &(svr_exec){.backend = r.backend}, 1, &r.err), r.err);
    svr_store_release(r.store, 1);
    close_rig(&r);

    r = open_rig(NULL, SVR_F32, SVR_F32, failing);
    add(&r, failing, SVR_FORM_VECTOR, 0);
    CHECK_FAILS(svr_store_load(r.store, 0, 1, NULL, &r.err), SVR_ERR_IO, r.err);
    CHECK(svr_backend_memory(r.backend).live_total == 0);
    close_rig(&r);
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
    RUN(test_groups_are_one_allocation_each);
    RUN(test_progress_and_cancelling);
    RUN(test_failures_leave_nothing_behind);
    return check_done();
}
