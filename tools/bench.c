#include "bench.h"

#include "bench_flops.h"
#include "commands.h"
#include "pipeline/backends.h"
#include "pipeline/batcher.h"
#include "pipeline/model.h"
#include "pipeline/phases.h"
#include "video/temporal.h"

#include <stdlib.h>
#include <string.h>

/* What a run holds; everything is zero or owned. */
typedef struct bench {
    const bench_setup *setup;
    svr_backend *backend;
    svr_model *model;
    svr_phases *phases;
    svr_exec exec;
    void *block;
    uint64_t block_bytes;
    svr_tensor y;    /* [frames, h, w, 3] F32 */
    uint8_t *pixels; /* all frames */
    const uint8_t **frames;
    double *samples[BENCH_PHASES]; /* ms of each run */
} bench;

const char *bench_phase_name(bench_phase_id id)
{
    static const char *const names[BENCH_PHASES] = {"encode", "dit", "decode", "finish", "total"};

    return names[id];
}

static svr_status open_model(bench *b, svr_error *err)
{
    svr_log log = command_log();
    svr_model_options options = {.dit_path = b->setup->model_path,
                                 .vae_path = b->setup->vae_path,
                                 .text_path = b->setup->text_path,
                                 .storage = b->setup->storage,
                                 .fp8 = b->setup->quantization == SVR_QUANTIZATION_FP8,
                                 .slice_frames = 4,
                                 .steps = 1,
                                 .log = &log};

    SVR_TRY(svr_backend_open(b->setup->backend, b->setup->threads, &log, &b->backend, err));
    SVR_TRY(svr_model_open(b->backend, &options, &b->model, err));
    return svr_model_load(b->model, NULL, NULL, NULL, err);
}

static svr_phases_config phases_config(const bench_setup *setup)
{
    svr_video_info out = {.format = SVR_PIXEL_I420,
                          .width = setup->width,
                          .height = setup->height,
                          .color = {.kr = 0.2126, .kb = 0.0722, .chroma_h_cosited = true}};
    svr_video_info in = out;

    in.width /= 2;
    in.height /= 2;
    return (svr_phases_config){.in = in,
                               .out = out,
                               .seed = 42,
                               .sampler = {.steps = 1, .cfg_scale = 1.0, .cfg_partial = 1.0},
                               .colour = SVR_COLOUR_LAB};
}

/* A moving texture: something for every phase to do. */
static void paint(bench *b, size_t frame_bytes)
{
    b->pixels = g_new(uint8_t, frame_bytes * (size_t) b->setup->frames);
    b->frames = g_new(const uint8_t *, (size_t) b->setup->frames);
    for (int f = 0; f < b->setup->frames; f++) {
        uint8_t *frame = b->pixels + (size_t) f * frame_bytes;

        for (size_t i = 0; i < frame_bytes; i++)
            frame[i] = (uint8_t) (40 + ((i * 7 + (size_t) f * 3) ^ (i >> 6)) % 160);
        b->frames[f] = frame;
    }
}

/* Phases, their planned scratch block, and room for the result. */
static svr_status prepare(bench *b, svr_error *err)
{
    const svr_networks *networks = svr_model_networks(b->model);
    svr_phases_config config = phases_config(b->setup);
    svr_temporal_plan plan = svr_temporal_plan_make(b->setup->frames, 0, 0);
    svr_tensor y = {.dtype = SVR_F32, .rank = 4};

    config.sizes =
        svr_size_plan_exact((svr_size){b->setup->width, b->setup->height}, networks->grid_multiple);
    paint(b, svr_frame_bytes(&config.in));
    SVR_TRY(svr_phases_create(b->backend, networks, &config, &b->phases, err));
    SVR_TRY(svr_phases_plan(b->phases, &plan, false, NULL, &b->block_bytes, err));
    SVR_TRY(svr_backend_alloc(b->backend, SVR_MEM_SCRATCH, b->block_bytes, &b->block, err));
    b->exec.backend = b->backend;
    b->exec.scratch = svr_scratch_create(b->block, b->block_bytes);
    if (!b->exec.scratch)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for the scratch allocator");
    memcpy(y.dims, (const int64_t[]){b->setup->frames, b->setup->height, b->setup->width, 3},
           4 * sizeof(y.dims[0]));
    SVR_TRY(svr_backend_alloc(b->backend, SVR_MEM_STATE, svr_tensor_bytes(&y), &y.data, err));
    b->y = y;
    return SVR_OK;
}

