/* Negotiation: sizes, shapes, formats, colours, buffers. */
#include "element_test.h"

#include <gst/base/gstbasetransform.h>

/* What comes out for `in` where downstream accepts `out`.  (transfer full) */
static GstCaps *
negotiate (const gchar *properties, const gchar *in, const gchar *out)
{
  GstHarness *h = harness_new_on_bus (NULL, properties, "", NULL);
  GstCaps *caps;

  if (out)
    gst_harness_set_sink_caps_str (h, out);
  gst_harness_set_src_caps_str (h, in);
  caps = gst_pad_get_current_caps (h->sinkpad);
  fail_unless (caps != NULL, "no output for %s to %s", in, out);
  gst_harness_teardown (h);
  return caps;
}

static const struct {
  const gchar *properties, *in, *out;
  gint width, height, par_n, par_d;
} sizes[] = {
  { "", CAPS ("I420", 320, 240), NULL, 640, 480, 1, 1 },
  { "scale=3", CAPS ("I420", 320, 240), NULL, 960, 720, 1, 1 },
  { "scale=1", CAPS ("I420", 320, 240), NULL, 320, 240, 1, 1 },
  { "scale=1.5", CAPS ("I420", 34, 34), NULL, 52, 52, 1, 1 },
  { "scale=1", CAPS ("I420", 33, 35), NULL, 34, 36, 1, 1 },
  /* the short side, which may be the width */
  { "resolution=1080", CAPS ("NV12", 640, 360), NULL, 1920, 1080, 1, 1 },
  { "resolution=1080", CAPS ("NV12", 360, 640), NULL, 1080, 1920, 1, 1 },
  { "resolution=1079", CAPS ("NV12", 640, 360), NULL, 1918, 1080, 1, 1 },
  /* the long side is capped */
  { "resolution=1080 max-resolution=1280", CAPS ("NV12", 640, 360), NULL, 1280,
    720, 1, 1 },
  { "scale=4 max-resolution=801", CAPS ("NV12", 320, 160), NULL, 800, 400, 1,
    1 },
  { "max-resolution=4000", CAPS ("NV12", 640, 360), NULL, 1280, 720, 1, 1 },
  /* caps win */
  { "", CAPS ("NV12", 640, 360), "video/x-raw,height=1080", 1920, 1080, 1, 1 },
  { "", CAPS ("NV12", 640, 360), "video/x-raw,width=1280", 1280, 720, 1, 1 },
  { "resolution=2160", CAPS ("NV12", 640, 360),
    "video/x-raw,width=1280,height=720", 1280, 720, 1, 1 },
  { "max-resolution=800", CAPS ("NV12", 640, 360), "video/x-raw,width=1280",
    1280, 720, 1, 1 },
  /* limits keep the proportion and even sizes */
  { "scale=4", CAPS ("NV12", 640, 360), "video/x-raw,width=[16,1281]", 1280,
    720, 1, 1 },
  { "scale=4", CAPS ("NV12", 640, 360), "video/x-raw,height=[16,720]", 1280,
    720, 1, 1 },
  { "", CAPS ("NV12", 640, 360), "video/x-raw,width=[1921,4000]", 1922, 1082, 1,
    1 },
  /* pixels that are not square */
  { "", CAPS ("I420", 720, 576) ",pixel-aspect-ratio=16/15", NULL, 1440, 1152,
    16, 15 },
  { "", CAPS ("I420", 720, 576) ",pixel-aspect-ratio=16/15",
    "video/x-raw,pixel-aspect-ratio=1/1", 1536, 1152, 1, 1 },
  { "", CAPS ("I420", 720, 576) ",pixel-aspect-ratio=16/15",
    "video/x-raw,height=1080,pixel-aspect-ratio=1/1", 1440, 1080, 1, 1 },
  { "", CAPS ("I420", 720, 576) ",pixel-aspect-ratio=16/15",
    "video/x-raw,width=1440,height=1080", 1440, 1080, 1, 1 },
  { "", CAPS ("I420", 720, 576) ",pixel-aspect-ratio=16/15",
    "video/x-raw,width=1440,height=1152", 1440, 1152, 16, 15 },
  { "", CAPS ("I420", 640, 360), "video/x-raw,width=640,height=720", 640, 720,
    2, 1 },
};

