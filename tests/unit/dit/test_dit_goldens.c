/* The tiny transformers against the reference: output and every intermediate that the files hold.
 *   test_dit_goldens DATA_DIR */
#include "fixture.h"

#include "check.h"
#include "dit/window.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *data_dir;

/* Limits of the manifest; 0: not limited. */
typedef struct limits {
    svr_dtype storage;
    double max_abs, rel_l2, max_std;
} limits;

static const limits f32_limits = {SVR_F32, 5e-5, 5e-6, 0.0};
static const limits f16_limits = {SVR_F16, 0.0, 4e-3, 0.03};
static const limits bf16_limits = {SVR_BF16, 0.0, 2.5e-2, 0.2};

/* fp8 products of random networks, measured: 7.8e-2 and 0.39 std. */
static const limits fp8_limits = {SVR_F16, 0.0, 0.1, 0.6};
/* The same of integers; measured: 1.6e-2 and 0.07 std. */
static const limits int8_limits = {SVR_F16, 0.0, 0.02, 0.1};
/* And with activations as integers too; measured: 2.3e-2 and 0.12 std. */
static const limits w8a8_limits = {SVR_F16, 0.0, 0.03, 0.17};

/* A forward pass with a tap. */
typedef struct session {
    device device;
    network network;
    golden_case input;
    svr_dit_condition *condition;
    svr_dit_geometry *geometry;
    svr_dit_io io;
    int compared; /* tensors */
} session;

static void check_values(const char *name, const float *got, const float *want, size_t count,
                         const limits *limit)
{
    golden_error error = golden_compare(got, want, count);
    bool good = (limit->max_abs == 0.0 || error.max <= limit->max_abs) &&
                error.rel_l2 <= limit->rel_l2 &&
                (limit->max_std == 0.0 || error.max_std <= limit->max_std);

    if (!good)
        fprintf(stderr, "%s: max abs %g, rel l2 %g, max/std %g\n", name, error.max, error.rel_l2,
                error.max_std);
    CHECK(good);
}

static void session_open_quantized(session *s, svr_safetensors **file, const char *const names[2],
                                   svr_dtype storage, svr_dtype factors)
{
    const char *variant = names[0], *name = names[1];
    svr_error err = {0};
    svr_dit_config config;
    char path[64];

    *s = (session){0};
    snprintf(path, sizeof(path), "dit_%s_tiny_a.%s", variant, name);
    case_open(&s->input, data_dir, path);
    device_open(&s->device);
    svr_weights *weights = weights_open(data_dir, variant, s->input.windows, file, &config);
    network_open_quantized(&s->network, &s->device, &config, weights, storage, factors);
    network_load(&s->network, 0, svr_dit_groups(&config));
    CHECK_OK(svr_dit_condition_create(s->device.backend, s->network.dit, s->input.timestep,
                                      &(svr_dit_text){s->input.text, s->input.text_len},
                                      &s->condition, &err),
             err);
    CHECK_OK(svr_dit_geometry_create(s->device.backend, s->network.dit, s->input.latent,
                                     s->input.text_len, &s->geometry, &err),
             err);
    const int *l = s->input.latent;
    const int64_t dims[] = {l[0], l[1], l[2], config.out_channels};
    s->io = (svr_dit_io){.condition = s->condition, .geometry = s->geometry};
    s->io.x_t = device_tensor(&s->device, storage, 4, dims, s->input.x_t);
    s->io.cond = device_tensor(&s->device, storage, 4, dims, s->input.cond);
    CHECK_OK(svr_exec_alloc(&s->device.exec, SVR_F32, 4, dims, &s->io.v, &err), err);
}

static void session_open(session *s, svr_safetensors **file, const char *variant, const char *name,
                         svr_dtype storage)
{
    session_open_quantized(s, file, (const char *const[]){variant, name}, storage, SVR_F32);
}

