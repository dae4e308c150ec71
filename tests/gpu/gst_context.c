/* One CUDA context for a pipeline, on a real GPU with GStreamer's nvcodec plugin: a line
 * "ok NAME" or "FAIL NAME: why" for each case; exits 1 after a failure, 77 where it cannot run.
 *
 *     gst_context [fault | fault-two | fault-front | fault-neighbour]
 *
 * Each fault in a process of its own, which is of no use for CUDA afterwards.  Lines "seen: …" tell
 * what the driver did. */
#include "driver.h"

#include <dlfcn.h>
#include <gst/gst.h>
#include <string.h>

#define CONTEXT_TYPE "gst.cuda.context"
#define SOURCE "videotestsrc num-buffers=7 ! video/x-raw,format=NV12,width=64,height=64"
#define OURS "seedvr2upscale backend=cuda name="
#define ENDLESS "videotestsrc ! video/x-raw,format=NV12,width=64,height=64"
#define ROUND "cudaupload name=upload ! cudadownload name=download"

enum {
    ROUNDS = 4,
    MAY_STAY = 16 << 20 /* less than ROUNDS times the weights */
};

/* Contexts that GStreamer's library made, by its debug log. */
static gint created;

static void count_contexts(GstDebugCategory *category, GstDebugLevel level, const gchar *file,
                           const gchar *function, gint line, GObject *object,
                           GstDebugMessage *message, gpointer user)
{
    (void) level, (void) file, (void) function, (void) line, (void) object, (void) user;
    if (strcmp(gst_debug_category_get_name(category), "cudacontext") == 0 &&
        strstr(gst_debug_message_get(message), "Created CUDA context"))
        g_atomic_int_inc(&created);
}

typedef struct run {
    GstElement *pipeline;
    GstBus *bus;
    gint errors, own_errors; /* own: of elements under test */
    gint lost_errors;        /* own that say to restart the program */
    GString *why;            /* what is wrong; empty: nothing */
} run;

static void run_init(run *r, const char *line)
{
    GError *error = NULL;

    *r = (run){.pipeline = gst_parse_launch(line, &error), .why = g_string_new(NULL)};
    if (error) {
        g_printerr("%s: %s\n", line, error->message);
        g_clear_error(&error);
    }
    g_assert(r->pipeline);
    r->bus = gst_element_get_bus(r->pipeline);
    g_atomic_int_set(&created, 0);
}

static void expect(run *r, gboolean ok, const char *what)
{
    if (!ok)
        g_string_append_printf(r->why, "%s%s", r->why->len ? "; " : "", what);
}

static int run_finish(run *r, const char *name)
{
    int failed = r->why->len > 0;

    gst_element_set_state(r->pipeline, GST_STATE_NULL);
    gst_object_unref(r->bus);
    gst_object_unref(r->pipeline);
    if (failed)
        g_print("FAIL %s: %s\n", name, r->why->str);
    else
        g_print("ok %s\n", name);
    g_string_free(r->why, TRUE);
    return failed;
}

/* Waits for EOS or an error; every error counts. */
static void wait_end(run *r)
{
    GstMessage *message =
        gst_bus_timed_pop_filtered(r->bus, 120 * GST_SECOND, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);

    expect(r, message != NULL, "no end within 120 s");
    for (; message; message = gst_bus_timed_pop_filtered(r->bus, 300 * GST_MSECOND,
                                                         GST_MESSAGE_EOS | GST_MESSAGE_ERROR)) {
        if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR) {
            GError *error = NULL;
            gboolean lost;

            gst_message_parse_error(message, &error, NULL);
            g_print("seen: error of %s: %s\n", GST_MESSAGE_SRC_NAME(message), error->message);
            lost = strstr(error->message, "restart the program") != NULL;
            g_error_free(error);
            r->errors++;
            if (strcmp(G_OBJECT_TYPE_NAME(GST_MESSAGE_SRC(message)), "GstSeedVR2Upscale") == 0) {
                r->own_errors++;
                r->lost_errors += lost;
            }
        }
        gst_message_unref(message);
    }
}

static void play(run *r)
{
    gst_element_set_state(r->pipeline, GST_STATE_PLAYING);
    wait_end(r);
    expect(r, r->errors == 0, "errors");
}

/* The GstCudaContext that an element answers with, as an address to compare; NULL: none. */
static gpointer context_of(run *r, const char *name, const char *pad_name)
{
    GstElement *element = gst_bin_get_by_name(GST_BIN(r->pipeline), name);
    GstPad *pad = gst_element_get_static_pad(element, pad_name);
    GstQuery *query = gst_query_new_context(CONTEXT_TYPE);
    GstContext *context = NULL;
    gpointer object = NULL;

    if (gst_pad_query(pad, query))
        gst_query_parse_context(query, &context);
    if (context)
        object = g_value_get_object(
            gst_structure_get_value(gst_context_get_structure(context), CONTEXT_TYPE));
    gst_query_unref(query);
    gst_object_unref(pad);
    gst_object_unref(element);
    return object;
}

