/* Kinds of streams: interlaced and mixed ones, rates that vary, missing times,
 * gaps, backwards. */
#include "element_test.h"

/* ---- interlacing ---- */

static void
expect_interlaced_error (GstBus *bus)
{
  expect_error (bus, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT, "deinterlace");
}

/* Also where downstream asks for progressive video, as encoders do. */
GST_START_TEST (test_interlaced)
{
  static const gchar *const modes[] = { "interleaved", "fields" };
  GstBus *bus = gst_bus_new ();
  GstHarness *h = harness_new_on_bus (bus, "", "", NULL);
  gchar *caps = g_strdup_printf ("%s,interlace-mode=%s,field-order=%s", SMALL,
                                 modes[__i__], "top-field-first");

  gst_harness_set_sink_caps_str (h, "video/x-raw,interlace-mode=progressive");
  gst_harness_set_src_caps_str (h, caps);
  expect_interlaced_error (bus);
  g_free (caps);
  harness_end (h, bus);
}
GST_END_TEST;

#define FIELD_FLAGS                                                            \
  (GST_VIDEO_BUFFER_FLAG_INTERLACED | GST_VIDEO_BUFFER_FLAG_TFF                \
   | GST_VIDEO_BUFFER_FLAG_RFF | GST_VIDEO_BUFFER_FLAG_ONEFIELD)

static GstHarness *
mixed_harness (GstBus *bus, const gchar *downstream)
{
  GstHarness *h = harness_new_on_bus (bus, "batch-size=5", "", NULL);

  gst_harness_set_sink_caps_str (h, downstream);
  gst_harness_set_src_caps_str (h, SMALL
                                ",interlace-mode=mixed,field-order=unknown");
  return h;
}

/* What is progressive goes out as progressive video. */
GST_START_TEST (test_progressive_frames_of_a_mixed_stream)
{
  static const gchar *const downstream[]
      = { "video/x-raw", "video/x-raw,interlace-mode=progressive" };
  GstBus *bus = gst_bus_new ();
  GstHarness *h = mixed_harness (bus, downstream[__i__]);
  GstCaps *caps;

  for (guint i = 0; i < 7; i++) {
    GstBuffer *buffer = frame_new (h, i);

    GST_BUFFER_FLAG_SET (buffer,
                         GST_VIDEO_BUFFER_FLAG_TFF | GST_VIDEO_BUFFER_FLAG_RFF);
    fail_unless_equals_int (gst_harness_push (h, buffer), GST_FLOW_OK);
  }
  push_eos (h);
  caps = gst_pad_get_current_caps (h->sinkpad);
  fail_unless_equals_string (
      gst_structure_get_string (gst_caps_get_structure (caps, 0),
                                "interlace-mode"),
      "progressive");
  fail_if (gst_structure_has_field (gst_caps_get_structure (caps, 0),
                                    "field-order"));
  gst_caps_unref (caps);
  for (guint i = 0; i < 7; i++) {
    GstBuffer *buffer = gst_harness_pull (h);

    fail_unless_equals_uint64 (GST_BUFFER_PTS (buffer), i * FRAME_DURATION);
    fail_unless_equals_int_hex (GST_BUFFER_FLAGS (buffer) & FIELD_FLAGS, 0);
    gst_buffer_unref (buffer);
  }
  fail_if (gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR));
  harness_end (h, bus);
}
GST_END_TEST;

/* The first interlaced one is an error; those in front of it are not lost. */
GST_START_TEST (test_interlaced_frame_of_a_mixed_stream)
{
  GstBus *bus = gst_bus_new ();
  GstHarness *h = mixed_harness (bus, "video/x-raw");

  push_frames (h, 0, 3);
  for (guint i = 3; i < 5; i++) {
    GstBuffer *buffer = frame_new (h, i);

    GST_BUFFER_FLAG_SET (buffer, GST_VIDEO_BUFFER_FLAG_INTERLACED);
    fail_unless_equals_int (gst_harness_push (h, buffer), GST_FLOW_ERROR);
  }
  expect_interlaced_error (bus);
  expect_frames (h, 0, 3);
  expect_nothing (h);
  harness_end (h, bus);
}
GST_END_TEST;

