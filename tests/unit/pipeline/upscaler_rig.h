/* An upscaler with stand-in networks, and grey frames whose numbers can be read off. */
#ifndef SVR_TESTS_PIPELINE_UPSCALER_RIG_H
#define SVR_TESTS_PIPELINE_UPSCALER_RIG_H

#include "fake_networks.h"
#include "pipeline/upscaler.h"

#include <stdatomic.h>
#include <stdbool.h>

enum { UP_IN = 16, UP_OUT = 32 }; /* sides of frames */

/* Events, counted on the worker's thread. */
typedef struct up_events {
    atomic_int kinds[SVR_EVENT_FAILED + 1];
    atomic_ullong last_first_frame, computed;
    /* so far at the first batch, and in batches behind it; bytes that are left in the end */
    atomic_ullong allocations, more_allocations, left;
} up_events;

/* On the CPU, with one thread; `events` may be NULL. */
svr_upscaler *up_open(fake_networks *fake, up_events *events);

svr_stream_config up_config(int batch, int overlap, int prepend);
void up_configure(svr_upscaler *u, int batch, int overlap, int prepend);

svr_status up_push(svr_upscaler *u, int number, svr_error *err);

/* Pulls a frame and checks that it is `number`. */
svr_status up_pull(svr_upscaler *u, int number, bool wait, bool *got, svr_error *err);

/* Pulls all that comes, or all that is there, starting with frame `first`; how many came. */
int up_pull_all(svr_upscaler *u, int first);
int up_pull_ready(svr_upscaler *u, int first);

/* As an element does it: pull when there is no room, push, pull what is there. */
int up_push_and_pull(svr_upscaler *u, int first, int count);

/* A sequence of n frames: as many come out. */
void up_check_count(svr_upscaler *u, int n);

double up_now_ms(void);
void up_sleep_ms(int ms);

#endif
