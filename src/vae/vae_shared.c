/* Spatial tiles with shared statistics, stage by stage: the steps of one resolution are run on tile
 * after tile, once for each norm among them, up to that norm, to measure its input, and once for
 * the result.  When a norm is measured all before it are known, so every number is that of whole
 * frames but for the order of sums.  The steps at latent resolution are no part of it: they are
 * small, and attention is among them. */
#include "vae/vae_shared.h"

#include "backend/ops.h"
#include "base/checked.h"
#include "vae/vae_pass.h"

/* One axis of the frame in latent pixels: tiles of one size, evenly spread, that overlap by twice
 * the halo at least. */
typedef struct tile_axis {
    int64_t total, size, count;
} tile_axis;

/* Whole frames between two stages. */
typedef struct features {
    svr_tensor x;
    bool on_host;
    bool borrowed; /* somebody else's memory, who gives it back */
} features;

/* A stage at work. */
typedef struct tiling {
    vae_run *run;
    const vae_half *half;
    const svr_vae_cut *cut;
    bool decodes;
    int first, end; /* steps */
    features in, out;
    svr_tensor *consumed, *made; /* of the run, as in vae_run */
    int64_t in_scale, out_scale; /* their pixels per latent pixel */
    tile_axis axis[2];
    int64_t stands_for; /* tiles that the one at work is counted for, see counts_one() */
    vae_statistics statistics;
} tiling;

/* ---------------------------------------------------------------------------- places */

static tile_axis make_axis(int64_t total, int64_t size, int64_t halo)
{
    tile_axis axis = {.total = total, .size = svr_min_i64(size, total)};

    axis.count = 1 + svr_ceil_div(total - axis.size, size - 2 * halo);
    return axis;
}

static int64_t start_of(const tile_axis *axis, int64_t i)
{
    return i == 0 ? 0 : i * (axis->total - axis->size) / (axis->count - 1);
}

/* Where the core of tile i begins, and that of the one before ends: in the middle of their overlap.
 */
static int64_t core_start(const tile_axis *axis, int64_t i)
{
    if (i == 0 || i == axis->count)
        return i == 0 ? 0 : axis->total;
    return (start_of(axis, i) + start_of(axis, i - 1) + axis->size) / 2;
}

/* Pixels from latent pixel `at` on to `end`; at the picture's border all that there are. */
static int64_t extent(const tile_axis *axis, int64_t at, int64_t end, int64_t scale, int64_t all)
{
    return (end == axis->total ? all : svr_min_i64(all, end * scale)) - at * scale;
}

static int64_t core_size(const tile_axis *axis, int64_t i)
{
    return core_start(axis, i + 1) - core_start(axis, i);
}

static int64_t largest_core(const tile_axis *axis)
{
    int64_t largest = 0;

    for (int64_t i = 1; i < axis->count; i++)
        if (core_size(axis, i) > core_size(axis, largest))
            largest = i;
    return largest;
}

/* Whether one tile, that of the largest core, stands for all: where nothing is computed and all
 * windows are of one size.  Each tile gives back what it takes, so all take the same, but for a
 * copy of their cores; what they copy to and from the host is entered for all of them. */
static bool counts_one(const tiling *t)
{
    for (int a = 0; a < 2; a++)
        if (t->in.x.dims[a + 1] != t->axis[a].total * t->in_scale)
            return false;
    return svr_exec_counts_once(t->run->exec);
}

static void begin_tile(tiling *t, const int64_t at[2])
{
    vae_statistics *s = &t->statistics;

    for (int a = 0; a < 2; a++) {
        int64_t start = start_of(&t->axis[a], at[a]);

        s->tile[a] = t->axis[a].size;
        s->core[a][0] = core_start(&t->axis[a], at[a]) - start;
        s->core[a][1] = core_start(&t->axis[a], at[a] + 1) - start;
    }
}

/* ---------------------------------------------------------------------------- whole frames */

static svr_status take_features(vae_run *run, const int64_t dims[4], bool on_host, features *out,
                                svr_error *err)
{
    *out = (features){.on_host = on_host};
    return on_host ? svr_exec_host_alloc(run->exec, run->storage, 4, dims, &out->x, err)
                   : svr_exec_alloc(run->exec, run->storage, 4, dims, &out->x, err);
}

