/* seedvr2 upscale: a video or picture file through the seedvr2upscale element to another file. */
#include "commands.h"
#include "upscale.h"
#include "upscale_progress.h"

#include <errno.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>

static const char summary[] =
    "Restores and upscales IN to OUT.  The suffix of OUT chooses its kind: .mkv, .mp4, .webm, "
    ".avi,\n"
    "or pictures: one .png or .jpg, or many with a name like frame%05d.png.  Audio is copied as it "
    "is\n"
    "where OUT can hold it, else encoded anew.  OUT appears when it is complete.";

/* Options that set a property of the element. */
static const struct {
    const char *name, *property, *help, *metavar;
} knobs[] = {
    {"scale", "scale", "size of the output relative to the input; 2", "F"},
    {"resolution", "resolution", "short side of the output in pixels; 0: by --scale", "N"},
    {"max-resolution", "max-resolution", "limit for the long side; 0: none", "N"},
    {"model", "model", "transformer file; the shipped nano", "FILE"},
    {"vae-model", "vae-model", "VAE file; the shipped nano", "FILE"},
    {"text-embedding", "text-embedding", "prompt embeddings; those in the model file", "FILE"},
    {"batch-size", "batch-size", "frames restored together; 5", "N"},
    {"temporal-overlap", "temporal-overlap", "frames shared by neighbouring batches; 0", "N"},
    {"prepend-frames", "prepend-frames", "mirrored frames computed before the first; 0", "N"},
    {"seed", "seed", "of the noise; 42", "N"},
    {"cfg-scale", "cfg-scale", "guidance; 1: none", "F"},
    {"cfg-offload", "cfg-offload", "auto, never or always: one prediction waits on the host",
     "NAME"},
    {"vram-mode", "vram-mode", "auto, economy or extreme-economy", "NAME"},
    {"vram-budget", "vram-budget", "GPU memory to take at most, e.g. 6GiB; what is free", "BYTES"},
    {"vae-tile-size", "vae-tile-size", "pixels of the VAE's tiles; 0: only where nothing else fits",
     "N"},
    {"color-correction", "color-correction", "lab, wavelet, wavelet-adaptive, hsv, adain or none",
     "NAME"},
    {"backend", "backend", "auto, cpu or cuda", "NAME"},
    {"device", "device-id", "GPU to compute on, from 0; -1: the first usable one", "N"},
    {"precision", "precision", "auto, fp16, bf16 or fp32", "NAME"},
    {"quantization", "quantization",
     "auto-fp16, fp16, bf16 (none), fp8 (faster, GPUs of compute capability 8.9 and newer), "
     "int8-w8a8 (likewise, every GPU, closer to 16 bits), int8 (half the memory for weights, "
     "closest) or as-stored in the model file",
     "NAME"},
    {"parked-precision", "parked-precision",
     "of the VAE's frames that wait between sweeps: 16-bit, fp8 or int8", "NAME"},
};
enum { KNOBS = G_N_ELEMENTS(knobs) };

/* A run, for the callbacks of its main loop. */
typedef struct upscale_run {
    upscale_pipeline pipeline;
    upscale_progress progress;
    GMainLoop *loop;
    const char *in, *out;
    char *part; /* what is written until it is complete */
    int code;
    gboolean finished; /* the end of the stream reached the file */
} upscale_run;

/* Stops with `code` and a line on stderr; only the first call counts. */
static void stop(upscale_run *run, int code, const char *text)
{
    if (run->finished || run->code != EXIT_OK)
        return;
    run->code = code;
    upscale_progress_clear(&run->progress);
    command_fails(code, "%s", text);
    g_main_loop_quit(run->loop);
}

