/* Chooses for each shape between the own kernels and cuDNN, once for the life of a backend.
 *
 * The first question about a shape, normally the plan's for its workspace, measures both on random
 * operands in device memory of its own, which it gives back: a few launches, at most some tenths of
 * a second; a cancel is seen before the next one, by the op's entry.  What is chosen stays, so that
 * the run finds what the plan counted, and is written to the cache.  A plan of cuDNN that is faster
 * is also compared with the own kernel's result before it is believed.  Level 2. */
#ifndef SVR_CUDA_CUDA_CONV_CHOICE_H
#define SVR_CUDA_CUDA_CONV_CHOICE_H

#include "backend/cuda_options.h"
#include "conv_cache.h"
#include "cuda_conv.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Opens cuDNN and the cache as the options want and sets b->conv_choices; it stays NULL without
 * cuDNN, which is an error only where the options demand it.  Errors: NO_DEVICE, NO_MEM. */
SVR_CHECKED svr_status svr_cuda_conv_choices_open(svr_cuda_backend *b,
                                                  const svr_cuda_options *options, svr_error *err);

/* Accepts NULL. */
void svr_cuda_conv_choices_close(struct svr_cuda_conv_choices *choices);

/* True with a plan, borrowed from the backend, where the convolution goes to cuDNN.  Enters the
 * backend's context when it must measure. */
bool svr_cuda_conv_choose(svr_cuda_backend *b, const svr_conv3d_args *args,
                          svr_cuda_conv_plan *plan);

/* Measures all plans of `shape` and the own kernels on a convolution like `args`, whose addresses
 * only say which operands there are (cuda_conv_measure.c).  When measuring itself fails, for lack
 * of memory above all, the own kernels are the choice for now. */
svr_conv_choice svr_cuda_conv_measure(svr_cuda_backend *b, const svr_conv3d_args *args,
                                      const svr_cuda_dnn_shape *shape);

#ifdef __cplusplus
}
#endif
#endif
