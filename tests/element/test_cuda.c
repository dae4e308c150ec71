/* The CUDA context that the element shares with its pipeline, and what happens
 * when the GPU fails; on a fake CUDA module and driver. */
#include "element_test.h"
#include "fake_cuda.h"

#include <dlfcn.h>

#define ON_CUDA "backend=cuda precision=fp32 "

static void
check_state (GstElement *element, GstState state, GstStateChangeReturn expected)
{
  fail_unless_equals_int (gst_element_set_state (element, state), expected);
}

GST_START_TEST (test_cpu_touches_nothing)
{
  GstBus *bus = gst_bus_new ();
  GstElement *element = element_new (bus, "backend=cpu");
  gint searches = fake_cuda_get ()->searches;

  check_state (element, GST_STATE_READY, GST_STATE_CHANGE_SUCCESS);
  fail_if (cuda_context_of (element, "src"));
  fail_if (cuda_context_of (element, "sink"));
  check_state (element, GST_STATE_PAUSED, GST_STATE_CHANGE_SUCCESS);
  fail_unless_equals_int (fake_cuda_get ()->searches, searches);
  fail_if (dlopen ("libgstcuda-1.0.so.0", RTLD_NOW | RTLD_NOLOAD),
           "libgstcuda is in the process");
  fail_if (gst_bus_pop_filtered (bus, GST_MESSAGE_NEED_CONTEXT
                                          | GST_MESSAGE_HAVE_CONTEXT));
  element_end (element, bus);
}
GST_END_TEST;

/* Contexts of other kinds go the usual way. */
GST_START_TEST (test_foreign_context)
{
  GstBus *bus = gst_bus_new ();
  GstElement *element = element_new (bus, "backend=cpu");
  GstContext *context = gst_context_new ("some.other.context", TRUE), *kept;

  gst_element_set_context (element, context);
  check_state (element, GST_STATE_READY, GST_STATE_CHANGE_SUCCESS);
  kept = gst_element_get_context (element, "some.other.context");
  fail_unless (kept == context);
  gst_context_unref (kept);
  gst_context_unref (context);
  element_end (element, bus);
}
GST_END_TEST;

GST_START_TEST (test_device_id)
{
  GstBus *bus = gst_bus_new ();
  GstElement *element = element_new (bus, "");
  gint device = 5;

  g_object_get (element, "device-id", &device, NULL);
  fail_unless_equals_int (device, -1);
  g_object_set (element, "device-id", 7, "backend", 2, NULL);
  check_state (element, GST_STATE_READY, GST_STATE_CHANGE_FAILURE);
  expect_one_error (bus, "no fake GPU 7");
  /* the failure is not kept */
  g_object_set (element, "device-id", 1, NULL);
  check_state (element, GST_STATE_PAUSED, GST_STATE_CHANGE_SUCCESS);
  fail_unless_equals_int (fake_cuda_get ()->options.device, 1);
  element_end (element, bus);
}
GST_END_TEST;

GST_START_TEST (test_auto_without_a_gpu)
{
  GstBus *bus = gst_bus_new ();
  GstElement *element = element_new (bus, "backend=auto");

  fake_cuda_get ()->devices = 0;
  check_state (element, GST_STATE_PAUSED, GST_STATE_CHANGE_SUCCESS);
  fail_if (cuda_context_of (element, "src"));
  fail_if (gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR));
  fake_cuda_get ()->devices = FAKE_CUDA_DEVICES;
  element_end (element, bus);
}
GST_END_TEST;

#if HAVE_GSTCUDA

