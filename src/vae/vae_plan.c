/* How a clip goes through a half: the pieces that its steps work on, and the sweeps that they are
 * grouped into.  Plain arithmetic on sizes; nothing here touches a device. */
#include "vae/vae_plan.h"

#include "base/checked.h"
#include "vae/vae_run.h"

#include <string.h>

/* ---------------------------------------------------------------------------- sizes */

int64_t svr_vae_residual_channels(const vae_resnet *r)
{
    return svr_min_i64(r->conv1.in, r->conv1.out);
}

/* Sizes [T,H,W,C] of what a step makes of `in`. */
static void result_dims(const vae_half *half, const vae_step *step, const int64_t in[4],
                        int64_t out[4])
{
    memcpy(out, in, 4 * sizeof out[0]);
    switch (step->kind) {
    case VAE_STEP_ENTER:
        out[3] = half->conv_in.out;
        break;
    case VAE_STEP_OPEN:
        out[3] = step->resnet->conv1.out;
        break;
    case VAE_STEP_DOWN:
        out[0] = step->block->temporal ? (in[0] - 1) / 2 + 1 : in[0];
        out[1] = in[1] / 2;
        out[2] = in[2] / 2;
        break;
    case VAE_STEP_UP:
        out[0] = step->block->temporal ? 2 * in[0] - 1 : in[0];
        out[1] = 2 * in[1];
        out[2] = 2 * in[2];
        break;
    case VAE_STEP_LEAVE:
    case VAE_STEP_PICTURE:
        out[3] = half->conv_out.out;
        break;
    case VAE_STEP_CLOSE:
    case VAE_STEP_ATTEND:
        break;
    }
}

/* Values that a step carries from piece to piece, as svr_vae_state_take() takes them. */
static int64_t carried_values(const vae_half *half, const vae_step *step, const int64_t in[4])
{
    int64_t frame = in[1] * in[2] * in[3];

    switch (step->kind) {
    case VAE_STEP_OPEN:
    case VAE_STEP_CLOSE:
    case VAE_STEP_LEAVE:
        return 2 * frame;
    case VAE_STEP_DOWN:
        return step->block->rescale.state < 0 ? 0 : frame;
    case VAE_STEP_UP:
        return step->block->temporal ? frame : 2 * frame;
    case VAE_STEP_PICTURE: /* nine sums a pixel of twice the size, two frames of them */
        return 4 * in[1] * in[2] * half->conv_out.kt * half->conv_out.out;
    case VAE_STEP_ENTER:
    case VAE_STEP_ATTEND:
        break;
    }
    return 0;
}

/* Values of the whole clip in front of step `index`; attention works in place and keeps its result
 * to itself. */
static int64_t parked_values(const vae_plan *plan, const vae_half *half, int index)
{
    const int64_t *d = plan->dims[index];
    const vae_step *step = &half->steps[index];
    int64_t channels = d[3];

    if (half->steps[index - 1].kind == VAE_STEP_ATTEND)
        return INT64_MAX / 4;
    if (step->kind == VAE_STEP_CLOSE)
        channels += svr_vae_residual_channels(step->resnet);
    return d[0] * d[1] * d[2] * channels;
}

/* ---------------------------------------------------------------------------- pieces */

static bool doubles_time(const vae_step *step)
{
    return step->kind == VAE_STEP_UP && step->block->temporal;
}

static bool halves_time(const vae_step *step)
{
    return step->kind == VAE_STEP_DOWN && step->block->temporal;
}

/* Values of the widest activation that one input frame leads to in a segment. */
static int64_t frame_values(const vae_plan *plan, const vae_segment *s)
{
    int64_t widest = 1;

    for (int i = s->first; i <= s->end; i++) {
        const int64_t *d = plan->dims[i];
        int64_t frames = i > s->first && s->doubles ? 2 : 1;

        widest = svr_max_i64(widest, frames * d[1] * d[2] * d[3]);
    }
    return widest;
}

