#include "gstseedvr2report.h"

GST_DEBUG_CATEGORY_STATIC (gst_seedvr2_core_debug);

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

static void
continue_progress (GstSeedVR2Report *report, const svr_event *event)
{
  gint percent;
  gchar *text;

  if (event->bytes_total == 0)
    return;
  open_progress (report);
  percent = (gint)gst_util_uint64_scale (event->bytes_done, 100,
                                         event->bytes_total);
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
  report->files.model = g_strdup (files->model);
  report->files.vae_model = g_strdup (files->vae_model);
  report->files.text_embedding = g_strdup (files->text_embedding);
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

/* ---- structures ---- */

static void
add_memory (GstStructure *s, const svr_memory_stats *memory)
{
  gst_structure_set (
      s, "vram-used", G_TYPE_UINT64, memory->used, "vram-peak", G_TYPE_UINT64,
      memory->peak, "vram-weights", G_TYPE_UINT64, memory->weights,
      "vram-state", G_TYPE_UINT64, memory->state, "vram-scratch", G_TYPE_UINT64,
      memory->scratch, "vram-scratch-peak", G_TYPE_UINT64, memory->scratch_peak,
      "vram-free", G_TYPE_UINT64, memory->device_free, "vram-total",
      G_TYPE_UINT64, memory->device_total, "host-pinned", G_TYPE_UINT64,
      memory->host_pinned, "host-pinned-peak", G_TYPE_UINT64,
      memory->host_pinned_peak, "copied-in", G_TYPE_UINT64, memory->copied_in,
      "copied-out", G_TYPE_UINT64, memory->copied_out, "host-frames",
      G_TYPE_UINT64, memory->host_frames, NULL);
}

static guint64
phase_sum (const svr_phase_times *times)
{
  return times->encode_ns + times->dit_ns + times->decode_ns + times->finish_ns;
}

static void
add_times (GstStructure *s, const svr_phase_times *times)
{
  gst_structure_set (s, "time-encode", G_TYPE_UINT64, times->encode_ns,
                     "time-dit", G_TYPE_UINT64, times->dit_ns, "time-decode",
                     G_TYPE_UINT64, times->decode_ns, "time-finish",
                     G_TYPE_UINT64, times->finish_ns, "time-total",
                     G_TYPE_UINT64, phase_sum (times), NULL);
}

/* As the property `precision` calls it. */
static const gchar *
precision_name (svr_dtype storage)
{
  return storage == SVR_F16 ? "fp16" : storage == SVR_BF16 ? "bf16" : "fp32";
}

GstStructure *
gst_seedvr2_report_stats (const svr_upscaler_stats *stats, const gchar *backend)
{
  GstStructure *s = gst_structure_new (
      "application/x-seedvr2-stats", "backend", G_TYPE_STRING, backend,
      "precision", G_TYPE_STRING, precision_name (stats->storage), "frames-in",
      G_TYPE_UINT64, stats->frames_in, "frames-out", G_TYPE_UINT64,
      stats->frames_out, "frames-computed", G_TYPE_UINT64,
      stats->frames_computed, "batches", G_TYPE_UINT64, stats->batches,
      "batches-computed", G_TYPE_UINT64, stats->batches_computed, "cache-hits",
      G_TYPE_UINT64, stats->batches_reused, "last-batch-time", G_TYPE_UINT64,
      phase_sum (&stats->last), NULL);

  add_times (s, &stats->total);
  add_memory (s, &stats->memory);
  return s;
}

/* ---- element messages ---- */

static void
post_structure (GstSeedVR2Report *report, GstStructure *s)
{
  gst_element_post_message (
      report->element,
      gst_message_new_element (GST_OBJECT (report->element), s));
}

static void
post_memory (GstSeedVR2Report *report, const svr_event *event)
{
  GstStructure *s = gst_structure_new (
      "seedvr2-memory", "phase", G_TYPE_STRING, svr_point_name (event->point),
      "batch", G_TYPE_UINT64, event->batch, "step", G_TYPE_INT, event->step,
      "vram-in-use", G_TYPE_UINT64, event->in_use, "vram-high-water",
      G_TYPE_UINT64, event->high_water, "vram-planned", G_TYPE_UINT64,
      event->stats.plan.peak, NULL);

  add_memory (s, &event->stats.memory);
  post_structure (report, s);
}

/* Behind the last frame of a stream. */
static void
post_summary (GstSeedVR2Report *report, const svr_event *event)
{
  const svr_upscaler_stats *stats = &event->stats;
  const guint64 *peaks = stats->memory.point_peak;
  GstStructure *s = gst_structure_new (
      "seedvr2-summary", "frames", G_TYPE_UINT64, stats->frames_out, "batches",
      G_TYPE_UINT64, stats->batches, "vram-planned", G_TYPE_UINT64,
      stats->plan.peak, "vram-peak-encode", G_TYPE_UINT64,
      peaks[SVR_POINT_ENCODED], "vram-peak-dit", G_TYPE_UINT64,
      MAX (peaks[SVR_POINT_POSITIVE_DONE], peaks[SVR_POINT_NEGATIVE_DONE]),
      "vram-peak-decode", G_TYPE_UINT64, peaks[SVR_POINT_DECODED], NULL);

  add_times (s, &stats->total);
  add_memory (s, &stats->memory);
  post_structure (report, s);
}

/* Weights on the device and, for streaming, in host memory. */
static guint64
model_bytes (const svr_memory_plan *plan)
{
  return plan->weights + plan->host - plan->host_parked;
}

static void
post_model (GstSeedVR2Report *report, const svr_event *event)
{
  GstStructure *s;

  g_mutex_lock (&report->lock);
  s = gst_structure_new ("seedvr2-model", "model", G_TYPE_STRING,
                         report->files.model, "vae-model", G_TYPE_STRING,
                         report->files.vae_model, "text-embedding",
                         G_TYPE_STRING, report->files.text_embedding, "bytes",
                         G_TYPE_UINT64, model_bytes (&event->stats.plan), NULL);
  g_mutex_unlock (&report->lock);
  post_structure (report, s);
}

static void
add_plan (GstStructure *s, const svr_memory_plan *plan)
{
  gst_structure_set (
      s, "batch-size", G_TYPE_INT, plan->batch_size, "vram-budget",
      G_TYPE_UINT64, plan->budget, "predicted-peak", G_TYPE_UINT64, plan->peak,
      "planned-weights", G_TYPE_UINT64, plan->weights, "planned-state",
      G_TYPE_UINT64, plan->state, "planned-scratch", G_TYPE_UINT64,
      plan->scratch, "planned-host", G_TYPE_UINT64, plan->host, "blocks",
      G_TYPE_INT, plan->blocks, "streamed-blocks", G_TYPE_INT,
      plan->streamed_blocks, "vae-streamed", G_TYPE_BOOLEAN, plan->vae_streamed,
      "state-on-host", G_TYPE_BOOLEAN, plan->state_on_host, "parked-precision",
      G_TYPE_STRING, svr_parked_precision_name (plan->parked), "tiled",
      G_TYPE_BOOLEAN, plan->tiled, "activation-chunk", G_TYPE_INT64,
      plan->token_chunk, "copied-in-per-batch", G_TYPE_UINT64, plan->copied_in,
      "copied-out-per-batch", G_TYPE_UINT64, plan->copied_out, "copies-hidden",
      G_TYPE_BOOLEAN, plan->hidden, NULL);
}

static void
post_plan (GstSeedVR2Report *report, const svr_event *event)
{
  svr_stream_config stream;
  GstStructure *s;

  g_mutex_lock (&report->lock);
  stream = report->stream;
  g_mutex_unlock (&report->lock);
  s = gst_structure_new (
      "seedvr2-plan", "temporal-overlap", G_TYPE_INT, stream.temporal_overlap,
      "input-width", G_TYPE_INT, stream.in.width, "input-height", G_TYPE_INT,
      stream.in.height, "width", G_TYPE_INT, stream.out.width, "height",
      G_TYPE_INT, stream.out.height, NULL);
  add_plan (s, &event->stats.plan);
  add_memory (s, &event->stats.memory);
  post_structure (report, s);
}

/* Frames that were only computed to fill the batch; nothing was where the
 * frames of the batch before were reused. */
static guint64
padded_frames (const svr_event *event)
{
  return event->computed_frames > 0 ? event->computed_frames - event->frames
                                    : 0;
}

static void
post_batch (GstSeedVR2Report *report, const svr_event *event,
            const GstSeedVR2FrameTimes *times)
{
  guint64 nanoseconds = phase_sum (&event->stats.last);
  gdouble fps = nanoseconds > 0
                    ? (gdouble)event->frames * 1e9 / (gdouble)nanoseconds
                    : 0.0;
  GstStructure *s = gst_structure_new (
      "seedvr2-batch", "batch", G_TYPE_UINT64, event->batch, "first-frame",
      G_TYPE_UINT64, event->first_frame, "frames", G_TYPE_UINT64, event->frames,
      "padded", G_TYPE_UINT64, padded_frames (event), "timestamp",
      GST_TYPE_CLOCK_TIME, times->timestamp, "stream-time", GST_TYPE_CLOCK_TIME,
      times->stream_time, "running-time", GST_TYPE_CLOCK_TIME,
      times->running_time, "duration", GST_TYPE_CLOCK_TIME, times->duration,
      "fps", G_TYPE_DOUBLE, fps, NULL);

  add_times (s, &event->stats.last);
  add_memory (s, &event->stats.memory);
  post_structure (report, s);
}

static void
loaded (GstSeedVR2Report *report, const svr_event *event)
{
  if (g_atomic_int_get (&report->enabled))
    post_model (report, event);
  close_progress (report, GST_PROGRESS_TYPE_COMPLETE, "The model is loaded");
}

static void
batch_done (GstSeedVR2Report *report, const svr_event *event)
{
  GstSeedVR2FrameTimes times
      = batch_times (report, event->first_frame, event->frames);
  GstSeedVR2BatchSpeed speed
      = { event->first_frame, phase_sum (&event->stats.last),
          times.running_time };

  gst_seedvr2_speed_batch (&report->speed, report->element, &speed);
  if (!g_atomic_int_get (&report->enabled))
    return;
  post_batch (report, event, &times);
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
    if (g_atomic_int_get (&report->enabled))
      post_plan (report, event);
    break;
  case SVR_EVENT_MEMORY:
    if (g_atomic_int_get (&report->enabled))
      post_memory (report, event);
    break;
  case SVR_EVENT_ENDED:
    if (g_atomic_int_get (&report->enabled))
      post_summary (report, event);
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

/* ---- log ---- */

static GstDebugLevel
debug_level (svr_log_level level)
{
  switch (level) {
  case SVR_LOG_ERROR:
    return GST_LEVEL_ERROR;
  case SVR_LOG_WARN:
    return GST_LEVEL_WARNING;
  case SVR_LOG_INFO:
    return GST_LEVEL_INFO;
  case SVR_LOG_DEBUG:
    return GST_LEVEL_DEBUG;
  case SVR_LOG_TRACE:
  default:
    return GST_LEVEL_TRACE;
  }
}

static void
write_log (void *element, svr_log_level level, const char *module,
           const char *text)
{
  gst_debug_log (gst_seedvr2_core_debug, debug_level (level), module, module, 0,
                 element, "%s", text);
}

void
gst_seedvr2_report_init_debug (void)
{
  GST_DEBUG_CATEGORY_INIT (gst_seedvr2_core_debug, "seedvr2core", 0,
                           "SeedVR2 engine");
}

svr_log
gst_seedvr2_report_log (GstElement *element)
{
  svr_log log = { write_log, element, SVR_LOG_ERROR };
  GstDebugLevel threshold
      = gst_debug_category_get_threshold (gst_seedvr2_core_debug);

  for (svr_log_level l = SVR_LOG_ERROR; l <= SVR_LOG_TRACE; l++) {
    if (debug_level (l) <= threshold)
      log.level = l;
  }
  return log;
}
