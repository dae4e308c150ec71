/* The tiny transformers against the reference: output and every intermediate that the files hold.
 *   test_dit_goldens DATA_DIR */
#include "session.h"

#include "check.h"

#include <stdlib.h>
#include <string.h>

static const char *data_dir;

static const session_limits f16_limits = {SVR_F16, 0.0, 4e-3, 0.03};
static const session_limits bf16_limits = {SVR_BF16, 0.0, 2.5e-2, 0.2};

/* fp8 products of random networks, measured: 7.8e-2 and 0.39 std. */
static const session_limits fp8_limits = {SVR_F16, 0.0, 0.1, 0.6};
/* The same of integers; measured: 1.6e-2 and 0.07 std. */
static const session_limits int8_limits = {SVR_F16, 0.0, 0.02, 0.1};
/* And with activations as integers too; measured: 2.3e-2 and 0.12 std. */
static const session_limits w8a8_limits = {SVR_F16, 0.0, 0.03, 0.17};

/* Output, and intermediates when their number is known. */
static void check_case(const char *variant, const char *name, int intermediates)
{
    session s;
    svr_safetensors *file;
    size_t before;

    session_open(&s, &file, data_dir, variant, name, SVR_F32);
    before = svr_scratch_live(s.device.scratch);
    s.device.exec.tap = session_tap;
    s.device.exec.tap_user = &s;
    session_check(&s, &session_f32);
    CHECK(s.compared == intermediates);
    /* without a tap the last text is left out, and nothing else changes */
    s.device.exec.tap = NULL;
    session_check(&s, &session_f32);
    CHECK(svr_scratch_live(s.device.scratch) == before);
    session_close(&s, file);
}

static void test_3b_f32(void)
{
    /* patch_in, txt_in, blocks 0, 1 and (video) 3, out_mod; attn_out of a block, its q and k
     * (video, text), o of two blocks */
    check_case("3b", "c2", 2 + 5 + 1 + 2 + 4 + 2);
    check_case("3b", "c3", 0);
    check_case("3b", "c5", 0);
}

static void test_7b_f32(void)
{
    /* patch_in, txt_in, three blocks */
    check_case("7b", "c2", 2 + 6);
    check_case("7b", "c3", 0);
    check_case("7b", "c5", 0);
}

static void check_half(const char *variant, const session_limits *limit)
{
    static const char *const names[] = {"c2", "c3", "c5"};

    for (int i = 0; i < 3; i++) {
        session s;
        svr_safetensors *file;
        session_open(&s, &file, data_dir, variant, names[i], limit->storage);
        session_check(&s, limit);
        session_close(&s, file);
    }
}

static void test_f16(void)
{
    check_half("3b", &f16_limits);
    check_half("7b", &f16_limits);
}

static void test_bf16(void)
{
    check_half("3b", &bf16_limits);
    check_half("7b", &bf16_limits);
}

/* How factors are quantised (F32: not at all). */
typedef struct quantised {
    svr_dtype factors;
    bool activations; /* with I8: what they multiply too */
} quantised;

static const session_limits *limits_of(quantised form)
{
    return form.activations              ? &w8a8_limits
           : form.factors == SVR_F8_E4M3 ? &fp8_limits
           : form.factors == SVR_I8      ? &int8_limits
                                         : &f16_limits;
}

static float *velocity(const char *const names[2], quantised form, size_t *count)
{
    session s;
    svr_safetensors *file;
    svr_error err = {0};

    session_open_quantized(&s, &file, data_dir, names, SVR_F16, form.factors);
    if (form.activations)
        svr_dit_quantize_activations(s.network.dit);
    session_check(&s, limits_of(form));
    CHECK_OK(svr_dit_forward(&s.device.exec, s.network.dit, &s.io, &err), err);
    float *v = device_floats(&s.device, &s.io.v);
    *count = (size_t) svr_tensor_elems(&s.io.v);
    session_close(&s, file);
    return v;
}

/* Near the reference, and not what comes out without. */
static void test_quantised(void)
{
    static const char *const cases[][2] = {{"3b", "c2"}, {"3b", "c5"}, {"7b", "c2"}, {"7b", "c5"}};

    for (int i = 0; i < 4; i++) {
        size_t count, plain_count;
        float *plain = velocity(cases[i], (quantised){SVR_F32, false}, &plain_count);
        float *fp8 = velocity(cases[i], (quantised){SVR_F8_E4M3, false}, &count);
        float *int8 = velocity(cases[i], (quantised){SVR_I8, false}, &count);
        float *w8a8 = velocity(cases[i], (quantised){SVR_I8, true}, &count);

        CHECK(count == plain_count);
        CHECK(golden_compare(fp8, plain, count).rel_l2 > 0.03);
        CHECK(golden_compare(int8, plain, count).rel_l2 > 0.003);
        CHECK(golden_compare(w8a8, int8, count).rel_l2 > 0.003);
        free(plain);
        free(fp8);
        free(int8);
        free(w8a8);
    }
}

/* Blocks take less memory; chunks of tokens change nothing. */
static void check_memory_and_chunks(quantised form)
{
    session s;
    svr_safetensors *file;
    svr_error err = {0};
    size_t bytes, elems;

    session_open_quantized(&s, &file, data_dir, (const char *const[]){"3b", "c3"}, SVR_F32,
                           form.factors);
    if (form.activations)
        svr_dit_quantize_activations(s.network.dit);
    bytes = (size_t) svr_store_group_bytes(s.network.store, 0);
    CHECK_OK(svr_dit_forward(&s.device.exec, s.network.dit, &s.io, &err), err);
    float *whole = device_floats(&s.device, &s.io.v);
    elems = (size_t) svr_tensor_elems(&s.io.v);
    svr_dit_set_token_chunk(s.network.dit, 7);
    CHECK_OK(svr_dit_forward(&s.device.exec, s.network.dit, &s.io, &err), err);
    float *chunks = device_floats(&s.device, &s.io.v);
    CHECK(memcmp(whole, chunks, elems * sizeof(float)) == 0);
    free(whole);
    free(chunks);
    session_close(&s, file);

    session_open(&s, &file, data_dir, "3b", "c3", SVR_F32);
    CHECK(3 * bytes < svr_store_group_bytes(s.network.store, 0)); /* F32 on the CPU */
    session_close(&s, file);
}

static void test_quantised_memory_and_chunks(void)
{
    check_memory_and_chunks((quantised){SVR_F8_E4M3, false});
    check_memory_and_chunks((quantised){SVR_I8, false});
    check_memory_and_chunks((quantised){SVR_I8, true});
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    data_dir = argv[1];
    RUN(test_3b_f32);
    RUN(test_7b_f32);
    RUN(test_f16);
    RUN(test_bf16);
    RUN(test_quantised);
    RUN(test_quantised_memory_and_chunks);
    return check_done();
}
