/* What caps say: which sizes, formats and colours go out for what comes in. */
#ifndef GST_SEEDVR2_CAPS_H
#define GST_SEEDVR2_CAPS_H

#include <gst/gst.h>

G_BEGIN_DECLS

/* The size that is wanted where downstream caps leave it open. */
typedef struct {
  gdouble scale;       /* factor for both sides; used while resolution is 0 */
  gint resolution;     /* pixels of the short side; 0: use scale */
  gint max_resolution; /* pixels of the long side at most; 0: no limit */
} GstSeedVR2Size;

/* What both pads take: frames in CUDA memory, where the plugin was built for
 * it, and in system memory.  Returns: (transfer full). */
GstCaps *gst_seedvr2_caps_template (void);

/* Whether caps are of frames in CUDA memory. */
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
 * (transfer full).  Fixed sizes of `out` win; `size` fills in what is open,
 * even and in the display aspect ratio of the input; where both sides are
 * fixed the pixel aspect ratio takes up the difference.  The format is the one
 * that loses least.  Colorimetry and chroma site of the input are written down,
 * since the defaults that caps without them mean change with the size; between
 * RGB, YUV and grey matrix and range become downstream's or usual ones.
 * Returns: (transfer full) fixed caps. */
GstCaps *gst_seedvr2_caps_fixate (const GstSeedVR2Size *size, GstCaps *in,
                                  GstCaps *out);

G_END_DECLS
#endif
