#include "gstseedvr2speed.h"

/* One slow batch may be a hiccup. */
#define SLOW_BATCHES 2

void
gst_seedvr2_speed_init (GstSeedVR2Speed *speed)
{
  *speed = (GstSeedVR2Speed){ .running_time = GST_CLOCK_TIME_NONE };
  g_mutex_init (&speed->lock);
}

void
gst_seedvr2_speed_clear (GstSeedVR2Speed *speed)
{
  g_mutex_clear (&speed->lock);
}

static void
forget_batches (GstSeedVR2Speed *speed)
{
  speed->batches = speed->slow = 0;
  speed->time = 0;
}

void
gst_seedvr2_speed_start (GstSeedVR2Speed *speed)
{
  g_mutex_lock (&speed->lock);
  speed->live = speed->warned = FALSE;
  speed->frame_duration = 0;
  forget_batches (speed);
  g_mutex_unlock (&speed->lock);
}

void
gst_seedvr2_speed_set_live (GstSeedVR2Speed *speed, gboolean live)
{
  g_mutex_lock (&speed->lock);
  speed->live = live;
  g_mutex_unlock (&speed->lock);
}

void
gst_seedvr2_speed_set_rate (GstSeedVR2Speed *speed, gint fps_n, gint fps_d)
{
  g_mutex_lock (&speed->lock);
  speed->frame_duration
      = fps_n > 0 ? gst_util_uint64_scale_int (GST_SECOND, fps_d, fps_n) : 0;
  forget_batches (speed);
  g_mutex_unlock (&speed->lock);
}

/* What the clock of the source says between the batch before and this one.
 * 0: nothing. */
static GstClockTime
time_between (const GstSeedVR2Speed *speed, const GstSeedVR2BatchSpeed *batch)
{
  if (!GST_CLOCK_TIME_IS_VALID (batch->running_time)
      || !GST_CLOCK_TIME_IS_VALID (speed->running_time)
      || batch->running_time <= speed->running_time)
    return 0;
  return batch->running_time - speed->running_time;
}

/* How long the frames of the batch before last, at the rate of the caps where
 * there is one: a source that drops frames when nobody takes them stretches
 * the times between those that come.  0: unknown, as behind a seek. */
static GstClockTime
duration_before (const GstSeedVR2Speed *speed,
                 const GstSeedVR2BatchSpeed *batch)
{
  if (batch->first_frame <= speed->first_frame)
    return 0;
  if (speed->frame_duration > 0)
    return (batch->first_frame - speed->first_frame) * speed->frame_duration;
  return time_between (speed, batch);
}

/* A camera in the dark gives less than its caps say: who waits for frames most
 * of the time is not slow. */
static gboolean
was_slow (const GstSeedVR2Speed *speed, const GstSeedVR2BatchSpeed *batch,
          GstClockTime duration)
{
  return speed->time > 0 && duration > 0 && speed->time > duration
         && speed->time > time_between (speed, batch) / 4 * 3;
}

static void
warn (GstElement *element, guint64 frames, guint64 time, GstClockTime duration)
{
  gdouble made = (gdouble)frames * 1e9 / (gdouble)time;
  gdouble wanted = (gdouble)frames * 1e9 / (gdouble)duration;

  GST_ELEMENT_WARNING_WITH_DETAILS (
      element, CORE, CLOCK,
      ("The live source gives %.3g frames a second, but only %.3g can be "
       "made: frames will be late or lost. Make the output smaller (scale, "
       "resolution), lower the frame rate with videorate, use a faster device "
       "or a smaller model, or record first and upscale the file.",
       wanted, made),
      (NULL),
      ("frames-per-second", G_TYPE_DOUBLE, made, "frames-per-second-wanted",
       G_TYPE_DOUBLE, wanted, NULL));
}

static void
remember (GstSeedVR2Speed *speed, const GstSeedVR2BatchSpeed *batch)
{
  speed->time = speed->batches++ > 0 ? batch->time : 0;
  speed->first_frame = batch->first_frame;
  speed->running_time = batch->running_time;
}

void
gst_seedvr2_speed_batch (GstSeedVR2Speed *speed, GstElement *element,
                         const GstSeedVR2BatchSpeed *batch)
{
  guint64 frames, time;
  GstClockTime duration;
  gboolean must_warn;

  g_mutex_lock (&speed->lock);
  duration = duration_before (speed, batch);
  time = speed->time;
  frames = batch->first_frame - speed->first_frame;
  speed->slow = was_slow (speed, batch, duration) ? speed->slow + 1 : 0;
  remember (speed, batch);
  must_warn = speed->live && !speed->warned && speed->slow >= SLOW_BATCHES;
  speed->warned |= must_warn;
  g_mutex_unlock (&speed->lock);
  if (must_warn)
    warn (element, frames, time, duration);
}
