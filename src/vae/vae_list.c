/* The steps of both halves. */
#include "vae/vae_layers.h"

#include "vae/vae_run.h"

static void add_step(vae_half *half, vae_step step)
{
    half->steps[half->step_count++] = step;
}

/* Names the result of the step added last. */
static void name_result(vae_half *half, const char *tap)
{
    half->steps[half->step_count - 1].tap = tap;
}

static void add_resnet(vae_half *half, int stage, const vae_resnet *r)
{
    add_step(half, (vae_step){.kind = VAE_STEP_OPEN, .stage = stage, .resnet = r});
    add_step(half, (vae_step){.kind = VAE_STEP_CLOSE, .stage = stage, .resnet = r});
}

static void add_mid(vae_half *half, int stage)
{
    const vae_mid *mid = &half->mid;

    add_resnet(half, stage, &mid->first);
    if (mid->attention.active)
        add_step(half,
                 (vae_step){.kind = VAE_STEP_ATTEND, .stage = stage, .attention = &mid->attention});
    add_resnet(half, stage, &mid->second);
    name_result(half, mid->tap);
}

static void add_resnets(vae_half *half, int stage)
{
    for (int i = 0; i < half->blocks[stage].resnet_count; i++)
        add_resnet(half, stage, &half->blocks[stage].resnets[i]);
}

static void add_enter(vae_half *half)
{
    add_step(half, (vae_step){.kind = VAE_STEP_ENTER, .tap = half->tap_conv_in});
}

static void list_encoder(vae_half *half, int stages)
{
    add_enter(half);
    for (int i = 0; i < stages; i++) {
        const vae_block *block = &half->blocks[i];

        add_resnets(half, i);
        if (block->rescales)
            add_step(half, (vae_step){.kind = VAE_STEP_DOWN, .stage = i, .block = block});
        name_result(half, block->tap);
    }
    add_mid(half, stages - 1);
    add_step(half, (vae_step){.kind = VAE_STEP_LEAVE, .stage = stages - 1});
}

static void list_decoder(vae_half *half, int stages)
{
    add_enter(half);
    add_mid(half, 0);
    for (int i = 0; i < stages; i++) {
        const vae_block *before = i > 0 ? &half->blocks[i - 1] : NULL;

        if (before)
            add_step(
                half,
                (vae_step){.kind = VAE_STEP_UP, .stage = i, .block = before, .tap = before->tap});
        add_resnets(half, i);
    }
    name_result(half, half->blocks[stages - 1].tap);
    add_step(half, (vae_step){.kind = VAE_STEP_PICTURE, .stage = stages - 1});
}

/* First and last layer, the mid block, and each stage's resnets and sampler. */
static int most_steps(const vae_half *half, int stages)
{
    int count = 2 + 5;

    for (int i = 0; i < stages; i++)
        count += 2 * half->blocks[i].resnet_count + 1;
    return count;
}

static bool take_plan(svr_vae *vae, size_t steps)
{
    vae_plan *plan = &vae->plan;

    plan->dims = svr_arena_alloc(vae->arena, steps + 1, sizeof plan->dims[0]);
    plan->segments = svr_arena_alloc(vae->arena, steps, sizeof plan->segments[0]);
    plan->breaks = svr_arena_alloc(vae->arena, steps, sizeof plan->breaks[0]);
    plan->cost = svr_arena_alloc(vae->arena, steps + 1, sizeof plan->cost[0]);
    plan->widest = svr_arena_alloc(vae->arena, steps + 1, sizeof plan->widest[0]);
    plan->from = svr_arena_alloc(vae->arena, steps + 1, sizeof plan->from[0]);
    return plan->dims && plan->segments && plan->breaks && plan->cost && plan->widest && plan->from;
}

svr_status svr_vae_list_steps(svr_vae *vae, svr_error *err)
{
    int stages = vae->config.stages, counts[2];
    vae_half *halves[2] = {&vae->encoder, &vae->decoder};

    for (int i = 0; i < 2; i++) {
        counts[i] = most_steps(halves[i], stages);
        halves[i]->steps =
            svr_arena_alloc(vae->arena, (size_t) counts[i], sizeof halves[i]->steps[0]);
    }
    if (!halves[0]->steps || !halves[1]->steps ||
        !take_plan(vae, (size_t) (counts[0] > counts[1] ? counts[0] : counts[1])))
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for the VAE's steps");
    list_encoder(halves[0], stages);
    list_decoder(halves[1], stages);
    return SVR_OK;
}
