#include "gstseedvr2frames.h"

/* The engine's names are GStreamer's. */
static gboolean
pixel_format (GstVideoFormat format, svr_pixel_format *out)
{
  const gchar *name = format == GST_VIDEO_FORMAT_ARGB64
                          ? "ARGB64_LE" /* in the machine's byte order */
                          : gst_video_format_to_string (format);

  for (gint i = 0; i < SVR_PIXEL_FORMAT_COUNT; i++) {
    if (g_str_equal (svr_pixel_layout_of ((svr_pixel_format)i)->name, name)) {
      *out = (svr_pixel_format)i;
      return TRUE;
    }
  }
  return FALSE;
}

static void
luma_weights (const GstVideoInfo *info, svr_colorimetry *color)
{
  GstVideoColorMatrix matrix = info->colorimetry.matrix;

  if (gst_video_color_matrix_get_Kr_Kb (matrix, &color->kr, &color->kb))
    return;
  matrix = info->height > 576 ? GST_VIDEO_COLOR_MATRIX_BT709
                              : GST_VIDEO_COLOR_MATRIX_BT601;
  gst_video_color_matrix_get_Kr_Kb (matrix, &color->kr, &color->kb);
}

static void
chroma_site (const GstVideoInfo *info, svr_colorimetry *color)
{
  GstVideoChromaSite site = info->chroma_site;

  /* video codecs put chroma on the left column, JPEG (full range) between */
  if (site == GST_VIDEO_CHROMA_SITE_UNKNOWN)
    site = color->full_range ? GST_VIDEO_CHROMA_SITE_JPEG
                             : GST_VIDEO_CHROMA_SITE_MPEG2;
  color->chroma_h_cosited = (site & GST_VIDEO_CHROMA_SITE_H_COSITED) != 0;
  color->chroma_v_cosited = (site & GST_VIDEO_CHROMA_SITE_V_COSITED) != 0;
}

gboolean
gst_seedvr2_video_info (const GstVideoInfo *info, svr_video_info *out)
{
  *out = (svr_video_info){ 0 };
  if (!pixel_format (GST_VIDEO_INFO_FORMAT (info), &out->format))
    return FALSE;
  out->width = info->width;
  out->height = info->height;
  if (GST_VIDEO_INFO_IS_RGB (info)) {
    out->color.limited_rgb
        = info->colorimetry.range == GST_VIDEO_COLOR_RANGE_16_235;
    return TRUE;
  }
  out->color.full_range
      = GST_VIDEO_INFO_IS_YUV (info)
            ? info->colorimetry.range == GST_VIDEO_COLOR_RANGE_0_255
            : info->colorimetry.range != GST_VIDEO_COLOR_RANGE_16_235;
  luma_weights (info, &out->color);
  chroma_site (info, &out->color);
  return TRUE;
}

/* GStreamer asserts the sizes and believes the format. */
static gboolean
meta_fits (GstBuffer *buffer, const GstVideoInfo *info)
{
  const GstVideoMeta *meta = gst_buffer_get_video_meta (buffer);

  return !meta
         || (meta->format == GST_VIDEO_INFO_FORMAT (info)
             && meta->width >= (guint)info->width
             && meta->height >= (guint)info->height);
}

/* Whether the mapped memory holds all rows of a component's plane: strides and
 * offsets of a meta may be anything. */
static gboolean
plane_fits (const GstVideoFrame *frame, guint component)
{
  guint plane = GST_VIDEO_FRAME_COMP_PLANE (frame, component);
  /* without a meta all planes are one mapping */
  const GstMapInfo *map = &frame->map[frame->meta ? plane : 0];
  const guint8 *end = map->data + map->size;
  const guint8 *first = GST_VIDEO_FRAME_PLANE_DATA (frame, plane);
  gint stride = GST_VIDEO_FRAME_PLANE_STRIDE (frame, plane);
  gsize row = (gsize)GST_VIDEO_FRAME_COMP_PSTRIDE (frame, component)
              * (gsize)GST_VIDEO_FRAME_COMP_WIDTH (frame, component);
  gsize rows = (gsize)GST_VIDEO_FRAME_COMP_HEIGHT (frame, component) - 1;

  return stride > 0 && (gsize)stride >= row && first < end
         && (gsize)(end - first) >= row
         && ((gsize)(end - first) - row) / (gsize)stride >= rows;
}