GST_START_TEST (test_publishes_the_primary_context)
{
  GstBus *bus = gst_bus_new ();
  GstElement *element = element_new (bus, ON_CUDA "device-id=1");
  fake_cuda *fake = fake_cuda_get ();
  GObject *object, *other;
  GstMessage *message;
  guint device = 7;

  check_state (element, GST_STATE_READY, GST_STATE_CHANGE_SUCCESS);
  message
      = wait_message (bus, GST_MESSAGE_NEED_CONTEXT | GST_MESSAGE_HAVE_CONTEXT);
  fail_unless_equals_int (GST_MESSAGE_TYPE (message), GST_MESSAGE_NEED_CONTEXT);
  gst_message_unref (message);
  gst_message_unref (wait_message (bus, GST_MESSAGE_HAVE_CONTEXT));

  object = cuda_context_of (element, "src");
  other = cuda_context_of (element, "sink");
  fail_unless (object != NULL && object == other);
  g_object_get (object, "cuda-device-id", &device, NULL);
  fail_unless_equals_int (device, 1);
  fail_unless_equals_int (fake->retained[1], 1);

  check_state (element, GST_STATE_PAUSED, GST_STATE_CHANGE_SUCCESS);
  fail_unless (fake->options.context == &fake->primary[1]);
  check_state (element, GST_STATE_NULL, GST_STATE_CHANGE_SUCCESS);
  fail_if (cuda_context_of (element, "src"));
  /* others may hold it longer */
  fail_unless_equals_int (fake->retained[1], 1);
  g_object_unref (object);
  g_object_unref (other);
  gst_bus_set_flushing (bus, TRUE); /* it holds the message */
  fail_unless_equals_int (fake->retained[1], 0);
  element_end (element, bus);
}
GST_END_TEST;

/* The element that starts second takes the first one's, in both orders. */
GST_START_TEST (test_two_elements_share)
{
  GstElement *pipeline = gst_parse_launch (
      "seedvr2upscale " ON_CUDA "name=a ! seedvr2upscale " ON_CUDA "name=b",
      NULL);
  GstElement *a = gst_bin_get_by_name (GST_BIN (pipeline), "a");
  GstElement *b = gst_bin_get_by_name (GST_BIN (pipeline), "b");
  GstElement *first = __i__ == 0 ? a : b, *second = __i__ == 0 ? b : a;
  fake_cuda *fake = fake_cuda_get ();
  GObject *of_first, *of_second;

  check_state (first, GST_STATE_READY, GST_STATE_CHANGE_SUCCESS);
  check_state (second, GST_STATE_READY, GST_STATE_CHANGE_SUCCESS);
  of_first = cuda_context_of (first, first == a ? "sink" : "src");
  of_second = cuda_context_of (second, second == a ? "sink" : "src");
  fail_unless (of_first != NULL && of_first == of_second);
  fail_unless_equals_int (fake->retained[0], 1);
  g_object_unref (of_first);
  g_object_unref (of_second);

  check_state (first, GST_STATE_NULL, GST_STATE_CHANGE_SUCCESS);
  fail_unless_equals_int (fake->retained[0], 1);
  check_state (second, GST_STATE_PAUSED, GST_STATE_CHANGE_SUCCESS);
  fail_unless (fake->options.context == &fake->primary[0]);
  gst_object_unref (a);
  gst_object_unref (b);
  check_state (pipeline, GST_STATE_READY, GST_STATE_CHANGE_SUCCESS);
  check_state (pipeline, GST_STATE_NULL, GST_STATE_CHANGE_SUCCESS);
  /* bins do not keep it */
  fail_unless_equals_int (fake->retained[0], 0);
  gst_object_unref (pipeline);
}
GST_END_TEST;

/* A context of device 0, made by another element. */
static GstContext *
context_new (void)
{
  GstBus *bus = gst_bus_new ();
  GstElement *maker = element_new (bus, ON_CUDA "device-id=0");
  GstMessage *message;
  GstContext *context = NULL;

  check_state (maker, GST_STATE_READY, GST_STATE_CHANGE_SUCCESS);
  message = wait_message (bus, GST_MESSAGE_HAVE_CONTEXT);
  gst_message_parse_have_context (message, &context);
  gst_message_unref (message);
  element_end (maker, bus);
  return context;
}

static const struct {
  const gchar *properties;
  gboolean taken;
} wishes[]
    = { { "", TRUE }, { "device-id=0", TRUE }, { "device-id=1", FALSE } };