static void stop_on_error(upscale_run *run, GstMessage *message)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;
    gboolean reading =
        gst_object_has_as_ancestor(GST_MESSAGE_SRC(message), GST_OBJECT(run->pipeline.decoder)) ||
        GST_MESSAGE_SRC(message) == GST_OBJECT(run->pipeline.decoder) ||
        g_str_has_prefix(GST_OBJECT_NAME(GST_MESSAGE_SRC(message)), "filesrc");
    gboolean writing = strstr(GST_OBJECT_NAME(GST_MESSAGE_SRC(message)), "filesink") != NULL;

    gst_message_parse_error(message, &error, NULL);
    text = g_strdup_printf("%s%s%s",
                           reading   ? run->in
                           : writing ? run->out
                                     : "",
                           reading || writing ? ": " : "", error->message);
    stop(run, reading ? EXIT_UNUSABLE : EXIT_FAILED, text);
}

static gboolean on_message(GstBus *bus, GstMessage *message, gpointer user)
{
    upscale_run *run = (upscale_run *) user;

    (void) bus;
    switch (GST_MESSAGE_TYPE(message)) {
    case GST_MESSAGE_ERROR:
        stop_on_error(run, message);
        break;
    case GST_MESSAGE_EOS:
        run->finished = run->code == EXIT_OK;
        g_main_loop_quit(run->loop);
        break;
    default:
        break;
    }
    return G_SOURCE_CONTINUE;
}

static gboolean on_tick(gpointer user)
{
    upscale_progress_update(&((upscale_run *) user)->progress);
    return G_SOURCE_CONTINUE;
}

static gboolean on_signal(gpointer user)
{
    stop((upscale_run *) user, EXIT_FAILED, "stopped; the unfinished output is removed");
    return G_SOURCE_CONTINUE;
}

/* Gives the complete file its name, or removes what was written. */
static void settle(upscale_run *run)
{
    if (!run->part)
        return;
    if (run->code == EXIT_OK && g_rename(run->part, run->out) == 0)
        return;
    if (run->code == EXIT_OK)
        run->code = command_fails(EXIT_FAILED, "%s: cannot be given its name (%s)", run->out,
                                  g_strerror(errno));
    g_remove(run->part);
}

static void run_loop(upscale_run *run)
{
    g_autoptr(GstBus) bus = gst_element_get_bus(run->pipeline.pipeline);
    guint sources[3] = {g_timeout_add(500, on_tick, run), g_unix_signal_add(SIGINT, on_signal, run),
                        g_unix_signal_add(SIGTERM, on_signal, run)};

    run->loop = g_main_loop_new(NULL, FALSE);
    gst_bus_add_watch(bus, on_message, run);
    upscale_progress_start(&run->progress, run->pipeline.upscaler);
    gst_element_set_state(run->pipeline.pipeline, GST_STATE_PLAYING);
    g_main_loop_run(run->loop);
    gst_bus_remove_watch(bus);
    for (size_t i = 0; i < G_N_ELEMENTS(sources); i++)
        g_source_remove(sources[i]);
    g_main_loop_unref(run->loop);
}

static void report(upscale_run *run)
{
    g_autofree char *text = upscale_progress_summary(&run->progress);

    upscale_progress_clear(&run->progress);
    fputs(run->pipeline.notes->str, stderr);
    fprintf(stderr, "%s: %s\n", run->out, text);
}

/* Takes `upscaler`. */
static int upscale(GstElement *upscaler, const upscale_format *format, const char *in,
                   const char *out)
{
    upscale_run run = {.in = in, .out = out};
    gboolean valid;
    g_autoptr(GError) error = NULL;

    if (format->muxer || !upscale_is_sequence(out, &valid))
        run.part = g_strconcat(out, ".part", NULL);
    if (!upscale_pipeline_init(&run.pipeline, format, upscaler, in, run.part ? run.part : out,
                               &error)) {
        run.code =
            command_fails(EXIT_FAILED, "%s", error ? error->message : "cannot build a pipeline");
    } else {
        run_loop(&run);
        if (run.code == EXIT_OK)
            report(&run);
        gst_element_set_state(run.pipeline.pipeline, GST_STATE_NULL);
        settle(&run);
    }
    upscale_pipeline_finish(&run.pipeline);
    g_free(run.part);
    return run.code;
}

static bool set_bytes(GstElement *upscaler, size_t i, const char *text)
{
    uint64_t bytes;

    if (!command_bytes(knobs[i].name, text, &bytes))
        return false;
    g_object_set(upscaler, knobs[i].property, (guint64) bytes, NULL);
    return true;
}

