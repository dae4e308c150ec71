/* The engine's log, as the debug category seedvr2core. */
#ifndef GST_SEEDVR2_LOG_H
#define GST_SEEDVR2_LOG_H

#include "base/log.h"

#include <gst/gst.h>

G_BEGIN_DECLS

/* Creates the category; once, before the log is used. */
void gst_seedvr2_log_init_debug (void);

/* svr_upscaler_options.log: lines about `element`, which must outlive it, of
 * the levels that the category lets through now.  Any thread writes. */
svr_log gst_seedvr2_log_of (GstElement *element);

G_END_DECLS
#endif
