/* Errors: one message each, of the right kind, that says what to do. */
#include "element_test.h"

#include <glib/gstdio.h>

static const struct {
  const gchar *properties;
  GQuark (*domain) (void);
  gint code;
  const gchar *part;
} starts[] = {
  { "model=/nowhere/m.safetensors", gst_resource_error_quark,
    GST_RESOURCE_ERROR_NOT_FOUND,
    "/nowhere/m.safetensors: set the property "
    "model" },
  { "vae-model=/nowhere/v.safetensors", gst_resource_error_quark,
    GST_RESOURCE_ERROR_NOT_FOUND, "property vae-model" },
  { "text-embedding=/nowhere/t.safetensors", gst_resource_error_quark,
    GST_RESOURCE_ERROR_NOT_FOUND, "property text-embedding" },
  { "precision=fp32 quantization=bf16", gst_library_error_quark,
    GST_LIBRARY_ERROR_SETTINGS, "contradict each other" },
};

static void
check_start (const gchar *properties, GQuark domain, gint code,
             const gchar *part)
{
  gchar *all = g_strconcat ("backend=cpu ", properties, NULL);
  GstBus *bus = gst_bus_new ();
  GstElement *element = element_new (bus, all);

  fail_unless_equals_int (gst_element_set_state (element, GST_STATE_PAUSED),
                          GST_STATE_CHANGE_FAILURE);
  expect_error (bus, domain, code, part);
  element_end (element, bus);
  g_free (all);
}

GST_START_TEST (test_start)
{
  check_start (starts[__i__].properties, starts[__i__].domain (),
               starts[__i__].code, starts[__i__].part);
}
GST_END_TEST;

/* A model of another kind. */
GST_START_TEST (test_wrong_model)
{
  gchar *properties = g_strdup_printf ("model=%s/nano_vae.safetensors",
                                       g_getenv ("SEEDVR2_MODEL_PATH"));

  check_start (properties, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_OPEN_READ,
               "nano_vae.safetensors");
  g_free (properties);
}
GST_END_TEST;

/* A file that is no model at all. */
GST_START_TEST (test_wrong_file)
{
  gchar *path, *properties;
  gint file = g_file_open_tmp ("not-a-model-XXXXXX", &path, NULL);

  fail_unless (file >= 0);
  fail_unless (g_close (file, NULL));
  fail_unless (g_file_set_contents (path, "this is only a text", -1, NULL));
  properties = g_strdup_printf ("vae-model=%s", path);
  check_start (properties, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_OPEN_READ,
               "not-a-model-");
  g_unlink (path);
  g_free (path);
  g_free (properties);
}
GST_END_TEST;

/* The folder of the environment variable is where the defaults are. */
GST_START_TEST (test_model_path)
{
  gchar *folder = g_strdup (g_getenv ("SEEDVR2_MODEL_PATH"));

  g_setenv ("SEEDVR2_MODEL_PATH", "/nowhere/else", TRUE);
  check_start ("", GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND,
               "/nowhere/else/nano_dit.safetensors");
  g_setenv ("SEEDVR2_MODEL_PATH", folder, TRUE);
  g_free (folder);
}
GST_END_TEST;

static const struct {
  const gchar *properties, *caps, *part;
} pictures[] = {
  { "", SMALL ",interlace-mode=interleaved", "deinterlace" },
  { "", CAPS ("RGB", 15, 64), "16x16" },
  { "", CAPS ("RGB", 64, 8), "16x16" },
  { "", CAPS ("RGB", 1, 1), "16x16" },
  { "scale=0.25", CAPS ("RGB", 32, 32), "scale" },
  { "scale=1", CAPS ("RGB", 100000, 100000), "at most 16384x16384" },
  { "scale=4", CAPS ("RGB", 16000, 16), "at most 16384x16384" },
  { "", CAPS ("RGB", 2147483647, 2147483647), "at most 16384x16384" },
  { "scale=16", CAPS ("GRAY8", 134217728, 4), "to 2147483646x64" },
};

GST_START_TEST (test_pictures)
{
  GstBus *bus = gst_bus_new ();
  GstHarness *h
      = harness_new_on_bus (bus, pictures[__i__].properties, "", NULL);

  gst_harness_set_src_caps_str (h, pictures[__i__].caps);
  expect_error (bus, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
                pictures[__i__].part);
  /* told once, however often upstream tries */
  fail_unless_equals_int (gst_harness_push (h, gst_buffer_new ()),
                          GST_FLOW_NOT_NEGOTIATED);
  fail_if (gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR));
  harness_end (h, bus);
}
GST_END_TEST;

