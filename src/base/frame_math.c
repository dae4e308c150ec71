#include "base/frame_math.h"

/* Offset and scale of a channel of `depth` bits (ITU-R BT.2100, table 9). */
static void set_range(svr_code_map *map, int channel, int depth, bool full, bool chroma)
{
    float codes = (float) (1u << depth), unit = codes / 256.0f;

    map->offset[channel] = chroma ? codes / 2.0f : full ? 0.0f : 16.0f * unit;
    map->scale[channel] = full ? codes - 1.0f : (chroma ? 224.0f : 219.0f) * unit;
}

static void set_matrix(svr_code_map *map, double kr, double kb)
{
    double kg = 1.0 - kr - kb;

    map->kr = (float) kr;
    map->kg = (float) kg;
    map->kb = (float) kb;
    map->r_cr = (float) (2.0 * (1.0 - kr));
    map->b_cb = (float) (2.0 * (1.0 - kb));
    map->g_cb = (float) (2.0 * (1.0 - kb) * kb / kg);
    map->g_cr = (float) (2.0 * (1.0 - kr) * kr / kg);
}

svr_code_map svr_code_map_of(const svr_video_info *info)
{
    const svr_pixel_layout *layout = svr_pixel_layout_of(info->format);
    bool rgb = layout->kind == SVR_KIND_RGB;
    bool full = rgb ? !info->color.limited_rgb : info->color.full_range;
    svr_code_map map = {0};

    for (int c = 0; c < 3; c++)
        if (layout->channel[c].depth > 0)
            set_range(&map, c, layout->channel[c].depth, full, !rgb && c > 0);
    if (layout->channel[3].depth > 0)
        set_range(&map, 3, layout->channel[3].depth, true, false);
    if (!rgb)
        set_matrix(&map, info->color.kr, info->color.kb);
    return map;
}
