#include "element_test.h"

#include <time.h>

#define CUDA_CONTEXT_TYPE "gst.cuda.context"

GstHarness *
harness_new_on_bus (GstBus *bus, const gchar *properties, const gchar *rest,
                    const gchar *caps)
{
  gchar *line
      = g_strdup_printf ("seedvr2upscale backend=cpu %s %s", properties, rest);
  GstElement *element = *rest
                            ? gst_parse_bin_from_description (line, TRUE, NULL)
                            : gst_parse_launch (line, NULL);
  GstHarness *h;

  fail_unless (element != NULL, "cannot make: %s", line);
  gst_object_ref_sink (element);
  if (bus)
    gst_element_set_bus (element, bus);
  h = gst_harness_new_with_element (element, "sink", "src");
  gst_object_unref (element);
  g_free (line);
  if (caps)
    gst_harness_set_src_caps_str (h, caps);
  return h;
}

GstHarness *
harness_new (const gchar *properties, const gchar *rest, const gchar *caps)
{
  return harness_new_on_bus (NULL, properties, rest, caps);
}

void
harness_end (GstHarness *h, GstBus *bus)
{
  gst_element_set_state (h->element, GST_STATE_NULL);
  gst_element_set_bus (h->element, NULL);
  gst_object_unref (bus);
  gst_harness_teardown (h);
}

const gchar *const all_formats[ALL_FORMATS] = {
  "RGB",       "BGR",        "RGBA",       "BGRA",      "ARGB",
  "ABGR",      "RGBx",       "BGRx",       "xRGB",      "xBGR",
  "NV12",      "I420",       "NV21",       "YV12",      "P010_10LE",
  "P012_LE",   "P016_LE",    "I420_10LE",  "I420_12LE", "Y42B",
  "I422_10LE", "I422_12LE",  "Y444",       "Y444_10LE", "Y444_16LE",
  "GRAY8",     "GRAY16_LE",  "RGBP",       "BGRP",      "GBR",
  "GBR_10LE",  "RGB10A2_LE", "BGR10A2_LE", "RGBA64_LE", "ARGB64_LE",
  "ARGB64",    "YUY2",       "YVYU",       "UYVY",      "NV16",
  "NV61",      "NV24",       "Y444_12LE",  "GBR_12LE",  "GRAY16_BE",
};

guint
frame_level (guint number)
{
  return 50 + 10 * number;
}

static GstVideoInfo
pad_info (GstPad *pad)
{
  GstCaps *caps = gst_pad_get_current_caps (pad);
  GstVideoInfo info;

  fail_unless (caps != NULL, "no caps on %s", GST_PAD_NAME (pad));
  fail_unless (gst_video_info_from_caps (&info, caps));
  gst_caps_unref (caps);
  return info;
}

GstVideoInfo
input_info (GstHarness *h)
{
  return pad_info (h->srcpad);
}

GstVideoInfo
output_info (GstHarness *h)
{
  return pad_info (h->sinkpad);
}

static void
fill_plane (GstVideoFrame *frame, guint plane, gint value)
{
  guint8 *row = GST_VIDEO_FRAME_PLANE_DATA (frame, plane);
  gint rows = GST_VIDEO_FRAME_COMP_HEIGHT (frame, plane);
  gint bytes = GST_VIDEO_FRAME_COMP_WIDTH (frame, plane)
               * GST_VIDEO_FRAME_COMP_PSTRIDE (frame, plane);

  for (; rows > 0; rows--) {
    memset (row, value, bytes);
    row += GST_VIDEO_FRAME_PLANE_STRIDE (frame, plane);
  }
}

GstBuffer *
frame_new (GstHarness *h, guint number)
{
  GstVideoInfo info = input_info (h);
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, info.size, NULL);
  GstVideoFrame frame;

  fail_unless (gst_video_frame_map (&frame, &info, buffer, GST_MAP_WRITE));
  for (guint p = 0; p < GST_VIDEO_FRAME_N_PLANES (&frame); p++)
    fill_plane (&frame, p,
                p > 0 && GST_VIDEO_INFO_IS_YUV (&info)
                    ? 128
                    : (gint)frame_level (number));
  gst_video_frame_unmap (&frame);
  GST_BUFFER_PTS (buffer) = number * FRAME_DURATION;
  GST_BUFFER_DURATION (buffer) = FRAME_DURATION;
  GST_BUFFER_OFFSET (buffer) = number;
  return buffer;
}

