/* What element messages and statistics hold; docs/element.md tells the meaning
 * of each field. */
#ifndef GST_SEEDVR2_STRUCTURES_H
#define GST_SEEDVR2_STRUCTURES_H

#include "gstseedvr2files.h"
#include "pipeline/upscaler.h"

#include <gst/gst.h>

G_BEGIN_DECLS

/* Times of an input frame, or of a batch; GST_CLOCK_TIME_NONE where unknown. */
typedef struct {
  guint64 number; /* absolute, of the (first) frame, as the engine counts */
  GstClockTime timestamp, duration, stream_time, running_time;
} GstSeedVR2FrameTimes;

/* Nanoseconds of all phases. */
guint64 gst_seedvr2_total_time (const svr_phase_times *times);

/* The structures; each returns: (transfer full). */
GstStructure *gst_seedvr2_structure_model (const GstSeedVR2Files *files,
                                           const svr_memory_plan *plan);
GstStructure *gst_seedvr2_structure_plan (const svr_stream_config *stream,
                                          const svr_upscaler_stats *stats);
/* of SVR_EVENT_MEMORY */
GstStructure *gst_seedvr2_structure_memory (const svr_event *event);
/* of SVR_EVENT_BATCH */
GstStructure *gst_seedvr2_structure_batch (const svr_event *event,
                                           const GstSeedVR2FrameTimes *times);
/* behind the last frame of a stream */
GstStructure *gst_seedvr2_structure_summary (const svr_upscaler_stats *stats);
/* application/x-seedvr2-stats */
GstStructure *gst_seedvr2_structure_stats (const svr_upscaler_stats *stats,
                                           const gchar *backend);

G_END_DECLS
#endif
