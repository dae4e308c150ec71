/* backend/backend and backend/exec: the ledger, also read from another thread, and scratch tensors.
 */
#include "backend/backend.h"

#include "backend/exec.h"
#include "fake_backend.h"

#include "check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

static void test_ledger(void)
{
    fake_backend fake;
    svr_backend *backend = &fake.base;
    svr_memory_use use;
    svr_error err = {0};
    void *a, *b, *c;

    fake_backend_init(&fake);
    CHECK_OK(svr_backend_alloc(backend, SVR_MEM_WEIGHTS, 100, &a, &err), err);
    CHECK_OK(svr_backend_alloc(backend, SVR_MEM_SCRATCH, 1000, &b, &err), err);
    CHECK_OK(svr_backend_alloc(backend, SVR_MEM_WEIGHTS, 10, &c, &err), err);
    svr_backend_free(backend, SVR_MEM_SCRATCH, 1000, b);
    svr_backend_free(backend, SVR_MEM_STATE, 77, NULL);
    use = svr_backend_memory(backend);
    CHECK(use.live[SVR_MEM_WEIGHTS] == 110 && use.live[SVR_MEM_SCRATCH] == 0);
    CHECK(use.live[SVR_MEM_STATE] == 0 && use.live_total == 110 && use.peak_total == 1110);
    CHECK(use.allocations == 3 && use.device_total == 1000 && use.device_free == 600);
    svr_backend_free(backend, SVR_MEM_WEIGHTS, 100, a);
    svr_backend_free(backend, SVR_MEM_WEIGHTS, 10, c);
    CHECK(svr_backend_memory(backend).live_total == 0 && fake.alive == 0);
    svr_backend_destroy(backend);
    CHECK(strcmp(fake.base.name, "destroyed") == 0);
    svr_backend_destroy(NULL);
}

static void test_failed_allocation(void)
{
    fake_backend fake;
    svr_error err = {0};
    void *a;

    fake_backend_init(&fake);
    fake.alloc_result = SVR_ERR_NO_VRAM;
    CHECK(svr_backend_alloc(&fake.base, SVR_MEM_STATE, 4321, &a, &err) == SVR_ERR_NO_VRAM);
    CHECK_TEXT(err.text, "4321 bytes for state");
    CHECK_TEXT(err.text, "the fake is full");
    CHECK(err.needed == 4321 && err.available == 600);
    CHECK(svr_backend_memory(&fake.base).allocations == 0);
    CHECK(svr_backend_memory(&fake.base).live_total == 0);
}

static void test_copies(void)
{
    fake_backend fake;
    svr_error err = {0};
    char src[4] = "abc", dst[4] = "";

    fake_backend_init(&fake);
    CHECK_OK(svr_backend_upload(&fake.base, dst, src, 4, &err), err);
    CHECK(strcmp(dst, "abc") == 0);
    CHECK_OK(svr_backend_download(&fake.base, src, dst, 4, &err), err);
    CHECK_OK(svr_backend_upload(&fake.base, NULL, NULL, 0, &err), err);
    CHECK_OK(svr_backend_download(&fake.base, NULL, NULL, 0, &err), err);
    CHECK(fake.uploads == 1 && fake.downloads == 1); /* nothing to do for no bytes */
    CHECK_OK(svr_backend_synchronize(&fake.base, &err), err);
    CHECK(fake.synchronized == 1);
}

typedef struct watch {
    svr_backend *backend;
    atomic_int stop;
    int reads;
} watch;

/* Blocks of 64 bytes, at most four at a time, are all that may ever be seen. */
static void *watch_ledger(void *user)
{
    watch *w = user;

    while (!atomic_load(&w->stop) || w->reads == 0) {
        svr_memory_use use = svr_backend_memory(w->backend);

        CHECK(use.live_total <= 256 && use.live_total % 64 == 0);
        CHECK(use.live[SVR_MEM_WEIGHTS] == use.live_total);
        CHECK(use.peak_total >= use.live_total && use.peak_total <= 256);
        w->reads++;
    }
    return NULL;
}

static void test_ledger_between_threads(void)
{
    fake_backend fake;
    watch w = {.backend = &fake.base};
    svr_error err = {0};
    pthread_t thread;
    void *a[4];

    fake_backend_init(&fake);
    CHECK(pthread_create(&thread, NULL, watch_ledger, &w) == 0);
    for (int n = 0; n < 20000; n++) {
        int count = n % 4 + 1;

        for (int i = 0; i < count; i++)
            CHECK_OK(svr_backend_alloc(&fake.base, SVR_MEM_WEIGHTS, 64, &a[i], &err), err);
        for (int i = 0; i < count; i++)
            svr_backend_free(&fake.base, SVR_MEM_WEIGHTS, 64, a[i]);
    }
    atomic_store(&w.stop, 1);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(svr_backend_memory(&fake.base).peak_total == 256);
    CHECK(svr_backend_memory(&fake.base).allocations == 50000);
}