/* Interlaced caps are possible on the sink pad, so that they can be told of. */
GST_START_TEST (test_caps_of_mixed_streams)
{
  GstHarness *h = gst_harness_new ("seedvr2upscale");
  GstCaps *in = gst_caps_from_string (SMALL ",interlace-mode=mixed");
  GstCaps *got;
  GstPad *pad = gst_element_get_static_pad (h->element, "sink");

  gst_harness_set_sink_caps_str (h, "video/x-raw,interlace-mode=progressive");
  got = gst_pad_query_caps (pad, NULL);
  fail_unless (gst_caps_can_intersect (got, in));
  gst_caps_unref (got);
  gst_caps_unref (in);
  gst_object_unref (pad);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* ---- times ---- */

typedef struct {
  GstClockTime pts, dts, duration; /* milliseconds, or NONE */
} Times;

#define NONE GST_CLOCK_TIME_NONE

static GstClockTime
from_ms (GstClockTime ms)
{
  return ms == NONE ? NONE : ms * GST_MSECOND;
}

/* Every frame keeps its times, whatever they are. */
static void
check_times (const gchar *caps, const Times *times, guint count)
{
  GstHarness *h = harness_new ("batch-size=5", "", caps);

  for (guint i = 0; i < count; i++) {
    GstBuffer *buffer = frame_new (h, i);

    GST_BUFFER_PTS (buffer) = from_ms (times[i].pts);
    GST_BUFFER_DTS (buffer) = from_ms (times[i].dts);
    GST_BUFFER_DURATION (buffer) = from_ms (times[i].duration);
    fail_unless_equals_int (gst_harness_push (h, buffer), GST_FLOW_OK);
  }
  push_eos (h);
  for (guint i = 0; i < count; i++) {
    GstBuffer *buffer = gst_harness_pull (h);

    fail_unless (buffer != NULL);
    fail_unless_equals_uint64 (GST_BUFFER_PTS (buffer), from_ms (times[i].pts));
    fail_unless_equals_uint64 (GST_BUFFER_DTS (buffer), from_ms (times[i].dts));
    fail_unless_equals_uint64 (GST_BUFFER_DURATION (buffer),
                               from_ms (times[i].duration));
    fail_unless_equals_uint64 (GST_BUFFER_OFFSET (buffer), i);
    gst_buffer_unref (buffer);
  }
  expect_nothing (h);
  gst_harness_teardown (h);
}

GST_START_TEST (test_variable_rate)
{
  static const Times times[]
      = { { 0, NONE, 20 },   { 20, NONE, 400 },    { 420, NONE, 1 },
          { 421, NONE, 19 }, { 3000, NONE, NONE }, { 3001, NONE, 7 } };

  check_times (CAPS_RATE ("RGB", 32, 32, "0/1") ",max-framerate=50/1", times,
               G_N_ELEMENTS (times));
}
GST_END_TEST;

GST_START_TEST (test_missing_times)
{
  static const Times times[] = {
    { NONE, NONE, NONE }, { 40, NONE, NONE }, { NONE, 80, 40 },
    { 120, 110, 40 },     { 120, NONE, 0 },   { 80, NONE, 40 },
    { NONE, NONE, 40 },
  };

  check_times (SMALL, times, G_N_ELEMENTS (times));
}
GST_END_TEST;

/* Counted at the highest rate; where there is none nothing is known. */
GST_START_TEST (test_latency_of_a_variable_rate)
{
  GstHarness *h
      = harness_new ("batch-size=5", "",
                     CAPS_RATE ("RGB", 32, 32, "0/1") ",max-framerate=50/1");

  gst_harness_set_upstream_latency (h, 10 * GST_MSECOND);
  fail_unless_equals_uint64 (gst_harness_query_latency (h),
                             10 * GST_MSECOND + 10 * GST_SECOND / 50);
  gst_harness_set_src_caps_str (h, CAPS_RATE ("RGB", 32, 32, "0/1"));
  fail_unless_equals_uint64 (gst_harness_query_latency (h), 10 * GST_MSECOND);
  gst_harness_teardown (h);
}
GST_END_TEST;

static GstPadProbeReturn
note_gap (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  GString *log = data;

  (void)pad;
  if (GST_PAD_PROBE_INFO_TYPE (info) & GST_PAD_PROBE_TYPE_BUFFER) {
    g_string_append (log, "frame ");
  } else if (GST_EVENT_TYPE (info->data) == GST_EVENT_GAP) {
    GstClockTime start, duration;

    gst_event_parse_gap (info->data, &start, &duration);
    g_string_append_printf (log, "%d+%d ", (gint)(start / GST_MSECOND),
                            (gint)(duration / GST_MSECOND));
  }
  return GST_PAD_PROBE_OK;
}

/* Where frames are missing, also within a batch and in front of all. */
GST_START_TEST (test_gaps)
{
  GstHarness *h = harness_new ("batch-size=5", "", SMALL);
  GString *log = g_string_new (NULL);

  gst_pad_add_probe (h->sinkpad,
                     GST_PAD_PROBE_TYPE_BUFFER
                         | GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM,
                     note_gap, log, NULL);
  gst_harness_push_event (h, gst_event_new_gap (0, 40 * GST_MSECOND));
  push_frames (h, 1, 3);
  gst_harness_push_event (
      h, gst_event_new_gap (120 * GST_MSECOND, 200 * GST_MSECOND));
  push_frames (h, 8, 9);
  gst_harness_push_event (
      h, gst_event_new_gap (360 * GST_MSECOND, 40 * GST_MSECOND));
  push_eos (h);
  fail_unless_equals_string (log->str,
                             "0+40 frame frame 120+200 frame 360+40 ");
  g_string_free (log, TRUE);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* In order of arrival, with the times of the film. */
GST_START_TEST (test_backwards)
{
  GstHarness *h = harness_new ("batch-size=5", "", SMALL);
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  segment.rate = -1.0;
  segment.stop = segment.position = 12 * FRAME_DURATION;
  gst_harness_push_event (h, gst_event_new_segment (&segment));
  for (guint i = 12; i-- > 0;)
    push_frames (h, i, i + 1);
  push_eos (h);
  for (guint i = 12; i-- > 0;)
    expect_frames (h, i, i + 1);
  expect_nothing (h);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* A frame has a time even where its segment counts bytes. */
GST_START_TEST (test_segment_in_bytes)
{
  GstHarness *h = harness_new ("batch-size=5", "", SMALL);
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_BYTES);
  gst_harness_push_event (h, gst_event_new_segment (&segment));
  push_frames (h, 0, 7);
  end_with_frames (h, 0, 7);
  gst_harness_teardown (h);
}
GST_END_TEST;

static Suite *
seedvr2_streams_suite (void)
{
  Suite *suite = suite_create ("seedvr2 streams");
  TCase *tcase = tcase_create ("streams");

  suite_add_tcase (suite, tcase);
  tcase_add_loop_test (tcase, test_interlaced, 0, 2);
  tcase_add_loop_test (tcase, test_progressive_frames_of_a_mixed_stream, 0, 2);
  tcase_add_test (tcase, test_interlaced_frame_of_a_mixed_stream);
  tcase_add_test (tcase, test_caps_of_mixed_streams);
  tcase_add_test (tcase, test_variable_rate);
  tcase_add_test (tcase, test_missing_times);
  tcase_add_test (tcase, test_latency_of_a_variable_rate);
  tcase_add_test (tcase, test_gaps);
  tcase_add_test (tcase, test_backwards);
  tcase_add_test (tcase, test_segment_in_bytes);
  return suite;
}

GST_CHECK_MAIN (seedvr2_streams);
