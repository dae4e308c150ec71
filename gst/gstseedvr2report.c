#include "gstseedvr2report.h"

#define PROGRESS_CODE "load-model"

struct GstSeedVR2Report {
  GstElement *element;
  gint enabled; /* atomic */
  gint loading; /* atomic: a progress is open */
  gint percent; /* worker: last one posted */
  GstSeedVR2Speed speed;

  GMutex lock; /* for what follows */
  GstSeedVR2Files files;
  svr_stream_config stream;
  GQueue frames; /* GstSeedVR2FrameTimes *, by number */
};

GstSeedVR2Report *
gst_seedvr2_report_new (GstElement *element)
{
  GstSeedVR2Report *report = g_new0 (GstSeedVR2Report, 1);

  report->element = element;
  g_mutex_init (&report->lock);
  g_queue_init (&report->frames);
  gst_seedvr2_speed_init (&report->speed);
  return report;
}

void
gst_seedvr2_report_free (GstSeedVR2Report *report)
{
  gst_seedvr2_report_forget_frames (report);
  gst_seedvr2_files_clear (&report->files);
  gst_seedvr2_speed_clear (&report->speed);
  g_mutex_clear (&report->lock);
  g_free (report);
}

GstSeedVR2Speed *
gst_seedvr2_report_speed (GstSeedVR2Report *report)
{
  return &report->speed;
}

void
gst_seedvr2_report_enable (GstSeedVR2Report *report, gboolean enabled)
{
  g_atomic_int_set (&report->enabled, enabled);
}

/* ---- progress ---- */

static void
post_progress (GstSeedVR2Report *report, GstProgressType type,
               const gchar *text)
{
  gst_element_post_message (
      report->element, gst_message_new_progress (GST_OBJECT (report->element),
                                                 type, PROGRESS_CODE, text));
}

/* With the first bytes, not earlier: gst-launch waits for the end of a progress
 * before it plays, and a live source gives no frame, and so no size to plan
 * for, until then. */
static void
open_progress (GstSeedVR2Report *report)
{
  if (!g_atomic_int_compare_and_exchange (&report->loading, FALSE, TRUE))
    return;
  report->percent = 0;
  post_progress (report, GST_PROGRESS_TYPE_START, "Loading the model");
}

/* Whoever comes first closes the progress, once. */
static void
close_progress (GstSeedVR2Report *report, GstProgressType type,
                const gchar *text)
{
  if (g_atomic_int_compare_and_exchange (&report->loading, TRUE, FALSE))
    post_progress (report, type, text);
}

/* In steps, since gst-launch prints a line for each message. */
static void
continue_progress (GstSeedVR2Report *report, const svr_event *event)
{
  enum {
    STEP = 5 /* per cent */
  };
  gint percent;
  gchar *text;

  if (event->bytes_total == 0)
    return;
  open_progress (report);
  percent = (gint)gst_util_uint64_scale (event->bytes_done, 100,
                                         event->bytes_total);
  percent -= percent % STEP;
  if (percent <= report->percent)
    return;
  report->percent = percent;
  text = g_strdup_printf ("Loading the model: %d %%", percent);
  post_progress (report, GST_PROGRESS_TYPE_CONTINUE, text);
  g_free (text);
}

void
gst_seedvr2_report_begin (GstSeedVR2Report *report,
                          const GstSeedVR2Files *files)
{
  g_mutex_lock (&report->lock);
  gst_seedvr2_files_clear (&report->files);
  gst_seedvr2_files_copy (&report->files, files);
  g_mutex_unlock (&report->lock);
}

void
gst_seedvr2_report_end (GstSeedVR2Report *report, gboolean failed)
{
  if (failed)
    close_progress (report, GST_PROGRESS_TYPE_ERROR, "Loading failed");
  else
    close_progress (report, GST_PROGRESS_TYPE_CANCELED, "Loading stopped");
  gst_seedvr2_report_forget_frames (report);
}

/* ---- times of frames ---- */

void
gst_seedvr2_report_stream (GstSeedVR2Report *report,
                           const svr_stream_config *config)
{
  g_mutex_lock (&report->lock);
  report->stream = *config;
  g_mutex_unlock (&report->lock);
}

void
gst_seedvr2_report_frame (GstSeedVR2Report *report,
                          const GstSeedVR2FrameTimes *times)
{
  GstSeedVR2FrameTimes *copy = g_new (GstSeedVR2FrameTimes, 1);

  *copy = *times;
  g_mutex_lock (&report->lock);
  g_queue_push_tail (&report->frames, copy);
  g_mutex_unlock (&report->lock);
}

void
gst_seedvr2_report_forget_frames (GstSeedVR2Report *report)
{
  g_mutex_lock (&report->lock);
  g_queue_clear_full (&report->frames, g_free);
  g_mutex_unlock (&report->lock);
}

