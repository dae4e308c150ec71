/* README.md tells what there is: every property with its default, and every
 * pixel format. */
#include "element_test.h"

#define DOCUMENT "README.md"

static gchar *readme;

static void
setup (void)
{
  g_autoptr (GError) error = NULL;

  g_file_get_contents (g_getenv ("SEEDVR2_README"), &readme, NULL, &error);
  fail_unless (readme != NULL, "%s", error ? error->message : "");
}

static void
teardown (void)
{
  g_clear_pointer (&readme, g_free);
}

/* (transfer full): the lines of a chapter's tables */
static gchar **
rows_of (const gchar *title)
{
  g_autofree gchar *head = g_strdup_printf ("\n## %s\n", title);
  const gchar *from = strstr (readme, head);
  const gchar *to = from ? strstr (from + strlen (head), "\n## ") : NULL;
  g_autofree gchar *text = to ? g_strndup (from, (gsize)(to - from)) : NULL;
  g_auto (GStrv) lines = text ? g_strsplit (text, "\n", -1) : NULL;
  GPtrArray *rows = g_ptr_array_new ();

  fail_unless (lines != NULL, DOCUMENT ": no chapter %s", title);
  for (gchar **line = lines; *line; line++)
    if (g_str_has_prefix (*line, "| "))
      g_ptr_array_add (rows, g_strdup (*line));
  g_ptr_array_add (rows, NULL);
  return (gchar **)g_ptr_array_free (rows, FALSE);
}

/* ---- properties ---- */

/* The files that are taken where nothing is set, and the statistics, have
 * defaults in words. */
static void
check_default (GParamSpec *spec, const gchar *told)
{
  GValue value = G_VALUE_INIT;

  if (G_IS_PARAM_SPEC_STRING (spec) || G_IS_PARAM_SPEC_BOXED (spec))
    return;
  g_value_init (&value, spec->value_type);
  fail_unless (gst_value_deserialize (&value, told)
                   && g_param_value_defaults (spec, &value),
               DOCUMENT ": %s is not the default of %s", told, spec->name);
  g_value_unset (&value);
}

GST_START_TEST (test_properties)
{
  GstElement *element = gst_element_factory_make ("seedvr2upscale", NULL);
  g_auto (GStrv) rows = rows_of ("Properties");
  guint n = 0, own = 0, told = 0;
  GParamSpec **specs
      = g_object_class_list_properties (G_OBJECT_GET_CLASS (element), &n);

  for (guint i = 0; i < n; i++)
    own += specs[i]->owner_type == G_OBJECT_TYPE (element);
  for (gchar **row = rows; *row; row++) {
    g_auto (GStrv) cells = g_strsplit (*row, "|", -1);
    g_autofree gchar *name = g_strdup (g_strstrip (cells[1]));
    GParamSpec *spec;

    if (*name != '`')
      continue;
    g_strdelimit (name, "`", ' ');
    spec = g_object_class_find_property (G_OBJECT_GET_CLASS (element),
                                         g_strstrip (name));
    fail_unless (spec != NULL, DOCUMENT ": there is no property %s", name);
    check_default (spec, g_strstrip (cells[2]));
    told++;
  }
  fail_unless_equals_int (told, own);
  g_free (specs);
  gst_object_unref (element);
}
GST_END_TEST;

/* ---- formats ---- */

/* Adds the names in a row's cells but the first. */
static void
add_formats (const gchar *row, GHashTable *names)
{
  g_auto (GStrv) cells = g_strsplit (row, "|", -1);

  for (gchar **cell = cells + 2; cells[0] && cells[1] && *cell; cell++) {
    g_auto (GStrv) words = g_strsplit (*cell, ",", -1);

    for (gchar **word = words; *word; word++)
      if (*g_strstrip (*word))
        g_hash_table_add (names, g_strdup (*word));
  }
}

GST_START_TEST (test_formats)
{
  GstElement *element = gst_element_factory_make ("seedvr2upscale", NULL);
  g_autoptr (GHashTable) told
      = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_auto (GStrv) rows = rows_of ("Formats");
  GstCaps *caps = gst_pad_template_get_caps (
      gst_element_get_pad_template (element, "sink"));
  const GValue *formats = NULL;

  /* behind the head of the table and the line below it */
  for (gchar **row = rows; rows[0] && *row; row++)
    if (row != rows)
      add_formats (*row, told);
  for (guint i = 0; i < gst_caps_get_size (caps); i++)
    if (gst_caps_features_is_equal (gst_caps_get_features (caps, i),
                                    GST_CAPS_FEATURES_MEMORY_SYSTEM_MEMORY))
      formats = gst_structure_get_value (gst_caps_get_structure (caps, i),
                                         "format");
  fail_unless (formats != NULL);
  for (guint i = 0; i < gst_value_list_get_size (formats); i++) {
    const gchar *name
        = g_value_get_string (gst_value_list_get_value (formats, i));

    fail_unless (g_hash_table_contains (told, name), DOCUMENT ": add %s", name);
  }
  fail_unless_equals_int (g_hash_table_size (told),
                          gst_value_list_get_size (formats));
  gst_caps_unref (caps);
  gst_object_unref (element);
}
GST_END_TEST;

static Suite *
seedvr2_readme_suite (void)
{
  Suite *suite = suite_create ("seedvr2 readme");
  TCase *tcase = tcase_create ("readme");

  suite_add_tcase (suite, tcase);
  tcase_add_checked_fixture (tcase, setup, teardown);
  tcase_add_test (tcase, test_properties);
  tcase_add_test (tcase, test_formats);
  return suite;
}

GST_CHECK_MAIN (seedvr2_readme);
