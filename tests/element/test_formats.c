/* Formats and colours: without the model through the engine as the element
 * calls it, there and back and against GStreamer's converter; and through the
 * real element. */
#include "element_test.h"

#include "pictures.h"

#include <math.h>

static const GstVideoFormatInfo *
format_info (guint number)
{
  return gst_video_format_get_info (
      gst_video_format_from_string (all_formats[number]));
}

/* The first component of a plane. */
static guint
component_in (const GstVideoFormatInfo *format, guint plane)
{
  guint c = 0;

  while (GST_VIDEO_FORMAT_INFO_PLANE (format, c) != plane)
    c++;
  return c;
}

/* Bytes of a row, where luma and chroma share a plane up to the last of both.
 */
static gint
row_bytes (const Picture *p, guint plane)
{
  gint bytes = 0;

  for (gint c = 0; c < (gint)GST_VIDEO_FRAME_N_COMPONENTS (&p->frame); c++)
    if (GST_VIDEO_FRAME_COMP_PLANE (&p->frame, c) == plane)
      bytes = MAX (bytes, GST_VIDEO_FRAME_COMP_WIDTH (&p->frame, c)
                              * GST_VIDEO_FRAME_COMP_PSTRIDE (&p->frame, c));
  return bytes;
}

/* Whether word `i` of a row is chroma. */
static gboolean
is_chroma (const GstVideoFormatInfo *format, guint plane, guint i)
{
  if (!GST_VIDEO_FORMAT_INFO_IS_YUV (format))
    return FALSE;
  if (GST_VIDEO_FORMAT_INFO_N_PLANES (format) == 1)
    return i % 2 != (guint)GST_VIDEO_FORMAT_INFO_POFFSET (format, 0);
  return plane > 0;
}

typedef guint32 (*WordMaker) (const GstVideoFormatInfo *format, gboolean chroma,
                              gpointer data);

/* Fills all planes word by word. */
static void
fill (Picture *p, WordMaker make, gpointer data)
{
  const GstVideoFormatInfo *format = p->info.finfo;
  guint bytes = picture_word_bytes (format);

  for (guint plane = 0; plane < GST_VIDEO_FRAME_N_PLANES (&p->frame); plane++) {
    guint c = component_in (format, plane);
    guint words = (guint)row_bytes (p, plane) / bytes;

    for (gint y = 0; y < GST_VIDEO_FRAME_COMP_HEIGHT (&p->frame, c); y++)
      for (guint i = 0; i < words; i++) {
        guint32 word = make (format, is_chroma (format, plane, i), data);

        if (g_str_has_suffix (format->name, "_BE"))
          word = GUINT16_SWAP_LE_BE (word);

        memcpy ((guint8 *)GST_VIDEO_FRAME_PLANE_DATA (&p->frame, plane)
                    + y * GST_VIDEO_FRAME_PLANE_STRIDE (&p->frame, plane)
                    + i * bytes,
                &word, bytes);
      }
  }
}

static guint32
code_between (GRand *random, guint bits, gdouble lo, gdouble hi)
{
  gdouble top = (1 << bits) - 1;

  return (guint32)g_rand_int_range (random, (gint)(lo * top),
                                    (gint)(hi * top) + 1);
}

/* Any colour that limited range has, too; luma and chroma, each sample on its
 * own, that stay inside the colours that there are. */
static guint32
any_word (const GstVideoFormatInfo *format, gboolean chroma, gpointer data)
{
  guint bits = GST_VIDEO_FORMAT_INFO_DEPTH (format, 0);
  GRand *random = data;

  if (picture_word_bytes (format) == 4)
    return code_between (random, 10, 0.1, 0.9)
           | code_between (random, 10, 0.1, 0.9) << 10
           | code_between (random, 10, 0.1, 0.9) << 20
           | (guint32)g_rand_int_range (random, 0, 4) << 30;
  if (!GST_VIDEO_FORMAT_INFO_IS_YUV (format))
    return code_between (random, bits, 0.1, 0.9);
  return (chroma ? code_between (random, bits, 0.45, 0.55)
                 : code_between (random, bits, 0.35, 0.65))
         << GST_VIDEO_FORMAT_INFO_SHIFT (format, 0);
}

/* What goes out where the filler of RGBx is. */
static void
fill_filler (Picture *p)
{
  const GstVideoFormatInfo *format = p->info.finfo;
  gint filler = 6;

  if (!strchr (format->name, 'x') || !GST_VIDEO_FORMAT_INFO_IS_RGB (format))
    return;
  for (guint c = 0; c < 3; c++)
    filler -= GST_VIDEO_FORMAT_INFO_POFFSET (format, c);
  for (gint y = 0; y < p->info.height; y++)
    for (gint x = 0; x < p->info.width; x++)
      ((guint8 *)GST_VIDEO_FRAME_PLANE_DATA (
          &p->frame,
          0))[y * GST_VIDEO_FRAME_PLANE_STRIDE (&p->frame, 0) + 4 * x + filler]
          = 255;
}

