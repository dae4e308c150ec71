/* Queues that do as little as they may: a copy happens only when ops, or the host, wait for it, and
 * the ones that it waits for before it.  What forgets to wait reads stale memory or NaN, which a
 * comparison then shows. */
#ifndef SVR_TESTS_LAZY_QUEUES_H
#define SVR_TESTS_LAZY_QUEUES_H

#include "backend/backend.h"

/* Gives `backend`, one that does everything at once, such queues; one backend at a time. */
void lazy_queues_install(svr_backend *backend);

/* Host memory for copies is refused beyond so many bytes; 0 (at first): never. */
void lazy_queues_limit(uint64_t bytes);

/* The n-th copy from now (from 1) fails; 0 (at first): none. */
void lazy_queues_fail(int n);

/* Copies that were put in and have not happened. */
int lazy_queues_pending(void);

/* Copies that have happened since the last call. */
int lazy_queues_done(void);

#endif
