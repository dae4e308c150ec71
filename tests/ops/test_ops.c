/* test_ops [cpu|cuda|cuda-portable|cuda-dnn]: all ops of a backend against references in double
 * precision. On the CPU: for every instruction set that this machine has, with one thread and with
 * three. cuda-portable takes the paths of the lowest compute capability, cuda-dnn hands every
 * convolution to cuDNN that it can take. */
#include "harness.h"

#include "check.h"
#include "cpu/cpu_backend.h"
#include "pipeline/backends.h"

#include <stdio.h>
#include <string.h>

/* Of the cases, 18 shapes in two types are such that cuDNN has engines for them on every device; a
 * few less, since its versions differ. */
enum { LEAST_DNN_CONVOLUTIONS = 30 };

/* Ends the bench. */
static void run_cases(ops_bench *bench, const char *label)
{
    ops_cases_vae(bench);
    ops_cases_general(bench);
    ops_cases_tokens(bench);
    ops_cases_pixels(bench);
    ops_cases_colour(bench);
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
        run_cases(ops_bench_create(backend, twin), sets[i]);
        CHECK(svr_backend_memory(backend).live_total == 0);
        svr_backend_destroy(twin);
        svr_backend_destroy(backend);
        tested++;
    }
    CHECK(tested > 0);
}

/* Convolutions that a backend said to hand to cuDNN. */
static void count_dnn(void *user, svr_log_level level, const char *module, const char *text)
{
    (void) level;
    if (strcmp(module, "conv") == 0 && strstr(text, ": cuDNN, plan"))
        ++*(int *) user;
}

/* The CUDA backend, where it is there.  Its own kernels, except for cuda-dnn. */
static int test_cuda(const char *label)
{
    bool dnn = strcmp(label, "cuda-dnn") == 0;
    int dnn_convolutions = 0;
    svr_log log = {count_dnn, &dnn_convolutions, SVR_LOG_DEBUG};
    svr_cuda_options options = {.dnn = dnn ? SVR_CUDA_DNN_WHEREVER : SVR_CUDA_DNN_OFF,
                                .highest_capability = strcmp(label, "cuda-portable") == 0 ? 80 : 0};
    svr_error err = {.code = SVR_OK};
    svr_backend *backend = NULL;
    ops_bench *bench;

    if (svr_backend_open(SVR_BACKEND_CUDA, 0, &options, &log, &backend, &err) ==
        SVR_ERR_NO_DEVICE) {
        printf("skipped: %s\n", err.text);
        return CHECK_SKIP;
    }
    CHECK(backend != NULL);
    bench = ops_bench_create(backend, NULL);
    if (dnn)
        ops_bench_fit_library(bench);
    run_cases(bench, label);
    svr_backend_destroy(backend);
    printf("%d convolutions went to cuDNN\n", dnn_convolutions);
    CHECK(dnn ? dnn_convolutions >= LEAST_DNN_CONVOLUTIONS : dnn_convolutions == 0);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strncmp(argv[1], "cuda", 4) == 0)
        return test_cuda(argv[1]);
    RUN(test_cpu);
    return check_done();
}
