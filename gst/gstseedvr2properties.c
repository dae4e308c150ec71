#include "gstseedvr2properties.h"

#include "gstseedvr2enums.h"
#include "pipeline/upscaler.h"

#include <gst/gst.h>

/* When they may change: AT_START ones are latched from READY to PAUSED. */
#define AT_START                                                               \
  ((GParamFlags)(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS                    \
                 | GST_PARAM_MUTABLE_READY))
#define ANY_TIME                                                               \
  ((GParamFlags)(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS                    \
                 | GST_PARAM_MUTABLE_PLAYING))

static void
install_files (GObjectClass *klass)
{
  g_object_class_install_property (
      klass, GST_SEEDVR2_PROP_MODEL,
      g_param_spec_string (
          "model", "Model",
          "Transformer weights, a safetensors file (unset: the shipped small "
          "model)",
          NULL, AT_START));
  g_object_class_install_property (
      klass, GST_SEEDVR2_PROP_VAE_MODEL,
      g_param_spec_string (
          "vae-model", "VAE model",
          "VAE weights, a safetensors file that belongs to the model (unset: "
          "the shipped small VAE)",
          NULL, AT_START));
  g_object_class_install_property (
      klass, GST_SEEDVR2_PROP_TEXT_EMBEDDING,
      g_param_spec_string (
          "text-embedding", "Text embedding",
          "Prompt embeddings, a safetensors file with pos and neg (unset: "
          "those of the model, else the shipped ones)",
          NULL, AT_START));
}

static void
install_engine (GObjectClass *klass)
{
  g_object_class_install_property (
      klass, GST_SEEDVR2_PROP_BACKEND,
      g_param_spec_enum (
          "backend", "Backend",
          "What computes: the CPU, an NVIDIA GPU, or a GPU where there is one",
          gst_seedvr2_backend_get_type (), SVR_BACKEND_AUTO, AT_START));
  g_object_class_install_property (
      klass, GST_SEEDVR2_PROP_DEVICE_ID,
      g_param_spec_int (
          "device-id", "Device ID",
          "GPU to compute on, as CUDA counts them (-1: the one that other "
          "elements of the pipeline use, else the first usable one)",
          -1, G_MAXINT, -1, AT_START));
  g_object_class_install_property (
      klass, GST_SEEDVR2_PROP_PRECISION,
      g_param_spec_enum ("precision", "Precision",
                         "How values are stored; sums are 32 bits always. "
                         "When fp16 overflows, a warning is posted and the "
                         "batch and all that follow are made in bf16",
                         gst_seedvr2_precision_get_type (), SVR_PRECISION_AUTO,
                         AT_START));
  g_object_class_install_property (
      klass, GST_SEEDVR2_PROP_QUANTIZATION,
      g_param_spec_enum (
          "quantization", "Quantization",
          "How the transformer's large matrices are kept in memory and "
          "multiplied; 8 bits need half the memory of 16",
          gst_seedvr2_quantization_get_type (), SVR_QUANTIZATION_AUTO_FP16,
          AT_START));
}

static void
install_memory (GObjectClass *klass)
{
  g_object_class_install_property (
      klass, GST_SEEDVR2_PROP_ASYNC,
      g_param_spec_boolean (
          "async", "Asynchronous copies",
          "Copies of weights and activations run beside the computation; FALSE "
          "waits for each, to look for errors. The picture is the same",
          TRUE, AT_START));
  g_object_class_install_property (
      klass, GST_SEEDVR2_PROP_VRAM_MODE,
      g_param_spec_enum ("vram-mode", "VRAM mode",
                         "How memory of the GPU is saved; the picture is the "
                         "same in all modes",
                         gst_seedvr2_vram_mode_get_type (), SVR_VRAM_AUTO,
                         AT_START));
  g_object_class_install_property (
      klass, GST_SEEDVR2_PROP_VRAM_BUDGET,
      g_param_spec_uint64 (
          "vram-budget", "VRAM budget",
          "Bytes of GPU memory that the element may take; planned before "
          "anything is loaded, and never passed (0: what is free at start, "
          "less a margin). The CUDA context takes some 500 MB besides",
          0, G_MAXUINT64, 0, AT_START));
  g_object_class_install_property (
      klass, GST_SEEDVR2_PROP_OFFLOAD_THRESHOLD,
      g_param_spec_double (
          "offload-threshold", "Offload threshold",
          "With vram-mode=auto, weights are streamed and work is cut where the "
          "peak would pass so many GB (10^9 bytes), even if more is free (0: "
          "never)",
          0.0, 1e6, 20.0, AT_START));
}

static void
install_vae_memory (GObjectClass *klass)
{
  g_object_class_install_property (
      klass, GST_SEEDVR2_PROP_VAE_TILE_SIZE,
      g_param_spec_uint (
          "vae-tile-size", "VAE tile size",
          "The VAE works on square tiles of so many pixels, with statistics of "
          "whole frames: several times slower, the same picture without seams, "
          "much less memory (0: only where nothing else fits the budget)",
          0, 16384, 0, AT_START));
  g_object_class_install_property (
      klass, GST_SEEDVR2_PROP_PARKED_PRECISION,
      g_param_spec_enum (
          "parked-precision", "Parked precision",
          "How the VAE keeps frames that wait in host or device memory where "
          "the plan works through a batch in several sweeps; 8 bits are "
          "faster where copies are what limits, and need less memory",
          gst_seedvr2_parked_precision_get_type (), SVR_PARKED_16_BIT,
          AT_START));
}

