/* Caps, sizes and buffer pools: what the base class asks for before frames
 * flow. */
#include "gstseedvr2negotiate.h"

#include "gstseedvr2caps.h"
#include "gstseedvr2cudalib.h"
#include "gstseedvr2cudapool.h"
#include "gstseedvr2flow.h"
#include "gstseedvr2frames.h"
#include "gstseedvr2private.h"

#define GST_CAT_DEFAULT gst_seedvr2_upscale_debug

#define MIN_SIDE 16
#define MAX_SIDE 16384

/* Whether caps of frames in CUDA memory can be negotiated.  With backend=auto
 * the engine may have found that it has to use the CPU. */
static gboolean
takes_cuda (GstSeedVR2Upscale *self)
{
  gboolean on_cpu;

  g_mutex_lock (&self->lock);
  on_cpu = self->upscaler
           && g_strcmp0 (svr_upscaler_backend_name (self->upscaler), "cuda");
  g_mutex_unlock (&self->lock);
  return !on_cpu
         && gst_seedvr2_cuda_may_share (&self->cuda, GST_ELEMENT (self));
}

static GstCaps *
transform_caps (GstBaseTransform *trans, GstPadDirection direction,
                GstCaps *caps, GstCaps *filter)
{
  GstPad *other = direction == GST_PAD_SINK
                      ? GST_BASE_TRANSFORM_SRC_PAD (trans)
                      : GST_BASE_TRANSFORM_SINK_PAD (trans);
  GstCaps *templ = gst_pad_get_pad_template_caps (other);
  GstCaps *result = gst_seedvr2_caps_transform (
      direction, caps, templ, takes_cuda (GST_SEEDVR2_UPSCALE (trans)), filter);

  gst_caps_unref (templ);
  return result;
}

/* Whether a neighbour is there that knows frames in CUDA memory only.  Caps
 * of ANY features, such as videorate's, contain each of them. */
static gboolean
wants_cuda (GstPad *pad)
{
  GstCaps *caps = gst_pad_peer_query_caps (pad, NULL);
  gboolean all = !gst_caps_is_any (caps) && !gst_caps_is_empty (caps);

  for (guint i = 0; all && i < gst_caps_get_size (caps); i++) {
    const GstCapsFeatures *features = gst_caps_get_features (caps, i);

    all = !gst_caps_features_is_any (features)
          && gst_caps_features_contains (features, GST_SEEDVR2_CUDA_FEATURE);
  }
  gst_caps_unref (caps);
  return all;
}

/* Without this, negotiation would fail in an element that cannot know why. */
gboolean
gst_seedvr2_negotiate_check_memory (GstSeedVR2Upscale *self)
{
  gboolean in, out;

  if (takes_cuda (self))
    return TRUE;
  in = wants_cuda (GST_BASE_TRANSFORM_SINK_PAD (self));
  out = wants_cuda (GST_BASE_TRANSFORM_SRC_PAD (self));
  if (!in && !out)
    return TRUE;
  GST_ELEMENT_ERROR_WITH_DETAILS (
      self, CORE, NEGOTIATION,
      ("Frames are to be in CUDA memory, but this element computes on the "
       "CPU: set backend=cuda, or put cudadownload before it and cudaupload "
       "behind it."),
      ("the caps of %s are of " GST_SEEDVR2_CUDA_FEATURE
       " only; with backend=cuda the error tells what a GPU lacks",
       in && out ? "both neighbours"
       : in      ? "upstream"
                 : "downstream"),
      ("suggestion", G_TYPE_STRING,
       "set backend=cuda, or put cudadownload before and cudaupload behind",
       NULL));
  return FALSE;
}

