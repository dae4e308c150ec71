#include "gstseedvr2cudalib.h"

#include <gmodule.h>
#include <gst/cuda/gstcudacontext.h>

#define LIBRARY "libgstcuda-1.0.so.0"

/* gst/cuda/gstcudaloader.h wants OpenGL's headers too */
typedef gboolean (*LoadLibrary) (void);

/* of the types that the headers give them */
static struct {
  __typeof__ (gst_cuda_context_get_handle) *get_handle;
  __typeof__ (gst_cuda_context_new_wrapped) *new_wrapped;
} lib;

static gboolean
open_library (void)
{
  GModule *module = g_module_open (LIBRARY, G_MODULE_BIND_LAZY);
  LoadLibrary load_driver = NULL;
  gboolean found;

  if (!module)
    return FALSE;
  found = g_module_symbol (module, "gst_cuda_load_library",
                           (gpointer *)&load_driver)
          && g_module_symbol (module, "gst_cuda_context_get_handle",
                              (gpointer *)&lib.get_handle)
          && g_module_symbol (module, "gst_cuda_context_new_wrapped",
                              (gpointer *)&lib.new_wrapped);
  /* it registers types */
  g_module_make_resident (module);
  g_module_close (module);
  /* nothing else in it may be called before it has the driver */
  return found && load_driver ();
}

gboolean
gst_seedvr2_cudalib_open (void)
{
  static gsize state = 0;

  if (g_once_init_enter (&state))
    g_once_init_leave (&state, open_library () ? 1 : 2);
  return state == 1;
}

gpointer
gst_seedvr2_cudalib_handle (GObject *cuda_context)
{
  return lib.get_handle ((GstCudaContext *)cuda_context);
}

GObject *
gst_seedvr2_cudalib_wrap (gpointer handle, gint device)
{
  return (GObject *)lib.new_wrapped ((CUcontext)handle, device);
}
