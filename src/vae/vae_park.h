/* Clips that wait between two sweeps, on the device or on the host.  Level 4.  Thread: the one that
 * computes. */
#ifndef SVR_VAE_VAE_PARK_H
#define SVR_VAE_VAE_PARK_H

#include "vae/vae_pack.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Frames [first, first + count) of a parked clip; of the `next` ones behind them, which are fetched
 * meanwhile, `late` ones without their residuals yet. */
typedef struct vae_range {
    int64_t first, count, next;
    bool late;
} vae_range;

/* A clip's activation between two sweeps. */
typedef struct vae_parked {
    bool on_host;
    int64_t frames;
    int64_t dims[2][4];     /* of x and residual; the latter's are 0 where there is none */
    vae_packing packing[2]; /* likewise */
    svr_tensor x, residual; /* on the device: the whole clip, scratch memory */
    /* on the host: frame by frame, as far as they have been put and not yet taken */
    svr_tensor *host_x, *host_residual;
    svr_tensor moments; /* [T,groups,3] F32, scratch memory: the statistics of x */
    bool has_moments;
    /* on the host only: frames that are on their way out, and those that are on their way in */
    vae_frames leaving, coming;
    svr_mark left[2], came; /* of x and residual */
    vae_range late;         /* what is coming without its residuals */
} vae_parked;

/* Makes room to list clips of up to `frames` frames on the host. */
svr_status svr_vae_park_prepare(svr_vae *vae, int64_t frames, svr_error *err);

/* Takes memory for the activation in front of step `step` of the plan; on the host it is taken as
 * frames are put, and given back as they are taken. */
svr_status svr_vae_park_open(vae_run *run, const vae_half *half, int step,
                             const svr_vae_memory *memory, vae_parked *parked, svr_error *err);

/* Memory of frames [first, first + count) on the device, for the op that makes them; absent where
 * frames are packed, which then need memory of their own first. */
vae_frames svr_vae_park_place(const vae_parked *parked, int64_t first, int64_t count);

/* Puts frames at `first` and on, packed if wanted: to the host they are copied in the background,
 * on the device they are where svr_vae_park_place() said already.  Either tensor may be absent.  x
 * is cleared. */
svr_status svr_vae_park_put(vae_run *run, vae_parked *parked, int64_t first, vae_frames *x,
                            svr_error *err);

/* Frees what was put to the host so far; ops that use its memory wait for the copies. */
svr_status svr_vae_park_settle(vae_run *run, vae_parked *parked, svr_error *err);

/* x = a range of frames; from the host, those behind it are fetched meanwhile.  On the device the
 * memory stays the parked clip's. */
svr_status svr_vae_park_take(vae_run *run, vae_parked *parked, const vae_range *range,
                             vae_frames *x, svr_error *err);

/* Begins to bring in the residuals of what was fetched without them. */
svr_status svr_vae_park_fetch_late(vae_run *run, vae_parked *parked, svr_error *err);

/* Gives the host memory of frames back that no copy will read any more. */
void svr_vae_park_drop(vae_run *run, vae_parked *parked, int64_t first, int64_t count);

/* Gives the memory back, also of frames that were fetched in vain.  Accepts a zeroed one. */
svr_status svr_vae_park_close(vae_run *run, vae_parked *parked, svr_error *err);

#ifdef __cplusplus
}
#endif
#endif
