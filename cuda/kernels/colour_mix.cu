/* adain and saturation_mix: colour transfer by means and deviations, and the choice between two
 * corrections. Bound by memory. */
#include "pixels.cuh"

#include "base/colour_math.h"

namespace svr
{

/* ---------------------------------------------------------------------------- adain */

enum {
    MOMENT_THREADS = 384, /* a multiple of 3: the channel of a thread never changes */
    MOMENT_LANES = MOMENT_THREADS / 3,
    MOMENT_ELEMENTS = 32 * MOMENT_THREADS, /* that a block sums up */
    PICTURES = 2                           /* content, style */
};

struct adain_shape {
    const float *picture[PICTURES];
    int64_t n; /* elements of a frame */
    int chunks, frames;
};

/* Mean and deviation of a channel of both pictures. */
struct channel_moments {
    float mean[PICTURES], deviation[PICTURES];
};

/* Place of a chunk's sums. */
__device__ __forceinline__ int64_t chunk_at(const adain_shape &s, int picture, int frame,
                                            int64_t chunk)
{
    return (((int64_t) picture * s.frames + frame) * s.chunks + chunk) * 3;
}

/* Block (chunk, frame, picture): partial[picture][frame][chunk][channel] = sums of the values and
 * their squares, in double and in a fixed order. */
__global__ void __launch_bounds__(MOMENT_THREADS) adain_sums_kernel(adain_shape s, double2 *partial)
{
    __shared__ double2 shared[MOMENT_THREADS];
    const float *frame = (blockIdx.z == 0 ? s.picture[0] : s.picture[1]) + blockIdx.y * s.n;
    int64_t first = (int64_t) blockIdx.x * MOMENT_ELEMENTS;
    int64_t end = min(first + MOMENT_ELEMENTS, s.n);
    double sum = 0.0, square = 0.0;

#pragma unroll 4
    for (int64_t i = first + threadIdx.x; i < end; i += MOMENT_THREADS) {
        double v = (double) frame[i];

        sum += v;
        square += v * v;
    }
    shared[threadIdx.x] = make_double2(sum, square);
    for (int half = MOMENT_LANES / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < 3 * half) {
            shared[threadIdx.x].x += shared[threadIdx.x + 3 * half].x;
            shared[threadIdx.x].y += shared[threadIdx.x + 3 * half].y;
        }
    }
    if (threadIdx.x < 3)
        partial[chunk_at(s, blockIdx.z, blockIdx.y, blockIdx.x) + threadIdx.x] =
            shared[threadIdx.x];
}

/* Block (frame), one warp a picture and channel: moments from the sums, in a fixed order. */
__global__ void adain_moments_kernel(adain_shape s, const double2 *partial,
                                     channel_moments *moments)
{
    int lane = threadIdx.x % 32, picture = threadIdx.x / 32 / 3, channel = threadIdx.x / 32 % 3;
    double n = (double) (s.n / 3), sum = 0.0, square = 0.0;

    for (int chunk = lane; chunk < s.chunks; chunk += 32) {
        double2 p = partial[chunk_at(s, picture, blockIdx.x, chunk) + channel];

        sum += p.x;
        square += p.y;
    }
    for (int offset = 16; offset > 0; offset /= 2) {
        sum += __shfl_xor_sync(0xffffffffu, sum, offset);
        square += __shfl_xor_sync(0xffffffffu, square, offset);
    }
    if (lane == 0) {
        channel_moments *m = &moments[(int64_t) blockIdx.x * 3 + channel];
        double mean = sum / n;
        double variance = n > 1.0 ? fmax(square - sum * mean, 0.0) / (n - 1.0) : 0.0;

        m->mean[picture] = (float) mean;
        m->deviation[picture] = (float) sqrt(variance + 1e-5);
    }
}

/* Block (chunk, frame), elements as in adain_sums_kernel.  y may be content. */
__global__ void __launch_bounds__(MOMENT_THREADS)
    adain_apply_kernel(adain_shape s, const channel_moments *moments, float *y)
{
    channel_moments m = moments[blockIdx.y * 3 + threadIdx.x % 3];
    const float *content = s.picture[0] + blockIdx.y * s.n;
    int64_t first = (int64_t) blockIdx.x * MOMENT_ELEMENTS;
    int64_t end = min(first + MOMENT_ELEMENTS, s.n);

    y += blockIdx.y * s.n;
#pragma unroll 4
    for (int64_t i = first + threadIdx.x; i < end; i += MOMENT_THREADS)
        y[i] = (content[i] - m.mean[0]) / m.deviation[0] * m.deviation[1] + m.mean[1];
}

/* ---------------------------------------------------------------------------- saturation_mix */

