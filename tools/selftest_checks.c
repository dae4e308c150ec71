/* What must be true of the streams. */
#include "selftest_engine.h"

#include <inttypes.h>
#include <math.h>

/* Between the darkest and the brightest value of a picture; the clip has more than 150. */
enum { PICTURE_RANGE = 64 };

/* Pictures that are not equal to the bit, and still the same. */
enum { SAME_PICTURE_DB = 60 };

/* What a process takes of the device beside the ledger: context, kernels, libraries. */
#define CONTEXT_BYTES ((uint64_t) 700 << 20)

/* Drivers take and give memory in large pieces. */
#define FREE_AGAIN_BYTES ((uint64_t) 64 << 20)

/* Of extreme-economy against auto. */
#define SLOWER_LIMIT 2.0

static double mib(uint64_t bytes)
{
    return (double) bytes / (double) (1 << 20);
}

static uint64_t fall(uint64_t before, uint64_t after)
{
    return before > after ? before - after : 0;
}

static int count_worked(const selftest_state *s)
{
    int n = 0;

    for (int i = 0; i < SELFTEST_STREAMS; i++)
        n += selftest_worked(&s->runs[i]);
    return n;
}

/* ------------------------------------------------------------------ picture */

static void check_repeat(const selftest_state *s)
{
    bool equal = selftest_worked(&s->runs[SELFTEST_AGAIN]) && isinf(s->psnr_db[SELFTEST_AGAIN]);

    if (equal)
        selftest_line(s->report, SELFTEST_PASS, "repeat", "the same clip twice, the same bytes");
    else
        selftest_line(s->report, SELFTEST_FAIL, "repeat",
                      "the same clip twice differs: %.1f dB%s%s", s->psnr_db[SELFTEST_AGAIN],
                      s->runs[SELFTEST_AGAIN].err.text[0] ? "; " : "",
                      s->runs[SELFTEST_AGAIN].err.text);
}

/* Without colour correction, which would bring large shapes and colours back from the input. */
void selftest_check_picture(const selftest_state *s)
{
    svr_video_info in = selftest_input(s->setup), out = selftest_output(s->setup);
    selftest_picture p;
    svr_error err = s->plain.err;

    check_repeat(s);
    if (!selftest_worked(&s->plain) ||
        selftest_look(&in, s->clip, &out, s->plain.output, selftest_frames(s->setup), &p, &err) !=
            SVR_OK) {
        selftest_line(s->report, SELFTEST_FAIL, "picture", "%s", err.text);
        return;
    }
    selftest_line(
        s->report,
        selftest_judge(p.psnr_db >= s->setup->floor_db && p.brightest - p.darkest >= PICTURE_RANGE),
        "picture", "%.1f dB against the bicubically resized clip (%d or more), luma %d to %d",
        p.psnr_db, s->setup->floor_db, p.darkest, p.brightest);
}

/* ------------------------------------------------------------------ plan, modes, budget */

void selftest_check_plan(const selftest_state *s)
{
    const selftest_run *shown = &s->runs[SELFTEST_AUTO];
    int equal = 0, worked = count_worked(s);

    for (int i = 0; i < SELFTEST_STREAMS; i++) {
        const selftest_run *run = &s->runs[i];

        if (!selftest_worked(run))
            continue;
        if (run->last.plan.peak == run->last.memory.peak)
            equal++;
        else
            shown = run;
    }
    selftest_line(s->report, selftest_judge(equal == worked), "plan",
                  "peak as predicted in %d of %d streams; %s: predicted %" PRIu64
                  " bytes, taken %" PRIu64,
                  equal, worked, selftest_stream_name((selftest_stream) (shown - s->runs)),
                  shown->last.plan.peak, shown->last.memory.peak);
}

/* The ledger's peak and the device's use stay within the plan's budget. */
static bool within_budget(const selftest_run *run)
{
    uint64_t budget = run->last.plan.budget;

    return budget == 0 || (run->last.memory.peak <= budget &&
                           fall(run->free_before, run->free_least) <= budget + CONTEXT_BYTES);
}

