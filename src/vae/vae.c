#include "vae/vae.h"

#include "base/checked.h"
#include "vae/vae_pass.h"
#include "vae/vae_run.h"
#include "vae/vae_shared.h"
#include "vae/vae_tiled.h"

#include <stdlib.h>

svr_status svr_vae_create(const svr_vae_config *config, svr_store *store, svr_vae **out,
                          svr_error *err)
{
    svr_vae *vae = calloc(1, sizeof *vae);
    svr_status status;

    *out = NULL;
    if (vae)
        vae->arena = svr_arena_create();
    if (!vae || !vae->arena) {
        svr_vae_destroy(vae);
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for the VAE's layers");
    }
    vae->config = *config;
    vae->store = store;
    status = svr_vae_declare(vae, err);
    if (status == SVR_OK)
        *out = vae;
    else
        svr_vae_destroy(vae);
    return status;
}

void svr_vae_destroy(svr_vae *vae)
{
    if (!vae)
        return;
    svr_arena_destroy(vae->arena);
    free(vae->plan.host_frames);
    free(vae);
}

const svr_vae_config *svr_vae_get_config(const svr_vae *vae)
{
    return &vae->config;
}

static svr_status check_memory(const svr_vae *vae, const char *name, const vae_half *half,
                               const svr_vae_memory *m, svr_error *err)
{
    int64_t least = svr_vae_least_tile(vae, half);

    if (m->parked != SVR_F32 && m->parked != SVR_F8_E4M3 && m->parked != SVR_I8)
        return SVR_FAIL(err, SVR_ERR_INVALID, "%s parked as %s; give f8_e4m3, i8, or f32 for none",
                        name, svr_dtype_name(m->parked));
    if (m->piece_values < 0 || m->carried_values < 0)
        return SVR_FAIL(err, SVR_ERR_INVALID,
                        "%s in pieces of %lld values that carry %lld; give 0 or more", name,
                        (long long) m->piece_values, (long long) m->carried_values);
    if (m->tile == 0 || m->tile >= least)
        return SVR_OK;
    return SVR_FAIL(err, SVR_ERR_INVALID,
                    "VAE tiles of %d pixels are too small for what its convolutions see around "
                    "them; give at least %lld, or 0",
                    m->tile,
                    (long long) svr_max_i64(svr_vae_least_tile(vae, &vae->encoder),
                                            svr_vae_least_tile(vae, &vae->decoder)));
}

static svr_status check_cut(const svr_vae *vae, const svr_vae_cut *cut, svr_error *err)
{
    int factor = svr_vae_temporal_factor(&vae->config);

    if (cut->slice_frames < 0 || cut->slice_frames % factor != 0)
        return SVR_FAIL(err, SVR_ERR_INVALID,
                        "slices of %d frames; they must be 0 or a multiple of %d frames",
                        cut->slice_frames, factor);
    SVR_TRY(check_memory(vae, "encoder", &vae->encoder, &cut->encoder, err));
    SVR_TRY(check_memory(vae, "decoder", &vae->decoder, &cut->decoder, err));
    if (cut->whole_frames < 0)
        return SVR_FAIL(err, SVR_ERR_INVALID, "clips of up to %d frames whole; give 0 or more",
                        cut->whole_frames);
    if (cut->tile_h < 0 || cut->tile_w < 0 || (cut->tile_h == 0) != (cut->tile_w == 0) ||
        cut->overlap_h < 0 || cut->overlap_w < 0)
        return SVR_FAIL(err, SVR_ERR_INVALID,
                        "tiles of %dx%d pixels that overlap by %dx%d; give both sizes > 0 or none, "
                        "and overlaps >= 0",
                        cut->tile_w, cut->tile_h, cut->overlap_w, cut->overlap_h);
    if (cut->tile_h > 0 && (cut->encoder.tile > 0 || cut->decoder.tile > 0))
        return SVR_FAIL(err, SVR_ERR_INVALID,
                        "tiles with statistics of their own and with shared ones; choose one");
    return SVR_OK;
}

/* Compares with the shape that is wanted; several widths may be (0 ends their list). */
static bool fits(const svr_tensor *t, const int64_t thw[3], const int64_t *channels)
{
    if (t->rank != 4 || t->dims[0] != thw[0] || t->dims[1] != thw[1] || t->dims[2] != thw[2])
        return false;
    for (int i = 0; channels[i] != 0; i++)
        if (t->dims[3] == channels[i])
            return true;
    return false;
}

