/* The CUDA context of the element, one for the whole pipeline: a neighbour's,
 * else the one that the application or a parent bin gives, else the primary one
 * of the device, which the element then publishes.
 *
 * gst_cuda_ensure_element_context() is not used, since it makes a context of
 * its own where it finds none, beside the primary one that CUDA's libraries use
 * anyway: 524 MiB on an H100.
 *
 * With backend=cpu, and where no GPU is usable, nothing of CUDA is touched.
 * Without libgstcuda the engine takes the primary context by itself. */
#ifndef GST_SEEDVR2_CUDA_H
#define GST_SEEDVR2_CUDA_H

#include "gstseedvr2settings.h"

#include <gst/gst.h>

G_BEGIN_DECLS

/* Zeroed: holds nothing. */
typedef struct {
  gboolean chosen;     /* object lock; what follows says what there is */
  GstContext *context; /* object lock; NULL: nothing is shared */
  gpointer handle;     /* its CUcontext */
  gint device;         /* its device */
} GstSeedVR2Cuda;

/* Creates the debug category seedvr2cuda; once, before anything below. */
void gst_seedvr2_cuda_init_debug (void);

/* Gets the context that the settings want unless it is held already.  From the
 * thread that changes states, with no lock held.
 * Returns: FALSE after an error was posted: the settings want a GPU and there
 * is none. */
gboolean gst_seedvr2_cuda_ensure (GstSeedVR2Cuda *cuda, GstElement *element,
                                  const GstSeedVR2Settings *settings);

/* Whether frames may be in CUDA memory: a context is held, or it is not decided
 * yet whether one will be.  Any thread. */
gboolean gst_seedvr2_cuda_may_share (GstSeedVR2Cuda *cuda, GstElement *element);

/* The GstCudaContext that is held; NULL: none.  While frames flow.
 * (transfer none) */
GObject *gst_seedvr2_cuda_object (const GstSeedVR2Cuda *cuda);

/* Gives the context up.  Accepts one that holds nothing. */
void gst_seedvr2_cuda_drop (GstSeedVR2Cuda *cuda, GstElement *element);

/* Answers a CONTEXT query for the context that is held.  Any thread.
 * Returns: FALSE when it asks for something else or nothing is held. */
gboolean gst_seedvr2_cuda_answer (GstSeedVR2Cuda *cuda, GstElement *element,
                                  GstQuery *query);

G_END_DECLS
#endif
