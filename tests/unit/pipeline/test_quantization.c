/* The nano model in 8 bits: quantised while it loads and from files that hold 8 bits, which must be
 * the same to the last bit; memory; what a device may lack. */
#include "rig.h"

#include "dit/dit.h"
#include "pipeline/model.h"
#include "weights/convert.h"

#include "check.h"
#include "random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *model_dir;
static const char path[] = "test_quantization.tmp";

enum { EDGE = 24, FRAMES = 5, BYTES = EDGE * EDGE * 3 };

static svr_model_options options_of(const char *dit, svr_dtype storage, svr_quantization chosen)
{
    static char vae[1024];

    snprintf(vae, sizeof vae, "%s/nano_vae.safetensors", model_dir);
    return (svr_model_options){
        .dit_path = dit, .vae_path = vae, .storage = storage, .quantization = chosen, .steps = 1};
}

static const char *nano_path(void)
{
    static char dit[1024];

    snprintf(dit, sizeof dit, "%s/nano_dit.safetensors", model_dir);
    return dit;
}

static void convert_nano(svr_dtype to)
{
    svr_safetensors *file = NULL;
    svr_error err = {0};

    CHECK_OK(svr_safetensors_open(nano_path(), &file, &err), err);
    CHECK_OK(svr_convert(file, to, path, NULL, &err), err);
    svr_safetensors_close(file);
}

/* Noise in, what the colour correction gives out. */
static void run_stream(svr_backend *backend, const svr_networks *networks, float *out)
{
    static uint8_t frames[FRAMES * BYTES];
    svr_size_plan sizes =
        svr_size_plan_short_side((svr_size){EDGE, EDGE}, EDGE, 0, 1, networks->grid_multiple);
    svr_stream_options o = rig_options((svr_size){EDGE, EDGE}, &sizes);
    rig_sequence s = {.frames = frames, .frame_bytes = BYTES, .count = FRAMES, .out = out};
    test_random random = test_random_seed(11);
    svr_stream *stream = NULL;
    svr_error err = {0};

    for (size_t i = 0; i < sizeof frames; i++)
        frames[i] = (uint8_t) (128 + 40 * test_random_normal(&random));
    s.out_elems = BYTES;
    o.temporal = svr_temporal_plan_make(FRAMES, 0, 0);
    CHECK_OK(svr_stream_create(backend, networks, &o, NULL, &stream, &err), err);
    CHECK_OK(rig_run(stream, backend, &o.temporal, 0, &s, &err), err);
    CHECK(svr_stream_scratch_peak(stream) == svr_stream_plan(stream)->scratch);
    svr_stream_destroy(stream);
    rig_sequence_finish(&s);
}

/* New memory with the frames; *bytes (may be NULL) gets the size of the weights. */
static float *frames_of(const svr_model_options *options, svr_dtype factors, uint64_t *bytes)
{
    float *out = malloc(FRAMES * BYTES * sizeof *out);
    svr_backend *backend = rig_backend(0);
    svr_model *model = NULL;
    svr_error err = {0};

    CHECK(out != NULL);
    CHECK_OK(svr_model_open(backend, options, &model, &err), err);
    CHECK(svr_model_factor_type(model) == factors);
    CHECK_OK(svr_model_load(model, NULL, &err), err);
    CHECK(svr_backend_memory(backend).live[SVR_MEM_WEIGHTS] == svr_model_weight_bytes(model));
    if (bytes)
        *bytes = svr_model_weight_bytes(model);
    run_stream(backend, svr_model_networks(model), out);
    svr_model_close(model);
    svr_backend_destroy(backend);
    return out;
}

static bool same(const float *a, const float *b)
{
    return memcmp(a, b, FRAMES * BYTES * sizeof *a) == 0;
}

