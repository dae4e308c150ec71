#include "pictures.h"

#include "backend/ops.h"
#include "cpu/cpu_backend.h"
#include "gstseedvr2frames.h"

#include <gst/check/gstcheck.h>

void
picture_map (Picture *p, const GstVideoInfo *info, GstBuffer *buffer)
{
  p->info = *info;
  p->buffer = buffer;
  fail_unless (
      gst_video_frame_map (&p->frame, &p->info, p->buffer, GST_MAP_READWRITE));
}

void
picture_new (Picture *p, const gchar *format, gint width, gint height,
             const gchar *fields)
{
  gchar *text = g_strdup_printf (
      "video/x-raw,format=%s,width=%d,height=%d,framerate=25/1%s", format,
      width, height, fields);
  GstCaps *caps = gst_caps_from_string (text);
  GstVideoInfo info;

  fail_unless (caps && gst_video_info_from_caps (&info, caps), "%s", text);
  picture_map (p, &info, gst_buffer_new_allocate (NULL, info.size, NULL));
  gst_caps_unref (caps);
  g_free (text);
}

void
picture_free (Picture *p)
{
  gst_video_frame_unmap (&p->frame);
  gst_buffer_unref (p->buffer);
}

guint
picture_word_bytes (const GstVideoFormatInfo *format)
{
  if (strstr (format->name, "10A2"))
    return 4;
  return GST_VIDEO_FORMAT_INFO_DEPTH (format, 0) > 8 ? 2 : 1;
}

gint
argb64 (const Picture *p, gint x, gint y, guint c)
{
  const guint16 *row
      = (const guint16 *)((guint8 *)GST_VIDEO_FRAME_PLANE_DATA (&p->frame, 0)
                          + y * GST_VIDEO_FRAME_PLANE_STRIDE (&p->frame, 0));

  return row[4 * x + c];
}

static svr_exec engine;
static gpointer engine_memory;

enum { SCRATCH = 1 << 22 };

void
engine_open (void)
{
  svr_error err = { 0 };

  fail_unless_equals_int (svr_cpu_backend_create (NULL, &engine.backend, &err),
                          SVR_OK);
  fail_unless_equals_int (svr_backend_alloc (engine.backend, SVR_MEM_SCRATCH,
                                             SCRATCH, &engine_memory, &err),
                          SVR_OK);
  engine.scratch = svr_scratch_create (engine_memory, SCRATCH);
}

void
engine_close (void)
{
  svr_scratch_destroy (engine.scratch);
  svr_backend_free (engine.backend, SVR_MEM_SCRATCH, SCRATCH, engine_memory);
  svr_backend_destroy (engine.backend);
}

static svr_tensor
tensor_new (int rank, const int64_t *dims)
{
  svr_error err = { 0 };
  svr_tensor t;

  fail_unless_equals_int (
      svr_exec_alloc (&engine, SVR_F32, rank, dims, &t, &err), SVR_OK);
  return t;
}

void
through_engine (const Picture *from, Picture *to)
{
  gint w = from->info.width, h = from->info.height;
  svr_tensor unit = tensor_new (SVR_DIMS (1, h, w, 3));
  svr_tensor model = tensor_new (SVR_DIMS (1, h, w, 3));
  svr_tensor alpha = tensor_new (SVR_DIMS (h, w));
  svr_unpack_args unpack = { .frame = gst_seedvr2_frame_view (&from->frame),
                             .rgb = svr_tensor_3d (unit.data, SVR_F32, h, w, 3),
                             .alpha = alpha };
  svr_pack_args pack = { .frame = gst_seedvr2_frame_view (&to->frame),
                         .rgb = svr_tensor_3d (model.data, SVR_F32, h, w, 3),
                         .alpha = alpha };
  svr_error err = { 0 };

  fail_unless (gst_seedvr2_video_info (&from->info, &unpack.info));
  fail_unless (gst_seedvr2_video_info (&to->info, &pack.info));
  fail_unless_equals_int (svr_op_unpack (&engine, &unpack, &err), SVR_OK);
  fail_unless_equals_int (
      svr_op_to_model (&engine, &(svr_to_model_args){ .x = unit, .y = model },
                       &err),
      SVR_OK);
  fail_unless_equals_int (svr_op_pack (&engine, &pack, &err), SVR_OK);
  svr_scratch_reset (engine.scratch);
}
