/* Integers of frames to unit R'G'B' (unpack) and model R'G'B' to integers (pack), for all formats
 * by their layouts. */
#include "base/frame_math.h"
#include "cpu/cpu_internal.h"
#include "cpu/cpu_pixels.h"
#include "cpu/cpu_pixels_math.h"

#include <string.h>

/* ---------------------------------------------------------------------------- samples */

static uint8_t *row_of(const svr_samples *s, int64_t y)
{
    return s->data + y * s->stride;
}

static uint32_t word_at(const uint8_t *at, int bytes)
{
    uint32_t wide;
    uint16_t word;

    switch (bytes) {
    case 1:
        return *at;
    case 2:
        memcpy(&word, at, sizeof word);
        return word;
    default:
        memcpy(&wide, at, sizeof wide);
        return wide;
    }
}

static float sample_at(const svr_samples *s, const uint8_t *row, int x)
{
    uint32_t word = word_at(row + (ptrdiff_t) x * s->step, s->word);

    if (s->big_endian)
        word = svr_swap_bytes(word);
    return (float) (word >> s->shift & s->top);
}

/* Words that channels share must have been cleared. */
static void put_sample(const svr_samples *s, uint8_t *row, int x, uint32_t code)
{
    uint8_t *at = row + (ptrdiff_t) x * s->step;
    uint32_t word = code << s->shift;
    uint16_t half = s->big_endian ? svr_swap_bytes(word) : (uint16_t) word;

    switch (s->word) {
    case 1:
        *at = (uint8_t) word;
        break;
    case 2:
        memcpy(at, &half, sizeof half);
        break;
    default:
        word |= word_at(at, s->word);
        memcpy(at, &word, sizeof word);
    }
}

/* A frame with all that its format says about it. */
typedef struct frame_view {
    const svr_pixel_layout *layout;
    svr_samples channel[SVR_MAX_CHANNELS];
    svr_code_map map;
} frame_view;

static frame_view view_of(const svr_video_info *info, const svr_frame *frame)
{
    frame_view view = {.layout = svr_pixel_layout_of(info->format), .map = svr_code_map_of(info)};

    for (int c = 0; c < SVR_MAX_CHANNELS; c++)
        if (view.layout->channel[c].depth > 0)
            view.channel[c] = svr_frame_samples(info, frame, c);
    return view;
}

/* ---------------------------------------------------------------------------- unpack */

typedef struct unpack_context {
    const svr_unpack_args *args;
    frame_view view;
} unpack_context;

/* Values of a channel of the picture's size, `step` floats apart. */
static void unpack_channel(const frame_view *view, int channel, int64_t y, float *out, int step)
{
    const svr_samples *s = &view->channel[channel];
    const uint8_t *row = row_of(s, y);
    float offset = view->map.offset[channel], scale = view->map.scale[channel];

    for (int x = 0; x < s->width; x++, out += step)
        *out = (sample_at(s, row, x) - offset) / scale;
}

/* A chroma value between samples. */
static float chroma_at(const frame_view *view, int channel, const svr_chroma_up *rows,
                       const svr_chroma_up *columns)
{
    const svr_samples *s = &view->channel[channel];
    float sum = 0.0f;

    for (int j = 0; j < rows->count; j++) {
        const uint8_t *row = row_of(s, rows->at[j]);

        for (int i = 0; i < columns->count; i++)
            sum += rows->weight[j] * columns->weight[i] * sample_at(s, row, columns->at[i]);
    }
    return (sum - view->map.offset[channel]) / view->map.scale[channel];
}

