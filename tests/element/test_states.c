/* States and properties. */
#include "element_test.h"

GST_START_TEST (test_up_and_down)
{
  GstElement *element = gst_element_factory_make ("seedvr2upscale", NULL);

  gst_object_ref_sink (element);
  g_object_set (element, "name", "upscale", NULL);
  gst_util_set_object_arg (G_OBJECT (element), "backend", "cpu");
  for (guint i = 0; i < 3; i++) {
    fail_unless_equals_int (gst_element_set_state (element, GST_STATE_PLAYING),
                            GST_STATE_CHANGE_SUCCESS);
    fail_unless_equals_int (gst_element_set_state (element, GST_STATE_READY),
                            GST_STATE_CHANGE_SUCCESS);
    fail_unless_equals_int (gst_element_set_state (element, GST_STATE_NULL),
                            GST_STATE_CHANGE_SUCCESS);
  }
  gst_object_unref (element);
}
GST_END_TEST;

static const gchar *const pipelines[] = {
  "videotestsrc ! " SLOW " ! seedvr2upscale backend=cpu batch-size=13 "
  "! fakesink",
  "videotestsrc ! " SLOW " ! queue ! seedvr2upscale backend=cpu batch-size=13 "
  "! queue ! fakesink",
  "videotestsrc num-buffers=13 ! " SLOW " ! seedvr2upscale backend=cpu "
  "batch-size=13 ! fakesink",
};

static void
check_stop (const gchar *line, gulong wait)
{
  GstElement *pipeline = gst_parse_launch (line, NULL);
  Stopwatch watch;

  fail_unless (pipeline != NULL);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  g_usleep (wait);
  watch = stopwatch_start ();
  gst_element_set_state (pipeline, GST_STATE_NULL);
  check_prompt (&watch, "stopping");
  gst_object_unref (pipeline);
}

GST_START_TEST (test_stop_within_a_batch)
{
  check_stop (pipelines[__i__], 700000);
}
GST_END_TEST;

GST_START_TEST (test_stop_at_once) { check_stop (pipelines[__i__], 0); }
GST_END_TEST;

/* The same element serves one stream after the other. */
GST_START_TEST (test_start_again)
{
  GstHarness *h = harness_new ("batch-size=5", "", SMALL);

  push_frames (h, 0, 7);
  gst_element_set_state (h->element, GST_STATE_NULL);
  gst_element_set_state (h->element, GST_STATE_PLAYING);
  while (gst_harness_buffers_in_queue (h) > 0)
    gst_buffer_unref (gst_harness_pull (h));
  gst_harness_play (h);
  gst_harness_push_event (h, gst_event_new_stream_start ("again"));
  gst_harness_set_src_caps_str (h, CAPS ("RGB", 48, 32));
  push_frames (h, 0, 7);
  end_with_frames (h, 0, 7);
  gst_harness_teardown (h);
}
GST_END_TEST;

GST_START_TEST (test_two_elements)
{
  GstHarness *h = harness_new (
      "batch-size=5", "! seedvr2upscale backend=cpu scale=1 batch-size=3",
      SMALL);

  push_frames (h, 0, 7);
  end_with_frames (h, 0, 7);
  gst_harness_teardown (h);
}
GST_END_TEST;

static void
check_default (GstElement *element, const gchar *property, const gchar *text)
{
  GParamSpec *spec
      = g_object_class_find_property (G_OBJECT_GET_CLASS (element), property);
  GValue value = G_VALUE_INIT, want = G_VALUE_INIT;

  fail_unless (spec != NULL, "no property %s", property);
  g_value_init (&value, spec->value_type);
  g_value_init (&want, spec->value_type);
  fail_unless (gst_value_deserialize (&want, text));
  g_object_get_property (G_OBJECT (element), property, &value);
  fail_unless (gst_value_compare (&value, &want) == GST_VALUE_EQUAL,
               "property %s is not %s", property, text);
  fail_unless (g_param_value_defaults (spec, &value),
               "property %s documents another default", property);
  g_value_unset (&value);
  g_value_unset (&want);
}

GST_START_TEST (test_defaults)
{
  static const struct {
    const gchar *property, *value;
  } defaults[] = {
    { "batch-size", "5" },
    { "temporal-overlap", "0" },
    { "prepend-frames", "0" },
    { "uniform-batch-size", "false" },
    { "seed", "42" },
    { "noise-time-invariant", "false" },
    { "frame-offset", "0" },
    { "cfg-scale", "1" },
    { "cfg-offload", "auto" },
    { "async", "true" },
    { "vram-mode", "auto" },
    { "vram-budget", "0" },
    { "offload-threshold", "20" },
    { "vae-tile-size", "0" },
    { "parked-precision", "16-bit" },
    { "color-correction", "lab" },
    { "padding", "replicate" },
    { "backend", "auto" },
    { "device-id", "-1" },
    { "precision", "auto" },
    { "quantization", "auto-fp16" },
    { "scale", "2" },
    { "resolution", "0" },
    { "max-resolution", "0" },
    { "post-messages", "true" },
  };
  GstElement *element = gst_element_factory_make ("seedvr2upscale", NULL);

  for (guint i = 0; i < G_N_ELEMENTS (defaults); i++)
    check_default (element, defaults[i].property, defaults[i].value);
  gst_object_unref (element);
}
GST_END_TEST;

