/* test_ops [cpu|cuda|cuda-portable]: all ops of a backend against references in double precision.
 * On the CPU: for every instruction set that this machine has, with one thread and with three.
 * cuda-portable takes the paths of the lowest compute capability. */
#include "harness.h"
#include "portable.h"

#include "check.h"
#include "cpu/cpu_backend.h"
#include "pipeline/backends.h"

#include <stdio.h>
#include <string.h>

static void run_cases(svr_backend *backend, svr_backend *twin, const char *label)
{
    ops_bench *bench = ops_bench_create(backend, twin);

    ops_cases_vae(bench);
    ops_cases_general(bench);
    ops_cases_tokens(bench);
    ops_cases_pixels(bench);
    ops_cases_colour(bench);
    ops_cases_quantized(bench);
    CHECK(ops_cases(bench) - ops_refused(bench) > 200);
    printf("ok %s: %d cases, %d not supported\n", label, ops_cases(bench), ops_refused(bench));
    ops_bench_destroy(bench);
}

static void test_cpu(void)
{
    static const char *const sets[] = {"generic", "x86-64-v3", "x86-64-v4"};
    svr_error err = {.code = SVR_OK};
    int tested = 0;

    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        svr_cpu_options one = {.threads = 1, .instructions = sets[i]};
        svr_cpu_options three = {.threads = 3, .instructions = sets[i]};
        svr_backend *backend, *twin;

        if (svr_cpu_backend_create(&three, &backend, &err) == SVR_ERR_UNSUPPORTED) {
            svr_error_clear(&err);
            continue;
        }
        CHECK_OK(svr_cpu_backend_create(&one, &twin, &err), err);
        run_cases(backend, twin, sets[i]);
        CHECK(svr_backend_memory(backend).live_total == 0);
        svr_backend_destroy(twin);
        svr_backend_destroy(backend);
        tested++;
    }
    CHECK(tested > 0);
}

/* Any other backend, where it is there. */
static int test_device(const char *label)
{
    svr_error err = {.code = SVR_OK};
    svr_backend *backend = NULL;
    svr_status status = strcmp(label, "cuda") == 0
                            ? svr_backend_open(SVR_BACKEND_CUDA, 0, NULL, &backend, &err)
                            : portable_backend_open(&backend, &err);

    if (status == SVR_ERR_NO_DEVICE) {
        printf("skipped: %s\n", err.text);
        return CHECK_SKIP;
    }
    CHECK(backend != NULL);
    run_cases(backend, NULL, label);
    svr_backend_destroy(backend);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strncmp(argv[1], "cuda", 4) == 0)
        return test_device(argv[1]);
    RUN(test_cpu);
    return check_done();
}
