/* Distributions matched by exact ranks: Lab channels for verification, saturation per hue. */
#include "cpu/cpu_pixels.h"

#include "base/colour_math.h"
#include "cpu/cpu_colour_sort.h"
#include "cpu/cpu_internal.h"

#include <string.h>

static int64_t pixels_of(const svr_tensor *t)
{
    return svr_tensor_elems(t) / 3;
}

/* ---------------------------------------------------------------------------- match_ranks */

typedef struct channel_context {
    const svr_match_ranks_args *args;
    char *memory; /* per channel: matched values, then buffers */
    size_t channel_bytes;
} channel_context;

static size_t channel_bytes(const svr_match_ranks_args *args)
{
    int64_t n = pixels_of(&args->x);

    n += n & 1; /* keeps the buffers behind the values aligned */
    return (size_t) n * sizeof(float) + svr_rank_buffers_bytes(n, pixels_of(&args->ref));
}

static void match_channel(void *context, int64_t index, int thread)
{
    const channel_context *c = context;
    const svr_match_ranks_args *args = c->args;
    int64_t n = pixels_of(&args->x), n_ref = pixels_of(&args->ref);
    const float *x = (const float *) args->x.data + index;
    const float *ref = (const float *) args->ref.data + index;
    float *y = (float *) args->y.data + index;
    float *values = (float *) (void *) (c->memory + (size_t) index * c->channel_bytes);
    svr_rank_buffers buffers = svr_rank_buffers_at(values + n + (n & 1), n, n_ref);
    float keep = args->keep[index];

    (void) thread;
    for (int64_t i = 0; i < n; i++)
        buffers.a[i] = (svr_ranked){svr_rank_key(x[3 * i]), (uint32_t) i};
    for (int64_t i = 0; i < n_ref; i++)
        buffers.ref[i] = svr_rank_key(ref[3 * i]);
    svr_rank_match(&buffers, n, n_ref, values, 1);
    for (int64_t i = 0; i < n; i++)
        y[3 * i] = keep * x[3 * i] + (1.0f - keep) * values[i];
}

size_t svr_cpu_match_ranks_workspace(svr_backend *backend, const svr_match_ranks_args *args)
{
    (void) backend;
    return 3 * ((channel_bytes(args) + 7) & ~(size_t) 7);
}

svr_status svr_cpu_match_ranks(svr_exec *exec, const svr_match_ranks_args *args, void *workspace,
                               svr_error *err)
{
    channel_context context = {args, workspace, (channel_bytes(args) + 7) & ~(size_t) 7};

    return svr_cpu_for(exec, 3, match_channel, &context, err);
}

/* ---------------------------------------------------------------------------- hsv */

enum {
    HUE_BINS = 12,
    HUE_FULL_TURN = HUE_BINS, /* hue that rounded up to 1: belongs to bin 0 only */
    HUE_MIN_PIXELS = 100
};

/* Pictures' saturation and hue bin per pixel. */
typedef struct hue_map {
    const svr_tensor *picture;
    float *saturation;
    uint8_t *bin;
} hue_map;

static void hsv_of_model(const float *model, float hsv[3])
{
    float unit[3] = {svr_unit_from_model(model[0]), svr_unit_from_model(model[1]),
                     svr_unit_from_model(model[2])};

    svr_hsv_from_unit(unit, hsv);
}

static uint8_t hue_bin(float hue)
{
    int bin = 0;

    while (bin < HUE_BINS && hue >= (float) ((bin + 1) * (1.0 / HUE_BINS)))
        bin++;
    return (uint8_t) bin;
}

static void map_row(void *context, int64_t index, int thread)
{
    const hue_map *map = context;
    int64_t width = map->picture->dims[2];

    (void) thread;
    for (int64_t i = index * width; i < (index + 1) * width; i++) {
        float hsv[3];

        hsv_of_model((const float *) map->picture->data + 3 * i, hsv);
        map->saturation[i] = hsv[1];
        map->bin[i] = hue_bin(hsv[0]);
    }
}

