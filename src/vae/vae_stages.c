/* Which steps of a half tiles go through together, and how large a tile must be for that. */
#include "vae/vae_shared.h"

#include "base/checked.h"

int svr_vae_stage_end(const vae_half *half, int first)
{
    for (int i = first; i < half->step_count; i++) {
        if (half->steps[i].kind == VAE_STEP_DOWN)
            return i + 1;
        if (half->steps[i].kind == VAE_STEP_UP && i > first)
            return i;
    }
    return half->steps[half->step_count - 1].kind == VAE_STEP_LEAVE ? first : half->step_count;
}

int svr_vae_first_tiled(const vae_half *half, bool decodes)
{
    int i = 0;

    while (decodes && i < half->step_count && half->steps[i].kind != VAE_STEP_UP)
        i++;
    return i;
}

int64_t svr_vae_halo(const vae_half *half, int first, int end, int64_t pixel, int64_t factor)
{
    int64_t seen = 0;

    for (int i = first; i < end; i++) {
        seen += pixel;
        if (half->steps[i].kind == VAE_STEP_UP)
            pixel /= 2;
    }
    return svr_ceil_div(seen, factor);
}

int64_t svr_vae_least_tile(const svr_vae *vae, const vae_half *half)
{
    int64_t factor = svr_vae_spatial_factor(&vae->config), least = 0;
    bool decodes = half == &vae->decoder;
    int64_t pixel = decodes ? factor : 1;

    for (int first = svr_vae_first_tiled(half, decodes), end; first < half->step_count;
         first = end) {
        end = svr_vae_stage_end(half, first);
        if (end == first)
            break;
        least = svr_max_i64(least, 2 * svr_vae_halo(half, first, end, pixel, factor) + 1);
        pixel = decodes ? pixel / 2 : pixel * 2;
    }
    return least * factor;
}

bool svr_vae_shares_tiles(const svr_vae *vae, const vae_half *half, const svr_vae_memory *memory,
                          const svr_tensor *in)
{
    int64_t factor = svr_vae_spatial_factor(&vae->config), size = memory->tile / factor;
    int64_t scale = half == &vae->decoder ? 1 : factor;

    return size > 0 && svr_vae_least_tile(vae, half) > 0 &&
           (in->dims[1] / scale > size || in->dims[2] / scale > size);
}
