/* Clips that go through both halves of a VAE, whole and in every kind of memory, and what that
 * takes as the counting backend says. */
#ifndef SVR_TESTS_VAE_SAMPLE_H
#define SVR_TESTS_VAE_SAMPLE_H

#include "fixture.h"

#include "backend/ops.h"

/* The real one's layout: a stage that keeps time, two resnets a stage. */
extern const svr_vae_config sample_deep;

enum { ENCODE, DECODE, HALVES };

/* A clip and its latent, and what becomes of them whole. */
typedef struct sample {
    vae_rig *rig;
    int64_t in[HALVES][4], out[HALVES][4];
    float *values[HALVES], *whole[HALVES];
    size_t elems[HALVES]; /* of the results */
} sample;

/* The encoder's clip is a little larger than what its latent of h x w stands for. */
sample sample_make(vae_rig *rig, int64_t frames, int64_t h, int64_t w);
void sample_free(sample *s);

/* The result of a half, memory from malloc. */
float *sample_run(const sample *s, int half, const svr_vae_memory *memory);

/* The same; its memory is what counting predicts. */
float *sample_run_counted(const sample *s, svr_backend *counting, int half,
                          const svr_vae_memory *memory);

/* Peaks of scratch and host memory, and bytes copied. */
typedef struct memory_use {
    size_t scratch, host;
    uint64_t in, out;
} memory_use;

memory_use memory_use_of(const svr_exec *exec);

/* Leaves a rig with `sixteenths` of what a run used on the device or, for odd ones, on the host. */
void rig_shrink(vae_rig *rig, const memory_use *use, int sixteenths);

/* A network on a device that counts. */
typedef struct dry_network {
    svr_backend *counting;
    svr_vae *vae;
    svr_dtype storage;
} dry_network;

/* What a half takes for an input of dims[0] and a result of dims[1]. */
memory_use count_half(const dry_network *net, int half, int64_t dims[2][4],
                      const svr_vae_memory *memory);

/* The same for a sample's. */
memory_use sample_count(const sample *s, svr_backend *counting, int half,
                        const svr_vae_memory *memory);

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
