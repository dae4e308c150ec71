/* Timing of one batch through the pipeline's phases, and the arithmetic that it takes. */
#ifndef SEEDVR2_BENCH_H
#define SEEDVR2_BENCH_H

#include "pipeline/upscaler.h"

typedef enum bench_phase_id {
    BENCH_ENCODE,
    BENCH_DIT,
    BENCH_DECODE,
    BENCH_FINISH,
    BENCH_TOTAL,
    BENCH_PHASES
} bench_phase_id;

typedef struct bench_setup {
    svr_backend_kind backend;
    svr_dtype storage;
    svr_quantization quantization;
    int threads;               /* CPU: 0 = all */
    int width, height, frames; /* of the output */
    int runs;                  /* counted ones */
    const char *model_path, *vae_path, *text_path;
} bench_setup;

typedef struct bench_phase {
    double ms;   /* median */
    double flop; /* multiply-adds count two; of the networks, 0 for phases without one */
} bench_phase;

typedef struct bench_result {
    bench_setup setup;
    char backend[16];
    bench_phase phase[BENCH_PHASES];
    uint64_t weight_bytes, peak_bytes; /* on the device */
} bench_result;

/* "encode", "dit", "decode", "finish", "total". */
const char *bench_phase_name(bench_phase_id id);

SVR_CHECKED svr_status bench_run(const bench_setup *setup, bench_result *out, svr_error *err);

#endif
