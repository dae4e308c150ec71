/* seedvr2 plan: what a stream would take on a GPU that need not be there. */
#include "commands.h"
#include "pipeline/cuda_module.h"
#include "pipeline/offline_plan.h"

#include <inttypes.h>
#include <stdio.h>

static const char summary[] =
    "Plans the memory of a stream: the same code that the element runs before it loads anything,\n"
    "for a GPU that need not be there.  Convolutions are planned for the own kernels; with cuDNN\n"
    "beside them workspaces may differ by some MiB.  The CUDA context, some 500 MiB, and what "
    "other\n"
    "programs hold come on top.\n"
    "Exit codes: 0 it fits, 1 it does not, 2 wrong usage or unusable files.";

/* A GPU as plans know it, until --capability and --sm-count say otherwise. */
enum { CAPABILITY = 89, SM_COUNT = 80 };

typedef struct plan_options {
    char *arch, *vae, *text, *size, *in, *cuda_frames, *vram, *threshold, *parked, *mode,
        *quantization, *dtype;
    int batch, overlap, tile, capability, sm_count;
    gboolean json;
} plan_options;

static double gib(uint64_t bytes)
{
    return (double) bytes / (double) (1u << 30);
}

static void print_bytes(const char *what, uint64_t bytes)
{
    printf("%-26s %.3f GiB\n", what, gib(bytes));
}

static uint64_t streamed_bytes(const svr_memory_plan *p)
{
    return p->copied_in + p->copied_out;
}

static void print_placement(const svr_memory_plan *p)
{
    printf("%-26s %d of %d", "blocks streamed", p->streamed_blocks, p->blocks);
    if (p->streamed_blocks > 0)
        printf(", through %d slots", p->slots);
    printf("\n%-26s %s\n", "VAE weights", p->vae_streamed ? "fetched for their phase" : "resident");
    printf("%-26s ", "tokens at a time");
    if (p->token_chunk > 0)
        printf("%" PRId64 "\n", p->token_chunk);
    else
        printf("all\n");
    printf("%-26s %s, %s\n", "parked activations",
           p->state_on_host ? "in page-locked host memory" : "none or on the device",
           svr_parked_precision_name(p->parked));
    printf("%-26s %s\n", "tiled", p->tiled ? "yes" : "no");
}

static void print_text(const svr_offline_plan *o)
{
    const svr_memory_plan *p = &o->plan;

    printf("%-26s %s\n", "fits", o->fits ? "yes" : "no; this is the smallest plan");
    printf("%-26s %d\n", "batch size", p->batch_size);
    print_bytes("predicted peak", p->peak);
    print_bytes("  weights", p->weights);
    print_bytes("  frames and tables", p->state);
    print_bytes("  scratch", p->scratch);
    print_bytes("page-locked host memory", p->host);
    print_placement(p);
    print_bytes("copied to the device", p->copied_in);
    print_bytes("copied from the device", p->copied_out);
    if (streamed_bytes(p) > 0)
        printf("%-26s %s\n", "copies hide behind work", p->hidden ? "yes" : "not all");
    print_bytes("smallest budget", o->smallest.peak);
}

static const char *truth(bool value)
{
    return value ? "true" : "false";
}

static void print_json(const svr_offline_plan *o)
{
    const svr_memory_plan *p = &o->plan;

    printf("{\"fits\": %s, \"predicted_peak_bytes\": %" PRIu64 ", \"batch_size\": %d, "
           "\"tiled\": %s, \"streamed_blocks\": %d, \"state_on_host\": %s, "
           "\"smallest_budget_bytes\": %" PRIu64 ", \"transfer_bytes_per_batch\": %" PRIu64 ", ",
           truth(o->fits), p->peak, p->batch_size, truth(p->tiled), p->streamed_blocks,
           truth(p->state_on_host), o->smallest.peak, streamed_bytes(p));
    printf("\"weight_bytes\": %" PRIu64 ", \"state_bytes\": %" PRIu64
           ", \"scratch_bytes\": %" PRIu64 ", \"host_bytes\": %" PRIu64
           ", \"host_parked_bytes\": %" PRIu64 ", \"blocks\": %d, \"slots\": %d, "
           "\"activation_chunk\": %" PRId64 ", \"vae_streamed\": %s, \"copies_hidden\": %s, "
           "\"parked_precision\": \"%s\"}\n",
           p->weights, p->state, p->scratch, p->host, p->host_parked, p->blocks, p->slots,
           p->token_chunk, truth(p->vae_streamed), truth(p->hidden),
           svr_parked_precision_name(p->parked));
}

/* "in", "out" or "both" (NULL: none), or a line on stderr. */
static bool parse_cuda_frames(const char *text, svr_stream_config *config)
{
    bool both = g_strcmp0(text, "both") == 0;

    config->in_on_device = both || g_strcmp0(text, "in") == 0;
    config->out_on_device = both || g_strcmp0(text, "out") == 0;
    if (!text || config->in_on_device || config->out_on_device)
        return true;
    command_fails(EXIT_UNUSABLE, "--cuda-frames is \"%s\"; it can be in, out or both", text);
    return false;
}

static bool parse_side(const char *option, const char *text, svr_video_info *info)
{
    return command_size(option, text, 16, 16384, &info->width, &info->height);
}

