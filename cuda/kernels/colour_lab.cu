/* rgb_to_lab, lab_to_rgb, histogram, match_histogram: the default colour correction, bound by
 * memory. Powers cost a dozen instructions: the hardware's approximation and one Newton step, which
 * leaves a relative error near 2e-7. */
#include "pixels.cuh"

#include <cub/block/block_scan.cuh>

namespace svr
{

/* ---------------------------------------------------------------------------- Lab */

/* x^(1/5) for x in [.01, 2]. */
__device__ __forceinline__ float fifth_root(float x)
{
    float y = __powf(x, 0.2f), y2 = y * y, y4 = y2 * y2;

    return y - __fdividef(fmaf(y4, y, -x), 5.0f * y4);
}

/* x^(5/12) for x in [.001, 1]: Newton's step on y^12 = x^5. */
__device__ __forceinline__ float power_of_encoding(float x)
{
    float y = __powf(x, 5.0f / 12.0f), y2 = y * y, y6 = y2 * y2 * y2;
    float x2 = x * x, x5 = x2 * x2 * x;

    return y - y * __fdividef(fmaf(y6, y6, -x5), 12.0f * x5);
}

/* u in [0,1]; b^2.4 = b^2 (b^.2)^2. */
__device__ __forceinline__ float srgb_decode(float u)
{
    float base = (u + 0.055f) * (1.0f / 1.055f), root = fifth_root(base);

    return u > 0.04045f ? base * base * (root * root) : u * (1.0f / 12.92f);
}

/* Clamped to [0,1]; NaN gives 0. */
__device__ __forceinline__ float srgb_encode(float v)
{
    const float knee = 0.0031308f;
    float curved = v > knee ? (v < 1.0f ? v : 1.0f) : knee;

    return clamp_unit(v > knee ? 1.055f * power_of_encoding(curved) - 0.055f : v * 12.92f);
}

/* The cube root of Lab, with its straight piece near black. */
__device__ __forceinline__ float lab_compress(float t)
{
    const float epsilon = (6.0f / 29.0f) * (6.0f / 29.0f) * (6.0f / 29.0f);
    const float kappa = (29.0f / 3.0f) * (29.0f / 3.0f) * (29.0f / 3.0f);

    return t > epsilon ? cbrtf(t) : (kappa * t + 16.0f) * (1.0f / 116.0f);
}

__device__ __forceinline__ float lab_expand(float f)
{
    const float kappa = (29.0f / 3.0f) * (29.0f / 3.0f) * (29.0f / 3.0f);

    return f > 6.0f / 29.0f ? f * f * f : (116.0f * f - 16.0f) * (1.0f / kappa);
}

/* Model R'G'B' to Lab. */
struct to_lab {
    __device__ __forceinline__ void operator()(float (&p)[3]) const
    {
        float r = srgb_decode(clamp_unit((p[0] + 1.0f) * 0.5f));
        float g = srgb_decode(clamp_unit((p[1] + 1.0f) * 0.5f));
        float b = srgb_decode(clamp_unit((p[2] + 1.0f) * 0.5f));
        float fx =
            lab_compress((0.4124564f * r + 0.3575761f * g + 0.1804375f * b) * (1.0f / 0.95047f));
        float fy = lab_compress(0.2126729f * r + 0.7151522f * g + 0.0721750f * b);
        float fz =
            lab_compress((0.0193339f * r + 0.1191920f * g + 0.9503041f * b) * (1.0f / 1.08883f));

        p[0] = 116.0f * fy - 16.0f;
        p[1] = 500.0f * (fx - fy);
        p[2] = 200.0f * (fy - fz);
    }
};

/* The way back. */
struct from_lab {
    __device__ __forceinline__ void operator()(float (&p)[3]) const
    {
        float fy = (p[0] + 16.0f) * (1.0f / 116.0f);
        float x = 0.95047f * lab_expand(fy + p[1] * (1.0f / 500.0f)), y = lab_expand(fy);
        float z = 1.08883f * lab_expand(fy - p[2] * (1.0f / 200.0f));

        p[0] = 2.0f * srgb_encode(3.2404542f * x - 1.5371385f * y - 0.4985314f * z) - 1.0f;
        p[1] = 2.0f * srgb_encode(-0.9692660f * x + 1.8760108f * y + 0.0415560f * z) - 1.0f;
        p[2] = 2.0f * srgb_encode(0.0556434f * x - 0.2040259f * y + 1.0572252f * z) - 1.0f;
    }
};

/* Warps of 32 of the n pixels, grid-stride; y may be x. */
template <typename F>
__global__ void __launch_bounds__(PIXEL_THREADS)
    convert_pixels_kernel(const float *x, float *y, int64_t n, F convert)
{
    __shared__ float shared[PIXEL_WARPS][WARP_FLOATS];
    int warp = threadIdx.x / 32;
    int64_t step = (int64_t) gridDim.x * PIXEL_THREADS;

    for (int64_t first = (int64_t) blockIdx.x * PIXEL_THREADS + 32 * warp; first < n;
         first += step) {
        int count = group_count(first, n);
        float v[3];

        load_pixels(x + 3 * first, count, shared[warp], v);
        convert(v);
        store_pixels(y + 3 * first, count, shared[warp], v);
    }
}

/* ---------------------------------------------------------------------------- histogram */

enum {
    ELEMENT_THREADS = 768, /* a multiple of 3: the channel of a thread never changes */
    ELEMENT_BATCH = 4,     /* elements that a thread loads before it looks at the first */
    SHARED_BYTES = 48 << 10
};

struct lab_range {
    float lo[3], hi[3], scale[3];
};

/* Chosen without an index, which would copy kernel arguments to memory. */
__device__ __forceinline__ float of_channel(const float (&v)[3], int channel)
{
    return channel == 0 ? v[0] : channel == 1 ? v[1] : v[2];
}

/* Grid-stride over the n elements.  Bins are counted in shared memory (SHARED) and then added up,
 * or right in `counts` when there are too many; integer sums, so the order does not matter. */
template <bool SHARED>
__global__ void __launch_bounds__(ELEMENT_THREADS)
    histogram_kernel(const float *__restrict__ x, int *counts, int64_t n, int bins, lab_range range)
{
    extern __shared__ int local[]; /* [3][bins] */
    int channel = threadIdx.x % 3;
    float lo = of_channel(range.lo, channel), hi = of_channel(range.hi, channel);
    float scale = of_channel(range.scale, channel);
    int64_t step = (int64_t) gridDim.x * ELEMENT_THREADS;

    if (SHARED) {
        for (int i = threadIdx.x; i < 3 * bins; i += ELEMENT_THREADS)
            local[i] = 0;
        __syncthreads();
    }
    for (int64_t i = (int64_t) blockIdx.x * ELEMENT_THREADS + threadIdx.x; i < n;
         i += ELEMENT_BATCH * step) {
        float v[ELEMENT_BATCH];

#pragma unroll
        for (int k = 0; k < ELEMENT_BATCH; k++)
            v[k] = i + k * step < n ? x[i + k * step] : NAN;
#pragma unroll
        for (int k = 0; k < ELEMENT_BATCH; k++) {
            if (v[k] >= lo && v[k] <= hi) {
                int bin = min((int) ((v[k] - lo) * scale), bins - 1) + channel * bins;

                atomicAdd(SHARED ? &local[bin] : &counts[bin], 1);
            }
        }
    }
    if (SHARED) {
        __syncthreads();
        for (int i = threadIdx.x; i < 3 * bins; i += ELEMENT_THREADS) {
            if (local[i] != 0)
                atomicAdd(&counts[i], local[i]);
        }
    }
}

/* ---------------------------------------------------------------------------- match_histogram */

enum {
    TABLE_THREADS = 1024,
    TABLES = 3 /* of a channel: own shares, reference's shares, targets */
};

/* First boundary in [first, last] whose share is above `share`, else `last`.  A share that many
 * boundaries have, at a gap in the reference, so belongs to the values above the gap. */
__device__ __forceinline__ int find_above(const float *shares, int first, int last, float share)
{
    while (first < last) {
        int middle = first + (last - first) / 2;

        if (shares[middle] > share)
            last = middle;
        else
            first = middle + 1;
    }
    return first;
}

typedef cub::BlockScan<long long, TABLE_THREADS, cub::BLOCK_SCAN_WARP_SCANS> table_scan;

/* shares[i] = share of all counts that is below bin i; shares[bins] = 1.  Counts go up to 2^32 - 1.
 * The whole block takes part; a thread has a run of neighbouring bins. */
__device__ void sum_shares(const uint32_t *counts, int bins, float *shares,
                           table_scan::TempStorage &storage)
{
    int run = (bins + TABLE_THREADS - 1) / TABLE_THREADS;
    int first = min((int) threadIdx.x * run, bins), end = min(first + run, bins);
    long long sum = 0, below, total;

    for (int i = first; i < end; i++)
        sum += counts[i];
    __syncthreads();
    table_scan(storage).ExclusiveSum(sum, below, total);
    for (int i = first; i < end; i++) {
        shares[i] = total > 0 ? (float) ((double) below / (double) total) : 0.0f;
        below += counts[i];
    }
    if (threadIdx.x == 0)
        shares[bins] = 1.0f;
    __syncthreads();
}

/* One block a channel: tables[channel] = own shares, reference's shares, and for each own boundary
 * the first boundary of the reference above it (or the end of the reference's values), each [bins +
 * 1].  Latency only. */
__global__ void __launch_bounds__(TABLE_THREADS)
    match_tables_kernel(const uint32_t *counts, const uint32_t *ref_counts, float *tables, int bins)
{
    __shared__ table_scan::TempStorage storage;
    __shared__ int end; /* of the reference's values */
    int64_t boundaries = (int64_t) bins + 1;
    float *own = tables + blockIdx.x * TABLES * boundaries, *ref = own + boundaries;
    int *target = (int *) (ref + boundaries);

    sum_shares(counts + (int64_t) blockIdx.x * bins, bins, own, storage);
    sum_shares(ref_counts + (int64_t) blockIdx.x * bins, bins, ref, storage);
    /* shares never fall, so exactly one boundary is the first that reaches 1 */
    for (int i = threadIdx.x + 1; i <= bins; i += TABLE_THREADS) {
        if (ref[i] >= 1.0f && (i == 1 || ref[i - 1] < 1.0f))
            end = i;
    }
    __syncthreads();
    for (int i = threadIdx.x; i <= bins; i += TABLE_THREADS)
        target[i] = find_above(ref, 1, end, own[i]);
}

struct channel_tables {
    const float *own, *ref;
    const int *target;
};

/* A place in the own histogram to one in the reference's, in bins. */
__device__ __forceinline__ float matched_position(const channel_tables &t, int bins, float position)
{
    float top = (float) bins - 1e-3f, share, width, inside;
    int i, j;

    position = position > 0.0f ? position : 0.0f;
    position = position < top ? position : top;
    i = (int) position;
    share = t.own[i] + rounded_product(t.own[i + 1] - t.own[i], position - (float) i);
    j = find_above(t.ref, t.target[i], t.target[i + 1], share);
    width = t.ref[j] - t.ref[j - 1];
    inside = (share - t.ref[j - 1]) / (width > 1e-12f ? width : 1e-12f);
    inside = inside < 0.0f ? 0.0f : inside > 1.0f ? 1.0f : inside;
    return (float) (j - 1) + inside;
}

struct match_range {
    float lo[3], step[3], keep[3];
};

/* Grid-stride over the n elements; the tables are copied to shared memory (SHARED) where they fit.
 * y may be x: a thread's elements are its own. */
template <bool SHARED>
__global__ void __launch_bounds__(ELEMENT_THREADS)
    match_histogram_kernel(const float *x, float *y, const float *tables, int64_t n, int bins,
                           match_range range)
{
    extern __shared__ float staged[]; /* [3][TABLES][bins + 1] */
    int channel = threadIdx.x % 3, boundaries = bins + 1;
    float lo = of_channel(range.lo, channel), width = of_channel(range.step, channel);
    float keep = of_channel(range.keep, channel);
    int64_t step = (int64_t) gridDim.x * ELEMENT_THREADS;
    channel_tables t;

    if (SHARED) {
        for (int i = threadIdx.x; i < 3 * TABLES * boundaries; i += ELEMENT_THREADS)
            staged[i] = tables[i];
        __syncthreads();
    }
    t.own = (SHARED ? staged : tables) + (int64_t) channel * TABLES * boundaries;
    t.ref = t.own + boundaries;
    t.target = (const int *) (t.ref + boundaries);
    for (int64_t i = (int64_t) blockIdx.x * ELEMENT_THREADS + threadIdx.x; i < n;
         i += ELEMENT_BATCH * step) {
        float v[ELEMENT_BATCH];

#pragma unroll
        for (int k = 0; k < ELEMENT_BATCH; k++)
            v[k] = i + k * step < n ? x[i + k * step] : 0.0f;
#pragma unroll
        for (int k = 0; k < ELEMENT_BATCH; k++) {
            float place = matched_position(t, bins, (v[k] - lo) / width);
            float target = lo + rounded_product(width, place);

            if (i + k * step < n)
                y[i + k * step] =
                    rounded_product(keep, v[k]) + rounded_product(1.0f - keep, target);
        }
    }
}

} // namespace svr