/* A file that holds `type` against the original quantised to it. */
static void check_file(svr_dtype type, svr_quantization chosen, svr_dtype storage)
{
    svr_model_options load = options_of(nano_path(), storage, chosen);
    svr_model_options file = options_of(path, storage, chosen);
    uint64_t load_bytes, file_bytes;
    float *want = frames_of(&load, type, &load_bytes), *got;

    convert_nano(type);
    got = frames_of(&file, type, &file_bytes);
    CHECK(same(got, want) && load_bytes == file_bytes);
    free(got);
    file.quantization = SVR_QUANTIZATION_AS_STORED;
    got = frames_of(&file, type, NULL);
    CHECK(same(got, want));
    free(got);
    file.quantization = SVR_QUANTIZATION_AUTO_FP16; /* the values alone are those of 8 bits */
    got = frames_of(&file, SVR_F32, NULL);
    load.quantization = SVR_QUANTIZATION_AUTO_FP16;
    free(want);
    want = frames_of(&load, SVR_F32, NULL);
    CHECK(!same(got, want));
    free(got);
    load.quantization = SVR_QUANTIZATION_AS_STORED; /* 16 bits are not quantised */
    got = frames_of(&load, SVR_F32, NULL);
    CHECK(same(got, want));
    free(got);
    free(want);
    remove(path);
}

static void test_int8_files(void)
{
    check_file(SVR_I8, SVR_QUANTIZATION_INT8, SVR_F16);
    check_file(SVR_I8, SVR_QUANTIZATION_INT8, SVR_F32);
}

static void test_fp8_files(void)
{
    check_file(SVR_F8_E4M3, SVR_QUANTIZATION_FP8, SVR_F16);
}

/* Integers with activations as integers too: a file is what is quantised while it loads, and the
 * products are not those of weights alone. */
static void test_int8_activations(void)
{
    svr_model_options load = options_of(nano_path(), SVR_F16, SVR_QUANTIZATION_INT8_W8A8);
    svr_model_options file = options_of(path, SVR_F16, SVR_QUANTIZATION_INT8_W8A8);
    uint64_t load_bytes, file_bytes;
    float *want = frames_of(&load, SVR_I8, &load_bytes), *got, *weights;

    convert_nano(SVR_I8);
    got = frames_of(&file, SVR_I8, &file_bytes);
    CHECK(same(got, want) && load_bytes == file_bytes);
    file.quantization = SVR_QUANTIZATION_INT8;
    weights = frames_of(&file, SVR_I8, &file_bytes);
    CHECK(!same(got, weights) && load_bytes == file_bytes);
    free(want);
    free(got);
    free(weights);
    remove(path);
}

/* Integers multiplied in F32 are their values: so loading them as values changes nothing. */
static void test_integers_are_their_values(void)
{
    svr_model_options o = options_of(path, SVR_F32, SVR_QUANTIZATION_INT8);
    float *integers, *values;

    convert_nano(SVR_I8);
    integers = frames_of(&o, SVR_I8, NULL);
    o.quantization = SVR_QUANTIZATION_AUTO_FP16;
    values = frames_of(&o, SVR_F32, NULL);
    CHECK(same(integers, values));
    free(integers);
    free(values);
    remove(path);
}

static svr_backend_vtable vtable;

/* A device that keeps 16 bits, and has no products of e4m3. */
static svr_dtype as_storage(const svr_backend *backend, svr_dtype storage)
{
    (void) backend;
    return storage;
}

static svr_status integers_only(const svr_backend *backend, svr_dtype dtype, svr_error *err)
{
    (void) backend;
    return dtype == SVR_I8 ? SVR_OK : SVR_FAIL(err, SVR_ERR_UNSUPPORTED, "no fp8: set int8");
}