static char *peak_text(const selftest_run *run)
{
    GString *text = g_string_new(NULL);

    g_string_printf(text, "peak %.2f MiB", mib(run->last.memory.peak));
    if (run->last.plan.budget > 0)
        g_string_append_printf(text, " of %.2f MiB", mib(run->last.plan.budget));
    else
        g_string_append(text, ", no limit");
    if (run->free_before > 0)
        g_string_append_printf(text, ", device's free memory %.0f MiB less",
                               mib(fall(run->free_before, run->free_least)));
    g_string_append_printf(text, ", %d of %d blocks streamed", run->last.plan.streamed_blocks,
                           run->last.plan.blocks);
    return g_string_free(text, FALSE);
}

/* A stream that must have auto's picture and stay within its budget. */
static void check_same(const selftest_state *s, const char *name, selftest_stream stream)
{
    const selftest_run *run = &s->runs[stream];
    double psnr_db = s->psnr_db[stream];
    g_autofree char *peak = NULL;

    if (!selftest_worked(run)) {
        selftest_line(s->report, SELFTEST_FAIL, name, "%s",
                      run->err.text[0] ? run->err.text : "no budget was named");
        return;
    }
    peak = peak_text(run);
    if (isinf(psnr_db))
        selftest_line(s->report, selftest_judge(within_budget(run)), name, "bit-equal to auto, %s",
                      peak);
    else
        selftest_line(s->report, selftest_judge(psnr_db >= SAME_PICTURE_DB && within_budget(run)),
                      name, "not bit-equal to auto: %.1f dB (%d or more), %s", psnr_db,
                      SAME_PICTURE_DB, peak);
}

void selftest_check_modes(const selftest_state *s)
{
    check_same(s, "mode auto", SELFTEST_AUTO);
    check_same(s, "mode economy", SELFTEST_ECONOMY);
    check_same(s, "mode extreme-economy", SELFTEST_EXTREME);
    check_same(s, "mode auto with a budget", SELFTEST_BUDGET);
}

/* Nothing was loaded, and the text names what would work. */
static bool refused_early(const selftest_run *run, uint64_t smallest)
{
    return run->status == SVR_ERR_NO_VRAM && run->loads == 0 && smallest > 0 &&
           selftest_named_budget(run) == smallest;
}

static void tell_wrong_refusal(const selftest_state *s, const selftest_run *wrong)
{
    if (wrong->status == SVR_OK)
        selftest_line(s->report, SELFTEST_FAIL, "budget refused",
                      "%.0f MiB is named as the smallest budget, and less than that works",
                      mib(s->smallest));
    else
        selftest_line(s->report, SELFTEST_FAIL, "budget refused",
                      "after %d steps of loading, with the code \"%s\" and the text \"%s\"",
                      wrong->loads, svr_status_name(wrong->status), wrong->err.text);
}

void selftest_check_budget(const selftest_state *s)
{
    if (!refused_early(&s->none, s->smallest))
        tell_wrong_refusal(s, &s->none);
    else if (!refused_early(&s->below, s->smallest))
        tell_wrong_refusal(s, &s->below);
    else
        selftest_line(s->report, SELFTEST_PASS, "budget refused",
                      "1 byte and %.0f MiB, before anything is loaded; named: %.0f MiB",
                      mib(s->smallest) - 1, mib(s->smallest));
    check_same(s, "budget smallest", SELFTEST_SMALLEST);
}

/* ------------------------------------------------------------------ cleanup */

