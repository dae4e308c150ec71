/* How a stream's memory is arranged: what the planner varies.  Plain numbers; the picture does not
 * depend on them.  Level 5.  Thread: any. */
#ifndef SVR_PIPELINE_PLACEMENT_H
#define SVR_PIPELINE_PLACEMENT_H

#include "vae/vae.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How networks arrange their work. */
typedef struct svr_placement {
    svr_vae_cut cut;     /* of the VAE's clips */
    int64_t token_chunk; /* tokens that a transformer block takes at a time; 0: all */
    bool stream_vae;     /* encoder and decoder come to the device for their phase only */
    int resident_blocks; /* of the transformer; the others are streamed */
    int slots;           /* for streamed groups, >= 1 */
    bool ahead;          /* a phase's first weights come while the phase before computes */
    bool relay;          /* streamed groups are read from the file each time */
} svr_placement;

/* Everything resident, pieces that fill a device: slices of 4 frames in the encoder, less where
 * frames are larger than 720p, and pieces of 2^26 values in the decoder; clips of 5 frames go
 * whole.
 */
svr_placement svr_placement_default(void);

/* What of networks can be placed, in bytes on the device. */
typedef struct svr_network_weights {
    uint64_t encoder, decoder;
    uint64_t fixed; /* what always stays on the device */
    int blocks;     /* of the transformer */
    uint64_t block_total, block_largest;
    int full_channels; /* of the VAE's activations at full resolution */
} svr_network_weights;

/* Bytes that weights take with a placement. */
typedef struct svr_weight_need {
    uint64_t resident; /* on the device all the time; slots are scratch memory */
    uint64_t host;     /* page-locked */
    int streamed_blocks;
} svr_weight_need;

#ifdef __cplusplus
}
#endif
#endif
