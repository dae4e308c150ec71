/* seedvr2 upscale: a video or picture file through the seedvr2upscale element to another file. */
#include "commands.h"
#include "upscale.h"
#include "upscale_progress.h"

#include <errno.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static const char summary[] =
    "Restores and upscales IN to OUT.  The suffix of OUT chooses its kind: .mkv, .mp4, .webm, "
    ".avi,\n"
    "or pictures: one .png or .jpg, or many with a name like frame%05d.png.  Audio is copied as it "
    "is\n"
    "where OUT can hold it, else encoded anew.  OUT appears when it is complete; what was "
    "finished\n"
    "before an error or Ctrl-C is kept as OUT.part.";

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

enum { ENDING_SECONDS = 120 /* for the encoder to give what it holds */ };

/* What became of the file that is written. */
typedef enum run_state {
    RUN_GOES_ON,
    RUN_ENDING, /* stopped; the encoder and muxer finish what came so far */
    RUN_ENDED,  /* the end of the stream reached the file */
    RUN_CUT,    /* the file ends somewhere */
    RUN_DROPPED /* nobody wants it */
} run_state;

/* A run, for the callbacks of its main loop. */
typedef struct upscale_run {
    upscale_pipeline pipeline;
    upscale_progress progress;
    GMainLoop *loop;
    const char *in, *out;
    char *part; /* what is written until it is complete */
    int code;
    char *why;    /* it was stopped */
    char *warned; /* the last warning */
    run_state state;
    guint deadline; /* source */
} upscale_run;

static void leave(upscale_run *run, run_state state)
{
    run->state = state;
    g_main_loop_quit(run->loop);
}

static gboolean on_deadline(gpointer user)
{
    upscale_run *run = (upscale_run *) user;

    run->deadline = 0;
    leave(run, RUN_CUT);
    return G_SOURCE_REMOVE;
}

/* Stops with `code`, which `text` explains; only the first call counts.  Frames that are finished
 * become a proper file when `can_end`. */
static void stop(upscale_run *run, int code, const char *text, gboolean can_end)
{
    if (run->state != RUN_GOES_ON)
        return;
    run->code = code;
    run->why = g_strdup(text);
    upscale_progress_clear(&run->progress);
    if (!can_end || upscale_pipeline_frames(&run->pipeline) == 0 || !run->pipeline.muxer) {
        leave(run, RUN_CUT);
        return;
    }
    run->state = RUN_ENDING;
    fprintf(stderr, "ending the file behind what is finished; interrupt again to drop it\n");
    run->deadline = g_timeout_add_seconds(ENDING_SECONDS, on_deadline, run);
    upscale_pipeline_end(&run->pipeline);
}

static gboolean is_inside(GstMessage *message, GstElement *element)
{
    return GST_MESSAGE_SRC(message) == GST_OBJECT(element) ||
           gst_object_has_as_ancestor(GST_MESSAGE_SRC(message), GST_OBJECT(element));
}

static void stop_on_error(upscale_run *run, GstMessage *message)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;
    const upscale_pipeline *p = &run->pipeline;
    const char *name = GST_OBJECT_NAME(GST_MESSAGE_SRC(message));
    gboolean reading = is_inside(message, p->decoder) || g_str_has_prefix(name, "filesrc");
    gboolean writing = strstr(name, "filesink") != NULL;
    gboolean broken =
        writing || is_inside(message, p->encoder) || (p->muxer && is_inside(message, p->muxer));

    gst_message_parse_error(message, &error, NULL);
    text = g_strdup_printf("%s%s%s",
                           reading   ? run->in
                           : writing ? run->out
                                     : "",
                           reading || writing ? ": " : "", error->message);
    stop(run, reading ? EXIT_UNUSABLE : EXIT_FAILED, text, !broken);
    if (broken && run->state == RUN_ENDING)
        leave(run, RUN_CUT);
}

/* A damaged stream may repeat the same one for every frame. */
static void warn(upscale_run *run, GstMessage *message)
{
    g_autoptr(GError) error = NULL;

    gst_message_parse_warning(message, &error, NULL);
    if (g_strcmp0(run->warned, error->message) == 0)
        return;
    g_free(run->warned);
    run->warned = g_strdup(error->message);
    upscale_progress_clear(&run->progress);
    fprintf(stderr, "warning: %s\n", error->message);
}

