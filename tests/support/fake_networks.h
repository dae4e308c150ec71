/* Stand-in networks for the CPU backend, exactly defined, so that everything around the real ones
 * can be tested without weights.
 *
 * FAKE_GOLDEN: the networks of goldens/pipe_fake_nets.py, behind the end-to-end reference values.
 *   encode: means of 8x8 pixels and of 4 frames (frame 0 alone) in channels 0..2, half of the left
 *           neighbour's minus .25 in channels 3..5
 *   predict: v = x_t - (.9 c + .05 c[channel - 1] +- .02), minus for the negative text
 *   decode: channels 0..2 enlarged, plus .2 k sin(.7 y + .3 t) cos(.9 x) with k = channels 3..5
 * FAKE_IDENTITY: a frame comes back as its 8x8 means, whatever the batch: the frames of a latent
 * are kept in channels 3 * (frame in latent) + colour, and x_0 = condition.
 *
 * Computed on their own from the definition, apart from those of `seedvr2 verify` (which work on
 * any backend): each is a check on the other.  They can be slow (polling the cancel flag meanwhile)
 * and fail. */
#ifndef SVR_TESTS_FAKE_NETWORKS_H
#define SVR_TESTS_FAKE_NETWORKS_H

#include "pipeline/networks.h"

typedef enum fake_kind { FAKE_GOLDEN, FAKE_IDENTITY } fake_kind;

typedef struct fake_networks {
    fake_kind kind;
    int predict_ms;       /* time that a prediction takes */
    int fail_at;          /* the n-th real prediction (from 1) fails; 0: none */
    svr_status fail_with; /* its status; 0: UNSUPPORTED */
    int overflow_at;      /* the n-th real prediction has an infinite value; 0: none */
    int nan_at;           /* the n-th real picture has a NaN, in its last value; 0: none */
    int predictions;      /* real ones so far */
    int pictures;         /* real ones so far */
    int prepared;         /* calls of prepare */
    svr_networks networks;
} fake_networks;

/* Fills in `networks`, whose user is `fake` itself; storage F32. */
void fake_networks_init(fake_networks *fake, fake_kind kind);

#endif
