#include "pipeline/planner.h"

#include "base/checked.h"

#include <string.h>

/* Streaming a block's weights costs nothing when the batch has so many tokens that multiplying them
 * takes longer than copying: F/W tokens for F FLOP/s and W byte/s, whatever the block's size.  Cards
 * of today lie between 5000 and 11000. */
enum { BREAK_EVEN_TOKENS = 11000 };

/* What stays free of what the device has free: for libraries and for the display. */
#define MARGIN_BYTES ((uint64_t) 256 << 20)
enum { MARGIN_SHARE = 32 };

/* ------------------------------------------------------------------ the list */

/* Ways to do with less activation memory, each at more cost than the one before. */
typedef struct level {
    int64_t piece_values, token_chunk;
} level;

#define VALUES(bits) ((int64_t) 1 << (bits))

static const level levels[] = {
    {VALUES(26), 0},
    {VALUES(26), 16384},
    {VALUES(24), 8192},
    {VALUES(24), 4096},
    {1, 2048},
};
enum { LEVELS = sizeof levels / sizeof levels[0], CHEAP_LEVELS = 2, ECONOMY_LEVEL = 2 };

/* A point in the list. */
typedef struct attempt {
    int level;
    bool streamed; /* the VAE's weights come for their phase, and blocks beyond `resident` */
    int resident;  /* blocks */
} attempt;

static svr_placement placement_of(const attempt *a)
{
    svr_placement p = svr_placement_default();

    p.cut.piece_values = levels[a->level].piece_values;
    p.token_chunk = levels[a->level].token_chunk;
    p.stream_vae = a->streamed;
    if (a->streamed)
        p.resident_blocks = a->resident;
    return p;
}

/* ------------------------------------------------------------------ counting */

svr_waiting_frames svr_waiting_frames_of(const svr_temporal_plan *t)
{
    int64_t depth = svr_ceil_div(t->batch, t->step);

    return (svr_waiting_frames){(depth - 1) * t->step + t->batch, t->overlap};
}

static uint64_t frame_bytes(const svr_planning *p, int64_t frames)
{
    svr_tensor t = {.dtype = SVR_F32, .rank = 4};

    if (frames == 0)
        return 0;
    svr_phases_slice_dims(p->phases, (int) frames, t.dims);
    return svr_tensor_bytes(&t);
}

/* Tables and constants are there when the phases were counted, since that makes them. */
static uint64_t state_bytes(const svr_planning *p)
{
    svr_waiting_frames waiting = svr_waiting_frames_of(p->temporal);

    return svr_backend_memory(p->backend).live[SVR_MEM_STATE] + frame_bytes(p, waiting.pending) +
           frame_bytes(p, waiting.shared);
}

static void describe(const svr_planning *p, const svr_placement *placement,
                     const svr_weight_need *weights, const svr_phases_need *need,
                     svr_memory_plan *out)
{
    svr_network_weights all = {0};

    if (p->networks->weights)
        p->networks->weights(p->networks->user, &all);
    *out = (svr_memory_plan){
        .weights = weights->resident,
        .state = state_bytes(p),
        .scratch = need->scratch,
        .host = weights->host + need->host,
        .host_parked = need->host,
        .copied_in = need->copied_in,
        .copied_out = need->copied_out,
        .batch_size = p->temporal->batch,
        .blocks = all.blocks,
        .streamed_blocks = weights->streamed_blocks,
        .slots = weights->streamed_blocks > 0 ? placement->slots : 0,
        .token_chunk = placement->token_chunk,
        .vae_streamed = placement->stream_vae,
        .state_on_host = need->host > 0,
        .tiled = placement->cut.tile_h > 0,
        .hidden = need->copied_in + need->copied_out == 0 ||
                  svr_phases_tokens(p->phases, p->temporal->batch) >= BREAK_EVEN_TOKENS};
    out->peak = out->weights + out->state + out->scratch;
}

static svr_status weigh(const svr_planning *p, const attempt *a, svr_plan_extent extent,
                        svr_memory_plan *out, svr_error *err)
{
    svr_placement placement = placement_of(a);
    svr_weight_need weights = {0};
    svr_phases_need need;

    if (p->networks->place)
        SVR_TRY(p->networks->place(p->networks->user, &placement, &weights, err));
    SVR_TRY(svr_phases_plan(p->phases, p->temporal, p->uniform, extent, p->cancel, &need, err));
    describe(p, &placement, &weights, &need, out);
    return SVR_OK;
}

/* ------------------------------------------------------------------ the search */

static int block_count(const svr_planning *p)
{
    svr_network_weights weights = {0};

    if (p->networks->weights)
        p->networks->weights(p->networks->user, &weights);
    return weights.blocks;
}

static bool fits(const svr_memory_plan *plan, uint64_t limit)
{
    return limit == 0 || plan->peak <= limit;
}

/* Counts an attempt; whole batches first, since these are what most placements fail by. */
static svr_status try_attempt(const svr_planning *p, const attempt *a, uint64_t limit, bool *found,
                              svr_memory_plan *out, svr_error *err)
{
    *found = false;
    SVR_TRY(weigh(p, a, SVR_PLAN_WHOLE_BATCH, out, err));
    if (!fits(out, limit))
        return SVR_OK;
    SVR_TRY(weigh(p, a, SVR_PLAN_EVERY_BATCH, out, err));
    *found = fits(out, limit);
    return SVR_OK;
}

