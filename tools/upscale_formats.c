#include "upscale.h"

#include <string.h>

/* Rate control that keeps what the upscaler made; sizes are a second thought. */
#define X264 "x264enc pass=qual quantizer=18 speed-preset=medium"
#define OPENH264 "openh264enc rate-control=bitrate bitrate=16000000 complexity=high"
#define MPEG4 "avenc_mpeg4 bitrate=16000000"
#define FFV1 "avenc_ffv1"
#define VP9 "vp9enc end-usage=cq cq-level=20 target-bitrate=16000000 deadline=1 cpu-used=4"
#define VP8 "vp8enc end-usage=cq cq-level=8 target-bitrate=16000000 deadline=1 cpu-used=4"
#define JPEG "jpegenc quality=95"

static const upscale_format formats[] = {
    {".mkv", "matroskamux", {X264, OPENH264, FFV1}, {"opusenc", "vorbisenc", "flacenc"}},
    {".mp4", "mp4mux", {X264, OPENH264, MPEG4}, {"avenc_aac", "voaacenc", "fdkaacenc"}},
    {".webm", "webmmux", {VP9, VP8}, {"opusenc", "vorbisenc"}},
    {".avi", "avimux", {X264, OPENH264, MPEG4, JPEG}, {"lamemp3enc"}},
    {".png", NULL, {"pngenc"}, {NULL}},
    {".jpg", NULL, {JPEG}, {NULL}},
    {".jpeg", NULL, {JPEG}, {NULL}},
};

const upscale_format *upscale_format_find(const char *path)
{
    g_autofree char *lower = g_ascii_strdown(path, -1);

    for (size_t i = 0; i < G_N_ELEMENTS(formats); i++)
        if (g_str_has_suffix(lower, formats[i].suffix))
            return &formats[i];
    return NULL;
}

char *upscale_suffixes(void)
{
    GString *list = g_string_new(NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(formats); i++)
        g_string_append_printf(list, "%s%s", i ? ", " : "", formats[i].suffix);
    return g_string_free(list, FALSE);
}

gboolean upscale_is_sequence(const char *path, gboolean *valid)
{
    const char *percent = strchr(path, '%');
    const char *end = percent ? percent + 1 + strspn(percent + 1, "0123456789") : NULL;

    /* the pattern goes to printf inside the sink: exactly one %d, %5d or %05d */
    *valid = end && *end == 'd' && !strchr(end, '%') && end - percent <= 4;
    return percent != NULL;
}
