#include "pipeline/planner.h"

#include "base/checked.h"
#include "pipeline/plan_levels.h"

/* What stays free of what the device has free: for libraries and for the display. */
#define MARGIN_BYTES ((uint64_t) 256 << 20)
enum { MARGIN_SHARE = 32 };

/* Bytes that can be copied each way while a stage computes: an H100 behind PCI Express 5, whose
 * copies hide least; smaller cards compute more slowly than their copies are slower.  A block of
 * the transformer multiplies all tokens with each of its weights, so the bytes go with both. */
enum { ENCODE_BYTES_PER_PIXEL = 800, DECODE_BYTES_PER_PIXEL = 1700, BREAK_EVEN_TOKENS = 11000 };

/* How often a choice is made again with less room, since ranges do not always pack as tightly as
 * the stages' peaks say. */
enum { MOST_TRIES = 6 };

/* ------------------------------------------------------------------ counting */

int64_t svr_waiting_frames(const svr_temporal_plan *t)
{
    return (svr_ceil_div(t->batch, t->step) - 1) * t->step + t->overlap;
}

/* Behind the slices that wait, the batch at hand and the whole one behind it; at least until the
 * lead-in has its mirror. */
int64_t svr_waiting_sources(const svr_temporal_plan *t)
{
    return svr_max_i64(svr_ceil_div(t->batch, t->step) * t->step + t->batch, t->prepend + 1);
}

/* As many as a batch makes, so that a worker need not wait when frames are pulled now and then. */
int64_t svr_waiting_finished(const svr_temporal_plan *t)
{
    return t->batch;
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
    return svr_backend_memory(p->backend).live[SVR_MEM_STATE] +
           frame_bytes(p, svr_waiting_frames(p->temporal)) +
           svr_phases_device_frames(p->phases, svr_waiting_sources(p->temporal),
                                    svr_waiting_finished(p->temporal));
}

static svr_network_weights weights_of(const svr_planning *p)
{
    svr_network_weights weights = {0};

    if (p->networks->weights)
        p->networks->weights(p->networks->user, &weights);
    return weights;
}

static uint64_t copied(const svr_phases_need *need, bool in)
{
    uint64_t sum = 0;

    for (int i = 0; i < SVR_STAGES; i++)
        sum += in ? need->stage[i].copied_in : need->stage[i].copied_out;
    return sum;
}

/* What each stage can hide, see above. */
static void hidden_bytes(const svr_planning *p, uint64_t out[3])
{
    const svr_size size = svr_phases_padded(p->phases);
    uint64_t pixels =
        (uint64_t) size.height * (uint64_t) size.width * (uint64_t) p->temporal->batch;
    double tokens = (double) svr_phases_tokens(p->phases, p->temporal->batch);

    out[0] = ENCODE_BYTES_PER_PIXEL * pixels;
    out[1] = (uint64_t) ((double) weights_of(p).block_total * tokens / BREAK_EVEN_TOKENS);
    out[2] = DECODE_BYTES_PER_PIXEL * pixels;
}

/* Whether frames are larger than tiles, which are whole latent pixels. */
static bool has_tiles(const svr_planning *p, const svr_vae_cut *cut)
{
    const svr_size size = svr_phases_padded(p->phases);
    int tiles[2] = {cut->encoder.tile, cut->decoder.tile}, factor = p->networks->spatial_factor;

    for (int i = 0; i < 2; i++) {
        int tile = tiles[i] / factor * factor;

        if (tile > 0 && (size.height > tile || size.width > tile))
            return true;
    }
    return false;
}

static void describe(const svr_planning *p, const svr_placement *placement,
                     const svr_weight_need *weights, const svr_phases_need *need,
                     svr_memory_plan *out)
{
    *out = (svr_memory_plan){.weights = weights->resident,
                             .state = state_bytes(p),
                             .scratch = need->scratch,
                             .host = weights->host + need->host,
                             .host_parked = need->host,
                             .copied_in = copied(need, true),
                             .copied_out = copied(need, false),
                             .batch_size = p->temporal->batch,
                             .blocks = weights_of(p).blocks,
                             .streamed_blocks = weights->streamed_blocks,
                             .slots = weights->streamed_blocks > 0 ? placement->slots : 0,
                             .token_chunk = placement->token_chunk,
                             .vae_streamed = placement->stream_vae,
                             .state_on_host = need->host > 0,
                             .parked = p->request->parked,
                             .tiled = has_tiles(p, &placement->cut)};
    out->peak = out->weights + out->state + out->scratch;
}

/* Counts a placement; the networks have it then. */
static svr_status weigh(const svr_planning *p, const svr_placement *placement,
                        svr_plan_extent extent, svr_phases_need *need, svr_memory_plan *out,
                        svr_error *err)
{
    svr_weight_need weights = {0};

    if (p->networks->place)
        SVR_TRY(p->networks->place(p->networks->user, placement, &weights, err));
    SVR_TRY(svr_phases_plan(p->phases, p->temporal, p->uniform, extent, p->cancel, need, err));
    describe(p, placement, &weights, need, out);
    return SVR_OK;
}

