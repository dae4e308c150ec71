/* hsv: saturations matched by exact, stable ranks inside each of twelve groups of hues.  Bound by
 * the sorts (rank_sort.cuh) and by scattered reads and writes.  One thread takes a pixel. */
#include "pixels.cuh"
#include "rank_sort.cuh"

#include "base/colour_math.h"

namespace svr
{

enum {
    HUE_BINS = 12,
    HUE_CODES = HUE_BINS + 1, /* 12: hue that rounded up to 1, belongs to group 0 only */
    HUE_CODE_BITS = 4,
    HUE_MIN_PIXELS = 100
};

/* Where the pixels of a hue group are in the lists that are sorted by group.  Group 0 reaches
 * around the circle over the last bin and has lists of its own. */
struct hue_group {
    uint32_t start, count, ref_start, ref_count;
};

__device__ __forceinline__ bool is_matched(const hue_group &g)
{
    return g.count > HUE_MIN_PIXELS && g.ref_count > HUE_MIN_PIXELS;
}

__device__ __forceinline__ bool in_first_group(int code)
{
    return code == 0 || code >= HUE_BINS - 1;
}

__device__ __forceinline__ void hsv_of_model(const float (&model)[3], float (&hsv)[3])
{
    float unit[3] = {svr_unit_from_model(model[0]), svr_unit_from_model(model[1]),
                     svr_unit_from_model(model[2])};

    svr_hsv_from_unit(unit, hsv);
}

/* Thresholds that the hue has reached; they rise, so this is its bin. */
__device__ __forceinline__ int hue_code(float hue)
{
    int code = 0;

#pragma unroll
    for (int bin = 0; bin < HUE_BINS; bin++)
        code += hue >= (float) ((bin + 1) * (1.0 / HUE_BINS));
    return code;
}

/* Warps of 32 pixels, grid-stride: key of the saturation, hue code, place (or NULL), and the number
 * of pixels of each code (integer sums, added to `counts`). */
__global__ void __launch_bounds__(PIXEL_THREADS)
    hue_keys_kernel(const float *x, int64_t n, uint32_t *keys, uint8_t *codes, uint32_t *places,
                    uint32_t *counts)
{
    __shared__ float shared[PIXEL_WARPS][WARP_FLOATS];
    __shared__ uint32_t local[HUE_CODES];
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int64_t step = (int64_t) gridDim.x * PIXEL_THREADS;

    if (threadIdx.x < HUE_CODES)
        local[threadIdx.x] = 0;
    __syncthreads();
    for (int64_t first = (int64_t) blockIdx.x * PIXEL_THREADS + 32 * warp; first < n;
         first += step) {
        int count = group_count(first, n);
        float model[3], hsv[3];

        load_pixels(x + 3 * first, count, shared[warp], model);
        hsv_of_model(model, hsv);
        if (lane < count) {
            int code = hue_code(hsv[0]);

            keys[first + lane] = rank_key(hsv[1]);
            codes[first + lane] = (uint8_t) code;
            if (places)
                places[first + lane] = (uint32_t) (first + lane);
            atomicAdd(&local[code], 1u);
        }
    }
    __syncthreads();
    if (threadIdx.x < HUE_CODES)
        atomicAdd(&counts[threadIdx.x], local[threadIdx.x]);
}

/* One thread: counts of the codes of both pictures to the groups. */
__global__ void hue_groups_kernel(const uint32_t *counts, const uint32_t *ref_counts,
                                  hue_group *groups)
{
    hue_group first = {0, 0, 0, 0};
    uint32_t start = 0, ref_start = 0;

    for (int code = 0; code < HUE_CODES; code++) {
        if (code > 0 && code < HUE_BINS)
            groups[code] = {start, counts[code], ref_start, ref_counts[code]};
        if (in_first_group(code)) {
            first.count += counts[code];
            first.ref_count += ref_counts[code];
        }
        start += counts[code];
        ref_start += ref_counts[code];
    }
    groups[0] = first;
}

/* out[k] = code of the pixel at places[k] (at k, when places is NULL), or only whether it is
 * outside of group 0. */
__global__ void list_codes_kernel(const uint8_t *codes, const uint32_t *places, int64_t n,
                                  bool first_group, uint8_t *out)
{
    int64_t step = (int64_t) gridDim.x * blockDim.x;

    for (int64_t k = (int64_t) blockIdx.x * blockDim.x + threadIdx.x; k < n; k += step) {
        uint8_t code = codes[places ? places[k] : k];

        out[k] = first_group ? !in_first_group(code) : code;
    }
}

/* Position k of the list of all pixels, sorted by group and inside by saturation: its pixel takes
 * the reference's saturation of its rank inside the group, where the group is matched. first_group:
 * lists are group 0, then the others, and only group 0 is done; else lists are by code, and all
 * groups but 0 are done. */
__global__ void match_hues_kernel(const uint8_t *codes, const uint32_t *places, int64_t n,
                                  const uint32_t *ref_keys, const hue_group *groups,
                                  bool first_group, float *saturation)
{
    int64_t step = (int64_t) gridDim.x * blockDim.x;

    for (int64_t k = (int64_t) blockIdx.x * blockDim.x + threadIdx.x; k < n; k += step) {
        int code = codes[k];

        if (first_group ? code == 0 : code > 0 && code < HUE_BINS) {
            hue_group g = groups[code];

            if (is_matched(g))
                saturation[places[k]] = rank_value(
                    ref_keys[g.ref_start + reference_rank(k - g.start, g.count, g.ref_count)]);
        }
    }
}

/* Warps of 32 pixels, grid-stride: content in its new saturation, which only pixels of matched
 * groups have. y may be content. */
__global__ void __launch_bounds__(PIXEL_THREADS)
    recolour_kernel(const float *content, float *y, int64_t n, const float *saturation,
                    const hue_group *groups)
{
    __shared__ float shared[PIXEL_WARPS][WARP_FLOATS];
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int64_t step = (int64_t) gridDim.x * PIXEL_THREADS;

    for (int64_t first = (int64_t) blockIdx.x * PIXEL_THREADS + 32 * warp; first < n;
         first += step) {
        int count = group_count(first, n), code;
        float v[3], hsv[3], rgb[3];

        load_pixels(content + 3 * first, count, shared[warp], v);
        hsv_of_model(v, hsv);
        code = hue_code(hsv[0]);
        if (lane < count && ((code < HUE_BINS && is_matched(groups[code])) ||
                             (in_first_group(code) && is_matched(groups[0]))))
            hsv[1] = saturation[first + lane];
        svr_unit_from_hsv(hsv, rgb);
        for (int k = 0; k < 3; k++)
            v[k] = 2.0f * fminf(fmaxf(rgb[k], 0.0f), 1.0f) - 1.0f;
        store_pixels(y + 3 * first, count, shared[warp], v);
    }
}

} // namespace svr

