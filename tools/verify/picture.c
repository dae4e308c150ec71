#include "verify/picture.h"

#include <gst/gst.h>
#include <math.h>
#include <string.h>

/* ---------------------------------------------------------------------------- of a file */

/* NULL at the end and after an error, which the sink does not tell. */
static GstSample *next_sample(GstElement *pipeline, GstElement *sink)
{
    g_autoptr(GstBus) bus = gst_element_get_bus(pipeline);
    GstSample *sample = NULL;

    while (!sample) {
        g_autoptr(GstMessage) end = NULL;

        g_signal_emit_by_name(sink, "try-pull-sample", GST_SECOND / 10, &sample);
        end = sample ? NULL
                     : gst_bus_pop_filtered(bus,
                                            (GstMessageType) (GST_MESSAGE_ERROR | GST_MESSAGE_EOS));
        if (end)
            break;
    }
    return sample;
}

static svr_status read_frames(GstElement *pipeline, GstElement *sink, const char *path, picture *p,
                              svr_error *err)
{
    size_t n = (size_t) p->height * (size_t) p->width * 3;
    int got = 0;

    for (; got < p->frames; got++) {
        GstSample *sample;
        GstMapInfo map;

        sample = next_sample(pipeline, sink);
        if (!sample)
            break;
        if (gst_buffer_map(gst_sample_get_buffer(sample), &map, GST_MAP_READ)) {
            /* rows of RGB may be padded */
            size_t stride = map.size / (size_t) p->height;

            for (size_t i = 0; i < n; i++)
                p->values[(size_t) got * n + i] =
                    (float) map.data[i / ((size_t) p->width * 3) * stride +
                                     i % ((size_t) p->width * 3)] /
                        127.5f -
                    1.0f;
            gst_buffer_unmap(gst_sample_get_buffer(sample), &map);
        }
        gst_sample_unref(sample);
    }
    if (got == 0)
        return SVR_FAIL(err, SVR_ERR_IO, "%s: GStreamer finds no picture in it", path);
    for (; got < p->frames; got++)
        memcpy(p->values + (size_t) got * n, p->values + (size_t) (got - 1) * n, n * sizeof(float));
    return SVR_OK;
}

static svr_status decode_file(const char *path, picture *p, svr_error *err)
{
    g_autofree char *text = g_strdup_printf(
        "filesrc name=source ! decodebin ! videoconvert ! videoscale method=lanczos ! "
        "video/x-raw,format=RGB,width=%d,height=%d,pixel-aspect-ratio=1/1 ! "
        "appsink name=sink sync=false max-buffers=2",
        p->width, p->height);
    g_autoptr(GError) error = NULL;
    GstElement *pipeline, *source, *sink;
    svr_status status;

    gst_init(NULL, NULL);
    pipeline = gst_parse_launch(text, &error);
    if (error) {
        gst_clear_object(&pipeline);
        return SVR_FAIL(err, SVR_ERR_IO, "%s: %s", path, error->message);
    }
    source = gst_bin_get_by_name(GST_BIN(pipeline), "source");
    sink = gst_bin_get_by_name(GST_BIN(pipeline), "sink");
    g_object_set(source, "location", path, NULL);
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    status = read_frames(pipeline, sink, path, p, err);
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(source);
    gst_object_unref(sink);
    gst_object_unref(pipeline);
    return status;
}

/* ---------------------------------------------------------------------------- made up */

/* In -1 .. 1, the same for the same corner. */
static double corner(int64_t x, int64_t y, unsigned salt)
{
    uint32_t h = (uint32_t) x * 0x9E3779B1u ^ (uint32_t) y * 0x85EBCA77u ^ salt * 0xC2B2AE3Du;

    h = (h ^ (h >> 15)) * 0x2C1B3C6Du;
    h = (h ^ (h >> 12)) * 0x297A2D39u;
    return (double) (h ^ (h >> 15)) / 2147483648.0 - 1.0;
}

/* Smooth noise with one corner per pixel of its grid. */
static double noise(double x, double y, unsigned salt)
{
    double fx = x - floor(x), fy = y - floor(y);
    int64_t i = (int64_t) floor(x), j = (int64_t) floor(y);
    double sx = fx * fx * (3 - 2 * fx), sy = fy * fy * (3 - 2 * fy);
    double top = corner(i, j, salt) * (1 - sx) + corner(i + 1, j, salt) * sx;
    double below = corner(i, j + 1, salt) * (1 - sx) + corner(i + 1, j + 1, salt) * sx;

    return top * (1 - sy) + below * sy;
}

/* Light that changes slowly, texture whose strength does, and hard edges where slow noise changes
 * its sign. */
static double value_at(double x, double y, unsigned channel)
{
    double light = 0.5 * noise(x / 500, y / 400, 1) + 0.2 * noise(x / 170, y / 130, 2 + channel);
    double edge = noise(x / 120, y / 90, 6) > 0.1 ? 0.25 : -0.1;
    double strength = fmax(0, 0.2 + 0.5 * noise(x / 330, y / 290, 7)), texture = 0;

    for (int octave = 0; octave < 5; octave++) {
        double scale = 1 << octave;

        texture +=
            0.2 * scale / 8 * noise(x / scale / 1.3, y / scale / 1.3, 10u + (unsigned) octave);
    }
    return fmax(-1, fmin(1, light + edge + strength * texture));
}

static void make_up(picture *p)
{
    float *v = p->values;

    for (int t = 0; t < p->frames; t++)
        for (int y = 0; y < p->height; y++)
            for (int x = 0; x < p->width; x++)
                for (unsigned c = 0; c < 3; c++)
                    *v++ = (float) value_at(x + 2.5 * t, y + 0.7 * t, c);
}

svr_status picture_load(const char *path, picture *p, svr_error *err)
{
    p->values = g_new0(float, (size_t) p->frames *(size_t) p->height *(size_t) p->width * 3);
    if (path)
        return decode_file(path, p, err);
    make_up(p);
    return SVR_OK;
}
