/* Timesteps, guidance and Euler steps against the reference's loop with given velocities.
 *   test_sampler DATA_DIR */
#include "dit/sampler.h"

#include "check.h"
#include "fixture.h"
#include "lazy_queues.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOKENS = 60, CHANNELS = 16, STEP_ELEMS = TOKENS * CHANNELS };

static const double tolerance = 2e-6;
static const char *data_dir;

static double max_difference(const float *a, const float *b, size_t n)
{
    double largest = 0.0;

    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, fabs((double) a[i] - b[i]));
    return largest;
}

/* Plays back the velocities of a golden run and checks what it is asked. */
typedef struct playback {
    device *device;
    float *v_pos, *v_neg, *v_comb, *x_t, *timesteps;
    int positive, negative, combined; /* calls so far */
    int steps;                        /* by the points that were told */
    svr_point last;
} playback;

/* Points come in the order of a step; the one of the negative pass only behind one. */
static void check_point(void *user, svr_point point)
{
    playback *p = user;

    switch (point) {
    case SVR_POINT_STEP_BEGIN:
        CHECK(p->steps == 0 || p->last == SVR_POINT_STEP_END);
        break;
    case SVR_POINT_POSITIVE_DONE:
        CHECK(p->last == SVR_POINT_STEP_BEGIN && p->positive == p->steps + 1);
        break;
    case SVR_POINT_NEGATIVE_DONE:
        CHECK(p->last == SVR_POINT_POSITIVE_DONE && p->negative > 0);
        break;
    default:
        CHECK(point == SVR_POINT_STEP_END && p->combined == p->steps + 1);
        CHECK(p->last == SVR_POINT_POSITIVE_DONE || p->last == SVR_POINT_NEGATIVE_DONE);
        p->steps++;
    }
    p->last = point;
}

static void give(playback *p, const float *values, const svr_tensor *v)
{
    svr_error err = {0};

    CHECK(v->dtype == SVR_F32 && svr_tensor_elems(v) == STEP_ELEMS);
    CHECK_OK(svr_backend_upload(p->device->backend, v->data, values, svr_tensor_bytes(v), &err),
             err);
}

static svr_status predict(void *user, svr_exec *exec, const svr_prediction *asked, svr_error *err)
{
    playback *p = user;
    int step = asked->negative ? p->positive - 1 : p->positive;

    (void) exec;
    (void) err;
    float *x = device_floats(p->device, asked->x_t);
    CHECK(max_difference(x, p->x_t + step * STEP_ELEMS, STEP_ELEMS) <= tolerance);
    free(x);
    CHECK_NEAR(asked->timestep, p->timesteps[step], 1e-4);
    give(p, (asked->negative ? p->v_neg : p->v_pos) + step * STEP_ELEMS, asked->v);
    p->positive += !asked->negative;
    p->negative += asked->negative;
    return SVR_OK;
}

static svr_status check_combined(void *user, const char *name, const svr_tensor *value,
                                 svr_error *err)
{
    playback *p = user;

    (void) err;
    CHECK(strcmp(name, "v_comb") == 0);
    float *got = device_floats(p->device, value);
    CHECK(max_difference(got, p->v_comb + p->combined * STEP_ELEMS, STEP_ELEMS) <= tolerance);
    free(got);
    p->combined++;
    return SVR_OK;
}

static float *field(const svr_safetensors *file, int run, const char *name)
{
    char text[64];

    snprintf(text, sizeof(text), "c%d.%s", run, name);
    return golden_floats(file, text, NULL);
}

static void playback_open(playback *p, device *d, const svr_safetensors *file, int run)
{
    *p = (playback){.device = d,
                    .v_pos = field(file, run, "v_pos"),
                    .v_neg = field(file, run, "v_neg"),
                    .v_comb = field(file, run, "v_comb"),
                    .x_t = field(file, run, "x_t"),
                    .timesteps = field(file, run, "timesteps")};
}

static void playback_close(playback *p)
{
    free(p->v_pos);
    free(p->v_neg);
    free(p->v_comb);
    free(p->x_t);
    free(p->timesteps);
}

