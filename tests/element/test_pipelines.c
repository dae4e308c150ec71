/* Whole pipelines: seeks, a photograph, a sequence of pictures, a tee, a thread
 * that meddles. */
#include "element_test.h"

#include <glib/gstdio.h>

/* Plays up to the end, without an error. */
static void
run_to_end (GstElement *pipeline)
{
  GstBus *bus = gst_element_get_bus (pipeline);
  GstMessage *message;

  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  message = wait_message (bus, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  fail_unless_equals_int (GST_MESSAGE_TYPE (message), GST_MESSAGE_EOS);
  gst_message_unref (message);
  gst_object_unref (bus);
}

/* ---- seeks ---- */

/* A pipeline whose frames are written down when they reach its sink, `out`, as
 * numbers by their PTS at 25 frames a second; those of before a flush are
 * forgotten. */
typedef struct {
  GstElement *pipeline;
  GstBus *bus;
  GMutex lock;
  GString *log;
} Film;

/* A source posts SEGMENT_DONE before it sends the event: of that there is an
 * application message. */
static GstPadProbeReturn
note_arrival (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  Film *film = data;

  if (GST_PAD_PROBE_INFO_TYPE (info) & GST_PAD_PROBE_TYPE_BUFFER) {
    GstClockTime pts = GST_BUFFER_PTS (GST_PAD_PROBE_INFO_BUFFER (info));

    g_mutex_lock (&film->lock);
    g_string_append_printf (film->log, "%d ", (gint)(pts / FRAME_DURATION));
    g_mutex_unlock (&film->lock);
  } else if (GST_EVENT_TYPE (info->data) == GST_EVENT_FLUSH_STOP) {
    g_mutex_lock (&film->lock);
    g_string_truncate (film->log, 0);
    g_mutex_unlock (&film->lock);
  } else if (GST_EVENT_TYPE (info->data) == GST_EVENT_SEGMENT_DONE) {
    gst_bus_post (film->bus,
                  gst_message_new_application (
                      GST_OBJECT (pad), gst_structure_new_empty ("done")));
  }
  return GST_PAD_PROBE_OK;
}

static void
film_open (Film *film, const gchar *line)
{
  GstElement *sink;
  GstPad *pad;

  film->pipeline = gst_parse_launch (line, NULL);
  fail_unless (film->pipeline != NULL, "cannot make: %s", line);
  film->bus = gst_element_get_bus (film->pipeline);
  film->log = g_string_new (NULL);
  g_mutex_init (&film->lock);
  sink = gst_bin_get_by_name (GST_BIN (film->pipeline), "out");
  pad = gst_element_get_static_pad (sink, "sink");
  gst_pad_add_probe (pad,
                     GST_PAD_PROBE_TYPE_BUFFER
                         | GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM
                         | GST_PAD_PROBE_TYPE_EVENT_FLUSH,
                     note_arrival, film, NULL);
  gst_object_unref (pad);
  gst_object_unref (sink);
}

static void
film_close (Film *film)
{
  gst_element_set_state (film->pipeline, GST_STATE_NULL);
  gst_object_unref (film->bus);
  gst_object_unref (film->pipeline);
  g_string_free (film->log, TRUE);
  g_mutex_clear (&film->lock);
}

static void
film_wait (Film *film, GstMessageType type, const gchar *frames)
{
  GstMessage *message = wait_message (film->bus, type | GST_MESSAGE_ERROR);

  fail_unless_equals_int (GST_MESSAGE_TYPE (message), type);
  gst_message_unref (message);
  g_mutex_lock (&film->lock);
  fail_unless_equals_string (film->log->str, frames);
  g_string_truncate (film->log, 0);
  g_mutex_unlock (&film->lock);
}

static void
film_seek (Film *film, GstSeekFlags flags, guint from, guint to)
{
  fail_unless (gst_element_seek (film->pipeline, 1.0, GST_FORMAT_TIME,
                                 flags | GST_SEEK_FLAG_ACCURATE,
                                 GST_SEEK_TYPE_SET, from * FRAME_DURATION,
                                 GST_SEEK_TYPE_SET, to * FRAME_DURATION));
}

/* A segment's last frames are out before its end is told. */
GST_START_TEST (test_segment_seeks)
{
  Film film;

  film_open (&film, "videotestsrc ! " SMALL
                    " ! seedvr2upscale backend=cpu batch-size=5 "
                    "! fakesink name=out");
  gst_element_set_state (film.pipeline, GST_STATE_PAUSED);
  film_wait (&film, GST_MESSAGE_ASYNC_DONE, "0 ");
  film_seek (&film, GST_SEEK_FLAG_FLUSH | GST_SEEK_FLAG_SEGMENT, 2, 9);
  film_wait (&film, GST_MESSAGE_ASYNC_DONE, "2 ");
  gst_element_set_state (film.pipeline, GST_STATE_PLAYING);
  film_wait (&film, GST_MESSAGE_APPLICATION, "3 4 5 6 7 8 ");
  film_seek (&film, GST_SEEK_FLAG_SEGMENT, 20, 23);
  film_wait (&film, GST_MESSAGE_APPLICATION, "20 21 22 ");
  film_seek (&film, GST_SEEK_FLAG_NONE, 1, 3);
  film_wait (&film, GST_MESSAGE_EOS, "1 2 ");
  film_close (&film);
}
GST_END_TEST;

static const gchar between_queues[]
    = "videotestsrc ! " SMALL
      " ! queue ! seedvr2upscale backend=cpu batch-size=5 ! queue "
      "! fakesink name=out";

/* Each seek drops what is held and gives its own first frame. */
GST_START_TEST (test_seeks_in_pause)
{
  static const gchar *const first[] = { "7 ", "3 ", "11 " };
  static const guint from[] = { 7, 3, 11 };
  Film film;

  film_open (&film, between_queues);
  gst_element_set_state (film.pipeline, GST_STATE_PAUSED);
  film_wait (&film, GST_MESSAGE_ASYNC_DONE, "0 ");
  for (guint i = 0; i < G_N_ELEMENTS (from); i++) {
    film_seek (&film, GST_SEEK_FLAG_FLUSH, from[i], 14);
    film_wait (&film, GST_MESSAGE_ASYNC_DONE, first[i]);
  }
  gst_element_set_state (film.pipeline, GST_STATE_PLAYING);
  film_wait (&film, GST_MESSAGE_EOS, "12 13 ");
  film_close (&film);
}
GST_END_TEST;

/* Wherever a batch is when it comes, a seek leaves nothing of before. */
GST_START_TEST (test_seeks_while_playing)
{
  Film film;

  film_open (&film, between_queues);
  gst_element_set_state (film.pipeline, GST_STATE_PLAYING);
  gst_element_get_state (film.pipeline, NULL, NULL, GST_CLOCK_TIME_NONE);
  for (guint i = 0; i < 12; i++) {
    film_seek (&film, GST_SEEK_FLAG_FLUSH, i, 100000);
    g_usleep ((gulong)(i * i) * 500);
  }
  film_seek (&film, GST_SEEK_FLAG_FLUSH, 30, 37);
  film_wait (&film, GST_MESSAGE_EOS, "30 31 32 33 34 35 36 ");
  film_close (&film);
}
GST_END_TEST;

/* ---- files ---- */

/* `line` with the folder in the place of every @. */
static gchar *
in_folder (const gchar *line, const gchar *folder)
{
  GString *full = g_string_new (line);

  g_string_replace (full, "@", folder, 0);
  return g_string_free (full, FALSE);
}

/* A folder of its own with files from `line`. */
static gchar *
make_files (const gchar *line)
{
  gchar *folder = g_dir_make_tmp ("seedvr2-test-XXXXXX", NULL);
  gchar *full = in_folder (line, folder);
  GstElement *pipeline = gst_parse_launch (full, NULL);

  run_to_end (pipeline);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (pipeline);
  g_free (full);
  return folder;
}

static void
remove_files (gchar *folder)
{
  GDir *dir = g_dir_open (folder, 0, NULL);
  const gchar *name;

  while ((name = g_dir_read_name (dir))) {
    gchar *path = g_build_filename (folder, name, NULL);

    g_unlink (path);
    g_free (path);
  }
  g_dir_close (dir);
  g_rmdir (folder);
  g_free (folder);
}

static void
check_files (const gchar *make, const gchar *read, const gchar *frames)
{
  gchar *folder = make_files (make);
  gchar *line = in_folder (read, folder);
  Film film;

  film_open (&film, line);
  gst_element_set_state (film.pipeline, GST_STATE_PLAYING);
  film_wait (&film, GST_MESSAGE_EOS, frames);
  film_close (&film);
  g_free (line);
  remove_files (folder);
}

#define UPSCALE_TO_OUT                                                         \
  " ! seedvr2upscale backend=cpu batch-size=5 ! fakesink name=out"

/* A photograph is one frame. */
GST_START_TEST (test_photograph)
{
  check_files ("videotestsrc num-buffers=1 ! video/x-raw,width=48,height=32 "
               "! jpegenc ! filesink location=@/photo.jpg",
               "filesrc location=@/photo.jpg ! jpegdec" UPSCALE_TO_OUT, "0 ");
}
GST_END_TEST;

GST_START_TEST (test_image_sequence)
{
  check_files ("videotestsrc num-buffers=7 ! video/x-raw,width=48,height=32 "
               "! pngenc ! multifilesink location=@/%02d.png",
               "multifilesrc location=@/%02d.png "
               "caps=image/png,framerate=25/1 ! pngdec" UPSCALE_TO_OUT,
               "0 1 2 3 4 5 6 ");
}
GST_END_TEST;

/* ---- neighbours in other threads ---- */

typedef struct {
  GstElement *pipeline;
  gint frames, meddling; /* atomic */
} Branches;

static void
count_frame (GstElement *sink, GstBuffer *buffer, GstPad *pad, gpointer data)
{
  (void)sink;
  (void)buffer;
  (void)pad;
  g_atomic_int_inc ((gint *)data);
}

static void
count_frames_of (GstElement *pipeline, const gchar *name, gint *frames)
{
  GstElement *sink = gst_bin_get_by_name (GST_BIN (pipeline), name);

  g_object_set (sink, "signal-handoffs", TRUE, NULL);
  g_signal_connect (sink, "handoff", G_CALLBACK (count_frame), frames);
  gst_object_unref (sink);
}

/* One source, two elements. */
GST_START_TEST (test_tee)
{
  GstElement *pipeline = gst_parse_launch (
      "videotestsrc num-buffers=13 ! " SMALL " ! tee name=t "
      "t. ! queue ! seedvr2upscale backend=cpu batch-size=5 ! fakesink name=a "
      "t. ! queue ! seedvr2upscale backend=cpu batch-size=1 "
      "scale=1 ! fakesink name=b",
      NULL);
  gint a = 0, b = 0;

  count_frames_of (pipeline, "a", &a);
  count_frames_of (pipeline, "b", &b);
  run_to_end (pipeline);
  fail_unless_equals_int (g_atomic_int_get (&a), 13);
  fail_unless_equals_int (g_atomic_int_get (&b), 13);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (pipeline);
}
GST_END_TEST;

static gpointer
meddle (gpointer data)
{
  Branches *b = data;
  GstElement *sink = gst_bin_get_by_name (GST_BIN (b->pipeline), "out");
  GstElement *element = gst_bin_get_by_name (GST_BIN (b->pipeline), "up");
  GstPad *pad = gst_element_get_static_pad (sink, "sink");

  for (guint i = 0; g_atomic_int_get (&b->meddling); i++) {
    GstQuery *latency = gst_query_new_latency ();
    GstStructure *stats;

    gst_pad_push_event (pad, gst_event_new_reconfigure ());
    g_object_set (element, "scale", i % 2 ? 1.0 : 1.5, NULL);
    g_object_get (element, "stats", &stats, NULL);
    gst_structure_free (stats);
    gst_element_query (b->pipeline, latency);
    gst_query_unref (latency);
    g_usleep (3000);
  }
  gst_object_unref (pad);
  gst_object_unref (element);
  gst_object_unref (sink);
  return NULL;
}

/* Sizes, events and questions from another thread at any time. */
GST_START_TEST (test_meddling)
{
  Branches b = { .meddling = TRUE };
  GThread *thread;

  b.pipeline = gst_parse_launch (
      "videotestsrc num-buffers=40 ! " SMALL
      " ! seedvr2upscale name=up backend=cpu batch-size=5 scale=1 ! queue ! "
      "fakesink name=out",
      NULL);
  count_frames_of (b.pipeline, "out", &b.frames);
  thread = g_thread_new ("meddle", meddle, &b);
  run_to_end (b.pipeline);
  g_atomic_int_set (&b.meddling, FALSE);
  g_thread_join (thread);
  fail_unless_equals_int (g_atomic_int_get (&b.frames), 40);
  gst_element_set_state (b.pipeline, GST_STATE_NULL);
  gst_object_unref (b.pipeline);
}
GST_END_TEST;

static Suite *
seedvr2_pipelines_suite (void)
{
  Suite *suite = suite_create ("seedvr2 pipelines");
  TCase *tcase = tcase_create ("pipelines");

  suite_add_tcase (suite, tcase);
  tcase_add_test (tcase, test_segment_seeks);
  tcase_add_test (tcase, test_seeks_in_pause);
  tcase_add_test (tcase, test_seeks_while_playing);
  tcase_add_test (tcase, test_photograph);
  tcase_add_test (tcase, test_image_sequence);
  tcase_add_test (tcase, test_tee);
  tcase_add_test (tcase, test_meddling);
  return suite;
}

GST_CHECK_MAIN (seedvr2_pipelines);
