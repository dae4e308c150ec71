#include "cuda_conv_choice.h"

#include "base/checked.h"

#include <math.h>

enum { ALIGN_BYTES = 256, TIMED_LAUNCHES = 2, LARGEST_WORKSPACE_ON_90 = 192 << 20 };

/* cuDNN must be this much faster: less is noise, and its workspace is larger. */
static const double least_gain = 0.97;

/* A convolution on operands of its own.  The residual, where there is one, is y itself, as the
 * networks have it. */
typedef struct trial {
    svr_cuda_backend *b;
    svr_exec exec;
    const svr_cuda_dnn_shape *shape;
    svr_conv3d_args args;
    svr_tensor other_y; /* the result to compare with */
    void *block, *workspace;
    unsigned *different; /* on the device */
    cudaEvent_t begin, end;
} trial;

/* A way to compute it: a plan of cuDNN, or -1 for the own kernels. */
static svr_status run(trial *t, int plan, const svr_conv3d_args *args, svr_error *err)
{
    if (plan < 0)
        return svr_cuda_conv3d_own(&t->exec, args, t->workspace, err);
    return svr_cuda_conv3d_dnn(&t->exec, args, (svr_cuda_conv_plan){t->shape, plan}, t->workspace,
                               err);
}

/* ---- operands */

static size_t workspace_bytes(const trial *t)
{
    size_t most = svr_cuda_conv3d_own_workspace(t->b, &t->args);

    for (int i = 0; i < svr_cuda_dnn_plans(t->shape); i++) {
        size_t bytes = svr_cuda_conv3d_dnn_workspace(&t->args, (svr_cuda_conv_plan){t->shape, i});

        most = bytes > most ? bytes : most;
    }
    return most;
}

/* Lays the operands that are there out from `base` on; the bytes. */
static size_t place(trial *t, char *base)
{
    svr_tensor *const operands[] = {&t->args.x, &t->args.head, &t->args.recent,  &t->args.w,
                                    &t->args.b, &t->args.y,    &t->args.moments, &t->other_y};
    size_t at = 0;

    for (size_t i = 0; i < sizeof operands / sizeof operands[0]; i++) {
        if (!svr_tensor_present(operands[i]))
            continue;
        operands[i]->data = base + at;
        at += svr_align_up(svr_tensor_bytes(operands[i]), ALIGN_BYTES);
    }
    if (svr_tensor_present(&t->args.residual))
        t->args.residual = t->args.y;
    t->different = (unsigned *) (void *) (base + at);
    t->workspace = base + at + ALIGN_BYTES;
    return at + ALIGN_BYTES + workspace_bytes(t);
}

/* Values near 1, in sums too: what is compared then has the same size everywhere. */
static svr_status fill(trial *t, svr_error *err)
{
    const svr_conv3d_args *a = &t->args;
    cudaStream_t stream = t->b->stream;
    double terms = (double) (svr_tensor_elems(&a->w) / a->w.dims[0]);

    SVR_TRY(svr_cuda_fill_random(stream, &a->x, 1.0f, 1, err));
    SVR_TRY(svr_cuda_fill_random(stream, &a->head, 1.0f, 2, err));
    SVR_TRY(svr_cuda_fill_random(stream, &a->w, (float) (1.5 / sqrt(terms)), 3, err));
    SVR_TRY(svr_cuda_fill_random(stream, &a->b, 0.5f, 4, err));
    SVR_TRY(svr_cuda_fill_random(stream, &a->y, 1.0f, 5, err));
    SVR_TRY(svr_cuda_fill_random(stream, &a->recent, 1.0f, 6, err));
    return svr_cuda_fill_random(stream, &t->other_y, 1.0f, 5, err);
}

static svr_status begin(trial *t, svr_error *err)
{
    /* sizes do not depend on the base, so any will do to count */
    size_t bytes = place(t, (char *) t->args.y.data);

    SVR_TRY(svr_cuda_check(cudaMalloc(&t->block, bytes), "cudaMalloc", err));
    place(t, t->block);
    SVR_TRY(svr_cuda_check(cudaEventCreate(&t->begin), "cudaEventCreate", err));
    SVR_TRY(svr_cuda_check(cudaEventCreate(&t->end), "cudaEventCreate", err));
    return fill(t, err);
}

/* Waits first: what was launched may still use the block. */
static void finish(trial *t)
{
    (void) cudaStreamSynchronize(t->b->stream);
    if (t->end)
        (void) cudaEventDestroy(t->end);
    if (t->begin)
        (void) cudaEventDestroy(t->begin);
    if (t->block)
        (void) cudaFree(t->block);
    (void) cudaGetLastError(); /* of a trial, not of what comes next */
}

/* ---- timing and comparing */

