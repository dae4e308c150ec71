/* Time of every op of a run: an exec and an op table that wait for the device behind each op; and
 * what all measuring needs.
 *
 * Waiting costs some 10 us an op, so short ops look slower than they are in a run that only
 * issues. */
#ifndef SEEDVR2_BENCH_PROFILE_H
#define SEEDVR2_BENCH_PROFILE_H

#include "bench_cost.h"
#include "pipeline/stats.h"

/* Phases of a batch as they are reported; "download" packs frames too. */
typedef enum bench_phase_id {
    BENCH_INPUT,
    BENCH_ENCODE,
    BENCH_DIT,
    BENCH_DECODE,
    BENCH_COLOUR,
    BENCH_DOWNLOAD,
    BENCH_PHASES
} bench_phase_id;

/* "input", "encode", "dit", "decode", "colour", "download". */
const char *bench_phase_name(bench_phase_id id);

/* Nanoseconds of a phase. */
uint64_t bench_phase_ns(const svr_phase_times *times, bench_phase_id id);

#define BENCH_OP_ID(name) BENCH_OP_##name,
typedef enum bench_op_id { SVR_OP_LIST(BENCH_OP_ID) BENCH_OPS } bench_op_id;
#undef BENCH_OP_ID

enum { BENCH_OP_ROWS = BENCH_PHASES * BENCH_OPS };

/* All calls of an op in a phase. */
typedef struct bench_op_time {
    const char *name;
    bench_phase_id phase;
    uint64_t calls, ns, host_ns; /* issued and finished; issued */
    bench_cost cost;             /* sums */
} bench_op_time;

typedef struct bench_profile {
    svr_exec exec; /* first: ops are handed a pointer to it */
    const svr_ops *inner;
    svr_ops ops;
    /* the phase at work is the first that has no time yet */
    svr_phase_times times;
    bool inside; /* ops may call others */
    bench_op_time rows[BENCH_PHASES][BENCH_OPS];
    uint64_t waited_ns[BENCH_PHASES];
} bench_profile;

/* Puts the timing ops in front of exec->backend's until _end(); code under test gets
 * &profile->exec and &profile->times. */
void bench_profile_begin(bench_profile *profile, const svr_exec *exec);
void bench_profile_end(bench_profile *profile);

/* The rows with calls, most time first; how many. */
int bench_profile_rows(const bench_profile *profile, bench_op_time out[BENCH_OP_ROWS]);

/* Of n > 0 values, which it sorts. */
double bench_median(double *values, int n);

/* Monotonic clock. */
uint64_t bench_now_ns(void);

#endif
