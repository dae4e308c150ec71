/* fp16 that overflows: the batch is made again in bf16, the stream goes on, nothing is lost. */
#include "fake_networks.h"
#include "pipeline/upscaler.h"
#include "rig.h"

#include "check.h"
#include "loud_vae.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { W = 32, H = 24, COUNT = 11, FRAME = W * H * 3 };

static const char *model_dir;

/* ------------------------------------------------------------------ a stream */

/* What overflows: the n-th prediction or, in its last value, the n-th picture; 0: none. */
typedef struct mishap {
    int prediction, picture;
} mishap;

static svr_stream_options options_of(int batch, int overlap)
{
    svr_size_plan sizes = svr_size_plan_exact((svr_size){W, H}, 16);
    svr_stream_options o = rig_options((svr_size){W, H}, &sizes);

    o.temporal = svr_temporal_plan_make(batch, overlap, 0);
    return o;
}

/* The sequence with a mishap; frames come once and in order all the same.  The caller frees. */
static uint8_t *run_stream(const uint8_t *frames, int overlap, mishap at)
{
    svr_stream_options o = options_of(5, overlap);
    rig_sequence s = {.frames = frames,
                      .frame_bytes = FRAME,
                      .out_elems = FRAME,
                      .count = COUNT,
                      .bytes = malloc((size_t) COUNT * FRAME)};
    svr_backend *backend = rig_backend(0);
    svr_stream *stream = NULL;
    fake_networks fake;
    svr_error err = {0};

    CHECK(s.bytes != NULL);
    fake_networks_init(&fake, FAKE_GOLDEN);
    fake.overflow_at = at.prediction;
    fake.nan_at = at.picture;
    CHECK_OK(svr_stream_create(backend, &fake.networks, &o, NULL, &stream, &err), err);
    CHECK_OK(rig_run(stream, backend, &o.temporal, 0, &s, &err), err);
    CHECK(s.overflows == (at.prediction + at.picture > 0));
    CHECK(svr_stream_scratch_peak(stream) <= svr_stream_plan(stream)->scratch);
    svr_stream_destroy(stream);
    CHECK(svr_backend_memory(backend).live_total == 0);
    svr_backend_destroy(backend);
    rig_sequence_finish(&s);
    return s.bytes;
}

/* The second batch shares frames with the first, which a failed try must leave as they were, also
 * where only the last value of a batch tells that it failed. */
static void test_a_batch_can_be_tried_again(void)
{
    uint8_t frames[COUNT * FRAME];

    for (size_t i = 0; i < sizeof frames; i++)
        frames[i] = (uint8_t) (i * 2654435761u >> 13);
    for (int overlap = 0; overlap <= 4; overlap += 2) {
        uint8_t *want = run_stream(frames, overlap, (mishap){0, 0});

        for (int i = 0; i < 6; i++) {
            mishap at = i < 3 ? (mishap){i + 1, 0} : (mishap){0, i - 2};
            uint8_t *got = run_stream(frames, overlap, at);

            CHECK(memcmp(got, want, (size_t) COUNT * FRAME) == 0);
            free(got);
        }
        free(want);
    }
}

/* ------------------------------------------------------------------ a model */

typedef struct seen_events {
    atomic_int widened;
    atomic_ullong frame;
    _Atomic(svr_upscaler *) cancelled; /* is cancelled once, when it loads weights */
} seen_events;

static void see(void *user, const svr_event *event)
{
    seen_events *seen = user;
    svr_upscaler *u =
        event->kind == SVR_EVENT_LOADING ? atomic_exchange(&seen->cancelled, NULL) : NULL;

    if (u)
        svr_upscaler_cancel(u);
    if (event->kind != SVR_EVENT_WIDENED)
        return;
    atomic_fetch_add(&seen->widened, 1);
    atomic_store(&seen->frame, event->first_frame);
    CHECK(event->stats.storage == SVR_BF16);
}

static void push_frame(svr_upscaler *u, int number)
{
    uint8_t data[FRAME];
    svr_frame frame = {.plane = {data}, .stride = {W * 3}};
    svr_error err = {0};

    for (int i = 0; i < FRAME; i++)
        data[i] = (uint8_t) (60 + (i / 3 % W * 5 + number * 9 + i / (W * 3) * 3) % 120);
    CHECK_OK(svr_upscaler_push(u, &frame, &err), err);
}

static svr_upscaler *open_model(const char *vae, svr_precision precision, seen_events *seen)
{
    char dit[512];
    svr_upscaler_options options;
    svr_stream_config c;
    svr_upscaler *u = NULL;
    svr_error err = {0};

    snprintf(dit, sizeof dit, "%s/nano_dit.safetensors", model_dir);
    svr_upscaler_options_init(&options);
    options.backend = SVR_BACKEND_CPU;
    options.threads = 1;
    options.model_path = dit;
    options.vae_path = vae;
    options.precision = precision;
    options.event = see;
    options.event_user = seen;
    CHECK_OK(svr_upscaler_create(&options, &u, &err), err);
    svr_stream_config_init(&c);
    c.in = c.out = (svr_video_info){.format = SVR_PIXEL_RGB, .width = W, .height = H};
    c.temporal_overlap = 2;
    CHECK_OK(svr_upscaler_configure(u, &c, &err), err);
    return u;
}

