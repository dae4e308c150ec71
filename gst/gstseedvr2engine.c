#include "gstseedvr2engine.h"

#include "gstseedvr2errors.h"
#include "gstseedvr2files.h"
#include "gstseedvr2log.h"
#include "gstseedvr2private.h"

#define GST_CAT_DEFAULT gst_seedvr2_upscale_debug

static gboolean
check_file (GstElement *element, const gchar *property, const gchar *file)
{
  if (!file || g_file_test (file, G_FILE_TEST_EXISTS))
    return TRUE;
  GST_ELEMENT_ERROR_WITH_DETAILS (
      element, RESOURCE, NOT_FOUND,
      ("There is no file %s: set the property %s, or the environment variable "
       "SEEDVR2_MODEL_PATH to the folder of the shipped models.",
       file, property),
      (NULL),
      ("property", G_TYPE_STRING, property, "file", G_TYPE_STRING, file,
       "suggestion", G_TYPE_STRING, "set the property to a file that is there",
       NULL));
  return FALSE;
}

static svr_upscaler *
create (GstElement *element, const GstSeedVR2Settings *settings,
        const GstSeedVR2Files *files, const GstSeedVR2Cuda *cuda,
        GstSeedVR2Report *report)
{
  g_autofree gchar *cache
      = g_build_filename (g_get_user_cache_dir (), "seedvr2", NULL);
  svr_upscaler_options options;
  svr_upscaler *upscaler = NULL;
  svr_error err = { 0 };

  svr_upscaler_options_init (&options);
  options.backend = (svr_backend_kind)settings->backend;
  options.device = settings->device_id;
  options.cuda_context = cuda->handle;
  options.precision = (svr_precision)settings->precision;
  options.quantization = (svr_quantization)settings->quantization;
  options.model_path = files->model;
  options.vae_path = files->vae_model;
  options.text_path = files->text_embedding;
  options.cache_folder = cache;
  options.log = gst_seedvr2_log_of (element);
  options.event = gst_seedvr2_report_event;
  options.event_user = report;

  gst_seedvr2_report_begin (report, files);
  if (svr_upscaler_create (&options, &upscaler, &err) != SVR_OK) {
    gst_seedvr2_report_end (report, TRUE);
    gst_seedvr2_report_error (element, &err);
    return NULL;
  }
  return upscaler;
}

svr_upscaler *
gst_seedvr2_engine_open (GstElement *element,
                         const GstSeedVR2Settings *settings,
                         const GstSeedVR2Cuda *cuda, GstSeedVR2Report *report)
{
  svr_upscaler *upscaler = NULL;
  GstSeedVR2Files files;

  gst_seedvr2_files_init (&files, settings);
  if (check_file (element, "model", files.model)
      && check_file (element, "vae-model", files.vae_model)
      && check_file (element, "text-embedding", files.text_embedding))
    upscaler = create (element, settings, &files, cuda, report);
  gst_seedvr2_files_clear (&files);
  return upscaler;
}
