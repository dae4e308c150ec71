/* Built without the headers of libgstcuda: no context is shared. */
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
