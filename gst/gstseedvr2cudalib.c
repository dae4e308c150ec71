#include "gstseedvr2cudalib.h"

#include "gstseedvr2frames.h"

#include <gmodule.h>
#include <gst/cuda/gstcudabufferpool.h>
#include <gst/cuda/gstcudacontext.h>
#include <gst/cuda/gstcudamemory.h>

#define LIBRARY "libgstcuda-1.0.so.0"

/* gst/cuda/gstcudaloader.h wants OpenGL's headers too */
typedef gboolean (*LoadLibrary) (void);
/* since 1.24; before, whoever wrote memory has waited for that */
typedef void (*MemorySync) (GstCudaMemory *memory);

/* of the types that the headers give them */
static struct {
  __typeof__ (gst_cuda_context_get_handle) *get_handle;
  __typeof__ (gst_cuda_context_new_wrapped) *new_wrapped;
  __typeof__ (gst_cuda_memory_init_once) *init_memory;
  __typeof__ (gst_cuda_buffer_pool_new) *pool_new;
  __typeof__ (gst_cuda_buffer_pool_get_type) *pool_type;
  __typeof__ (gst_is_cuda_memory) *is_memory;
  MemorySync memory_sync; /* may be NULL */
} lib;

static gboolean
find_functions (GModule *module)
{
  const struct {
    const gchar *name;
    gpointer *function;
  } wanted[] = {
    { "gst_cuda_context_get_handle", (gpointer *)&lib.get_handle },
    { "gst_cuda_context_new_wrapped", (gpointer *)&lib.new_wrapped },
    { "gst_cuda_memory_init_once", (gpointer *)&lib.init_memory },
    { "gst_cuda_buffer_pool_new", (gpointer *)&lib.pool_new },
    { "gst_cuda_buffer_pool_get_type", (gpointer *)&lib.pool_type },
    { "gst_is_cuda_memory", (gpointer *)&lib.is_memory },
  };

  for (guint i = 0; i < G_N_ELEMENTS (wanted); i++) {
    if (!g_module_symbol (module, wanted[i].name, wanted[i].function))
      return FALSE;
  }
  if (!g_module_symbol (module, "gst_cuda_memory_sync",
                        (gpointer *)&lib.memory_sync))
    lib.memory_sync = NULL;
  return TRUE;
}

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
          && find_functions (module);
  /* it registers types */
  g_module_make_resident (module);
  g_module_close (module);
  /* nothing else in it may be called before it has the driver */
  if (!found || !load_driver ())
    return FALSE;
  /* else pools find no allocator */
  lib.init_memory ();
  return TRUE;
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

const gchar *
gst_seedvr2_cudalib_formats (void)
{
  return "{ I420, YV12, NV12, NV21, P010_10LE, P016_LE, I420_10LE, Y444, "
         "Y444_16LE, BGRA, RGBA, RGBx, BGRx, ARGB, ABGR, RGB, BGR, "
         "BGR10A2_LE, RGB10A2_LE, Y42B, I422_10LE, I422_12LE, RGBP, BGRP, "
         "GBR, GBRA }";
}

GstBufferPool *
gst_seedvr2_cudalib_pool_new (GObject *cuda_context)
{
  return lib.pool_new ((GstCudaContext *)cuda_context);
}

gboolean
gst_seedvr2_cudalib_pool_is_of (GstBufferPool *pool, GObject *cuda_context)
{
  return G_TYPE_CHECK_INSTANCE_TYPE (pool, lib.pool_type ())
         && (GObject *)((GstCudaBufferPool *)pool)->context == cuda_context;
}

gint
gst_seedvr2_cudalib_device_of (GstBuffer *buffer)
{
  gint device = -1;

  for (guint i = 0; i < gst_buffer_n_memory (buffer); i++) {
    GstMemory *memory = gst_buffer_peek_memory (buffer, i);
    guint id = 0;

    if (!lib.is_memory (memory))
      return -1;
    g_object_get (((GstCudaMemory *)memory)->context, "cuda-device-id", &id,
                  NULL);
    if (i > 0 && (gint)id != device)
      return -1;
    device = (gint)id;
  }
  return device;
}

gboolean
gst_seedvr2_cudalib_map (GstVideoFrame *frame, const GstVideoInfo *info,
                         GstBuffer *buffer, GstMapFlags flags)
{
  /* the headers' flags have no type that holds another one */
  guint all = (guint)flags | (guint)GST_MAP_CUDA;

  if (!gst_seedvr2_frame_map (frame, info, buffer, (GstMapFlags)all))
    return FALSE;
  for (guint i = 0; lib.memory_sync && i < gst_buffer_n_memory (buffer); i++)
    lib.memory_sync ((GstCudaMemory *)gst_buffer_peek_memory (buffer, i));
  return TRUE;
}
