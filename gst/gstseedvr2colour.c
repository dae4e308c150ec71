#include "gstseedvr2colour.h"

/* ---- formats ---- */

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

void
gst_seedvr2_format_fixate (const GstVideoInfo *in, GstStructure *s)
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

/* ---- colorimetry ---- */

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

void
gst_seedvr2_colour_fixate (const GstVideoInfo *in, GstStructure *s)
{
  const gchar *name = gst_structure_get_string (s, "format");
  const GstVideoFormatInfo *out;

  if (!name)
    return;
  out = gst_video_format_get_info (gst_video_format_from_string (name));
  fixate_colorimetry (in, out, s);
  fixate_chroma_site (in, out, s);
}
