/* Which frames make a batch, as frames stream in, against the plan of a whole clip (spec §2). */
#include "pipeline/batcher.h"

#include "check.h"

/* Frames of one pixel in host memory, which lives as long as the program. */
static svr_frame_store *store(void)
{
    static svr_frame_store *only;
    const svr_video_info info = {.format = SVR_PIXEL_RGB, .width = 1, .height = 1};

    svr_error err = {0};

    if (!only)
        CHECK_OK(svr_frame_store_create(NULL, &info, 0, &only, &err), err);
    return only;
}

static uint8_t *numbered(int n)
{
    uint8_t *data = svr_frame_store_take(store());

    CHECK(data != NULL);
    *data = (uint8_t) n;
    return data;
}

/* Source frame of virtual frame v (spec §2.1). */
static int head_source(int n, int prepend, int v)
{
    int mirrored = prepend - v;

    if (v >= prepend)
        return v - prepend;
    return mirrored < n ? mirrored : n - 1;
}

/* Spans of the whole clip, written down from spec §2.2. */
static int whole_plan(int total, const svr_temporal_plan *plan, svr_batch_span *spans)
{
    int count = 0;

    for (int start = 0; start < total; start += plan->step) {
        int end = start + plan->batch < total ? start + plan->batch : total;

        if (start > 0 && end - start <= plan->overlap)
            break;
        spans[count++] = (svr_batch_span){start, end - start};
    }
    return count;
}

/* Takes what is ready; every batch that is whole must be ready at once. */
static int take_ready(svr_batcher *b, const svr_temporal_plan *plan, int n, int pushed,
                      svr_batch_span *spans)
{
    svr_batch_span span;
    int count = 0;
    int64_t waiting = svr_batcher_waiting(b);

    while (svr_batcher_next(b, &span)) {
        CHECK(svr_batcher_waiting(b) == waiting - count);
        svr_batcher_advance(b);
        for (int i = 0; i < span.count; i++) {
            int v = (int) span.start + i;

            CHECK(*svr_batcher_frame(b, v) == head_source(n, plan->prepend, v));
            CHECK(head_source(n, plan->prepend, v) < pushed);
        }
        svr_batcher_release(b, span.start + plan->step);
        spans[count++] = span;
    }
    CHECK(count == waiting && svr_batcher_waiting(b) == 0);
    return count;
}

static void check_clip(int n, const svr_temporal_plan *plan)
{
    svr_batcher *b = svr_batcher_create(plan, store());
    svr_batch_span want[64] = {0}, got[64] = {0};
    int wanted = whole_plan(n + plan->prepend, plan, want), count = 0;
    svr_error err = {0};

    CHECK(b != NULL);
    for (int round = 0; round < 2; round++, count = 0) {
        for (int i = 0; i < n; i++) {
            CHECK_OK(svr_batcher_push(b, numbered(i), &err), err);
            count += take_ready(b, plan, n, i + 1, got + count);
            /* nothing whole waits, and frames behind the plan are gone */
            if (i + 1 > plan->prepend)
                CHECK(i + 1 + plan->prepend - count * plan->step < plan->batch);
            CHECK(svr_batcher_held(b) <= plan->batch + plan->prepend);
        }
        svr_batcher_end(b);
        count += take_ready(b, plan, n, n, got + count);
        CHECK(count == wanted && svr_batcher_pushed(b) == n);
        for (int i = 0; i < count; i++)
            CHECK(got[i].start == want[i].start && got[i].count == want[i].count);
        svr_batcher_restart(b);
        CHECK(svr_batcher_held(b) == 0 && !svr_batcher_ended(b));
    }
    svr_batcher_destroy(b);
}

static void test_all_plans(void)
{
    for (int batch = 1; batch <= 9; batch++)
        for (int overlap = 0; overlap < 5; overlap++)
            for (int prepend = 0; prepend < 5; prepend++)
                for (int n = 1; n <= 14; n++) {
                    svr_temporal_plan plan = svr_temporal_plan_make(batch, overlap, prepend);

                    check_clip(n, &plan);
                }
}

static void test_plan_values(void)
{
    svr_temporal_plan plan = svr_temporal_plan_make(5, 3, 2);

    CHECK(plan.step == 2 && plan.overlap == 3 && plan.prepend == 2);
    plan = svr_temporal_plan_make(3, 3, 0);
    CHECK(plan.step == 3 && plan.overlap == 0);
}

static void test_lead_in_waits_for_its_mirror(void)
{
    svr_temporal_plan plan = svr_temporal_plan_make(1, 0, 2);
    svr_batcher *b = svr_batcher_create(&plan, store());
    svr_batch_span span;
    svr_error err = {0};

    CHECK(b != NULL && !svr_batcher_next(b, &span));
    for (int i = 0; i < 2; i++) {
        CHECK_OK(svr_batcher_push(b, numbered(i), &err), err);
        CHECK(!svr_batcher_next(b, &span));
    }
    CHECK_OK(svr_batcher_push(b, numbered(2), &err), err);
    CHECK(svr_batcher_next(b, &span) && span.start == 0 && span.count == 1);
    CHECK(*svr_batcher_frame(b, 0) == 2 && *svr_batcher_frame(b, 1) == 1);
    CHECK(svr_batcher_waiting(b) == 5);
    svr_batcher_destroy(b);
}

static void test_nothing_after_an_empty_end(void)
{
    svr_temporal_plan plan = svr_temporal_plan_make(5, 1, 3);
    svr_batcher *b = svr_batcher_create(&plan, store());
    svr_batch_span span;

    CHECK(b != NULL);
    svr_batcher_end(b);
    CHECK(!svr_batcher_next(b, &span) && svr_batcher_waiting(b) == 0);
    svr_batcher_destroy(b);
}

int main(void)
{
    RUN(test_plan_values);
    RUN(test_all_plans);
    RUN(test_lead_in_waits_for_its_mirror);
    RUN(test_nothing_after_an_empty_end);
    svr_frame_store_destroy(store());
    return check_done();
}