static void
expect_equal (const Picture *a, const Picture *b, const gchar *what)
{
  for (guint plane = 0; plane < GST_VIDEO_FRAME_N_PLANES (&a->frame); plane++) {
    guint c = component_in (a->info.finfo, plane);
    gint stride = GST_VIDEO_FRAME_PLANE_STRIDE (&a->frame, plane);
    gint bytes = GST_VIDEO_FRAME_COMP_WIDTH (&a->frame, c)
                 * GST_VIDEO_FRAME_COMP_PSTRIDE (&a->frame, c);

    for (gint y = 0; y < GST_VIDEO_FRAME_COMP_HEIGHT (&a->frame, c); y++)
      fail_unless (
          memcmp ((guint8 *)GST_VIDEO_FRAME_PLANE_DATA (&a->frame, plane)
                      + y * stride,
                  (guint8 *)GST_VIDEO_FRAME_PLANE_DATA (&b->frame, plane)
                      + y * stride,
                  bytes)
              == 0,
          "%s %s plane %u row %d is another", a->info.finfo->name, what, plane,
          y);
  }
}

static const struct {
  const gchar *rgb, *yuv, *gray;
} colours[] = {
  { ",colorimetry=sRGB", ",colorimetry=bt601,chroma-site=jpeg",
    ",colorimetry=(string)1:4:0:0" },
  { ",colorimetry=(string)2:1:7:1", ",colorimetry=bt709,chroma-site=mpeg2",
    ",colorimetry=bt709" },
  { ",colorimetry=sRGB", ",colorimetry=smpte240m,chroma-site=cosited",
    ",colorimetry=(string)2:4:0:0" },
  { ",colorimetry=sRGB", ",colorimetry=bt2020,chroma-site=dv",
    ",colorimetry=(string)1:3:0:0" },
  { ",colorimetry=sRGB", ",colorimetry=bt2100-pq,chroma-site=v-cosited",
    ",colorimetry=(string)1:6:0:0" },
  { ",colorimetry=sRGB", ",colorimetry=(string)1:4:0:0,chroma-site=jpeg",
    ",colorimetry=(string)1:5:0:0" },
  { ",colorimetry=sRGB", ",colorimetry=(string)1:3:5:1,chroma-site=mpeg2",
    ",colorimetry=(string)1:4:0:0" },
  { ",colorimetry=sRGB", ",colorimetry=(string)2:2:0:0,chroma-site=alt-line",
    ",colorimetry=(string)1:4:0:0" },
};

static const gchar *
colour_fields (guint format, guint colour)
{
  const GstVideoFormatInfo *info = format_info (format);

  return GST_VIDEO_FORMAT_INFO_IS_RGB (info)   ? colours[colour].rgb
         : GST_VIDEO_FORMAT_INFO_IS_YUV (info) ? colours[colour].yuv
                                               : colours[colour].gray;
}

/* ---- there and back ---- */

/* Bit by bit, coarse chroma too. */
GST_START_TEST (test_there_and_back)
{
  GRand *random = g_rand_new_with_seed ((guint32)__i__);

  engine_open ();
  for (guint k = 0; k < G_N_ELEMENTS (colours); k++) {
    const gchar *fields = colour_fields (__i__, k);
    Picture in, out;

    picture_new (&in, all_formats[__i__], 37, 23, fields);
    picture_new (&out, all_formats[__i__], 37, 23, fields);
    fill (&in, any_word, random);
    fill_filler (&in);
    through_engine (&in, &out);
    expect_equal (&in, &out, fields);
    picture_free (&in);
    picture_free (&out);
  }
  engine_close ();
  g_rand_free (random);
}
GST_END_TEST;

/* ---- GStreamer's converter ---- */

static void
through_converter (Picture *from, Picture *to)
{
  GstVideoConverter *converter = gst_video_converter_new (
      &from->info, &to->info,
      gst_structure_new ("options", GST_VIDEO_CONVERTER_OPT_DITHER_METHOD,
                         GST_TYPE_VIDEO_DITHER_METHOD, GST_VIDEO_DITHER_NONE,
                         NULL));

  fail_unless (converter != NULL);
  gst_video_converter_frame (converter, &from->frame, &to->frame);
  gst_video_converter_free (converter);
}

