/* backend/counting: addresses, no work done, and the same scratch peak as the device that it stands
 * for. */
#include "backend/backend.h"

#include "backend/ops.h"
#include "fake_backend.h"

#include "check.h"

#include <stdint.h>
#include <string.h>

static void test_addresses(void)
{
    fake_backend fake;
    svr_backend *counting;
    svr_error err = {0};
    void *a, *b, *c;

    fake_backend_init(&fake);
    counting = svr_counting_backend_create(&fake.base);
    CHECK(counting != NULL && strcmp(counting->name, "counting") == 0);
    CHECK_OK(svr_backend_alloc(counting, SVR_MEM_WEIGHTS, (size_t) 1 << 45, &a, &err), err);
    CHECK_OK(svr_backend_alloc(counting, SVR_MEM_STATE, 1, &b, &err), err);
    svr_backend_free(counting, SVR_MEM_STATE, 1, b);
    CHECK_OK(svr_backend_alloc(counting, SVR_MEM_STATE, 1, &c, &err), err);
    CHECK((uintptr_t) a >= (uintptr_t) 1 << 62 && (uintptr_t) a % SVR_SCRATCH_ALIGN == 0);
    CHECK((uintptr_t) b >= (uintptr_t) a + ((size_t) 1 << 45) && b != c);
    CHECK(svr_backend_memory(counting).live_total == ((uint64_t) 1 << 45) + 1);
    CHECK_FAILS(svr_backend_alloc(counting, SVR_MEM_STATE, SIZE_MAX - 5, &b, &err), SVR_ERR_NO_VRAM,
                err);
    CHECK(fake.alive == 0); /* the device itself was left alone */
    svr_backend_free(counting, SVR_MEM_WEIGHTS, (size_t) 1 << 45, a);
    svr_backend_free(counting, SVR_MEM_STATE, 1, c);
    svr_backend_destroy(counting);
    CHECK(strcmp(fake.base.name, "fake") == 0);
}

static void test_copies_touch_nothing(void)
{
    fake_backend fake;
    svr_backend *counting;
    svr_error err = {0};
    char host[4] = "abc";
    void *a;

    fake_backend_init(&fake);
    counting = svr_counting_backend_create(&fake.base);
    CHECK_OK(svr_backend_alloc(counting, SVR_MEM_STATE, 4, &a, &err), err);
    CHECK_OK(svr_backend_upload(counting, a, host, 4, &err), err);
    CHECK(strcmp(host, "abc") == 0);
    CHECK_OK(svr_backend_download(counting, host, a, 4, &err), err);
    CHECK(memcmp(host, "\0\0\0\0", 4) == 0);
    CHECK_OK(svr_backend_synchronize(counting, &err), err);
    CHECK(fake.uploads == 0 && fake.downloads == 0 && fake.synchronized == 0);
    CHECK(counting->vtable->weight_dtype(counting, SVR_F16) == SVR_BF16);
    CHECK(counting->vtable->weight_dtype(counting, SVR_F32) == SVR_F32);
    svr_backend_free(counting, SVR_MEM_STATE, 4, a);
    svr_backend_destroy(counting);
}

/* Windows of rows, and equal work that is counted once. */
static void test_copies_are_entered(void)
{
    fake_backend fake;
    svr_backend *counting;
    svr_error err = {.code = SVR_OK};
    char frame[40], window[15];
    svr_row_copy rows = {window, frame, 5, 3, 5, 13};
    svr_memory_use before, after;

    fake_backend_init(&fake);
    counting = svr_counting_backend_create(&fake.base);
    CHECK_OK(svr_backend_copy_out(counting, frame, window, 7, &err), err);
    before = svr_backend_memory(counting);
    CHECK_OK(svr_backend_copy_rows(counting, SVR_QUEUE_IN, &rows, &err), err);
    CHECK_OK(svr_backend_copy_out(counting, frame, window, 4, &err), err);
    svr_backend_repeat_copies(counting, &before, 2);
    after = svr_backend_memory(counting);
    CHECK(after.copied_in == 3 * 15 && after.copied_out == 7 + 3 * 4);
    CHECK(fake.uploads == 0 && fake.downloads == 0);
    svr_backend_destroy(counting);
}