/* The application's is taken when it is of the right device. */
GST_START_TEST (test_application_context)
{
  gchar *properties = g_strconcat (ON_CUDA, wishes[__i__].properties, NULL);
  GstBus *bus = gst_bus_new ();
  GstElement *element = element_new (bus, properties);
  GstContext *context = context_new ();
  fake_cuda *fake = fake_cuda_get ();

  gst_element_set_context (element, context);
  check_state (element, GST_STATE_PAUSED, GST_STATE_CHANGE_SUCCESS);
  fail_unless_equals_int (fake->retained[0], 1);
  fail_unless_equals_int (fake->retained[1], wishes[__i__].taken ? 0 : 1);
  fail_unless (fake->options.context
               == &fake->primary[wishes[__i__].taken ? 0 : 1]);
  gst_context_unref (context);
  element_end (element, bus);
  fail_unless_equals_int (fake->retained[0] + fake->retained[1], 0);
  g_free (properties);
}
GST_END_TEST;

/* Properties that change in READY decide anew. */
GST_START_TEST (test_changed_in_ready)
{
  GstBus *bus = gst_bus_new ();
  GstElement *element = element_new (bus, ON_CUDA "device-id=0");
  fake_cuda *fake = fake_cuda_get ();

  check_state (element, GST_STATE_READY, GST_STATE_CHANGE_SUCCESS);
  g_object_set (element, "device-id", 1, NULL);
  check_state (element, GST_STATE_PAUSED, GST_STATE_CHANGE_SUCCESS);
  fail_unless (fake->options.context == &fake->primary[1]);
  check_state (element, GST_STATE_READY, GST_STATE_CHANGE_SUCCESS);
  gst_bus_set_flushing (bus, TRUE); /* it holds messages with contexts */
  gst_bus_set_flushing (bus, FALSE);
  fail_unless_equals_int (fake->retained[0], 0);
  gst_util_set_object_arg (G_OBJECT (element), "backend", "cpu");
  check_state (element, GST_STATE_PAUSED, GST_STATE_CHANGE_SUCCESS);
  fail_unless_equals_int (fake->retained[1], 0);
  fail_if (cuda_context_of (element, "src"));
  element_end (element, bus);
}
GST_END_TEST;

static const gchar *const gpus[] = { ON_CUDA, "backend=auto precision=fp32 " };

/* The GPU fails while frames flow, and for good: one error, then NULL gives
 * everything back, and another try is one error again. */
GST_START_TEST (test_fault)
{
  gchar *properties = g_strconcat (gpus[__i__], "post-messages=false", NULL);
  GstBus *bus = gst_bus_new ();
  GstHarness *h = harness_new_on_bus (bus, properties, "", SMALL);
  fake_cuda *fake = fake_cuda_get ();
  GstFlowReturn ret = GST_FLOW_OK;

  push_frames (h, 0, 5);
  __atomic_store_n (&fake->broken, true, __ATOMIC_SEQ_CST);
  for (guint i = 5; i < 40 && ret == GST_FLOW_OK; i++)
    ret = gst_harness_push (h, frame_new (h, i % 15));
  fail_unless_equals_int (ret, GST_FLOW_ERROR);
  fail_unless_equals_int (gst_harness_push (h, frame_new (h, 0)),
                          GST_FLOW_ERROR);
  push_eos (h);
  expect_one_error (bus, "restart the program");

  for (guint i = 0; i < 2; i++) {
    check_state (h->element, GST_STATE_NULL, GST_STATE_CHANGE_SUCCESS);
    gst_bus_set_flushing (bus, TRUE); /* it holds messages with contexts */
    gst_bus_set_flushing (bus, FALSE);
    fail_unless_equals_int (fake->retained[0], 0);
    check_state (h->element, GST_STATE_PLAYING, GST_STATE_CHANGE_FAILURE);
    expect_one_error (bus, "restart the program");
  }
  harness_end (h, bus);
  g_free (properties);
}
GST_END_TEST;

