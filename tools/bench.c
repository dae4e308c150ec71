#include "bench.h"

#include "bench_flops.h"
#include "commands.h"
#include "pipeline/backends.h"
#include "pipeline/batcher.h"
#include "pipeline/model.h"
#include "pipeline/phases.h"
#include "video/temporal.h"

#include <stdlib.h>

/* What a run holds; everything is zero or owned. */
typedef struct bench {
    const bench_setup *setup;
    svr_backend *backend;
    svr_model *model;
    svr_phases *phases;
    svr_exec exec;
    void *block;
    uint64_t block_bytes;
    uint8_t *pixels; /* all frames */
    const uint8_t **frames;
    double *samples[BENCH_PHASES + 1]; /* ms of each run; last: of all phases */
} bench;

svr_video_info bench_output(const bench_setup *setup)
{
    return (svr_video_info){.format = SVR_PIXEL_I420,
                            .width = setup->width,
                            .height = setup->height,
                            .color = {.kr = 0.2126, .kb = 0.0722, .chroma_h_cosited = true}};
}

svr_video_info bench_input(const bench_setup *setup)
{
    svr_video_info info = bench_output(setup);

    info.width /= 2;
    info.height /= 2;
    return info;
}

uint8_t *bench_paint(const svr_video_info *info, int frames)
{
    size_t bytes = svr_frame_bytes(info);
    uint8_t *pixels = g_new(uint8_t, bytes * (size_t) frames);

    for (int f = 0; f < frames; f++)
        for (size_t i = 0; i < bytes; i++)
            pixels[(size_t) f * bytes + i] =
                (uint8_t) (40 + ((i * 7 + (size_t) f * 3) ^ (i >> 6)) % 160);
    return pixels;
}

/* Rates of the device, whatever paths the run is limited to, on a backend of their own, so that the
 * ledger of the run counts the run alone. */
static svr_status measure_rates(const bench_setup *setup, bench_rates *out, svr_error *err)
{
    const svr_cuda_options cuda = {.device = setup->cuda.device, .dnn = SVR_CUDA_DNN_OFF};
    svr_backend *backend = NULL;
    svr_status status;

    SVR_TRY(svr_backend_open(setup->backend, setup->threads, &cuda, &setup->log, &backend, err));
    status = bench_measure_rates(backend, setup->storage, out, err);
    svr_backend_destroy(backend);
    return status;
}

static svr_status open_model(bench *b, svr_error *err)
{
    svr_model_options options = {.dit_path = b->setup->model_path,
                                 .vae_path = b->setup->vae_path,
                                 .text_path = b->setup->text_path,
                                 .storage = b->setup->storage,
                                 .quantization = b->setup->quantization,
                                 .steps = 1,
                                 .log = &b->setup->log};

    SVR_TRY(svr_backend_open(b->setup->backend, b->setup->threads, &b->setup->cuda, &b->setup->log,
                             &b->backend, err));
    SVR_TRY(svr_model_open(b->backend, &options, &b->model, err));
    return svr_model_load(b->model, NULL, err);
}

static svr_phases_config phases_config(const bench_setup *setup)
{
    return (svr_phases_config){.in = bench_input(setup),
                               .out = bench_output(setup),
                               .seed = 42,
                               .sampler = {.steps = 1, .cfg_scale = 1.0, .cfg_partial = 1.0},
                               .colour = SVR_COLOUR_LAB};
}

static void paint(bench *b, const svr_video_info *info)
{
    b->pixels = bench_paint(info, b->setup->frames);
    b->frames = g_new(const uint8_t *, (size_t) b->setup->frames);
    for (int f = 0; f < b->setup->frames; f++)
        b->frames[f] = b->pixels + (size_t) f * svr_frame_bytes(info);
}

/* Phases and their planned scratch block. */
static svr_status prepare(bench *b, svr_error *err)
{
    const svr_networks *networks = svr_model_networks(b->model);
    svr_phases_config config = phases_config(b->setup);
    svr_temporal_plan plan = svr_temporal_plan_make(b->setup->frames, 0, 0);
    svr_phases_need need;

    config.sizes =
        svr_size_plan_exact((svr_size){b->setup->width, b->setup->height}, networks->grid_multiple);
    paint(b, &config.in);
    SVR_TRY(svr_phases_create(b->backend, networks, &config, &b->phases, err));
    SVR_TRY(svr_phases_plan(b->phases, &plan, false, SVR_PLAN_WHOLE_BATCH, NULL, &need, err));
    b->block_bytes = need.scratch;
    SVR_TRY(svr_backend_alloc(b->backend, SVR_MEM_SCRATCH, b->block_bytes, &b->block, err));
    b->exec.backend = b->backend;
    b->exec.scratch = svr_scratch_create(b->block, b->block_bytes);
    if (!b->exec.scratch)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for the scratch allocator");
    return SVR_OK;
}