static void session_close(session *s, svr_safetensors *file)
{
    svr_dit_geometry_destroy(s->geometry);
    svr_dit_condition_destroy(s->condition);
    network_close(&s->network);
    device_close(&s->device);
    case_close(&s->input);
    svr_safetensors_close(file);
}

/* ---------------------------------------------------------------------------- intermediates */

/* Rows of window 0 of the video, then all of the text, of the q or k part (or the heads of an
 * attention result, parts = 1) against a golden [n+L, heads, hd]. */
typedef struct window_view {
    session *session;
    int layer, part, parts;
} window_view;

static int first_window(const window_view *view, int32_t **order)
{
    svr_error err = {0};
    svr_windows windows;
    const svr_dit_config *config = svr_dit_get_config(view->session->network.dit);
    const int *latent = view->session->input.latent;
    const int grid[3] = {latent[0], latent[1] / 2, latent[2] / 2};
    svr_arena *arena = svr_arena_create();

    CHECK_OK(svr_windows_make(arena, grid, config->windows, view->layer % 2 == 1, &windows, &err),
             err);
    int count = windows.offsets[1];
    *order = malloc((size_t) count * sizeof(int32_t));
    CHECK(*order != NULL);
    memcpy(*order, windows.order, (size_t) count * sizeof(int32_t));
    svr_arena_destroy(arena);
    return count;
}

static void check_window(const window_view *view, const char *golden, const svr_tensor *tensor,
                         bool text)
{
    session *s = view->session;
    const svr_dit_config *config = svr_dit_get_config(s->network.dit);
    size_t width = (size_t) config->heads * (size_t) config->head_dim, total;
    int32_t *order;
    int count = first_window(view, &order);
    float *got = device_floats(&s->device, tensor);
    float *want = golden_floats(s->input.file, golden, &total);
    size_t rows = text ? (size_t) s->input.text_len : (size_t) count;

    CHECK(total == ((size_t) count + (size_t) s->input.text_len) * width);
    for (size_t i = 0; i < rows; i++) {
        size_t row = text ? i : (size_t) order[i];
        const float *mine = got + (row * (size_t) view->parts + (size_t) view->part) * width;
        size_t at = text ? (size_t) count + i : i;
        check_values(golden, mine, want + at * width, width, &f32_limits);
    }
    s->compared++;
    free(order);
    free(got);
    free(want);
}

/* q, k and o of window 0; o only of the video, for the text's is a mean over windows here. */
static void check_windows(session *s, const char *name, const svr_tensor *value)
{
    window_view view = {s, 0, 0, 3};
    char golden[64], *what;

    if (strncmp(name, "block", 5) != 0)
        return;
    view.layer = (int) strtol(name + 5, &what, 10);
    CHECK(*what++ == '.');
    bool text = strcmp(what, "qkv.txt") == 0;
    for (; (text || strcmp(what, "qkv.vid") == 0) && view.part < 2; view.part++) {
        snprintf(golden, sizeof(golden), "block%d.win0.%c", view.layer, "qk"[view.part]);
        if (golden_has(s->input.file, golden))
            check_window(&view, golden, value, text);
    }
    snprintf(golden, sizeof(golden), "block%d.win0.o", view.layer);
    view.part = 0;
    view.parts = 1;
    if (strcmp(what, "attn.vid") == 0 && golden_has(s->input.file, golden))
        check_window(&view, golden, value, false);
}

static svr_status compare_tap(void *user, const char *name, const svr_tensor *value, svr_error *err)
{
    session *s = user;
    size_t count;

    (void) err;
    check_windows(s, name, value);
    if (!golden_has(s->input.file, name))
        return SVR_OK;
    float *got = device_floats(&s->device, value);
    float *want = golden_floats(s->input.file, name, &count);
    CHECK(count == (size_t) svr_tensor_elems(value));
    check_values(name, got, want, count, &f32_limits);
    s->compared++;
    free(got);
    free(want);
    return SVR_OK;
}

/* ---------------------------------------------------------------------------- cases */

