/* Where a model's weights are. */
#include "pipeline/model_internal.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>

svr_placement svr_placement_default(void)
{
    return (svr_placement){.cut = {.slice_frames = 4,
                                   .whole_frames = 5,
                                   .encoder.piece_values = (int64_t) 5 << 27,
                                   .decoder.piece_values = (int64_t) 1 << 26},
                           .resident_blocks = INT_MAX,
                           .slots = 2};
}

/* The first `count` of the larger blocks stay, then others, evenly spread, so that what is streamed
 * comes at an even pace. */
static void choose_resident(const svr_model *m, int count)
{
    int layers = m->dit_config.layers, larger = 0, left;
    uint64_t least = svr_store_group_bytes(m->dit_store, layers - 1);

    for (int i = 0; i < layers; i++)
        if (svr_store_group_bytes(m->dit_store, i) < least)
            least = svr_store_group_bytes(m->dit_store, i);
    for (int i = 0; i < layers; i++) {
        m->resident[i] = larger < count && svr_store_group_bytes(m->dit_store, i) > least;
        larger += m->resident[i];
    }
    left = count - larger;
    for (int i = 0, seen = 0, others = layers - larger; i < layers; i++) {
        if (m->resident[i])
            continue;
        m->resident[i] = (int64_t) (seen + 1) * left / others > (int64_t) seen * left / others;
        seen++;
    }
}

void svr_model_describe_weights(void *user, svr_network_weights *out)
{
    const svr_model *m = user;
    int layers = m->dit_config.layers;

    *out =
        (svr_network_weights){.encoder = svr_store_group_bytes(m->vae_store, SVR_VAE_GROUP_ENCODER),
                              .decoder = svr_store_group_bytes(m->vae_store, SVR_VAE_GROUP_DECODER),
                              .fixed = svr_store_group_bytes(m->dit_store, layers),
                              .blocks = layers,
                              .full_channels = m->vae_config.channels[0]};
    for (int i = 0; i < layers; i++) {
        uint64_t bytes = svr_store_group_bytes(m->dit_store, i);

        out->block_total += bytes;
        if (bytes > out->block_largest)
            out->block_largest = bytes;
    }
}

static void place_groups(svr_model *m, const svr_placement *p)
{
    int count =
        p->resident_blocks < m->dit_config.layers ? p->resident_blocks : m->dit_config.layers;

    choose_resident(m, count);
    for (int i = 0; i < m->dit_config.layers; i++)
        svr_store_set_streamed(m->dit_store, i, !m->resident[i]);
    svr_store_set_streamed(m->vae_store, SVR_VAE_GROUP_ENCODER, p->stream_vae);
    svr_store_set_streamed(m->vae_store, SVR_VAE_GROUP_DECODER, p->stream_vae);
    svr_store_set_slots(m->dit_store, p->slots);
    svr_store_set_slots(m->vae_store, 1);
    svr_store_set_relay(m->dit_store, p->relay);
    svr_dit_set_token_chunk(m->dit, p->token_chunk);
}

/* Adds what one store needs. */
static void add_need(const svr_store *store, int groups, int slots, bool relay,
                     svr_weight_need *need)
{
    uint64_t streamed = 0, largest = 0;

    for (int i = 0; i < groups; i++) {
        uint64_t bytes = svr_store_group_bytes(store, i);

        if (!svr_store_is_streamed(store, i)) {
            need->resident += bytes;
            continue;
        }
        streamed += bytes;
        if (bytes > largest)
            largest = bytes;
    }
    need->host += relay ? (uint64_t) slots * largest : streamed;
}

svr_status svr_model_place(svr_model *m, const svr_placement *placement, svr_weight_need *need,
                           svr_error *err)
{
    svr_weight_need total = {0};

    assert(placement->resident_blocks >= 0 && placement->slots >= 1);
    if (!m->resident)
        m->resident = calloc((size_t) m->dit_config.layers, sizeof m->resident[0]);
    if (!m->resident)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no host memory for a model");
    m->placement = *placement;
    if (!m->dit)
        SVR_TRY(svr_model_declare(m, err));
    place_groups(m, placement);
    add_need(m->dit_store, svr_dit_groups(&m->dit_config), placement->slots, placement->relay,
             &total);
    add_need(m->vae_store, SVR_VAE_GROUPS, 1, false, &total);
    for (int i = 0; i < m->dit_config.layers; i++)
        total.streamed_blocks += !m->resident[i];
    if (need)
        *need = total;
    return SVR_OK;
}

void svr_model_watch(svr_model *m, svr_store_progress progress, void *user)
{
    m->progress = progress;
    m->progress_user = user;
}
