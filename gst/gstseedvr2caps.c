#include "gstseedvr2caps.h"

#include "gstseedvr2cudalib.h"
#include "gstseedvr2frames.h"

#include <gst/video/video.h>

/* A pixel aspect ratio that keeps the picture's shape within this is kept. */
#define ASPECT_TOLERANCE 0.01

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
  return is_cuda (gst_caps_get_features (caps, 0));
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

/* Chroma is coarser by 2 to the power of this; grey has none to lose. */
static guint
chroma_sub (const GstVideoFormatInfo *format, gboolean vertical)
{
  if (GST_VIDEO_FORMAT_INFO_IS_GRAY (format))
    return G_MAXUINT;
  return vertical ? GST_VIDEO_FORMAT_INFO_H_SUB (format, 1)
                  : GST_VIDEO_FORMAT_INFO_W_SUB (format, 1);
}

/* What is lost from the one chroma to the other, or gained for nothing. */
static guint
chroma_loss (const GstVideoFormatInfo *from, const GstVideoFormatInfo *to)
{
  static const guint losses[2] = { 32, 64 };
  guint loss = 0;

  for (gint vertical = 0; vertical < 2; vertical++) {
    guint had = chroma_sub (from, vertical), got = chroma_sub (to, vertical);

    loss += got > had ? losses[vertical] : got < had ? 1 : 0;
  }
  return loss;
}

static guint
alpha_loss (const GstVideoFormatInfo *from, const GstVideoFormatInfo *to)
{
  if (!GST_VIDEO_FORMAT_INFO_HAS_ALPHA (from))
    return GST_VIDEO_FORMAT_INFO_HAS_ALPHA (to) ? 4 : 0;
  if (!GST_VIDEO_FORMAT_INFO_HAS_ALPHA (to))
    return 2048;
  return GST_VIDEO_FORMAT_INFO_DEPTH (to, GST_VIDEO_COMP_A)
                 < MIN (8, GST_VIDEO_FORMAT_INFO_DEPTH (from, GST_VIDEO_COMP_A))
             ? 1024
             : 0;
}

/* How much of the input a format cannot hold: colour counts most, then alpha,
 * bits, chroma; then that matrices are applied, then what it has in vain. */
static guint
format_loss (const GstVideoFormatInfo *from, const GstVideoFormatInfo *to)
{
  guint had = GST_VIDEO_FORMAT_INFO_DEPTH (from, 0);
  guint got = GST_VIDEO_FORMAT_INFO_DEPTH (to, 0);
  guint loss = 1;

  if (from->format == to->format)
    return 0;
  if (GST_VIDEO_FORMAT_INFO_IS_GRAY (to)
      != GST_VIDEO_FORMAT_INFO_IS_GRAY (from))
    loss += GST_VIDEO_FORMAT_INFO_IS_GRAY (to) ? 4096 : 8;
  loss += alpha_loss (from, to) + chroma_loss (from, to);
  loss += got < had ? 256 + 32 * (had - got) : got > had ? 2 : 0;
  if (GST_VIDEO_FORMAT_INFO_IS_RGB (from) != GST_VIDEO_FORMAT_INFO_IS_RGB (to))
    loss += 16;
  return loss;
}

static void
fixate_format (const GstVideoInfo *in, GstStructure *s)
{
  const GValue *list = gst_structure_get_value (s, "format");
  const gchar *best = NULL;
  guint least = 0;

  if (!list || !GST_VALUE_HOLDS_LIST (list))
    return;
  for (guint i = 0; i < gst_value_list_get_size (list); i++) {
    const gchar *name = g_value_get_string (gst_value_list_get_value (list, i));
    guint loss = format_loss (
        in->finfo,
        gst_video_format_get_info (gst_video_format_from_string (name)));

    if (!best || loss < least) {
      best = name;
      least = loss;
    }
  }
  gst_structure_fixate_field_string (s, "format", best);
}

static gint
even (gdouble v)
{
  return MAX (2, (gint)(v / 2.0 + 0.5) * 2);
}

/* Fixes a side to the allowed value nearest to `want`, an even one if there is
 * one.  Returns: the value. */
static gint
fixate_side (GstStructure *s, const gchar *side, gdouble want)
{
  GValue open = G_VALUE_INIT;
  gint got = 0;

  g_value_init (&open, G_VALUE_TYPE (gst_structure_get_value (s, side)));
  g_value_copy (gst_structure_get_value (s, side), &open);
  gst_structure_fixate_field_nearest_int (s, side, even (want));
  gst_structure_get_int (s, side, &got);
  if (got % 2 != 0) { /* the end of a range: one step back into it */
    gint step = got > want ? got + 1 : got - 1;

    gst_structure_set_value (s, side, &open);
    gst_structure_fixate_field_nearest_int (s, side, step);
    gst_structure_get_int (s, side, &got);
  }
  g_value_unset (&open);
  return got;
}

