/* Model files on a backend: opens, checks and loads the VAE, the transformer and the prompt
 * embeddings, and offers them as svr_networks.  Level 5.  Thread: the one that computes. */
#ifndef SVR_PIPELINE_MODEL_H
#define SVR_PIPELINE_MODEL_H

#include "base/cancel.h"
#include "memory/store.h"
#include "pipeline/networks.h"
#include "vae/vae.h"
#include "weights/config.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct svr_model svr_model;

/* Slices of 4 frames in the encoder, less where frames are larger than 720p, and pieces of 2^26
 * values in the decoder: small, and large enough to fill a device.  Clips of 5 frames go whole. */
svr_vae_cut svr_model_default_cut(void);

typedef struct svr_model_options {
    const char *dit_path, *vae_path; /* safetensors */
    /* prompt embeddings `pos` and optionally `neg`; NULL: what the transformer's file carries
     * (positive_conditioning, negative_conditioning) */
    const char *text_path;
    svr_dtype storage; /* F32, F16 or BF16 */
    svr_vae_cut cut;   /* how the VAE cuts its clips; see svr_model_default_cut() */
    bool fp8;          /* the transformer's blocks multiply in F8_E4M3 */
    int steps;         /* sampling steps: conditions for their timesteps are made at load */
    bool negative; /* guidance is wanted: a negative text must be there, conditions for it too */
    const svr_log *log; /* may be NULL */
} svr_model_options;

/* Opens the files and checks kinds, names, shapes and the width of the text: fast, nothing is
 * loaded.  `backend` is borrowed.  Errors: IO, FORMAT, INVALID (no text, text of another width, no
 * negative text when asked for), UNSUPPORTED (fp8 on a device without it), NO_MEM. */
SVR_CHECKED svr_status svr_model_open(svr_backend *backend, const svr_model_options *options,
                                      svr_model **out, svr_error *err);
void svr_model_close(svr_model *model);

/* Brings the weights to the device and folds the constants of the first options' timesteps; those
 * of other timesteps are folded when they are first asked for, which is while a stream is planned.
 * May be called again after a failure.  Errors: NO_MEM, NO_VRAM, CANCELLED. */
SVR_CHECKED svr_status svr_model_load(svr_model *model, const svr_cancel *cancel,
                                      svr_store_progress progress, void *progress_user,
                                      svr_error *err);

/* Takes all weights from the device; svr_model_load() brings them back for activations and matrices
 * of type `storage`.  The networks stay where they are. */
void svr_model_set_storage(svr_model *model, svr_dtype storage);

/* Valid while the model is; usable after svr_model_load(). */
const svr_networks *svr_model_networks(svr_model *model);

const svr_vae_config *svr_model_vae_config(const svr_model *model);
const svr_dit_config *svr_model_dit_config(const svr_model *model);

/* Bytes of all weights on the device. */
uint64_t svr_model_weight_bytes(const svr_model *model);

#ifdef __cplusplus
}
#endif
#endif
