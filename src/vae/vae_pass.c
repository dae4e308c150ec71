/* A clip on its way through a sweep, piece by piece.
 *
 * The end asks: the last segment's next piece makes the segment before work until its input is
 * there, and so on up to the clip or to what is parked.  In the decoder the segments near the end
 * are the wide ones: each uses up what the one before made, in pieces of its own size.  In the
 * encoder they are the narrow ones: what they ask for is put together from several pieces of the
 * segment before, which writes them side by side. */
#include "vae/vae_pass.h"

#include "backend/ops.h"
#include "base/checked.h"
#include "vae/vae_state.h"
#include "vae/vae_steps.h"

/* Input frames [first, first + count) of a segment and how many frames they become. */
typedef struct vae_piece {
    int64_t first, count, results;
} vae_piece;

/* ---------------------------------------------------------------------------- pieces */

/* Most frames that a segment of the encoder makes of its next piece; the first halves to more. */
static int64_t results_at_a_time(const vae_segment *s)
{
    return s->halves ? svr_max_i64(1, (s->most + (s->made == 0)) / 2) : s->most;
}

/* The encoder's next piece, of up to `want` results. */
static vae_piece piece_for(const vae_segment *s, int64_t want)
{
    int64_t n = svr_min_i64(svr_min_i64(want, s->out - s->made), results_at_a_time(s));

    return (vae_piece){s->taken, s->halves ? 2 * n - (s->made == 0) : n, n};
}

/* The decoder's, of up to `have` frames. */
static vae_piece piece_of(const vae_segment *s, int64_t have)
{
    bool first = s->taken == 0;
    int64_t n = svr_min_i64(s->most + (first ? s->extra : 0), have);

    return (vae_piece){s->taken, n, s->doubles ? 2 * n - first : n};
}

static void book(vae_segment *s, const vae_piece *piece)
{
    s->taken += piece->count;
    s->made += piece->results;
}

int64_t svr_vae_demand(const vae_pass *p)
{
    const vae_segment *last = &p->plan->segments[p->end - 1];

    if (last->owed > 0)
        return last->owed;
    if (svr_vae_goes_on(p) || p->plan->slice == 0)
        return last->out - last->made;
    return p->plan->slice + (last->made == 0);
}

/* Input frames of the piece behind the one that segment `index` has just begun. */
static int64_t next_count(const vae_pass *p, int index) /* NOLINT(misc-no-recursion) */
{
    const vae_segment *s = &p->plan->segments[index];

    if (p->decodes)
        return piece_of(s, s->in - s->taken).count;
    if (s->owed > 0)
        return piece_for(s, s->owed).count;
    return piece_for(s, index + 1 < p->end ? next_count(p, index + 1) : svr_vae_demand(p)).count;
}

/* ---------------------------------------------------------------------------- steps */

static svr_status open_resnet(vae_pass *p, const vae_step *step, vae_frames *x, svr_error *err)
{
    vae_input input;

    SVR_TRY(svr_vae_split(p->run, step->resnet, x, &input, err));
    if (p->run->goes_on)
        return svr_vae_open(p->run, step->resnet, &input, x, err);
    /* to the host the residual leaves while conv1 is at work */
    SVR_TRY(svr_vae_park_put(p->run, &p->target, p->done, x, err));
    SVR_TRY(svr_vae_open(p->run, step->resnet, &input, x, err));
    return p->memory->tight > 0 ? svr_vae_park_settle(p->run, &p->target, err) : SVR_OK;
}

static svr_status finish(vae_pass *p, const vae_piece *piece, vae_frames *x, svr_error *err)
{
    svr_tensor y =
        svr_tensor_slice(&p->out, p->done, svr_min_i64(piece->results, p->out.dims[0] - p->done));

    p->done += y.dims[0];
    return p->decodes ? svr_vae_picture(p->run, p->half, &x->x, &y, err)
                      : svr_vae_leave(p->run, p->half, &x->x, &y, err);
}

