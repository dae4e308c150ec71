#include "cuda_frames.h"

GstHarness *
cuda_harness_new (GstBus *bus, const gchar *properties, const gchar *in,
                  const gchar *out)
{
  gchar *all = g_strconcat (ON_CUDA, properties, NULL);
  gchar *fixed = g_strconcat (in, NV12_FIELDS, NULL);
  GstHarness *h = harness_new_on_bus (bus, all, "", NULL);

  gst_harness_set_sink_caps_str (h, out);
  gst_harness_set_src_caps_str (h, fixed);
  g_free (fixed);
  g_free (all);
  return h;
}

GstCudaContext *
cuda_context_ref (GstHarness *h)
{
  GObject *object = cuda_context_of (h->element, "src");

  fail_unless (object != NULL);
  return (GstCudaContext *)object;
}

GstBufferPool *
cuda_pool_new (GstHarness *h, GstCudaContext *context, guint most)
{
  GstBufferPool *pool = gst_cuda_buffer_pool_new (context);
  GstCaps *caps = gst_pad_get_current_caps (h->srcpad);
  GstStructure *config = gst_buffer_pool_get_config (pool);
  GstVideoInfo info = input_info (h);

  gst_buffer_pool_config_set_params (config, caps, (guint)info.size, 0, most);
  fail_unless (gst_buffer_pool_set_config (pool, config));
  fail_unless (gst_buffer_pool_set_active (pool, TRUE));
  gst_caps_unref (caps);
  return pool;
}

void
cuda_pool_end (GstBufferPool *pool)
{
  gst_buffer_pool_set_active (pool, FALSE);
  gst_object_unref (pool);
}

guint8 *
row_of (const GstVideoFrame *frame, guint plane, gint y)
{
  return (guint8 *)GST_VIDEO_FRAME_PLANE_DATA (frame, plane)
         + y * GST_VIDEO_FRAME_PLANE_STRIDE (frame, plane);
}

guint
row_bytes (const GstVideoFrame *frame)
{
  return (guint)GST_VIDEO_FRAME_WIDTH (frame);
}

/* Fills a buffer, in any memory, with the picture `number` and times it. */
static GstBuffer *
painted (GstHarness *h, GstBuffer *buffer, guint number)
{
  GstVideoInfo info = input_info (h);
  GstVideoFrame frame;
  guint seed = number;

  fail_unless (gst_video_frame_map (&frame, &info, buffer, GST_MAP_WRITE));
  for (guint p = 0; p < GST_VIDEO_FRAME_N_PLANES (&frame); p++) {
    for (gint y = 0; y < GST_VIDEO_FRAME_COMP_HEIGHT (&frame, p); y++)
      for (guint x = 0; x < row_bytes (&frame); x++)
        row_of (&frame, p, y)[x] = (guint8)(60 + (seed++ * 37 + x * 3) % 120);
  }
  gst_video_frame_unmap (&frame);
  GST_BUFFER_PTS (buffer) = number * FRAME_DURATION;
  GST_BUFFER_DURATION (buffer) = FRAME_DURATION;
  return buffer;
}

GstBuffer *
system_frame (GstHarness *h, guint number)
{
  GstVideoInfo info = input_info (h);

  return painted (h, gst_buffer_new_allocate (NULL, info.size, NULL), number);
}

GstBuffer *
cuda_frame (GstHarness *h, GstBufferPool *pool, guint number)
{
  GstBuffer *buffer = NULL;

  fail_unless_equals_int (gst_buffer_pool_acquire_buffer (pool, &buffer, NULL),
                          GST_FLOW_OK);
  return painted (h, buffer, number);
}

gboolean
is_in_cuda_memory (GstBuffer *buffer)
{
  return gst_is_cuda_memory (gst_buffer_peek_memory (buffer, 0));
}
