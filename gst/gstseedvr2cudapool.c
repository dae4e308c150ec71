#include "gstseedvr2cudapool.h"

#include "gstseedvr2cudalib.h"

#include <gst/video/video.h>

/* What a pool is wanted for. */
typedef struct {
  GstCaps *caps; /* of the query */
  guint size, min, max;
} Wish;

static gboolean
wish_of (GstQuery *query, Wish *wish)
{
  GstVideoInfo info;

  *wish = (Wish){ 0 };
  gst_query_parse_allocation (query, &wish->caps, NULL);
  if (!wish->caps || !gst_video_info_from_caps (&info, wish->caps))
    return FALSE;
  wish->size = (guint)GST_VIDEO_INFO_SIZE (&info);
  return TRUE;
}

/* Rows are padded on a device: the size is the pool's to tell. */
static gboolean
set_up (GstBufferPool *pool, Wish *wish)
{
  GstStructure *config = gst_buffer_pool_get_config (pool);
  gboolean ok;

  gst_buffer_pool_config_set_params (config, wish->caps, wish->size, wish->min,
                                     wish->max);
  gst_buffer_pool_config_add_option (config, GST_BUFFER_POOL_OPTION_VIDEO_META);
  ok = gst_buffer_pool_set_config (pool, config);
  config = gst_buffer_pool_get_config (pool);
  ok = ok
       && gst_buffer_pool_config_get_params (config, NULL, &wish->size, NULL,
                                             NULL);
  gst_structure_free (config);
  return ok;
}

/* A pool that can be used.  NULL: CUDA refuses.  (transfer full) */
static GstBufferPool *
pool_new (const GstSeedVR2Cuda *cuda, Wish *wish)
{
  GstBufferPool *pool
      = gst_seedvr2_cudalib_pool_new (gst_seedvr2_cuda_object (cuda));

  if (pool && !set_up (pool, wish))
    g_clear_pointer (&pool, gst_object_unref);
  return pool;
}

gboolean
gst_seedvr2_propose_cuda_pool (const GstSeedVR2Cuda *cuda, GstQuery *query)
{
  GstBufferPool *pool;
  Wish wish;

  if (!wish_of (query, &wish))
    return FALSE;
  pool = pool_new (cuda, &wish);
  if (!pool)
    return FALSE;
  gst_query_add_allocation_pool (query, pool, wish.size, 0, 0);
  gst_object_unref (pool);
  return TRUE;
}

/* The first pool of downstream's whose memory is of our context, set up.  Its
 * minimum and maximum hold.  (transfer full) (nullable) */
static GstBufferPool *
find_pool (const GstSeedVR2Cuda *cuda, GstQuery *query, Wish *wish)
{
  GObject *context = gst_seedvr2_cuda_object (cuda);

  for (guint i = 0; i < gst_query_get_n_allocation_pools (query); i++) {
    Wish offered = *wish;
    GstBufferPool *pool = NULL;

    gst_query_parse_nth_allocation_pool (query, i, &pool, &offered.size,
                                         &offered.min, &offered.max);
    if (pool && gst_seedvr2_cudalib_pool_is_of (pool, context)
        && set_up (pool, &offered)) {
      *wish = offered;
      return pool;
    }
    g_clear_pointer (&pool, gst_object_unref);
  }
  return NULL;
}

gboolean
gst_seedvr2_choose_cuda_pool (const GstSeedVR2Cuda *cuda, GstQuery *query)
{
  GstBufferPool *pool;
  Wish wish;

  if (!wish_of (query, &wish))
    return FALSE;
  pool = find_pool (cuda, query, &wish);
  if (!pool)
    pool = pool_new (cuda, &wish);
  if (!pool)
    return FALSE;
  while (gst_query_get_n_allocation_params (query) > 0)
    gst_query_remove_nth_allocation_param (query, 0);
  if (gst_query_get_n_allocation_pools (query) > 0)
    gst_query_set_nth_allocation_pool (query, 0, pool, wish.size, wish.min,
                                       wish.max);
  else
    gst_query_add_allocation_pool (query, pool, wish.size, wish.min, wish.max);
  gst_object_unref (pool);
  return TRUE;
}