static svr_status run_step(vae_pass *p, const vae_step *step, const vae_piece *piece, vae_frames *x,
                           svr_error *err)
{
    vae_run *run = p->run;

    SVR_TRY(svr_exec_poll(run->exec, err));
    switch (step->kind) {
    case VAE_STEP_ENTER:
        return svr_vae_enter(run, p->half, p->in,
                             (int64_t[2]){piece->first, piece->first + piece->count}, x, err);
    case VAE_STEP_OPEN:
        return open_resnet(p, step, x, err);
    case VAE_STEP_CLOSE:
        return svr_vae_close(run, step->resnet, x, err);
    case VAE_STEP_ATTEND:
        return svr_vae_attend(run, step->attention, &x->x, err);
    case VAE_STEP_DOWN:
        return svr_vae_downsample(run, step->block, x, err);
    case VAE_STEP_UP:
        return svr_vae_upsample(run, step->block, x, err);
    case VAE_STEP_LEAVE:
    case VAE_STEP_PICTURE:
        break;
    }
    return finish(p, piece, x, err);
}

/* An upsampler leaves its input alone: gives it back once all of it is used up. */
static void give_input(vae_pass *p, vae_segment *s, svr_tensor *input)
{
    if (!svr_tensor_present(&s->held))
        svr_vae_give(p->run, input);
    else if (s->used == s->held.dims[0])
        svr_vae_give(p->run, &s->held);
}

/* A sweep of one large step, perhaps with small ones. */
static bool is_lone(const vae_pass *p, int index)
{
    const vae_segment *s = &p->plan->segments[index];
    int large = 0;

    for (int i = s->first; i < s->end; i++) {
        vae_step_kind kind = p->half->steps[i].kind;

        large += kind == VAE_STEP_OPEN || kind == VAE_STEP_CLOSE || kind == VAE_STEP_UP;
    }
    return s->starts_sweep && index == p->end - 1 && large <= 1;
}

/* Gives back frames on their way to the host before they would add to the peak, see
 * svr_vae_memory.tight; else the next ones that leave do it. */
static svr_status settle_before(vae_pass *p, bool due, svr_error *err)
{
    return due && p->target.on_host ? svr_vae_park_settle(p->run, &p->target, err) : SVR_OK;
}

/* Whether a sweep of several large steps makes room behind its first step, here that of segment
 * `index`: one that uses up parked residuals, so that the next ones find their place, or the small
 * one that begins the clip. */
static bool makes_room(const vae_pass *p, int index)
{
    const vae_segment *s = &p->plan->segments[index];
    vae_step_kind kind = p->half->steps[s->first].kind;

    return p->memory->park_on_host && s->starts_sweep && !is_lone(p, index) &&
           ((kind == VAE_STEP_CLOSE && p->memory->tight > 0) ||
            (kind == VAE_STEP_ENTER && p->memory->tight > 1));
}

/* What comes takes the place of what was used up, and what leaves goes before the next step needs
 * more. */
static svr_status make_room(vae_pass *p, svr_error *err)
{
    SVR_TRY(svr_vae_park_fetch_late(p->run, &p->source, err));
    return settle_before(p, true, err);
}

/* All steps of a segment on one piece. */
static svr_status run_steps(vae_pass *p, int index, const vae_piece *piece, const vae_frames *place,
                            vae_frames *x, svr_error *err)
{
    vae_segment *s = &p->plan->segments[index];
    vae_state *state = &p->run->vae->state;
    bool parked = index == p->end - 1 && svr_vae_parks(p), lone = is_lone(p, index);

    p->run->at = piece->first;
    state->first = piece->first == 0;
    state->last = piece->first + piece->count == s->in;
    for (int i = s->first; i < s->end; i++) {
        const vae_step *step = &p->half->steps[i];
        svr_tensor input = x->x;

        p->run->goes_on = i + 1 < s->end || !parked;
        p->run->place = i + 1 < s->end ? NULL : place;
        SVR_TRY(settle_before(p, !p->run->goes_on && p->memory->tight > (lone ? 1 : 0), err));
        SVR_TRY(run_step(p, step, piece, x, err));
        SVR_TRY(svr_vae_tap(p->run, step->tap, &x->x, err));
        if (step->kind == VAE_STEP_UP) {
            give_input(p, s, &input);
            if (s->doubles && p->run->at > 0)
                p->run->at = 2 * p->run->at - 1;
        }
        if (i == s->first && makes_room(p, index))
            SVR_TRY(make_room(p, err));
    }
    return SVR_OK;
}

/* ---------------------------------------------------------------------------- segments */

