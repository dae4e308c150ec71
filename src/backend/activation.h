/* What group_norm and linear may do to their results before they are rounded.  Level 1. */
#ifndef SVR_BACKEND_ACTIVATION_H
#define SVR_BACKEND_ACTIVATION_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum svr_activation {
    SVR_ACT_NONE = 0,
    SVR_ACT_SILU,
    SVR_ACT_GELU_TANH /* .5 x (1 + tanh(sqrt(2/pi) (x + .044715 x^3))) */
} svr_activation;

#ifdef __cplusplus
}
#endif
#endif