static void run_frames(svr_upscaler *u, uint8_t *out)
{
    svr_error err = {0};
    bool got = true;

    for (int i = 0; i < COUNT; i++)
        push_frame(u, i);
    CHECK_OK(svr_upscaler_drain(u, &err), err);
    for (int i = 0; i < COUNT; i++) {
        svr_frame frame = {.plane = {out + (size_t) i * FRAME}, .stride = {W * 3}};

        CHECK_OK(svr_upscaler_pull(u, &frame, true, &got, &err), err);
        CHECK(got);
    }
}

/* All frames of a run with `precision`; *widened says how often it fell back. */
static void run_model(const char *vae, svr_precision precision, uint8_t *out, int *widened)
{
    seen_events seen = {0, 99, NULL};
    svr_upscaler *u = open_model(vae, precision, &seen);

    run_frames(u, out);
    svr_upscaler_destroy(u);
    *widened = atomic_load(&seen.widened);
    CHECK(*widened == 0 || atomic_load(&seen.frame) == 0);
}

static void test_fp16_falls_back_to_bf16(void)
{
    char quiet[512], loud[] = "loud_vae.safetensors";
    uint8_t *want = malloc((size_t) COUNT * FRAME), *got = malloc((size_t) COUNT * FRAME);
    int widened;

    CHECK(want && got);
    snprintf(quiet, sizeof quiet, "%s/nano_vae.safetensors", model_dir);
    run_model(quiet, SVR_PRECISION_FP16, want, &widened);
    CHECK(widened == 0);
    test_write_loud_vae(quiet, loud);
    run_model(loud, SVR_PRECISION_BF16, want, &widened);
    CHECK(widened == 0);
    run_model(loud, SVR_PRECISION_FP16, got, &widened);
    CHECK(widened == 1);
    CHECK(memcmp(got, want, (size_t) COUNT * FRAME) == 0);
    remove(loud);
    free(want);
    free(got);
}

/* As by a flush: the weights of fp16 are gone then, those of bf16 not all there. */
static void test_a_fall_back_that_was_cancelled_is_made_up_for(void)
{
    char quiet[512], loud[] = "loud_vae_cancelled.safetensors";
    uint8_t *want = malloc((size_t) COUNT * FRAME), *out = malloc((size_t) COUNT * FRAME);
    svr_frame frame = {.plane = {out}, .stride = {W * 3}};
    seen_events seen = {0, 99, NULL};
    svr_error err = {0};
    svr_upscaler *u;
    int widened;
    bool got;

    CHECK(want && out);
    snprintf(quiet, sizeof quiet, "%s/nano_vae.safetensors", model_dir);
    test_write_loud_vae(quiet, loud);
    run_model(loud, SVR_PRECISION_BF16, want, &widened);
    u = open_model(loud, SVR_PRECISION_FP16, &seen);
    atomic_store(&seen.cancelled, u);
    for (int i = 0; i < 5; i++)
        push_frame(u, i);
    CHECK_FAILS(svr_upscaler_pull(u, &frame, true, &got, &err), SVR_ERR_CANCELLED, err);
    CHECK(atomic_load(&seen.cancelled) == NULL && atomic_load(&seen.widened) == 0);
    svr_upscaler_reset(u);
    run_frames(u, out);
    CHECK(atomic_load(&seen.widened) == 1);
    CHECK(memcmp(out, want, (size_t) COUNT * FRAME) == 0);
    svr_upscaler_destroy(u);
    remove(loud);
    free(want);
    free(out);
}

/* Without a model to load again there is no way on: one error, no endless retries. */
static void test_overflow_without_a_wider_type_is_an_error(void)
{
    uint8_t data[FRAME];
    svr_frame frame = {.plane = {data}, .stride = {W * 3}};
    svr_upscaler_options options;
    svr_stream_config c;
    svr_upscaler *u = NULL;
    fake_networks fake;
    svr_error err = {0};
    bool got;

    fake_networks_init(&fake, FAKE_GOLDEN);
    fake.overflow_at = 1;
    svr_upscaler_options_init(&options);
    options.backend = SVR_BACKEND_CPU;
    options.networks = &fake.networks;
    CHECK_OK(svr_upscaler_create(&options, &u, &err), err);
    svr_stream_config_init(&c);
    c.in = c.out = (svr_video_info){.format = SVR_PIXEL_RGB, .width = W, .height = H};
    CHECK_OK(svr_upscaler_configure(u, &c, &err), err);
    push_frame(u, 0);
    CHECK_OK(svr_upscaler_drain(u, &err), err);
    CHECK_FAILS(svr_upscaler_pull(u, &frame, true, &got, &err), SVR_ERR_OVERFLOW, err);
    CHECK(fake.predictions == 1);
    svr_upscaler_destroy(u);
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    model_dir = argv[1];
    RUN(test_a_batch_can_be_tried_again);
    RUN(test_fp16_falls_back_to_bf16);
    RUN(test_a_fall_back_that_was_cancelled_is_made_up_for);
    RUN(test_overflow_without_a_wider_type_is_an_error);
    return check_done();
}
