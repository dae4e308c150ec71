/* Events and queries: what drains, what keeps its place, what stops. */
#include "element_test.h"

static GstEvent *
custom_event (void)
{
  return gst_event_new_custom (GST_EVENT_CUSTOM_DOWNSTREAM,
                               gst_structure_new_empty ("test"));
}

/* A harness with batches that are not full before the end, whose output is
 * written down. */
static GstHarness *
logged_harness_new (GString **log)
{
  GstHarness *h = harness_new ("batch-size=9", "", SMALL);

  *log = output_log_new (h);
  return h;
}

static void
logged_harness_end (GstHarness *h, GString *log)
{
  g_string_free (log, TRUE);
  gst_harness_teardown (h);
}

static void
expect_log (GString *log, const gchar *want)
{
  fail_unless_equals_string (log->str, want);
  g_string_truncate (log, 0);
}

GST_START_TEST (test_keep_their_place)
{
  GString *log;
  GstHarness *h = logged_harness_new (&log);

  gst_harness_push_event (h, custom_event ());
  expect_log (log, "custom-downstream");
  push_frames (h, 0, 2);
  gst_harness_push_event (
      h, gst_event_new_tag (gst_tag_list_new (GST_TAG_TITLE, "x", NULL)));
  push_frames (h, 2, 3);
  gst_harness_push_event (h, gst_event_new_gap (3 * FRAME_DURATION, 1));
  gst_harness_push_event (h, custom_event ());
  push_frames (h, 4, 6);
  gst_harness_push_event (h, custom_event ());
  expect_log (log, "");
  push_eos (h);
  expect_log (log, "0 1 tag 2 gap custom-downstream 4 5 custom-downstream eos");
  logged_harness_end (h, log);
}
GST_END_TEST;

/* They would arrive too late in their place. */
GST_START_TEST (test_out_of_band_is_not_held)
{
  GString *log;
  GstHarness *h = logged_harness_new (&log);

  push_frames (h, 0, 2);
  gst_harness_push_event (
      h, gst_event_new_custom (GST_EVENT_CUSTOM_DOWNSTREAM_OOB,
                               gst_structure_new_empty ("test")));
  expect_log (log, "custom-downstream-oob");
  logged_harness_end (h, log);
}
GST_END_TEST;

GST_START_TEST (test_drain)
{
  GString *log;
  GstHarness *h = logged_harness_new (&log);

  push_frames (h, 0, 3);
  push_segment (h);
  expect_log (log, "0 1 2 segment");
  push_frames (h, 3, 5);
  gst_harness_push_event (h, gst_event_new_segment_done (GST_FORMAT_TIME, 0));
  expect_log (log, "3 4 segment-done");
  push_frames (h, 5, 6);
  gst_harness_set_src_caps_str (h, CAPS ("RGB", 48, 32));
  expect_log (log, "5 caps segment");
  push_frames (h, 6, 8);
  push_eos (h);
  expect_log (log, "6 7 eos");
  logged_harness_end (h, log);
}
GST_END_TEST;

GST_START_TEST (test_same_caps_do_not_drain)
{
  GString *log;
  GstHarness *h = logged_harness_new (&log);
  GstCaps *caps = gst_caps_from_string (SMALL);

  push_frames (h, 0, 3);
  gst_harness_push_event (h, gst_event_new_caps (caps));
  expect_log (log, "");
  gst_caps_unref (caps);
  logged_harness_end (h, log);
}
GST_END_TEST;

GST_START_TEST (test_discont_closes_the_batch)
{
  GString *log;
  GstHarness *h = logged_harness_new (&log);
  GstBuffer *buffer;

  push_frames (h, 0, 3);
  buffer = frame_new (h, 3);
  GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_DISCONT);
  fail_unless_equals_int (gst_harness_push (h, buffer), GST_FLOW_OK);
  expect_log (log, "0 1 2");
  push_eos (h);
  expect_log (log, "3 eos");
  logged_harness_end (h, log);
}
GST_END_TEST;

