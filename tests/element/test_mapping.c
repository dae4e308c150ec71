/* GstVideoInfo to svr_video_info, and colours through the whole element. */
#include "element_test.h"

#include "gstseedvr2frames.h"

static svr_video_info
map_caps (const gchar *text)
{
  GstCaps *caps = gst_caps_from_string (text);
  GstVideoInfo info;
  svr_video_info mapped;

  fail_unless (gst_video_info_from_caps (&info, caps), "%s", text);
  fail_unless (gst_seedvr2_video_info (&info, &mapped), "%s", text);
  gst_caps_unref (caps);
  return mapped;
}

/* What the pads offer in system memory, which comes last. */
GST_START_TEST (test_templates)
{
  GstElementFactory *factory = gst_element_factory_find ("seedvr2upscale");
  const GList *pads = gst_element_factory_get_static_pad_templates (factory);

  for (; pads; pads = pads->next) {
    GstCaps *caps = gst_static_pad_template_get_caps (pads->data);
    guint system = gst_caps_get_size (caps) - 1;
    GstStructure *s = gst_caps_get_structure (caps, system);
    const GValue *list = gst_structure_get_value (s, "format");

    fail_unless (
        gst_caps_features_is_equal (gst_caps_get_features (caps, system),
                                    GST_CAPS_FEATURES_MEMORY_SYSTEM_MEMORY));
    fail_unless_equals_int (gst_value_list_get_size (list), ALL_FORMATS);
    /* what sources without a wish take */
    fail_unless_equals_string (
        g_value_get_string (gst_value_list_get_value (list, 0)), "NV12");
    for (guint i = 0; i < ALL_FORMATS; i++) {
      GValue name = G_VALUE_INIT;

      g_value_init (&name, G_TYPE_STRING);
      g_value_set_string (&name, all_formats[i]);
      fail_unless (gst_value_is_subset (&name, list), "%s", all_formats[i]);
      g_value_unset (&name);
    }
    gst_caps_unref (caps);
  }
  gst_object_unref (factory);
}
GST_END_TEST;

/* The engine finds samples where GStreamer has them.  GStreamer does not say
 * where those of 10A2 are, and 1.22 is wrong about the second chroma of P01x
 * (tests/element/test_formats.c shows both). */
static void
expect_layout (const svr_pixel_layout *got, const GstVideoFormatInfo *want)
{
  gboolean odd = strstr (want->name, "10A2") || want->name[0] == 'P';

  fail_unless_equals_int (got->planes, GST_VIDEO_FORMAT_INFO_N_PLANES (want));
  fail_unless_equals_int (got->alpha, !!GST_VIDEO_FORMAT_INFO_HAS_ALPHA (want));
  fail_unless_equals_int (got->big_endian,
                          g_str_has_suffix (want->name, "_BE"));
  if (GST_VIDEO_FORMAT_INFO_IS_YUV (want)) {
    fail_unless_equals_int (got->w_sub, GST_VIDEO_FORMAT_INFO_W_SUB (want, 1));
    fail_unless_equals_int (got->h_sub, GST_VIDEO_FORMAT_INFO_H_SUB (want, 1));
  }
  for (guint c = 0; c < GST_VIDEO_FORMAT_INFO_N_COMPONENTS (want); c++) {
    const svr_channel *channel = &got->channel[c];

    fail_unless_equals_int (channel->plane,
                            GST_VIDEO_FORMAT_INFO_PLANE (want, c));
    fail_unless_equals_int (channel->step,
                            GST_VIDEO_FORMAT_INFO_PSTRIDE (want, c));
    fail_unless_equals_int (channel->depth,
                            GST_VIDEO_FORMAT_INFO_DEPTH (want, c));
    if (odd)
      continue;
    fail_unless_equals_int (channel->offset,
                            GST_VIDEO_FORMAT_INFO_POFFSET (want, c));
    fail_unless_equals_int (channel->shift,
                            GST_VIDEO_FORMAT_INFO_SHIFT (want, c));
  }
}