static GstCaps *
fixate_caps (GstBaseTransform *trans, GstPadDirection direction, GstCaps *caps,
             GstCaps *othercaps)
{
  GstSeedVR2Upscale *self = GST_SEEDVR2_UPSCALE (trans);
  GstSeedVR2Size size;

  if (direction != GST_PAD_SINK)
    return gst_caps_fixate (othercaps);
  GST_OBJECT_LOCK (self);
  size = self->settings.size;
  GST_OBJECT_UNLOCK (self);
  othercaps = gst_seedvr2_caps_fixate (&size, caps, othercaps);
  GST_DEBUG_OBJECT (self, "output caps: %" GST_PTR_FORMAT, othercaps);
  return othercaps;
}

void
gst_seedvr2_negotiate_refuse_interlaced (GstSeedVR2Upscale *self,
                                         const GstVideoInfo *in)
{
  GST_ELEMENT_ERROR_WITH_DETAILS (
      self, STREAM, FORMAT,
      ("Interlaced video cannot be upscaled: put a "
       "deinterlace element before this one."),
      ("interlace-mode=%s",
       gst_video_interlace_mode_to_string (GST_VIDEO_INFO_INTERLACE_MODE (in))),
      ("suggestion", G_TYPE_STRING, "put deinterlace in front", NULL));
}

/* Progressive, or mixed, where each frame says what it is. */
static gboolean
may_be_progressive (const GstVideoInfo *info)
{
  GstVideoInterlaceMode mode = GST_VIDEO_INFO_INTERLACE_MODE (info);

  return mode == GST_VIDEO_INTERLACE_MODE_PROGRESSIVE
         || mode == GST_VIDEO_INTERLACE_MODE_MIXED;
}

/* Whether neighbours in space and time are of one view: side by side the views
 * are like two halves of a picture, but rows, columns or frames in turns would
 * be blended. */
static gboolean
keeps_views_apart (const GstVideoInfo *info)
{
  switch (GST_VIDEO_INFO_MULTIVIEW_MODE (info)) {
  case GST_VIDEO_MULTIVIEW_MODE_SIDE_BY_SIDE_QUINCUNX:
  case GST_VIDEO_MULTIVIEW_MODE_COLUMN_INTERLEAVED:
  case GST_VIDEO_MULTIVIEW_MODE_ROW_INTERLEAVED:
  case GST_VIDEO_MULTIVIEW_MODE_CHECKERBOARD:
  case GST_VIDEO_MULTIVIEW_MODE_FRAME_BY_FRAME:
  case GST_VIDEO_MULTIVIEW_MODE_MULTIVIEW_FRAME_BY_FRAME:
  case GST_VIDEO_MULTIVIEW_MODE_SEPARATED:
    return FALSE;
  default:
    return TRUE;
  }
}

static void
refuse_views (GstSeedVR2Upscale *self, const GstVideoInfo *in)
{
  const gchar *mode = gst_video_multiview_mode_to_caps_string (
      GST_VIDEO_INFO_MULTIVIEW_MODE (in));

  GST_ELEMENT_ERROR_WITH_DETAILS (
      self, STREAM, FORMAT,
      ("Views that are packed as multiview-mode=%s would be blended: put a "
       "glviewconvert before this element that makes side-by-side or "
       "top-bottom of them.",
       mode),
      (NULL),
      ("suggestion", G_TYPE_STRING, "put glviewconvert in front", NULL));
}

/* Says why the engine cannot do this, and what would help. */
static void
post_wrong_size (GstSeedVR2Upscale *self, const GstCaps *in, const GstCaps *out)
{
  const GstStructure *from = gst_caps_get_structure (in, 0);
  const GstStructure *to = gst_caps_get_structure (out, 0);
  gint in_width = 0, in_height = 0, width = 0, height = 0;

  gst_structure_get (from, "width", G_TYPE_INT, &in_width, "height", G_TYPE_INT,
                     &in_height, NULL);
  gst_structure_get (to, "width", G_TYPE_INT, &width, "height", G_TYPE_INT,
                     &height, NULL);
  GST_ELEMENT_ERROR_WITH_DETAILS (
      self, STREAM, FORMAT,
      ("Pictures of %dx%d cannot be upscaled to %dx%d: both need at least "
       "%dx%d and at most %dx%d pixels. Change the properties scale or "
       "resolution, or the size in the caps.",
       in_width, in_height, width, height, MIN_SIDE, MIN_SIDE, MAX_SIDE,
       MAX_SIDE),
      (NULL),
      ("suggestion", G_TYPE_STRING,
       "change scale or resolution, or the size in the caps", NULL));
}

