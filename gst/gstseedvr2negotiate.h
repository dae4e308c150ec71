/* Negotiation of caps and allocation. */
#ifndef GST_SEEDVR2_NEGOTIATE_H
#define GST_SEEDVR2_NEGOTIATE_H

#include "gstseedvr2upscale.h"

G_BEGIN_DECLS

/* Posts an error where a neighbour that is linked already takes or gives frames
 * in CUDA memory only, which a backend on the CPU cannot.  Returns: FALSE then.
 */
gboolean gst_seedvr2_negotiate_check_memory (GstSeedVR2Upscale *self);

/* Sets the virtual functions that negotiate. */
void gst_seedvr2_negotiate_init_class (GstBaseTransformClass *transform);

G_END_DECLS
#endif
