#include "pipeline/plan_levels.h"

#include "base/checked.h"

enum { ENCODER, TRANSFORMER, DECODER, NETWORKS };

static const svr_stage stages[NETWORKS] = {SVR_STAGE_ENCODE, SVR_STAGE_DIT, SVR_STAGE_DECODE};

/* Pieces and carried values in frames of full size, 0: the default and one sweep.  `exposed`: how
 * much of what is parked on the host nothing hides, in percent, as an H100 behind PCI Express 5
 * shows it: the more sweeps, the less there is to compute in each. */
typedef struct vae_level {
    int piece, carried;
    bool host;
    int tight;
    int exposed;
    bool even;
} vae_level;

static const vae_level vae_levels[SVR_PLAN_LEVELS] = {
    {0, 0, false, 0, 0, false}, {1, 0, false, 0, 0, false},  {1, 12, false, 0, 0, false},
    {1, 8, false, 0, 0, false}, {1, 5, false, 0, 0, false},  {1, 4, false, 0, 0, false},
    {1, 2, false, 0, 0, false}, {1, 12, true, 0, 15, false}, {1, 12, true, 1, 16, false},
    {1, 9, true, 0, 20, false}, {1, 9, true, 1, 21, false},  {1, 9, true, 0, 22, true},
    {1, 9, true, 1, 23, true},  {1, 9, true, 2, 25, true},   {1, 8, true, 0, 35, false},
    {1, 8, true, 1, 36, false}, {1, 6, true, 0, 50, false},  {1, 6, true, 1, 52, false},
    {1, 6, true, 2, 54, false}, {1, 5, true, 0, 70, false},  {1, 5, true, 1, 72, false},
    {1, 5, true, 2, 75, false}, {1, 4, true, 0, 75, false},  {1, 4, true, 1, 77, false},
    {1, 4, true, 2, 80, false}, {1, 2, true, 0, 90, false},  {1, 2, true, 1, 92, false},
    {1, 2, true, 2, 95, false}, {1, 1, true, 2, 95, false},
};

/* Tiles, where nothing untiled fits: pixels each way.  Of a stage without its carried frames at
 * once there is nothing to gain at these sizes, so it is one sweep. */
static const int tiles[SVR_TILED_LEVELS] = {1024, 768, 512, 384, 256};
static const vae_level tiled_level = {1, 16, true, 0, 100, false};

/* What tiles compute more than none, in percent: the passes that measure, and what overlaps. */
enum { TILES_COMPUTE_MORE = 400 };

/* Tokens that a block takes at a time. */
static const int token_chunks[] = {0, 32768, 16384, 8192, 4096, 2048, 1024};
enum {
    CHUNK_LEVELS = sizeof token_chunks / sizeof token_chunks[0],
    ECONOMY_VAE_LEVEL = 1,
    ECONOMY_CHUNK_LEVEL = 3
};

static int level_count(const svr_level_table *t, int network)
{
    return network == TRANSFORMER ? CHUNK_LEVELS : t->levels;
}

static bool is_tiled(int level)
{
    return level >= SVR_PLAN_LEVELS;
}

static const vae_level *level_of(int level)
{
    return is_tiled(level) ? &tiled_level : &vae_levels[level];
}

/* Pixels of tiles: those asked for unless the level has smaller ones; 0: none. */
static int tile_of(int level, int asked)
{
    int own = is_tiled(level) ? tiles[level - SVR_PLAN_LEVELS] : 0;

    return own > 0 && (asked == 0 || own < asked) ? own : asked;
}

static svr_vae_memory vae_memory(int level, const svr_level_frame *f, svr_vae_memory fastest)
{
    const vae_level *l = level_of(level);
    int64_t frame_values = f->full_channels;

    fastest.tile = tile_of(level, f->tile);
    if (l->piece == 0)
        return fastest;
    frame_values *= fastest.tile > 0 ? svr_min_i64(f->height, fastest.tile) : f->height;
    frame_values *= fastest.tile > 0 ? svr_min_i64(f->width, fastest.tile) : f->width;
    return (svr_vae_memory){.tile = fastest.tile,
                            .piece_values =
                                svr_min_i64(l->piece * frame_values, fastest.piece_values),
                            .carried_values = l->carried * frame_values,
                            .even = l->even,
                            .park_on_host = l->host,
                            .tight = l->tight};
}

