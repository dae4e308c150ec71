/* seedvr2 verify: golden files against this build, on any backend and storage type. */
#include "commands.h"
#include "pipeline/backends.h"
#include "verify/ladder.h"
#include "verify/tiles.h"
#include "verify/verify.h"

#include <stdio.h>

static const char summary[] =
    "Runs golden files, or folders of them, and compares every tensor with what this build "
    "computes.\n"
    "A line each: file/tensor, largest absolute difference, relative L2 difference, limit, ok or "
    "FAIL.\n"
    "With --ladder: PSNR of what transformers in fp8, int8 and int8-w8a8 make, against the same\n"
    "ones without, of values in f16 (--dtype).  With --parked: of what VAEs make that park frames\n"
    "in fp8 and int8.\n"
    "With --tiles: paths are VAEs; PSNR of tiles with shared statistics, and of the reference's, "
    "against\n"
    "none, of --frames frames of --size of --picture, or made up.  Below 45 dB shared tiles fail.\n"
    "Exit codes: 0 all within their limits, 1 some are not, 2 a file cannot be used.";

static int exit_code(const verify_report *report)
{
    printf("%d passed, %d failed\n", report->passed, report->failed);
    if (report->unreadable > 0)
        return EXIT_UNUSABLE;
    return report->failed > 0 ? EXIT_FAILED : EXIT_OK;
}

static void verify_paths(verify_run *run, char **paths)
{
    for (; *paths; paths++)
        verify_path(run, *paths);
}

/* Transformers whose matrices are kept in 8 bits. */
static void climb_weights(verify_run *run, verify_ladder *ladder, char **paths)
{
    static const svr_quantization rungs[] = {SVR_QUANTIZATION_AUTO_FP16, SVR_QUANTIZATION_FP8,
                                             SVR_QUANTIZATION_INT8, SVR_QUANTIZATION_INT8_W8A8};

    for (size_t i = 0; i < G_N_ELEMENTS(rungs); i++) {
        run->quantization = rungs[i];
        verify_ladder_begin(ladder, i > 0 ? svr_quantization_name(rungs[i]) : NULL);
        verify_paths(run, paths);
        verify_ladder_end(ladder);
    }
}

/* VAEs that park in 8 bits: each kind of frames alone and all of them with every step in a sweep of
 * its own, which is the most that can be parked, and all in the sweeps of a usual plan. */
static void climb_parked(verify_run *run, verify_ladder *ladder, char **paths)
{
    enum { EVERY_STEP = 0, USUAL = 5, ALL = SVR_VAE_PARKED_ALL };
    static const struct {
        const char *name;
        verify_parking parking;
    } rungs[] = {
        {NULL, {0}},
        {"fp8 stream", {true, EVERY_STEP, SVR_F8_E4M3, SVR_VAE_PARKED_STREAM}},
        {"fp8 inner", {true, EVERY_STEP, SVR_F8_E4M3, SVR_VAE_PARKED_INNER}},
        {"fp8 residual", {true, EVERY_STEP, SVR_F8_E4M3, SVR_VAE_PARKED_RESIDUAL}},
        {"fp8 all", {true, EVERY_STEP, SVR_F8_E4M3, ALL}},
        {"fp8 usual", {true, USUAL, SVR_F8_E4M3, ALL}},
        {"int8 stream", {true, EVERY_STEP, SVR_I8, SVR_VAE_PARKED_STREAM}},
        {"int8 inner", {true, EVERY_STEP, SVR_I8, SVR_VAE_PARKED_INNER}},
        {"int8 residual", {true, EVERY_STEP, SVR_I8, SVR_VAE_PARKED_RESIDUAL}},
        {"int8 all", {true, EVERY_STEP, SVR_I8, ALL}},
        {"int8 usual", {true, USUAL, SVR_I8, ALL}},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rungs); i++) {
        run->parking = rungs[i].parking;
        verify_ladder_begin(ladder, rungs[i].name);
        verify_paths(run, paths);
        verify_ladder_end(ladder);
    }
}

static void climb(verify_run *run, verify_ladder_kind kind, char **paths)
{
    verify_ladder ladder;

    verify_ladder_init(&ladder, kind);
    run->report.ladder = &ladder;
    if (kind == VERIFY_LADDER_PARKED)
        climb_parked(run, &ladder, paths);
    else
        climb_weights(run, &ladder, paths);
    verify_ladder_finish(&ladder);
}

/* What --tiles needs beside the backend. */
typedef struct tiles_options {
    int size, frames, width, height;
    char *picture, *of_size;
} tiles_options;

static int compare_tiles(verify_run *run, const tiles_options *o, char **paths)
{
    picture p = {.frames = o->frames, .width = o->width, .height = o->height};
    verify_tiles tiles = {
        .device = &run->device, .storage = run->dtype, .size = o->size, .picture = &p, .least = 45};
    svr_error err = {.code = SVR_OK};
    svr_status status;

    status = picture_load(o->picture, &p, &err);
    for (; status == SVR_OK && *paths; paths++)
        status = verify_tiles_of(&tiles, *paths, &err);
    g_free(p.values);
    if (status != SVR_OK)
        return command_fails(EXIT_UNUSABLE, "%s", err.text);
    return tiles.failed > 0 ? EXIT_FAILED : EXIT_OK;
}

