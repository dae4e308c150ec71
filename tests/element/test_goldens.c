/* Pixels: the shipped model through the element against golden values. */
#include "element_test.h"

#include "golden.h"
#include "loud_vae.h"

#include <glib/gstdio.h>
#include <math.h>
#include <unistd.h>

static const struct {
  const gchar *golden, *properties, *in, *out;
} runs[] = {
  { "nano_e3",
    "batch-size=5 color-correction=adain padding=black seed=1099511627781",
    CAPS ("RGB", 50, 38), "video/x-raw,width=100,height=76" },
  { "nano_e4",
    "batch-size=4 prepend-frames=2 color-correction=none padding=black seed=1",
    CAPS ("RGB", 48, 64), "video/x-raw,width=72,height=96" },
};

static void
push_pictures (GstHarness *h, const guint8 *pixels, guint frames,
               const GstVideoInfo *info)
{
  gsize row = (gsize)info->width * 3;

  for (guint i = 0; i < frames; i++) {
    GstBuffer *buffer = frame_new (h, i);
    GstVideoFrame frame;

    fail_unless (gst_video_frame_map (&frame, info, buffer, GST_MAP_WRITE));
    for (gint y = 0; y < info->height; y++, pixels += row)
      memcpy ((guint8 *)GST_VIDEO_FRAME_PLANE_DATA (&frame, 0)
                  + y * GST_VIDEO_FRAME_PLANE_STRIDE (&frame, 0),
              pixels, row);
    gst_video_frame_unmap (&frame);
    fail_unless_equals_int (gst_harness_push (h, buffer), GST_FLOW_OK);
  }
  push_eos (h);
}

/* Every code within one of the golden value. */
static void
expect_pictures (GstHarness *h, const gfloat *want, guint frames)
{
  for (guint i = 0; i < frames; i++) {
    GstBuffer *buffer = gst_harness_pull (h);
    GstVideoInfo info = output_info (h);
    GstVideoFrame frame;

    fail_unless (gst_video_frame_map (&frame, &info, buffer, GST_MAP_READ));
    for (gint y = 0; y < info.height; y++) {
      const guint8 *row = (const guint8 *)GST_VIDEO_FRAME_PLANE_DATA (&frame, 0)
                          + y * GST_VIDEO_FRAME_PLANE_STRIDE (&frame, 0);

      for (gint x = 0; x < 3 * info.width; x++, want++)
        fail_unless (ABS (row[x] - lrintf (255.0f * *want)) <= 1,
                     "frame %u row %d value %d: %d, not %g", i, y, x, row[x],
                     255.0f * *want);
    }
    gst_video_frame_unmap (&frame);
    gst_buffer_unref (buffer);
  }
}

GST_START_TEST (test_model_pixels)
{
  svr_safetensors *file
      = golden_open (g_getenv ("SEEDVR2_TEST_DATA"), runs[__i__].golden);
  const svr_safetensors_entry *frames = golden_entry (file, "frames_u8_thwc");
  gfloat *want = golden_floats (file, "out", NULL);
  GstHarness *h = harness_new_on_bus (NULL, runs[__i__].properties, "", NULL);
  GstCaps *caps = gst_caps_from_string (runs[__i__].in);
  GstVideoInfo info;

  fail_unless (gst_video_info_from_caps (&info, caps));
  fail_unless_equals_int (info.height, (gint)frames->dims[1]);
  fail_unless_equals_int (info.width, (gint)frames->dims[2]);
  gst_harness_set_sink_caps_str (h, runs[__i__].out);
  gst_harness_set_src_caps (h, caps);
  push_pictures (h, frames->data, (guint)frames->dims[0], &info);
  expect_pictures (h, want, (guint)frames->dims[0]);
  expect_nothing (h);
  gst_harness_teardown (h);
  g_free (want);
  svr_safetensors_close (file);
}
GST_END_TEST;

/* The frames are finished in bf16, and the bus says so once. */
GST_START_TEST (test_overflow_is_a_warning)
{
  GstBus *bus = gst_bus_new ();
  gchar *quiet = g_build_filename (g_getenv ("SEEDVR2_MODEL_PATH"),
                                   "nano_vae.safetensors", NULL);
  gchar *loud = g_build_filename (g_get_tmp_dir (), "loud_vae_XXXXXX", NULL);
  gint file = g_mkstemp (loud);
  gchar *properties;
  const gchar *precision;
  GstHarness *h;
  GstMessage *message;
  GError *warning;
  GstStructure *stats;

  fail_unless (file >= 0);
  close (file);
  test_write_loud_vae (quiet, loud);
  properties
      = g_strdup_printf ("precision=fp16 batch-size=5 vae-model=%s", loud);
  h = harness_new_on_bus (bus, properties, "", SMALL);
  push_frames (h, 0, 7);
  push_eos (h);
  fail_unless_equals_int (gst_harness_buffers_received (h), 7);
  message = wait_message (bus, GST_MESSAGE_WARNING);
  gst_message_parse_warning (message, &warning, NULL);
  fail_unless (strstr (warning->message, "precision=bf16") != NULL);
  g_error_free (warning);
  gst_message_unref (message);
  fail_if (gst_bus_pop_filtered (bus, GST_MESSAGE_WARNING));
  g_object_get (h->element, "stats", &stats, NULL);
  precision = gst_structure_get_string (stats, "precision");
  fail_unless_equals_string (precision, "bf16");
  gst_structure_free (stats);
  harness_end (h, bus);
  g_unlink (loud);
  g_free (properties);
  g_free (loud);
  g_free (quiet);
}
GST_END_TEST;

static Suite *
seedvr2_goldens_suite (void)
{
  Suite *suite = suite_create ("seedvr2 goldens");
  TCase *tcase = tcase_create ("pixels");

  suite_add_tcase (suite, tcase);
  tcase_add_loop_test (tcase, test_model_pixels, 0, G_N_ELEMENTS (runs));
  tcase_add_test (tcase, test_overflow_is_a_warning);
  return suite;
}

GST_CHECK_MAIN (seedvr2_goldens);