static svr_status drop_frame(void *user, int index, const uint8_t *data, svr_error *err)
{
    (void) user, (void) index, (void) data, (void) err;
    return SVR_OK;
}

/* Run `run`; -1 is the one that is not counted. */
static svr_status run_once(bench *b, int run, svr_error *err)
{
    svr_phases_batch batch = {.frames = b->frames, .count = b->setup->frames};
    svr_phases_slice slice = {.y = &b->y, .frames = b->frames, .sink = drop_frame};
    svr_phase_times times = {0};
    double total = 0;

    svr_scratch_reset(b->exec.scratch);
    SVR_TRY(svr_phases_compute(b->phases, &b->exec, &batch, &b->y, &times, err));
    SVR_TRY(svr_phases_finish(b->phases, &b->exec, &slice, &times, err));
    if (run < 0)
        return SVR_OK;
    b->samples[BENCH_ENCODE][run] = (double) times.encode_ns / 1e6;
    b->samples[BENCH_DIT][run] = (double) times.dit_ns / 1e6;
    b->samples[BENCH_DECODE][run] = (double) times.decode_ns / 1e6;
    b->samples[BENCH_FINISH][run] = (double) times.finish_ns / 1e6;
    for (int i = 0; i < BENCH_TOTAL; i++)
        total += b->samples[i][run];
    b->samples[BENCH_TOTAL][run] = total;
    return SVR_OK;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *) a, y = *(const double *) b;

    return (x > y) - (x < y);
}

static double median(double *values, int n)
{
    qsort(values, (size_t) n, sizeof(*values), ascending);
    return n % 2 ? values[n / 2] : 0.5 * (values[n / 2 - 1] + values[n / 2]);
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
    out->phase[BENCH_TOTAL].flop = flops.encode + flops.dit + flops.decode;
    return SVR_OK;
}

static svr_status measure(bench *b, bench_result *out, svr_error *err)
{
    SVR_TRY(open_model(b, err));
    SVR_TRY(prepare(b, err));
    for (int run = -1; run < b->setup->runs; run++)
        SVR_TRY(run_once(b, run, err));
    for (int i = 0; i < BENCH_PHASES; i++)
        out->phase[i].ms = median(b->samples[i], b->setup->runs);
    g_strlcpy(out->backend, b->backend->name, sizeof(out->backend));
    out->weight_bytes = svr_model_weight_bytes(b->model);
    out->peak_bytes = svr_backend_memory(b->backend).peak_total;
    return count_flops(b, out, err);
}

svr_status bench_run(const bench_setup *setup, bench_result *out, svr_error *err)
{
    bench b = {.setup = setup};
    svr_status status;

    *out = (bench_result){.setup = *setup};
    for (int i = 0; i < BENCH_PHASES; i++)
        b.samples[i] = g_new0(double, (size_t) setup->runs);
    status = measure(&b, out, err);
    for (int i = 0; i < BENCH_PHASES; i++)
        g_free(b.samples[i]);
    if (svr_tensor_present(&b.y))
        svr_backend_free(b.backend, SVR_MEM_STATE, svr_tensor_bytes(&b.y), b.y.data);
    svr_scratch_destroy(b.exec.scratch);
    svr_backend_free(b.backend, SVR_MEM_SCRATCH, b.block_bytes, b.block);
    svr_phases_destroy(b.phases);
    svr_model_close(b.model);
    svr_backend_destroy(b.backend);
    g_free(b.frames);
    g_free(b.pixels);
    return status;
}
