/* Model files on a backend: opens, checks and loads the VAE, the transformer and the prompt
 * embeddings, and offers them as svr_networks.  Level 5.  Thread: the one that computes. */
#ifndef SVR_PIPELINE_MODEL_H
#define SVR_PIPELINE_MODEL_H

#include "base/cancel.h"
#include "memory/store.h"
#include "pipeline/networks.h"
#include "pipeline/quantization.h"
#include "weights/config.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct svr_model svr_model;

typedef struct svr_model_options {
    /* safetensors; NULL: the published networks with weights that stand for the real ones, which is
     * enough to plan */
    const char *dit_path, *vae_path;
    svr_model_kind published; /* without dit_path: DIT_3B or DIT_7B */
    /* prompt embeddings `pos` and optionally `neg`; NULL: what the transformer's file carries
     * (positive_conditioning, negative_conditioning) */
    const char *text_path;
    svr_dtype storage;             /* F32, F16 or BF16 */
    svr_quantization quantization; /* FP16 and BF16 stand for AUTO_FP16 here */
    int steps;     /* sampling steps: conditions for their timesteps are made at load */
    bool negative; /* guidance is wanted: a negative text must be there, conditions for it too */
    const svr_log *log; /* may be NULL */
} svr_model_options;

/* Opens the files and checks kinds, names, shapes and the width of the text: fast, nothing is
 * loaded.  `backend` is borrowed.  Errors: IO, FORMAT, INVALID (no text, text of another width, no
 * negative text when asked for), UNSUPPORTED (fp8 on a device without it), NO_MEM. */
SVR_CHECKED svr_status svr_model_open(svr_backend *backend, const svr_model_options *options,
                                      svr_model **out, svr_error *err);
void svr_model_close(svr_model *model);

/* Who is told of bytes done and to do while the networks load; `progress` may be NULL. */
void svr_model_watch(svr_model *model, svr_store_progress progress, void *user);

/* Where the weights are to be; by default svr_placement_default().  What must move is dropped and
 * comes back with svr_model_load().  `need` may be NULL.  Errors: NO_MEM. */
SVR_CHECKED svr_status svr_model_place(svr_model *model, const svr_placement *placement,
                                       svr_weight_need *need, svr_error *err);

/* Brings the weights to where the placement wants them and folds the constants of the first
 * options' timesteps; those of other timesteps are folded when they are first asked for, which is
 * while a stream is planned.  May be called again after a failure.  Errors: NO_MEM, NO_VRAM,
 * CANCELLED. */
SVR_CHECKED svr_status svr_model_load(svr_model *model, const svr_cancel *cancel, svr_error *err);

/* Takes all weights from the device; svr_model_load() brings them back for activations and matrices
 * of type `storage`.  The networks stay where they are. */
void svr_model_set_storage(svr_model *model, svr_dtype storage);

/* Valid while the model is; usable after svr_model_load(). */
const svr_networks *svr_model_networks(svr_model *model);

/* Type in which the transformer's factors are kept: F8_E4M3, I8, or that of all matrices. */
svr_dtype svr_model_factor_type(const svr_model *model);

/* Bytes of all weights in the form that they have on the device, wherever they are. */
uint64_t svr_model_weight_bytes(const svr_model *model);

#ifdef __cplusplus
}
#endif
#endif
