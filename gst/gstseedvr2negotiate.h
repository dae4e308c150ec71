/* Negotiation of caps and allocation. */
#ifndef GST_SEEDVR2_NEGOTIATE_H
#define GST_SEEDVR2_NEGOTIATE_H

#include <gst/base/gstbasetransform.h>

G_BEGIN_DECLS

/* Sets the virtual functions that negotiate. */
void gst_seedvr2_negotiate_init_class (GstBaseTransformClass *transform);

G_END_DECLS
#endif