static guint32
flat_chroma (const GstVideoFormatInfo *format, gboolean chroma, gpointer data)
{
  if (chroma)
    return (guint32)(0.53 * (1 << GST_VIDEO_FORMAT_INFO_DEPTH (format, 0)))
           << GST_VIDEO_FORMAT_INFO_SHIFT (format, 0);
  return any_word (format, chroma, data);
}

/* Every format means what GStreamer thinks it does.  Its converter works with
 * matrices of 8 bits behind the point and, for 8 bits in, sometimes with 8 bits
 * a value: seen are up to 2.1 codes of 8 bits.  It does not look at the range
 * from RGB to RGB, and takes the highest of 2 bits of alpha for three quarters;
 * so RGB keeps its range here, and alpha is not compared there. */
GST_START_TEST (test_near_converter)
{
  gboolean rgb = GST_VIDEO_FORMAT_INFO_IS_RGB (format_info (__i__));
  guint first = strstr (all_formats[__i__], "10A2") ? 1 : 0;
  GRand *random = g_rand_new_with_seed ((guint32)__i__);

  engine_open ();
  for (guint k = 0; k < G_N_ELEMENTS (colours); k++) {
    const gchar *fields = colour_fields (__i__, k);
    Picture in, ours, theirs;

    picture_new (&in, all_formats[__i__], 40, 24, fields);
    picture_new (&ours, "ARGB64", 40, 24, rgb ? fields : "");
    picture_new (&theirs, "ARGB64", 40, 24, rgb ? fields : "");
    fill (&in, flat_chroma, random);
    fill_filler (&in);
    through_engine (&in, &ours);
    through_converter (&in, &theirs);
    for (gint i = 0; i < 40 * 24; i++)
      for (guint c = first; c < 4; c++) {
        gint a = argb64 (&ours, i % 40, i / 40, c);
        gint b = argb64 (&theirs, i % 40, i / 40, c);

        fail_unless (ABS (a - b) <= 2.5 * 257, "%s%s component %u: %d, %d",
                     all_formats[__i__], fields, c, a, b);
      }
    picture_free (&in);
    picture_free (&ours);
    picture_free (&theirs);
  }
  engine_close ();
  g_rand_free (random);
}
GST_END_TEST;

/* ---- the element ---- */

enum { SIDE = 32, FRAMES = 2 };

/* A smooth picture of all colours, or of all greys, half transparent in a
 * corner. */
static void
paint (Picture *p, gboolean grey)
{
  for (gint y = 0; y < SIDE; y++) {
    guint16 *row
        = (guint16 *)((guint8 *)GST_VIDEO_FRAME_PLANE_DATA (&p->frame, 0)
                      + y * GST_VIDEO_FRAME_PLANE_STRIDE (&p->frame, 0));

    for (gint x = 0; x < SIDE; x++, row += 4) {
      row[0] = x + y < SIDE / 2 ? 0x8000 : 0xffff;
      row[1] = (guint16)(9000 + 1373 * x);
      row[2] = grey ? row[1] : (guint16)(52000 - 1191 * y);
      row[3] = grey ? row[1] : (guint16)(12000 + 577 * (x + y));
    }
  }
}

/* What the element makes of a picture that it gets as `format`, as ARGB64; and
 * as it came in `raw`, which the caller frees. */
static void
through_element (const gchar *format, const Picture *source, Picture *out,
                 Picture *raw)
{
  gchar *caps = g_strdup_printf (
      "video/x-raw,format=%s,width=32,height=32,framerate=25/1", format);
  GstHarness *h = harness_new_on_bus (
      NULL, "batch-size=1 scale=1 color-correction=none", "", caps);
  GstVideoInfo info;

  for (guint i = 0; i < FRAMES; i++) {
    GstBuffer *buffer = frame_new (h, i);
    Picture in;

    picture_new (&in, format, SIDE, SIDE, "");
    gst_video_frame_unmap (&in.frame);
    gst_buffer_unref (in.buffer);
    info = in.info;
    picture_map (&in, &info, buffer);
    through_engine (source, &in);
    gst_video_frame_unmap (&in.frame);
    fail_unless_equals_int (gst_harness_push (h, buffer), GST_FLOW_OK);
  }
  push_eos (h);
  fail_unless_equals_int (gst_harness_buffers_received (h), FRAMES);
  info = output_info (h);
  fail_unless_equals_string (info.finfo->name, format);
  gst_buffer_unref (gst_harness_pull (h));
  picture_map (raw, &info, gst_harness_pull (h));
  through_engine (raw, out);
  gst_harness_teardown (h);
  g_free (caps);
}

