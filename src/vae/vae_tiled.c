/* Spatial tiles: each is a clip of its own, and a weighted sum of them is the result.  Tiles are
 * the product of spans on two axes and so are their weights; hence the sum of weights factorises,
 * and both the weighting and the division by that sum are a resampling with one tap per pixel.
 * Source: spec vae §7. */
#include "vae/vae_tiled.h"

#include "backend/ops.h"
#include "base/checked.h"
#include "vae/vae_pass.h"
#include "vae/vae_steps.h"

#include <math.h>
#include <stdlib.h>

#define PI 3.14159265358979323846

/* One axis of the latent grid and the weights of its spans on the result's grid. */
typedef struct tile_axis {
    int64_t total, tile, overlap; /* latent pixels */
    int64_t scale;                /* pixels of the result per latent pixel */
    int64_t ramp;                 /* entries of the fade on the result's grid */
    int64_t repeat;               /* table entries per pixel: the channels of a row, else 1 */
    int64_t spans;
    svr_tensor first, weight; /* [spans, total * scale * repeat], scratch memory */
} tile_axis;

typedef svr_status (*clip_function)(vae_run *run, const svr_vae_cut *cut, const svr_tensor *in,
                                    const svr_tensor *out, svr_error *err);

typedef struct tiler {
    vae_run *run;
    clip_function clip;
    const svr_vae_cut *cut;
    const svr_tensor *in;
    svr_tensor sum;   /* F32, the whole result */
    int64_t in_scale; /* pixels of `in` per latent pixel */
    tile_axis y, x;
} tiler;

static int64_t span_start(const tile_axis *axis, int64_t span)
{
    return span * (axis->tile - axis->overlap);
}

static int64_t span_end(const tile_axis *axis, int64_t span)
{
    return svr_min_i64(span_start(axis, span) + axis->tile, axis->total);
}

/* A last span that the one before covers is left out. */
static int64_t count_spans(const tile_axis *axis)
{
    int64_t n = 1;

    while (span_start(axis, n) < axis->total &&
           span_end(axis, n) - span_start(axis, n) > axis->overlap)
        n++;
    return n;
}

/* `tile` and `overlap` in video pixels, `factor` of them per latent pixel. */
static tile_axis make_axis(int64_t total, int tile, int overlap, int factor)
{
    int64_t size = svr_max_i64(1, tile / factor);
    tile_axis axis = {.total = total,
                      .tile = size,
                      .overlap = svr_min_i64(overlap / factor, size - 1),
                      .scale = 1,
                      .repeat = 1};

    axis.spans = count_spans(&axis);
    return axis;
}

/* Raised cosine from 0 to 1 over the ramp, both included. */
static float ramp_value(const tile_axis *axis, int64_t i)
{
    if (axis->ramp < 2)
        return 0.0f;
    return (float) (0.5 - 0.5 * cos(PI * (double) i / (double) (axis->ramp - 1)));
}

/* Weight of pixel i of a span of n: where fade-in and fade-out meet, the latter wins. */
static float fade(const tile_axis *axis, int64_t span, int64_t i)
{
    int64_t n = (span_end(axis, span) - span_start(axis, span)) * axis->scale;
    int64_t k = svr_max_i64(0, svr_min_i64(axis->ramp, n - 1));

    if (span_end(axis, span) < axis->total && i >= n - k)
        return 1.0f - ramp_value(axis, i - (n - k));
    return span_start(axis, span) > 0 && i < k ? ramp_value(axis, i) : 1.0f;
}

/* Fills the tables of all spans at pixel `at` of the axis; zero weight outside a span. */
static void fill_pixel(const tile_axis *axis, int64_t at, int32_t *first, float *weight)
{
    int64_t width = axis->total * axis->scale * axis->repeat;
    float sum = 0;

    for (int64_t s = 0; s < axis->spans; s++) {
        int64_t inside = at - span_start(axis, s) * axis->scale;
        bool covered = inside >= 0 && at < span_end(axis, s) * axis->scale;
        float w = covered ? fade(axis, s, inside) : 0.0f;

        sum += w;
        for (int64_t c = 0; c < axis->repeat; c++) {
            int64_t to = s * width + at * axis->repeat + c;

            first[to] = covered ? (int32_t) (inside * axis->repeat + c) : 0;
            weight[to] = w;
        }
    }
    for (int64_t s = 0; s < axis->spans; s++)
        for (int64_t c = 0; c < axis->repeat; c++)
            weight[s * width + at * axis->repeat + c] /= fmaxf(sum, 1e-6f);
}

