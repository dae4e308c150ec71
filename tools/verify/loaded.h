/* A network from a safetensors file, loaded on a backend. */
#ifndef SEEDVR2_VERIFY_LOADED_H
#define SEEDVR2_VERIFY_LOADED_H

#include "dit/dit.h"
#include "pipeline/quantization.h"
#include "vae/vae.h"
#include "verify/golden.h"

typedef struct loaded_vae {
    svr_safetensors *file;
    svr_vae_config config;
    svr_weights *weights;
    svr_store *store;
    svr_vae *vae;
} loaded_vae;

typedef struct loaded_dit {
    svr_safetensors *file; /* NULL for generated weights */
    svr_dit_config config;
    svr_weights *weights;
    svr_store *store;
    svr_dit *dit;
} loaded_dit;

/* End both with loaded_…_close(), also after a failure. */
SVR_CHECKED svr_status loaded_vae_open(svr_backend *backend, svr_dtype storage, const char *path,
                                       loaded_vae *out, svr_error *err);
void loaded_vae_close(loaded_vae *net);

/* Where a transformer lives and how its numbers are kept. */
typedef struct loaded_form {
    svr_backend *backend;
    svr_dtype storage;
    svr_quantization quantization;
} loaded_form;

/* `windows` replaces the windows of the configuration. */
SVR_CHECKED svr_status loaded_dit_open(const loaded_form *form, const char *path,
                                       const int windows[3], loaded_dit *out, svr_error *err);

/* The published network `kind` with weights by procedural_generate(), of which block `layer` is
 * loaded.  `seed` is borrowed. */
SVR_CHECKED svr_status loaded_dit_generate(const loaded_form *form, const svr_dit_config *config,
                                           int layer, uint32_t *seed, loaded_dit *out,
                                           svr_error *err);
void loaded_dit_close(loaded_dit *net);

#endif
