#include "gstseedvr2cuda.h"

#include "gstseedvr2cudalib.h"
#include "gstseedvr2errors.h"
#include "pipeline/cuda_module.h"

#define GST_CAT_DEFAULT gst_seedvr2_cuda_debug
#define CONTEXT_TYPE GST_SEEDVR2_CUDA_CONTEXT_TYPE
#define DEVICE_FIELD "cuda-device-id" /* of contexts, and a property */
#define PRIMARY_KEY "seedvr2-primary-context"

GST_DEBUG_CATEGORY_STATIC (gst_seedvr2_cuda_debug);

void
gst_seedvr2_cuda_init_debug (void)
{
  GST_DEBUG_CATEGORY_INIT (gst_seedvr2_cuda_debug, "seedvr2cuda", 0,
                           "CUDA context of the SeedVR2 upscaler");
}

/* ---- contexts of others ---- */

/* The GstCudaContext in `context` and its device.  NULL when there is none.
 * (transfer none) */
static GObject *
cuda_context_of (GstContext *context, gint *device)
{
  const GstStructure *fields = gst_context_get_structure (context);
  const GValue *value = gst_structure_get_value (fields, CONTEXT_TYPE);
  GObject *object;
  guint id = 0;

  if (!value || !G_VALUE_HOLDS_OBJECT (value))
    return NULL;
  object = g_value_get_object (value);
  if (!object)
    return NULL;
  g_object_get (object, DEVICE_FIELD, &id, NULL);
  *device = (gint)id;
  return object;
}

/* Takes over `context` (may be NULL) when it is of the wanted device. */
static gboolean
adopt (GstSeedVR2Cuda *cuda, GstElement *element, GstContext *context,
       gint wanted)
{
  gint device = -1;
  GObject *object = context ? cuda_context_of (context, &device) : NULL;

  if (!object || (wanted >= 0 && wanted != device)) {
    if (object)
      GST_INFO_OBJECT (element, "%p is of GPU %d, not %d", object, device,
                       wanted);
    g_clear_pointer (&context, gst_context_unref);
    return FALSE;
  }
  cuda->handle = gst_seedvr2_cudalib_handle (object);
  cuda->device = device;
  GST_OBJECT_LOCK (element);
  cuda->context = context;
  GST_OBJECT_UNLOCK (element);
  return TRUE;
}

static gboolean
query_peer (GstElement *element, GstPad *pad, gpointer query)
{
  (void)element;
  /* FALSE ends the round */
  return !gst_pad_peer_query (pad, query);
}

static gboolean
ask_neighbours (GstSeedVR2Cuda *cuda, GstElement *element, gint wanted,
                gboolean downstream)
{
  GstQuery *query = gst_query_new_context (CONTEXT_TYPE);
  GstContext *context = NULL;
  gboolean taken;

  if (downstream)
    gst_element_foreach_src_pad (element, query_peer, query);
  else
    gst_element_foreach_sink_pad (element, query_peer, query);
  gst_query_parse_context (query, &context);
  if (context)
    gst_context_ref (context);
  gst_query_unref (query);
  taken = adopt (cuda, element, context, wanted);
  if (taken)
    GST_INFO_OBJECT (element, "CUDA context %p of GPU %d comes from %s",
                     cuda->handle, cuda->device,
                     downstream ? "downstream" : "upstream");
  return taken;
}

/* Parent bins and the application answer while the message is posted, or gave
 * the context earlier: the base class keeps it. */
static gboolean
ask_application (GstSeedVR2Cuda *cuda, GstElement *element, gint wanted)
{
  gboolean taken;

  gst_element_post_message (element, gst_message_new_need_context (
                                         GST_OBJECT (element), CONTEXT_TYPE));
  taken = adopt (cuda, element, gst_element_get_context (element, CONTEXT_TYPE),
                 wanted);
  if (taken)
    GST_INFO_OBJECT (element, "CUDA context %p of GPU %d was given",
                     cuda->handle, cuda->device);
  return taken;
}

/* ---- the primary context ---- */

static void
release_primary (gpointer device)
{
  svr_cuda_module_release_primary (GPOINTER_TO_INT (device) - 1);
}

/* The hold on the primary context goes when nobody holds the object any more:
 * streams and memory of others hold it too.  (transfer full) (nullable) */
static GObject *
wrap_primary (GstElement *element, gint device, svr_error *err)
{
  gpointer handle = NULL;
  GObject *object;

  if (svr_cuda_module_retain_primary (device, &handle, err) != SVR_OK)
    return NULL;
  object = gst_seedvr2_cudalib_wrap (handle, device);
  if (!object) {
    GST_WARNING_OBJECT (element, "libgstcuda refuses CUDA context %p", handle);
    svr_cuda_module_release_primary (device);
    return NULL;
  }
  g_object_set_data_full (object, PRIMARY_KEY, GINT_TO_POINTER (device + 1),
                          release_primary);
  return object;
}

