#include "gstseedvr2caps.h"

#include "gstseedvr2colour.h"
#include "gstseedvr2cudalib.h"
#include "gstseedvr2frames.h"

#include <gst/video/video.h>

/* Caps of formats in CUDA memory.  (transfer full) */
static GstCaps *
cuda_caps (const gchar *formats)
{
  g_autofree gchar *line = g_strdup_printf (
      GST_VIDEO_CAPS_MAKE_WITH_FEATURES (GST_SEEDVR2_CUDA_FEATURE, "%s"),
      formats);

  return gst_caps_from_string (line);
}

GstCaps *
gst_seedvr2_caps_template (void)
{
  GstCaps *system
      = gst_caps_from_string (GST_VIDEO_CAPS_MAKE (GST_SEEDVR2_FORMATS));
  const gchar *formats = gst_seedvr2_cudalib_formats ();
  GstCaps *ours, *possible, *both;

  if (!formats)
    return system;
  ours = cuda_caps (GST_SEEDVR2_FORMATS);
  possible = cuda_caps (formats);
  both = gst_caps_intersect_full (ours, possible, GST_CAPS_INTERSECT_FIRST);
  gst_caps_unref (ours);
  gst_caps_unref (possible);
  gst_caps_append (both, system);
  return both;
}

static gboolean
is_cuda (const GstCapsFeatures *features)
{
  return gst_caps_features_get_size (features) == 1
         && gst_caps_features_contains (features, GST_SEEDVR2_CUDA_FEATURE);
}

gboolean
gst_seedvr2_caps_are_cuda (GstCaps *caps)
{
  return gst_caps_get_size (caps) > 0
         && is_cuda (gst_caps_get_features (caps, 0));
}

/* How what goes out is to be like what comes in. */
typedef struct {
  gboolean memory, format;
} Same;

/* What goes out is progressive.  What comes in may say anything: mixed streams
 * hold frames that can be done, and others deserve a clear error. */
static void
transform_interlacing (GstStructure *s, GstPadDirection from)
{
  gst_structure_remove_field (s, "field-order");
  if (from == GST_PAD_SRC)
    gst_structure_remove_field (s, "interlace-mode");
  else if (gst_structure_has_field (s, "interlace-mode"))
    gst_structure_set (s, "interlace-mode", G_TYPE_STRING, "progressive", NULL);
}

static void
append_transformed (GstCaps *to, const GstStructure *from,
                    GstPadDirection direction, gboolean to_cuda,
                    gboolean same_format)
{
  GstStructure *s = gst_structure_copy (from);
  GstCapsFeatures *features
      = to_cuda ? gst_caps_features_new (GST_SEEDVR2_CUDA_FEATURE, NULL) : NULL;

  gst_structure_set (s, "width", GST_TYPE_INT_RANGE, 1, G_MAXINT, "height",
                     GST_TYPE_INT_RANGE, 1, G_MAXINT, NULL);
  if (gst_structure_has_field (s, "pixel-aspect-ratio"))
    gst_structure_set (s, "pixel-aspect-ratio", GST_TYPE_FRACTION_RANGE, 1,
                       G_MAXINT, G_MAXINT, 1, NULL);
  if (!same_format)
    gst_structure_remove_fields (s, "format", "colorimetry", "chroma-site",
                                 NULL);
  transform_interlacing (s, direction);
  gst_caps_append_structure_full (to, s, features);
}

static void
append_all (GstCaps *to, GstCaps *from, GstPadDirection direction,
            gboolean cuda, Same same)
{
  if (!cuda && !same.memory)
    return;
  for (guint i = 0; i < gst_caps_get_size (from); i++) {
    GstCapsFeatures *features = gst_caps_get_features (from, i);
    gboolean from_cuda = is_cuda (features);

    if ((from_cuda && cuda)
        || gst_caps_features_is_equal (features,
                                       GST_CAPS_FEATURES_MEMORY_SYSTEM_MEMORY))
      append_transformed (to, gst_caps_get_structure (from, i), direction,
                          from_cuda == same.memory, same.format);
  }
}

GstCaps *
gst_seedvr2_caps_transform (GstPadDirection direction, GstCaps *caps,
                            GstCaps *templ, gboolean cuda, GstCaps *filter)
{
  static const Same order[]
      = { { TRUE, TRUE }, { TRUE, FALSE }, { FALSE, TRUE }, { FALSE, FALSE } };
  GstCaps *any = gst_caps_new_empty (), *result, *filtered;

  for (guint i = 0; i < G_N_ELEMENTS (order); i++)
    append_all (any, caps, direction, cuda, order[i]);
  result = gst_caps_intersect_full (any, templ, GST_CAPS_INTERSECT_FIRST);
  gst_caps_unref (any);
  if (!filter)
    return result;
  filtered = gst_caps_intersect_full (filter, result, GST_CAPS_INTERSECT_FIRST);
  gst_caps_unref (result);
  return filtered;
}

GstCaps *
gst_seedvr2_caps_fixate (const GstSeedVR2Size *size, GstCaps *in, GstCaps *out)
{
  GstVideoInfo info;

  out = gst_caps_make_writable (gst_caps_truncate (out));
  if (gst_video_info_from_caps (&info, in)) {
    GstStructure *s = gst_caps_get_structure (out, 0);

    gst_seedvr2_format_fixate (&info, s);
    gst_seedvr2_size_fixate (size, &info, s);
    gst_seedvr2_colour_fixate (&info, s);
  }
  return gst_caps_fixate (out);
}
