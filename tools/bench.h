/* Timing of one batch through the pipeline's phases, op by op, against what the device can do; and
 * of a stream through the public API. */
#ifndef SEEDVR2_BENCH_H
#define SEEDVR2_BENCH_H

#include "backend/cuda_options.h"
#include "bench_profile.h"
#include "bench_rates.h"
#include "pipeline/upscaler.h"

typedef struct bench_setup {
    svr_backend_kind backend;
    svr_dtype storage;
    svr_quantization quantization;
    int threads;               /* CPU: 0 = all */
    int width, height, frames; /* of the output */
    int runs;                  /* counted ones */
    svr_cuda_options cuda;     /* strings borrowed */
    svr_memory_request memory; /* of streams */
    svr_log log;
    const char *model_path, *vae_path, *text_path;
} bench_setup;

typedef struct bench_phase {
    double ms;      /* median */
    double host_ms; /* of which the host needs to issue the work, waiting left out */
    double flop;    /* of the networks, 0 for phases without one */
} bench_phase;

typedef struct bench_result {
    bench_setup setup;
    char backend[16];
    bench_rates rates;
    bench_phase phase[BENCH_PHASES], total;
    bench_op_time ops[BENCH_OP_ROWS]; /* most time first */
    int op_rows;
    uint64_t weight_bytes, peak_bytes; /* on the device */
} bench_result;

SVR_CHECKED svr_status bench_run(const bench_setup *setup, bench_result *out, svr_error *err);

/* A stream of runs + 1 batches, the first of which is not counted. */
typedef struct bench_stream_result {
    bench_setup setup;
    char backend[16];
    double frames_per_second;   /* pushed to pulled, host memory to host memory */
    double phase[BENCH_PHASES]; /* ms of a batch, mean */
    double total;               /* their sum */
    uint64_t peak_bytes;
    svr_memory_plan plan;
    svr_memory_stats memory;        /* at the end */
    uint64_t device_free[2];        /* least and most behind a batch; 0: unknown */
    uint64_t copied_in, copied_out; /* a batch, mean */
    uint64_t checksum;              /* of all frames that came out */
} bench_stream_result;

/* svr_upscaler with frames of half the size in and the frames of the setup out, colours by Lab. */
SVR_CHECKED svr_status bench_stream_run(const bench_setup *setup, bench_stream_result *out,
                                        svr_error *err);

/* What both measure: I420 frames of half the output's size in. */
svr_video_info bench_input(const bench_setup *setup);
svr_video_info bench_output(const bench_setup *setup);

/* A moving texture of `frames` tightly packed frames: something for every phase to do.  g_free().
 */
uint8_t *bench_paint(const svr_video_info *info, int frames);

/* A table on stdout, or one line of JSON. */
void bench_print(const bench_result *result, bool json);
void bench_stream_print(const bench_stream_result *result, bool json);

#endif