static void give_features(vae_run *run, features *f)
{
    if (f->borrowed)
        return;
    if (f->on_host)
        svr_exec_host_free(run->exec, &f->x);
    else
        svr_exec_free(run->exec, &f->x);
}

/* The tile of what is in front of the stage, made here. */
static svr_status take_window(const tiling *t, const int64_t at[2], svr_tensor *window,
                              svr_error *err)
{
    svr_copy_window_args copy = {.x = t->in.x};

    for (int a = 0; a < 2; a++) {
        int64_t start = start_of(&t->axis[a], at[a]);

        copy.from[a] = start * t->in_scale;
        copy.size[a] =
            extent(&t->axis[a], start, start + t->axis[a].size, t->in_scale, t->in.x.dims[a + 1]);
    }
    SVR_TRY(svr_exec_alloc(t->run->exec, copy.x.dtype,
                           SVR_DIMS(copy.x.dims[0], copy.size[0], copy.size[1], copy.x.dims[3]),
                           window, err));
    copy.y = *window;
    return t->in.on_host ? svr_vae_copy_window(t->run, &copy, SVR_QUEUE_IN, err)
                         : svr_op_copy_window(t->run->exec, &copy, err);
}

/* The core of a tile's result goes to its place, as far as that is wanted. */
static svr_status put_core(const tiling *t, const int64_t at[2], const svr_tensor *result,
                           svr_error *err)
{
    svr_copy_window_args copy = {.x = *result, .y = t->out.x};

    for (int a = 0; a < 2; a++) {
        const tile_axis *axis = &t->axis[a];
        int64_t first = core_start(axis, at[a]);

        copy.from[a] = (first - start_of(axis, at[a])) * t->out_scale;
        copy.to[a] = first * t->out_scale;
        copy.size[a] =
            extent(axis, first, core_start(axis, at[a] + 1), t->out_scale, t->out.x.dims[a + 1]);
        if (copy.size[a] <= 0)
            return SVR_OK;
    }
    return t->out.on_host ? svr_vae_copy_window(t->run, &copy, SVR_QUEUE_OUT, err)
                          : svr_op_copy_window(t->run->exec, &copy, err);
}

/* ---------------------------------------------------------------------------- tiles */

static svr_memory_use copied_before(const tiling *t)
{
    return t->stands_for > 1 ? svr_backend_memory(t->run->exec->backend) : (svr_memory_use){0};
}

/* What was copied since then, for the other tiles that this one stands for. */
static void repeat_copies(const tiling *t, const svr_memory_use *since)
{
    if (t->stands_for > 1)
        svr_backend_repeat_copies(t->run->exec->backend, since, (uint64_t) t->stands_for - 1);
}

/* The core of a tile's result, or those of all the tiles that it stands for. */
static svr_status put_cores(const tiling *t, const int64_t at[2], const svr_tensor *result,
                            svr_error *err)
{
    int64_t columns = t->axis[1].count;

    if (t->stands_for == 1)
        return put_core(t, at, result, err);
    for (int64_t i = 0; i < t->stands_for; i++)
        SVR_TRY(put_core(t, (int64_t[2]){i / columns, i % columns}, result, err));
    return SVR_OK;
}

/* Steps [t->first, end) on a window, which is used up; the encoder's clip stays. */
static svr_status run_steps(const tiling *t, int end, vae_pass *p, svr_tensor *window,
                            svr_error *err)
{
    p->run = t->run;
    p->half = t->half;
    p->decodes = t->decodes;
    if (t->first == 0) {
        p->in = window;
    } else {
        p->source = (vae_parked){.x = *window, .frames = window->dims[0]};
        *window = (svr_tensor){0};
    }
    return svr_vae_run_range(p, t->cut, (int[2]){t->first, end}, err);
}

/* Measures what comes to step `step`. */
static svr_status measure_tile(tiling *t, int step, const int64_t at[2], svr_error *err)
{
    const svr_memory_use before = copied_before(t);
    vae_pass p = {.measures = true};
    svr_tensor window;

    SVR_TRY(take_window(t, at, &window, err));
    if (step == t->first)
        SVR_TRY(svr_vae_measure(t->run, &window, 0, err));
    else
        SVR_TRY(run_steps(t, step, &p, &window, err));
    svr_exec_free(t->run->exec, &window);
    repeat_copies(t, &before);
    return svr_vae_statistics_add(t->run, err);
}