static svr_status upload_tables(vae_run *run, tile_axis *axis, const int32_t *first,
                                const float *weight, svr_error *err)
{
    svr_backend *backend = run->exec->backend;
    int64_t width = axis->total * axis->scale * axis->repeat;

    SVR_TRY(svr_exec_alloc(run->exec, SVR_I32, SVR_DIMS(axis->spans, width), &axis->first, err));
    SVR_TRY(svr_exec_alloc(run->exec, SVR_F32, SVR_DIMS(axis->spans, width), &axis->weight, err));
    SVR_TRY(
        svr_backend_upload(backend, axis->first.data, first, svr_tensor_bytes(&axis->first), err));
    return svr_backend_upload(backend, axis->weight.data, weight, svr_tensor_bytes(&axis->weight),
                              err);
}

static svr_status make_tables(vae_run *run, tile_axis *axis, svr_error *err)
{
    size_t entries = (size_t) (axis->spans * axis->total * axis->scale * axis->repeat);
    int32_t *first = calloc(entries, sizeof *first);
    float *weight = calloc(entries, sizeof *weight);
    svr_status status;

    if (first && weight) {
        for (int64_t at = 0; at < axis->total * axis->scale; at++)
            fill_pixel(axis, at, first, weight);
        status = upload_tables(run, axis, first, weight, err);
    } else {
        status = SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for the weights of the VAE's tiles");
    }
    free(first);
    free(weight);
    return status;
}

/* Entries [from, from + count) of a span's table. */
static svr_resize_axis table(const tile_axis *axis, int64_t span, int64_t from, int64_t count)
{
    int64_t at = span * axis->first.dims[1] + from;

    return (svr_resize_axis){
        .first = svr_tensor_1d((int32_t *) axis->first.data + at, SVR_I32, count),
        .weight = svr_tensor_2d((float *) axis->weight.data + at, SVR_F32, count, 1)};
}

/* out [rows, width, C] = frame of a tile times its weights; rows of the result from `from` on. */
static svr_status weigh(const tiler *t, const int64_t spans[2], const svr_tensor *frame,
                        int64_t from, const svr_tensor *out, svr_error *err)
{
    int64_t channels = t->x.repeat, rows = out->dims[1], width = out->dims[2] * channels;
    svr_resize_args resize = {
        .x = svr_tensor_4d(frame->data, SVR_F32, 1, frame->dims[1], frame->dims[2] * channels, 1),
        .y = svr_tensor_4d(out->data, SVR_F32, 1, rows, width, 1),
        .horizontal = table(&t->x, spans[1], 0, width),
        .vertical = table(&t->y, spans[0], from, rows)};

    return svr_op_resize(t->run->exec, &resize, err);
}

/* Adds a tile's frame to its rows of the sum; the very first tile sets the whole frame (its weights
 * are 0 outside), so the sum needs no clearing. */
static svr_status blend_frame(const tiler *t, const int64_t spans[2], const svr_tensor *frame,
                              svr_tensor *sum, svr_error *err)
{
    int64_t from = span_start(&t->y, spans[0]) * t->y.scale;
    int64_t pixels = sum->dims[2] * sum->dims[3];
    svr_lincomb_args add = {.alpha = 1, .beta = 1};
    svr_tensor band;

    if (spans[0] == 0 && spans[1] == 0)
        return weigh(t, spans, frame, 0, sum, err);
    SVR_TRY(svr_exec_alloc(t->run->exec, SVR_F32,
                           SVR_DIMS(1, frame->dims[1], sum->dims[2], sum->dims[3]), &band, err));
    SVR_TRY(weigh(t, spans, frame, from, &band, err));
    add.b = svr_tensor_as_2d(&band, frame->dims[1], pixels);
    add.a = svr_tensor_2d((float *) sum->data + from * pixels, SVR_F32, frame->dims[1], pixels);
    add.y = add.a;
    SVR_TRY(svr_op_lincomb(t->run->exec, &add, err));
    svr_exec_free(t->run->exec, &band);
    return SVR_OK;
}

