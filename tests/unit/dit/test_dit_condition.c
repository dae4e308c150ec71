/* Conditions of the tiny transformers against the reference, and files without unused text.
 *   test_dit_condition DATA_DIR */
#include "session.h"

#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *data_dir;

static void check_embedding(const char *variant, const char *name)
{
    session s;
    svr_safetensors *file;
    svr_error err = {0};
    size_t count;

    session_open(&s, &file, data_dir, variant, name, SVR_F32);
    float *want = golden_floats(s.input.file, "emb", &count);
    float *got = malloc(count * sizeof(float));
    CHECK(got && count == 6 * (size_t) svr_dit_get_config(s.network.dit)->dim);
    CHECK_OK(svr_dit_time_embedding(s.network.dit, s.input.timestep, got, &err), err);
    session_check_values("emb", got, want, count, &session_f32);
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

    session_open(&s, &file, data_dir, "3b", "c2", SVR_F32);
    float *emb = golden_floats(s.input.file, "emb", NULL);
    float *txt = golden_floats(s.input.file, "txt_in", NULL);
    svr_dit_condition_destroy(s.condition);
    CHECK_OK(svr_dit_condition_from(s.device.backend, s.network.dit, emb,
                                    &(svr_dit_text){txt, s.input.text_len}, &s.condition, &err),
             err);
    s.io.condition = s.condition;
    session_check(&s, &session_f32);
    free(emb);
    free(txt);
    session_close(&s, file);
}

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
    session_open(&s, &full, data_dir, "7b", "c2", SVR_F32);
    /* proj_out and norm_q 3, MLP 4, modulation 4 */
    CHECK(write_slim(full, path) == 11);
    config = *svr_dit_get_config(s.network.dit);
    network_close(&s.network);
    CHECK_OK(svr_safetensors_open(path, &slim, &err), err);
    CHECK_OK(svr_weights_bind_dit(slim, &config, &weights, &err), err);
    network_open(&s.network, &s.device, &config, weights, SVR_F32);
    network_load(&s.network, 0, svr_dit_groups(&config));
    s.device.exec.tap = session_tap;
    s.device.exec.tap_user = &s;
    session_check(&s, &session_f32);
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
    RUN(test_condition_from);
    RUN(test_unused_text_may_be_missing);
    return check_done();
}
