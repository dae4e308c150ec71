/* Opening the engine as the properties say. */
#ifndef GST_SEEDVR2_ENGINE_H
#define GST_SEEDVR2_ENGINE_H

#include "gstseedvr2cuda.h"
#include "gstseedvr2report.h"
#include "gstseedvr2settings.h"
#include "pipeline/upscaler.h"

#include <gst/gst.h>

G_BEGIN_DECLS

/* Checks the settings and the model files and creates the engine, which begins
 * to load the weights.  `cuda`, whose context a GPU works in, and `report`,
 * which gets its events, must outlive it.
 * Returns: NULL on failure, posted as an error message of `element`. */
svr_upscaler *gst_seedvr2_engine_open (GstElement *element,
                                       const GstSeedVR2Settings *settings,
                                       const GstSeedVR2Cuda *cuda,
                                       GstSeedVR2Report *report);

G_END_DECLS
#endif