using namespace svr;

struct hsv_memory {
    int64_t n, n_ref;
    /* content: saturation keys and places, two sides of a sort; hue codes by place */
    uint32_t *keys[2], *places[2];
    uint8_t *codes;
    /* style: saturation keys and their hue codes, two sides of a sort; codes for the next sort */
    uint32_t *ref_keys[2];
    uint8_t *ref_codes[2], *ref_groups;
    uint32_t *counts; /* [2][HUE_CODES] */
    hue_group *groups;
    sort_memory sort;
};

/* What the sorts by saturation leave. */
struct hsv_lists {
    const uint32_t *places;      /* content's places by rising saturation */
    uint32_t *places_by_group;   /* the same, sorted by group as well */
    uint8_t *groups[2];          /* groups along both lists */
    float *saturation;           /* new saturation by place */
    const uint32_t *ref_keys;    /* style's saturation keys, rising */
    const uint8_t *ref_codes;    /* and their hue codes */
    uint32_t *ref_keys_by_group; /* the same, sorted by group as well */
    uint8_t *ref_groups[2];      /* groups along both lists */
};

static size_t hsv_sort_bytes(int64_t n, int64_t n_ref)
{
    sort_memory memory = {NULL, 0};
    sort_keys keys;
    cub::DoubleBuffer<uint32_t> places;
    cub::DoubleBuffer<uint8_t> codes;
    size_t bytes;

    (void) sort_pairs(&memory, &keys, &places, n, NULL);
    bytes = memory.bytes;
    (void) sort_pairs(&memory, &keys, &codes, n_ref, NULL);
    bytes = larger(memory, bytes);
    (void) sort_by_group(&memory, NULL, NULL, NULL, NULL, n > n_ref ? n : n_ref, HUE_CODE_BITS,
                         NULL);
    return larger(memory, bytes);
}