/* The piece's input from what is parked; the clip itself is looked at by the first step. */
static svr_status take_parked(vae_pass *p, int index, const vae_piece *piece, vae_frames *x,
                              svr_error *err)
{
    vae_range range = {.first = piece->first,
                       .count = piece->count,
                       .next = next_count(p, index),
                       .late = makes_room(p, index)};

    *x = (vae_frames){0};
    return p->in && index == 0 ? SVR_OK : svr_vae_park_take(p->run, &p->source, &range, x, err);
}

/* The statistics of frames `first` and on of a segment's input, as they are made. */
static svr_status keep_moments(vae_pass *p, vae_segment *s, int64_t first, const svr_tensor *x,
                               svr_error *err)
{
    svr_copy_args copy = {.src = svr_vae_moments_of(p->run, x),
                          .dst = svr_tensor_slice(&s->moments, first, x->dims[0])};

    return svr_op_copy(p->run->exec, &copy, err);
}

/* The piece's input, of several pieces of the segment before. */
static svr_status gather(vae_pass *p, int index, int64_t count, vae_frames *x,
                         svr_error *err) /* NOLINT(misc-no-recursion) */
{
    vae_segment *s = &p->plan->segments[index];
    const int64_t *d = p->plan->dims[s->first];
    vae_state *state = &p->run->vae->state;

    *x = (vae_frames){0};
    SVR_TRY(svr_exec_alloc(p->run->exec, p->run->storage, SVR_DIMS(count, d[1], d[2], d[3]), &x->x,
                           err));
    for (int64_t done = 0; done < count;) {
        int64_t n = piece_for(s - 1, count - done).results;
        vae_frames place = {.x = svr_tensor_slice(&x->x, done, n)}, part;

        SVR_TRY(svr_vae_run_segment(p, index - 1, count - done, &place, &part, err));
        SVR_TRY(keep_moments(p, s, done, &part.x, err));
        done += n;
    }
    state->known = svr_tensor_slice(&s->moments, 0, count);
    state->known_of = x->x.data;
    return SVR_OK;
}

static svr_status fetch_to_encode(vae_pass *p, int index, int64_t want, vae_piece *piece,
                                  vae_frames *x, svr_error *err) /* NOLINT(misc-no-recursion) */
{
    vae_segment *s = &p->plan->segments[index];

    *piece = piece_for(s, want);
    s->owed = svr_min_i64(want, s->out - s->made) - piece->results;
    book(s, piece);
    if (s->starts_sweep)
        return take_parked(p, index, piece, x, err);
    if (results_at_a_time(s - 1) >= piece->count)
        return svr_vae_run_segment(p, index - 1, piece->count, NULL, x, err);
    return gather(p, index, piece->count, x, err);
}

static svr_status fetch_to_decode(vae_pass *p, int index, vae_piece *piece, vae_frames *x,
                                  svr_error *err) /* NOLINT(misc-no-recursion) */
{
    vae_segment *s = &p->plan->segments[index];

    if (s->starts_sweep) {
        *piece = piece_of(s, s->in - s->taken);
        book(s, piece);
        return take_parked(p, index, piece, x, err);
    }
    if (!svr_tensor_present(&s->held)) {
        SVR_TRY(svr_vae_run_segment(p, index - 1, 0, NULL, x, err));
        s->held = x->x;
        s->used = 0;
    }
    *piece = piece_of(s, s->held.dims[0] - s->used);
    *x = (vae_frames){.x = svr_tensor_slice(&s->held, s->used, piece->count)};
    s->used += piece->count;
    book(s, piece);
    return SVR_OK;
}

svr_status svr_vae_run_segment(vae_pass *p, int index, int64_t want, const vae_frames *place,
                               vae_frames *x, svr_error *err) /* NOLINT(misc-no-recursion) */
{
    vae_piece piece;
    vae_frames parked;

    SVR_TRY(settle_before(p, p->memory->tight > 1 && is_lone(p, index), err));
    SVR_TRY(p->decodes ? fetch_to_decode(p, index, &piece, x, err)
                       : fetch_to_encode(p, index, want, &piece, x, err));
    if (index == p->end - 1 && svr_vae_parks(p) && !p->target.on_host) {
        parked = svr_vae_park_place(&p->target, p->done, piece.results);
        place = &parked;
    }
    return run_steps(p, index, &piece, place, x, err);
}