/* A fault under two elements that share a context: both go to NULL, and another
 * try is one error of the pipeline. */
GST_START_TEST (test_fault_of_two_elements)
{
  GstElement *pipeline = gst_parse_launch (
      "seedvr2upscale " ON_CUDA "! seedvr2upscale " ON_CUDA, NULL);
  GstBus *bus = gst_element_get_bus (pipeline);
  fake_cuda *fake = fake_cuda_get ();

  fail_unless (gst_element_set_state (pipeline, GST_STATE_PAUSED)
               != GST_STATE_CHANGE_FAILURE);
  fail_unless_equals_int (fake->retained[0], 1);
  __atomic_store_n (&fake->broken, true, __ATOMIC_SEQ_CST);
  for (guint i = 0; i < 2; i++) {
    check_state (pipeline, GST_STATE_NULL, GST_STATE_CHANGE_SUCCESS);
    fail_unless_equals_int (fake->retained[0], 0);
    check_state (pipeline, GST_STATE_PAUSED, GST_STATE_CHANGE_FAILURE);
    expect_one_error (bus, "restart the program");
  }
  check_state (pipeline, GST_STATE_NULL, GST_STATE_CHANGE_SUCCESS);
  gst_object_unref (bus);
  gst_object_unref (pipeline);
}
GST_END_TEST;

/* A lost context that the application keeps and gives again: one error each
 * time. */
GST_START_TEST (test_kept_lost_context)
{
  GstBus *bus = gst_bus_new ();
  GstElement *element = element_new (bus, ON_CUDA);
  GstContext *context = context_new ();
  fake_cuda *fake = fake_cuda_get ();

  __atomic_store_n (&fake->broken, true, __ATOMIC_SEQ_CST);
  for (guint i = 0; i < 2; i++) {
    gst_element_set_context (element, context);
    check_state (element, GST_STATE_PAUSED, GST_STATE_CHANGE_FAILURE);
    expect_one_error (bus, "restart the program");
    check_state (element, GST_STATE_NULL, GST_STATE_CHANGE_SUCCESS);
    fail_unless_equals_int (fake->retained[0], 1);
  }
  gst_context_unref (context);
  element_end (element, bus);
  fail_unless_equals_int (fake->retained[0], 0);
}
GST_END_TEST;

#else

/* Built without libgstcuda's headers: the engine chooses the context. */
GST_START_TEST (test_nothing_is_shared)
{
  GstBus *bus = gst_bus_new ();
  GstElement *element = element_new (bus, ON_CUDA);

  check_state (element, GST_STATE_PAUSED, GST_STATE_CHANGE_SUCCESS);
  fail_if (cuda_context_of (element, "src"));
  fail_unless (fake_cuda_get ()->options.context == NULL);
  element_end (element, bus);
}
GST_END_TEST;

#endif

static Suite *
seedvr2_cuda_suite (void)
{
  Suite *suite = suite_create ("seedvr2 cuda");
  TCase *tcase = tcase_create ("cuda");

  suite_add_tcase (suite, tcase);
  tcase_add_test (tcase, test_cpu_touches_nothing);
  tcase_add_test (tcase, test_foreign_context);
  tcase_add_test (tcase, test_device_id);
  tcase_add_test (tcase, test_auto_without_a_gpu);
#if HAVE_GSTCUDA
  tcase_add_test (tcase, test_publishes_the_primary_context);
  tcase_add_loop_test (tcase, test_two_elements_share, 0, 2);
  tcase_add_loop_test (tcase, test_application_context, 0,
                       G_N_ELEMENTS (wishes));
  tcase_add_test (tcase, test_changed_in_ready);
  tcase_add_loop_test (tcase, test_fault, 0, G_N_ELEMENTS (gpus));
  tcase_add_test (tcase, test_fault_of_two_elements);
  tcase_add_test (tcase, test_kept_lost_context);
#else
  tcase_add_test (tcase, test_nothing_is_shared);
#endif
  return suite;
}

GST_CHECK_MAIN (seedvr2_cuda);
