/* What the element uses of libgstcuda, which is opened at run time: linked to,
 * it would keep the plugin from loading where it is missing, and it brings the
 * libraries of OpenGL, X11 and Wayland into the process.  Another source file
 * stands in for builds without its headers. */
#ifndef GST_SEEDVR2_CUDALIB_H
#define GST_SEEDVR2_CUDALIB_H

#include <gst/video/video.h>

G_BEGIN_DECLS

/* GST_CUDA_CONTEXT_TYPE: the name of the type of contexts, and of the field
 * with a GstCudaContext in them. */
#define GST_SEEDVR2_CUDA_CONTEXT_TYPE "gst.cuda.context"

/* GST_CAPS_FEATURE_MEMORY_CUDA_MEMORY: of caps whose buffers hold CUDA memory.
 */
#define GST_SEEDVR2_CUDA_FEATURE "memory:CUDAMemory"

/* The formats that such memory of GStreamer 1.22 and later can have, as in
 * caps.  NULL: built without the headers, no CUDA memory is used. */
const gchar *gst_seedvr2_cudalib_formats (void);

/* Opens the library, once.  Returns: FALSE where it or the driver is not there,
 * or not of a version that fits. */
gboolean gst_seedvr2_cudalib_open (void);

/* The CUcontext of a GstCudaContext.  The library must be open. */
gpointer gst_seedvr2_cudalib_handle (GObject *cuda_context);

/* A GstCudaContext around a CUcontext that must outlive it.  The library must
 * be open.  Returns: (transfer full) (nullable) */
GObject *gst_seedvr2_cudalib_wrap (gpointer handle, gint device);

/* A pool of CUDA memory of a GstCudaContext.  The library must be open.
 * Returns: (transfer full) (nullable) */
GstBufferPool *gst_seedvr2_cudalib_pool_new (GObject *cuda_context);

/* Whether `pool` is one of CUDA memory of that context.  The library must be
 * open. */
gboolean gst_seedvr2_cudalib_pool_is_of (GstBufferPool *pool,
                                         GObject *cuda_context);

/* The device whose memory a buffer holds; -1: not CUDA memory, or not all of
 * it.  The library must be open. */
gint gst_seedvr2_cudalib_device_of (GstBuffer *buffer);

/* gst_seedvr2_frame_map() of CUDA memory to addresses on the device, where
 * everything that was to be written before is there. */
gboolean gst_seedvr2_cudalib_map (GstVideoFrame *frame,
                                  const GstVideoInfo *info, GstBuffer *buffer,
                                  GstMapFlags flags);

G_END_DECLS
#endif
