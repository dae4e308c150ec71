/**
 * SECTION:element-seedvr2upscale
 * @title: seedvr2upscale
 * @short_description: Restores and upscales video with SeedVR2
 *
 * Restores and upscales video with the SeedVR2 networks: a causal video VAE and
 * a one-step diffusion transformer.  Frames are collected into batches of
 * #GstSeedVR2Upscale:batch-size that are restored together; exactly one frame
 * goes out for each one that comes in, with its timestamps, flags and metadata.
 *
 * The size of the output is what downstream caps say.  Where these leave it
 * open it is #GstSeedVR2Upscale:resolution pixels on the short side, or
 * #GstSeedVR2Upscale:scale times the input, and not above
 * #GstSeedVR2Upscale:max-resolution on the long side.
 *
 * Without #GstSeedVR2Upscale:model and #GstSeedVR2Upscale:vae-model the small
 * model that comes with the plugin is used.
 *
 * The element needs progressive video: put a `deinterlace` before it.  Of a
 * stream that mixes both it takes the progressive frames and fails at the first
 * interlaced one.
 *
 * Up to two batches of frames are held back, or three with
 * #GstSeedVR2Upscale:temporal-overlap.  Where another branch of the
 * pipeline, such as audio, comes from the same demuxer, its queue must be able
 * to hold that long, or the pipeline stalls: see the second example.
 *
 * A live source is told that latency, and that of
 * #GstSeedVR2Upscale:prepend-frames.  When it gives frames
 * faster than they can be made, a warning with both rates is posted once.
 *
 * On an NVIDIA GPU the element shares one CUDA context with its pipeline: it
 * takes a neighbour's or the application's (a #GstContext of type
 * `gst.cuda.context`), else it publishes the primary one of the device.
 * #GstSeedVR2Upscale:device-id chooses among several GPUs.  Frames may be in
 * CUDA memory on either pad or both (caps with `memory:CUDAMemory`): they then
 * stay on the GPU, and their memory counts as the plan's.
 *
 * ## Example launch lines
 * |[
 * gst-launch-1.0 videotestsrc num-buffers=25 ! video/x-raw,width=320,height=180
 * ! seedvr2upscale ! videoconvert ! autovideosink sync=false
 * ]| Doubles the size of a test picture.
 * |[
 * gst-launch-1.0 filesrc location=in.mkv ! matroskademux name=d
 *     d.video_0 ! queue ! decodebin ! videoconvert ! seedvr2upscale
 * resolution=1080 batch-size=9 ! x264enc ! m. d.audio_0 ! queue max-size-time=0
 * max-size-bytes=0 max-size-buffers=0 ! m. matroskamux name=m ! filesink
 * location=out.mkv
 * ]| Upscales a film and keeps its audio as it is.
 * |[
 * gst-launch-1.0 filesrc location=in.mp4 ! qtdemux ! h264parse ! nvh264dec !
 * seedvr2upscale ! nvh265enc ! h265parse ! matroskamux ! filesink
 * location=out.mkv
 * ]| Decodes, upscales and encodes on the GPU.
 * |[
 * gst-launch-1.0 filesrc location=in.jpg ! jpegdec ! seedvr2upscale
 * batch-size=1 scale=4 ! pngenc ! filesink location=out.png
 * ]| Upscales a single picture.
 * |[
 * gst-launch-1.0 -m videotestsrc num-buffers=10 ! seedvr2upscale !
 * video/x-raw,height=720 ! fakesink
 * ]| Takes the size from a capsfilter and prints the messages.
 *
 * ## Messages
 * A progress message `load-model` accompanies loading.  With
 * #GstSeedVR2Upscale:post-messages the element posts `seedvr2-model` when the
 * weights are loaded, `seedvr2-plan` when a stream is set up, `seedvr2-memory`
 * at each point of the work on a batch, `seedvr2-batch` behind it and
 * `seedvr2-summary` at the end.  Their fields, those of
 * #GstSeedVR2Upscale:stats, the details of errors and the presets `low-vram`,
 * `balanced` and `quality` are told in docs/element.md.
 */
#include "gstseedvr2upscale.h"

