/* What the element tells the application while it works: progress of loading,
 * element messages about the model, the plan, batches and memory, warnings.
 *
 * Threads: gst_seedvr2_report_event() runs on the engine's worker, the rest on
 * any.  Messages are posted without a lock held: a synchronous handler may read
 * properties. */
#ifndef GST_SEEDVR2_REPORT_H
#define GST_SEEDVR2_REPORT_H

#include "gstseedvr2files.h"
#include "gstseedvr2speed.h"
#include "gstseedvr2structures.h"
#include "pipeline/upscaler.h"

#include <gst/gst.h>

G_BEGIN_DECLS

typedef struct GstSeedVR2Report GstSeedVR2Report;

/* `element` is borrowed and posts the messages.  Caller owns. */
GstSeedVR2Report *gst_seedvr2_report_new (GstElement *element);
void gst_seedvr2_report_free (GstSeedVR2Report *report);

/* Whether element messages are posted; progress and errors always are. */
void gst_seedvr2_report_enable (GstSeedVR2Report *report, gboolean enabled);

/* The element starts with these files, which are copied.  PROGRESS START is
 * posted with the first bytes that are loaded. */
void gst_seedvr2_report_begin (GstSeedVR2Report *report,
                               const GstSeedVR2Files *files);

/* Ends a progress that is still open, with ERROR or CANCELED, and forgets all
 * frames. */
void gst_seedvr2_report_end (GstSeedVR2Report *report, gboolean failed);

/* The stream that the next plan is for. */
void gst_seedvr2_report_stream (GstSeedVR2Report *report,
                                const svr_stream_config *config);

/* What is known of the source's speed; owned by the report. */
GstSeedVR2Speed *gst_seedvr2_report_speed (GstSeedVR2Report *report);

/* Remembers the times of a frame until its batch is reported. */
void gst_seedvr2_report_frame (GstSeedVR2Report *report,
                               const GstSeedVR2FrameTimes *times);
void gst_seedvr2_report_forget_frames (GstSeedVR2Report *report);

/* svr_upscaler_options.event; `report` is a GstSeedVR2Report. */
void gst_seedvr2_report_event (void *report, const svr_event *event);

G_END_DECLS
#endif