GST_START_TEST (test_formats)
{
  gchar *caps = g_strdup_printf (
      "video/x-raw,format=%s,width=34,height=18,framerate=25/1",
      all_formats[__i__]);
  svr_video_info mapped = map_caps (caps);

  expect_layout (svr_pixel_layout_of (mapped.format),
                 gst_video_format_get_info (
                     gst_video_format_from_string (all_formats[__i__])));
  fail_unless_equals_int (mapped.width, 34);
  fail_unless_equals_int (mapped.height, 18);
  g_free (caps);
}
GST_END_TEST;

GST_START_TEST (test_other_formats)
{
  GstVideoInfo info;
  svr_video_info mapped;

  fail_unless (
      gst_video_info_set_format (&info, GST_VIDEO_FORMAT_AYUV, 64, 64));
  fail_if (gst_seedvr2_video_info (&info, &mapped));
}
GST_END_TEST;

/* RGB and grey use all codes unless caps say otherwise. */
static const struct {
  const gchar *fields;
  bool full;
} ranges[] = {
  { "format=RGB", true },
  { "format=RGB,colorimetry=sRGB", true },
  { "format=RGBA64_LE,colorimetry=(string)2:1:7:1", false },
  { "format=RGB,colorimetry=bt709", false },
  { "format=GRAY8", true },
  { "format=GRAY16_LE,colorimetry=bt709", false },
  { "format=GRAY8,colorimetry=(string)0:4:0:0", true },
  { "format=Y444,colorimetry=bt709", false },
  { "format=Y444_16LE,colorimetry=(string)1:3:5:1", true },
};

GST_START_TEST (test_ranges)
{
  gchar *caps = g_strconcat ("video/x-raw,width=64,height=64,framerate=25/1,",
                             ranges[__i__].fields, NULL);
  svr_video_info mapped = map_caps (caps);
  bool rgb = svr_pixel_layout_of (mapped.format)->kind == SVR_KIND_RGB;

  fail_unless ((rgb ? !mapped.color.limited_rgb : mapped.color.full_range)
                   == ranges[__i__].full,
               "%s", caps);
  g_free (caps);
}
GST_END_TEST;

static const struct {
  const gchar *colorimetry;
  gint height;
  gdouble kr, kb;
  bool full_range;
} matrices[] = {
  { "bt601", 64, 0.299, 0.114, false },
  { "bt709", 64, 0.2126, 0.0722, false },
  { "smpte240m", 64, 0.212, 0.087, false },
  { "bt2020", 64, 0.2627, 0.0593, false },
  { "2:2:0:0", 64, 0.30, 0.11, false },
  { "bt2100-hlg", 64, 0.2627, 0.0593, false },
  { "1:4:0:0", 64, 0.299, 0.114, true },
  { "1:3:5:1", 64, 0.2126, 0.0722, true },
  { "2:4:0:0", 64, 0.299, 0.114, false },
  /* unknown matrix, then nothing at all: by the number of lines */
  { "2:0:0:0", 576, 0.299, 0.114, false },
  { "2:0:0:0", 720, 0.2126, 0.0722, false },
  { NULL, 576, 0.299, 0.114, false },
  { NULL, 720, 0.2126, 0.0722, false },
};

GST_START_TEST (test_matrices)
{
  static const gchar *const yuv[] = { "NV12", "I420", "P010_10LE", "Y444" };

  for (guint i = 0; i < G_N_ELEMENTS (yuv); i++) {
    gchar *caps = g_strdup_printf (
        "video/x-raw,format=%s,width=64,height=%d,framerate=25/1%s%s", yuv[i],
        matrices[__i__].height,
        matrices[__i__].colorimetry ? ",colorimetry=(string)" : "",
        matrices[__i__].colorimetry ? matrices[__i__].colorimetry : "");
    svr_video_info mapped = map_caps (caps);

    fail_unless (ABS (mapped.color.kr - matrices[__i__].kr) < 1e-6, "%s: kr %g",
                 caps, mapped.color.kr);
    fail_unless (ABS (mapped.color.kb - matrices[__i__].kb) < 1e-6, "%s: kb %g",
                 caps, mapped.color.kb);
    fail_unless (mapped.color.full_range == matrices[__i__].full_range, "%s",
                 caps);
    g_free (caps);
  }
}
GST_END_TEST;

