#include "fixture.h"

#include "check.h"
#include "cpu/cpu_backend.h"
#include "golden.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* little: it is filled anew for each of many small cases where malloc() is told to */
enum { SCRATCH_BYTES = 4 * 1024 * 1024 };

fixture fixture_open(void)
{
    fixture f = {0};
    svr_error err = {0};

    CHECK_OK(svr_cpu_backend_create(&(svr_cpu_options){.threads = 2}, &f.backend, &err), err);
    f.counting = svr_counting_backend_create(f.backend);
    CHECK(f.counting != NULL);
    f.memory = aligned_alloc(SVR_SCRATCH_ALIGN, SCRATCH_BYTES);
    CHECK(f.memory != NULL);
    f.exec.backend = f.backend;
    f.exec.scratch = svr_scratch_create(f.memory, SCRATCH_BYTES);
    CHECK(f.exec.scratch != NULL);
    return f;
}

void fixture_close(fixture *f)
{
    CHECK(svr_scratch_live(f->exec.scratch) == 0);
    svr_scratch_destroy(f->exec.scratch);
    free(f->memory);
    CHECK(svr_backend_memory(f->backend).live_total == 0);
    svr_backend_destroy(f->counting);
    svr_backend_destroy(f->backend);
}

svr_tensor fixture_floats(int rank, const int64_t *dims)
{
    svr_tensor t = {.dtype = SVR_F32, .rank = rank};

    memcpy(t.dims, dims, (size_t) rank * sizeof dims[0]);
    t.data = calloc(1, svr_tensor_bytes(&t));
    CHECK(t.data != NULL);
    return t;
}

static const svr_safetensors_entry *find(const svr_safetensors *file, const char *prefix,
                                         const char *name)
{
    char full[128];

    snprintf(full, sizeof full, "%s%s", prefix, name);
    return golden_entry(file, full);
}

svr_tensor fixture_values(const svr_safetensors *file, const char *prefix, const char *name)
{
    const svr_safetensors_entry *entry = find(file, prefix, name);
    svr_tensor t = {.dtype = entry->dtype, .rank = entry->rank};

    memcpy(t.dims, entry->dims, sizeof t.dims);
    CHECK(svr_tensor_bytes(&t) == entry->bytes);
    t.data = malloc(entry->bytes);
    CHECK(t.data != NULL);
    memcpy(t.data, entry->data, entry->bytes);
    return t;
}

svr_tensor fixture_picture(const svr_safetensors *file, const char *prefix, const char *name)
{
    svr_tensor planar = fixture_values(file, prefix, name);
    int64_t channels = planar.dims[1], area = planar.dims[2] * planar.dims[3];
    svr_tensor t = fixture_floats(channels == 1 ? 3 : 4, (int64_t[]){planar.dims[0], planar.dims[2],
                                                                     planar.dims[3], channels});
    CHECK(planar.dtype == SVR_F32 && planar.rank == 4);
    for (int64_t frame = 0; frame < planar.dims[0]; frame++) {
        size_t at = (size_t) (frame * channels * area);

        golden_channels_last((const float *) planar.data + at, (size_t) channels, (size_t) area,
                             (float *) t.data + at);
    }
    free(planar.data);
    return t;
}
