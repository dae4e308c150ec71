/* Several elements in one process, with models of their own. */
#include "element_test.h"

#include "random.h"
#include "write_safetensors.h"

#include <glib/gstdio.h>

#define FRAMES 12

/* The text that the tiny transformer takes: 5 tokens, 96 wide. */
static gchar *
write_text (void)
{
  gchar *folder = g_dir_make_tmp ("seedvr2-test-XXXXXX", NULL);
  gchar *path = g_build_filename (folder, "text.safetensors", NULL);
  gfloat values[5 * 96];
  test_random random = test_random_seed (7);
  test_tensor pos
      = { .name = "pos", .dtype = SVR_F32, .rank = 2, .dims = { 5, 96 } };

  pos.data = values;
  test_random_fill (&random, values, G_N_ELEMENTS (values), 1.0f);
  test_write_safetensors (path, &pos, 1, NULL);
  g_free (folder);
  return path;
}

static void
remove_text (gchar *path)
{
  gchar *folder = g_path_get_dirname (path);

  g_unlink (path);
  g_rmdir (folder);
  g_free (folder);
  g_free (path);
}

/* Another kind of transformer, another VAE. */
static gchar *
tiny_properties (const gchar *text)
{
  const gchar *data = g_getenv ("SEEDVR2_TEST_DATA");

  return g_strdup_printf (
      "batch-size=5 scale=1 "
      "model=%s/goldens/dit_7b_tiny_a.weights.safetensors "
      "vae-model=%s/goldens/vae_a_weights.safetensors text-embedding=%s",
      data, data, text);
}

/* The hash of all frames that an element makes. */
static gpointer
run (gpointer properties)
{
  GstHarness *h = harness_new (properties, "", CAPS ("RGB", 32, 16));
  gchar *hash;

  push_frames (h, 0, FRAMES);
  push_eos (h);
  hash = hash_frames (h, FRAMES);
  gst_harness_teardown (h);
  return hash;
}

/* Side by side, each makes what it makes alone. */
GST_START_TEST (test_two_models)
{
  gchar *text = write_text ();
  gchar *properties[3]
      = { g_strdup ("batch-size=5 scale=1"), tiny_properties (text),
          g_strdup ("batch-size=3 scale=1 seed=9") };
  gchar *alone[3];
  GThread *threads[3];

  for (guint i = 0; i < 3; i++)
    alone[i] = run (properties[i]);
  fail_if (g_str_equal (alone[0], alone[1]));
  fail_if (g_str_equal (alone[0], alone[2]));
  for (guint i = 0; i < 3; i++)
    threads[i] = g_thread_new ("run", run, properties[i]);
  for (guint i = 0; i < 3; i++) {
    gchar *together = g_thread_join (threads[i]);

    fail_unless_equals_string (together, alone[i]);
    g_free (together);
    g_free (alone[i]);
    g_free (properties[i]);
  }
  remove_text (text);
}
GST_END_TEST;

/* One stops and starts while another works. */
static gpointer
start_and_stop (gpointer data)
{
  gint *working = data;

  while (g_atomic_int_get (working)) {
    GstHarness *h = harness_new ("batch-size=1 scale=1", "", SMALL);

    push_frames (h, 0, 3);
    gst_harness_teardown (h);
  }
  return NULL;
}

GST_START_TEST (test_a_restless_neighbour)
{
  gchar properties[] = "batch-size=5 scale=1";
  gchar *alone = run (properties);
  gint working = TRUE;
  GThread *thread = g_thread_new ("restless", start_and_stop, &working);

  for (guint i = 0; i < 3; i++) {
    gchar *together = run (properties);

    fail_unless_equals_string (together, alone);
    g_free (together);
  }
  g_atomic_int_set (&working, FALSE);
  g_thread_join (thread);
  g_free (alone);
}
GST_END_TEST;

static Suite *
seedvr2_together_suite (void)
{
  Suite *suite = suite_create ("seedvr2 together");
  TCase *tcase = tcase_create ("together");

  suite_add_tcase (suite, tcase);
  tcase_add_test (tcase, test_two_models);
  tcase_add_test (tcase, test_a_restless_neighbour);
  return suite;
}

GST_CHECK_MAIN (seedvr2_together);
