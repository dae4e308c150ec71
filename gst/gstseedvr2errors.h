/* How failures of the engine become error messages: a domain and code of
 * GStreamer's, the engine's text, and details for programs (docs/element.md).
 */
#ifndef GST_SEEDVR2_ERRORS_H
#define GST_SEEDVR2_ERRORS_H

#include "base/status.h"

#include <gst/gst.h>

G_BEGIN_DECLS

/* Posts `err` as an error message of the element, with the details `status`,
 * `suggestion` and, where the engine tells them, bytes. */
void gst_seedvr2_report_error (GstElement *element, const svr_error *err);

G_END_DECLS
#endif
