#include "bench.h"

#include <stdio.h>

/* Of activations, and how the transformer is quantised. */
static const char *bench_type_name(const bench_setup *setup)
{
    static const char *const quantised[][3] = {
        {[SVR_F32] = "f32+fp8", [SVR_F16] = "f16+fp8", [SVR_BF16] = "bf16+fp8"},
        {[SVR_F32] = "f32+int8", [SVR_F16] = "f16+int8", [SVR_BF16] = "bf16+int8"},
        {[SVR_F32] = "f32+int8-w8a8", [SVR_F16] = "f16+int8-w8a8", [SVR_BF16] = "bf16+int8-w8a8"},
        {[SVR_F32] = "f32 as stored", [SVR_F16] = "f16 as stored", [SVR_BF16] = "bf16 as stored"}};

    return setup->quantization < SVR_QUANTIZATION_FP8
               ? svr_dtype_name(setup->storage)
               : quantised[setup->quantization - SVR_QUANTIZATION_FP8][setup->storage];
}

/* `value` with two decimals as a share of `of`, or a dash. */
static void print_percent(double value, double of)
{
    if (value > 0 && of > 0)
        printf(" %6.1f", 100 * value / of);
    else
        printf(" %6s", "-");
}

static void print_number(double value, int width, int decimals)
{
    if (value > 0)
        printf(" %*.*f", width, decimals, value);
    else
        printf(" %*s", width, "-");
}

/* ------------------------------------------------------------------ phases and ops */

static void print_rates(const bench_rates *r)
{
    printf("rates: %.1f TFLOP/s product of %d^3, %.0f GB/s copy, %.1f GB/s up, %.1f GB/s down, "
           "page-locked %.1f GB/s in, %.1f GB/s out\n",
           r->gemm / 1e12, r->gemm_size, r->copy / 1e9, r->upload / 1e9, r->download / 1e9,
           r->in / 1e9, r->out / 1e9);
}

static void print_phase(const char *name, const bench_phase *p, const bench_result *r)
{
    double rate = p->flop / p->ms * 1e3;

    printf("%-9s %10.2f %9.2f", name, p->ms, p->host_ms);
    print_number(rate / 1e12, 9, 2);
    print_percent(rate, r->rates.gemm);
    printf(" %10.2f\n", p->ms / r->setup.frames);
}

static void print_phases(const bench_result *r)
{
    printf("%-9s %10s %9s %9s %6s %10s\n", "phase", "ms", "host ms", "TFLOP/s", "% gemm",
           "ms/frame");
    for (int i = 0; i < BENCH_PHASES; i++)
        print_phase(bench_phase_name((bench_phase_id) i), &r->phase[i], r);
    print_phase("total", &r->total, r);
}

static double all_ns(const bench_result *r)
{
    double sum = 0;

    for (int i = 0; i < r->op_rows; i++)
        sum += (double) r->ops[i].ns;
    return sum;
}

/* Rates of arithmetic for ops that compute, of memory for the others. */
static void print_op(const bench_op_time *op, const bench_result *r, double all)
{
    double seconds = (double) op->ns / 1e9;
    bool computes = op->cost.flop > 0;
    double flops = op->cost.flop / seconds, bytes = computes ? 0 : op->cost.bytes / seconds;

    printf("%-9s %-17s %6llu %10.3f %9.3f", bench_phase_name(op->phase), op->name,
           (unsigned long long) op->calls, (double) op->ns / 1e6, (double) op->host_ns / 1e6);
    print_percent((double) op->ns, all);
    print_number(flops / 1e12, 8, 2);
    print_percent(flops, r->rates.gemm);
    print_number(bytes / 1e9, 8, 1);
    print_percent(bytes, r->rates.copy);
    printf("\n");
}

static void print_ops(const bench_result *r)
{
    printf("\n%-9s %-17s %6s %10s %9s %6s %8s %6s %8s %6s\n", "phase", "op", "calls", "ms",
           "host ms", "share", "TFLOP/s", "% gemm", "GB/s", "% copy");
    for (int i = 0; i < r->op_rows; i++)
        print_op(&r->ops[i], r, all_ns(r));
}

static void print_table(const bench_result *r)
{
    printf("%s, %s, %dx%d, %d frames, %d runs\n", r->backend, bench_type_name(&r->setup),
           r->setup.width, r->setup.height, r->setup.frames, r->setup.runs);
    print_rates(&r->rates);
    print_phases(r);
    printf("%.3f frames/s, weights %.1f MB, peak %.1f MB\n", 1e3 * r->setup.frames / r->total.ms,
           (double) r->weight_bytes / 1e6, (double) r->peak_bytes / 1e6);
    print_ops(r);
}

/* ------------------------------------------------------------------ JSON */

static void json_setup(const bench_setup *s, const char *backend)
{
    printf("{\"backend\": \"%s\", \"dtype\": \"%s\", \"width\": %d, \"height\": %d, "
           "\"frames\": %d, \"threads\": %d, \"runs\": %d, ",
           backend, bench_type_name(s), s->width, s->height, s->frames, s->threads, s->runs);
}

static void json_phase(const char *name, const bench_phase *p)
{
    printf("\"%s\": {\"ms\": %.4f, \"host_ms\": %.4f, \"gflop\": %.3f}", name, p->ms, p->host_ms,
           p->flop / 1e9);
}