/* Returns the bytes of all. */
static size_t lay_out_hsv(const svr_hsv_args *args, void *workspace, hsv_memory *m)
{
    workspace_cursor cursor = {(char *) workspace, 0};

    m->n = pixels_of(&args->content);
    m->n_ref = pixels_of(&args->style);
    for (int side = 0; side < 2; side++) {
        m->keys[side] = cursor.take<uint32_t>(m->n);
        m->places[side] = cursor.take<uint32_t>(m->n);
        m->ref_keys[side] = cursor.take<uint32_t>(m->n_ref);
        m->ref_codes[side] = cursor.take<uint8_t>(m->n_ref);
    }
    m->codes = cursor.take<uint8_t>(m->n);
    m->ref_groups = cursor.take<uint8_t>(m->n_ref);
    m->counts = cursor.take<uint32_t>(2 * HUE_CODES);
    m->groups = cursor.take<hue_group>(HUE_BINS);
    m->sort.bytes = hsv_sort_bytes(m->n, m->n_ref);
    m->sort.data = cursor.take<char>((int64_t) m->sort.bytes);
    return cursor.used;
}

size_t svr_cuda_hsv_workspace(svr_backend *backend, const svr_hsv_args *args)
{
    hsv_memory memory;

    (void) backend;
    return lay_out_hsv(args, NULL, &memory);
}

/* Keys, codes and groups of both pictures. */
static svr_status map_hues(const svr_hsv_args *args, const hsv_memory *m, cudaStream_t stream,
                           svr_error *err)
{
    unsigned blocks = grid_for(m->n, PIXEL_THREADS), ref_blocks = grid_for(m->n_ref, PIXEL_THREADS);

    SVR_TRY(svr_cuda_check(cudaMemsetAsync(m->counts, 0, 2 * HUE_CODES * sizeof(uint32_t), stream),
                           "cudaMemsetAsync", err));
    hue_keys_kernel<<<blocks, PIXEL_THREADS, 0, stream>>>(
        (const float *) args->content.data, m->n, m->keys[0], m->codes, m->places[0], m->counts);
    SVR_TRY(svr_cuda_launched("hues of content", err));
    hue_keys_kernel<<<ref_blocks, PIXEL_THREADS, 0, stream>>>(
        (const float *) args->style.data, m->n_ref, m->ref_keys[0], m->ref_codes[0], NULL,
        m->counts + HUE_CODES);
    SVR_TRY(svr_cuda_launched("hues of style", err));
    hue_groups_kernel<<<1, 1, 0, stream>>>(m->counts, m->counts + HUE_CODES, m->groups);
    return svr_cuda_launched("hue groups", err);
}