GST_START_TEST (test_size)
{
  GstCaps *caps
      = negotiate (sizes[__i__].properties, sizes[__i__].in, sizes[__i__].out);
  GstVideoInfo info;

  fail_unless (gst_video_info_from_caps (&info, caps));
  fail_unless (
      info.width == sizes[__i__].width && info.height == sizes[__i__].height
          && info.par_n == sizes[__i__].par_n
          && info.par_d == sizes[__i__].par_d,
      "%s %s to %s: %dx%d %d/%d", sizes[__i__].properties, sizes[__i__].in,
      sizes[__i__].out, info.width, info.height, info.par_n, info.par_d);
  gst_caps_unref (caps);
}
GST_END_TEST;

static const struct {
  const gchar *in, *out, *format, *colorimetry, *chroma_site;
} colours[] = {
  /* 360 lines mean BT.601, 720 lines BT.709, unless it is written down */
  { CAPS ("I420", 640, 360), NULL, "I420", "bt601", "jpeg" },
  { CAPS ("I420", 640, 360) ",colorimetry=bt709,chroma-site=mpeg2", NULL,
    "I420", "bt709", "mpeg2" },
  { CAPS ("NV12", 640, 360) ",colorimetry=bt601,chroma-site=jpeg",
    "video/x-raw,format=I420", "I420", "bt601", "jpeg" },
  { CAPS ("NV12", 640, 360) ",colorimetry=(string)1:4:0:0", NULL, "NV12",
    "1:4:0:0", NULL },
  { CAPS ("NV12", 640, 360) ",colorimetry=bt601",
    "video/x-raw,colorimetry={bt709,bt601}", "NV12", "bt601", NULL },
  { CAPS ("NV12", 640, 360) ",colorimetry=bt601",
    "video/x-raw,colorimetry=bt709", "NV12", "bt709", NULL },
  { CAPS ("RGB", 640, 360), NULL, "RGB", "sRGB", NULL },
  /* between kinds, primaries and transfer stay; RGB has no other matrix */
  { CAPS ("NV12", 640, 360) ",colorimetry=bt601", "video/x-raw,format=RGB",
    "RGB", "1:1:16:4", NULL },
  { CAPS ("P010_10LE", 640, 360) ",colorimetry=bt2100-pq",
    "video/x-raw,format=GBR_10LE", "GBR_10LE", "1:1:14:7", NULL },
  { CAPS ("RGB", 640, 360), "video/x-raw,format=NV12", "NV12", "2:3:7:1",
    "mpeg2" },
  { CAPS ("RGB", 640, 360) ",colorimetry=(string)1:1:13:7",
    "video/x-raw,format=P010_10LE", "P010_10LE", "bt2020-10", "mpeg2" },
  { CAPS ("RGB", 640, 360) ",colorimetry=(string)1:1:0:0",
    "video/x-raw,format=Y444", "Y444", "2:4:0:0", NULL },
  { CAPS ("RGB", 640, 360), "video/x-raw,format=Y42B,colorimetry=bt601", "Y42B",
    "bt601", "mpeg2" },
  { CAPS ("RGB", 640, 360),
    "video/x-raw,format=I420,colorimetry=(string){2:4:16:4,1:4:0:0,bt709}",
    "I420", "bt709", "mpeg2" },
  { CAPS ("RGB", 640, 360),
    "video/x-raw,format=I420,colorimetry=(string)1:4:0:0", "I420", "1:4:0:0",
    "jpeg" },
  { CAPS ("GRAY8", 640, 360), NULL, "GRAY8", "1:4:0:0", NULL },
  { CAPS ("GRAY16_LE", 640, 360) ",colorimetry=(string)1:3:5:1",
    "video/x-raw,format=I420_12LE", "I420_12LE", "bt709", "mpeg2" },
  { CAPS ("NV12", 640, 360) ",colorimetry=bt709", "video/x-raw,format=GRAY8",
    "GRAY8", "1:3:5:1", NULL },
  { CAPS ("I420", 640, 360) ",colorimetry=bt709,chroma-site=dv",
    "video/x-raw,format=P010_10LE", "P010_10LE", "bt709", "dv" },
  /* a site of chroma that is not coarse says nothing */
  { CAPS ("I420", 640, 360) ",colorimetry=bt709,chroma-site=mpeg2",
    "video/x-raw,format=Y444", "Y444", "bt709", NULL },
  /* bits are kept, and only those */
  { CAPS ("P010_10LE", 64, 48),
    "video/x-raw,format={NV12,Y444_16LE,I420_10LE,I422_10LE}", "I420_10LE",
    "bt601", "jpeg" },
  { CAPS ("I420_10LE", 64, 48), "video/x-raw,format={I420,RGB,GBR_10LE}",
    "GBR_10LE", "1:1:16:4", NULL },
  { CAPS ("I422_12LE", 64, 48), "video/x-raw,format={Y42B,I420_10LE,Y444_10LE}",
    "Y444_10LE", "bt601", NULL },
  { CAPS ("Y444", 64, 48), "video/x-raw,format={I420,Y42B,P016_LE}", "Y42B",
    "bt601", "jpeg" },
  { CAPS ("I420", 64, 48), "video/x-raw,format={I420_10LE,Y444,YV12}", "YV12",
    "bt601", "jpeg" },
  { CAPS ("GRAY8", 64, 48), "video/x-raw,format={RGB,NV12,GRAY16_LE}",
    "GRAY16_LE", "1:4:0:0", NULL },
  { CAPS ("GRAY8", 64, 48), "video/x-raw,format={RGB,NV12}", "NV12", "2:4:0:0",
    "mpeg2" },
  { CAPS ("NV12", 64, 48), "video/x-raw,format={GRAY8,RGB}", "RGB", "1:1:16:4",
    NULL },
  /* alpha first, then the kind */
  { CAPS ("RGBA64_LE", 64, 48), "video/x-raw,format={RGB10A2_LE,RGBA}", "RGBA",
    "sRGB", NULL },
  { CAPS ("RGBA", 64, 48), "video/x-raw,format={NV12,RGB,BGRA}", "BGRA", "sRGB",
    NULL },
  { CAPS ("RGB", 64, 48), "video/x-raw,format={NV12,BGRA,xRGB}", "xRGB", "sRGB",
    NULL },
  { CAPS ("I420", 64, 48), "video/x-raw,format={RGBA,RGB,NV12}", "NV12",
    "bt601", "jpeg" },
};

