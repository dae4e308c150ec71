/* Random sequences of buffers, events, caps, flushes, seeks, properties and
 * states, against a model of what must come out.
 *
 * A failure prints its seed and what was done.  SEEDVR2_RANDOM_SEED=N in the
 * environment repeats that one alone, aloud; SEEDVR2_RANDOM_SEQUENCES says how
 * many there are otherwise. */
#include "random_model.h"

#define SEQUENCES 200
#define TESTS 8
#define STEPS 16

/* ---- frames ---- */

static GstBuffer *
next_frame (Model *m, gboolean discont)
{
  static const guint flags[]
      = { 0, 0, GST_BUFFER_FLAG_MARKER, GST_BUFFER_FLAG_GAP,
          GST_BUFFER_FLAG_DELTA_UNIT | GST_BUFFER_FLAG_DROPPABLE };
  guint id = m->next_id++;
  GstBuffer *buffer = frame_new (m->h, model_level (id));
  Item item = { .id = id, .is_frame = TRUE, .segment = m->segment };

  item.pts = model_pick (m, 8) ? id * FRAME_DURATION : GST_CLOCK_TIME_NONE;
  item.duration = model_pick (m, 8) ? FRAME_DURATION : GST_CLOCK_TIME_NONE;
  item.flags = flags[model_pick (m, G_N_ELEMENTS (flags))];
  if (discont)
    item.flags |= GST_BUFFER_FLAG_DISCONT;
  item.width = (gint)(m->width * m->scale);
  item.height = (gint)(m->height * m->scale);
  GST_BUFFER_OFFSET (buffer) = id;
  GST_BUFFER_PTS (buffer) = item.pts;
  GST_BUFFER_DURATION (buffer) = item.duration;
  GST_BUFFER_FLAG_SET (buffer, item.flags);
  model_expect (m, &item);
  return buffer;
}

static void
push_frame (Model *m, gboolean discont)
{
  model_check (m,
               gst_harness_push (m->h, next_frame (m, discont)) == GST_FLOW_OK,
               "a frame is not taken");
  model_check (m, !discont || model_waiting (m) <= 1,
               "a discontinuity does not close the batch");
}

static void
do_frames (Model *m)
{
  gint count = 1 + model_pick (m, 6);

  model_say (m, "frames:%d", count);
  for (gint i = 0; i < count; i++)
    push_frame (m, i == 0 && model_pick (m, 6) == 0);
}

/* ---- events that keep their place ---- */

