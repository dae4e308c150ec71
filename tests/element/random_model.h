/* What must come out of an element that is given a random sequence: each frame
 * once, in order, with its own picture, times, flags, segment and size, unless
 * it was flushed; events in their place. */
#ifndef RANDOM_MODEL_H
#define RANDOM_MODEL_H

#include "element_test.h"

/* A frame, or an event, that goes in and must come out. */
typedef struct {
  guint id;
  gboolean is_frame; /* else an event that keeps its place, or EOS */
  gboolean is_tag;
  GstClockTime pts, duration;
  guint flags, segment;
  gint width, height;
} Item;

typedef struct {
  guint seed;
  GRand *random;
  GstHarness *h;
  GString *done; /* what was done */

  gint width, height; /* of the input caps */
  gdouble scale;
  guint next_id, segment;

  GMutex lock;    /* for what follows: a second thread may push */
  GQueue waiting; /* Item *, what must come out next */
  guint out_segment;
  guint last_tag, flushed_tag; /* pads may send these again */
  gchar *problem;              /* the first one */

  GThread *watchdog;
  GCond over; /* it may go */
  gboolean is_over;
} Model;

/* An element with properties that the seed chooses; from now on what comes out
 * is checked.  A watchdog tells what was done, and aborts, before the test's
 * own timeout. */
void model_open (Model *m, guint seed);
void model_close (Model *m);

/* A random number in 0 .. count-1. */
gint model_pick (Model *m, gint count);

/* The number of frame_new() for frame `id`: neighbours differ little, so that a
 * frame shows which one it is. */
guint model_level (guint id);

/* Remembers what is done, for the text of a failure. */
void model_say (Model *m, const gchar *format, ...) G_GNUC_PRINTF (2, 3);

/* Fails with what went wrong earlier in any thread, or with `what` unless `ok`.
 */
void model_check (Model *m, gboolean ok, const gchar *what);

/* `item` must come out behind all that waits; of how many that is true. */
void model_expect (Model *m, const Item *item);
guint model_waiting (Model *m);

/* Fails unless nothing waits. */
void model_expect_all_out (Model *m);

/* What is held was given up, but for tags, which hold for what follows. */
void model_forget (Model *m);

/* The number in an environment variable, else `otherwise`. */
guint number_from (const gchar *variable, guint otherwise);

#endif
