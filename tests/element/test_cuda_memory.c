/* Frames in CUDA memory: negotiation with neighbours of both kinds, pools, the
 * same pixels as through system memory, and what is refused; on a fake CUDA
 * module and driver, whose device memory the host cannot read. */
#include "cuda_frames.h"
#include "fake_cuda.h"

#define ANYWHERE CUDA ";video/x-raw"
#define COUNT 7

/* The samples of what comes out, in order; each frame once, in time, in the
 * memory that the caps say. */
static GByteArray *
pull_samples (GstHarness *h, gboolean cuda)
{
  GstVideoInfo info = output_info (h);
  GByteArray *samples = g_byte_array_new ();

  for (guint i = 0; i < COUNT; i++) {
    GstBuffer *buffer = gst_harness_pull (h);
    GstVideoFrame frame;

    fail_unless (buffer != NULL, "frame %u is missing", i);
    fail_unless_equals_uint64 (GST_BUFFER_PTS (buffer), i * FRAME_DURATION);
    fail_unless_equals_int (is_in_cuda_memory (buffer), cuda);
    fail_unless (gst_video_frame_map (&frame, &info, buffer, GST_MAP_READ));
    for (guint p = 0; p < GST_VIDEO_FRAME_N_PLANES (&frame); p++)
      for (gint y = 0; y < GST_VIDEO_FRAME_COMP_HEIGHT (&frame, p); y++)
        g_byte_array_append (samples, row_of (&frame, p, y),
                             row_bytes (&frame));
    gst_video_frame_unmap (&frame);
    gst_buffer_unref (buffer);
  }
  expect_nothing (h);
  return samples;
}

/* COUNT frames through an element; input in CUDA memory comes from a pool that
 * has one buffer, so each must be free when the next is wanted. */
static GByteArray *
run (gboolean in_cuda, gboolean out_cuda)
{
  GstHarness *h = cuda_harness_new (NULL, "batch-size=3 temporal-overlap=1",
                                    in_cuda ? CUDA : "video/x-raw",
                                    out_cuda ? CUDA : "video/x-raw");
  GstCudaContext *context = cuda_context_ref (h);
  GstBufferPool *pool = in_cuda ? cuda_pool_new (h, context, 1) : NULL;
  GByteArray *samples;

  for (guint i = 0; i < COUNT; i++)
    fail_unless_equals_int (gst_harness_push (h, pool ? cuda_frame (h, pool, i)
                                                      : system_frame (h, i)),
                            GST_FLOW_OK);
  push_eos (h);
  samples = pull_samples (h, out_cuda);
  fail_unless_equals_int (fake_cuda_get ()->frames_read, in_cuda ? COUNT : 0);
  fail_unless_equals_int (fake_cuda_get ()->frames_written,
                          out_cuda ? COUNT : 0);
  if (pool)
    cuda_pool_end (pool);
  gst_harness_teardown (h);
  gst_object_unref (context);
  return samples;
}

GST_START_TEST (test_same_pixels)
{
  GByteArray *want = run (FALSE, FALSE);

  for (guint sides = 1; sides < 4; sides++) {
    GByteArray *got = run ((sides & 1) != 0, (sides & 2) != 0);

    fail_unless_equals_int (got->len, want->len);
    fail_unless (memcmp (got->data, want->data, got->len) == 0,
                 "other pixels with sides %u", sides);
    g_byte_array_unref (got);
  }
  g_byte_array_unref (want);
}
GST_END_TEST;

/* ---- negotiation ---- */

static const struct {
  const gchar *in, *out;
  gboolean cuda; /* comes out */
} neighbours[] = {
  { "video/x-raw", "video/x-raw", FALSE },
  { "video/x-raw", CUDA, TRUE },
  { CUDA, "video/x-raw", FALSE },
  { CUDA, CUDA, TRUE },
  /* the same memory where both can be had, whatever downstream has first */
  { CUDA, ANYWHERE, TRUE },
  { CUDA, "video/x-raw;" CUDA, TRUE },
  { "video/x-raw", ANYWHERE, FALSE },
  /* before the same format */
  { CUDA, "video/x-raw,format=NV12;" CUDA ",format=I420", TRUE },
  { "video/x-raw", CUDA ",format=NV12;video/x-raw,format=RGB", FALSE },
};

