/* The size of what goes out. */
#ifndef GST_SEEDVR2_SIZE_H
#define GST_SEEDVR2_SIZE_H

#include <gst/video/video.h>

G_BEGIN_DECLS

/* The size that is wanted where downstream caps leave it open. */
typedef struct {
  gdouble scale;       /* factor for both sides; used while resolution is 0 */
  gint resolution;     /* pixels of the short side; 0: use scale */
  gint max_resolution; /* pixels of the long side at most; 0: no limit */
} GstSeedVR2Size;

/* Fixes width, height and pixel aspect ratio of `s`, one of the possible
 * structures of the output for input `in`.  Fixed sizes win; `size` fills in
 * what is open, even and in the display aspect ratio of the input, in
 * proportion where a limit of `s` bites; where both sides are fixed the pixel
 * aspect ratio takes up the difference. */
void gst_seedvr2_size_fixate (const GstSeedVR2Size *size,
                              const GstVideoInfo *in, GstStructure *s);

G_END_DECLS
#endif
