/* How frames and events flow through the element: into the engine, and out of
 * it in the order in which they came.
 *
 * Threads: the streaming thread, but for gst_seedvr2_flow_interrupt(). */
#ifndef GST_SEEDVR2_FLOW_H
#define GST_SEEDVR2_FLOW_H

#include "gstseedvr2upscale.h"

G_BEGIN_DECLS

/* Any thread: whatever waits for the engine returns FLUSHING at once, until
 * `flushing` is cleared and the frames are dropped. */
void gst_seedvr2_flow_interrupt (GstSeedVR2Upscale *self);

/* Forgets the frames and events in the line; the engine knows nothing of it. */
void gst_seedvr2_flow_clear (GstSeedVR2Upscale *self);

/* Gives up all frames that are held, in the engine too. */
void gst_seedvr2_flow_drop (GstSeedVR2Upscale *self);

/* Computes and pushes everything that is held; afterwards nothing is.
 * Returns: what pushing gave, or ERROR with a message posted. */
GstFlowReturn gst_seedvr2_flow_drain (GstSeedVR2Upscale *self);

/* Virtual functions of GstBaseTransform. */
gboolean gst_seedvr2_flow_sink_event (GstBaseTransform *trans, GstEvent *event);
GstFlowReturn gst_seedvr2_flow_submit_input_buffer (GstBaseTransform *trans,
                                                    gboolean is_discont,
                                                    GstBuffer *input);
GstFlowReturn gst_seedvr2_flow_generate_output (GstBaseTransform *trans,
                                                GstBuffer **outbuf);

G_END_DECLS
#endif