/* Memory for the picture that the decoder makes of a tile. */
static svr_status take_picture(const tiling *t, svr_tensor *picture, svr_error *err)
{
    const svr_tensor *y = &t->out.x;

    return svr_exec_alloc(t->run->exec, y->dtype,
                          SVR_DIMS(y->dims[0], t->axis[0].size * t->out_scale,
                                   t->axis[1].size * t->out_scale, y->dims[3]),
                          picture, err);
}

static svr_status finish_tile(tiling *t, const int64_t at[2], svr_error *err)
{
    const svr_memory_use before = copied_before(t);
    svr_tensor picture = {0}, window;
    vae_pass p = {0};

    if (t->end == t->half->step_count)
        SVR_TRY(take_picture(t, &picture, err));
    p.out = picture;
    SVR_TRY(take_window(t, at, &window, err));
    SVR_TRY(run_steps(t, t->end, &p, &window, err));
    svr_exec_free(t->run->exec, &window);
    repeat_copies(t, &before);
    SVR_TRY(put_cores(t, at, svr_tensor_present(&picture) ? &picture : &p.source.x, err));
    svr_exec_free(t->run->exec, &picture);
    return svr_vae_park_close(t->run, &p.source, err);
}

/* A tile up to a step, or through the stage. */
static svr_status run_tile(tiling *t, int step, const int64_t at[2], svr_error *err)
{
    begin_tile(t, at);
    return step < t->end ? measure_tile(t, step, at, err) : finish_tile(t, at, err);
}

static svr_status run_tiles(tiling *t, int step, svr_error *err)
{
    if (t->stands_for > 1)
        return run_tile(t, step, (int64_t[2]){largest_core(&t->axis[0]), largest_core(&t->axis[1])},
                        err);
    for (int64_t i = 0; i < t->axis[0].count; i++)
        for (int64_t j = 0; j < t->axis[1].count; j++)
            SVR_TRY(run_tile(t, step, (int64_t[2]){i, j}, err));
    return SVR_OK;
}

static const vae_norm *norm_of(const vae_half *half, const vae_step *step)
{
    switch (step->kind) {
    case VAE_STEP_OPEN:
        return &step->resnet->norm1;
    case VAE_STEP_CLOSE:
        return &step->resnet->norm2;
    case VAE_STEP_LEAVE:
    case VAE_STEP_PICTURE:
        return &half->norm_out;
    case VAE_STEP_ENTER:
    case VAE_STEP_ATTEND:
    case VAE_STEP_DOWN:
    case VAE_STEP_UP:
        break;
    }
    return NULL;
}

static svr_status run_passes(tiling *t, svr_error *err)
{
    for (int i = t->first; i < t->end; i++) {
        const vae_norm *norm = norm_of(t->half, &t->half->steps[i]);

        if (!norm)
            continue;
        SVR_TRY(run_tiles(t, i, err));
        SVR_TRY(svr_vae_statistics_pool(t->run, norm, err));
    }
    return run_tiles(t, t->end, err);
}

static svr_status run_stage(tiling *t, const svr_vae_memory *memory, svr_error *err)
{
    int64_t factor = svr_vae_spatial_factor(&t->run->vae->config);
    int64_t halo = svr_vae_halo(t->half, t->first, t->end, factor / t->in_scale, factor);
    int64_t frames = svr_max_i64(t->in.x.dims[0], t->out.x.dims[0]);
    svr_status status;

    /* a result of fewer frames makes them all in front of its last layers */
    if (t->decodes)
        frames = svr_max_i64(frames, 2 * t->in.x.dims[0]);
    for (int a = 0; a < 2; a++)
        t->axis[a] = make_axis(t->in.x.dims[a + 1] / t->in_scale, memory->tile / factor, halo);
    t->stands_for = counts_one(t) ? t->axis[0].count * t->axis[1].count : 1;
    status = svr_vae_statistics_begin(t->run, t->half, frames, &t->statistics, err);
    t->run->statistics = &t->statistics;
    if (status == SVR_OK)
        status = run_passes(t, err);
    t->run->statistics = NULL;
    svr_vae_statistics_end(t->run, &t->statistics);
    return status;
}

/* ---------------------------------------------------------------------------- halves */

