/* seedvr2-compare: PSNR of videos against an original, and one frame of all of them side by side.
 *
 *     seedvr2-compare [--picture FILE.png --frame N] ORIGINAL VIDEO…
 *
 * Decodes everything to I420 (BT.709, video range) through GStreamer; all must have the original's
 * size.  PSNR is over the luma plane, from the mean squared error over all frames that both have.
 * The picture shows the videos in the order given, then the original.  Used by tools/demo.sh; not
 * installed. */
#include <gst/app/gstappsink.h>
#include <gst/app/gstappsrc.h>
#include <gst/gst.h>
#include <gst/video/video.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* A video that is being read. */
typedef struct reader {
    const char *path;
    GstElement *pipeline, *sink;
} reader;

static gboolean report(GstElement *pipeline, const char *path)
{
    GstBus *bus = gst_element_get_bus(pipeline);
    GstMessage *message = gst_bus_pop_filtered(bus, GST_MESSAGE_ERROR);

    gst_object_unref(bus);
    if (message) {
        GError *error = NULL;

        gst_message_parse_error(message, &error, NULL);
        fprintf(stderr, "%s: %s\n", path, error->message);
        g_clear_error(&error);
        gst_message_unref(message);
    }
    return FALSE;
}

static gboolean reader_open(reader *r, const char *path)
{
    GstElement *source;

    r->path = path;
    r->pipeline = gst_parse_launch("filesrc name=source ! decodebin ! videoconvert ! "
                                   "appsink name=sink sync=false max-buffers=2 "
                                   "caps=video/x-raw,format=I420,colorimetry=bt709",
                                   NULL);
    if (!r->pipeline)
        return FALSE;
    source = gst_bin_get_by_name(GST_BIN(r->pipeline), "source");
    g_object_set(source, "location", path, NULL);
    gst_object_unref(source);
    r->sink = gst_bin_get_by_name(GST_BIN(r->pipeline), "sink");
    return gst_element_set_state(r->pipeline, GST_STATE_PLAYING) != GST_STATE_CHANGE_FAILURE ||
           report(r->pipeline, path);
}

static void reader_close(reader *r)
{
    if (r->pipeline)
        gst_element_set_state(r->pipeline, GST_STATE_NULL);
    gst_clear_object(&r->sink);
    gst_clear_object(&r->pipeline);
}

/* The next frame, or NULL at the end; an error is printed. */
static GstSample *reader_next(reader *r)
{
    GstSample *sample = gst_app_sink_pull_sample(GST_APP_SINK(r->sink));

    if (!sample)
        report(r->pipeline, r->path);
    return sample;
}

static gboolean map(GstSample *sample, GstVideoFrame *frame)
{
    GstVideoInfo info;

    return gst_video_info_from_caps(&info, gst_sample_get_caps(sample)) &&
           gst_video_frame_map(frame, &info, gst_sample_get_buffer(sample), GST_MAP_READ);
}

/* Sum of squared luma differences of two frames of equal size; -1 when they differ in size. */
static double luma_error(GstSample *a, GstSample *b)
{
    GstVideoFrame fa, fb;
    double sum = -1.0;

    if (!map(a, &fa))
        return sum;
    if (map(b, &fb)) {
        int width = GST_VIDEO_FRAME_WIDTH(&fa), height = GST_VIDEO_FRAME_HEIGHT(&fa);

        if (width == GST_VIDEO_FRAME_WIDTH(&fb) && height == GST_VIDEO_FRAME_HEIGHT(&fb)) {
            sum = 0.0;
            for (int y = 0; y < height; y++) {
                const guint8 *pa = (guint8 *) GST_VIDEO_FRAME_PLANE_DATA(&fa, 0) +
                                   (gssize) y * GST_VIDEO_FRAME_PLANE_STRIDE(&fa, 0);
                const guint8 *pb = (guint8 *) GST_VIDEO_FRAME_PLANE_DATA(&fb, 0) +
                                   (gssize) y * GST_VIDEO_FRAME_PLANE_STRIDE(&fb, 0);

                for (int x = 0; x < width; x++)
                    sum += (double) (pa[x] - pb[x]) * (pa[x] - pb[x]);
            }
        }
        gst_video_frame_unmap(&fb);
    }
    gst_video_frame_unmap(&fa);
    return sum;
}

