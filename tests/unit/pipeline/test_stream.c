/* Batches, cross-fades and colour slices against the reference's four phases (goldens pipe_e2e,
 * made with stand-in networks), and the memory rules: planned, exact, nothing taken while frames
 * flow. */
#include "rig.h"

#include "fake_networks.h"

#include "check.h"
#include "golden.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *data_dir;

/* ------------------------------------------------------------------ goldens */

/* Order of the manifest's `cc`. */
static const svr_colour_method methods[] = {SVR_COLOUR_NONE,    SVR_COLOUR_LAB,
                                            SVR_COLOUR_WAVELET, SVR_COLOUR_WAVELET_ADAPTIVE,
                                            SVR_COLOUR_HSV,     SVR_COLOUR_ADAIN};

/* Tolerances of the manifest. */
static void check_golden_error(svr_colour_method method, const golden_error *e)
{
    if (method == SVR_COLOUR_NONE || method == SVR_COLOUR_WAVELET || method == SVR_COLOUR_ADAIN)
        CHECK(e->max <= 2e-5);
    else
        CHECK(e->p999 <= 5e-3);
}

typedef struct golden_case {
    svr_stream_options options;
    const svr_safetensors_entry *frames;
    const float *want; /* [count][elems] */
    size_t elems;
} golden_case;

static void run_golden(const golden_case *g, int number)
{
    int count = (int) g->frames->dims[0];
    size_t total = (size_t) count * g->elems;
    rig_sequence s = {.frames = g->frames->data,
                      .frame_bytes = g->frames->bytes / (size_t) count,
                      .out_elems = g->elems,
                      .count = count,
                      .out = malloc(total * sizeof(float)),
                      .bytes = malloc(total)};
    svr_backend *backend = rig_backend(0);
    svr_stream *stream = NULL;
    fake_networks fake;
    svr_error err = {0};

    fake_networks_init(&fake, FAKE_GOLDEN);
    CHECK_OK(svr_stream_create(backend, &fake.networks, &g->options, NULL, &stream, &err), err);
    CHECK_OK(rig_run(stream, backend, &g->options.temporal, 0, &s, &err), err);
    golden_error e = golden_compare(s.out, g->want, total);
    printf("# e%d %s: max %.2e, p99.9 %.2e\n", number,
           svr_colour_method_name(g->options.phases.colour), e.max, e.p999);
    check_golden_error(g->options.phases.colour, &e);
    /* the integers are those of the values, cut as the reference does */
    for (size_t i = 0; i < total; i++)
        CHECK_NEAR(s.bytes[i], s.out[i] * 255.0f - 0.5f, 0.501);
    svr_stream_destroy(stream);
    svr_backend_destroy(backend);
    rig_sequence_finish(&s);
    free(s.out);
    free(s.bytes);
}

static void golden_number(const svr_safetensors *file, int number)
{
    char name[80];
    int p[7]; /* short max batch uniform overlap prepend cc */
    size_t elems;

    snprintf(name, sizeof name, "e%d.short_max_batch_uniform_overlap_prepend_cc", number);
    memcpy(p, golden_entry(file, name)->data, sizeof p);
    snprintf(name, sizeof name, "e%d.out", number);
    float *want = golden_floats(file, name, &elems);
    golden_case g = {.frames = golden_entry(file, "frames_u8_thwc"), .want = want};
    svr_size in = {(int) g.frames->dims[2], (int) g.frames->dims[1]};
    svr_size_plan sizes = svr_size_plan_short_side(in, p[0], p[1], 1, 16);

    g.elems = elems / (size_t) g.frames->dims[0];
    CHECK(g.elems == (size_t) sizes.output.width * (size_t) sizes.output.height * 3);
    g.options = rig_options(in, &sizes);
    g.options.temporal = svr_temporal_plan_make(p[2], p[4], p[5]);
    g.options.uniform = p[3] != 0;
    g.options.phases.colour = methods[p[6]];
    g.options.phases.exact_colour = g.options.phases.reference_blend = true;
    g.options.phases.truncate = true;
    run_golden(&g, number);
    free(want);
}

static void test_end_to_end_goldens(void)
{
    svr_safetensors *file = golden_open(data_dir, "pipe_e2e");

    golden_number(file, 2);
    golden_number(file, 3);
    golden_number(file, 4);
    golden_number(file, 6);
    svr_safetensors_close(file);
    /* frames in which up to five batches meet */
    file = golden_open(data_dir, "pipe_e2e_wide_overlap");
    golden_number(file, 0);
    golden_number(file, 1);
    svr_safetensors_close(file);
}