static svr_placement placement_of(const svr_planning *p, const svr_level_choice *choice)
{
    const svr_size size = svr_phases_padded(p->phases);
    const svr_level_frame frame = {.full_channels = weights_of(p).full_channels,
                                   .height = size.height,
                                   .width = size.width,
                                   .tile = p->request->tile_size};
    svr_placement placement = svr_level_placement(choice, &frame);

    placement.cut.encoder.parked = placement.cut.decoder.parked =
        svr_parked_precision_type(p->request->parked);
    return placement;
}

/* ------------------------------------------------------------------ the search */

/* Behind a failure networks know their weights only with a placement. */
static svr_status begin(const svr_planning *p, svr_error *err)
{
    svr_placement fastest = svr_placement_default();
    svr_weight_need ignored;

    return p->networks->place ? p->networks->place(p->networks->user, &fastest, &ignored, err)
                              : SVR_OK;
}

/* Counts levels of all stages up to `levels`, one dry run a level. */
static svr_status extend_table(const svr_planning *p, int levels, svr_level_table *table,
                               svr_error *err)
{
    for (; table->levels < levels; table->levels++) {
        int i = table->levels;
        svr_level_choice all = {.level = {i, i, i}};
        svr_placement placement = placement_of(p, &all);
        svr_phases_need need;
        svr_memory_plan plan;

        SVR_TRY(weigh(p, &placement, SVR_PLAN_WHOLE_BATCH, &need, &plan, err));
        for (int s = 0; s < SVR_STAGES; s++)
            table->stage[i][s] = need.stage[s];
        table->state = plan.state;
    }
    return SVR_OK;
}

/* All levels without tiles. */
static svr_status make_table(const svr_planning *p, svr_level_table *out, svr_error *err)
{
    *out = (svr_level_table){.weights = weights_of(p)};
    hidden_bytes(p, out->hidden);
    return extend_table(p, p->networks->place ? SVR_PLAN_LEVELS : 1, out, err);
}

/* And those with. */
static svr_status add_tiles(const svr_planning *p, svr_level_table *table, svr_error *err)
{
    return p->networks->place ? extend_table(p, SVR_ALL_LEVELS, table, err) : SVR_OK;
}

static bool fits(const svr_memory_plan *plan, uint64_t limit)
{
    return limit == 0 || plan->peak <= limit;
}

/* As many blocks stay as fit. */
static svr_status fill_blocks(const svr_planning *p, svr_placement *placement, uint64_t limit,
                              svr_error *err)
{
    int low = 0, high = weights_of(p).blocks;

    while (low < high) {
        svr_phases_need need;
        svr_memory_plan plan;

        placement->resident_blocks = (low + high + 1) / 2;
        SVR_TRY(weigh(p, placement, SVR_PLAN_WHOLE_BATCH, &need, &plan, err));
        if (fits(&plan, limit))
            low = placement->resident_blocks;
        else
            high = placement->resident_blocks - 1;
    }
    placement->resident_blocks = low;
    return SVR_OK;
}

/* Counts a placement of a choice with all lengths of batches. */
static svr_status weigh_fully(const svr_planning *p, const svr_level_choice *choice,
                              const svr_placement *placement, svr_memory_plan *out, svr_error *err)
{
    svr_phases_need need;
    uint64_t hidden[3];

    SVR_TRY(weigh(p, placement, SVR_PLAN_EVERY_BATCH, &need, out, err));
    hidden_bytes(p, hidden);
    out->hidden = svr_level_hides(choice, &need, hidden);
    return SVR_OK;
}

/* The same within a limit: what a whole batch does not fit is not counted any further, but for the
 * tables that counting leaves. */
static svr_status weigh_within(const svr_planning *p, const svr_level_choice *choice,
                               uint64_t limit, bool *found, svr_memory_plan *out, svr_error *err)
{
    svr_placement placement = placement_of(p, choice);
    svr_phases_need need;

    *found = false;
    SVR_TRY(weigh(p, &placement, SVR_PLAN_WHOLE_BATCH, &need, out, err));
    if (!fits(out, limit))
        return svr_phases_make_tables(p->phases, p->temporal, p->uniform, err);
    SVR_TRY(weigh_fully(p, choice, &placement, out, err));
    *found = fits(out, limit);
    return SVR_OK;
}

/* Settles what a choice leaves open, and counts it. */
static svr_status settle(const svr_planning *p, const svr_level_choice *choice, uint64_t limit,
                         svr_memory_plan *out, svr_error *err)
{
    svr_placement placement = placement_of(p, choice);

    if (choice->streamed && p->request->mode != SVR_VRAM_EXTREME_ECONOMY)
        SVR_TRY(fill_blocks(p, &placement, limit, err));
    return weigh_fully(p, choice, &placement, out, err);
}

