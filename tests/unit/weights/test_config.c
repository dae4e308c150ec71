/* Recognition of model files and reading of their sizes. */
#include "model_file.h"

#include <stdio.h>
#include <string.h>

static const char path[] = "test_config.tmp";
static const char *golden_dir, *model_dir;

static svr_safetensors *open_in(const char *dir, const char *name)
{
    char full[512];
    svr_safetensors *file = NULL;
    svr_error err = {0};

    snprintf(full, sizeof full, "%s/%s", dir, name);
    CHECK_OK(svr_safetensors_open(full, &file, &err), err);
    return file;
}

static svr_vae_config vae_of(const char *dir, const char *name)
{
    svr_safetensors *file = open_in(dir, name);
    svr_vae_config config;
    svr_error err = {0};

    CHECK(svr_model_recognise(file) == SVR_MODEL_VAE);
    CHECK_OK(svr_vae_config_read(file, &config, &err), err);
    svr_safetensors_close(file);
    return config;
}

static void test_vae_files(void)
{
    svr_vae_config a = vae_of(golden_dir, "vae_a_weights.safetensors");
    svr_vae_config nano = vae_of(model_dir, "nano_vae.safetensors");

    CHECK(a.stages == 4 && a.layers_per_block == 2 && a.latent_channels == 16);
    CHECK(a.channels[0] == 32 && a.channels[1] == 32 && a.channels[2] == 64 && a.channels[3] == 64);
    CHECK(a.norm_groups == 32 && a.temporal_stages == 2);
    CHECK(a.eps == 1e-6f && a.scaling_factor == 0.9152f && a.shifting_factor == 0);
    CHECK(svr_vae_spatial_factor(&a) == 8 && svr_vae_temporal_factor(&a) == 4);
    CHECK(nano.stages == 3 && nano.layers_per_block == 1 && nano.norm_groups == 4);
    CHECK(nano.channels[0] == 16 && nano.channels[1] == 32 && nano.channels[2] == 64);
    CHECK(nano.temporal_stages == 2 && svr_vae_spatial_factor(&nano) == 4);
}

static svr_dit_config dit_of(const char *dir, const char *name, svr_model_kind kind)
{
    svr_safetensors *file = open_in(dir, name);
    svr_dit_config config;
    svr_error err = {0};

    CHECK(svr_model_recognise(file) == kind);
    CHECK_OK(svr_dit_config_read(file, &config, &err), err);
    CHECK(config.kind == kind && config.patch == 2 && config.time_freqs == 256);
    CHECK(config.in_channels == 33 && config.out_channels == 16 && config.eps == 1e-5f);
    CHECK(config.windows[0] == 4 && config.windows[1] == 3 && config.windows[2] == 3);
    svr_safetensors_close(file);
    return config;
}

static void test_dit_files(void)
{
    svr_dit_config a = dit_of(golden_dir, "dit_3b_tiny_a.weights.safetensors", SVR_MODEL_DIT_3B);
    svr_dit_config b = dit_of(golden_dir, "dit_7b_tiny_a.weights.safetensors", SVR_MODEL_DIT_7B);
    svr_dit_config nano = dit_of(model_dir, "nano_dit.safetensors", SVR_MODEL_DIT_3B);

    CHECK(a.dim == 64 && a.heads == 2 && a.head_dim == 128 && a.layers == 4 && a.split_layers == 2);
    CHECK(a.mlp_hidden == 256 && a.txt_in == 96 && a.rope_pairs == 21 && a.rope_axis_dim == 42);
    CHECK(a.last_layer_video_only && svr_dit_is_split(&a, 1) && !svr_dit_is_split(&a, 2));
    CHECK(svr_dit_is_text_tail(&a, 3) && !svr_dit_is_text_tail(&a, 2));
    CHECK(b.dim == 64 && b.layers == 3 && b.split_layers == 3 && b.mlp_hidden == 256);
    CHECK(b.rope_pairs == 10 && !b.last_layer_video_only && !svr_dit_is_text_tail(&b, 2));
    CHECK(nano.dim == 192 && nano.heads == 6 && nano.head_dim == 32 && nano.layers == 6);
    CHECK(nano.split_layers == 2 && nano.mlp_hidden == 256 && nano.txt_in == 64);
    CHECK(nano.rope_pairs == 5 && nano.rope_axis_dim == 10 && nano.last_layer_video_only);
}

