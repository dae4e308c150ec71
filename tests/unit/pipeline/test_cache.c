/* Batches that repeat the one before: what is recognised, that it gives the same frames, and when
 * nothing is reused. */
#include "pipeline/batch_cache.h"

#include "fake_networks.h"
#include "rig.h"

#include "check.h"

#include <stdlib.h>
#include <string.h>

enum { SIDE = 32, BATCH = 5, FRAME = SIDE * SIDE * 3 };

/* ------------------------------------------------------------------ the cache alone */

static void test_bytes_decide(void)
{
    const uint8_t one[] = {1, 2, 3}, same[] = {1, 2, 3}, other[] = {1, 2, 4};
    const uint8_t *frames[] = {one, one}, *equal[] = {same, one}, *different[] = {one, other};
    svr_batch_cache *cache = svr_batch_cache_create(2, 3, 1);
    svr_cache_key key = svr_batch_cache_key(cache, frames, 2);

    CHECK(cache && !svr_batch_cache_holds(cache, &key, NULL));
    svr_batch_cache_begin(cache, &key);
    svr_batch_cache_put(cache, 0, (const uint8_t[]){70});
    svr_batch_cache_put(cache, 1, (const uint8_t[]){71});
    CHECK(!svr_batch_cache_holds(cache, &key, NULL));
    svr_batch_cache_end(cache);
    CHECK(*svr_batch_cache_frame(cache, 0) == 70 && *svr_batch_cache_frame(cache, 1) == 71);

    svr_cache_key again = svr_batch_cache_key(cache, equal, 2);
    CHECK(svr_batch_cache_holds(cache, &again, NULL));
    CHECK(svr_batch_cache_holds(cache, &again, frames));
    svr_cache_key fewer = svr_batch_cache_key(cache, equal, 1);
    CHECK(!svr_batch_cache_holds(cache, &fewer, NULL));
    svr_cache_key changed = svr_batch_cache_key(cache, different, 2);
    CHECK(!svr_batch_cache_holds(cache, &changed, NULL));
    /* an equal hash of different frames */
    changed.hash = key.hash;
    CHECK(svr_batch_cache_holds(cache, &changed, NULL));
    CHECK(!svr_batch_cache_holds(cache, &changed, frames));
    svr_batch_cache_forget(cache);
    CHECK(!svr_batch_cache_holds(cache, &again, NULL));
    svr_batch_cache_destroy(cache);
}

/* ------------------------------------------------------------------ streams */

typedef struct cached_stream {
    svr_backend *backend;
    svr_stream *stream;
    svr_stream_options options;
    fake_networks fake;
} cached_stream;

static void open_stream(cached_stream *c, int overlap, bool invariant)
{
    svr_size_plan sizes = svr_size_plan_exact((svr_size){SIDE, SIDE}, 16);
    svr_error err = {0};

    *c = (cached_stream){.backend = rig_backend(0),
                         .options = rig_options((svr_size){SIDE, SIDE}, &sizes)};
    c->options.temporal = svr_temporal_plan_make(BATCH, overlap, 0);
    c->options.phases.colour = SVR_COLOUR_LAB;
    c->options.noise_time_invariant = invariant;
    fake_networks_init(&c->fake, FAKE_GOLDEN);
    CHECK_OK(svr_stream_create(c->backend, &c->fake.networks, &c->options, NULL, &c->stream, &err),
             err);
}

static void close_stream(cached_stream *c)
{
    svr_stream_destroy(c->stream);
    CHECK(svr_backend_memory(c->backend).live_total == 0);
    svr_backend_destroy(c->backend);
}

/* Runs `count` frames as a sequence; what came out, in new memory. */
static uint8_t *run(cached_stream *c, const uint8_t *frames, int count)
{
    rig_sequence s = {.frames = frames, .frame_bytes = FRAME, .out_elems = FRAME, .count = count};
    svr_error err = {0};

    s.bytes = malloc((size_t) count * FRAME);
    CHECK(s.bytes != NULL);
    CHECK_OK(rig_run(c->stream, c->backend, &c->options.temporal, 0, &s, &err), err);
    /* noise of the second batch where it was made */
    if (c->options.noise_time_invariant && s.noises > 1)
        CHECK(memcmp(s.noise[0], s.noise[1], 2 * (SIDE / 8) * (SIDE / 8) * 16 * 4) == 0);
    rig_sequence_finish(&s);
    return s.bytes;
}

