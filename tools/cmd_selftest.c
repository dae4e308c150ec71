/* seedvr2 selftest: whether this installation works as it should. */
#include "commands.h"
#include "pipeline/backends.h"
#include "selftest.h"

static const char summary[] =
    "Validates this installation, e.g. after a driver update: runs a short painted clip in every\n"
    "way of arranging memory and holds the picture, the plan, the ledger and the device's free\n"
    "memory against what they should be.  By default with the shipped nano model, in well under a\n"
    "minute on a CPU.  Free memory of the device is that of all programs: let no other one take "
    "or\n"
    "give back memory there meanwhile.  A line each: [pass], [FAIL], [skip] or [info].\n"
    "Exit codes: 0 no check failed, 1 some did, or nothing can be computed, 2 wrong usage or\n"
    "unusable files.";

typedef struct selftest_options {
    char *backend, *model, *vae, *text, *size, *data, *cache;
    gboolean json;
    selftest_setup setup;
} selftest_options;

static bool check_options(selftest_options *o)
{
    selftest_setup *setup = &o->setup;

    if (!command_backend(o->backend, &setup->backend) || !command_device(setup->device) ||
        (o->size && !command_size("size", o->size, 32, 16384, &setup->width, &setup->height)) ||
        !command_range("batch-size", setup->batch_size, 1, 1024))
        return false;
    if (!o->data || g_file_test(o->data, G_FILE_TEST_IS_DIR))
        return true;
    command_fails(EXIT_UNUSABLE, "--data is \"%s\", which is no folder", o->data);
    return false;
}

/* Measured: 42 to 45 dB with the shipped model, 36 with flipped signs in a sixteenth of its VAE, 17
 * without its transformer's weights.  Another model may invent more. */
enum { SHIPPED_FLOOR_DB = 38, OTHER_FLOOR_DB = 20 };

static void fill_setup(selftest_options *o)
{
    o->setup.floor_db = o->model || o->vae || o->text ? OTHER_FLOOR_DB : SHIPPED_FLOOR_DB;
    command_default_models(&o->model, &o->vae);
    o->cache = command_cache_folder();
    o->setup.model_path = o->model;
    o->setup.vae_path = o->vae;
    o->setup.text_path = o->text;
    o->setup.cache_folder = o->cache;
    o->setup.log = command_log();
}

/* Holds a backend of its own over all streams, so that what the driver takes for the first one is
 * not counted as theirs. */
static svr_status run_checks(selftest_options *o, selftest_report *report, svr_error *err)
{
    const svr_cuda_options cuda = {.device = o->setup.device, .cache_folder = o->cache};
    svr_dtype storage = SVR_F32;
    svr_status status;

    SVR_TRY(svr_backend_open(o->setup.backend, 0, &cuda, &o->setup.log, &o->setup.probe, err));
    status = selftest_engine(&o->setup, report, &storage, err);
    if (status == SVR_OK)
        selftest_goldens(&o->setup, o->data, storage, report);
    svr_backend_destroy(o->setup.probe);
    return status;
}

static int run(selftest_options *o)
{
    selftest_report report;
    svr_error err = {0};
    svr_status status;

    if (!check_options(o))
        return EXIT_UNUSABLE;
    fill_setup(o);
    selftest_report_begin(&report, o->json);
    status = run_checks(o, &report, &err);
    if (status == SVR_ERR_IO || status == SVR_ERR_FORMAT) {
        selftest_report_drop(&report);
        return command_fails(EXIT_UNUSABLE, "%s", err.text);
    }
    if (status != SVR_OK)
        selftest_line(&report, SELFTEST_FAIL, "engine", "%s", err.text);
    return selftest_report_end(&report) ? EXIT_OK : EXIT_FAILED;
}

static void options_clear(selftest_options *o)
{
    g_free(o->backend);
    g_free(o->model);
    g_free(o->vae);
    g_free(o->text);
    g_free(o->size);
    g_free(o->data);
    g_free(o->cache);
}

int cmd_selftest(int argc, char **argv)
{
    selftest_options o = {.setup = {.device = -1, .width = 192, .height = 128, .batch_size = 5}};
    const GOptionEntry entries[] = {
        {"backend", 0, 0, G_OPTION_ARG_STRING, &o.backend, "auto (default), cpu or cuda", "NAME"},
        COMMAND_DEVICE_ENTRY(&o.setup.device),
        {"model", 0, 0, G_OPTION_ARG_FILENAME, &o.model, "transformer; the shipped nano", "FILE"},
        {"vae-model", 0, 0, G_OPTION_ARG_FILENAME, &o.vae, "VAE; the shipped nano", "FILE"},
        {"text-embedding", 0, 0, G_OPTION_ARG_FILENAME, &o.text,
         "prompt embeddings; those in the model", "FILE"},
        {"size", 0, 0, G_OPTION_ARG_STRING, &o.size, "of the output; 192x128", "WxH"},
        {"batch-size", 0, 0, G_OPTION_ARG_INT, &o.setup.batch_size, "frames; 5", "N"},
        {"data", 0, 0, G_OPTION_ARG_FILENAME, &o.data, "folder with the nano model's goldens",
         "FOLDER"},
        {"json", 0, 0, G_OPTION_ARG_NONE, &o.json, "one line of JSON instead of a list", NULL},
        {NULL, 0, 0, 0, NULL, NULL, NULL},
    };
    int code = EXIT_UNUSABLE;

    if (command_parse(&argc, &argv, entries, NULL, summary))
        code = run(&o);
    options_clear(&o);
    return code;
}
