/* The causal video VAE: frames to latents and back.
 *
 * Written once against backend/ops.h.  Time is causal: a clip cut into slices [1+f*i, f*j, f*k, …]
 * (f = temporal factor), with the last input frames of every temporal convolution carried from
 * slice to slice, gives the same numbers as the whole clip.  Norms and attention look at one frame
 * only. Source: spec vae.md.  Level 4.  Thread: the one that computes. */
#ifndef SVR_VAE_VAE_H
#define SVR_VAE_VAE_H

#include "backend/exec.h"
#include "memory/store.h"
#include "weights/config.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct svr_vae svr_vae;

enum { SVR_VAE_GROUP_ENCODER = 0, SVR_VAE_GROUP_DECODER, SVR_VAE_GROUPS };

/* What is parked. */
typedef enum svr_vae_parked {
    SVR_VAE_PARKED_STREAM = 1,   /* between layers: what residuals are added to */
    SVR_VAE_PARKED_INNER = 2,    /* between the two convolutions of a resnet */
    SVR_VAE_PARKED_RESIDUAL = 4, /* beside that */
    SVR_VAE_PARKED_ALL = 7
} svr_vae_parked;

/* How one half trades work for memory.  Zeroed: the clip whole, which is fastest and largest.
 *
 * A half is a list of steps: the two halves of each resnet, attention, down- and upsamplers, first
 * and last layer.  Steps at one resolution work on one piece of the clip after the other, and each
 * convolution carries its last input frames from piece to piece.  What is carried is what remains
 * of the memory when pieces are small, so steps can be grouped into sweeps: a sweep works through
 * the whole clip, only its own carried frames exist meanwhile, and its result is parked.
 *
 * What is computed for a frame is the same whatever the numbers here, to the bit where ops compute
 * frames one by one (the CPU's do).  A backend that takes another way for another number of frames
 * may round differently with other pieces; with other places to park, never. */
typedef struct svr_vae_memory {
    /* A piece has so many frames that the widest activation it becomes at one resolution has about
     * this many values, at least one frame of it (two where time is halved); 0: all frames. */
    int64_t piece_values;
    /* A sweep carries at most this many values (of the storage type), or one step; 0: one sweep.
     * The sweeps are those that park the fewest values, and of these the most even ones.  The first
     * step of a resnet that narrows and would carry more by itself works on bands of rows of frames
     * parked on the host. */
    int64_t carried_values;
    /* Parked clips go to page-locked host memory (exec->host) by copies beside the computation,
     * instead of to scratch memory. */
    bool park_on_host;
    /* When the memory of frames that leave for the host is given back.  0: when the next ones
     * leave, so copies have the time of a whole piece; 1: before the last step of the next piece,
     * as far as there are several large steps, and behind its first one where that uses up a parked
     * residual, whose place the next one then takes; 2: else before the next input is fetched,
     * which nothing hides, and behind the clip's first layer.  Each needs a frame less than the one
     * before, in some sweeps. */
    int tight;
    /* Sweeps park more than the least as far as the largest of them, with what it carries and has
     * in hand, gets smaller by that: for clips of many frames. */
    bool even;
    /* F8_E4M3 or I8: frames are parked in 8 bits by runs of pixels (svr_quantize_runs_args), 1.125
     * bytes a value where the storage type has 16; the result changes.  F32: as they are. */
    svr_dtype parked;
    unsigned parked_exact; /* which of them stay as they are all the same, of svr_vae_parked */
    /* Spatial tiles of so many video pixels each way with shared statistics, rounded down to whole
     * latent pixels, for frames that are larger; 0: none.  Steps at latent resolution see the whole
     * frame; the others work on one tile after the other, which has all pixels around it that its
     * convolutions see, and norms use statistics of whole frames, each measured in a pass over all
     * tiles.  So the result is that without tiles but for rounding, at several times the work.
     * What the numbers above say is about a tile; with park_on_host whole frames between stages are
     * parked there too, as they are.  docs/architecture.md "Tiles". */
    int tile;
} svr_vae_memory;

/* How a clip is cut.  Zeroed: whole. */
typedef struct svr_vae_cut {
    /* video frames that go through all layers together, a multiple of the temporal factor; the
     * first slice has one frame more; 0: the clip.  The encoder's pieces are cut from slices; a
     * decoder with piece_values has none. */
    int slice_frames;
    /* clips of up to so many video frames are not cut in time, whatever the other numbers */
    int whole_frames;
    svr_vae_memory encoder, decoder;
    /* spatial tiles as the reference makes them, in pixels, 0: none (another function: norms and
     * attention see only the tile; verification).  Not together with tiles above.  spec vae.md §7
     */
    int tile_h, tile_w, overlap_h, overlap_w;
} svr_vae_cut;

/* Declares the network's items in `store` (created with SVR_VAE_GROUPS groups; borrowed, must
 * outlive *out), which the caller then loads.  A mid attention whose output projection is exactly 0
 * is left out. */
SVR_CHECKED svr_status svr_vae_create(const svr_vae_config *config, svr_store *store, svr_vae **out,
                                      svr_error *err);
void svr_vae_destroy(svr_vae *vae);

const svr_vae_config *svr_vae_get_config(const svr_vae *vae);

/* Encoding and decoding are a pass of the store over their group, begun here unless the caller has
 * begun it, and ended here. */

/* moments = encoder(x): mean in channels 0..L-1 and, where moments has 2L channels, logvar behind
 * it (not clamped); L = latent_channels.
 *   x [T,H,W,3] storage, model values, T = f*n+1   moments [n+1, H/s, W/s, L or 2L] storage or F32
 * s = spatial factor; sizes are rounded down.  Taps: "tap.enc.*" of a clip in one piece, "mem.*"
 * after the first slice. Errors: SHAPE, CANCELLED, NO_VRAM, DEVICE. */
SVR_CHECKED svr_status svr_vae_encode(svr_exec *exec, svr_vae *vae, const svr_vae_cut *cut,
                                      const svr_tensor *x, const svr_tensor *moments,
                                      svr_error *err);

/* The same; x, scratch memory, is given back as soon as nothing reads it any more: behind the first
 * sweep, or the first stage of tiles. */
SVR_CHECKED svr_status svr_vae_encode_consume(svr_exec *exec, svr_vae *vae, const svr_vae_cut *cut,
                                              svr_tensor *x, const svr_tensor *moments,
                                              svr_error *err);

/* y = decoder(z), not clamped; a y of fewer frames gets the first ones, one of fewer rows or
 * columns the top left of each (with the reference's tiles only in size of the whole). z [t,h,w,L]
 * storage, unscaled   y [1 .. f*(t-1)+1, 1 .. s*h, 1 .. s*w, 3] storage or F32. Taps: "tap.dec.*",
 * "mem.*". Errors as above. */
SVR_CHECKED svr_status svr_vae_decode(svr_exec *exec, svr_vae *vae, const svr_vae_cut *cut,
                                      const svr_tensor *z, const svr_tensor *y, svr_error *err);

/* The same to the first `frames` frames of y, of which the sizes and the type are given; its
 * scratch memory is taken here, when the last sweep or stage of tiles begins, and is the caller's.
 */
SVR_CHECKED svr_status svr_vae_decode_new(svr_exec *exec, svr_vae *vae, const svr_vae_cut *cut,
                                          const svr_tensor *z, int64_t frames, svr_tensor *y,
                                          svr_error *err);

#ifdef __cplusplus
}
#endif
#endif
