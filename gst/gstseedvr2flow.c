#include "gstseedvr2flow.h"

#include "gstseedvr2cudalib.h"
#include "gstseedvr2errors.h"
#include "gstseedvr2frames.h"
#include "gstseedvr2negotiate.h"
#include "gstseedvr2private.h"

#define GST_CAT_DEFAULT gst_seedvr2_upscale_debug
#define PARENT gst_seedvr2_upscale_parent ()

void
gst_seedvr2_flow_interrupt (GstSeedVR2Upscale *self)
{
  g_atomic_int_set (&self->flushing, TRUE);
  g_mutex_lock (&self->lock);
  if (self->upscaler)
    svr_upscaler_cancel (self->upscaler);
  g_mutex_unlock (&self->lock);
}

/* What is sticky holds for frames to come too, and is not sent again. */
static void
keep_sticky_events (GstSeedVR2Upscale *self)
{
  for (GList *l = self->line.head; l; l = l->next) {
    if (GST_IS_EVENT (l->data) && GST_EVENT_IS_STICKY (l->data))
      gst_pad_store_sticky_event (GST_BASE_TRANSFORM_SRC_PAD (self), l->data);
  }
}

void
gst_seedvr2_flow_clear (GstSeedVR2Upscale *self)
{
  g_queue_clear_full (&self->line, (GDestroyNotify)gst_mini_object_unref);
  gst_clear_buffer (&self->next_out);
  gst_seedvr2_report_forget_frames (self->report);
}

void
gst_seedvr2_flow_drop (GstSeedVR2Upscale *self)
{
  keep_sticky_events (self);
  gst_seedvr2_flow_clear (self);
  if (!self->upscaler)
    return;
  svr_upscaler_reset (self->upscaler);
  /* the reset forgets a cancel; one of a flush that came now must last */
  if (g_atomic_int_get (&self->flushing))
    svr_upscaler_cancel (self->upscaler);
  self->next_frame = self->active.frame_offset;
  if (self->first_frame != self->next_frame)
    self->configured = FALSE;
}

/* ---- frames out ---- */

/* Nothing more can be pushed until a flush, a restart or, after EOS, a new
 * segment. */
static gboolean
is_stopped (GstSeedVR2Upscale *self)
{
  return self->last_flow <= GST_FLOW_EOS;
}

static GstFlowReturn
engine_failed (GstSeedVR2Upscale *self, const svr_error *err)
{
  if (err->code == SVR_ERR_CANCELLED)
    return GST_FLOW_FLUSHING;
  gst_seedvr2_report_error (GST_ELEMENT (self), err);
  return self->last_flow = GST_FLOW_ERROR;
}

/* Says why a buffer cannot be mapped. */
static GstFlowReturn
map_failed (GstSeedVR2Upscale *self, const gchar *which, GstBuffer *buffer,
            gboolean cuda)
{
  gint device = cuda ? gst_seedvr2_cudalib_device_of (buffer) : -1;

  if (device >= 0 && device != self->cuda.device)
    GST_ELEMENT_ERROR_WITH_DETAILS (
        self, STREAM, FAILED,
        ("A buffer is in the memory of GPU %d, but this element works on GPU "
         "%d: set device-id of one of the elements, or put cudadownload "
         "between them.",
         device, self->cuda.device),
        ("an %s buffer", which),
        ("suggestion", G_TYPE_STRING,
         "set device-id of one of the elements, or put cudadownload between "
         "them",
         NULL));
  else if (cuda && device < 0)
    GST_ELEMENT_ERROR_WITH_DETAILS (
        self, STREAM, FAILED,
        ("A buffer of caps with " GST_SEEDVR2_CUDA_FEATURE
         " holds no CUDA memory."),
        ("an %s buffer", which),
        ("suggestion", G_TYPE_STRING,
         "correct the element that made the buffer, or its caps", NULL));
  else
    GST_ELEMENT_ERROR_WITH_DETAILS (
        self, STREAM, FAILED,
        ("A buffer does not hold a frame of the size of its caps."),
        ("cannot map an %s buffer as a video frame", which),
        ("suggestion", G_TYPE_STRING,
         "correct the element that made the buffer, or its caps", NULL));
  return self->last_flow = GST_FLOW_ERROR;
}

