/* Threads that share the pieces of one loop at a time.
 *
 * They wait a few microseconds for the next loop, then sleep: decoders and encoders want the same
 * cores, and starve where threads keep spinning, as OpenMP's do by default (the element's tests
 * took 160 s with it on a busy machine, 25 s once its threads were told to wait passively).
 * Level 2.  Thread: run() from one thread at a time. */
#ifndef SVR_CPU_CPU_POOL_H
#define SVR_CPU_CPU_POOL_H

#include "base/cancel.h"

#include <stdint.h>

typedef struct svr_cpu_pool svr_cpu_pool;

/* One piece of a loop: `index` in [0, count), `thread` in [0, threads). */
typedef void (*svr_cpu_task)(void *context, int64_t index, int thread);

/* Processors of this machine, at least 1. */
int svr_cpu_processors(void);

/* `threads` >= 1 with the caller's; fewer where the system gives no more.  NULL when there is no
 * memory. */
svr_cpu_pool *svr_cpu_pool_create(int threads);

/* Accepts NULL.  No loop may be running. */
void svr_cpu_pool_destroy(svr_cpu_pool *pool);

/* Threads that loops run on, the caller's included. */
int svr_cpu_pool_threads(const svr_cpu_pool *pool);

/* Calls task for every index, the caller's thread included; returns when all are done.  Once
 * `cancel` (may be NULL) is raised the rest is left out. */
void svr_cpu_pool_run(svr_cpu_pool *pool, int64_t count, svr_cpu_task task, void *context,
                      const svr_cancel *cancel);

#endif
