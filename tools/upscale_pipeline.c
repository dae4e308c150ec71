/* filesrc ! decodebin, its video through the upscaler to an encoder, its audio as it is, to a
 * muxer.
 *
 * The audio queues have no limit: while the upscaler collects a batch, the muxer takes no audio,
 * and a full queue would stop the demuxer from delivering the frames that the batch lacks. */
#include "upscale.h"

#include <string.h>

static void fail(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void fail(GError **error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_clear_error(error);
    *error = g_error_new_valist(GST_CORE_ERROR, GST_CORE_ERROR_MISSING_PLUGIN, format, args);
    va_end(args);
}

/* Adds a new element; NULL with an error when its plugin is missing. */
static GstElement *add(upscale_pipeline *p, const char *factory, GError **error)
{
    GstElement *element = gst_element_factory_make(factory, NULL);

    if (!element) {
        fail(error, "the GStreamer element %s is missing; install its plugin", factory);
        return NULL;
    }
    gst_bin_add(GST_BIN(p->pipeline), element);
    return element;
}

/* Notes where a stream enters the output side; FALSE when `element` is missing. */
static gboolean note_end(upscale_pipeline *p, GstElement *element)
{
    if (!element)
        return FALSE;
    GST_OBJECT_LOCK(p->pipeline);
    g_ptr_array_add(p->ends, gst_element_get_static_pad(element, "sink"));
    GST_OBJECT_UNLOCK(p->pipeline);
    return TRUE;
}

/* Sets "property=value" words that the element knows. */
static void set_properties(GstElement *element, char **words)
{
    for (; *words; words++) {
        char *equals = strchr(*words, '=');

        if (!equals)
            continue;
        *equals = '\0';
        if (g_object_class_find_property(G_OBJECT_GET_CLASS(element), *words))
            gst_util_set_object_arg(G_OBJECT(element), *words, equals + 1);
    }
}

/* The first of `choices` ("factory property=value …") whose plugin is there. */
static GstElement *add_first(upscale_pipeline *p, const char *const *choices, GError **error)
{
    g_autoptr(GString) names = g_string_new(NULL);

    for (; *choices; choices++) {
        g_auto(GStrv) words = g_strsplit(*choices, " ", -1);
        GstElement *element = gst_element_factory_make(words[0], NULL);

        if (element) {
            set_properties(element, words + 1);
            gst_bin_add(GST_BIN(p->pipeline), element);
            return element;
        }
        g_string_append_printf(names, "%s%s", names->len ? ", " : "", words[0]);
    }
    fail(error, "no encoder for %s files is installed (%s)", p->format->suffix,
         names->len ? names->str : "none is known");
    return NULL;
}

static GstElement *add_caps(upscale_pipeline *p, const char *caps_text, GError **error)
{
    GstElement *filter = add(p, "capsfilter", error);

    if (filter)
        gst_util_set_object_arg(G_OBJECT(filter), "caps", caps_text);
    return filter;
}

/* What the encoder is to get of what it takes; the upscaler makes it.  Films are 4:2:0 everywhere,
 * of 10 bits where the source has more than 8.  JPEG means full range, which its encoder does not
 * ask for: it gets R'G'B'.  Lossless and picture encoders take what comes. */
static const char *encoder_caps(GstElement *encoder)
{
    const char *name = GST_OBJECT_NAME(gst_element_get_factory(encoder));

    if (strcmp(name, "avenc_ffv1") == 0 || strcmp(name, "pngenc") == 0)
        return "video/x-raw";
    if (strcmp(name, "jpegenc") == 0)
        return "video/x-raw,format=(string){RGB,GRAY8}";
    return "video/x-raw,format=(string){I420,I420_10LE}";
}

static GstElement *add_sink(upscale_pipeline *p, const char *out, GError **error)
{
    gboolean valid, sequence = !p->format->muxer && upscale_is_sequence(out, &valid);
    GstElement *sink = add(p, sequence ? "multifilesink" : "filesink", error);

    if (sink)
        g_object_set(sink, "location", out, NULL);
    return sink;
}

static GstPadProbeReturn count_frame(GstPad *pad, GstPadProbeInfo *info, gpointer user)
{
    (void) pad, (void) info;
    g_atomic_int_inc((gint *) user);
    return GST_PAD_PROBE_OK;
}

/* What the upscaler has finished beyond that may be waiting in it still. */
static void count_frames(upscale_pipeline *p, GstElement *queue)
{
    g_autoptr(GstPad) pad = gst_element_get_static_pad(queue, "sink");

    gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, count_frame, &p->frames, NULL);
}

guint upscale_pipeline_frames(const upscale_pipeline *p)
{
    return (guint) g_atomic_int_get(&p->frames);
}

