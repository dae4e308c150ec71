/* Every change of state of every element of the plugin, alone and in a
 * pipeline, settled and in the middle of another change. */
#include "element_test.h"

static const GstState all[]
    = { GST_STATE_NULL, GST_STATE_READY, GST_STATE_PAUSED, GST_STATE_PLAYING };

#define ALL G_N_ELEMENTS (all)

typedef void (*Check) (GstElementFactory *factory);

/* Elements are found, not named: one that is added later is tested too. */
static void
for_each_element (Check check)
{
  GList *features = gst_registry_get_feature_list_by_plugin (
      gst_registry_get (), "seedvr2");
  guint elements = 0;

  for (GList *l = features; l; l = l->next) {
    if (!GST_IS_ELEMENT_FACTORY (l->data))
      continue;
    check (l->data);
    elements++;
  }
  fail_unless (elements > 0, "the plugin has no elements");
  gst_plugin_feature_list_free (features);
}

static GstElement *
make (GstElementFactory *factory)
{
  GstElement *element = gst_element_factory_create (factory, NULL);

  fail_unless (element != NULL);
  gst_object_ref_sink (element);
  if (g_object_class_find_property (G_OBJECT_GET_CLASS (element), "backend"))
    gst_util_set_object_arg (G_OBJECT (element), "backend", "cpu");
  return element;
}

static void
settle (GstElement *element, GstState want)
{
  GstState state, pending;

  fail_if (gst_element_set_state (element, want) == GST_STATE_CHANGE_FAILURE);
  fail_unless_equals_int (
      gst_element_get_state (element, &state, &pending, GST_CLOCK_TIME_NONE),
      GST_STATE_CHANGE_SUCCESS);
  fail_unless_equals_int (state, want);
  fail_unless_equals_int (pending, GST_STATE_VOID_PENDING);
}

/* From each state to each, itself too. */
static void
settle_all_ways (GstElement *element)
{
  for (guint from = 0; from < ALL; from++) {
    for (guint to = 0; to < ALL; to++) {
      settle (element, all[from]);
      settle (element, all[to]);
    }
  }
}

/* ---- an element by itself ---- */

static void
check_never_started (GstElementFactory *factory)
{
  gst_object_unref (make (factory));
}

GST_START_TEST (test_never_started) { for_each_element (check_never_started); }
GST_END_TEST;

static void
check_alone (GstElementFactory *factory)
{
  GstElement *element = make (factory);

  settle_all_ways (element);
  settle (element, GST_STATE_NULL);
  gst_object_unref (element);
}

GST_START_TEST (test_alone) { for_each_element (check_alone); }
GST_END_TEST;

/* ---- within a pipeline ---- */

static GstElement *
pipeline_of (GstElementFactory *factory, const gchar *source, const gchar *sink)
{
  gchar *line
      = g_strdup_printf ("%s ! " CAPS ("RGB", 16, 16) " ! %s backend=cpu ! %s",
                         source, GST_OBJECT_NAME (factory), sink);
  GstElement *pipeline = gst_parse_launch (line, NULL);

  fail_unless (pipeline != NULL, "cannot make: %s", line);
  g_free (line);
  return pipeline;
}

static void
end (GstElement *pipeline)
{
  settle (pipeline, GST_STATE_NULL);
  fail_unless_equals_int (GST_OBJECT_REFCOUNT_VALUE (pipeline), 1);
  gst_object_unref (pipeline);
}

static void
check_settled (GstElementFactory *factory)
{
  GstElement *pipeline = pipeline_of (factory, "videotestsrc", "fakesink");

  settle_all_ways (pipeline);
  end (pipeline);
}

GST_START_TEST (test_settled) { for_each_element (check_settled); }
GST_END_TEST;

/* The next change comes while the one before is under way: the model is being
 * loaded, the sink waits for its first frame, a batch is at work.  Changes of
 * three in all orders. */