#include "gstseedvr2caps.h"
#include "gstseedvr2cuda.h"
#include "gstseedvr2engine.h"
#include "gstseedvr2flow.h"
#include "gstseedvr2log.h"
#include "gstseedvr2negotiate.h"
#include "gstseedvr2private.h"
#include "gstseedvr2properties.h"
#include "gstseedvr2upstream.h"

GST_DEBUG_CATEGORY (gst_seedvr2_upscale_debug);
#define GST_CAT_DEFAULT gst_seedvr2_upscale_debug

static void init_presets (GstPresetInterface *presets);

/* Presets are files that the interface reads and writes by itself. */
G_DEFINE_TYPE_WITH_CODE (GstSeedVR2Upscale, gst_seedvr2_upscale,
                         GST_TYPE_BASE_TRANSFORM,
                         G_IMPLEMENT_INTERFACE (GST_TYPE_PRESET, init_presets));
GST_ELEMENT_REGISTER_DEFINE (seedvr2upscale, "seedvr2upscale", GST_RANK_NONE,
                             GST_TYPE_SEEDVR2_UPSCALE);

#define parent_class gst_seedvr2_upscale_parent_class

GstBaseTransformClass *
gst_seedvr2_upscale_parent (void)
{
  return GST_BASE_TRANSFORM_CLASS (parent_class);
}

/* ---- presets ---- */

/* Only what is ours: the default has the name and the parent in it too, so that
 * loading a saved preset would rename the element. */
static gchar **
get_preset_properties (GstPreset *preset)
{
  guint count;
  GParamSpec **all
      = g_object_class_list_properties (G_OBJECT_GET_CLASS (preset), &count);
  GPtrArray *names = g_ptr_array_new ();

  for (guint i = 0; i < count; i++) {
    if (all[i]->owner_type == GST_TYPE_SEEDVR2_UPSCALE
        && (all[i]->flags & G_PARAM_WRITABLE))
      g_ptr_array_add (names, g_strdup (all[i]->name));
  }
  g_ptr_array_add (names, NULL);
  g_free (all);
  return (gchar **)g_ptr_array_free (names, FALSE);
}

static void
init_presets (GstPresetInterface *presets)
{
  presets->get_property_names = get_preset_properties;
}

/* ---- start and stop ---- */

static gboolean
gst_seedvr2_upscale_stop (GstBaseTransform *trans)
{
  GstSeedVR2Upscale *self = GST_SEEDVR2_UPSCALE (trans);
  svr_upscaler *upscaler;

  g_mutex_lock (&self->lock);
  upscaler = g_steal_pointer (&self->upscaler);
  g_mutex_unlock (&self->lock);
  svr_upscaler_destroy (upscaler);
  gst_seedvr2_report_end (self->report, FALSE);
  gst_seedvr2_flow_clear (self);
  self->negotiated = self->configured = FALSE;
  return TRUE;
}

static gboolean
gst_seedvr2_upscale_start (GstBaseTransform *trans)
{
  GstSeedVR2Upscale *self = GST_SEEDVR2_UPSCALE (trans);
  svr_upscaler *upscaler;

  gst_seedvr2_settings_clear (&self->active);
  GST_OBJECT_LOCK (self);
  gst_seedvr2_settings_copy (&self->active, &self->settings);
  self->latency = 0;
  GST_OBJECT_UNLOCK (self);
  self->negotiated = self->configured = self->refused = FALSE;
  self->told_of_hdr = FALSE;
  self->next_frame = self->active.frame_offset;
  self->last_flow = GST_FLOW_OK;
  gst_seedvr2_speed_start (gst_seedvr2_report_speed (self->report));
  g_atomic_int_set (&self->flushing, FALSE);

  /* again: the properties may have changed in READY */
  if (!gst_seedvr2_cuda_ensure (&self->cuda, GST_ELEMENT (self), &self->active))
    return FALSE;
  upscaler = gst_seedvr2_engine_open (GST_ELEMENT (self), &self->active,
                                      &self->cuda, self->report);
  g_mutex_lock (&self->lock);
  self->upscaler = upscaler;
  g_mutex_unlock (&self->lock);
  if (upscaler && !gst_seedvr2_negotiate_check_memory (self)) {
    gst_seedvr2_upscale_stop (trans);
    return FALSE;
  }
  return upscaler != NULL;
}

