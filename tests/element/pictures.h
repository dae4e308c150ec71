/* Mapped frames of any format, and their way through the engine without the
 * model. */
#ifndef PICTURES_H
#define PICTURES_H

#include <gst/video/video.h>

typedef struct {
  GstVideoInfo info;
  GstBuffer *buffer;
  GstVideoFrame frame;
} Picture;

/* A frame of its own memory; `fields` are further caps, ",name=value...". */
void picture_new (Picture *p, const gchar *format, gint width, gint height,
                  const gchar *fields);

/* Takes over `buffer`. */
void picture_map (Picture *p, const GstVideoInfo *info, GstBuffer *buffer);

void picture_free (Picture *p);

/* Bytes of the words that samples lie in. */
guint picture_word_bytes (const GstVideoFormatInfo *format);

/* Component `c` (A, R, G, B) of a pixel of ARGB64. */
gint argb64 (const Picture *p, gint x, gint y, guint c);

/* The engine on the CPU, until engine_close(). */
void engine_open (void);
void engine_close (void);

/* All that the engine does to a frame, without the model: `to` has the same
 * size and any format. */
void through_engine (const Picture *from, Picture *to);

#endif