/* Puts chroma into rows that hold luma. */
static void unpack_chroma(const unpack_context *c, int64_t y, float *rgb)
{
    const svr_video_info *info = &c->args->info;
    const svr_pixel_layout *layout = c->view.layout;
    const svr_code_map *m = &c->view.map;
    svr_chroma_up rows =
        svr_chroma_up_at((int) y, info->height, layout->h_sub, info->color.chroma_v_cosited);

    for (int x = 0; x < info->width; x++, rgb += 3) {
        svr_chroma_up columns =
            svr_chroma_up_at(x, info->width, layout->w_sub, info->color.chroma_h_cosited);
        float cb = chroma_at(&c->view, 1, &rows, &columns);
        float cr = chroma_at(&c->view, 2, &rows, &columns);
        float luma = rgb[0];

        rgb[0] = luma + m->r_cr * cr;
        rgb[1] = luma - m->g_cb * cb - m->g_cr * cr;
        rgb[2] = luma + m->b_cb * cb;
    }
}

static void unpack_alpha(const unpack_context *c, int64_t y)
{
    int width = c->args->info.width;
    float *alpha = (float *) c->args->alpha.data + y * width;

    if (c->view.layout->alpha)
        unpack_channel(&c->view, 3, y, alpha, 1);
    else
        for (int x = 0; x < width; x++)
            alpha[x] = 1.0f;
}

static void unpack_row(void *context, int64_t y, int thread)
{
    const unpack_context *c = context;
    int width = c->args->info.width;
    svr_pixel_kind kind = c->view.layout->kind;
    float *rgb = (float *) c->args->rgb.data + y * width * 3;

    (void) thread;
    unpack_channel(&c->view, 0, y, rgb, 3);
    if (kind == SVR_KIND_RGB) {
        unpack_channel(&c->view, 1, y, rgb + 1, 3);
        unpack_channel(&c->view, 2, y, rgb + 2, 3);
    } else if (kind == SVR_KIND_YUV) {
        unpack_chroma(c, y, rgb);
    } else {
        for (int x = 0; x < width; x++, rgb += 3)
            rgb[1] = rgb[2] = rgb[0];
    }
    if (svr_tensor_present(&c->args->alpha))
        unpack_alpha(c, y);
}

svr_status svr_cpu_unpack(svr_exec *exec, const svr_unpack_args *args, void *workspace,
                          svr_error *err)
{
    unpack_context context = {args, view_of(&args->info, &args->frame)};

    (void) workspace;
    return svr_cpu_for(exec, args->info.height, unpack_row, &context, err);
}

/* ---------------------------------------------------------------------------- pack */

typedef struct pack_context {
    const svr_pack_args *args;
    frame_view view;
} pack_context;

/* The integer nearest to `value`, ties to even, in 0..top. */
static uint32_t code(float value, uint32_t top, bool truncate)
{
    const float integers = 0x1.8p23f; /* from here on floats have no fraction: adding rounds */

    value = value > 0.0f ? value : 0.0f; /* 0 for NaN, too */
    value = value < (float) top ? value : (float) top;
    return (uint32_t) (truncate ? value : value + integers - integers);
}

static float unit(float model)
{
    model = model > -1.0f ? model : -1.0f;
    model = model < 1.0f ? model : 1.0f;
    return (model + 1.0f) * 0.5f;
}

static void put_value(const pack_context *c, int channel, uint8_t *row, int x, float value)
{
    const svr_samples *s = &c->view.channel[channel];
    float exact = c->view.map.offset[channel] + c->view.map.scale[channel] * value;

    put_sample(s, row, x, code(exact, s->top, c->args->truncate));
}

static void pack_colour(const pack_context *c, int channel, int64_t y, const float *rgb)
{
    uint8_t *row = row_of(&c->view.channel[channel], y);

    for (int x = 0; x < c->args->info.width; x++)
        put_value(c, channel, row, x, unit(rgb[3 * x + channel]));
}

/* Alpha, or a filler of ones. */
static void pack_fourth(const pack_context *c, int64_t y)
{
    const svr_samples *s = &c->view.channel[3];
    int width = c->args->info.width;
    const float *alpha = NULL;
    uint8_t *row = row_of(s, y);

    if (c->view.layout->alpha && svr_tensor_present(&c->args->alpha))
        alpha = (const float *) c->args->alpha.data + y * width;
    for (int x = 0; x < width; x++)
        put_value(c, 3, row, x, alpha ? alpha[x] : 1.0f);
}

