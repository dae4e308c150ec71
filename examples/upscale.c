/* Upscales the video of a file and tells what happens: loading, batches, summary, warnings, errors
 * with their details.  Ctrl-C ends the film early, with a file that plays.
 *     cc upscale.c $(pkg-config --cflags --libs gstreamer-1.0) -o upscale
 *     ./upscale IN OUT.mkv [PRESET] */
#include <glib-unix.h>
#include <gst/gst.h>

#define PIPELINE                                                                                   \
    "filesrc name=in ! decodebin ! videoconvert ! seedvr2upscale name=upscale ! videoconvert ! "   \
    "x264enc speed-preset=veryfast ! matroskamux ! filesink name=out"

typedef struct {
    GstElement *pipeline;
    GMainLoop *loop;
    gboolean interrupted;
    int status;
} App;

static guint64 number(const GstStructure *s, const char *field)
{
    guint64 value = 0;

    gst_structure_get_uint64(s, field, &value);
    return value;
}

static void show_progress(GstMessage *message)
{
    g_autofree char *code = NULL, *text = NULL;
    GstProgressType type;

    gst_message_parse_progress(message, &type, &code, &text);
    g_print("%s%s", text, type == GST_PROGRESS_TYPE_CONTINUE ? "\r" : "\n");
}

/* The element's own messages; docs/element.md lists their fields. */
static void show_element(const GstStructure *s)
{
    double fps = 0.0;

    if (gst_structure_has_name(s, "seedvr2-batch")) {
        gst_structure_get_double(s, "fps", &fps);
        g_print("batch %" G_GUINT64_FORMAT ": %" G_GUINT64_FORMAT " frames at %" GST_TIME_FORMAT
                ", %.2f frames/s\n",
                number(s, "batch"), number(s, "frames"), GST_TIME_ARGS(number(s, "timestamp")),
                fps);
    } else if (gst_structure_has_name(s, "seedvr2-summary")) {
        g_print("%" G_GUINT64_FORMAT " frames in %.1f s of computation, peak memory %.0f MB\n",
                number(s, "frames"), (double) number(s, "time-total") / 1e9,
                (double) number(s, "vram-peak") / 1e6);
    }
}

static void show_warning(GstMessage *message)
{
    g_autoptr(GError) warning = NULL;

    gst_message_parse_warning(message, &warning, NULL);
    g_printerr("warning: %s\n", warning->message);
}

/* The text is for people, the details are for programs, the last is for who looks into it. */
static void show_error(GstMessage *message)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *debug = NULL;
    const GstStructure *details = NULL;

    gst_message_parse_error(message, &error, &debug);
    gst_message_parse_error_details(message, &details);
    g_printerr("%s: %s\n", GST_OBJECT_NAME(GST_MESSAGE_SRC(message)), error->message);
    if (details && gst_structure_get_string(details, "suggestion"))
        g_printerr("suggestion: %s\n", gst_structure_get_string(details, "suggestion"));
    if (details && gst_structure_has_field(details, "vram-needed"))
        g_printerr("needed: %" G_GUINT64_FORMAT " bytes, available: %" G_GUINT64_FORMAT "\n",
                   number(details, "vram-needed"), number(details, "vram-available"));
    g_printerr("%s\n", debug ? debug : "");
}

static gboolean on_message(GstBus *bus, GstMessage *message, gpointer user)
{
    App *app = user;

    (void) bus;
    switch ((int) GST_MESSAGE_TYPE(message)) {
    case GST_MESSAGE_PROGRESS:
        show_progress(message);
        break;
    case GST_MESSAGE_ELEMENT:
        show_element(gst_message_get_structure(message));
        break;
    case GST_MESSAGE_WARNING:
        show_warning(message);
        break;
    case GST_MESSAGE_ERROR:
        show_error(message);
        app->status = 1;
        g_main_loop_quit(app->loop);
        break;
    case GST_MESSAGE_EOS:
        g_main_loop_quit(app->loop);
        break;
    }
    return G_SOURCE_CONTINUE;
}

static GstElement *element(App *app, const char *name)
{
    return gst_bin_get_by_name(GST_BIN(app->pipeline), name);
}

static GstPadProbeReturn drop(GstPad *pad, GstPadProbeInfo *info, gpointer user)
{
    (void) pad, (void) info, (void) user;
    return GST_PAD_PROBE_DROP;
}

/* The first Ctrl-C lets the frames that the element holds and the file be finished; what was
 * decoded ahead is dropped.  The second does not wait. */
static gboolean on_interrupt(gpointer user)
{
    App *app = user;

    if (app->interrupted) {
        app->status = 1;
        g_main_loop_quit(app->loop);
    } else {
        g_autoptr(GstElement) upscale = element(app, "upscale");
        g_autoptr(GstPad) pad = gst_element_get_static_pad(upscale, "sink");

        g_print("finishing the frames at hand\n");
        gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, drop, NULL, NULL);
        gst_element_send_event(app->pipeline, gst_event_new_eos());
    }
    app->interrupted = TRUE;
    return G_SOURCE_CONTINUE;
}

int main(int argc, char **argv)
{
    App app = {NULL, NULL, FALSE, 0};
    g_autoptr(GError) error = NULL;
    g_autoptr(GstBus) bus = NULL;
    g_autoptr(GstElement) in = NULL, out = NULL, upscale = NULL;

    gst_init(&argc, &argv);
    if (argc < 3)
        return g_printerr("usage: %s IN OUT.mkv [PRESET]\n", argv[0]), 2;
    app.pipeline = gst_parse_launch_full(PIPELINE, NULL, GST_PARSE_FLAG_FATAL_ERRORS, &error);
    if (!app.pipeline)
        return g_printerr("%s\n", error->message), 1;
    in = element(&app, "in");
    out = element(&app, "out");
    upscale = element(&app, "upscale");
    g_object_set(in, "location", argv[1], NULL);
    g_object_set(out, "location", argv[2], NULL);
    if (argc > 3 && !gst_preset_load_preset(GST_PRESET(upscale), argv[3]))
        return g_printerr("no preset %s\n", argv[3]), 2;

    app.loop = g_main_loop_new(NULL, FALSE);
    bus = gst_element_get_bus(app.pipeline);
    gst_bus_add_watch(bus, on_message, &app);
    g_unix_signal_add(SIGINT, on_interrupt, &app);
    gst_element_set_state(app.pipeline, GST_STATE_PLAYING);
    g_main_loop_run(app.loop);

    gst_element_set_state(app.pipeline, GST_STATE_NULL);
    gst_bus_remove_watch(bus);
    gst_object_unref(app.pipeline);
    g_main_loop_unref(app.loop);
    return app.status;
}