/* Not persistent, so that bins forget it in NULL and hold nothing of the GPU
 * then. */
static GstContext *
context_new (GObject *object, gint device)
{
  GstContext *context = gst_context_new (CONTEXT_TYPE, FALSE);

  gst_structure_set (gst_context_writable_structure (context), CONTEXT_TYPE,
                     G_OBJECT_TYPE (object), object, DEVICE_FIELD, G_TYPE_UINT,
                     (guint)device, NULL);
  return context;
}

/* Takes the primary context and tells everyone. */
static gboolean
publish_primary (GstSeedVR2Cuda *cuda, GstElement *element, gint device,
                 svr_error *err)
{
  GObject *object = wrap_primary (element, device, err);
  GstContext *context;

  if (!object)
    return err->code == SVR_OK;
  context = context_new (object, device);
  g_object_unref (object);
  adopt (cuda, element, gst_context_ref (context), device);
  GST_INFO_OBJECT (element, "primary CUDA context %p of GPU %d is published",
                   cuda->handle, device);
  gst_element_post_message (
      element, gst_message_new_have_context (GST_OBJECT (element), context));
  return TRUE;
}

/* ---- the element's ---- */

/* Returns: FALSE with `err` filled. */
static gboolean
acquire (GstSeedVR2Cuda *cuda, GstElement *element, gint wanted, svr_error *err)
{
  gint found = -1;

  if (svr_cuda_module_find_device (wanted, &found, err) != SVR_OK)
    return FALSE;
  if (!gst_seedvr2_cudalib_open ()) {
    GST_INFO_OBJECT (element, "no libgstcuda: no CUDA context is shared");
    return TRUE;
  }
  return ask_neighbours (cuda, element, wanted, TRUE)
         || ask_neighbours (cuda, element, wanted, FALSE)
         || ask_application (cuda, element, wanted)
         || publish_primary (cuda, element, found, err);
}

static gboolean
choose (GstSeedVR2Cuda *cuda, GstElement *element,
        const GstSeedVR2Settings *settings)
{
  gint wanted = settings->device_id;
  svr_error err = { 0 };

  if (cuda->context && settings->backend != SVR_BACKEND_CPU
      && (wanted < 0 || wanted == cuda->device))
    return TRUE;
  gst_seedvr2_cuda_drop (cuda, element);
  if (settings->backend == SVR_BACKEND_CPU
      || acquire (cuda, element, wanted, &err))
    return TRUE;
  if (settings->backend == SVR_BACKEND_AUTO) {
    GST_INFO_OBJECT (element, "no CUDA: %s", err.text);
    return TRUE;
  }
  gst_seedvr2_report_error (element, &err);
  return FALSE;
}

gboolean
gst_seedvr2_cuda_ensure (GstSeedVR2Cuda *cuda, GstElement *element,
                         const GstSeedVR2Settings *settings)
{
  gboolean ok = choose (cuda, element, settings);

  GST_OBJECT_LOCK (element);
  cuda->chosen = ok;
  GST_OBJECT_UNLOCK (element);
  return ok;
}

gboolean
gst_seedvr2_cuda_may_share (GstSeedVR2Cuda *cuda, GstElement *element)
{
  gboolean may;

  GST_OBJECT_LOCK (element);
  may = cuda->context || !cuda->chosen;
  GST_OBJECT_UNLOCK (element);
  return may;
}

GObject *
gst_seedvr2_cuda_object (const GstSeedVR2Cuda *cuda)
{
  gint device = -1;

  return cuda->context ? cuda_context_of (cuda->context, &device) : NULL;
}

void
gst_seedvr2_cuda_drop (GstSeedVR2Cuda *cuda, GstElement *element)
{
  GstContext *context;

  GST_OBJECT_LOCK (element);
  context = g_steal_pointer (&cuda->context);
  cuda->chosen = FALSE;
  GST_OBJECT_UNLOCK (element);
  cuda->handle = NULL;
  g_clear_pointer (&context, gst_context_unref);
}

gboolean
gst_seedvr2_cuda_answer (GstSeedVR2Cuda *cuda, GstElement *element,
                         GstQuery *query)
{
  const gchar *type = NULL;
  GstContext *context;

  gst_query_parse_context_type (query, &type);
  if (g_strcmp0 (type, CONTEXT_TYPE) != 0)
    return FALSE;
  GST_OBJECT_LOCK (element);
  context = cuda->context ? gst_context_ref (cuda->context) : NULL;
  GST_OBJECT_UNLOCK (element);
  if (!context)
    return FALSE;
  gst_query_set_context (query, context);
  gst_context_unref (context);
  return TRUE;
}
