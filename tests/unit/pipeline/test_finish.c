/* Finished frames of a stream against the plain way: every batch is computed and kept, neighbours
 * are cross-faded, then each slice goes through alpha, colour and packing by itself.  And the
 * memory that waiting frames take. */
#include "rig.h"

#include "fake_networks.h"
#include "pipeline/planner.h"
#include "video/temporal.h"

#include "check.h"
#include "random.h"

#include <stdlib.h>
#include <string.h>

enum { IN_W = 20, IN_H = 16, W = 34, H = 30, COUNT = 14 };

typedef struct setting {
    svr_colour_method colour;
    bool exact;
    int batch, overlap;
    bool uniform, alpha;
} setting;

static svr_stream_options options_of(const setting *s)
{
    svr_size_plan sizes = svr_size_plan_exact((svr_size){W, H}, 16);
    svr_stream_options o = rig_options((svr_size){IN_W, IN_H}, &sizes);

    o.temporal = svr_temporal_plan_make(s->batch, s->overlap, 0);
    o.uniform = s->uniform;
    o.phases.colour = s->colour;
    o.phases.exact_colour = s->exact;
    if (s->alpha) {
        o.phases.in.format = SVR_PIXEL_RGBA;
        o.phases.out.format = SVR_PIXEL_BGRA;
    }
    return o;
}

/* COUNT frames of colours that drift, so that slices differ from one another, and noise. */
static uint8_t *make_frames(size_t frame_bytes)
{
    test_random random = test_random_seed(3);
    uint8_t *frames = malloc(COUNT * frame_bytes);
    float *noise = malloc(COUNT * frame_bytes * sizeof *noise);

    CHECK(frames && noise);
    test_random_fill(&random, noise, COUNT * frame_bytes, 30.0f);
    for (size_t i = 0; i < COUNT * frame_bytes; i++) {
        float value = 110.0f + 9.0f * (float) (i / frame_bytes) - 20.0f * (float) (i % 3);
        float noisy = value + noise[i];

        frames[i] = (uint8_t) (noisy < 0.0f ? 0.0f : noisy > 255.0f ? 255.0f : noisy);
    }
    free(noise);
    return frames;
}

/* ------------------------------------------------------------------ the plain way */

typedef struct plain {
    const setting *s;
    svr_stream_options o;
    svr_phases *phases;
    svr_exec exec;
    const uint8_t *sources[COUNT];
    uint8_t *out; /* [COUNT] packed frames */
    size_t out_bytes;
    int64_t first; /* of the slice at hand */
} plain;

static svr_status keep_frame(void *user, int index, const uint8_t *data, svr_error *err)
{
    plain *p = user;

    (void) err;
    memcpy(p->out + (size_t) (p->first + index) * p->out_bytes, data, p->out_bytes);
    return SVR_OK;
}

/* A batch in memory of its own. */
static svr_tensor plain_batch(plain *p, int64_t start, int count)
{
    svr_phases_batch batch = {.frames = p->sources + start,
                              .count = count,
                              .uniform = p->s->uniform ? p->s->batch : 0,
                              .first_frame = start};
    svr_error err = {0};
    svr_tensor y, kept;

    CHECK_OK(svr_phases_compute(p->phases, &p->exec, &batch, &y, NULL, &err), err);
    CHECK(y.dims[0] == count && y.dims[1] == H && y.dims[2] == W);
    kept = y;
    kept.data = malloc(svr_tensor_bytes(&y));
    CHECK(kept.data != NULL);
    memcpy(kept.data, y.data, svr_tensor_bytes(&y));
    svr_scratch_reset(p->exec.scratch);
    return kept;
}

static void plain_slice(plain *p, int64_t first, const svr_tensor *y)
{
    svr_phases_slice slice = {
        .y = y, .frames = p->sources + first, .sink = keep_frame, .sink_user = p};
    svr_error err = {0};

    p->first = first;
    CHECK_OK(svr_phases_finish(p->phases, &p->exec, &slice, NULL, &err), err);
    svr_scratch_reset(p->exec.scratch);
}

