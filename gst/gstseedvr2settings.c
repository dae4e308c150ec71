#include "gstseedvr2settings.h"

#define DEFAULT_MODEL "nano_dit.safetensors"
#define DEFAULT_VAE_MODEL "nano_vae.safetensors"
#define DEFAULT_TEXT_EMBEDDING "text_emb.safetensors"

enum {
  PROP_MODEL = 1,
  PROP_VAE_MODEL,
  PROP_TEXT_EMBEDDING,
  PROP_BACKEND,
  PROP_DEVICE_ID,
  PROP_PRECISION,
  PROP_QUANTIZATION,
  PROP_ASYNC,
  PROP_VRAM_MODE,
  PROP_VRAM_BUDGET,
  PROP_OFFLOAD_THRESHOLD,
  PROP_VAE_TILE_SIZE,
  PROP_PARKED_PRECISION,
  PROP_BATCH_SIZE,
  PROP_TEMPORAL_OVERLAP,
  PROP_PREPEND_FRAMES,
  PROP_UNIFORM_BATCH_SIZE,
  PROP_SEED,
  PROP_NOISE_TIME_INVARIANT,
  PROP_FRAME_OFFSET,
  PROP_CFG_SCALE,
  PROP_CFG_OFFLOAD,
  PROP_COLOR_CORRECTION,
  PROP_SCALE,
  PROP_RESOLUTION,
  PROP_MAX_RESOLUTION,
  PROP_POST_MESSAGES,
  N_PROPS
};

/* Latched when the element goes from READY to PAUSED. */
#define AT_START                                                               \
  ((GParamFlags)(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS                    \
                 | GST_PARAM_MUTABLE_READY))
#define ANY_TIME                                                               \
  ((GParamFlags)(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS                    \
                 | GST_PARAM_MUTABLE_PLAYING))

#define TYPE_BACKEND (backend_get_type ())
static GType
backend_get_type (void)
{
  static gsize type = 0;
  static const GEnumValue values[] = {
    { SVR_BACKEND_AUTO, "CUDA where there is a device, else the CPU", "auto" },
    { SVR_BACKEND_CPU, "The CPU", "cpu" },
    { SVR_BACKEND_CUDA, "An NVIDIA GPU", "cuda" },
    { 0, NULL, NULL },
  };

  if (g_once_init_enter (&type)) {
    GType fresh = g_enum_register_static ("GstSeedVR2Backend", values);

    gst_type_mark_as_plugin_api (fresh, 0);
    g_once_init_leave (&type, fresh);
  }
  return type;
}

#define TYPE_PRECISION (precision_get_type ())
static GType
precision_get_type (void)
{
  static gsize type = 0;
  static const GEnumValue values[] = {
    { SVR_PRECISION_AUTO, "fp16 on a GPU, fp32 on the CPU", "auto" },
    { SVR_PRECISION_FP16,
      "16 bits, the closest of the fast ones; bf16 when it overflows", "fp16" },
    { SVR_PRECISION_BF16, "16 bits with the range of fp32", "bf16" },
    { SVR_PRECISION_FP32, "32 bits, slow on a GPU", "fp32" },
    { 0, NULL, NULL },
  };

  if (g_once_init_enter (&type)) {
    GType fresh = g_enum_register_static ("GstSeedVR2Precision", values);

    gst_type_mark_as_plugin_api (fresh, 0);
    g_once_init_leave (&type, fresh);
  }
  return type;
}