/* Maps to addresses where the caps say that the frame is. */
static gboolean
map_frame (GstSeedVR2Upscale *self, GstVideoFrame *frame, GstBuffer *buffer,
           GstMapFlags flags)
{
  gboolean in = flags == GST_MAP_READ;
  const GstVideoInfo *info = in ? &self->in_info : &self->out_info;

  if (!(in ? self->in_cuda : self->out_cuda))
    return gst_seedvr2_frame_map (frame, info, buffer, flags);
  return gst_seedvr2_cudalib_device_of (buffer) == self->cuda.device
         && gst_seedvr2_cudalib_map (frame, info, buffer, flags);
}

/* Pulls the frame that is first in the line.  *out stays NULL when it is not
 * finished. */
static GstFlowReturn
take_frame (GstSeedVR2Upscale *self, bool wait, GstBuffer **out)
{
  GstBuffer *envelope = g_queue_peek_head (&self->line);
  GstVideoFrame mapped;
  svr_frame view;
  svr_error err = { 0 };
  svr_status status;
  bool got = false;

  if (!self->next_out) {
    /* from the negotiated pool, with timestamps, flags and metas */
    GstFlowReturn ret = PARENT->prepare_output_buffer (
        GST_BASE_TRANSFORM (self), envelope, &self->next_out);

    if (ret != GST_FLOW_OK)
      return ret;
  }
  if (!map_frame (self, &mapped, self->next_out, GST_MAP_WRITE))
    return map_failed (self, "output", self->next_out, self->out_cuda);
  view = gst_seedvr2_frame_view (&mapped);
  status = svr_upscaler_pull (self->upscaler, &view, wait, &got, &err);
  gst_video_frame_unmap (&mapped);
  if (status != SVR_OK)
    return engine_failed (self, &err);
  if (got) {
    *out = g_steal_pointer (&self->next_out);
    gst_buffer_unref (g_queue_pop_head (&self->line));
  }
  return GST_FLOW_OK;
}

/* Sends the events on whose turn it is: no frame before them is held. */
static void
forward_events (GstSeedVR2Upscale *self)
{
  while (!g_queue_is_empty (&self->line)
         && GST_IS_EVENT (g_queue_peek_head (&self->line)))
    PARENT->sink_event (GST_BASE_TRANSFORM (self),
                        g_queue_pop_head (&self->line));
}

/* Where downstream is: what the base class answers position queries with.  It
 * would keep it itself if it did the pushing. */
static void
note_position (GstSeedVR2Upscale *self, GstBuffer *out)
{
  GstSegment *segment = &GST_BASE_TRANSFORM (self)->segment;

  if (segment->format != GST_FORMAT_TIME || !GST_BUFFER_PTS_IS_VALID (out))
    return;
  segment->position = GST_BUFFER_PTS (out);
  if (GST_BUFFER_DURATION_IS_VALID (out))
    segment->position += GST_BUFFER_DURATION (out);
}

/* Pushes what is finished, waiting only where the engine takes nothing more or
 * the line is to be emptied.
 *
 * The frames are not handed to the base class: it would put a DISCONT that came
 * in on whichever frame goes out next, here one of an earlier batch. */
static GstFlowReturn
push_frames (GstSeedVR2Upscale *self, gboolean draining)
{
  GstPad *pad = GST_BASE_TRANSFORM_SRC_PAD (self);

  for (;;) {
    GstBuffer *out = NULL;
    GstFlowReturn ret;

    forward_events (self);
    if (g_queue_is_empty (&self->line))
      return GST_FLOW_OK;
    ret = take_frame (self, draining || !svr_upscaler_can_push (self->upscaler),
                      &out);
    if (ret != GST_FLOW_OK || !out)
      return ret;
    note_position (self, out);
    ret = self->last_flow = gst_pad_push (pad, out);
    if (ret != GST_FLOW_OK)
      return ret;
  }
}

GstFlowReturn
gst_seedvr2_flow_generate_output (GstBaseTransform *trans, GstBuffer **outbuf)
{
  *outbuf = NULL;
  return push_frames (GST_SEEDVR2_UPSCALE (trans), FALSE);
}

/* All frames are out: waits until the worker has reported their batch too, so
 * that its messages come before the EOS. */