void
push_frames (GstHarness *h, guint from, guint to)
{
  for (guint i = from; i < to; i++)
    fail_unless_equals_int (gst_harness_push (h, frame_new (h, i)),
                            GST_FLOW_OK);
}

void
push_segment (GstHarness *h)
{
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  gst_harness_push_event (h, gst_event_new_segment (&segment));
}

void
push_flush (GstHarness *h)
{
  gst_harness_push_event (h, gst_event_new_flush_start ());
  gst_harness_push_event (h, gst_event_new_flush_stop (TRUE));
  push_segment (h);
}

void
push_eos (GstHarness *h)
{
  gst_harness_push_event (h, gst_event_new_eos ());
}

gdouble
mean_level (GstBuffer *buffer, const GstVideoInfo *info)
{
  GstVideoFrame frame;
  gdouble sum = 0.0;
  gint width, height;

  fail_unless (gst_video_frame_map (&frame, info, buffer, GST_MAP_READ));
  width = GST_VIDEO_FRAME_COMP_WIDTH (&frame, 0);
  height = GST_VIDEO_FRAME_COMP_HEIGHT (&frame, 0);
  for (gint y = 0; y < height; y++) {
    const guint8 *row = (const guint8 *)GST_VIDEO_FRAME_COMP_DATA (&frame, 0)
                        + y * GST_VIDEO_FRAME_COMP_STRIDE (&frame, 0);

    for (gint x = 0; x < width; x++)
      sum += row[x * GST_VIDEO_FRAME_COMP_PSTRIDE (&frame, 0)];
  }
  gst_video_frame_unmap (&frame);
  return sum / width / height;
}

void
expect_frames (GstHarness *h, guint from, guint to)
{
  for (guint i = from; i < to; i++) {
    GstBuffer *buffer = gst_harness_pull (h);
    GstVideoInfo info = output_info (h);
    gdouble level;

    fail_unless (buffer != NULL, "frame %u is missing", i);
    fail_unless_equals_uint64 (GST_BUFFER_PTS (buffer), i * FRAME_DURATION);
    fail_unless_equals_uint64 (GST_BUFFER_DURATION (buffer), FRAME_DURATION);
    fail_unless_equals_uint64 (GST_BUFFER_OFFSET (buffer), i);
    fail_unless_equals_uint64 (gst_buffer_get_size (buffer), info.size);
    level = mean_level (buffer, &info);
    fail_unless (ABS (level - frame_level (i)) < 4.0,
                 "frame %u has level %g instead of %u", i, level,
                 frame_level (i));
    gst_buffer_unref (buffer);
  }
}

void
expect_nothing (GstHarness *h)
{
  GstBuffer *buffer = gst_harness_try_pull (h);

  fail_unless (buffer == NULL, "a frame too many");
}

void
end_with_frames (GstHarness *h, guint from, guint to)
{
  push_eos (h);
  expect_frames (h, from, to);
  expect_nothing (h);
}

gchar *
hash_frames (GstHarness *h, guint frames)
{
  GChecksum *sum = g_checksum_new (G_CHECKSUM_SHA256);
  gchar *text;

  for (guint i = 0; i < frames; i++) {
    GstBuffer *buffer = gst_harness_pull (h);
    GstMapInfo map;

    fail_unless (buffer != NULL, "frame %u is missing", i);
    fail_unless_equals_uint64 (GST_BUFFER_PTS (buffer), i * FRAME_DURATION);
    fail_unless (gst_buffer_map (buffer, &map, GST_MAP_READ));
    g_checksum_update (sum, map.data, (gssize)map.size);
    gst_buffer_unmap (buffer, &map);
    gst_buffer_unref (buffer);
  }
  text = g_strdup (g_checksum_get_string (sum));
  g_checksum_free (sum);
  return text;
}

