/* As many frames out as in, in order, each with what came with it. */
#include "element_test.h"

static void
check_count (const gchar *properties, guint frames)
{
  GstHarness *h = harness_new (properties, "", SMALL);

  push_frames (h, 0, frames);
  end_with_frames (h, 0, frames);
  gst_harness_teardown (h);
}

GST_START_TEST (test_n_in_n_out) { check_count ("batch-size=5", (guint)__i__); }
GST_END_TEST;

GST_START_TEST (test_n_in_n_out_of_other_batches)
{
  static const gchar *const properties[] = {
    "batch-size=1",
    "batch-size=2",
    "batch-size=4 uniform-batch-size=true",
    "batch-size=5 temporal-overlap=2",
    "batch-size=5 prepend-frames=4",
    "batch-size=20",
    "batch-size=5 color-correction=wavelet seed=7",
  };

  for (guint n = 6; n <= 8; n++)
    check_count (properties[__i__], n);
}
GST_END_TEST;

GST_START_TEST (test_several_sequences)
{
  GstHarness *h = harness_new ("batch-size=5", "", SMALL);

  for (guint i = 0; i < 3; i++) {
    push_frames (h, 0, 5 + i);
    push_segment (h);
    expect_frames (h, 0, 5 + i);
  }
  expect_nothing (h);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* Flags stay on their own frame, DISCONT too, and none is added. */
GST_START_TEST (test_flags)
{
  static const GstBufferFlags flags[]
      = { GST_BUFFER_FLAG_DISCONT, 0, GST_BUFFER_FLAG_MARKER,  0,
          GST_BUFFER_FLAG_GAP,     0, GST_BUFFER_FLAG_DISCONT, 0 };
  const guint relevant
      = GST_BUFFER_FLAG_DISCONT | GST_BUFFER_FLAG_MARKER | GST_BUFFER_FLAG_GAP;
  GstHarness *h = harness_new ("batch-size=5", "", SMALL);

  for (guint i = 0; i < G_N_ELEMENTS (flags); i++) {
    GstBuffer *buffer = frame_new (h, i);

    GST_BUFFER_FLAG_SET (buffer, flags[i]);
    fail_unless_equals_int (gst_harness_push (h, buffer), GST_FLOW_OK);
  }
  push_eos (h);
  for (guint i = 0; i < G_N_ELEMENTS (flags); i++) {
    GstBuffer *buffer = gst_harness_pull (h);

    fail_unless (buffer != NULL);
    fail_unless_equals_int_hex (GST_BUFFER_FLAGS (buffer) & relevant, flags[i]);
    gst_buffer_unref (buffer);
  }
  gst_harness_teardown (h);
}
GST_END_TEST;

GST_START_TEST (test_without_timestamps)
{
  GstHarness *h = harness_new ("batch-size=5", "", SMALL);
  GstBuffer *buffer = frame_new (h, 0);

  GST_BUFFER_PTS (buffer) = GST_CLOCK_TIME_NONE;
  GST_BUFFER_DURATION (buffer) = GST_CLOCK_TIME_NONE;
  fail_unless_equals_int (gst_harness_push (h, buffer), GST_FLOW_OK);
  push_eos (h);
  buffer = gst_harness_pull (h);
  fail_unless (buffer != NULL);
  fail_if (GST_BUFFER_PTS_IS_VALID (buffer));
  fail_if (GST_BUFFER_DURATION_IS_VALID (buffer));
  gst_buffer_unref (buffer);
  gst_harness_teardown (h);
}
GST_END_TEST;

GST_START_TEST (test_still_image)
{
  GstHarness *h = harness_new ("", "", CAPS_RATE ("RGB", 32, 32, "0/1"));

  push_frames (h, 3, 4);
  fail_unless_equals_uint64 (gst_harness_query_latency (h), 0);
  end_with_frames (h, 3, 4);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* Regions scale with the picture; metas without pixels are copied; what tells
 * of the memory stays behind. */
GST_START_TEST (test_metas)
{
  GstHarness *h = harness_new ("batch-size=1", "", SMALL);
  GstCaps *reference = gst_caps_new_empty_simple ("timestamp/x-test");
  GstBuffer *buffer = frame_new (h, 0), *parent = gst_buffer_new ();
  GstVideoRegionOfInterestMeta *region;

  gst_buffer_add_video_region_of_interest_meta (buffer, "face", 4, 6, 10, 12);
  gst_buffer_add_reference_timestamp_meta (buffer, reference, 123, 4);
  gst_buffer_add_parent_buffer_meta (buffer, parent);
  gst_buffer_unref (parent);
  fail_unless_equals_int (gst_harness_push (h, buffer), GST_FLOW_OK);
  push_eos (h);

  buffer = gst_harness_pull (h);
  region = gst_buffer_get_video_region_of_interest_meta_id (buffer, 0);
  fail_unless (region != NULL);
  fail_unless_equals_int (region->x, 8);
  fail_unless_equals_int (region->y, 12);
  fail_unless_equals_int (region->w, 20);
  fail_unless_equals_int (region->h, 24);
  fail_unless (gst_buffer_get_reference_timestamp_meta (buffer, reference));
  fail_if (gst_buffer_get_parent_buffer_meta (buffer));
  gst_buffer_unref (buffer);
  gst_caps_unref (reference);
  gst_harness_teardown (h);
}
GST_END_TEST;

static void
mark (gpointer data, GstMiniObject *object)
{
  (void)object;
  *(gboolean *)data = TRUE;
}

/* A decoder's pool must not starve while a batch is collected: neither the
 * buffer nor the one that it is a part of may be held. */
GST_START_TEST (test_input_is_released)
{
  GstHarness *h = harness_new ("batch-size=9", "", SMALL);
  GstBuffer *buffer = frame_new (h, 0), *parent = gst_buffer_new ();
  gboolean freed = FALSE, parent_freed = FALSE;

  gst_buffer_add_parent_buffer_meta (buffer, parent);
  gst_mini_object_weak_ref (GST_MINI_OBJECT (buffer), mark, &freed);
  gst_mini_object_weak_ref (GST_MINI_OBJECT (parent), mark, &parent_freed);
  gst_buffer_unref (parent);
  fail_unless_equals_int (gst_harness_push (h, buffer), GST_FLOW_OK);
  fail_unless (freed);
  fail_unless (parent_freed);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* The same picture with other strides and offsets. */
static GstBuffer *
spread_out (GstBuffer *packed, const GstVideoInfo *info)
{
  gsize offset[GST_VIDEO_MAX_PLANES] = { 64, 64 + 100 * 40, 64 + 100 * 80 };
  gint stride[GST_VIDEO_MAX_PLANES] = { 100, 60, 70 };
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, 64 + 100 * 120, NULL);
  GstVideoFrame from, to;

  gst_buffer_memset (buffer, 0, 0xff, gst_buffer_get_size (buffer));
  gst_buffer_add_video_meta_full (
      buffer, 0, GST_VIDEO_INFO_FORMAT (info), info->width, info->height,
      GST_VIDEO_INFO_N_PLANES (info), offset, stride);
  fail_unless (gst_video_frame_map (&from, info, packed, GST_MAP_READ));
  fail_unless (gst_video_frame_map (&to, info, buffer, GST_MAP_WRITE));
  fail_unless (gst_video_frame_copy (&to, &from));
  gst_video_frame_unmap (&to);
  gst_video_frame_unmap (&from);
  gst_buffer_copy_into (buffer, packed, GST_BUFFER_COPY_TIMESTAMPS, 0, -1);
  return buffer;
}

GST_START_TEST (test_strides)
{
  GstHarness *h = harness_new ("batch-size=5", "", CAPS ("I420", 32, 32));
  GstCaps *caps = gst_caps_from_string (CAPS ("I420", 32, 32));
  GstVideoInfo info;

  fail_unless (gst_video_info_from_caps (&info, caps));
  gst_caps_unref (caps);
  for (guint i = 0; i < 5; i++) {
    GstBuffer *packed = frame_new (h, i);

    fail_unless_equals_int (gst_harness_push (h, spread_out (packed, &info)),
                            GST_FLOW_OK);
    gst_buffer_unref (packed);
  }
  end_with_frames (h, 0, 5);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* Frame `number` of a run, all of its bytes. */
static GBytes *
output_of (const gchar *properties, guint from, guint to, guint number)
{
  GstHarness *h = harness_new (properties, "", SMALL);
  GBytes *bytes = NULL;

  push_frames (h, from, to);
  push_eos (h);
  for (guint i = from; i < to; i++) {
    GstBuffer *buffer = gst_harness_pull (h);
    gpointer data;
    gsize size;

    fail_unless (buffer != NULL);
    if (i == number) {
      gst_buffer_extract_dup (buffer, 0, -1, &data, &size);
      bytes = g_bytes_new_take (data, size);
    }
    gst_buffer_unref (buffer);
  }
  gst_harness_teardown (h);
  return bytes;
}

/* A film done in chunks is the film done in one run. */
GST_START_TEST (test_frame_offset)
{
  const gchar *plain = "batch-size=5 color-correction=none";
  GBytes *whole = output_of (plain, 0, 10, 7);
  GBytes *chunk = output_of ("batch-size=5 color-correction=none "
                             "frame-offset=5",
                             5, 10, 7);
  GBytes *other = output_of (plain, 5, 10, 7);
  GBytes *seed
      = output_of ("batch-size=5 color-correction=none seed=43", 0, 10, 7);

  fail_unless (g_bytes_equal (whole, chunk));
  fail_if (g_bytes_equal (whole, other));
  fail_if (g_bytes_equal (whole, seed));
  g_bytes_unref (whole);
  g_bytes_unref (chunk);
  g_bytes_unref (other);
  g_bytes_unref (seed);
}
GST_END_TEST;

static Suite *
seedvr2_frames_suite (void)
{
  Suite *suite = suite_create ("seedvr2 frames");
  TCase *tcase = tcase_create ("frames");

  suite_add_tcase (suite, tcase);
  tcase_add_loop_test (tcase, test_n_in_n_out, 1, 14);
  tcase_add_loop_test (tcase, test_n_in_n_out_of_other_batches, 0, 7);
  tcase_add_test (tcase, test_several_sequences);
  tcase_add_test (tcase, test_flags);
  tcase_add_test (tcase, test_without_timestamps);
  tcase_add_test (tcase, test_still_image);
  tcase_add_test (tcase, test_metas);
  tcase_add_test (tcase, test_input_is_released);
  tcase_add_test (tcase, test_strides);
  tcase_add_test (tcase, test_frame_offset);
  return suite;
}

GST_CHECK_MAIN (seedvr2_frames);
