/* Random sequences of buffers, events, caps, flushes, seeks, properties and
 * states, against a model of what must come out.
 *
 * A failure prints its seed and what was done.  SEEDVR2_RANDOM_SEED=N in the
 * environment repeats that one alone, aloud; SEEDVR2_RANDOM_SEQUENCES says how
 * many there are otherwise. */
#include "element_test.h"

#define SEQUENCES 200
#define TESTS 8
#define STEPS 16
typedef struct {
  guint id;
  gboolean is_frame; /* else an event that keeps its place, or EOS */
  gboolean is_tag;
  GstClockTime pts, duration;
  guint flags, segment;
  gint width, height;
} Item;

typedef struct {
  guint seed;
  GRand *random;
  GstHarness *h;
  GString *done; /* what was done */

  gint width, height; /* of the input caps */
  gdouble scale;
  guint next_id, segment;

  GMutex lock;    /* for what follows: a second thread may push */
  GQueue waiting; /* Item *, what must come out next */
  guint out_segment;
  guint last_tag, flushed_tag; /* pads may send these again */
  gchar *problem;              /* the first one */

  GCond over; /* the watchdog may go */
  gboolean is_over;
} Model;

/* ---- what comes out ---- */

#define KEPT_FLAGS                                                             \
  (GST_BUFFER_FLAG_DISCONT | GST_BUFFER_FLAG_MARKER | GST_BUFFER_FLAG_GAP      \
   | GST_BUFFER_FLAG_DELTA_UNIT | GST_BUFFER_FLAG_DROPPABLE)

/* Neighbours differ little, so that a frame shows which one it is. */
static guint
level_number (guint id)
{
  return id % 30 < 15 ? id % 30 : 30 - id % 30;
}

/* Called with the lock held. */
static void G_GNUC_PRINTF (2, 3)
    note_problem (Model *m, const gchar *format, ...)
{
  va_list args;

  if (m->problem)
    return;
  va_start (args, format);
  m->problem = g_strdup_vprintf (format, args);
  va_end (args);
}

static void
check_frame (Model *m, const Item *want, GstBuffer *buffer, GstPad *pad)
{
  GstCaps *caps = gst_pad_get_current_caps (pad);
  GstVideoInfo info;
  gdouble level;

  if (GST_BUFFER_PTS (buffer) != want->pts
      || GST_BUFFER_DURATION (buffer) != want->duration)
    note_problem (m, "frame %u has other times", want->id);
  if ((GST_BUFFER_FLAGS (buffer) & KEPT_FLAGS) != want->flags)
    note_problem (m, "frame %u has other flags", want->id);
  if (m->out_segment != want->segment)
    note_problem (m, "frame %u lies in segment %u instead of %u", want->id,
                  m->out_segment, want->segment);
  if (!caps || !gst_video_info_from_caps (&info, caps)
      || info.width != want->width || info.height != want->height
      || info.size != gst_buffer_get_size (buffer)) {
    note_problem (m, "frame %u has another size", want->id);
  } else {
    level = mean_level (buffer, &info);
    if (ABS (level - frame_level (level_number (want->id))) >= 6.0)
      note_problem (m, "frame %u has level %g", want->id, level);
  }
  gst_clear_caps (&caps);
}

static void
check_item (Model *m, gboolean is_frame, guint id, GstBuffer *buffer,
            GstPad *pad)
{
  Item *want = g_queue_pop_head (&m->waiting);

  if (!want)
    note_problem (m, "%s %u: nothing is due", is_frame ? "frame" : "event", id);
  else if (want->is_frame != is_frame || want->id != id)
    note_problem (m, "%s %u comes instead of %s %u",
                  is_frame ? "frame" : "event", id,
                  want->is_frame ? "frame" : "event", want->id);
  else if (is_frame)
    check_frame (m, want, buffer, pad);
  g_free (want);
}

static void
check_event (Model *m, GstEvent *event)
{
  const GstStructure *s = gst_event_get_structure (event);
  const GstSegment *segment;
  GstTagList *tags;
  GstClockTime start;
  guint id = 0;

  switch (GST_EVENT_TYPE (event)) {
  case GST_EVENT_SEGMENT:
    gst_event_parse_segment (event, &segment);
    m->out_segment = (guint)segment->base;
    return;
  case GST_EVENT_TAG:
    gst_event_parse_tag (event, &tags);
    fail_unless (gst_tag_list_get_uint (tags, GST_TAG_TRACK_NUMBER, &id));
    if (id == m->last_tag || id == m->flushed_tag) {
      m->last_tag = id;
      return;
    }
    m->last_tag = id;
    break;
  case GST_EVENT_GAP:
    gst_event_parse_gap (event, &start, NULL);
    id = (guint)start;
    break;
  case GST_EVENT_CUSTOM_DOWNSTREAM:
    gst_structure_get_uint (s, "id", &id);
    break;
  case GST_EVENT_SEGMENT_DONE:
  case GST_EVENT_EOS:
    break;
  default:
    return;
  }
  check_item (m, FALSE, id, NULL, NULL);
}