/* Both sides open: the wanted size, in proportion where a limit bites. */
static void
fixate_both_sides (GstStructure *s, gdouble width, gdouble height)
{
  GstStructure *open = gst_structure_copy (s);
  gdouble want = height;
  gint w = fixate_side (s, "width", width), h;

  if (w != even (width))
    want = w * height / width;
  h = fixate_side (s, "height", want);
  if (h != even (want)) {
    gst_structure_set_value (s, "width",
                             gst_structure_get_value (open, "width"));
    fixate_side (s, "width", h * width / height);
  }
  gst_structure_free (open);
}

static gdouble
wanted_factor (const GstSeedVR2Size *size, gdouble width, gdouble height)
{
  gdouble factor = size->resolution > 0 ? size->resolution / MIN (width, height)
                                        : size->scale;

  if (size->max_resolution > 0) {
    gint limit = MAX (2, size->max_resolution & ~1);

    factor = MIN (factor, limit / MAX (width, height));
  }
  return factor;
}

static void
fixate_size (const GstSeedVR2Size *size, const GstVideoInfo *in,
             GstStructure *s)
{
  gint par_n = in->par_n, par_d = in->par_d, w, h;
  gboolean has_width = gst_structure_get_int (s, "width", &w);
  gboolean has_height = gst_structure_get_int (s, "height", &h);
  gdouble width, height = in->height, factor;

  /* the input counted in pixels of the output's shape */
  gst_structure_get_fraction (s, "pixel-aspect-ratio", &par_n, &par_d);
  width = (gdouble)in->width * in->par_n * par_d / in->par_d / par_n;
  factor = wanted_factor (size, width, height);

  if (has_width && !has_height)
    fixate_side (s, "height", w * height / width);
  else if (has_height && !has_width)
    fixate_side (s, "width", h * width / height);
  else if (!has_width)
    fixate_both_sides (s, width * factor, height * factor);
}

/* The pixel aspect ratio that shows w x h pixels in the input's shape. */
static void
fixate_aspect (const GstVideoInfo *in, GstStructure *s)
{
  gint w, h, n = in->par_n, d = in->par_d;
  gdouble stretch;

  if (!gst_structure_get_int (s, "width", &w)
      || !gst_structure_get_int (s, "height", &h))
    return;
  stretch = (gdouble)w * in->height / ((gdouble)h * in->width);
  if (ABS (stretch - 1.0) >= ASPECT_TOLERANCE) {
    guint dar_n, dar_d;

    if (gst_video_calculate_display_ratio (
            &dar_n, &dar_d, in->width, in->height, in->par_n, in->par_d, 1, 1))
      gst_util_fraction_multiply ((gint)dar_n, (gint)dar_d, h, w, &n, &d);
  }
  if (gst_structure_has_field (s, "pixel-aspect-ratio"))
    gst_structure_fixate_field_nearest_fraction (s, "pixel-aspect-ratio", n, d);
  else if (n != d)
    gst_structure_set (s, "pixel-aspect-ratio", GST_TYPE_FRACTION, n, d, NULL);
}

/* The matrix that goes with primaries, for luma made from R'G'B'. */
static GstVideoColorMatrix
matrix_for (GstVideoColorPrimaries primaries, gint height)
{
  switch (primaries) {
  case GST_VIDEO_COLOR_PRIMARIES_BT470M:
    return GST_VIDEO_COLOR_MATRIX_FCC;
  case GST_VIDEO_COLOR_PRIMARIES_BT470BG:
  case GST_VIDEO_COLOR_PRIMARIES_SMPTE170M:
    return GST_VIDEO_COLOR_MATRIX_BT601;
  case GST_VIDEO_COLOR_PRIMARIES_SMPTE240M:
    return GST_VIDEO_COLOR_MATRIX_SMPTE240M;
  case GST_VIDEO_COLOR_PRIMARIES_BT2020:
    return GST_VIDEO_COLOR_MATRIX_BT2020;
  case GST_VIDEO_COLOR_PRIMARIES_UNKNOWN:
    return height > 576 ? GST_VIDEO_COLOR_MATRIX_BT709
                        : GST_VIDEO_COLOR_MATRIX_BT601;
  default:
    return GST_VIDEO_COLOR_MATRIX_BT709;
  }
}

/* The input's colorimetry in the terms of another kind of format: primaries and
 * transfer stay, since nothing converts them. */