/* All members but the last are of 4 bytes, without gaps. */
static bool same_config(const svr_dit_config *a, const svr_dit_config *b)
{
    return memcmp(a, b, offsetof(svr_dit_config, last_layer_video_only)) == 0 &&
           a->last_layer_video_only == b->last_layer_video_only;
}

/* Files without any config are read by their shapes. */
static void test_files_without_config(void)
{
    const svr_model_kind kinds[] = {SVR_MODEL_DIT_3B, SVR_MODEL_DIT_7B};

    for (int i = 0; i < 2; i++) {
        svr_dit_config want = small_dit(kinds[i]), got;
        model_file model = model_file_of_dit(&want);
        svr_safetensors *file = model_file_open(&model, path, NULL);
        svr_error err = {0};

        CHECK_OK(svr_dit_config_read(file, &got, &err), err);
        CHECK(same_config(&got, &want));
        svr_safetensors_close(file);
        CHECK(model_file_remove_all(&model, "rope.freqs") == 3);
        file = model_file_open(&model, path, NULL);
        CHECK_OK(svr_dit_config_read(file, &got, &err), err);
        CHECK(same_config(&got, &want));
        svr_safetensors_close(file);
        model_file_free(&model);
    }
}

/* A buffer of another size than the rule's says how many pairs are rotated. */
static void test_rope_pairs_of_the_buffer(void)
{
    svr_dit_config config = small_dit(SVR_MODEL_DIT_3B), got;
    model_file model;
    svr_safetensors *file;
    svr_error err = {0};

    config.rope_pairs = 1;
    model = model_file_of_dit(&config);
    file = model_file_open(&model, path, NULL);
    CHECK_OK(svr_dit_config_read(file, &got, &err), err);
    CHECK(got.rope_pairs == 1 && got.rope_axis_dim == 2);
    svr_safetensors_close(file);
    model_file_free(&model);
}

typedef struct config_case {
    const char *config, *text;
} config_case;

static void refuse_vae_configs(const config_case *cases, size_t count)
{
    svr_vae_config small = small_vae(), got;
    model_file model = model_file_of_vae(&small);

    for (size_t i = 0; i < count; i++) {
        svr_safetensors *file = model_file_open(&model, path, cases[i].config);
        svr_error err = {0};

        CHECK(svr_vae_config_read(file, &got, &err) == SVR_ERR_FORMAT);
        CHECK_TEXT(err.text, path);
        CHECK_TEXT(err.text, cases[i].text);
        svr_safetensors_close(file);
    }
    model_file_free(&model);
}

static void test_vae_config_texts(void)
{
    static const config_case bad[] = {
        {"", "config"},
        {"[]", "no JSON object"},
        {"{\"norm_groups\": 3}", "3 norm groups"},
        {"{\"norm_num_groups\": 0}", "norm_num_groups"},
        {"{}", "32 norm groups"},
        {"{\"norm_groups\": 4, \"block_out_channels\": [8, 16, 32]}", "block_out_channels"},
        {"{\"norm_groups\": 4, \"block_out_channels\": [8, 16]}", "8,16,16"},
        {"{\"norm_groups\": 4, \"layers_per_block\": 2}", "down_blocks.0.resnets"},
        {"{\"norm_groups\": 4, \"latent_channels\": 16}", "decoder.conv_in.weight"},
        {"{\"norm_groups\": 4, \"temporal_stages\": 2}", "temporal_stages"},
        {"{\"norm_groups\": 4, \"eps\": 0}", "'eps'"},
        {"{\"norm_groups\": 4, \"scaling_factor\": \"1\"}", "'scaling_factor'"},
    };
    svr_vae_config small = small_vae(), got;
    model_file model = model_file_of_vae(&small);
    svr_safetensors *file = model_file_open(
        &model, path,
        "{\"norm_groups\": 4, \"block_out_channels\": [8, 16, 16], \"eps\": 0.5, \"unknown\": [], "
        "\"scaling_factor\": 2, \"shifting_factor\": -1.5, \"layers_per_block\": null}");
    svr_error err = {0};

    CHECK_OK(svr_vae_config_read(file, &got, &err), err);
    CHECK(got.norm_groups == 4 && got.eps == 0.5f && got.scaling_factor == 2);
    CHECK(got.shifting_factor == -1.5f && got.temporal_stages == 1 && got.channels[2] == 16);
    svr_safetensors_close(file);
    model_file_free(&model);
    refuse_vae_configs(bad, sizeof bad / sizeof bad[0]);
}