/* All of the elements named have the same context. */
static void expect_shared(run *r, const char *const *names)
{
    gpointer first = context_of(r, names[0], "src");

    expect(r, first != NULL, "no context");
    for (; *names; names++)
        if (context_of(r, *names, "src") != first || context_of(r, *names, "sink") != first)
            g_string_append_printf(r->why, "%s%s has another context", r->why->len ? "; " : "",
                                   *names);
}

/* cudaupload and cudadownload on one side: all in the primary context that ours published. */
static int neighbours(const char *name, const char *line)
{
    static const char *const names[] = {"ours", "upload", "download", NULL};
    run r;

    run_init(&r, line);
    play(&r);
    expect_shared(&r, names);
    expect(&r, created == 0, "GStreamer made a context");
    return run_finish(&r, name);
}

/* cudaupload starts long before ours and makes a context: ours takes it and makes none. */
static int earlier_neighbour(void)
{
    static const char *const names[] = {"ours", "upload", "download", NULL};
    GstElement *upload;
    run r;

    run_init(&r, SOURCE " ! " ROUND " ! " OURS "ours ! fakesink");
    upload = gst_bin_get_by_name(GST_BIN(r.pipeline), "upload");
    gst_element_set_state(upload, GST_STATE_PAUSED);
    expect(&r, created == 1, "cudaupload made no context");
    play(&r);
    expect_shared(&r, names);
    expect(&r, created == 1, "GStreamer made a second context");
    expect(&r, !driver_primary_is_active(), "there is a primary context");
    gst_object_unref(upload);
    return run_finish(&r, "takes the context of a neighbour that was first");
}

/* The primary context stays, with the code that the first use loads; nothing else does. */
static int alone(void)
{
    static const char *const names[] = {"ours", NULL};
    guint64 before = driver_free_bytes(), first, last;
    run r;

    run_init(&r, SOURCE " ! " OURS "ours ! fakesink");
    play(&r);
    expect_shared(&r, names);
    expect(&r, created == 0, "GStreamer made a context");
    expect(&r, driver_primary_is_active(), "no primary context");
    gst_element_set_state(r.pipeline, GST_STATE_NULL);
    first = driver_free_bytes();
    for (int i = 0; i < ROUNDS; i++) {
        play(&r);
        gst_element_set_state(r.pipeline, GST_STATE_NULL);
    }
    last = driver_free_bytes();
    g_print("seen: free KiB with a primary context %" G_GUINT64_FORMAT
            ", after one use %" G_GUINT64_FORMAT ", after %d more %" G_GUINT64_FORMAT
            "; the context is %s\n",
            before >> 10, first >> 10, ROUNDS, last >> 10,
            driver_primary_is_active() ? "still there" : "gone");
    expect(&r, last + MAY_STAY >= first, "device memory stays in NULL");
    return run_finish(&r, "works without neighbours and gives its memory back");
}

static int two_elements(void)
{
    static const char *const names[] = {"a", "b", NULL};
    run r;

    run_init(&r, SOURCE " ! " OURS "a ! queue ! " OURS "b ! fakesink");
    play(&r);
    expect_shared(&r, names);
    expect(&r, created == 0, "GStreamer made a context");
    return run_finish(&r, "two elements share one context");
}

static int cpu(void)
{
    run r;

    run_init(&r, SOURCE " ! seedvr2upscale backend=cpu name=ours ! fakesink");
    play(&r);
    expect(&r, context_of(&r, "ours", "src") == NULL, "there is a context");
    expect(&r, !driver_primary_is_active() && created == 0, "a context was made");
    return run_finish(&r, "backend=cpu makes no context");
}

static void to_null(run *r)
{
    expect(r, gst_element_set_state(r->pipeline, GST_STATE_NULL) == GST_STATE_CHANGE_SUCCESS,
           "does not go to NULL");
}

/* Plays, breaks a context under way and waits for the errors. */
static void play_and_break(run *r, gpointer (*find)(run *r))
{
    gst_element_set_state(r->pipeline, GST_STATE_PLAYING);
    expect(r,
           gst_element_get_state(r->pipeline, NULL, NULL, 60 * GST_SECOND) ==
               GST_STATE_CHANGE_SUCCESS,
           "does not play");
    expect(r, driver_break(find(r)), "the context did not break");
    wait_end(r);
    expect(r, r->errors > 0, "no error");
    expect(r, r->own_errors == r->lost_errors, "an error that does not say to restart");
    to_null(r);
}

