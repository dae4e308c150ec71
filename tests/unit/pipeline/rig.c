#include "rig.h"

#include "check.h"

#include <stdlib.h>
#include <string.h>

svr_stream_options rig_options(svr_size in, const svr_size_plan *sizes)
{
    svr_stream_options o = {
        .phases = {.in = {.format = SVR_PIXEL_RGB, .width = in.width, .height = in.height},
                   .out = {.format = SVR_PIXEL_RGB,
                           .width = sizes->output.width,
                           .height = sizes->output.height},
                   .sizes = *sizes,
                   .seed = 42,
                   .sampler = {.steps = 1, .cfg_scale = 1.0, .cfg_partial = 1.0}},
        .temporal = svr_temporal_plan_make(5, 0, 0)};

    return o;
}

svr_backend *rig_backend(uint64_t fail_allocation)
{
    svr_cpu_options options = {.fail_allocation = fail_allocation, .threads = 1};
    svr_backend *backend = NULL;
    svr_error err = {0};

    CHECK_OK(svr_cpu_backend_create(&options, &backend, &err), err);
    return backend;
}

/* Keeps the first two tensors of a kind. */
static void keep(float **list, int *count, const svr_tensor *value)
{
    if (*count < 2) {
        CHECK(value->dtype == SVR_F32);
        list[*count] = malloc(svr_tensor_bytes(value));
        CHECK(list[*count] != NULL);
        memcpy(list[*count], value->data, svr_tensor_bytes(value));
    }
    ++*count;
}

/* A corrected slice in unit values; lead-in frames are left out. */
static void keep_out(rig_sequence *s, const svr_tensor *y)
{
    const float *values = y->data;

    for (int64_t f = 0; f < y->dims[0]; f++, s->tapped++) {
        int64_t real = s->tapped - s->prepend;

        for (size_t i = 0; s->out && real >= 0 && i < s->out_elems; i++) {
            float x = values[(size_t) f * s->out_elems + i];

            x = x < -1.0f ? -1.0f : x > 1.0f ? 1.0f : x;
            s->out[(size_t) real * s->out_elems + i] = 0.5f * x + 0.5f;
        }
    }
}

static svr_status tap(void *user, const char *name, const svr_tensor *value, svr_error *err)
{
    rig_sequence *s = user;

    (void) err;
    if (strcmp(name, "b.latent") == 0)
        keep(s->latent, &s->latents, value);
    else if (strcmp(name, "b.noise") == 0)
        keep(s->noise, &s->noises, value);
    else if (strcmp(name, "b.v") == 0)
        keep(s->v, &s->vs, value);
    else if (strcmp(name, "b.out") == 0)
        keep_out(s, value);
    return SVR_OK;
}

typedef struct rig_io {
    rig_sequence *sequence;
    svr_batcher *batcher;
} rig_io;

static const uint8_t *source(void *user, int64_t index)
{
    return svr_batcher_frame(((rig_io *) user)->batcher, index);
}

static svr_status sink(void *user, int64_t index, const uint8_t *data, svr_error *err)
{
    rig_sequence *s = ((rig_io *) user)->sequence;

    (void) err;
    CHECK(index == s->next);
    s->next++;
    if (s->bytes && index >= s->prepend)
        memcpy(s->bytes + (size_t) (index - s->prepend) * s->out_elems, data, s->out_elems);
    return SVR_OK;
}

static svr_status compute_ready(svr_stream *stream, svr_backend *backend, int64_t first_frame,
                                rig_io *io, svr_error *err)
{
    svr_stream_io stream_io = {io, source, sink};
    svr_batch_span span;

    while (svr_batcher_next(io->batcher, &span)) {
        svr_batcher_advance(io->batcher);
        svr_status status = svr_stream_batch(stream, &span, first_frame, &stream_io, NULL, err);

        if (status == SVR_ERR_OVERFLOW) {
            svr_error_clear(err);
            io->sequence->overflows++;
            status = svr_stream_batch(stream, &span, first_frame, &stream_io, NULL, err);
        }
        SVR_TRY(status);
        svr_batcher_release(io->batcher, svr_stream_needed_from(stream));
        CHECK(io->sequence->batches < 64);
        io->sequence->allocations[io->sequence->batches++] =
            svr_backend_memory(backend).allocations;
    }
    if (svr_batcher_ended(io->batcher))
        SVR_TRY(svr_stream_flush(stream, &stream_io, NULL, err));
    return SVR_OK;
}

static svr_status push_all(svr_stream *stream, svr_backend *backend, int64_t first_frame,
                           rig_io *io, svr_error *err)
{
    const rig_sequence *s = io->sequence;

    for (int i = 0; i < s->count; i++) {
        uint8_t *copy = svr_frame_store_take(svr_stream_sources(stream));

        CHECK(copy != NULL);
        memcpy(copy, s->frames + (size_t) i * s->frame_bytes, s->frame_bytes);
        SVR_TRY(svr_batcher_push(io->batcher, copy, err));
        SVR_TRY(compute_ready(stream, backend, first_frame, io, err));
    }
    svr_batcher_end(io->batcher);
    return compute_ready(stream, backend, first_frame, io, err);
}

svr_status rig_run(svr_stream *stream, svr_backend *backend, const svr_temporal_plan *plan,
                   int64_t first_frame, rig_sequence *s, svr_error *err)
{
    rig_io io = {s, svr_batcher_create(plan, svr_stream_sources(stream))};
    svr_status status;

    CHECK(io.batcher != NULL);
    s->prepend = plan->prepend;
    svr_stream_set_tap(stream, tap, s);
    status = push_all(stream, backend, first_frame, &io, err);
    svr_batcher_destroy(io.batcher);
    svr_stream_set_tap(stream, NULL, NULL);
    if (status == SVR_OK)
        CHECK(s->next == s->count + plan->prepend);
    /* repeated batches are not corrected again */
    CHECK(s->tapped == s->next || svr_stream_reused_batches(stream) > 0);
    return status;
}

void rig_sequence_finish(rig_sequence *s)
{
    for (int i = 0; i < 2; i++) {
        free(s->latent[i]);
        free(s->noise[i]);
        free(s->v[i]);
    }
}