__device__ __forceinline__ float saturation_of(const float (&model)[3])
{
    float r = svr_unit_from_model(model[0]), g = svr_unit_from_model(model[1]);
    float b = svr_unit_from_model(model[2]);
    float max = fmaxf(r, fmaxf(g, b)), min = fminf(r, fminf(g, b));

    return max > 1e-10f ? (max - min) / max : 0.0f;
}

/* How much of the hsv correction a pixel gets: content (and its wavelet correction) is too vivid.
 */
__device__ __forceinline__ float vividness(float content, float style, float wavelet)
{
    const float threshold = 0.15f, sharpness = 5.0f;

    if (!(wavelet - style > threshold * 0.5f))
        return 0.0f;
    return 1.0f / (1.0f + expf(-sharpness * (content - style - threshold)));
}

struct mix_pictures {
    const float *content, *style, *wavelet, *hsv;
    float *y; /* may be any of them */
};

/* Warps of 32 of the n pixels, grid-stride. */
__global__ void __launch_bounds__(PIXEL_THREADS) saturation_mix_kernel(mix_pictures p, int64_t n)
{
    __shared__ float shared[PIXEL_WARPS][WARP_FLOATS];
    float *own = shared[threadIdx.x / 32];
    int64_t step = (int64_t) gridDim.x * PIXEL_THREADS;
    int64_t first = (int64_t) blockIdx.x * PIXEL_THREADS + threadIdx.x / 32 * 32;

    for (; first < n; first += step) {
        int count = group_count(first, n);
        float content[3], style[3], wavelet[3], hsv[3], m;

        load_pixels(p.content + 3 * first, count, own, content);
        load_pixels(p.style + 3 * first, count, own, style);
        load_pixels(p.wavelet + 3 * first, count, own, wavelet);
        load_pixels(p.hsv + 3 * first, count, own, hsv);
        m = vividness(saturation_of(content), saturation_of(style), saturation_of(wavelet));
        for (int k = 0; k < 3; k++)
            wavelet[k] = wavelet[k] * (1.0f - m) + hsv[k] * m;
        store_pixels(p.y + 3 * first, count, own, wavelet);
    }
}

} // namespace svr

using namespace svr;

static adain_shape shape_of(const svr_adain_args *args)
{
    const int64_t *d = args->content.dims;
    int64_t n = d[1] * d[2] * 3, chunks = (n + MOMENT_ELEMENTS - 1) / MOMENT_ELEMENTS;

    return {{(const float *) args->content.data, (const float *) args->style.data},
            n,
            (int) chunks,
            (int) d[0]};
}

static size_t partial_bytes(const adain_shape &s)
{
    return (size_t) PICTURES * (size_t) s.frames * (size_t) s.chunks * 3 * sizeof(double2);
}

size_t svr_cuda_adain_workspace(svr_backend *backend, const svr_adain_args *args)
{
    adain_shape s = shape_of(args);

    (void) backend;
    return partial_bytes(s) + (size_t) s.frames * 3 * sizeof(channel_moments);
}

svr_status svr_cuda_adain(svr_exec *exec, const svr_adain_args *args, void *workspace,
                          svr_error *err)
{
    cudaStream_t stream = svr_cuda_of(exec)->stream;
    adain_shape s = shape_of(args);
    double2 *partial = (double2 *) workspace;
    channel_moments *moments = (channel_moments *) ((char *) workspace + partial_bytes(s));
    unsigned chunks = (unsigned) s.chunks, frames = (unsigned) s.frames;

    adain_sums_kernel<<<dim3(chunks, frames, PICTURES), MOMENT_THREADS, 0, stream>>>(s, partial);
    SVR_TRY(svr_cuda_launched("sums of adain", err));
    adain_moments_kernel<<<frames, 32 * 3 * PICTURES, 0, stream>>>(s, partial, moments);
    SVR_TRY(svr_cuda_launched("moments of adain", err));
    adain_apply_kernel<<<dim3(chunks, frames), MOMENT_THREADS, 0, stream>>>(s, moments,
                                                                            (float *) args->y.data);
    return svr_cuda_launched("adain", err);
}

svr_status svr_cuda_saturation_mix(svr_exec *exec, const svr_saturation_mix_args *args,
                                   void *workspace, svr_error *err)
{
    int64_t n = pixels_of(&args->y);
    mix_pictures p = {(const float *) args->content.data, (const float *) args->style.data,
                      (const float *) args->wavelet.data, (const float *) args->hsv.data,
                      (float *) args->y.data};

    (void) workspace;
    saturation_mix_kernel<<<grid_for(n, PIXEL_THREADS), PIXEL_THREADS, 0,
                            svr_cuda_of(exec)->stream>>>(p, n);
    return svr_cuda_launched("saturation_mix", err);
}