static GstPadProbeReturn
check_output (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  Model *m = data;
  GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER (info);

  g_mutex_lock (&m->lock);
  if (GST_PAD_PROBE_INFO_TYPE (info) & GST_PAD_PROBE_TYPE_BUFFER) {
    check_item (m, TRUE, (guint)GST_BUFFER_OFFSET (buffer), buffer, pad);
    g_mutex_unlock (&m->lock);
    return GST_PAD_PROBE_DROP;
  }
  check_event (m, GST_PAD_PROBE_INFO_EVENT (info));
  g_mutex_unlock (&m->lock);
  return GST_PAD_PROBE_OK;
}

/* ---- the model ---- */

static void
check (Model *m, gboolean ok, const gchar *what)
{
  gchar *problem;

  g_mutex_lock (&m->lock);
  problem = m->problem ? m->problem : ok ? NULL : g_strdup (what);
  g_mutex_unlock (&m->lock);
  fail_unless (problem == NULL, "SEEDVR2_RANDOM_SEED=%u: %s; done:%s", m->seed,
               problem, m->done->str);
}

static void say (Model *m, const gchar *format, ...) G_GNUC_PRINTF (2, 3);

static void
say (Model *m, const gchar *format, ...)
{
  va_list args;

  g_mutex_lock (&m->lock);
  g_string_append_c (m->done, ' ');
  va_start (args, format);
  g_string_append_vprintf (m->done, format, args);
  va_end (args);
  g_mutex_unlock (&m->lock);
  if (g_getenv ("SEEDVR2_RANDOM_SEED"))
    g_printerr ("%s\n", strrchr (m->done->str, ' '));
}

static void
expect (Model *m, const Item *item)
{
  g_mutex_lock (&m->lock);
  g_queue_push_tail (&m->waiting, g_memdup2 (item, sizeof *item));
  g_mutex_unlock (&m->lock);
}

static void
expect_all_out (Model *m)
{
  gboolean empty;

  g_mutex_lock (&m->lock);
  empty = g_queue_is_empty (&m->waiting);
  g_mutex_unlock (&m->lock);
  check (m, empty, "something is missing");
}

/* What is held was given up, but for tags, which hold for what follows. */
static void
forget_all (Model *m)
{
  Item *item;

  g_mutex_lock (&m->lock);
  while ((item = g_queue_pop_head (&m->waiting))) {
    if (item->is_tag)
      m->flushed_tag = item->id;
    g_free (item);
  }
  g_mutex_unlock (&m->lock);
}

static gint
pick (Model *m, gint count)
{
  return g_rand_int_range (m->random, 0, count);
}

/* ---- frames ---- */

static GstBuffer *
next_frame (Model *m, gboolean discont)
{
  static const guint flags[]
      = { 0, 0, GST_BUFFER_FLAG_MARKER, GST_BUFFER_FLAG_GAP,
          GST_BUFFER_FLAG_DELTA_UNIT | GST_BUFFER_FLAG_DROPPABLE };
  guint id = m->next_id++;
  GstBuffer *buffer = frame_new (m->h, level_number (id));
  Item item = { .id = id, .is_frame = TRUE, .segment = m->segment };

  item.pts = pick (m, 8) ? id * FRAME_DURATION : GST_CLOCK_TIME_NONE;
  item.duration = pick (m, 8) ? FRAME_DURATION : GST_CLOCK_TIME_NONE;
  item.flags = flags[pick (m, G_N_ELEMENTS (flags))];
  if (discont)
    item.flags |= GST_BUFFER_FLAG_DISCONT;
  item.width = (gint)(m->width * m->scale);
  item.height = (gint)(m->height * m->scale);
  GST_BUFFER_OFFSET (buffer) = id;
  GST_BUFFER_PTS (buffer) = item.pts;
  GST_BUFFER_DURATION (buffer) = item.duration;
  GST_BUFFER_FLAG_SET (buffer, item.flags);
  expect (m, &item);
  return buffer;
}