static svr_status search(const svr_planning *p, const svr_level_table *table, uint64_t most,
                         bool *found, svr_memory_plan *out, svr_error *err)
{
    svr_level_limit limit = {.mode = p->request->mode, .peak = most};
    svr_level_choice choice;

    *found = false;
    for (int i = 0; i < MOST_TRIES && svr_level_choose(table, &limit, &choice); i++) {
        SVR_TRY(settle(p, &choice, most, out, err));
        *found = fits(out, most);
        if (*found || choice.scratch <= out->peak - most)
            return SVR_OK;
        limit.scratch = choice.scratch - (out->peak - most);
    }
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

static svr_status smallest(const svr_planning *p, const svr_level_table *table,
                           svr_memory_plan *out, svr_error *err)
{
    svr_level_choice choice = svr_level_smallest(table);
    svr_placement placement = placement_of(p, &choice);

    return weigh_fully(p, &choice, &placement, out, err);
}

svr_status svr_plan_smallest(const svr_planning *p, svr_memory_plan *out, svr_error *err)
{
    svr_level_table table;

    SVR_TRY(begin(p, err));
    SVR_TRY(make_table(p, &table, err));
    SVR_TRY(add_tiles(p, &table, err));
    return smallest(p, &table, out, err);
}

/* In MiB, rounded up. */
static unsigned long long mib(uint64_t bytes)
{
    return (unsigned long long) ((bytes + ((uint64_t) 1 << 20) - 1) >> 20);
}

static svr_status refuse(const svr_planning *p, const svr_level_table *table, uint64_t budget,
                         svr_memory_plan *least, svr_error *err)
{
    bool asked = p->request->budget > 0;

    if (!p->trial)
        SVR_TRY(smallest(p, table, least, err));
    svr_error_set(err, SVR_ERR_NO_VRAM, __FILE__, __LINE__,
                  "%.1f MiB%s are too few for batches of %d frames of this size: the smallest "
                  "vram-budget that works is %llu MiB (%llu bytes); %s, or use a smaller "
                  "batch-size or picture",
                  (double) budget / (1 << 20),
                  asked ? " of device memory" : " are free, less a margin, which",
                  p->temporal->batch, mib(least->peak), mib(least->peak) << 20,
                  asked ? "give as much" : "close other programs on this device");
    svr_error_bytes(err, (uint64_t) mib(least->peak) << 20, budget);
    return SVR_ERR_NO_VRAM;
}

/* The smallest plan by a table, also with guidance parked on the host. */
static svr_status try_smallest(const svr_planning *p, const svr_level_table *table, uint64_t budget,
                               bool *found, svr_memory_plan *out, svr_error *err)
{
    const svr_level_choice choice = svr_level_smallest(table);

    SVR_TRY(weigh_within(p, &choice, budget, found, out, err));
    if (*found || !p->may_park_guidance)
        return SVR_OK;
    svr_phases_park_guidance(p->phases, true);
    return weigh_within(p, &choice, budget, found, out, err);
}

/* The last resort are tiles; what the smallest plan needs is told when that does not fit either. */
static svr_status take_last_resort(const svr_planning *p, svr_level_table *table, uint64_t budget,
                                   svr_memory_plan *out, svr_error *err)
{
    bool found;

    SVR_TRY(try_smallest(p, table, budget, &found, out, err));
    if (!found && !p->without_last_resort) {
        SVR_TRY(add_tiles(p, table, err));
        SVR_TRY(search(p, table, budget, &found, out, err));
        if (!found)
            SVR_TRY(try_smallest(p, table, budget, &found, out, err));
    }
    return found ? SVR_OK : refuse(p, table, budget, out, err);
}

/* Everything resident at the fastest levels, which is what nothing else is better than. */
static svr_status try_fastest(const svr_planning *p, uint64_t limit, bool *found,
                              svr_memory_plan *out, svr_error *err)
{
    const svr_level_choice fastest = {.streamed = false};

    *found = false;
    return p->request->mode == SVR_VRAM_AUTO ? weigh_within(p, &fastest, limit, found, out, err)
                                             : SVR_OK;
}

svr_status svr_plan_make(const svr_planning *p, svr_memory_plan *out, svr_error *err)
{
    uint64_t budget = budget_of(p), limit = budget;
    svr_level_table table;
    bool found;

    if (p->request->mode == SVR_VRAM_AUTO && p->request->threshold > 0 &&
        (limit == 0 || p->request->threshold < limit))
        limit = p->request->threshold;
    if (p->may_park_guidance) /* plans for other batches may have left it there */
        svr_phases_park_guidance(p->phases, false);
    SVR_TRY(begin(p, err));
    SVR_TRY(try_fastest(p, limit, &found, out, err));
    if (!found) {
        SVR_TRY(make_table(p, &table, err));
        SVR_TRY(search(p, &table, limit, &found, out, err));
    }
    if (!found && limit != budget)
        SVR_TRY(search(p, &table, budget, &found, out, err));
    if (!found)
        SVR_TRY(take_last_resort(p, &table, budget, out, err));
    out->budget = budget;
    return SVR_OK;
}
