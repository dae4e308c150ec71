/* The line that tells how far an upscale run is. */
#ifndef SEEDVR2_UPSCALE_PROGRESS_H
#define SEEDVR2_UPSCALE_PROGRESS_H

#include <gst/gst.h>

typedef struct upscale_progress {
    GstElement *upscaler;    /* borrowed */
    gboolean terminal;       /* one line that is overwritten; else a line now and then */
    gint64 started, printed; /* monotonic microseconds */
    guint64 frames, total;   /* out so far; expected, 0 when unknown */
} upscale_progress;

void upscale_progress_start(upscale_progress *p, GstElement *upscaler);

/* Looks at the element and prints when there is something to say. */
void upscale_progress_update(upscale_progress *p);

/* Ends the overwritten line, before anything else is printed. */
void upscale_progress_clear(upscale_progress *p);

/* "65 frames in 1:02 (1.05 frames/s), peak memory 480 MB", and whether many are missing */
char *upscale_progress_summary(upscale_progress *p);

#endif