static GstFlowReturn
settle (GstSeedVR2Upscale *self)
{
  svr_frame none = { 0 };
  svr_error err = { 0 };
  bool got = false;

  if (svr_upscaler_pull (self->upscaler, &none, true, &got, &err) != SVR_OK)
    return engine_failed (self, &err);
  return GST_FLOW_OK;
}

static GstFlowReturn
push_rest (GstSeedVR2Upscale *self)
{
  svr_error err = { 0 };
  GstFlowReturn ret;

  if (svr_upscaler_drain (self->upscaler, &err) != SVR_OK)
    return engine_failed (self, &err);
  ret = push_frames (self, TRUE);
  return ret == GST_FLOW_OK ? settle (self) : ret;
}

GstFlowReturn
gst_seedvr2_flow_drain (GstSeedVR2Upscale *self)
{
  GstFlowReturn ret;

  if (g_queue_is_empty (&self->line))
    return GST_FLOW_OK;
  ret = is_stopped (self) ? self->last_flow : push_rest (self);
  if (ret != GST_FLOW_OK) {
    GST_DEBUG_OBJECT (self, "held frames dropped: %s", gst_flow_get_name (ret));
    gst_seedvr2_flow_drop (self);
  }
  return ret;
}

/* ---- frames in ---- */

static void
note_times (GstSeedVR2Upscale *self, GstBuffer *buffer)
{
  const GstSegment *segment = &GST_BASE_TRANSFORM (self)->segment;
  GstSeedVR2FrameTimes times = { self->next_frame, GST_BUFFER_PTS (buffer),
                                 GST_BUFFER_DURATION (buffer),
                                 GST_CLOCK_TIME_NONE, GST_CLOCK_TIME_NONE };

  if (segment->format == GST_FORMAT_TIME
      && GST_CLOCK_TIME_IS_VALID (times.timestamp)) {
    times.stream_time = gst_segment_to_stream_time (segment, GST_FORMAT_TIME,
                                                    times.timestamp);
    times.running_time = gst_segment_to_running_time (segment, GST_FORMAT_TIME,
                                                      times.timestamp);
  }
  gst_seedvr2_report_frame (self->report, &times);
}

/* Sets the engine up for the negotiated caps.  Not in set_caps, since it waits
 * for the weights and a failure there would be taken for one of negotiation. */
static GstFlowReturn
configure (GstSeedVR2Upscale *self)
{
  svr_stream_config config;
  svr_upscaler_stats stats;
  svr_error err = { 0 };

  if (self->configured)
    return GST_FLOW_OK;
  gst_seedvr2_settings_stream (&self->active, &config);
  gst_seedvr2_video_info (&self->in_info, &config.in);
  gst_seedvr2_video_info (&self->out_info, &config.out);
  config.in_on_device = self->in_cuda;
  config.out_on_device = self->out_cuda;
  config.first_frame = self->next_frame;
  gst_seedvr2_report_stream (self->report, &config);
  if (svr_upscaler_configure (self->upscaler, &config, &err) != SVR_OK) {
    if (err.code != SVR_ERR_CANCELLED)
      gst_seedvr2_report_end (self->report, TRUE);
    return engine_failed (self, &err);
  }
  if (config.batch_size == 0) { /* the plan has chosen */
    svr_upscaler_get_stats (self->upscaler, &stats);
    gst_seedvr2_negotiate_update_latency (self, (guint)stats.plan.batch_size);
  }
  self->first_frame = config.first_frame;
  self->configured = TRUE;
  return GST_FLOW_OK;
}

static GstFlowReturn
hold_frame (GstSeedVR2Upscale *self, GstBuffer *buffer)
{
  GstVideoFrame mapped;
  svr_frame view;
  svr_error err = { 0 };
  svr_status status;

  if (!map_frame (self, &mapped, buffer, GST_MAP_READ)) {
    GstFlowReturn ret = gst_seedvr2_flow_drain (self);

    return ret == GST_FLOW_OK
               ? map_failed (self, "input", buffer, self->in_cuda)
               : ret;
  }
  note_times (self, buffer);
  view = gst_seedvr2_frame_view (&mapped);
  status = svr_upscaler_push (self->upscaler, &view, &err);
  gst_video_frame_unmap (&mapped);
  if (status != SVR_OK)
    return engine_failed (self, &err);
  g_queue_push_tail (&self->line, gst_seedvr2_envelope_new (buffer));
  self->next_frame++;
  return GST_FLOW_OK;
}

