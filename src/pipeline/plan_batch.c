/* How many frames an open batch gets. */
#include "pipeline/planner.h"

#include "base/checked.h"

/* An open batch whose copies nothing hides is not made larger than ENOUGH_FRAMES, and none is made
 * smaller than FEWEST_FRAMES only to hide them. */
enum { ENOUGH_FRAMES = 21, FEWEST_FRAMES = 5 };

/* Nor is one made larger that parks more than this: host memory is page-locked for it. */
#define MOST_PARKED ((uint64_t) 32 << 30)

/* Tables of other batches take memory that this one's plan would do without. */
static void forget_tables(const svr_planning *p)
{
    if (p->networks->forget)
        p->networks->forget(p->networks->user);
}

/* Plans for another batch; NO_VRAM is an answer. */
static svr_status try_batch(const svr_planning *p, int batch, bool *fitting, bool *hidden,
                            svr_error *err)
{
    svr_temporal_plan temporal =
        svr_temporal_plan_make(batch, p->temporal->overlap, p->temporal->prepend);
    svr_error refused = {.code = SVR_OK};
    svr_planning trial = *p;
    svr_memory_plan plan;
    svr_status status;

    trial.temporal = &temporal;
    trial.trial = true;
    forget_tables(p);
    status = svr_plan_make(&trial, &plan, &refused);
    *fitting = status == SVR_OK;
    *hidden = *fitting && plan.hidden && plan.host_parked <= MOST_PARKED;
    if (status != SVR_OK && status != SVR_ERR_NO_VRAM && err)
        *err = refused;
    return status == SVR_ERR_NO_VRAM ? SVR_OK : status;
}

/* *out = 0: none fits. */
static svr_status choose_batch(const svr_planning *p, int most, int *out, svr_error *err)
{
    static const int batches[] = {81, 61, 45, 33, 21, 13, 9, 5, 1};

    *out = 0;
    for (size_t i = 0; i < sizeof batches / sizeof batches[0]; i++) {
        bool fitting, hidden;

        if (batches[i] > most)
            continue;
        SVR_TRY(try_batch(p, batches[i], &fitting, &hidden, err));
        if (!fitting)
            continue;
        if (*out == 0 && batches[i] <= ENOUGH_FRAMES)
            *out = batches[i];
        if (hidden && batches[i] >= FEWEST_FRAMES) {
            *out = batches[i];
            return SVR_OK;
        }
    }
    return SVR_OK;
}

/* Never 0. */
static svr_status largest_batch(const svr_planning *p, int most, int *out, svr_error *err)
{
    svr_planning untiled = *p;

    untiled.without_last_resort = true;
    SVR_TRY(choose_batch(&untiled, most, out, err));
    if (*out == 0) /* tiles hide no copies, so larger batches need not be tried */
        SVR_TRY(choose_batch(p, most < ENOUGH_FRAMES ? most : ENOUGH_FRAMES, out, err));
    if (*out == 0)
        *out = 1;
    forget_tables(p);
    return SVR_OK;
}

svr_status svr_plan_open_batch(const svr_planning *p, int most, svr_temporal_plan *temporal,
                               svr_error *err)
{
    int batch;

    if (temporal->batch > 0)
        return SVR_OK;
    most = (int) svr_min_i64(most, svr_phases_most_frames(p->phases));
    SVR_TRY(largest_batch(p, most, &batch, err));
    *temporal = svr_temporal_plan_make(batch, temporal->overlap, temporal->prepend);
    return SVR_OK;
}