static void
do_event (Model *m)
{
  gint kind = model_pick (m, 3);
  Item item = { .id = m->next_id++, .is_tag = kind == 0 };
  GstEvent *event;

  model_say (m, "event");
  model_expect (m, &item);
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
begin_segment (Model *m)
{
  GstSegment segment;

  gst_segment_init (&segment,
                    model_pick (m, 8) ? GST_FORMAT_TIME : GST_FORMAT_BYTES);
  segment.base = ++m->segment;
  if (segment.format == GST_FORMAT_TIME && model_pick (m, 4) == 0) {
    segment.rate = -1.0;
    segment.stop = segment.position = 3600 * GST_SECOND;
  }
  gst_harness_push_event (m->h, gst_event_new_segment (&segment));
}

static void
do_segment (Model *m)
{
  model_say (m, "segment");
  begin_segment (m);
  model_expect_all_out (m);
}

/* Pushes an event behind which nothing is held; it comes out itself. */
static void
push_end (Model *m, GstEvent *event)
{
  Item item = { 0 };

  model_say (m, "%s", GST_EVENT_TYPE_NAME (event));
  model_expect (m, &item);
  gst_harness_push_event (m->h, event);
  model_expect_all_out (m);
}

static void
do_segment_done (Model *m)
{
  push_end (m, gst_event_new_segment_done (GST_FORMAT_TIME, 0));
}

static gboolean
push_caps (Model *m, gint width, gint height)
{
  static const gchar *const formats[] = { "RGB", "I420", "NV12", "BGRA" };
  static const gint rates[] = { 25, 50, 0 };
  GstCaps *caps = gst_caps_new_simple (
      "video/x-raw", "format", G_TYPE_STRING, formats[model_pick (m, 4)],
      "width", G_TYPE_INT, width, "height", G_TYPE_INT, height, "framerate",
      GST_TYPE_FRACTION, rates[model_pick (m, 3)], 1, NULL);
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
  return push_caps (m, model_pick (m, 4) ? 16 : 48,
                    model_pick (m, 4) ? 16 : 32);
}

static void
do_caps (Model *m)
{
  model_say (m, "caps");
  if (push_good_caps (m))
    model_expect_all_out (m);
}

/* They are refused, and good ones put it right. */
static void
do_bad_caps (Model *m)
{
  model_say (m, "bad-caps");
  push_caps (m, 8, 16);
  model_expect_all_out (m);
  model_check (
      m, gst_harness_push (m->h, gst_buffer_new ()) == GST_FLOW_NOT_NEGOTIATED,
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
  begin_segment (m);
}

static void
do_eos (Model *m)
{
  push_end (m, gst_event_new_eos ());
  begin (m);
}

static void
flush (Model *m)
{
  gst_harness_push_event (m->h, gst_event_new_flush_start ());
  gst_harness_push_event (m->h, gst_event_new_flush_stop (model_pick (m, 2)));
  model_forget (m);
  begin_segment (m);
}

static void
do_flush (Model *m)
{
  model_say (m, "flush");
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
  /* before the thread takes random numbers too */
  gulong wait = (gulong)model_pick (m, 4) * 2000;
  GThread *thread;
  GstFlowReturn ret;

  model_say (m, "sudden-flush");
  thread = g_thread_new ("push", push_some, m);
  g_usleep (wait);
  gst_harness_push_event (m->h, gst_event_new_flush_start ());
  ret = GPOINTER_TO_INT (g_thread_join (thread));
  gst_harness_push_event (m->h, gst_event_new_flush_stop (TRUE));
  model_forget (m);
  model_check (m, ret == GST_FLOW_OK || ret == GST_FLOW_FLUSHING,
               "a flush is an error");
  begin_segment (m);
}

/* What a demuxer does when it is asked to jump. */
static void
do_seek (Model *m)
{
  GstSeekFlags flags
      = model_pick (m, 2) ? GST_SEEK_FLAG_FLUSH : GST_SEEK_FLAG_NONE;
  GstEvent *seek = gst_event_new_seek (
      1.0, GST_FORMAT_TIME, flags, GST_SEEK_TYPE_SET, 0, GST_SEEK_TYPE_NONE, 0);
  GstEvent *event;
  gboolean arrived = FALSE;

  model_say (m, "seek");
  gst_harness_push_upstream_event (m->h, seek);
  while ((event = gst_harness_try_pull_upstream_event (m->h))) {
    arrived |= GST_EVENT_TYPE (event) == GST_EVENT_SEEK;
    gst_event_unref (event);
  }
  model_check (m, arrived, "the seek does not arrive upstream");
  if (flags & GST_SEEK_FLAG_FLUSH)
    flush (m);
  else
    do_segment (m);
}

/* Its frames are gone, like an unlinked decoder's. */
static void
do_states (Model *m)
{
  GstState low = model_pick (m, 2) ? GST_STATE_READY : GST_STATE_NULL;

  model_say (m, "states");
  gst_element_set_state (m->h->element, low);
  model_forget (m);
  model_check (m,
               gst_element_set_state (m->h->element, GST_STATE_PLAYING)
                   == GST_STATE_CHANGE_SUCCESS,
               "it does not start again");
  begin (m);
}

/* An error that a flush puts right; what was whole comes out. */
static void
do_short_buffer (Model *m)
{
  model_say (m, "short-buffer");
  model_check (m,
               gst_harness_push (m->h, gst_buffer_new_allocate (NULL, 40, NULL))
                   == GST_FLOW_ERROR,
               "a short buffer is no error");
  model_expect_all_out (m);
  model_check (m,
               gst_harness_push (m->h, frame_new (m->h, 0)) == GST_FLOW_ERROR,
               "it goes on behind an error");
  flush (m);
}

/* ---- what changes or asks ---- */

static void
do_property (Model *m)
{
  static const gdouble scales[] = { 1.0, 1.0, 1.5, 2.0 };

  m->scale = scales[model_pick (m, 4)];
  model_say (m, "scale=%g", m->scale);
  g_object_set (m->h->element, "scale", m->scale, "post-messages",
                model_pick (m, 2), "seed", (guint64)model_pick (m, 9),
                "batch-size", model_pick (m, 2) ? 1 : 5, NULL);
}

static void
do_reconfigure (Model *m)
{
  model_say (m, "reconfigure");
  gst_harness_push_upstream_event (m->h, gst_event_new_reconfigure ());
}

static void
do_queries (Model *m)
{
  GstCaps *caps = gst_pad_get_current_caps (m->h->srcpad);
  GstQuery *allocation = gst_query_new_allocation (caps, model_pick (m, 2));
  GstQuery *drain = gst_query_new_drain ();
  GstStructure *stats;

  model_say (m, "queries");
  gst_pad_peer_query (m->h->srcpad, allocation);
  gst_pad_peer_query (m->h->srcpad, drain);
  gst_harness_query_latency (m->h);
  g_object_get (m->h->element, "stats", &stats, NULL);
  model_check (m, gst_structure_has_field (stats, "frames-in"), "no stats");
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
  at = model_pick (m, (gint)total);
  for (i = 0; at >= (gint)acts[i].weight; i++)
    at -= (gint)acts[i].weight;
  acts[i].act (m);
  model_check (m, TRUE, NULL);
}

static void
run_sequence (guint seed)
{
  Model m;

  model_open (&m, seed);
  begin (&m);
  for (guint i = 0; i < STEPS; i++)
    act (&m);
  do_eos (&m);
  model_close (&m);
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