/* In a mixed stream a frame says itself whether it is interlaced.  Those in
 * front of such a one still go out. */
static GstFlowReturn
check_progressive (GstSeedVR2Upscale *self, GstBuffer *buffer)
{
  GstFlowReturn ret;

  if (!GST_VIDEO_INFO_IS_INTERLACED (&self->in_info)
      || !GST_BUFFER_FLAG_IS_SET (buffer, GST_VIDEO_BUFFER_FLAG_INTERLACED))
    return GST_FLOW_OK;
  ret = gst_seedvr2_flow_drain (self);
  if (ret != GST_FLOW_OK)
    return ret;
  gst_seedvr2_negotiate_refuse_interlaced (self, &self->in_info);
  return self->last_flow = GST_FLOW_ERROR;
}

GstFlowReturn
gst_seedvr2_flow_submit_input_buffer (GstBaseTransform *trans,
                                      gboolean is_discont, GstBuffer *input)
{
  GstSeedVR2Upscale *self = GST_SEEDVR2_UPSCALE (trans);
  GstFlowReturn ret = is_stopped (self) ? self->last_flow : GST_FLOW_OK;
  GstBuffer *buffer;

  /* `is_discont` stays set until the base class pushes something */
  if (ret == GST_FLOW_OK && GST_BUFFER_IS_DISCONT (input))
    ret = gst_seedvr2_flow_drain (self);
  if (ret != GST_FLOW_OK) {
    gst_buffer_unref (input);
    return ret;
  }
  /* renegotiates where that is due and leaves the buffer in queued_buf */
  ret = PARENT->submit_input_buffer (trans, is_discont, input);
  if (ret != GST_FLOW_OK)
    return ret;
  buffer = g_steal_pointer (&trans->queued_buf);
  ret = check_progressive (self, buffer);
  if (ret == GST_FLOW_OK)
    ret = configure (self);
  if (ret == GST_FLOW_OK)
    ret = hold_frame (self, buffer);
  gst_buffer_unref (buffer);
  return ret;
}

/* ---- events ---- */

static gboolean
is_new_caps (GstSeedVR2Upscale *self, GstEvent *event)
{
  GstCaps *old = gst_pad_get_current_caps (GST_BASE_TRANSFORM_SINK_PAD (self));
  GstCaps *caps;
  gboolean same;

  gst_event_parse_caps (event, &caps);
  same = old && gst_caps_is_equal (old, caps);
  gst_clear_caps (&old);
  return !same;
}

gboolean
gst_seedvr2_flow_sink_event (GstBaseTransform *trans, GstEvent *event)
{
  GstSeedVR2Upscale *self = GST_SEEDVR2_UPSCALE (trans);

  switch (GST_EVENT_TYPE (event)) {
  case GST_EVENT_FLUSH_START: /* comes from another thread */
    gst_seedvr2_flow_interrupt (self);
    break;
  case GST_EVENT_FLUSH_STOP:
    g_atomic_int_set (&self->flushing, FALSE);
    gst_seedvr2_flow_drop (self);
    self->last_flow = GST_FLOW_OK;
    break;
  case GST_EVENT_STREAM_START:
  case GST_EVENT_SEGMENT:
    gst_seedvr2_flow_drain (self);
    if (self->last_flow == GST_FLOW_EOS)
      self->last_flow = GST_FLOW_OK;
    break;
  case GST_EVENT_CAPS:
    if (is_new_caps (self, event))
      gst_seedvr2_flow_drain (self);
    break;
  case GST_EVENT_EOS:
  case GST_EVENT_SEGMENT_DONE:
  case GST_EVENT_STREAM_GROUP_DONE:
    gst_seedvr2_flow_drain (self);
    break;
  default: /* TAG, GAP, custom ones...: keep their place among the frames */
    if (GST_EVENT_IS_SERIALIZED (event) && !g_queue_is_empty (&self->line)) {
      g_queue_push_tail (&self->line, event);
      return TRUE;
    }
  }
  return PARENT->sink_event (trans, event);
}
