/* The tiny golden transformers on the CPU backend. */
#ifndef SVR_TESTS_DIT_FIXTURE_H
#define SVR_TESTS_DIT_FIXTURE_H

#include "backend/exec.h"
#include "dit/dit.h"
#include "golden.h"

/* A backend with scratch memory. */
typedef struct device {
    svr_backend *backend;
    void *memory;
    svr_scratch *scratch;
    svr_exec exec;
} device;

enum { DEVICE_SCRATCH_BYTES = 256 << 20 };

void device_open(device *d);

/* Checks that nothing is left in backend memory. */
void device_close(device *d);

/* n floats in scratch memory as a tensor of the given type and shape. */
svr_tensor device_tensor(device *d, svr_dtype dtype, int rank, const int64_t *dims,
                         const float *values);

/* A host copy of a tensor as floats; the caller frees. */
float *device_floats(device *d, const svr_tensor *tensor);

/* Weights of the tiny "3b" or "7b"; *config is what the file says, with the windows of a case. */
svr_weights *weights_open(const char *dir, const char *variant, const int windows[3],
                          svr_safetensors **file, svr_dit_config *config);

/* A transformer with its weights. */
typedef struct network {
    svr_weights *weights;
    svr_store *store;
    svr_dit *dit;
} network;

/* Creates the transformer in `storage` with factors quantised to `factors` (F32: not at all);
 * `weights` is owned from here on. */
void network_open_quantized(network *n, device *d, const svr_dit_config *config,
                            svr_weights *weights, svr_dtype storage, svr_dtype factors);

/* The same, not quantised. */
void network_open(network *n, device *d, const svr_dit_config *config, svr_weights *weights,
                  svr_dtype storage);
void network_load(network *n, int first_group, int groups);
void network_close(network *n);

/* One golden case: what goes in, in host memory. */
typedef struct golden_case {
    svr_safetensors *file;
    int latent[3];
    int windows[3];
    int text_len;
    float timestep;
    float *text, *x_t, *cond; /* [L, txt_in], [t,H,W,16] twice */
} golden_case;

void case_open(golden_case *c, const char *dir, const char *name);
void case_close(golden_case *c);

#endif
