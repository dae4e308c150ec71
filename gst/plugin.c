#include "gstseedvr2upscale.h"

/* Always registers: whether models and devices are there shows when the element
 * starts, so that a registry never remembers a machine without them. */
static gboolean
plugin_init (GstPlugin *plugin)
{
  return GST_ELEMENT_REGISTER (seedvr2upscale, plugin);
}

GST_PLUGIN_DEFINE (GST_VERSION_MAJOR, GST_VERSION_MINOR, seedvr2,
                   "Restores and upscales video with SeedVR2", plugin_init,
                   PACKAGE_VERSION, "Apache 2.0", PACKAGE_NAME, PACKAGE_ORIGIN)
