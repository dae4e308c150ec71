/* Live sources: what is told when they are faster than we are. */
#include "element_test.h"

#include "gstseedvr2speed.h"

/* ---- the rule by itself ---- */

typedef struct {
  GstElement *element;
  GstBus *bus;
  GstSeedVR2Speed speed;
} Watch;

static void
watch_open (Watch *watch, gboolean live, gint fps)
{
  watch->element = gst_object_ref_sink (gst_bin_new ("element"));
  watch->bus = gst_bus_new ();
  gst_element_set_bus (watch->element, watch->bus);
  gst_seedvr2_speed_init (&watch->speed);
  gst_seedvr2_speed_start (&watch->speed);
  gst_seedvr2_speed_set_live (&watch->speed, live);
  gst_seedvr2_speed_set_rate (&watch->speed, fps, 1);
}

static void
watch_close (Watch *watch)
{
  gst_seedvr2_speed_clear (&watch->speed);
  gst_element_set_bus (watch->element, NULL);
  gst_object_unref (watch->bus);
  gst_object_unref (watch->element);
}

/* A batch from frame `first` at `at` milliseconds that took `ms`. */
static void
batch (Watch *watch, guint64 first, guint at, guint ms)
{
  GstSeedVR2BatchSpeed done = { first, ms * GST_MSECOND, at * GST_MSECOND };

  gst_seedvr2_speed_batch (&watch->speed, watch->element, &done);
}

static guint
warnings (Watch *watch)
{
  GstMessage *message;
  guint n = 0;

  while ((message = gst_bus_pop_filtered (watch->bus, GST_MESSAGE_WARNING))) {
    gst_message_unref (message);
    n++;
  }
  return n;
}

/* 5 frames of 40 ms a batch: the slow ones are 2 and 3, known with 4. */
GST_START_TEST (test_two_slow_batches_warn_once)
{
  Watch watch;
  GstMessage *message;
  const GstStructure *details;
  GError *error = NULL;
  gdouble made, wanted;

  watch_open (&watch, TRUE, 25);
  batch (&watch, 0, 0, 900); /* the first one sets up */
  batch (&watch, 5, 200, 250);
  batch (&watch, 10, 400, 250);
  fail_unless_equals_int (warnings (&watch), 0);
  batch (&watch, 15, 600, 250);
  message = gst_bus_pop_filtered (watch.bus, GST_MESSAGE_WARNING);
  fail_unless (message != NULL);
  gst_message_parse_warning (message, &error, NULL);
  fail_unless (g_error_matches (error, GST_CORE_ERROR, GST_CORE_ERROR_CLOCK));
  fail_unless (strstr (error->message, "gives 25 frames") != NULL, "%s",
               error->message);
  fail_unless (strstr (error->message, "only 20 can") != NULL);
  fail_unless (strstr (error->message, "videorate") != NULL);
  gst_message_parse_warning_details (message, &details);
  fail_unless (gst_structure_get (details, "frames-per-second", G_TYPE_DOUBLE,
                                  &made, "frames-per-second-wanted",
                                  G_TYPE_DOUBLE, &wanted, NULL));
  fail_unless_equals_float (made, 20.0);
  fail_unless_equals_float (wanted, 25.0);
  g_error_free (error);
  gst_message_unref (message);
  batch (&watch, 20, 800, 250);
  batch (&watch, 25, 1000, 250);
  batch (&watch, 30, 1200, 250);
  fail_unless_equals_int (warnings (&watch), 0);
  watch_close (&watch);
}
GST_END_TEST;

/* Whoever restarts is told again. */
GST_START_TEST (test_a_start_may_warn_again)
{
  Watch watch;

  watch_open (&watch, TRUE, 25);
  for (guint i = 0; i < 8; i++)
    batch (&watch, 5 * i, 200 * i, 250);
  fail_unless_equals_int (warnings (&watch), 1);
  gst_seedvr2_speed_start (&watch.speed);
  gst_seedvr2_speed_set_live (&watch.speed, TRUE);
  gst_seedvr2_speed_set_rate (&watch.speed, 25, 1);
  for (guint i = 0; i < 8; i++)
    batch (&watch, 5 * i, 200 * i, 250);
  fail_unless_equals_int (warnings (&watch), 1);
  watch_close (&watch);
}
GST_END_TEST;

static const struct {
  const gchar *what;
  gboolean live;
  gint fps;
  guint step,
      times[7]; /* milliseconds between batches of 5 frames, and taken */
  guint want;
} cases[] = {
  { "keeps up", TRUE, 25, 200, { 900, 199, 199, 199, 199, 199, 199 }, 0 },
  { "a file", FALSE, 25, 200, { 250, 250, 250, 250, 250, 250, 250 }, 0 },
  { "hiccups", TRUE, 25, 200, { 900, 250, 150, 250, 150, 250, 150 }, 0 },
  { "the source drops",
    TRUE,
    25,
    260,
    { 250, 250, 250, 250, 250, 250, 250 },
    1 },
  { "the source is slow",
    TRUE,
    25,
    800,
    { 250, 250, 250, 250, 250, 250, 250 },
    0 },
  { "no rate, too slow",
    TRUE,
    0,
    200,
    { 250, 250, 250, 250, 250, 250, 250 },
    1 },
  { "no rate, keeps up",
    TRUE,
    0,
    260,
    { 250, 250, 250, 250, 250, 250, 250 },
    0 },
};

