#include "gstseedvr2log.h"

GST_DEBUG_CATEGORY_STATIC (gst_seedvr2_core_debug);

static GstDebugLevel
debug_level (svr_log_level level)
{
  switch (level) {
  case SVR_LOG_ERROR:
    return GST_LEVEL_ERROR;
  case SVR_LOG_WARN:
    return GST_LEVEL_WARNING;
  case SVR_LOG_INFO:
    return GST_LEVEL_INFO;
  case SVR_LOG_DEBUG:
    return GST_LEVEL_DEBUG;
  case SVR_LOG_TRACE:
  default:
    return GST_LEVEL_TRACE;
  }
}

static void
write_log (void *element, svr_log_level level, const char *module,
           const char *text)
{
  gst_debug_log (gst_seedvr2_core_debug, debug_level (level), module, module, 0,
                 element, "%s", text);
}

void
gst_seedvr2_log_init_debug (void)
{
  GST_DEBUG_CATEGORY_INIT (gst_seedvr2_core_debug, "seedvr2core", 0,
                           "SeedVR2 engine");
}

svr_log
gst_seedvr2_log_of (GstElement *element)
{
  svr_log log = { write_log, element, SVR_LOG_ERROR };
  GstDebugLevel threshold
      = gst_debug_category_get_threshold (gst_seedvr2_core_debug);

  for (svr_log_level l = SVR_LOG_ERROR; l <= SVR_LOG_TRACE; l++) {
    if (debug_level (l) <= threshold)
      log.level = l;
  }
  return log;
}
