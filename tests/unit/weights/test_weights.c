/* Tables of tensors, and binding them to files. */
#include "model_file.h"

#include <stdio.h>
#include <string.h>

static const char path[] = "test_weights.tmp";

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

    CHECK_OK(svr_weights_generate_vae(&vae, model_file_count_up, NULL, &weights, &err), err);
    CHECK(svr_weights_count(weights) == 250 && parameters(weights) == 250648227);
    spec = svr_weights_find(weights, "encoder.down_blocks.0.downsamplers.0.conv.weight");
    CHECK(spec && spec->dims[2] == 1 && spec->dims[3] == 3);
    spec = svr_weights_find(weights, "decoder.up_blocks.2.upsamplers.0.upscale_conv.weight");
    CHECK(spec && spec->dims[0] == 1024 && spec->dims[1] == 256 && spec->dims[4] == 1);
    svr_weights_destroy(weights);
    CHECK_OK(svr_weights_generate_dit(&small, model_file_count_up, NULL, &weights, &err), err);
    CHECK(svr_weights_count(weights) == 635 && parameters(weights) == 3391475776);
    svr_weights_destroy(weights);
    CHECK_OK(svr_weights_generate_dit(&large, model_file_count_up, NULL, &weights, &err), err);
    CHECK(svr_weights_count(weights) == 1128 && parameters(weights) == 8239607872);
    CHECK(svr_weights_find(weights, "blocks.35.mlp.txt.proj_in.weight") != NULL);
    svr_weights_destroy(weights);
}

/* Every tensor is needed: without any one of them the file is refused by its name. */
static void test_missing_tensors(void)
{
    svr_vae_config config = small_vae();
    model_file all = model_file_of_vae(&config);
    svr_error err = {0};

    CHECK_OK(model_file_bind_vae(&all, path, &err), err);
    for (size_t i = 0; i < all.count; i++) {
        test_tensor last = all.tensors[all.count - 1], removed = all.tensors[i];

        all.tensors[i] = last;
        all.count--;
        CHECK(model_file_bind_vae(&all, path, &err) == SVR_ERR_FORMAT);
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
    CHECK(model_file_bind_vae(&model, path, &err) == SVR_ERR_FORMAT);
    CHECK_TEXT(err.text, "'decoder.conv_out.weight' is f16 [4, 8, 3, 3, 3]");
    CHECK_TEXT(err.text, "need f16 [3, 8, 3, 3, 3]");
    svr_error_clear(&err);
    *t = kept;
    t->rank = 4;
    CHECK_FAILS(model_file_bind_vae(&model, path, &err), SVR_ERR_FORMAT, err);
    *t = kept;
    t->dtype = SVR_I32;
    CHECK(model_file_bind_vae(&model, path, &err) == SVR_ERR_FORMAT);
    CHECK_TEXT(err.text, "'decoder.conv_out.weight' is of type");
    svr_error_clear(&err);
    *t = kept;
    model_file_append(&model, "decoder.conv_out.weight_scale");
    CHECK(model_file_bind_vae(&model, path, &err) == SVR_ERR_FORMAT);
    CHECK_TEXT(err.text, "'decoder.conv_out.weight_scale' does not belong");
    CHECK_TEXT(err.text, "quantised");
    svr_error_clear(&err);
    model.tensors[model.count - 1].name = "positive_conditioning";
    CHECK_FAILS(model_file_bind_vae(&model, path, &err), SVR_ERR_FORMAT, err);
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
    CHECK_OK(model_file_bind_vae(&model, path, &err), err);
    CHECK(model_file_rename(&model, ".query.", ".to_q.") == 4);
    model_file_append(&model, "encoder.mid_block.attentions.0.query.bias");
    CHECK_FAILS(model_file_bind_vae(&model, path, &err), SVR_ERR_FORMAT, err);
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
    CHECK_OK(model_file_bind_dit(&model, path, SVR_MODEL_DIT_7B, &err), err);
    CHECK(model_file_remove_all(&model, "rope.freqs") == 3);
    CHECK(model_file_remove_all(&model, "blocks.2.mlp.txt.") == 4);
    CHECK(model_file_remove_all(&model, "blocks.2.attn.proj_out.txt.") == 2);
    CHECK(model_file_remove_all(&model, "blocks.2.attn.norm_q.txt.") == 1);
    CHECK(model_file_remove_all(&model, "blocks.2.ada.txt.mlp_") == 3);
    CHECK(model_file_remove_all(&model, "blocks.2.ada.txt.attn_gate") == 1);
    CHECK_OK(model_file_bind_dit(&model, path, SVR_MODEL_DIT_7B, &err), err);
    CHECK(model_file_remove_all(&model, "blocks.2.attn.norm_k.txt.") == 1);
    CHECK(model_file_bind_dit(&model, path, SVR_MODEL_DIT_7B, &err) == SVR_ERR_FORMAT);
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
    CHECK_OK(svr_weights_generate_dit(&config, model_file_count_up, NULL, &weights, &err), err);
    CHECK(svr_weights_find(weights, "blocks.1.mlp.txt.proj_in.weight") != NULL);
    CHECK(svr_weights_find(weights, "blocks.2.mlp.vid.proj_in.weight") != NULL);
    CHECK(svr_weights_find(weights, "blocks.2.mlp.txt.proj_in.weight") == NULL);
    CHECK(svr_weights_find(weights, "blocks.2.ada.txt.attn_shift") == NULL);
    CHECK(svr_weights_find(weights, "blocks.2.attn.proj_qkv.txt.weight") != NULL);
    svr_weights_destroy(weights);
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

        CHECK_OK(svr_weights_generate_dit(&config, model_file_count_up, NULL, &weights, &err), err);
        for (size_t i = 0; i < svr_weights_count(weights); i++)
            factors += svr_weights_at(weights, i)->factor;
        CHECK(factors == (large ? 288 : 210));
        CHECK(svr_weights_factor_type(weights) == SVR_F32);
        CHECK(!svr_weights_find(weights, "vid_in.proj.weight")->factor);
        svr_weights_destroy(weights);
    }
}

int main(void)
{
    RUN(test_tables_of_the_published_models);
    RUN(test_missing_tensors);
    RUN(test_misshapen_and_extra_tensors);
    RUN(test_old_attention_names);
    RUN(test_optional_tensors);
    RUN(test_split_text_tail);
    RUN(test_factors);
    remove(path);
    return check_done();
}