static void test_dit_config_texts(void)
{
    static const config_case bad[] = {
        {"7", "no JSON object"},
        {"{\"dim\": 25}", "'dim' contradicts tensor 'vid_in.proj.weight', by which it is 24"},
        {"{\"vid_dim\": 25}", "'vid_dim'"},
        {"{\"heads\": 2}", "blocks.0.attn.proj_qkv"},
        {"{\"head_dim\": 8}", "blocks.0.attn.norm_q"},
        {"{\"layers\": 4}", "'layers'"},
        {"{\"num_layers\": 2}", "'num_layers'"},
        {"{\"mm_layers\": 3}", "'mm_layers'"},
        {"{\"mlp_hidden\": 41}", "mlp.*.proj_in"},
        {"{\"txt_in_dim\": 5120}", "txt_in.weight"},
        {"{\"in_channels\": 33}", "'in_channels'"},
        {"{\"variant\": \"7b\"}", "proj_in_gate"},
        {"{\"mlp\": \"gelu\"}", "'mlp'"},
        {"{\"rope_dim\": 18}", "'rope_dim' 18 makes 3 pairs per axis but tensor"},
        {"{\"rope_dim\": -1}", "'rope_dim'"},
        {"{\"windows\": [4, 3]}", "'windows'"},
        {"{\"windows\": [4, 3, 0]}", "'windows'"},
        {"{\"eps\": true}", "'eps'"},
        {"{\"last_layer_video_only\": 1}", "'last_layer_video_only'"},
        {"{\"patch\": 2}", "'patch'"},
    };
    svr_dit_config small = small_dit(SVR_MODEL_DIT_3B), got;
    model_file model = model_file_of_dit(&small);
    svr_error err = {0};
    svr_safetensors *file = model_file_open(
        &model, path, "{\"dim\": 24, \"windows\": [2, 9, 9], \"eps\": 1e-6, \"rope_dim\": 16}");

    CHECK_OK(svr_dit_config_read(file, &got, &err), err);
    CHECK(got.windows[0] == 2 && got.windows[1] == 9 && got.eps == 1e-6f);
    svr_safetensors_close(file);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        file = model_file_open(&model, path, bad[i].config);
        CHECK(svr_dit_config_read(file, &got, &err) == SVR_ERR_FORMAT);
        CHECK_TEXT(err.text, path);
        CHECK_TEXT(err.text, bad[i].text);
        svr_error_clear(&err);
        svr_safetensors_close(file);
    }
    file = model_file_open(&model, path, "{\"patch\": [1, 4, 4]}");
    CHECK_FAILS(svr_dit_config_read(file, &got, &err), SVR_ERR_UNSUPPORTED, err);
    svr_safetensors_close(file);
    model_file_free(&model);
}

