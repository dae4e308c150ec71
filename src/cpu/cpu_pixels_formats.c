/* Integers of frames to unit R'G'B' (unpack) and model R'G'B' to integers (pack). */
#include "cpu/cpu_pixels.h"

#include "cpu/cpu_internal.h"
#include "cpu/cpu_pixels_math.h"

/* ---------------------------------------------------------------------------- formats */

/* Byte positions inside a pixel of a packed format; alpha or filler at `a`, -1 when there is none.
 */
typedef struct rgb_layout {
    int bytes, r, g, b, a;
} rgb_layout;

static rgb_layout layout_of(svr_pixel_format format)
{
    switch (format) {
    case SVR_PIXEL_RGB:
        return (rgb_layout){3, 0, 1, 2, -1};
    case SVR_PIXEL_BGR:
        return (rgb_layout){3, 2, 1, 0, -1};
    case SVR_PIXEL_RGBA:
    case SVR_PIXEL_RGBX:
        return (rgb_layout){4, 0, 1, 2, 3};
    case SVR_PIXEL_BGRA:
    case SVR_PIXEL_BGRX:
        return (rgb_layout){4, 2, 1, 0, 3};
    case SVR_PIXEL_ARGB:
    case SVR_PIXEL_XRGB:
        return (rgb_layout){4, 1, 2, 3, 0};
    default: /* ABGR, XBGR */
        return (rgb_layout){4, 3, 2, 1, 0};
    }
}

/* The chroma planes of a YUV frame, interleaved or not. */
typedef struct chroma_planes {
    uint8_t *u, *v;
    ptrdiff_t u_stride, v_stride;
    int step; /* bytes from sample to sample */
    int width, height;
} chroma_planes;

static chroma_planes chroma_of(const svr_video_info *info, const svr_frame *frame)
{
    chroma_planes c = {.u = frame->plane[1],
                       .u_stride = frame->stride[1],
                       .width = (info->width + 1) / 2,
                       .height = (info->height + 1) / 2};

    if (info->format == SVR_PIXEL_NV12) {
        c.v = c.u + 1;
        c.v_stride = c.u_stride;
        c.step = 2;
    } else {
        c.v = frame->plane[2];
        c.v_stride = frame->stride[2];
        c.step = 1;
    }
    return c;
}

/* code = offset + range * value for luma in [0,1]; 128 + chroma_range * value for chroma in
 * [-.5,.5].  R' = Y' + 2(1-kr) Cr, B' = Y' + 2(1-kb) Cb, G' from Y' = kr R' + kg G' + kb B'. */
typedef struct yuv_matrix {
    float luma_offset, luma_range, chroma_range;
    float kr, kg, kb;
    float r_cr, g_cb, g_cr, b_cb;
} yuv_matrix;

static yuv_matrix matrix_of(const svr_colorimetry *color)
{
    double kr = color->kr, kb = color->kb, kg = 1.0 - kr - kb;

    return (yuv_matrix){
        .luma_offset = color->full_range ? 0.0f : 16.0f,
        .luma_range = color->full_range ? 255.0f : 219.0f,
        .chroma_range = color->full_range ? 255.0f : 224.0f,
        .kr = (float) kr,
        .kg = (float) kg,
        .kb = (float) kb,
        .r_cr = (float) (2.0 * (1.0 - kr)),
        .b_cb = (float) (2.0 * (1.0 - kb)),
        .g_cb = (float) (2.0 * (1.0 - kb) * kb / kg),
        .g_cr = (float) (2.0 * (1.0 - kr) * kr / kg),
    };
}

/* ---------------------------------------------------------------------------- unpack */

typedef struct unpack_context {
    const svr_unpack_args *args;
    yuv_matrix matrix;
    chroma_planes chroma;
} unpack_context;

/* The two chroma samples around a luma sample; `weight` is the second's. */
typedef struct chroma_pair {
    int first, second;
    float weight;
} chroma_pair;

static chroma_pair pair_at(int luma, int samples, bool cosited)
{
    int quarters = 2 * luma - (cosited ? 0 : 1); /* place on the chroma grid, in quarter samples */
    int floor = quarters < 0 ? -1 : quarters / 4;

    return (chroma_pair){(int) svr_clamp_index(floor, samples),
                         (int) svr_clamp_index(floor + 1, samples),
                         (float) (quarters - 4 * floor) * 0.25f};
}

static float mix(float a, float b, float weight)
{
    return a + (b - a) * weight;
}

/* Chroma of one column between two rows. */
static float between(const uint8_t *upper, const uint8_t *lower, int at, float weight)
{
    return mix((float) upper[at], (float) lower[at], weight);
}

