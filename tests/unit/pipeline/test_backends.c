/* Backends by kind. */
#include "pipeline/backends.h"

#include "check.h"

#include <string.h>

static char logged[1024];

static void remember(void *user, svr_log_level level, const char *module, const char *text)
{
    (void) user, (void) level, (void) module;
    strncpy(logged, text, sizeof logged - 1);
}

static void test_cpu(void)
{
    svr_backend *backend = NULL;
    svr_error err = {0};

    CHECK_OK(svr_backend_open(SVR_BACKEND_CPU, 1, NULL, NULL, &backend, &err), err);
    CHECK(strcmp(backend->name, "cpu") == 0);
    svr_backend_destroy(backend);
}

/* A machine may have the module and a device or not; both are right if they are said. */
static void test_cuda_or_why_not(void)
{
    svr_backend *backend = NULL;
    svr_error err = {0};
    svr_status status = svr_backend_open(SVR_BACKEND_CUDA, 0, NULL, NULL, &backend, &err);

    if (status == SVR_OK) {
        CHECK(strcmp(backend->name, "cuda") == 0);
        svr_backend_destroy(backend);
        return;
    }
    CHECK(status == SVR_ERR_NO_DEVICE && backend == NULL);
    CHECK_TEXT(err.text, "cpu");
}

static void test_auto_always_works_and_says_what_it_took(void)
{
    svr_log log = {remember, NULL, SVR_LOG_INFO};
    svr_backend *backend = NULL;
    svr_error err = {0};

    logged[0] = '\0';
    CHECK_OK(svr_backend_open(SVR_BACKEND_AUTO, 0, NULL, &log, &backend, &err), err);
    if (strcmp(backend->name, "cpu") == 0)
        CHECK_TEXT(logged, "computing on the CPU");
    else
        CHECK(strcmp(backend->name, "cuda") == 0);
    svr_backend_destroy(backend);
}

int main(void)
{
    RUN(test_cpu);
    RUN(test_cuda_or_why_not);
    RUN(test_auto_always_works_and_says_what_it_took);
    return check_done();
}
