/* What the element uses of libgstcuda, which is opened at run time: linked to,
 * it would keep the plugin from loading where it is missing, and it brings the
 * libraries of OpenGL, X11 and Wayland into the process.  Another source file
 * stands in for builds without its headers. */
#ifndef GST_SEEDVR2_CUDALIB_H
#define GST_SEEDVR2_CUDALIB_H

#include <gst/gst.h>

G_BEGIN_DECLS

/* GST_CUDA_CONTEXT_TYPE: the name of the type of contexts, and of the field
 * with a GstCudaContext in them. */
#define GST_SEEDVR2_CUDA_CONTEXT_TYPE "gst.cuda.context"

/* Opens the library, once.  Returns: FALSE where it or the driver is not there,
 * or not of a version that fits. */
gboolean gst_seedvr2_cudalib_open (void);

/* The CUcontext of a GstCudaContext.  The library must be open. */
gpointer gst_seedvr2_cudalib_handle (GObject *cuda_context);

/* A GstCudaContext around a CUcontext that must outlive it.  The library must
 * be open.  Returns: (transfer full) (nullable) */
GObject *gst_seedvr2_cudalib_wrap (gpointer handle, gint device);

G_END_DECLS
#endif
