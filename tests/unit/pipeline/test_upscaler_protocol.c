/* The public API with stand-in networks: order of calls, options, what is told. */
#include "upscaler_rig.h"

#include "check.h"

#include <math.h>
#include <string.h>

static void test_order_of_calls(void)
{
    svr_stream_config c = up_config(5, 0, 0);
    fake_networks fake;
    svr_error err = {0};
    bool got;

    fake_networks_init(&fake, FAKE_IDENTITY);
    svr_upscaler *u = up_open(&fake, NULL);
    CHECK_FAILS(up_push(u, 0, &err), SVR_ERR_INVALID, err);
    CHECK_FAILS(svr_upscaler_drain(u, &err), SVR_ERR_INVALID, err);
    CHECK_FAILS(up_pull(u, 0, true, &got, &err), SVR_ERR_INVALID, err);
    up_configure(u, 5, 0, 0);
    CHECK_OK(svr_upscaler_drain(u, &err), err);
    CHECK_OK(up_pull(u, 0, true, &got, &err), err);
    CHECK(!got);
    CHECK_OK(up_push(u, 0, &err), err);
    CHECK_FAILS(svr_upscaler_configure(u, &c, &err), SVR_ERR_INVALID, err);
    CHECK_OK(svr_upscaler_drain(u, &err), err);
    CHECK(up_pull_all(u, 0) == 1);
    CHECK_OK(svr_upscaler_configure(u, &c, &err), err);
    up_check_count(u, 7);
    svr_upscaler_destroy(u);
}

static void test_configuration_is_checked(void)
{
    svr_stream_config good = up_config(5, 1, 0), c;
    fake_networks fake;
    svr_error err = {0};

    fake_networks_init(&fake, FAKE_IDENTITY);
    fake.networks.has_negative = false;
    svr_upscaler *u = up_open(&fake, NULL);
#define REFUSES(member, value, status, word)                                                       \
    do {                                                                                           \
        c = good;                                                                                  \
        c.member = (value);                                                                        \
        CHECK(svr_upscaler_configure(u, &c, &err) == (status));                                    \
        CHECK_TEXT(err.text, word);                                                                \
        svr_error_clear(&err);                                                                     \
    } while (0)
    REFUSES(batch_size, -1, SVR_ERR_INVALID, "batch-size");
    REFUSES(memory.mode, (svr_vram_mode) 3, SVR_ERR_INVALID, "vram-mode");
    REFUSES(memory.tile_size, -8, SVR_ERR_INVALID, "vae-tile-size");
    REFUSES(memory.parked, SVR_PARKED_PRECISIONS, SVR_ERR_INVALID, "parked-precision");
    REFUSES(memory.budget, 1000, SVR_ERR_NO_VRAM, "smallest vram-budget");
    REFUSES(temporal_overlap, -1, SVR_ERR_INVALID, "temporal-overlap");
    REFUSES(prepend_frames, -1, SVR_ERR_INVALID, "prepend-frames");
    REFUSES(steps, 0, SVR_ERR_INVALID, "steps");
    REFUSES(steps, 1001, SVR_ERR_INVALID, "steps");
    REFUSES(cfg_scale, NAN, SVR_ERR_INVALID, "cfg-scale");
    REFUSES(cfg_scale, 2.0, SVR_ERR_INVALID, "text-embedding");
    REFUSES(cfg_rescale, -0.1, SVR_ERR_INVALID, "cfg-rescale");
    REFUSES(color_correction, SVR_COLOUR_COUNT, SVR_ERR_INVALID, "color-correction");
    REFUSES(padding, SVR_PADDING_COUNT, SVR_ERR_INVALID, "padding");
    REFUSES(in.width, 15, SVR_ERR_SHAPE, "input");
    REFUSES(out.height, 8, SVR_ERR_SHAPE, "output");
    REFUSES(in.format, SVR_PIXEL_FORMAT_COUNT, SVR_ERR_INVALID, "pixel format");
#undef REFUSES
    c = good;
    c.reference.active = true;
    c.reference.short_side = 48;
    CHECK_FAILS(svr_upscaler_configure(u, &c, &err), SVR_ERR_SHAPE, err);
    c.reference.short_side = UP_OUT;
    CHECK_OK(svr_upscaler_configure(u, &c, &err), err);
    CHECK_OK(svr_upscaler_configure(u, &good, &err), err);
    up_check_count(u, 6);
    svr_upscaler_destroy(u);
}