static void test_memory_and_devices(void)
{
    svr_model_options o = options_of(nano_path(), SVR_F16, SVR_QUANTIZATION_AUTO_FP16);
    svr_backend *backend = rig_backend(0);
    svr_model *model = NULL;
    svr_error err = {0};
    uint64_t plain, vae = 4127846 /* parameters of nano_vae in 16 bits */;

    vtable = *backend->vtable;
    vtable.weight_dtype = as_storage;
    vtable.check_quantization = integers_only;
    backend->vtable = &vtable;
    CHECK_OK(svr_model_open(backend, &o, &model, &err), err);
    plain = svr_model_weight_bytes(model);
    svr_model_close(model);
    o.quantization = SVR_QUANTIZATION_INT8;
    CHECK_OK(svr_model_open(backend, &o, &model, &err), err);
    /* vectors, and matrices outside of the blocks, are more of so small a network than of others */
    CHECK(svr_model_weight_bytes(model) < vae + (plain - vae) * 6 / 10);
    svr_model_close(model);
    convert_nano(SVR_F8_E4M3);
    o = options_of(path, SVR_F16, SVR_QUANTIZATION_AS_STORED);
    CHECK(svr_model_open(backend, &o, &model, &err) == SVR_ERR_UNSUPPORTED);
    CHECK_TEXT(err.text, "set int8");
    svr_error_clear(&err);
    o.quantization = SVR_QUANTIZATION_INT8;
    CHECK_OK(svr_model_open(backend, &o, &model, &err), err);
    svr_model_close(model);
    svr_backend_destroy(backend);
    remove(path);
}

static svr_status no_values(void *user, const svr_weight_spec *spec, size_t first, size_t count,
                            float *dst, svr_error *err)
{
    (void) user, (void) count, (void) dst;
    return SVR_FAIL(err, SVR_ERR_INVALID, "%s has no values at %zu", spec->name, first);
}

/* Bytes that a published transformer takes on a device. */
static uint64_t published_bytes(svr_model_kind kind, svr_dtype factors)
{
    svr_dit_config config = svr_dit_config_published(kind);
    svr_backend *backend = rig_backend(0);
    svr_weights *weights = NULL;
    svr_store *store = NULL;
    svr_dit *dit = NULL;
    svr_error err = {0};
    uint64_t bytes = 0;

    vtable = *backend->vtable;
    vtable.weight_dtype = as_storage;
    backend->vtable = &vtable;
    CHECK_OK(svr_weights_generate_dit(&config, no_values, NULL, &weights, &err), err);
    CHECK_OK(svr_store_create(backend, weights, SVR_F16, svr_dit_groups(&config), &store, &err),
             err);
    if (factors != SVR_F16)
        CHECK_OK(svr_store_quantize(store, factors, &err), err);
    CHECK_OK(svr_dit_create(&config, store, &dit, &err), err);
    for (int i = 0; i < svr_dit_groups(&config); i++)
        bytes += svr_store_group_bytes(store, i);
    svr_dit_destroy(dit);
    svr_store_destroy(store);
    svr_weights_destroy(weights);
    svr_backend_destroy(backend);
    return bytes;
}

/* Half of 16 bits; the 3B then takes 3.2 GiB at most. */
static void test_bytes_of_published_models(void)
{
    for (int large = 0; large < 2; large++) {
        svr_model_kind kind = large ? SVR_MODEL_DIT_7B : SVR_MODEL_DIT_3B;
        double plain = (double) published_bytes(kind, SVR_F16);
        double integers = (double) published_bytes(kind, SVR_I8);

        printf("#   %s: f16 %.3f GB, int8 %.3f GB\n", svr_model_kind_name(kind), plain / 1e9,
               integers / 1e9);
        CHECK(integers > 0.49 * plain && integers < 0.51 * plain);
        CHECK(large || integers <= 3.2 * 0x1p30);
        CHECK(integers == (double) published_bytes(kind, SVR_F8_E4M3));
    }
}

static void test_names(void)
{
    CHECK(strcmp(svr_quantization_name(SVR_QUANTIZATION_AUTO_FP16), "auto-fp16") == 0);
    CHECK(strcmp(svr_quantization_name(SVR_QUANTIZATION_INT8_W8A8), "int8-w8a8") == 0);
    CHECK(strcmp(svr_quantization_name(SVR_QUANTIZATION_AS_STORED), "as-stored") == 0);
    CHECK(strcmp(svr_quantization_name(SVR_QUANTIZATION_COUNT), "unknown") == 0);
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    model_dir = argv[1];
    RUN(test_int8_files);
    RUN(test_fp8_files);
    RUN(test_int8_activations);
    RUN(test_integers_are_their_values);
    RUN(test_memory_and_devices);
    RUN(test_bytes_of_published_models);
    RUN(test_names);
    return check_done();
}