static void
push_frame (Model *m, gboolean discont)
{
  gboolean held;

  check (m, gst_harness_push (m->h, next_frame (m, discont)) == GST_FLOW_OK,
         "a frame is not taken");
  g_mutex_lock (&m->lock);
  held = g_queue_get_length (&m->waiting) > 1;
  g_mutex_unlock (&m->lock);
  check (m, !discont || !held, "a discontinuity does not close the batch");
}

static void
do_frames (Model *m)
{
  gint count = 1 + pick (m, 6);

  say (m, "frames:%d", count);
  for (gint i = 0; i < count; i++)
    push_frame (m, i == 0 && pick (m, 6) == 0);
}

/* ---- events that keep their place ---- */

static void
do_event (Model *m)
{
  gint kind = pick (m, 3);
  Item item = { .id = m->next_id++, .is_tag = kind == 0 };
  GstEvent *event;

  say (m, "event");
  expect (m, &item);
  switch (kind) {
  case 0:
    event = gst_event_new_tag (
        gst_tag_list_new (GST_TAG_TRACK_NUMBER, item.id, NULL));
    break;
  case 1:
    event = gst_event_new_gap (item.id, 1);
    break;
  default:
    event = gst_event_new_custom (
        GST_EVENT_CUSTOM_DOWNSTREAM,
        gst_structure_new ("test", "id", G_TYPE_UINT, item.id, NULL));
  }
  gst_harness_push_event (m->h, event);
}

/* ---- what drains ---- */

static void
push_segment (Model *m)
{
  GstSegment segment;

  gst_segment_init (&segment, pick (m, 8) ? GST_FORMAT_TIME : GST_FORMAT_BYTES);
  segment.base = ++m->segment;
  if (segment.format == GST_FORMAT_TIME && pick (m, 4) == 0) {
    segment.rate = -1.0;
    segment.stop = segment.position = 3600 * GST_SECOND;
  }
  gst_harness_push_event (m->h, gst_event_new_segment (&segment));
}

static void
do_segment (Model *m)
{
  say (m, "segment");
  push_segment (m);
  expect_all_out (m);
}

static void
do_segment_done (Model *m)
{
  Item item = { 0 };

  say (m, "segment-done");
  expect (m, &item);
  gst_harness_push_event (m->h,
                          gst_event_new_segment_done (GST_FORMAT_TIME, 0));
  expect_all_out (m);
}

static gboolean
push_caps (Model *m, gint width, gint height)
{
  static const gchar *const formats[] = { "RGB", "I420", "NV12", "BGRA" };
  static const gint rates[] = { 25, 50, 0 };
  GstCaps *caps = gst_caps_new_simple (
      "video/x-raw", "format", G_TYPE_STRING, formats[pick (m, 4)], "width",
      G_TYPE_INT, width, "height", G_TYPE_INT, height, "framerate",
      GST_TYPE_FRACTION, rates[pick (m, 3)], 1, NULL);
  GstCaps *old = gst_pad_get_current_caps (m->h->srcpad);
  gboolean same = old && gst_caps_is_equal (old, caps);

  m->width = width;
  m->height = height;
  gst_harness_push_event (m->h, gst_event_new_caps (caps));
  gst_caps_unref (caps);
  gst_clear_caps (&old);
  return !same;
}

static gboolean
push_good_caps (Model *m)
{
  return push_caps (m, pick (m, 4) ? 16 : 48, pick (m, 4) ? 16 : 32);
}

static void
do_caps (Model *m)
{
  say (m, "caps");
  if (push_good_caps (m))
    expect_all_out (m);
}

/* They are refused, and good ones put it right. */
static void
do_bad_caps (Model *m)
{
  say (m, "bad-caps");
  push_caps (m, 8, 16);
  expect_all_out (m);
  check (m,
         gst_harness_push (m->h, gst_buffer_new ()) == GST_FLOW_NOT_NEGOTIATED,
         "a frame of refused caps is taken");
  push_good_caps (m);
}

/* ---- beginning anew ---- */

static void
begin (Model *m)
{
  gchar *id = g_strdup_printf ("stream-%u", m->next_id++);

  gst_harness_push_event (m->h, gst_event_new_stream_start (id));
  g_free (id);
  push_good_caps (m);
  push_segment (m);
}

static void
do_eos (Model *m)
{
  Item item = { 0 };

  say (m, "eos");
  expect (m, &item);
  gst_harness_push_event (m->h, gst_event_new_eos ());
  expect_all_out (m);
  begin (m);
}