using namespace svr;

template <typename F>
static svr_status convert(svr_exec *exec, const svr_lab_args *args, F f, const char *name,
                          svr_error *err)
{
    int64_t n = pixels_of(&args->x);

    convert_pixels_kernel<<<grid_for(n, PIXEL_THREADS), PIXEL_THREADS, 0,
                            svr_cuda_of(exec)->stream>>>((const float *) args->x.data,
                                                         (float *) args->y.data, n, f);
    return svr_cuda_launched(name, err);
}

svr_status svr_cuda_rgb_to_lab(svr_exec *exec, const svr_rgb_to_lab_args *args, void *workspace,
                               svr_error *err)
{
    (void) workspace;
    return convert(exec, args, to_lab(), "rgb_to_lab", err);
}

svr_status svr_cuda_lab_to_rgb(svr_exec *exec, const svr_lab_to_rgb_args *args, void *workspace,
                               svr_error *err)
{
    (void) workspace;
    return convert(exec, args, from_lab(), "lab_to_rgb", err);
}

/* Two blocks a multiprocessor fill it and keep few shared tables. */
static unsigned element_blocks(const svr_cuda_backend *b, int64_t n)
{
    int64_t needed = (n + ELEMENT_THREADS - 1) / ELEMENT_THREADS, most = 2 * (int64_t) b->sm_count;

    return (unsigned) (needed < most ? needed : most);
}