/* Starts a new segment at each stage and at each sweep. */
static void list_segments(vae_plan *plan, const vae_half *half)
{
    vae_segment *s = NULL;

    plan->count = 0;
    for (int i = plan->first; i < plan->end; i++) {
        const vae_step *step = &half->steps[i];

        if (i == plan->first || plan->breaks[i] || step->stage != step[-1].stage) {
            s = &plan->segments[plan->count++];
            *s = (vae_segment){.first = i,
                               .in = plan->dims[i][0],
                               .doubles = doubles_time(step),
                               .starts_sweep = i == plan->first || plan->breaks[i]};
        }
        s->end = i + 1;
        s->out = plan->dims[i + 1][0];
        s->halves = halves_time(step);
    }
}

/* Frames at a time. */
static void cut_segments(vae_plan *plan, bool decodes, int64_t piece_values)
{
    for (int i = 0; i < plan->count; i++) {
        vae_segment *s = &plan->segments[i];

        s->most = s->in;
        if (piece_values > 0) {
            s->most = svr_max_i64(1, piece_values / frame_values(plan, s));
        } else if (decodes && i == 0 && plan->slice > 0) {
            s->most = plan->slice;
            s->extra = 1;
        }
    }
}

/* A slice goes through the encoder whole: no segment of the last sweep is asked for more. */
static void bound_by_slice(vae_plan *plan)
{
    int64_t want = plan->slice + 1;

    for (int i = plan->count - 1; i >= 0; i--) {
        vae_segment *s = &plan->segments[i];

        want = s->halves ? 2 * want : want;
        s->most = svr_min_i64(s->most, want);
        if (s->starts_sweep)
            return;
    }
}

/* A segment of the decoder gets no more than the one before makes. */
static void bound_by_supply(vae_plan *plan)
{
    for (vae_segment *s = plan->segments + 1; s < plan->segments + plan->count; s++) {
        int64_t supply = (s[-1].doubles ? 2 : 1) * (s[-1].most + s[-1].extra);

        if (!s->starts_sweep)
            s->most = svr_min_i64(s->most, supply);
    }
}

/* A segment is cut by its own pieces, in the decoder by those of the segment before, in the encoder
 * by those that the one behind asks for. */
static void find_cut_segments(vae_plan *plan, bool decodes)
{
    bool cut = !decodes && plan->slice > 0;

    for (int n = 0; n < plan->count; n++) {
        int i = decodes ? n : plan->count - 1 - n;
        vae_segment *s = &plan->segments[i];

        if (n > 0 && (decodes ? s->starts_sweep : s[1].starts_sweep))
            cut = false;
        cut = cut || s->in > s->most + s->extra;
        s->cut = cut;
    }
}

/* ---------------------------------------------------------------------------- sweeps */

static const vae_segment *segment_of(const vae_plan *plan, int step)
{
    int i = 0;

    while (plan->segments[i].end <= step)
        i++;
    return &plan->segments[i];
}

/* Values that a step carries, by the segments as they are now. */
static int64_t carried_by(const vae_plan *plan, const vae_half *half, int step)
{
    return segment_of(plan, step)->cut ? carried_values(half, &half->steps[step], plan->dims[step])
                                       : 0;
}

/* Values of what a step makes of a piece, and of the piece. */
static int64_t held_by(const vae_plan *plan, const vae_half *half, int step)
{
    const vae_segment *s = segment_of(plan, step);
    const int64_t *in = plan->dims[step], *out = plan->dims[step + 1];
    int64_t made = doubles_time(&half->steps[step]) ? 2 : 1;

    return svr_min_i64(s->in, s->most) * (in[1] * in[2] * in[3] + made * out[1] * out[2] * out[3]);
}

/* A sweep on its way from its end to its beginning, in values. */
typedef struct sweep_size {
    int64_t carried, held, here; /* held by the segments behind the one at hand, and by that one */
    const vae_segment *segment;
    int carrying; /* steps */
} sweep_size;

static void add_in_front(sweep_size *size, const vae_plan *plan, const vae_half *half, int step)
{
    const vae_segment *s = segment_of(plan, step);
    int64_t carried = carried_by(plan, half, step);

    size->carried += carried;
    size->carrying += carried > 0;
    if (s != size->segment) {
        size->held += size->here;
        size->here = 0;
        size->segment = s;
    }
    size->here = svr_max_i64(size->here, held_by(plan, half, step));
}

/* Whether it is better to park `cost` values with a largest sweep of `widest` than what is known
 * for sweeps up to `end`. */
