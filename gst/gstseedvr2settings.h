/* The values of the properties, and what the engine is told by them. */
#ifndef GST_SEEDVR2_SETTINGS_H
#define GST_SEEDVR2_SETTINGS_H

#include "gstseedvr2size.h"
#include "pipeline/upscaler.h"

#include <gst/gst.h>

G_BEGIN_DECLS

/* Values of the writable properties.  The owner locks. */
typedef struct {
  gchar *model, *vae_model, *text_embedding; /* NULL: the default */
  gint backend;                              /* svr_backend_kind */
  gint device_id;                            /* -1: any */
  gint precision;                            /* svr_precision */
  gint quantization;                         /* svr_quantization */
  gboolean async;
  gint vram_mode;            /* svr_vram_mode */
  guint64 vram_budget;       /* bytes; 0: what is free */
  gdouble offload_threshold; /* GB; 0: never */
  guint vae_tile_size;       /* pixels; 0: as a last resort */
  gint parked_precision;     /* svr_parked_precision */
  guint batch_size, temporal_overlap, prepend_frames;
  gboolean uniform_batch_size;
  gboolean noise_time_invariant;
  guint64 seed, frame_offset;
  gdouble cfg_scale;
  gint cfg_offload;      /* svr_cfg_offload */
  gint color_correction; /* svr_colour_method */
  gint padding;          /* svr_padding */
  GstSeedVR2Size size;
  gboolean post_messages;
} GstSeedVR2Settings;

/* The defaults. */
void gst_seedvr2_settings_init (GstSeedVR2Settings *settings);

/* Frees the strings. */
void gst_seedvr2_settings_clear (GstSeedVR2Settings *settings);

/* A copy that owns its strings.  `to` need not be initialised. */
void gst_seedvr2_settings_copy (GstSeedVR2Settings *to,
                                const GstSeedVR2Settings *from);

/* Writes or reads the property `id` of gstseedvr2properties.h, whose type
 * `value` has.  Returns: FALSE for one that is not here. */
gboolean gst_seedvr2_settings_set (GstSeedVR2Settings *settings, guint id,
                                   const GValue *value);
gboolean gst_seedvr2_settings_get (const GstSeedVR2Settings *settings, guint id,
                                   GValue *value);

/* All of a stream but its formats and the number of its first frame. */
void gst_seedvr2_settings_stream (const GstSeedVR2Settings *settings,
                                  svr_stream_config *config);

G_END_DECLS
#endif