svr_status svr_cuda_histogram(svr_exec *exec, const svr_histogram_args *args, void *workspace,
                              svr_error *err)
{
    const svr_cuda_backend *b = svr_cuda_of(exec);
    int64_t n = svr_tensor_elems(&args->x);
    unsigned blocks = element_blocks(b, n);
    int bins = (int) args->counts.dims[1];
    size_t bytes = svr_tensor_bytes(&args->counts);
    const float *x = (const float *) args->x.data;
    int *counts = (int *) args->counts.data;
    lab_range range;

    (void) workspace;
    for (int c = 0; c < 3; c++) {
        range.lo[c] = args->lo[c];
        range.hi[c] = args->hi[c];
        range.scale[c] = (float) bins / (args->hi[c] - args->lo[c]);
    }
    if (!args->accumulate)
        SVR_TRY(
            svr_cuda_check(cudaMemsetAsync(counts, 0, bytes, b->stream), "cudaMemsetAsync", err));
    if (bytes <= SHARED_BYTES)
        histogram_kernel<true>
            <<<blocks, ELEMENT_THREADS, bytes, b->stream>>>(x, counts, n, bins, range);
    else
        histogram_kernel<false>
            <<<blocks, ELEMENT_THREADS, 0, b->stream>>>(x, counts, n, bins, range);
    return svr_cuda_launched("histogram", err);
}

