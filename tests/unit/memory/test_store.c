/* The store: groups, loading in chunks, failures. */
#include "store_rig.h"

#include "check.h"

typedef struct progress {
    uint64_t last, total;
    int calls;
    svr_cancel *cancel; /* raised at the second call */
} progress;

static void test_groups_are_one_allocation_each(void)
{
    store_rig r = store_rig_open(NULL, SVR_F16, SVR_F16, NULL);
    int bias = store_rig_add(&r, "vid_in.proj.bias", SVR_FORM_VECTOR, 0);
    int matrix = store_rig_add(&r, "vid_in.proj.weight", SVR_FORM_MATRIX, 0);
    int other = store_rig_add(&r, "txt_in.bias", SVR_FORM_VECTOR, 2);
    uint64_t before = svr_backend_memory(r.backend).allocations;
    svr_tensor a, b;

    CHECK(svr_store_group_bytes(r.store, 0) == 4608 + 79360); /* 1100*4, 1100*36*2, each to 256 */
    CHECK(svr_store_group_bytes(r.store, 1) == 0);
    CHECK_FAILS(svr_store_acquire(r.store, &(svr_exec){.backend = r.backend}, 0, &r.err),
                SVR_ERR_INVALID, r.err);
    store_rig_load(&r, 0, 2);
    CHECK(svr_backend_memory(r.backend).allocations == before + 1);
    CHECK(svr_backend_memory(r.backend).live[SVR_MEM_WEIGHTS] == 4608 + 79360);
    CHECK_FAILS(svr_store_acquire(r.store, &(svr_exec){.backend = r.backend}, 2, &r.err),
                SVR_ERR_INVALID, r.err);
    store_rig_load(&r, 0, 3);
    CHECK(svr_backend_memory(r.backend).allocations == before + 2);
    a = store_rig_acquire(&r, 0, bias);
    CHECK_OK(svr_store_acquire(r.store, &(svr_exec){.backend = r.backend}, 0, &r.err), r.err);
    b = svr_store_tensor(r.store, matrix);
    CHECK((char *) b.data == (char *) a.data + 4608);
    svr_store_release(r.store, 0);
    CHECK(svr_store_tensor(r.store, bias).data == a.data);
    svr_store_release(r.store, 0);
    CHECK(svr_tensor_present(&a) && store_rig_acquire(&r, 2, other).data != NULL);
    svr_store_release(r.store, 2);
    store_rig_close(&r);
}

static void on_progress(void *user, uint64_t done, uint64_t total)
{
    progress *p = user;

    CHECK(done > p->last && done <= total && (p->calls == 0 || total == p->total));
    p->last = done;
    p->total = total;
    if (++p->calls == 2 && p->cancel)
        svr_cancel_set(p->cancel, true);
}

static void test_progress_and_cancelling(void)
{
    store_rig r = store_rig_open(NULL, SVR_F16, SVR_F16, NULL);
    progress p = {0};
    svr_cancel *cancel = svr_cancel_create();

    store_rig_add(&r, store_big_name, SVR_FORM_MATRIX, 0);
    store_rig_add(&r, "vid_in.proj.bias", SVR_FORM_VECTOR, 0);
    p.cancel = cancel;
    CHECK_FAILS(svr_store_load(r.store, 0, 3, &(svr_store_watch){cancel, on_progress, &p}, &r.err),
                SVR_ERR_CANCELLED, r.err);
    CHECK(p.calls == 2 && svr_backend_memory(r.backend).live_total == 0);
    CHECK_FAILS(svr_store_acquire(r.store, &(svr_exec){.backend = r.backend}, 0, &r.err),
                SVR_ERR_INVALID, r.err);
    p = (progress){0};
    CHECK_OK(svr_store_load(r.store, 0, 3, &(svr_store_watch){NULL, on_progress, &p}, &r.err),
             r.err);
    CHECK(p.calls == 3 && p.last == p.total && p.total == (uint64_t) STORE_BIG * 2 + 1100 * 4);
    svr_cancel_destroy(cancel);
    store_rig_close(&r);
}

static void test_failures_leave_nothing_behind(void)
{
    char failing[] = "txt_in.bias";
    svr_cpu_options no_memory = {.fail_allocation = 2};
    store_rig r = store_rig_open(&no_memory, SVR_F32, SVR_F32, NULL);

    store_rig_add(&r, "vid_in.proj.bias", SVR_FORM_VECTOR, 0);
    store_rig_add(&r, "txt_in.bias", SVR_FORM_VECTOR, 1);
    CHECK_FAILS(svr_store_load(r.store, 0, 2, NULL, &r.err), SVR_ERR_NO_MEM, r.err);
    CHECK_OK(svr_store_acquire(r.store, &(svr_exec){.backend = r.backend}, 0, &r.err), r.err);
    svr_store_release(r.store, 0);
    CHECK_FAILS(svr_store_acquire(r.store, &(svr_exec){.backend = r.backend}, 1, &r.err),
                SVR_ERR_INVALID, r.err);
    store_rig_load(&r, 0, 2);
    CHECK_OK(svr_store_acquire(r.store, &(svr_exec){.backend = r.backend}, 1, &r.err), r.err);
    svr_store_release(r.store, 1);
    store_rig_close(&r);

    r = store_rig_open(NULL, SVR_F32, SVR_F32, failing);
    store_rig_add(&r, failing, SVR_FORM_VECTOR, 0);
    CHECK_FAILS(svr_store_load(r.store, 0, 1, NULL, &r.err), SVR_ERR_IO, r.err);
    CHECK(svr_backend_memory(r.backend).live_total == 0);
    store_rig_close(&r);
}

int main(void)
{
    RUN(test_groups_are_one_allocation_each);
    RUN(test_progress_and_cancelling);
    RUN(test_failures_leave_nothing_behind);
    return check_done();
}