static void pack_rgb_row(const pack_context *c, int64_t y)
{
    int width = c->args->info.width;
    const svr_samples *first = &c->view.channel[0];
    const float *rgb = (const float *) c->args->rgb.data + y * width * 3;

    if (first->word == 4)
        memset(row_of(first, y), 0, (size_t) width * 4);
    for (int channel = 0; channel < 3; channel++)
        pack_colour(c, channel, y, rgb);
    if (c->view.layout->channel[3].depth > 0)
        pack_fourth(c, y);
}

static float luma_of(const svr_code_map *m, const float *unit_rgb)
{
    return m->kr * unit_rgb[0] + m->kg * unit_rgb[1] + m->kb * unit_rgb[2];
}

static void pack_luma_row(const pack_context *c, int64_t y)
{
    int width = c->args->info.width;
    const float *rgb = (const float *) c->args->rgb.data + y * width * 3;
    uint8_t *row = row_of(&c->view.channel[0], y);

    for (int x = 0; x < width; x++, rgb += 3) {
        float units[3] = {unit(rgb[0]), unit(rgb[1]), unit(rgb[2])};

        put_value(c, 0, row, x, luma_of(&c->view.map, units));
    }
}

/* Filtered unit R'G'B' around a chroma sample (the matrix is linear, so it may come after). */
static void filtered(const svr_pack_args *args, const svr_chroma_down *rows,
                     const svr_chroma_down *columns, float rgb[3])
{
    const float *data = args->rgb.data;

    rgb[0] = rgb[1] = rgb[2] = 0.0f;
    for (int j = 0; j < rows->count; j++) {
        const float *row =
            data + svr_clamp_index(rows->first + j, args->info.height) * args->info.width * 3;

        for (int i = 0; i < columns->count; i++) {
            const float *pixel = row + svr_clamp_index(columns->first + i, args->info.width) * 3;
            float weight = rows->weight[j] * columns->weight[i];

            rgb[0] += weight * unit(pixel[0]);
            rgb[1] += weight * unit(pixel[1]);
            rgb[2] += weight * unit(pixel[2]);
        }
    }
}

static void pack_chroma_row(const pack_context *c, int64_t y)
{
    const svr_pack_args *args = c->args;
    const svr_code_map *m = &c->view.map;
    const svr_pixel_layout *layout = c->view.layout;
    const svr_samples *u = &c->view.channel[1], *v = &c->view.channel[2];
    svr_chroma_down rows =
        svr_chroma_down_at((int) y, layout->h_sub, args->info.color.chroma_v_cosited);

    for (int x = 0; x < u->width; x++) {
        svr_chroma_down columns =
            svr_chroma_down_at(x, layout->w_sub, args->info.color.chroma_h_cosited);
        float rgb[3], luma;

        filtered(args, &rows, &columns, rgb);
        luma = luma_of(m, rgb);
        put_value(c, 1, row_of(u, y), x, (rgb[2] - luma) / m->b_cb);
        put_value(c, 2, row_of(v, y), x, (rgb[0] - luma) / m->r_cr);
    }
}

/* Rows of the picture, then, for YUV, rows of chroma. */
static void pack_row(void *context, int64_t index, int thread)
{
    const pack_context *c = context;
    int height = c->args->info.height;

    (void) thread;
    if (c->view.layout->kind == SVR_KIND_RGB)
        pack_rgb_row(c, index);
    else if (index < height)
        pack_luma_row(c, index);
    else
        pack_chroma_row(c, index - height);
}

svr_status svr_cpu_pack(svr_exec *exec, const svr_pack_args *args, void *workspace, svr_error *err)
{
    pack_context context = {args, view_of(&args->info, &args->frame)};
    int64_t rows = args->info.height;

    (void) workspace;
    if (context.view.layout->kind == SVR_KIND_YUV)
        rows += context.view.channel[1].height;
    return svr_cpu_for(exec, rows, pack_row, &context, err);
}
