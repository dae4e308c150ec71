/* The types of the properties that choose among names, with the text of each
 * choice.  Values are the engine's. */
#ifndef GST_SEEDVR2_ENUMS_H
#define GST_SEEDVR2_ENUMS_H

#include <glib-object.h>

G_BEGIN_DECLS

GType gst_seedvr2_backend_get_type (void);          /* svr_backend_kind */
GType gst_seedvr2_precision_get_type (void);        /* svr_precision */
GType gst_seedvr2_quantization_get_type (void);     /* svr_quantization */
GType gst_seedvr2_vram_mode_get_type (void);        /* svr_vram_mode */
GType gst_seedvr2_parked_precision_get_type (void); /* svr_parked_precision */
GType gst_seedvr2_cfg_offload_get_type (void);      /* svr_cfg_offload */
GType gst_seedvr2_color_correction_get_type (void); /* svr_colour_method */
GType gst_seedvr2_padding_get_type (void);          /* svr_padding */

G_END_DECLS
#endif