static void json_ops(const bench_result *r)
{
    printf("\"ops\": [");
    for (int i = 0; i < r->op_rows; i++) {
        const bench_op_time *op = &r->ops[i];

        printf("%s{\"phase\": \"%s\", \"op\": \"%s\", \"calls\": %llu, \"ms\": %.4f, "
               "\"host_ms\": %.4f, \"gflop\": %.3f, \"bytes\": %.0f}",
               i ? ", " : "", bench_phase_name(op->phase), op->name, (unsigned long long) op->calls,
               (double) op->ns / 1e6, (double) op->host_ns / 1e6, op->cost.flop / 1e9,
               op->cost.bytes);
    }
    printf("]");
}

static void print_json(const bench_result *r)
{
    json_setup(&r->setup, r->backend);
    printf("\"rates\": {\"gemm_size\": %d, \"gemm_gflops\": %.1f, \"copy_gbs\": %.2f, "
           "\"upload_gbs\": %.3f, \"download_gbs\": %.3f, \"in_gbs\": %.3f, "
           "\"out_gbs\": %.3f}, \"phases\": {",
           r->rates.gemm_size, r->rates.gemm / 1e9, r->rates.copy / 1e9, r->rates.upload / 1e9,
           r->rates.download / 1e9, r->rates.in / 1e9, r->rates.out / 1e9);
    for (int i = 0; i < BENCH_PHASES; i++) {
        json_phase(bench_phase_name((bench_phase_id) i), &r->phase[i]);
        printf(", ");
    }
    json_phase("total", &r->total);
    printf("}, ");
    json_ops(r);
    printf(", \"weight_bytes\": %llu, \"peak_bytes\": %llu}\n",
           (unsigned long long) r->weight_bytes, (unsigned long long) r->peak_bytes);
}

void bench_print(const bench_result *r, bool json)
{
    if (json)
        print_json(r);
    else
        print_table(r);
}

/* ------------------------------------------------------------------ streams */

static void stream_json(const bench_stream_result *r)
{
    json_setup(&r->setup, r->backend);
    printf("\"frames_per_second\": %.4f, \"phases\": {", r->frames_per_second);
    for (int i = 0; i < BENCH_PHASES; i++)
        printf("\"%s\": {\"ms\": %.4f}, ", bench_phase_name((bench_phase_id) i), r->phase[i]);
    printf("\"total\": {\"ms\": %.4f}}, \"peak_bytes\": %llu, \"predicted_peak_bytes\": %llu, "
           "\"budget_bytes\": %llu, \"streamed_blocks\": %d, \"state_on_host\": %s, "
           "\"parked_precision\": \"%s\", "
           "\"copied_in_bytes\": %llu, \"copied_out_bytes\": %llu, \"host_pinned_bytes\": %llu, "
           "\"device_free_drift_bytes\": %llu, \"checksum\": \"%016llx\"}\n",
           r->total, (unsigned long long) r->peak_bytes, (unsigned long long) r->plan.peak,
           (unsigned long long) r->plan.budget, r->plan.streamed_blocks,
           r->plan.state_on_host ? "true" : "false", svr_parked_precision_name(r->plan.parked),
           (unsigned long long) r->copied_in, (unsigned long long) r->copied_out,
           (unsigned long long) r->memory.host_pinned,
           (unsigned long long) (r->device_free[1] - r->device_free[0]),
           (unsigned long long) r->checksum);
}

static double gib(uint64_t bytes)
{
    return (double) bytes / (double) (1u << 30);
}

static void stream_memory(const bench_stream_result *r)
{
    const svr_memory_plan *p = &r->plan;

    printf("memory: peak %.3f GiB, planned %.3f (weights %.3f, state %.3f, scratch %.3f)",
           gib(r->peak_bytes), gib(p->peak), gib(p->weights), gib(p->state), gib(p->scratch));
    if (p->budget > 0)
        printf(", budget %.3f", gib(p->budget));
    printf("; page-locked %.3f GiB\n", gib(r->memory.host_pinned));
    printf("placement: %d of %d blocks streamed, VAE weights %s, %s tokens at a time, activations "
           "parked on the %s (%s)%s\n",
           p->streamed_blocks, p->blocks, p->vae_streamed ? "streamed" : "resident",
           p->token_chunk > 0 ? "some" : "all", p->state_on_host ? "host" : "device",
           svr_parked_precision_name(p->parked), p->tiled ? ", tiled" : "");
    printf(
        "copies: %.3f GiB in and %.3f out a batch; device free moved by %.1f MiB after the first "
        "batch\n",
        gib(r->copied_in), gib(r->copied_out), 1024.0 * gib(r->device_free[1] - r->device_free[0]));
    printf("checksum of the frames: %016llx\n", (unsigned long long) r->checksum);
}

static void stream_table(const bench_stream_result *r)
{
    printf("%s, %s, %dx%d, end to end: batches of %d, %d counted\n", r->backend,
           bench_type_name(&r->setup), r->setup.width, r->setup.height, r->setup.frames,
           r->setup.runs);
    printf("%-9s %10s %10s\n", "phase", "ms", "ms/frame");
    for (int i = 0; i < BENCH_PHASES; i++)
        printf("%-9s %10.2f %10.2f\n", bench_phase_name((bench_phase_id) i), r->phase[i],
               r->phase[i] / r->setup.frames);
    printf("%-9s %10.2f %10.2f\n", "total", r->total, r->total / r->setup.frames);
    printf("%.3f frames/s (%.3f by the phases alone), peak %.1f MB\n", r->frames_per_second,
           1e3 * r->setup.frames / r->total, (double) r->peak_bytes / 1e6);
    stream_memory(r);
}

void bench_stream_print(const bench_stream_result *r, bool json)
{
    if (json)
        stream_json(r);
    else
        stream_table(r);
}