#define TYPE_QUANTIZATION (quantization_get_type ())
static GType
quantization_get_type (void)
{
  static gsize type = 0;
  static const GEnumValue values[] = {
    { SVR_QUANTIZATION_AUTO_FP16, "None: weights as precision says",
      "auto-fp16" },
    { SVR_QUANTIZATION_FP16, "None, and precision is fp16", "fp16" },
    { SVR_QUANTIZATION_BF16, "None, and precision is bf16", "bf16" },
    { SVR_QUANTIZATION_FP8,
      "8 bits: less time in the transformer and half the memory for its "
      "weights; fine detail changes a little; GPUs of compute capability 8.9 "
      "and newer (GeForce RTX 40, L4, H100)",
      "fp8" },
    { SVR_QUANTIZATION_INT8,
      "8-bit integers that are multiplied as precision says: half the memory "
      "for the transformer's weights, little more time, closer to 16 bits "
      "than fp8; every device",
      "int8" },
    { SVR_QUANTIZATION_INT8_W8A8,
      "The integers of int8, and what they multiply becomes integers too: "
      "products in 8 bits as with fp8, with less than half of its error, "
      "which is more than int8 has; every device",
      "int8-w8a8" },
    { SVR_QUANTIZATION_AS_STORED,
      "fp8 or int8 where the model file holds such weights (seedvr2 convert "
      "makes them), else none",
      "as-stored" },
    { 0, NULL, NULL },
  };

  if (g_once_init_enter (&type)) {
    GType fresh = g_enum_register_static ("GstSeedVR2Quantization", values);

    gst_type_mark_as_plugin_api (fresh, 0);
    g_once_init_leave (&type, fresh);
  }
  return type;
}

#define TYPE_VRAM_MODE (vram_mode_get_type ())
static GType
vram_mode_get_type (void)
{
  static gsize type = 0;
  static const GEnumValue values[] = {
    { SVR_VRAM_AUTO,
      "Everything stays on the device if it fits, else as much as fits",
      "auto" },
    { SVR_VRAM_ECONOMY,
      "VAE and transformer take turns and work in smaller pieces", "economy" },
    { SVR_VRAM_EXTREME_ECONOMY,
      "The transformer's blocks are streamed as well; vram-budget sets how "
      "little memory it may be",
      "extreme-economy" },
    { 0, NULL, NULL },
  };

  if (g_once_init_enter (&type)) {
    GType fresh = g_enum_register_static ("GstSeedVR2VramMode", values);

    gst_type_mark_as_plugin_api (fresh, 0);
    g_once_init_leave (&type, fresh);
  }
  return type;
}

#define TYPE_PARKED_PRECISION (parked_precision_get_type ())
static GType
parked_precision_get_type (void)
{
  static gsize type = 0;
  static const GEnumValue values[] = {
    { SVR_PARKED_16_BIT, "As they were computed: the picture is the same",
      "16-bit" },
    { SVR_PARKED_FP8,
      "8-bit floating point: little more than half the bytes, fine detail "
      "changes; int8 is as small and closer",
      "fp8" },
    { SVR_PARKED_INT8,
      "8-bit integers: little more than half the bytes, the picture changes "
      "a little",
      "int8" },
    { 0, NULL, NULL },
  };

  if (g_once_init_enter (&type)) {
    GType fresh = g_enum_register_static ("GstSeedVR2ParkedPrecision", values);

    gst_type_mark_as_plugin_api (fresh, 0);
    g_once_init_leave (&type, fresh);
  }
  return type;
}

#define TYPE_CFG_OFFLOAD (cfg_offload_get_type ())
static GType
cfg_offload_get_type (void)
{
  static gsize type = 0;
  static const GEnumValue values[] = {
    { SVR_CFG_OFFLOAD_AUTO,
      "On the device, unless only that keeps the budget from working", "auto" },
    { SVR_CFG_OFFLOAD_NEVER, "On the device", "never" },
    { SVR_CFG_OFFLOAD_ALWAYS,
      "In page-locked host memory: saves a latent of device memory", "always" },
    { 0, NULL, NULL },
  };

  if (g_once_init_enter (&type)) {
    GType fresh = g_enum_register_static ("GstSeedVR2CfgOffload", values);

    gst_type_mark_as_plugin_api (fresh, 0);
    g_once_init_leave (&type, fresh);
  }
  return type;
}

#define TYPE_COLOR_CORRECTION (color_correction_get_type ())
static GType
color_correction_get_type (void)
{
  static gsize type = 0;
  static const GEnumValue values[] = {
    { SVR_COLOUR_LAB,
      "As wavelet, then the distribution of colours in CIE Lab is matched",
      "lab" },
    { SVR_COLOUR_WAVELET, "Light and colour of large areas are the input's",
      "wavelet" },
    { SVR_COLOUR_WAVELET_ADAPTIVE,
      "As wavelet, but saturation is held back where it would grow",
      "wavelet-adaptive" },
    { SVR_COLOUR_HSV, "Saturation of the input, hue by hue", "hsv" },
    { SVR_COLOUR_ADAIN,
      "Mean and spread of each colour channel are the input's", "adain" },
    { SVR_COLOUR_NONE, "Colours as the model makes them", "none" },
    { 0, NULL, NULL },
  };

  if (g_once_init_enter (&type)) {
    GType fresh = g_enum_register_static ("GstSeedVR2ColorCorrection", values);

    gst_type_mark_as_plugin_api (fresh, 0);
    g_once_init_leave (&type, fresh);
  }
  return type;
}