GST_START_TEST (test_neighbours)
{
  GstHarness *h = cuda_harness_new (NULL, "scale=2", neighbours[__i__].in,
                                    neighbours[__i__].out);
  GstCaps *caps = gst_pad_get_current_caps (h->sinkpad);
  GstVideoInfo info = output_info (h);

  fail_unless (caps != NULL);
  fail_unless_equals_int (
      gst_caps_features_contains (gst_caps_get_features (caps, 0),
                                  "memory:CUDAMemory"),
      neighbours[__i__].cuda);
  fail_unless_equals_int (info.width, 72);
  gst_caps_unref (caps);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* Whether a pad says that it takes CUDA memory. */
static gboolean
offers_cuda (GstElement *element, const gchar *pad_name)
{
  GstPad *pad = gst_element_get_static_pad (element, pad_name);
  GstCaps *caps = gst_pad_query_caps (pad, NULL);
  GstCaps *cuda = gst_caps_from_string (CUDA);
  gboolean offers = gst_caps_can_intersect (caps, cuda);

  gst_caps_unref (cuda);
  gst_caps_unref (caps);
  gst_object_unref (pad);
  return offers;
}

static const struct {
  const gchar *properties;
  gint devices;
  gboolean offered;
} backends[] = {
  { "backend=cuda", 2, TRUE },
  { "backend=auto", 2, TRUE },
  { "backend=auto", 0, FALSE },
  { "backend=cpu", 2, FALSE },
};

/* Links are made in NULL, when nothing is known; from READY up what is offered
 * can be had. */
GST_START_TEST (test_offered_where_possible)
{
  GstBus *bus = gst_bus_new ();
  GstElement *element = element_new (bus, backends[__i__].properties);
  GstState states[] = { GST_STATE_READY, GST_STATE_PAUSED, GST_STATE_READY };

  fake_cuda_get ()->devices = backends[__i__].devices;
  fail_unless (offers_cuda (element, "sink") && offers_cuda (element, "src"));
  for (guint i = 0; i < G_N_ELEMENTS (states); i++) {
    gst_element_set_state (element, states[i]);
    fail_unless_equals_int (offers_cuda (element, "sink"),
                            backends[__i__].offered);
    fail_unless_equals_int (offers_cuda (element, "src"),
                            backends[__i__].offered);
  }
  gst_element_set_state (element, GST_STATE_NULL);
  fail_unless (offers_cuda (element, "sink"));
  fake_cuda_get ()->devices = FAKE_CUDA_DEVICES;
  element_end (element, bus);
}
GST_END_TEST;

/* The GPU is there, but the engine cannot use it and takes the CPU. */
GST_START_TEST (test_not_offered_after_falling_back)
{
  GstBus *bus = gst_bus_new ();
  GstElement *element = element_new (bus, "backend=auto");

  gst_element_set_state (element, GST_STATE_READY);
  fail_unless (offers_cuda (element, "sink"));
  fake_cuda_get ()->refuses = true;
  gst_element_set_state (element, GST_STATE_PAUSED);
  fail_if (offers_cuda (element, "sink") || offers_cuda (element, "src"));
  fake_cuda_get ()->refuses = false;
  element_end (element, bus);
}
GST_END_TEST;

/* ---- pools ---- */

GST_START_TEST (test_proposes_a_pool)
{
  GstHarness *h = cuda_harness_new (NULL, "", CUDA, "video/x-raw");
  GstCaps *caps = gst_pad_get_current_caps (h->srcpad);
  GstQuery *query = gst_query_new_allocation (caps, TRUE);
  GstCudaContext *context = cuda_context_ref (h);
  GstBufferPool *pool = NULL;
  GstBuffer *buffer = NULL;
  guint size = 0, min = 7, max = 7;

  fail_unless (gst_pad_peer_query (h->srcpad, query));
  fail_unless (
      gst_query_find_allocation_meta (query, GST_VIDEO_META_API_TYPE, NULL));
  gst_query_parse_nth_allocation_pool (query, 0, &pool, &size, &min, &max);
  fail_unless (GST_IS_CUDA_BUFFER_POOL (pool));
  fail_unless (GST_CUDA_BUFFER_POOL (pool)->context == context);
  fail_unless (min == 0 && max == 0);
  gst_buffer_pool_set_active (pool, TRUE);
  gst_buffer_pool_acquire_buffer (pool, &buffer, NULL);
  fail_unless_equals_uint64 (gst_buffer_get_size (buffer), size);
  gst_buffer_unref (buffer);
  cuda_pool_end (pool);
  gst_object_unref (context);
  gst_query_unref (query);
  gst_caps_unref (caps);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* Answers an ALLOCATION query with pools. */
typedef struct {
  GstBufferPool *pools[2];
} Offer;

static GstPadProbeReturn
offer_pools (GstPad *pad, GstPadProbeInfo *info, gpointer user_data)
{
  GstQuery *query = GST_PAD_PROBE_INFO_QUERY (info);
  Offer *offer = user_data;

  (void)pad;
  if (GST_QUERY_TYPE (query) != GST_QUERY_ALLOCATION)
    return GST_PAD_PROBE_OK;
  for (guint i = 0; i < G_N_ELEMENTS (offer->pools); i++)
    gst_query_add_allocation_pool (query, offer->pools[i], 1, 0, 0);
  return GST_PAD_PROBE_HANDLED;
}

/* Downstream has a pool of our context behind another, or of others only. */
GST_START_TEST (test_takes_a_pool_that_fits)
{
  GstHarness *h = harness_new_on_bus (NULL, ON_CUDA "batch-size=1", "", NULL);
  GstCudaContext *ours = cuda_context_ref (h);
  GstCudaContext *other
      = gst_cuda_context_new_wrapped (gst_cuda_context_get_handle (ours), 0);
  Offer offer = { { __i__ == 0 ? gst_cuda_buffer_pool_new (other)
                               : gst_video_buffer_pool_new (),
                    gst_cuda_buffer_pool_new (__i__ == 0 ? ours : other) } };
  GstBuffer *buffer;

  gst_pad_add_probe (h->sinkpad, GST_PAD_PROBE_TYPE_QUERY_DOWNSTREAM,
                     offer_pools, &offer, NULL);
  gst_harness_set_sink_caps_str (h, CUDA);
  gst_harness_set_src_caps_str (h, "video/x-raw" NV12_FIELDS);
  gst_harness_push (h, system_frame (h, 0));
  push_eos (h);
  buffer = gst_harness_pull (h);
  fail_unless (buffer && is_in_cuda_memory (buffer));
  fail_unless (
      GST_CUDA_MEMORY_CAST (gst_buffer_peek_memory (buffer, 0))->context
      == ours);
  fail_unless_equals_int (buffer->pool == offer.pools[1], __i__ == 0);
  gst_buffer_unref (buffer);
  gst_harness_teardown (h);
  for (guint i = 0; i < G_N_ELEMENTS (offer.pools); i++)
    gst_object_unref (offer.pools[i]);
  gst_object_unref (other);
  gst_object_unref (ours);
}
GST_END_TEST;

/* ---- memory of others ---- */

/* Another context of the same GPU: its memory can be reached. */
GST_START_TEST (test_another_context)
{
  GstHarness *h = cuda_harness_new (NULL, "batch-size=1", CUDA, "video/x-raw");
  GstCudaContext *ours = cuda_context_ref (h);
  GstCudaContext *other
      = gst_cuda_context_new_wrapped (gst_cuda_context_get_handle (ours), 0);
  GstBufferPool *pool = cuda_pool_new (h, other, 0);

  fail_unless_equals_int (gst_harness_push (h, cuda_frame (h, pool, 0)),
                          GST_FLOW_OK);
  push_eos (h);
  gst_buffer_unref (gst_harness_pull (h));
  cuda_pool_end (pool);
  gst_harness_teardown (h);
  gst_object_unref (other);
  gst_object_unref (ours);
}
GST_END_TEST;

/* Memory of another GPU, and none of CUDA at all: one error each. */
GST_START_TEST (test_wrong_memory)
{
  GstBus *bus = gst_bus_new ();
  GstHarness *h = cuda_harness_new (bus, "device-id=0", CUDA, "video/x-raw");
  GstCudaContext *ours = cuda_context_ref (h);
  GstCudaContext *other
      = gst_cuda_context_new_wrapped (gst_cuda_context_get_handle (ours), 1);
  GstBufferPool *pool = cuda_pool_new (h, other, 0);
  GstBuffer *buffer
      = __i__ == 0 ? cuda_frame (h, pool, 0) : system_frame (h, 0);

  fail_unless_equals_int (gst_harness_push (h, buffer), GST_FLOW_ERROR);
  expect_one_error (bus, __i__ == 0 ? "GPU 1, but this element works on GPU 0"
                                    : "holds no CUDA memory");
  cuda_pool_end (pool);
  harness_end (h, bus);
  gst_object_unref (other);
  gst_object_unref (ours);
}
GST_END_TEST;

/* Caps that come although they were not offered are not accepted. */
GST_START_TEST (test_cuda_caps_without_a_gpu)
{
  GstBus *bus = gst_bus_new ();
  GstHarness *h = harness_new_on_bus (bus, "backend=cpu", "", CUDA NV12_FIELDS);

  fail_unless_equals_int (gst_harness_push (h, system_frame (h, 0)),
                          GST_FLOW_NOT_NEGOTIATED);
  harness_end (h, bus);
}
GST_END_TEST;

/* ---- flushes and faults ---- */

GST_START_TEST (test_flush_gives_frames_back)
{
  GstHarness *h = cuda_harness_new (NULL, "batch-size=5", CUDA, CUDA);
  GstCudaContext *context = cuda_context_ref (h);
  GstBufferPool *pool = cuda_pool_new (h, context, 1);

  for (guint round = 0; round < 4; round++) {
    for (guint i = 0; i < 6; i++)
      fail_unless_equals_int (gst_harness_push (h, cuda_frame (h, pool, i)),
                              GST_FLOW_OK);
    push_flush (h);
  }
  cuda_pool_end (pool);
  gst_harness_teardown (h);
  gst_object_unref (context);
}
GST_END_TEST;

static Suite *
seedvr2_cuda_memory_suite (void)
{
  Suite *suite = suite_create ("seedvr2 cuda memory");
  TCase *tcase = tcase_create ("cuda memory");

  suite_add_tcase (suite, tcase);
  tcase_add_test (tcase, test_same_pixels);
  tcase_add_loop_test (tcase, test_neighbours, 0, G_N_ELEMENTS (neighbours));
  tcase_add_loop_test (tcase, test_offered_where_possible, 0,
                       G_N_ELEMENTS (backends));
  tcase_add_test (tcase, test_not_offered_after_falling_back);
  tcase_add_test (tcase, test_proposes_a_pool);
  tcase_add_loop_test (tcase, test_takes_a_pool_that_fits, 0, 2);
  tcase_add_test (tcase, test_another_context);
  tcase_add_loop_test (tcase, test_wrong_memory, 0, 2);
  tcase_add_test (tcase, test_cuda_caps_without_a_gpu);
  tcase_add_test (tcase, test_flush_gives_frames_back);
  return suite;
}

GST_CHECK_MAIN (seedvr2_cuda_memory);
