/* What the checks of the transformer share. */
#ifndef SEEDVR2_VERIFY_VERIFY_DIT_H
#define SEEDVR2_VERIFY_VERIFY_DIT_H

#include "verify/verify.h"

/* For results and intermediates of a run's storage type and quantisation. */
const verify_limit *verify_dit_limit(const verify_run *run);

/* Attention of one layer of a case, as its taps show it. */
typedef struct verify_dit_attention {
    const device_taps *taps;
    svr_dtype storage;
    int layer;
    int grid[3];        /* tokens t, h, w */
    const int *windows; /* the parameter, e.g. 4, 3, 3 */
    int text_len;
    bool text_ends; /* nothing asks for the text's result here: its queries are not computed */
} verify_dit_attention;

/* block<layer>.cu_seqlens and block<layer>.win0.q/k/o, those that the file has. */
svr_status verify_dit_window(verify_run *run, const golden *g, const verify_dit_attention *a,
                             svr_error *err);

#endif
