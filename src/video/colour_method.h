/* Names of the colour corrections (video/colour.h).  Level 2.  Thread: any. */
#ifndef SVR_VIDEO_COLOUR_METHOD_H
#define SVR_VIDEO_COLOUR_METHOD_H

#include "base/api.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum svr_colour_method {
    SVR_COLOUR_LAB = 0, /* wavelet, then Lab distributions; the default */
    SVR_COLOUR_WAVELET,
    SVR_COLOUR_WAVELET_ADAPTIVE,
    SVR_COLOUR_HSV,
    SVR_COLOUR_ADAIN,
    SVR_COLOUR_NONE,
    SVR_COLOUR_COUNT
} svr_colour_method;

/* "lab", "wavelet", "wavelet-adaptive", "hsv", "adain", "none"; static storage. */
SVR_API const char *svr_colour_method_name(svr_colour_method method);

#ifdef __cplusplus
}
#endif
#endif