/* convert ! upscaler ! caps ! queue ! encoder [! queue ! muxer] ! sink */
static gboolean build_output(upscale_pipeline *p, const char *out, GError **error)
{
    GstElement *queue, *caps, *sink;

    p->encoder = add_first(p, p->format->video, error);
    if (!p->encoder || !note_end(p, queue = add(p, "queue", error)) ||
        !(caps = add_caps(p, encoder_caps(p->encoder), error)) || !(sink = add_sink(p, out, error)))
        return FALSE;
    count_frames(p, queue);
    if (!gst_element_link_many(p->upscaler, caps, queue, p->encoder, NULL)) {
        fail(error, "the upscaler cannot be linked to the encoder");
        return FALSE;
    }
    if (!p->format->muxer) {
        gboolean valid;

        /* a single picture: the first frame */
        if (!upscale_is_sequence(out, &valid))
            g_object_set(p->encoder, "snapshot", TRUE, NULL);
        return gst_element_link(p->encoder, sink);
    }
    p->muxer = add(p, p->format->muxer, error);
    if (!p->muxer)
        return FALSE;
    queue = add(p, "queue", error);
    if (queue && gst_element_link_many(p->encoder, queue, p->muxer, sink, NULL))
        return TRUE;
    fail(error, "the encoder cannot be linked to the muxer");
    return FALSE;
}

/* Where decoding stops: raw video, and audio that the muxer takes as it is. */
static GstCaps *final_caps(const upscale_pipeline *p)
{
    GstCaps *caps = gst_caps_from_string("video/x-raw(ANY); audio/x-raw(ANY); text/x-raw; "
                                         "subpicture/x-dvd; subpicture/x-pgs");
    const GList *templates = NULL;

    if (p->muxer)
        templates = gst_element_factory_get_static_pad_templates(gst_element_get_factory(p->muxer));
    for (; templates; templates = templates->next) {
        GstStaticPadTemplate *template = (GstStaticPadTemplate *) templates->data;
        GstCaps *sink_caps = gst_static_pad_template_get_caps(template);

        for (guint i = 0; i < gst_caps_get_size(sink_caps); i++) {
            GstStructure *s = gst_caps_get_structure(sink_caps, i);

            if (template->direction == GST_PAD_SINK &&
                g_str_has_prefix(gst_structure_get_name(s), "audio/"))
                gst_caps_append_structure(caps, gst_structure_copy(s));
        }
        gst_caps_unref(sink_caps);
    }
    return caps;
}

static void post_error(upscale_pipeline *p, GError *error)
{
    gst_element_post_message(p->pipeline,
                             gst_message_new_error(GST_OBJECT(p->pipeline), error, NULL));
    g_error_free(error);
}

/* Links `pad` through `first` … `last`, which are linked already, and starts them. */
static gboolean link_chain(GstPad *pad, GstElement *const *elements, int n)
{
    g_autoptr(GstPad) sink = gst_element_get_static_pad(elements[0], "sink");

    for (int i = 0; i + 1 < n; i++)
        if (!gst_element_link(elements[i], elements[i + 1]))
            return FALSE;
    if (gst_pad_link(pad, sink) != GST_PAD_LINK_OK)
        return FALSE;
    for (int i = 0; i < n; i++)
        gst_element_sync_state_with_parent(elements[i]);
    return TRUE;
}

static gboolean is_progressive(const GstCaps *caps)
{
    const char *mode = gst_structure_get_string(gst_caps_get_structure(caps, 0), "interlace-mode");

    return !mode || strcmp(mode, "progressive") == 0;
}

/* queue ! [deinterlace !] videoconvert ! upscaler */
static gboolean link_video(upscale_pipeline *p, GstPad *pad, const GstCaps *caps, GError **error)
{
    GstElement *chain[4];
    int n = 0;

    if (!(chain[n++] = add(p, "queue", error)) ||
        (!is_progressive(caps) && !(chain[n++] = add(p, "deinterlace", error))) ||
        !(chain[n++] = add(p, "videoconvert", error)))
        return FALSE;
    chain[n++] = p->upscaler;
    p->has_video = TRUE;
    if (link_chain(pad, chain, n))
        return TRUE;
    fail(error, "the video stream cannot be linked to the upscaler");
    return FALSE;
}

static GstElement *add_unlimited_queue(upscale_pipeline *p, GError **error)
{
    GstElement *queue = add(p, "queue", error);

    if (note_end(p, queue))
        g_object_set(queue, "max-size-buffers", 0, "max-size-bytes", 0, "max-size-time",
                     (guint64) 0, NULL);
    return queue;
}

/* As it is: queue ! muxer pad (requested). */
static gboolean copy_audio(upscale_pipeline *p, GstPad *pad, GstPad *muxer_pad, GError **error)
{
    GstElement *queue = add_unlimited_queue(p, error);
    g_autoptr(GstPad) queue_src = queue ? gst_element_get_static_pad(queue, "src") : NULL;

    return queue && gst_pad_link(queue_src, muxer_pad) == GST_PAD_LINK_OK &&
           link_chain(pad, &queue, 1);
}

