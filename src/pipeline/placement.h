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
    bool relay;          /* streamed groups are read from the file each time */
} svr_placement;

/* Everything where it is used, nothing streamed, pieces that fill a device. */
svr_placement svr_placement_default(void);

/* What of networks can be placed, in bytes on the device. */
typedef struct svr_network_weights {
    uint64_t encoder, decoder;
    uint64_t fixed; /* what always stays on the device */
    int blocks;     /* of the transformer */
    uint64_t block_total, block_largest;
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