static gpointer
push_until_stopped (gpointer data)
{
  GstHarness *h = data;
  GstFlowReturn ret = GST_FLOW_OK;

  for (guint i = 0; ret == GST_FLOW_OK; i++)
    ret = gst_harness_push (h, frame_new (h, i % 16));
  return GINT_TO_POINTER (ret);
}

/* While another thread pushes. */
static void
flush (GstHarness *h, GThread *pushing)
{
  Stopwatch watch = stopwatch_start ();

  gst_harness_push_event (h, gst_event_new_flush_start ());
  fail_unless_equals_int (GPOINTER_TO_INT (g_thread_join (pushing)),
                          GST_FLOW_FLUSHING);
  gst_harness_push_event (h, gst_event_new_flush_stop (TRUE));
  check_prompt (&watch, "a flush");
}

/* `wait` microseconds after the start: while loading, or within a batch. */
static void
check_flush (gulong wait)
{
  GstHarness *h = harness_new ("batch-size=13", "", SLOW);
  GThread *pushing = g_thread_new ("push", push_until_stopped, h);
  GstBuffer *buffer;

  g_usleep (wait);
  flush (h, pushing);
  while ((buffer = gst_harness_try_pull (h)))
    gst_buffer_unref (buffer);

  push_segment (h);
  gst_harness_set_src_caps_str (h, SMALL);
  push_frames (h, 0, 3);
  end_with_frames (h, 0, 3);
  gst_harness_teardown (h);
}

GST_START_TEST (test_flush_within_a_batch) { check_flush (700000); }
GST_END_TEST;

GST_START_TEST (test_flush_at_the_start) { check_flush (0); }
GST_END_TEST;

/* After a flush the frames count from the start again. */
GST_START_TEST (test_flush_drops)
{
  GstHarness *h = harness_new ("batch-size=5", "", SMALL);

  push_frames (h, 0, 3);
  push_flush (h);
  push_frames (h, 5, 7);
  end_with_frames (h, 5, 7);
  gst_harness_teardown (h);
}
GST_END_TEST;

GST_START_TEST (test_downstream_eos)
{
  GstHarness *h = harness_new ("batch-size=5", "! identity eos-after=3", SMALL);

  fail_unless_equals_int (GPOINTER_TO_INT (push_until_stopped (h)),
                          GST_FLOW_EOS);
  fail_unless_equals_int (gst_harness_push (h, frame_new (h, 0)), GST_FLOW_EOS);
  push_eos (h);
  expect_frames (h, 0, 2); /* it stops with the third */
  expect_nothing (h);
  gst_harness_teardown (h);
}
GST_END_TEST;

GST_START_TEST (test_downstream_error)
{
  GstBus *bus = gst_bus_new ();
  GstHarness *h = harness_new_on_bus (bus, "batch-size=5",
                                      "! identity error-after=3", SMALL);
  GstMessage *message;

  fail_unless_equals_int (GPOINTER_TO_INT (push_until_stopped (h)),
                          GST_FLOW_ERROR);
  message = wait_message (bus, GST_MESSAGE_ERROR);
  fail_unless (g_str_has_prefix (GST_MESSAGE_SRC_NAME (message), "identity"));
  gst_message_unref (message);
  harness_end (h, bus);
}
GST_END_TEST;

