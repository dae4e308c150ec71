/* Frames in 8 bits, while they are parked.  Level 4.  Thread: the one that computes. */
#ifndef SVR_VAE_VAE_PACK_H
#define SVR_VAE_VAE_PACK_H

#include "vae/vae_run.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How a frame [1,H,W,C] lies in 8 bits: its numbers [H,W,C], then the scales of their runs. */
typedef struct vae_packing {
    svr_dtype type; /* F32: it stays as it is, and nothing else here counts */
    svr_dtype storage;
    int64_t width, channels, runs; /* runs of a row */
    size_t scales, bytes;          /* where scales begin; of the whole */
} vae_packing;

/* The type of what is parked: F8_E4M3, I8, or F32 where it stays as it is. */
svr_dtype svr_vae_park_type(const svr_vae_memory *memory, svr_vae_parked what);

/* Of a frame [.,H,W,C]. */
vae_packing svr_vae_packing(svr_dtype type, svr_dtype storage, const int64_t dims[4]);

/* Memory for `count` frames of sizes `dims`, as they are or packed. */
svr_status svr_vae_take_parked(vae_run *run, const vae_packing *p, const int64_t dims[4],
                               int64_t count, svr_tensor *out, svr_error *err);

/* Views of `rows` rows of pixels from `first` on of a packed frame U8 [1,bytes]. */
typedef struct vae_packed {
    svr_tensor values, scales; /* as svr_quantize_runs_args has them */
} vae_packed;
vae_packed svr_vae_packed(const vae_packing *p, const svr_tensor *frame, int64_t first,
                          int64_t rows);

/* packed = x and back, frame by frame: x [T,H,W,C] storage, packed U8 [T,bytes]. */
svr_status svr_vae_pack(vae_run *run, const vae_packing *p, const svr_tensor *x,
                        const svr_tensor *packed, svr_error *err);
svr_status svr_vae_unpack(vae_run *run, const vae_packing *p, const svr_tensor *packed,
                          const svr_tensor *x, svr_error *err);

#ifdef __cplusplus
}
#endif
#endif