GST_START_TEST (test_rule)
{
  Watch watch;
  guint got;

  watch_open (&watch, cases[__i__].live, cases[__i__].fps);
  for (guint i = 0; i < G_N_ELEMENTS (cases[__i__].times); i++)
    batch (&watch, 5 * i, cases[__i__].step * i, cases[__i__].times[i]);
  got = warnings (&watch);
  fail_unless (got == cases[__i__].want, "%s: %u warnings", cases[__i__].what,
               got);
  watch_close (&watch);
}
GST_END_TEST;

/* Numbers that go back or times that are unknown say nothing. */
GST_START_TEST (test_breaks)
{
  Watch watch;
  GstSeedVR2BatchSpeed timeless = { 0, 250 * GST_MSECOND, GST_CLOCK_TIME_NONE };

  watch_open (&watch, TRUE, 25);
  for (guint i = 0; i < 8; i++)
    batch (&watch, 0, 0, 250); /* flushes */
  fail_unless_equals_int (warnings (&watch), 0);
  gst_seedvr2_speed_set_rate (&watch.speed, 0, 1);
  for (guint i = 0; i < 8; i++, timeless.first_frame += 5)
    gst_seedvr2_speed_batch (&watch.speed, watch.element, &timeless);
  fail_unless_equals_int (warnings (&watch), 0);
  /* new caps begin anew */
  for (guint i = 0; i < 8; i++) {
    gst_seedvr2_speed_set_rate (&watch.speed, 25, 1);
    batch (&watch, 5 * i, 200 * i, 250);
    batch (&watch, 5 * i + 5, 200 * i + 200, 250);
    batch (&watch, 5 * i + 10, 200 * i + 400, 250);
  }
  fail_unless_equals_int (warnings (&watch), 0);
  watch_close (&watch);
}
GST_END_TEST;

/* ---- through the element ---- */

/* No machine makes 100,000 frames a second, and all make one in 100 s. */
static const struct {
  gboolean live;
  const gchar *caps;
  guint want;
} elements[] = {
  { TRUE, CAPS_RATE ("RGB", 32, 32, "100000/1"), 1 },
  { FALSE, CAPS_RATE ("RGB", 32, 32, "100000/1"), 0 },
  { TRUE, CAPS_RATE ("RGB", 32, 32, "1/100"), 0 },
  /* only the highest rate is known, and frames come at one in 100 s */
  { TRUE, CAPS_RATE ("RGB", 32, 32, "0/1") ",max-framerate=100000/1", 0 },
};

GST_START_TEST (test_element)
{
  GstBus *bus = gst_bus_new ();
  GstHarness *h = harness_new_on_bus (bus, "batch-size=1 color-correction=none",
                                      "", NULL);
  GstMessage *message;
  GstVideoInfo info;
  GstCaps *caps = gst_caps_from_string (elements[__i__].caps);
  guint n = 0;

  fail_unless (gst_video_info_from_caps (&info, caps));
  gst_caps_unref (caps);
  gst_harness_set_live (h, elements[__i__].live);
  gst_harness_set_src_caps_str (h, elements[__i__].caps);
  gst_harness_query_latency (h);
  for (guint i = 0; i < 8; i++) {
    GstBuffer *buffer = frame_new (h, i);

    GST_BUFFER_PTS (buffer)
        = (info.flags & GST_VIDEO_FLAG_VARIABLE_FPS)
              ? 100 * GST_SECOND * i
              : gst_util_uint64_scale (i, GST_SECOND * (guint64)info.fps_d,
                                       (guint64)info.fps_n);
    GST_BUFFER_DURATION (buffer) = GST_CLOCK_TIME_NONE;
    fail_unless_equals_int (gst_harness_push (h, buffer), GST_FLOW_OK);
  }
  push_eos (h);
  while ((message = gst_bus_pop_filtered (bus, GST_MESSAGE_WARNING))) {
    fail_unless (GST_MESSAGE_SRC (message) == GST_OBJECT (h->element));
    gst_message_unref (message);
    n++;
  }
  fail_unless_equals_int (n, elements[__i__].want);
  harness_end (h, bus);
}
GST_END_TEST;

/* A pipeline is live from end to end, and its sink waits for two batches. */
GST_START_TEST (test_pipeline)
{
  GstElement *pipeline = gst_parse_launch (
      "videotestsrc is-live=true ! " SMALL
      " ! seedvr2upscale backend=cpu batch-size=1 ! fakesink sync=true",
      NULL);
  GstQuery *query = gst_query_new_latency ();
  GstClockTime min;
  gboolean live;

  fail_unless_equals_int (gst_element_set_state (pipeline, GST_STATE_PAUSED),
                          GST_STATE_CHANGE_NO_PREROLL);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  fail_unless_equals_int (
      gst_element_get_state (pipeline, NULL, NULL, 60 * GST_SECOND),
      GST_STATE_CHANGE_SUCCESS);
  fail_unless (gst_element_query (pipeline, query));
  gst_query_parse_latency (query, &live, &min, NULL);
  fail_unless (live);
  fail_unless (min >= 2 * FRAME_DURATION);
  gst_query_unref (query);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (pipeline);
}
GST_END_TEST;

static Suite *
seedvr2_live_suite (void)
{
  Suite *suite = suite_create ("seedvr2 live");
  TCase *tcase = tcase_create ("live");

  suite_add_tcase (suite, tcase);
  tcase_add_test (tcase, test_two_slow_batches_warn_once);
  tcase_add_test (tcase, test_a_start_may_warn_again);
  tcase_add_loop_test (tcase, test_rule, 0, G_N_ELEMENTS (cases));
  tcase_add_test (tcase, test_breaks);
  tcase_add_loop_test (tcase, test_element, 0, G_N_ELEMENTS (elements));
  tcase_add_test (tcase, test_pipeline);
  return suite;
}

GST_CHECK_MAIN (seedvr2_live);