static GstPadProbeReturn
log_output (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  GString *log = data;

  (void)pad;
  if (log->len > 0)
    g_string_append_c (log, ' ');
  if (GST_PAD_PROBE_INFO_TYPE (info) & GST_PAD_PROBE_TYPE_BUFFER) {
    GstClockTime pts = GST_BUFFER_PTS (GST_PAD_PROBE_INFO_BUFFER (info));

    g_string_append_printf (log, "%d", (gint)(pts / FRAME_DURATION));
  } else {
    g_string_append (log, gst_event_type_get_name (GST_EVENT_TYPE (
                              GST_PAD_PROBE_INFO_EVENT (info))));
  }
  return GST_PAD_PROBE_OK;
}

GString *
output_log_new (GstHarness *h)
{
  GString *log = g_string_new (NULL);

  gst_pad_add_probe (h->sinkpad,
                     GST_PAD_PROBE_TYPE_BUFFER
                         | GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM,
                     log_output, log, NULL);
  return log;
}

static gint64
cpu_time (void)
{
  struct timespec now;

  clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &now);
  return (gint64)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

Stopwatch
stopwatch_start (void)
{
  return (Stopwatch){ g_get_monotonic_time (), cpu_time () };
}

void
check_prompt (const Stopwatch *watch, const gchar *what)
{
  gint64 wall = g_get_monotonic_time () - watch->wall;
  gint64 cpu = (cpu_time () - watch->cpu) / g_get_num_processors ();

  fail_unless (MIN (wall, cpu) < 300000 && wall < 5000000,
               "%s took %" G_GINT64_FORMAT " us (%" G_GINT64_FORMAT
               " us of all processors)",
               what, wall, cpu);
}

GstMessage *
wait_message (GstBus *bus, GstMessageType types)
{
  GstMessage *message
      = gst_bus_timed_pop_filtered (bus, 90 * GST_SECOND, types);

  fail_unless (message != NULL, "no message");
  return message;
}

GstElement *
element_new (GstBus *bus, const gchar *properties)
{
  gchar *line = g_strdup_printf ("seedvr2upscale %s", properties);
  GstElement *element = gst_parse_launch (line, NULL);

  fail_unless (element != NULL);
  gst_object_ref_sink (element);
  gst_element_set_bus (element, bus);
  g_free (line);
  return element;
}

void
element_end (GstElement *element, GstBus *bus)
{
  gst_element_set_state (element, GST_STATE_NULL);
  gst_element_set_bus (element, NULL);
  gst_object_unref (element);
  gst_object_unref (bus);
}

void
check_suggestion (GstMessage *message)
{
  const GstStructure *details = NULL;
  const gchar *suggestion;

  gst_message_parse_error_details (message, &details);
  fail_unless (details != NULL, "an error without details");
  suggestion = gst_structure_get_string (details, "suggestion");
  fail_unless (suggestion && *suggestion, "an error without a suggestion");
}

/* The one error on the bus.  (transfer full) */
static GstMessage *
only_error (GstBus *bus, GError **error, const gchar *part)
{
  GstMessage *message = wait_message (bus, GST_MESSAGE_ERROR);

  gst_message_parse_error (message, error, NULL);
  fail_unless (strstr ((*error)->message, part) != NULL, "no '%s' in: %s", part,
               (*error)->message);
  fail_if (gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR), "a second error");
  return message;
}

void
expect_one_error (GstBus *bus, const gchar *part)
{
  GError *error = NULL;

  gst_message_unref (only_error (bus, &error, part));
  g_error_free (error);
}

void
expect_error (GstBus *bus, GQuark domain, gint code, const gchar *part)
{
  GError *error = NULL;
  GstMessage *message = only_error (bus, &error, part);

  fail_unless (g_error_matches (error, domain, code), "domain %s, code %d: %s",
               g_quark_to_string (error->domain), error->code, error->message);
  check_suggestion (message);
  g_error_free (error);
  gst_message_unref (message);
}

GObject *
cuda_context_of (GstElement *element, const gchar *pad_name)
{
  GstPad *pad = gst_element_get_static_pad (element, pad_name);
  GstQuery *query = gst_query_new_context (CUDA_CONTEXT_TYPE);
  GstContext *context = NULL;
  GObject *object = NULL;

  if (gst_pad_query (pad, query)) {
    gst_query_parse_context (query, &context);
    fail_unless (context != NULL);
    object = g_value_dup_object (gst_structure_get_value (
        gst_context_get_structure (context), CUDA_CONTEXT_TYPE));
  }
  gst_query_unref (query);
  gst_object_unref (pad);
  return object;
}