GST_START_TEST (test_qos_stays_here)
{
  GstHarness *h = harness_new ("", "", SMALL);
  GstEvent *event;

  while ((event = gst_harness_try_pull_upstream_event (h)))
    gst_event_unref (event);
  gst_harness_push_upstream_event (
      h, gst_event_new_qos (GST_QOS_TYPE_UNDERFLOW, 9.0, GST_SECOND, 0));
  fail_if (gst_harness_try_pull_upstream_event (h));
  gst_harness_push_upstream_event (
      h, gst_event_new_custom (GST_EVENT_CUSTOM_UPSTREAM,
                               gst_structure_new_empty ("test")));
  event = gst_harness_try_pull_upstream_event (h);
  fail_unless (event && GST_EVENT_TYPE (event) == GST_EVENT_CUSTOM_UPSTREAM);
  gst_event_unref (event);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* Two batches: one is collected while another is computed. */
GST_START_TEST (test_latency)
{
  GstBus *bus = gst_bus_new ();
  GstHarness *h = harness_new_on_bus (bus, "batch-size=5", "", SMALL);
  GstMessage *message;

  gst_harness_set_upstream_latency (h, 10 * GST_MSECOND);
  fail_unless_equals_uint64 (gst_harness_query_latency (h),
                             10 * GST_MSECOND + 10 * FRAME_DURATION);
  gst_harness_set_src_caps_str (h, CAPS_RATE ("RGB", 32, 32, "50/1"));
  message = wait_message (bus, GST_MESSAGE_LATENCY);
  gst_message_unref (message);
  fail_unless_equals_uint64 (gst_harness_query_latency (h),
                             10 * GST_MSECOND + 5 * FRAME_DURATION);
  harness_end (h, bus);
}
GST_END_TEST;

/* An open batch size is known with the plan, and holds until the next one. */
GST_START_TEST (test_latency_of_an_open_batch)
{
  GstBus *bus = gst_bus_new ();
  GstHarness *h = harness_new_on_bus (bus, "batch-size=0", "", SMALL);

  fail_unless_equals_uint64 (gst_harness_query_latency (h), 0);
  push_frames (h, 0, 1);
  gst_message_unref (wait_message (bus, GST_MESSAGE_LATENCY));
  fail_unless_equals_uint64 (gst_harness_query_latency (h),
                             2 * 21 * FRAME_DURATION);
  gst_harness_set_src_caps_str (h, CAPS_RATE ("RGB", 32, 32, "50/1"));
  fail_unless_equals_uint64 (gst_harness_query_latency (h),
                             2 * 21 * FRAME_DURATION);
  push_frames (h, 1, 2);
  gst_message_unref (wait_message (bus, GST_MESSAGE_LATENCY));
  fail_unless_equals_uint64 (gst_harness_query_latency (h),
                             21 * FRAME_DURATION);
  harness_end (h, bus);
}
GST_END_TEST;

GST_START_TEST (test_live_latency)
{
  GstHarness *h = harness_new ("batch-size=3", "", SMALL);
  GstQuery *query = gst_query_new_latency ();
  GstClockTime min, max;
  gboolean live;

  gst_harness_set_live (h, TRUE);
  fail_unless (gst_pad_peer_query (h->sinkpad, query));
  gst_query_parse_latency (query, &live, &min, &max);
  fail_unless (live);
  fail_unless_equals_uint64 (min, 6 * FRAME_DURATION);
  gst_query_unref (query);
  gst_harness_teardown (h);
}
GST_END_TEST;

static Suite *
seedvr2_events_suite (void)
{
  Suite *suite = suite_create ("seedvr2 events");
  TCase *tcase = tcase_create ("events");

  suite_add_tcase (suite, tcase);
  tcase_add_test (tcase, test_keep_their_place);
  tcase_add_test (tcase, test_out_of_band_is_not_held);
  tcase_add_test (tcase, test_drain);
  tcase_add_test (tcase, test_same_caps_do_not_drain);
  tcase_add_test (tcase, test_discont_closes_the_batch);
  tcase_add_test (tcase, test_flush_within_a_batch);
  tcase_add_test (tcase, test_flush_at_the_start);
  tcase_add_test (tcase, test_flush_drops);
  tcase_add_test (tcase, test_downstream_eos);
  tcase_add_test (tcase, test_downstream_error);
  tcase_add_test (tcase, test_qos_stays_here);
  tcase_add_test (tcase, test_latency);
  tcase_add_test (tcase, test_latency_of_an_open_batch);
  tcase_add_test (tcase, test_live_latency);
  return suite;
}

GST_CHECK_MAIN (seedvr2_events);