static void test_wrong_kind_of_file(void)
{
    static const test_tensor text = {"pos", SVR_BF16, 2, {4, 8}, NULL};
    static const test_tensor other = {"lm_head.weight", SVR_F32, 1, {2}, NULL};
    svr_safetensors *vae = open_in(model_dir, "nano_vae.safetensors");
    svr_safetensors *dit = open_in(model_dir, "nano_dit.safetensors"), *file = NULL;
    svr_vae_config v;
    svr_dit_config d;
    svr_error err = {0};

    CHECK(svr_vae_config_read(dit, &v, &err) == SVR_ERR_FORMAT);
    CHECK_TEXT(err.text, "nano_dit.safetensors is a 3B-type DiT, not a VAE");
    svr_error_clear(&err);
    CHECK(svr_dit_config_read(vae, &d, &err) == SVR_ERR_FORMAT);
    CHECK_TEXT(err.text, "nano_vae.safetensors is a VAE, not a transformer");
    svr_error_clear(&err);
    test_write_safetensors(path, &text, 1, NULL);
    CHECK_OK(svr_safetensors_open(path, &file, &err), err);
    CHECK(svr_model_recognise(file) == SVR_MODEL_TEXT);
    CHECK(svr_vae_config_read(file, &v, &err) == SVR_ERR_FORMAT);
    CHECK_TEXT(err.text, "prompt embeddings");
    svr_error_clear(&err);
    svr_safetensors_close(file);
    test_write_safetensors(path, &other, 1, NULL);
    CHECK_OK(svr_safetensors_open(path, &file, &err), err);
    CHECK(svr_model_recognise(file) == SVR_MODEL_UNKNOWN);
    CHECK(svr_dit_config_read(file, &d, &err) == SVR_ERR_FORMAT);
    CHECK_TEXT(err.text, "unknown content");
    svr_safetensors_close(file);
    svr_safetensors_close(vae);
    svr_safetensors_close(dit);
}

/* Sizes that no model has must not get past the reading of the config. */
static void test_absurd_shapes(void)
{
    static const struct {
        const char *name;
        int rank;
        int64_t dims[SVR_MAX_RANK];
    } changes[] = {
        {"vid_in.proj.weight", 2, {24, 35}},
        {"vid_in.proj.weight", 1, {24}},
        {"vid_in.proj.weight", 2, {0, 36}},
        {"vid_out.proj.weight", 2, {20, 24}},
        {"txt_in.weight", 2, {1, 70000}},
        {"emb_in.proj_in.weight", 2, {24, 7}},
        {"blocks.0.attn.norm_q.vid.weight", 1, {17}},
        {"blocks.0.attn.norm_q.vid.weight", 1, {48}},
        {"blocks.0.attn.rope.rope.freqs", 1, {3}},
        {"blocks.0.mlp.vid.proj_in.weight", 1, {40}},
    };
    svr_dit_config small = small_dit(SVR_MODEL_DIT_3B), got;
    model_file model = model_file_of_dit(&small);
    svr_error err = {0};

    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        test_tensor *t = model_file_find(&model, changes[i].name), kept = *t;
        svr_safetensors *file;

        t->rank = changes[i].rank;
        memcpy(t->dims, changes[i].dims, sizeof t->dims);
        file = model_file_open(&model, path, NULL);
        if (svr_dit_config_read(file, &got, &err) == SVR_OK) {
            svr_weights *weights = NULL;

            CHECK(svr_weights_bind_dit(file, &got, &weights, &err) == SVR_ERR_FORMAT);
        }
        CHECK(err.code == SVR_ERR_FORMAT);
        CHECK_TEXT(err.text, path);
        svr_error_clear(&err);
        svr_safetensors_close(file);
        *t = kept;
    }
    model_file_free(&model);
}

int main(int argc, char **argv)
{
    CHECK(argc == 3);
    golden_dir = argv[1];
    model_dir = argv[2];
    RUN(test_vae_files);
    RUN(test_dit_files);
    RUN(test_files_without_config);
    RUN(test_rope_pairs_of_the_buffer);
    RUN(test_vae_config_texts);
    RUN(test_dit_config_texts);
    RUN(test_wrong_kind_of_file);
    RUN(test_absurd_shapes);
    remove(path);
    return check_done();
}