static void
check_hasty (GstElementFactory *factory)
{
  GstElement *pipeline
      = pipeline_of (factory, "videotestsrc", "queue ! fakesink");

  for (guint i = 0; i < ALL * ALL * ALL; i++) {
    gst_element_set_state (pipeline, all[i % ALL]);
    gst_element_set_state (pipeline, all[i / ALL % ALL]);
    gst_element_set_state (pipeline, all[i / ALL / ALL]);
    if (i % 5 == 0)
      g_usleep (1000 * (i % 7));
  }
  end (pipeline);
}

GST_START_TEST (test_hasty) { for_each_element (check_hasty); }
GST_END_TEST;

/* A live source gives nothing in PAUSED. */
static void
check_live (GstElementFactory *factory)
{
  GstElement *pipeline
      = pipeline_of (factory, "videotestsrc is-live=true", "fakesink");

  for (guint i = 0; i < 4; i++) {
    gst_element_set_state (pipeline, GST_STATE_PAUSED);
    fail_unless_equals_int (
        gst_element_get_state (pipeline, NULL, NULL, GST_CLOCK_TIME_NONE),
        GST_STATE_CHANGE_NO_PREROLL);
    gst_element_set_state (pipeline,
                           i % 2 ? GST_STATE_PLAYING : GST_STATE_NULL);
  }
  end (pipeline);
}

GST_START_TEST (test_live) { for_each_element (check_live); }
GST_END_TEST;

/* Stopped by an error or at the end of a stream, and started again. */
static const gchar *const ends[] = {
  "videotestsrc num-buffers=7",
  "videotestsrc num-buffers=0",
  "videotestsrc ! identity error-after=4",
};

static void
check_end (GstElementFactory *factory, const gchar *source)
{
  GstElement *pipeline = pipeline_of (factory, source, "fakesink");
  GstBus *bus = gst_element_get_bus (pipeline);

  for (guint i = 0; i < 3; i++) {
    gst_element_set_state (pipeline, GST_STATE_PLAYING);
    gst_message_unref (wait_message (bus, GST_MESSAGE_EOS | GST_MESSAGE_ERROR));
    gst_element_set_state (pipeline, i == 1 ? GST_STATE_READY : GST_STATE_NULL);
  }
  gst_object_unref (bus);
  end (pipeline);
}

static void
check_ends (GstElementFactory *factory)
{
  for (guint i = 0; i < G_N_ELEMENTS (ends); i++)
    check_end (factory, ends[i]);
}

GST_START_TEST (test_ends) { for_each_element (check_ends); }
GST_END_TEST;

/* ---- added to and taken out of a running pipeline ---- */

static void
check_added_late (GstElementFactory *factory)
{
  GstElement *pipeline = pipeline_of (factory, "videotestsrc", "fakesink");

  settle (pipeline, GST_STATE_PLAYING);
  for (guint i = 0; i < 3; i++) {
    GstElement *element = make (factory);

    fail_unless (gst_bin_add (GST_BIN (pipeline), element));
    fail_unless (gst_element_sync_state_with_parent (element));
    settle (element, GST_STATE_NULL);
    fail_unless (gst_bin_remove (GST_BIN (pipeline), element));
    gst_object_unref (element);
  }
  end (pipeline);
}

GST_START_TEST (test_added_late) { for_each_element (check_added_late); }
GST_END_TEST;

static Suite *
seedvr2_transitions_suite (void)
{
  Suite *suite = suite_create ("seedvr2 transitions");
  TCase *tcase = tcase_create ("transitions");

  suite_add_tcase (suite, tcase);
  tcase_add_test (tcase, test_never_started);
  tcase_add_test (tcase, test_alone);
  tcase_add_test (tcase, test_settled);
  tcase_add_test (tcase, test_hasty);
  tcase_add_test (tcase, test_live);
  tcase_add_test (tcase, test_ends);
  tcase_add_test (tcase, test_added_late);
  return suite;
}

GST_CHECK_MAIN (seedvr2_transitions);