/* The same where nothing can be reused: batch after batch on new streams. */
static uint8_t *run_apart(const uint8_t *frames, int count)
{
    uint8_t *all = malloc((size_t) count * FRAME);

    CHECK(all != NULL);
    for (int first = 0; first < count; first += BATCH) {
        int n = count - first < BATCH ? count - first : BATCH;
        cached_stream c;

        open_stream(&c, 0, true);
        uint8_t *part = run(&c, frames + (size_t) first * FRAME, n);
        CHECK(c.fake.predictions == 1);
        memcpy(all + (size_t) first * FRAME, part, (size_t) n * FRAME);
        free(part);
        close_stream(&c);
    }
    return all;
}

/* `count` times the same textured frame. */
static uint8_t *still(int count)
{
    uint8_t *frames = malloc((size_t) count * FRAME);

    CHECK(frames != NULL);
    for (size_t i = 0; i < (size_t) count * FRAME; i++)
        frames[i] = (uint8_t) (i % FRAME * 2654435761u >> 13);
    return frames;
}

/* Runs the frames and checks which batches were computed and that all are right. */
static void check_film(cached_stream *c, const uint8_t *frames, int count, int computed)
{
    int before = c->fake.predictions, batches = (count + BATCH - 1) / BATCH;
    uint64_t reused = svr_stream_reused_batches(c->stream);
    uint8_t *want = run_apart(frames, count), *got = run(c, frames, count);

    CHECK(c->fake.predictions - before == computed);
    CHECK(svr_stream_reused_batches(c->stream) - reused == (uint64_t) (batches - computed));
    CHECK(memcmp(got, want, (size_t) count * FRAME) == 0);
    free(want);
    free(got);
}

static void test_stills_are_computed_once(void)
{
    cached_stream c;
    uint8_t *frames = still(4 * BATCH);

    open_stream(&c, 0, true);
    CHECK(svr_stream_cache_bytes(c.stream) == BATCH * FRAME);
    check_film(&c, frames, 4 * BATCH, 1);
    /* a new sequence with the same picture, whose frames before are gone */
    check_film(&c, frames, BATCH, 0);
    /* fewer frames are another batch */
    check_film(&c, frames, BATCH + 2, 1);
    close_stream(&c);
    free(frames);
}

static void test_one_value_counts(void)
{
    cached_stream c;
    uint8_t *frames = still(5 * BATCH);

    open_stream(&c, 0, true);
    /* the last value of the third batch: A A B A A */
    frames[(size_t) 3 * BATCH * FRAME - 1] ^= 1;
    check_film(&c, frames, 5 * BATCH, 3);
    /* the first of the second: A as before, C, A */
    frames[(size_t) 3 * BATCH * FRAME - 1] ^= 1;
    frames[(size_t) BATCH * FRAME] ^= 128;
    check_film(&c, frames, 3 * BATCH, 2);
    close_stream(&c);
    free(frames);
}

/* Weights in another type give other results. */
static void test_replanning_forgets(void)
{
    cached_stream c;
    uint8_t *frames = still(BATCH);
    svr_error err = {0};

    open_stream(&c, 0, true);
    check_film(&c, frames, BATCH, 1);
    CHECK_OK(svr_stream_replan(c.stream, &err), err);
    check_film(&c, frames, BATCH, 1);
    check_film(&c, frames, BATCH, 0);
    close_stream(&c);
    free(frames);
}

static void check_no_reuse(int overlap, bool invariant, int batches)
{
    cached_stream c;
    uint8_t *frames = still(3 * BATCH);

    open_stream(&c, overlap, invariant);
    free(run(&c, frames, 3 * BATCH));
    CHECK(c.fake.predictions == batches && svr_stream_reused_batches(c.stream) == 0);
    CHECK(svr_stream_cache_bytes(c.stream) == 0);
    close_stream(&c);
    free(frames);
}

static void test_off(void)
{
    check_no_reuse(0, false, 3);
    check_no_reuse(2, true, 5);
}

int main(void)
{
    RUN(test_bytes_decide);
    RUN(test_stills_are_computed_once);
    RUN(test_one_value_counts);
    RUN(test_replanning_forgets);
    RUN(test_off);
    return check_done();
}
