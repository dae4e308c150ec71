/* Element messages and statistics. */
#include "element_test.h"

/* The next element message `name`.  (transfer full) */
static GstMessage *
next_message (GstBus *bus, const gchar *name)
{
  for (;;) {
    GstMessage *message = wait_message (bus, GST_MESSAGE_ELEMENT);

    if (gst_message_has_name (message, name))
      return message;
    gst_message_unref (message);
  }
}

static guint64
number (const GstStructure *s, const gchar *field)
{
  guint64 value = 0;

  fail_unless (gst_structure_get_uint64 (s, field, &value), "no %s", field);
  return value;
}

GST_START_TEST (test_model_and_plan)
{
  GstBus *bus = gst_bus_new ();
  GstHarness *h = harness_new_on_bus (bus, "batch-size=5", "", SMALL);
  GstMessage *message;
  const GstStructure *s;
  gint width, height, batch;
  guint64 weights;

  push_frames (h, 0, 1);
  message = next_message (bus, "seedvr2-model");
  s = gst_message_get_structure (message);
  fail_unless (g_str_has_suffix (gst_structure_get_string (s, "model"),
                                 "nano_dit.safetensors"));
  fail_unless (g_str_has_suffix (gst_structure_get_string (s, "vae-model"),
                                 "nano_vae.safetensors"));
  weights = number (s, "bytes");
  fail_unless (weights > 0);
  gst_message_unref (message);

  message = next_message (bus, "seedvr2-plan");
  s = gst_message_get_structure (message);
  fail_unless (gst_structure_get (s, "width", G_TYPE_INT, &width, "height",
                                  G_TYPE_INT, &height, "batch-size", G_TYPE_INT,
                                  &batch, NULL));
  fail_unless (width == 64 && height == 64 && batch == 5);
  fail_unless (number (s, "planned-weights") == weights);
  fail_unless_equals_uint64 (number (s, "predicted-peak"),
                             number (s, "vram-used"));
  gst_message_unref (message);
  harness_end (h, bus);
}
GST_END_TEST;

static void
check_batch (GstBus *bus, guint64 begin, guint64 frames, guint64 padded)
{
  GstMessage *message = next_message (bus, "seedvr2-batch");
  const GstStructure *s = gst_message_get_structure (message);
  gdouble fps;

  fail_unless_equals_uint64 (number (s, "first-frame"), begin);
  fail_unless_equals_uint64 (number (s, "frames"), frames);
  fail_unless_equals_uint64 (number (s, "padded"), padded);
  fail_unless_equals_uint64 (number (s, "timestamp"), begin * FRAME_DURATION);
  fail_unless_equals_uint64 (number (s, "stream-time"), begin * FRAME_DURATION);
  fail_unless_equals_uint64 (number (s, "running-time"),
                             begin * FRAME_DURATION);
  fail_unless_equals_uint64 (number (s, "duration"), frames * FRAME_DURATION);
  fail_unless_equals_uint64 (number (s, "time-total"),
                             number (s, "time-encode") + number (s, "time-dit")
                                 + number (s, "time-decode")
                                 + number (s, "time-finish"));
  fail_unless (number (s, "time-total") > 0);
  fail_unless (gst_structure_get_double (s, "fps", &fps) && fps > 0.0);
  fail_unless (number (s, "vram-peak") >= number (s, "vram-used"));
  gst_message_unref (message);
}

GST_START_TEST (test_batches)
{
  GstBus *bus = gst_bus_new ();
  GstHarness *h = harness_new_on_bus (bus, "batch-size=5", "", SMALL);

  push_frames (h, 0, 12);
  push_eos (h);
  check_batch (bus, 0, 5, 0);
  check_batch (bus, 5, 5, 0);
  check_batch (bus, 10, 2, 3);
  harness_end (h, bus);
}
GST_END_TEST;

/* Numbers that fit together; `idle` is what is in use behind every batch, 0
 * before the first one. */
static void
check_memory (const GstStructure *s, guint64 *idle)
{
  guint64 in_use = number (s, "vram-in-use");
  guint64 kept = number (s, "vram-used") - number (s, "vram-scratch");

  fail_unless (in_use <= number (s, "vram-high-water"));
  fail_unless (number (s, "vram-high-water") <= number (s, "vram-planned"));
  fail_unless_equals_uint64 (number (s, "vram-used"),
                             number (s, "vram-planned"));
  if (g_str_equal (gst_structure_get_string (s, "phase"), "batch")) {
    /* nothing of it is left */
    *idle = *idle ? *idle : in_use;
    fail_unless_equals_uint64 (in_use, *idle);
    fail_unless_equals_uint64 (in_use, kept);
  } else {
    fail_unless (in_use > kept);
  }
}

