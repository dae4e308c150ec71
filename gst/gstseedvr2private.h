/* The element's state, for its own files. */
#ifndef GST_SEEDVR2_PRIVATE_H
#define GST_SEEDVR2_PRIVATE_H

#include "gstseedvr2cuda.h"
#include "gstseedvr2report.h"
#include "gstseedvr2settings.h"
#include "gstseedvr2upscale.h"
#include "pipeline/upscaler.h"

#include <gst/video/video.h>

G_BEGIN_DECLS

GST_DEBUG_CATEGORY_EXTERN (gst_seedvr2_upscale_debug);

struct _GstSeedVR2Upscale {
  GstBaseTransform parent;

  GstSeedVR2Settings settings; /* properties; object lock */
  GstClockTime latency;        /* object lock */
  GstSeedVR2Report *report;
  GstSeedVR2Cuda cuda; /* from READY up */

  GMutex lock;            /* for `upscaler` against stop() */
  svr_upscaler *upscaler; /* between start() and stop() */
  gint flushing;          /* atomic: held frames are to be dropped */

  /* streaming thread */
  GstSeedVR2Settings active; /* settings as of start() */
  GstVideoInfo in_info, out_info;
  gboolean in_cuda, out_cuda; /* frames are in CUDA memory */
  gboolean negotiated;        /* the infos are set */
  gboolean refused;           /* the last caps were, and it was said */
  gboolean told_of_hdr;       /* since start() */
  gboolean configured;        /* the engine is set up for them */
  guint64 first_frame;        /* the number that the engine counts from, while
                                 configured */
  guint64 next_frame;         /* absolute number of the next input frame */
  GQueue line; /* frames that the engine holds, as buffers without memory, and
                  the serialized events between them, in order of arrival */
  GstBuffer *next_out;     /* output for the first frame in the line, or NULL */
  GstFlowReturn last_flow; /* of pushing; EOS and errors stop the element */
};

/* The class whose virtual functions ours chain up to. */
GstBaseTransformClass *gst_seedvr2_upscale_parent (void);

G_END_DECLS
#endif
