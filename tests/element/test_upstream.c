/* What is asked and told from downstream: positions, latencies, and a pointer
 * over the picture. */
#include "element_test.h"

static gint64
position_of (GstHarness *h)
{
  gint64 position = -1;

  fail_unless (
      gst_pad_peer_query_position (h->sinkpad, GST_FORMAT_TIME, &position));
  return position;
}

/* Whoever follows the element sees how far it is, not what it has taken. */
GST_START_TEST (test_position)
{
  GstHarness *h = harness_new ("batch-size=5", "", SMALL);

  push_frames (h, 0, 4);
  fail_unless_equals_int64 (position_of (h), 0);
  gst_harness_push_event (h, gst_event_new_segment_done (GST_FORMAT_TIME, -1));
  fail_unless_equals_int64 (position_of (h), 4 * FRAME_DURATION);
  push_frames (h, 4, 6);
  fail_unless_equals_int64 (position_of (h), 4 * FRAME_DURATION);
  gst_harness_push_event (h, gst_event_new_eos ());
  fail_unless_equals_int64 (position_of (h), 6 * FRAME_DURATION);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* Frames without times leave it where it was. */
GST_START_TEST (test_position_without_times)
{
  GstHarness *h = harness_new ("batch-size=1", "", SMALL);
  GstBuffer *buffer = frame_new (h, 7);

  push_frames (h, 0, 1);
  GST_BUFFER_PTS (buffer) = GST_CLOCK_TIME_NONE;
  fail_unless_equals_int (gst_harness_push (h, buffer), GST_FLOW_OK);
  gst_harness_push_event (h, gst_event_new_eos ());
  fail_unless_equals_int (gst_harness_buffers_in_queue (h), 2);
  fail_unless_equals_int64 (position_of (h), FRAME_DURATION);
  gst_harness_teardown (h);
}
GST_END_TEST;

static GstEvent *
mouse_at (gdouble x, gdouble y)
{
  return gst_event_new_navigation (gst_structure_new (
      "application/x-gst-navigation", "event", G_TYPE_STRING, "mouse-move",
      "pointer_x", G_TYPE_DOUBLE, x, "pointer_y", G_TYPE_DOUBLE, y, NULL));
}

static void
expect_mouse_at (GstHarness *h, gdouble x, gdouble y)
{
  gdouble got_x = -1.0, got_y = -1.0;
  GstEvent *event;

  while ((event = gst_harness_try_pull_upstream_event (h)) != NULL) {
    if (GST_EVENT_TYPE (event) == GST_EVENT_NAVIGATION)
      gst_navigation_event_get_coordinates (event, &got_x, &got_y);
    gst_event_unref (event);
  }
  fail_unless_equals_float (got_x, x);
  fail_unless_equals_float (got_y, y);
}

/* Upstream knows pixels of its own picture only. */
GST_START_TEST (test_pointer)
{
  GstHarness *h
      = harness_new ("", "! video/x-raw,width=128,height=96 ! identity", NULL);

  /* before there are sizes, as it came */
  gst_harness_push_upstream_event (h, mouse_at (8.0, 6.0));
  expect_mouse_at (h, 8.0, 6.0);
  gst_harness_set_src_caps_str (h, SMALL);
  push_frames (h, 0, 1);
  gst_harness_push_upstream_event (h, mouse_at (8.0, 6.0));
  expect_mouse_at (h, 2.0, 2.0);
  gst_harness_teardown (h);
}
GST_END_TEST;

static const struct {
  const gchar *properties;
  guint frames;
} latencies[] = {
  { "batch-size=5", 10 },
  /* the first batch waits for frames 3 to 7, and while these are computed */
  { "batch-size=5 temporal-overlap=2", 11 },
  { "batch-size=9 temporal-overlap=1", 25 },
  /* for 4 more batches of a new frame each */
  { "batch-size=5 temporal-overlap=4", 10 },
  /* counts as none */
  { "batch-size=5 temporal-overlap=5", 10 },
  { "batch-size=9 temporal-overlap=1 prepend-frames=4", 24 },
  /* what is mirrored is in when the first batch is */
  { "batch-size=9 prepend-frames=4", 18 },
  { "batch-size=5 prepend-frames=4", 14 },
  /* nothing is computed until 21 frames are in, and then 4 batches in front */
  { "batch-size=5 prepend-frames=20", 46 },
};

/* Frames that are shared or mirrored have to be in, and take time. */
GST_START_TEST (test_latency)
{
  GstHarness *h = harness_new (latencies[__i__].properties, "", SMALL);

  fail_unless_equals_uint64 (gst_harness_query_latency (h),
                             latencies[__i__].frames * FRAME_DURATION);
  gst_harness_teardown (h);
}
GST_END_TEST;

static Suite *
seedvr2_upstream_suite (void)
{
  Suite *suite = suite_create ("seedvr2 upstream");
  TCase *tcase = tcase_create ("upstream");

  suite_add_tcase (suite, tcase);
  tcase_add_test (tcase, test_position);
  tcase_add_test (tcase, test_position_without_times);
  tcase_add_test (tcase, test_pointer);
  tcase_add_loop_test (tcase, test_latency, 0, G_N_ELEMENTS (latencies));
  return suite;
}
GST_CHECK_MAIN (seedvr2_upstream);