/* The file says -1 where partial guidance is off. */
static svr_sampler_config read_config(const svr_safetensors *file, int run)
{
    float *params = field(file, run, "params");
    svr_sampler_config config = {.steps = (int) params[0],
                                 .cfg_scale = params[1],
                                 .cfg_rescale = params[2],
                                 .cfg_partial = params[3] < 0 ? 1.0 : params[3]};

    free(params);
    return config;
}

/* One run, its x_0 to got [STEP_ELEMS]. */
static void run_golden(device *d, const svr_safetensors *file, int run, bool park, float *got)
{
    svr_error err = {0};
    playback p;
    svr_sampler_config config = read_config(file, run);
    svr_predictor predictor = {&p, predict};
    float *start = field(file, run, "x_T"), *want = field(file, run, "x_0");
    /* guidance in run 4 is for the first half only */
    static const int negatives[] = {0, 1, 1, 0, 2};
    svr_tensor x = device_tensor(d, SVR_F32, SVR_DIMS(TOKENS, CHANNELS), start);

    config.park_on_host = park;
    playback_open(&p, d, file, run);
    d->exec.tap = check_combined;
    d->exec.tap_user = &p;
    d->exec.note = check_point;
    d->exec.note_user = &p;
    CHECK_OK(svr_sampler_run(&d->exec, &config, &predictor, &x, &err), err);
    float *x_0 = device_floats(d, &x);
    memcpy(got, x_0, STEP_ELEMS * sizeof(float));
    CHECK(max_difference(got, want, STEP_ELEMS) <= tolerance);
    CHECK(p.positive == config.steps && p.combined == config.steps && p.negative == negatives[run]);
    CHECK(p.steps == config.steps);
    svr_exec_free(&d->exec, &x);
    CHECK(svr_scratch_live(d->scratch) == 0);
    playback_close(&p);
    free(start);
    free(want);
    free(x_0);
}

enum { RUNS = 5, NEGATIVES = 4 /* of all runs */ };

static void test_golden_runs(void)
{
    device d;
    svr_safetensors *file = golden_open(data_dir, "pipe_sampler");
    float got[STEP_ELEMS];

    device_open(&d);
    for (int run = 0; run < RUNS; run++)
        run_golden(&d, file, run, false, got);
    CHECK(svr_backend_memory(d.backend).copied_out == 0);
    device_close(&d);
    svr_safetensors_close(file);
}

/* Parking moves each guided velocity out and in once and changes nothing. */
static void test_parked_runs(void)
{
    enum { VELOCITY = STEP_ELEMS * sizeof(float) };
    svr_error err = {0};
    device d;
    svr_safetensors *file = golden_open(data_dir, "pipe_sampler");
    float want[STEP_ELEMS], got[STEP_ELEMS];
    void *memory;

    device_open(&d);
    CHECK_OK(svr_backend_host_alloc(d.backend, VELOCITY, &memory, &err), err);
    lazy_queues_install(d.backend);
    d.exec.host = svr_scratch_create(memory, VELOCITY);
    CHECK(d.exec.host != NULL);
    for (int run = 0; run < RUNS; run++) {
        run_golden(&d, file, run, false, want);
        run_golden(&d, file, run, true, got);
        CHECK(memcmp(got, want, sizeof want) == 0);
        CHECK(svr_scratch_live(d.exec.host) == 0);
    }
    CHECK(lazy_queues_pending() == 0);
    svr_memory_use use = svr_backend_memory(d.backend);
    CHECK(use.copied_out == NEGATIVES * VELOCITY && use.copied_in == NEGATIVES * VELOCITY);
    svr_scratch_destroy(d.exec.host);
    svr_backend_host_free(d.backend, VELOCITY, memory);
    device_close(&d);
    svr_safetensors_close(file);
}

static svr_status give_constant(void *user, svr_exec *exec, const svr_prediction *asked,
                                svr_error *err)
{
    (void) exec;
    (void) err;
    CHECK(asked->timestep == 1000.0f && !asked->negative);
    give(user, ((playback *) user)->v_pos, asked->v);
    return SVR_OK;
}

