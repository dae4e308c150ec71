/* Neighbours that misbehave: nothing hangs or crashes, and what can be finished
 * comes out. */
#include "element_test.h"

static void
restart (GstHarness *h, const gchar *caps)
{
  push_flush (h);
  gst_harness_set_src_caps_str (h, caps);
}

/* ---- upstream ---- */

GST_START_TEST (test_end_without_frames)
{
  GstHarness *h = harness_new ("batch-size=5", "", SMALL);
  GString *log = output_log_new (h);

  fail_unless (gst_harness_push_event (h, gst_event_new_eos ()));
  fail_unless_equals_string (log->str, "eos");
  gst_harness_push_event (h, gst_event_new_stream_start ("again"));
  g_string_truncate (log, 0);
  gst_harness_push_event (h, gst_event_new_segment_done (GST_FORMAT_TIME, 0));
  fail_unless_equals_string (log->str, "segment-done");
  g_string_free (log, TRUE);
  gst_harness_teardown (h);
}
GST_END_TEST;

GST_START_TEST (test_end_before_caps)
{
  GstHarness *h = harness_new_on_bus (NULL, "batch-size=5", "", NULL);

  gst_harness_push_event (h, gst_event_new_stream_start ("empty"));
  push_eos (h);
  expect_nothing (h);
  gst_harness_teardown (h);
}
GST_END_TEST;

GST_START_TEST (test_frame_before_caps)
{
  GstHarness *h = harness_new_on_bus (NULL, "batch-size=5", "", NULL);

  gst_harness_push_event (h, gst_event_new_stream_start ("no caps"));
  push_segment (h);
  fail_unless_equals_int (
      gst_harness_push (h, gst_buffer_new_allocate (NULL, 3072, NULL)),
      GST_FLOW_NOT_NEGOTIATED);
  expect_nothing (h);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* Empty, too short, with a meta that points behind its end. */
static GstBuffer *
bad_buffer (guint kind)
{
  gsize offset[GST_VIDEO_MAX_PLANES] = { 1 << 20 };
  gint stride[GST_VIDEO_MAX_PLANES] = { 96 };
  GstBuffer *buffer;

  if (kind == 0)
    return gst_buffer_new ();
  buffer = gst_buffer_new_allocate (NULL, kind == 1 ? 3071 : 3072, NULL);
  if (kind == 2)
    gst_buffer_add_video_meta_full (buffer, 0, GST_VIDEO_FORMAT_RGB, 32, 32, 1,
                                    offset, stride);
  return buffer;
}

GST_START_TEST (test_bad_buffer)
{
  GstBus *bus = gst_bus_new ();
  GstHarness *h = harness_new_on_bus (bus, "batch-size=5", "", SMALL);

  push_frames (h, 0, 7);
  for (guint i = 0; i < 3; i++)
    fail_unless_equals_int (gst_harness_push (h, bad_buffer ((guint)__i__)),
                            GST_FLOW_ERROR);
  gst_message_unref (wait_message (bus, GST_MESSAGE_ERROR));
  fail_if (gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR), "a second error");
  expect_frames (h, 0, 7);
  restart (h, SMALL);
  push_frames (h, 0, 6);
  end_with_frames (h, 0, 6);
  harness_end (h, bus);
}
GST_END_TEST;

/* Of an RGB frame of 32x32 in 3072 bytes: too small, of another format, with
 * rows that overlap, that end behind the memory, in another order. */
static const struct {
  GstVideoFormat format;
  guint width, height;
  gsize offset;
  gint stride;
} metas[] = {
  { GST_VIDEO_FORMAT_RGB, 16, 16, 0, 48 },
  { GST_VIDEO_FORMAT_GRAY8, 32, 32, 0, 32 },
  { GST_VIDEO_FORMAT_RGB, 32, 32, 0, 95 },
  { GST_VIDEO_FORMAT_RGB, 32, 32, 0, 97 },
  { GST_VIDEO_FORMAT_RGB, 32, 32, 1, 96 },
  { GST_VIDEO_FORMAT_RGB, 32, 32, 3071, 96 },
  { GST_VIDEO_FORMAT_RGB, 32, 32, 31 * 96, -96 },
  { GST_VIDEO_FORMAT_RGB, 32, 32, 0, 0 },
};