static void test_options_are_checked(void)
{
    svr_upscaler_options options;
    svr_upscaler *u = NULL;
    fake_networks fake;
    svr_error err = {0};

    svr_upscaler_options_init(&options);
    options.backend = SVR_BACKEND_CPU;
    CHECK(svr_upscaler_create(&options, &u, &err) == SVR_ERR_INVALID);
    CHECK_TEXT(err.text, "vae-model");
    svr_error_clear(&err);
    fake_networks_init(&fake, FAKE_IDENTITY);
    options.networks = &fake.networks;
    options.precision = (svr_precision) 4;
    CHECK_FAILS(svr_upscaler_create(&options, &u, &err), SVR_ERR_INVALID, err);
    options.precision = SVR_PRECISION_AUTO;
    options.quantization = SVR_QUANTIZATION_COUNT;
    CHECK_FAILS(svr_upscaler_create(&options, &u, &err), SVR_ERR_INVALID, err);
    options.quantization = SVR_QUANTIZATION_BF16;
    options.precision = SVR_PRECISION_FP16;
    CHECK(svr_upscaler_create(&options, &u, &err) == SVR_ERR_INVALID);
    CHECK_TEXT(err.text, "quantization bf16 and precision contradict each other");
    svr_error_clear(&err);
    options.precision = SVR_PRECISION_AUTO;
    options.quantization = SVR_QUANTIZATION_AUTO_FP16;
    options.backend = SVR_BACKEND_CUDA;
    CHECK_FAILS(svr_upscaler_create(&options, &u, &err), SVR_ERR_INVALID, err);
    CHECK(u == NULL);
    svr_upscaler_destroy(NULL);
}

static void test_events_and_stats(void)
{
    up_events events;
    fake_networks fake;
    svr_upscaler_stats stats;

    fake_networks_init(&fake, FAKE_IDENTITY);
    svr_upscaler *u = up_open(&fake, &events);
    CHECK(strcmp(svr_upscaler_backend_name(u), "cpu") == 0);
    up_configure(u, 5, 0, 0);
    up_check_count(u, 11);
    svr_upscaler_get_stats(u, &stats);
    CHECK(atomic_load(&events.kinds[SVR_EVENT_LOADED]) == 1);
    CHECK(atomic_load(&events.kinds[SVR_EVENT_PLANNED]) == 1);
    CHECK(atomic_load(&events.kinds[SVR_EVENT_FRAME]) == 11);
    CHECK(atomic_load(&events.kinds[SVR_EVENT_BATCH]) == 3);
    CHECK(atomic_load(&events.kinds[SVR_EVENT_FAILED]) == 0);
    CHECK(stats.batches == 3 && stats.frames_computed == 11);
    CHECK(stats.plan.scratch > 0 && stats.memory.scratch_peak == stats.plan.scratch);
    CHECK(stats.memory.scratch >= stats.plan.scratch && stats.memory.state > 0);
    CHECK(stats.memory.used == stats.memory.scratch + stats.memory.state);
    CHECK(stats.total.encode_ns > 0 && stats.total.decode_ns > 0 && stats.total.finish_ns > 0);
    CHECK(stats.total.input_ns > 0 && stats.total.input_ns < stats.total.encode_ns);
    CHECK(stats.total.colour_ns <= stats.total.finish_ns);
    CHECK(stats.total.dit_ns >= stats.last.dit_ns);
    CHECK(atomic_load(&events.allocations) > 0 && atomic_load(&events.more_allocations) == 0);
    CHECK(atomic_load(&events.kinds[SVR_EVENT_CLOSED]) == 0);
    svr_upscaler_destroy(u);
    CHECK(atomic_load(&events.kinds[SVR_EVENT_CLOSED]) == 1);
    CHECK(atomic_load(&events.left) == 1); /* 0 bytes, as the event said it */
}

int main(void)
{
    RUN(test_order_of_calls);
    RUN(test_configuration_is_checked);
    RUN(test_options_are_checked);
    RUN(test_events_and_stats);
    return check_done();
}