/* ------------------------------------------------------------------ small synthetic streams */

enum { IN_W = 24, IN_H = 20, OUT_W = 50, OUT_H = 38 };

static svr_stream_options small_options(int batch, int overlap, int prepend)
{
    svr_size_plan sizes = svr_size_plan_exact((svr_size){OUT_W, OUT_H}, 16);
    svr_stream_options o = rig_options((svr_size){IN_W, IN_H}, &sizes);

    o.temporal = svr_temporal_plan_make(batch, overlap, prepend);
    o.phases.colour = SVR_COLOUR_LAB;
    return o;
}

/* `count` frames with some texture in new memory. */
static uint8_t *textured_frames(int count)
{
    size_t bytes = (size_t) IN_W * IN_H * 4; /* enough for every format */
    uint8_t *frames = malloc((size_t) count * bytes);

    CHECK(frames != NULL);
    for (size_t i = 0; i < (size_t) count * bytes; i++)
        frames[i] = (uint8_t) (i * 2654435761u >> 13);
    return frames;
}

static rig_sequence small_sequence(const uint8_t *frames, int count)
{
    return (rig_sequence){.frames = frames,
                          .frame_bytes = (size_t) IN_W * IN_H * 3,
                          .out_elems = (size_t) OUT_W * OUT_H * 3,
                          .count = count};
}

/* With whole batches only: the plan is met to the byte, and the last batch has taken no memory. */
static void check_memory(const svr_stream_options *options, int count)
{
    uint8_t *frames = textured_frames(count);
    rig_sequence s = small_sequence(frames, count);
    svr_backend *backend = rig_backend(0);
    svr_stream *stream = NULL;
    fake_networks fake;
    svr_error err = {0};

    s.frame_bytes = svr_frame_bytes(&options->phases.in);
    fake_networks_init(&fake, FAKE_GOLDEN);
    CHECK_OK(svr_stream_create(backend, &fake.networks, options, NULL, &stream, &err), err);
    uint64_t ready = svr_backend_memory(backend).allocations;
    CHECK_OK(rig_run(stream, backend, &options->temporal, 0, &s, &err), err);
    CHECK(s.batches >= 3);
    for (int i = 0; i < s.batches; i++)
        CHECK(s.allocations[i] == ready);
    CHECK(svr_stream_scratch_peak(stream) == svr_stream_plan(stream)->scratch);
    svr_stream_destroy(stream);
    CHECK(svr_backend_memory(backend).live_total == 0);
    svr_backend_destroy(backend);
    rig_sequence_finish(&s);
    free(frames);
}

static void test_plan_is_met_and_nothing_is_allocated(void)
{
    svr_stream_options o = small_options(5, 0, 0);

    check_memory(&o, 20);
    o = small_options(5, 2, 0);
    check_memory(&o, 20);
    o = small_options(4, 3, 2);
    check_memory(&o, 12);
    o.phases.in.format = SVR_PIXEL_RGBA;
    o.phases.out.format = SVR_PIXEL_BGRA;
    check_memory(&o, 12);
    o = small_options(5, 1, 0);
    o.uniform = true;
    o.phases.colour = SVR_COLOUR_WAVELET;
    check_memory(&o, 18);
    o.phases.exact_colour = true;
    o.phases.colour = SVR_COLOUR_WAVELET_ADAPTIVE;
    o.phases.sampler =
        (svr_sampler_config){.steps = 3, .cfg_scale = 2.5, .cfg_rescale = 0.5, .cfg_partial = 1.0};
    check_memory(&o, 18);
}