static bool is_better(const vae_plan *plan, int end, int64_t cost, int64_t widest, bool even)
{
    if (plan->from[end] < 0)
        return true;
    if (even)
        return cost + widest < plan->cost[end] + plan->widest[end];
    return cost < plan->cost[end] || (cost == plan->cost[end] && widest < plan->widest[end]);
}

/* The best sweeps up to step `end`, and where the last of them begins. */
static void find_sweep(vae_plan *plan, const vae_half *half, int end, const svr_vae_memory *memory)
{
    sweep_size size = {0};

    plan->from[end] = -1;
    for (int begin = end - 1; begin >= plan->first; begin--) {
        int64_t cost, widest;

        add_in_front(&size, plan, half, begin);
        if (size.carried > memory->carried_values && size.carrying > 1)
            return;
        cost = plan->cost[begin] + (begin > plan->first ? parked_values(plan, half, begin) : 0);
        widest = svr_max_i64(plan->widest[begin], size.carried + size.held + size.here);
        if (is_better(plan, end, cost, widest, memory->even)) {
            plan->cost[end] = cost;
            plan->widest[end] = widest;
            plan->from[end] = begin;
        }
    }
}

static void find_sweeps(vae_plan *plan, const vae_half *half, const svr_vae_memory *memory)
{
    plan->cost[plan->first] = plan->widest[plan->first] = 0;
    for (int end = plan->first + 1; end <= plan->end; end++)
        find_sweep(plan, half, end, memory);
    for (int begin = plan->from[plan->end]; begin > plan->first; begin = plan->from[begin])
        plan->breaks[begin] = true;
}

/* A step that carries more than the limit by itself, between sweeps on the host. */
static void find_bands(vae_plan *plan, const vae_half *half, int64_t limit)
{
    for (int i = 1; i + 1 < plan->count; i++) {
        vae_segment *s = &plan->segments[i];
        const vae_resnet *r = half->steps[s->first].resnet;

        s->banded = s->cut && s->starts_sweep && s[1].starts_sweep && s->end == s->first + 1 &&
                    half->steps[s->first].kind == VAE_STEP_OPEN && r->has_shortcut &&
                    r->shortcut.out < r->shortcut.in &&
                    carried_values(half, &half->steps[s->first], plan->dims[s->first]) > limit;
        if (s->banded) {
            s->cut = false; /* it carries nothing */
            s->most = 1;
        }
    }
}

static void list_dims(vae_plan *plan, const vae_half *half, const svr_tensor *in)
{
    memcpy(plan->dims[plan->first], in->dims, sizeof plan->dims[0]);
    for (int i = plan->first; i < plan->end; i++)
        result_dims(half, &half->steps[i], plan->dims[i], plan->dims[i + 1]);
}

/* Pieces first, since only what comes in pieces carries anything; then the sweeps, and the pieces
 * within them.  Steps in the middle of a half have latent frames in front. */
void svr_vae_plan_clip(svr_vae *vae, const vae_half *half, const svr_vae_cut *cut,
                       const svr_tensor *in, const int range[2])
{
    vae_plan *plan = &vae->plan;
    int64_t factor = svr_vae_temporal_factor(&vae->config);
    bool decodes = half == &vae->decoder, latent = decodes || range[0] > 0;
    int64_t frames = latent ? factor * (in->dims[0] - 1) + 1 : in->dims[0];
    svr_vae_cut used = frames > cut->whole_frames ? *cut : (svr_vae_cut){0};
    const svr_vae_memory *memory = decodes ? &used.decoder : &used.encoder;
    bool sliced = used.slice_frames > 0 && frames - 1 > used.slice_frames;

    plan->first = range[0];
    plan->end = range[1];
    list_dims(plan, half, in);
    memset(plan->breaks, 0, (size_t) half->step_count * sizeof plan->breaks[0]);
    plan->slice = sliced ? used.slice_frames / factor : 0;
    for (int pass = 0; pass < 2; pass++) {
        list_segments(plan, half);
        cut_segments(plan, decodes, memory->piece_values);
        if (decodes)
            bound_by_supply(plan);
        else if (plan->slice > 0)
            bound_by_slice(plan);
        find_cut_segments(plan, decodes);
        if (pass == 0 && memory->carried_values > 0)
            find_sweeps(plan, half, memory);
    }
    if (memory->carried_values > 0 && memory->park_on_host && memory->tile == 0)
        find_bands(plan, half, memory->carried_values);
}