/* The numbers of a refused budget: what is said to work does. */
GST_START_TEST (test_budget)
{
  GstBus *bus = gst_bus_new ();
  GstHarness *h = harness_new_on_bus (bus, "vram-budget=1000000", "", SMALL);
  GstMessage *message;
  const GstStructure *details = NULL;
  guint64 needed = 0, available = 0;

  fail_unless_equals_int (gst_harness_push (h, frame_new (h, 0)),
                          GST_FLOW_ERROR);
  message = wait_message (bus, GST_MESSAGE_ERROR);
  gst_message_parse_error_details (message, &details);
  fail_unless (gst_structure_get (details, "vram-needed", G_TYPE_UINT64,
                                  &needed, "vram-available", G_TYPE_UINT64,
                                  &available, NULL));
  fail_unless_equals_uint64 (available, 1000000);
  fail_unless_equals_string (gst_structure_get_string (details, "status"),
                             "no device memory");
  check_suggestion (message);
  gst_message_unref (message);
  harness_end (h, bus);

  for (gint less = 0; less < 2; less++) {
    gchar *budget = g_strdup_printf ("vram-budget=%" G_GUINT64_FORMAT,
                                     needed - (guint64)less * (1 << 20));

    h = harness_new (budget, "", SMALL);
    fail_unless_equals_int (gst_harness_push (h, frame_new (h, 0)),
                            less ? GST_FLOW_ERROR : GST_FLOW_OK);
    gst_harness_teardown (h);
    g_free (budget);
  }
}
GST_END_TEST;

/* A missing file is named, with the property that it is the value of. */
GST_START_TEST (test_missing_file)
{
  GstBus *bus = gst_bus_new ();
  GstElement *element
      = element_new (bus, "backend=cpu vae-model=/nowhere/v.safetensors");
  GstMessage *message;
  const GstStructure *details = NULL;

  gst_element_set_state (element, GST_STATE_PAUSED);
  message = wait_message (bus, GST_MESSAGE_ERROR);
  gst_message_parse_error_details (message, &details);
  fail_unless_equals_string (gst_structure_get_string (details, "property"),
                             "vae-model");
  fail_unless_equals_string (gst_structure_get_string (details, "file"),
                             "/nowhere/v.safetensors");
  gst_message_unref (message);
  element_end (element, bus);
}
GST_END_TEST;

/* What only the engine knows comes with the first frame. */
GST_START_TEST (test_guidance_without_negative_text)
{
  GstBus *bus = gst_bus_new ();
  GstHarness *h = harness_new_on_bus (bus, "cfg-scale=2", "", SMALL);

  fail_unless_equals_int (gst_harness_push (h, frame_new (h, 0)),
                          GST_FLOW_ERROR);
  fail_unless_equals_int (gst_harness_push (h, frame_new (h, 1)),
                          GST_FLOW_ERROR);
  push_eos (h);
  expect_error (bus, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS, "negative");
  harness_end (h, bus);
}
GST_END_TEST;

GST_START_TEST (test_short_buffer)
{
  GstBus *bus = gst_bus_new ();
  GstHarness *h = harness_new_on_bus (bus, "batch-size=5", "", SMALL);

  push_frames (h, 0, 1);
  fail_unless_equals_int (
      gst_harness_push (h, gst_buffer_new_allocate (NULL, 100, NULL)),
      GST_FLOW_ERROR);
  expect_error (bus, GST_STREAM_ERROR, GST_STREAM_ERROR_FAILED, "buffer");
  harness_end (h, bus);
}
GST_END_TEST;

/* After an error the element works again once it went through NULL. */
GST_START_TEST (test_recovers)
{
  GstHarness *h = harness_new ("cfg-scale=2", "", SMALL);

  fail_unless_equals_int (gst_harness_push (h, frame_new (h, 0)),
                          GST_FLOW_ERROR);
  gst_element_set_state (h->element, GST_STATE_NULL);
  g_object_set (h->element, "cfg-scale", 1.0, NULL);
  gst_element_set_state (h->element, GST_STATE_PLAYING);
  gst_harness_push_event (h, gst_event_new_stream_start ("again"));
  gst_harness_set_src_caps_str (h, SMALL);
  push_frames (h, 0, 7);
  end_with_frames (h, 0, 7);
  gst_harness_teardown (h);
}
GST_END_TEST;

GST_START_TEST (test_hdr_is_a_warning)
{
  GstBus *bus = gst_bus_new ();
  GstHarness *h = harness_new_on_bus (bus, "", "", NULL);
  GstMessage *message;

  gst_harness_set_src_caps_str (h,
                                CAPS ("NV12", 32, 32) ",colorimetry=bt2100-pq");
  message = wait_message (bus, GST_MESSAGE_WARNING | GST_MESSAGE_ERROR);
  fail_unless_equals_int (GST_MESSAGE_TYPE (message), GST_MESSAGE_WARNING);
  gst_message_unref (message);
  harness_end (h, bus);
}
GST_END_TEST;

static Suite *
seedvr2_errors_suite (void)
{
  Suite *suite = suite_create ("seedvr2 errors");
  TCase *tcase = tcase_create ("errors");

  suite_add_tcase (suite, tcase);
  tcase_add_loop_test (tcase, test_start, 0, G_N_ELEMENTS (starts));
  tcase_add_test (tcase, test_wrong_model);
  tcase_add_test (tcase, test_wrong_file);
  tcase_add_test (tcase, test_model_path);
  tcase_add_loop_test (tcase, test_pictures, 0, G_N_ELEMENTS (pictures));
  tcase_add_test (tcase, test_budget);
  tcase_add_test (tcase, test_missing_file);
  tcase_add_test (tcase, test_guidance_without_negative_text);
  tcase_add_test (tcase, test_short_buffer);
  tcase_add_test (tcase, test_recovers);
  tcase_add_test (tcase, test_hdr_is_a_warning);
  return suite;
}

GST_CHECK_MAIN (seedvr2_errors);
