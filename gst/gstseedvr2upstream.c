/* What comes from downstream: events on their way upstream, and queries. */
#include "gstseedvr2upstream.h"

#include "gstseedvr2private.h"

#define PARENT gst_seedvr2_upscale_parent ()

static gboolean
size_of (GstPad *pad, gint *width, gint *height)
{
  GstCaps *caps = gst_pad_get_current_caps (pad);
  gboolean known = caps
                   && gst_structure_get (gst_caps_get_structure (caps, 0),
                                         "width", G_TYPE_INT, width, "height",
                                         G_TYPE_INT, height, NULL);

  gst_clear_caps (&caps);
  return known;
}

/* A pointer over the output is told in pixels of the input.
 * `event` is (transfer full).  Returns: (transfer full) it or a copy. */
static GstEvent *
scale_pointer (GstBaseTransform *trans, GstEvent *event)
{
  gint in_width, in_height, width, height;
  gdouble x, y;

  if (!gst_navigation_event_get_coordinates (event, &x, &y)
      || !size_of (GST_BASE_TRANSFORM_SINK_PAD (trans), &in_width, &in_height)
      || !size_of (GST_BASE_TRANSFORM_SRC_PAD (trans), &width, &height))
    return event;
  event = gst_event_make_writable (event);
  gst_navigation_event_set_coordinates (event, x * in_width / width,
                                        y * in_height / height);
  return event;
}

/* Much slower than real time: told so, decoders would skip frames. */
static gboolean
src_event (GstBaseTransform *trans, GstEvent *event)
{
  if (GST_EVENT_TYPE (event) == GST_EVENT_NAVIGATION)
    event = scale_pointer (trans, event);
  if (GST_EVENT_TYPE (event) == GST_EVENT_QOS
      && !gst_base_transform_is_qos_enabled (trans)) {
    gst_event_unref (event);
    return TRUE;
  }
  return PARENT->src_event (trans, event);
}

static gboolean
query_latency (GstSeedVR2Upscale *self, GstQuery *query)
{
  GstClockTime min, max, own;
  gboolean live;

  if (!gst_pad_peer_query (GST_BASE_TRANSFORM_SINK_PAD (self), query))
    return FALSE;
  GST_OBJECT_LOCK (self);
  own = self->latency;
  GST_OBJECT_UNLOCK (self);
  gst_query_parse_latency (query, &live, &min, &max);
  gst_seedvr2_speed_set_live (gst_seedvr2_report_speed (self->report), live);
  min += own;
  if (GST_CLOCK_TIME_IS_VALID (max))
    max += own;
  gst_query_set_latency (query, live, min, max);
  return TRUE;
}

static gboolean
answer_query (GstBaseTransform *trans, GstPadDirection direction,
              GstQuery *query)
{
  if (GST_QUERY_TYPE (query) == GST_QUERY_LATENCY && direction == GST_PAD_SRC)
    return query_latency (GST_SEEDVR2_UPSCALE (trans), query);
  if (GST_QUERY_TYPE (query) == GST_QUERY_CONTEXT
      && gst_seedvr2_cuda_answer (&GST_SEEDVR2_UPSCALE (trans)->cuda,
                                  GST_ELEMENT (trans), query))
    return TRUE;
  return PARENT->query (trans, direction, query);
}

void
gst_seedvr2_upstream_init_class (GstBaseTransformClass *transform)
{
  transform->src_event = GST_DEBUG_FUNCPTR (src_event);
  transform->query = GST_DEBUG_FUNCPTR (answer_query);
}