static void
flush (Model *m)
{
  gst_harness_push_event (m->h, gst_event_new_flush_start ());
  gst_harness_push_event (m->h, gst_event_new_flush_stop (pick (m, 2)));
  forget_all (m);
  push_segment (m);
}

static void
do_flush (Model *m)
{
  say (m, "flush");
  flush (m);
}

static gpointer
push_some (gpointer data)
{
  Model *m = data;
  GstFlowReturn ret = GST_FLOW_OK;

  for (guint i = 0; i < 8 && ret == GST_FLOW_OK; i++)
    ret = gst_harness_push (m->h, next_frame (m, FALSE));
  return GINT_TO_POINTER (ret);
}

/* While another thread pushes. */
static void
do_sudden_flush (Model *m)
{
  GThread *thread;
  GstFlowReturn ret;

  say (m, "sudden-flush");
  thread = g_thread_new ("push", push_some, m);
  g_usleep ((gulong)pick (m, 4) * 2000);
  gst_harness_push_event (m->h, gst_event_new_flush_start ());
  ret = GPOINTER_TO_INT (g_thread_join (thread));
  gst_harness_push_event (m->h, gst_event_new_flush_stop (TRUE));
  forget_all (m);
  check (m, ret == GST_FLOW_OK || ret == GST_FLOW_FLUSHING,
         "a flush is an error");
  push_segment (m);
}

/* What a demuxer does when it is asked to jump. */
static void
do_seek (Model *m)
{
  GstSeekFlags flags = pick (m, 2) ? GST_SEEK_FLAG_FLUSH : GST_SEEK_FLAG_NONE;
  GstEvent *seek = gst_event_new_seek (
      1.0, GST_FORMAT_TIME, flags, GST_SEEK_TYPE_SET, 0, GST_SEEK_TYPE_NONE, 0);
  GstEvent *event;
  gboolean arrived = FALSE;

  say (m, "seek");
  gst_harness_push_upstream_event (m->h, seek);
  while ((event = gst_harness_try_pull_upstream_event (m->h))) {
    arrived |= GST_EVENT_TYPE (event) == GST_EVENT_SEEK;
    gst_event_unref (event);
  }
  check (m, arrived, "the seek does not arrive upstream");
  if (flags & GST_SEEK_FLAG_FLUSH)
    flush (m);
  else
    do_segment (m);
}

/* Its frames are gone, like an unlinked decoder's. */
static void
do_states (Model *m)
{
  GstState low = pick (m, 2) ? GST_STATE_READY : GST_STATE_NULL;

  say (m, "states");
  gst_element_set_state (m->h->element, low);
  forget_all (m);
  check (m,
         gst_element_set_state (m->h->element, GST_STATE_PLAYING)
             == GST_STATE_CHANGE_SUCCESS,
         "it does not start again");
  begin (m);
}

/* An error that a flush puts right; what was whole comes out. */
static void
do_short_buffer (Model *m)
{
  say (m, "short-buffer");
  check (m,
         gst_harness_push (m->h, gst_buffer_new_allocate (NULL, 40, NULL))
             == GST_FLOW_ERROR,
         "a short buffer is no error");
  expect_all_out (m);
  check (m, gst_harness_push (m->h, frame_new (m->h, 0)) == GST_FLOW_ERROR,
         "it goes on behind an error");
  flush (m);
}

/* ---- what changes or asks ---- */

static void
do_property (Model *m)
{
  static const gdouble scales[] = { 1.0, 1.0, 1.5, 2.0 };

  m->scale = scales[pick (m, 4)];
  say (m, "scale=%g", m->scale);
  g_object_set (m->h->element, "scale", m->scale, "post-messages", pick (m, 2),
                "seed", (guint64)pick (m, 9), "batch-size", pick (m, 2) ? 1 : 5,
                NULL);
}

static void
do_reconfigure (Model *m)
{
  say (m, "reconfigure");
  gst_harness_push_upstream_event (m->h, gst_event_new_reconfigure ());
}

static void
do_queries (Model *m)
{
  GstCaps *caps = gst_pad_get_current_caps (m->h->srcpad);
  GstQuery *allocation = gst_query_new_allocation (caps, pick (m, 2));
  GstQuery *drain = gst_query_new_drain ();
  GstStructure *stats;

  say (m, "queries");
  gst_pad_peer_query (m->h->srcpad, allocation);
  gst_pad_peer_query (m->h->srcpad, drain);
  gst_harness_query_latency (m->h);
  g_object_get (m->h->element, "stats", &stats, NULL);
  check (m, gst_structure_has_field (stats, "frames-in"), "no stats");
  gst_structure_free (stats);
  gst_query_unref (allocation);
  gst_query_unref (drain);
  gst_caps_unref (caps);
}

