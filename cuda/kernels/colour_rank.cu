/* match_ranks: distributions matched by exact, stable ranks, for verification.  Bound by the sorts
 * (rank_sort.cuh) and by scattered reads and writes.  One thread takes a pixel. */
#include "pixels.cuh"
#include "rank_sort.cuh"

namespace svr
{

/* keys[i] = key of channel `channel` of pixel i; places (or NULL) count up. */
__global__ void channel_keys_kernel(const float *x, int channel, int64_t n, uint32_t *keys,
                                    uint32_t *places)
{
    int64_t step = (int64_t) gridDim.x * blockDim.x;

    for (int64_t i = (int64_t) blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) {
        keys[i] = rank_key(x[3 * i + channel]);
        if (places)
            places[i] = (uint32_t) i;
    }
}

/* places[k] has rank k in x, keys[r] rank r in the reference.  y may be x. */
__global__ void match_channel_kernel(const float *x, float *y, int channel, float keep,
                                     const uint32_t *places, int64_t n, const uint32_t *keys,
                                     int64_t n_ref)
{
    int64_t step = (int64_t) gridDim.x * blockDim.x;

    for (int64_t k = (int64_t) blockIdx.x * blockDim.x + threadIdx.x; k < n; k += step) {
        int64_t at = 3 * (int64_t) places[k] + channel;
        float value = rank_value(keys[reference_rank(k, n, n_ref)]);

        y[at] = rounded_product(keep, x[at]) + rounded_product(1.0f - keep, value);
    }
}

} // namespace svr

using namespace svr;

struct ranks_memory {
    uint32_t *keys[2], *places[2], *ref_keys[2];
    sort_memory sort;
};

static size_t ranks_sort_bytes(int64_t n, int64_t n_ref)
{
    sort_memory memory = {NULL, 0};
    sort_keys keys;
    cub::DoubleBuffer<uint32_t> places;
    size_t bytes;

    (void) sort_pairs(&memory, &keys, &places, n, NULL);
    bytes = memory.bytes;
    (void) sort_alone(&memory, &keys, n_ref, NULL);
    return larger(memory, bytes);
}

/* Returns the bytes of all. */
static size_t lay_out_ranks(const svr_match_ranks_args *args, void *workspace, ranks_memory *m)
{
    int64_t n = pixels_of(&args->x), n_ref = pixels_of(&args->ref);
    workspace_cursor cursor = {(char *) workspace, 0};

    for (int side = 0; side < 2; side++) {
        m->keys[side] = cursor.take<uint32_t>(n);
        m->places[side] = cursor.take<uint32_t>(n);
        m->ref_keys[side] = cursor.take<uint32_t>(n_ref);
    }
    m->sort.bytes = ranks_sort_bytes(n, n_ref);
    m->sort.data = cursor.take<char>((int64_t) m->sort.bytes);
    return cursor.used;
}

size_t svr_cuda_match_ranks_workspace(svr_backend *backend, const svr_match_ranks_args *args)
{
    ranks_memory memory;

    (void) backend;
    return lay_out_ranks(args, NULL, &memory);
}

static svr_status match_channel(const svr_match_ranks_args *args, int channel, ranks_memory *m,
                                cudaStream_t stream, svr_error *err)
{
    int64_t n = pixels_of(&args->x), n_ref = pixels_of(&args->ref);
    unsigned grid = grid_for(n, PIXEL_THREADS);
    const float *x = (const float *) args->x.data;
    sort_keys keys(m->keys[0], m->keys[1]), ref_keys(m->ref_keys[0], m->ref_keys[1]);
    cub::DoubleBuffer<uint32_t> places(m->places[0], m->places[1]);

    channel_keys_kernel<<<grid, PIXEL_THREADS, 0, stream>>>(x, channel, n, keys.Current(),
                                                            places.Current());
    SVR_TRY(svr_cuda_launched("keys of match_ranks", err));
    channel_keys_kernel<<<grid_for(n_ref, PIXEL_THREADS), PIXEL_THREADS, 0, stream>>>(
        (const float *) args->ref.data, channel, n_ref, ref_keys.Current(), NULL);
    SVR_TRY(svr_cuda_launched("keys of match_ranks", err));
    SVR_TRY(svr_cuda_check(sort_pairs(&m->sort, &keys, &places, n, stream), "sort of match_ranks",
                           err));
    SVR_TRY(
        svr_cuda_check(sort_alone(&m->sort, &ref_keys, n_ref, stream), "sort of match_ranks", err));
    match_channel_kernel<<<grid, PIXEL_THREADS, 0, stream>>>(x, (float *) args->y.data, channel,
                                                             args->keep[channel], places.Current(),
                                                             n, ref_keys.Current(), n_ref);
    return svr_cuda_launched("match_ranks", err);
}

svr_status svr_cuda_match_ranks(svr_exec *exec, const svr_match_ranks_args *args, void *workspace,
                                svr_error *err)
{
    ranks_memory memory;

    SVR_TRY(check_rank_places("match_ranks", pixels_of(&args->x), err));
    SVR_TRY(check_rank_places("match_ranks", pixels_of(&args->ref), err));
    (void) lay_out_ranks(args, workspace, &memory);
    for (int channel = 0; channel < 3; channel++)
        SVR_TRY(match_channel(args, channel, &memory, svr_cuda_of(exec)->stream, err));
    return SVR_OK;
}