/* What a guided stream gives, parked or not, in new memory. */
static uint8_t *run_guided(bool park, svr_memory_use *use)
{
    enum { COUNT = 13 };
    svr_stream_options o = small_options(5, 0, 0);
    uint8_t *frames = textured_frames(COUNT);
    rig_sequence s = small_sequence(frames, COUNT);
    svr_backend *backend = rig_backend(0);
    svr_stream *stream = NULL;
    fake_networks fake;
    svr_error err = {0};

    o.phases.sampler = (svr_sampler_config){
        .steps = 2, .cfg_scale = 2.5, .cfg_rescale = 0.5, .cfg_partial = 1.0, .park_on_host = park};
    s.bytes = malloc(COUNT * s.out_elems);
    CHECK(s.bytes != NULL);
    fake_networks_init(&fake, FAKE_GOLDEN);
    CHECK_OK(svr_stream_create(backend, &fake.networks, &o, NULL, &stream, &err), err);
    CHECK_OK(rig_run(stream, backend, &o.temporal, 0, &s, &err), err);
    *use = svr_backend_memory(backend);
    svr_stream_destroy(stream);
    CHECK(svr_backend_memory(backend).host_live == 0);
    svr_backend_destroy(backend);
    rig_sequence_finish(&s);
    free(frames);
    return s.bytes;
}

/* Batches of 5, 5 and 3 frames have two latent frames each; all host memory is one of them. */
static void test_parked_guidance(void)
{
    const uint64_t latent = 2 * (48 / 8) * (64 / 8) * 16 * sizeof(float);
    svr_memory_use plain, parked;
    uint8_t *want = run_guided(false, &plain), *got = run_guided(true, &parked);

    CHECK(memcmp(got, want, (size_t) 13 * OUT_W * OUT_H * 3) == 0);
    CHECK(plain.host_peak == 0 && plain.copied_in == 0 && plain.copied_out == 0);
    CHECK(parked.host_peak == latent);
    CHECK(parked.copied_out == 3 * 2 * latent && parked.copied_in == 3 * 2 * latent);
    free(want);
    free(got);
}

/* Every length of a sequence stays inside the plan: a scratch block that is too small would fail.
 */
static void test_every_length_fits(void)
{
    for (int batch = 1; batch <= 9; batch += 2) {
        svr_stream_options o = small_options(batch, batch / 3, 0);
        svr_backend *backend = rig_backend(0);
        svr_stream *stream = NULL;
        fake_networks fake;
        svr_error err = {0};

        fake_networks_init(&fake, FAKE_GOLDEN);
        CHECK_OK(svr_stream_create(backend, &fake.networks, &o, NULL, &stream, &err), err);
        for (int count = 1; count <= 2 * batch + 1; count++) {
            uint8_t *frames = textured_frames(count);
            rig_sequence s = small_sequence(frames, count);

            CHECK_OK(rig_run(stream, backend, &o.temporal, 0, &s, &err), err);
            rig_sequence_finish(&s);
            free(frames);
        }
        CHECK(svr_stream_scratch_peak(stream) <= svr_stream_plan(stream)->scratch);
        svr_stream_destroy(stream);
        svr_backend_destroy(backend);
    }
}

static void test_every_failing_allocation_is_clean(void)
{
    svr_stream_options o = small_options(5, 2, 0);
    svr_status status = SVR_ERR_NO_MEM;
    int n = 1;

    for (; status != SVR_OK; n++) {
        svr_backend *backend = rig_backend((uint64_t) n);
        svr_stream *stream = NULL;
        fake_networks fake;
        svr_error err = {0};

        fake_networks_init(&fake, FAKE_GOLDEN);
        status = svr_stream_create(backend, &fake.networks, &o, NULL, &stream, &err);
        if (status != SVR_OK) {
            CHECK_FAILS(status, SVR_ERR_NO_MEM, err);
            CHECK(stream == NULL);
        }
        svr_stream_destroy(stream);
        CHECK(svr_backend_memory(backend).live_total == 0);
        svr_backend_destroy(backend);
        CHECK(n < 100);
    }
    CHECK(n > 4); /* scratch, pending, shared, resize tables */
}

/* ------------------------------------------------------------------ noise and restarts */

static void run_once(svr_stream *stream, svr_backend *backend, const svr_stream_options *o,
                     int64_t first_frame, rig_sequence *s)
{
    svr_error err = {0};

    CHECK_OK(rig_run(stream, backend, &o->temporal, first_frame, s, &err), err);
}

