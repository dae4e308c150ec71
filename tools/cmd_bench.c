/* seedvr2 bench: speed of the phases on this machine, and the memory that they take. */
#include "commands.h"
#include "bench.h"
#include "pipeline/backends.h"

#include <stdio.h>
#include <string.h>

static const char summary[] =
    "Measures one batch by phases (input: upload, unpack, resize; encode; dit; decode; colour;\n"
    "download: pack and download) and by ops, next to the rates that the device reaches with a "
    "large\n"
    "product and a large copy.  \"host ms\" is what issuing the work takes.  Sizes are those of "
    "the\n"
    "output; the input is half as large.  Times of phases are medians over the runs, after one "
    "run\n"
    "that is not counted; ops are timed in a run of their own that waits behind each.\n"
    "With --end-to-end it measures a stream of batches through the engine's public API instead.";

/* Says on stderr what went wrong. */
static int failed(const svr_error *err)
{
    bool unusable = err->code == SVR_ERR_IO || err->code == SVR_ERR_FORMAT;

    return command_fails(unusable ? EXIT_UNUSABLE : EXIT_FAILED, "%s", err->text);
}

static int measure_batch(const bench_setup *setup, bool json)
{
    g_autofree bench_result *result = g_new(bench_result, 1);
    svr_error err = {0};

    if (bench_run(setup, result, &err) != SVR_OK)
        return failed(&err);
    bench_print(result, json);
    return EXIT_OK;
}

static int measure_stream(const bench_setup *setup, bool json)
{
    bench_stream_result result;
    svr_error err = {0};

    if (bench_stream_run(setup, &result, &err) != SVR_OK)
        return failed(&err);
    bench_stream_print(&result, json);
    return EXIT_OK;
}

/* One line a convolution, see --conv-choices. */
static void print_choice(void *user, svr_log_level level, const char *module, const char *text)
{
    (void) user;
    if (strcmp(module, "conv") == 0)
        printf("%s\n", text);
    else if (level <= SVR_LOG_WARN)
        fprintf(stderr, "%s: %s: %s\n", g_get_prgname(), module, text);
}

/* Every convolution is measured in both ways, and said. */
static void show_choices(bench_setup *setup)
{
    setup->cuda.dnn = SVR_CUDA_DNN_COMPARED;
    setup->log = (svr_log){.fn = print_choice, .level = SVR_LOG_DEBUG};
}

static bool in_range(const bench_setup *s)
{
    int capability = s->cuda.highest_capability;

    return command_range("width", s->width, 32, 16384) &&
           command_range("height", s->height, 32, 16384) &&
           command_range("frames", s->frames, 1, 1024) && command_range("runs", s->runs, 1, 1000) &&
           command_range("threads", s->threads, 0, 1024) &&
           (capability == 0 || command_range("capability", capability, 80, 999));
}

/* The public API has no such choices. */
static bool fits_stream(const bench_setup *setup, bool choices)
{
    if (!choices && setup->cuda.highest_capability == 0)
        return true;
    command_fails(EXIT_UNUSABLE, "--capability and --conv-choices do not go with --end-to-end");
    return false;
}

/* A single batch is measured with everything resident. */
static bool fits_batch(bool memory)
{
    if (!memory)
        return true;
    command_fails(EXIT_UNUSABLE, "--vram-budget, --vram-mode, --offload-threshold, --vae-tile-size "
                                 "and --parked-precision go with --end-to-end");
    return false;
}