static svr_status time_once(trial *t, int plan, float *ms, svr_error *err)
{
    SVR_TRY(svr_cuda_check(cudaEventRecord(t->begin, t->b->stream), "cudaEventRecord", err));
    SVR_TRY(run(t, plan, &t->args, err));
    SVR_TRY(svr_cuda_check(cudaEventRecord(t->end, t->b->stream), "cudaEventRecord", err));
    SVR_TRY(svr_cuda_check(cudaEventSynchronize(t->end), "measuring a convolution", err));
    return svr_cuda_check(cudaEventElapsedTime(ms, t->begin, t->end), "cudaEventElapsedTime", err);
}

/* The fastest of a few launches, after one that loads the kernel. */
static svr_status time_way(trial *t, int plan, int64_t *us, svr_error *err)
{
    float ms, best = HUGE_VALF;

    SVR_TRY(run(t, plan, &t->args, err));
    for (int i = 0; i < TIMED_LAUNCHES; i++) {
        SVR_TRY(time_once(t, plan, &ms, err));
        best = ms < best ? ms : best;
    }
    *us = (int64_t) (1e3 * (double) best) + 1;
    return SVR_OK;
}

/* Whether a plan computes what the own kernels compute.  Values stay below 8; two results may lie
 * on different sides of a rounding, and the bias is rounded: a bit more than a unit in the last
 * place. */
static svr_status compare(trial *t, int plan, bool *same, svr_error *err)
{
    float limit = t->args.x.dtype == SVR_BF16 ? 0x1p-4f : 0x1p-7f;
    cudaStream_t stream = t->b->stream;
    svr_conv3d_args other = t->args;
    unsigned count = 0;

    other.y = t->other_y;
    if (svr_tensor_present(&other.residual))
        other.residual = other.y;
    SVR_TRY(fill(t, err));
    SVR_TRY(run(t, -1, &t->args, err));
    SVR_TRY(run(t, plan, &other, err));
    SVR_TRY(svr_cuda_check(cudaMemsetAsync(t->different, 0, sizeof *t->different, stream),
                           "cudaMemset", err));
    SVR_TRY(svr_cuda_count_different(stream, &t->args.y, &t->other_y, limit, t->different, err));
    SVR_TRY(svr_cuda_check(
        cudaMemcpyAsync(&count, t->different, sizeof count, cudaMemcpyDeviceToHost, stream),
        "copy from the device", err));
    SVR_TRY(svr_cuda_check(cudaStreamSynchronize(stream), "comparing convolutions", err));
    *same = count == 0;
    if (count > 0)
        svr_log_write(&t->b->log, SVR_LOG_WARN, "conv",
                      "engine %lld of cuDNN has %u values of a convolution wrong and is not used",
                      (long long) svr_cuda_dnn_plan_engine(t->shape, plan), count);
    return SVR_OK;
}

/* Where the own kernels are nearly as fast, time saved is not worth large copies. */
static bool is_worth_it(const trial *t, const svr_conv_choice *choice, int plan)
{
    size_t bytes = svr_cuda_conv3d_dnn_workspace(&t->args, (svr_cuda_conv_plan){t->shape, plan});

    return (double) choice->dnn_us <= least_gain * (double) choice->own_us &&
           (t->b->capability != 90 || bytes <= LARGEST_WORKSPACE_ON_90);
}

static svr_status measure(trial *t, svr_conv_choice *choice, svr_error *err)
{
    int fastest = -1;
    bool same = false;

    SVR_TRY(begin(t, err));
    SVR_TRY(time_way(t, -1, &choice->own_us, err));
    for (int i = 0; i < svr_cuda_dnn_plans(t->shape); i++) {
        svr_error why = {.code = SVR_OK};
        int64_t us;

        /* a plan may turn out not to run: the others still can */
        if (time_way(t, i, &us, &why) != SVR_OK) {
            svr_log_write(&t->b->log, SVR_LOG_DEBUG, "conv", "plan %d: %s", i, why.text);
            (void) cudaGetLastError();
            continue;
        }
        if (fastest < 0 || us < choice->dnn_us) {
            fastest = i;
            choice->dnn_us = us;
        }
    }
    if (fastest < 0 || !is_worth_it(t, choice, fastest))
        return SVR_OK;
    SVR_TRY(compare(t, fastest, &same, err));
    if (same) {
        choice->plan = fastest;
        choice->engine = svr_cuda_dnn_plan_engine(t->shape, fastest);
    }
    return SVR_OK;
}

svr_conv_choice svr_cuda_conv_measure(svr_cuda_backend *b, const svr_conv3d_args *args,
                                      const svr_cuda_dnn_shape *shape)
{
    trial t = {
        .b = b, .exec = {.backend = &b->base}, .shape = shape, .args = *args, .other_y = args->y};
    svr_conv_choice choice = {.plan = -1, .engine = -1};
    svr_error why = {.code = SVR_OK};

    if (measure(&t, &choice, &why) != SVR_OK) {
        choice.for_now = true; /* the plan is set last, so it is the own kernels' still */
        svr_log_write(&b->log, SVR_LOG_DEBUG, "conv", "not measured: %s", why.text);
    }
    finish(&t);
    return choice;
}
