#include "random_model.h"

/* ---- what comes out ---- */

#define KEPT_FLAGS                                                             \
  (GST_BUFFER_FLAG_DISCONT | GST_BUFFER_FLAG_MARKER | GST_BUFFER_FLAG_GAP      \
   | GST_BUFFER_FLAG_DELTA_UNIT | GST_BUFFER_FLAG_DROPPABLE)

guint
model_level (guint id)
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
    gdouble level = mean_level (buffer, &info);

    if (ABS (level - frame_level (model_level (want->id))) >= 6.0)
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

void
model_check (Model *m, gboolean ok, const gchar *what)
{
  gchar *problem;

  g_mutex_lock (&m->lock);
  problem = m->problem ? m->problem : ok ? NULL : g_strdup (what);
  g_mutex_unlock (&m->lock);
  fail_unless (problem == NULL, "SEEDVR2_RANDOM_SEED=%u: %s; done:%s", m->seed,
               problem, m->done->str);
}

void
model_say (Model *m, const gchar *format, ...)
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

void
model_expect (Model *m, const Item *item)
{
  g_mutex_lock (&m->lock);
  g_queue_push_tail (&m->waiting, g_memdup2 (item, sizeof *item));
  g_mutex_unlock (&m->lock);
}

guint
model_waiting (Model *m)
{
  guint count;

  g_mutex_lock (&m->lock);
  count = g_queue_get_length (&m->waiting);
  g_mutex_unlock (&m->lock);
  return count;
}

void
model_expect_all_out (Model *m)
{
  model_check (m, model_waiting (m) == 0, "something is missing");
}

void
model_forget (Model *m)
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

gint
model_pick (Model *m, gint count)
{
  return g_rand_int_range (m->random, 0, count);
}

/* ---- begin and end ---- */

guint
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

void
model_open (Model *m, guint seed)
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
      NULL, properties[model_pick (m, G_N_ELEMENTS (properties))], "", NULL);
  gst_pad_add_probe (m->h->sinkpad,
                     GST_PAD_PROBE_TYPE_BUFFER
                         | GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM,
                     check_output, m, NULL);
  m->watchdog = g_thread_new ("watch", watch, m);
}

void
model_close (Model *m)
{
  g_mutex_lock (&m->lock);
  m->is_over = TRUE;
  g_cond_signal (&m->over);
  g_mutex_unlock (&m->lock);
  g_thread_join (m->watchdog);
  gst_harness_teardown (m->h);
  model_forget (m);
  g_string_free (m->done, TRUE);
  g_rand_free (m->random);
  g_cond_clear (&m->over);
  g_mutex_clear (&m->lock);
}