void
gst_seedvr2_settings_init (GstSeedVR2Settings *settings)
{
  *settings = (GstSeedVR2Settings){
    .backend = SVR_BACKEND_AUTO,
    .device_id = -1,
    .async = TRUE,
    .offload_threshold = 20.0,
    .batch_size = 5,
    .seed = 42,
    .cfg_scale = 1.0,
    .cfg_offload = SVR_CFG_OFFLOAD_AUTO,
    .color_correction = SVR_COLOUR_LAB,
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

static void
install_files (GObjectClass *klass)
{
  g_object_class_install_property (
      klass, PROP_MODEL,
      g_param_spec_string (
          "model", "Model",
          "Transformer weights, a safetensors file (unset: the shipped small "
          "model)",
          NULL, AT_START));
  g_object_class_install_property (
      klass, PROP_VAE_MODEL,
      g_param_spec_string (
          "vae-model", "VAE model",
          "VAE weights, a safetensors file that belongs to the model (unset: "
          "the shipped small VAE)",
          NULL, AT_START));
  g_object_class_install_property (
      klass, PROP_TEXT_EMBEDDING,
      g_param_spec_string (
          "text-embedding", "Text embedding",
          "Prompt embeddings, a safetensors file with pos and neg (unset: "
          "those of the model, else the shipped ones)",
          NULL, AT_START));
  g_object_class_install_property (
      klass, PROP_BACKEND,
      g_param_spec_enum (
          "backend", "Backend",
          "What computes: the CPU, an NVIDIA GPU, or a GPU where there is one",
          TYPE_BACKEND, SVR_BACKEND_AUTO, AT_START));
  g_object_class_install_property (
      klass, PROP_DEVICE_ID,
      g_param_spec_int (
          "device-id", "Device ID",
          "GPU to compute on, as CUDA counts them (-1: the one that other "
          "elements of the pipeline use, else the first usable one)",
          -1, G_MAXINT, -1, AT_START));
  g_object_class_install_property (
      klass, PROP_PRECISION,
      g_param_spec_enum ("precision", "Precision",
                         "How values are stored; sums are 32 bits always. "
                         "When fp16 overflows, a warning is posted and the "
                         "batch and all that follow are made in bf16",
                         TYPE_PRECISION, SVR_PRECISION_AUTO, AT_START));
  g_object_class_install_property (
      klass, PROP_QUANTIZATION,
      g_param_spec_enum (
          "quantization", "Quantization",
          "How the transformer's large matrices are kept in memory and "
          "multiplied; 8 bits need half the memory of 16",
          TYPE_QUANTIZATION, SVR_QUANTIZATION_AUTO_FP16, AT_START));
}

static void
install_memory (GObjectClass *klass)
{
  g_object_class_install_property (
      klass, PROP_ASYNC,
      g_param_spec_boolean (
          "async", "Asynchronous copies",
          "Copies of weights and activations run beside the computation; FALSE "
          "waits for each, to look for errors. The picture is the same",
          TRUE, AT_START));
  g_object_class_install_property (
      klass, PROP_VRAM_MODE,
      g_param_spec_enum ("vram-mode", "VRAM mode",
                         "How memory of the GPU is saved; the picture is the "
                         "same in all modes",
                         TYPE_VRAM_MODE, SVR_VRAM_AUTO, AT_START));
  g_object_class_install_property (
      klass, PROP_VRAM_BUDGET,
      g_param_spec_uint64 (
          "vram-budget", "VRAM budget",
          "Bytes of GPU memory that the element may take; planned before "
          "anything is loaded, and never passed (0: what is free at start, "
          "less a margin). The CUDA context takes some 500 MB besides",
          0, G_MAXUINT64, 0, AT_START));
  g_object_class_install_property (
      klass, PROP_OFFLOAD_THRESHOLD,
      g_param_spec_double (
          "offload-threshold", "Offload threshold",
          "With vram-mode=auto, weights are streamed and work is cut where the "
          "peak would pass so many GB (10^9 bytes), even if more is free (0: "
          "never)",
          0.0, 1e6, 20.0, AT_START));
  g_object_class_install_property (
      klass, PROP_VAE_TILE_SIZE,
      g_param_spec_uint (
          "vae-tile-size", "VAE tile size",
          "The VAE works on square tiles of so many pixels, with statistics of "
          "whole frames: several times slower, the same picture without seams, "
          "much less memory (0: only where nothing else fits the budget)",
          0, 16384, 0, AT_START));
  g_object_class_install_property (
      klass, PROP_PARKED_PRECISION,
      g_param_spec_enum (
          "parked-precision", "Parked precision",
          "How the VAE keeps frames that wait in host or device memory where "
          "the plan works through a batch in several sweeps; 8 bits are "
          "faster where copies are what limits, and need less memory",
          TYPE_PARKED_PRECISION, SVR_PARKED_16_BIT, AT_START));
}

static void
install_batching (GObjectClass *klass)
{
  g_object_class_install_property (
      klass, PROP_BATCH_SIZE,
      g_param_spec_uint (
          "batch-size", "Batch size",
          "Frames restored together; more are steadier and need more memory "
          "(1, 5, 9, 13... waste no time; 0: the largest of these that fits, "
          "at most 81 on a GPU and 21 on the CPU)",
          0, 16384, 5, AT_START));
  g_object_class_install_property (
      klass, PROP_TEMPORAL_OVERLAP,
      g_param_spec_uint (
          "temporal-overlap", "Temporal overlap",
          "Frames that neighbouring batches share and cross-fade; less than "
          "batch-size",
          0, 16384, 0, AT_START));
  g_object_class_install_property (
      klass, PROP_PREPEND_FRAMES,
      g_param_spec_uint (
          "prepend-frames", "Prepend frames",
          "Mirrored frames computed before the first one and dropped, against "
          "artefacts at the start",
          0, 16384, 0, AT_START));
  g_object_class_install_property (
      klass, PROP_UNIFORM_BATCH_SIZE,
      g_param_spec_boolean (
          "uniform-batch-size", "Uniform batch size",
          "Fill a short last batch up to batch-size with mirrored frames",
          FALSE, AT_START));
  g_object_class_install_property (
      klass, PROP_FRAME_OFFSET,
      g_param_spec_uint64 (
          "frame-offset", "Frame offset",
          "Number of the first frame within the whole film, so that a film "
          "done in chunks gets the noise of one run",
          0, G_MAXUINT64, 0, AT_START));
}

static void
install_picture (GObjectClass *klass)
{
  g_object_class_install_property (
      klass, PROP_SEED,
      g_param_spec_uint64 ("seed", "Seed",
                           "Seed of the noise; the same seed gives the same "
                           "picture",
                           0, G_MAXUINT64, 42, AT_START));
  g_object_class_install_property (
      klass, PROP_NOISE_TIME_INVARIANT,
      g_param_spec_boolean (
          "noise-time-invariant", "Time-invariant noise",
          "Give every batch the noise of the first one, so that a still gives "
          "the same picture in every batch; a batch that repeats the one "
          "before (stills, frozen video) is then not computed again, unless "
          "temporal-overlap is set or frames are in CUDA memory. Overlapping "
          "batches have different noise "
          "for a shared frame, and frame-offset changes nothing",
          FALSE, AT_START));
  g_object_class_install_property (
      klass, PROP_CFG_SCALE,
      g_param_spec_double (
          "cfg-scale", "Guidance scale",
          "Strength of classifier-free guidance; 1 is off, more takes twice "
          "the time and needs a negative embedding",
          0.0, 100.0, 1.0, AT_START));
  g_object_class_install_property (
      klass, PROP_CFG_OFFLOAD,
      g_param_spec_enum (
          "cfg-offload", "Guidance offload",
          "Where the positive prediction waits while the negative one is made, "
          "with cfg-scale other than 1; the picture is the same",
          TYPE_CFG_OFFLOAD, SVR_CFG_OFFLOAD_AUTO, AT_START));
  g_object_class_install_property (
      klass, PROP_COLOR_CORRECTION,
      g_param_spec_enum ("color-correction", "Colour correction",
                         "How the colours of the input are kept",
                         TYPE_COLOR_CORRECTION, SVR_COLOUR_LAB, AT_START));
}

static void
install_size (GObjectClass *klass)
{
  g_object_class_install_property (
      klass, PROP_SCALE,
      g_param_spec_double (
          "scale", "Scale",
          "Factor of both sides where resolution is 0 and downstream caps "
          "leave the size open",
          0.125, 16.0, 2.0, ANY_TIME));
  g_object_class_install_property (
      klass, PROP_RESOLUTION,
      g_param_spec_int (
          "resolution", "Resolution",
          "Short side of the output in pixels where downstream caps leave the "
          "size open (0: use scale)",
          0, 32768, 0, ANY_TIME));
  g_object_class_install_property (
      klass, PROP_MAX_RESOLUTION,
      g_param_spec_int (
          "max-resolution", "Maximum resolution",
          "Long side of the output in pixels at most where downstream caps "
          "leave the size open (0: no limit)",
          0, 32768, 0, ANY_TIME));
}

void
gst_seedvr2_settings_install (GObjectClass *klass)
{
  install_files (klass);
  install_memory (klass);
  install_batching (klass);
  install_picture (klass);
  install_size (klass);
  g_object_class_install_property (
      klass, PROP_POST_MESSAGES,
      g_param_spec_boolean (
          "post-messages", "Post messages",
          "Post element messages about the model, the plan, each batch and "
          "memory",
          TRUE, ANY_TIME));
}

/* Where the value of the property `id` lives; NULL for an unknown one. */
static gpointer
field_of (const GstSeedVR2Settings *settings, guint id)
{
#define AT(field) G_STRUCT_OFFSET (GstSeedVR2Settings, field)
  static const glong offsets[N_PROPS] = {
    [PROP_MODEL] = AT (model),
    [PROP_VAE_MODEL] = AT (vae_model),
    [PROP_TEXT_EMBEDDING] = AT (text_embedding),
    [PROP_BACKEND] = AT (backend),
    [PROP_DEVICE_ID] = AT (device_id),
    [PROP_PRECISION] = AT (precision),
    [PROP_QUANTIZATION] = AT (quantization),
    [PROP_ASYNC] = AT (async),
    [PROP_VRAM_MODE] = AT (vram_mode),
    [PROP_VRAM_BUDGET] = AT (vram_budget),
    [PROP_OFFLOAD_THRESHOLD] = AT (offload_threshold),
    [PROP_VAE_TILE_SIZE] = AT (vae_tile_size),
    [PROP_PARKED_PRECISION] = AT (parked_precision),
    [PROP_BATCH_SIZE] = AT (batch_size),
    [PROP_TEMPORAL_OVERLAP] = AT (temporal_overlap),
    [PROP_PREPEND_FRAMES] = AT (prepend_frames),
    [PROP_UNIFORM_BATCH_SIZE] = AT (uniform_batch_size),
    [PROP_SEED] = AT (seed),
    [PROP_NOISE_TIME_INVARIANT] = AT (noise_time_invariant),
    [PROP_FRAME_OFFSET] = AT (frame_offset),
    [PROP_CFG_SCALE] = AT (cfg_scale),
    [PROP_CFG_OFFLOAD] = AT (cfg_offload),
    [PROP_COLOR_CORRECTION] = AT (color_correction),
    [PROP_SCALE] = AT (size.scale),
    [PROP_RESOLUTION] = AT (size.resolution),
    [PROP_MAX_RESOLUTION] = AT (size.max_resolution),
    [PROP_POST_MESSAGES] = AT (post_messages),
  };
#undef AT

  if (id == 0 || id >= N_PROPS)
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

gboolean
gst_seedvr2_settings_is_size (guint id)
{
  return id == PROP_SCALE || id == PROP_RESOLUTION || id == PROP_MAX_RESOLUTION;
}

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
gst_seedvr2_settings_files (const GstSeedVR2Settings *settings,
                            GstSeedVR2Files *files)
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
gst_seedvr2_files_clear (GstSeedVR2Files *files)
{
  g_clear_pointer (&files->model, g_free);
  g_clear_pointer (&files->vae_model, g_free);
  g_clear_pointer (&files->text_embedding, g_free);
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
}
