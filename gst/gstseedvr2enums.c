#include "gstseedvr2enums.h"

#include "pipeline/upscaler.h"

#include <gst/gst.h>

/* The type, registered by whoever comes first. */
static GType
registered (gsize *type, const gchar *name, const GEnumValue *values)
{
  if (g_once_init_enter (type)) {
    GType fresh = g_enum_register_static (name, values);

    gst_type_mark_as_plugin_api (fresh, 0);
    g_once_init_leave (type, fresh);
  }
  return *type;
}

GType
gst_seedvr2_backend_get_type (void)
{
  static gsize type = 0;
  static const GEnumValue values[] = {
    { SVR_BACKEND_AUTO, "CUDA where there is a device, else the CPU", "auto" },
    { SVR_BACKEND_CPU, "The CPU", "cpu" },
    { SVR_BACKEND_CUDA, "An NVIDIA GPU", "cuda" },
    { 0, NULL, NULL },
  };

  return registered (&type, "GstSeedVR2Backend", values);
}

GType
gst_seedvr2_precision_get_type (void)
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

  return registered (&type, "GstSeedVR2Precision", values);
}

GType
gst_seedvr2_quantization_get_type (void)
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

  return registered (&type, "GstSeedVR2Quantization", values);
}

GType
gst_seedvr2_vram_mode_get_type (void)
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

  return registered (&type, "GstSeedVR2VramMode", values);
}

GType
gst_seedvr2_parked_precision_get_type (void)
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

  return registered (&type, "GstSeedVR2ParkedPrecision", values);
}

GType
gst_seedvr2_cfg_offload_get_type (void)
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

  return registered (&type, "GstSeedVR2CfgOffload", values);
}

GType
gst_seedvr2_color_correction_get_type (void)
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

  return registered (&type, "GstSeedVR2ColorCorrection", values);
}

GType
gst_seedvr2_padding_get_type (void)
{
  static gsize type = 0;
  static const GEnumValue values[] = {
    { SVR_PADDING_BLACK,
      "Black, as the reference implementation has it; the lowest rows or the "
      "rightmost columns may show it",
      "black" },
    { SVR_PADDING_REPLICATE, "The last column and row again and again",
      "replicate" },
    { 0, NULL, NULL },
  };

  return registered (&type, "GstSeedVR2Padding", values);
}
