/* Built without the headers of libgstcuda: no context and no memory is shared.
 */
#include "gstseedvr2cudalib.h"

gboolean
gst_seedvr2_cudalib_open (void)
{
  return FALSE;
}

gpointer
gst_seedvr2_cudalib_handle (GObject *cuda_context)
{
  (void)cuda_context;
  return NULL;
}

GObject *
gst_seedvr2_cudalib_wrap (gpointer handle, gint device)
{
  (void)handle;
  (void)device;
  return NULL;
}

const gchar *
gst_seedvr2_cudalib_formats (void)
{
  return NULL;
}

GstBufferPool *
gst_seedvr2_cudalib_pool_new (GObject *cuda_context)
{
  (void)cuda_context;
  return NULL;
}

gboolean
gst_seedvr2_cudalib_pool_is_of (GstBufferPool *pool, GObject *cuda_context)
{
  (void)pool;
  (void)cuda_context;
  return FALSE;
}

gint
gst_seedvr2_cudalib_device_of (GstBuffer *buffer)
{
  (void)buffer;
  return -1;
}

gboolean
gst_seedvr2_cudalib_map (GstVideoFrame *frame, const GstVideoInfo *info,
                         GstBuffer *buffer, GstMapFlags flags)
{
  (void)frame;
  (void)info;
  (void)buffer;
  (void)flags;
  return FALSE;
}
