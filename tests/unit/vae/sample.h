/* A clip through both halves of a VAE, and what that takes. */
#ifndef SVR_TESTS_VAE_SAMPLE_H
#define SVR_TESTS_VAE_SAMPLE_H

#include "fixture.h"

#include "backend/ops.h"

enum { ENCODE, DECODE, HALVES };

/* A clip and its latent, and what becomes of them whole. */
typedef struct sample {
    vae_rig *rig;
    int64_t in[HALVES][4], out[HALVES][4];
    float *values[HALVES], *whole[HALVES];
    size_t elems[HALVES]; /* of the results */
} sample;

float *run_half(const sample *s, int half, const svr_vae_memory *memory);

/* The encoder's clip is a little larger than what its latent stands for. */
sample sample_make(vae_rig *rig, int64_t frames, int64_t h, int64_t w);
void sample_free(sample *s);

/* Peaks of scratch and host memory, and bytes copied. */
typedef struct memory_use {
    size_t scratch, host;
    uint64_t in, out;
} memory_use;

memory_use use_of(const svr_exec *exec);
memory_use use_since(const svr_exec *exec, const memory_use *before);

/* A network on a device that counts. */
typedef struct dry_network {
    svr_backend *counting;
    svr_vae *vae;
    svr_dtype storage;
} dry_network;

/* What a half takes for an input of dims[0] and a result of dims[1]. */
memory_use count_half(const dry_network *net, int half, int64_t dims[2][4],
                      const svr_vae_memory *memory);

/* run_half() in exactly the memory that counting predicts, which goes to *use. */
float *run_counted(const sample *s, svr_backend *counting, int half, const svr_vae_memory *memory,
                   memory_use *use);

/* The published network on a device that counts, without workspaces, so that what is counted are
 * activations alone.  `ops` is filled and must outlive it. */
typedef struct published {
    svr_backend *cpu, *counting;
    svr_weights *weights;
    svr_store *store;
    svr_vae *vae;
} published;

published published_open(svr_ops *ops);
void published_close(published *p);

#endif