/* Sorts by saturation; what they no longer need serves the lists. */
static svr_status sort_saturations(hsv_memory *m, hsv_lists *lists, cudaStream_t stream,
                                   svr_error *err)
{
    sort_keys keys(m->keys[0], m->keys[1]), ref_keys(m->ref_keys[0], m->ref_keys[1]);
    cub::DoubleBuffer<uint32_t> places(m->places[0], m->places[1]);
    cub::DoubleBuffer<uint8_t> codes(m->ref_codes[0], m->ref_codes[1]);

    SVR_TRY(svr_cuda_check(sort_pairs(&m->sort, &keys, &places, m->n, stream),
                           "sort of content's saturation", err));
    SVR_TRY(svr_cuda_check(sort_pairs(&m->sort, &ref_keys, &codes, m->n_ref, stream),
                           "sort of style's saturation", err));
    lists->places = places.Current();
    lists->places_by_group = places.Alternate();
    lists->groups[0] = (uint8_t *) m->keys[1];
    lists->groups[1] = lists->groups[0] + m->n;
    lists->saturation = (float *) m->keys[0];
    lists->ref_keys = ref_keys.Current();
    lists->ref_keys_by_group = ref_keys.Alternate();
    lists->ref_codes = codes.Current();
    lists->ref_groups[0] = m->ref_groups;
    lists->ref_groups[1] = codes.Alternate();
    return SVR_OK;
}

/* New saturations of group 0, or of all others. */
static svr_status match_groups(hsv_memory *m, const hsv_lists *lists, bool first_group,
                               cudaStream_t stream, svr_error *err)
{
    unsigned blocks = grid_for(m->n, PIXEL_THREADS), ref_blocks = grid_for(m->n_ref, PIXEL_THREADS);
    int bits = first_group ? 1 : HUE_CODE_BITS;

    list_codes_kernel<<<blocks, PIXEL_THREADS, 0, stream>>>(m->codes, lists->places, m->n,
                                                            first_group, lists->groups[0]);
    SVR_TRY(svr_cuda_launched("list of hues", err));
    list_codes_kernel<<<ref_blocks, PIXEL_THREADS, 0, stream>>>(lists->ref_codes, NULL, m->n_ref,
                                                                first_group, lists->ref_groups[0]);
    SVR_TRY(svr_cuda_launched("list of hues", err));
    SVR_TRY(svr_cuda_check(sort_by_group(&m->sort, lists->groups[0], lists->groups[1],
                                         lists->places, lists->places_by_group, m->n, bits, stream),
                           "sort of content's hues", err));
    SVR_TRY(svr_cuda_check(sort_by_group(&m->sort, lists->ref_groups[0], lists->ref_groups[1],
                                         lists->ref_keys, lists->ref_keys_by_group, m->n_ref, bits,
                                         stream),
                           "sort of style's hues", err));
    match_hues_kernel<<<blocks, PIXEL_THREADS, 0, stream>>>(
        lists->groups[1], lists->places_by_group, m->n, lists->ref_keys_by_group, m->groups,
        first_group, lists->saturation);
    return svr_cuda_launched("match of hues", err);
}

svr_status svr_cuda_hsv(svr_exec *exec, const svr_hsv_args *args, void *workspace, svr_error *err)
{
    cudaStream_t stream = svr_cuda_of(exec)->stream;
    hsv_memory memory;
    hsv_lists lists;

    SVR_TRY(check_rank_places("hsv", pixels_of(&args->content), err));
    SVR_TRY(check_rank_places("hsv", pixels_of(&args->style), err));
    (void) lay_out_hsv(args, workspace, &memory);
    SVR_TRY(map_hues(args, &memory, stream, err));
    SVR_TRY(sort_saturations(&memory, &lists, stream, err));
    /* the last bin has the final word on what it shares with group 0 */
    SVR_TRY(match_groups(&memory, &lists, true, stream, err));
    SVR_TRY(match_groups(&memory, &lists, false, stream, err));
    recolour_kernel<<<grid_for(memory.n, PIXEL_THREADS), PIXEL_THREADS, 0, stream>>>(
        (const float *) args->content.data, (float *) args->y.data, memory.n, lists.saturation,
        memory.groups);
    return svr_cuda_launched("hsv", err);
}