/* The points of a batch come in order. */
GST_START_TEST (test_memory)
{
  static const gchar *const phases[]
      = { "encode", "step-begin", "positive", "step-end", "decode", "batch" };
  GstBus *bus = gst_bus_new ();
  GstHarness *h = harness_new_on_bus (bus, "batch-size=5", "", SMALL);
  guint64 idle = 0;

  push_frames (h, 0, 10);
  push_eos (h);
  for (guint i = 0; i < 2 * G_N_ELEMENTS (phases); i++) {
    GstMessage *message = next_message (bus, "seedvr2-memory");
    const GstStructure *s = gst_message_get_structure (message);
    gint step = -1;

    fail_unless_equals_string (gst_structure_get_string (s, "phase"),
                               phases[i % G_N_ELEMENTS (phases)]);
    fail_unless_equals_uint64 (number (s, "batch"), i / G_N_ELEMENTS (phases));
    fail_unless (gst_structure_get_int (s, "step", &step));
    check_memory (s, &idle);
    gst_message_unref (message);
  }
  harness_end (h, bus);
}
GST_END_TEST;

GST_START_TEST (test_summary)
{
  GstBus *bus = gst_bus_new ();
  GstHarness *h = harness_new_on_bus (bus, "batch-size=5", "", SMALL);
  GstMessage *message;
  const GstStructure *s;

  push_frames (h, 0, 7);
  push_eos (h);
  message = next_message (bus, "seedvr2-summary");
  s = gst_message_get_structure (message);
  fail_unless_equals_uint64 (number (s, "frames"), 7);
  fail_unless_equals_uint64 (number (s, "batches"), 2);
  fail_unless_equals_uint64 (number (s, "vram-peak"),
                             number (s, "vram-planned"));
  fail_unless_equals_uint64 (
      MAX (number (s, "vram-peak-decode"), number (s, "vram-peak-encode")),
      number (s, "vram-peak"));
  fail_unless (number (s, "vram-peak-dit") > 0);
  gst_message_unref (message);
  harness_end (h, bus);
}
GST_END_TEST;

/* Frames without times leave the fields open. */
GST_START_TEST (test_batch_without_times)
{
  GstBus *bus = gst_bus_new ();
  GstHarness *h = harness_new_on_bus (bus, "batch-size=1", "", SMALL);
  GstBuffer *buffer = frame_new (h, 0);
  GstMessage *message;
  const GstStructure *s;

  GST_BUFFER_PTS (buffer) = GST_CLOCK_TIME_NONE;
  GST_BUFFER_DURATION (buffer) = GST_CLOCK_TIME_NONE;
  fail_unless_equals_int (gst_harness_push (h, buffer), GST_FLOW_OK);
  push_eos (h);
  message = next_message (bus, "seedvr2-batch");
  s = gst_message_get_structure (message);
  fail_unless_equals_uint64 (number (s, "timestamp"), GST_CLOCK_TIME_NONE);
  fail_unless_equals_uint64 (number (s, "running-time"), GST_CLOCK_TIME_NONE);
  fail_unless_equals_uint64 (number (s, "duration"), GST_CLOCK_TIME_NONE);
  gst_message_unref (message);
  harness_end (h, bus);
}
GST_END_TEST;

GST_START_TEST (test_no_messages)
{
  GstBus *bus = gst_bus_new ();
  GstHarness *h
      = harness_new_on_bus (bus, "batch-size=1 post-messages=false", "", SMALL);

  push_frames (h, 0, 2);
  end_with_frames (h, 0, 2);
  gst_element_set_state (h->element, GST_STATE_NULL);
  fail_if (gst_bus_pop_filtered (bus, GST_MESSAGE_ELEMENT));
  harness_end (h, bus);
}
GST_END_TEST;

GST_START_TEST (test_stats)
{
  GstBus *bus = gst_bus_new ();
  GstHarness *h = harness_new_on_bus (bus, "batch-size=5", "", SMALL);
  GstStructure *stats;

  push_frames (h, 0, 7);
  push_eos (h);
  g_object_get (h->element, "stats", &stats, NULL);
  fail_unless (gst_structure_has_name (stats, "application/x-seedvr2-stats"));
  fail_unless_equals_string (gst_structure_get_string (stats, "backend"),
                             "cpu");
  fail_unless_equals_uint64 (number (stats, "frames-in"), 7);
  fail_unless_equals_uint64 (number (stats, "frames-out"), 7);
  fail_unless_equals_uint64 (number (stats, "batches"), 2);
  fail_unless (number (stats, "time-total")
               >= number (stats, "last-batch-time"));
  fail_unless (number (stats, "vram-weights") > 0);
  gst_structure_free (stats);

  gst_element_set_state (h->element, GST_STATE_NULL);
  g_object_get (h->element, "stats", &stats, NULL);
  fail_unless_equals_string (gst_structure_get_string (stats, "backend"),
                             "none");
  fail_unless_equals_uint64 (number (stats, "frames-in"), 0);
  gst_structure_free (stats);
  harness_end (h, bus);
}
GST_END_TEST;

