#include "verify/tiles.h"

#include "verify/compare.h"
#include "verify/loaded.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* One half on one input. */
typedef struct half_run {
    const verify_tiles *tiles;
    svr_vae *vae;
    svr_vae_cut cut;
    bool decodes;
    const float *input;
    int64_t in[4], out[4];
    float *output;
} half_run;

static svr_status run_half(void *user, svr_exec *exec, svr_error *err)
{
    half_run *h = (half_run *) user;
    const int64_t *d = h->in;
    svr_tensor in, out;

    SVR_TRY(device_put(exec, h->input,
                       svr_tensor_4d(NULL, h->tiles->storage, d[0], d[1], d[2], d[3]), &in, err));
    SVR_TRY(svr_exec_alloc(exec, SVR_F32, 4, h->out, &out, err));
    SVR_TRY(h->decodes ? svr_vae_decode(exec, h->vae, &h->cut, &in, &out, err)
                       : svr_vae_encode(exec, h->vae, &h->cut, &in, &out, err));
    return device_get(exec->backend, &out, h->output, err);
}

/* The result in new memory (g_free). */
static svr_status compute(const verify_tiles *tiles, svr_vae *vae, const svr_vae_cut *cut,
                          const float *input, bool decodes, float **out, svr_error *err)
{
    const svr_vae_config *c = svr_vae_get_config(vae);
    const picture *p = tiles->picture;
    int64_t s = svr_vae_spatial_factor(c), f = svr_vae_temporal_factor(c);
    const int64_t pixels[4] = {p->frames, p->height, p->width, 3};
    const int64_t latents[4] = {(p->frames - 1) / f + 1, p->height / s, p->width / s,
                                c->latent_channels};
    half_run h = {.tiles = tiles, .vae = vae, .cut = *cut, .decodes = decodes, .input = input};

    memcpy(h.in, decodes ? latents : pixels, sizeof(h.in));
    memcpy(h.out, decodes ? pixels : latents, sizeof(h.out));
    *out = h.output = g_new0(float, (size_t) (h.out[0] * h.out[1] * h.out[2] * h.out[3]));
    return device_run(tiles->device, run_half, &h, NULL, err);
}

/* What one way of cutting makes of the picture. */
typedef struct results {
    float *mean, *decoded, *round_trip; /* decoded: from the untiled mean */
} results;

static void results_free(results *r)
{
    g_free(r->mean);
    g_free(r->decoded);
    g_free(r->round_trip);
}

static svr_status compute_all(const verify_tiles *tiles, svr_vae *vae, const svr_vae_cut *cut,
                              const results *whole, results *r, svr_error *err)
{
    SVR_TRY(compute(tiles, vae, cut, tiles->picture->values, false, &r->mean, err));
    if (!whole)
        return compute(tiles, vae, cut, r->mean, true, &r->decoded, err);
    SVR_TRY(compute(tiles, vae, cut, whole->mean, true, &r->decoded, err));
    return compute(tiles, vae, cut, r->mean, true, &r->round_trip, err);
}

static double psnr(const float *got, const float *want, size_t n, double peak)
{
    double error = 0;

    for (size_t i = 0; i < n; i++)
        error += ((double) got[i] - (double) want[i]) * ((double) got[i] - (double) want[i]);
    return 10 * log10(peak * peak * (double) n / error);
}

/* Prints a line; the least of the three. */
static double compare(const verify_tiles *tiles, const svr_vae_config *c, const char *name,
                      const results *whole, const results *r)
{
    const picture *p = tiles->picture;
    size_t s = (size_t) svr_vae_spatial_factor(c), f = (size_t) svr_vae_temporal_factor(c);
    size_t pixels = (size_t) p->frames * (size_t) p->height * (size_t) p->width * 3;
    size_t latents = (((size_t) p->frames - 1) / f + 1) * ((size_t) p->height / s) *
                     ((size_t) p->width / s) * (size_t) c->latent_channels;
    double encode = psnr(r->mean, whole->mean, latents, verify_range(whole->mean, latents));
    double decode = psnr(r->decoded, whole->decoded, pixels, 2);
    double both = psnr(r->round_trip, whole->decoded, pixels, 2);

    printf("%-18s encode %6.1f dB, decode %6.1f dB, both %6.1f dB\n", name, encode, decode, both);
    fflush(stdout);
    return fmin(encode, fmin(decode, both));
}

static svr_status run_cut(verify_tiles *tiles, const loaded_vae *net, const svr_vae_cut *cut,
                          const char *name, const results *whole, double *least, svr_error *err)
{
    results r = {0};
    svr_status status = compute_all(tiles, net->vae, cut, whole, &r, err);

    if (status == SVR_OK)
        *least = compare(tiles, &net->config, name, whole, &r);
    results_free(&r);
    return status;
}

static svr_status run_all(verify_tiles *tiles, const loaded_vae *net, results *whole,
                          svr_error *err)
{
    svr_vae_memory memory = {.piece_values = 1}, shared = {.piece_values = 1, .tile = tiles->size};
    svr_vae_cut untiled = {.encoder = memory, .decoder = memory}, cut = untiled;
    int overlap = tiles->size / 4 < 128 ? tiles->size / 4 : 128;
    double least, ignored;

    SVR_TRY(compute_all(tiles, net->vae, &untiled, NULL, whole, err));
    cut.encoder = cut.decoder = shared;
    SVR_TRY(run_cut(tiles, net, &cut, "shared statistics", whole, &least, err));
    /* written so that a NaN fails */
    if (!(least >= tiles->least))
        tiles->failed++;
    cut = untiled;
    cut.tile_h = cut.tile_w = tiles->size;
    cut.overlap_h = cut.overlap_w = overlap;
    return run_cut(tiles, net, &cut, "the reference's", whole, &ignored, err);
}

svr_status verify_tiles_of(verify_tiles *tiles, const char *path, svr_error *err)
{
    const picture *p = tiles->picture;
    g_autofree char *name = g_path_get_basename(path);
    results whole = {0};
    loaded_vae net;
    svr_status status = loaded_vae_open(tiles->device->backend, tiles->storage, path, &net, err);

    if (status == SVR_OK) {
        printf("%s, %d frame%s of %dx%d, tiles of %d pixels against none:\n", name, p->frames,
               p->frames == 1 ? "" : "s", p->width, p->height, tiles->size);
        status = run_all(tiles, &net, &whole, err);
    }
    results_free(&whole);
    loaded_vae_close(&net);
    return status;
}
