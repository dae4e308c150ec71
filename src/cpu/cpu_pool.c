#include "cpu/cpu_pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

enum { SPINS = 4000 }; /* looks at the next loop, some 10 us, before a thread sleeps */

typedef struct worker {
    struct svr_cpu_pool *pool;
    pthread_t thread;
    int index; /* 1 .. threads - 1 */
} worker;

struct svr_cpu_pool {
    pthread_mutex_t lock;
    pthread_cond_t wake, finished;
    worker *workers;
    int worker_count;
    bool quit;
    /* the loop: written under the lock before `loop` changes, read-only while `busy` > 0 */
    svr_cpu_task task;
    void *context;
    const svr_cancel *cancel;
    int64_t count;
    atomic_uint loop;         /* number of the current loop */
    atomic_int busy;          /* workers that have not finished it */
    atomic_int_fast64_t next; /* first piece that nobody has taken */
};

int svr_cpu_processors(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);

    return n > 0 ? (int) n : 1;
}

static void take_pieces(svr_cpu_pool *pool, int thread)
{
    for (;;) {
        int64_t index = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);

        if (index >= pool->count || svr_cancel_raised(pool->cancel))
            return;
        pool->task(pool->context, index, thread);
    }
}

/* Waits for a loop after `seen`; false when the pool ends. */
static bool await_loop(svr_cpu_pool *pool, unsigned seen)
{
    bool go;

    for (int i = 0; i < SPINS; i++)
        if (atomic_load_explicit(&pool->loop, memory_order_acquire) != seen)
            break;
    pthread_mutex_lock(&pool->lock);
    while (!pool->quit && atomic_load_explicit(&pool->loop, memory_order_relaxed) == seen)
        pthread_cond_wait(&pool->wake, &pool->lock);
    go = !pool->quit;
    pthread_mutex_unlock(&pool->lock);
    return go;
}

static void *work(void *argument)
{
    worker *w = argument;
    svr_cpu_pool *pool = w->pool;

    for (unsigned seen = 0; await_loop(pool, seen);) {
        seen++; /* run() waits for every worker, so none can miss a loop */
        take_pieces(pool, w->index);
        if (atomic_fetch_sub(&pool->busy, 1) == 1) {
            pthread_mutex_lock(&pool->lock);
            pthread_cond_signal(&pool->finished);
            pthread_mutex_unlock(&pool->lock);
        }
    }
    return NULL;
}

svr_cpu_pool *svr_cpu_pool_create(int threads)
{
    svr_cpu_pool *pool = calloc(1, sizeof *pool);

    if (!pool)
        return NULL;
    pool->workers = calloc((size_t) threads, sizeof *pool->workers);
    if (!pool->workers) {
        free(pool);
        return NULL;
    }
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->finished, NULL);
    while (pool->worker_count < threads - 1) {
        worker *w = &pool->workers[pool->worker_count];

        *w = (worker){.pool = pool, .index = pool->worker_count + 1};
        if (pthread_create(&w->thread, NULL, work, w) != 0)
            break;
        pool->worker_count++;
    }
    return pool;
}

void svr_cpu_pool_destroy(svr_cpu_pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->quit = true;
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < pool->worker_count; i++)
        pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->finished);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->lock);
    free(pool->workers);
    free(pool);
}

int svr_cpu_pool_threads(const svr_cpu_pool *pool)
{
    return pool->worker_count + 1;
}

static void start_loop(svr_cpu_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->next, 0);
    atomic_store(&pool->busy, pool->worker_count);
    atomic_fetch_add_explicit(&pool->loop, 1, memory_order_release);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
}

static void await_workers(svr_cpu_pool *pool)
{
    for (int i = 0; i < SPINS && atomic_load(&pool->busy) > 0; i++)
        ;
    if (atomic_load(&pool->busy) == 0)
        return;
    pthread_mutex_lock(&pool->lock);
    while (atomic_load(&pool->busy) > 0)
        pthread_cond_wait(&pool->finished, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}

void svr_cpu_pool_run(svr_cpu_pool *pool, int64_t count, svr_cpu_task task, void *context,
                      const svr_cancel *cancel)
{
    pool->task = task;
    pool->context = context;
    pool->cancel = cancel;
    pool->count = count;
    if (pool->worker_count == 0 || count < 2) {
        atomic_store(&pool->next, 0);
        take_pieces(pool, 0);
        return;
    }
    start_loop(pool);
    take_pieces(pool, 0);
    await_workers(pool);
}
