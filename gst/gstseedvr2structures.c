#include "gstseedvr2structures.h"

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

guint64
gst_seedvr2_total_time (const svr_phase_times *times)
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
                     G_TYPE_UINT64, gst_seedvr2_total_time (times), NULL);
}

/* As the property `precision` calls it. */
static const gchar *
precision_name (svr_dtype storage)
{
  return storage == SVR_F16 ? "fp16" : storage == SVR_BF16 ? "bf16" : "fp32";
}

/* Weights on the device and, for streaming, in host memory. */
static guint64
model_bytes (const svr_memory_plan *plan)
{
  return plan->weights + plan->host - plan->host_parked;
}

GstStructure *
gst_seedvr2_structure_model (const GstSeedVR2Files *files,
                             const svr_memory_plan *plan)
{
  return gst_structure_new (
      "seedvr2-model", "model", G_TYPE_STRING, files->model, "vae-model",
      G_TYPE_STRING, files->vae_model, "text-embedding", G_TYPE_STRING,
      files->text_embedding, "bytes", G_TYPE_UINT64, model_bytes (plan), NULL);
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

GstStructure *
gst_seedvr2_structure_plan (const svr_stream_config *stream,
                            const svr_upscaler_stats *stats)
{
  GstStructure *s = gst_structure_new (
      "seedvr2-plan", "temporal-overlap", G_TYPE_INT, stream->temporal_overlap,
      "input-width", G_TYPE_INT, stream->in.width, "input-height", G_TYPE_INT,
      stream->in.height, "width", G_TYPE_INT, stream->out.width, "height",
      G_TYPE_INT, stream->out.height, NULL);

  add_plan (s, &stats->plan);
  add_memory (s, &stats->memory);
  return s;
}

GstStructure *
gst_seedvr2_structure_memory (const svr_event *event)
{
  GstStructure *s = gst_structure_new (
      "seedvr2-memory", "phase", G_TYPE_STRING, svr_point_name (event->point),
      "batch", G_TYPE_UINT64, event->batch, "step", G_TYPE_INT, event->step,
      "vram-in-use", G_TYPE_UINT64, event->in_use, "vram-high-water",
      G_TYPE_UINT64, event->high_water, "vram-planned", G_TYPE_UINT64,
      event->stats.plan.peak, NULL);

  add_memory (s, &event->stats.memory);
  return s;
}

/* Frames that were only computed to fill the batch; nothing was where the
 * frames of the batch before were reused. */
static guint64
padded_frames (const svr_event *event)
{
  return event->computed_frames > 0 ? event->computed_frames - event->frames
                                    : 0;
}

GstStructure *
gst_seedvr2_structure_batch (const svr_event *event,
                             const GstSeedVR2FrameTimes *times)
{
  guint64 nanoseconds = gst_seedvr2_total_time (&event->stats.last);
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
  return s;
}

GstStructure *
gst_seedvr2_structure_summary (const svr_upscaler_stats *stats)
{
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
  return s;
}

GstStructure *
gst_seedvr2_structure_stats (const svr_upscaler_stats *stats,
                             const gchar *backend)
{
  GstStructure *s = gst_structure_new (
      "application/x-seedvr2-stats", "backend", G_TYPE_STRING, backend,
      "precision", G_TYPE_STRING, precision_name (stats->storage), "frames-in",
      G_TYPE_UINT64, stats->frames_in, "frames-out", G_TYPE_UINT64,
      stats->frames_out, "frames-computed", G_TYPE_UINT64,
      stats->frames_computed, "batches", G_TYPE_UINT64, stats->batches,
      "batches-computed", G_TYPE_UINT64, stats->batches_computed, "cache-hits",
      G_TYPE_UINT64, stats->batches_reused, "last-batch-time", G_TYPE_UINT64,
      gst_seedvr2_total_time (&stats->last), NULL);

  add_times (s, &stats->total);
  add_memory (s, &stats->memory);
  return s;
}
