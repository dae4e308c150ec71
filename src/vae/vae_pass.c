/* A clip on its way through a half, sweep by sweep.
 *
 * Within a sweep the end asks: the last segment's next piece makes the segment before work until
 * its input is there, and so on up to the clip or to what is parked.  In the decoder the segments
 * near the end are the wide ones: each uses up what the one before made, in pieces of its own size.
 * In the encoder they are the narrow ones: what they ask for is put together from several pieces of
 * the segment before, which writes them side by side. */
#include "vae/vae_internal.h"

#include "base/checked.h"

typedef struct vae_pass {
    vae_run *run;
    const vae_half *half;
    const svr_tensor *in, *out;
    vae_plan *plan;
    bool decodes;
    bool on_host; /* parks there */
    int end;      /* segment behind the sweep at work */
    vae_parked source, target;
    int64_t done; /* frames of the sweep's result */
} vae_pass;

/* Input frames [first, first + count) of a segment and how many frames they become. */
typedef struct vae_piece {
    int64_t first, count, results;
} vae_piece;

static bool parks(const vae_pass *p)
{
    return p->end < p->plan->count;
}

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

/* Frames that the end of the sweep asks for. */
static int64_t demand(const vae_pass *p)
{
    const vae_segment *last = &p->plan->segments[p->end - 1];

    if (last->owed > 0)
        return last->owed;
    if (parks(p) || p->plan->slice == 0)
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
    return piece_for(s, index + 1 < p->end ? next_count(p, index + 1) : demand(p)).count;
}

/* ---------------------------------------------------------------------------- steps */

static svr_status open_resnet(vae_pass *p, const vae_step *step, vae_frames *x, svr_error *err)
{
    vae_input input;

    SVR_TRY(svr_vae_split(p->run, step->resnet, x, &input, err));
    if (p->run->goes_on || !p->on_host)
        return svr_vae_open(p->run, step->resnet, &input, x, err);
    /* the residual leaves while conv1 is at work */
    SVR_TRY(svr_vae_park_put(p->run, &p->target, p->done, x, err));
    SVR_TRY(svr_vae_open(p->run, step->resnet, &input, x, err));
    return svr_vae_park_settle(p->run, &p->target, err);
}

static svr_status finish(vae_pass *p, const vae_piece *piece, vae_frames *x, svr_error *err)
{
    svr_tensor y =
        svr_tensor_slice(p->out, p->done, svr_min_i64(piece->results, p->out->dims[0] - p->done));

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

/* A sweep of one large step, perhaps with small ones: made for the least memory. */
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

/* Frames on their way to the host are given time until the last step of the next piece, whose
 * result they would add to; a lone step's, until its next input is fetched. */
static svr_status settle_before(vae_pass *p, bool due, svr_error *err)
{
    return due && parks(p) && p->on_host ? svr_vae_park_settle(p->run, &p->target, err) : SVR_OK;
}

/* All steps of a segment on one piece. */
static svr_status run_steps(vae_pass *p, int index, const vae_piece *piece, const vae_frames *place,
                            vae_frames *x, svr_error *err)
{
    vae_segment *s = &p->plan->segments[index];
    vae_state *state = &p->run->vae->state;
    bool parked = index == p->end - 1 && parks(p);

    state->first = piece->first == 0;
    state->last = piece->first + piece->count == s->in;
    for (int i = s->first; i < s->end; i++) {
        const vae_step *step = &p->half->steps[i];
        svr_tensor input = x->x;

        p->run->goes_on = i + 1 < s->end || !parked;
        p->run->place = i + 1 < s->end ? NULL : place;
        SVR_TRY(settle_before(p, !p->run->goes_on, err));
        SVR_TRY(run_step(p, step, piece, x, err));
        SVR_TRY(svr_vae_tap(p->run, step->tap, &x->x, err));
        if (step->kind == VAE_STEP_UP)
            give_input(p, s, &input);
    }
    return SVR_OK;
}

/* ---------------------------------------------------------------------------- segments */

static svr_status run_segment(vae_pass *p, int index, int64_t want, const vae_frames *place,
                              vae_frames *x, svr_error *err);

/* The piece's input from what the sweep before parked; the clip itself is looked at by the first
 * step. */
static svr_status take_parked(vae_pass *p, int index, const vae_piece *piece, vae_frames *x,
                              svr_error *err)
{
    vae_range range = {piece->first, piece->count, next_count(p, index)};

    *x = (vae_frames){0};
    return index == 0 ? SVR_OK : svr_vae_park_take(p->run, &p->source, &range, x, err);
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

        SVR_TRY(run_segment(p, index - 1, count - done, &place, &part, err));
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
        return run_segment(p, index - 1, piece->count, NULL, x, err);
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
        SVR_TRY(run_segment(p, index - 1, 0, NULL, x, err));
        s->held = x->x;
        s->used = 0;
    }
    *piece = piece_of(s, s->held.dims[0] - s->used);
    *x = (vae_frames){.x = svr_tensor_slice(&s->held, s->used, piece->count)};
    s->used += piece->count;
    book(s, piece);
    return SVR_OK;
}

