/* What the CPU backend does besides computing: limits, failures on request, cancelling, refusals,
 * and the elementary functions of its loops. */
#include "check.h"
#include "cpu/cpu_backend.h"
#include "cpu/cpu_simd.h"
#include "random.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

static svr_backend *open_backend(svr_cpu_options options)
{
    svr_error err = {.code = SVR_OK};
    svr_backend *backend = NULL;

    CHECK_OK(svr_cpu_backend_create(&options, &backend, &err), err);
    return backend;
}

/* ---------------------------------------------------------------------------- memory */

static void test_memory(void)
{
    svr_error err = {.code = SVR_OK};
    svr_backend *backend = open_backend((svr_cpu_options){.threads = 1});
    const char text[] = "there and back";
    char back[sizeof text];
    void *a = NULL;

    CHECK_OK(svr_backend_alloc(backend, SVR_MEM_STATE, sizeof text, &a, &err), err);
    CHECK((uintptr_t) a % 256 == 0);
    CHECK_OK(svr_backend_upload(backend, a, text, sizeof text, &err), err);
    CHECK_OK(svr_backend_download(backend, back, a, sizeof text, &err), err);
    CHECK_TEXT(back, text);
    CHECK(svr_backend_memory(backend).live[SVR_MEM_STATE] == sizeof text);
    svr_backend_free(backend, SVR_MEM_STATE, sizeof text, a);
    CHECK(svr_backend_memory(backend).live_total == 0);
    CHECK(backend->vtable->weight_dtype(backend, SVR_BF16) == SVR_F32);
    svr_backend_destroy(backend);
}

static void test_memory_limit(void)
{
    svr_error err = {.code = SVR_OK};
    svr_backend *backend = open_backend((svr_cpu_options){.memory_limit_bytes = 1000});
    void *a = NULL, *b = NULL;

    CHECK_OK(svr_backend_alloc(backend, SVR_MEM_WEIGHTS, 600, &a, &err), err);
    CHECK(svr_backend_alloc(backend, SVR_MEM_SCRATCH, 401, &b, &err) == SVR_ERR_NO_MEM);
    CHECK_TEXT(err.text, "600 of at most 1000");
    svr_error_clear(&err);
    CHECK_FAILS(svr_backend_alloc(backend, SVR_MEM_SCRATCH, SIZE_MAX - 300, &b, &err),
                SVR_ERR_NO_MEM, err);
    CHECK_OK(svr_backend_alloc(backend, SVR_MEM_SCRATCH, 400, &b, &err), err);
    svr_backend_free(backend, SVR_MEM_WEIGHTS, 600, a);
    CHECK_OK(svr_backend_alloc(backend, SVR_MEM_WEIGHTS, 600, &a, &err), err);
    svr_backend_free(backend, SVR_MEM_WEIGHTS, 600, a);
    svr_backend_free(backend, SVR_MEM_SCRATCH, 400, b);
    svr_backend_destroy(backend);
}

static void test_failing_allocation(void)
{
    svr_error err = {.code = SVR_OK};
    svr_backend *backend = open_backend((svr_cpu_options){.fail_allocation = 2});
    void *memory[3] = {NULL};

    CHECK_OK(svr_backend_alloc(backend, SVR_MEM_SCRATCH, 10, &memory[0], &err), err);
    CHECK_FAILS(svr_backend_alloc(backend, SVR_MEM_SCRATCH, 10, &memory[1], &err), SVR_ERR_NO_MEM,
                err);
    CHECK_OK(svr_backend_alloc(backend, SVR_MEM_SCRATCH, 10, &memory[2], &err), err);
    svr_backend_free(backend, SVR_MEM_SCRATCH, 10, memory[0]);
    svr_backend_free(backend, SVR_MEM_SCRATCH, 10, memory[2]);
    svr_backend_destroy(backend);
}

static void test_unknown_instructions(void)
{
    svr_error err = {.code = SVR_OK};
    svr_backend *backend = NULL;

    CHECK_FAILS(svr_cpu_backend_create(&(svr_cpu_options){.instructions = "z80"}, &backend, &err),
                SVR_ERR_UNSUPPORTED, err);
    CHECK(backend == NULL);
}

/* ---------------------------------------------------------------------------- running ops */

/* A small convolution with everything it needs. */
typedef struct conv_rig {
    svr_exec exec;
    svr_conv3d_args args;
    float x[4 * 8 * 16], w[64 * 16], y[4 * 8 * 64];
} conv_rig;

enum { RIG_SCRATCH = 1 << 20 };

static void rig_open(conv_rig *rig, svr_backend *backend, void *scratch)
{
    *rig = (conv_rig){.exec = {.backend = backend}};
    rig->exec.scratch = svr_scratch_create(scratch, RIG_SCRATCH);
    CHECK(rig->exec.scratch != NULL);
    rig->args.x = svr_tensor_4d(rig->x, SVR_F32, 1, 4, 8, 16);
    rig->args.w = (svr_tensor){.data = rig->w, .rank = 5, .dims = {64, 1, 1, 1, 16}};
    rig->args.y = svr_tensor_4d(rig->y, SVR_F32, 1, 4, 8, 64);
    rig->args.stride_t = rig->args.stride_s = 1;
}