static void unpack_yuv_row(void *context, int64_t index, int thread)
{
    const unpack_context *c = context;
    const svr_unpack_args *args = c->args;
    const svr_colorimetry *color = &args->info.color;
    const yuv_matrix *m = &c->matrix;
    const chroma_planes *planes = &c->chroma;
    int width = args->info.width, y = (int) index;
    chroma_pair rows = pair_at(y, planes->height, color->chroma_v_cosited);
    const uint8_t *luma = args->frame.plane[0] + y * args->frame.stride[0];
    const uint8_t *u0 = planes->u + rows.first * planes->u_stride;
    const uint8_t *u1 = planes->u + rows.second * planes->u_stride;
    const uint8_t *v0 = planes->v + rows.first * planes->v_stride;
    const uint8_t *v1 = planes->v + rows.second * planes->v_stride;
    float *rgb = (float *) args->rgb.data + index * width * 3;

    (void) thread;
    for (int x = 0; x < width; x++, rgb += 3) {
        chroma_pair at = pair_at(x, planes->width, color->chroma_h_cosited);
        int left = at.first * planes->step, right = at.second * planes->step;
        float u =
            mix(between(u0, u1, left, rows.weight), between(u0, u1, right, rows.weight), at.weight);
        float v =
            mix(between(v0, v1, left, rows.weight), between(v0, v1, right, rows.weight), at.weight);
        float luma_value = ((float) luma[x] - m->luma_offset) / m->luma_range;
        float cb = (u - 128.0f) / m->chroma_range, cr = (v - 128.0f) / m->chroma_range;

        rgb[0] = luma_value + m->r_cr * cr;
        rgb[1] = luma_value - m->g_cb * cb - m->g_cr * cr;
        rgb[2] = luma_value + m->b_cb * cb;
    }
}

static void unpack_rgb_row(void *context, int64_t index, int thread)
{
    const svr_unpack_args *args = ((const unpack_context *) context)->args;
    rgb_layout layout = layout_of(args->info.format);
    int width = args->info.width;
    const uint8_t *in = args->frame.plane[0] + index * args->frame.stride[0];
    float *rgb = (float *) args->rgb.data + index * width * 3;

    (void) thread;
    for (int x = 0; x < width; x++, rgb += 3, in += layout.bytes) {
        rgb[0] = (float) in[layout.r] / 255.0f;
        rgb[1] = (float) in[layout.g] / 255.0f;
        rgb[2] = (float) in[layout.b] / 255.0f;
    }
}

static void unpack_alpha_row(const svr_unpack_args *args, int64_t index)
{
    bool has_alpha = svr_pixel_has_alpha(args->info.format);
    rgb_layout layout = layout_of(args->info.format);
    int width = args->info.width;
    const uint8_t *in = args->frame.plane[0] + index * args->frame.stride[0];
    float *alpha = (float *) args->alpha.data + index * width;

    for (int x = 0; x < width; x++)
        alpha[x] = has_alpha ? (float) in[x * layout.bytes + layout.a] / 255.0f : 1.0f;
}

static void unpack_row(void *context, int64_t index, int thread)
{
    const svr_unpack_args *args = ((const unpack_context *) context)->args;

    if (svr_pixel_is_yuv(args->info.format))
        unpack_yuv_row(context, index, thread);
    else
        unpack_rgb_row(context, index, thread);
    if (svr_tensor_present(&args->alpha))
        unpack_alpha_row(args, index);
}

svr_status svr_cpu_unpack(svr_exec *exec, const svr_unpack_args *args, void *workspace,
                          svr_error *err)
{
    unpack_context context = {.args = args, .matrix = matrix_of(&args->info.color)};

    (void) workspace;
    if (svr_pixel_is_yuv(args->info.format))
        context.chroma = chroma_of(&args->info, &args->frame);
    return svr_cpu_for(exec, args->info.height, unpack_row, &context, err);
}

/* ---------------------------------------------------------------------------- pack */

typedef struct pack_context {
    const svr_pack_args *args;
    yuv_matrix matrix;
    chroma_planes chroma;
} pack_context;

/* The integer nearest to `value`, ties to even, in 0..255. */
static uint8_t code(float value, bool truncate)
{
    const float integers = 0x1.8p23f; /* from here on floats have no fraction: adding rounds */

    value = value > 0.0f ? value : 0.0f; /* 0 for NaN, too */
    value = value < 255.0f ? value : 255.0f;
    return (uint8_t) (truncate ? value : value + integers - integers);
}

static float unit(float model)
{
    model = model > -1.0f ? model : -1.0f;
    model = model < 1.0f ? model : 1.0f;
    return (model + 1.0f) * 0.5f;
}

