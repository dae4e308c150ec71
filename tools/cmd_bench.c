/* seedvr2 bench: speed of the phases on this machine, and the memory that they take. */
#include "commands.h"
#include "bench.h"
#include "pipeline/backends.h"

#include <stdio.h>
#include <string.h>

static const char summary[] =
    "Measures the phases of one batch: encode (with unpacking and resizing), transformer, decode "
    "and\n"
    "finish (colour, packing).  Sizes are those of the output; the input is half as large.\n"
    "Times are medians over the runs, after one run that is not counted.";

static void print_table(const bench_result *r)
{
    printf("%s, %s%s, %dx%d, %d frames, %d runs\n", r->backend, svr_dtype_name(r->setup.storage),
           r->setup.quantization == SVR_QUANTIZATION_FP8 ? " with fp8" : "", r->setup.width,
           r->setup.height, r->setup.frames, r->setup.runs);
    printf("%-8s %10s %10s %12s\n", "phase", "ms", "GFLOP/s", "ms/frame");
    for (int i = 0; i < BENCH_PHASES; i++) {
        const bench_phase *p = &r->phase[i];

        printf("%-8s %10.1f ", bench_phase_name((bench_phase_id) i), p->ms);
        if (p->flop > 0)
            printf("%10.1f ", p->flop / p->ms / 1e6);
        else
            printf("%10s ", "-");
        printf("%12.1f\n", p->ms / r->setup.frames);
    }
    printf("%.3f frames/s, weights %.1f MB, peak %.1f MB\n",
           1e3 * r->setup.frames / r->phase[BENCH_TOTAL].ms, (double) r->weight_bytes / 1e6,
           (double) r->peak_bytes / 1e6);
}

static void print_json(const bench_result *r)
{
    printf("{\"backend\": \"%s\", \"dtype\": \"%s\", \"fp8\": %s, \"width\": %d, \"height\": %d, "
           "\"frames\": %d, \"threads\": %d, \"runs\": %d, \"phases\": {",
           r->backend, svr_dtype_name(r->setup.storage),
           r->setup.quantization == SVR_QUANTIZATION_FP8 ? "true" : "false", r->setup.width,
           r->setup.height, r->setup.frames, r->setup.threads, r->setup.runs);
    for (int i = 0; i < BENCH_PHASES; i++)
        printf("%s\"%s\": {\"ms\": %.3f, \"gflop\": %.3f}", i ? ", " : "",
               bench_phase_name((bench_phase_id) i), r->phase[i].ms, r->phase[i].flop / 1e9);
    printf("}, \"weight_bytes\": %llu, \"peak_bytes\": %llu}\n",
           (unsigned long long) r->weight_bytes, (unsigned long long) r->peak_bytes);
}

static bool in_range(const bench_setup *s)
{
    if (s->width >= 32 && s->width <= 16384 && s->height >= 32 && s->height <= 16384 &&
        s->frames >= 1 && s->frames <= 1024 && s->runs >= 1 && s->runs <= 1000 && s->threads >= 0 &&
        s->threads <= 1024)
        return true;
    fprintf(stderr,
            "%s: width and height can be 32 to 16384, frames 1 to 1024, runs 1 to 1000, threads 0 "
            "(all) to 1024\n",
            g_get_prgname());
    return false;
}

int cmd_bench(int argc, char **argv)
{
    g_autofree char *backend = NULL, *dtype = NULL, *model = NULL, *vae = NULL, *text = NULL;
    g_autofree char *quantization = NULL;
    gboolean json = FALSE;
    bench_setup setup = {.width = 640, .height = 360, .frames = 5, .runs = 5};
    const GOptionEntry entries[] = {
        {"backend", 0, 0, G_OPTION_ARG_STRING, &backend, "auto (default), cpu or cuda", "NAME"},
        {"dtype", 0, 0, G_OPTION_ARG_STRING, &dtype, "f32 (default), f16 or bf16", "TYPE"},
        {"quantization", 0, 0, G_OPTION_ARG_STRING, &quantization,
         "of the transformer: auto-fp16 (default: none) or fp8", "NAME"},
        {"width", 0, 0, G_OPTION_ARG_INT, &setup.width, "of the output; 640", "PIXELS"},
        {"height", 0, 0, G_OPTION_ARG_INT, &setup.height, "of the output; 360", "PIXELS"},
        {"frames", 0, 0, G_OPTION_ARG_INT, &setup.frames, "of the batch; 5", "N"},
        {"threads", 0, 0, G_OPTION_ARG_INT, &setup.threads, "of the CPU; 0 = all", "N"},
        {"runs", 0, 0, G_OPTION_ARG_INT, &setup.runs, "that are counted; 5", "N"},
        {"model", 0, 0, G_OPTION_ARG_FILENAME, &model, "transformer; the shipped nano", "FILE"},
        {"vae-model", 0, 0, G_OPTION_ARG_FILENAME, &vae, "VAE; the shipped nano", "FILE"},
        {"text-embedding", 0, 0, G_OPTION_ARG_FILENAME, &text,
         "prompt embeddings; those in the model", "FILE"},
        {"json", 0, 0, G_OPTION_ARG_NONE, &json, "one line of JSON instead of a table", NULL},
        {NULL, 0, 0, 0, NULL, NULL, NULL},
    };
    bench_result result;
    svr_error err = {0};

    if (!command_parse(&argc, &argv, entries, "", summary) ||
        !command_backend(backend, &setup.backend) || !command_dtype(dtype, &setup.storage) ||
        !command_quantization(quantization, &setup.quantization) || !in_range(&setup))
        return EXIT_UNUSABLE;
    if (!model)
        model = g_build_filename(command_model_dir(NULL), "nano_dit.safetensors", NULL);
    if (!vae)
        vae = g_build_filename(command_model_dir(NULL), "nano_vae.safetensors", NULL);
    setup.model_path = model;
    setup.vae_path = vae;
    setup.text_path = text;
    if (bench_run(&setup, &result, &err) != SVR_OK) {
        fprintf(stderr, "%s: %s\n", g_get_prgname(), err.text);
        return err.code == SVR_ERR_IO || err.code == SVR_ERR_FORMAT ? EXIT_UNUSABLE : EXIT_FAILED;
    }
    if (json)
        print_json(&result);
    else
        print_table(&result);
    return EXIT_OK;
}
