/* A VAE on the CPU backend with scratch memory, and clips of golden files. */
#ifndef SVR_TESTS_VAE_FIXTURE_H
#define SVR_TESTS_VAE_FIXTURE_H

#include "cpu/cpu_backend.h"
#include "vae/vae.h"
#include "weights/safetensors.h"

#include "check.h"

typedef struct vae_rig {
    svr_safetensors *file; /* NULL when the weights are generated */
    svr_vae_config config;
    svr_weights *weights;
    svr_backend *backend;
    svr_store *store;
    svr_vae *vae;
    svr_dtype storage;
    svr_exec exec;
    void *block, *host_block; /* scratch memory, and as much of the host */
    size_t block_bytes;
} vae_rig;

/* A network of three stages that needs little time. */
extern const svr_vae_config rig_small;

/* From a file, or (path NULL) with random weights for `config`. */
vae_rig rig_open(const char *path, const svr_vae_config *config, svr_dtype storage);
void rig_close(vae_rig *rig);

/* Starts both scratch memories anew, so that their peaks belong to the next run. */
void rig_reset_scratch(vae_rig *rig);

/* Host copies of a tensor [1,C,T,H,W] of a golden file as [T,H,W,C]; sizes go to dims. */
float *clip_load(const svr_safetensors *file, const char *name, int64_t dims[4]);

/* Runs a half on n F32 values, result as F32 of dims `out`; memory from malloc. */
float *rig_encode(vae_rig *rig, const svr_vae_cut *cut, const float *x, const int64_t dims[4],
                  const int64_t out[4]);
float *rig_decode(vae_rig *rig, const svr_vae_cut *cut, const float *z, const int64_t dims[4],
                  const int64_t out[4]);

#endif