static void
install_batching (GObjectClass *klass)
{
  g_object_class_install_property (
      klass, GST_SEEDVR2_PROP_BATCH_SIZE,
      g_param_spec_uint (
          "batch-size", "Batch size",
          "Frames restored together; more are steadier and need more memory "
          "(1, 5, 9, 13... waste no time; 0: the largest of these that fits, "
          "at most 81 on a GPU and 21 on the CPU)",
          0, 16384, 5, AT_START));
  g_object_class_install_property (
      klass, GST_SEEDVR2_PROP_TEMPORAL_OVERLAP,
      g_param_spec_uint (
          "temporal-overlap", "Temporal overlap",
          "Frames that neighbouring batches share and cross-fade; less than "
          "batch-size",
          0, 16384, 0, AT_START));
  g_object_class_install_property (
      klass, GST_SEEDVR2_PROP_PREPEND_FRAMES,
      g_param_spec_uint (
          "prepend-frames", "Prepend frames",
          "Mirrored frames computed before the first one and dropped, against "
          "artefacts at the start",
          0, 16384, 0, AT_START));
  g_object_class_install_property (
      klass, GST_SEEDVR2_PROP_UNIFORM_BATCH_SIZE,
      g_param_spec_boolean (
          "uniform-batch-size", "Uniform batch size",
          "Fill a short last batch up to batch-size with mirrored frames",
          FALSE, AT_START));
  g_object_class_install_property (
      klass, GST_SEEDVR2_PROP_FRAME_OFFSET,
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
      klass, GST_SEEDVR2_PROP_SEED,
      g_param_spec_uint64 ("seed", "Seed",
                           "Seed of the noise; the same seed gives the same "
                           "picture",
                           0, G_MAXUINT64, 42, AT_START));
  g_object_class_install_property (
      klass, GST_SEEDVR2_PROP_NOISE_TIME_INVARIANT,
      g_param_spec_boolean (
          "noise-time-invariant", "Time-invariant noise",
          "Give every batch the noise of the first one, so that a still gives "
          "the same picture in every batch; a batch that repeats the one "
          "before (stills, frozen video) is then not computed again, unless "
          "temporal-overlap is set or frames are in CUDA memory. Overlapping "
          "batches have different noise for a shared frame, and frame-offset "
          "changes nothing",
          FALSE, AT_START));
  g_object_class_install_property (
      klass, GST_SEEDVR2_PROP_CFG_SCALE,
      g_param_spec_double (
          "cfg-scale", "Guidance scale",
          "Strength of classifier-free guidance; 1 is off, more takes twice "
          "the time and needs a negative embedding",
          0.0, 100.0, 1.0, AT_START));
  g_object_class_install_property (
      klass, GST_SEEDVR2_PROP_CFG_OFFLOAD,
      g_param_spec_enum (
          "cfg-offload", "Guidance offload",
          "Where the positive prediction waits while the negative one is made, "
          "with cfg-scale other than 1; the picture is the same",
          gst_seedvr2_cfg_offload_get_type (), SVR_CFG_OFFLOAD_AUTO, AT_START));
  g_object_class_install_property (
      klass, GST_SEEDVR2_PROP_COLOR_CORRECTION,
      g_param_spec_enum ("color-correction", "Colour correction",
                         "How the colours of the input are kept",
                         gst_seedvr2_color_correction_get_type (),
                         SVR_COLOUR_LAB, AT_START));
  g_object_class_install_property (
      klass, GST_SEEDVR2_PROP_PADDING,
      g_param_spec_enum (
          "padding", "Padding",
          "What the model sees right of and below a picture whose sides are "
          "no multiples of 16; it is cut off again",
          gst_seedvr2_padding_get_type (), SVR_PADDING_REPLICATE, AT_START));
}

static void
install_size (GObjectClass *klass)
{
  g_object_class_install_property (
      klass, GST_SEEDVR2_PROP_SCALE,
      g_param_spec_double (
          "scale", "Scale",
          "Factor of both sides where resolution is 0 and downstream caps "
          "leave the size open",
          0.125, 16.0, 2.0, ANY_TIME));
  g_object_class_install_property (
      klass, GST_SEEDVR2_PROP_RESOLUTION,
      g_param_spec_int (
          "resolution", "Resolution",
          "Short side of the output in pixels where downstream caps leave the "
          "size open (0: use scale)",
          0, 32768, 0, ANY_TIME));
  g_object_class_install_property (
      klass, GST_SEEDVR2_PROP_MAX_RESOLUTION,
      g_param_spec_int (
          "max-resolution", "Maximum resolution",
          "Long side of the output in pixels at most where downstream caps "
          "leave the size open (0: no limit)",
          0, 32768, 0, ANY_TIME));
}

static void
install_messages (GObjectClass *klass)
{
  g_object_class_install_property (
      klass, GST_SEEDVR2_PROP_POST_MESSAGES,
      g_param_spec_boolean (
          "post-messages", "Post messages",
          "Post element messages about the model, the plan, each batch and "
          "memory",
          TRUE, ANY_TIME));
  g_object_class_install_property (
      klass, GST_SEEDVR2_PROP_STATS,
      g_param_spec_boxed ("stats", "Statistics",
                          "Counters, times and memory use "
                          "(application/x-seedvr2-stats)",
                          GST_TYPE_STRUCTURE,
                          G_PARAM_READABLE | G_PARAM_STATIC_STRINGS));
}

void
gst_seedvr2_properties_install (GObjectClass *klass)
{
  install_files (klass);
  install_engine (klass);
  install_memory (klass);
  install_vae_memory (klass);
  install_batching (klass);
  install_picture (klass);
  install_size (klass);
  install_messages (klass);
}

gboolean
gst_seedvr2_property_is_size (guint id)
{
  return id == GST_SEEDVR2_PROP_SCALE || id == GST_SEEDVR2_PROP_RESOLUTION
         || id == GST_SEEDVR2_PROP_MAX_RESOLUTION;
}