static void check_output(session *s, const limits *limit)
{
    svr_error err = {0};
    size_t count;

    CHECK_OK(svr_dit_forward(&s->device.exec, s->network.dit, &s->io, &err), err);
    float *got = device_floats(&s->device, &s->io.v);
    float *want = golden_floats(s->input.file, "out", &count);
    CHECK(count == (size_t) svr_tensor_elems(&s->io.v));
    check_values("out", got, want, count, limit);
    free(got);
    free(want);
}

/* Output, and intermediates when their number is known. */
static void check_case(const char *variant, const char *name, int intermediates)
{
    session s;
    svr_safetensors *file;
    size_t before;

    session_open(&s, &file, variant, name, SVR_F32);
    before = svr_scratch_live(s.device.scratch);
    s.device.exec.tap = compare_tap;
    s.device.exec.tap_user = &s;
    check_output(&s, &f32_limits);
    CHECK(s.compared == intermediates);
    /* without a tap the last text is left out, and nothing else changes */
    s.device.exec.tap = NULL;
    check_output(&s, &f32_limits);
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

static void check_half(const char *variant, const limits *limit)
{
    static const char *const names[] = {"c2", "c3", "c5"};

    for (int i = 0; i < 3; i++) {
        session s;
        svr_safetensors *file;
        session_open(&s, &file, variant, names[i], limit->storage);
        check_output(&s, limit);
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

static const limits *limits_of(quantised form)
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

    session_open_quantized(&s, &file, names, SVR_F16, form.factors);
    if (form.activations)
        svr_dit_quantize_activations(s.network.dit);
    check_output(&s, limits_of(form));
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

    session_open_quantized(&s, &file, (const char *const[]){"3b", "c3"}, SVR_F32, form.factors);
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

    session_open(&s, &file, "3b", "c3", SVR_F32);
    CHECK(3 * bytes < svr_store_group_bytes(s.network.store, 0)); /* F32 on the CPU */
    session_close(&s, file);
}

static void test_quantised_memory_and_chunks(void)
{
    check_memory_and_chunks((quantised){SVR_F8_E4M3, false});
    check_memory_and_chunks((quantised){SVR_I8, false});
    check_memory_and_chunks((quantised){SVR_I8, true});
}

/* ---------------------------------------------------------------------------- condition */

static void check_embedding(const char *variant, const char *name)
{
    session s;
    svr_safetensors *file;
    svr_error err = {0};
    size_t count;

    session_open(&s, &file, variant, name, SVR_F32);
    float *want = golden_floats(s.input.file, "emb", &count);
    float *got = malloc(count * sizeof(float));
    CHECK(got && count == 6 * (size_t) svr_dit_get_config(s.network.dit)->dim);
    CHECK_OK(svr_dit_time_embedding(s.network.dit, s.input.timestep, got, &err), err);
    check_values("emb", got, want, count, &f32_limits);
    free(got);
    free(want);
    session_close(&s, file);
}

static void test_time_embedding(void)
{
    check_embedding("3b", "c3");
    check_embedding("3b", "c5");
    check_embedding("7b", "c3");
    check_embedding("7b", "c5");
}

/* The same result from the golden embedding and projected text. */
static void test_condition_from(void)
{
    session s;
    svr_safetensors *file;
    svr_error err = {0};

    session_open(&s, &file, "3b", "c2", SVR_F32);
    float *emb = golden_floats(s.input.file, "emb", NULL);
    float *txt = golden_floats(s.input.file, "txt_in", NULL);
    svr_dit_condition_destroy(s.condition);
    CHECK_OK(svr_dit_condition_from(s.device.backend, s.network.dit, emb,
                                    &(svr_dit_text){txt, s.input.text_len}, &s.condition, &err),
             err);
    s.io.condition = s.condition;
    check_output(&s, &f32_limits);
    free(emb);
    free(txt);
    session_close(&s, file);
}

/* ---------------------------------------------------------------------------- unused text */

/* Tensors of the last block's text that only its unread result needs. */
static bool is_unused(const char *name)
{
    static const char *const used[] = {"proj_qkv", "norm_k", "ada.txt.attn_shift",
                                       "ada.txt.attn_scale"};

    if (strncmp(name, "blocks.2.", 9) != 0 || !strstr(name, ".txt"))
        return false;
    for (size_t i = 0; i < sizeof(used) / sizeof(used[0]); i++) {
        if (strstr(name, used[i]))
            return false;
    }
    return true;
}

/* Header of a copy without the unused tensors; returns its text, which the caller frees. */
static char *slim_header(const svr_safetensors *file)
{
    size_t size = 256 * svr_safetensors_count(file) + 8, used = 0, offset = 0;
    char *text = malloc(size);

    CHECK(text != NULL);
    for (size_t i = 0; i < svr_safetensors_count(file); i++) {
        const svr_safetensors_entry *entry = svr_safetensors_at(file, i);
        if (is_unused(entry->name))
            continue;
        used += (size_t) snprintf(text + used, size - used,
                                  "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%lld", used ? "," : "{",
                                  entry->name, (long long) entry->dims[0]);
        for (int d = 1; d < entry->rank; d++)
            used +=
                (size_t) snprintf(text + used, size - used, ",%lld", (long long) entry->dims[d]);
        used += (size_t) snprintf(text + used, size - used, "],\"data_offsets\":[%zu,%zu]}", offset,
                                  offset + entry->bytes);
        offset += entry->bytes;
    }
    snprintf(text + used, size - used, "}");
    return text;
}

/* Writes the copy to `path`; returns how many tensors were left out. */
static int write_slim(const svr_safetensors *file, const char *path)
{
    char *header = slim_header(file);
    uint64_t size = strlen(header);
    FILE *out = fopen(path, "wb");
    int left_out = 0;

    CHECK(out && fwrite(&size, sizeof(size), 1, out) == 1 && fwrite(header, size, 1, out) == 1);
    for (size_t i = 0; i < svr_safetensors_count(file); i++) {
        const svr_safetensors_entry *entry = svr_safetensors_at(file, i);
        if (is_unused(entry->name))
            left_out++;
        else
            CHECK(fwrite(entry->data, entry->bytes, 1, out) == 1);
    }
    CHECK(fclose(out) == 0);
    free(header);
    return left_out;
}

/* A file without those tensors gives the same output, and the tap simply does not see that text. */
static void test_unused_text_may_be_missing(void)
{
    session s;
    svr_safetensors *full, *slim;
    svr_error err = {0};
    svr_dit_config config;
    svr_weights *weights;
    char path[] = "/tmp/seedvr2-dit-XXXXXX";
    int handle = mkstemp(path);

    CHECK(handle >= 0 && close(handle) == 0);
    session_open(&s, &full, "7b", "c2", SVR_F32);
    /* proj_out and norm_q 3, MLP 4, modulation 4 */
    CHECK(write_slim(full, path) == 11);
    config = *svr_dit_get_config(s.network.dit);
    network_close(&s.network);
    CHECK_OK(svr_safetensors_open(path, &slim, &err), err);
    CHECK_OK(svr_weights_bind_dit(slim, &config, &weights, &err), err);
    network_open(&s.network, &s.device, &config, weights, SVR_F32);
    network_load(&s.network, 0, svr_dit_groups(&config));
    s.device.exec.tap = compare_tap;
    s.device.exec.tap_user = &s;
    check_output(&s, &f32_limits);
    CHECK(s.compared == 2 + 5);
    session_close(&s, full);
    svr_safetensors_close(slim);
    CHECK(remove(path) == 0);
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    data_dir = argv[1];
    RUN(test_time_embedding);
    RUN(test_3b_f32);
    RUN(test_7b_f32);
    RUN(test_f16);
    RUN(test_bf16);
    RUN(test_quantised);
    RUN(test_quantised_memory_and_chunks);
    RUN(test_condition_from);
    RUN(test_unused_text_may_be_missing);
    return check_done();
}