/* Sizes and counts that make sense, or a line on stderr. */
static bool check_tiles(tiles_options *o)
{
    if (o->of_size && !command_size("size", o->of_size, 16, 16384, &o->width, &o->height))
        return false;
    if (o->size >= 0 && o->frames >= 1 && o->frames % 4 == 1 && o->width % 8 == 0 &&
        o->height % 8 == 0)
        return true;
    command_fails(EXIT_UNUSABLE, "--tiles takes pixels, --frames a number 4n+1 and --size WxH in "
                                 "multiples of 8 pixels");
    return false;
}

/* A ladder instead of the comparison with golden values. */
typedef struct ladder_choice {
    gboolean weights, parked;
} ladder_choice;

static int verify_all(verify_run *run, svr_backend_kind kind, int gpu, const ladder_choice *ladder,
                      const tiles_options *tiles, char **paths)
{
    int code;
    g_autofree char *cache = command_cache_folder();
    const svr_cuda_options cuda = {.device = gpu, .cache_folder = cache};
    svr_log log = command_log();
    svr_error err = {0};

    if (svr_backend_open(kind, 0, &cuda, &log, &run->backend, &err) != SVR_OK)
        return command_fails(EXIT_FAILED, "%s", err.text);
    device_init(&run->device, run->backend);
    if (tiles->size > 0) {
        code = compare_tiles(run, tiles, paths);
    } else if (ladder->weights || ladder->parked) {
        climb(run, ladder->parked ? VERIFY_LADDER_PARKED : VERIFY_LADDER_WEIGHTS, paths);
        code = run->report.unreadable > 0 ? EXIT_UNUSABLE : EXIT_OK;
    } else {
        verify_paths(run, paths);
        code = exit_code(&run->report);
    }
    device_finish(&run->device);
    svr_backend_destroy(run->backend);
    return code;
}

int cmd_verify(int argc, char **argv)
{
    g_autofree char *backend = NULL, *dtype = NULL, *model_dir = NULL, *quantization = NULL;
    tiles_options tiles = {.frames = 1, .width = 1920, .height = 1080};
    ladder_choice ladder = {FALSE, FALSE};
    int gpu = -1;
    const GOptionEntry entries[] = {
        {"backend", 0, 0, G_OPTION_ARG_STRING, &backend, "auto (default), cpu or cuda", "NAME"},
        COMMAND_DEVICE_ENTRY(&gpu),
        {"dtype", 0, 0, G_OPTION_ARG_STRING, &dtype,
         "storage type of the networks: f32 (default), f16 or bf16", "TYPE"},
        {"quantization", 0, 0, G_OPTION_ARG_STRING, &quantization,
         "of the transformers: auto-fp16 (default: none), fp16, bf16, fp8, int8, int8-w8a8 or "
         "as-stored; those in 8 bits have limits of their own",
         "NAME"},
        {"ladder", 0, 0, G_OPTION_ARG_NONE, &ladder.weights, "8 bits against 16, see above", NULL},
        {"parked", 0, 0, G_OPTION_ARG_NONE, &ladder.parked,
         "the same for frames that VAEs park between sweeps", NULL},
        {"tiles", 0, 0, G_OPTION_ARG_INT, &tiles.size, "VAEs in tiles of so many pixels, see above",
         "N"},
        {"size", 0, 0, G_OPTION_ARG_STRING, &tiles.of_size, "with --tiles; 1920x1080", "WxH"},
        {"frames", 0, 0, G_OPTION_ARG_INT, &tiles.frames, "with --tiles; 1", "N"},
        {"picture", 0, 0, G_OPTION_ARG_FILENAME, &tiles.picture,
         "with --tiles: picture or video, scaled to the size", "FILE"},
        {"model-dir", 0, 0, G_OPTION_ARG_FILENAME, &model_dir,
         "folder with models that do not lie beside a golden file", "DIR"},
        {NULL, 0, 0, 0, NULL, NULL, NULL},
    };
    svr_backend_kind kind;
    verify_run run = {0};

    if (!command_parse(&argc, &argv, entries, "PATH…", summary) ||
        !command_backend(backend, &kind) || !command_device(gpu) ||
        !command_dtype(dtype, &run.dtype) || !check_tiles(&tiles) ||
        !command_quantization(quantization, dtype, &run.quantization, &run.dtype))
        return EXIT_UNUSABLE;
    if ((ladder.weights || ladder.parked) && !dtype)
        run.dtype = SVR_F16;
    if (ladder.weights + ladder.parked + (quantization != NULL) + (tiles.size > 0) > 1)
        return command_fails(EXIT_UNUSABLE,
                             "--ladder, --parked, --quantization and --tiles do not go "
                             "together");
    if (argc < 2)
        return command_fails(EXIT_UNUSABLE, "name a golden file or a folder; see %s --help",
                             g_get_prgname());
    run.model_dir = command_model_dir(model_dir);
    return verify_all(&run, kind, gpu, &ladder, &tiles, argv + 1);
}