/* Pushes `count` times the same picture. */
static void
push_still (GstHarness *h, guint count)
{
  for (guint i = 0; i < count; i++) {
    GstBuffer *buffer = frame_new (h, 3);

    GST_BUFFER_PTS (buffer) = i * FRAME_DURATION;
    fail_unless_equals_int (gst_harness_push (h, buffer), GST_FLOW_OK);
  }
}

/* The hash of what becomes of a still, and how many batches were reused. */
static gchar *
still_of (const gchar *properties, guint64 *hits)
{
  GstHarness *h = harness_new (properties, "", SMALL);
  GstStructure *stats;
  gchar *hash;

  push_still (h, 15);
  push_eos (h);
  g_object_get (h->element, "stats", &stats, NULL);
  *hits = number (stats, "cache-hits");
  fail_unless_equals_uint64 (number (stats, "batches"), 3);
  fail_unless_equals_uint64 (number (stats, "batches-computed"), 3 - *hits);
  gst_structure_free (stats);
  hash = hash_frames (h, 15);
  expect_nothing (h);
  gst_harness_teardown (h);
  return hash;
}

/* A still is computed once where the noise allows it. */
GST_START_TEST (test_cache_hits)
{
  guint64 hits;
  gchar *plain = still_of ("batch-size=5", &hits), *invariant;

  fail_unless_equals_uint64 (hits, 0);
  invariant = still_of ("batch-size=5 noise-time-invariant=true", &hits);
  fail_unless_equals_uint64 (hits, 2);
  /* the later batches have other noise */
  fail_if (g_str_equal (plain, invariant));
  g_free (plain);
  g_free (invariant);
}
GST_END_TEST;

/* A batch that is answered from the one before was not padded. */
GST_START_TEST (test_cached_batches)
{
  GstBus *bus = gst_bus_new ();
  GstHarness *h = harness_new_on_bus (
      bus, "batch-size=5 noise-time-invariant=true", "", SMALL);
  GstMessage *message;
  const GstStructure *s;

  push_still (h, 10);
  push_eos (h);
  check_batch (bus, 0, 5, 0);
  message = next_message (bus, "seedvr2-batch");
  s = gst_message_get_structure (message);
  fail_unless_equals_uint64 (number (s, "first-frame"), 5);
  fail_unless_equals_uint64 (number (s, "frames"), 5);
  fail_unless_equals_uint64 (number (s, "padded"), 0);
  gst_message_unref (message);
  harness_end (h, bus);
}
GST_END_TEST;

static GstBusSyncReply
read_stats (GstBus *bus, GstMessage *message, gpointer data)
{
  GstStructure *stats;
  gdouble scale;

  (void)bus;
  if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ELEMENT) {
    g_object_get (GST_MESSAGE_SRC (message), "stats", &stats, "scale", &scale,
                  NULL);
    g_object_set (GST_MESSAGE_SRC (message), "post-messages", TRUE, NULL);
    gst_structure_free (stats);
    g_atomic_int_inc ((gint *)data);
  }
  return GST_BUS_PASS;
}

/* A handler within the post may read and set properties. */
GST_START_TEST (test_synchronous_handler)
{
  GstBus *bus = gst_bus_new ();
  GstHarness *h = harness_new_on_bus (bus, "batch-size=1", "", SMALL);
  gint calls = 0;

  gst_bus_set_sync_handler (bus, read_stats, &calls, NULL);
  push_frames (h, 0, 3);
  end_with_frames (h, 0, 3);
  gst_element_set_state (h->element, GST_STATE_NULL);
  fail_unless (g_atomic_int_get (&calls) >= 6);
  gst_bus_set_sync_handler (bus, NULL, NULL, NULL);
  harness_end (h, bus);
}
GST_END_TEST;

static Suite *
seedvr2_messages_suite (void)
{
  Suite *suite = suite_create ("seedvr2 messages");
  TCase *tcase = tcase_create ("messages");

  suite_add_tcase (suite, tcase);
  tcase_add_test (tcase, test_model_and_plan);
  tcase_add_test (tcase, test_batches);
  tcase_add_test (tcase, test_memory);
  tcase_add_test (tcase, test_summary);
  tcase_add_test (tcase, test_batch_without_times);
  tcase_add_test (tcase, test_no_messages);
  tcase_add_test (tcase, test_stats);
  tcase_add_test (tcase, test_cache_hits);
  tcase_add_test (tcase, test_cached_batches);
  tcase_add_test (tcase, test_synchronous_handler);
  return suite;
}

GST_CHECK_MAIN (seedvr2_messages);
