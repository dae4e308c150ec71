/* Frames to look at: of a file, or made up. */
#ifndef SEEDVR2_VERIFY_PICTURE_H
#define SEEDVR2_VERIFY_PICTURE_H

#include "base/status.h"

#include <stdint.h>

/* Frames as the VAE takes them: [frames,height,width,3] in -1 .. 1. */
typedef struct picture {
    int frames, height, width;
    float *values; /* g_free */
} picture;

/* Fills p->values.  path: the first frames of anything that GStreamer decodes, scaled to p's size;
 * the last one is repeated.  NULL: textures, shapes and plain areas that differ from place to
 * place, and that drift.  Errors: IO. */
SVR_CHECKED svr_status picture_load(const char *path, picture *p, svr_error *err);

#endif
