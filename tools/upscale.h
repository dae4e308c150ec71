/* The pipeline behind `seedvr2 upscale`: file in, file out. */
#ifndef SEEDVR2_UPSCALE_H
#define SEEDVR2_UPSCALE_H

#include <gst/gst.h>

/* How a kind of output file is made, by its suffix. */
typedef struct upscale_format {
    const char *suffix;
    const char *muxer; /* NULL: pictures */
    /* video encoders by preference, "factory property=value …", ended by NULL */
    const char *video[5];
    /* the same for audio that cannot be copied */
    const char *audio[4];
} upscale_format;

/* NULL when the suffix of `path` is unknown.  upscale_suffixes() lists the known ones. */
const upscale_format *upscale_format_find(const char *path);
char *upscale_suffixes(void);

typedef struct upscale_pipeline {
    const upscale_format *format;
    GstElement *pipeline; /* owned */
    /* parts of it, borrowed */
    GstElement *decoder, *upscaler, *encoder, *muxer;
    gboolean has_video;
    gint frames;     /* that came to the output side; atomic */
    GString *notes;  /* streams that are not copied, a line each */
    GPtrArray *ends; /* pads where streams enter the output side; under the pipeline's lock */
} upscale_pipeline;

/* Takes `upscaler` (floating) and builds the pipeline from `in` to the file `out`, or to pictures
 * when `out` is a pattern with %d.  FALSE with an error; finish it in both cases. */
gboolean upscale_pipeline_init(upscale_pipeline *p, const upscale_format *format,
                               GstElement *upscaler, const char *in, const char *out,
                               GError **error);
void upscale_pipeline_finish(upscale_pipeline *p);

/* Frames that are in the file when it was ended, or are on their way there. */
guint upscale_pipeline_frames(const upscale_pipeline *p);

/* Ends all streams at the encoder and muxer, from another thread, so that what came so far becomes
 * a complete file; the end of the stream is told on the bus. */
void upscale_pipeline_end(upscale_pipeline *p);

/* Whether `path` is a pattern for numbered pictures; *valid says whether it is a correct one. */
gboolean upscale_is_sequence(const char *path, gboolean *valid);

#endif