int cmd_bench(int argc, char **argv)
{
    g_autofree char *backend = NULL, *dtype = NULL, *model = NULL, *vae = NULL, *text = NULL;
    g_autofree char *budget = NULL, *mode = NULL, *threshold = NULL, *parked = NULL;
    g_autofree char *quantization = NULL, *cache = command_cache_folder();
    gboolean json = FALSE, end_to_end = FALSE, choices = FALSE;
    bench_setup setup = {.width = 640,
                         .height = 360,
                         .frames = 5,
                         .runs = 5,
                         .cuda = {.device = -1, .cache_folder = cache},
                         .log = command_log()};
    const GOptionEntry entries[] = {
        {"backend", 0, 0, G_OPTION_ARG_STRING, &backend, "auto (default), cpu or cuda", "NAME"},
        COMMAND_DEVICE_ENTRY(&setup.cuda.device),
        {"dtype", 0, 0, G_OPTION_ARG_STRING, &dtype, "f32 (default), f16 or bf16", "TYPE"},
        {"quantization", 0, 0, G_OPTION_ARG_STRING, &quantization,
         "of the transformer: auto-fp16 (default: none), fp16, bf16, fp8, int8, int8-w8a8 or "
         "as-stored",
         "NAME"},
        {"width", 0, 0, G_OPTION_ARG_INT, &setup.width, "of the output; 640", "PIXELS"},
        {"height", 0, 0, G_OPTION_ARG_INT, &setup.height, "of the output; 360", "PIXELS"},
        {"frames", 0, 0, G_OPTION_ARG_INT, &setup.frames, "of the batch; 5", "N"},
        {"threads", 0, 0, G_OPTION_ARG_INT, &setup.threads, "of the CPU; 0 = all", "N"},
        {"runs", 0, 0, G_OPTION_ARG_INT, &setup.runs, "that are counted; 5", "N"},
        {"model", 0, 0, G_OPTION_ARG_FILENAME, &model, "transformer; the shipped nano", "FILE"},
        {"vae-model", 0, 0, G_OPTION_ARG_FILENAME, &vae, "VAE; the shipped nano", "FILE"},
        {"text-embedding", 0, 0, G_OPTION_ARG_FILENAME, &text,
         "prompt embeddings; those in the model", "FILE"},
        {"capability", 0, 0, G_OPTION_ARG_INT, &setup.cuda.highest_capability,
         "CUDA: paths of this compute capability at most, e.g. 80", "N"},
        {"conv-choices", 0, 0, G_OPTION_ARG_NONE, &choices,
         "CUDA: measure every convolution by the own kernels and by cuDNN, and print both", NULL},
        {"end-to-end", 0, 0, G_OPTION_ARG_NONE, &end_to_end,
         "a stream of runs + 1 batches through the public API", NULL},
        {"vram-budget", 0, 0, G_OPTION_ARG_STRING, &budget, "of a stream, e.g. 4GiB; what is free",
         "BYTES"},
        {"vram-mode", 0, 0, G_OPTION_ARG_STRING, &mode,
         "of a stream: auto (default), economy or extreme-economy", "NAME"},
        {"offload-threshold", 0, 0, G_OPTION_ARG_STRING, &threshold,
         "of a stream: peak that auto does not pass if it can; none", "BYTES"},
        {"vae-tile-size", 0, 0, G_OPTION_ARG_INT, &setup.memory.tile_size,
         "of a stream: pixels of the VAE's tiles; 0 (default): only where nothing else fits", "N"},
        {"parked-precision", 0, 0, G_OPTION_ARG_STRING, &parked,
         "of a stream: the VAE's parked frames as 16-bit (default), fp8 or int8", "NAME"},
        {"json", 0, 0, G_OPTION_ARG_NONE, &json, "one line of JSON instead of a table", NULL},
        {NULL, 0, 0, 0, NULL, NULL, NULL},
    };

    if (!command_parse(&argc, &argv, entries, NULL, summary) ||
        !command_backend(backend, &setup.backend) || !command_device(setup.cuda.device) ||
        !command_dtype(dtype, &setup.storage) ||
        !command_quantization(quantization, dtype, &setup.quantization, &setup.storage) ||
        !in_range(&setup) || !command_bytes("vram-budget", budget, &setup.memory.budget) ||
        !command_bytes("offload-threshold", threshold, &setup.memory.threshold) ||
        !command_vram_mode(mode, &setup.memory.mode) ||
        !command_parked_precision(parked, &setup.memory.parked) ||
        (end_to_end ? !fits_stream(&setup, choices)
                    : !fits_batch(budget || mode || threshold || parked || setup.memory.tile_size)))
        return EXIT_UNUSABLE;
    if (choices)
        show_choices(&setup);
    command_default_models(&model, &vae);
    setup.model_path = model;
    setup.vae_path = vae;
    setup.text_path = text;
    return end_to_end ? measure_stream(&setup, json) : measure_batch(&setup, json);
}