/* queue ! convert ! resample ! encoder ! muxer */
static gboolean encode_audio(upscale_pipeline *p, GstPad *pad, GError **error)
{
    GstElement *chain[5];
    int n = 0;

    if (!(chain[n++] = add_unlimited_queue(p, error)) ||
        !(chain[n++] = add(p, "audioconvert", error)) ||
        !(chain[n++] = add(p, "audioresample", error)) ||
        !(chain[n++] = add_first(p, p->format->audio, error)))
        return FALSE;
    chain[n++] = p->muxer;
    return link_chain(pad, chain, n);
}

static gboolean link_audio(upscale_pipeline *p, GstPad *pad, GstCaps *caps, GError **error)
{
    g_autoptr(GstPad) muxer_pad = gst_element_get_compatible_pad(p->muxer, pad, caps);

    if (muxer_pad ? copy_audio(p, pad, muxer_pad, error) : encode_audio(p, pad, error))
        return TRUE;
    if (!*error)
        fail(error, "the audio stream cannot be put into a %s file", p->format->suffix);
    return FALSE;
}

static gboolean drop_stream(upscale_pipeline *p, GstPad *pad, const char *media, GError **error)
{
    GstElement *sink = add(p, "fakesink", error);

    if (!note_end(p, sink))
        return FALSE;
    g_object_set(sink, "sync", FALSE, "async", FALSE, NULL);
    g_string_append_printf(p->notes, "a stream of type %s is not copied\n", media);
    return link_chain(pad, &sink, 1);
}

static void pad_added(GstElement *decoder, GstPad *pad, gpointer user)
{
    upscale_pipeline *p = (upscale_pipeline *) user;
    g_autoptr(GstCaps) caps = gst_pad_get_current_caps(pad);
    GError *error = NULL;
    const char *media;
    gboolean done;

    (void) decoder;
    if (!caps)
        caps = gst_pad_query_caps(pad, NULL);
    media = gst_structure_get_name(gst_caps_get_structure(caps, 0));
    if (g_str_has_prefix(media, "video/") && !p->has_video)
        done = link_video(p, pad, caps, &error);
    else if (g_str_has_prefix(media, "audio/") && p->muxer)
        done = link_audio(p, pad, caps, &error);
    else
        done = drop_stream(p, pad, media, &error);
    if (!done && !error)
        fail(&error, "a stream of type %s cannot be linked", media);
    if (error)
        post_error(p, error);
}

static void no_more_pads(GstElement *decoder, gpointer user)
{
    upscale_pipeline *p = (upscale_pipeline *) user;

    if (!p->has_video)
        GST_ELEMENT_ERROR(decoder, STREAM, WRONG_TYPE, ("The file has no video."), (NULL));
}

gboolean upscale_pipeline_init(upscale_pipeline *p, const upscale_format *format,
                               GstElement *upscaler, const char *in, const char *out,
                               GError **error)
{
    GstElement *source;
    GstCaps *caps;

    *p = (upscale_pipeline){.format = format,
                            .pipeline = gst_pipeline_new("upscale"),
                            .upscaler = upscaler,
                            .notes = g_string_new(NULL),
                            .ends = g_ptr_array_new_with_free_func(gst_object_unref)};
    gst_bin_add(GST_BIN(p->pipeline), upscaler);
    if (!(source = add(p, "filesrc", error)) || !(p->decoder = add(p, "decodebin", error)))
        return FALSE;
    g_object_set(source, "location", in, NULL);
    if (!build_output(p, out, error) || !gst_element_link(source, p->decoder))
        return FALSE;
    caps = final_caps(p);
    g_object_set(p->decoder, "caps", caps, NULL);
    gst_caps_unref(caps);
    g_signal_connect(p->decoder, "pad-added", G_CALLBACK(pad_added), p);
    g_signal_connect(p->decoder, "no-more-pads", G_CALLBACK(no_more_pads), p);
    return TRUE;
}

void upscale_pipeline_finish(upscale_pipeline *p)
{
    if (p->pipeline) {
        gst_element_set_state(p->pipeline, GST_STATE_NULL);
        gst_object_unref(p->pipeline);
    }
    g_clear_pointer(&p->ends, g_ptr_array_unref);
    if (p->notes)
        g_string_free(p->notes, TRUE);
    *p = (upscale_pipeline){0};
}

/* The last noted first: audio and what is dropped never wait, and the muxer may wait for audio
 * while it holds up the frames. */
static void end_streams(GstElement *pipeline, gpointer user)
{
    GPtrArray *ends = (GPtrArray *) user;

    (void) pipeline;
    for (guint i = ends->len; i-- > 0;)
        gst_pad_send_event(GST_PAD(ends->pdata[i]), gst_event_new_eos());
}

void upscale_pipeline_end(upscale_pipeline *p)
{
    GPtrArray *ends;

    GST_OBJECT_LOCK(p->pipeline);
    ends = p->ends;
    p->ends = g_ptr_array_new_with_free_func(gst_object_unref);
    GST_OBJECT_UNLOCK(p->pipeline);
    /* an error before the sink has its first data stops the change to PLAYING */
    gst_element_set_state(p->pipeline, GST_STATE_PLAYING);
    gst_element_call_async(p->pipeline, end_streams, ends, (GDestroyNotify) g_ptr_array_unref);
}