/* One bf16 step: rounded once where x is bf16, not at all where it is F32. */
static void check_bf16_step(device *d, const svr_safetensors *file, svr_dtype dtype,
                            const char *result)
{
    svr_error err = {0};
    playback p = {.device = d, .v_pos = golden_floats(file, "bf16.v", NULL)};
    float *start = golden_floats(file, "bf16.x_T", NULL);
    float *want = golden_floats(file, result, NULL);
    svr_tensor x = device_tensor(d, dtype, SVR_DIMS(TOKENS, CHANNELS), start);
    svr_predictor predictor = {&p, give_constant};
    svr_sampler_config config = {.steps = 1, .cfg_scale = 1.0, .cfg_partial = 1.0};

    CHECK_OK(svr_sampler_run(&d->exec, &config, &predictor, &x, &err), err);
    float *got = device_floats(d, &x);
    CHECK(memcmp(got, want, STEP_ELEMS * sizeof(float)) == 0);
    svr_exec_free(&d->exec, &x);
    free(p.v_pos);
    free(start);
    free(want);
    free(got);
}

static void test_bf16_step(void)
{
    device d;
    svr_safetensors *file = golden_open(data_dir, "pipe_sampler");

    device_open(&d);
    check_bf16_step(&d, file, SVR_BF16, "bf16.x_0_numz");
    check_bf16_step(&d, file, SVR_F32, "bf16.x_0_bytedance");
    device_close(&d);
    svr_safetensors_close(file);
}

static void test_timesteps(void)
{
    float t[50];

    svr_sampler_timesteps(1, t);
    CHECK(t[0] == 1000.0f);
    svr_sampler_timesteps(50, t);
    CHECK(t[0] == 1000.0f);
    CHECK_NEAR(t[1], 980.0, 1e-4);
    CHECK_NEAR(t[49], 20.0, 1e-4);
    /* as torch.arange(1, 0, -1 / steps) * 1000 gives them, which rounds more than once */
    CHECK(t[10] == 799.9999389648438f);
    svr_sampler_timesteps(17, t);
    CHECK(t[15] == 117.64708709716797f);
    svr_sampler_timesteps(20, t);
    CHECK(t[15] == 250.00003051757812f);
    svr_sampler_timesteps(33, t);
    CHECK(t[31] == 60.60607147216797f);
}

static void test_timestep_transform(void)
{
    svr_safetensors *file = golden_open(data_dir, "pipe_tables");
    int latent[8][3];
    size_t count;
    float *t = golden_floats(file, "tt.t", &count);
    float *want = golden_floats(file, "tt.out", NULL);

    CHECK(count == 8);
    golden_ints(file, "tt.latent_thw", latent[0], 24);
    for (int shape = 0; shape < 8; shape++) {
        for (int i = 0; i < 8; i++)
            CHECK_NEAR(svr_timestep_transform(t[i], latent[shape]), want[shape * 8 + i], 2e-4);
    }
    free(t);
    free(want);
    svr_safetensors_close(file);
}

static void test_bad_options(void)
{
    device d;
    svr_error err = {0};
    float zeros[STEP_ELEMS] = {0};
    svr_predictor predictor = {NULL, give_constant};
    const svr_sampler_config bad[] = {
        {0, 1.0, 0.0, 1.0, false}, {SVR_MAX_STEPS + 1, 1.0, 0.0, 1.0, false},
        {1, NAN, 0.0, 1.0, false}, {1, 1.0, INFINITY, 1.0, false},
        {1, 1.0, 0.0, NAN, false},
    };

    device_open(&d);
    svr_tensor x = device_tensor(&d, SVR_F32, SVR_DIMS(TOKENS, CHANNELS), zeros);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CHECK_FAILS(svr_sampler_run(&d.exec, &bad[i], &predictor, &x, &err), SVR_ERR_INVALID, err);
    device_close(&d);
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    data_dir = argv[1];
    RUN(test_golden_runs);
    RUN(test_parked_runs);
    RUN(test_bf16_step);
    RUN(test_timesteps);
    RUN(test_timestep_transform);
    RUN(test_bad_options);
    return check_done();
}