GST_START_TEST (test_colour)
{
  GstCaps *caps = negotiate ("", colours[__i__].in, colours[__i__].out);
  GstStructure *s = gst_caps_get_structure (caps, 0);

  fail_unless_equals_string (gst_structure_get_string (s, "format"),
                             colours[__i__].format);
  fail_unless_equals_string (gst_structure_get_string (s, "colorimetry"),
                             colours[__i__].colorimetry);
  fail_unless_equals_string (gst_structure_get_string (s, "chroma-site"),
                             colours[__i__].chroma_site);
  gst_caps_unref (caps);
}
GST_END_TEST;

/* What tells of HDR goes through, whatever becomes of the format. */
GST_START_TEST (test_hdr_fields)
{
#define HDR_FIELDS                                                             \
  ",colorimetry=bt2100-pq"                                                     \
  ",mastering-display-info=(string)"                                           \
  "35400:14600:8500:39850:6550:2300:15635:16450:10000000:1"                    \
  ",content-light-level=(string)1000:400"
  static const gchar *const outs[]
      = { NULL, "video/x-raw,format=I420_10LE", "video/x-raw,format=RGB" };

  for (guint i = 0; i < G_N_ELEMENTS (outs); i++) {
    GstCaps *caps
        = negotiate ("", CAPS ("P010_10LE", 640, 360) HDR_FIELDS, outs[i]);
    GstStructure *s = gst_caps_get_structure (caps, 0);

    fail_unless_equals_string (
        gst_structure_get_string (s, "mastering-display-info"),
        "35400:14600:8500:39850:6550:2300:15635:16450:10000000:1");
    fail_unless_equals_string (
        gst_structure_get_string (s, "content-light-level"), "1000:400");
    fail_unless_equals_string (gst_structure_get_string (s, "colorimetry"),
                               i < 2 ? "bt2100-pq" : "1:1:14:7");
    gst_caps_unref (caps);
  }
}
GST_END_TEST;

