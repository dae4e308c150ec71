/* seedvr2 info: what a model file holds. */
#include "commands.h"
#include "weights/config.h"
#include "weights/weights.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

static const char summary[] =
    "Says what a model file (safetensors) is: kind, configuration, parameters, sizes.\n"
    "Exit codes: 0 a usable model, 1 --check found a value that is not finite, 2 not usable.";

enum { PIECE_ELEMS = 4096 };

typedef struct info_options {
    gboolean tensors, check;
} info_options;

static void print_size(const char *what, double bytes)
{
    printf("%-22s %.2f MB\n", what, bytes / 1e6);
}

/* Matrices that the file keeps in 8 bits with scales, and tensors that are plain e4m3. */
static void print_8_bits(const svr_safetensors *file, const svr_weights *weights)
{
    size_t integers = 0, scaled = 0, plain = 0;

    for (size_t i = 0; i < svr_weights_count(weights); i++) {
        const char *name = svr_weights_at(weights, i)->name;
        const svr_safetensors_entry *entry = svr_safetensors_find(file, name);
        svr_dtype type = svr_weights_row_type(weights, name);

        integers += type == SVR_I8;
        scaled += type == SVR_F8_E4M3;
        plain += type == SVR_F32 && entry && entry->dtype == SVR_F8_E4M3;
    }
    if (integers > 0)
        printf("%-22s %zu matrices of i8 with scales\n", "quantised", integers);
    if (scaled > 0)
        printf("%-22s %zu matrices of f8_e4m3 with scales\n", "quantised", scaled);
    if (plain > 0)
        printf("%-22s %zu tensors of f8_e4m3 without scales\n", "quantised", plain);
}

/* Matrices take the storage type, vectors stay F32; spectators of the device (time and text input
 * layers of a transformer) are counted too. */
static void print_weights(const svr_weights *weights)
{
    uint64_t matrices = 0, vectors = 0, factors = 0, rows = 0;

    for (size_t i = 0; i < svr_weights_count(weights); i++) {
        const svr_weight_spec *spec = svr_weights_at(weights, i);

        factors += spec->factor ? svr_weight_elems(spec) : 0;
        rows += spec->factor ? (uint64_t) spec->dims[0] : 0;
        if (spec->rank > 1)
            matrices += svr_weight_elems(spec);
        else
            vectors += svr_weight_elems(spec);
    }
    printf("%-22s %" PRIu64 "\n", "parameters", matrices + vectors);
    print_size("in memory, f32", 4.0 * (double) (matrices + vectors));
    print_size("in memory, f16 / bf16", 2.0 * (double) matrices + 4.0 * (double) vectors);
    if (factors > 0)
        print_size("in memory, int8 / fp8", (double) factors + 4.0 * (double) rows +
                                                2.0 * (double) (matrices - factors) +
                                                4.0 * (double) vectors);
}

static void print_file(const svr_safetensors *file, svr_model_kind kind)
{
    printf("%-22s %s\n", "file", svr_safetensors_path(file));
    printf("%-22s %s\n", "kind", svr_model_kind_name(kind));
    printf("%-22s %zu\n", "tensors", svr_safetensors_count(file));
    print_size("on disk", (double) svr_safetensors_file_bytes(file));
}

static void print_tensors(const svr_safetensors *file)
{
    for (size_t i = 0; i < svr_safetensors_count(file); i++) {
        const svr_safetensors_entry *entry = svr_safetensors_at(file, i);

        printf("  %s %s [", entry->name, svr_dtype_name(entry->dtype));
        for (int axis = 0; axis < entry->rank; axis++)
            printf("%s%" PRId64, axis ? ", " : "", entry->dims[axis]);
        printf("]\n");
    }
}

static svr_status describe_vae(const svr_safetensors *file, svr_weights **weights, svr_error *err)
{
    svr_vae_config c;

    SVR_TRY(svr_vae_config_read(file, &c, err));
    SVR_TRY(svr_weights_bind_vae(file, &c, weights, err));
    print_file(file, SVR_MODEL_VAE);
    printf("%-22s", "channels");
    for (int i = 0; i < c.stages; i++)
        printf(" %d", c.channels[i]);
    printf("\n%-22s %d\n", "layers per block", c.layers_per_block);
    printf("%-22s %d\n", "latent channels", c.latent_channels);
    printf("%-22s %d, eps %g\n", "norm groups", c.norm_groups, (double) c.eps);
    printf("%-22s space 1/%d, time 1/%d\n", "latent size", svr_vae_spatial_factor(&c),
           svr_vae_temporal_factor(&c));
    printf("%-22s scale %g, shift %g\n", "latent values", (double) c.scaling_factor,
           (double) c.shifting_factor);
    print_weights(*weights);
    return SVR_OK;
}

