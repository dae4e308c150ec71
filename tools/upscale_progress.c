#include "upscale_progress.h"

#include <stdio.h>
#include <unistd.h>

enum { LINE_SECONDS = 10 };

void upscale_progress_start(upscale_progress *p, GstElement *upscaler)
{
    gint64 now = g_get_monotonic_time();

    *p = (upscale_progress){.upscaler = upscaler,
                            .terminal = isatty(STDERR_FILENO) != 0,
                            .started = now,
                            .printed = now};
}

static guint64 stat_value(const upscale_progress *p, const char *field)
{
    g_autoptr(GstStructure) stats = NULL;
    guint64 value = 0;

    g_object_get(p->upscaler, "stats", &stats, NULL);
    if (stats)
        gst_structure_get_uint64(stats, field, &value);
    return value;
}

/* Frames of the whole stream, from its duration and frame rate. */
static guint64 expected_frames(const upscale_progress *p)
{
    g_autoptr(GstPad) pad = gst_element_get_static_pad(p->upscaler, "sink");
    g_autoptr(GstCaps) caps = gst_pad_get_current_caps(pad);
    gint64 duration = 0;
    gint rate_n = 0, rate_d = 1;

    if (!caps || !gst_pad_peer_query_duration(pad, GST_FORMAT_TIME, &duration) || duration <= 0 ||
        !gst_structure_get_fraction(gst_caps_get_structure(caps, 0), "framerate", &rate_n,
                                    &rate_d) ||
        rate_n <= 0)
        return 0;
    return gst_util_uint64_scale_round((guint64) duration, (guint64) rate_n,
                                       (guint64) rate_d * GST_SECOND);
}

static void look_at_length(upscale_progress *p)
{
    if (p->total == 0)
        p->total = expected_frames(p);
}

static char *clock_text(double seconds)
{
    int s = (int) (seconds + 0.5);

    if (s >= 3600)
        return g_strdup_printf("%d:%02d:%02d", s / 3600, s / 60 % 60, s % 60);
    return g_strdup_printf("%d:%02d", s / 60, s % 60);
}

static double elapsed(const upscale_progress *p)
{
    return (double) (g_get_monotonic_time() - p->started) / 1e6;
}

static char *describe(const upscale_progress *p)
{
    double seconds = elapsed(p), rate = seconds > 0 ? (double) p->frames / seconds : 0;
    g_autofree char *left = NULL;

    if (p->frames == 0)
        return g_strdup("working on the first batch");
    if (p->total < p->frames)
        return g_strdup_printf("%" G_GUINT64_FORMAT " frames, %.2f frames/s", p->frames, rate);
    left = clock_text((double) (p->total - p->frames) / rate);
    return g_strdup_printf("%" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT
                           " frames, %.2f frames/s, %s left",
                           p->frames, p->total, rate, left);
}

void upscale_progress_update(upscale_progress *p)
{
    gint64 now = g_get_monotonic_time();
    g_autofree char *text = NULL;

    p->frames = stat_value(p, "frames-out");
    look_at_length(p);
    if (!p->terminal && now - p->printed < (gint64) LINE_SECONDS * G_USEC_PER_SEC)
        return;
    p->printed = now;
    text = describe(p);
    if (p->terminal)
        fprintf(stderr, "\r%s\033[K", text);
    else
        fprintf(stderr, "%s\n", text);
    fflush(stderr);
}

void upscale_progress_clear(upscale_progress *p)
{
    if (p->terminal)
        fprintf(stderr, "\r\033[K");
    fflush(stderr);
}

char *upscale_progress_summary(upscale_progress *p)
{
    double seconds = elapsed(p);
    g_autofree char *time = clock_text(seconds), *missing = NULL;

    p->frames = stat_value(p, "frames-out");
    look_at_length(p);
    if (p->frames < p->total - p->total / 10)
        missing = g_strdup_printf("; the input announces about %" G_GUINT64_FORMAT
                                  ", it is cut or damaged, or says its length wrongly",
                                  p->total);
    return g_strdup_printf("%" G_GUINT64_FORMAT
                           " frames in %s (%.2f frames/s), peak memory %.0f MB%s",
                           p->frames, time, seconds > 0 ? (double) p->frames / seconds : 0,
                           (double) stat_value(p, "vram-peak") / 1e6, missing ? missing : "");
}