/* What a network does: tensors that live and die around ops with workspaces. */
static void run_sequence(svr_exec *exec)
{
    svr_tensor w = fake_tensor(SVR_F32, SVR_DIMS(300, 200)), x, y, z;
    svr_error err = {0};

    CHECK_OK(svr_exec_alloc(exec, SVR_F16, SVR_DIMS(70, 200), &x, &err), err);
    for (int i = 0; i < 3; i++) {
        CHECK_OK(svr_exec_alloc(exec, SVR_F16, SVR_DIMS(70, 300), &y, &err), err);
        CHECK_OK(svr_op_linear(exec, &(svr_linear_args){.x = x, .w = w, .y = y}, &err), err);
        CHECK_OK(svr_exec_alloc(exec, SVR_F32, SVR_DIMS(70, 300), &z, &err), err);
        CHECK_OK(svr_op_copy(exec, &(svr_copy_args){.src = y, .dst = z}, &err), err);
        svr_exec_free(exec, &y);
        /* a refused op leaves no trace */
        CHECK_FAILS(svr_op_rms_norm(exec, &(svr_rms_norm_args){.x = z, .y = x}, &err),
                    SVR_ERR_SHAPE, err);
        svr_exec_free(exec, &z);
    }
    svr_exec_free(exec, &x);
}

static size_t peak_of(svr_backend *backend, svr_scratch *scratch)
{
    svr_exec exec = {.backend = backend, .scratch = scratch};
    size_t peak;

    run_sequence(&exec);
    CHECK(svr_scratch_live(scratch) == 0);
    peak = svr_scratch_peak(scratch);
    svr_scratch_destroy(scratch);
    return peak;
}

static void test_same_peak(void)
{
    fake_backend fake;
    svr_backend *counting;
    svr_error err = {0};
    size_t counted, small, bytes = (size_t) 1 << 20;
    void *block;

    fake_backend_init(&fake);
    fake.workspace_bytes = 55555;
    counting = svr_counting_backend_create(&fake.base);
    counted = peak_of(counting, svr_scratch_create_counting());
    CHECK_OK(svr_backend_alloc(&fake.base, SVR_MEM_SCRATCH, bytes, &block, &err), err);
    CHECK(fake.called == NULL); /* counting ran nothing */
    CHECK(peak_of(&fake.base, svr_scratch_create(block, counted)) == counted);
    CHECK(strcmp(fake.called, "copy") == 0);
    fake.workspace_bytes = 0;
    small = peak_of(counting, svr_scratch_create_counting());
    CHECK(small < counted); /* the workspace is part of the peak */
    svr_backend_free(&fake.base, SVR_MEM_SCRATCH, bytes, block);
    svr_backend_destroy(counting);
}

/* An op that the device lacks is missing while counting, too. */
static void test_missing_op(void)
{
    fake_backend fake;
    svr_backend *counting;
    svr_error err = {0};
    svr_exec exec = {0};
    svr_copy_args args = {fake_tensor(SVR_F32, SVR_DIMS(4)), fake_tensor(SVR_F32, SVR_DIMS(4))};

    fake_backend_init(&fake);
    fake.ops.copy = NULL;
    fake.ops.rms_norm_workspace = NULL;
    counting = svr_counting_backend_create(&fake.base);
    exec.backend = counting;
    CHECK(svr_op_copy(&exec, &args, &err) == SVR_ERR_UNSUPPORTED);
    CHECK_TEXT(err.text, "copy");
    CHECK_TEXT(err.text, "counting");
    CHECK(counting->ops->rms_norm != NULL && counting->ops->rms_norm_workspace == NULL);
    svr_backend_destroy(counting);
}

/* Ops compare the addresses of a dry run with those of tables on a device, which may be any that a
 * processor has: at most 57 bits. */
static void test_addresses_of_no_memory(void)
{
    const uintptr_t beyond = (uintptr_t) 1 << 57;
    fake_backend fake;
    svr_error err = {.code = SVR_OK};
    svr_scratch *scratch = svr_scratch_create_counting();
    svr_backend *counting;
    void *a, *b;

    fake_backend_init(&fake);
    counting = svr_counting_backend_create(&fake.base);
    CHECK(counting != NULL && scratch != NULL);
    CHECK_OK(svr_scratch_alloc(scratch, (size_t) 1 << 45, &a, &err), err);
    CHECK_OK(svr_backend_alloc(counting, SVR_MEM_STATE, 1, &b, &err), err);
    CHECK((uintptr_t) a >= beyond);
    CHECK((uintptr_t) b >= (uintptr_t) a + ((uintptr_t) 1 << 45));
    svr_backend_free(counting, SVR_MEM_STATE, 1, b);
    svr_scratch_free(scratch, a);
    svr_scratch_destroy(scratch);
    svr_backend_destroy(counting);
}

int main(void)
{
    RUN(test_addresses);
    RUN(test_copies_touch_nothing);
    RUN(test_copies_are_entered);
    RUN(test_same_peak);
    RUN(test_missing_op);
    RUN(test_addresses_of_no_memory);
    return check_done();
}