static void plain_run(plain *p)
{
    int64_t overlap, step = svr_batch_step(p->s->batch, p->s->overlap, &overlap);
    svr_tensor y[COUNT];
    int batches = 0;
    svr_error err = {0};

    for (int64_t start = 0; start < COUNT && svr_batch_exists(COUNT, start, overlap);
         start += step, batches++) {
        int64_t left = COUNT - start;

        y[batches] = plain_batch(p, start, (int) (left < p->s->batch ? left : p->s->batch));
        if (batches == 0 || overlap == 0)
            continue;
        svr_tensor prev = svr_tensor_slice(&y[batches - 1], step, overlap);
        svr_tensor cur = svr_tensor_slice(&y[batches], 0, overlap);
        CHECK_OK(svr_phases_blend(p->phases, &p->exec, &prev, &cur, &err), err);
        /* what a third batch fades again is what came of the first two */
        memcpy(cur.data, prev.data, svr_tensor_bytes(&cur));
    }
    for (int i = 0; i < batches; i++) {
        int64_t skip = i > 0 ? overlap : 0;
        svr_tensor slice = svr_tensor_slice(&y[i], skip, y[i].dims[0] - skip);

        for (int later = i + 1; later < batches; later++)
            for (int64_t f = skip; f < y[i].dims[0]; f++) {
                int64_t there = f - (later - i) * step;
                svr_tensor to = svr_tensor_slice(&y[i], f, 1), from;

                if (there < 0 || there >= overlap)
                    continue;
                from = svr_tensor_slice(&y[later], there, 1);
                memcpy(to.data, from.data, svr_tensor_bytes(&to));
            }
        plain_slice(p, i * step + skip, &slice);
    }
    for (int i = 0; i < batches; i++)
        free(y[i].data);
}

static uint8_t *run_plain(const setting *s, const uint8_t *frames)
{
    enum { BLOCK = 16 << 20 };
    plain p = {.s = s, .o = options_of(s)};
    void *block = aligned_alloc(SVR_SCRATCH_ALIGN, BLOCK);
    fake_networks fake;
    svr_error err = {0};

    fake_networks_init(&fake, FAKE_GOLDEN);
    p.exec.backend = rig_backend(0);
    p.exec.scratch = svr_scratch_create(block, BLOCK);
    p.out_bytes = svr_frame_bytes(&p.o.phases.out);
    p.out = malloc(COUNT * p.out_bytes);
    CHECK(block && p.exec.scratch && p.out);
    for (int i = 0; i < COUNT; i++)
        p.sources[i] = frames + (size_t) i * svr_frame_bytes(&p.o.phases.in);
    CHECK_OK(svr_phases_create(p.exec.backend, &fake.networks, &p.o.phases, &p.phases, &err), err);
    plain_run(&p);
    svr_phases_destroy(p.phases);
    svr_scratch_destroy(p.exec.scratch);
    svr_backend_destroy(p.exec.backend);
    free(block);
    return p.out;
}

/* ------------------------------------------------------------------ the stream */

static uint8_t *run_stream(const setting *s, const uint8_t *frames)
{
    svr_stream_options o = options_of(s);
    rig_sequence sequence = {.frames = frames,
                             .frame_bytes = svr_frame_bytes(&o.phases.in),
                             .out_elems = svr_frame_bytes(&o.phases.out),
                             .count = COUNT};
    svr_backend *backend = rig_backend(0);
    svr_stream *stream = NULL;
    fake_networks fake;
    svr_error err = {0};
    uint64_t ready;

    sequence.bytes = malloc(COUNT * sequence.out_elems);
    CHECK(sequence.bytes != NULL);
    fake_networks_init(&fake, FAKE_GOLDEN);
    CHECK_OK(svr_stream_create(backend, &fake.networks, &o, NULL, &stream, &err), err);
    ready = svr_backend_memory(backend).allocations;
    CHECK_OK(rig_run(stream, backend, &o.temporal, 0, &sequence, &err), err);
    CHECK(svr_backend_memory(backend).allocations == ready);
    CHECK(svr_stream_scratch_peak(stream) == svr_stream_plan(stream)->scratch);
    CHECK(svr_backend_memory(backend).live_total == svr_stream_plan(stream)->peak);
    svr_stream_destroy(stream);
    svr_backend_destroy(backend);
    rig_sequence_finish(&sequence);
    return sequence.bytes;
}

static void check_setting(const setting *s)
{
    svr_stream_options o = options_of(s);
    uint8_t *frames = make_frames(svr_frame_bytes(&o.phases.in));
    uint8_t *want = run_plain(s, frames), *got = run_stream(s, frames);

    CHECK(memcmp(got, want, COUNT * svr_frame_bytes(&o.phases.out)) == 0);
    free(frames), free(want), free(got);
}

/* Batches that end with the sequence, a short last one, one that is shorter than the overlap's
 * step; overlaps in which two and three batches meet. */
