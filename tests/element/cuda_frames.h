/* Frames in CUDA memory of a fake GPU: elements between caps of either memory,
 * pools, painted pictures.  All frames are NV12. */
#ifndef CUDA_FRAMES_H
#define CUDA_FRAMES_H

#include "element_test.h"

#include <gst/cuda/gstcudabufferpool.h>
#include <gst/cuda/gstcudacontext.h>
#include <gst/cuda/gstcudamemory.h>

#define ON_CUDA "backend=cuda precision=fp32 post-messages=false "
#define CUDA "video/x-raw(memory:CUDAMemory)"
#define NV12_FIELDS ",format=NV12,width=36,height=32,framerate=25/1"

/* An element on the fake GPU between caps. */
GstHarness *cuda_harness_new (GstBus *bus, const gchar *properties,
                              const gchar *in, const gchar *out);

/* The element's context.  (transfer full) */
GstCudaContext *cuda_context_ref (GstHarness *h);

/* An active pool of the harness's input caps, of at most `most` buffers (0:
 * any), and its end. */
GstBufferPool *cuda_pool_new (GstHarness *h, GstCudaContext *context,
                              guint most);
void cuda_pool_end (GstBufferPool *pool);

/* A row of a plane that is mapped for the host, and its samples: as many bytes
 * in either plane. */
guint8 *row_of (const GstVideoFrame *frame, guint plane, gint y);
guint row_bytes (const GstVideoFrame *frame);

/* The picture `number` with its times, in system memory and from a pool. */
GstBuffer *system_frame (GstHarness *h, guint number);
GstBuffer *cuda_frame (GstHarness *h, GstBufferPool *pool, guint number);

gboolean is_in_cuda_memory (GstBuffer *buffer);

#endif