static const struct {
  const gchar *fields;
  bool h_cosited, v_cosited;
} sites[] = {
  { ",colorimetry=bt709,chroma-site=mpeg2", true, false },
  { ",colorimetry=bt709,chroma-site=jpeg", false, false },
  { ",colorimetry=bt709,chroma-site=cosited", true, true },
  { ",colorimetry=bt709,chroma-site=v-cosited", false, true },
  { ",colorimetry=bt709,chroma-site=dv", true, true },
  { ",colorimetry=bt709,chroma-site=alt-line", false, false },
  { ",colorimetry=bt709,chroma-site=h-cosited+alt-line", true, false },
  { ",colorimetry=bt709,chroma-site=v-cosited+alt-line", false, true },
  /* unknown: as video codecs, or as JPEG in full range */
  { ",colorimetry=bt709", true, false },
  { ",colorimetry=(string)1:4:0:0", false, false },
};

GST_START_TEST (test_chroma_sites)
{
  gchar *caps = g_strconcat (CAPS ("I420", 64, 64), sites[__i__].fields, NULL);
  svr_video_info mapped = map_caps (caps);

  fail_unless (mapped.color.chroma_h_cosited == sites[__i__].h_cosited, "%s",
               caps);
  fail_unless (mapped.color.chroma_v_cosited == sites[__i__].v_cosited, "%s",
               caps);
  g_free (caps);
}
GST_END_TEST;

/* ---- through the element ---- */

static const guint8 colour[3] = { 190, 110, 70 };

/* R, G, B of a flat colour as the bytes of a format, alpha and padding `a`. */
static void
fill_rgb (GstHarness *h, GstBuffer *buffer)
{
  GstCaps *caps = gst_pad_get_current_caps (h->srcpad);
  GstVideoInfo info;
  GstVideoFrame frame;

  fail_unless (gst_video_info_from_caps (&info, caps));
  gst_caps_unref (caps);
  fail_unless (gst_video_frame_map (&frame, &info, buffer, GST_MAP_WRITE));
  for (guint c = 0; c < GST_VIDEO_FRAME_N_COMPONENTS (&frame); c++) {
    for (gint y = 0; y < info.height; y++) {
      guint8 *row = (guint8 *)GST_VIDEO_FRAME_COMP_DATA (&frame, c)
                    + y * GST_VIDEO_FRAME_COMP_STRIDE (&frame, c);

      for (gint x = 0; x < info.width; x++)
        row[x * GST_VIDEO_FRAME_COMP_PSTRIDE (&frame, c)]
            = c < 3 ? colour[c] : 255;
    }
  }
  gst_video_frame_unmap (&frame);
}

/* Means of the components of a flat picture of `in` (RGB-like) that comes out
 * as `out`. */
static void
convert (const gchar *in, const gchar *out, gdouble mean[4])
{
  GstHarness *h = harness_new_on_bus (NULL, "batch-size=1 scale=1", "", NULL);
  GstBuffer *buffer;
  GstVideoFrame frame;
  GstVideoInfo info;

  gst_harness_set_sink_caps_str (h, out);
  gst_harness_set_src_caps_str (h, in);
  buffer = frame_new (h, 0);
  fill_rgb (h, buffer);
  fail_unless_equals_int (gst_harness_push (h, buffer), GST_FLOW_OK);
  push_eos (h);
  buffer = gst_harness_pull (h);
  info = output_info (h);
  fail_unless (gst_video_frame_map (&frame, &info, buffer, GST_MAP_READ));
  for (guint c = 0; c < GST_VIDEO_FRAME_N_COMPONENTS (&frame); c++) {
    mean[c] = 0.0;
    for (gint y = 0; y < GST_VIDEO_FRAME_COMP_HEIGHT (&frame, c); y++)
      for (gint x = 0; x < GST_VIDEO_FRAME_COMP_WIDTH (&frame, c); x++)
        mean[c] += ((const guint8 *)GST_VIDEO_FRAME_COMP_DATA (
            &frame, c))[y * GST_VIDEO_FRAME_COMP_STRIDE (&frame, c)
                        + x * GST_VIDEO_FRAME_COMP_PSTRIDE (&frame, c)];
    mean[c] /= GST_VIDEO_FRAME_COMP_WIDTH (&frame, c)
               * GST_VIDEO_FRAME_COMP_HEIGHT (&frame, c);
  }
  gst_video_frame_unmap (&frame);
  gst_buffer_unref (buffer);
  gst_harness_teardown (h);
}