/* Plays in a process that had a fault: one element is the first to say so. */
static void play_in_vain(run *r)
{
    r->errors = r->own_errors = r->lost_errors = 0;
    gst_element_set_state(r->pipeline, GST_STATE_PLAYING);
    wait_end(r);
    expect(r, r->own_errors == 1 && r->lost_errors == 1,
           "another try gives not exactly one error that says to restart");
    to_null(r);
}

static gpointer primary(run *r)
{
    gpointer context = driver_primary_retain();

    (void) r;
    driver_primary_release();
    return context;
}

/* The GPU fails in mid-stream, for good.  Between `least` and `most` elements under test say so: a
 * neighbour may be first. */
static int fault(const char *name, const char *line, gint least, gint most)
{
    run r;

    run_init(&r, line);
    play_and_break(&r, primary);
    expect(&r, r.own_errors >= least && r.own_errors <= most, "wrong number of errors");
    play_in_vain(&r);
    play_in_vain(&r);
    return run_finish(&r, name);
}

static int fault_alone(void)
{
    return fault("one error after a fault, and one for each try",
                 ENDLESS " ! " OURS "ours ! fakesink", 1, 1);
}

static int fault_of_two(void)
{
    return fault("two elements after a fault",
                 ENDLESS " ! " OURS "a ! queue ! " OURS "b ! fakesink", 1, 2);
}

static int fault_with_neighbours(void)
{
    return fault("neighbours in front after a fault",
                 ENDLESS " ! " ROUND " ! " OURS "ours ! fakesink", 0, 1);
}

/* The CUcontext of cudaupload. */
static gpointer of_neighbour(run *r)
{
    void *library = dlopen("libgstcuda-1.0.so.0", RTLD_NOW | RTLD_NOLOAD);
    void *symbol = library ? dlsym(library, "gst_cuda_context_get_handle") : NULL;
    gpointer (*get_handle)(gpointer object);

    g_assert(symbol);
    memcpy(&get_handle, &symbol, sizeof get_handle);
    return get_handle(context_of(r, "upload", "src"));
}

/* A fault in a context that a neighbour made; neither that pipeline nor a new one plays. */
static int fault_of_neighbour(void)
{
    GstElement *upload;
    int failed;
    run r;

    run_init(&r, ENDLESS " ! " ROUND " ! " OURS "ours ! fakesink");
    upload = gst_bin_get_by_name(GST_BIN(r.pipeline), "upload");
    gst_element_set_state(upload, GST_STATE_PAUSED);
    play_and_break(&r, of_neighbour);
    expect(&r, r.own_errors <= 1, "more than one error of the element");
    play_in_vain(&r);
    gst_object_unref(upload);
    failed = run_finish(&r, "one error in the lost context of a neighbour");
    run_init(&r, SOURCE " ! " ROUND " ! " OURS "ours ! fakesink");
    play_in_vain(&r);
    return failed + run_finish(&r, "one error in a new pipeline after the fault");
}

static int all_but_faults(void)
{
    int failed = cpu();

    failed += earlier_neighbour();
    failed += alone();
    failed += neighbours("neighbours in front share ours",
                         SOURCE " ! " ROUND " ! " OURS "ours ! fakesink");
    failed +=
        neighbours("neighbours behind share ours", SOURCE " ! " OURS "ours ! " ROUND " ! fakesink");
    failed += two_elements();
    return failed;
}

static const struct {
    const char *name;
    int (*run)(void);
} cases[] = {
    {"", all_but_faults},
    {"fault", fault_alone},
    {"fault-two", fault_of_two},
    {"fault-front", fault_with_neighbours},
    {"fault-neighbour", fault_of_neighbour},
};

int main(int argc, char **argv)
{
    const char *name;
    gsize i = 0;

    gst_init(&argc, &argv);
    name = argc > 1 ? argv[1] : "";
    while (i < G_N_ELEMENTS(cases) && strcmp(name, cases[i].name) != 0)
        i++;
    if (argc > 2 || i == G_N_ELEMENTS(cases)) {
        g_printerr("usage: gst_context [fault | fault-two | fault-front | fault-neighbour]\n");
        return 2;
    }
    if (!driver_open()) {
        g_print("skipped: no NVIDIA GPU\n");
        return 77;
    }
    if (!gst_registry_check_feature_version(gst_registry_get(), "cudaupload", 1, 0, 0)) {
        g_print("skipped: GStreamer has no cudaupload\n");
        return 77;
    }
    gst_debug_set_active(TRUE);
    gst_debug_set_threshold_from_string("cudacontext:4", FALSE);
    gst_debug_remove_log_function(gst_debug_log_default);
    gst_debug_add_log_function(count_contexts, NULL, NULL);
    return cases[i].run() > 0;
}