static uint64_t distance(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

static void check_batches(const selftest_state *s)
{
    uint64_t moved = 0, allocations = 0, host = 0;

    for (int i = 0; i < SELFTEST_STREAMS; i++) {
        const svr_memory_stats *a = &s->runs[i].first.memory, *b = &s->runs[i].last.memory;

        moved = MAX(moved, distance(a->used, b->used));
        host = MAX(host, distance(a->host_pinned, b->host_pinned));
        allocations += b->allocations - a->allocations;
    }
    selftest_line(s->report, selftest_judge(moved + allocations + host == 0), "cleanup batches",
                  "from batch 1 to %d: use moves by %" PRIu64 " bytes, page-locked by %" PRIu64
                  ", %" PRIu64 " allocations",
                  SELFTEST_BATCHES, moved, host, allocations);
}

static void check_destroy(const selftest_state *s)
{
    const selftest_run *again = &s->runs[SELFTEST_AGAIN];
    uint64_t device = 0, host = 0, pinned = 0, kept = fall(again->free_before, again->free_after);
    g_autofree char *free_text = NULL;
    int closed = 0;

    for (int i = 0; i < SELFTEST_STREAMS; i++) {
        const selftest_run *run = &s->runs[i];

        device += run->closed.used;
        host += run->closed.host_pinned;
        pinned = MAX(pinned, run->closed.host_pinned_peak);
        closed += selftest_worked(run) && run->closes == 1;
    }
    free_text = again->free_before > 0
                    ? g_strdup_printf("%.0f MiB less free than before (up to %.0f)", mib(kept),
                                      mib(FREE_AGAIN_BYTES))
                    : g_strdup("the device does not tell what is free");
    selftest_line(
        s->report,
        selftest_judge(device + host == 0 && closed == count_worked(s) && kept <= FREE_AGAIN_BYTES),
        "cleanup destroy",
        "%" PRIu64 " bytes left on the device, %" PRIu64 " page-locked (%.2f MiB at most); %s",
        device, host, mib(pinned), free_text);
}

void selftest_check_cleanup(const selftest_state *s)
{
    check_batches(s);
    check_destroy(s);
}

/* ------------------------------------------------------------------ monitoring */

static bool adds_up(const svr_upscaler_stats *stats)
{
    const svr_memory_stats *m = &stats->memory;

    return m->used > 0 && m->used == m->weights + m->state + m->scratch && m->used <= m->peak &&
           m->device_free <= m->device_total && m->scratch_peak <= stats->plan.scratch;
}

static bool timed(const svr_phase_times *t)
{
    return t->encode_ns > 0 && t->dit_ns > 0 && t->decode_ns > 0 && t->finish_ns > 0;
}

static bool told_all(const selftest_run *run)
{
    return run->plans == 1 && run->batches == SELFTEST_BATCHES && run->planned.plan.peak > 0 &&
           adds_up(&run->planned) && adds_up(&run->first) && adds_up(&run->last) &&
           timed(&run->first.last) && timed(&run->last.last);
}

void selftest_check_monitoring(const selftest_state *s)
{
    int told = 0, batches = 0, worked = count_worked(s);

    for (int i = 0; i < SELFTEST_STREAMS; i++) {
        told += selftest_worked(&s->runs[i]) && told_all(&s->runs[i]);
        batches += s->runs[i].batches;
    }
    selftest_line(s->report, selftest_judge(told == worked), "memory report",
                  "%d of %d streams tell plan, phases and memory that adds up; %d of %d batches",
                  told, worked, batches, worked * SELFTEST_BATCHES);
}

/* ------------------------------------------------------------------ speed and peak */

/* Behind the first batch. */
static double frame_seconds(const selftest_state *s, selftest_stream stream)
{
    const selftest_run *run = &s->runs[stream];

    return (double) (run->last_ns - run->first_ns) * 1e-9 /
           ((SELFTEST_BATCHES - 1) * s->setup->batch_size);
}

static void check_timing(const selftest_state *s)
{
    double plain = frame_seconds(s, SELFTEST_AGAIN), extreme = frame_seconds(s, SELFTEST_EXTREME);
    bool gpu = g_str_equal(s->runs[SELFTEST_AUTO].backend, "cuda");
    selftest_verdict verdict = gpu ? selftest_judge(extreme < SLOWER_LIMIT * plain) : SELFTEST_INFO;

    if (!selftest_worked(&s->runs[SELFTEST_AGAIN]) || !selftest_worked(&s->runs[SELFTEST_EXTREME]))
        return;
    selftest_line(s->report, verdict, "timing",
                  "%.4f s a frame; extreme-economy %.4f, %.2f times as long (limit on a GPU: %.0f)",
                  plain, extreme, extreme / plain, SLOWER_LIMIT);
}

void selftest_check_speed(const selftest_state *s)
{
    const svr_upscaler_stats *plain = &s->runs[SELFTEST_AUTO].last,
                             *extreme = &s->runs[SELFTEST_EXTREME].last;

    check_timing(s);
    if (!selftest_worked(&s->runs[SELFTEST_EXTREME]))
        return;
    selftest_line(s->report, SELFTEST_INFO, "peak",
                  "auto %.2f MiB, extreme-economy %.2f MiB (planned %.2f), %.0f %% less (aim: 50); "
                  "smallest budget %.0f MiB",
                  mib(plain->memory.peak), mib(extreme->memory.peak), mib(extreme->plan.peak),
                  100.0 * (1.0 - (double) extreme->memory.peak / (double) plain->memory.peak),
                  mib(s->smallest));
}
