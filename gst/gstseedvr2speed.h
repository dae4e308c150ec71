/* Whether a live source is kept up with.
 *
 * Threads: any. */
#ifndef GST_SEEDVR2_SPEED_H
#define GST_SEEDVR2_SPEED_H

#include <gst/gst.h>

G_BEGIN_DECLS

typedef struct {
  GMutex lock;
  gboolean live, warned;
  GstClockTime frame_duration; /* 0: the rate varies */
  guint batches;               /* seen since the stream began */
  guint slow;                  /* of these, the last ones that were */
  /* of the batch before; its time is 0 where it does not count */
  guint64 first_frame, time;
  GstClockTime running_time;
} GstSeedVR2Speed;

/* A batch as it was computed. */
typedef struct {
  guint64 first_frame;       /* absolute number */
  guint64 time;              /* of computing, nanoseconds */
  GstClockTime running_time; /* of its first frame, or GST_CLOCK_TIME_NONE */
} GstSeedVR2BatchSpeed;

void gst_seedvr2_speed_init (GstSeedVR2Speed *speed);
void gst_seedvr2_speed_clear (GstSeedVR2Speed *speed);

/* The element starts: a new warning may come. */
void gst_seedvr2_speed_start (GstSeedVR2Speed *speed);

/* What upstream says of itself in a LATENCY query. */
void gst_seedvr2_speed_set_live (GstSeedVR2Speed *speed, gboolean live);

/* New caps, with a frame rate of fps_n / fps_d; 0 / 1: it varies. */
void gst_seedvr2_speed_set_rate (GstSeedVR2Speed *speed, gint fps_n,
                                 gint fps_d);

/* Counts a batch.  When two in a row took longer than their frames last, posts
 * a warning for `element`, once per start and for live sources only.  The first
 * batch after new caps, with which memory and kernels are set up, and the last
 * one, which may be short, do not count. */
void gst_seedvr2_speed_batch (GstSeedVR2Speed *speed, GstElement *element,
                              const GstSeedVR2BatchSpeed *batch);

G_END_DECLS
#endif
