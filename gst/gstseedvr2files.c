#include "gstseedvr2files.h"

#include <gst/gst.h>

#define DEFAULT_MODEL "nano_dit.safetensors"
#define DEFAULT_VAE_MODEL "nano_vae.safetensors"
#define DEFAULT_TEXT_EMBEDDING "text_emb.safetensors"

static gboolean
is_set (const gchar *text)
{
  return text && *text;
}

/* Of an installed tree that may have been moved.  (nullable) */
static gchar *
folder_from_plugin (void)
{
  GstPlugin *plugin = gst_registry_find_plugin (gst_registry_get (), "seedvr2");
  const gchar *file = plugin ? gst_plugin_get_filename (plugin) : NULL;
  gchar *place = file ? g_path_get_dirname (file) : NULL, *folder = NULL;

  if (place)
    folder = g_canonicalize_filename (SEEDVR2_MODELS_FROM_PLUGIN, place);
  if (folder && !g_file_test (folder, G_FILE_TEST_IS_DIR))
    g_clear_pointer (&folder, g_free);
  g_free (place);
  gst_clear_object (&plugin);
  return folder;
}

static gchar *
shipped_file (const gchar *name)
{
  const gchar *folder = g_getenv ("SEEDVR2_MODEL_PATH");
  gchar *beside = is_set (folder) ? NULL : folder_from_plugin (), *file;

  if (!is_set (folder))
    folder = beside ? beside : SEEDVR2_MODEL_DIR;
  file = g_build_filename (folder, name, NULL);
  g_free (beside);
  return file;
}

/* The shipped transformer carries its own prompt, of its own width. */
static gchar *
default_text (const gchar *model)
{
  gchar *name = g_path_get_basename (model), *text = NULL;

  if (g_strcmp0 (name, DEFAULT_MODEL) != 0)
    text = shipped_file (DEFAULT_TEXT_EMBEDDING);
  g_free (name);
  if (text && !g_file_test (text, G_FILE_TEST_EXISTS))
    g_clear_pointer (&text, g_free);
  return text;
}

void
gst_seedvr2_files_init (GstSeedVR2Files *files,
                        const GstSeedVR2Settings *settings)
{
  files->model = is_set (settings->model) ? g_strdup (settings->model)
                                          : shipped_file (DEFAULT_MODEL);
  files->vae_model = is_set (settings->vae_model)
                         ? g_strdup (settings->vae_model)
                         : shipped_file (DEFAULT_VAE_MODEL);
  files->text_embedding = is_set (settings->text_embedding)
                              ? g_strdup (settings->text_embedding)
                              : default_text (files->model);
}

void
gst_seedvr2_files_copy (GstSeedVR2Files *to, const GstSeedVR2Files *from)
{
  to->model = g_strdup (from->model);
  to->vae_model = g_strdup (from->vae_model);
  to->text_embedding = g_strdup (from->text_embedding);
}

void
gst_seedvr2_files_clear (GstSeedVR2Files *files)
{
  g_clear_pointer (&files->model, g_free);
  g_clear_pointer (&files->vae_model, g_free);
  g_clear_pointer (&files->text_embedding, g_free);
}
