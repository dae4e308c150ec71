/* Shared by the tests of the element: harnesses on the CPU backend, frames
 * whose brightness tells their number, and a log of what comes out. */
#ifndef ELEMENT_TEST_H
#define ELEMENT_TEST_H

#include <gst/check/gstcheck.h>
#include <gst/check/gstharness.h>
#include <gst/video/video.h>

#define FRAME_DURATION (GST_SECOND / 25)

#define CAPS_RATE(format, width, height, rate)                                 \
  "video/x-raw,format=" format ",width=" #width ",height=" #height             \
  ",framerate=" rate
#define CAPS(format, width, height) CAPS_RATE (format, width, height, "25/1")

/* The formats of both pads; first the packed ones of R, G, B in bytes. */
enum { PACKED_RGB_FORMATS = 10, ALL_FORMATS = 45 };
extern const gchar *const all_formats[ALL_FORMATS];

/* Small enough for a frame to take some milliseconds. */
#define SMALL CAPS ("RGB", 32, 32)
/* Large enough for a batch of 13 frames to take several seconds. */
#define SLOW CAPS ("I420", 320, 180)

/* An element with `properties` (gst-launch syntax), followed by `rest` ("" or
 * "! element ..."), that is fed `caps`.  Without a rest, the harness's element
 * is the element itself. */
GstHarness *harness_new (const gchar *properties, const gchar *rest,
                         const gchar *caps);

/* The same with messages going to `bus` (or NULL) from the start; `caps` may be
 * NULL, to be set later. */
GstHarness *harness_new_on_bus (GstBus *bus, const gchar *properties,
                                const gchar *rest, const gchar *caps);

/* Ends a harness and unrefs the bus it is on. */
void harness_end (GstHarness *h, GstBus *bus);

/* The brightness of frame `number`, 0..15. */
guint frame_level (guint number);

/* A frame of the harness's input caps: flat, timed by its number. */
GstBuffer *frame_new (GstHarness *h, guint number);

/* Pushes frames from .. to-1; each must be taken. */
void push_frames (GstHarness *h, guint from, guint to);

/* A new segment in time; a flush and a new segment; the end of the stream. */
void push_segment (GstHarness *h);
void push_flush (GstHarness *h);
void push_eos (GstHarness *h);

/* Pulls frames from .. to-1, checking order, times, size and brightness. */
void expect_frames (GstHarness *h, guint from, guint to);

/* Checks that nothing more comes. */
void expect_nothing (GstHarness *h);

/* Ends the stream: frames from .. to-1 and nothing else come out. */
void end_with_frames (GstHarness *h, guint from, guint to);

/* The SHA-256 of all bytes of the next `frames` frames, which are timed from
 * 0 on.  (transfer full) */
gchar *hash_frames (GstHarness *h, guint frames);

/* Mean of the first component of a buffer of these caps. */
gdouble mean_level (GstBuffer *buffer, const GstVideoInfo *info);

/* Format and size of what goes in, and of what comes out. */
GstVideoInfo input_info (GstHarness *h);
GstVideoInfo output_info (GstHarness *h);

/* From now on writes down in order what comes out, e.g. "0 1 tag 2 eos". */
GString *output_log_new (GstHarness *h);

/* Runs from stopwatch_start(). */
typedef struct {
  gint64 wall, cpu; /* microseconds */
} Stopwatch;

Stopwatch stopwatch_start (void);

/* Fails unless `what` took less than 300 ms: of the wall clock or, where the
 * machine is busy with other things, of all processors computing for this
 * process. */
void check_prompt (const Stopwatch *watch, const gchar *what);

/* The first message of `types`; fails the test without one.  It gives up after
 * 90 s, before the test's own timeout, which does not say where: under
 * sanitizers on a busy machine a pipeline with tiles takes half of that.
 * (transfer full) */
GstMessage *wait_message (GstBus *bus, GstMessageType types);

/* Fails unless the details of an error hold a suggestion, in which programs
 * find the remedy. */
void check_suggestion (GstMessage *message);

/* Fails unless there was exactly one error, with `part` in its text, and of
 * this kind. */
void expect_one_error (GstBus *bus, const gchar *part);
void expect_error (GstBus *bus, GQuark domain, gint code, const gchar *part);

/* An element with `properties`, in NULL, outside of any pipeline, and its end,
 * which unrefs the bus too. */
GstElement *element_new (GstBus *bus, const gchar *properties);
void element_end (GstElement *element, GstBus *bus);

/* What a pad answers about the CUDA context; NULL: nothing.  (transfer full) */
GObject *cuda_context_of (GstElement *element, const gchar *pad_name);

#endif