/* Prints the PSNR of `path` against `original`; keeps frame `keep` of both. */
static gboolean measure(const char *original, const char *path, int keep, GstSample **kept)
{
    reader a = {0}, b = {0};
    double sum = 0.0, pixels = 0.0;
    int frames = 0;
    gboolean ok = reader_open(&a, original) && reader_open(&b, path);

    while (ok) {
        GstSample *sa = reader_next(&a), *sb = sa ? reader_next(&b) : NULL;
        double error = sb ? luma_error(sa, sb) : 0.0;

        if (sb && error >= 0.0) {
            GstVideoInfo info;

            gst_video_info_from_caps(&info, gst_sample_get_caps(sb));
            sum += error;
            pixels += (double) info.width * info.height;
            if (frames++ == keep) {
                gst_sample_ref(kept[0] = sb);
                if (!kept[1])
                    gst_sample_ref(kept[1] = sa);
            }
        } else if (sb) {
            fprintf(stderr, "%s has not the size of %s\n", path, original);
            ok = FALSE;
        }
        if (sa)
            gst_sample_unref(sa);
        if (!sb)
            break;
        gst_sample_unref(sb);
    }
    reader_close(&a);
    reader_close(&b);
    if (!ok || frames == 0)
        return FALSE;
    printf("%-40s %4d frames  PSNR-Y %.2f dB\n", path, frames,
           sum > 0.0 ? 10.0 * log10(255.0 * 255.0 * pixels / sum) : INFINITY);
    return TRUE;
}

/* Writes the samples from left to right into one PNG. */
static gboolean write_picture(const char *path, GstSample *const *samples, int count)
{
    GString *line = g_string_new("compositor name=mix background=black ");
    GstElement *pipeline;
    GstVideoInfo info;
    GstMessage *message = NULL;
    GstBus *bus;
    gboolean ok;

    gst_video_info_from_caps(&info, gst_sample_get_caps(samples[0]));
    for (int i = 0; i < count; i++)
        g_string_append_printf(line, "sink_%d::xpos=%d ", i, i * info.width);
    g_string_append_printf(line, "! videoconvert ! pngenc snapshot=true ! filesink name=file ");
    for (int i = 0; i < count; i++)
        g_string_append_printf(line, "appsrc name=source%d format=time ! mix.sink_%d ", i, i);
    pipeline = gst_parse_launch(line->str, NULL);
    g_string_free(line, TRUE);
    if (!pipeline)
        return FALSE;
    {
        GstElement *file = gst_bin_get_by_name(GST_BIN(pipeline), "file");

        g_object_set(file, "location", path, NULL);
        gst_object_unref(file);
    }
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    for (int i = 0; i < count; i++) {
        g_autofree char *name = g_strdup_printf("source%d", i);
        GstElement *source = gst_bin_get_by_name(GST_BIN(pipeline), name);
        GstBuffer *buffer = gst_buffer_copy(gst_sample_get_buffer(samples[i]));

        GST_BUFFER_PTS(buffer) = 0;
        GST_BUFFER_DTS(buffer) = GST_CLOCK_TIME_NONE;
        g_object_set(source, "caps", gst_sample_get_caps(samples[i]), NULL);
        gst_app_src_push_buffer(GST_APP_SRC(source), buffer);
        gst_app_src_end_of_stream(GST_APP_SRC(source));
        gst_object_unref(source);
    }
    bus = gst_element_get_bus(pipeline);
    message = gst_bus_timed_pop_filtered(bus, 60 * GST_SECOND, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
    ok = message && GST_MESSAGE_TYPE(message) == GST_MESSAGE_EOS;
    if (message)
        gst_message_unref(message);
    gst_object_unref(bus);
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(pipeline);
    return ok;
}

int main(int argc, char **argv)
{
    g_autofree char *picture = NULL;
    g_auto(GStrv) files = NULL;
    int frame = 0, status = 0, count;
    GOptionEntry entries[] = {
        {"picture", 'p', 0, G_OPTION_ARG_FILENAME, &picture, "write a frame of all side by side",
         "FILE.png"},
        {"frame", 'f', 0, G_OPTION_ARG_INT, &frame, "which frame, from 0", "N"},
        {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &files, NULL, "ORIGINAL VIDEO…"},
        {NULL, 0, 0, 0, NULL, NULL, NULL},
    };
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_autoptr(GError) error = NULL;
    GstSample **samples;

    g_option_context_add_main_entries(context, entries, NULL);
    g_option_context_add_group(context, gst_init_get_option_group());
    if (!g_option_context_parse(context, &argc, &argv, &error) || !files || !files[0] ||
        !files[1]) {
        fprintf(stderr, "seedvr2-compare: %s\n", error ? error->message : "ORIGINAL VIDEO… wanted");
        return 2;
    }
    count = (int) g_strv_length(files);
    samples = g_new0(GstSample *, (gsize) count);
    for (int i = 1; i < count && status == 0; i++) {
        GstSample *kept[2] = {NULL, samples[count - 1]};

        status = measure(files[0], files[i], frame, kept) ? 0 : 1;
        samples[i - 1] = kept[0];
        samples[count - 1] = kept[1];
    }
    if (status == 0 && picture && samples[0] && samples[count - 1])
        status = write_picture(picture, samples, count) ? 0 : 1;
    for (int i = 0; i < count; i++)
        if (samples[i])
            gst_sample_unref(samples[i]);
    g_free(samples);
    return status;
}
