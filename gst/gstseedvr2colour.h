/* Formats and colours of what goes out, so that as little as possible is lost.
 *
 * `s` is one of the possible structures of the output, `in` the input. */
#ifndef GST_SEEDVR2_COLOUR_H
#define GST_SEEDVR2_COLOUR_H

#include <gst/video/video.h>

G_BEGIN_DECLS

/* Fixes the format of `s`, where it is open, to the one that loses least. */
void gst_seedvr2_format_fixate (const GstVideoInfo *in, GstStructure *s);

/* Fixes colorimetry and chroma site of `s`, whose format is fixed.  Those of
 * the input are written down, since the defaults that caps without them mean
 * change with the size; between RGB, YUV and grey matrix and range become
 * downstream's or usual ones. */
void gst_seedvr2_colour_fixate (const GstVideoInfo *in, GstStructure *s);

G_END_DECLS
#endif