/* Times of the batch that begins with frame `first`; the duration is that of
 * all its frames.  Frames of a following batch that overlaps are kept. */
static GstSeedVR2FrameTimes
batch_times (GstSeedVR2Report *report, guint64 first, guint64 count)
{
  GstSeedVR2FrameTimes batch
      = { first, GST_CLOCK_TIME_NONE, GST_CLOCK_TIME_NONE, GST_CLOCK_TIME_NONE,
          GST_CLOCK_TIME_NONE };
  GstClockTime duration = 0;

  g_mutex_lock (&report->lock);
  for (GList *l = report->frames.head; l;) {
    const GstSeedVR2FrameTimes *frame = l->data;
    GList *next = l->next;

    if (frame->number == first)
      batch = *frame;
    if (frame->number < first) {
      g_free (l->data);
      g_queue_delete_link (&report->frames, l);
    } else if (frame->number - first < count
               && GST_CLOCK_TIME_IS_VALID (duration)) {
      duration = GST_CLOCK_TIME_IS_VALID (frame->duration)
                     ? duration + frame->duration
                     : GST_CLOCK_TIME_NONE;
    }
    l = next;
  }
  g_mutex_unlock (&report->lock);
  batch.duration = duration;
  return batch;
}

/* ---- element messages ---- */

static gboolean
is_enabled (GstSeedVR2Report *report)
{
  return g_atomic_int_get (&report->enabled);
}

/* Takes over `s`. */
static void
post_structure (GstSeedVR2Report *report, GstStructure *s)
{
  gst_element_post_message (
      report->element,
      gst_message_new_element (GST_OBJECT (report->element), s));
}

static void
loaded (GstSeedVR2Report *report, const svr_event *event)
{
  if (is_enabled (report)) {
    GstStructure *s;

    g_mutex_lock (&report->lock);
    s = gst_seedvr2_structure_model (&report->files, &event->stats.plan);
    g_mutex_unlock (&report->lock);
    post_structure (report, s);
  }
  close_progress (report, GST_PROGRESS_TYPE_COMPLETE, "The model is loaded");
}

static void
planned (GstSeedVR2Report *report, const svr_event *event)
{
  svr_stream_config stream;

  if (!is_enabled (report))
    return;
  g_mutex_lock (&report->lock);
  stream = report->stream;
  g_mutex_unlock (&report->lock);
  post_structure (report, gst_seedvr2_structure_plan (&stream, &event->stats));
}

static void
batch_done (GstSeedVR2Report *report, const svr_event *event)
{
  GstSeedVR2FrameTimes times
      = batch_times (report, event->first_frame, event->frames);
  GstSeedVR2BatchSpeed speed
      = { event->first_frame, gst_seedvr2_total_time (&event->stats.last),
          times.running_time };

  gst_seedvr2_speed_batch (&report->speed, report->element, &speed);
  if (is_enabled (report))
    post_structure (report, gst_seedvr2_structure_batch (event, &times));
}

static void
post_widened (GstSeedVR2Report *report, const svr_event *event)
{
  gst_element_message_full (
      report->element, GST_MESSAGE_WARNING, GST_LIBRARY_ERROR,
      GST_LIBRARY_ERROR_SETTINGS,
      g_strdup_printf ("fp16 cannot hold this model's numbers on this film: "
                       "from frame %" G_GUINT64_FORMAT " on it is made in "
                       "bf16. Set precision=bf16 to begin with it.",
                       event->first_frame),
      NULL, __FILE__, GST_FUNCTION, __LINE__);
}

void
gst_seedvr2_report_event (void *user, const svr_event *event)
{
  GstSeedVR2Report *report = user;

  switch (event->kind) {
  case SVR_EVENT_LOADING:
    continue_progress (report, event);
    break;
  case SVR_EVENT_LOADED:
    loaded (report, event);
    break;
  case SVR_EVENT_PLANNED:
    planned (report, event);
    break;
  case SVR_EVENT_MEMORY:
    if (is_enabled (report))
      post_structure (report, gst_seedvr2_structure_memory (event));
    break;
  case SVR_EVENT_ENDED:
    if (is_enabled (report))
      post_structure (report, gst_seedvr2_structure_summary (&event->stats));
    break;
  case SVR_EVENT_BATCH:
    batch_done (report, event);
    break;
  case SVR_EVENT_WIDENED:
    post_widened (report, event);
    break;
  case SVR_EVENT_FAILED:
    close_progress (report, GST_PROGRESS_TYPE_ERROR, "Loading failed");
    break;
  case SVR_EVENT_FRAME: /* the streaming thread pulls */
  case SVR_EVENT_CLOSED:
    break;
  }
}