/* A film in two chunks has the noise of the whole. */
static void test_noise_follows_the_film(void)
{
    svr_stream_options o = small_options(4, 0, 0);
    uint8_t *frames = textured_frames(8);
    rig_sequence whole = small_sequence(frames, 8), second = small_sequence(frames, 4);
    size_t bytes = (size_t) 2 * (48 / 8) * (64 / 8) * 16 * sizeof(float);
    svr_backend *backend = rig_backend(0);
    svr_stream *stream = NULL;
    fake_networks fake;
    svr_error err = {0};

    fake_networks_init(&fake, FAKE_IDENTITY);
    CHECK_OK(svr_stream_create(backend, &fake.networks, &o, NULL, &stream, &err), err);
    run_once(stream, backend, &o, 0, &whole);
    run_once(stream, backend, &o, 4, &second);
    CHECK(whole.noises == 2 && second.noises == 1);
    CHECK(memcmp(whole.noise[1], second.noise[0], bytes) == 0);
    CHECK(memcmp(whole.noise[0], second.noise[0], bytes) != 0);
    svr_stream_destroy(stream);
    svr_backend_destroy(backend);
    rig_sequence_finish(&whole);
    rig_sequence_finish(&second);
    free(frames);
}

/* A restart in the middle leaves nothing behind. */
static void test_restart(void)
{
    svr_stream_options o = small_options(5, 2, 1);
    uint8_t *frames = textured_frames(11);
    size_t total = (size_t) 11 * OUT_W * OUT_H * 3;
    rig_sequence first = small_sequence(frames, 11), again = small_sequence(frames, 11);
    rig_sequence broken = small_sequence(frames, 11);
    svr_backend *backend = rig_backend(0);
    svr_stream *stream = NULL;
    fake_networks fake;
    svr_error err = {0};

    first.bytes = malloc(total);
    again.bytes = malloc(total);
    CHECK(first.bytes && again.bytes);
    fake_networks_init(&fake, FAKE_GOLDEN);
    CHECK_OK(svr_stream_create(backend, &fake.networks, &o, NULL, &stream, &err), err);
    run_once(stream, backend, &o, 0, &first);
    fake.fail_at = fake.predictions + 2;
    CHECK_FAILS(rig_run(stream, backend, &o.temporal, 0, &broken, &err), SVR_ERR_UNSUPPORTED, err);
    svr_stream_restart(stream);
    run_once(stream, backend, &o, 0, &again);
    CHECK(memcmp(first.bytes, again.bytes, total) == 0);
    svr_stream_destroy(stream);
    svr_backend_destroy(backend);
    rig_sequence_finish(&first);
    rig_sequence_finish(&again);
    rig_sequence_finish(&broken);
    free(first.bytes);
    free(again.bytes);
    free(frames);
}

/* The smooth weights mix: the shared frame of a brightness step lies strictly between both batches.
 */
static void test_cross_fade_mixes(void)
{
    float prev_values[2 * 16 * 16 * 3], cur_values[2 * 16 * 16 * 3];
    svr_size_plan sizes = svr_size_plan_exact((svr_size){16, 16}, 16);
    svr_stream_options o = rig_options((svr_size){16, 16}, &sizes);
    svr_tensor prev = svr_tensor_4d(prev_values, SVR_F32, 2, 16, 16, 3);
    svr_tensor cur = svr_tensor_4d(cur_values, SVR_F32, 2, 16, 16, 3);
    svr_backend *backend = rig_backend(0);
    svr_exec exec = {.backend = backend, .scratch = svr_scratch_create_counting()};
    svr_phases *phases = NULL;
    fake_networks fake;
    svr_error err = {0};

    for (int i = 0; i < 2 * 16 * 16 * 3; i++) {
        prev_values[i] = 1.0f;
        cur_values[i] = 0.0f;
    }
    fake_networks_init(&fake, FAKE_GOLDEN);
    CHECK_OK(svr_phases_create(backend, &fake.networks, &o.phases, &phases, &err), err);
    CHECK_OK(svr_phases_blend(phases, &exec, &prev, &cur, &err), err);
    CHECK_NEAR(prev_values[0], 0.75, 1e-6);
    CHECK_NEAR(prev_values[16 * 16 * 3], 0.25, 1e-6);
    CHECK(cur_values[0] == 0.0f);
    svr_phases_destroy(phases);
    svr_scratch_destroy(exec.scratch);
    svr_backend_destroy(backend);
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    data_dir = argv[1];
    RUN(test_end_to_end_goldens);
    RUN(test_plan_is_met_and_nothing_is_allocated);
    RUN(test_parked_guidance);
    RUN(test_every_length_fits);
    RUN(test_every_failing_allocation_is_clean);
    RUN(test_noise_follows_the_film);
    RUN(test_restart);
    RUN(test_cross_fade_mixes);
    return check_done();
}