static svr_status run_tile(const tiler *t, const int64_t spans[2], svr_error *err)
{
    svr_exec *exec = t->run->exec;
    int64_t y0 = span_start(&t->y, spans[0]), h = span_end(&t->y, spans[0]) - y0;
    int64_t x0 = span_start(&t->x, spans[1]), w = span_end(&t->x, spans[1]) - x0;
    int64_t si = t->in_scale, so = t->y.scale;
    svr_tensor in, out;

    SVR_TRY(svr_exec_alloc(exec, SVR_F32, SVR_DIMS(t->sum.dims[0], h * so, w * so, t->x.repeat),
                           &out, err));
    SVR_TRY(svr_exec_alloc(exec, t->run->storage,
                           SVR_DIMS(t->in->dims[0], h * si, w * si, t->in->dims[3]), &in, err));
    SVR_TRY(svr_vae_cut_window(t->run, t->in, (int64_t[2]){y0 * si, x0 * si}, &in, err));
    SVR_TRY(t->clip(t->run, t->cut, &in, &out, err));
    svr_exec_free(exec, &in);
    for (int64_t i = 0; i < out.dims[0]; i++) {
        svr_tensor frame = svr_tensor_slice(&out, i, 1), sum = svr_tensor_slice(&t->sum, i, 1);

        SVR_TRY(blend_frame(t, spans, &frame, &sum, err));
    }
    svr_exec_free(exec, &out);
    return SVR_OK;
}

/* The tables go where earlier ops may still be at work, so those are waited for. */
static svr_status run_tiles(tiler *t, svr_error *err)
{
    SVR_TRY(svr_backend_synchronize(t->run->exec->backend, err));
    SVR_TRY(make_tables(t->run, &t->y, err));
    SVR_TRY(make_tables(t->run, &t->x, err));
    for (int64_t i = 0; i < t->y.spans; i++)
        for (int64_t j = 0; j < t->x.spans; j++)
            SVR_TRY(run_tile(t, (int64_t[2]){i, j}, err));
    svr_exec_free(t->run->exec, &t->y.first);
    svr_exec_free(t->run->exec, &t->y.weight);
    svr_exec_free(t->run->exec, &t->x.first);
    svr_exec_free(t->run->exec, &t->x.weight);
    return SVR_OK;
}

/* Sums in F32: in `out` itself where it is that, else beside it. */
static svr_status run_into(tiler *t, const svr_tensor *out, svr_error *err)
{
    bool direct = out->dtype == SVR_F32;

    t->sum = *out;
    t->x.repeat = out->dims[3];
    if (!direct)
        SVR_TRY(svr_exec_alloc(t->run->exec, SVR_F32, 4, out->dims, &t->sum, err));
    SVR_TRY(run_tiles(t, err));
    if (direct)
        return SVR_OK;
    svr_copy_args rounded = {.src = t->sum, .dst = *out};
    SVR_TRY(svr_op_copy(t->run->exec, &rounded, err));
    svr_exec_free(t->run->exec, &t->sum);
    return SVR_OK;
}

bool svr_vae_encode_needs_tiles(const svr_vae_cut *cut, const svr_tensor *x)
{
    return cut->tile_h > 0 && (x->dims[1] > cut->tile_h || x->dims[2] > cut->tile_w);
}

bool svr_vae_decode_needs_tiles(const svr_vae *vae, const svr_vae_cut *cut, const svr_tensor *z)
{
    int f = svr_vae_spatial_factor(&vae->config);

    return cut->tile_h > 0 && (z->dims[1] > svr_max_i64(1, cut->tile_h / f) ||
                               z->dims[2] > svr_max_i64(1, cut->tile_w / f));
}

/* Moments are blended on the latent grid, with ramps of as many entries as tiles overlap. */
svr_status svr_vae_encode_tiled(vae_run *run, const svr_vae_cut *cut, const svr_tensor *x,
                                const svr_tensor *moments, svr_error *err)
{
    int f = svr_vae_spatial_factor(&run->vae->config);
    tiler t = {.run = run,
               .clip = svr_vae_encode_clip,
               .cut = cut,
               .in = x,
               .in_scale = f,
               .y = make_axis(moments->dims[1], cut->tile_h, cut->overlap_h, f),
               .x = make_axis(moments->dims[2], cut->tile_w, cut->overlap_w, f)};

    t.y.ramp = t.y.overlap;
    t.x.ramp = t.x.overlap;
    return run_into(&t, moments, err);
}

/* Pixels are blended, with ramps of the overlap as given even where tiles really overlap by less.
 */
svr_status svr_vae_decode_tiled(vae_run *run, const svr_vae_cut *cut, const svr_tensor *z,
                                const svr_tensor *y, svr_error *err)
{
    int f = svr_vae_spatial_factor(&run->vae->config);
    tiler t = {.run = run,
               .clip = svr_vae_decode_clip,
               .cut = cut,
               .in = z,
               .in_scale = 1,
               .y = make_axis(z->dims[1], cut->tile_h, cut->overlap_h, f),
               .x = make_axis(z->dims[2], cut->tile_w, cut->overlap_w, f)};

    t.y.scale = t.x.scale = f;
    t.y.ramp = cut->overlap_h;
    t.x.ramp = cut->overlap_w;
    return run_into(&t, y, err);
}
