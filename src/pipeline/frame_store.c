#include "pipeline/frame_store.h"

#include "base/checked.h"

#include <assert.h>
#include <stdlib.h>

/* What rows of frames begin at wherever drivers allocate them. */
enum { ALIGN_BYTES = 256 };

struct svr_frame_store {
    svr_video_info info;
    svr_backend *device; /* NULL: frames are from malloc */
    void *block;
    uint64_t block_bytes;
    uint8_t **vacant; /* [frames], the first `vacancies` can be taken */
    int64_t frames, vacancies;
};

static size_t step_of(const svr_video_info *info)
{
    return svr_align_up(svr_frame_bytes(info), ALIGN_BYTES);
}

uint64_t svr_frame_store_device_bytes(const svr_video_info *info, int64_t frames)
{
    return (uint64_t) step_of(info) * (uint64_t) frames;
}

static svr_status reserve(svr_frame_store *store, int64_t frames, svr_error *err)
{
    uint64_t bytes = svr_frame_store_device_bytes(&store->info, frames);

    store->vacant = calloc((size_t) frames, sizeof *store->vacant);
    if (!store->vacant)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no host memory for a stream");
    SVR_TRY(svr_backend_alloc(store->device, SVR_MEM_STATE, bytes, &store->block, err));
    store->block_bytes = bytes;
    for (int64_t i = 0; i < frames; i++)
        store->vacant[i] = (uint8_t *) store->block + (size_t) i * step_of(&store->info);
    store->frames = store->vacancies = frames;
    return SVR_OK;
}

svr_status svr_frame_store_create(svr_backend *device, const svr_video_info *info, int64_t frames,
                                  svr_frame_store **out, svr_error *err)
{
    svr_frame_store *store = calloc(1, sizeof *store);
    svr_status status;

    *out = NULL;
    if (!store)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no host memory for a stream");
    store->info = *info;
    store->device = device;
    status = device ? reserve(store, frames, err) : SVR_OK;
    if (status != SVR_OK)
        svr_frame_store_destroy(store);
    else
        *out = store;
    return status;
}

void svr_frame_store_destroy(svr_frame_store *store)
{
    if (!store)
        return;
    assert(store->vacancies == store->frames);
    if (store->device)
        svr_backend_free(store->device, SVR_MEM_STATE, store->block_bytes, store->block);
    free(store->vacant);
    free(store);
}

size_t svr_frame_store_host_bytes(const svr_frame_store *store)
{
    return store->device ? 0 : svr_frame_bytes(&store->info);
}

uint8_t *svr_frame_store_take(svr_frame_store *store)
{
    if (!store->device)
        return malloc(svr_frame_bytes(&store->info));
    return store->vacancies > 0 ? store->vacant[--store->vacancies] : NULL;
}

void svr_frame_store_give(svr_frame_store *store, uint8_t *data)
{
    if (!store->device) {
        free(data);
    } else if (data) {
        assert(store->vacancies < store->frames);
        store->vacant[store->vacancies++] = data;
    }
}

bool svr_frame_store_is_full(const svr_frame_store *store)
{
    return store->device && store->vacancies == 0;
}

static svr_status copy(const svr_frame_store *store, const svr_frame *dst, const svr_frame *src,
                       svr_error *err)
{
    if (store->device)
        return svr_backend_copy_frame(store->device, &store->info, dst, src, err);
    svr_frame_copy(&store->info, dst, src);
    return SVR_OK;
}

svr_status svr_frame_store_fill(const svr_frame_store *store, uint8_t *data, const svr_frame *from,
                                svr_error *err)
{
    svr_frame to = svr_frame_packed(&store->info, data);

    return copy(store, &to, from, err);
}

svr_status svr_frame_store_empty(const svr_frame_store *store, const uint8_t *data,
                                 const svr_frame *to, svr_error *err)
{
    svr_frame from = svr_frame_to_read(&store->info, data);

    return copy(store, to, &from, err);
}