/* Codes of 16 bits apart, on the average and at most. */
static void
expect_near (const Picture *a, const Picture *b, guint first, const gchar *what)
{
  gdouble sum = 0.0;
  gint most = 0;

  for (gint i = 0; i < SIDE * SIDE; i++)
    for (guint c = first; c < 4; c++) {
      gint off = ABS (argb64 (a, i % SIDE, i / SIDE, c)
                      - argb64 (b, i % SIDE, i / SIDE, c));

      sum += off;
      most = MAX (most, off);
    }
  sum /= SIDE * SIDE * (4 - first);
  fail_unless (sum < 257 && most < 6 * 257, "%s: %g, at most %g", what, sum,
               (gdouble)most);
}

/* The share of luma or red that no 8 bits could have said. */
static gdouble
share_of_fine_codes (const Picture *p)
{
  guint bits = GST_VIDEO_FORMAT_INFO_DEPTH (p->info.finfo, 0);
  guint bytes = picture_word_bytes (p->info.finfo), fine = 0;

  for (gint y = 0; y < SIDE; y++)
    for (gint x = 0; x < SIDE; x++) {
      const guint8 *row
          = (const guint8 *)GST_VIDEO_FRAME_PLANE_DATA (&p->frame, 0)
            + y * GST_VIDEO_FRAME_PLANE_STRIDE (&p->frame, 0);
      guint32 word = 0;
      gdouble v;

      memcpy (&word,
              row + x * GST_VIDEO_FRAME_COMP_PSTRIDE (&p->frame, 0)
                  + GST_VIDEO_FRAME_COMP_POFFSET (&p->frame, 0),
              bytes);
      v = (word >> GST_VIDEO_FORMAT_INFO_SHIFT (p->info.finfo, 0)
           & ((1u << bits) - 1))
          * 255.0 / ((1u << bits) - 1);
      fine += ABS (v - rint (v)) > 0.2;
    }
  return (gdouble)fine / (SIDE * SIDE);
}

/* Two bits of alpha say half and whole. */
static void
expect_two_bits (const Picture *p)
{
  const guint8 *first = GST_VIDEO_FRAME_PLANE_DATA (&p->frame, 0);
  const guint8 *last
      = first + (SIDE - 1) * GST_VIDEO_FRAME_PLANE_STRIDE (&p->frame, 0)
        + (SIDE - 1) * 4;

  fail_unless (first[3] >> 6 == 1 || first[3] >> 6 == 2, "%d", first[3] >> 6);
  fail_unless_equals_int (last[3] >> 6, 3);
}

/* The same picture whatever the format, alpha of two bits apart, and with all
 * bits of it. */
GST_START_TEST (test_through_element)
{
  const GstVideoFormatInfo *format = format_info (__i__);
  guint first = GST_VIDEO_FORMAT_INFO_HAS_ALPHA (format)
                        && GST_VIDEO_FORMAT_INFO_DEPTH (format, 3) > 2
                    ? 0
                    : 1;
  Picture source, want, got, raw;

  engine_open ();
  picture_new (&source, "ARGB64", SIDE, SIDE, "");
  picture_new (&want, "ARGB64", SIDE, SIDE, "");
  picture_new (&got, "ARGB64", SIDE, SIDE, "");
  paint (&source, GST_VIDEO_FORMAT_INFO_IS_GRAY (format));
  through_element ("ARGB64", &source, &want, &raw);
  picture_free (&raw);
  through_element (all_formats[__i__], &source, &got, &raw);
  expect_near (&want, &got, first, all_formats[__i__]);
  if (GST_VIDEO_FORMAT_INFO_DEPTH (format, 0) > 8)
    fail_unless (share_of_fine_codes (&raw) > 0.3, "%s: %g", all_formats[__i__],
                 share_of_fine_codes (&raw));
  if (picture_word_bytes (format) == 4)
    expect_two_bits (&raw);
  picture_free (&raw);
  picture_free (&source);
  picture_free (&want);
  picture_free (&got);
  engine_close ();
}
GST_END_TEST;

static Suite *
seedvr2_formats_suite (void)
{
  Suite *suite = suite_create ("seedvr2 formats");
  TCase *tcase = tcase_create ("formats");

  suite_add_tcase (suite, tcase);
  tcase_add_loop_test (tcase, test_there_and_back, 0, ALL_FORMATS);
  tcase_add_loop_test (tcase, test_near_converter, 0, ALL_FORMATS);
  tcase_add_loop_test (tcase, test_through_element, 0, ALL_FORMATS);
  return suite;
}

GST_CHECK_MAIN (seedvr2_formats);
