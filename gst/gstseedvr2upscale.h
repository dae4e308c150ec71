/* The element seedvr2upscale: restores and upscales video in batches. */
#ifndef GST_SEEDVR2_UPSCALE_H
#define GST_SEEDVR2_UPSCALE_H

#include <gst/base/gstbasetransform.h>
#include <gst/gst.h>

G_BEGIN_DECLS

#define GST_TYPE_SEEDVR2_UPSCALE (gst_seedvr2_upscale_get_type ())
G_DECLARE_FINAL_TYPE (GstSeedVR2Upscale, gst_seedvr2_upscale, GST,
                      SEEDVR2_UPSCALE, GstBaseTransform)

GST_ELEMENT_REGISTER_DECLARE (seedvr2upscale)

G_END_DECLS
#endif
