#include "pipeline/stream_config.h"

#include "dit/sampler.h"

#include <math.h>
#include <string.h>

enum { MIN_SIDE = 16, MAX_SIDE = 16384, MAX_FRAMES = 16384 };

void svr_stream_config_init(svr_stream_config *config)
{
    memset(config, 0, sizeof *config);
    config->batch_size = 5;
    config->seed = 42;
    config->steps = 1;
    config->cfg_scale = 1.0;
    config->color_correction = SVR_COLOUR_LAB;
    config->padding = SVR_PADDING_REPLICATE;
}

static svr_status check_range(const char *option, int value, int low, int high, svr_error *err)
{
    if (value >= low && value <= high)
        return SVR_OK;
    return SVR_FAIL(err, SVR_ERR_INVALID, "%s is %d; choose %d to %d", option, value, low, high);
}

static svr_status check_info(const char *side, const svr_video_info *info, svr_error *err)
{
    if ((unsigned) info->format >= SVR_PIXEL_FORMAT_COUNT)
        return SVR_FAIL(err, SVR_ERR_INVALID, "unknown pixel format %d of the %s",
                        (int) info->format, side);
    if (info->width < MIN_SIDE || info->height < MIN_SIDE || info->width > MAX_SIDE ||
        info->height > MAX_SIDE)
        return SVR_FAIL(err, SVR_ERR_SHAPE,
                        "the %s is %d x %d; both sides must lie in %d to %d pixels", side,
                        info->width, info->height, MIN_SIDE, MAX_SIDE);
    return SVR_OK;
}

static svr_status check_guidance(const svr_stream_config *config, const svr_networks *networks,
                                 svr_error *err)
{
    if (!isfinite(config->cfg_scale))
        return SVR_FAIL(err, SVR_ERR_INVALID, "cfg-scale must be a finite number; 1 turns it off");
    if (!(config->cfg_rescale >= 0.0 && config->cfg_rescale <= 1.0))
        return SVR_FAIL(err, SVR_ERR_INVALID, "cfg-rescale is %g; choose 0 to 1",
                        config->cfg_rescale);
    if (config->cfg_scale != 1.0 && !networks->has_negative)
        return SVR_FAIL(err, SVR_ERR_INVALID,
                        "cfg-scale is %g, but there is no negative prompt embedding: set "
                        "cfg-scale=1, or give a file with the tensor `neg` as text-embedding",
                        config->cfg_scale);
    return SVR_OK;
}

static svr_status check_options(const svr_stream_config *config, svr_error *err)
{
    SVR_TRY(check_range("batch-size", config->batch_size, 0, MAX_FRAMES, err));
    SVR_TRY(check_range("vram-mode", (int) config->memory.mode, 0, SVR_VRAM_EXTREME_ECONOMY, err));
    SVR_TRY(check_range("vae-tile-size", config->memory.tile_size, 0, MAX_SIDE, err));
    SVR_TRY(check_range("parked-precision", (int) config->memory.parked, 0,
                        SVR_PARKED_PRECISIONS - 1, err));
    SVR_TRY(check_range("temporal-overlap", config->temporal_overlap, 0, MAX_FRAMES, err));
    SVR_TRY(check_range("prepend-frames", config->prepend_frames, 0, MAX_FRAMES, err));
    SVR_TRY(check_range("steps", config->steps, 1, SVR_MAX_STEPS, err));
    SVR_TRY(check_range("padding", (int) config->padding, 0, SVR_PADDING_COUNT - 1, err));
    SVR_TRY(check_range("color-correction", (int) config->color_correction, 0, SVR_COLOUR_COUNT - 1,
                        err));
    return SVR_OK;
}

static svr_status resolve_sizes(const svr_stream_config *config, int multiple, svr_size_plan *out,
                                svr_error *err)
{
    svr_size in = {config->in.width, config->in.height};
    svr_size want = {config->out.width, config->out.height};

    if (!config->reference.active) {
        *out = svr_size_plan_exact(want, multiple);
        return SVR_OK;
    }
    SVR_TRY(check_range("the reference's short side", config->reference.short_side, MIN_SIDE,
                        MAX_SIDE, err));
    SVR_TRY(check_range("the reference's max edge", config->reference.max_edge, 0, MAX_SIDE, err));
    *out = svr_size_plan_short_side(in, config->reference.short_side, config->reference.max_edge, 1,
                                    multiple);
    if (out->output.width != want.width || out->output.height != want.height)
        return SVR_FAIL(err, SVR_ERR_SHAPE,
                        "the reference's rule gives %d x %d, but the output is %d x %d",
                        out->output.width, out->output.height, want.width, want.height);
    return SVR_OK;
}

svr_status svr_stream_config_resolve(const svr_stream_config *config, const svr_networks *networks,
                                     svr_stream_options *out, svr_error *err)
{
    svr_stream_options o = {.uniform = config->uniform_batch,
                            .noise_time_invariant = config->noise_time_invariant};
    bool reference = config->reference.active;

    SVR_TRY(check_info("input", &config->in, err));
    SVR_TRY(check_info("output", &config->out, err));
    SVR_TRY(check_options(config, err));
    SVR_TRY(check_guidance(config, networks, err));
    o.phases = (svr_phases_config){
        .in = config->in,
        .out = config->out,
        .in_on_device = config->in_on_device,
        .out_on_device = config->out_on_device,
        .seed = config->seed,
        .sampler = {.steps = config->steps,
                    .cfg_scale = config->cfg_scale,
                    .cfg_rescale = config->cfg_rescale,
                    .cfg_partial = 1.0,
                    .park_on_host = config->cfg_offload == SVR_CFG_OFFLOAD_ALWAYS},
        .colour = config->color_correction,
        .exact_colour = reference && config->reference.exact_colour,
        .reference_blend = reference && config->reference.blend_weights,
        .truncate = reference && config->reference.truncate,
    };
    SVR_TRY(resolve_sizes(config, networks->grid_multiple, &o.phases.sizes, err));
    o.phases.sizes.padding = reference ? SVR_PADDING_BLACK : config->padding;
    o.memory = config->memory;
    o.may_park_guidance = config->cfg_offload == SVR_CFG_OFFLOAD_AUTO && config->cfg_scale != 1.0;
    /* an open batch is chosen when the memory is planned */
    o.temporal = config->batch_size > 0
                     ? svr_temporal_plan_make(config->batch_size, config->temporal_overlap,
                                              config->prepend_frames)
                     : (svr_temporal_plan){.overlap = config->temporal_overlap,
                                           .prepend = config->prepend_frames};
    *out = o;
    return SVR_OK;
}
