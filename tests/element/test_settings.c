/* Properties at the wrong time, in the log, and in presets. */
#include "element_test.h"

/* What the category `seedvr2upscale` wrote, or others of its source files. */
static GString *written;

static void
write_down (GstDebugCategory *category, GstDebugLevel level, const gchar *file,
            const gchar *function, gint line, GObject *object,
            GstDebugMessage *message, gpointer data)
{
  (void)function;
  (void)line;
  (void)object;
  (void)data;
  if (level <= GST_LEVEL_WARNING && strstr (file, "gstseedvr2"))
    g_string_append_printf (written, "%s: %s\n",
                            gst_debug_category_get_name (category),
                            gst_debug_message_get (message));
}

static void
setup (void)
{
  written = g_string_new (NULL);
  gst_debug_set_default_threshold (GST_LEVEL_WARNING);
  gst_debug_add_log_function (write_down, NULL, NULL);
}

static void
teardown (void)
{
  gst_debug_remove_log_function (write_down);
  gst_debug_set_default_threshold (GST_LEVEL_NONE);
  g_string_free (written, TRUE);
}

static void
expect_written (const gchar *part)
{
  if (part)
    fail_unless (strstr (written->str, part) != NULL, "no '%s' in: %s", part,
                 written->str);
  else
    fail_unless_equals_string (written->str, "");
  g_string_set_size (written, 0);
}

/* It is taken for the next start, and the log says so. */
GST_START_TEST (test_set_while_playing)
{
  GstHarness *h = harness_new ("batch-size=1", "", SMALL);

  g_object_set (h->element, "seed", (guint64)7, NULL);
  expect_written ("seedvr2upscale: seed was set in PLAYING: it takes effect "
                  "when the element next goes from READY to PAUSED");
  /* what changes nothing, or may change */
  g_object_set (h->element, "seed", (guint64)7, "scale", 3.0, "qos", TRUE,
                NULL);
  expect_written (NULL);
  gst_element_set_state (h->element, GST_STATE_READY);
  g_object_set (h->element, "seed", (guint64)8, "model", "nothing", NULL);
  expect_written (NULL);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* GST_DEBUG=seedvr2upscale:2 shows it. */
GST_START_TEST (test_category_of_errors)
{
  GstBus *bus = gst_bus_new ();
  GstElement *element = element_new (bus, "backend=cpu model=/none");

  gst_element_set_state (element, GST_STATE_PAUSED);
  expect_written ("seedvr2upscale: error: There is no file /none");
  element_end (element, bus);
}
GST_END_TEST;

static GstElement *
fresh_element (void)
{
  GstElement *element = gst_element_factory_make ("seedvr2upscale", NULL);

  fail_unless (element != NULL);
  return gst_object_ref_sink (element);
}

/* What was saved comes back, and the element keeps its name. */
GST_START_TEST (test_saved_preset)
{
  GstElement *saved = fresh_element (), *loaded = fresh_element ();
  gchar *name = gst_object_get_name (GST_OBJECT (loaded));
  guint64 seed;
  gint resolution;

  g_object_set (saved, "seed", G_MAXUINT64, "resolution", 720, NULL);
  fail_unless (gst_preset_save_preset (GST_PRESET (saved), "mine"));
  fail_unless (gst_preset_load_preset (GST_PRESET (loaded), "mine"));
  g_object_get (loaded, "seed", &seed, "resolution", &resolution, NULL);
  fail_unless_equals_uint64 (seed, G_MAXUINT64);
  fail_unless_equals_int (resolution, 720);
  fail_unless_equals_string (GST_OBJECT_NAME (loaded), name);
  fail_unless (gst_preset_delete_preset (GST_PRESET (saved), "mine"));
  g_free (name);
  gst_object_unref (saved);
  gst_object_unref (loaded);
}
GST_END_TEST;

static Suite *
seedvr2_settings_suite (void)
{
  Suite *suite = suite_create ("seedvr2 settings");
  TCase *tcase = tcase_create ("settings");

  suite_add_tcase (suite, tcase);
  tcase_add_checked_fixture (tcase, setup, teardown);
  tcase_add_test (tcase, test_set_while_playing);
  tcase_add_test (tcase, test_category_of_errors);
  tcase_add_test (tcase, test_saved_preset);
  return suite;
}
GST_CHECK_MAIN (seedvr2_settings);
