/* test_ops cpu|cuda|cuda-portable|cuda-dnn [--small] [GROUP…]: ops of a backend against references
 * in double precision; all groups of harness.h unless some are named.
 * On the CPU: for every instruction set that this machine has, with one thread and with three.
 * cuda-portable takes the paths of the lowest compute capability, cuda-dnn hands every convolution
 * to cuDNN that it can take.  A device gets every case twice: with arrays that start at odd
 * elements, and aligned.  --small: the selection for sanitizers. */
#include "harness.h"

#include "check.h"
#include "cpu/cpu_backend.h"
#include "pipeline/backends.h"

#include <stdio.h>
#include <string.h>

/* Of the cases with aligned arrays, at least 18 shapes in two types are such that cuDNN has engines
 * for them on every device; a few less, since its versions differ. */
enum { LEAST_DNN_CONVOLUTIONS = 30 };

/* What the command line asks for. */
typedef struct selection {
    bool small;
    char **groups;
    int count; /* 0: all */
} selection;

static bool is_chosen(const selection *chosen, const char *group)
{
    bool found = chosen->count == 0;

    for (int i = 0; i < chosen->count; i++)
        found = found || strcmp(chosen->groups[i], group) == 0;
    return found;
}

static bool is_group(const char *name)
{
    bool found = false;

#define COMPARE(group) found = found || strcmp(#group, name) == 0;
    OPS_GROUPS(COMPARE)
#undef COMPARE
    return found;
}

static void run_groups(ops_bench *bench, const selection *chosen)
{
#define RUN_GROUP(group)                                                                           \
    if (is_chosen(chosen, #group))                                                                 \
        ops_cases_##group(bench);
    OPS_GROUPS(RUN_GROUP)
#undef RUN_GROUP
}

static bool is_whole(const selection *chosen)
{
    return !chosen->small && chosen->count == 0;
}

/* Ends the bench. */
static void run_cases(ops_bench *bench, const selection *chosen, const char *label, bool twice)
{
    ops_bench_set(bench, chosen->small, false);
    run_groups(bench, chosen);
    if (twice) {
        ops_bench_set(bench, chosen->small, true);
        run_groups(bench, chosen);
    }
    CHECK(ops_cases(bench) - ops_refused(bench) > (is_whole(chosen) ? 200 : 0));
    printf("ok %s: %d cases, %d not supported\n", label, ops_cases(bench), ops_refused(bench));
    ops_bench_destroy(bench);
}

static int test_cpu(const selection *chosen)
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
        run_cases(ops_bench_create(backend, twin), chosen, sets[i], false);
        CHECK(svr_backend_memory(backend).live_total == 0);
        svr_backend_destroy(twin);
        svr_backend_destroy(backend);
        tested++;
    }
    CHECK(tested > 0);
    return 0;
}

/* Convolutions that a backend said to hand to cuDNN. */
static void count_dnn(void *user, svr_log_level level, const char *module, const char *text)
{
    (void) level;
    if (strcmp(module, "conv") == 0 && strstr(text, ": cuDNN, plan"))
        ++*(int *) user;
}

/* The CUDA backend, where it is there.  Its own kernels, except for cuda-dnn. */
static int test_cuda(const char *label, const selection *chosen)
{
    bool dnn = strcmp(label, "cuda-dnn") == 0;
    int convolutions = 0, least = dnn && is_whole(chosen) ? LEAST_DNN_CONVOLUTIONS : 0;
    svr_log log = {count_dnn, &convolutions, SVR_LOG_DEBUG};
    svr_cuda_options options = SVR_CUDA_OPTIONS_DEFAULT;
    svr_error err = {.code = SVR_OK};
    svr_backend *backend = NULL;
    ops_bench *bench;

    options.dnn = dnn ? SVR_CUDA_DNN_WHEREVER : SVR_CUDA_DNN_OFF;
    options.highest_capability = strcmp(label, "cuda-portable") == 0 ? 80 : 0;
    if (svr_backend_open(SVR_BACKEND_CUDA, 0, &options, &log, &backend, &err) ==
        SVR_ERR_NO_DEVICE) {
        printf("skipped: %s\n", err.text);
        return CHECK_SKIP;
    }
    CHECK_OK(err.code, err);
    bench = ops_bench_create(backend, NULL);
    if (dnn)
        ops_bench_round_biases(bench);
    run_cases(bench, chosen, label, true);
    svr_backend_destroy(backend);
    if (dnn)
        printf("%d convolutions went to cuDNN\n", convolutions);
    CHECK(convolutions >= least && (dnn || convolutions == 0));
    return 0;
}

static bool is_backend(const char *name)
{
    static const char *const names[] = {"cpu", "cuda", "cuda-portable", "cuda-dnn"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

int main(int argc, char **argv)
{
    bool small = argc > 2 && strcmp(argv[2], "--small") == 0;
    int first = small ? 3 : 2;
    selection chosen = {.small = small, .groups = argv + first, .count = argc - first};

    if (argc < 2 || !is_backend(argv[1])) {
        fprintf(stderr, "test_ops cpu|cuda|cuda-portable|cuda-dnn [--small] [GROUP…]\n");
        return 2;
    }
    for (int i = 0; i < chosen.count; i++)
        if (!is_group(chosen.groups[i])) {
            fprintf(stderr, "no group \"%s\": see OPS_GROUPS in harness.h\n", chosen.groups[i]);
            return 2;
        }
    return strcmp(argv[1], "cpu") == 0 ? test_cpu(&chosen) : test_cuda(argv[1], &chosen);
}