static svr_status refuse(const char *what, const svr_tensor *in, const svr_tensor *out,
                         const char *wanted, svr_error *err)
{
    char a[96], b[96];

    return SVR_FAIL(err, SVR_ERR_SHAPE, "vae %s: %s to %s; it takes %s", what,
                    svr_tensor_describe(in, a, sizeof a), svr_tensor_describe(out, b, sizeof b),
                    wanted);
}

static svr_status check_encode(const svr_vae *vae, const svr_tensor *x, const svr_tensor *moments,
                               svr_error *err)
{
    int64_t s = svr_vae_spatial_factor(&vae->config), f = svr_vae_temporal_factor(&vae->config);
    int64_t latent = vae->config.latent_channels;
    svr_dtype storage = svr_store_storage(vae->store);
    const int64_t thw[3] = {(x->dims[0] - 1) / f + 1, x->dims[1] / s, x->dims[2] / s};
    const int64_t channels[3] = {latent, 2 * latent, 0};

    if (x->rank == 4 && x->dims[3] == 3 && x->dims[0] >= 1 && (x->dims[0] - 1) % f == 0 &&
        thw[1] >= 1 && thw[2] >= 1 && x->dtype == storage && fits(moments, thw, channels) &&
        (moments->dtype == storage || moments->dtype == SVR_F32))
        return SVR_OK;
    return refuse("encode", x, moments,
                  "[f*n+1,H,W,3] of the storage type to [n+1,H/s,W/s,L or 2L] of it or f32", err);
}

static svr_status check_decode(const svr_vae *vae, const svr_tensor *z, const svr_tensor *y,
                               bool tiled, svr_error *err)
{
    int64_t s = svr_vae_spatial_factor(&vae->config), f = svr_vae_temporal_factor(&vae->config);
    svr_dtype storage = svr_store_storage(vae->store);
    const int64_t most[3] = {f * (z->dims[0] - 1) + 1, s * z->dims[1], s * z->dims[2]};
    bool fitting = z->rank == 4 && z->dims[3] == vae->config.latent_channels &&
                   z->dtype == storage && y->rank == 4 && y->dims[3] == 3 &&
                   (y->dtype == storage || y->dtype == SVR_F32);

    for (int i = 0; i < 3; i++)
        fitting = fitting && z->dims[i] >= 1 && y->dims[i] >= 1 && y->dims[i] <= most[i] &&
                  (!tiled || y->dims[i] == most[i]);
    if (fitting)
        return SVR_OK;
    return refuse("decode", z, y,
                  "[t,h,w,L] of the storage type to at most [f*(t-1)+1,s*h,s*w,3] of it or f32",
                  err);
}

/* ---------------------------------------------------------------------------- running a half */

typedef svr_status run_function(vae_run *run, const svr_vae_cut *cut, const svr_tensor *in,
                                const svr_tensor *out, svr_error *err);

/* One way through the VAE: its half, and how that is run. */
typedef struct direction {
    const vae_half *half;
    const svr_vae_memory *memory;
    bool in_tiles;             /* as the reference makes them */
    run_function *tiled;       /* so */
    run_function *shared;      /* in tiles with shared statistics */
    run_function *whole_frame; /* without */
} direction;

static svr_status run_frames(vae_run *run, const direction *d, const svr_vae_cut *cut,
                             const svr_tensor *in, const svr_tensor *out, svr_error *err)
{
    if (d->in_tiles)
        return d->tiled(run, cut, in, out, err);
    return svr_vae_shares_tiles(run->vae, d->half, d->memory, in)
               ? d->shared(run, cut, in, out, err)
               : d->whole_frame(run, cut, in, out, err);
}

/* Runs a checked half, whose group of weights comes for it. */
static svr_status run_half(vae_run *run, const direction *d, const svr_vae_cut *cut,
                           const svr_tensor *in, const svr_tensor *out, svr_error *err)
{
    svr_store *store = run->vae->store;
    int group = d->half->group;
    svr_status status;

    run->storage = svr_store_storage(store);
    if (!svr_store_in_pass(store))
        SVR_TRY(svr_store_begin(store, run->exec, group, 1, err));
    SVR_TRY(svr_store_acquire(store, run->exec, group, err));
    status = run_frames(run, d, cut, in, out, err);
    svr_store_release(store, group);
    if (status == SVR_OK)
        svr_store_end(store, run->exec);
    return status;
}

