/* How codes of a frame become R'G'B' in [0,1] and back, for all formats: scales, matrix, and the
 * filters of coarser chroma.  Shared by backends; SVR_HD functions run on devices, too.
 * Level 0.  Thread: any (pure functions). */
#ifndef SVR_BASE_FRAME_MATH_H
#define SVR_BASE_FRAME_MATH_H

#include "base/colour_math.h"
#include "base/frame.h"

#ifdef __cplusplus
extern "C" {
#endif

/* code = offset + scale * value.  Colours, luma and alpha lie in [0,1], chroma in [-.5,.5].
 * R' = Y' + r_cr Cr, B' = Y' + b_cb Cb, G' = Y' - g_cb Cb - g_cr Cr; Y' = kr R' + kg G' + kb B'.
 * Source: ITU-R BT.601, BT.709, BT.2020 (non-constant luminance) and BT.2100 for the ranges. */
typedef struct svr_code_map {
    float offset[SVR_MAX_CHANNELS], scale[SVR_MAX_CHANNELS];
    float kr, kg, kb;
    float r_cr, g_cb, g_cr, b_cb;
} svr_code_map;

svr_code_map svr_code_map_of(const svr_video_info *info);

/* A word of 2 bytes read from or written to big endian memory. */
SVR_HD uint16_t svr_swap_bytes(uint32_t word)
{
    return (uint16_t) (word >> 8 | word << 8);
}

/* Chroma at a luma sample: the sum of up to three chroma samples.
 *
 * Up and down are a pair: what unpacking interpolates, packing takes back to the same samples,
 * whatever they are.  On the left column: linear between two, and [-1 2 6 2 -1]/8 (LeGall and
 * Tabatabai, 1988).  Between columns: the slope of the neighbours, c -+ (next - previous)/8, and
 * the mean of the two.  Beyond the border the last sample goes on; of a pair that the border cuts,
 * the one that is left has the sample's value.  All products are exact in F32 for 16-bit codes. */
typedef struct svr_chroma_up {
    int count;
    int at[3];
    float weight[3];
} svr_chroma_up;

/* `luma` of `luma_samples`, chroma coarser by 2^sub (0 or 1). */
SVR_HD svr_chroma_up svr_chroma_up_at(int luma, int luma_samples, int sub, bool cosited)
{
    int i = luma >> sub, last = (luma_samples - 1) >> sub;
    svr_chroma_up up = {1, {i, i, i}, {1.0f, 0.0f, 0.0f}};

    if (sub == 0 || (cosited ? (luma & 1) == 0 : (luma | 1) >= luma_samples))
        return up;
    up.at[1] = i < last ? i + 1 : last;
    if (cosited) {
        up.count = 2;
        up.weight[0] = up.weight[1] = 0.5f;
    } else {
        up.count = 3;
        up.at[2] = i > 0 ? i - 1 : 0;
        up.weight[1] = (luma & 1) != 0 ? 0.125f : -0.125f;
        up.weight[2] = -up.weight[1];
    }
    return up;
}

/* A chroma sample from luma samples first, first + 1, ...; indices beyond the border mean the last
 * one. */
typedef struct svr_chroma_down {
    int first, count;
    float weight[5];
} svr_chroma_down;

SVR_HD svr_chroma_down svr_chroma_down_at(int sample, int sub, bool cosited)
{
    svr_chroma_down down = {sample, 1, {1.0f, 0.0f, 0.0f, 0.0f, 0.0f}};

    if (sub == 0)
        return down;
    if (cosited) {
        svr_chroma_down five = {2 * sample - 2, 5, {-0.125f, 0.25f, 0.75f, 0.25f, -0.125f}};

        return five;
    }
    down.first = 2 * sample;
    down.count = 2;
    down.weight[0] = down.weight[1] = 0.5f;
    return down;
}

#ifdef __cplusplus
}
#endif
#endif