static svr_status describe_dit(const svr_safetensors *file, svr_weights **weights, svr_error *err)
{
    svr_dit_config c;

    SVR_TRY(svr_dit_config_read(file, &c, err));
    SVR_TRY(svr_weights_bind_dit(file, &c, weights, err));
    print_file(file, c.kind);
    printf("%-22s %d\n", "width", c.dim);
    printf("%-22s %d x %d\n", "heads", c.heads, c.head_dim);
    printf("%-22s %d, %d with own text weights\n", "layers", c.layers, c.split_layers);
    printf("%-22s %d\n", "MLP hidden", c.mlp_hidden);
    printf("%-22s %d pairs per axis\n", "rotary", c.rope_pairs);
    printf("%-22s %d, %d, %d\n", "windows t, h, w", c.windows[0], c.windows[1], c.windows[2]);
    printf("%-22s %d\n", "text width", c.txt_in);
    printf("%-22s %s\n", "prompt inside",
           svr_safetensors_find(file, "positive_conditioning") ? "yes" : "no");
    print_8_bits(file, *weights);
    print_weights(*weights);
    return SVR_OK;
}

static void describe_text(const svr_safetensors *file)
{
    print_file(file, SVR_MODEL_TEXT);
    for (size_t i = 0; i < svr_safetensors_count(file); i++) {
        const svr_safetensors_entry *entry = svr_safetensors_at(file, i);

        if (entry->rank == 2)
            printf("%-22s %" PRId64 " tokens of width %" PRId64 "\n", entry->name, entry->dims[0],
                   entry->dims[1]);
    }
}

static svr_status check_tensor(const svr_safetensors *file, const svr_safetensors_entry *entry,
                               svr_error *err)
{
    unsigned char stored[PIECE_ELEMS * sizeof(double)];
    float values[PIECE_ELEMS];
    size_t total = svr_safetensors_elems(entry), size = svr_dtype_size(entry->dtype);

    for (size_t first = 0; first < total; first += PIECE_ELEMS) {
        size_t n = MIN(total - first, PIECE_ELEMS);

        SVR_TRY(svr_safetensors_read(file, entry, first * size, stored, n * size, err));
        svr_to_f32(stored, entry->dtype, values, n);
        for (size_t k = 0; k < n; k++)
            if (!isfinite(values[k]))
                return SVR_FAIL(err, SVR_ERR_FORMAT,
                                "%s: tensor %s: element %zu is not a finite number; fetch the "
                                "file again",
                                svr_safetensors_path(file), entry->name, first + k);
    }
    return SVR_OK;
}

/* The first tensor with a value that is not finite; works for every kind of file. */
static svr_status check_values(const svr_safetensors *file, svr_error *err)
{
    for (size_t i = 0; i < svr_safetensors_count(file); i++) {
        const svr_safetensors_entry *entry = svr_safetensors_at(file, i);

        if (entry->dtype != SVR_I32 && entry->dtype != SVR_I64 && entry->dtype != SVR_U8 &&
            entry->dtype != SVR_I8)
            SVR_TRY(check_tensor(file, entry, err));
    }
    return SVR_OK;
}

static svr_status describe(const svr_safetensors *file, svr_weights **weights, svr_error *err)
{
    switch (svr_model_recognise(file)) {
    case SVR_MODEL_VAE:
        return describe_vae(file, weights, err);
    case SVR_MODEL_DIT_3B:
    case SVR_MODEL_DIT_7B:
        return describe_dit(file, weights, err);
    case SVR_MODEL_TEXT:
        describe_text(file);
        return SVR_OK;
    default:
        return SVR_FAIL(err, SVR_ERR_FORMAT,
                        "%s: its tensors are those of no known model; give a SeedVR2 VAE, "
                        "transformer or prompt embedding file",
                        svr_safetensors_path(file));
    }
}

static int info(const char *path, const info_options *options)
{
    svr_safetensors *file = NULL;
    svr_weights *weights = NULL;
    svr_error err = {0};
    int code = EXIT_OK;

    if (svr_safetensors_open(path, &file, &err) != SVR_OK)
        return command_fails(EXIT_UNUSABLE, "%s", err.text);
    if (describe(file, &weights, &err) != SVR_OK)
        code = command_fails(EXIT_UNUSABLE, "%s", err.text);
    if (code == EXIT_OK && options->tensors)
        print_tensors(file);
    if (code == EXIT_OK && options->check) {
        if (check_values(file, &err) != SVR_OK)
            code = command_fails(EXIT_FAILED, "%s", err.text);
        else
            printf("%-22s all finite\n", "values");
    }
    svr_weights_destroy(weights);
    svr_safetensors_close(file);
    return code;
}

int cmd_info(int argc, char **argv)
{
    info_options options = {0};
    const GOptionEntry entries[] = {
        {"tensors", 0, 0, G_OPTION_ARG_NONE, &options.tensors, "list the file's tensors", NULL},
        {"check", 0, 0, G_OPTION_ARG_NONE, &options.check,
         "look at every value; name the first tensor with one that is not finite", NULL},
        {NULL, 0, 0, 0, NULL, NULL, NULL},
    };

    if (!command_parse(&argc, &argv, entries, "FILE", summary))
        return EXIT_UNUSABLE;
    if (argc != 2)
        return command_fails(EXIT_UNUSABLE, "name one model file; see %s --help", g_get_prgname());
    return info(argv[1], &options);
}