static void on_end(upscale_run *run)
{
    g_autofree char *nothing = NULL;

    if (run->state == RUN_GOES_ON && upscale_pipeline_frames(&run->pipeline) == 0) {
        nothing = g_strdup_printf("%s: holds no frame that can be decoded; it may be cut or "
                                  "damaged",
                                  run->in);
        stop(run, EXIT_UNUSABLE, nothing, FALSE);
    }
    if (run->state == RUN_GOES_ON || run->state == RUN_ENDING)
        leave(run, RUN_ENDED);
}

static gboolean on_message(GstBus *bus, GstMessage *message, gpointer user)
{
    upscale_run *run = (upscale_run *) user;

    (void) bus;
    switch (GST_MESSAGE_TYPE(message)) {
    case GST_MESSAGE_ERROR:
        stop_on_error(run, message);
        break;
    case GST_MESSAGE_WARNING:
        warn(run, message);
        break;
    case GST_MESSAGE_EOS:
        on_end(run);
        break;
    default:
        break;
    }
    return G_SOURCE_CONTINUE;
}

static gboolean on_tick(gpointer user)
{
    upscale_run *run = (upscale_run *) user;

    if (run->state == RUN_GOES_ON)
        upscale_progress_update(&run->progress);
    return G_SOURCE_CONTINUE;
}

static gboolean on_signal(gpointer user)
{
    upscale_run *run = (upscale_run *) user;

    if (run->state == RUN_ENDING)
        leave(run, RUN_DROPPED);
    stop(run, EXIT_FAILED, "stopped", TRUE);
    return G_SOURCE_CONTINUE;
}

/* Whether what was written is worth keeping: of the containers here only MP4 needs its end. */
static gboolean is_worth_keeping(const upscale_run *run)
{
    if (!run->pipeline.muxer || upscale_pipeline_frames(&run->pipeline) == 0)
        return FALSE;
    return run->state == RUN_ENDED ||
           (run->state == RUN_CUT && strcmp(run->pipeline.format->muxer, "mp4mux") != 0);
}

/* Gives the complete file its name; keeps or removes one that is not.  Says why. */
static void settle(upscale_run *run)
{
    if (run->code == EXIT_OK) {
        if (!run->part || g_rename(run->part, run->out) == 0)
            return;
        run->code =
            command_fails(EXIT_FAILED, "%s: cannot be given its name (%s); it is complete as %s",
                          run->out, g_strerror(errno), run->part);
        return;
    }
    if (is_worth_keeping(run)) {
        if (run->state == RUN_ENDED)
            command_fails(run->code, "%s; the frames finished so far, %u, are in %s", run->why,
                          upscale_pipeline_frames(&run->pipeline), run->part);
        else
            command_fails(run->code, "%s; what was written so far is in %s", run->why, run->part);
        return;
    }
    if (run->part)
        g_remove(run->part);
    command_fails(run->code, "%s", run->why);
}

/* A closed terminal ends the file like Ctrl-C, but for a program that is to outlive it. */
static guint watch_hangup(upscale_run *run)
{
    struct sigaction before;

    if (sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler == SIG_IGN)
        return 0;
    return g_unix_signal_add(SIGHUP, on_signal, run);
}

static void run_loop(upscale_run *run)
{
    g_autoptr(GstBus) bus = gst_element_get_bus(run->pipeline.pipeline);
    guint sources[] = {g_timeout_add(500, on_tick, run), g_unix_signal_add(SIGINT, on_signal, run),
                       g_unix_signal_add(SIGTERM, on_signal, run), watch_hangup(run)};

    /* nobody may read the progress any more; the film is still wanted */
    signal(SIGPIPE, SIG_IGN);
    run->loop = g_main_loop_new(NULL, FALSE);
    gst_bus_add_watch(bus, on_message, run);
    upscale_progress_start(&run->progress, run->pipeline.upscaler);
    gst_element_set_state(run->pipeline.pipeline, GST_STATE_PLAYING);
    g_main_loop_run(run->loop);
    gst_bus_remove_watch(bus);
    for (size_t i = 0; i < G_N_ELEMENTS(sources); i++)
        if (sources[i])
            g_source_remove(sources[i]);
    if (run->deadline)
        g_source_remove(run->deadline);
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
    g_free(run.why);
    g_free(run.warned);
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
    if (g_file_test(out, G_FILE_TEST_IS_DIR))
        return g_strdup_printf("%s: this is a folder; name a file", out);
    if (g_file_test(out, G_FILE_TEST_EXISTS) && !g_file_test(out, G_FILE_TEST_IS_REGULAR))
        return g_strdup_printf("%s: is no file that can be replaced; name another one", out);
    if (!g_file_test(folder, G_FILE_TEST_IS_DIR))
        return g_strdup_printf("%s: the folder does not exist", out);
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