static gboolean
open_cuda (GstSeedVR2Upscale *self)
{
  GstSeedVR2Settings settings;
  gboolean ok;

  GST_OBJECT_LOCK (self);
  gst_seedvr2_settings_copy (&settings, &self->settings);
  GST_OBJECT_UNLOCK (self);
  ok = gst_seedvr2_cuda_ensure (&self->cuda, GST_ELEMENT (self), &settings);
  gst_seedvr2_settings_clear (&settings);
  return ok;
}

static GstStateChangeReturn
gst_seedvr2_upscale_change_state (GstElement *element,
                                  GstStateChange transition)
{
  GstSeedVR2Upscale *self = GST_SEEDVR2_UPSCALE (element);
  GstStateChangeReturn ret;

  /* early, since elements upstream look for a context after this one */
  if (transition == GST_STATE_CHANGE_NULL_TO_READY && !open_cuda (self))
    return GST_STATE_CHANGE_FAILURE;
  /* the pads' deactivation waits for the streaming thread */
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY)
    gst_seedvr2_flow_interrupt (self);
  ret = GST_ELEMENT_CLASS (parent_class)->change_state (element, transition);
  if (transition == GST_STATE_CHANGE_READY_TO_NULL
      || (transition == GST_STATE_CHANGE_NULL_TO_READY
          && ret == GST_STATE_CHANGE_FAILURE))
    gst_seedvr2_cuda_drop (&self->cuda, element);
  return ret;
}

/* Never called, since generate_output is ours.  Without ::transform the base
 * class would work in place: no output pool, and input buffers for output. */
static GstFlowReturn
gst_seedvr2_upscale_transform (GstBaseTransform *trans, GstBuffer *input,
                               GstBuffer *output)
{
  (void)trans;
  (void)input;
  (void)output;
  return GST_FLOW_NOT_SUPPORTED;
}

/* ---- object ---- */

/* What is latched at a start is taken at any time, but not at once: said in the
 * log, where it would make a difference. */
static void
tell_if_too_late (GstSeedVR2Upscale *self, const GValue *was, const GValue *is,
                  GParamSpec *pspec)
{
  GstState state = GST_STATE (self);

  if (state > GST_STATE_READY && (pspec->flags & GST_PARAM_MUTABLE_READY)
      && g_param_values_cmp (pspec, was, is) != 0)
    GST_WARNING_OBJECT (self,
                        "%s was set in %s: it takes effect when the element "
                        "next goes from READY to PAUSED",
                        pspec->name, gst_element_state_get_name (state));
}

static void
gst_seedvr2_upscale_set_property (GObject *object, guint id,
                                  const GValue *value, GParamSpec *pspec)
{
  GstSeedVR2Upscale *self = GST_SEEDVR2_UPSCALE (object);
  GValue was = G_VALUE_INIT;
  gboolean known, post;

  g_value_init (&was, G_PARAM_SPEC_VALUE_TYPE (pspec));
  GST_OBJECT_LOCK (self);
  gst_seedvr2_settings_get (&self->settings, id, &was);
  known = gst_seedvr2_settings_set (&self->settings, id, value);
  post = self->settings.post_messages;
  GST_OBJECT_UNLOCK (self);
  if (!known)
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  tell_if_too_late (self, &was, value, pspec);
  g_value_unset (&was);
  gst_seedvr2_report_enable (self->report, post);
  if (gst_seedvr2_property_is_size (id))
    gst_base_transform_reconfigure_src (GST_BASE_TRANSFORM (self));
}

static GstStructure *
get_stats (GstSeedVR2Upscale *self)
{
  svr_upscaler_stats stats = { 0 };
  const gchar *backend = "none";

  g_mutex_lock (&self->lock);
  if (self->upscaler) {
    svr_upscaler_get_stats (self->upscaler, &stats);
    backend = svr_upscaler_backend_name (self->upscaler);
  }
  g_mutex_unlock (&self->lock);
  return gst_seedvr2_structure_stats (&stats, backend);
}