/* Bytes in the right order, alpha kept. */
GST_START_TEST (test_rgb_in_and_out)
{
  const GstVideoFormatInfo *format = gst_video_format_get_info (
      gst_video_format_from_string (all_formats[__i__]));
  gchar *caps = g_strdup_printf (
      "video/x-raw,format=%s,width=32,height=32,framerate=25/1",
      all_formats[__i__]);
  gdouble mean[4];

  convert (caps, "video/x-raw", mean);
  for (guint c = 0; c < 3; c++)
    fail_unless (ABS (mean[c] - colour[c]) < 3.0, "%s component %u: %g",
                 all_formats[__i__], c, mean[c]);
  if (GST_VIDEO_FORMAT_INFO_HAS_ALPHA (format))
    fail_unless (mean[3] > 200.0, "%s alpha: %g", all_formats[__i__], mean[3]);
  g_free (caps);
}
GST_END_TEST;

/* R'G'B' to Y'CbCr by the definition (BT.601, BT.709, BT.2020...). */
static void
to_yuv (gdouble kr, gdouble kb, bool full, gdouble yuv[3])
{
  gdouble r = colour[0] / 255.0, g = colour[1] / 255.0, b = colour[2] / 255.0;
  gdouble y = kr * r + (1.0 - kr - kb) * g + kb * b;
  gdouble cb = (b - y) / (2.0 * (1.0 - kb)), cr = (r - y) / (2.0 * (1.0 - kr));

  yuv[0] = full ? 255.0 * y : 16.0 + 219.0 * y;
  yuv[1] = 128.0 + (full ? 255.0 : 224.0) * cb;
  yuv[2] = 128.0 + (full ? 255.0 : 224.0) * cr;
}

/* The matrix and range of the output caps are those of the bytes. */
GST_START_TEST (test_rgb_to_yuv)
{
  gdouble mean[4] = { 0 }, want[3] = { 0 };
  gchar *caps;

  if (!matrices[__i__].colorimetry || matrices[__i__].height != 64)
    return;
  caps = g_strdup_printf ("video/x-raw,format=%s,colorimetry=(string)%s",
                          __i__ % 2 ? "NV12" : "I420",
                          matrices[__i__].colorimetry);
  convert (CAPS ("RGB", 32, 32), caps, mean);
  to_yuv (matrices[__i__].kr, matrices[__i__].kb, matrices[__i__].full_range,
          want);
  for (guint c = 0; c < 3; c++)
    fail_unless (ABS (mean[c] - want[c]) < 3.0, "%s component %u: %g, not %g",
                 caps, c, mean[c], want[c]);
  g_free (caps);
}
GST_END_TEST;

static Suite *
seedvr2_mapping_suite (void)
{
  Suite *suite = suite_create ("seedvr2 mapping");
  TCase *tcase = tcase_create ("mapping");

  suite_add_tcase (suite, tcase);
  tcase_add_loop_test (tcase, test_formats, 0, ALL_FORMATS);
  tcase_add_test (tcase, test_other_formats);
  tcase_add_test (tcase, test_templates);
  tcase_add_loop_test (tcase, test_ranges, 0, G_N_ELEMENTS (ranges));
  tcase_add_loop_test (tcase, test_matrices, 0, G_N_ELEMENTS (matrices));
  tcase_add_loop_test (tcase, test_chroma_sites, 0, G_N_ELEMENTS (sites));
  tcase_add_loop_test (tcase, test_rgb_in_and_out, 0, PACKED_RGB_FORMATS);
  tcase_add_loop_test (tcase, test_rgb_to_yuv, 0, G_N_ELEMENTS (matrices));
  return suite;
}

GST_CHECK_MAIN (seedvr2_mapping);
