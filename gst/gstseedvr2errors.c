#include "gstseedvr2errors.h"

typedef struct {
  GQuark (*domain) (void);
  gint code;
  const gchar *suggestion;
} Kind;

/* A status that the engine's text does not explain is a defect of ours. */
static const Kind unknown
    = { gst_library_error_quark, GST_LIBRARY_ERROR_FAILED,
        "report this with the output of GST_DEBUG=seedvr2*:6" };

static const Kind kinds[] = {
  [SVR_ERR_INVALID] = { gst_library_error_quark, GST_LIBRARY_ERROR_SETTINGS,
                        "change the property that the text names" },
  [SVR_ERR_SHAPE] = { gst_stream_error_quark, GST_STREAM_ERROR_FORMAT,
                      "change the size in the caps, or scale or resolution" },
  [SVR_ERR_UNSUPPORTED]
  = { gst_stream_error_quark, GST_STREAM_ERROR_NOT_IMPLEMENTED,
      "choose another value of the property that the text names, or another "
      "backend" },
  [SVR_ERR_FORMAT] = { gst_resource_error_quark, GST_RESOURCE_ERROR_OPEN_READ,
                       "give a model file that seedvr2 info accepts" },
  [SVR_ERR_IO] = { gst_resource_error_quark, GST_RESOURCE_ERROR_OPEN_READ,
                   "check that the file is there, readable and complete" },
  [SVR_ERR_NO_MEM]
  = { gst_resource_error_quark, GST_RESOURCE_ERROR_NO_SPACE_LEFT,
      "use a smaller batch-size or output, or close other programs" },
  [SVR_ERR_NO_VRAM]
  = { gst_resource_error_quark, GST_RESOURCE_ERROR_NO_SPACE_LEFT,
      "raise vram-budget, use a smaller batch-size or output, or close other "
      "programs on this GPU" },
  [SVR_ERR_NO_DEVICE]
  = { gst_resource_error_quark, GST_RESOURCE_ERROR_NOT_FOUND,
      "install the GPU's driver and the CUDA module, or set backend=cpu" },
  [SVR_ERR_DEVICE] = { gst_library_error_quark, GST_LIBRARY_ERROR_FAILED,
                       "restart the program" },
  [SVR_ERR_OVERFLOW] = { gst_library_error_quark, GST_LIBRARY_ERROR_FAILED,
                         "set precision=bf16 or fp32" },
};

static const Kind *
kind_of (svr_status status)
{
  gsize i = (gsize)status;

  return i < G_N_ELEMENTS (kinds) && kinds[i].domain ? &kinds[i] : &unknown;
}

/* (transfer full) */
static GstStructure *
details_of (const svr_error *err, const Kind *kind)
{
  GstStructure *s = gst_structure_new (
      "details", "status", G_TYPE_STRING, svr_status_name (err->code),
      "suggestion", G_TYPE_STRING, kind->suggestion, NULL);

  if (err->needed > 0 && err->code == SVR_ERR_NO_VRAM)
    gst_structure_set (s, "vram-needed", G_TYPE_UINT64, err->needed,
                       "vram-available", G_TYPE_UINT64, err->available, NULL);
  if (err->needed > 0 && err->code == SVR_ERR_NO_MEM)
    gst_structure_set (s, "host-needed", G_TYPE_UINT64, err->needed, NULL);
  return s;
}

void
gst_seedvr2_report_error (GstElement *element, const svr_error *err)
{
  const gchar *file = err->file ? err->file : __FILE__;
  const Kind *kind = kind_of (err->code);

  gst_element_message_full_with_details (
      element, GST_MESSAGE_ERROR, kind->domain (), kind->code,
      g_strdup (err->text),
      g_strdup_printf ("engine status: %s", svr_status_name (err->code)), file,
      "", err->line, details_of (err, kind));
}