/* The segment's next piece, of up to `want` frames (encoder), at `place` if that is given. */
static svr_status run_segment(vae_pass *p, int index, int64_t want, const vae_frames *place,
                              vae_frames *x, svr_error *err) /* NOLINT(misc-no-recursion) */
{
    vae_piece piece;
    vae_frames parked;

    SVR_TRY(settle_before(p, is_lone(p, index), err));
    SVR_TRY(p->decodes ? fetch_to_decode(p, index, &piece, x, err)
                       : fetch_to_encode(p, index, want, &piece, x, err));
    if (index == p->end - 1 && parks(p) && !p->on_host) {
        parked = svr_vae_park_place(&p->target, p->done, piece.results);
        place = &parked;
    }
    return run_steps(p, index, &piece, place, x, err);
}

/* ---------------------------------------------------------------------------- sweeps */

/* Most frames that a segment has in hand. */
static int64_t frames_in_hand(const vae_pass *p, const vae_segment *s)
{
    int64_t n = svr_min_i64(s->in, s->most + s->extra);

    if (p->decodes)
        return s->doubles ? 2 * n : n;
    return s->halves ? svr_min_i64(s->in, svr_max_i64(2, s->most)) : n;
}

/* Memory for what a resnet's conv2 sees and keeps, where frames come one by one. */
static svr_status take_spare(vae_pass *p, int begin, svr_error *err)
{
    const int64_t *widest = NULL;

    for (int i = begin; i < p->end; i++) {
        const vae_segment *s = &p->plan->segments[i];

        for (int step = s->first + 1; step < s->end; step++) {
            const int64_t *d = p->plan->dims[step];

            if (s->cut && frames_in_hand(p, s) == 1 &&
                p->half->steps[step].kind == VAE_STEP_CLOSE &&
                (!widest || d[1] * d[2] * d[3] > widest[1] * widest[2] * widest[3]))
                widest = d;
        }
    }
    return widest ? svr_exec_alloc(p->run->exec, p->run->storage,
                                   SVR_DIMS(1, widest[1], widest[2], widest[3]),
                                   &p->run->vae->state.spare, err)
                  : SVR_OK;
}

/* Memory that stays while a sweep runs. */
static svr_status take_state(vae_pass *p, int begin, svr_error *err)
{
    const vae_plan *plan = p->plan;
    int64_t most = 1;

    for (int i = begin; i < p->end; i++)
        most = svr_max_i64(most, frames_in_hand(p, &plan->segments[i]));
    SVR_TRY(svr_vae_state_begin(p->run, most, err));
    for (int i = begin; i < p->end; i++) {
        vae_segment *s = &plan->segments[i];

        if (!p->decodes && i > begin)
            SVR_TRY(
                svr_exec_alloc(p->run->exec, SVR_F32,
                               SVR_DIMS(frames_in_hand(p, s), p->run->vae->config.norm_groups, 3),
                               &s->moments, err));
        for (int step = s->first; s->cut && step < s->end; step++)
            SVR_TRY(svr_vae_state_take(p->run, p->half, &p->half->steps[step], plan->dims[step][1],
                                       plan->dims[step][2], err));
    }
    return take_spare(p, begin, err);
}