/* ---- sequences ---- */

static const struct {
  guint weight;
  void (*act) (Model *m);
} acts[] = {
  { 20, do_frames },      { 8, do_event },       { 3, do_segment },
  { 2, do_segment_done }, { 4, do_caps },        { 1, do_bad_caps },
  { 3, do_eos },          { 3, do_flush },       { 2, do_sudden_flush },
  { 3, do_seek },         { 2, do_states },      { 1, do_short_buffer },
  { 3, do_property },     { 3, do_reconfigure }, { 3, do_queries },
};

static void
act (Model *m)
{
  guint total = 0, i;
  gint at;

  for (i = 0; i < G_N_ELEMENTS (acts); i++)
    total += acts[i].weight;
  at = pick (m, (gint)total);
  for (i = 0; at >= (gint)acts[i].weight; i++)
    at -= (gint)acts[i].weight;
  acts[i].act (m);
  check (m, TRUE, NULL);
}

static guint
number_from (const gchar *variable, guint otherwise)
{
  const gchar *text = g_getenv (variable);

  return text ? (guint)g_ascii_strtoull (text, NULL, 10) : otherwise;
}

/* The test's own timeout would not say what was done. */
static gpointer
watch (gpointer data)
{
  Model *m = data;
  guint seconds = number_from ("CK_DEFAULT_TIMEOUT", 120) * 3 / 4;
  gint64 end = g_get_monotonic_time () + seconds * G_TIME_SPAN_SECOND;

  g_mutex_lock (&m->lock);
  while (!m->is_over) {
    if (!g_cond_wait_until (&m->over, &m->lock, end)) {
      g_printerr ("SEEDVR2_RANDOM_SEED=%u hangs; done:%s\n", m->seed,
                  m->done->str);
      abort ();
    }
  }
  g_mutex_unlock (&m->lock);
  return NULL;
}

static void
open_model (Model *m, guint seed)
{
  static const gchar *const properties[]
      = { "batch-size=5 scale=1", "batch-size=1 scale=1",
          "batch-size=5 scale=1 temporal-overlap=1",
          "batch-size=5 scale=1 prepend-frames=2",
          "batch-size=3 scale=1 uniform-batch-size=true" };

  *m = (Model){ .seed = seed, .scale = 1.0, .next_id = 1 };
  m->random = g_rand_new_with_seed (seed);
  m->done = g_string_new (NULL);
  g_mutex_init (&m->lock);
  g_cond_init (&m->over);
  m->h = harness_new_on_bus (
      NULL, properties[pick (m, G_N_ELEMENTS (properties))], "", NULL);
  gst_pad_add_probe (m->h->sinkpad,
                     GST_PAD_PROBE_TYPE_BUFFER
                         | GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM,
                     check_output, m, NULL);
}

static void
close_model (Model *m)
{
  gst_harness_teardown (m->h);
  forget_all (m);
  g_string_free (m->done, TRUE);
  g_rand_free (m->random);
  g_cond_clear (&m->over);
  g_mutex_clear (&m->lock);
}

static void
run_sequence (guint seed)
{
  Model m;
  GThread *watchdog;

  open_model (&m, seed);
  watchdog = g_thread_new ("watch", watch, &m);
  begin (&m);
  for (guint i = 0; i < STEPS; i++)
    act (&m);
  do_eos (&m);
  g_mutex_lock (&m.lock);
  m.is_over = TRUE;
  g_cond_signal (&m.over);
  g_mutex_unlock (&m.lock);
  g_thread_join (watchdog);
  close_model (&m);
}

/* Seeds __i__, __i__ + TESTS, ... */
GST_START_TEST (test_sequences)
{
  guint count = number_from ("SEEDVR2_RANDOM_SEQUENCES", SEQUENCES);

  if (g_getenv ("SEEDVR2_RANDOM_SEED")) {
    if (__i__ == 0)
      run_sequence (number_from ("SEEDVR2_RANDOM_SEED", 0));
    return;
  }
  for (guint seed = (guint)__i__; seed < count; seed += TESTS)
    run_sequence (seed);
}
GST_END_TEST;

static Suite *
seedvr2_random_suite (void)
{
  Suite *suite = suite_create ("seedvr2 random");
  TCase *tcase = tcase_create ("random");

  suite_add_tcase (suite, tcase);
  tcase_add_loop_test (tcase, test_sequences, 0, TESTS);
  return suite;
}

GST_CHECK_MAIN (seedvr2_random);
