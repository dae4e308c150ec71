/* Leaks a buffer, so that leaks.sh shows that it would see one. */
#include <gst/check/gstcheck.h>

GST_START_TEST (test_leak) { gst_buffer_new (); }
GST_END_TEST;

static Suite *
leak_control_suite (void)
{
  Suite *suite = suite_create ("leak control");
  TCase *tcase = tcase_create ("leak");

  suite_add_tcase (suite, tcase);
  tcase_add_test (tcase, test_leak);
  return suite;
}

GST_CHECK_MAIN (leak_control);