/* Bin 0 reaches around the circle, over the last bin. */
static bool in_bin(uint8_t of_pixel, int bin)
{
    return of_pixel == bin || (bin == 0 && of_pixel >= HUE_BINS - 1);
}

static int64_t gather_source(const hue_map *map, int bin, svr_ranked *out)
{
    int64_t pixels = pixels_of(map->picture), n = 0;

    for (int64_t i = 0; i < pixels; i++) {
        if (in_bin(map->bin[i], bin))
            out[n++] = (svr_ranked){svr_rank_key(map->saturation[i]), (uint32_t) i};
    }
    return n;
}

static int64_t gather_reference(const hue_map *map, int bin, uint32_t *out)
{
    int64_t pixels = pixels_of(map->picture), n = 0;

    for (int64_t i = 0; i < pixels; i++) {
        if (in_bin(map->bin[i], bin))
            out[n++] = svr_rank_key(map->saturation[i]);
    }
    return n;
}

/* What an op run works on; `result` is the new saturation. */
typedef struct hsv_context {
    const svr_hsv_args *args;
    hue_map content, style;
    float *result;
    svr_rank_buffers buffers;
} hsv_context;

static void match_bin(hsv_context *c, int bin)
{
    int64_t n = gather_source(&c->content, bin, c->buffers.a);
    int64_t n_ref = gather_reference(&c->style, bin, c->buffers.ref);

    if (n > HUE_MIN_PIXELS && n_ref > HUE_MIN_PIXELS)
        svr_rank_match(&c->buffers, n, n_ref, c->result, 1);
}

static void recolour_row(void *context, int64_t index, int thread)
{
    const hsv_context *c = context;
    const float *content = c->args->content.data;
    float *y = c->args->y.data;
    int64_t width = c->args->content.dims[2];

    (void) thread;
    for (int64_t i = index * width; i < (index + 1) * width; i++) {
        float hsv[3], rgb[3];

        hsv_of_model(content + 3 * i, hsv);
        hsv[1] = c->result[i];
        svr_unit_from_hsv(hsv, rgb);
        for (int k = 0; k < 3; k++)
            y[3 * i + k] = 2.0f * fminf(fmaxf(rgb[k], 0.0f), 1.0f) - 1.0f;
    }
}

size_t svr_cpu_hsv_workspace(svr_backend *backend, const svr_hsv_args *args)
{
    int64_t n = pixels_of(&args->content), n_style = pixels_of(&args->style);

    (void) backend;
    return svr_rank_buffers_bytes(n, n_style) + (size_t) (2 * n + n_style) * sizeof(float) +
           (size_t) (n + n_style);
}

static void lay_out(hsv_context *c, void *workspace)
{
    int64_t n = pixels_of(&c->args->content), n_style = pixels_of(&c->args->style);
    float *values;

    c->buffers = svr_rank_buffers_at(workspace, n, n_style);
    values = (float *) (void *) (c->buffers.ref_spare + n_style);
    c->result = values;
    c->content = (hue_map){&c->args->content, values + n, NULL};
    c->style = (hue_map){&c->args->style, values + 2 * n, NULL};
    c->content.bin = (uint8_t *) (values + 2 * n + n_style);
    c->style.bin = c->content.bin + n;
}

static int64_t rows_of(const svr_tensor *t)
{
    return t->dims[0] * t->dims[1];
}

svr_status svr_cpu_hsv(svr_exec *exec, const svr_hsv_args *args, void *workspace, svr_error *err)
{
    hsv_context context = {.args = args};

    lay_out(&context, workspace);
    SVR_TRY(svr_cpu_for(exec, rows_of(&args->content), map_row, &context.content, err));
    SVR_TRY(svr_cpu_for(exec, rows_of(&args->style), map_row, &context.style, err));
    memcpy(context.result, context.content.saturation,
           (size_t) pixels_of(&args->content) * sizeof(float));
    /* in order: the last bin has the final word on what it shares with bin 0 */
    for (int bin = 0; bin < HUE_BINS; bin++) {
        SVR_TRY(svr_exec_poll(exec, err));
        match_bin(&context, bin);
    }
    return svr_cpu_for(exec, rows_of(&args->content), recolour_row, &context, err);
}
