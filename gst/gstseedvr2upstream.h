/* Events that travel upstream, and queries of both pads. */
#ifndef GST_SEEDVR2_UPSTREAM_H
#define GST_SEEDVR2_UPSTREAM_H

#include <gst/base/gstbasetransform.h>

G_BEGIN_DECLS

/* Sets the virtual functions for them. */
void gst_seedvr2_upstream_init_class (GstBaseTransformClass *transform);

G_END_DECLS
#endif
