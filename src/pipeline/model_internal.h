/* What model.c and model_place.c share.  Level 5.  Thread: the one that computes. */
#ifndef SVR_PIPELINE_MODEL_INTERNAL_H
#define SVR_PIPELINE_MODEL_INTERNAL_H

#include "dit/dit.h"
#include "pipeline/constants.h"
#include "pipeline/model.h"

struct svr_model {
    svr_backend *backend;
    svr_dtype storage;
    svr_quantization quantization;
    svr_placement placement;
    bool *resident; /* [layers] of the transformer's blocks */
    svr_store_progress progress;
    void *progress_user;
    int steps;
    bool negative;
    svr_safetensors *vae_file, *dit_file;
    svr_vae_config vae_config;
    svr_dit_config dit_config;
    svr_weights *vae_weights, *dit_weights;
    svr_prompts prompts;
    svr_store *vae_store, *dit_store; /* with vae and dit NULL after a failed load */
    svr_vae *vae;
    svr_dit *dit;
    svr_constants constants;
    svr_networks networks;
};

/* Makes stores and networks, without any weight on the device. */
SVR_CHECKED svr_status svr_model_declare(svr_model *model, svr_error *err);

/* Of svr_networks. */
void svr_model_describe_weights(void *user, svr_network_weights *out);

#endif
