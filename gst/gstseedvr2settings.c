#include "gstseedvr2settings.h"

#include "gstseedvr2properties.h"

/* The defaults of the table of properties. */
void
gst_seedvr2_settings_init (GstSeedVR2Settings *settings)
{
  *settings = (GstSeedVR2Settings){
    .backend = SVR_BACKEND_AUTO,
    .device_id = -1,
    .precision = SVR_PRECISION_AUTO,
    .quantization = SVR_QUANTIZATION_AUTO_FP16,
    .async = TRUE,
    .vram_mode = SVR_VRAM_AUTO,
    .offload_threshold = 20.0,
    .parked_precision = SVR_PARKED_16_BIT,
    .batch_size = 5,
    .seed = 42,
    .cfg_scale = 1.0,
    .cfg_offload = SVR_CFG_OFFLOAD_AUTO,
    .color_correction = SVR_COLOUR_LAB,
    .padding = SVR_PADDING_REPLICATE,
    .size = { .scale = 2.0 },
    .post_messages = TRUE,
  };
}

void
gst_seedvr2_settings_clear (GstSeedVR2Settings *settings)
{
  g_clear_pointer (&settings->model, g_free);
  g_clear_pointer (&settings->vae_model, g_free);
  g_clear_pointer (&settings->text_embedding, g_free);
}

void
gst_seedvr2_settings_copy (GstSeedVR2Settings *to,
                           const GstSeedVR2Settings *from)
{
  *to = *from;
  to->model = g_strdup (from->model);
  to->vae_model = g_strdup (from->vae_model);
  to->text_embedding = g_strdup (from->text_embedding);
}

/* Where the value of the property `id` lives; NULL for an unknown one. */
static gpointer
field_of (const GstSeedVR2Settings *settings, guint id)
{
#define AT(field) G_STRUCT_OFFSET (GstSeedVR2Settings, field)
  static const glong offsets[] = {
    [GST_SEEDVR2_PROP_MODEL] = AT (model),
    [GST_SEEDVR2_PROP_VAE_MODEL] = AT (vae_model),
    [GST_SEEDVR2_PROP_TEXT_EMBEDDING] = AT (text_embedding),
    [GST_SEEDVR2_PROP_BACKEND] = AT (backend),
    [GST_SEEDVR2_PROP_DEVICE_ID] = AT (device_id),
    [GST_SEEDVR2_PROP_PRECISION] = AT (precision),
    [GST_SEEDVR2_PROP_QUANTIZATION] = AT (quantization),
    [GST_SEEDVR2_PROP_ASYNC] = AT (async),
    [GST_SEEDVR2_PROP_VRAM_MODE] = AT (vram_mode),
    [GST_SEEDVR2_PROP_VRAM_BUDGET] = AT (vram_budget),
    [GST_SEEDVR2_PROP_OFFLOAD_THRESHOLD] = AT (offload_threshold),
    [GST_SEEDVR2_PROP_VAE_TILE_SIZE] = AT (vae_tile_size),
    [GST_SEEDVR2_PROP_PARKED_PRECISION] = AT (parked_precision),
    [GST_SEEDVR2_PROP_BATCH_SIZE] = AT (batch_size),
    [GST_SEEDVR2_PROP_TEMPORAL_OVERLAP] = AT (temporal_overlap),
    [GST_SEEDVR2_PROP_PREPEND_FRAMES] = AT (prepend_frames),
    [GST_SEEDVR2_PROP_UNIFORM_BATCH_SIZE] = AT (uniform_batch_size),
    [GST_SEEDVR2_PROP_SEED] = AT (seed),
    [GST_SEEDVR2_PROP_NOISE_TIME_INVARIANT] = AT (noise_time_invariant),
    [GST_SEEDVR2_PROP_FRAME_OFFSET] = AT (frame_offset),
    [GST_SEEDVR2_PROP_CFG_SCALE] = AT (cfg_scale),
    [GST_SEEDVR2_PROP_CFG_OFFLOAD] = AT (cfg_offload),
    [GST_SEEDVR2_PROP_COLOR_CORRECTION] = AT (color_correction),
    [GST_SEEDVR2_PROP_PADDING] = AT (padding),
    [GST_SEEDVR2_PROP_SCALE] = AT (size.scale),
    [GST_SEEDVR2_PROP_RESOLUTION] = AT (size.resolution),
    [GST_SEEDVR2_PROP_MAX_RESOLUTION] = AT (size.max_resolution),
    [GST_SEEDVR2_PROP_POST_MESSAGES] = AT (post_messages),
  };
#undef AT

  if (id == 0 || id >= G_N_ELEMENTS (offsets))
    return NULL;
  return G_STRUCT_MEMBER_P (settings, offsets[id]);
}