static bool set_knob(GstElement *upscaler, size_t i, const char *text)
{
    GParamSpec *spec =
        g_object_class_find_property(G_OBJECT_GET_CLASS(upscaler), knobs[i].property);
    g_auto(GValue) value = G_VALUE_INIT;

    if (strcmp(knobs[i].metavar, "BYTES") == 0)
        return set_bytes(upscaler, i, text);
    g_value_init(&value, spec->value_type);
    if (!gst_value_deserialize(&value, text) || g_param_value_validate(spec, &value)) {
        command_fails(EXIT_UNUSABLE, "--%s cannot be \"%s\"; see gst-inspect-1.0 seedvr2upscale",
                      knobs[i].name, text);
        return false;
    }
    g_object_set_property(G_OBJECT(upscaler), knobs[i].property, &value);
    return true;
}

static bool same_file(const char *a, const char *b)
{
    GStatBuf x, y;

    return g_stat(a, &x) == 0 && g_stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* What can be said before anything starts; NULL when nothing speaks against it. */
static char *objection(const char *in, const char *out, const upscale_format *format)
{
    g_autofree char *folder = g_path_get_dirname(out);
    gboolean valid;

    if (!g_file_test(in, G_FILE_TEST_IS_REGULAR))
        return g_strdup_printf("%s: there is no such file", in);
    if (!format) {
        g_autofree char *suffixes = upscale_suffixes();

        return g_strdup_printf("%s: the suffix says what to write; it can be %s", out, suffixes);
    }
    if (!format->muxer && upscale_is_sequence(out, &valid) && !valid)
        return g_strdup_printf("%s: numbered pictures need exactly one %%d (or %%05d) in the name",
                               out);
    if (same_file(in, out))
        return g_strdup_printf("%s: input and output are the same file", in);
    if (!g_file_test(folder, G_FILE_TEST_IS_DIR))
        return g_strdup_printf("%s: the folder does not exist", out);
    if (g_file_test(out, G_FILE_TEST_IS_DIR))
        return g_strdup_printf("%s: this is a folder; name a file", out);
    return NULL;
}

static int prepare_and_run(char *values[KNOBS], const char *in, const char *out)
{
    const upscale_format *format = upscale_format_find(out);
    g_autofree char *wrong = objection(in, out, format);
    GstElement *upscaler;

    if (wrong)
        return command_fails(EXIT_UNUSABLE, "%s", wrong);
    upscaler = gst_element_factory_make("seedvr2upscale", NULL);
    if (!upscaler)
        return command_fails(EXIT_FAILED,
                             "the element seedvr2upscale is not found; install the plugin "
                             "or point GST_PLUGIN_PATH at its folder");
    for (size_t i = 0; i < KNOBS; i++)
        if (values[i] && !set_knob(upscaler, i, values[i])) {
            gst_object_unref(gst_object_ref_sink(upscaler));
            return EXIT_UNUSABLE;
        }
    return upscale(upscaler, format, in, out);
}

int cmd_upscale(int argc, char **argv)
{
    char *values[KNOBS] = {0};
    GOptionEntry entries[KNOBS + 1] = {0};
    int code = EXIT_UNUSABLE;

    for (size_t i = 0; i < KNOBS; i++)
        entries[i] = (GOptionEntry){.long_name = knobs[i].name,
                                    .arg = G_OPTION_ARG_STRING,
                                    .arg_data = &values[i],
                                    .description = knobs[i].help,
                                    .arg_description = knobs[i].metavar};
    gst_init(NULL, NULL);
    if (command_parse(&argc, &argv, entries, "IN OUT", summary)) {
        if (argc == 3)
            code = prepare_and_run(values, argv[1], argv[2]);
        else
            code = command_fails(EXIT_UNUSABLE, "name an input and an output file; see %s --help",
                                 g_get_prgname());
    }
    for (size_t i = 0; i < KNOBS; i++)
        g_free(values[i]);
    return code;
}