gboolean
gst_seedvr2_frame_map (GstVideoFrame *frame, const GstVideoInfo *info,
                       GstBuffer *buffer, GstMapFlags flags)
{
  if (!meta_fits (buffer, info)
      || !gst_video_frame_map (frame, info, buffer, flags))
    return FALSE;
  for (guint i = 0; i < GST_VIDEO_FRAME_N_COMPONENTS (frame); i++) {
    if (!plane_fits (frame, i)) {
      gst_video_frame_unmap (frame);
      return FALSE;
    }
  }
  return TRUE;
}

svr_frame
gst_seedvr2_frame_view (const GstVideoFrame *frame)
{
  svr_frame view = { 0 };

  for (guint i = 0; i < GST_VIDEO_FRAME_N_PLANES (frame); i++) {
    view.plane[i] = GST_VIDEO_FRAME_PLANE_DATA (frame, i);
    view.stride[i] = GST_VIDEO_FRAME_PLANE_STRIDE (frame, i);
  }
  return view;
}

static gboolean
keeps_meta (const GstMetaInfo *info)
{
  static const gchar *const kept[] = { "video", "orientation", "size", NULL };
  const gchar *const *tags = gst_meta_api_type_get_tags (info->api);

  for (; tags && *tags; tags++) {
    if (!g_strv_contains (kept, *tags))
      return FALSE;
  }
  return TRUE;
}

static gboolean
drop_other_meta (GstBuffer *buffer, GstMeta **meta, gpointer user_data)
{
  (void)buffer;
  (void)user_data;
  if (!keeps_meta ((*meta)->info))
    *meta = NULL;
  return TRUE;
}

/* What they tell of fields means nothing for a progressive frame. */
#define FIELD_FLAGS                                                            \
  (GST_VIDEO_BUFFER_FLAG_INTERLACED | GST_VIDEO_BUFFER_FLAG_TFF                \
   | GST_VIDEO_BUFFER_FLAG_RFF | GST_VIDEO_BUFFER_FLAG_ONEFIELD)

GstBuffer *
gst_seedvr2_envelope_new (GstBuffer *buffer)
{
  GstBuffer *envelope = gst_buffer_new ();

  gst_buffer_copy_into (envelope, buffer, GST_BUFFER_COPY_METADATA, 0,
                        (gsize)-1);
  GST_BUFFER_FLAG_UNSET (envelope, FIELD_FLAGS);
  gst_buffer_foreach_meta (envelope, drop_other_meta, NULL);
  return envelope;
}

gboolean
gst_seedvr2_transform_meta (GstBuffer *outbuf, GstMeta *meta, GstBuffer *inbuf,
                            GstVideoMetaTransform *scale)
{
  const GstMetaInfo *info = meta->info;

  if (!keeps_meta (info))
    return FALSE;
  if (!gst_meta_api_type_has_tag (info->api,
                                  g_quark_from_static_string ("size")))
    return TRUE;
  if (info->transform_func)
    info->transform_func (outbuf, meta, inbuf,
                          gst_video_meta_transform_scale_get_quark (), scale);
  return FALSE;
}

gboolean
gst_seedvr2_choose_pool (GstQuery *query)
{
  gboolean offered = gst_query_get_n_allocation_pools (query) > 0;
  GstBufferPool *pool = NULL;
  guint size = 0, min = 0, max = 0;
  GstStructure *config;
  GstVideoInfo info;
  GstCaps *caps;

  gst_query_parse_allocation (query, &caps, NULL);
  if (!caps || !gst_video_info_from_caps (&info, caps))
    return FALSE;
  if (offered)
    gst_query_parse_nth_allocation_pool (query, 0, &pool, &size, &min, &max);
  if (!pool)
    pool = gst_video_buffer_pool_new ();
  size = MAX (size, (guint)GST_VIDEO_INFO_SIZE (&info));
  config = gst_buffer_pool_get_config (pool);
  gst_buffer_pool_config_set_params (config, caps, size, min, max);
  if (gst_query_find_allocation_meta (query, GST_VIDEO_META_API_TYPE, NULL))
    gst_buffer_pool_config_add_option (config,
                                       GST_BUFFER_POOL_OPTION_VIDEO_META);
  /* a pool that wants it otherwise is asked again by the base class */
  gst_buffer_pool_set_config (pool, config);
  if (offered)
    gst_query_set_nth_allocation_pool (query, 0, pool, size, min, max);
  else
    gst_query_add_allocation_pool (query, pool, size, min, max);
  gst_object_unref (pool);
  return TRUE;
}
