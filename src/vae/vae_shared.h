/* Spatial tiles whose norms use the statistics of whole frames.  Level 4.  Thread: the one that
 * computes. */
#ifndef SVR_VAE_VAE_SHARED_H
#define SVR_VAE_VAE_SHARED_H

#include "backend/ops_general.h"
#include "vae/vae_run.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Statistics of the norms of one stage while its tiles are at work.  They are measured norm by norm
 * over the cores of the tiles, the parts that no other tile has, so each pixel counts once. */
typedef struct vae_statistics {
    int groups;
    int64_t frames;    /* of the stage's longest activation */
    svr_tensor pooled; /* [norms of the half,frames,groups,3] F32, scratch memory */
    bool *known;       /* [norms of the half]: pooled ones are there */
    /* the tile at work in latent pixels: its size and its core [begin, end), rows and columns */
    int64_t tile[2], core[2][2];
    /* of the norm that is measured: [frames,groups,3] F32 of the tile at work, scratch memory; its
     * frames and pixels */
    svr_tensor measured;
    int64_t reach, pixels;
    /* on the host: sums over tiles of mean and mean square, weighted with pixels
     * [frames,groups,2], and of pixels; `staging` like measured */
    double *sums, weight;
    float *staging;
} vae_statistics;

/* ---- vae_statistics.c */

/* Takes memory.  After a failure too svr_vae_statistics_end() is to be called. */
svr_status svr_vae_statistics_begin(vae_run *run, const vae_half *half, int64_t frames,
                                    vae_statistics *out, svr_error *err);
void svr_vae_statistics_end(vae_run *run, vae_statistics *s);

/* *moments = those of x in front of a norm, where they are known. */
void svr_vae_share(const vae_run *run, const vae_norm *norm, const svr_tensor *x,
                   svr_tensor *moments);

/* Measures frames `first` and on of the tile at work. */
svr_status svr_vae_measure(vae_run *run, const svr_tensor *x, int64_t first, svr_error *err);

/* Adds what the tile at work measured. */
svr_status svr_vae_statistics_add(vae_run *run, svr_error *err);

/* What all tiles measured becomes known as that of `norm`. */
svr_status svr_vae_statistics_pool(vae_run *run, const vae_norm *norm, svr_error *err);

/* ---- vae_stages.c */

/* The step behind the stage that begins with step `first`: its sampler begins one that decodes and
 * ends one that encodes.  `first` itself: the encoder's steps at latent resolution. */
int svr_vae_stage_end(const vae_half *half, int first);

/* Where a half's tiled steps begin; its end: nowhere. */
int svr_vae_first_tiled(const vae_half *half, bool decodes);

/* Latent pixels around a tile's core that convolutions of a stage see, whose input has `pixel`
 * picture pixels a pixel: each step reads one pixel of its input at either side. */
int64_t svr_vae_halo(const vae_half *half, int first, int end, int64_t pixel, int64_t factor);

/* Pixels of the smallest tile that a half can work with; 0: it has nothing to tile. */
int64_t svr_vae_least_tile(const svr_vae *vae, const vae_half *half);

/* Whether `in` of a half is cut into tiles. */
bool svr_vae_shares_tiles(const svr_vae *vae, const vae_half *half, const svr_vae_memory *memory,
                          const svr_tensor *in);

/* ---- vae_windows.c */

/* svr_op_copy_window() with the host at one side, by way of `queue`; its memory may be used at
 * once. */
svr_status svr_vae_copy_window(vae_run *run, const svr_copy_window_args *w, svr_queue queue,
                               svr_error *err);

/* ---- vae_shared.c */

svr_status svr_vae_encode_shared(vae_run *run, const svr_vae_cut *cut, const svr_tensor *x,
                                 const svr_tensor *moments, svr_error *err);
svr_status svr_vae_decode_shared(vae_run *run, const svr_vae_cut *cut, const svr_tensor *z,
                                 const svr_tensor *y, svr_error *err);

#ifdef __cplusplus
}
#endif
#endif