/* ---------------------------------------------------------------------------- encoder */

/* These tiles are clips of their own, all of whose input is read until the last one. */
static svr_status encode_in_tiles(vae_run *run, const svr_vae_cut *cut, const svr_tensor *x,
                                  const svr_tensor *moments, svr_error *err)
{
    svr_tensor *consumed = run->consumed;

    run->consumed = NULL;
    SVR_TRY(svr_vae_encode_tiled(run, cut, x, moments, err));
    if (consumed)
        svr_exec_free(run->exec, consumed);
    return SVR_OK;
}

static svr_status encode(vae_run *run, const svr_vae_cut *cut, const svr_tensor *x,
                         const svr_tensor *moments, svr_error *err)
{
    const direction d = {.half = &run->vae->encoder,
                         .memory = &cut->encoder,
                         .in_tiles = svr_vae_encode_needs_tiles(cut, x),
                         .tiled = encode_in_tiles,
                         .shared = svr_vae_encode_shared,
                         .whole_frame = svr_vae_encode_clip};

    SVR_TRY(check_cut(run->vae, cut, err));
    SVR_TRY(check_encode(run->vae, x, moments, err));
    return run_half(run, &d, cut, x, moments, err);
}

svr_status svr_vae_encode(svr_exec *exec, svr_vae *vae, const svr_vae_cut *cut, const svr_tensor *x,
                          const svr_tensor *moments, svr_error *err)
{
    vae_run run = {.exec = exec, .vae = vae};

    return encode(&run, cut, x, moments, err);
}

svr_status svr_vae_encode_consume(svr_exec *exec, svr_vae *vae, const svr_vae_cut *cut,
                                  svr_tensor *x, const svr_tensor *moments, svr_error *err)
{
    const svr_tensor in = *x;
    vae_run run = {.exec = exec, .vae = vae, .consumed = x};

    return encode(&run, cut, &in, moments, err);
}

/* ---------------------------------------------------------------------------- decoder */

/* Tiles are summed in the picture, from the first one on. */
static svr_status decode_in_tiles(vae_run *run, const svr_vae_cut *cut, const svr_tensor *z,
                                  const svr_tensor *y, svr_error *err)
{
    svr_tensor *made = run->made, sum = *y;

    run->made = NULL;
    if (made) {
        SVR_TRY(svr_exec_alloc(run->exec, made->dtype, made->rank, made->dims, made, err));
        sum.data = made->data;
    }
    return svr_vae_decode_tiled(run, cut, z, &sum, err);
}

static svr_status decode(vae_run *run, const svr_vae_cut *cut, const svr_tensor *z,
                         const svr_tensor *y, svr_error *err)
{
    const direction d = {.half = &run->vae->decoder,
                         .memory = &cut->decoder,
                         .in_tiles = svr_vae_decode_needs_tiles(run->vae, cut, z),
                         .tiled = decode_in_tiles,
                         .shared = svr_vae_decode_shared,
                         .whole_frame = svr_vae_decode_clip};

    SVR_TRY(check_cut(run->vae, cut, err));
    SVR_TRY(check_decode(run->vae, z, y, d.in_tiles, err));
    return run_half(run, &d, cut, z, y, err);
}

svr_status svr_vae_decode(svr_exec *exec, svr_vae *vae, const svr_vae_cut *cut, const svr_tensor *z,
                          const svr_tensor *y, svr_error *err)
{
    vae_run run = {.exec = exec, .vae = vae};

    return decode(&run, cut, z, y, err);
}

svr_status svr_vae_decode_new(svr_exec *exec, svr_vae *vae, const svr_vae_cut *cut,
                              const svr_tensor *z, int64_t frames, svr_tensor *y, svr_error *err)
{
    vae_run run = {.exec = exec, .vae = vae, .made = y};
    svr_tensor first = *y;

    first.dims[0] = frames;
    first.data = NULL;
    return decode(&run, cut, z, &first, err);
}