/* What a budget leaves out is refused before the device is asked. */
static void test_limit(void)
{
    fake_backend fake;
    svr_error err = {0};
    void *a, *b = NULL;

    fake_backend_init(&fake);
    svr_backend_set_limit(&fake.base, 100);
    CHECK_OK(svr_backend_alloc(&fake.base, SVR_MEM_STATE, 60, &a, &err), err);
    CHECK(svr_backend_alloc(&fake.base, SVR_MEM_STATE, 41, &b, &err) == SVR_ERR_NO_VRAM);
    CHECK_TEXT(err.text, "budget of 100 bytes");
    CHECK(err.needed == 41 && err.available == 40);
    svr_error_clear(&err);
    CHECK_OK(svr_backend_alloc(&fake.base, SVR_MEM_STATE, 40, &b, &err), err);
    svr_backend_free(&fake.base, SVR_MEM_STATE, 40, b);
    svr_backend_set_limit(&fake.base, 0);
    CHECK_OK(svr_backend_alloc(&fake.base, SVR_MEM_STATE, 400, &b, &err), err);
    svr_backend_free(&fake.base, SVR_MEM_STATE, 400, b);
    svr_backend_free(&fake.base, SVR_MEM_STATE, 60, a);
}

/* A backend without queues does everything at once; the ledger counts all the same. */
static void test_plain_queues(void)
{
    fake_backend fake;
    svr_memory_use use;
    svr_mark mark = 7;
    svr_error err = {0};
    char device[4], *host;

    fake_backend_init(&fake);
    CHECK_OK(svr_backend_host_alloc(&fake.base, 4, (void **) &host, &err), err);
    memcpy(host, "abc", 4);
    CHECK_OK(svr_backend_copy_in(&fake.base, device, host, 4, &err), err);
    CHECK_OK(svr_backend_mark(&fake.base, SVR_QUEUE_IN, &mark, &err), err);
    CHECK(mark == 0);
    CHECK_OK(svr_backend_follow(&fake.base, SVR_QUEUE_COMPUTE, mark, &err), err);
    CHECK_OK(svr_backend_order(&fake.base, SVR_QUEUE_COMPUTE, SVR_QUEUE_OUT, &err), err);
    CHECK_OK(svr_backend_copy_out(&fake.base, host, device, 3, &err), err);
    CHECK_OK(svr_backend_copy_out(&fake.base, host, device, 0, &err), err);
    use = svr_backend_memory(&fake.base);
    CHECK(use.host_live == 4 && use.host_peak == 4);
    CHECK(use.copied_in == 4 && use.copied_out == 3);
    svr_backend_host_free(&fake.base, 4, host);
    svr_backend_host_free(&fake.base, 4, NULL);
    CHECK(svr_backend_memory(&fake.base).host_live == 0);
}

static void test_exec_tensors(void)
{
    svr_scratch *scratch = svr_scratch_create((void *) 0x100000, 1 << 20);
    svr_exec exec = {.scratch = scratch};
    svr_tensor t = {0}, untouched = {0};
    svr_error err = {0};

    CHECK_OK(svr_exec_alloc(&exec, SVR_F16, SVR_DIMS(2, 3, 4, 50), &t, &err), err);
    CHECK(t.rank == 4 && t.dims[3] == 50 && t.dtype == SVR_F16 && svr_tensor_present(&t));
    CHECK(svr_scratch_live(scratch) == 2560); /* 2400 rounded up */
    svr_exec_free(&exec, &t);
    CHECK(!svr_tensor_present(&t) && t.rank == 0 && svr_scratch_live(scratch) == 0);
    svr_exec_free(&exec, &t);
    CHECK_FAILS(svr_exec_alloc(&exec, SVR_F32, SVR_DIMS(-1), &untouched, &err), SVR_ERR_SHAPE, err);
    CHECK_FAILS(
        svr_exec_alloc(&exec, SVR_F32, SVR_DIMS(1 << 30, 1 << 30, 1 << 30), &untouched, &err),
        SVR_ERR_SHAPE, err);
    CHECK_FAILS(svr_exec_alloc(&exec, SVR_F32, SVR_DIMS(1 << 20), &untouched, &err),
                SVR_ERR_NO_VRAM, err);
    CHECK(!svr_tensor_present(&untouched));
    svr_scratch_destroy(scratch);
}

static void test_exec_host_tensors(void)
{
    svr_scratch *host = svr_scratch_create_counting();
    svr_exec exec = {0};
    svr_tensor t = {0};
    svr_error err = {0};

    CHECK_FAILS(svr_exec_host_alloc(&exec, SVR_F16, SVR_DIMS(4), &t, &err), SVR_ERR_NO_MEM, err);
    svr_exec_host_free(&exec, &t);
    exec.host = host;
    CHECK_OK(svr_exec_host_alloc(&exec, SVR_F16, SVR_DIMS(2, 300), &t, &err), err);
    CHECK(svr_tensor_bytes(&t) == 1200 && svr_scratch_live(host) == 1280);
    svr_exec_host_free(&exec, &t);
    CHECK(!svr_tensor_present(&t) && svr_scratch_live(host) == 0);
    svr_scratch_destroy(host);
}

static svr_status note_tap(void *user, const char *name, const svr_tensor *value, svr_error *err)
{
    *(const svr_tensor **) user = value;
    return strcmp(name, "bad") == 0 ? SVR_FAIL(err, SVR_ERR_IO, "tap") : SVR_OK;
}

