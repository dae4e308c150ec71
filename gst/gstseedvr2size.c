#include "gstseedvr2size.h"

/* A pixel aspect ratio that keeps the picture's shape within this is kept. */
#define ASPECT_TOLERANCE 0.01

/* The nearest even side, which caps can hold, whatever shape their pixels
 * have. */
static gint
even (gdouble v)
{
  return (gint)(CLAMP (v, 2.0, G_MAXINT - 1) / 2.0 + 0.5) * 2;
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
fixate_sides (const GstSeedVR2Size *size, const GstVideoInfo *in,
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

void
gst_seedvr2_size_fixate (const GstSeedVR2Size *size, const GstVideoInfo *in,
                         GstStructure *s)
{
  fixate_sides (size, in, s);
  fixate_aspect (in, s);
}