/* Gives back what a sweep had; its result becomes the next one's source. */
static svr_status end_sweep(vae_pass *p, int begin, svr_error *err)
{
    vae_state *state = &p->run->vae->state;

    SVR_TRY(svr_vae_park_settle(p->run, &p->target, err));
    for (int i = begin; i < p->end; i++) {
        svr_vae_give(p->run, &p->plan->segments[i].held);
        svr_exec_free(p->run->exec, &p->plan->segments[i].moments);
    }
    svr_vae_state_end(p->run);
    SVR_TRY(svr_vae_park_close(p->run, &p->source, err));
    p->source = p->target;
    p->target = (vae_parked){0};
    state->parked[0] = p->on_host ? (svr_tensor){0} : p->source.x;
    state->parked[1] = p->on_host ? (svr_tensor){0} : p->source.residual;
    return SVR_OK;
}

/* A result of fewer frames than there are ends it early. */
static svr_status run_sweep(vae_pass *p, int begin, svr_error *err)
{
    vae_segment *last = &p->plan->segments[p->end - 1];

    p->done = 0;
    if (parks(p))
        SVR_TRY(svr_vae_park_open(p->run, p->half, last->end, p->on_host, &p->target, err));
    SVR_TRY(take_state(p, begin, err));
    while (last->taken < last->in && (parks(p) || p->done < p->out->dims[0])) {
        vae_frames x;
        int64_t frames;

        SVR_TRY(run_segment(p, p->end - 1, demand(p), NULL, &x, err));
        if (!parks(p))
            continue;
        frames = x.x.dims[0];
        SVR_TRY(svr_vae_park_put(p->run, &p->target, p->done, &x, err));
        p->done += frames;
    }
    return end_sweep(p, begin, err);
}

static svr_status run_sweeps(vae_pass *p, svr_error *err)
{
    const vae_plan *plan = p->plan;
    vae_state *state = &p->run->vae->state;

    /* a run that failed may have left its own */
    state->parked[0] = state->parked[1] = (svr_tensor){0};
    state->sliced = false;
    for (int i = 0; i < plan->count; i++)
        state->sliced =
            state->sliced || plan->segments[i].cut || (i > 0 && plan->segments[i].starts_sweep);
    for (int begin = 0; begin < plan->count; begin = p->end) {
        p->end = begin + 1;
        while (parks(p) && !plan->segments[p->end].starts_sweep)
            p->end++;
        SVR_TRY(run_sweep(p, begin, err));
    }
    return SVR_OK;
}

/* After a failure: ops that come may use all memory, so they wait for copies on their way. */
static void let_copies_end(svr_backend *backend)
{
    svr_error ignored = {0};
    svr_status in = svr_backend_order(backend, SVR_QUEUE_IN, SVR_QUEUE_COMPUTE, &ignored);
    svr_status out = svr_backend_order(backend, SVR_QUEUE_OUT, SVR_QUEUE_COMPUTE, &ignored);

    (void) in;
    (void) out;
}

static svr_status run_clip(vae_pass *p, const svr_vae_cut *cut, svr_error *err)
{
    svr_vae *vae = p->run->vae;
    /* of the longer end */
    int64_t frames =
        p->decodes ? svr_vae_temporal_factor(&vae->config) * p->in->dims[0] : p->in->dims[0];
    svr_status status;

    p->plan = &vae->plan;
    svr_vae_plan_clip(vae, p->half, cut, p->in);
    if (p->on_host)
        SVR_TRY(svr_vae_park_prepare(vae, frames, err));
    status = run_sweeps(p, err);
    if (status != SVR_OK && p->on_host)
        let_copies_end(p->run->exec->backend);
    return status;
}

svr_status svr_vae_encode_clip(vae_run *run, const svr_vae_cut *cut, const svr_tensor *x,
                               const svr_tensor *moments, svr_error *err)
{
    vae_pass p = {.run = run,
                  .half = &run->vae->encoder,
                  .in = x,
                  .out = moments,
                  .on_host = cut->encoder.park_on_host};

    return run_clip(&p, cut, err);
}

svr_status svr_vae_decode_clip(vae_run *run, const svr_vae_cut *cut, const svr_tensor *z,
                               const svr_tensor *y, svr_error *err)
{
    vae_pass p = {.run = run,
                  .half = &run->vae->decoder,
                  .in = z,
                  .out = y,
                  .decodes = true,
                  .on_host = cut->decoder.park_on_host};

    return run_clip(&p, cut, err);
}