/* Any size and format for any other, but the frame rate as it is. */
GST_START_TEST (test_caps_query)
{
  GstHarness *h = gst_harness_new ("seedvr2upscale");
  GstCaps *in = gst_caps_from_string (CAPS ("RGBA", 64, 48)), *got;
  GstCaps *want = gst_caps_from_string (CAPS ("NV12", 640, 480));
  GstCaps *other = gst_caps_from_string (CAPS_RATE ("NV12", 640, 480, "30/1"));
  GstPad *pad = gst_element_get_static_pad (h->element, "sink");

  gst_harness_set_sink_caps (h, gst_caps_ref (in));
  got = gst_pad_query_caps (pad, NULL);
  fail_unless (gst_caps_can_intersect (got, want));
  fail_if (gst_caps_can_intersect (got, other));
  /* the same format is what it likes best */
  fail_unless_equals_string (
      gst_structure_get_string (gst_caps_get_structure (got, 0), "format"),
      "RGBA");
  gst_caps_unref (got);
  gst_caps_unref (in);
  gst_caps_unref (want);
  gst_caps_unref (other);
  gst_object_unref (pad);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* The same size still means to restore. */
GST_START_TEST (test_never_passthrough)
{
  GstHarness *h = harness_new ("scale=1 batch-size=1", "", SMALL);
  GstBuffer *in = frame_new (h, 0), *out;

  gst_buffer_ref (in);
  fail_unless_equals_int (gst_harness_push (h, in), GST_FLOW_OK);
  push_eos (h);
  fail_if (gst_base_transform_is_passthrough (GST_BASE_TRANSFORM (h->element)));
  out = gst_harness_pull (h);
  fail_unless (out != NULL && out != in);
  fail_if (gst_buffer_peek_memory (out, 0) == gst_buffer_peek_memory (in, 0));
  gst_buffer_unref (in);
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}
GST_END_TEST;

static void
expect_size (GstHarness *h, GstClockTime pts, gsize size)
{
  GstBuffer *buffer = gst_harness_pull (h);

  fail_unless (buffer != NULL);
  fail_unless_equals_uint64 (GST_BUFFER_PTS (buffer), pts);
  fail_unless_equals_uint64 (gst_buffer_get_size (buffer), size);
  gst_buffer_unref (buffer);
}

/* What came before a change goes out in the old size. */
GST_START_TEST (test_scale_changes_while_playing)
{
  GstHarness *h = harness_new ("batch-size=9", "", SMALL);

  push_frames (h, 0, 2);
  g_object_set (h->element, "scale", 1.0, NULL);
  push_frames (h, 2, 3);
  g_object_set (h->element, "resolution", 48, NULL);
  push_frames (h, 3, 4);
  push_eos (h);
  expect_size (h, 0, 64 * 64 * 3);
  expect_size (h, FRAME_DURATION, 64 * 64 * 3);
  expect_size (h, 2 * FRAME_DURATION, 32 * 32 * 3);
  expect_size (h, 3 * FRAME_DURATION, 48 * 48 * 3);
  expect_nothing (h);
  gst_harness_teardown (h);
}
GST_END_TEST;

GST_START_TEST (test_proposed_allocation)
{
  GstHarness *h = harness_new ("", "", SMALL);
  GstCaps *caps = gst_caps_from_string (SMALL);
  GstQuery *query = gst_query_new_allocation (caps, TRUE);

  fail_unless (gst_pad_peer_query (h->srcpad, query));
  fail_unless (
      gst_query_find_allocation_meta (query, GST_VIDEO_META_API_TYPE, NULL));
  /* decoders have to crop */
  fail_if (gst_query_find_allocation_meta (query, GST_VIDEO_CROP_META_API_TYPE,
                                           NULL));
  gst_query_unref (query);
  gst_caps_unref (caps);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* A pool of downstream with large strides is used, and the frames are right. */
GST_START_TEST (test_pool_of_downstream)
{
  GstHarness *h = harness_new_on_bus (NULL, "", "", NULL);
  GstBuffer *buffer;
  GstVideoMeta *meta;

  gst_harness_add_propose_allocation_meta (h, GST_VIDEO_META_API_TYPE, NULL);
  gst_harness_set_src_caps_str (h, SMALL);
  push_frames (h, 0, 2);
  push_eos (h);
  buffer = gst_harness_pull (h);
  fail_unless (buffer != NULL && buffer->pool != NULL);
  meta = gst_buffer_get_video_meta (buffer);
  fail_unless (meta != NULL);
  fail_unless_equals_int (meta->width, 64);
  gst_buffer_unref (buffer);
  gst_harness_teardown (h);
}
GST_END_TEST;

static Suite *
seedvr2_caps_suite (void)
{
  Suite *suite = suite_create ("seedvr2 caps");
  TCase *tcase = tcase_create ("caps");

  suite_add_tcase (suite, tcase);
  tcase_add_loop_test (tcase, test_size, 0, G_N_ELEMENTS (sizes));
  tcase_add_loop_test (tcase, test_colour, 0, G_N_ELEMENTS (colours));
  tcase_add_test (tcase, test_hdr_fields);
  tcase_add_test (tcase, test_caps_query);
  tcase_add_test (tcase, test_never_passthrough);
  tcase_add_test (tcase, test_scale_changes_while_playing);
  tcase_add_test (tcase, test_proposed_allocation);
  tcase_add_test (tcase, test_pool_of_downstream);
  return suite;
}

GST_CHECK_MAIN (seedvr2_caps);