static void pack_rgb_row(const svr_pack_args *args, int64_t index)
{
    rgb_layout layout = layout_of(args->info.format);
    bool has_alpha = svr_pixel_has_alpha(args->info.format) && svr_tensor_present(&args->alpha);
    bool truncate = args->truncate;
    int width = args->info.width;
    const float *rgb = (const float *) args->rgb.data + index * width * 3;
    const float *alpha = has_alpha ? (const float *) args->alpha.data + index * width : NULL;
    uint8_t *out = args->frame.plane[0] + index * args->frame.stride[0];

    for (int x = 0; x < width; x++, rgb += 3, out += layout.bytes) {
        out[layout.r] = code(unit(rgb[0]) * 255.0f, truncate);
        out[layout.g] = code(unit(rgb[1]) * 255.0f, truncate);
        out[layout.b] = code(unit(rgb[2]) * 255.0f, truncate);
        if (layout.a >= 0)
            out[layout.a] = alpha ? code(alpha[x] * 255.0f, truncate) : 255;
    }
}

static float luma_of(const yuv_matrix *m, const float *rgb)
{
    return m->kr * unit(rgb[0]) + m->kg * unit(rgb[1]) + m->kb * unit(rgb[2]);
}

static void pack_luma_row(const pack_context *c, int64_t index)
{
    const svr_pack_args *args = c->args;
    const yuv_matrix *m = &c->matrix;
    int width = args->info.width;
    const float *rgb = (const float *) args->rgb.data + index * width * 3;
    uint8_t *out = args->frame.plane[0] + index * args->frame.stride[0];

    for (int x = 0; x < width; x++, rgb += 3)
        out[x] = code(m->luma_offset + m->luma_range * luma_of(m, rgb), args->truncate);
}

/* Luma samples whose average is a chroma sample: [1 2 1]/4 around a cosited one, else its pair. */
typedef struct chroma_filter {
    int count;
    int index[3];
    float weight[3];
} chroma_filter;

static chroma_filter filter_at(int sample, int luma_samples, bool cosited)
{
    chroma_filter f = {.count = 2, .weight = {0.5f, 0.5f}};
    int first = 2 * sample;

    if (cosited) {
        f = (chroma_filter){.count = 3, .weight = {0.25f, 0.5f, 0.25f}};
        first--;
    }
    for (int i = 0; i < f.count; i++)
        f.index[i] = (int) svr_clamp_index(first + i, luma_samples);
    return f;
}

/* Filtered unit R'G'B' around a chroma sample (the matrix is linear, so it may come after). */
static void filtered(const svr_pack_args *args, const chroma_filter *rows,
                     const chroma_filter *columns, float rgb[3])
{
    const float *data = args->rgb.data;

    rgb[0] = rgb[1] = rgb[2] = 0.0f;
    for (int j = 0; j < rows->count; j++) {
        const float *row = data + (int64_t) rows->index[j] * args->info.width * 3;

        for (int i = 0; i < columns->count; i++) {
            const float *pixel = row + (int64_t) columns->index[i] * 3;
            float weight = rows->weight[j] * columns->weight[i];

            rgb[0] += weight * unit(pixel[0]);
            rgb[1] += weight * unit(pixel[1]);
            rgb[2] += weight * unit(pixel[2]);
        }
    }
}

static void pack_chroma_row(const pack_context *c, int64_t index)
{
    const svr_pack_args *args = c->args;
    const yuv_matrix *m = &c->matrix;
    const svr_video_info *info = &args->info;
    chroma_filter rows = filter_at((int) index, info->height, info->color.chroma_v_cosited);
    uint8_t *u = c->chroma.u + index * c->chroma.u_stride;
    uint8_t *v = c->chroma.v + index * c->chroma.v_stride;

    for (int i = 0; i < c->chroma.width; i++, u += c->chroma.step, v += c->chroma.step) {
        chroma_filter columns = filter_at(i, info->width, info->color.chroma_h_cosited);
        float rgb[3], luma;

        filtered(args, &rows, &columns, rgb);
        luma = m->kr * rgb[0] + m->kg * rgb[1] + m->kb * rgb[2];
        *u = code(128.0f + m->chroma_range * ((rgb[2] - luma) / m->b_cb), args->truncate);
        *v = code(128.0f + m->chroma_range * ((rgb[0] - luma) / m->r_cr), args->truncate);
    }
}

/* Rows of the picture, then, for YUV, rows of chroma. */
static void pack_row(void *context, int64_t index, int thread)
{
    const pack_context *c = context;
    int height = c->args->info.height;

    (void) thread;
    if (!svr_pixel_is_yuv(c->args->info.format))
        pack_rgb_row(c->args, index);
    else if (index < height)
        pack_luma_row(c, index);
    else
        pack_chroma_row(c, index - height);
}

svr_status svr_cpu_pack(svr_exec *exec, const svr_pack_args *args, void *workspace, svr_error *err)
{
    pack_context context = {.args = args, .matrix = matrix_of(&args->info.color)};
    int64_t rows = args->info.height;

    (void) workspace;
    if (svr_pixel_is_yuv(args->info.format)) {
        context.chroma = chroma_of(&args->info, &args->frame);
        rows += context.chroma.height;
    }
    return svr_cpu_for(exec, rows, pack_row, &context, err);
}
