/* Streams that cannot be done, and what is said of them, how often. */
#include "element_test.h"

static const struct {
  const gchar *mode;
  gboolean fine;
} views[] = {
  { "mono", TRUE },
  { "right", TRUE },
  { "side-by-side", TRUE },
  { "top-bottom", TRUE },
  { "side-by-side-quincunx", FALSE },
  { "column-interleaved", FALSE },
  { "row-interleaved", FALSE },
  { "checkerboard", FALSE },
  { "frame-by-frame", FALSE },
  { "multiview-frame-by-frame", FALSE },
  { "separated", FALSE },
};

/* Of several views only those that lie apart are taken. */
GST_START_TEST (test_views)
{
  GstBus *bus = gst_bus_new ();
  gchar *caps = g_strdup_printf (CAPS ("I420", 64, 32) ",multiview-mode=%s",
                                 views[__i__].mode);
  GstHarness *h = harness_new_on_bus (bus, "batch-size=1", "", caps);
  GstFlowReturn flow = gst_harness_push (h, frame_new (h, 0));

  if (views[__i__].fine) {
    fail_unless_equals_int (flow, GST_FLOW_OK);
    fail_if (gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR));
  } else {
    fail_unless_equals_int (flow, GST_FLOW_NOT_NEGOTIATED);
    expect_one_error (bus, "glviewconvert");
  }
  g_free (caps);
  harness_end (h, bus);
}
GST_END_TEST;

/* A change of size is no news about HDR. */
GST_START_TEST (test_hdr_is_told_once)
{
  GstBus *bus = gst_bus_new ();
  GstHarness *h = harness_new_on_bus (
      bus, "batch-size=1", "", CAPS ("NV12", 32, 32) ",colorimetry=bt2100-pq");

  for (guint i = 0; i < 3; i++) {
    g_object_set (h->element, "scale", i + 1.0, NULL);
    push_frames (h, i, i + 1);
  }
  gst_message_unref (wait_message (bus, GST_MESSAGE_WARNING));
  fail_if (gst_bus_pop_filtered (bus, GST_MESSAGE_WARNING), "told again");
  harness_end (h, bus);
}
GST_END_TEST;

#define ON_GPU "video/x-raw(memory:CUDAMemory)"
#define FROM_GPU "appsrc ! " ON_GPU
#define SOURCE "videotestsrc num-buffers=3 ! " SMALL
#define ON_CPU " ! seedvr2upscale backend=cpu post-messages=false ! "

static const struct {
  const gchar *pipeline, *whose; /* NULL: it runs */
} memories[] = {
  { FROM_GPU ON_CPU "fakesink", "of upstream" },
  { SOURCE ON_CPU ON_GPU " ! fakesink", "of downstream" },
  { FROM_GPU ON_CPU ON_GPU " ! fakesink", "of both neighbours" },
  { SOURCE ON_CPU "capsfilter caps=" ON_GPU ";video/x-raw ! fakesink", NULL },
  { SOURCE ON_CPU "capsfilter caps=video/x-raw(ANY) ! fakesink", NULL },
  { SOURCE ON_CPU "videorate ! fakesink", NULL },
  /* nothing is linked in front of it before there are pads */
  { SOURCE " ! decodebin ! videorate" ON_CPU "fakesink", NULL },
};

static gboolean
knows_cuda_memory (void)
{
  GstElement *element = gst_element_factory_make ("seedvr2upscale", NULL);
  GstPad *pad = gst_element_get_static_pad (element, "sink");
  GstCaps *caps = gst_pad_get_pad_template_caps (pad);
  GstCaps *cuda = gst_caps_from_string (ON_GPU);
  gboolean knows = gst_caps_can_intersect (caps, cuda);

  gst_caps_unref (cuda);
  gst_caps_unref (caps);
  gst_object_unref (pad);
  gst_object_unref (element);
  return knows;
}

/* The element on the CPU says why the caps cannot be. */
GST_START_TEST (test_cuda_memory_on_the_cpu)
{
  GstElement *pipeline;
  GstBus *bus;
  GstMessage *message;
  gchar *debug = NULL;

  if (!knows_cuda_memory ())
    return;
  pipeline = gst_parse_launch (memories[__i__].pipeline, NULL);
  bus = gst_element_get_bus (pipeline);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  message = wait_message (bus, GST_MESSAGE_ERROR | GST_MESSAGE_EOS);
  if (memories[__i__].whose) {
    GError *error = NULL;

    gst_message_parse_error (message, &error, &debug);
    fail_unless (
        g_error_matches (error, GST_CORE_ERROR, GST_CORE_ERROR_NEGOTIATION));
    fail_unless (strstr (error->message, "set backend=cuda") != NULL);
    fail_unless (strstr (debug, memories[__i__].whose) != NULL, "%s", debug);
    g_error_free (error);
    g_free (debug);
    fail_if (gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR), "a second error");
  } else {
    fail_unless_equals_int (GST_MESSAGE_TYPE (message), GST_MESSAGE_EOS);
  }
  gst_message_unref (message);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (bus);
  gst_object_unref (pipeline);
}
GST_END_TEST;

static Suite *
seedvr2_refusals_suite (void)
{
  Suite *suite = suite_create ("seedvr2 refusals");
  TCase *tcase = tcase_create ("refusals");

  suite_add_tcase (suite, tcase);
  tcase_add_loop_test (tcase, test_views, 0, G_N_ELEMENTS (views));
  tcase_add_test (tcase, test_hdr_is_told_once);
  tcase_add_loop_test (tcase, test_cuda_memory_on_the_cpu, 0,
                       G_N_ELEMENTS (memories));
  return suite;
}
GST_CHECK_MAIN (seedvr2_refusals);
