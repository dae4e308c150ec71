/* Where the work on a batch is, for reports of memory.  Level 0. */
#ifndef SVR_BASE_POINT_H
#define SVR_BASE_POINT_H

#include "base/api.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Ops in front of a point are issued, not necessarily finished. */
typedef enum svr_point {
    SVR_POINT_ENCODED,       /* behind the VAE's encoder */
    SVR_POINT_STEP_BEGIN,    /* before a step of the transformer */
    SVR_POINT_POSITIVE_DONE, /* behind the pass with the positive text */
    SVR_POINT_NEGATIVE_DONE, /* behind the pass with the negative text, where there is one */
    SVR_POINT_STEP_END,      /* behind the step */
    SVR_POINT_DECODED,       /* behind the VAE's decoder */
    SVR_POINT_CLEANED,       /* behind a batch: its scratch memory is given back */
    SVR_POINT_COUNT
} svr_point;

/* "encode", "step-begin", "positive", "negative", "step-end", "decode", "batch". */
SVR_API const char *svr_point_name(svr_point point);

#ifdef __cplusplus
}
#endif
#endif
