/* The public API with stand-in networks: cancel, failure, reset. */
#include "upscaler_rig.h"

#include "cpu/cpu_backend.h"
#include "pipeline/upscaler_internal.h"

#include "check.h"

#include <pthread.h>

static void *cancel_soon(void *user)
{
    up_sleep_ms(50);
    svr_upscaler_cancel(user);
    return NULL;
}

static void test_cancel_is_quick(void)
{
    fake_networks fake;
    svr_error err = {0};
    pthread_t thread;
    bool got;

    fake_networks_init(&fake, FAKE_IDENTITY);
    fake.predict_ms = 20000;
    svr_upscaler *u = up_open(&fake, NULL);
    up_configure(u, 1, 0, 0);
    CHECK_OK(up_push(u, 0, &err), err);
    double start = up_now_ms();
    CHECK(pthread_create(&thread, NULL, cancel_soon, u) == 0);
    CHECK_FAILS(up_pull(u, 0, true, &got, &err), SVR_ERR_CANCELLED, err);
    CHECK(up_now_ms() - start < 50.0 + 100.0);
    pthread_join(thread, NULL);
    CHECK_FAILS(up_push(u, 1, &err), SVR_ERR_CANCELLED, err);
    CHECK_FAILS(svr_upscaler_drain(u, &err), SVR_ERR_CANCELLED, err);
    CHECK_FAILS(up_pull(u, 0, false, &got, &err), SVR_ERR_CANCELLED, err);
    start = up_now_ms();
    svr_upscaler_reset(u);
    CHECK(up_now_ms() - start < 100.0);
    fake.predict_ms = 0;
    CHECK(svr_upscaler_held(u) == 0);
    up_check_count(u, 3);
    svr_upscaler_destroy(u);
}

static void test_cancel_frees_a_waiting_push(void)
{
    fake_networks fake;
    svr_error err = {0};
    pthread_t thread;

    fake_networks_init(&fake, FAKE_IDENTITY);
    fake.predict_ms = 20000;
    svr_upscaler *u = up_open(&fake, NULL);
    up_configure(u, 1, 0, 0);
    CHECK_OK(up_push(u, 0, &err), err);
    CHECK_OK(up_push(u, 1, &err), err);
    double start = up_now_ms();
    CHECK(pthread_create(&thread, NULL, cancel_soon, u) == 0);
    svr_status status = SVR_OK;
    for (int i = 2; status == SVR_OK && i < 5; i++)
        status = up_push(u, i, &err);
    CHECK_FAILS(status, SVR_ERR_CANCELLED, err);
    CHECK(up_now_ms() - start < 50.0 + 100.0);
    pthread_join(thread, NULL);
    start = up_now_ms();
    svr_upscaler_destroy(u);
    CHECK(up_now_ms() - start < 100.0);
}

static void test_reset_drops_frames(void)
{
    fake_networks fake;
    svr_error err = {0};

    fake_networks_init(&fake, FAKE_IDENTITY);
    svr_upscaler *u = up_open(&fake, NULL);
    up_configure(u, 5, 2, 0);
    for (int i = 0; i < 8; i++)
        CHECK_OK(up_push(u, 100 + i, &err), err);
    svr_upscaler_reset(u);
    CHECK(svr_upscaler_held(u) == 0);
    up_check_count(u, 9);
    svr_upscaler_reset(u);
    up_check_count(u, 2);
    svr_upscaler_destroy(u);
}

static void test_a_failure_comes_after_the_finished_frames(void)
{
    up_events events;
    fake_networks fake;
    svr_error err = {0};
    svr_status status = SVR_OK;
    bool got;

    fake_networks_init(&fake, FAKE_IDENTITY);
    fake.fail_at = 3;
    svr_upscaler *u = up_open(&fake, &events);
    up_configure(u, 2, 0, 0);
    for (int i = 0; i < 6 && status == SVR_OK; i++)
        status = up_push(u, i, &err);
    CHECK(status == SVR_OK);
    for (int i = 0; i < 4; i++) {
        CHECK_OK(up_pull(u, i, true, &got, &err), err);
        CHECK(got);
    }
    CHECK(up_pull(u, 4, true, &got, &err) == SVR_ERR_UNSUPPORTED);
    CHECK_TEXT(err.text, "as it was told");
    svr_error_clear(&err);
    CHECK_FAILS(up_push(u, 6, &err), SVR_ERR_UNSUPPORTED, err);
    CHECK_FAILS(up_pull(u, 4, false, &got, &err), SVR_ERR_UNSUPPORTED, err);
    for (int i = 0; i < 2000 && atomic_load(&events.kinds[SVR_EVENT_FAILED]) == 0; i++)
        up_sleep_ms(1);
    CHECK(atomic_load(&events.kinds[SVR_EVENT_FAILED]) == 1);
    svr_upscaler_reset(u);
    up_check_count(u, 5);
    svr_upscaler_destroy(u);
}

static void test_a_lost_device_stays_lost(void)
{
    fake_networks fake;
    svr_error err = {0};
    bool got;

    fake_networks_init(&fake, FAKE_IDENTITY);
    fake.fail_at = 1;
    fake.fail_with = SVR_ERR_DEVICE;
    svr_upscaler *u = up_open(&fake, NULL);
    up_configure(u, 1, 0, 0);
    CHECK_OK(up_push(u, 0, &err), err);
    CHECK_FAILS(up_pull(u, 0, true, &got, &err), SVR_ERR_DEVICE, err);
    svr_upscaler_reset(u);
    CHECK_FAILS(up_push(u, 0, &err), SVR_ERR_DEVICE, err);
    svr_upscaler_destroy(u);
}

/* Every backend allocation may fail: configure says so, and the next one works. */
static void test_every_failing_allocation_is_clean(void)
{
    svr_upscaler_options options;
    svr_stream_config c = up_config(5, 2, 0);
    svr_status status = SVR_ERR_NO_MEM;
    int n = 1;

    svr_upscaler_options_init(&options);
    for (; status != SVR_OK; n++) {
        svr_cpu_options cpu = {.fail_allocation = (uint64_t) n, .threads = 1};
        svr_backend *backend = NULL;
        svr_upscaler *u = NULL;
        fake_networks fake;
        svr_error err = {0};

        fake_networks_init(&fake, FAKE_IDENTITY);
        options.networks = &fake.networks;
        CHECK_OK(svr_cpu_backend_create(&cpu, &backend, &err), err);
        CHECK_OK(svr_upscaler_create_on(backend, &options, &u, &err), err);
        status = svr_upscaler_configure(u, &c, &err);
        if (status != SVR_OK) {
            CHECK_FAILS(status, SVR_ERR_NO_MEM, err);
            CHECK_FAILS(up_push(u, 0, &err), SVR_ERR_INVALID, err);
            CHECK_OK(svr_upscaler_configure(u, &c, &err), err);
        }
        up_check_count(u, 6);
        svr_upscaler_destroy(u);
        CHECK(n < 100);
    }
    CHECK(n > 4);
}

int main(void)
{
    RUN(test_cancel_is_quick);
    RUN(test_cancel_frees_a_waiting_push);
    RUN(test_reset_drops_frames);
    RUN(test_a_failure_comes_after_the_finished_frames);
    RUN(test_a_lost_device_stays_lost);
    RUN(test_every_failing_allocation_is_clean);
    return check_done();
}