size_t svr_cuda_match_histogram_workspace(svr_backend *backend,
                                          const svr_match_histogram_args *args)
{
    (void) backend;
    return 3 * TABLES * ((size_t) args->counts.dims[1] + 1) * sizeof(float);
}

svr_status svr_cuda_match_histogram(svr_exec *exec, const svr_match_histogram_args *args,
                                    void *workspace, svr_error *err)
{
    const svr_cuda_backend *b = svr_cuda_of(exec);
    int64_t n = svr_tensor_elems(&args->x);
    unsigned blocks = element_blocks(b, n);
    int bins = (int) args->counts.dims[1];
    size_t bytes = svr_cuda_match_histogram_workspace(exec->backend, args);
    const float *x = (const float *) args->x.data;
    float *y = (float *) args->y.data, *tables = (float *) workspace;
    match_range range;

    for (int c = 0; c < 3; c++) {
        range.lo[c] = args->lo[c];
        range.step[c] = (args->hi[c] - args->lo[c]) / (float) bins;
        range.keep[c] = args->keep[c];
    }
    match_tables_kernel<<<3, TABLE_THREADS, 0, b->stream>>>(
        (const uint32_t *) args->counts.data, (const uint32_t *) args->ref_counts.data, tables,
        bins);
    SVR_TRY(svr_cuda_launched("tables of match_histogram", err));
    if (bytes <= SHARED_BYTES)
        match_histogram_kernel<true>
            <<<blocks, ELEMENT_THREADS, bytes, b->stream>>>(x, y, tables, n, bins, range);
    else
        match_histogram_kernel<false>
            <<<blocks, ELEMENT_THREADS, 0, b->stream>>>(x, y, tables, n, bins, range);
    return svr_cuda_launched("match_histogram", err);
}
