/* Pixels: the shipped model through the element against golden values, and the
 * element's formats and colorimetries there and back without a model. */
#include "element_test.h"

#include "backend/ops.h"
#include "cpu/cpu_backend.h"
#include "golden.h"
#include "gstseedvr2frames.h"
#include "loud_vae.h"

#include <glib/gstdio.h>
#include <math.h>
#include <unistd.h>

/* ---- the model ---- */

static const struct {
  const gchar *golden, *properties, *in, *out;
} runs[] = {
  { "nano_e3", "batch-size=5 color-correction=adain seed=1099511627781",
    CAPS ("RGB", 50, 38), "video/x-raw,width=100,height=76" },
  { "nano_e4", "batch-size=4 prepend-frames=2 color-correction=none seed=1",
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
  gst_harness_push_event (h, gst_event_new_eos ());
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

/* ---- formats ---- */

/* What the engine needs to convert. */
typedef struct {
  svr_backend *backend;
  svr_exec exec;
  gpointer memory;
} Converter;

enum { SCRATCH = 1 << 22 };

static void
converter_open (Converter *c)
{
  svr_error err = { 0 };

  fail_unless_equals_int (svr_cpu_backend_create (NULL, &c->backend, &err),
                          SVR_OK);
  fail_unless_equals_int (svr_backend_alloc (c->backend, SVR_MEM_SCRATCH,
                                             SCRATCH, &c->memory, &err),
                          SVR_OK);
  c->exec = (svr_exec){ .backend = c->backend,
                        .scratch = svr_scratch_create (c->memory, SCRATCH) };
}

static void
converter_close (Converter *c)
{
  svr_scratch_destroy (c->exec.scratch);
  svr_backend_free (c->backend, SVR_MEM_SCRATCH, SCRATCH, c->memory);
  svr_backend_destroy (c->backend);
}

/* A frame's integers to the network's values and back into another frame. */
static void
there_and_back (Converter *c, const GstVideoFrame *from, GstVideoFrame *to)
{
  svr_video_info info;
  svr_tensor unit, alpha = { 0 }, model, plane;
  svr_error err = { 0 };

  fail_unless (gst_seedvr2_video_info (&from->info, &info));
  fail_unless_equals_int (
      svr_exec_alloc (&c->exec, SVR_F32,
                      SVR_DIMS (1, info.height, info.width, 3), &unit, &err),
      SVR_OK);
  fail_unless_equals_int (
      svr_exec_alloc (&c->exec, SVR_F32,
                      SVR_DIMS (1, info.height, info.width, 3), &model, &err),
      SVR_OK);
  if (svr_pixel_has_alpha (info.format))
    fail_unless_equals_int (svr_exec_alloc (&c->exec, SVR_F32,
                                            SVR_DIMS (info.height, info.width),
                                            &alpha, &err),
                            SVR_OK);
  plane = svr_tensor_3d (unit.data, SVR_F32, info.height, info.width, 3);
  fail_unless_equals_int (
      svr_op_unpack (&c->exec,
                     &(svr_unpack_args){ .info = info,
                                         .frame = gst_seedvr2_frame_view (from),
                                         .rgb = plane,
                                         .alpha = alpha },
                     &err),
      SVR_OK);
  fail_unless_equals_int (
      svr_op_to_model (&c->exec, &(svr_to_model_args){ .x = unit, .y = model },
                       &err),
      SVR_OK);
  plane.data = model.data;
  fail_unless_equals_int (
      svr_op_pack (&c->exec,
                   &(svr_pack_args){ .info = info,
                                     .frame = gst_seedvr2_frame_view (to),
                                     .rgb = plane,
                                     .alpha = alpha },
                   &err),
      SVR_OK);
  svr_scratch_reset (c->exec.scratch);
}

/* Any R, G, B and alpha; for YUV any luma that stays in gamut, over one hue. */
static void
fill_randomly (GstVideoFrame *frame, GRand *random)
{
  gboolean yuv = GST_VIDEO_FORMAT_INFO_IS_YUV (frame->info.finfo);

  for (guint c = 0; c < GST_VIDEO_FRAME_N_COMPONENTS (frame); c++) {
    guint8 chroma = (guint8)g_rand_int_range (random, 118, 138);

    for (gint y = 0; y < GST_VIDEO_FRAME_COMP_HEIGHT (frame, c); y++)
      for (gint x = 0; x < GST_VIDEO_FRAME_COMP_WIDTH (frame, c); x++)
        ((guint8 *)GST_VIDEO_FRAME_COMP_DATA (
            frame, c))[y * GST_VIDEO_FRAME_COMP_STRIDE (frame, c)
                       + x * GST_VIDEO_FRAME_COMP_PSTRIDE (frame, c)]
            = !yuv    ? (guint8)g_rand_int_range (random, 0, 256)
              : c > 0 ? chroma
                      : (guint8)g_rand_int_range (random, 60, 190);
  }
}

static void
expect_near (const GstVideoFrame *a, const GstVideoFrame *b, const gchar *caps)
{
  for (guint c = 0; c < GST_VIDEO_FRAME_N_COMPONENTS (a); c++)
    for (gint y = 0; y < GST_VIDEO_FRAME_COMP_HEIGHT (a, c); y++)
      for (gint x = 0; x < GST_VIDEO_FRAME_COMP_WIDTH (a, c); x++) {
        gint at = y * GST_VIDEO_FRAME_COMP_STRIDE (a, c)
                  + x * GST_VIDEO_FRAME_COMP_PSTRIDE (a, c);
        gint had = ((const guint8 *)GST_VIDEO_FRAME_COMP_DATA (a, c))[at];
        gint got = ((const guint8 *)GST_VIDEO_FRAME_COMP_DATA (b, c))[at];

        fail_unless (ABS (had - got) <= 1, "%s component %u at %d,%d: %d, %d",
                     caps, c, x, y, had, got);
      }
}

static const gchar *const formats[]
    = { "RGB",  "BGR",  "RGBA", "BGRA", "ARGB", "ABGR",
        "RGBx", "BGRx", "xRGB", "xBGR", "NV12", "I420" };
static const gchar *const colorimetries[]
    = { "bt601", "bt709", "smpte240m", "bt2020", "1:4:0:0", "1:3:5:1" };

GST_START_TEST (test_there_and_back)
{
  GRand *random = g_rand_new_with_seed ((guint32)__i__);
  Converter c;

  converter_open (&c);
  for (guint k = 0; k < G_N_ELEMENTS (colorimetries); k++) {
    gchar *text = g_strdup_printf (
        "video/x-raw,format=%s,width=37,height=23,framerate=25/1,"
        "colorimetry=(string)%s",
        formats[__i__], __i__ < 10 ? "sRGB" : colorimetries[k]);
    GstCaps *caps = gst_caps_from_string (text);
    GstBuffer *in, *out;
    GstVideoInfo info;
    GstVideoFrame from, to;

    fail_unless (gst_video_info_from_caps (&info, caps));
    in = gst_buffer_new_allocate (NULL, info.size, NULL);
    out = gst_buffer_new_allocate (NULL, info.size, NULL);
    fail_unless (gst_video_frame_map (&from, &info, in, GST_MAP_READWRITE));
    fail_unless (gst_video_frame_map (&to, &info, out, GST_MAP_READWRITE));
    fill_randomly (&from, random);
    there_and_back (&c, &from, &to);
    expect_near (&from, &to, text);
    gst_video_frame_unmap (&to);
    gst_video_frame_unmap (&from);
    gst_buffer_unref (in);
    gst_buffer_unref (out);
    gst_caps_unref (caps);
    g_free (text);
  }
  converter_close (&c);
  g_rand_free (random);
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
  gst_harness_push_event (h, gst_event_new_eos ());
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
  tcase_add_loop_test (tcase, test_there_and_back, 0, G_N_ELEMENTS (formats));
  tcase_add_test (tcase, test_overflow_is_a_warning);
  return suite;
}

GST_CHECK_MAIN (seedvr2_goldens);