static bool parse_config(const plan_options *o, svr_stream_config *config)
{
    svr_stream_config_init(config);
    config->out.format = SVR_PIXEL_I420;
    config->out.color = (svr_colorimetry){.kr = 0.2126, .kb = 0.0722};
    config->in = config->out;
    config->batch_size = o->batch;
    config->temporal_overlap = o->overlap;
    config->memory.tile_size = o->tile;
    if (!parse_side("size", o->size, &config->out))
        return false;
    config->in.width = (config->out.width + 1) / 2;
    config->in.height = (config->out.height + 1) / 2;
    return (!o->in || parse_side("in", o->in, &config->in)) &&
           parse_cuda_frames(o->cuda_frames, config) &&
           command_range("sm-count", o->sm_count, 1, 1024) &&
           command_bytes("vram", o->vram, &config->memory.budget) &&
           command_bytes("offload-threshold", o->threshold, &config->memory.threshold) &&
           command_vram_mode(o->mode, &config->memory.mode) &&
           command_parked_precision(o->parked, &config->memory.parked);
}

static bool parse_model(const plan_options *o, svr_model_options *model)
{
    const char *dtype = o->dtype ? o->dtype : "f16";

    *model = (svr_model_options){.vae_path = o->vae, .text_path = o->text, .steps = 1};
    if (!command_dtype(dtype, &model->storage) ||
        !command_quantization(o->quantization, o->dtype, &model->quantization, &model->storage))
        return false;
    if (g_str_equal(o->arch, "3b"))
        model->published = SVR_MODEL_DIT_3B;
    else if (g_str_equal(o->arch, "7b"))
        model->published = SVR_MODEL_DIT_7B;
    else
        model->dit_path = o->arch;
    return true;
}

static int plan(const plan_options *o, const svr_model_options *model,
                const svr_stream_config *config)
{
    svr_backend *device = NULL;
    svr_offline_plan result;
    svr_error err = {0};
    svr_status status = svr_cuda_module_sketch(o->capability, o->sm_count, &device, &err);

    if (status == SVR_OK)
        status = svr_plan_offline(device, model, config, &result, &err);
    svr_backend_destroy(device);
    if (status != SVR_OK)
        return command_fails(EXIT_UNUSABLE, "%s", err.text);
    if (o->json)
        print_json(&result);
    else
        print_text(&result);
    return result.fits ? EXIT_OK : EXIT_FAILED;
}

static void options_clear(plan_options *o)
{
    g_free(o->arch);
    g_free(o->vae);
    g_free(o->text);
    g_free(o->size);
    g_free(o->in);
    g_free(o->cuda_frames);
    g_free(o->vram);
    g_free(o->threshold);
    g_free(o->mode);
    g_free(o->parked);
    g_free(o->quantization);
    g_free(o->dtype);
}

static int run(plan_options *o)
{
    svr_model_options model;
    svr_stream_config config;

    if (!o->arch || !o->size)
        return command_fails(EXIT_UNUSABLE, "--arch and --size are needed; see %s --help",
                             g_get_prgname());
    if (!parse_config(o, &config) || !parse_model(o, &model))
        return EXIT_UNUSABLE;
    return plan(o, &model, &config);
}

int cmd_plan(int argc, char **argv)
{
    plan_options o = {.batch = 5, .capability = CAPABILITY, .sm_count = SM_COUNT};
    const GOptionEntry entries[] = {
        {"arch", 0, 0, G_OPTION_ARG_STRING, &o.arch, "3b, 7b, or a transformer's file", "NAME"},
        {"vae-model", 0, 0, G_OPTION_ARG_FILENAME, &o.vae, "VAE; the published one", "FILE"},
        {"text-embedding", 0, 0, G_OPTION_ARG_FILENAME, &o.text,
         "prompt embeddings for a file; those in it", "FILE"},
        {"size", 0, 0, G_OPTION_ARG_STRING, &o.size, "of the output", "WxH"},
        {"in", 0, 0, G_OPTION_ARG_STRING, &o.in, "size of the input; half the output", "WxH"},
        {"cuda-frames", 0, 0, G_OPTION_ARG_STRING, &o.cuda_frames,
         "in, out or both: frames that come or go as memory:CUDAMemory and wait there; none",
         "PADS"},
        {"vram", 0, 0, G_OPTION_ARG_STRING, &o.vram, "budget, e.g. 8GiB or 7.5GB; no limit",
         "BYTES"},
        {"vram-mode", 0, 0, G_OPTION_ARG_STRING, &o.mode,
         "auto (default), economy or extreme-economy", "NAME"},
        {"offload-threshold", 0, 0, G_OPTION_ARG_STRING, &o.threshold,
         "peak that auto does not pass if it can; none", "BYTES"},
        {"vae-tile-size", 0, 0, G_OPTION_ARG_INT, &o.tile,
         "pixels of the VAE's tiles; 0 (default): only where nothing else fits", "N"},
        {"parked-precision", 0, 0, G_OPTION_ARG_STRING, &o.parked,
         "of the VAE's parked frames: 16-bit (default), fp8 or int8", "NAME"},
        {"batch-size", 0, 0, G_OPTION_ARG_INT, &o.batch, "frames; 0 = the largest that fits; 5",
         "N"},
        {"temporal-overlap", 0, 0, G_OPTION_ARG_INT, &o.overlap, "frames; 0", "N"},
        {"quantization", 0, 0, G_OPTION_ARG_STRING, &o.quantization, "as of the element", "NAME"},
        {"dtype", 0, 0, G_OPTION_ARG_STRING, &o.dtype, "f16 (default), bf16 or f32", "TYPE"},
        {"capability", 0, 0, G_OPTION_ARG_INT, &o.capability, "compute capability, e.g. 90; 89",
         "N"},
        {"sm-count", 0, 0, G_OPTION_ARG_INT, &o.sm_count, "multiprocessors; 80", "N"},
        {"json", 0, 0, G_OPTION_ARG_NONE, &o.json, "one line of JSON instead of a table", NULL},
        {NULL, 0, 0, 0, NULL, NULL, NULL},
    };
    int code = command_parse(&argc, &argv, entries, NULL, summary) ? run(&o) : EXIT_UNUSABLE;

    options_clear(&o);
    return code;
}