static GstVideoColorimetry
colorimetry_for (const GstVideoInfo *in, const GstVideoFormatInfo *out)
{
  GstVideoColorimetry c = in->colorimetry;
  gdouble kr, kb;

  if (GST_VIDEO_FORMAT_INFO_IS_YUV (out) == GST_VIDEO_INFO_IS_YUV (in)
      && GST_VIDEO_FORMAT_INFO_IS_RGB (out) == GST_VIDEO_INFO_IS_RGB (in))
    return c;
  c.range = GST_VIDEO_FORMAT_INFO_IS_YUV (out) ? GST_VIDEO_COLOR_RANGE_16_235
                                               : GST_VIDEO_COLOR_RANGE_0_255;
  if (GST_VIDEO_FORMAT_INFO_IS_RGB (out))
    c.matrix = GST_VIDEO_COLOR_MATRIX_RGB;
  else if (!gst_video_color_matrix_get_Kr_Kb (c.matrix, &kr, &kb))
    c.matrix = matrix_for (c.primaries, in->height);
  return c;
}

/* Of what downstream takes, the same, or else the same matrix and range. */
static const gchar *
similar_colorimetry (const GValue *list, const gchar *wanted)
{
  GstVideoColorimetry want, c;
  const gchar *similar = NULL;

  gst_video_colorimetry_from_string (&want, wanted);
  for (guint i = 0; i < gst_value_list_get_size (list); i++) {
    const gchar *text = g_value_get_string (gst_value_list_get_value (list, i));

    if (!text || !gst_video_colorimetry_from_string (&c, text))
      continue;
    if (gst_video_colorimetry_is_equal (&c, &want))
      return text;
    if (!similar && c.matrix == want.matrix && c.range == want.range)
      similar = text;
  }
  return similar ? similar : wanted;
}

/* Writes a string where downstream leaves it open. */
static void
set_string (GstStructure *s, const gchar *field, const gchar *value)
{
  if (value && gst_structure_has_field (s, field))
    gst_structure_fixate_field_string (s, field, value);
  else if (value)
    gst_structure_set (s, field, G_TYPE_STRING, value, NULL);
}

static void
fixate_colorimetry (const GstVideoInfo *in, const GstVideoFormatInfo *out,
                    GstStructure *s)
{
  GstVideoColorimetry c = colorimetry_for (in, out);
  gchar *wanted = gst_video_colorimetry_to_string (&c);
  const GValue *open = gst_structure_get_value (s, "colorimetry");

  if (wanted && open && GST_VALUE_HOLDS_LIST (open))
    set_string (s, "colorimetry", similar_colorimetry (open, wanted));
  else
    set_string (s, "colorimetry", wanted);
  g_free (wanted);
}

/* Chroma stays where it was; where there was none, it goes where the range
 * makes others expect it. */
static void
fixate_chroma_site (const GstVideoInfo *in, const GstVideoFormatInfo *out,
                    GstStructure *s)
{
  GstVideoChromaSite site = in->chroma_site;
  GstVideoColorimetry c;
  gchar *text;

  if (!GST_VIDEO_FORMAT_INFO_IS_YUV (out)
      || (chroma_sub (out, FALSE) == 0 && out->format != in->finfo->format))
    return;
  if (!GST_VIDEO_INFO_IS_YUV (in)
      && gst_video_colorimetry_from_string (
          &c, gst_structure_get_string (s, "colorimetry")))
    site = c.range == GST_VIDEO_COLOR_RANGE_0_255 ? GST_VIDEO_CHROMA_SITE_JPEG
                                                  : GST_VIDEO_CHROMA_SITE_MPEG2;
  if (site == GST_VIDEO_CHROMA_SITE_UNKNOWN)
    return;
  text = gst_video_chroma_site_to_string (site);
  set_string (s, "chroma-site", text);
  g_free (text);
}

static void
fixate_colour (const GstVideoInfo *in, GstStructure *s)
{
  const gchar *name = gst_structure_get_string (s, "format");
  const GstVideoFormatInfo *out;

  if (!name)
    return;
  out = gst_video_format_get_info (gst_video_format_from_string (name));
  fixate_colorimetry (in, out, s);
  fixate_chroma_site (in, out, s);
}

GstCaps *
gst_seedvr2_caps_fixate (const GstSeedVR2Size *size, GstCaps *in, GstCaps *out)
{
  GstVideoInfo info;
  GstStructure *s;

  out = gst_caps_make_writable (gst_caps_truncate (out));
  if (gst_video_info_from_caps (&info, in)) {
    s = gst_caps_get_structure (out, 0);
    fixate_format (&info, s);
    fixate_size (size, &info, s);
    fixate_aspect (&info, s);
    fixate_colour (&info, s);
  }
  return gst_caps_fixate (out);
}