gboolean
gst_seedvr2_settings_set (GstSeedVR2Settings *settings, guint id,
                          const GValue *value)
{
  gpointer field = field_of (settings, id);

  if (!field)
    return FALSE;
  switch (G_TYPE_FUNDAMENTAL (G_VALUE_TYPE (value))) {
  case G_TYPE_STRING:
    g_free (*(gchar **)field);
    *(gchar **)field = g_value_dup_string (value);
    return TRUE;
  case G_TYPE_ENUM:
    *(gint *)field = g_value_get_enum (value);
    return TRUE;
  case G_TYPE_BOOLEAN:
    *(gboolean *)field = g_value_get_boolean (value);
    return TRUE;
  case G_TYPE_INT:
    *(gint *)field = g_value_get_int (value);
    return TRUE;
  case G_TYPE_UINT:
    *(guint *)field = g_value_get_uint (value);
    return TRUE;
  case G_TYPE_UINT64:
    *(guint64 *)field = g_value_get_uint64 (value);
    return TRUE;
  case G_TYPE_DOUBLE:
    *(gdouble *)field = g_value_get_double (value);
    return TRUE;
  default:
    return FALSE;
  }
}

gboolean
gst_seedvr2_settings_get (const GstSeedVR2Settings *settings, guint id,
                          GValue *value)
{
  gpointer field = field_of (settings, id);

  if (!field)
    return FALSE;
  switch (G_TYPE_FUNDAMENTAL (G_VALUE_TYPE (value))) {
  case G_TYPE_STRING:
    g_value_set_string (value, *(gchar **)field);
    return TRUE;
  case G_TYPE_ENUM:
    g_value_set_enum (value, *(gint *)field);
    return TRUE;
  case G_TYPE_BOOLEAN:
    g_value_set_boolean (value, *(gboolean *)field);
    return TRUE;
  case G_TYPE_INT:
    g_value_set_int (value, *(gint *)field);
    return TRUE;
  case G_TYPE_UINT:
    g_value_set_uint (value, *(guint *)field);
    return TRUE;
  case G_TYPE_UINT64:
    g_value_set_uint64 (value, *(guint64 *)field);
    return TRUE;
  case G_TYPE_DOUBLE:
    g_value_set_double (value, *(gdouble *)field);
    return TRUE;
  default:
    return FALSE;
  }
}

void
gst_seedvr2_settings_stream (const GstSeedVR2Settings *settings,
                             svr_stream_config *config)
{
  svr_stream_config_init (config);
  config->memory.synchronous = !settings->async;
  config->memory.mode = (svr_vram_mode)settings->vram_mode;
  config->memory.budget = settings->vram_budget;
  config->memory.parked = (svr_parked_precision)settings->parked_precision;
  config->memory.threshold = (guint64)(settings->offload_threshold * 1e9);
  config->memory.tile_size = (int)settings->vae_tile_size;
  config->batch_size = (int)settings->batch_size;
  config->temporal_overlap = (int)settings->temporal_overlap;
  config->prepend_frames = (int)settings->prepend_frames;
  config->uniform_batch = settings->uniform_batch_size;
  config->seed = settings->seed;
  config->noise_time_invariant = settings->noise_time_invariant;
  config->cfg_scale = settings->cfg_scale;
  config->cfg_offload = (svr_cfg_offload)settings->cfg_offload;
  config->color_correction = (svr_colour_method)settings->color_correction;
  config->padding = (svr_padding)settings->padding;
}