static svr_status drop_frame(void *user, int index, const uint8_t *data, svr_error *err)
{
    (void) user, (void) index, (void) data, (void) err;
    return SVR_OK;
}

static svr_status run_batch(bench *b, svr_exec *exec, svr_phase_times *times, svr_error *err)
{
    svr_phases_batch batch = {.frames = b->frames, .count = b->setup->frames};
    svr_tensor y;
    svr_phases_slice slice = {.y = &y, .frames = b->frames, .sink = drop_frame};

    svr_scratch_reset(exec->scratch);
    SVR_TRY(svr_phases_compute(b->phases, exec, &batch, &y, times, err));
    return svr_phases_finish(b->phases, exec, &slice, times, err);
}

static svr_status time_run(bench *b, int run, svr_error *err)
{
    svr_phase_times times = {0};
    double total = 0;

    SVR_TRY(run_batch(b, &b->exec, &times, err));
    for (int i = 0; i < BENCH_PHASES; i++) {
        b->samples[i][run] = (double) bench_phase_ns(&times, (bench_phase_id) i) / 1e6;
        total += b->samples[i][run];
    }
    b->samples[BENCH_PHASES][run] = total;
    return SVR_OK;
}

/* A run that waits behind each op. */
static svr_status profile_run(bench *b, bench_result *out, svr_error *err)
{
    bench_profile *profile = g_new(bench_profile, 1);
    svr_status status;

    bench_profile_begin(profile, &b->exec);
    status = run_batch(b, &profile->exec, &profile->times, err);
    bench_profile_end(profile);
    out->op_rows = bench_profile_rows(profile, out->ops);
    for (int i = 0; i < BENCH_PHASES; i++) {
        uint64_t ns = bench_phase_ns(&profile->times, (bench_phase_id) i);

        out->phase[i].host_ms = (double) (ns - profile->waited_ns[i]) / 1e6;
        out->total.host_ms += out->phase[i].host_ms;
    }
    g_free(profile);
    return status;
}

static svr_status count_flops(bench *b, bench_result *out, svr_error *err)
{
    const svr_networks *networks = svr_model_networks(b->model);
    svr_size padded =
        svr_size_plan_exact((svr_size){b->setup->width, b->setup->height}, networks->grid_multiple)
            .padded;
    int sizes[3] = {(int) svr_padded_length(b->setup->frames, networks->temporal_factor),
                    padded.height, padded.width};
    bench_flops flops;

    SVR_TRY(bench_count_flops(b->backend, networks, sizes, &flops, err));
    out->phase[BENCH_ENCODE].flop = flops.encode;
    out->phase[BENCH_DIT].flop = flops.dit;
    out->phase[BENCH_DECODE].flop = flops.decode;
    out->total.flop = flops.encode + flops.dit + flops.decode;
    return SVR_OK;
}

static svr_status measure(bench *b, bench_result *out, svr_error *err)
{
    svr_phase_times warm = {0};

    SVR_TRY(measure_rates(b->setup, &out->rates, err));
    SVR_TRY(open_model(b, err));
    SVR_TRY(prepare(b, err));
    SVR_TRY(run_batch(b, &b->exec, &warm, err));
    for (int run = 0; run < b->setup->runs; run++)
        SVR_TRY(time_run(b, run, err));
    for (int i = 0; i < BENCH_PHASES; i++)
        out->phase[i].ms = bench_median(b->samples[i], b->setup->runs);
    out->total.ms = bench_median(b->samples[BENCH_PHASES], b->setup->runs);
    g_strlcpy(out->backend, b->backend->name, sizeof(out->backend));
    out->weight_bytes = svr_model_weight_bytes(b->model);
    out->peak_bytes = svr_backend_memory(b->backend).peak_total;
    SVR_TRY(profile_run(b, out, err));
    return count_flops(b, out, err);
}

svr_status bench_run(const bench_setup *setup, bench_result *out, svr_error *err)
{
    bench b = {.setup = setup};
    svr_status status;

    *out = (bench_result){.setup = *setup};
    for (int i = 0; i <= BENCH_PHASES; i++)
        b.samples[i] = g_new0(double, (size_t) setup->runs);
    status = measure(&b, out, err);
    for (int i = 0; i <= BENCH_PHASES; i++)
        g_free(b.samples[i]);
    svr_scratch_destroy(b.exec.scratch);
    svr_backend_free(b.backend, SVR_MEM_SCRATCH, b.block_bytes, b.block);
    svr_phases_destroy(b.phases);
    svr_model_close(b.model);
    svr_backend_destroy(b.backend);
    g_free(b.frames);
    g_free(b.pixels);
    return status;
}
