/* backend/scratch: first fit, coalescing, exhaustion, peak, and a random run against a plain map of
 * who owns which unit. */
#include "backend/scratch.h"

#include "check.h"
#include "random.h"

#include <stdint.h>
#include <string.h>

enum { UNIT = SVR_SCRATCH_ALIGN };

static char *const base = (char *) (uintptr_t) 0x100000;

static svr_scratch *make(size_t units)
{
    svr_scratch *scratch = svr_scratch_create(base, units * UNIT);

    CHECK(scratch != NULL);
    return scratch;
}

/* Offset of a new range, in units. */
static size_t take(svr_scratch *scratch, size_t bytes)
{
    svr_error err = {0};
    void *p;

    CHECK_OK(svr_scratch_alloc(scratch, bytes, &p, &err), err);
    CHECK(((uintptr_t) p - (uintptr_t) base) % UNIT == 0);
    return ((uintptr_t) p - (uintptr_t) base) / UNIT;
}

static void give(svr_scratch *scratch, size_t unit)
{
    svr_scratch_free(scratch, base + unit * UNIT);
}

static void test_first_fit(void)
{
    svr_scratch *s = make(16);

    CHECK(take(s, 1) == 0 && take(s, UNIT) == 1 && take(s, UNIT + 1) == 2 && take(s, 0) == 4);
    CHECK(svr_scratch_live(s) == 5 * UNIT);
    give(s, 1);
    give(s, 2);
    CHECK(take(s, 4 * UNIT) == 5); /* the hole of three is too small */
    CHECK(take(s, 2 * UNIT) == 1 && take(s, UNIT) == 3);
    svr_scratch_free(s, NULL);
    svr_scratch_destroy(s);
    svr_scratch_destroy(NULL);
}

