/* Long runs: what is taken early is all that is ever taken. */
#include "element_test.h"

#include <malloc.h>
#include <unistd.h>

#define FRAMES 1000
#define WARM_UP 200
/* A page here and there; a leak of one frame's times, 40 bytes, is 32 KB. */
#define HEAP_GROWTH (16 << 10)
#define RSS_GROWTH (1 << 20)

typedef struct {
  gsize heap, resident;
} Use;

/* Without what malloc keeps for later, which is now more and now less. */
static Use
use_now (void)
{
  struct mallinfo2 info;
  Use use;
  gchar *text = NULL;
  gchar **pages; /* all, resident, ... */

  malloc_trim (0);
  info = mallinfo2 ();
  use.heap = info.uordblks + info.hblkhd;
  fail_unless (g_file_get_contents ("/proc/self/statm", &text, NULL, NULL));
  pages = g_strsplit (text, " ", 3);
  fail_unless (g_strv_length (pages) == 3);
  use.resident
      = g_ascii_strtoull (pages[1], NULL, 10) * (gsize)sysconf (_SC_PAGESIZE);
  fail_unless (use.resident > 0);
  g_strfreev (pages);
  g_free (text);
  return use;
}

static void
check_growth (const Use *before, const Use *after)
{
  gssize heap = (gssize)(after->heap - before->heap);
  gssize resident = (gssize)(after->resident - before->resident);

  GST_INFO ("heap %+" G_GSSIZE_FORMAT ", resident %+" G_GSSIZE_FORMAT, heap,
            resident);
  fail_unless (heap < HEAP_GROWTH, "the heap grew by %" G_GSSIZE_FORMAT, heap);
  fail_unless (resident < RSS_GROWTH, "the process grew by %" G_GSSIZE_FORMAT,
               resident);
}

static void
count_and_drop (GstHarness *h, guint *frames)
{
  GstBuffer *buffer;

  while ((buffer = gst_harness_try_pull (h))) {
    gst_buffer_unref (buffer);
    ++*frames;
  }
}

static void
push_and_drain (GstHarness *h, guint from, guint to, guint *frames)
{
  for (guint i = from; i < to; i++) {
    GstBuffer *buffer = frame_new (h, i % 16);

    fail_unless_equals_int (gst_harness_push (h, buffer), GST_FLOW_OK);
    count_and_drop (h, frames);
  }
  gst_harness_push_event (h, gst_event_new_segment_done (GST_FORMAT_TIME, 0));
  count_and_drop (h, frames);
}

/* With events, so that the line between the frames is used too. */
GST_START_TEST (test_a_long_film)
{
  GstHarness *h
      = harness_new ("batch-size=5 scale=1", "", CAPS ("I420", 16, 16));
  guint frames = 0;
  Use warm, end;

  push_and_drain (h, 0, WARM_UP, &frames);
  warm = use_now ();
  push_and_drain (h, WARM_UP, FRAMES, &frames);
  end = use_now ();
  fail_unless_equals_int (frames, FRAMES);
  check_growth (&warm, &end);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* From NULL to a film, a flush, another size and back. */
static void
live_once (void)
{
  GstHarness *h
      = harness_new ("batch-size=5 scale=1", "", CAPS ("RGB", 16, 16));
  guint frames = 0;

  push_frames (h, 0, 7);
  push_flush (h);
  push_frames (h, 0, 3);
  gst_harness_set_src_caps_str (h, CAPS ("I420", 32, 16));
  push_frames (h, 3, 6);
  count_and_drop (h, &frames);
  gst_harness_teardown (h);
}

GST_START_TEST (test_many_lives)
{
  Use warm, end;

  for (guint i = 0; i < 5; i++)
    live_once ();
  warm = use_now ();
  for (guint i = 0; i < 25; i++)
    live_once ();
  end = use_now ();
  check_growth (&warm, &end);
}
GST_END_TEST;

static Suite *
seedvr2_soak_suite (void)
{
  Suite *suite = suite_create ("seedvr2 soak");
  TCase *tcase = tcase_create ("soak");

  suite_add_tcase (suite, tcase);
  tcase_add_test (tcase, test_a_long_film);
  tcase_add_test (tcase, test_many_lives);
  return suite;
}

GST_CHECK_MAIN (seedvr2_soak);
