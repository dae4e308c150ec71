/* What caps say: which sizes, formats and colours go out for what comes in. */
#ifndef GST_SEEDVR2_CAPS_H
#define GST_SEEDVR2_CAPS_H

#include "gstseedvr2size.h"

#include <gst/gst.h>

G_BEGIN_DECLS

/* What both pads take: frames in CUDA memory, where the plugin was built for
 * it, and in system memory.  Returns: (transfer full). */
GstCaps *gst_seedvr2_caps_template (void);

/* Whether caps are of frames in CUDA memory; FALSE for none and for any. */
gboolean gst_seedvr2_caps_are_cuda (GstCaps *caps);

/* The caps that the other pad could have where the one of `direction` has
 * `caps`: any size, pixel aspect ratio and format of `templ`; in the same
 * memory first and there in the same format and colorimetry first, then in
 * others. Without `cuda`, system memory only.  The source pad is progressive,
 * the sink pad anything.  `filter` may be NULL.  Returns: (transfer full). */
GstCaps *gst_seedvr2_caps_transform (GstPadDirection direction, GstCaps *caps,
                                     GstCaps *templ, gboolean cuda,
                                     GstCaps *filter);

/* Output caps for the fixed input caps `in` out of the possible ones `out`
 * (transfer full): format, then size, then colours are fixed as their own files
 * say.  Returns: (transfer full) fixed caps. */
GstCaps *gst_seedvr2_caps_fixate (const GstSeedVR2Size *size, GstCaps *in,
                                  GstCaps *out);

G_END_DECLS
#endif