static void
gst_seedvr2_upscale_get_property (GObject *object, guint id, GValue *value,
                                  GParamSpec *pspec)
{
  GstSeedVR2Upscale *self = GST_SEEDVR2_UPSCALE (object);
  gboolean known;

  if (id == GST_SEEDVR2_PROP_STATS) {
    g_value_take_boxed (value, get_stats (self));
    return;
  }
  GST_OBJECT_LOCK (self);
  known = gst_seedvr2_settings_get (&self->settings, id, value);
  GST_OBJECT_UNLOCK (self);
  if (!known)
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
}

static void
gst_seedvr2_upscale_finalize (GObject *object)
{
  GstSeedVR2Upscale *self = GST_SEEDVR2_UPSCALE (object);

  gst_seedvr2_settings_clear (&self->settings);
  gst_seedvr2_settings_clear (&self->active);
  gst_seedvr2_report_free (self->report);
  g_mutex_clear (&self->lock);
  G_OBJECT_CLASS (parent_class)->finalize (object);
}

static void
init_transform_class (GstBaseTransformClass *transform)
{
  gst_seedvr2_negotiate_init_class (transform);
  gst_seedvr2_upstream_init_class (transform);
  transform->start = GST_DEBUG_FUNCPTR (gst_seedvr2_upscale_start);
  transform->stop = GST_DEBUG_FUNCPTR (gst_seedvr2_upscale_stop);
  transform->sink_event = GST_DEBUG_FUNCPTR (gst_seedvr2_flow_sink_event);
  transform->transform = GST_DEBUG_FUNCPTR (gst_seedvr2_upscale_transform);
  transform->submit_input_buffer
      = GST_DEBUG_FUNCPTR (gst_seedvr2_flow_submit_input_buffer);
  transform->generate_output
      = GST_DEBUG_FUNCPTR (gst_seedvr2_flow_generate_output);
}

static void
add_pad_templates (GstElementClass *element)
{
  GstCaps *caps = gst_seedvr2_caps_template ();

  gst_element_class_add_pad_template (
      element,
      gst_pad_template_new ("sink", GST_PAD_SINK, GST_PAD_ALWAYS, caps));
  gst_element_class_add_pad_template (
      element, gst_pad_template_new ("src", GST_PAD_SRC, GST_PAD_ALWAYS, caps));
  gst_caps_unref (caps);
}

static void
gst_seedvr2_upscale_class_init (GstSeedVR2UpscaleClass *klass)
{
  GObjectClass *object = G_OBJECT_CLASS (klass);
  GstElementClass *element = GST_ELEMENT_CLASS (klass);

  GST_DEBUG_CATEGORY_INIT (gst_seedvr2_upscale_debug, "seedvr2upscale", 0,
                           "SeedVR2 upscaler");
  gst_seedvr2_log_init_debug ();
  gst_seedvr2_cuda_init_debug ();
  object->set_property = gst_seedvr2_upscale_set_property;
  object->get_property = gst_seedvr2_upscale_get_property;
  object->finalize = gst_seedvr2_upscale_finalize;
  element->change_state = GST_DEBUG_FUNCPTR (gst_seedvr2_upscale_change_state);
  init_transform_class (GST_BASE_TRANSFORM_CLASS (klass));

  gst_seedvr2_properties_install (object);
  add_pad_templates (element);
  gst_element_class_set_static_metadata (
      element, "SeedVR2 video upscaler", "Filter/Effect/Converter/Video/Scaler",
      "Restores and upscales video with the SeedVR2 diffusion transformer",
      "The seedvr2upscale authors");
}

static void
gst_seedvr2_upscale_init (GstSeedVR2Upscale *self)
{
  g_mutex_init (&self->lock);
  g_queue_init (&self->line);
  gst_seedvr2_settings_init (&self->settings);
  gst_seedvr2_settings_init (&self->active);
  self->report = gst_seedvr2_report_new (GST_ELEMENT (self));
  gst_seedvr2_report_enable (self->report, self->settings.post_messages);
  self->last_flow = GST_FLOW_OK;
  /* frames flagged GAP are frames like others and keep the flag */
  gst_base_transform_set_gap_aware (GST_BASE_TRANSFORM (self), TRUE);
}