static void test_cancel_and_refusals(void)
{
    svr_error err = {.code = SVR_OK};
    svr_backend *backend = open_backend((svr_cpu_options){.threads = 2});
    svr_cancel *cancel = svr_cancel_create();
    static conv_rig rig;
    void *scratch = NULL;

    CHECK_OK(svr_backend_alloc(backend, SVR_MEM_SCRATCH, RIG_SCRATCH, &scratch, &err), err);
    rig_open(&rig, backend, scratch);
    CHECK_OK(svr_op_conv3d(&rig.exec, &rig.args, &err), err);
    rig.exec.cancel = cancel;
    CHECK_OK(svr_op_conv3d(&rig.exec, &rig.args, &err), err);
    svr_cancel_set(cancel, true);
    rig.y[0] = 7;
    CHECK_FAILS(svr_op_conv3d(&rig.exec, &rig.args, &err), SVR_ERR_CANCELLED, err);
    CHECK(rig.y[0] == 7); /* nothing was computed */
    svr_scratch_reset(rig.exec.scratch);
    svr_cancel_set(cancel, false);
    rig.args.w.dtype = SVR_F16;
    CHECK(svr_op_conv3d(&rig.exec, &rig.args, &err) == SVR_ERR_UNSUPPORTED);
    CHECK_TEXT(err.text, "f16");
    svr_error_clear(&err);
    svr_scratch_destroy(rig.exec.scratch);
    svr_backend_free(backend, SVR_MEM_SCRATCH, RIG_SCRATCH, scratch);
    svr_cancel_destroy(cancel);
    svr_backend_destroy(backend);
}

/* Kernels of more rows than a tile can list are refused, not cut off. */
static void test_huge_kernel(void)
{
    svr_error err = {.code = SVR_OK};
    svr_backend *backend = open_backend((svr_cpu_options){.threads = 1});
    static conv_rig rig;
    void *scratch = NULL;

    CHECK_OK(svr_backend_alloc(backend, SVR_MEM_SCRATCH, RIG_SCRATCH, &scratch, &err), err);
    rig_open(&rig, backend, scratch);
    rig.args.x = svr_tensor_4d(rig.x, SVR_F32, 1, 65, 1, 1);
    rig.args.w = (svr_tensor){.data = rig.w, .rank = 5, .dims = {1, 1, 65, 1, 1}};
    rig.args.y = svr_tensor_4d(rig.y, SVR_F32, 1, 1, 1, 1);
    CHECK_FAILS(svr_op_conv3d(&rig.exec, &rig.args, &err), SVR_ERR_UNSUPPORTED, err);
    svr_scratch_destroy(rig.exec.scratch);
    svr_backend_free(backend, SVR_MEM_SCRATCH, RIG_SCRATCH, scratch);
    svr_backend_destroy(backend);
}

/* ---------------------------------------------------------------------------- loops */

enum { VALUES = 20011 };

/* Error of got in units in the last place of want. */
static double ulps(float got, double want)
{
    int exponent;

    frexp(want, &exponent);
    return fabs((double) got - want) / ldexp(1, exponent - 24);
}

static void check_softmax(const svr_cpu_simd *simd)
{
    static float x[VALUES];
    double sum = 0, worst = 0;
    float got;

    for (int i = 0; i < VALUES; i++)
        x[i] = -80.0f * (float) i / VALUES;
    got = simd->softmax(x, VALUES, 1.0f);
    for (int i = 0; i < VALUES; i++) {
        double want = exp((double) (-80.0f * (float) i / VALUES));

        worst = fmax(worst, ulps(x[i], want));
        sum += want;
    }
    CHECK(worst < 1.5);
    CHECK_NEAR(got / sum, 1, 1e-6);
    x[0] = 3;
    CHECK(simd->softmax(x, 1, 0.5f) == 1 && x[0] == 1);
    x[0] = -1e30f, x[1] = 0, x[2] = -INFINITY;
    CHECK(simd->softmax(x, 3, 1.0f) == 1 && x[1] == 1 && x[0] < 1e-37f && x[2] < 1e-37f);
}

static void check_activations(const svr_cpu_simd *simd)
{
    static float x[VALUES], silu[VALUES], gelu[VALUES];

    for (int i = 0; i < VALUES; i++)
        x[i] = silu[i] = gelu[i] = 60.0f * ((float) i / VALUES - 0.5f);
    simd->activate(silu, VALUES, SVR_ACT_SILU);
    simd->activate(gelu, VALUES, SVR_ACT_GELU_TANH);
    for (int i = 0; i < VALUES; i++) {
        double v = (double) x[i], cubic = 0.7978845608028654 * (v + 0.044715 * v * v * v);

        CHECK(ulps(silu[i], v / (1 + exp(-v))) < 4 || x[i] == 0);
        CHECK_NEAR(gelu[i], 0.5 * v * (1 + tanh(cubic)), 4e-7 * fmax(1, fabs(v)));
    }
}

static void check_special_values(const svr_cpu_simd *simd)
{
    float x[6] = {200, -200, 0, NAN, INFINITY, 1e30f};

    simd->activate(x, 6, SVR_ACT_SILU);
    CHECK(x[0] == 200 && x[1] <= 0 && x[1] > -1e-30f && x[2] == 0);
    CHECK(isnan(x[3]) && x[4] == INFINITY && x[5] == 1e30f);
}

static void test_loops(void)
{
    const svr_cpu_simd *list[4];

    svr_cpu_simd_usable(list);
    CHECK(list[0] != NULL);
    for (int i = 0; list[i]; i++) {
        check_softmax(list[i]);
        check_activations(list[i]);
        check_special_values(list[i]);
    }
}

int main(void)
{
    RUN(test_memory);
    RUN(test_memory_limit);
    RUN(test_failing_allocation);
    RUN(test_unknown_instructions);
    RUN(test_cancel_and_refusals);
    RUN(test_huge_kernel);
    RUN(test_loops);
    return check_done();
}