GST_START_TEST (test_bad_meta)
{
  GstBus *bus = gst_bus_new ();
  GstHarness *h = harness_new_on_bus (bus, "batch-size=5", "", SMALL);
  GstBuffer *buffer = frame_new (h, 2);
  gsize offset[GST_VIDEO_MAX_PLANES] = { metas[__i__].offset };
  gint stride[GST_VIDEO_MAX_PLANES] = { metas[__i__].stride };

  gst_buffer_add_video_meta_full (buffer, 0, metas[__i__].format,
                                  metas[__i__].width, metas[__i__].height, 1,
                                  offset, stride);
  push_frames (h, 0, 2);
  fail_unless_equals_int (gst_harness_push (h, buffer), GST_FLOW_ERROR);
  gst_message_unref (wait_message (bus, GST_MESSAGE_ERROR));
  expect_frames (h, 0, 2);
  harness_end (h, bus);
}
GST_END_TEST;

/* Padding at the right and at the bottom, as decoders have it. */
GST_START_TEST (test_larger_meta)
{
  GstHarness *h = harness_new ("batch-size=5", "", SMALL);

  for (guint i = 0; i < 6; i++) {
    GstBuffer *buffer = gst_buffer_new_allocate (NULL, 40 * 36 * 3, NULL);

    gst_buffer_memset (buffer, 0, (guint8)frame_level (i), 40 * 36 * 3);
    gst_buffer_add_video_meta (buffer, 0, GST_VIDEO_FORMAT_RGB, 40, 36);
    GST_BUFFER_PTS (buffer) = i * FRAME_DURATION;
    GST_BUFFER_DURATION (buffer) = FRAME_DURATION;
    GST_BUFFER_OFFSET (buffer) = i;
    fail_unless_equals_int (gst_harness_push (h, buffer), GST_FLOW_OK);
  }
  end_with_frames (h, 0, 6);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* With and without chroma of odd sizes. */
static const struct {
  const gchar *caps;
  gint width, height;
} odd[] = {
  { CAPS ("I420", 17, 19), 18, 20 },
  { CAPS ("NV12", 33, 16), 34, 16 },
  { CAPS ("RGB", 16, 31), 16, 32 },
};

GST_START_TEST (test_odd_sizes)
{
  GstHarness *h = harness_new ("batch-size=5 scale=1", "", odd[__i__].caps);
  GstVideoInfo info;

  push_frames (h, 0, 6);
  push_eos (h);
  info = output_info (h);
  fail_unless_equals_int (info.width, odd[__i__].width);
  fail_unless_equals_int (info.height, odd[__i__].height);
  expect_frames (h, 0, 6);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* An odd size that downstream insists on. */
GST_START_TEST (test_odd_output)
{
  GstHarness *h
      = harness_new ("batch-size=5", "! video/x-raw,width=35,height=37",
                     CAPS ("NV12", 17, 19));

  push_frames (h, 0, 6);
  end_with_frames (h, 0, 6);
  gst_harness_teardown (h);
}
GST_END_TEST;

GST_START_TEST (test_allocation_queries)
{
  static const gchar *const caps[]
      = { SMALL, CAPS ("RGB", 8, 8), "audio/x-raw", "ANY", "EMPTY", NULL };
  GstHarness *h = harness_new ("batch-size=5", "", SMALL);

  push_frames (h, 0, 3);
  for (guint i = 0; i < 2 * G_N_ELEMENTS (caps); i++) {
    GstCaps *asked = caps[i / 2] ? gst_caps_from_string (caps[i / 2]) : NULL;
    GstQuery *query = gst_query_new_allocation (asked, i % 2 == 1);

    gst_pad_peer_query (h->srcpad, query);
    fail_unless_equals_int (gst_query_get_n_allocation_pools (query), 0);
    gst_query_unref (query);
    gst_clear_caps (&asked);
  }
  push_frames (h, 3, 6);
  end_with_frames (h, 0, 6);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* ---- flushes ---- */

static GstEvent *
title (const gchar *text)
{
  return gst_event_new_tag (gst_tag_list_new (GST_TAG_TITLE, text, NULL));
}

/* A title in front of frames that are dropped holds for those that follow. */
GST_START_TEST (test_flush_keeps_tags)
{
  GstHarness *h = harness_new ("batch-size=9", "", SMALL);
  GString *log = output_log_new (h);
  GstEvent *event;
  GstTagList *tags;
  gchar *text = NULL;

  push_frames (h, 0, 2);
  gst_harness_push_event (h, title ("a film"));
  push_frames (h, 2, 3);
  fail_unless_equals_string (log->str, "");
  restart (h, SMALL);
  push_frames (h, 0, 1);
  end_with_frames (h, 0, 1);
  event = gst_pad_get_sticky_event (h->sinkpad, GST_EVENT_TAG, 0);
  fail_unless (event != NULL, "the tags are lost: %s", log->str);
  gst_event_parse_tag (event, &tags);
  fail_unless (gst_tag_list_get_string (tags, GST_TAG_TITLE, &text));
  fail_unless_equals_string (text, "a film");
  g_free (text);
  gst_event_unref (event);
  g_string_free (log, TRUE);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* A stop that nobody started, starts without stops, several at once. */
GST_START_TEST (test_odd_flushes)
{
  GstHarness *h = harness_new ("batch-size=5", "", SMALL);

  push_frames (h, 0, 3);
  gst_harness_push_event (h, gst_event_new_flush_stop (FALSE));
  restart (h, SMALL);
  push_frames (h, 0, 3);
  gst_harness_push_event (h, gst_event_new_flush_start ());
  gst_harness_push_event (h, gst_event_new_flush_start ());
  fail_unless_equals_int (gst_harness_push (h, frame_new (h, 3)),
                          GST_FLOW_FLUSHING);
  restart (h, SMALL);
  restart (h, SMALL);
  push_frames (h, 0, 6);
  end_with_frames (h, 0, 6);
  gst_harness_teardown (h);
}
GST_END_TEST;

static gpointer
end_stream (gpointer harness)
{
  push_eos (harness);
  return NULL;
}

/* The end of a stream waits for its frames, but not behind a flush. */
GST_START_TEST (test_flush_at_the_end)
{
  GstHarness *h = harness_new ("batch-size=13", "", SLOW);
  GThread *thread;
  Stopwatch watch;

  push_frames (h, 0, 10);
  thread = g_thread_new ("eos", end_stream, h);
  g_usleep (100000);
  watch = stopwatch_start ();
  gst_harness_push_event (h, gst_event_new_flush_start ());
  g_thread_join (thread);
  check_prompt (&watch, "a flush at the end");
  restart (h, SMALL);
  push_frames (h, 0, 6);
  end_with_frames (h, 0, 6);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* ---- downstream ---- */

/* What the n-th frame from now gets for an answer. */
typedef struct {
  gint after;
  GstFlowReturn answer;
} Answer;

static GstPadProbeReturn
give_answer (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  Answer *answer = data;

  (void)pad;
  if (answer->after-- > 0)
    return GST_PAD_PROBE_OK;
  gst_buffer_unref (GST_PAD_PROBE_INFO_BUFFER (info));
  GST_PAD_PROBE_INFO_FLOW_RETURN (info) = answer->answer;
  return GST_PAD_PROBE_HANDLED;
}

static const GstFlowReturn answers[]
    = { GST_FLOW_NOT_LINKED, GST_FLOW_EOS, GST_FLOW_ERROR,
        GST_FLOW_NOT_NEGOTIATED, GST_FLOW_FLUSHING };

/* It reaches upstream within the frames that may be held, and after a flush
 * all is well. */
GST_START_TEST (test_answers)
{
  GstHarness *h = harness_new ("batch-size=5", "", SMALL);
  GstFlowReturn ret = GST_FLOW_OK;
  Answer answer = { 3, answers[__i__] };
  gulong probe = gst_pad_add_probe (h->sinkpad, GST_PAD_PROBE_TYPE_BUFFER,
                                    give_answer, &answer, NULL);

  for (guint i = 0; i < 16 && ret == GST_FLOW_OK; i++)
    ret = gst_harness_push (h, frame_new (h, i));
  fail_unless_equals_int (ret, answers[__i__]);
  expect_frames (h, 0, 3);
  push_eos (h);
  expect_nothing (h);
  gst_pad_remove_probe (h->sinkpad, probe);
  gst_harness_push_event (h, gst_event_new_stream_start ("again"));
  restart (h, SMALL);
  push_frames (h, 0, 6);
  end_with_frames (h, 0, 6);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* Unlinked, the frames that go out are lost, one for each that comes in, and
 * none of those that are still held. */
GST_START_TEST (test_unlinked_and_linked_again)
{
  GstHarness *h = harness_new ("batch-size=5", "", SMALL);
  GstPad *pad = gst_pad_get_peer (h->sinkpad);
  GstBuffer *buffer;
  guint lost = 0, next = 0, i;

  gst_pad_unlink (pad, h->sinkpad);
  for (i = 0; i < 8; i++) {
    GstFlowReturn ret = gst_harness_push (h, frame_new (h, i));

    fail_unless (ret == GST_FLOW_OK || ret == GST_FLOW_NOT_LINKED);
    lost += ret == GST_FLOW_NOT_LINKED;
  }
  fail_unless_equals_int (gst_pad_link (pad, h->sinkpad), GST_PAD_LINK_OK);
  for (; i < 13; i++)
    fail_unless_equals_int (gst_harness_push (h, frame_new (h, i)),
                            GST_FLOW_OK);
  push_eos (h);
  for (next = lost; (buffer = gst_harness_try_pull (h)); next++) {
    fail_unless_equals_uint64 (GST_BUFFER_OFFSET (buffer), next);
    gst_buffer_unref (buffer);
  }
  fail_unless_equals_int (next, 13);
  gst_object_unref (pad);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* Nothing is linked when the stream ends. */
GST_START_TEST (test_end_while_unlinked)
{
  GstHarness *h = harness_new ("batch-size=9", "", SMALL);
  GstPad *pad = gst_pad_get_peer (h->sinkpad);

  push_frames (h, 0, 3);
  gst_pad_unlink (pad, h->sinkpad);
  push_eos (h);
  expect_nothing (h);
  gst_object_unref (pad);
  gst_harness_teardown (h);
}
GST_END_TEST;

static Suite *
seedvr2_hostile_suite (void)
{
  Suite *suite = suite_create ("seedvr2 hostile");
  TCase *tcase = tcase_create ("hostile");

  suite_add_tcase (suite, tcase);
  tcase_add_test (tcase, test_end_without_frames);
  tcase_add_test (tcase, test_end_before_caps);
  tcase_add_test (tcase, test_frame_before_caps);
  tcase_add_loop_test (tcase, test_bad_buffer, 0, 3);
  tcase_add_loop_test (tcase, test_bad_meta, 0, G_N_ELEMENTS (metas));
  tcase_add_test (tcase, test_larger_meta);
  tcase_add_loop_test (tcase, test_odd_sizes, 0, G_N_ELEMENTS (odd));
  tcase_add_test (tcase, test_odd_output);
  tcase_add_test (tcase, test_allocation_queries);
  tcase_add_test (tcase, test_flush_keeps_tags);
  tcase_add_test (tcase, test_odd_flushes);
  tcase_add_test (tcase, test_flush_at_the_end);
  tcase_add_loop_test (tcase, test_answers, 0, G_N_ELEMENTS (answers));
  tcase_add_test (tcase, test_unlinked_and_linked_again);
  tcase_add_test (tcase, test_end_while_unlinked);
  return suite;
}

GST_CHECK_MAIN (seedvr2_hostile);