/* Neighbours join whatever the order in which they are freed. */
static void test_coalescing(void)
{
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                     {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

    for (int i = 0; i < 6; i++) {
        svr_scratch *s = make(4);

        for (size_t u = 0; u < 4; u++)
            CHECK(take(s, UNIT) == u);
        for (int j = 0; j < 3; j++)
            give(s, (size_t) orders[i][j]);
        CHECK(take(s, 3 * UNIT) == 0);
        svr_scratch_destroy(s);
    }
}

static void test_exhaustion(void)
{
    svr_scratch *s = make(4);
    svr_error err = {0};
    void *p;

    CHECK(svr_scratch_alloc(s, 5 * UNIT, &p, &err) == SVR_ERR_NO_VRAM);
    CHECK_TEXT(err.text, "1280 bytes");
    CHECK_TEXT(err.text, "1024 bytes are in use");
    svr_error_clear(&err);
    CHECK_FAILS(svr_scratch_alloc(s, SIZE_MAX, &p, &err), SVR_ERR_NO_VRAM, err);
    CHECK_FAILS(svr_scratch_alloc(s, SIZE_MAX - 300, &p, &err), SVR_ERR_NO_VRAM, err);
    CHECK(take(s, 4 * UNIT) == 0);
    CHECK_FAILS(svr_scratch_alloc(s, 1, &p, &err), SVR_ERR_NO_VRAM, err);
    CHECK(svr_scratch_live(s) == 4 * UNIT);
    give(s, 0);
    CHECK(take(s, 4 * UNIT) == 0);
    svr_scratch_destroy(s);
}

static void test_peak_and_reset(void)
{
    svr_scratch *s = make(16);

    CHECK(svr_scratch_peak(s) == 0 && svr_scratch_live(s) == 0);
    take(s, 3 * UNIT);
    take(s, 5 * UNIT);
    give(s, 0);
    CHECK(take(s, 2 * UNIT) == 0);
    CHECK(svr_scratch_peak(s) == 8 * UNIT && svr_scratch_live(s) == 7 * UNIT);
    svr_scratch_reset(s);
    CHECK(svr_scratch_live(s) == 0 && svr_scratch_peak(s) == 8 * UNIT);
    CHECK(take(s, 16 * UNIT) == 0 && svr_scratch_peak(s) == 16 * UNIT);
    svr_scratch_reset(s);
    svr_scratch_reset(s);
    svr_scratch_destroy(s);
}

/* One step of a random run: frees a live range or takes a new one; returns the offset, or SIZE_MAX.
 */
typedef struct run {
    test_random random;
    svr_scratch *scratch;
    size_t start[64], units[64];
    int live;
} run;

static size_t step(run *r)
{
    int i = test_random_below(&r->random, 64);
    size_t units = (size_t) test_random_below(&r->random, 20) + 1;

    if (i < r->live) {
        give(r->scratch, r->start[i]);
        r->live--;
        r->start[i] = r->start[r->live];
        r->units[i] = r->units[r->live];
        return SIZE_MAX;
    }
    r->start[r->live] = take(r->scratch, units * UNIT);
    r->units[r->live] = units;
    return r->start[r->live++];
}

/* No two live ranges meet, each lies at the lowest place that was free, and live is their sum. */
static void test_random_run(void)
{
    enum { UNITS = 4096 };
    static char owned[UNITS];
    run r = {test_random_seed(5), make(UNITS), {0}, {0}, 0};

    for (int n = 0; n < 20000; n++) {
        size_t at, lowest, sum = 0;

        memset(owned, 0, sizeof owned);
        for (int i = 0; i < r.live; i++)
            memset(owned + r.start[i], 1, r.units[i]);
        at = step(&r);
        for (int i = 0; i < r.live; i++)
            sum += r.units[i];
        CHECK(svr_scratch_live(r.scratch) == sum * UNIT);
        if (at == SIZE_MAX)
            continue;
        for (lowest = 0; memchr(owned + lowest, 1, r.units[r.live - 1]); lowest++)
            CHECK(lowest < at);
        CHECK(lowest == at);
    }
    svr_scratch_destroy(r.scratch);
}

/* Peaks of a part of the work: what is in use when it begins counts. */
static void test_peaks_of_parts(void)
{
    svr_scratch *s = make(16);
    size_t a = take(s, 2 * UNIT), b = take(s, 3 * UNIT), c;

    CHECK(svr_scratch_take_peak(s) == 5 * UNIT);
    give(s, b);
    CHECK(svr_scratch_take_peak(s) == 5 * UNIT); /* b was there at the start of this part */
    CHECK(svr_scratch_take_peak(s) == 2 * UNIT);
    c = take(s, UNIT);
    give(s, c);
    CHECK(svr_scratch_take_peak(s) == 3 * UNIT);
    give(s, a);
    CHECK(svr_scratch_peak(s) == 5 * UNIT);
    svr_scratch_destroy(s);
}

/* The planner's promise: the peak of an unbounded run is the block that the same calls need. */
static void test_same_calls_same_peak(void)
{
    run counted = {test_random_seed(6), svr_scratch_create(base, SIZE_MAX / 2), {0}, {0}, 0};
    run real = {test_random_seed(6), NULL, {0}, {0}, 0};
    size_t peak, trace[5000];

    for (int n = 0; n < 5000; n++)
        trace[n] = step(&counted);
    peak = svr_scratch_peak(counted.scratch);
    CHECK(peak > 0);
    real.scratch = make(peak / UNIT);
    for (int n = 0; n < 5000; n++)
        CHECK(step(&real) == trace[n]);
    CHECK(svr_scratch_peak(real.scratch) == peak);
    svr_scratch_destroy(counted.scratch);
    svr_scratch_destroy(real.scratch);
}

int main(void)
{
    RUN(test_first_fit);
    RUN(test_coalescing);
    RUN(test_exhaustion);
    RUN(test_peak_and_reset);
    RUN(test_random_run);
    RUN(test_peaks_of_parts);
    RUN(test_same_calls_same_peak);
    return check_done();
}
