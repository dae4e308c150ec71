/* test_ops cpu|cuda|cuda-portable [--small] [GROUP…]: ops of a backend against references in double
 * precision; all groups of harness.h unless some are named.
 * On the CPU: for every instruction set that this machine has, with one thread and with three.
 * cuda-portable takes the paths of the lowest compute capability.  A device gets every case twice:
 * with arrays that start at odd elements, and aligned.  --small: the selection for sanitizers. */
#include "harness.h"
#include "portable.h"

#include "check.h"
#include "cpu/cpu_backend.h"
#include "pipeline/backends.h"

#include <stdio.h>
#include <string.h>

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

static void run_cases(svr_backend *backend, svr_backend *twin, const selection *chosen,
                      const char *label)
{
    ops_bench *bench = ops_bench_create(backend, twin);
    bool whole = !chosen->small && chosen->count == 0;

    ops_bench_set(bench, chosen->small, false);
    run_groups(bench, chosen);
    if (strcmp(backend->name, "cpu") != 0) {
        ops_bench_set(bench, chosen->small, true);
        run_groups(bench, chosen);
    }
    CHECK(ops_cases(bench) - ops_refused(bench) > (whole ? 200 : 0));
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
        run_cases(backend, twin, chosen, sets[i]);
        CHECK(svr_backend_memory(backend).live_total == 0);
        svr_backend_destroy(twin);
        svr_backend_destroy(backend);
        tested++;
    }
    CHECK(tested > 0);
    return 0;
}

/* Any other backend, where it is there. */
static int test_device(const char *label, const selection *chosen)
{
    svr_error err = {.code = SVR_OK};
    svr_backend *backend = NULL;
    svr_status status = strcmp(label, "cuda") == 0
                            ? svr_backend_open(SVR_BACKEND_CUDA, 0, NULL, NULL, &backend, &err)
                            : portable_backend_open(&backend, &err);

    if (status == SVR_ERR_NO_DEVICE) {
        printf("skipped: %s\n", err.text);
        return CHECK_SKIP;
    }
    CHECK(backend != NULL);
    run_cases(backend, NULL, chosen, label);
    svr_backend_destroy(backend);
    return 0;
}

int main(int argc, char **argv)
{
    bool small = argc > 2 && strcmp(argv[2], "--small") == 0;
    int first = small ? 3 : 2;
    selection chosen = {.small = small, .groups = argv + first, .count = argc - first};

    if (argc < 2) {
        fprintf(stderr, "test_ops cpu|cuda|cuda-portable [--small] [GROUP…]\n");
        return 2;
    }
    for (int i = 0; i < chosen.count; i++)
        if (!is_group(chosen.groups[i])) {
            fprintf(stderr, "no group \"%s\": see OPS_GROUPS in harness.h\n", chosen.groups[i]);
            return 2;
        }
    return strcmp(argv[1], "cpu") == 0 ? test_cpu(&chosen) : test_device(argv[1], &chosen);
}
