/* backend/ops: what every entry does around an op: dispatch, workspace, cancellation, failure. */
#include "backend/ops.h"

#include "fake_backend.h"
#include "op_cases.h"

#include "check.h"

#include <string.h>

static fake_backend fake;
static svr_exec exec;

static void set_up(size_t scratch_bytes)
{
    fake_backend_init(&fake);
    exec = (svr_exec){.backend = &fake.base,
                      .scratch = svr_scratch_create((void *) 0x100000, scratch_bytes)};
    CHECK(exec.scratch != NULL);
}

static void tear_down(void)
{
    CHECK(svr_scratch_live(exec.scratch) == 0);
    svr_scratch_destroy(exec.scratch);
}

#define DEFINE_CALL(name)                                                                          \
    static void call_##name(svr_status want, const char *text)                                     \
    {                                                                                              \
        svr_error err = {0};                                                                       \
        svr_##name##_args args = good_##name();                                                    \
                                                                                                   \
        fake.called = "none";                                                                      \
        fake.workspace = &fake;                                                                    \
        if (svr_op_##name(&exec, &args, &err) != want)                                             \
            CHECK_TEXT(err.text, "another status from " #name);                                    \
        CHECK_TEXT(err.text, text);                                                                \
        if (want == SVR_OK)                                                                        \
            CHECK(strcmp(fake.called, #name) == 0);                                                \
        CHECK(svr_scratch_live(exec.scratch) == 0);                                                \
    }

SVR_OP_LIST(DEFINE_CALL)

/* Calls each op with correct arguments and wants `want`. */
static void call_all(svr_status want, const char *text)
{
#define CALL(name) call_##name(want, text);
    SVR_OP_LIST(CALL)
#undef CALL
}

static void test_dispatch(void)
{
    set_up(1 << 20);
    call_all(SVR_OK, "");
    CHECK(fake.workspace == NULL);              /* no bytes, no workspace … */
    CHECK(svr_scratch_peak(exec.scratch) == 0); /* … and scratch memory is left alone */
    tear_down();
}

static void test_workspace(void)
{
    set_up(1 << 20);
    fake.workspace_bytes = 1000;
    call_all(SVR_OK, "");
    CHECK(fake.workspace == (void *) 0x100000);
    CHECK(svr_scratch_peak(exec.scratch) == 1024);
    tear_down();
}

static void test_workspace_does_not_fit(void)
{
    set_up(512);
    fake.workspace_bytes = 1000;
    call_all(SVR_ERR_NO_VRAM, "workspace of ");
    CHECK(strcmp(fake.called, "none") == 0);
    tear_down();
}

/* The workspace is given back after a failure, too: call_all() looks. */
static void test_failing_ops(void)
{
    set_up(1 << 20);
    fake.workspace_bytes = 1000;
    fake.result = SVR_ERR_DEVICE;
    call_all(SVR_ERR_DEVICE, "fake ");
    tear_down();
}

static void test_cancelled(void)
{
    svr_cancel *cancel = svr_cancel_create();

    set_up(1 << 20);
    svr_cancel_set(cancel, true);
    exec.cancel = cancel;
    call_all(SVR_ERR_CANCELLED, "stopped");
    CHECK(strcmp(fake.called, "none") == 0);
    tear_down();
    svr_cancel_destroy(cancel);
}

static void test_missing(void)
{
    set_up(1 << 20);
    memset(&fake.ops, 0, sizeof fake.ops);
    call_all(SVR_ERR_UNSUPPORTED, "on backend fake");
    tear_down();
}

/* The error names the op that is missing. */
static void test_missing_is_named(void)
{
    svr_blur_args args = good_blur();
    svr_error err = {0};

    set_up(1 << 20);
    fake.ops.blur = NULL;
    CHECK(svr_op_blur(&exec, &args, &err) == SVR_ERR_UNSUPPORTED);
    CHECK_TEXT(err.text, "op blur");
    tear_down();
}

/* An op without a workspace function needs none. */
static void test_no_workspace_function(void)
{
    svr_blur_args args = good_blur();
    svr_error err = {0};

    set_up(1 << 20);
    fake.workspace_bytes = 1000;
    fake.ops.blur_workspace = NULL;
    CHECK_OK(svr_op_blur(&exec, &args, &err), err);
    CHECK(fake.workspace == NULL && svr_scratch_peak(exec.scratch) == 0);
    tear_down();
}

int main(void)
{
    RUN(test_dispatch);
    RUN(test_workspace);
    RUN(test_workspace_does_not_fit);
    RUN(test_failing_ops);
    RUN(test_cancelled);
    RUN(test_missing);
    RUN(test_missing_is_named);
    RUN(test_no_workspace_function);
    return check_done();
}