static void test_frames_are_those_of_the_plain_way(void)
{
    static const int cuts[][2] = {{5, 0}, {7, 0}, {5, 2}, {6, 1}, {5, 3}, {4, 3}};

    for (int colour = 0; colour < SVR_COLOUR_COUNT; colour++)
        for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
            setting s = {.colour = (svr_colour_method) colour,
                         .batch = cuts[i][0],
                         .overlap = cuts[i][1],
                         .uniform = i % 2 == 1};

            check_setting(&s);
            s.exact = s.alpha = true;
            check_setting(&s);
        }
}

/* ------------------------------------------------------------------ memory */

static svr_memory_plan plan_of(int batch, int overlap)
{
    setting s = {.colour = SVR_COLOUR_LAB, .batch = batch, .overlap = overlap};
    svr_stream_options o = options_of(&s);
    svr_backend *backend = rig_backend(0);
    svr_stream *stream = NULL;
    fake_networks fake;
    svr_error err = {0};
    svr_memory_plan plan;

    fake_networks_init(&fake, FAKE_GOLDEN);
    CHECK_OK(svr_stream_create(backend, &fake.networks, &o, NULL, &stream, &err), err);
    plan = *svr_stream_plan(stream);
    CHECK(svr_backend_memory(backend).live[SVR_MEM_STATE] == plan.state);
    svr_stream_destroy(stream);
    svr_backend_destroy(backend);
    return plan;
}

/* Without overlap no decoded frame waits between batches, however long they are; with overlap
 * those that later batches can change and those of their slices do. */
static void test_waiting_frames(void)
{
    const uint64_t frame = (uint64_t) W * H * 3 * sizeof(float);
    uint64_t tables = plan_of(5, 0).state;

    CHECK(plan_of(9, 0).state == tables && plan_of(1, 0).state == tables);
    CHECK(plan_of(5, 2).state == tables + 5 * frame);
    CHECK(plan_of(5, 3).state == tables + 7 * frame);
    CHECK(plan_of(5, 4).state == tables + 8 * frame);
    for (int overlap = 0; overlap < 5; overlap++) {
        svr_temporal_plan t = svr_temporal_plan_make(5, overlap, 0);

        CHECK(plan_of(5, overlap).state == tables + (uint64_t) svr_waiting_frames(&t) * frame);
    }
}

/* Where a batch's picture lies, and what it took, depends on the latent frames alone: one of 6
 * frames is like one of 9.  A plan counts one of them. */
static void test_batches_of_equal_latents_are_alike(void)
{
    setting s = {.batch = 9};
    svr_stream_options o = options_of(&s);
    uint8_t *frames = make_frames(svr_frame_bytes(&o.phases.in));
    svr_backend *backend = rig_backend(0);
    svr_backend *counting = svr_counting_backend_create(backend);
    const uint8_t *sources[9];
    svr_phases *phases = NULL;
    fake_networks fake;
    svr_error err = {0};
    size_t peak[10], live[10];

    fake_networks_init(&fake, FAKE_GOLDEN);
    CHECK_OK(svr_phases_create(backend, &fake.networks, &o.phases, &phases, &err), err);
    for (int i = 0; i < 9; i++)
        sources[i] = frames + (size_t) i * svr_frame_bytes(&o.phases.in);
    for (int count = 5; count <= 9; count++) {
        svr_exec exec = {.backend = counting, .scratch = svr_scratch_create_counting()};
        svr_phases_batch batch = {.frames = sources, .count = count};
        svr_tensor y;

        CHECK(exec.scratch != NULL);
        CHECK_OK(svr_phases_compute(phases, &exec, &batch, &y, NULL, &err), err);
        CHECK(y.dims[0] == count);
        peak[count] = svr_scratch_peak(exec.scratch);
        live[count] = svr_scratch_live(exec.scratch);
        svr_exec_free(&exec, &y);
        CHECK(svr_scratch_live(exec.scratch) == 0);
        svr_scratch_destroy(exec.scratch);
    }
    for (int count = 6; count < 9; count++)
        CHECK(peak[count] == peak[9] && live[count] == live[9]);
    CHECK(peak[5] < peak[9] && live[5] < live[9]);
    svr_phases_destroy(phases);
    svr_backend_destroy(counting);
    svr_backend_destroy(backend);
    free(frames);
}

int main(void)
{
    RUN(test_batches_of_equal_latents_are_alike);
    RUN(test_frames_are_those_of_the_plain_way);
    RUN(test_waiting_frames);
    return check_done();
}