svr_placement svr_level_placement(const svr_level_choice *c, const svr_level_frame *frame)
{
    svr_placement p = svr_placement_default();

    p.cut.encoder = vae_memory(c->level[ENCODER], frame, p.cut.encoder);
    p.cut.decoder = vae_memory(c->level[DECODER], frame, p.cut.decoder);
    /* short clips go whole at the fastest level of both */
    if (c->level[ENCODER] > 0 || c->level[DECODER] > 0)
        p.cut.whole_frames = 0;
    /* what is behind its levels is nobody's choice: the quickest to count */
    p.token_chunk = c->level[TRANSFORMER] < CHUNK_LEVELS ? token_chunks[c->level[TRANSFORMER]] : 0;
    p.stream_vae = c->streamed;
    p.ahead = c->streamed && c->ahead;
    if (c->streamed)
        p.resident_blocks = 0;
    return p;
}

/* ------------------------------------------------------------------ cost */

static uint64_t more_of(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Bytes that are brought in for a stage, of weights, and what of its scratch memory they and those
 * of the next stage take. */
typedef struct fetched {
    uint64_t copied[NETWORKS], slots[NETWORKS];
    uint64_t exposed; /* before a stage can begin */
} fetched;

static fetched weights_fetched(const svr_level_table *t, const svr_level_choice *c)
{
    const svr_network_weights *w = &t->weights;
    uint64_t blocks = 0;
    fetched f = {.exposed = 0};

    if (!c->streamed)
        return f;
    if (c->resident < w->block_total) {
        f.copied[TRANSFORMER] = w->block_total - c->resident;
        blocks = (uint64_t) svr_placement_default().slots * w->block_largest;
    }
    f.copied[ENCODER] = w->encoder;
    f.copied[DECODER] = w->decoder;
    f.slots[ENCODER] = w->encoder + (c->ahead ? blocks : 0);
    f.slots[TRANSFORMER] = blocks + (c->ahead ? w->decoder : 0);
    f.slots[DECODER] = w->decoder;
    if (!c->ahead)
        f.exposed = w->decoder + (blocks ? w->block_largest : 0);
    return f;
}

/* Scratch memory of a network's stage at a level.  Finished frames lie where the decoder put them.
 */
static uint64_t scratch_of(const svr_level_table *t, int network, int level)
{
    const svr_stage_need *need = t->stage[level];

    return network == DECODER
               ? more_of(need[SVR_STAGE_DECODE].scratch, need[SVR_STAGE_FINISH].scratch)
               : need[stages[network]].scratch;
}

/* Bytes that nothing hides: what goes beyond `hidden`, and a share of what is parked at least. */
static double exposed_bytes(int network, int level, double bytes, double parked, double hidden)
{
    double share = network == TRANSFORMER ? 0.0 : 0.01 * level_of(level)->exposed * parked;

    return bytes - hidden > share ? bytes - hidden : share;
}

/* Bytes that are not copied behind work; a little for those that are, since links are shared; and
 * for smaller pieces and chunks, as a share of the stage's time: 2 percent, then half of one a
 * level, and what tiles compute more. */
static double stage_cost(const svr_level_table *t, int network, int level, uint64_t weights)
{
    const svr_stage_need *need = &t->stage[level][stages[network]];
    double parked = (double) more_of(need->copied_in, need->copied_out);
    double hidden = (double) t->hidden[network], bytes = parked + (double) weights;

    double slower = level > 0 ? 0.02 + 0.005 * level : 0.0;

    if (is_tiled(level))
        slower += 0.01 * TILES_COMPUTE_MORE;
    return exposed_bytes(network, level, bytes, parked, hidden) + 0.02 * bytes + hidden * slower;
}

/* The cheapest level of a network whose stage takes at most `room`; -1: none. */
static int cheapest_level(const svr_level_table *t, int network, int first, uint64_t room,
                          uint64_t weights, double *cost)
{
    int best = -1;

    for (int i = first; i < level_count(t, network); i++) {
        double c = stage_cost(t, network, i, weights);

        if (scratch_of(t, network, i) <= room && (best < 0 || c < *cost)) {
            best = i;
            *cost = c;
        }
    }
    return best;
}

static int first_level(svr_vram_mode mode, int network)
{
    if (mode == SVR_VRAM_AUTO)
        return 0;
    return network == TRANSFORMER ? ECONOMY_CHUNK_LEVEL : ECONOMY_VAE_LEVEL;
}

/* Levels for scratch memory of `scratch` bytes; false when some stage cannot do with that. */
static bool fill_levels(const svr_level_table *t, svr_vram_mode mode, uint64_t scratch,
                        svr_level_choice *c, double *cost)
{
    fetched f = weights_fetched(t, c);

    *cost = (double) f.exposed;
    for (int n = 0; n < NETWORKS; n++) {
        double stage = 0.0;

        if (f.slots[n] > scratch)
            return false;
        c->level[n] =
            cheapest_level(t, n, first_level(mode, n), scratch - f.slots[n], f.copied[n], &stage);
        if (c->level[n] < 0)
            return false;
        *cost += stage;
    }
    return true;
}

/* ------------------------------------------------------------------ choice */

/* The best so far. */
typedef struct best_choice {
    bool any;
    double cost;
    svr_level_choice choice;
} best_choice;

static void consider(const svr_level_table *t, svr_vram_mode mode, uint64_t scratch,
                     svr_level_choice choice, best_choice *best)
{
    double cost;

    if (!fill_levels(t, mode, scratch, &choice, &cost) || (best->any && cost >= best->cost))
        return;
    *best = (best_choice){true, cost, choice};
}

/* Everything that is not scratch memory when all weights that may go are streamed. */
static uint64_t least_fixed(const svr_level_table *t)
{
    return t->state + t->weights.fixed;
}

static uint64_t all_weights(const svr_level_table *t)
{
    return t->weights.encoder + t->weights.decoder + t->weights.block_total;
}

/* Choices with scratch memory of this size. */
static void consider_scratch(const svr_level_table *t, const svr_level_limit *limit,
                             uint64_t scratch, best_choice *best)
{
    svr_level_choice c = {.scratch = scratch};
    uint64_t fixed = least_fixed(t) + scratch, most = limit->peak;

    if (limit->scratch != 0 && scratch > limit->scratch)
        return;
    if (limit->mode == SVR_VRAM_AUTO && (most == 0 || fixed + all_weights(t) <= most))
        consider(t, limit->mode, scratch, c, best);
    if (t->weights.blocks == 0 || (most != 0 && fixed > most) ||
        (most == 0 && limit->mode == SVR_VRAM_AUTO))
        return;
    c.streamed = true;
    c.resident =
        most == 0 || most - fixed > t->weights.block_total ? t->weights.block_total : most - fixed;
    if (limit->mode == SVR_VRAM_EXTREME_ECONOMY)
        c.resident = 0;
    consider(t, limit->mode, scratch, c, best);
    c.ahead = true;
    consider(t, limit->mode, scratch, c, best);
}

/* Scratch sizes at which something changes: what some level of some stage takes, with and without
 * weights. */
bool svr_level_choose(const svr_level_table *t, const svr_level_limit *limit, svr_level_choice *out)
{
    svr_level_choice late = {.streamed = true}, ahead = {.streamed = true, .ahead = true};
    const fetched f[3] = {{.exposed = 0}, weights_fetched(t, &late), weights_fetched(t, &ahead)};
    best_choice best = {.any = false};

    for (int n = 0; n < NETWORKS; n++)
        for (int i = 0; i < level_count(t, n); i++)
            for (int k = 0; k < 3; k++)
                consider_scratch(t, limit, scratch_of(t, n, i) + f[k].slots[n], &best);
    *out = best.choice;
    return best.any;
}

bool svr_level_hides(const svr_level_choice *c, const svr_phases_need *need,
                     const uint64_t hidden[3])
{
    double exposed = 0.0, work = 0.0;

    for (int n = 0; n < NETWORKS; n++) {
        const svr_stage_need *s = &need->stage[stages[n]];
        double bytes = (double) more_of(s->copied_in, s->copied_out);

        exposed += exposed_bytes(n, c->level[n], bytes, (double) s->copied_out, (double) hidden[n]);
        work += (double) hidden[n];
    }
    return exposed <= 0.03 * work;
}

svr_level_choice svr_level_smallest(const svr_level_table *t)
{
    svr_level_choice c = {.streamed = t->weights.blocks > 0};

    for (int n = 0; n < NETWORKS; n++)
        for (int i = 1; i < level_count(t, n); i++)
            if (scratch_of(t, n, i) < scratch_of(t, n, c.level[n]))
                c.level[n] = i;
    return c;
}
