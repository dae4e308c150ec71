/* A whole clip through the pipeline's phases, batch by batch, with the pictures as floats: what the
 * upscaler does, without its integer output. */
#ifndef SEEDVR2_VERIFY_PIPELINE_RUN_H
#define SEEDVR2_VERIFY_PIPELINE_RUN_H

#include "pipeline/phases.h"
#include "verify/device.h"
#include "verify/golden.h"

typedef struct pipeline_run {
    const svr_networks *networks;
    svr_phases_config config; /* all of it */
    const uint8_t *frames;    /* [count], tightly packed as config.in */
    int count;
    int batch, overlap, prepend;
    bool uniform;
    /* results */
    float *out;       /* [count, oh, ow, 3] in [0,1]; g_free */
    device_taps taps; /* "b0.latent", "b0.noise", "b0.v", "b1.latent", … */
} pipeline_run;

void pipeline_run_init(pipeline_run *p);
void pipeline_run_finish(pipeline_run *p);

/* Sets frames, count and the sizes of the configuration, whose other members become 0, from the
 * golden "frames_u8_thwc" [T,H,W,3]; the output has the given short side and at most `max_edge`.
 * The frames are the golden's.  Errors: FORMAT. */
SVR_CHECKED svr_status pipeline_run_clip(pipeline_run *p, const golden *g, int short_side,
                                         int max_edge, svr_error *err);
SVR_CHECKED svr_status pipeline_run_all(device *d, pipeline_run *p, svr_error *err);

#endif