/* Work may be left out where nothing is computed and nobody looks. */
static void test_exec_counts_once(void)
{
    fake_backend fake;
    svr_exec exec = {.backend = &fake.base};

    fake_backend_init(&fake);
    CHECK(!svr_exec_counts_once(&exec));
    fake.base.dry = true;
    CHECK(svr_exec_counts_once(&exec));
    exec.every_op = true;
    CHECK(!svr_exec_counts_once(&exec));
    exec.every_op = false;
    exec.tap = note_tap;
    CHECK(!svr_exec_counts_once(&exec));
    svr_backend_destroy(&fake.base);
}

static void test_exec_tap_and_poll(void)
{
    const svr_tensor *seen = NULL;
    svr_exec exec = {0};
    svr_cancel *cancel = svr_cancel_create();
    svr_tensor t = {0};
    svr_error err = {0};

    CHECK_OK(svr_exec_tap(&exec, "bad", &t, &err), err); /* no tap */
    CHECK_OK(svr_exec_poll(&exec, &err), err);           /* no flag */
    exec.tap = note_tap;
    exec.tap_user = &seen;
    exec.cancel = cancel;
    CHECK_OK(svr_exec_tap(&exec, "good", &t, &err), err);
    CHECK(seen == &t);
    CHECK_FAILS(svr_exec_tap(&exec, "bad", &t, &err), SVR_ERR_IO, err);
    CHECK_OK(svr_exec_poll(&exec, &err), err);
    svr_cancel_set(cancel, true);
    CHECK_FAILS(svr_exec_poll(&exec, &err), SVR_ERR_CANCELLED, err);
    svr_cancel_destroy(cancel);
}

/* A device that copies rows by itself gets all of them at once, and is waited for when asked. */
static int copied_at_once, waited;

static svr_status copy_at_once(svr_backend *backend, svr_queue queue, const svr_row_copy *copy,
                               svr_error *err)
{
    (void) backend, (void) err;
    CHECK(queue == SVR_QUEUE_OUT && copy->rows == 2 && copy->src_step == 4);
    copied_at_once++;
    return SVR_OK;
}

static svr_status count_waits(svr_backend *backend, svr_error *err)
{
    (void) backend, (void) err;
    waited++;
    return SVR_OK;
}

static void test_rows_at_once(void)
{
    fake_backend fake;
    svr_backend_vtable vtable;
    svr_error err = {.code = SVR_OK};
    char from[8] = "1234567", to[8] = "abcdefg";
    svr_row_copy rows = {to, from, 1, 2, 5, 4};

    fake_backend_init(&fake);
    vtable = *fake.base.vtable;
    vtable.copy_rows = copy_at_once;
    vtable.synchronize = count_waits;
    fake.base.vtable = &vtable;
    CHECK_OK(svr_backend_copy_rows(&fake.base, SVR_QUEUE_OUT, &rows, &err), err);
    CHECK(copied_at_once == 1 && waited == 0 && svr_backend_memory(&fake.base).copied_out == 2);
    fake.base.waits = true;
    CHECK_OK(svr_backend_copy_rows(&fake.base, SVR_QUEUE_OUT, &rows, &err), err);
    CHECK(copied_at_once == 2 && waited == 1);
    fake.base.dry = true;
    CHECK_OK(svr_backend_copy_rows(&fake.base, SVR_QUEUE_OUT, &rows, &err), err);
    CHECK(copied_at_once == 2 && svr_backend_memory(&fake.base).copied_out == 6);
    svr_backend_destroy(&fake.base);
}

/* A device gets the rows, and nothing between them. */
static void test_rows_of_a_window(void)
{
    fake_backend fake;
    svr_error err = {.code = SVR_OK};
    char frame[12] = "abcdefghijk", window[8] = "1234567";
    svr_row_copy in = {window, frame + 1, 2, 3, 3, 4}, out = {frame, window, 1, 2, 5, 4};

    fake_backend_init(&fake);
    CHECK_OK(svr_backend_copy_rows(&fake.base, SVR_QUEUE_IN, &in, &err), err);
    CHECK(memcmp(window, "bc3fg6j", 7) == 0);
    CHECK_OK(svr_backend_copy_rows(&fake.base, SVR_QUEUE_OUT, &out, &err), err);
    CHECK(strcmp(frame, "bbcdegghijk") == 0);
    CHECK(svr_backend_memory(&fake.base).copied_in == 6 &&
          svr_backend_memory(&fake.base).copied_out == 2);
    svr_backend_destroy(&fake.base);
}

int main(void)
{
    RUN(test_ledger);
    RUN(test_failed_allocation);
    RUN(test_copies);
    RUN(test_ledger_between_threads);
    RUN(test_limit);
    RUN(test_plain_queues);
    RUN(test_exec_tensors);
    RUN(test_exec_host_tensors);
    RUN(test_exec_counts_once);
    RUN(test_exec_tap_and_poll);
    RUN(test_rows_of_a_window);
    RUN(test_rows_at_once);
    return check_done();
}
