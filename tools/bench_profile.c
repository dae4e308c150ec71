#include "bench_profile.h"

#include <stdlib.h>
#include <time.h>

uint64_t bench_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000000000u + (uint64_t) now.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *) a, y = *(const double *) b;

    return (x > y) - (x < y);
}

double bench_median(double *values, int n)
{
    qsort(values, (size_t) n, sizeof(*values), ascending);
    return n % 2 ? values[n / 2] : 0.5 * (values[n / 2 - 1] + values[n / 2]);
}

/* ------------------------------------------------------------------ phases */

const char *bench_phase_name(bench_phase_id id)
{
    static const char *const names[BENCH_PHASES] = {"input",  "encode", "dit",
                                                    "decode", "colour", "download"};

    return names[id];
}

uint64_t bench_phase_ns(const svr_phase_times *times, bench_phase_id id)
{
    const uint64_t ns[BENCH_PHASES] = {
        [BENCH_INPUT] = times->input_ns,   [BENCH_ENCODE] = times->encode_ns - times->input_ns,
        [BENCH_DIT] = times->dit_ns,       [BENCH_DECODE] = times->decode_ns,
        [BENCH_COLOUR] = times->colour_ns, [BENCH_DOWNLOAD] = times->finish_ns - times->colour_ns,
    };

    return ns[id];
}

static bench_phase_id running_phase(const svr_phase_times *times)
{
    return !times->input_ns    ? BENCH_INPUT
           : !times->encode_ns ? BENCH_ENCODE
           : !times->dit_ns    ? BENCH_DIT
           : !times->decode_ns ? BENCH_DECODE
           : !times->colour_ns ? BENCH_COLOUR
                               : BENCH_DOWNLOAD;
}

/* ------------------------------------------------------------------ ops */

/* A call that began at `begin`, was issued by `issued`, and is still at work. */
typedef struct timed_call {
    const char *name;
    bench_op_id op;
    uint64_t begin, issued;
    bench_cost cost;
} timed_call;

static svr_status enter(bench_profile *p, const timed_call *call, svr_error *err)
{
    bench_phase_id phase = running_phase(&p->times);
    bench_op_time *row = &p->rows[phase][call->op];
    uint64_t end;

    SVR_TRY(svr_backend_synchronize(p->exec.backend, err));
    end = bench_now_ns();
    row->name = call->name;
    row->phase = phase;
    row->calls++;
    row->ns += end - call->begin;
    row->host_ns += call->issued - call->begin;
    row->cost.flop += call->cost.flop;
    row->cost.bytes += call->cost.bytes;
    p->waited_ns[phase] += end - call->issued;
    return SVR_OK;
}

#define TIMED_OP(member)                                                                           \
    static svr_status timed_##member(svr_exec *exec, const svr_##member##_args *args,              \
                                     void *workspace, svr_error *err)                              \
    {                                                                                              \
        bench_profile *p = (bench_profile *) exec;                                                 \
        timed_call call = {.name = #member, .op = BENCH_OP_##member, .begin = bench_now_ns()};     \
                                                                                                   \
        if (p->inside)                                                                             \
            return p->inner->member(exec, args, workspace, err);                                   \
        p->inside = true;                                                                          \
        SVR_TRY(p->inner->member(exec, args, workspace, err));                                     \
        p->inside = false;                                                                         \
        call.issued = bench_now_ns();                                                              \
        call.cost = bench_cost_##member(args);                                                     \
        return enter(p, &call, err);                                                               \
    }

SVR_OP_LIST(TIMED_OP)

void bench_profile_begin(bench_profile *p, const svr_exec *exec)
{
    *p = (bench_profile){.exec = *exec, .inner = exec->backend->ops, .ops = *exec->backend->ops};
#define FILL_OP(member) p->ops.member = p->ops.member ? timed_##member : NULL;
    SVR_OP_LIST(FILL_OP)
#undef FILL_OP
    exec->backend->ops = &p->ops;
}

void bench_profile_end(bench_profile *p)
{
    p->exec.backend->ops = p->inner;
}

static int most_time_first(const void *a, const void *b)
{
    uint64_t x = ((const bench_op_time *) a)->ns, y = ((const bench_op_time *) b)->ns;

    return (x < y) - (x > y);
}

int bench_profile_rows(const bench_profile *p, bench_op_time out[BENCH_OP_ROWS])
{
    int count = 0;

    for (int phase = 0; phase < BENCH_PHASES; phase++)
        for (int op = 0; op < BENCH_OPS; op++)
            if (p->rows[phase][op].calls > 0)
                out[count++] = p->rows[phase][op];
    qsort(out, (size_t) count, sizeof *out, most_time_first);
    return count;
}