/* Sizes behind a stage that is not the half's last. */
static void dims_behind(const tiling *t, int64_t dims[4])
{
    const vae_step *last = &t->half->steps[t->end - 1];
    const int64_t *in = t->in.x.dims;
    const vae_block *block = t->decodes ? t->half->steps[t->first].block : last->block;

    for (int a = 1; a < 3; a++)
        dims[a] = t->decodes ? 2 * in[a] : in[a] / 2;
    dims[0] = in[0];
    if (block->temporal)
        dims[0] = t->decodes ? 2 * in[0] - 1 : (in[0] - 1) / 2 + 1;
    dims[3] = t->decodes ? last->resnet->conv2.out : block->rescale.out;
}

/* The whole picture, whose memory may not be there yet. */
static svr_status take_whole(tiling *t, const svr_tensor *y, svr_error *err)
{
    svr_tensor *made = t->made;

    t->out = (features){.x = *y, .borrowed = true};
    if (!made)
        return SVR_OK;
    SVR_TRY(svr_exec_alloc(t->run->exec, made->dtype, made->rank, made->dims, made, err));
    t->out.x.data = made->data;
    return SVR_OK;
}

/* One stage after the other; what is in front of the first stays the caller's but for a clip that
 * is consumed, what is behind the last is `y` or, in new memory, t->out. */
static svr_status run_stages(tiling *t, const svr_tensor *y, svr_error *err)
{
    const svr_vae_memory *memory = t->decodes ? &t->cut->decoder : &t->cut->encoder;

    t->in.borrowed = true;
    for (bool last = false; !last; t->first = t->end) {
        int64_t dims[4];

        t->end = svr_vae_stage_end(t->half, t->first);
        last = t->end == t->half->step_count || svr_vae_stage_end(t->half, t->end) == t->end;
        t->out_scale = t->decodes ? 2 * t->in_scale : t->in_scale / 2;
        if (y && last) {
            SVR_TRY(take_whole(t, y, err));
        } else {
            dims_behind(t, dims);
            SVR_TRY(take_features(t->run, dims, memory->park_on_host && !last, &t->out, err));
        }
        SVR_TRY(run_stage(t, memory, err));
        give_features(t->run, &t->in);
        if (t->consumed)
            svr_exec_free(t->run->exec, t->consumed);
        t->consumed = NULL;
        t->in = t->out;
        t->in_scale = t->out_scale;
    }
    return SVR_OK;
}

svr_status svr_vae_encode_shared(vae_run *run, const svr_vae_cut *cut, const svr_tensor *x,
                                 const svr_tensor *moments, svr_error *err)
{
    vae_pass rest = {.run = run, .half = &run->vae->encoder, .out = *moments};
    tiling t = {.run = run,
                .half = rest.half,
                .cut = cut,
                .in = {.x = *x},
                .consumed = run->consumed,
                .in_scale = svr_vae_spatial_factor(&run->vae->config)};
    svr_status status;

    run->consumed = NULL; /* tiles are no clips whose end is that of the whole */
    status = run_stages(&t, NULL, err);
    if (status != SVR_OK) {
        svr_vae_let_copies_end(run);
        return status;
    }
    rest.source = (vae_parked){.x = t.out.x, .frames = t.out.x.dims[0]};
    return svr_vae_run_range(&rest, cut, (int[2]){t.first, rest.half->step_count}, err);
}

svr_status svr_vae_decode_shared(vae_run *run, const svr_vae_cut *cut, const svr_tensor *z,
                                 const svr_tensor *y, svr_error *err)
{
    vae_pass start = {.run = run, .half = &run->vae->decoder, .in = z, .decodes = true};
    tiling t = {.run = run,
                .half = start.half,
                .cut = cut,
                .decodes = true,
                .first = svr_vae_first_tiled(start.half, true),
                .made = run->made,
                .in_scale = 1};
    svr_status status;

    run->made = NULL; /* for the last stage, not for a tile */
    SVR_TRY(svr_vae_run_range(&start, cut, (int[2]){0, t.first}, err));
    t.in.x = start.source.x;
    status = run_stages(&t, y, err);
    if (status != SVR_OK) {
        svr_vae_let_copies_end(run);
        return status;
    }
    return svr_vae_park_close(run, &start.source, err);
}
