/* Where the model files are. */
#ifndef GST_SEEDVR2_FILES_H
#define GST_SEEDVR2_FILES_H

#include "gstseedvr2settings.h"

G_BEGIN_DECLS

/* Model files with the defaults filled in. */
typedef struct {
  gchar *model, *vae_model;
  gchar *text_embedding; /* NULL: what the model file carries */
} GstSeedVR2Files;

/* What the properties say, else the shipped files in the folder that the
 * environment variable SEEDVR2_MODEL_PATH names, else in the installed folder,
 * as seen from the plugin.  A model of the user's own gets the shipped prompt
 * embeddings unless text-embedding is set. */
void gst_seedvr2_files_init (GstSeedVR2Files *files,
                             const GstSeedVR2Settings *settings);

/* A copy that owns its strings.  `to` need not be initialised. */
void gst_seedvr2_files_copy (GstSeedVR2Files *to, const GstSeedVR2Files *from);

void gst_seedvr2_files_clear (GstSeedVR2Files *files);

G_END_DECLS
#endif