/* With streamed weights: as many blocks stay as fit. */
static svr_status try_streamed(const svr_planning *p, int level_index, uint64_t limit, bool *found,
                               svr_memory_plan *out, svr_error *err)
{
    int low = 0, high = p->request->mode == SVR_VRAM_EXTREME_ECONOMY ? 0 : block_count(p);
    attempt a = {.level = level_index, .streamed = true};

    SVR_TRY(try_attempt(p, &a, limit, found, out, err));
    if (!*found)
        return SVR_OK;
    while (low < high) {
        svr_memory_plan more;

        a.resident = (low + high + 1) / 2;
        SVR_TRY(weigh(p, &a, SVR_PLAN_WHOLE_BATCH, &more, err));
        if (fits(&more, limit))
            low = a.resident;
        else
            high = a.resident - 1;
    }
    /* shorter batches may need a little more */
    for (a.resident = low; a.resident >= 0; a.resident--) {
        SVR_TRY(try_attempt(p, &a, limit, found, out, err));
        if (*found)
            return SVR_OK;
    }
    return SVR_OK;
}

/* The first of the list that fits. */
static svr_status search(const svr_planning *p, uint64_t limit, bool *found, svr_memory_plan *out,
                         svr_error *err)
{
    bool hidden = svr_phases_tokens(p->phases, p->temporal->batch) >= BREAK_EVEN_TOKENS;
    bool economy = p->request->mode != SVR_VRAM_AUTO;
    int resident_levels = !p->networks->place ? 1 : hidden ? CHEAP_LEVELS : CHEAP_LEVELS + 1;

    *found = false;
    for (int i = 0; i < resident_levels && !economy && !*found; i++)
        SVR_TRY(try_attempt(p, &(attempt){.level = i}, limit, found, out, err));
    if (!p->networks->place)
        return SVR_OK;
    for (int i = economy ? ECONOMY_LEVEL : 0; i < LEVELS && !*found; i++)
        SVR_TRY(try_streamed(p, i, limit, found, out, err));
    return SVR_OK;
}

static uint64_t budget_of(const svr_planning *p)
{
    svr_memory_use use;
    uint64_t margin, room;

    if (p->request->budget > 0)
        return p->request->budget;
    use = svr_backend_memory(p->backend);
    if (use.device_total == 0)
        return 0;
    margin = use.device_total / MARGIN_SHARE;
    if (margin < MARGIN_BYTES)
        margin = MARGIN_BYTES;
    room = use.device_free + use.live_total;
    return room > margin ? room - margin : 1;
}

svr_status svr_plan_smallest(const svr_planning *p, svr_memory_plan *out, svr_error *err)
{
    attempt a = {.level = p->networks->place ? LEVELS - 1 : 0, .streamed = p->networks->place != NULL};

    return weigh(p, &a, SVR_PLAN_EVERY_BATCH, out, err);
}

/* In MiB, rounded up. */
static unsigned long long mib(uint64_t bytes)
{
    return (unsigned long long) ((bytes + ((uint64_t) 1 << 20) - 1) >> 20);
}

static svr_status refuse(const svr_planning *p, uint64_t budget, svr_error *err)
{
    svr_memory_plan least;

    SVR_TRY(svr_plan_smallest(p, &least, err));
    return SVR_FAIL(err, SVR_ERR_NO_VRAM,
                    "%llu MiB of device memory are too few for batches of %d frames of this size: "
                    "the smallest vram-budget that works is %llu MiB (%llu bytes); give as much, or "
                    "use a smaller batch-size or picture",
                    (unsigned long long) (budget >> 20), p->temporal->batch, mib(least.peak),
                    mib(least.peak) << 20);
}

svr_status svr_plan_make(const svr_planning *p, svr_memory_plan *out, svr_error *err)
{
    uint64_t budget = budget_of(p), limit = budget;
    bool found;

    if (p->request->mode == SVR_VRAM_AUTO && p->request->threshold > 0 &&
        (limit == 0 || p->request->threshold < limit))
        limit = p->request->threshold;
    SVR_TRY(search(p, limit, &found, out, err));
    if (!found && limit != budget)
        SVR_TRY(search(p, budget, &found, out, err));
    if (!found)
        return refuse(p, budget, err);
    out->budget = budget;
    return SVR_OK;
}

svr_status svr_plan_batch(const svr_planning *p, int most, int *out, svr_error *err)
{
    uint64_t budget = budget_of(p);
    int low = 0, high = (most - 1) / 4;

    while (low < high) {
        int n = (low + high + 1) / 2;
        svr_temporal_plan temporal = svr_temporal_plan_make(4 * n + 1, p->temporal->overlap,
                                                            p->temporal->prepend);
        svr_planning trial = *p;
        svr_memory_plan least;

        trial.temporal = &temporal;
        SVR_TRY(svr_plan_smallest(&trial, &least, err));
        if (fits(&least, budget))
            low = n;
        else
            high = n - 1;
    }
    *out = 4 * low + 1;
    return SVR_OK;
}
