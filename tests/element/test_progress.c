/* The progress of loading.  gst-launch waits for its end, so each has one. */
#include "element_test.h"

/* How the progress on the bus ended: one that began ends once. */
static GstProgressType
last_progress (GstBus *bus)
{
  GstProgressType type = GST_PROGRESS_TYPE_ERROR, begin = type;
  GstMessage *message;
  guint starts = 0, ends = 0;

  while ((message = gst_bus_pop_filtered (bus, GST_MESSAGE_PROGRESS))) {
    gchar *code;

    gst_message_parse_progress (message, &type, &code, NULL);
    fail_unless_equals_string (code, "load-model");
    if (starts + ends == 0)
      begin = type;
    starts += type == GST_PROGRESS_TYPE_START;
    ends += type == GST_PROGRESS_TYPE_COMPLETE
            || type == GST_PROGRESS_TYPE_CANCELED
            || type == GST_PROGRESS_TYPE_ERROR;
    g_free (code);
    gst_message_unref (message);
  }
  fail_unless_equals_int (begin, GST_PROGRESS_TYPE_START);
  fail_unless_equals_int (starts, 1);
  fail_unless_equals_int (ends, 1);
  return type;
}

GST_START_TEST (test_load)
{
  GstBus *bus = gst_bus_new ();
  GstHarness *h = harness_new_on_bus (bus, "", "", SMALL);

  push_frames (h, 0, 1);
  gst_element_set_state (h->element, GST_STATE_READY);
  fail_unless_equals_int (last_progress (bus), GST_PROGRESS_TYPE_COMPLETE);
  gst_element_set_state (h->element, GST_STATE_NULL);
  harness_end (h, bus);
}
GST_END_TEST;

/* A budget that cannot work is refused with the one that can, and nothing is
 * loaded. */
GST_START_TEST (test_refusal)
{
  GstBus *bus = gst_bus_new ();
  GstHarness *h = harness_new_on_bus (bus, "vram-budget=1000000", "", SMALL);
  const GstMessageType types = GST_MESSAGE_ERROR | GST_MESSAGE_PROGRESS;
  GstMessage *message;
  GError *error;

  fail_unless_equals_int (gst_harness_push (h, frame_new (h, 0)),
                          GST_FLOW_ERROR);
  message = wait_message (bus, types);
  fail_unless_equals_int (GST_MESSAGE_TYPE (message), GST_MESSAGE_ERROR);
  gst_message_parse_error (message, &error, NULL);
  fail_unless (g_error_matches (error, GST_RESOURCE_ERROR,
                                GST_RESOURCE_ERROR_NO_SPACE_LEFT));
  fail_unless (strstr (error->message, "smallest vram-budget that works"));
  g_error_free (error);
  gst_message_unref (message);
  fail_if (gst_bus_pop_filtered (bus, types));
  harness_end (h, bus);
}
GST_END_TEST;

/* Stopped at once: finished or canceled, whichever came first. */
GST_START_TEST (test_stop)
{
  GstBus *bus = gst_bus_new ();
  GstHarness *h = harness_new_on_bus (bus, "", "", SMALL);
  GstProgressType type;

  gst_element_set_state (h->element, GST_STATE_READY);
  fail_if (gst_bus_pop_filtered (bus, GST_MESSAGE_PROGRESS));
  gst_element_set_state (h->element, GST_STATE_PAUSED);
  push_frames (h, 0, 1);
  gst_element_set_state (h->element, GST_STATE_READY);
  type = last_progress (bus);
  fail_unless (type == GST_PROGRESS_TYPE_COMPLETE
               || type == GST_PROGRESS_TYPE_CANCELED);
  gst_element_set_state (h->element, GST_STATE_NULL);
  harness_end (h, bus);
}
GST_END_TEST;

static Suite *
seedvr2_progress_suite (void)
{
  Suite *suite = suite_create ("seedvr2 progress");
  TCase *tcase = tcase_create ("progress");

  suite_add_tcase (suite, tcase);
  tcase_add_test (tcase, test_load);
  tcase_add_test (tcase, test_refusal);
  tcase_add_test (tcase, test_stop);
  return suite;
}

GST_CHECK_MAIN (seedvr2_progress);
