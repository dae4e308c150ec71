/* Negotiation of caps, latency and allocation. */
#ifndef GST_SEEDVR2_NEGOTIATE_H
#define GST_SEEDVR2_NEGOTIATE_H

#include "gstseedvr2upscale.h"

#include <gst/video/video.h>

G_BEGIN_DECLS

/* Posts an error where a neighbour that is linked already takes or gives frames
 * in CUDA memory only, which a backend on the CPU cannot.  Returns: FALSE then.
 */
gboolean gst_seedvr2_negotiate_check_memory (GstSeedVR2Upscale *self);

/* Sets the virtual functions that negotiate. */
void gst_seedvr2_negotiate_init_class (GstBaseTransformClass *transform);

/* Tells the pipeline of the latency with such batches: one is collected while
 * the one before it is computed.  0: the size is not known yet, and what was
 * told stays, so that a live pipeline does not drop to nothing between two
 * plans. Streaming thread. */
void gst_seedvr2_negotiate_update_latency (GstSeedVR2Upscale *self,
                                           guint batch_size);

/* Posts the error for interlaced pictures. */
void gst_seedvr2_negotiate_refuse_interlaced (GstSeedVR2Upscale *self,
                                              const GstVideoInfo *in);

G_END_DECLS
#endif
