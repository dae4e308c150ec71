/* Every status of the engine as an error message. */
#include "gstseedvr2errors.h"

#include <gst/check/gstcheck.h>

static const struct {
  svr_status status;
  GQuark (*domain) (void);
  gint code;
  const gchar *part; /* of the suggestion */
} kinds[] = {
  { SVR_ERR_INVALID, gst_library_error_quark, GST_LIBRARY_ERROR_SETTINGS,
    "property" },
  { SVR_ERR_SHAPE, gst_stream_error_quark, GST_STREAM_ERROR_FORMAT, "caps" },
  { SVR_ERR_UNSUPPORTED, gst_stream_error_quark,
    GST_STREAM_ERROR_NOT_IMPLEMENTED, "backend" },
  { SVR_ERR_FORMAT, gst_resource_error_quark, GST_RESOURCE_ERROR_OPEN_READ,
    "seedvr2 info" },
  { SVR_ERR_IO, gst_resource_error_quark, GST_RESOURCE_ERROR_OPEN_READ,
    "readable" },
  { SVR_ERR_NO_MEM, gst_resource_error_quark, GST_RESOURCE_ERROR_NO_SPACE_LEFT,
    "batch-size" },
  { SVR_ERR_NO_VRAM, gst_resource_error_quark, GST_RESOURCE_ERROR_NO_SPACE_LEFT,
    "vram-budget" },
  { SVR_ERR_NO_DEVICE, gst_resource_error_quark, GST_RESOURCE_ERROR_NOT_FOUND,
    "backend=cpu" },
  { SVR_ERR_DEVICE, gst_library_error_quark, GST_LIBRARY_ERROR_FAILED,
    "restart" },
  { SVR_ERR_OVERFLOW, gst_library_error_quark, GST_LIBRARY_ERROR_FAILED,
    "bf16" },
  { (svr_status)99, gst_library_error_quark, GST_LIBRARY_ERROR_FAILED,
    "report" },
};

/* What `err` is told as.  (transfer full) */
static GstMessage *
told (const svr_error *err)
{
  GstElement *element = gst_bin_new (NULL);
  GstBus *bus = gst_bus_new ();
  GstMessage *message;

  gst_element_set_bus (element, bus);
  gst_seedvr2_report_error (element, err);
  message = gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR);
  fail_unless (message != NULL);
  gst_element_set_bus (element, NULL);
  gst_object_unref (element);
  gst_object_unref (bus);
  return message;
}

GST_START_TEST (test_kinds)
{
  svr_error err = { .code = kinds[__i__].status, .text = "what and why" };
  GstMessage *message = told (&err);
  const GstStructure *details = NULL;
  GError *error = NULL;

  gst_message_parse_error (message, &error, NULL);
  gst_message_parse_error_details (message, &details);
  fail_unless (
      g_error_matches (error, kinds[__i__].domain (), kinds[__i__].code));
  fail_unless_equals_string (error->message, "what and why");
  fail_unless_equals_string (gst_structure_get_string (details, "status"),
                             svr_status_name (err.code));
  fail_unless (strstr (gst_structure_get_string (details, "suggestion"),
                       kinds[__i__].part));
  fail_unless_equals_int (gst_structure_n_fields (details), 2);
  g_error_free (error);
  gst_message_unref (message);
}
GST_END_TEST;

GST_START_TEST (test_bytes)
{
  svr_error err = { .code = SVR_ERR_NO_MEM, .needed = 77 };
  GstMessage *message = told (&err);
  const GstStructure *details = NULL;
  guint64 needed = 0;

  gst_message_parse_error_details (message, &details);
  fail_unless (gst_structure_get_uint64 (details, "host-needed", &needed));
  fail_unless_equals_uint64 (needed, 77);
  fail_if (gst_structure_has_field (details, "vram-needed"));
  gst_message_unref (message);
}
GST_END_TEST;

static Suite *
seedvr2_statuses_suite (void)
{
  Suite *suite = suite_create ("seedvr2 statuses");
  TCase *tcase = tcase_create ("statuses");

  suite_add_tcase (suite, tcase);
  tcase_add_loop_test (tcase, test_kinds, 0, G_N_ELEMENTS (kinds));
  tcase_add_test (tcase, test_bytes);
  return suite;
}

GST_CHECK_MAIN (seedvr2_statuses);
