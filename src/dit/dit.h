/* The diffusion transformer: one velocity prediction.
 *
 * Written once against backend/ops.h.  What depends on timestep and text but not on the video (time
 * embedding, modulation, projected text) is a svr_dit_condition, computed on the host once; what
 * depends on the grid only (windows, rotary tables) is a svr_dit_geometry.  So emb_in and txt_in
 * never reach the device.  The residual stream is F32 whatever the storage type.  With a store that
 * quantises (svr_store_quantize()) the matrices of the blocks are kept in 8 bits; with e4m3, and on
 * request with integers, what they multiply is quantised row by row on the way.  Everything else
 * stays.  Source: spec dit.md.
 * Level 4.  Thread: the one that computes. */
#ifndef SVR_DIT_DIT_H
#define SVR_DIT_DIT_H

#include "backend/exec.h"
#include "memory/store.h"
#include "weights/config.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct svr_dit svr_dit;
typedef struct svr_dit_condition svr_dit_condition;
typedef struct svr_dit_geometry svr_dit_geometry;

/* Store groups: 0 .. layers-1 are the blocks, then input and output projections. */
int svr_dit_groups(const svr_dit_config *config);

/* Declares the network's items in `store` (created with svr_dit_groups() groups; borrowed, must
 * outlive *out), which the caller then loads, whole or some groups, while *out exists.
 * Errors: INVALID, UNSUPPORTED (channels), NO_MEM. */
SVR_CHECKED svr_status svr_dit_create(const svr_dit_config *config, svr_store *store, svr_dit **out,
                                      svr_error *err);
void svr_dit_destroy(svr_dit *dit);

/* For matrices that are kept as I8: what they multiply becomes I8 too, and their products are those
 * of integers. */
void svr_dit_quantize_activations(svr_dit *dit);

const svr_dit_config *svr_dit_get_config(const svr_dit *dit);

/* Tokens that are worked on at a time; 0 (default): all.  Fewer than there are bound everything but
 * the residual streams: products and MLP take that many, attention as many whole windows as fit,
 * and at least one.  Never changes results on the CPU; elsewhere a library may choose another way
 * of summing for another number of rows. */
void svr_dit_set_token_chunk(svr_dit *dit, int64_t tokens);

/* Time embedding [6D] of spec dit §4, layout emb[c*6 + part*3 + kind], from emb_in's tensors. */
SVR_CHECKED svr_status svr_dit_time_embedding(const svr_dit *dit, float timestep, float *out,
                                              svr_error *err);

/* Tokens of a prompt in host memory, [len, width]; len >= 1. */
typedef struct svr_dit_text {
    const float *values;
    int len;
} svr_dit_text;

/* Folded constants for a timestep (0..1000) and a prompt embedding of width txt_in.
 * Lives in backend memory (tag STATE) until destroyed.  Errors: NO_MEM, NO_VRAM, DEVICE. */
SVR_CHECKED svr_status svr_dit_condition_create(svr_backend *backend, const svr_dit *dit,
                                                float timestep, const svr_dit_text *text,
                                                svr_dit_condition **out, svr_error *err);

/* The same from a given embedding emb [6D] and projected text of width D (verification). */
SVR_CHECKED svr_status svr_dit_condition_from(svr_backend *backend, const svr_dit *dit,
                                              const float *emb, const svr_dit_text *txt,
                                              svr_dit_condition **out, svr_error *err);
void svr_dit_condition_destroy(svr_dit_condition *condition);

/* Tables for a latent grid of t x H x W (H, W multiples of the patch) and a text length. */
SVR_CHECKED svr_status svr_dit_geometry_create(svr_backend *backend, const svr_dit *dit,
                                               const int latent[3], int text_len,
                                               svr_dit_geometry **out, svr_error *err);
void svr_dit_geometry_destroy(svr_dit_geometry *geometry);

/* What one evaluation reads and writes. */
typedef struct svr_dit_io {
    const svr_dit_condition *condition;
    const svr_dit_geometry *geometry;
    svr_tensor x_t;  /* [t,H,W,16] storage: noise at the timestep */
    svr_tensor cond; /* [t,H,W,16] storage: condition latent; its mask channel is constant 1 */
    svr_tensor v;    /* [t,H,W,16] storage or F32: velocity x_T - x_0 */
} svr_dit_io;

/* A pass of the store over the blocks, begun here unless the caller has begun it, and ended here.
 * Text behind the last block is read by nobody: it is computed only for a tap.  Scratch memory is
 * given back.  Taps: "patch_in", "txt_in", "block<i>.vid", "block<i>.txt",
 * "block<i>.attn_out.vid/.txt", "block<i>.qkv.vid/.txt" after norm and rotation,
 * "block<i>.attn.vid/.txt" before proj_out, and "out_mod".  Those of the video inside attention,
 * and out_mod, exist only where tokens are worked on all at a time. Errors: SHAPE, CANCELLED,
 * NO_VRAM, DEVICE. */
SVR_CHECKED svr_status svr_dit_forward(svr_exec *exec, svr_dit *dit, const svr_dit_io *io,
                                       svr_error *err);

/* One block in place: streams are video [Nv,D] and text [L,D], F32; where the text ends (3B, last
 * block) the text stays. Of `io` only condition and geometry are read.  Errors: as above. */
SVR_CHECKED svr_status svr_dit_block(svr_exec *exec, svr_dit *dit, int layer, const svr_dit_io *io,
                                     const svr_tensor streams[2], svr_error *err);

#ifdef __cplusplus
}
#endif
#endif
