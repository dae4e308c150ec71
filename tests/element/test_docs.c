/* docs/element.md tells what there is: every property, field and preset, and
 * its pipelines work. */
#include "document.h"
#include "element_test.h"

#define DOCUMENT "docs/element.md"

static GPtrArray *document;

static void
setup (void)
{
  document = document_read (g_getenv ("SEEDVR2_ELEMENT_DOCS"));
}

static void
teardown (void)
{
  g_clear_pointer (&document, g_ptr_array_unref);
}

/* ---- names ---- */

static GHashTable *
names_new (void)
{
  return g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
}

/* Fails with the first name of `a` that is not in `b`. */
static void
check_within (GHashTable *a, GHashTable *b, const gchar *section,
              const gchar *advice)
{
  GHashTableIter iter;
  gpointer name;

  g_hash_table_iter_init (&iter, a);
  while (g_hash_table_iter_next (&iter, &name, NULL))
    fail_unless (g_hash_table_contains (b, name),
                 DOCUMENT ", section %s: %s `%s`", section, advice,
                 (gchar *)name);
}

/* Fails unless both hold the same names, then frees them. */
static void
check_equal (GHashTable *there, GHashTable *told, const gchar *section)
{
  check_within (there, told, section, "add a row for");
  check_within (told, there, section, "there is no");
  g_hash_table_unref (there);
  g_hash_table_unref (told);
}

/* Compares the fields of a structure with those that `section` documents. */
static void
check_fields (const GstStructure *s, const Section *section)
{
  GHashTable *there = names_new (), *told = names_new ();

  for (gint i = 0; i < gst_structure_n_fields (s); i++)
    g_hash_table_add (there,
                      g_strdup (gst_structure_nth_field_name (s, (guint)i)));
  document_add_fields (document, section, told);
  check_equal (there, told, gst_structure_get_name (s));
}

/* ---- properties ---- */

static gboolean
is_own (const GParamSpec *spec, GObject *element)
{
  return spec->owner_type == G_OBJECT_TYPE (element);
}

GST_START_TEST (test_properties)
{
  GstElement *element = gst_element_factory_make ("seedvr2upscale", NULL);
  guint n = 0, sections = 0, own = 0;
  GParamSpec **specs
      = g_object_class_list_properties (G_OBJECT_GET_CLASS (element), &n);

  for (guint i = 0; i < n; i++) {
    const Section *s;

    if (!is_own (specs[i], G_OBJECT (element)))
      continue;
    own++;
    s = document_find (document, "Properties", specs[i]->name);
    fail_unless (s != NULL,
                 DOCUMENT ", chapter Properties: add a section ### `%s` with "
                          "its meaning, when to change it and an example",
                 specs[i]->name);
    fail_unless (s->pipelines->len > 0,
                 DOCUMENT ", section %s: add an example pipeline",
                 specs[i]->name);
    fail_unless (
        g_str_equal (specs[i]->name, "stats")
            || strstr (g_ptr_array_index (s->pipelines, 0), specs[i]->name),
        DOCUMENT ", section %s: the example does not use it", specs[i]->name);
  }
  for (guint i = 0; i < document->len; i++) {
    const Section *s = g_ptr_array_index (document, i);

    if (!g_str_equal (s->chapter, "Properties") || !*s->title)
      continue;
    sections++;
    fail_unless (
        g_object_class_find_property (G_OBJECT_GET_CLASS (element), s->title),
        DOCUMENT ": there is no property %s", s->title);
  }
  fail_unless_equals_int (sections, own);
  g_free (specs);
  gst_object_unref (element);
}
GST_END_TEST;

/* ---- pipelines ---- */

static GstElement *
parse (const gchar *line)
{
  GError *error = NULL;
  GstElement *pipeline
      = gst_parse_launch_full (line, NULL, GST_PARSE_FLAG_FATAL_ERRORS, &error);

  fail_unless (pipeline && !error, "%s: %s", line,
               error ? error->message : "no pipeline");
  return pipeline;
}