static gboolean
is_right_size (const GstVideoInfo *info)
{
  return MIN (info->width, info->height) >= MIN_SIDE
         && MAX (info->width, info->height) <= MAX_SIDE;
}

/* The infos of caps that can be worked on.  Upstream may try refused caps again
 * and again: they are told of once. */
static gboolean
parse_caps (GstSeedVR2Upscale *self, const GstCaps *incaps,
            const GstCaps *outcaps, GstVideoInfo *in, GstVideoInfo *out)
{
  /* there is no info of a frame whose bytes cannot be counted */
  gboolean sizes = gst_video_info_from_caps (in, incaps)
                   && gst_video_info_from_caps (out, outcaps)
                   && is_right_size (in) && is_right_size (out);
  gboolean ok = sizes && may_be_progressive (in) && keeps_views_apart (in);

  if (!ok && !self->refused) {
    if (!sizes)
      post_wrong_size (self, incaps, outcaps);
    else if (!may_be_progressive (in))
      gst_seedvr2_negotiate_refuse_interlaced (self, in);
    else
      refuse_views (self, in);
  }
  self->refused = !ok;
  return ok;
}

static void
warn_of_hdr (GstSeedVR2Upscale *self, const GstVideoInfo *in)
{
  GstVideoTransferFunction transfer = in->colorimetry.transfer;
  gboolean hdr = transfer == GST_VIDEO_TRANSFER_SMPTE2084
                 || transfer == GST_VIDEO_TRANSFER_ARIB_STD_B67;

  if (hdr && !self->told_of_hdr)
    GST_ELEMENT_WARNING (self, STREAM, FORMAT,
                         ("The video is HDR, which the model was not trained "
                          "for: tone-map it to SDR first for best results."),
                         (NULL));
  self->told_of_hdr |= hdr;
}

/* Frames that come in, at the rate at which batches are made, before one that
 * is in goes out: a batch is collected while another is computed.  What a batch
 * adds to the one before goes out as a whole, when the last batch that shares
 * frames with it is done.  Frames that mirror the first ones are computed in
 * front, when all of these are in. */
static guint64
frames_late (gint64 batch, gint64 overlap, gint64 prepend)
{
  gint64 shared = overlap < batch ? overlap : 0, step = batch - shared;
  gint64 batches = (batch + step - 1) / step;

  return (guint64)(batches * step + MAX (prepend - shared, 0)
                   + MAX (batch - prepend, prepend + 1));
}

void
gst_seedvr2_negotiate_update_latency (GstSeedVR2Upscale *self, guint batch_size)
{
  const GstVideoInfo *in = &self->in_info;
  GstClockTime latency = 0;
  gboolean changed;

  if (batch_size == 0)
    return;
  if (in->fps_n > 0)
    latency = gst_util_uint64_scale (
        frames_late (batch_size, self->active.temporal_overlap,
                     self->active.prepend_frames),
        GST_SECOND * (guint64)in->fps_d, (guint64)in->fps_n);
  GST_OBJECT_LOCK (self);
  changed = latency != self->latency;
  self->latency = latency;
  GST_OBJECT_UNLOCK (self);
  if (changed)
    gst_element_post_message (GST_ELEMENT (self),
                              gst_message_new_latency (GST_OBJECT (self)));
}

static void
tell_rate (GstSeedVR2Upscale *self)
{
  const GstVideoInfo *in = &self->in_info;
  gboolean varies = (in->flags & GST_VIDEO_FLAG_VARIABLE_FPS) != 0;

  gst_seedvr2_speed_set_rate (gst_seedvr2_report_speed (self->report),
                              varies ? 0 : in->fps_n, in->fps_d);
}

