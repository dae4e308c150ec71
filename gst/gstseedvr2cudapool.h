/* Pools of CUDA memory for caps with memory:CUDAMemory. */
#ifndef GST_SEEDVR2_CUDAPOOL_H
#define GST_SEEDVR2_CUDAPOOL_H

#include "gstseedvr2cuda.h"

G_BEGIN_DECLS

/* Adds a pool of the element's context to an ALLOCATION query of upstream, for
 * who has none.  Returns: FALSE without usable caps. */
gboolean gst_seedvr2_propose_cuda_pool (const GstSeedVR2Cuda *cuda,
                                        GstQuery *query);

/* Puts a configured pool of the element's context first: one of downstream's
 * or a new one; CUDA memory has an allocator of its own.
 * Returns: FALSE without usable caps. */
gboolean gst_seedvr2_choose_cuda_pool (const GstSeedVR2Cuda *cuda,
                                       GstQuery *query);

G_END_DECLS
#endif
