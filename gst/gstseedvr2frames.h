/* GstVideoInfo and GstVideoFrame as the engine's svr_video_info and svr_frame.
 */
#ifndef GST_SEEDVR2_FRAMES_H
#define GST_SEEDVR2_FRAMES_H

#include "base/frame.h"

#include <gst/video/video.h>

G_BEGIN_DECLS

/* The formats of both pads.  Negotiation prefers what stands first. */
#define GST_SEEDVR2_FORMATS                                                    \
  "{ NV12, I420, P010_10LE, I420_10LE, YV12, NV21, RGB, BGR, RGBx, BGRx, "     \
  "xRGB, xBGR, RGBA, BGRA, ARGB, ABGR, Y42B, YUY2, UYVY, Y444, I422_10LE, "    \
  "Y444_10LE, P012_LE, I420_12LE, I422_12LE, Y444_12LE, P016_LE, Y444_16LE, "  \
  "YVYU, NV16, NV61, NV24, RGBP, BGRP, GBR, GBR_10LE, GBR_12LE, "              \
  "RGB10A2_LE, BGR10A2_LE, RGBA64_LE, ARGB64_LE, ARGB64, GRAY8, GRAY16_LE, "   \
  "GRAY16_BE }"

/* Format, size and colorimetry of `info` in the engine's terms.  What caps
 * leave unknown is taken as GStreamer's defaults have it: BT.709 above 576
 * lines and BT.601 below; YUV has limited range and chroma on the left luma
 * column (full range: between both), RGB and grey have full range.  Chroma on
 * alternate lines (interlaced DV) is taken to lie where the other flags say.
 * Returns: FALSE for a format that is not in GST_SEEDVR2_FORMATS. */
gboolean gst_seedvr2_video_info (const GstVideoInfo *info, svr_video_info *out);

/* Maps `buffer`; to be unmapped with gst_video_frame_unmap().
 * Returns: FALSE where it does not hold a whole frame of `info`, whatever its
 * video meta says. */
gboolean gst_seedvr2_frame_map (GstVideoFrame *frame, const GstVideoInfo *info,
                                GstBuffer *buffer, GstMapFlags flags);

/* A view of a mapped frame, with the strides and offsets of its buffer.  Valid
 * as long as `frame` stays mapped. */
svr_frame gst_seedvr2_frame_view (const GstVideoFrame *frame);

/* What has to come out again with a frame: timestamps, flags and metas of
 * `buffer`, without its memory, so that a decoder's pool does not starve while
 * a batch is collected.  Returns: (transfer full). */
GstBuffer *gst_seedvr2_envelope_new (GstBuffer *buffer);

/* GstBaseTransformClass.transform_meta: metas that tell of the memory or its
 * values are dropped, those that count pixels scaled from `scale->in_info` to
 * `scale->out_info`.  Returns: TRUE when the caller is to copy the meta. */
gboolean gst_seedvr2_transform_meta (GstBuffer *outbuf, GstMeta *meta,
                                     GstBuffer *inbuf,
                                     GstVideoMetaTransform *scale);

/* Puts a configured pool for the caps of an ALLOCATION query first:
 * downstream's or, where it has none, a video pool.  Returns: FALSE without
 * usable caps. */
gboolean gst_seedvr2_choose_pool (GstQuery *query);

G_END_DECLS
#endif