static gboolean
set_caps (GstBaseTransform *trans, GstCaps *incaps, GstCaps *outcaps)
{
  GstSeedVR2Upscale *self = GST_SEEDVR2_UPSCALE (trans);
  GstVideoInfo in, out;

  if (!parse_caps (self, incaps, outcaps, &in, &out))
    return FALSE;
  /* when downstream asked for other caps in mid-stream: what is held goes out
   * with the old ones, and the CAPS event follows this function */
  if (self->negotiated)
    gst_seedvr2_flow_drain (self);
  self->in_info = in;
  self->out_info = out;
  self->in_cuda = gst_seedvr2_caps_are_cuda (incaps);
  self->out_cuda = gst_seedvr2_caps_are_cuda (outcaps);
  self->negotiated = TRUE;
  self->configured = FALSE;
  warn_of_hdr (self, &in);
  tell_rate (self);
  gst_seedvr2_negotiate_update_latency (self, self->active.batch_size);
  return TRUE;
}

static gboolean
get_unit_size (GstBaseTransform *trans, GstCaps *caps, gsize *size)
{
  GstVideoInfo info;

  (void)trans;
  if (!gst_video_info_from_caps (&info, caps))
    return FALSE;
  *size = GST_VIDEO_INFO_SIZE (&info);
  return TRUE;
}

static gboolean
is_for_cuda (GstQuery *query)
{
  GstCaps *caps = NULL;

  gst_query_parse_allocation (query, &caps, NULL);
  return caps && gst_seedvr2_caps_are_cuda (caps);
}

/* Strides and offsets may be anything.  No pool of system memory and no
 * minimum, since input buffers are not held; no crop meta, so that decoders
 * crop. */
static gboolean
propose_allocation (GstBaseTransform *trans, GstQuery *decide_query,
                    GstQuery *query)
{
  GstSeedVR2Upscale *self = GST_SEEDVR2_UPSCALE (trans);

  (void)decide_query;
  gst_query_add_allocation_meta (query, GST_VIDEO_META_API_TYPE, NULL);
  return !is_for_cuda (query)
         || gst_seedvr2_propose_cuda_pool (&self->cuda, query);
}

/* Downstream's pool, or an own one where it has none that fits. */
static gboolean
decide_allocation (GstBaseTransform *trans, GstQuery *query)
{
  GstSeedVR2Upscale *self = GST_SEEDVR2_UPSCALE (trans);
  gboolean chosen = is_for_cuda (query)
                        ? gst_seedvr2_choose_cuda_pool (&self->cuda, query)
                        : gst_seedvr2_choose_pool (query);

  return chosen
         && gst_seedvr2_upscale_parent ()->decide_allocation (trans, query);
}

static gboolean
transform_meta (GstBaseTransform *trans, GstBuffer *outbuf, GstMeta *meta,
                GstBuffer *inbuf)
{
  GstSeedVR2Upscale *self = GST_SEEDVR2_UPSCALE (trans);
  GstVideoMetaTransform scale = { &self->in_info, &self->out_info };

  return gst_seedvr2_transform_meta (outbuf, meta, inbuf, &scale);
}

void
gst_seedvr2_negotiate_init_class (GstBaseTransformClass *transform)
{
  /* the same size still means to restore */
  transform->passthrough_on_same_caps = FALSE;
  transform->transform_caps = GST_DEBUG_FUNCPTR (transform_caps);
  transform->fixate_caps = GST_DEBUG_FUNCPTR (fixate_caps);
  transform->set_caps = GST_DEBUG_FUNCPTR (set_caps);
  transform->get_unit_size = GST_DEBUG_FUNCPTR (get_unit_size);
  transform->propose_allocation = GST_DEBUG_FUNCPTR (propose_allocation);
  transform->decide_allocation = GST_DEBUG_FUNCPTR (decide_allocation);
  transform->transform_meta = GST_DEBUG_FUNCPTR (transform_meta);
}