/* Each property keeps what it is given, and only that one changes. */
GST_START_TEST (test_properties)
{
  GstElement *element = gst_element_factory_make ("seedvr2upscale", NULL);
  gchar *model, *vae, *text;
  guint batch, overlap, prepend, tile;
  guint64 seed, offset;
  gboolean uniform, invariant, post;
  gdouble cfg, scale;
  gint resolution, max_resolution;

  g_object_set (element, "model", "m", "vae-model", "v", "text-embedding", "t",
                "batch-size", 9, "temporal-overlap", 3, "prepend-frames", 4,
                "uniform-batch-size", TRUE, "seed", (guint64)1 << 40,
                "frame-offset", (guint64)1 << 41, "cfg-scale", 1.5, "scale",
                3.0, "resolution", 1080, "max-resolution", 3840,
                "post-messages", FALSE, "noise-time-invariant", TRUE,
                "vae-tile-size", 512, NULL);
  g_object_get (element, "model", &model, "vae-model", &vae, "text-embedding",
                &text, "batch-size", &batch, "temporal-overlap", &overlap,
                "prepend-frames", &prepend, "uniform-batch-size", &uniform,
                "seed", &seed, "frame-offset", &offset, "cfg-scale", &cfg,
                "scale", &scale, "resolution", &resolution, "max-resolution",
                &max_resolution, "post-messages", &post, "noise-time-invariant",
                &invariant, "vae-tile-size", &tile, NULL);
  fail_unless_equals_string (model, "m");
  fail_unless_equals_string (vae, "v");
  fail_unless_equals_string (text, "t");
  fail_unless_equals_int (batch, 9);
  fail_unless_equals_int (overlap, 3);
  fail_unless_equals_int (prepend, 4);
  fail_unless_equals_int (tile, 512);
  fail_unless (uniform && invariant && !post);
  fail_unless_equals_uint64 (seed, (guint64)1 << 40);
  fail_unless_equals_uint64 (offset, (guint64)1 << 41);
  fail_unless_equals_float (cfg, 1.5);
  fail_unless_equals_float (scale, 3.0);
  fail_unless_equals_int (resolution, 1080);
  fail_unless_equals_int (max_resolution, 3840);
  g_free (model);
  g_free (vae);
  g_free (text);
  gst_object_unref (element);
}
GST_END_TEST;

/* Those that choose among names. */
GST_START_TEST (test_choices)
{
  static const struct {
    const gchar *property, *nick;
    gint value;
  } choices[] = {
    { "backend", "cuda", 2 },       { "color-correction", "adain", 4 },
    { "precision", "bf16", 2 },     { "quantization", "fp8", 3 },
    { "cfg-offload", "always", 2 }, { "parked-precision", "int8", 2 },
    { "vram-mode", "economy", 1 },  { "padding", "black", 0 },
  };
  GstElement *element = gst_element_factory_make ("seedvr2upscale", NULL);

  for (guint i = 0; i < G_N_ELEMENTS (choices); i++)
    gst_util_set_object_arg (G_OBJECT (element), choices[i].property,
                             choices[i].nick);
  for (guint i = 0; i < G_N_ELEMENTS (choices); i++) {
    gint value = -1;

    g_object_get (element, choices[i].property, &value, NULL);
    fail_unless_equals_int (value, choices[i].value);
  }
  gst_object_unref (element);
}
GST_END_TEST;

/* Every way to quantise can be set by its nick. */
GST_START_TEST (test_quantization)
{
  static const gchar *const nicks[] = { "auto-fp16", "fp16", "bf16",
                                        "fp8",       "int8", "int8-w8a8",
                                        "as-stored" };
  GstElement *element = gst_element_factory_make ("seedvr2upscale", NULL);

  for (gint i = 0; i < (gint)G_N_ELEMENTS (nicks); i++) {
    gint value = -1;

    gst_util_set_object_arg (G_OBJECT (element), "quantization", nicks[i]);
    g_object_get (element, "quantization", &value, NULL);
    fail_unless_equals_int (value, i);
  }
  gst_object_unref (element);
}
GST_END_TEST;

static Suite *
seedvr2_states_suite (void)
{
  Suite *suite = suite_create ("seedvr2 states");
  TCase *tcase = tcase_create ("states");

  suite_add_tcase (suite, tcase);
  tcase_add_test (tcase, test_up_and_down);
  tcase_add_loop_test (tcase, test_stop_within_a_batch, 0,
                       G_N_ELEMENTS (pipelines));
  tcase_add_loop_test (tcase, test_stop_at_once, 0, G_N_ELEMENTS (pipelines));
  tcase_add_test (tcase, test_start_again);
  tcase_add_test (tcase, test_two_elements);
  tcase_add_test (tcase, test_defaults);
  tcase_add_test (tcase, test_properties);
  tcase_add_test (tcase, test_choices);
  tcase_add_test (tcase, test_quantization);
  return suite;
}

GST_CHECK_MAIN (seedvr2_states);