static void
each_pipeline (gboolean runnable, void (*check) (const gchar *line))
{
  guint n = 0;

  for (guint i = 0; i < document->len; i++) {
    const Section *s = g_ptr_array_index (document, i);
    GPtrArray *lines = runnable ? s->runnable : s->pipelines;

    for (guint k = 0; k < lines->len; k++, n++)
      check (g_ptr_array_index (lines, k));
  }
  fail_unless (n > 10);
}

static void
open_pipeline (const gchar *line)
{
  GstElement *pipeline = parse (line);

  fail_unless (gst_element_set_state (pipeline, GST_STATE_READY)
                   == GST_STATE_CHANGE_SUCCESS,
               "does not open: %s", line);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (pipeline);
}

static void
run_pipeline (const gchar *line)
{
  GstElement *pipeline = parse (line);
  GstBus *bus = gst_element_get_bus (pipeline);
  GstMessage *message;

  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  message = wait_message (bus, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  fail_unless (GST_MESSAGE_TYPE (message) == GST_MESSAGE_EOS, "fails: %s",
               line);
  gst_message_unref (message);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (bus);
  gst_object_unref (pipeline);
}

/* A device that only some machines have is not looked for. */
static void
open_on_any_device (const gchar *line)
{
  if (!strstr (line, "device-id="))
    open_pipeline (line);
  else
    gst_object_unref (parse (line));
}

GST_START_TEST (test_pipelines_open)
{
  each_pipeline (FALSE, open_on_any_device);
}
GST_END_TEST;

GST_START_TEST (test_pipelines_run) { each_pipeline (TRUE, run_pipeline); }
GST_END_TEST;

/* ---- messages and statistics ---- */

/* Each kind of message is posted and has the fields that are told, and nothing
 * else is posted. */
GST_START_TEST (test_messages)
{
  GstBus *bus = gst_bus_new ();
  GstHarness *h = harness_new_on_bus (bus, "batch-size=1", "", SMALL);
  GHashTable *seen = names_new ();
  GstMessage *message;
  guint told = 0;

  push_frames (h, 0, 1);
  push_eos (h);
  while ((message = gst_bus_pop_filtered (bus, GST_MESSAGE_ELEMENT))) {
    const GstStructure *s = gst_message_get_structure (message);
    const gchar *name = gst_structure_get_name (s);
    const Section *section = document_find (document, "Messages", name);

    fail_unless (section != NULL,
                 DOCUMENT ", chapter Messages: add a section ### `%s`", name);
    check_fields (s, section);
    g_hash_table_add (seen, g_strdup (name));
    gst_message_unref (message);
  }
  for (guint i = 0; i < document->len; i++) {
    const Section *s = g_ptr_array_index (document, i);

    if (g_str_has_prefix (s->title, "seedvr2-")) {
      told++;
      fail_unless (g_hash_table_contains (seen, s->title),
                   DOCUMENT ": %s is not posted", s->title);
    }
  }
  fail_unless_equals_int (told, g_hash_table_size (seen));
  g_hash_table_unref (seen);
  harness_end (h, bus);
}
GST_END_TEST;

GST_START_TEST (test_statistics)
{
  GstHarness *h = harness_new ("", "", SMALL);
  GstStructure *stats;

  g_object_get (h->element, "stats", &stats, NULL);
  check_fields (stats, document_find (document, "Statistics", ""));
  gst_structure_free (stats);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* ---- details of errors ---- */

/* Adds the names in the details of the error that a frame or the start brings.
 */
static void
provoke (const gchar *properties, GHashTable *names)
{
  g_autofree gchar *line = g_strdup_printf (
      "videotestsrc ! video/x-raw,width=32,height=32 ! seedvr2upscale "
      "backend=cpu %s ! fakesink",
      properties);
  GstElement *pipeline = parse (line);
  GstBus *bus = gst_element_get_bus (pipeline);
  GstMessage *message;
  const GstStructure *details = NULL;

  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  message = wait_message (bus, GST_MESSAGE_ERROR);
  gst_message_parse_error_details (message, &details);
  for (gint i = 0; i < gst_structure_n_fields (details); i++)
    g_hash_table_add (
        names, g_strdup (gst_structure_nth_field_name (details, (guint)i)));
  gst_message_unref (message);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (bus);
  gst_object_unref (pipeline);
}

GST_START_TEST (test_details)
{
  GHashTable *there = names_new (), *told = names_new ();

  provoke ("vram-budget=1000", there);
  provoke ("model=/nowhere/m.safetensors", there);
  /* of an allocation on the host that fails */
  g_hash_table_add (there, g_strdup ("host-needed"));
  document_add_fields (document, document_find (document, "Errors", "Details"),
                       told);
  check_equal (there, told, "Details");
}
GST_END_TEST;

/* ---- presets ---- */

static guint
check_preset (GstPreset *preset, const gchar *name, GHashTable *set)
{
  const gchar *path = g_getenv ("SEEDVR2_PRESETS");
  GKeyFile *file = g_key_file_new ();
  gchar **keys;
  guint n = 0;

  fail_unless (g_key_file_load_from_file (file, path, G_KEY_FILE_NONE, NULL));
  fail_unless (gst_preset_load_preset (preset, name), "no preset %s", name);
  keys = g_key_file_get_keys (file, name, NULL, NULL);
  for (gchar **key = keys; key && *key; key++) {
    g_autofree gchar *wanted = g_key_file_get_string (file, name, *key, NULL);
    GParamSpec *spec;
    GValue is = G_VALUE_INIT, want = G_VALUE_INIT;

    if (g_str_has_prefix (*key, "_meta/"))
      continue;
    spec = g_object_class_find_property (G_OBJECT_GET_CLASS (preset), *key);
    fail_unless (spec != NULL, "preset %s: no property %s", name, *key);
    g_value_init (&is, spec->value_type);
    g_value_init (&want, spec->value_type);
    fail_unless (gst_value_deserialize (&want, wanted), "preset %s: %s=%s",
                 name, *key, wanted);
    g_object_get_property (G_OBJECT (preset), *key, &is);
    fail_unless_equals_int (gst_value_compare (&is, &want), GST_VALUE_EQUAL);
    g_hash_table_add (set, g_strdup (*key));
    n++;
    g_value_unset (&is);
    g_value_unset (&want);
  }
  g_strfreev (keys);
  g_key_file_unref (file);
  return n;
}

/* Every value of a preset is there once it is loaded, whichever was loaded
 * before; all set the same properties, and the document names these. */
GST_START_TEST (test_presets)
{
  static const gchar *const names[]
      = { "low-vram", "balanced", "quality", "low-vram", "balanced" };
  GstElement *element = gst_element_factory_make ("seedvr2upscale", NULL);
  gchar **all = gst_preset_get_preset_names (GST_PRESET (element));
  GHashTable *set = names_new (), *told = names_new ();

  fail_unless (all != NULL, "no presets are found");
  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    guint n;

    fail_unless (g_strv_contains ((const gchar *const *)all, names[i]));
    n = check_preset (GST_PRESET (element), names[i], set);
    fail_unless_equals_int (n, g_hash_table_size (set));
  }
  fail_unless_equals_int (g_strv_length (all), 3);
  document_add_fields (document, document_find (document, "Presets", ""), told);
  for (gchar **name = all; *name; name++)
    g_hash_table_remove (told, *name);
  check_equal (set, told, "Presets");
  g_strfreev (all);
  gst_object_unref (element);
}
GST_END_TEST;

static Suite *
seedvr2_docs_suite (void)
{
  Suite *suite = suite_create ("seedvr2 docs");
  TCase *tcase = tcase_create ("docs");

  suite_add_tcase (suite, tcase);
  tcase_add_checked_fixture (tcase, setup, teardown);
  tcase_add_test (tcase, test_properties);
  tcase_add_test (tcase, test_pipelines_open);
  tcase_add_test (tcase, test_pipelines_run);
  tcase_add_test (tcase, test_messages);
  tcase_add_test (tcase, test_statistics);
  tcase_add_test (tcase, test_details);
  tcase_add_test (tcase, test_presets);
  return suite;
}

GST_CHECK_MAIN (seedvr2_docs);
